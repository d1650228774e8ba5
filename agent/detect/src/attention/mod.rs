//! Attention: head and eyes against the candidate's own baseline.
//!
//! Where somebody looks when they look at their screen differs: the camera stands aside, glasses
//! hide the eyes, a head is held askew. So a look is judged by how far it lies from what was
//! measured at check-in, and the more somebody moved then, the more is allowed.
//!
//! A look aside is nothing; looking aside for long, or often, is weak evidence. Long is the
//! detector's patience. Often is a share of the last minute: while it is exceeded, the newest look
//! aside is reported again with each picture, so that patience runs although eyes come back.
//!
//! # Invariants
//! * The score is that of one look: a pure function of the crops and the baseline, which are kept
//!   together.

mod pose;

pub use pose::Attention;
pub(crate) use pose::MeshReader;

use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::faces::{Face, Seen};
use crate::model::ModelError;
use crate::picture::Picture;
use crate::pixels::{Channels, Pixels};
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

use pose::{Crops, EYE_SIDE, FACE_SIDE, Models};

pub(crate) const NAME: &str = "looking-away/1";

/// Reads where heads and eyes point.
#[derive(Debug)]
pub struct AttentionReader(Models);

impl AttentionReader {
    /// Loads the models.
    ///
    /// # Errors
    /// As [`crate::Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self(Models::load()?))
    }

    /// Returns where a face's head and eyes point; `None` where no face is read there.
    ///
    /// # Errors
    /// `Model` where a model refuses its crop.
    pub fn read(
        &self,
        picture: Picture<'_>,
        face: &Face,
    ) -> Result<Option<Attention>, DetectError> {
        let looked = self.0.look(picture, face)?;
        Ok(looked.map(|(_crops, attention)| attention))
    }
}

/// How a candidate looks at the screen, from the looks of check-in, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttentionBaseline {
    yaw: Usual,
    pitch: Usual,
    eyes: Usual,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Usual {
    middle: f32,
    spread: f32,
}

impl AttentionBaseline {
    /// Takes the looks of check-in, while the candidate reads from the screen; `None` for fewer
    /// than [`LOOKS_MIN`].
    #[must_use]
    pub fn of(looks: &[Attention]) -> Option<Self> {
        if looks.len() < LOOKS_MIN {
            return None;
        }
        let eyes: Vec<f32> = looks.iter().filter_map(|look| look.eyes).collect();
        Some(Self {
            yaw: Usual::of(looks.iter().map(|look| look.yaw).collect())?,
            pitch: Usual::of(looks.iter().map(|look| look.pitch).collect())?,
            eyes: Usual::of(eyes).unwrap_or(Usual {
                middle: 0.0,
                spread: 0.0,
            }),
        })
    }

    /// Returns how far away a look is: 0.5 where it begins to count, 1 at twice as far.
    #[must_use]
    pub fn score(&self, look: &Attention) -> Severity {
        let aside = look.yaw - self.yaw.middle;
        let eyes = look.eyes.map_or(0.0, |eyes| eyes - self.eyes.middle);
        let spread = self.yaw.spread;
        // Eyes add to the head, and alone they reach farther before it means something, for they
        // wander while somebody thinks.
        let head = (aside.abs() - 2.0 * spread) / ASIDE_DEGREES;
        let both = ((aside + eyes).abs() - 2.0 * spread.hypot(self.eyes.spread)) / EYES_DEGREES;
        let bowed = look.pitch - self.pitch.middle;
        let down = (bowed - 2.0 * self.pitch.spread) / DOWN_DEGREES;
        let up = (-bowed - 2.0 * self.pitch.spread) / UP_DEGREES;
        let most = head.max(both).max(down).max(up);
        Severity::clamped(f64::from(most) / 2.0)
    }

    pub(crate) fn to_row(self) -> Vec<u8> {
        let values = [self.yaw, self.pitch, self.eyes];
        let numbers = values.iter().flat_map(|usual| [usual.middle, usual.spread]);
        let mut row: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
        row.resize(ROW_BYTES, 0);
        row
    }

    pub(crate) fn from_row(row: &[u8]) -> Option<Self> {
        let (numbers, _rest) = row.as_chunks::<4>();
        let usual = |index: usize| {
            Some(Usual {
                middle: f32::from_le_bytes(*numbers.get(index)?),
                spread: f32::from_le_bytes(*numbers.get(index + 1)?),
            })
        };
        Some(Self {
            yaw: usual(0)?,
            pitch: usual(2)?,
            eyes: usual(4)?,
        })
    }
}

impl Usual {
    fn of(mut values: Vec<f32>) -> Option<Self> {
        let middle = median(&mut values)?;
        let mut off: Vec<f32> = values.iter().map(|value| (value - middle).abs()).collect();
        // Of values that scatter evenly, the median distance is two thirds of the deviation.
        let spread = median(&mut off)? * 1.5;
        Some(Self {
            middle,
            spread: spread.min(SPREAD_MAX),
        })
    }
}

fn median(values: &mut [f32]) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

/// Looks whether the candidate looks away long or often.
#[derive(Debug)]
pub struct LookingAway {
    reader: AttentionReader,
    baseline: AttentionBaseline,
    history: History,
}

/// The looks of the last minute, and the newest that was away.
#[derive(Debug, Default)]
struct History {
    looks: VecDeque<(Now, bool)>,
    away: Option<Scored>,
}

impl LookingAway {
    /// Judges looks by a baseline.
    #[must_use]
    pub const fn new(reader: AttentionReader, baseline: AttentionBaseline) -> Self {
        Self {
            reader,
            baseline,
            history: History {
                looks: VecDeque::new(),
                away: None,
            },
        }
    }

    fn score(&self, seen: Seen<'_>) -> Result<Option<Scored>, DetectError> {
        let models = &self.reader.0;
        let Some(face) = seen.faces.main() else {
            return Ok(None);
        };
        let Some((crops, look)) = models.look(seen.picture, face)? else {
            return Ok(None);
        };
        Ok(Some(Scored {
            score: self.baseline.score(&look),
            detail: detail(&look, &self.baseline),
            input: KeptInput::Pixels(Arc::new(kept(&crops, &self.baseline)?)),
        }))
    }
}

impl History {
    /// Takes a look and returns what to report: this one, or, while looks are often away, the
    /// newest that was.
    fn report(&mut self, now: Now, scored: Scored, away: bool) -> Scored {
        let often = self.note(now, away);
        if away {
            self.away = Some(scored.clone());
            return scored;
        }
        match self.away.as_ref().filter(|_| often) {
            Some(newest) => Scored {
                detail: format!("often; {}", newest.detail),
                ..newest.clone()
            },
            None => scored,
        }
    }

    /// Notes a look and returns whether they are often away.
    fn note(&mut self, now: Now, away: bool) -> bool {
        while self
            .looks
            .front()
            .is_some_and(|(at, _)| now.since(*at) > WINDOW || self.looks.len() >= LOOKS_MAX)
        {
            self.looks.pop_front();
        }
        self.looks.push_back((now, away));
        let aside = self.looks.iter().filter(|(_, away)| *away).count();
        self.looks.len() >= OFTEN_LOOKS_MIN && aside * 5 >= self.looks.len() * OFTEN_FIFTHS
    }
}

impl Detector for LookingAway {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::LookingAway
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.5)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_secs(8),
            end_after: Duration::from_secs(3),
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Faces(seen) = input else {
            return Ok(None);
        };
        let Some(scored) = self.score(seen)? else {
            return Ok(None);
        };
        let away = scored.score >= self.threshold();
        Ok(Some(self.history.report(now, scored, away)))
    }
}

fn detail(look: &Attention, baseline: &AttentionBaseline) -> String {
    let eyes = look.eyes.map(|eyes| {
        let eyes = eyes - baseline.eyes.middle;
        format!(", eyes aside {eyes:.0}")
    });
    format!(
        "against the baseline in degrees: aside {:.0}, down {:.0}{}",
        look.yaw - baseline.yaw.middle,
        look.pitch - baseline.pitch.middle,
        eyes.unwrap_or_default()
    )
}

/// The face, below it a row with the baseline, below that both eyes where they were read.
fn kept(crops: &Crops, baseline: &AttentionBaseline) -> Result<Pixels, InputError> {
    let mut bytes = crops.face.bytes().to_vec();
    bytes.extend(baseline.to_row());
    for eye in crops.eyes.iter().flatten() {
        bytes.extend(eye.bytes());
    }
    let rows = bytes.len().div_ceil(ROW_BYTES);
    bytes.resize(rows * ROW_BYTES, 0);
    let rows = u16::try_from(rows).map_err(|_many| InputError::NotScored)?;
    Pixels::new(FACE_SIDE, rows, Channels::Rgb, bytes)
}

/// Scores kept crops with their baseline again.
pub(crate) fn again(png: &[u8]) -> Result<Severity, InputError> {
    let kept = Pixels::from_png(png, FACE_SIDE + ROWS_MAX)?;
    let (mut rest, width) = (kept.bytes(), kept.width());
    let mut take = |count: usize| {
        let (taken, left) = rest.split_at_checked(count).ok_or(InputError::NotScored)?;
        rest = left;
        Ok::<_, InputError>(taken.to_vec())
    };
    if width != FACE_SIDE || kept.channels() != Channels::Rgb {
        return Err(InputError::NotScored);
    }
    let face = take(usize::from(FACE_SIDE) * ROW_BYTES)?;
    let face = Pixels::new(FACE_SIDE, FACE_SIDE, Channels::Rgb, face)?;
    let baseline = AttentionBaseline::from_row(&take(ROW_BYTES)?).ok_or(InputError::NotScored)?;
    let mut eye = || Pixels::new(EYE_SIDE, EYE_SIDE, Channels::Rgb, take(EYE_BYTES)?);
    let eyes = if kept.height() > FACE_SIDE + 1 {
        Some([eye()?, eye()?])
    } else {
        None
    };
    let look = AttentionReader::load()?.0.read(&Crops::kept(face, eyes))?;
    look.map(|look| baseline.score(&look))
        .ok_or(InputError::NotScored)
}

const ROW_BYTES: usize = 192 * 3;
/// Bytes of a baseline's row.
pub(crate) const BASELINE_BYTES: usize = ROW_BYTES;
const EYE_BYTES: usize = 64 * 64 * 3;
/// The baseline's row and 43 rows of eyes.
const ROWS_MAX: u16 = 44;
/// Looks that a baseline needs at least.
pub const LOOKS_MIN: usize = 5;
/// Beyond the candidate's spread: a screen of 15 inches at 50 cm spans 19 degrees to each side,
/// one of 27 inches at 60 cm 26; down begins below a laptop's lower edge.
const ASIDE_DEGREES: f32 = 25.0;
const EYES_DEGREES: f32 = 35.0;
const DOWN_DEGREES: f32 = 20.0;
const UP_DEGREES: f32 = 25.0;
/// A baseline that was taken while somebody looked about must not allow everything.
const SPREAD_MAX: f32 = 8.0;
const WINDOW: Duration = Duration::from_secs(60);
const LOOKS_MAX: usize = 240;
/// Often: two fifths of at least half a minute's looks.
const OFTEN_LOOKS_MIN: usize = 30;
const OFTEN_FIFTHS: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_often_looks_aside_is_reported_between_the_looks_until_it_ends() {
        let mut history = History::default();
        let mut reported = Vec::new();
        // A minute of reading, a minute with every second look aside, two minutes of reading.
        for second in 0..240_u32 {
            let away = (60..120).contains(&second) && second.is_multiple_of(2);
            let now = Now::from_origin(Duration::from_secs(u64::from(second)));
            reported.push(history.report(now, look(away), away).score.value() > 0.5);
        }
        assert!(reported[..60].iter().all(|away| !away));
        assert!(reported[60..106].contains(&false), "not yet often");
        assert!(reported[110..120].iter().all(|away| *away), "often");
        assert!(reported[140..].iter().all(|away| !away), "over");
    }

    #[test]
    fn glances_now_and_then_are_nothing() {
        let mut history = History::default();
        for second in 0..240_u32 {
            let away = second % 5 == 0;
            let now = Now::from_origin(Duration::from_secs(u64::from(second)));
            let scored = history.report(now, look(away), away);
            assert_eq!(scored.score.value() > 0.5, away);
        }
    }

    fn look(away: bool) -> Scored {
        Scored {
            score: Severity::clamped(if away { 0.8 } else { 0.1 }),
            detail: String::new(),
            input: KeptInput::Samples(Vec::new()),
        }
    }
}
