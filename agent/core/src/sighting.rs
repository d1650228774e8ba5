//! What was seen, before it has its place on the recording's timeline.

use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;

use crate::timeline::Timeline;

/// One detector's or watch's word at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighting {
    /// What was seen.
    pub kind: IncidentKind,
    /// Whether it begins, holds, ends or is a moment.
    pub edge: Edge,
    /// When.
    pub at: Now,
    /// The stream that shows it.
    pub stream: Option<StreamId>,
    /// The score.
    pub score: Severity,
    /// The score from which it counts.
    pub threshold: Severity,
    /// Which detector and version.
    pub detector: &'static str,
    /// Facts in few words.
    pub detail: String,
    /// The exact input that was scored.
    pub scored_input: Vec<u8>,
}

impl Sighting {
    /// Makes the word of a watch: a fact of the system, certain, with nothing scored.
    #[must_use]
    pub fn fact(
        kind: IncidentKind,
        edge: Edge,
        at: Now,
        detector: &'static str,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            edge,
            at,
            stream: None,
            score: Observation::FACT_SCORE,
            threshold: Observation::FACT_THRESHOLD,
            detector,
            detail: detail.into(),
            scored_input: Vec::new(),
        }
    }

    /// Names the stream that shows it.
    #[must_use]
    pub const fn on(mut self, stream: StreamId) -> Self {
        self.stream = Some(stream);
        self
    }

    /// Puts it on the timeline; a detail is cut to its bound, a scored input that is too large is
    /// left out, for a cut one would give another score.
    #[must_use]
    pub fn observed(self, timeline: &Timeline) -> Observation {
        let mut detail = self.detail;
        if let Some((end, _)) = detail.char_indices().nth(DETAIL_CHARS_MAX) {
            detail.truncate(end);
        }
        let mut scored_input = self.scored_input;
        if scored_input.len() > SCORED_INPUT_BYTES_MAX {
            scored_input = Vec::new();
        }
        Observation {
            kind: self.kind,
            edge: self.edge,
            at: self.at,
            at_us: timeline.us(self.at),
            stream: self.stream,
            score: self.score,
            threshold: self.threshold,
            detector: self.detector.to_owned(),
            detail,
            scored_input,
        }
    }
}

const DETAIL_CHARS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn an_observation_has_its_place_on_the_timeline_and_bounded_parts() {
        let timeline = Timeline::begin(Now::from_origin(Duration::from_secs(10)));
        let mut sighting = Sighting::fact(
            IncidentKind::WindowSwitch,
            Edge::Moment,
            Now::from_origin(Duration::from_secs(12)),
            "active-window/1",
            "қ".repeat(900),
        );
        sighting.scored_input = vec![0; SCORED_INPUT_BYTES_MAX + 1];
        let observation = sighting.observed(&timeline);
        assert_eq!(observation.at_us, 2_000_000);
        assert_eq!(observation.detail.chars().count(), 300);
        assert!(observation.scored_input.is_empty());
    }
}
