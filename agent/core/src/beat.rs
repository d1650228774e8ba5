//! One signed statement a second over every stream, also while the screen stands still.

use core::time::Duration;

use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{BeatBody, Head, SourceHealth};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch};
use qorgan_protocol::time::{Now, WallTime};

/// Makes an epoch's beats, each tied to the one before.
#[derive(Debug, Clone)]
pub struct BeatMaker {
    attempt: AttemptId,
    epoch: Epoch,
    boot: BootId,
    next: u64,
    previous: Sha256,
    due: Option<Now>,
}

/// What a beat states about this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeatFacts {
    /// The monotonic clock.
    pub now: Now,
    /// The wall clock: evidence, never input.
    pub wall: WallTime,
    /// The newest chunk of every stream, in any order.
    pub heads: Vec<Head>,
    /// Every device, in any order.
    pub sources: Vec<SourceHealth>,
    /// Bytes that wait in the spool.
    pub spooled_bytes: u64,
}

impl BeatMaker {
    /// Goes on after the beat before `next`, whose hash is `previous`.
    #[must_use]
    pub const fn new(
        attempt: AttemptId,
        epoch: Epoch,
        boot: BootId,
        next: u64,
        previous: Sha256,
    ) -> Self {
        Self {
            attempt,
            epoch,
            boot,
            next,
            previous,
            due: None,
        }
    }

    /// Returns the place and predecessor of the next beat.
    #[must_use]
    pub const fn head(&self) -> (u64, Sha256) {
        (self.next, self.previous)
    }

    /// Tells whether a beat is due.
    #[must_use]
    pub fn is_due(&self, now: Now) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Returns the next beat's body; [`Self::signed`] must follow with the hash of its bytes.
    pub fn make(&mut self, facts: BeatFacts) -> BeatBody {
        let BeatFacts {
            now,
            wall,
            mut heads,
            mut sources,
            spooled_bytes,
        } = facts;
        heads.sort_unstable_by_key(|head| head.stream);
        sources.sort_by_key(|health| health.source);
        // Keeps the rhythm, but after a pause does not catch up with a burst.
        let on_time = self.due.map(|due| due + PERIOD).filter(|next| *next > now);
        self.due = Some(on_time.unwrap_or(now + PERIOD));
        BeatBody {
            attempt: self.attempt,
            epoch: self.epoch,
            seq: self.next,
            previous: self.previous,
            boot: self.boot,
            monotonic: now,
            wall,
            heads,
            sources,
            spooled_bytes,
        }
    }

    /// Moves on after a beat whose signed bytes have this hash.
    pub fn signed(&mut self, hash: Sha256) {
        self.next = self.next.saturating_add(1);
        self.previous = hash;
    }
}

const PERIOD: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use qorgan_protocol::evidence::{ChunkSeq, StreamId, StreamKind};

    use super::*;

    #[test]
    fn beats_come_once_a_second_and_are_chained() {
        let mut maker = BeatMaker::new(attempt(), Epoch::FIRST, BootId([1; 16]), 0, Sha256::ZERO);
        assert!(maker.is_due(at(0)));
        let first = maker.make(facts(at(0)));
        maker.signed(Sha256([9; 32]));
        assert_eq!((first.seq, first.previous), (0, Sha256::ZERO));
        assert!(!maker.is_due(at(999)));
        assert!(maker.is_due(at(1_000)));
        let second = maker.make(facts(at(1_040)));
        assert_eq!((second.seq, second.previous), (1, Sha256([9; 32])));
        assert!(!maker.is_due(at(1_999)));
        assert!(maker.is_due(at(2_000)));
    }

    #[test]
    fn after_a_pause_there_is_no_burst_of_beats() {
        let mut maker = BeatMaker::new(attempt(), Epoch::FIRST, BootId([1; 16]), 0, Sha256::ZERO);
        maker.make(facts(at(0)));
        maker.make(facts(at(60_000)));
        assert!(!maker.is_due(at(60_999)));
        assert!(maker.is_due(at(61_000)));
    }

    #[test]
    fn heads_are_sorted_by_stream() {
        let mut maker = BeatMaker::new(attempt(), Epoch::FIRST, BootId([1; 16]), 0, Sha256::ZERO);
        let beat = maker.make(facts(at(0)));
        assert!(beat.heads.is_sorted_by_key(|head| head.stream));
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    fn attempt() -> AttemptId {
        AttemptId::new(WallTime::from_unix_ms(5), [1; 10])
    }

    fn facts(now: Now) -> BeatFacts {
        let head = |kind| Head {
            stream: StreamId { kind, index: 0 },
            seq: ChunkSeq(3),
            header: Sha256([4; 32]),
        };
        BeatFacts {
            now,
            wall: WallTime::from_unix_ms(1),
            heads: vec![head(StreamKind::Screen), head(StreamKind::Camera)],
            sources: Vec::new(),
            spooled_bytes: 0,
        }
    }
}
