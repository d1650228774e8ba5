//! Nonces that one proof must sign within a minute; each is good once.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qorgan_protocol::time::Now;

/// The nonces that are out.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    open: Mutex<BTreeMap<[u8; 32], Now>>,
}

impl Challenges {
    /// Puts a nonce out. Where too many are out, those that are over go first, then the oldest.
    pub(crate) fn put(&self, nonce: [u8; 32], now: Now) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= CHALLENGES_MAX {
            open.retain(|_nonce, made| now.since(*made) < LASTS);
        }
        if open.len() >= CHALLENGES_MAX {
            let oldest = open.iter().min_by_key(|(_nonce, made)| **made);
            if let Some(oldest) = oldest.map(|(nonce, _made)| *nonce) {
                open.remove(&oldest);
            }
        }
        open.insert(nonce, now);
    }

    /// Takes a nonce back. Tells whether it was out and not over.
    pub(crate) fn take(&self, nonce: &[u8; 32], now: Now) -> bool {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.remove(nonce)
            .is_some_and(|made| now.since(made) < LASTS)
    }
}

const LASTS: Duration = Duration::from_secs(60);
const CHALLENGES_MAX: usize = 20_000; // full: the oldest goes

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_good_once_and_for_a_minute() {
        let challenges = Challenges::default();
        let now = Now::default();
        challenges.put([1; 32], now);
        challenges.put([2; 32], now);
        assert!(challenges.take(&[1; 32], now));
        assert!(!challenges.take(&[1; 32], now));
        assert!(!challenges.take(&[2; 32], now + Duration::from_secs(60)));
    }
}
