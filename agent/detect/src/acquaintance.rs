//! Getting to know the candidate: from the looks of check-in, and the photo on file, to what
//! [`Impersonation`] and [`LookingAway`] expect.
//!
//! # Invariants
//! * Only pictures with exactly one person count: nobody is mistaken for the candidate while a
//!   proctor or a parent stands beside.
//! * What was learnt is small, personal and never printed; whoever keeps it seals it.

use qorgan_protocol::incident::Severity;

use crate::attention::{Attention, AttentionBaseline, AttentionReader, LookingAway};
use crate::faces::{FaceFinder, Seen};
use crate::identity::{FaceNumbers, FaceTemplate, Impersonation, Recogniser};
use crate::model::ModelError;
use crate::picture::Picture;
use crate::{DetectError, Detector, InputError};

/// Learns whose face and which bearing to expect.
#[derive(Debug)]
pub struct Acquaintance {
    recogniser: Recogniser,
    reader: AttentionReader,
    photo: Vec<FaceNumbers>,
    faces: Vec<FaceNumbers>,
    looks: Vec<Attention>,
}

/// A candidate who is known.
#[derive(Clone, PartialEq)]
pub struct Known {
    template: FaceTemplate,
    baseline: AttentionBaseline,
}

/// What was learnt of a face is personal: it is never printed.
impl core::fmt::Debug for Known {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("‹private›")
    }
}

impl Acquaintance {
    /// Begins with nothing.
    ///
    /// # Errors
    /// As [`crate::Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            recogniser: Recogniser::load()?,
            reader: AttentionReader::load()?,
            photo: Vec::new(),
            faces: Vec::new(),
            looks: Vec::new(),
        })
    }

    /// Takes the photo on file; tells whether exactly one face is in it that can be compared.
    ///
    /// # Errors
    /// `Model` where a model refuses the picture.
    pub fn photo(&mut self, finder: &FaceFinder, photo: Picture<'_>) -> Result<bool, DetectError> {
        let faces = finder.find(photo)?;
        let Some(face) = faces.only() else {
            return Ok(false);
        };
        let numbers = self.recogniser.numbers(photo, face)?;
        self.photo = numbers.into_iter().collect();
        Ok(!self.photo.is_empty())
    }

    /// Takes a look; returns the candidate once there are enough.
    ///
    /// # Errors
    /// `Model` where a model refuses the picture.
    pub fn look(&mut self, seen: Seen<'_>) -> Result<Option<Known>, DetectError> {
        let Some(face) = seen.faces.only() else {
            return Ok(None);
        };
        let numbers = self.recogniser.numbers(seen.picture, face)?;
        let look = self.reader.read(seen.picture, face)?;
        let (Some(numbers), Some(look)) = (numbers, look) else {
            return Ok(None);
        };
        self.faces.push(numbers);
        self.looks.push(look);
        if self.faces.len() < LOOKS {
            return Ok(None);
        }
        let template = FaceTemplate::new(
            core::mem::take(&mut self.photo),
            core::mem::take(&mut self.faces),
        );
        let baseline = AttentionBaseline::of(&core::mem::take(&mut self.looks));
        Ok(template
            .zip(baseline)
            .map(|(template, baseline)| Known { template, baseline }))
    }
}

impl Known {
    /// Returns how sure it is that another person checked in than the photo on file shows, `None`
    /// without a photo.
    #[must_use]
    pub fn check_in_score(&self) -> Option<Severity> {
        self.template.check_in_score()
    }

    /// Returns the detectors that expect this candidate; the moments of looking at the face follow
    /// from `seed`.
    ///
    /// # Errors
    /// As [`crate::Model::load`].
    pub fn detectors(&self, seed: u64) -> Result<Vec<Box<dyn Detector>>, ModelError> {
        let face = Impersonation::new(Recogniser::load()?, self.template.clone(), seed);
        let bearing = LookingAway::new(AttentionReader::load()?, self.baseline);
        Ok(vec![Box::new(face), Box::new(bearing)])
    }

    /// Returns it as bytes, to be sealed and kept.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.baseline.to_row();
        bytes.extend(self.template.to_bytes());
        bytes
    }

    /// Reads what was kept.
    ///
    /// # Errors
    /// `NotScored` where the bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, InputError> {
        let row = bytes.len().min(crate::attention::BASELINE_BYTES);
        let (baseline, template) = bytes.split_at(row);
        Ok(Self {
            baseline: AttentionBaseline::from_row(baseline).ok_or(InputError::NotScored)?,
            template: FaceTemplate::from_bytes(template)?,
        })
    }
}

/// Looks that make an acquaintance: one a second, so about as long as the identity screen is read.
const LOOKS: usize = 8;
