//! Nonces that one proof must sign within a minute; each is good once.
//!
//! A nonce says when it was made and carries the server's own tag, so nothing is kept of one that nobody
//! signs: a flood of challenges takes no memory and drives out no honest one.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use qorgan_protocol::time::Now;
use ring::hmac;

/// The nonces that were used within the last minute, and the key that all are known by.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    key: OnceLock<hmac::Key>,
    used: Mutex<BTreeMap<[u8; 32], Now>>,
}

impl Challenges {
    /// Makes a nonce of eight bytes of time, eight random ones and a tag of sixteen. The first call's
    /// `fresh` becomes the key of this run of the server.
    pub(crate) fn make(&self, fresh: &[u8; 32], random: [u8; 8], now: Now) -> [u8; 32] {
        let key = self
            .key
            .get_or_init(|| hmac::Key::new(hmac::HMAC_SHA256, fresh));
        let ms = u64::try_from(now.since_origin().as_millis()).unwrap_or(u64::MAX);
        let mut nonce = [0; 32];
        let (head, tag) = nonce.split_at_mut(HEAD);
        head[..8].copy_from_slice(&ms.to_be_bytes());
        head[8..].copy_from_slice(&random);
        let whole = hmac::sign(key, head);
        for (to, from) in tag.iter_mut().zip(whole.as_ref()) {
            *to = *from;
        }
        nonce
    }

    /// Takes a nonce back. Tells whether it is one of ours, not over and not used before.
    pub(crate) fn take(&self, nonce: &[u8; 32], now: Now) -> bool {
        let (head, tag) = nonce.split_at(HEAD);
        let Some(key) = self.key.get() else {
            return false;
        };
        let whole = hmac::sign(key, head);
        let differing = (whole.as_ref().iter().zip(tag)).fold(0, |d, (x, y)| d | (x ^ y));
        let made = <[u8; 8]>::try_from(&head[..8]).map_or(u64::MAX, u64::from_be_bytes);
        let made = Now::from_origin(Duration::from_millis(made));
        // The time was cut to milliseconds, so it never lies ahead.
        if differing != 0 || made > now || now.since(made) >= LASTS {
            return false;
        }
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.len() >= USED_MAX {
            used.retain(|_nonce, made| now.since(*made) < LASTS);
        }
        used.len() < USED_MAX && used.insert(*nonce, made).is_none()
    }
}

const HEAD: usize = 16;
const LASTS: Duration = Duration::from_secs(60);
/// Full: no more proofs in this minute. Each took a signature that holds, and a sign-in that was counted.
const USED_MAX: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_and_for_a_minute() {
        let challenges = Challenges::default();
        let now = Now::from_origin(Duration::from_micros(5_000_700));
        let first = challenges.make(&[7; 32], [1; 8], now);
        let second = challenges.make(&[8; 32], [2; 8], now);
        assert!(challenges.take(&first, now));
        assert!(!challenges.take(&first, now));
        assert!(!challenges.take(&second, now + Duration::from_secs(60)));
    }

    #[test]
    fn a_nonce_of_somebody_else_is_none() {
        let (challenges, now) = (Challenges::default(), Now::default());
        assert!(!challenges.take(&[0; 32], now));
        let nonce = challenges.make(&[7; 32], [1; 8], now);
        for bit in 0..256 {
            let mut other = nonce;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!challenges.take(&other, now), "bit {bit}");
        }
        let before = Challenges::default().make(&[9; 32], [1; 8], now);
        assert!(!challenges.take(&before, now), "of another run");
        assert!(challenges.take(&nonce, now));
    }

    #[test]
    fn a_flood_of_challenges_drives_out_no_honest_one() {
        let (challenges, now) = (Challenges::default(), Now::default());
        let honest = challenges.make(&[7; 32], [1; 8], now);
        for number in 0..50_000_u64 {
            challenges.make(&[7; 32], number.to_be_bytes(), now);
        }
        assert!(challenges.take(&honest, now));
        assert_eq!(challenges.used.lock().expect("no panic").len(), 1);
    }
}
