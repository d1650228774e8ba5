//! Whose voice: CAM++ embeddings.
//!
//! A voice is compared, never recognised: nothing here holds the voices of others, and no word is
//! transcribed.

use super::fbank::{BINS, FilterBank};
use crate::model::{Model, ModelError, ModelFile, NamedInput};

/// Numbers of an embedding.
pub const VOICE_NUMBERS: usize = 192;

/// A voice in one piece of speech: a direction of length one.
#[derive(Debug, Clone, PartialEq)]
pub struct VoiceEmbedding(pub(super) Vec<f32>);

impl VoiceEmbedding {
    /// Makes an embedding of numbers by bringing their length to one; `None` where they are not
    /// [`VOICE_NUMBERS`] finite numbers with a direction.
    #[must_use]
    pub fn new(mut numbers: Vec<f32>) -> Option<Self> {
        let length = numbers.iter().map(|n| n * n).sum::<f32>().sqrt();
        if numbers.len() != VOICE_NUMBERS || !length.is_finite() || length <= 0.0 {
            return None;
        }
        for number in &mut numbers {
            *number /= length;
        }
        Some(Self(numbers))
    }

    /// Returns how alike two voices are: the cosine, -1.0 to 1.0.
    #[must_use]
    pub fn likeness(&self, other: &Self) -> f32 {
        self.0
            .iter()
            .zip(&other.0)
            .map(|(one, two)| one * two)
            .sum()
    }

    /// Returns the numbers.
    #[must_use]
    pub fn numbers(&self) -> &[f32] {
        &self.0
    }
}

/// Tells voices.
#[derive(Debug)]
pub struct Speaker {
    model: Model,
    bank: FilterBank,
}

impl Speaker {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            model: Model::load(ModelFile::Voice)?,
            bank: FilterBank::default(),
        })
    }

    /// Returns the voice of mono speech at 16 kHz; 1.5 s or more tell it well, 1 s with care. About
    /// 20 ms of work a second of sound.
    ///
    /// # Errors
    /// Where the model cannot be run, as for less than one frame of 25 ms.
    pub fn embed(&self, samples: &[i16]) -> Result<VoiceEmbedding, ModelError> {
        let features = self.bank.features(samples);
        let shape = [1, features.len() / BINS, BINS];
        let inputs = [NamedInput::real("feats", &shape, &features)];
        let outputs = self.model.run(&inputs, &["emb"])?;
        let numbers = outputs.into_iter().next().map(|output| output.values);
        numbers
            .and_then(VoiceEmbedding::new)
            .ok_or_else(|| ModelError::Output {
                file: self.model.file().name(),
                output: "emb".to_owned(),
            })
    }
}

/// How a piece of speech stands to the speech around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Manner {
    /// Speech as it came.
    Clear,
    /// The frames between louder ones, gathered.
    Soft,
}
