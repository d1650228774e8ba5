//! Faces: who is in view, found once for every detector that asks about faces.
//!
//! A [`FaceFinder`] is no detector: it turns pictures into [`Faces`], and detectors of several
//! kinds are given the same ones as [`crate::Input::Faces`]. So the costly pass runs once, a
//! detector of faces stays a pure function without a model, and each keeps its own patience.
//!
//! The finder looks once a second ([`LOOK_EVERY`]) at the picture scaled to 320 pixels. Where that
//! shows anything but one person it looks again at the brightness of up to 640 pixels, which is
//! slower and finds smaller faces, and the second look is the one that counts; while that shows
//! anything but one person, the first is left out.
//!
//! # Invariants
//! * Faces are a pure function of the scored pixels, which are kept as they were given to the
//!   model: 320 pixels in colour, or the larger one in grey, each below 256 KB also where a PNG
//!   cannot shrink it.

mod centres;
mod presence;

pub(crate) use presence::{NOBODY, SECOND, nobody_score, second_score};
pub use presence::{NobodyInView, SecondFace};

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::time::Now;

use crate::model::{Model, ModelError, ModelFile};
use crate::numbers::{real, whole};
use crate::picture::{Picture, Point};
use crate::pixels::{Channels, Pixels};
use crate::{DetectError, InputError};

/// How often the finder looks.
pub const LOOK_EVERY: Duration = Duration::from_millis(950);

/// How often it looks on a machine that cannot carry more.
const LOOK_SELDOM: Duration = Duration::from_millis(1_950);

/// How often it looks while a living face is asked to answer: four times a second, less what a
/// picture may come early.
const LOOK_CLOSE: Duration = Duration::from_millis(230);

/// One face. Places are shares of the picture's width and height, 0 to 1 from the top left.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Face {
    /// How sure the model is, 0 to 1.
    pub confidence: f32,
    /// The left edge.
    pub left: f32,
    /// The top edge.
    pub top: f32,
    /// The width.
    pub width: f32,
    /// The height.
    pub height: f32,
    /// Eye, eye, nose and both corners of the mouth; left ones of the picture first.
    pub points: [Point; 5],
}

impl Face {
    /// Returns the middle.
    #[must_use]
    pub fn centre(&self) -> Point {
        Point {
            x: self.left + self.width / 2.0,
            y: self.top + self.height / 2.0,
        }
    }
}

/// The faces of one picture, the surest first, with the pixels in which they were found.
#[derive(Debug, Clone, PartialEq)]
pub struct Faces {
    faces: Vec<Face>,
    scored: Arc<Pixels>,
}

impl Faces {
    /// Returns the faces, the surest first.
    #[must_use]
    pub fn all(&self) -> &[Face] {
        &self.faces
    }

    /// Returns the candidate's face: the one that weighs most by size, place and sureness.
    #[must_use]
    pub fn main(&self) -> Option<&Face> {
        presence::main_of(&self.faces)
    }

    /// Returns the person in view where there is exactly one.
    #[must_use]
    pub fn only(&self) -> Option<&Face> {
        let alone = second_score(&self.faces).value() < ALONE;
        self.main().filter(|_| alone)
    }

    /// Tells whether there is surely one person, which no second look would change.
    fn is_sure(&self) -> bool {
        self.only()
            .is_some_and(|face| face.confidence >= SURE_CONFIDENCE)
    }

    pub(crate) const fn scored(&self) -> &Arc<Pixels> {
        &self.scored
    }
}

/// Faces together with the picture in which they were found, lent to detectors.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// The picture as captured.
    pub picture: Picture<'a>,
    /// Its faces.
    pub faces: &'a Faces,
}

/// Finds faces, at its own cadence.
#[derive(Debug)]
pub struct FaceFinder {
    model: Model,
    looked: Option<Now>,
    /// Whether the look before needed the slow one: so will this one.
    doubtful: bool,
    cadence: Cadence,
}

/// How much a finder does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cadence {
    /// It looks once a second, and again where that shows anything but one person.
    #[default]
    Full,
    /// It looks once a second, at the small picture alone.
    Quick,
    /// It looks every other second, at the small picture alone.
    Seldom,
    /// It looks about four times a second, at the small picture alone: for seconds only.
    Close,
}

impl Cadence {
    const fn every(self) -> Duration {
        match self {
            Self::Full | Self::Quick => LOOK_EVERY,
            Self::Seldom => LOOK_SELDOM,
            Self::Close => LOOK_CLOSE,
        }
    }
}

impl FaceFinder {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            model: Model::load(ModelFile::Faces)?,
            looked: None,
            doubtful: false,
            cadence: Cadence::default(),
        })
    }

    /// Looks as much as a machine can carry from here on.
    pub const fn pace(&mut self, cadence: Cadence) {
        self.cadence = cadence;
    }

    /// Returns the faces of a picture, or `None` until the next look is due.
    ///
    /// # Errors
    /// `Model` where the model refuses the picture.
    pub fn look(&mut self, now: Now, picture: Picture<'_>) -> Result<Option<Faces>, DetectError> {
        if self
            .looked
            .is_some_and(|looked| now.since(looked) < self.cadence.every())
        {
            return Ok(None);
        }
        self.looked = Some(now);
        let faces = match self.cadence {
            Cadence::Full if self.doubtful => self.slow(picture)?,
            Cadence::Full => self.find(picture)?,
            Cadence::Quick | Cadence::Seldom | Cadence::Close => self.quick(picture)?,
        };
        self.doubtful = !faces.is_sure();
        Ok(Some(faces))
    }

    /// Returns the faces of one picture.
    ///
    /// # Errors
    /// `Model` where the model refuses the picture.
    pub fn find(&self, picture: Picture<'_>) -> Result<Faces, DetectError> {
        let quick = self.quick(picture)?;
        if quick.is_sure() {
            Ok(quick)
        } else {
            self.slow(picture)
        }
    }

    /// Returns the faces at 320 pixels, in colour.
    ///
    /// # Errors
    /// `Model` where the model refuses the picture.
    pub fn quick(&self, picture: Picture<'_>) -> Result<Faces, DetectError> {
        let (width, height) = quick_size(picture.size());
        self.within(picture.scaled(width, height, Channels::Rgb)?)
    }

    /// Returns the faces at up to 640 pixels, in grey.
    ///
    /// # Errors
    /// `Model` where the model refuses the picture.
    pub fn slow(&self, picture: Picture<'_>) -> Result<Faces, DetectError> {
        let (width, height) = slow_size(picture.size());
        self.within(picture.scaled(width, height, Channels::Grey)?)
    }

    fn within(&self, scored: Pixels) -> Result<Faces, DetectError> {
        Ok(found(&self.model, scored)?)
    }
}

/// Finds the faces of a kept picture again.
pub(crate) fn again(png: &[u8]) -> Result<Faces, InputError> {
    let scored = Pixels::from_png(png, SLOW_SIDE)?;
    Ok(found(&Model::load(ModelFile::Faces)?, scored)?)
}

fn found(model: &Model, scored: Pixels) -> Result<Faces, ModelError> {
    Ok(Faces {
        faces: centres::faces_in(model, &scored)?,
        scored: Arc::new(scored),
    })
}

fn quick_size(picture: (f32, f32)) -> (u16, u16) {
    fitted(picture, QUICK_SIDE)
}

/// The largest size of which grey pixels can be kept.
fn slow_size(picture: (f32, f32)) -> (u16, u16) {
    let mut side = SLOW_SIDE;
    loop {
        let (width, height) = fitted(picture, side);
        if u32::from(width) * u32::from(height) <= GREY_BYTES_MAX || side <= QUICK_SIDE {
            return (width, height);
        }
        side -= GRID;
    }
}

/// Scales to a long side of `side`, the other side rounded to the model's grid.
fn fitted((width, height): (f32, f32), side: u16) -> (u16, u16) {
    let short = f32::from(side) * width.min(height) / width.max(height).max(1.0);
    let steps = whole(short / f32::from(GRID) + 0.5, usize::from(side / GRID)).max(1);
    let short = u16::try_from(steps).unwrap_or(1) * GRID;
    if width >= height {
        (side, short)
    } else {
        (short, side)
    }
}

/// The share that `index` of `count` has.
fn share(index: f32, count: usize) -> f32 {
    index / real(count.max(1))
}

/// The model halves the picture five times.
const GRID: u16 = 32;
const QUICK_SIDE: u16 = 320;
const SLOW_SIDE: u16 = 640;
/// 256 KB less what a PNG adds where it cannot shrink.
const GREY_BYTES_MAX: u32 = 260_000;
/// Below this second-face score there is one person, above it a second look is worth its cost.
const ALONE: f64 = 0.2;
/// A face found in the quick look with this sureness needs no second look.
const SURE_CONFIDENCE: f32 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_the_shape_lie_on_the_grid_and_can_be_kept() {
        for (picture, quick, slow) in [
            ((1280.0, 720.0), (320, 192), (640, 352)),
            ((640.0, 480.0), (320, 256), (576, 448)),
            ((720.0, 1280.0), (192, 320), (352, 640)),
        ] {
            assert_eq!(quick_size(picture), quick);
            assert_eq!(slow_size(picture), slow);
        }
        let (width, height) = slow_size((10_000.0, 1.0));
        assert_eq!((width, height), (640, 32));
    }
}
