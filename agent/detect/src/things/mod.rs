//! Things: a phone in view, as far as a small model can tell.
//!
//! One look every few seconds ([`THINGS_EVERY`]) at the candidate's upper body, or at the whole
//! picture where that is smaller. It is weak evidence: the model gives phones held in a hand 0.4 to
//! 0.7 and pictures without one up to 0.24, measured on 21 pictures of which two show a phone. Of
//! the model's other kinds none is used, for none separates: it takes shelves for books (0.44), open
//! books for laptops, and knows neither headphones nor sheets of paper.
//!
//! # Invariants
//! * The score is a pure function of the scored pixels. They are kept as the model was given them:
//!   brightness, and colours at half the size, for three whole channels would not fit.

mod boxes;

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::faces::{Face, Seen};
use crate::model::{Model, ModelError, ModelFile};
use crate::picture::{Placement, Point};
use crate::pixels::Pixels;
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

/// How often things are looked for.
pub const THINGS_EVERY: Duration = Duration::from_millis(3_950);

pub(crate) const PHONE: &str = "phone-in-view/1";

/// What was found in one picture, with the pixels in which it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Things {
    phone: Thing,
    scored: Arc<Pixels>,
}

/// The surest box of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Thing {
    /// How sure the model is, 0 to 1.
    confidence: f32,
    /// Where its middle lies, in shares of the scored square.
    middle: Point,
}

/// Looks for things, at its own cadence.
#[derive(Debug)]
pub struct ThingFinder {
    model: Model,
    looked: Option<Now>,
}

impl ThingFinder {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            model: Model::load(ModelFile::Things)?,
            looked: None,
        })
    }

    /// Returns the things around the candidate, or `None` until [`THINGS_EVERY`] has passed.
    ///
    /// # Errors
    /// `Model` where the model refuses the picture.
    pub fn look(&mut self, now: Now, seen: Seen<'_>) -> Result<Option<Things>, DetectError> {
        let every = |looked| now.since(looked) < THINGS_EVERY;
        if self.looked.is_some_and(every) {
            return Ok(None);
        }
        self.looked = Some(now);
        let placement = around(seen);
        let scored = seen.picture.cut_planar(&placement, boxes::SIDE)?;
        Ok(Some(found(&self.model, scored)?))
    }
}

/// Looks for a phone near the candidate; weak evidence by itself.
#[derive(Debug, Default, Clone, Copy)]
pub struct PhoneInView;

impl Detector for PhoneInView {
    fn name(&self) -> &'static str {
        PHONE
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::PhoneInView
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.3)
    }

    /// Two looks that count: a thing that was taken for a phone once is forgotten.
    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_millis(3_500),
            end_after: Duration::from_secs(7),
        }
    }

    fn look(&mut self, _now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Things(things) = input else {
            return Ok(None);
        };
        let Thing { confidence, middle } = things.phone;
        Ok(Some(Scored {
            score: score(things.phone),
            detail: format!(
                "perhaps a phone, sureness {confidence:.2}, {:.0} % across and {:.0} % down of what \
                 was looked at",
                middle.x * 100.0,
                middle.y * 100.0
            ),
            input: KeptInput::Pixels(Arc::clone(&things.scored)),
        }))
    }
}

/// Scores a kept picture again.
pub(crate) fn again(png: &[u8]) -> Result<Severity, InputError> {
    let scored = Pixels::from_png(png, boxes::SIDE / 2 * 3)?;
    if scored.width() != boxes::SIDE || scored.height() != boxes::SIDE / 2 * 3 {
        return Err(InputError::NotScored);
    }
    let things = found(&Model::load(ModelFile::Things)?, scored)?;
    Ok(score(things.phone))
}

fn score(thing: Thing) -> Severity {
    Severity::clamped(f64::from(thing.confidence))
}

fn found(model: &Model, scored: Pixels) -> Result<Things, ModelError> {
    Ok(Things {
        phone: boxes::surest(model, &scored, boxes::PHONE)?,
        scored: Arc::new(scored),
    })
}

/// The square of head, shoulders and hands: four faces high, and never beyond the picture's
/// longer side.
fn around(Seen { picture, faces }: Seen<'_>) -> Placement {
    let (width, height) = picture.size();
    let whole = width.max(height);
    let middle = Point {
        x: width / 2.0,
        y: height / 2.0,
    };
    let upright = Point { x: 1.0, y: 0.0 };
    let Some(face) = faces.main() else {
        return Placement::around(middle, whole, upright, boxes::SIDE);
    };
    let extent = (face.height * height * BODY_FACES).clamp(whole / CLOSEST, whole);
    let body = body_of(face);
    let centre = Point {
        x: held(body.x * width, extent, width),
        y: held(body.y * height, extent, height),
    };
    Placement::around(centre, extent, upright, boxes::SIDE)
}

/// Below the face: where hands are.
fn body_of(face: &Face) -> Point {
    let face_middle = face.centre();
    Point {
        x: face_middle.x,
        y: face_middle.y + BODY_BELOW * face.height,
    }
}

/// Moves a stretch so that it leaves the picture as little as it can.
fn held(middle: f32, extent: f32, side: f32) -> f32 {
    if extent >= side {
        side / 2.0
    } else {
        middle.clamp(extent / 2.0, side - extent / 2.0)
    }
}

/// How many faces high the square is.
const BODY_FACES: f32 = 4.0;
/// How many face heights below the face's middle it lies.
const BODY_BELOW: f32 = 0.8;
/// A small face far away is not looked at closer than this part of the picture.
const CLOSEST: f32 = 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_square_stays_within_the_picture_where_it_fits() {
        for (middle, extent, side, meant) in [
            (10.0, 100.0, 640.0, 50.0),
            (630.0, 100.0, 640.0, 590.0),
            (300.0, 100.0, 640.0, 300.0),
            (10.0, 640.0, 480.0, 240.0),
        ] {
            let found: f32 = held(middle, extent, side);
            assert!((found - meant).abs() < f32::EPSILON, "{found}");
        }
    }

    #[test]
    fn a_kept_picture_of_another_shape_is_not_scored() {
        let other = Pixels::new(8, 12, crate::pixels::Channels::Grey, vec![0; 96]).expect("whole");
        let png = other.png().expect("a PNG");
        assert!(matches!(again(&png), Err(InputError::NotScored)));
    }
}
