//! Tries that a network keeps for a login once strangers have used up those of the account.
//!
//! Without them, three networks that guess would keep the candidate out of every place that is new to
//! the account. They are few a day for each network, and for whoever holds many addresses at once:
//! more addresses of one site or one provider bring no more tries than these, and all networks
//! together have a bound too.

use std::time::Duration;

use qorgan_protocol::crypto::Hasher as _;
use qorgan_signing::Ring;

use super::limits::Counted;
use super::network::Network;

/// How far a spare try counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One IPv4 address, or the /56 that a provider gives to one subscriber.
    Network,
    /// The /24 of an IPv4 address, or the /48 of an IPv6 address.
    Site,
    /// The /16 of an IPv4 address, or the /32 of an IPv6 address.
    Provider,
    /// Everybody.
    All,
}

impl Reach {
    const EACH: [Self; 4] = [Self::Network, Self::Site, Self::Provider, Self::All];

    /// Returns how many spare tries one login has within this reach, and over which time.
    pub(super) const fn bound(self) -> (u32, Duration) {
        let most = match self {
            Self::Network => 3,
            Self::Site => 24,
            Self::Provider => 96,
            Self::All => 1_000,
        };
        (most, DAY)
    }

    /// Returns the bytes of `network` that are counted as one.
    fn of(self, network: &Network) -> &[u8] {
        let bytes = network.as_bytes();
        let kept = match (self, network) {
            (Self::Network, Network::V4(_)) => 4,
            (Self::Network, Network::V6(_)) => 7,
            (Self::Site, Network::V4(_)) => 3,
            (Self::Site, Network::V6(_)) => 6,
            (Self::Provider, Network::V4(_)) => 2,
            (Self::Provider, Network::V6(_)) => 4,
            (Self::All, _) => 0,
        };
        bytes.get(..kept).unwrap_or(bytes)
    }
}

/// Returns what one spare try of `network` for `login` counts as.
pub(super) fn spare(login: &str, network: &Network) -> [Counted; 4] {
    // No login holds a zero byte, and within one reach the two families differ in length.
    let key = |reach: Reach| Ring.sha256(&[login.as_bytes(), b"\0", reach.of(network)]).0;
    Reach::EACH.map(|reach| Counted::Spare(reach, key(reach)))
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use qorgan_protocol::time::Now;

    use super::*;
    use crate::auth::limits::RateLimits;
    use qorgan_base::config::Limits;

    /// Guesses for one login from places that it is not known at.
    struct Guesses {
        limits: RateLimits,
        now: Now,
        taken: u32,
    }

    impl Guesses {
        fn new() -> Self {
            Self {
                limits: RateLimits::new(Limits::default()),
                now: Now::default(),
                taken: 0,
            }
        }

        /// Guesses once from an address, as `entrance` counts it.
        fn guess(&mut self, address: IpAddr) -> bool {
            let network = Network::of(address);
            let mut place = [0; 32];
            for (to, from) in place.iter_mut().zip(network.as_bytes()) {
                *to = *from;
            }
            let place = Counted::Place(place);
            let usual = vec![place, Counted::Account([1; 32])];
            let mut instead = vec![place];
            instead.extend(spare("a", &network));
            let taken = self.limits.take_or(usual, instead, self.now).is_ok();
            self.taken += u32::from(taken);
            taken
        }

        /// Guesses from addresses in turn until none is let through.
        fn all_of(&mut self, addresses: impl Iterator<Item = IpAddr> + Clone) -> u32 {
            let before = self.taken;
            loop {
                let round = self.taken;
                for address in addresses.clone() {
                    self.guess(address);
                }
                if self.taken == round {
                    return self.taken - before;
                }
            }
        }

        /// Three networks use up what strangers have for the account, and their own.
        fn of_three_networks() -> Self {
            let mut guesses = Self::new();
            let three = guesses.all_of((1..=3).map(|number| v4([198, 18, number, 1])));
            assert_eq!(three, 3 * 10, "{USED_UP}");
            guesses
        }

        fn fresh_networks_tries(&mut self) -> u32 {
            self.all_of(core::iter::once(v4([203, 0, 113, 5])))
        }
    }

    const USED_UP: &str = "each network has ten tries in a quarter of an hour, spare or not";

    #[test]
    fn three_networks_leave_a_fresh_one_its_tries() {
        let mut guesses = Guesses::of_three_networks();
        assert_eq!(guesses.fresh_networks_tries(), 3);
    }

    #[test]
    fn fifty_addresses_of_one_24_have_no_more_than_the_24() {
        let mut guesses = Guesses::of_three_networks();
        let fifty = guesses.all_of((0..50).map(|number| v4([192, 0, 2, number])));
        assert_eq!(fifty, 24);
        assert_eq!(guesses.fresh_networks_tries(), 3);
    }

    #[test]
    fn a_32_of_ipv6_and_a_16_of_ipv4_have_no_more_than_one_provider() {
        let mut guesses = Guesses::of_three_networks();
        let site = guesses.all_of((0..2_000).map(|number| v6([0x2001, 0xdb8, 7, number])));
        assert_eq!(site, 24, "every /64 of one /48");
        let provider = guesses.all_of((0..2_000).map(|number| v6([0x2001, 0xdb8, number, 0])));
        assert_eq!(provider, 96 - 24, "every /48 of one /32");
        let sixteen = guesses.all_of((0..=255).map(|number| v4([100, 64, number, 9])));
        assert_eq!(sixteen, 96);
        assert_eq!(guesses.fresh_networks_tries(), 3);
    }

    #[test]
    fn a_botnet_of_any_size_guesses_less_than_five_thousand_times_a_day() {
        let mut guesses = Guesses::new();
        let mut number = 0_u32;
        let minutes = 24 * 60;
        for minute in 0..minutes {
            guesses.now = Now::default() + Duration::from_secs(60 * minute);
            // Each try from an address of another provider, until ten in a row are refused.
            let mut refused = 0;
            while refused < 10 {
                number += 1;
                let [_, a, b, c] = number.to_be_bytes();
                refused = if guesses.guess(v4([b, c, a, 1])) {
                    0
                } else {
                    refused + 1
                };
            }
        }
        let usual = 30 + 96 * 30;
        assert!(guesses.taken > usual, "{}", guesses.taken);
        assert!(guesses.taken <= usual + 2 * 1_000, "{}", guesses.taken);
    }

    #[test]
    fn tries_of_another_login_and_family_are_counted_apart() {
        let of = |login, address| spare(login, &Network::of(address));
        let (four, six) = (v4([0x20, 1, 0xd, 0xb8]), v6([0x2001, 0xdb8, 0, 0]));
        for (one, other) in of("a", four).iter().zip(&of("a", six)).take(3) {
            assert_ne!(one, other);
        }
        for (one, other) in of("a", four).iter().zip(&of("b", four)) {
            assert_ne!(one, other);
        }
        assert_eq!(of("a", four).last(), of("a", six).last());
    }

    fn v4(bytes: [u8; 4]) -> IpAddr {
        Ipv4Addr::from(bytes).into()
    }

    fn v6([a, b, c, d]: [u16; 4]) -> IpAddr {
        Ipv6Addr::new(a, b, c, d, 0, 0, 0, 1).into()
    }
}
