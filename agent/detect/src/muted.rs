//! A silent or muted microphone: a real one always has noise.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::{DetectError, Detector, Input, KeptInput, Patience, Scored};

pub(crate) const NAME: &str = "muted-microphone/1";

/// Looks for a microphone that gives digital silence.
#[derive(Debug, Default)]
pub struct MutedMicrophone {
    gathered: Vec<i16>,
}

impl Detector for MutedMicrophone {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::MicrophoneMuted
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.98)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_secs(5),
            end_after: Duration::from_secs(1),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Sound(samples) = input else {
            return Ok(None);
        };
        self.gathered.extend_from_slice(samples);
        if self.gathered.len() < WINDOW_SAMPLES {
            return Ok(None);
        }
        let mut samples = core::mem::take(&mut self.gathered);
        samples.truncate(WINDOW_SAMPLES);
        let score = score(&samples);
        Ok(Some(Scored {
            score,
            detail: format!(
                "{:.1} % of a second is digital silence",
                score.value() * 100.0
            ),
            input: KeptInput::Samples(samples),
        }))
    }
}

/// The share of samples that stay within one step of the first: a constant, zero or not.
pub(crate) fn score(samples: &[i16]) -> Severity {
    let Some(first) = samples.first() else {
        return Severity::clamped(0.0);
    };
    let (mut still, mut all) = (0_u32, 0_u32);
    for sample in samples {
        all += 1;
        still += u32::from(sample.abs_diff(*first) <= 1);
    }
    Severity::clamped(f64::from(still) / f64::from(all))
}

/// Returns how loud samples are, 0 for silence to 100 for full scale, on a scale of 60 dB.
#[must_use]
pub fn level_percent(samples: &[i16]) -> u8 {
    let (mut squares, mut all) = (0.0, 0.0);
    for sample in samples {
        squares += f64::from(*sample).powi(2);
        all += 1.0;
    }
    if squares <= 0.0 {
        return 0;
    }
    let decibels = 10.0 * (squares / all / FULL_SCALE_SQUARED).log10();
    let percent = ((decibels + RANGE_DB) / RANGE_DB * 100.0).clamp(0.0, 100.0);
    // A table in place of a float-to-integer cast: the largest step that is not above.
    (0..=100_u8)
        .rev()
        .find(|step| f64::from(*step) <= percent)
        .unwrap_or_default()
}

const WINDOW_SAMPLES: usize = 48_000;
const FULL_SCALE_SQUARED: f64 = 32_768.0 * 32_768.0;
const RANGE_DB: f64 = 60.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::scenes::Noise;
    use crate::replay;

    #[test]
    fn digital_silence_is_seen_also_with_an_offset() {
        for constant in [0, 37] {
            let scored = look(&vec![constant; WINDOW_SAMPLES]);
            assert!(scored.score >= MutedMicrophone::default().threshold());
        }
    }

    #[test]
    fn a_quiet_room_is_not_a_muted_microphone() {
        let scored = look(&quiet_room());
        assert!(scored.score.value() < 0.5, "{:?}", scored.score);
    }

    #[test]
    fn the_kept_input_gives_the_same_score_and_fits() {
        let scored = look(&quiet_room());
        let input = scored.input().expect("PCM");
        assert!(input.len() <= qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX);
        assert_eq!(
            replay(NAME, &input).expect("the same detector"),
            scored.score
        );
    }

    #[test]
    fn levels_run_from_silence_to_full_scale() {
        assert_eq!(level_percent(&[0; 100]), 0);
        assert_eq!(level_percent(&[i16::MIN; 100]), 100);
        assert!((45..=55).contains(&level_percent(&[1_036, -1_036])));
    }

    #[test]
    fn an_unknown_detector_is_named() {
        let error = replay("face/1", &[]).expect_err("another issue's work");
        assert!(error.to_string().contains("face/1"));
    }

    fn quiet_room() -> Vec<i16> {
        let mut noise = Noise(5);
        (0..WINDOW_SAMPLES)
            .map(|_| i16::try_from(noise.level(9)).expect("small"))
            .collect()
    }

    fn look(samples: &[i16]) -> Scored {
        let mut detector = MutedMicrophone::default();
        let mut look = |samples| {
            let looked = detector.look(Now::default(), Input::Sound(samples));
            looked.expect("it needs no model")
        };
        assert!(look(&[]).is_none());
        look(samples).expect("a second of sound is scored")
    }
}
