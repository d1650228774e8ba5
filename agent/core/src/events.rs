//! Observations to chunks of the events stream.

use core::time::Duration;

use qorgan_protocol::incident::Observation;
use qorgan_protocol::limits::{CHUNK_BYTES_MAX, OBSERVATIONS_MAX};
use qorgan_protocol::time::Now;

/// Gathers observations for a quarter of a second, so that a burst makes one chunk.
#[derive(Debug, Default)]
pub struct EventBatch {
    pending: Vec<Observation>,
    bytes: usize,
    since: Option<Now>,
}

impl EventBatch {
    /// Takes an observation; returns those before it where it no longer fits beside them.
    pub fn push(&mut self, now: Now, observation: Observation) -> Option<Vec<Observation>> {
        let bytes = observation.scored_input.len() + observation.detail.len() + OVERHEAD_BYTES;
        let full = self.pending.len() >= OBSERVATIONS_MAX
            || self.bytes.saturating_add(bytes) > CHUNK_BYTES_MAX - OVERHEAD_BYTES;
        let before = full.then(|| self.take()).flatten();
        self.bytes = self.bytes.saturating_add(bytes);
        self.since.get_or_insert(now);
        self.pending.push(observation);
        before
    }

    /// Returns the observations that have waited long enough.
    pub fn due(&mut self, now: Now) -> Option<Vec<Observation>> {
        (self.since? + GATHER <= now).then(|| self.take())?
    }

    /// Returns all that wait.
    pub fn take(&mut self) -> Option<Vec<Observation>> {
        self.since = None;
        self.bytes = 0;
        let pending = core::mem::take(&mut self.pending);
        (!pending.is_empty()).then_some(pending)
    }
}

const GATHER: Duration = Duration::from_millis(250);
/// More than the other fields of one observation, and than the list around them.
const OVERHEAD_BYTES: usize = 512;

#[cfg(test)]
mod tests {
    use qorgan_protocol::codec;
    use qorgan_protocol::incident::{Edge, IncidentKind};
    use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;

    use super::*;
    use crate::sighting::Sighting;
    use crate::timeline::Timeline;

    #[test]
    fn a_burst_makes_one_chunk_after_a_quarter_of_a_second() {
        let mut batch = EventBatch::default();
        for _ in 0..5 {
            assert!(batch.push(at(0), observation(10)).is_none());
        }
        assert!(batch.due(at(249)).is_none());
        assert_eq!(batch.due(at(250)).map(|list| list.len()), Some(5));
        assert!(batch.due(at(900)).is_none());
    }

    #[test]
    fn a_full_chunk_is_given_before_it_grows_too_large() {
        let mut batch = EventBatch::default();
        let mut lists = Vec::new();
        for _ in 0..9 {
            lists.extend(batch.push(at(0), observation(SCORED_INPUT_BYTES_MAX)));
        }
        lists.extend(batch.take());
        assert_eq!(lists.iter().map(Vec::len).sum::<usize>(), 9);
        for list in lists {
            let bytes = codec::encode("observations", &list).expect("plain data");
            assert!(bytes.len() <= CHUNK_BYTES_MAX);
        }
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    fn observation(input: usize) -> Observation {
        let mut sighting = Sighting::fact(
            IncidentKind::CameraCovered,
            Edge::Began,
            at(0),
            "covered-camera/1",
            "dark",
        );
        sighting.scored_input = vec![7; input];
        sighting.observed(&Timeline::begin(at(0)))
    }
}
