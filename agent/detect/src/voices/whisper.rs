//! Whisper: speech without a voice.
//!
//! The model of speech hears whisper as speech, and keys, breath and noise as none; what is speech
//! and yet repeats nothing at a voice's pitch is whispered. In a trial on five readers at least 45 %
//! of the frames of a piece of speech were voiced in a room 20 dB below it and 26 % at 10 dB; of
//! whisper, 34 % at most and 22 % in three pieces of four.
//!
//! It is weak evidence: those whispers were made of speech by taking the voice out, not recorded,
//! and the `witness` bench finds two fifths of them 20 dB below speech, nine tenths 15 dB below.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use super::kept::KeptVoices;
use super::listener::VoicePiece;
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

pub(crate) const WHISPER: &str = "whisper/1";

/// Looks for whisper: two pieces of speech within twenty seconds with hardly a voiced frame, both
/// well above the room's noise, which hides a voice's pitch too.
#[derive(Debug, Clone, Copy, Default)]
pub struct Whisper;

impl Detector for Whisper {
    fn name(&self) -> &'static str {
        WHISPER
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::Whisper
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.5)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::ZERO,
            end_after: Duration::from_secs(2),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Voices(voices) = input else {
            return Ok(None);
        };
        let mut pieces: Vec<_> = voices
            .recent()
            .filter_map(|piece| Some((piece.voiced?, piece)))
            .collect();
        pieces.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        pieces.truncate(PIECES);
        let shares: Vec<f32> = pieces.iter().map(|(share, _)| *share).collect();
        Ok(Some(Scored {
            score: score(&shares),
            detail: heard(&shares),
            input: KeptInput::Voices(KeptVoices {
                print: None,
                pieces: pieces
                    .into_iter()
                    .map(|(_, piece)| VoicePiece::kept(piece))
                    .collect(),
            }),
        }))
    }
}

fn heard(shares: &[f32]) -> String {
    match shares {
        [] | [_] => "too little speech to tell whisper".to_owned(),
        [first, second, ..] => format!(
            "{:.0} and {:.0} % of two pieces of speech have a voice",
            first * 100.0,
            second * 100.0
        ),
    }
}

/// 1 for two pieces without a voice, half where the more voiced of the two has it in
/// [`VOICED_SHARE`] of its frames.
fn score(shares: &[f32]) -> Severity {
    match shares {
        [] | [_] => Severity::clamped(0.0),
        [first, rest @ ..] => {
            let most = rest.iter().fold(*first, |most, share| most.max(*share));
            Severity::clamped(1.0 - f64::from(most / VOICED_SHARE) / 2.0)
        }
    }
}

pub(crate) fn whisper_again(bytes: &[u8]) -> Result<Severity, InputError> {
    let kept = KeptVoices::from_bytes(bytes)?;
    if kept.print.is_some() {
        return Err(InputError::NotScored);
    }
    let pieces = kept.pieces.iter();
    let shares: Vec<f32> = pieces.map(|piece| voiced_share(&piece.samples)).collect();
    Ok(score(&shares))
}

/// Returns the share of frames of mono sound at 16 kHz that repeat at a voice's pitch.
pub(super) fn voiced_share(samples: &[i16]) -> f32 {
    let low: Vec<f32> = samples
        .windows(SMOOTH.len())
        .step_by(THINNING)
        .map(|window| {
            let pairs = window.iter().zip(SMOOTH);
            pairs
                .map(|(sample, weight)| f32::from(*sample) * weight)
                .sum()
        })
        .collect();
    let (mut voiced, mut all) = (0.0, 0.0_f32);
    for frame in low.windows(FRAME).step_by(FRAME / 2) {
        all += 1.0;
        if repetition(frame) > VOICED {
            voiced += 1.0;
        }
    }
    voiced / all.max(1.0)
}

/// How alike a frame is to itself a period later, at the best period of a voice: up to 1.
fn repetition(frame: &[f32]) -> f32 {
    let mut sum = 0.0;
    let mut all = 0.0;
    for level in frame {
        sum += level;
        all += 1.0;
    }
    let mean = sum / all;
    let centred: Vec<f32> = frame.iter().map(|level| level - mean).collect();
    let compared = FRAME - LONGEST_PERIOD;
    let head = centred.get(..compared).unwrap_or_default();
    let energy: f32 = head.iter().map(|level| level * level).sum();
    let mut best = 0.0_f32;
    for period in SHORTEST_PERIOD..LONGEST_PERIOD {
        let later = centred.get(period..period + compared).unwrap_or_default();
        let (mut product, mut later_energy) = (0.0, 0.0);
        for (one, other) in head.iter().zip(later) {
            product += one * other;
            later_energy += other * other;
        }
        best = best.max(product / (energy * later_energy + 1.0).sqrt());
    }
    best
}

/// A low pass of 15 samples (Hann) to about 1 kHz, made in numpy: `hanning(15) / 7`.
const SMOOTH: [f32; 15] = [
    0.0, 0.007_07, 0.026_90, 0.055_53, 0.087_32, 0.115_95, 0.135_78, 0.142_86, 0.135_78, 0.115_95,
    0.087_32, 0.055_53, 0.026_90, 0.007_07, 0.0,
];
/// 16 kHz to 4 kHz.
const THINNING: usize = 4;
/// 64 ms, every 32 ms.
const FRAME: usize = 256;
/// 400 Hz.
const SHORTEST_PERIOD: usize = 10;
/// 70 Hz.
const LONGEST_PERIOD: usize = 58;
const VOICED: f32 = 0.6;
const VOICED_SHARE: f32 = 0.2;
const PIECES: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::samples::{buzz, noise};

    #[test]
    fn a_buzz_at_a_voices_pitch_is_voiced_and_noise_is_not() {
        for hz in [90, 160, 300] {
            let share = voiced_share(&buzz(24_000, hz));
            assert!(share > 0.95, "{hz} Hz: {share}");
        }
        let share = voiced_share(&noise(24_000, 5));
        assert!(share < 0.1, "{share}");
        assert!(voiced_share(&[0; 24_000]) < f32::EPSILON);
        assert!(voiced_share(&[]) < f32::EPSILON);
    }
}
