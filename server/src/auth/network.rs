//! From which network somebody comes: the unit that is counted and queued for.

use std::net::IpAddr;

use axum::http::HeaderMap;

/// One IPv4 address, or the /64 of an IPv6 address: one subscriber holds all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Network {
    /// An IPv4 address, also one that came mapped into IPv6.
    V4([u8; 4]),
    /// The first eight bytes of an IPv6 address.
    V6([u8; 8]),
}

impl Network {
    /// Returns the network of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.octets()),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                Self::V6([a, b, c, d, e, f, g, h])
            }
        }
    }

    /// Returns its bytes: four, or eight.
    pub(crate) const fn as_bytes(&self) -> &[u8] {
        match self {
            Self::V4(bytes) => bytes,
            Self::V6(bytes) => bytes,
        }
    }
}

/// Tells whether `address` is one of the proxies, in whichever form either is written.
pub(crate) fn is_trusted(proxies: &[IpAddr], address: IpAddr) -> bool {
    let address = address.to_canonical();
    proxies.iter().any(|proxy| proxy.to_canonical() == address)
}

/// Returns the address that a request comes from: the peer's, or the one that trusted proxies state.
///
/// A proxy adds an entry to the last line of `X-Forwarded-For`, or a line of its own. So all lines are one
/// list, and the last entry that is no trusted proxy is the caller: whatever stands before it was
/// written by the caller.
pub(crate) fn caller(peer: IpAddr, headers: &HeaderMap, proxies: &[IpAddr]) -> IpAddr {
    let mut caller = peer.to_canonical();
    let lines: Vec<_> = headers
        .get_all("x-forwarded-for")
        .iter()
        .map(|line| line.to_str().unwrap_or_default())
        .collect();
    let entries = lines.iter().rev().flat_map(|line| line.rsplit(','));
    for entry in entries {
        if !is_trusted(proxies, caller) {
            break;
        }
        let Some(before) = read(entry.trim()) else {
            break;
        };
        caller = before;
    }
    caller
}

/// Reads an address, with or without a port.
fn read(entry: &str) -> Option<IpAddr> {
    let bare = entry.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .ok()
        .or_else(|| {
            entry
                .parse()
                .ok()
                .map(|socket: std::net::SocketAddr| socket.ip())
        })
        .map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn all_addresses_of_a_64_are_one_network_and_a_mapped_one_is_its_ipv4() {
        assert_eq!(
            Network::of(ip("2001:db8:1:2::1")),
            Network::of(ip("2001:db8:1:2:ffff:ffff:ffff:ffff"))
        );
        assert_ne!(
            Network::of(ip("2001:db8:1:2::1")),
            Network::of(ip("2001:db8:1:3::1"))
        );
        assert_eq!(
            Network::of(ip("::ffff:10.0.0.1")),
            Network::of(ip("10.0.0.1"))
        );
        assert_ne!(Network::of(ip("10.0.0.1")), Network::of(ip("10.0.0.2")));
    }

    #[test]
    fn a_caller_behind_a_proxy_does_not_choose_its_own_address() {
        let proxies = [ip("::ffff:10.0.0.1"), ip("10.0.0.2")];
        let told = |peer, lines: &[&str]| caller(ip(peer), &headers(lines), &proxies);
        assert_eq!(told("10.9.9.9", &["1.1.1.1"]), ip("10.9.9.9"), "no proxy");
        assert_eq!(told("10.0.0.1", &[]), ip("10.0.0.1"), "nothing is said");
        assert_eq!(told("10.0.0.1", &["1.1.1.1, 2.2.2.2"]), ip("2.2.2.2"));
        assert_eq!(
            told("10.0.0.1", &["1.1.1.1", "2.2.2.2"]),
            ip("2.2.2.2"),
            "a line that the proxy added comes after the caller's"
        );
        assert_eq!(
            told("::ffff:10.0.0.2", &["1.1.1.1, 3.3.3.3, 10.0.0.1"]),
            ip("3.3.3.3")
        );
        assert_eq!(told("10.0.0.1", &["1.1.1.1, nonsense"]), ip("10.0.0.1"));
        assert_eq!(told("10.0.0.1", &["[2001:db8::1]:443"]), ip("2001:db8::1"));
        assert_eq!(told("10.0.0.1", &["9.9.9.9:1234"]), ip("9.9.9.9"));
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn headers(lines: &[&str]) -> HeaderMap {
        let name = HeaderName::from_static("x-forwarded-for");
        lines
            .iter()
            .map(|line| (name.clone(), HeaderValue::from_str(line).expect("text")))
            .collect()
    }
}
