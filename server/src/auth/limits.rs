//! How often somebody may try.
//!
//! # Invariants
//! * A try is counted before any work is done for it, so that tries at once are counted as well.
//! * Every count stands under 32 bytes, and each kind has a fixed number of places: the one that was
//!   used least lately goes. A flood of one kind drives out no count of another.

use std::num::NonZeroUsize;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lru::LruCache;
use qorgan_protocol::time::Now;

use super::AuthError;
use super::network::Network;
use super::spare::Reach;
use qorgan_base::config::Limits;
use qorgan_base::rate::Rate;

/// The account, place or network whose tries are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    /// An account, by everybody who is not known there.
    Account([u8; 32]),
    /// An account at one place: a device that it knows, or a network.
    Place([u8; 32]),
    /// A device, whatever the account.
    Device([u8; 32]),
    /// A network, whatever the account.
    Network(Network),
    /// Codes of an account's second factor.
    Codes([u8; 32]),
    /// An account, by those for whom strangers left no try.
    Spare(Reach, [u8; 32]),
}

impl Counted {
    fn key(self) -> [u8; 32] {
        match self {
            Self::Account(key)
            | Self::Place(key)
            | Self::Device(key)
            | Self::Codes(key)
            | Self::Spare(_, key) => key,
            Self::Network(network) => {
                let mut key = [0; 32];
                let bytes = network.as_bytes();
                for (to, from) in key.iter_mut().zip(bytes) {
                    *to = *from;
                }
                // An IPv4 address is not the network of an IPv6 address that begins alike.
                key[31] = u8::from(bytes.len() == 4);
                key
            }
        }
    }
}

/// When a count would be empty again, in the time of the server's clock (GCRA).
type Counts = LruCache<[u8; 32], Duration>;

#[derive(Debug)]
struct Kinds {
    accounts: Counts,
    places: Counts,
    devices: Counts,
    networks: Counts,
    codes: Counts,
    spare: Spare,
}

#[derive(Debug)]
struct Spare {
    networks: Counts,
    sites: Counts,
    providers: Counts,
    all: Counts,
}

/// Counts tries.
#[derive(Debug)]
pub(crate) struct RateLimits {
    limits: Limits,
    kinds: Mutex<Kinds>,
}

impl RateLimits {
    pub(crate) fn new(limits: Limits) -> Self {
        Self::bounded(limits, COUNTS_MAX)
    }

    fn bounded(limits: Limits, max: NonZeroUsize) -> Self {
        // The room is taken as counts come, not at once.
        let counts = || {
            let mut counts = LruCache::unbounded();
            counts.resize(max);
            counts
        };
        Self {
            limits,
            kinds: Mutex::new(Kinds {
                accounts: counts(),
                places: counts(),
                devices: counts(),
                networks: counts(),
                codes: counts(),
                spare: Spare {
                    networks: counts(),
                    sites: counts(),
                    providers: counts(),
                    all: counts(),
                },
            }),
        }
    }

    /// Counts one try of each, or none where one of them is full.
    ///
    /// # Errors
    /// `TooMany` with the seconds until one more is free.
    pub(crate) fn take(&self, counted: &[Counted], now: Now) -> Result<(), AuthError> {
        let now = now.since_origin();
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut wait = Duration::ZERO;
        let mut taken = Vec::with_capacity(counted.len());
        for one in counted {
            let empty_at = kinds.of(*one).peek(&one.key()).copied();
            match self.rate(*one).one_more(empty_at, now) {
                Ok(empty_at) => taken.push((*one, empty_at)),
                Err(longer) => wait = wait.max(longer),
            }
        }
        if !wait.is_zero() {
            let left = wait.as_secs().saturating_add(1);
            return Err(AuthError::TooMany {
                retry_after_s: u32::try_from(left).unwrap_or(u32::MAX),
            });
        }
        for (one, empty_at) in taken {
            kinds.of(one).put(one.key(), empty_at);
        }
        Ok(())
    }

    /// Counts one try of each of `usual`, or else of each of `instead`; returns which were counted.
    ///
    /// # Errors
    /// `TooMany` with the seconds until either has one more.
    pub(crate) fn take_or(
        &self,
        usual: Vec<Counted>,
        instead: Vec<Counted>,
        now: Now,
    ) -> Result<Vec<Counted>, AuthError> {
        let Err(full) = self.take(&usual, now) else {
            return Ok(usual);
        };
        match (full, self.take(&instead, now)) {
            (_, Ok(())) => Ok(instead),
            (
                AuthError::TooMany { retry_after_s: one },
                Err(AuthError::TooMany {
                    retry_after_s: other,
                }),
            ) => Err(AuthError::TooMany {
                retry_after_s: one.min(other),
            }),
            (_, Err(error)) => Err(error),
        }
    }

    /// Gives tries back that were none: the sign-in was right, or nothing was looked at.
    pub(crate) fn give_back(&self, counted: &[Counted]) {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        for one in counted {
            let step = self.rate(*one).step;
            if let Some(empty_at) = kinds.of(*one).get_mut(&one.key()) {
                *empty_at = empty_at.saturating_sub(step);
            }
        }
    }

    /// Tells whether no try is left.
    pub(crate) fn is_full(&self, one: Counted, now: Now) -> bool {
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let empty_at = kinds.of(one).peek(&one.key()).copied();
        let next = self.rate(one).one_more(empty_at, now.since_origin());
        next.is_err()
    }

    /// Returns how long one try counts, and over which time all are counted.
    fn rate(&self, one: Counted) -> Rate {
        let (most, window) = match one {
            Counted::Account(_) => (
                self.limits.account_tries.saturating_mul(STRANGERS_TIMES),
                TRIES_WINDOW,
            ),
            Counted::Place(_) => (self.limits.account_tries, TRIES_WINDOW),
            Counted::Device(_) => (self.limits.device_tries, TRIES_WINDOW),
            Counted::Network(_) => (self.limits.address_tries_per_minute, NETWORK_WINDOW),
            Counted::Codes(_) => (self.limits.code_tries, TRIES_WINDOW),
            Counted::Spare(reach, _) => reach.bound(),
        };
        Rate {
            step: window / most.max(1),
            window,
        }
    }
}

impl Kinds {
    const fn of(&mut self, one: Counted) -> &mut Counts {
        match one {
            Counted::Account(_) => &mut self.accounts,
            Counted::Place(_) => &mut self.places,
            Counted::Device(_) => &mut self.devices,
            Counted::Network(_) => &mut self.networks,
            Counted::Codes(_) => &mut self.codes,
            Counted::Spare(Reach::Network, _) => &mut self.spare.networks,
            Counted::Spare(Reach::Site, _) => &mut self.spare.sites,
            Counted::Spare(Reach::Provider, _) => &mut self.spare.providers,
            Counted::Spare(Reach::All, _) => &mut self.spare.all,
        }
    }
}

const TRIES_WINDOW: Duration = Duration::from_secs(15 * 60);
const NETWORK_WINDOW: Duration = Duration::from_secs(60);
/// All strangers together have so many times the tries of one network for an account; beyond them a
/// network has its spare ones.
const STRANGERS_TIMES: u32 = 3;
/// Counts of one kind; about 120 bytes each, so 12 MB a kind at the most.
const COUNTS_MAX: NonZeroUsize = match NonZeroUsize::new(100_000) {
    Some(max) => max,
    None => NonZeroUsize::MIN,
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_full_at_its_bound_and_one_try_comes_back_at_a_time() {
        let limits = limits(3);
        let (now, account) = (Now::default(), Counted::Place([1; 32]));
        for _try in 0..3 {
            limits.take(&[account], now).expect("a try is left");
        }
        assert!(limits.is_full(account, now));
        let error = limits.take(&[account], now).expect_err("three are enough");
        assert!(
            matches!(error, AuthError::TooMany { retry_after_s: 301 }),
            "{error:?}"
        );
        limits
            .take(&[Counted::Place([2; 32])], now)
            .expect("a neighbour is free");
        let later = now + Duration::from_secs(300);
        limits.take(&[account], later).expect("one came back");
        limits.take(&[account], later).expect_err("one alone");
        for _try in 0..3 {
            limits
                .take(&[account], later + TRIES_WINDOW)
                .expect("all came back");
        }
    }

    #[test]
    fn what_one_count_refuses_is_counted_nowhere() {
        let limits = limits(1);
        let now = Now::default();
        let (full, free) = (Counted::Place([1; 32]), Counted::Device([1; 32]));
        limits.take(&[full], now).expect("one try");
        for _try in 0..100 {
            limits.take(&[full, free], now).expect_err("full");
        }
        for _try in 0..40 {
            limits.take(&[free], now).expect("all forty are left");
        }
        limits.take(&[free], now).expect_err("the bound");
    }

    #[test]
    fn tries_that_were_none_are_given_back() {
        let limits = limits(1);
        let (now, account) = (Now::default(), Counted::Place([1; 32]));
        for _sign_in in 0..50 {
            limits.take(&[account], now).expect("it was given back");
            limits.give_back(&[account]);
        }
        limits.give_back(&[account]);
        limits.take(&[account], now).expect("one");
        limits
            .take(&[account], now)
            .expect_err("no more than one is ever left");
    }

    #[test]
    fn a_flood_of_names_takes_a_fixed_room_and_drives_out_no_other_kind() {
        let max = NonZeroUsize::new(64).expect("not zero");
        let limits = RateLimits::bounded(Limits::default(), max);
        let now = Now::default();
        let network = Counted::Network(Network::V4([10, 0, 0, 1]));
        limits.take(&[network], now).expect("room");
        for number in 0..10_000_u32 {
            let mut key = [0; 32];
            key[..4].copy_from_slice(&number.to_be_bytes());
            limits.take(&[Counted::Account(key)], now).expect("room");
        }
        let mut kinds = limits.kinds.lock().expect("no panic");
        assert_eq!(kinds.accounts.len(), 64);
        assert!(kinds.networks.get(&network.key()).is_some());
    }

    fn limits(account_tries: u32) -> RateLimits {
        RateLimits::new(Limits {
            account_tries,
            device_tries: 40,
            ..Limits::default()
        })
    }
}
