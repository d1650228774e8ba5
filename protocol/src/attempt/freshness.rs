//! Freshness codes (decision 2): at random times the recorded screen must show a code that could
//! not have been known before. One miss: ask again; two: cover.
//!
//! # Invariants
//! * A code that was asked for ends found, missed or unanswered; no state of the contact takes it
//!   back.
//! * A code that is due is asked for, or counts as unanswered while items go on being shown.
//! * Items are shown for [`UNPROVED_MAX`] in all without a code that was found, and no longer.

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
    /// A code was not found in time though client and recording were there; so many in a row.
    Missed(u8),
    /// A code was not found in time, or could not be asked for, while client or recording were out
    /// of contact; so many in a row.
    Unanswered(u8),
    /// Items were shown for as long as may be without a code that was found.
    Overdue,
}

/// What the gate sees of client and recording at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sight {
    /// Codes are asked for in this phase.
    pub(super) asks: bool,
    /// Every required source is live.
    pub(super) live: bool,
    /// The client is in contact.
    pub(super) contact: bool,
    /// Items are shown, under a lease.
    pub(super) leased: bool,
}

/// When codes are asked for, and whether they were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    due: Now,
    asked: Option<AskedCode>,
    /// The client came after the code was asked for, so that it knows the code.
    heard: bool,
    misses: u8,
    /// How long items were shown since a code was found.
    unproved: Duration,
    overdue_told: bool,
    /// A code is due and cannot be made, for there is no randomness.
    speechless: bool,
}

impl Freshness {
    pub(super) fn new(now: Now, random: Option<Randomness>) -> Self {
        Self {
            due: now + delay(random),
            asked: None,
            heard: false,
            misses: 0,
            unproved: Duration::ZERO,
            overdue_told: false,
            speechless: false,
        }
    }

    /// Returns the code that is asked for.
    pub(super) const fn asked(&self) -> Option<AskedCode> {
        self.asked
    }

    /// Tells whether items must be covered until a code is found.
    pub(super) fn failed(&self) -> bool {
        self.misses >= MISSES_MAX || self.speechless || self.unproved >= UNPROVED_MAX
    }

    /// Returns how long items may still be shown without a code that is found.
    pub(super) const fn left(&self) -> Duration {
        UNPROVED_MAX.saturating_sub(self.unproved)
    }

    /// Items were shown for `passed`.
    pub(super) const fn shown(&mut self, passed: Duration) {
        self.unproved = self.unproved.saturating_add(passed);
    }

    /// The client came.
    pub(super) fn came(&mut self, now: Now) {
        self.heard |= self.asked.is_some_and(|code| now > code.asked);
    }

    /// The code that is asked for was found on the recorded screen. Tells whether one was asked for.
    pub(super) fn found(&mut self, now: Now, random: Option<Randomness>) -> bool {
        let asked = self.asked.is_some();
        if asked {
            *self = Self::new(now, random);
        }
        asked
    }

    /// Items show again: what was due meanwhile is due from now on.
    pub(super) fn resume(&mut self, now: Now) {
        if self.asked.is_none() {
            self.due = self.due.max(now);
        }
    }

    /// The server itself forgot what it saw: a code that is asked for is asked anew.
    pub(super) fn ask_anew(&mut self, now: Now) {
        if self.asked.take().is_some() {
            self.due = now;
        }
        self.heard = false;
    }

    /// Nothing is recorded any more.
    pub(super) const fn rest(&mut self) {
        self.asked = None;
    }

    /// Goes on with time.
    pub(super) fn step(
        &mut self,
        now: Now,
        sight: Sight,
        random: Option<Randomness>,
    ) -> Option<FreshnessStep> {
        if self.unproved >= UNPROVED_MAX && !self.overdue_told {
            self.overdue_told = true;
            return Some(FreshnessStep::Overdue);
        }
        if let Some(code) = self.asked {
            return (now >= code.asked + WINDOW).then(|| {
                let missed = self.heard && sight.live;
                let misses = self.miss(now);
                if missed {
                    FreshnessStep::Missed(misses)
                } else {
                    FreshnessStep::Unanswered(misses)
                }
            });
        }
        if !sight.asks || now < self.due {
            return None;
        }
        if !(sight.live && sight.contact) {
            let late = sight.leased && now >= self.due + HAND_OUT_MAX;
            return late.then(|| FreshnessStep::Unanswered(self.miss(now)));
        }
        self.speechless = random.is_none();
        let nonce = random?.nonce;
        self.asked = Some(AskedCode { nonce, asked: now });
        self.heard = false;
        Some(FreshnessStep::Asked)
    }

    fn miss(&mut self, now: Now) -> u8 {
        self.asked = None;
        self.due = now;
        self.misses = self.misses.saturating_add(1);
        self.misses
    }
}

/// Without randomness the next code comes as soon as one may.
fn delay(random: Option<Randomness>) -> Duration {
    let spread = DELAY_MS_MAX - DELAY_MS_MIN + 1;
    let chosen = random.map_or(0, |random| u64::from(random.delay) % spread);
    Duration::from_millis(DELAY_MS_MIN + chosen)
}

const DELAY_MS_MIN: u64 = 30_000;
const DELAY_MS_MAX: u64 = 90_000;
/// So many codes in a row that were not found cover the items.
pub(super) const MISSES_MAX: u8 = 2;
/// How long a code may take to be found.
const WINDOW: Duration = Duration::from_secs(5);
/// How long a code that is due may wait until it can be asked for, while items are shown.
const HAND_OUT_MAX: Duration = Duration::from_secs(10);
/// How long items are shown without a code that was found: twice the longest delay.
pub(super) const UNPROVED_MAX: Duration = Duration::from_millis(2 * DELAY_MS_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Sight = Sight {
        asks: true,
        live: true,
        contact: true,
        leased: true,
    };
    const OUT_OF_CONTACT: Sight = Sight {
        contact: false,
        ..HERE
    };

    #[test]
    fn a_code_is_asked_for_every_thirty_to_ninety_seconds() {
        for delay in [0, 1, 59_999, 60_000, 60_001, u32::MAX] {
            let freshness = Freshness::new(at(0), random(delay));
            assert!((at(30)..=at(90)).contains(&freshness.due));
        }
    }

    #[test]
    fn one_miss_asks_again_and_two_fail() {
        let mut freshness = asked();
        freshness.came(at(31));
        assert_eq!(freshness.step(at(34), HERE, random(0)), None);
        let first = freshness.step(at(35), HERE, random(0));
        assert_eq!(first, Some(FreshnessStep::Missed(1)));
        assert!(!freshness.failed());
        let again = freshness.step(at(35), HERE, random(0));
        assert_eq!(again, Some(FreshnessStep::Asked));
        freshness.came(at(36));
        let second = freshness.step(at(40), HERE, random(0));
        assert_eq!(second, Some(FreshnessStep::Missed(2)));
        assert!(freshness.failed());
        let again = freshness.step(at(40), HERE, random(0));
        assert_eq!(again, Some(FreshnessStep::Asked));
        assert!(freshness.found(at(41), random(0)));
        assert!(!freshness.failed());
        assert_eq!(freshness.due, at(71));
    }

    #[test]
    fn a_code_is_not_taken_back_when_the_client_goes_and_comes() {
        let mut freshness = asked();
        for second in 31..35 {
            assert_eq!(freshness.step(at(second), OUT_OF_CONTACT, random(0)), None);
            assert!(freshness.asked().is_some());
        }
        let over = freshness.step(at(35), OUT_OF_CONTACT, random(0));
        assert_eq!(over, Some(FreshnessStep::Unanswered(1)));
        let anew = freshness.step(at(36), HERE, random(0));
        assert_eq!(anew, Some(FreshnessStep::Asked));
    }

    #[test]
    fn a_code_that_cannot_be_handed_out_counts_as_unanswered() {
        let mut freshness = Freshness::new(at(0), random(0));
        assert_eq!(freshness.step(at(39), OUT_OF_CONTACT, random(0)), None);
        let first = freshness.step(at(40), OUT_OF_CONTACT, random(0));
        assert_eq!(first, Some(FreshnessStep::Unanswered(1)));
        assert_eq!(freshness.step(at(49), OUT_OF_CONTACT, random(0)), None);
        let second = freshness.step(at(50), OUT_OF_CONTACT, random(0));
        assert_eq!(second, Some(FreshnessStep::Unanswered(2)));
        assert!(freshness.failed());
        let asked = freshness.step(at(51), HERE, random(0));
        assert_eq!(asked, Some(FreshnessStep::Asked));
    }

    #[test]
    fn items_that_no_lease_shows_make_no_code_unanswered() {
        let mut freshness = Freshness::new(at(0), random(0));
        let sight = Sight {
            leased: false,
            ..OUT_OF_CONTACT
        };
        assert_eq!(freshness.step(at(1_000), sight, random(0)), None);
        assert!(!freshness.failed());
    }

    #[test]
    fn without_randomness_a_due_code_fails_until_one_can_be_made() {
        let mut freshness = Freshness::new(at(0), None);
        assert_eq!(freshness.step(at(29), HERE, None), None);
        assert!(!freshness.failed());
        assert_eq!(freshness.step(at(30), HERE, None), None);
        assert!(freshness.failed());
        assert_eq!(freshness.asked(), None);
        let asked = freshness.step(at(31), HERE, random(0));
        assert_eq!(asked, Some(FreshnessStep::Asked));
        assert!(!freshness.failed());
    }

    #[test]
    fn a_code_that_nobody_asked_for_counts_for_nothing() {
        let mut freshness = Freshness::new(at(0), random(0));
        freshness.shown(UNPROVED_MAX);
        assert!(!freshness.found(at(1), random(0)));
        assert!(freshness.failed());
    }

    fn asked() -> Freshness {
        let mut freshness = Freshness::new(at(0), random(0));
        let asked = freshness.step(at(30), HERE, random(0));
        assert_eq!(asked, Some(FreshnessStep::Asked));
        freshness
    }

    fn random(delay: u32) -> Option<Randomness> {
        Some(Randomness {
            nonce: [7; 16],
            delay,
        })
    }

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }
}
