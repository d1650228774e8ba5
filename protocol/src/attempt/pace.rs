//! Items leave at a reader's pace: so many at once, then so many a minute, and what was seen is free.

use core::time::Duration;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::time::Now;

/// How fast new items leave the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Pace {
    /// How many items may be opened for the first time at once (at least 1).
    pub ahead: u16,
    /// How many more become free in a minute (at least 1).
    pub per_minute: u16,
}

impl Pace {
    /// Twenty at once, then one each three seconds: nobody reads so fast, and who only leafs through
    /// waits a moment.
    pub const DEFAULT: Self = Self {
        ahead: 20,
        per_minute: 20,
    };
}

impl Default for Pace {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which items of an attempt were seen, and how many may be opened now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemPace {
    pace: Pace,
    seen: BTreeSet<u16>,
    /// In parts of an item, of which one has [`ITEM`].
    credit: u64,
    counted: Now,
}

impl ItemPace {
    /// Goes on from the places that were seen. After a restart a reader begins with one item, so that
    /// a restart gives nobody a second handful.
    #[must_use]
    pub fn restored(pace: Pace, seen: BTreeSet<u16>, now: Now) -> Self {
        let full = u64::from(pace.ahead.max(1)) * ITEM;
        Self {
            pace,
            credit: if seen.is_empty() { full } else { ITEM },
            seen,
            counted: now,
        }
    }

    /// Opens the item at `place`; tells whether it is the first time.
    ///
    /// # Errors
    /// How long to wait before a new item may be opened; nothing has then changed but time.
    pub fn open(&mut self, now: Now, place: u16) -> Result<bool, Duration> {
        self.count(now);
        if self.seen.contains(&place) {
            return Ok(false);
        }
        let Some(rest) = self.credit.checked_sub(ITEM) else {
            let lacking = ITEM.saturating_sub(self.credit);
            return Err(Duration::from_millis(lacking.div_ceil(self.rate())));
        };
        self.credit = rest;
        self.seen.insert(place);
        Ok(true)
    }

    fn count(&mut self, now: Now) {
        let passed = u64::try_from(now.since(self.counted).as_millis()).unwrap_or(u64::MAX);
        let full = u64::from(self.pace.ahead.max(1)) * ITEM;
        let more = passed.saturating_mul(self.rate());
        self.credit = self.credit.saturating_add(more).min(full);
        self.counted = self.counted.max(now);
    }

    fn rate(&self) -> u64 {
        u64::from(self.pace.per_minute.max(1))
    }
}

/// The parts of an item: with `per_minute` of them a millisecond, so many items come a minute.
const ITEM: u64 = 60_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_reader_who_skips_in_any_order_is_never_held_up() {
        let mut pace = ItemPace::restored(Pace::DEFAULT, BTreeSet::new(), at(0));
        for turn in 0..100u16 {
            // Every ten seconds a new question, from the back, and a look at the one before.
            let now = at(u64::from(turn) * 10_000);
            assert_eq!(pace.open(now, 100 - turn), Ok(true));
            assert_eq!(pace.open(now, 100 - turn), Ok(false));
        }
    }

    #[test]
    fn a_test_of_a_hundred_items_takes_minutes_to_leave() {
        let mut pace = ItemPace::restored(Pace::DEFAULT, BTreeSet::new(), at(0));
        let mut now = 0;
        for place in 1..=100 {
            while let Err(wait) = pace.open(at(now), place) {
                assert!(!wait.is_zero() && wait <= Duration::from_secs(3));
                now += u64::try_from(wait.as_millis()).expect("short");
            }
        }
        assert_eq!(now, 240_000);
    }

    #[test]
    fn a_restart_gives_no_second_handful_and_what_was_seen_stays_free() {
        let mut pace = ItemPace::restored(Pace::DEFAULT, BTreeSet::from([1, 2, 3]), at(0));
        assert_eq!(pace.open(at(0), 2), Ok(false));
        assert_eq!(pace.open(at(0), 4), Ok(true));
        assert_eq!(pace.open(at(0), 5), Err(Duration::from_secs(3)));
    }

    #[test]
    fn a_policy_of_nothing_still_leads_on() {
        let none = Pace {
            ahead: 0,
            per_minute: 0,
        };
        let mut pace = ItemPace::restored(none, BTreeSet::new(), at(0));
        assert_eq!(pace.open(at(0), 1), Ok(true));
        let wait = pace.open(at(0), 2).expect_err("one a minute");
        assert_eq!(wait, Duration::from_secs(60));
        assert_eq!(pace.open(at(60_000), 2), Ok(true));
    }

    proptest! {
        #[test]
        fn no_order_of_asking_opens_more_than_the_pace_allows(
            asks in prop::collection::vec((0u64..4_000, 0u16..200), 1..300),
            ahead in 1u16..30,
            per_minute in 1u16..60,
        ) {
            let mut pace = ItemPace::restored(Pace { ahead, per_minute }, BTreeSet::new(), at(0));
            let (mut now, mut opened) = (0, 0u64);
            for (wait, place) in asks {
                now += wait;
                opened += u64::from(pace.open(at(now), place) == Ok(true));
                let most = u64::from(ahead) + now * u64::from(per_minute) / 60_000;
                prop_assert!(opened <= most);
            }
        }
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
