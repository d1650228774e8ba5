//! How often somebody may try: by account and device first, by address far above a full lab.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use qorgan_protocol::time::Now;

use super::AuthError;
use crate::config::Limits;

/// What is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Counted {
    Account(String),
    Device([u8; 32]),
    Address(IpAddr),
}

#[derive(Debug, Clone, Copy)]
struct Window {
    began: Now,
    count: u32,
}

/// Counts tries in windows of time.
#[derive(Debug)]
pub(crate) struct RateLimits {
    limits: Limits,
    windows: Mutex<BTreeMap<Counted, Window>>,
}

impl RateLimits {
    pub(crate) const fn new(limits: Limits) -> Self {
        Self {
            limits,
            windows: Mutex::new(BTreeMap::new()),
        }
    }

    /// Refuses where a count is full.
    pub(crate) fn check(&self, counted: &[Counted], now: Now) -> Result<(), AuthError> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        for key in counted {
            let (most, lasts) = self.bound(key);
            let Some(window) = windows.get(key) else {
                continue;
            };
            let passed = now.since(window.began);
            if passed < lasts && window.count >= most {
                let left = lasts.saturating_sub(passed).as_secs().saturating_add(1);
                return Err(AuthError::TooMany {
                    retry_after_s: u32::try_from(left).unwrap_or(u32::MAX),
                });
            }
        }
        Ok(())
    }

    /// Counts one try.
    pub(crate) fn count(&self, counted: &[Counted], now: Now) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= WINDOWS_MAX {
            windows.retain(|key, window| now.since(window.began) < self.bound(key).1);
        }
        for key in counted {
            let lasts = self.bound(key).1;
            let window = windows.entry(key.clone()).or_insert(Window {
                began: now,
                count: 0,
            });
            if now.since(window.began) >= lasts {
                *window = Window {
                    began: now,
                    count: 0,
                };
            }
            window.count = window.count.saturating_add(1);
        }
    }

    /// Forgets the wrong tries of an account that has signed in.
    pub(crate) fn forget(&self, counted: &Counted) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.remove(counted);
    }

    const fn bound(&self, key: &Counted) -> (u32, Duration) {
        match key {
            Counted::Account(_) => (self.limits.account_tries, TRIES_WINDOW),
            Counted::Device(_) => (self.limits.device_tries, TRIES_WINDOW),
            Counted::Address(_) => (self.limits.address_tries_per_minute, ADDRESS_WINDOW),
        }
    }
}

const TRIES_WINDOW: Duration = Duration::from_secs(15 * 60);
const ADDRESS_WINDOW: Duration = Duration::from_secs(60);
const WINDOWS_MAX: usize = 100_000; // full: those that are over go

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_account_is_limited_and_its_neighbours_behind_one_address_are_not() {
        let limits = RateLimits::new(Limits {
            account_tries: 3,
            device_tries: 40,
            address_tries_per_minute: 1_000,
            ..Limits::default()
        });
        let now = Now::default();
        let address = Counted::Address(IpAddr::from([10, 0, 0, 1]));
        let account = |login: &str| Counted::Account(login.to_owned());
        for _try in 0..3 {
            limits.count(&[account("a"), address.clone()], now);
        }
        limits
            .check(&[account("a"), address.clone()], now)
            .expect_err("three tries are enough");
        limits
            .check(&[account("b"), address], now)
            .expect("a neighbour is free");
        limits
            .check(&[account("a")], now + TRIES_WINDOW)
            .expect("the window is over");
    }
}
