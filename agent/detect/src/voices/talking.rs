//! Steady talking: the candidate's own speech fills much of a minute.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use super::listener::{MINUTE_FRAMES, MINUTE_LENGTH, Sound};
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

pub(crate) const TALKING: &str = "talking/1";

/// Looks for a candidate who talks steadily: more than two fifths of the last minute is speech that
/// is not known to be another's. A question read aloud once stays below.
///
/// Before enrolment all speech counts as the candidate's, for nobody else's is known.
///
/// A minute of sound is more than an incident can keep; what is scored, and kept, is what each
/// frame of the minute was: silence, speech or another's speech.
#[derive(Debug, Clone, Copy, Default)]
pub struct Talking;

impl Detector for Talking {
    fn name(&self) -> &'static str {
        TALKING
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::Talking
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(SHARE)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::ZERO,
            end_after: Duration::from_secs(10),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Voices(voices) = input else {
            return Ok(None);
        };
        let minute: Vec<Sound> = voices.minute.iter().copied().collect();
        let score = score(&minute);
        let whose = if voices.is_enrolled() {
            "by no other known voice"
        } else {
            "with no voice enrolled"
        };
        Ok(Some(Scored {
            score,
            detail: format!(
                "{:.0} % of a minute is speech {whose}",
                score.value() * 100.0
            ),
            input: KeptInput::Minute(minute),
        }))
    }
}

/// The share of a whole minute, so that a recording's first seconds weigh little.
fn score(minute: &[Sound]) -> Severity {
    let own = minute.iter().map(|sound| match sound {
        Sound::Speech => 1.0,
        Sound::Silence | Sound::Other => 0.0,
    });
    Severity::clamped(own.sum::<f64>() / MINUTE_LENGTH)
}

/// Returns `QT`, version 1 and a letter for each frame: `-` for silence, `s` for speech, `o` for
/// another's.
pub(crate) fn to_bytes(minute: &[Sound]) -> Vec<u8> {
    let letters = minute.iter().map(|sound| match sound {
        Sound::Silence => b'-',
        Sound::Speech => b's',
        Sound::Other => b'o',
    });
    MAGIC.into_iter().chain(letters).collect()
}

pub(crate) fn talking_again(bytes: &[u8]) -> Result<Severity, InputError> {
    let letters = bytes.strip_prefix(&MAGIC).ok_or(InputError::NotScored)?;
    if letters.len() > MINUTE_FRAMES {
        return Err(InputError::NotScored);
    }
    let minute = letters.iter().map(|letter| match letter {
        b'-' => Ok(Sound::Silence),
        b's' => Ok(Sound::Speech),
        b'o' => Ok(Sound::Other),
        _ => Err(InputError::NotScored),
    });
    Ok(score(&minute.collect::<Result<Vec<_>, _>>()?))
}

const MAGIC: [u8; 3] = *b"QT\x01";
/// 24 seconds of a minute.
const SHARE: f64 = 0.4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_reads_back_and_other_bytes_are_refused() {
        let mut minute = vec![Sound::Silence; 900];
        minute.extend([Sound::Speech; 700]);
        minute.extend([Sound::Other; 275]);
        let bytes = to_bytes(&minute);
        let again = talking_again(&bytes).expect("a minute");
        assert_eq!(again, score(&minute));
        assert!((again.value() - 700.0 / 1_875.0).abs() < 1e-9);
        let longer = [bytes.as_slice(), b"s"].concat();
        for wrong in [b"QT".as_slice(), b"QT\x02", b"QT\x01x", &longer] {
            talking_again(wrong).expect_err("a refusal");
        }
    }
}
