//! Who sits there: a face in 128 numbers, held against those of the photo and of check-in.
//!
//! A face is turned and scaled so that eyes and mouth come to lie where the model expects them on
//! 150 pixels; alignment decides more than anything else (a loose crop errs in one of ten). Two
//! pictures are of one person where their numbers lie near each other. How near is calibrated to
//! the candidate: the pictures of check-in say how much this face differs from itself.
//!
//! # Invariants
//! * Numbers are rounded to 16 bits when they are made, so that a template that was stored and
//!   read back gives the same score to the bit.
//! * What is kept is the aligned face with the template's numbers in the rows below it: the whole
//!   of what was scored.

mod template;

pub use template::{FaceNumbers, FaceTemplate, REFERENCES_MAX};

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::chance::Chance;
use crate::faces::{Face, Seen};
use crate::model::{Model, ModelError, ModelFile, NamedInput};
use crate::numbers::real;
use crate::picture::{Picture, Placement, Point};
use crate::pixels::{Channels, Pixels};
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

use template::{ROW_BYTES, ROWS_MAX};

pub(crate) const NAME: &str = "impersonation/2";

/// Turns faces into numbers.
#[derive(Debug)]
pub struct Recogniser {
    model: Model,
}

impl Recogniser {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        let model = Model::load(ModelFile::Identity)?;
        Ok(Self { model })
    }

    /// Returns a face's numbers, or `None` where the face is too small or too far turned away to
    /// say whose it is.
    ///
    /// # Errors
    /// `Model` where the model refuses the crop.
    pub fn numbers(
        &self,
        picture: Picture<'_>,
        face: &Face,
    ) -> Result<Option<FaceNumbers>, DetectError> {
        let Some(placement) = placed(picture.size(), face) else {
            return Ok(None);
        };
        Ok(self.numbers_of(&picture.cut(&placement, SIDE)?)?)
    }

    fn numbers_of(&self, crop: &Pixels) -> Result<Option<FaceNumbers>, ModelError> {
        let values = crop.planes(|plane, byte| {
            let mean = MEANS.get(plane).copied().unwrap_or_default();
            (f32::from(byte) - mean) / 256.0
        });
        let side = usize::from(SIDE);
        let shape = [1, 3, side, side];
        let input = NamedInput::real("input", &shape, &values);
        let found = self.model.run(&[input], &["emb"])?;
        Ok(found
            .first()
            .and_then(|found| FaceNumbers::of(&found.values)))
    }
}

/// Looks, at moments that nobody can foresee, whether another person took the seat; where it
/// seems so, it looks again with every picture until it is sure.
#[derive(Debug)]
pub struct Impersonation {
    recogniser: Recogniser,
    template: FaceTemplate,
    chance: Chance,
    next: Option<Now>,
}

impl Impersonation {
    /// Expects the face of `template`; the moments follow from `seed`.
    #[must_use]
    pub const fn new(recogniser: Recogniser, template: FaceTemplate, seed: u64) -> Self {
        Self {
            recogniser,
            template,
            chance: Chance::new(seed),
            next: None,
        }
    }

    fn score(&self, seen: Seen<'_>) -> Result<Option<Scored>, DetectError> {
        let Some(face) = seen.faces.main() else {
            return Ok(None);
        };
        let Some(placement) = placed(seen.picture.size(), face) else {
            return Ok(None);
        };
        let crop = seen.picture.cut(&placement, SIDE)?;
        let Some(numbers) = self.recogniser.numbers_of(&crop)? else {
            return Ok(None);
        };
        Ok(Some(Scored {
            score: self.template.score(&numbers),
            detail: format!(
                "distance {:.2}, another person from {:.2}",
                self.template.distance(&numbers),
                self.template.limit()
            ),
            input: KeptInput::Pixels(Arc::new(with_template(&crop, &self.template)?)),
        }))
    }
}

impl Detector for Impersonation {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::Impersonation
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.5)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_secs(3),
            end_after: Duration::ZERO,
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Faces(seen) = input else {
            return Ok(None);
        };
        if self.next.is_some_and(|next| now < next) {
            return Ok(None);
        }
        let Some(scored) = self.score(seen)? else {
            return Ok(None);
        };
        self.next = if scored.score >= self.threshold() {
            None
        } else {
            Some(now + self.chance.between(GAP_MIN, GAP_MAX))
        };
        Ok(Some(scored))
    }
}

/// Scores a kept face with its template again.
pub(crate) fn again(png: &[u8]) -> Result<Severity, InputError> {
    let kept = Pixels::from_png(png, SIDE + ROWS_MAX)?;
    let face_bytes = usize::from(SIDE) * ROW_BYTES;
    let (Some((face, template)), SIDE) = (kept.bytes().split_at_checked(face_bytes), kept.width())
    else {
        return Err(InputError::NotScored);
    };
    let template = FaceTemplate::from_bytes(template)?;
    let crop = Pixels::new(SIDE, SIDE, Channels::Rgb, face.to_vec())?;
    let numbers = Recogniser::load()?.numbers_of(&crop)?;
    numbers
        .map(|numbers| template.score(&numbers))
        .ok_or(InputError::NotScored)
}

fn with_template(crop: &Pixels, template: &FaceTemplate) -> Result<Pixels, InputError> {
    let mut bytes = crop.bytes().to_vec();
    bytes.extend(template.to_bytes());
    let rows = u16::try_from(bytes.len() / ROW_BYTES).map_err(|_many| InputError::NotScored)?;
    Pixels::new(SIDE, rows, Channels::Rgb, bytes)
}

/// Where the aligned crop lies: the turn, scale and place that bring eyes and corners of the mouth
/// nearest to where the model expects them. `None` for a face that is too small, or that is turned
/// so far that it does not fit.
fn placed((width, height): (f32, f32), face: &Face) -> Option<Placement> {
    let [one, other, _nose, left, right] = face.points.map(|point| Point {
        x: point.x * width,
        y: point.y * height,
    });
    let found = [one, other, left, right];
    let placement = fitted(&EXPECTED, &found);
    let scale = placement.right.x.hypot(placement.right.y);
    let apart = (other.x - one.x).hypot(other.y - one.y);
    let squares = EXPECTED.iter().zip(&found).map(|(expected, found)| {
        let placed = placement.place(*expected);
        (placed.x - found.x).powi(2) + (placed.y - found.y).powi(2)
    });
    let error = (squares.sum::<f32>() / real(found.len())).sqrt() / scale.max(f32::EPSILON);
    (apart >= EYES_APART_MIN && error <= FIT_ERROR_MAX).then_some(placement)
}

/// The similarity that brings `from` nearest to `to`, by least squares.
fn fitted(from: &[Point; 4], to: &[Point; 4]) -> Placement {
    let middle = |points: &[Point; 4]| Point {
        x: points.iter().map(|point| point.x).sum::<f32>() / 4.0,
        y: points.iter().map(|point| point.y).sum::<f32>() / 4.0,
    };
    let (from_middle, to_middle) = (middle(from), middle(to));
    let (mut along, mut across, mut squares) = (0.0, 0.0, 0.0);
    for (from, to) in from.iter().zip(to) {
        let (fx, fy) = (from.x - from_middle.x, from.y - from_middle.y);
        let (tx, ty) = (to.x - to_middle.x, to.y - to_middle.y);
        along += fx * tx + fy * ty;
        across += fx * ty - fy * tx;
        squares += fx * fx + fy * fy;
    }
    let right = Point {
        x: along / squares,
        y: across / squares,
    };
    let turned = Placement {
        origin: Point::default(),
        right,
    }
    .place(from_middle);
    Placement {
        origin: Point {
            x: to_middle.x - turned.x,
            y: to_middle.y - turned.y,
        },
        right,
    }
}

/// Pixels a side of an aligned face.
const SIDE: u16 = 150;
/// Eyes and corners of the mouth on those pixels.
const EXPECTED: [Point; 4] = [
    Point { x: 47.7, y: 47.1 },
    Point { x: 100.3, y: 47.1 },
    Point { x: 50.7, y: 103.0 },
    Point { x: 97.6, y: 103.0 },
];
/// The mean colour that the model was trained to take away.
const MEANS: [f32; 3] = [122.782, 117.001, 104.298];
/// Below this distance of the eyes, in pixels, a face has too little detail.
const EYES_APART_MIN: f32 = 24.0;
/// How badly the four points may fit, in pixels of the aligned face.
const FIT_ERROR_MAX: f32 = 12.0;
const GAP_MIN: Duration = Duration::from_secs(5);
const GAP_MAX: Duration = Duration::from_secs(20);
