//! Scores made again from what was kept with each observation (decision 12).

use std::fmt;

use qorgan_protocol::evidence::side_log::INPUT_KEY_FILE;
use qorgan_protocol::evidence::verify::{FileSource, SourceError, observations};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::{Observation, Severity};
use qorgan_signing::{InputKey, is_sealed};

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
    /// What its input gives now.
    pub again: Again,
}

/// What an input gives that is scored again.
#[derive(Debug, Clone, PartialEq)]
pub enum Again {
    /// A score.
    Score(Severity),
    /// Nothing: it is sealed, and the export does not hold the key.
    Sealed,
    /// Nothing, for this reason.
    Not(String),
}

impl ReplayedLine {
    /// Tells whether both scores are one.
    #[must_use]
    pub fn holds(&self) -> bool {
        match &self.again {
            Again::Score(again) => (again.value() - self.told.value()).abs() <= APART_MAX,
            Again::Sealed | Again::Not(_) => false,
        }
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
            Again::Score(again) => {
                let word = if self.holds() { "same" } else { "DIFFERS" };
                write!(f, "again {:.4}, {word}", again.value())
            }
            Again::Sealed => f.write_str("SEALED: the export does not hold the key of its input"),
            Again::Not(why) => write!(f, "NOT AGAIN: {why}"),
        }
    }
}

/// Makes every score of an export again, as far as its inputs can be opened.
///
/// # Errors
/// Where a file cannot be read or does not hold what its name says.
pub fn replay(source: &mut impl FileSource) -> Result<Replayed, SourceError> {
    let key = input_key(source)?;
    let mut replayed = Replayed::default();
    observations(source, |whose, seen| {
        if seen.scored_input.is_empty() {
            replayed.facts += 1;
        } else {
            replayed.lines.push(line(whose, key.as_ref(), seen));
        }
    })?;
    Ok(replayed)
}

/// Returns the key of the scored inputs, where the export holds it.
fn input_key(source: &mut impl FileSource) -> Result<Option<InputKey>, SourceError> {
    if !source.names()?.iter().any(|name| name == INPUT_KEY_FILE) {
        return Ok(None);
    }
    let mut text = [0; 2 * KEY_BYTES + 1];
    let read = source.read(INPUT_KEY_FILE, 0, &mut text)?;
    let mut bytes = [0; KEY_BYTES];
    let digits = text.get(..read).unwrap_or_default();
    hex::decode_to_slice(digits.trim_ascii_end(), &mut bytes).map_err(|error| SourceError {
        name: INPUT_KEY_FILE.to_owned(),
        detail: format!("it holds no key: {error}"),
    })?;
    Ok(Some(InputKey::new(bytes)))
}

fn line(whose: (AttemptId, Epoch), key: Option<&InputKey>, seen: Observation) -> ReplayedLine {
    let again = match (is_sealed(&seen.scored_input), key) {
        (true, None) => Again::Sealed,
        (true, Some(key)) => match key.open(whose, &seen) {
            Ok(input) => scored(&seen.detector, &input),
            Err(error) => Again::Not(error.to_string()),
        },
        (false, _) => scored(&seen.detector, &seen.scored_input),
    };
    ReplayedLine {
        epoch: whose.1,
        at_us: seen.at_us,
        kind: seen.kind.word(),
        detector: seen.detector,
        told: seen.score,
        again,
    }
}

fn scored(detector: &str, input: &[u8]) -> Again {
    match qorgan_detect::replay(detector, input) {
        Ok(score) => Again::Score(score),
        Err(error) => Again::Not(error.to_string()),
    }
}

/// A score that is made again may differ by so much (decision 12).
const APART_MAX: f64 = 1e-3;
const KEY_BYTES: usize = 32;

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
        let same = line(0.9, Again::Score(Severity::clamped(0.9005)));
        assert!(same.holds() && same.to_string().contains("01:01 camera_covered"));
        let other = line(0.9, Again::Score(Severity::clamped(0.7)));
        assert!(!other.holds() && other.to_string().ends_with("DIFFERS"));
        let unknown = line(0.9, Again::Not("an unknown detector".to_owned()));
        assert!(!unknown.holds() && unknown.to_string().contains("NOT AGAIN"));
        let sealed = line(0.9, Again::Sealed);
        assert!(!sealed.holds() && sealed.to_string().contains("SEALED"));
    }
}
