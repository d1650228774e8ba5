//! Nobody in view, or a second face: how much of a person each face is.
//!
//! A face weighs by how sure the model is, by its size in the picture, and, beside the candidate,
//! by its size against theirs: a poster across the room or a person at the far wall is small and
//! weighs little, a helper beside the candidate is as large and weighs fully. A face far above the
//! candidate's head hangs rather than stands and weighs less.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use super::{Face, Faces, Seen};
use crate::{DetectError, Detector, Input, KeptInput, Patience, Scored};

pub(crate) const NOBODY: &str = "nobody-in-view/1";
pub(crate) const SECOND: &str = "second-face/1";

/// Looks for a camera before which nobody sits.
///
/// Its patience is as long as five seconds from the event allow, a look's wait before it and a slow
/// look included, because a candidate who bends down or reaches for something is out of view for a
/// moment.
#[derive(Debug, Default, Clone, Copy)]
pub struct NobodyInView;

impl Detector for NobodyInView {
    fn name(&self) -> &'static str {
        NOBODY
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::NobodyInView
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.7)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_millis(2_900),
            end_after: Duration::from_secs(1),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Some(Seen { faces, .. }) = faces_of(input) else {
            return Ok(None);
        };
        let score = nobody_score(faces);
        Ok(Some(Scored {
            score,
            detail: match faces.main() {
                Some(face) => format!("a face of sureness {:.2} at most", face.confidence),
                None => "no face".to_owned(),
            },
            input: KeptInput::Pixels(faces.scored().clone()),
        }))
    }
}

/// Looks for a second person beside the candidate.
#[derive(Debug, Default, Clone, Copy)]
pub struct SecondFace;

impl Detector for SecondFace {
    fn name(&self) -> &'static str {
        SECOND
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::SecondFace
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.4)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_millis(1_500),
            end_after: Duration::from_secs(2),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Some(Seen { faces, .. }) = faces_of(input) else {
            return Ok(None);
        };
        let score = second_score(faces.all());
        Ok(Some(Scored {
            score,
            detail: format!(
                "{} faces, the second weighs {:.2}",
                faces.all().len(),
                score.value()
            ),
            input: KeptInput::Pixels(faces.scored().clone()),
        }))
    }
}

const fn faces_of(input: Input<'_>) -> Option<Seen<'_>> {
    match input {
        Input::Faces(seen) => Some(seen),
        Input::Picture(_)
        | Input::Things(_)
        | Input::Sound(_)
        | Input::Voices(_)
        | Input::Screen { .. } => None,
    }
}

/// 1 where no face weighs anything, 0 where one is surely there; 0 for a picture that shows
/// nothing at all, which is the covered camera's business and says nothing about people.
pub(crate) fn nobody_score(faces: &Faces) -> Severity {
    let (mean, deviation) = faces.scored().mean_and_deviation();
    if mean < DARK_MEAN || deviation < EVEN_DEVIATION {
        return Severity::clamped(0.0);
    }
    let most = faces.all().iter().map(weight).fold(0.0, f32::max);
    Severity::clamped(1.0 - f64::from(most / SURE).min(1.0))
}

/// What the weightiest face beside the candidate's weighs, 0 to 1.
pub(crate) fn second_score(faces: &[Face]) -> Severity {
    let Some(main) = main_of(faces) else {
        return Severity::clamped(0.0);
    };
    let others = faces.iter().filter(|face| *face != main);
    let most = others
        .map(|face| weight_beside(face, main))
        .fold(0.0, f32::max);
    Severity::clamped(f64::from(most))
}

/// The face that is largest and surest.
pub(crate) fn main_of(faces: &[Face]) -> Option<&Face> {
    let size = |face: &Face| weight(face) * face.height;
    faces
        .iter()
        .filter(|face| weight(face) > 0.0)
        .max_by(|one, other| size(one).total_cmp(&size(other)))
}

fn weight(face: &Face) -> f32 {
    face.confidence * ramp(face.height, NOTHING_HEIGHT, WHOLE_HEIGHT)
}

fn weight_beside(face: &Face, main: &Face) -> f32 {
    let size = ramp(face.height / main.height, NOTHING_RATIO, WHOLE_RATIO);
    let rise = (main.centre().y - face.centre().y) / main.height;
    let place = 1.0 - HANGING_LOSS * ramp(rise, STANDING_RISE, HANGING_RISE);
    (weight(face) / SURE).min(1.0) * size * place
}

/// 0 up to `from`, 1 from `to`, straight between.
fn ramp(value: f32, from: f32, to: f32) -> f32 {
    ((value - from) / (to - from)).clamp(0.0, 1.0)
}

/// Where covered-camera/1 says that a camera is covered: black is 16.
const DARK_MEAN: f64 = 24.0;
const EVEN_DEVIATION: f64 = 6.0;
/// From this sureness a face counts wholly; the model gives a live face in view 0.6 and more, a
/// bowed or half hidden one 0.3 to 0.6.
const SURE: f32 = 0.5;
/// Heights as shares of the picture's: at a laptop a face takes 0.2 to 0.5, across a room 0.05.
const NOTHING_HEIGHT: f32 = 0.04;
const WHOLE_HEIGHT: f32 = 0.10;
/// Heights against the candidate's own: one arm's length behind is 0.6, across the room 0.2.
const NOTHING_RATIO: f32 = 0.15;
const WHOLE_RATIO: f32 = 0.45;
/// How far above, in the candidate's face heights: a person who stands behind rises two.
const STANDING_RISE: f32 = 2.0;
const HANGING_RISE: f32 = 3.0;
const HANGING_LOSS: f32 = 0.5;
