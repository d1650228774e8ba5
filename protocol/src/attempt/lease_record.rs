//! The server's own record of when a lease was valid, and what it makes of a response that arrives.
//!
//! # Invariants
//! * A response counts by itself only if it, or a later entry of its chain, arrived while a lease was
//!   valid or within the network grace after it. What a client says of its own lease never helps it.
//! * After a restart of the server, or a jump of its clock, no grace is left: a lease must be seen
//!   valid again first.
//! * How late an entry may be is never told too small: it counts from the last moment at which a
//!   lease is known to have been valid.

use core::time::Duration;

use serde::{Deserialize, Serialize};

use super::lease::ContentLease;
use crate::time::{Now, WallTime, millis};

/// What the server's record says of a response at its arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResponseMark {
    /// Arrived under a lease, or within the network grace after one.
    InTime,
    /// Arrived later than that, while the attempt was covered.
    AfterCover,
    /// Arrived later than that, when the attempt had ended.
    AfterEnd,
    /// The client itself says that its lease was over when it was given.
    OwnWord,
}

impl ResponseMark {
    /// Every mark, in order.
    pub const ALL: [Self; 4] = [
        Self::InTime,
        Self::AfterCover,
        Self::AfterEnd,
        Self::OwnWord,
    ];

    /// Returns the word used in SQL, texts and exports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::AfterCover => "after_cover",
            Self::AfterEnd => "after_end",
            Self::OwnWord => "own_word",
        }
    }

    /// Returns the mark of a word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| mark.word() == word)
    }
}

/// Whether a response counts, and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It arrived in time, or was confirmed by a later entry that did.
    CountsByItself,
    /// It is late, and nobody has decided.
    Waits,
    /// A person decided that it counts.
    DecidedCounts,
    /// A person decided that it does not count.
    DecidedNot,
}

impl Standing {
    /// Returns the word used in texts and exports.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CountsByItself => "counts_by_itself",
            Self::Waits => "waits",
            Self::DecidedCounts => "decided_counts",
            Self::DecidedNot => "decided_not",
        }
    }

    /// Returns how a response stands by its mark, whether a later entry confirmed it, and the newest
    /// decision of a person.
    ///
    /// A later entry of the chain that arrives in time confirms one that came after a cover or the end:
    /// whoever holds an entry back until a lease is valid again gets as much. Nothing confirms what the
    /// client itself says was given without a lease.
    #[must_use]
    pub const fn of(mark: ResponseMark, confirmed: bool, decided: Option<bool>) -> Self {
        match (decided, mark) {
            (Some(true), _) => Self::DecidedCounts,
            (Some(false), _) => Self::DecidedNot,
            (None, ResponseMark::InTime) => Self::CountsByItself,
            (None, ResponseMark::AfterCover | ResponseMark::AfterEnd) if confirmed => {
                Self::CountsByItself
            }
            (None, ResponseMark::AfterCover | ResponseMark::AfterEnd | ResponseMark::OwnWord) => {
                Self::Waits
            }
        }
    }

    /// Tells whether the response counts.
    #[must_use]
    pub const fn counts(self) -> bool {
        match self {
            Self::CountsByItself | Self::DecidedCounts => true,
            Self::Waits | Self::DecidedNot => false,
        }
    }
}

/// What an observation changed, by the clock of the day: first the end, then the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LeaseChange {
    /// When the span that was valid ended.
    pub ended: Option<WallTime>,
    /// When a new span began.
    pub began: Option<WallTime>,
}

impl LeaseChange {
    /// Tells whether nothing changed.
    #[must_use]
    pub const fn is_none(self) -> bool {
        self.ended.is_none() && self.began.is_none()
    }
}

/// An arrival, as the record judges it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// The mark.
    pub mark: ResponseMark,
    /// How late it may be at most: the time since a lease was last known to be valid. Nothing for an
    /// entry in time, and where no lease was ever on record.
    pub late: Option<Duration>,
}

/// When leases of one attempt were valid, on the server's clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseRecord {
    grace: Duration,
    /// The end of the lease that was last seen valid, unless it ended since.
    until: Option<Now>,
    /// The newest end in this run of the server, on both clocks.
    ended: Option<(Now, WallTime)>,
    /// The newest end before this run, or before the clock jumped; it carries no grace.
    before: Option<WallTime>,
}

impl LeaseRecord {
    /// Goes on from what was kept: the last moment at which a lease was known to be valid.
    #[must_use]
    pub const fn restored(network_grace: Duration, before: Option<WallTime>) -> Self {
        Self {
            grace: network_grace,
            until: None,
            ended: None,
            before,
        }
    }

    /// Takes in the gate's lease at `now`; to be told after each input and tick.
    pub fn observe(
        &mut self,
        now: Now,
        wall: WallTime,
        lease: Option<ContentLease>,
    ) -> LeaseChange {
        let mut change = LeaseChange::default();
        let over = self.until.filter(|until| lease.is_none() || *until <= now);
        if let Some(until) = over {
            let end = until.min(now);
            let end_wall = earlier(wall, now.since(end));
            self.ended = Some((end, end_wall));
            self.until = None;
            change.ended = Some(end_wall);
        }
        if let Some(lease) = lease {
            if self.until.is_none() {
                change.began = Some(wall);
            }
            self.until = Some(lease.ends());
        }
        change
    }

    /// The server's clock jumped: what ended before carries no grace any more.
    pub fn distrust(&mut self, now: Now, wall: WallTime) -> LeaseChange {
        let change = self.observe(now, wall, None);
        if let Some((_end, end_wall)) = self.ended.take() {
            self.before = Some(end_wall);
        }
        change
    }

    /// Tells whether a lease is valid at `now`, as last observed.
    #[must_use]
    pub fn valid(&self, now: Now) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// Tells whether neither a lease nor a grace runs at `now`, so that nothing is lost where the
    /// record is read from the database again.
    #[must_use]
    pub fn quiet(&self, now: Now) -> bool {
        self.until.is_none() && !self.in_grace(now)
    }

    /// Tells whether what arrives at `now` is in time.
    #[must_use]
    pub fn in_time(&self, now: Now) -> bool {
        self.valid(now) || self.in_grace(now)
    }

    /// Judges a response that arrives at `now`; `left_ms` is what the client says was left of its
    /// lease, which can only be held against it; `over` says that the attempt has ended.
    #[must_use]
    pub fn judge(&self, now: Now, wall: WallTime, left_ms: i64, over: bool) -> Arrival {
        let since = self.since_valid(now, wall);
        if left_ms < 0 {
            let own = Duration::from_millis(left_ms.unsigned_abs());
            let late = Some(since.unwrap_or_default().max(own.min(OWN_WORD_MAX)));
            let mark = ResponseMark::OwnWord;
            return Arrival { mark, late };
        }
        if self.in_time(now) {
            let mark = ResponseMark::InTime;
            return Arrival { mark, late: None };
        }
        let mark = if over {
            ResponseMark::AfterEnd
        } else {
            ResponseMark::AfterCover
        };
        Arrival { mark, late: since }
    }

    /// Returns how long ago a lease was last known to be valid.
    fn since_valid(&self, now: Now, wall: WallTime) -> Option<Duration> {
        match (self.until, self.ended, self.before) {
            (Some(until), _, _) => Some(now.since(until)),
            (None, Some((end, _wall)), _) => Some(now.since(end)),
            (None, None, Some(before)) => Some(wall.since(before)),
            (None, None, None) => None,
        }
    }

    fn in_grace(&self, now: Now) -> bool {
        let end = self.until.or_else(|| self.ended.map(|(end, _wall)| end));
        end.is_some_and(|end| now.since(end) <= self.grace)
    }
}

fn earlier(wall: WallTime, by: Duration) -> WallTime {
    WallTime::from_unix_ms(wall.unix_ms().saturating_sub(millis(by)))
}

/// A client that says more is believed no further.
const OWN_WORD_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const AGENT_GRACE: Duration = Duration::from_secs(5);
    const GRACE: Duration = Duration::from_secs(20);

    #[derive(Debug, Clone)]
    enum Step {
        Wait(u64),
        Renew,
        Cut,
        Give,
        Deliver(usize),
        Restart,
        Jump,
        End,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            4 => (1u64..30_000).prop_map(Step::Wait),
            4 => Just(Step::Renew),
            1 => Just(Step::Cut),
            4 => Just(Step::Give),
            4 => (1usize..4).prop_map(Step::Deliver),
            1 => Just(Step::Restart),
            1 => Just(Step::Jump),
            1 => Just(Step::End),
        ]
    }

    /// The server under test, and beside it what really happened.
    struct Story {
        record: LeaseRecord,
        now: u64,
        over: bool,
        given: Vec<u64>,
        /// Arrival, mark, whether confirmed, how late at most.
        stored: Vec<(u64, ResponseMark, bool, Option<Duration>)>,
        /// When a lease was really valid: from, until.
        valid: Vec<(u64, u64)>,
        forgotten: Vec<u64>,
    }

    impl Story {
        fn new() -> Self {
            Self {
                record: LeaseRecord::restored(GRACE, None),
                now: 1_000,
                over: false,
                given: Vec::new(),
                stored: Vec::new(),
                valid: Vec::new(),
                forgotten: Vec::new(),
            }
        }

        fn play(&mut self, step: &Step) {
            match step {
                Step::Wait(ms) => self.now += ms,
                Step::Renew if self.over => {}
                Step::Renew => {
                    // Never in the same millisecond as a restart, which the truth could not tell apart.
                    self.now += 1;
                    let lease = ContentLease::from_evidence(at(self.now), AGENT_GRACE);
                    self.record
                        .observe(at(self.now), wall(self.now), Some(lease));
                    self.valid.push((self.now, self.now + 5_000));
                }
                Step::Cut => self.cut(),
                Step::Give => self.given.push(self.now),
                Step::Deliver(many) => self.deliver(*many),
                Step::Restart => {
                    self.cut();
                    let before = self.valid.iter().map(|(_, until)| *until).max();
                    self.record = LeaseRecord::restored(GRACE, before.map(wall));
                    self.forgotten.push(self.now);
                }
                Step::Jump => {
                    self.cut();
                    self.record.distrust(at(self.now), wall(self.now));
                    self.forgotten.push(self.now);
                }
                Step::End => {
                    self.cut();
                    self.over = true;
                }
            }
        }

        fn cut(&mut self) {
            self.record.observe(at(self.now), wall(self.now), None);
            for (_, until) in &mut self.valid {
                *until = self.now.min(*until);
            }
        }

        fn deliver(&mut self, many: usize) {
            let upto = self.given.len().min(self.stored.len() + many);
            for _entry in self.stored.len()..upto {
                let arrival = self
                    .record
                    .judge(at(self.now), wall(self.now), 1_000, self.over);
                self.stored
                    .push((self.now, arrival.mark, false, arrival.late));
            }
            if upto > 0 && self.record.in_time(at(self.now)) {
                for (_, _, confirmed, _) in &mut self.stored {
                    *confirmed = true;
                }
            }
        }

        /// What a reader of the rule would say of an arrival.
        fn truly_in_time(&self, arrived: u64) -> bool {
            self.valid.iter().any(|(from, until)| {
                let under = *from <= arrived && arrived < *until;
                let forgotten = self.forgotten.iter().any(|f| from <= f && *f <= arrived);
                let after = *until <= arrived && arrived - until <= 20_000 && !forgotten;
                under || after
            })
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

        /// Over all orders of cut, cover, journal, deliver, restart and end: an entry counts by itself
        /// exactly where it, or what came after it in the chain, arrived in time; every other one is
        /// kept with a mark, and is no later than it is told.
        #[test]
        fn an_entry_counts_by_itself_only_where_its_chain_arrived_in_time(
            steps in prop::collection::vec(step(), 1..60),
        ) {
            let mut story = Story::new();
            let mut arrivals = Vec::new();
            for step in &steps {
                let before = story.stored.len();
                story.play(step);
                let reached = matches!(step, Step::Deliver(_)) && !story.stored.is_empty();
                if reached {
                    arrivals.push((story.stored.len(), story.now, story.truly_in_time(story.now)));
                }
                prop_assert!(story.stored.len() >= before, "an entry was lost");
            }
            for (seq, (arrived, mark, confirmed, late)) in story.stored.iter().enumerate() {
                let counts = Standing::of(*mark, *confirmed, None).counts();
                let truth = arrivals.iter().any(|(upto, _, in_time)| *upto > seq && *in_time);
                prop_assert_eq!(counts, truth, "entry {} of {:?}", seq, &steps);
                let last = story.valid.iter().map(|(_, until)| *until).filter(|u| u <= arrived).max();
                if *mark != ResponseMark::InTime
                    && let (Some(late), Some(last)) = (late, last)
                {
                    let given = story.given[seq];
                    prop_assert!(late.as_millis() >= u128::from(given.saturating_sub(last)));
                }
                if !counts {
                    prop_assert_ne!(*mark, ResponseMark::InTime);
                    prop_assert_eq!(Standing::of(*mark, *confirmed, Some(true)), Standing::DecidedCounts);
                }
            }
        }
    }

    #[test]
    fn what_a_client_says_of_its_lease_never_helps_it() {
        let record = LeaseRecord::restored(GRACE, None);
        let boast = record.judge(at(9_000), wall(9_000), i64::MAX, false);
        assert_eq!(boast.mark, ResponseMark::AfterCover);
        let mut leased = record;
        let lease = ContentLease::from_evidence(at(9_000), AGENT_GRACE);
        leased.observe(at(9_000), wall(9_000), Some(lease));
        let own = leased.judge(at(9_100), wall(9_100), -2_500, false);
        assert_eq!(own.mark, ResponseMark::OwnWord);
        assert_eq!(own.late, Some(Duration::from_millis(2_500)));
        assert_eq!(Standing::of(own.mark, true, None), Standing::Waits);
    }

    #[test]
    fn the_grace_ends_with_its_last_millisecond() {
        let mut record = LeaseRecord::restored(GRACE, None);
        let lease = ContentLease::from_evidence(at(0), AGENT_GRACE);
        let began = record.observe(at(0), wall(0), Some(lease));
        assert_eq!(began.began, Some(wall(0)));
        let ended = record.observe(at(6_000), wall(6_000), None);
        assert_eq!(ended.ended, Some(wall(5_000)));
        assert!(record.in_time(at(25_000)));
        assert!(!record.in_time(at(25_001)));
        assert!(record.quiet(at(25_001)) && !record.quiet(at(25_000)));
    }

    #[test]
    fn a_gap_that_nobody_looked_into_still_ends_the_span() {
        let mut record = LeaseRecord::restored(GRACE, None);
        let lease = |ms| Some(ContentLease::from_evidence(at(ms), AGENT_GRACE));
        record.observe(at(0), wall(0), lease(0));
        let change = record.observe(at(60_000), wall(60_000), lease(60_000));
        assert_eq!(change.ended, Some(wall(5_000)));
        assert_eq!(change.began, Some(wall(60_000)));
    }

    #[test]
    fn each_mark_reads_back_from_its_word() {
        for mark in ResponseMark::ALL {
            assert_eq!(ResponseMark::from_word(mark.word()), Some(mark));
        }
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    fn wall(ms: u64) -> WallTime {
        WallTime::from_unix_ms(1_000_000 + i64::try_from(ms).expect("small"))
    }
}
