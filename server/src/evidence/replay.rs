//! Scores made again from what was kept with each observation (decision 12).

use std::fmt;

use qorgan_protocol::evidence::verify::{FileSource, SourceError, observations};
use qorgan_protocol::ids::Epoch;
use qorgan_protocol::incident::{Observation, Severity};

/// What became of an export's observations.
#[derive(Debug, Default)]
pub struct Replayed {
    /// Every observation whose input was kept, in the order of recording.
    pub lines: Vec<ReplayedLine>,
    /// How many told a fact of the system, with nothing scored.
    pub facts: usize,
}

/// One score, told and made again.
#[derive(Debug)]
pub struct ReplayedLine {
    /// The epoch that it was made in.
    pub epoch: Epoch,
    /// Where on the recording's timeline, in microseconds.
    pub at_us: u64,
    /// The word of what was seen.
    pub kind: &'static str,
    /// Which detector and version.
    pub detector: String,
    /// The score that the recording tells.
    pub told: Severity,
    /// The score that its input gives now, or why there is none.
    pub again: Result<Severity, String>,
}

impl ReplayedLine {
    /// Tells whether both scores are one.
    #[must_use]
    pub fn holds(&self) -> bool {
        let near = |again: &Severity| (again.value() - self.told.value()).abs() <= APART_MAX;
        self.again.as_ref().is_ok_and(near)
    }
}

impl fmt::Display for ReplayedLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, told) = (self.at_us / 1_000_000, self.told.value());
        let (minutes, seconds) = (seconds / 60, seconds % 60);
        write!(
            f,
            "{} {minutes:02}:{seconds:02} {} by {}: told {told:.4}, ",
            self.epoch, self.kind, self.detector
        )?;
        match &self.again {
            Ok(again) => {
                let word = if self.holds() { "same" } else { "DIFFERS" };
                write!(f, "again {:.4}, {word}", again.value())
            }
            Err(why) => write!(f, "NOT AGAIN: {why}"),
        }
    }
}

/// Makes every score of an export again.
///
/// # Errors
/// Where a file cannot be read or does not hold what its name says.
pub fn replay(source: &mut impl FileSource) -> Result<Replayed, SourceError> {
    let mut replayed = Replayed::default();
    observations(source, |epoch, seen| {
        if seen.scored_input.is_empty() {
            replayed.facts += 1;
        } else {
            replayed.lines.push(again(epoch, seen));
        }
    })?;
    Ok(replayed)
}

fn again(epoch: Epoch, seen: Observation) -> ReplayedLine {
    let again = qorgan_detect::replay(&seen.detector, &seen.scored_input);
    ReplayedLine {
        epoch,
        at_us: seen.at_us,
        kind: seen.kind.word(),
        detector: seen.detector,
        told: seen.score,
        again: again.map_err(|error| error.to_string()),
    }
}

/// A score that is made again may differ by so much (decision 12).
const APART_MAX: f64 = 1e-3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_score_that_is_not_the_one_that_was_told_is_named() {
        let line = |told: f64, again| ReplayedLine {
            epoch: Epoch::FIRST,
            at_us: 61_500_000,
            kind: "camera_covered",
            detector: "covered-camera/1".to_owned(),
            told: Severity::clamped(told),
            again,
        };
        let same = line(0.9, Ok(Severity::clamped(0.9005)));
        assert!(same.holds() && same.to_string().contains("01:01 camera_covered"));
        let other = line(0.9, Ok(Severity::clamped(0.7)));
        assert!(!other.holds() && other.to_string().ends_with("DIFFERS"));
        let unknown = line(0.9, Err("an unknown detector".to_owned()));
        assert!(!unknown.holds() && unknown.to_string().contains("NOT AGAIN"));
    }
}
