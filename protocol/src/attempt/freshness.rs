//! Freshness codes (decision 2): at random times the recorded screen must show a code that could
//! not have been known before. One miss: ask again; two: cover.

use core::time::Duration;

use crate::time::Now;

/// Random bytes that one step may use: the nonce, and when to ask next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Randomness {
    /// The nonce of a code.
    pub nonce: [u8; 16],
    /// Chooses the time to the next code.
    pub delay: u32,
}

/// A code that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedCode {
    /// The nonce that the client draws a code of.
    pub nonce: [u8; 16],
    /// When it was asked for.
    pub asked: Now,
}

impl AskedCode {
    /// Returns how long it must still be shown.
    #[must_use]
    pub fn left(&self, now: Now) -> Duration {
        (self.asked + WINDOW).since(now)
    }
}

/// What a step found to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FreshnessStep {
    /// A code was asked for: have a key frame made.
    Asked,
    /// A code was not found in time; so many in a row.
    Missed(u8),
}

/// When codes are asked for, and whether they were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    due: Now,
    asked: Option<AskedCode>,
    misses: u8,
}

impl Freshness {
    pub(super) fn new(now: Now, random: Randomness) -> Self {
        Self {
            due: now + delay(random),
            asked: None,
            misses: 0,
        }
    }

    /// Returns the code that is asked for.
    pub(super) const fn asked(&self) -> Option<AskedCode> {
        self.asked
    }

    /// Tells whether items must be covered until a code is found.
    pub(super) const fn failed(&self) -> bool {
        self.misses >= MISSES_MAX
    }

    /// The code that is asked for was found on the recorded screen. Tells whether one was asked for.
    pub(super) fn found(&mut self, now: Now, random: Randomness) -> bool {
        let asked = self.asked.take().is_some();
        if asked {
            self.misses = 0;
            self.due = now + delay(random);
        }
        asked
    }

    /// Goes on with time. While `answerable` is false nothing is asked and no miss is counted; what
    /// was asked is asked anew as soon as it can be answered.
    pub(super) fn step(
        &mut self,
        now: Now,
        answerable: bool,
        random: Randomness,
    ) -> Option<FreshnessStep> {
        if !answerable {
            if self.asked.take().is_some() {
                self.due = now;
            }
            return None;
        }
        match self.asked {
            Some(code) if now >= code.asked + WINDOW => {
                self.asked = None;
                self.due = now;
                self.misses = self.misses.saturating_add(1);
                Some(FreshnessStep::Missed(self.misses))
            }
            Some(_waits) => None,
            None if now >= self.due => {
                self.asked = Some(AskedCode {
                    nonce: random.nonce,
                    asked: now,
                });
                Some(FreshnessStep::Asked)
            }
            None => None,
        }
    }

    /// Returns when the next step is due while codes can be answered.
    pub(super) fn wake_at(&self) -> Now {
        self.asked.map_or(self.due, |code| code.asked + WINDOW)
    }
}

fn delay(random: Randomness) -> Duration {
    let spread = DELAY_MS_MAX - DELAY_MS_MIN + 1;
    Duration::from_millis(DELAY_MS_MIN + u64::from(random.delay) % spread)
}

const DELAY_MS_MIN: u64 = 30_000;
const DELAY_MS_MAX: u64 = 90_000;
const MISSES_MAX: u8 = 2;
const WINDOW: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    fn random(delay: u32) -> Randomness {
        Randomness {
            nonce: [7; 16],
            delay,
        }
    }

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }

    #[test]
    fn a_code_is_asked_for_every_thirty_to_ninety_seconds() {
        for delay in [0, 1, 59_999, 60_000, 60_001, u32::MAX] {
            let freshness = Freshness::new(at(0), random(delay));
            assert!((at(30)..=at(90)).contains(&freshness.wake_at()));
        }
    }

    #[test]
    fn one_miss_asks_again_and_two_fail() {
        let mut freshness = Freshness::new(at(0), random(0));
        assert_eq!(
            freshness.step(at(30), true, random(0)),
            Some(FreshnessStep::Asked)
        );
        assert_eq!(freshness.step(at(34), true, random(0)), None);
        assert_eq!(
            freshness.step(at(35), true, random(0)),
            Some(FreshnessStep::Missed(1))
        );
        assert!(!freshness.failed());
        assert_eq!(
            freshness.step(at(35), true, random(0)),
            Some(FreshnessStep::Asked)
        );
        assert_eq!(
            freshness.step(at(40), true, random(0)),
            Some(FreshnessStep::Missed(2))
        );
        assert!(freshness.failed());
        assert_eq!(
            freshness.step(at(40), true, random(0)),
            Some(FreshnessStep::Asked)
        );
        assert!(freshness.found(at(41), random(0)));
        assert!(!freshness.failed());
        assert_eq!(freshness.wake_at(), at(71));
    }

    #[test]
    fn what_cannot_be_answered_is_no_miss_and_is_asked_anew() {
        let mut freshness = Freshness::new(at(0), random(0));
        assert_eq!(
            freshness.step(at(30), true, random(0)),
            Some(FreshnessStep::Asked)
        );
        assert_eq!(freshness.step(at(36), false, random(0)), None);
        assert_eq!(freshness.asked(), None);
        assert_eq!(
            freshness.step(at(50), true, random(0)),
            Some(FreshnessStep::Asked)
        );
        assert!(!freshness.failed());
    }

    #[test]
    fn a_code_that_nobody_asked_for_counts_for_nothing() {
        let mut freshness = Freshness::new(at(0), random(0));
        assert!(!freshness.found(at(1), random(0)));
    }
}
