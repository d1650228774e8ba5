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
use super::voiced::voiced_share;
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

const VOICED_SHARE: f32 = 0.2;
const PIECES: usize = 2;
