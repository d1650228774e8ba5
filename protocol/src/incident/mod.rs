//! From what was seen to what a person should look at.
//!
//! An [`Observation`] is one detector's word at one moment; the server merges observations of one
//! kind into an incident. Machines flag and score; people decide (decision 9).

mod kind;
mod watch;

pub use kind::{Form1Box, IncidentKind};
pub use watch::{Allowance, Sensitivity, WatchPolicy};

use serde::{Deserialize, Serialize};

use crate::stream::StreamId;
use crate::time::Now;

/// How grave something is, 0.0 to 1.0 (ACS `incident_severity`).
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(try_from = "f64", into = "f64")]
pub struct Severity(f64);

/// Says that a number is no severity.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error("{0} is not a severity from 0 to 1")]
pub struct SeverityError(pub f64);

impl Severity {
    /// Returns the number, 0.0 to 1.0.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }

    /// Holds a number to 0.0..=1.0; what is no number is the gravest.
    #[must_use]
    pub const fn clamped(value: f64) -> Self {
        if value.is_nan() {
            Self(1.0)
        } else {
            Self(value.clamp(0.0, 1.0))
        }
    }
}

impl TryFrom<f64> for Severity {
    type Error = SeverityError;

    fn try_from(value: f64) -> Result<Self, SeverityError> {
        if (0.0..=1.0).contains(&value) {
            Ok(Self(value))
        } else {
            Err(SeverityError(value))
        }
    }
}

impl From<Severity> for f64 {
    fn from(severity: Severity) -> Self {
        severity.0
    }
}

/// Whether an observed state begins, goes on or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edge {
    /// It begins.
    Began,
    /// It still holds (sent again every ten seconds).
    Holds,
    /// It ended.
    Ended,
    /// It has no length (a window was switched).
    Moment,
}

/// What a detector or watch saw at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// What was seen.
    pub kind: IncidentKind,
    /// Whether it begins, holds, ends or is a moment.
    pub edge: Edge,
    /// When, on the agent's clock.
    pub at: Now,
    /// When on the recording's timeline, in microseconds.
    pub at_us: u64,
    /// The stream that shows it.
    pub stream: Option<StreamId>,
    /// The detector's score, 0.0 to 1.0.
    pub score: Severity,
    /// The score from which it counts.
    pub threshold: Severity,
    /// Which detector and version, such as `covered-camera/1`.
    pub detector: String,
    /// Facts in few words for the reviewer, such as a window's title or a process name; never a
    /// face, a voice or an answer.
    pub detail: String,
    /// The exact input that was scored (a lossless PNG crop or PCM), at most
    /// [`crate::limits::SCORED_INPUT_BYTES_MAX`], and in a recording sealed under a key that follows
    /// from the attempt's; empty where there is none.
    pub scored_input: Vec<u8>,
}

impl Observation {
    /// What stands for the score of a fact, which nothing scores; old recordings hold it, so that the
    /// layout keeps its two numbers.
    pub const FACT_SCORE: Severity = Severity::clamped(1.0);
    /// What stands for the threshold of a fact.
    pub const FACT_THRESHOLD: Severity = Severity::clamped(0.5);

    /// Returns the score and from which it counts; nothing for a fact, which is certain and scored by
    /// nobody.
    #[must_use]
    pub fn scored(&self) -> Option<(Severity, Severity)> {
        let certain = (self.score, self.threshold) == (Self::FACT_SCORE, Self::FACT_THRESHOLD);
        let fact = certain && self.scored_input.is_empty();
        (!fact).then_some((self.score, self.threshold))
    }
}
