//! Another voice than the enrolled one, and, before enrolment, several voices.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use super::apart;
use super::kept::KeptVoices;
use super::listener::{VoicePiece, Voices};
use super::print::VoicePrint;
use super::speaker::{Manner, VoiceEmbedding};
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

pub(crate) const ANOTHER: &str = "another-voice/1";
pub(crate) const SEVERAL: &str = "several-voices/1";

/// Looks for speech of another than the enrolled voice; says nothing before enrolment.
///
/// It takes two pieces of speech within twenty seconds that are both unlike the enrolled voice: a
/// single odd piece, a cough or a laugh is nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnotherVoice;

/// Looks for several voices within a minute while none is enrolled: two pieces of speech that are
/// alike, and two more that are alike and unlike the first two. Which of them is the candidate's it
/// cannot say. Once a voice is enrolled, [`AnotherVoice`] takes its place.
#[derive(Debug, Clone, Copy, Default)]
pub struct SeveralVoices;

impl Detector for AnotherVoice {
    fn name(&self) -> &'static str {
        ANOTHER
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::AnotherVoice
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(THRESHOLD)
    }

    fn patience(&self) -> Patience {
        PATIENCE
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Voices(voices) = input else {
            return Ok(None);
        };
        let Some(print) = &voices.print else {
            return Ok(None);
        };
        let mut unlike: Vec<_> = voices
            .recent()
            .map(|piece| (margin(print, piece.manner, &piece.voice), piece))
            .collect();
        unlike.sort_by(|(one, _), (other, _)| other.total_cmp(one));
        unlike.truncate(PIECES);
        let margins: Vec<f32> = unlike.iter().map(|(margin, _)| *margin).collect();
        Ok(Some(Scored {
            score: another_score(&margins),
            detail: compared(print, &margins),
            input: KeptInput::Voices(KeptVoices {
                print: Some(print.clone()),
                pieces: unlike.into_iter().map(|(_, piece)| piece.kept()).collect(),
            }),
        }))
    }
}

impl Detector for SeveralVoices {
    fn name(&self) -> &'static str {
        SEVERAL
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::AnotherVoice
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(THRESHOLD)
    }

    fn patience(&self) -> Patience {
        PATIENCE
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Voices(voices) = input else {
            return Ok(None);
        };
        if voices.is_enrolled() {
            return Ok(None);
        }
        let (score, pieces) = most_apart(voices);
        Ok(Some(Scored {
            score,
            detail: "several voices, none enrolled to compare with".to_owned(),
            input: KeptInput::Voices(KeptVoices {
                print: None,
                pieces: pieces.into_iter().map(VoicePiece::kept).collect(),
            }),
        }))
    }
}

fn compared(print: &VoicePrint, margins: &[f32]) -> String {
    let bound = print.other_below();
    match margins {
        [] | [_] => "too little speech to tell a voice".to_owned(),
        [first, second, ..] => format!(
            "like the enrolled voice by {:.2} and {:.2}; another below {bound:.2}",
            bound - first,
            bound - second
        ),
    }
}

/// How far below the bound a voice is.
fn margin(print: &VoicePrint, manner: Manner, voice: &VoiceEmbedding) -> f32 {
    print.other_below() - print.likeness(manner, voice)
}

/// Half at the bound, 1 from 0.3 below it, 0 from 0.3 above it. What counts is the mean of the two
/// most unlike pieces, held near the less unlike one, so that one odd piece, a cough or a laugh,
/// does not carry a piece of the candidate's own with it; without a second there is no score.
fn another_score(margins: &[f32]) -> Severity {
    match margins {
        [] | [_] => Severity::clamped(0.0),
        [one, other, ..] => {
            let mean = f32::midpoint(*one, *other);
            apart::scaled(mean.min(one.min(*other) + ODD_PIECE))
        }
    }
}

/// The two pairs of clear pieces that are most apart.
fn most_apart(voices: &Voices) -> (Severity, Vec<&VoicePiece>) {
    let pieces = voices.pieces.iter();
    let mut clear: Vec<_> = pieces
        .filter(|piece| piece.manner == Manner::Clear)
        .collect();
    clear.drain(..clear.len().saturating_sub(COMPARED_MAX));
    let numbers: Vec<_> = clear.iter().map(|piece| &piece.voice).collect();
    let Some((score, places)) = apart::most_apart(&numbers) else {
        return (Severity::clamped(0.0), Vec::new());
    };
    let four = places.iter().filter_map(|place| clear.get(*place).copied());
    (score, four.collect())
}

pub(crate) fn another_again(bytes: &[u8]) -> Result<Severity, InputError> {
    let kept = KeptVoices::from_bytes(bytes)?;
    let Some(print) = &kept.print else {
        return Err(InputError::NotScored);
    };
    let voices = kept.embed()?;
    let pieces = kept.pieces.iter().zip(&voices);
    let margins: Vec<f32> = pieces
        .map(|(piece, voice)| margin(print, piece.manner, voice))
        .collect();
    Ok(another_score(&margins))
}

pub(crate) fn several_again(bytes: &[u8]) -> Result<Severity, InputError> {
    let kept = KeptVoices::from_bytes(bytes)?;
    if kept.print.is_some() {
        return Err(InputError::NotScored);
    }
    Ok(match kept.embed()?.as_slice() {
        [a, again_a, b, again_b] => apart::score([a, again_a], [b, again_b]),
        [] => Severity::clamped(0.0),
        [_, ..] => return Err(InputError::NotScored),
    })
}

const THRESHOLD: f64 = 0.5;
/// Two pieces are patience enough; it ends when none is left within twenty seconds.
const PATIENCE: Patience = Patience {
    begin_after: Duration::ZERO,
    end_after: Duration::from_secs(2),
};
const PIECES: usize = 2;
const ODD_PIECE: f32 = 0.06;
/// The last half minute of speech.
const COMPARED_MAX: usize = 20;
