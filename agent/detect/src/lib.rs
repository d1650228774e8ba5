//! Detectors: pictures and sound in, scores out; pure compute.
//!
//! # Invariants
//! * A score is a pure function of the scored input alone, so that [`replay`] gives the same score
//!   on what was kept with an incident (decision 12).
//! * A detector says its name with its version; a change of the score's meaning raises it.
//! * When a score counts, how long it must hold and what is said about it is decided outside.

mod acquaintance;
mod attention;
mod chance;
mod covered;
mod faces;
mod frozen;
mod identity;
mod input;
mod liveness;
mod model;
mod muted;
mod numbers;
mod overlay;
mod picture;
mod pixels;
mod rest;
mod things;
mod voices;

pub use acquaintance::{Acquaintance, Known};
pub use attention::{Attention, AttentionBaseline, AttentionReader, LOOKS_MIN, LookingAway};
pub use chance::Chance;
pub use covered::CoveredCamera;
pub use faces::{Cadence, Face, FaceFinder, Faces, LOOK_EVERY, NobodyInView, SecondFace, Seen};
pub use frozen::FrozenCamera;
pub use identity::{FaceNumbers, FaceTemplate, Impersonation, REFERENCES_MAX, Recogniser};
pub use input::{InputError, Luma, SMALL_HEIGHT, SMALL_WIDTH, Small};
pub use liveness::{
    HeadReader, LIGHT_NOT_FOLLOWED, LIVENESS_THRESHOLD, LightAnswer, LitLook, Shade, TURN_DEGREES,
    TURN_NOT_FOLLOWED, light_score, turn_score, turned,
};
pub use model::{Model, ModelError, ModelFile, NamedInput, Tensor, Values};
pub use muted::{MutedMicrophone, level_percent};
pub use overlay::OverExam;
pub use picture::{Picture, Point};
pub use things::{PhoneInView, THINGS_EVERY, ThingFinder, Things};
pub use voices::{
    AnotherVoice, BINS, Decimator, FRAME_SAMPLES, FilterBank, Listener, Manner, PRINT_BYTES,
    PRINT_PIECES_MIN, PrintError, SHIFT_SAMPLES, SPEECH_FRAME_SAMPLES, SeveralVoices, Speaker,
    Talking, VOICE_NUMBERS, VoiceActivity, VoiceEmbedding, VoicePrint, Voices, Whisper,
};

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::local::DrawnScreen;
use qorgan_protocol::time::Now;

/// Says why something was not looked at.
#[derive(Debug, thiserror::Error)]
pub enum DetectError {
    /// The input is none that can be looked at.
    #[error("the input cannot be looked at")]
    Input(#[from] InputError),
    /// The model gave no result.
    #[error("the model gave no result")]
    Model(#[from] ModelError),
}

/// What a detector is given.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A camera's picture, as captured.
    Picture(Picture<'a>),
    /// The faces that a [`FaceFinder`] found in a picture.
    Faces(Seen<'a>),
    /// The things that a [`ThingFinder`] found in a picture.
    Things(&'a Things),
    /// Mono samples at 48 kHz, as captured.
    Sound(&'a [i16]),
    /// What a [`Listener`] heard in the last minute.
    Voices(&'a Voices),
    /// A display beside what the kiosk drew on it.
    Screen {
        /// What the kiosk drew.
        drawn: &'a DrawnScreen,
        /// What the display shows.
        shown: &'a DrawnScreen,
    },
}

/// One score with what was scored.
#[derive(Debug, Clone, PartialEq)]
pub struct Scored {
    /// The score.
    pub score: Severity,
    /// Facts in few words.
    pub detail: String,
    input: KeptInput,
}

/// What was scored, encoded only when somebody asks.
#[derive(Debug, Clone, PartialEq)]
enum KeptInput {
    Pictures(Vec<Small>),
    Pixels(Arc<pixels::Pixels>),
    Samples(Vec<i16>),
    Voices(voices::KeptVoices),
    Minute(Vec<voices::Sound>),
    Light(liveness::KeptLight),
    Turn(liveness::KeptTurn),
}

impl Scored {
    /// Returns the exact input that was scored: a PNG, 16-bit little-endian PCM at 48 kHz, pieces of
    /// speech with the voice that they were compared with, what each frame of a minute was, or the
    /// numbers of the looks that a living face was asked for.
    ///
    /// # Errors
    /// Where the PNG cannot be written.
    pub fn input(&self) -> Result<Vec<u8>, InputError> {
        match &self.input {
            KeptInput::Pictures(pictures) => input::png_of(pictures),
            KeptInput::Pixels(pixels) => pixels.png(),
            KeptInput::Samples(samples) => Ok(input::pcm_of(samples)),
            KeptInput::Voices(voices) => Ok(voices.to_bytes()),
            KeptInput::Minute(minute) => Ok(voices::minute_bytes(minute)),
            KeptInput::Light(light) => Ok(light.to_bytes()),
            KeptInput::Turn(turn) => Ok(turn.to_bytes()),
        }
    }
}

/// How long a score must count before something is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Until it is said to have begun.
    pub begin_after: Duration,
    /// Until it is said to have ended.
    pub end_after: Duration,
}

/// Scores pictures or sound.
pub trait Detector: core::fmt::Debug + Send {
    /// Returns its name and version, such as `covered-camera/1`.
    fn name(&self) -> &'static str;
    /// Returns what it looks for.
    fn kind(&self) -> IncidentKind;
    /// Returns the score from which it counts.
    fn threshold(&self) -> Severity;
    /// Returns how long the score must count.
    fn patience(&self) -> Patience;
    /// Takes one input; returns a score when it has one.
    ///
    /// # Errors
    /// Where it cannot look: what it looks for may be there, and nobody sees it.
    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError>;
}

/// Scores a kept input again.
///
/// # Errors
/// Where the detector is unknown in this version or the input is none of its.
pub fn replay(detector: &str, input: &[u8]) -> Result<Severity, InputError> {
    match detector {
        covered::NAME => {
            let pictures = input::pictures_of(input, 1)?;
            Ok(pictures
                .first()
                .map_or(Severity::clamped(0.0), covered::score))
        }
        frozen::NAME => {
            let pictures = input::pictures_of(input, 2)?;
            match pictures.as_slice() {
                [before, after] => Ok(frozen::score(before, after)),
                [] | [_] | [_, _, ..] => Err(InputError::NotScored),
            }
        }
        faces::NOBODY => Ok(faces::nobody_score(&faces::again(input)?)),
        faces::SECOND => Ok(faces::second_score(faces::again(input)?.all())),
        identity::NAME => identity::again(input),
        attention::NAME => attention::again(input),
        things::PHONE => things::again(input),
        overlay::NAME => overlay::again(input),
        muted::NAME => Ok(muted::score(&input::samples_of(input)?)),
        LIGHT_NOT_FOLLOWED => liveness::light_again(input),
        TURN_NOT_FOLLOWED => liveness::turn_again(input),
        voices::ANOTHER => voices::another_again(input),
        voices::SEVERAL => voices::several_again(input),
        voices::WHISPER => voices::whisper_again(input),
        voices::TALKING => voices::talking_again(input),
        _ => Err(InputError::UnknownDetector {
            name: detector.to_owned(),
        }),
    }
}

/// Returns the models that a detector's score rests on, in the order in which they run; none for
/// plain arithmetic or a name that is not known.
#[must_use]
pub fn models_of(detector: &str) -> &'static [ModelFile] {
    match detector {
        faces::NOBODY | faces::SECOND | LIGHT_NOT_FOLLOWED => &[ModelFile::Faces],
        identity::NAME | PHOTO_ON_FILE => &[ModelFile::Faces, ModelFile::Identity],
        attention::NAME => &[ModelFile::Faces, ModelFile::Mesh, ModelFile::Iris],
        TURN_NOT_FOLLOWED => &[ModelFile::Faces, ModelFile::Mesh],
        things::PHONE => &[ModelFile::Things],
        voices::ANOTHER | voices::SEVERAL => &[ModelFile::Speech, ModelFile::Voice],
        voices::WHISPER | voices::TALKING => &[ModelFile::Speech],
        _ => &[],
    }
}

/// Compares the faces of check-in with the photo on file.
pub const PHOTO_ON_FILE: &str = "photo-on-file/1";

/// Returns the detectors of a camera; those of faces need [`Input::Faces`] of a [`FaceFinder`], the
/// one of phones [`Input::Things`] of a [`ThingFinder`].
#[must_use]
pub fn camera_detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(CoveredCamera::default()),
        Box::new(FrozenCamera::default()),
        Box::new(NobodyInView),
        Box::new(SecondFace),
        Box::new(PhoneInView),
    ]
}

/// Returns the detectors of a microphone; those of voices need [`Input::Voices`] of a [`Listener`].
#[must_use]
pub fn microphone_detectors() -> Vec<Box<dyn Detector>> {
    vec![
        Box::new(MutedMicrophone::default()),
        Box::new(AnotherVoice),
        Box::new(SeveralVoices),
        Box::new(Talking),
        Box::new(Whisper),
    ]
}

/// Returns the detectors of a display that the kiosk covers.
#[must_use]
pub fn display_detectors() -> Vec<Box<dyn Detector>> {
    vec![Box::new(OverExam::default())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_detector_names_the_models_that_it_was_measured_with() {
        let names = camera_detectors().into_iter().chain(microphone_detectors());
        let names: Vec<_> = names.map(|detector| detector.name()).collect();
        let learned = names.iter().filter(|name| !models_of(name).is_empty());
        // The rest is plain arithmetic; another person and looking away come once somebody is known.
        assert_eq!(names.len() - learned.count(), 3, "{names:?}");
        // A model that changes raises the version of every detector that rests on it.
        for (name, hashes) in [
            (faces::NOBODY, &["c7d44810"][..]),
            (faces::SECOND, &["c7d44810"]),
            (identity::NAME, &["c7d44810", "ff481503"]),
            (PHOTO_ON_FILE, &["c7d44810", "ff481503"]),
            (attention::NAME, &["c7d44810", "0a7bcc2b", "9da4af37"]),
            (LIGHT_NOT_FOLLOWED, &["c7d44810"]),
            (TURN_NOT_FOLLOWED, &["c7d44810", "0a7bcc2b"]),
            (things::PHONE, &["26f017d7"]),
            (voices::ANOTHER, &["7ed98ddb", "03160b38"]),
            (voices::SEVERAL, &["7ed98ddb", "03160b38"]),
            (voices::WHISPER, &["7ed98ddb"]),
            (voices::TALKING, &["7ed98ddb"]),
            ("nobody-in-view/0", &[]),
        ] {
            let files = models_of(name).iter();
            let begins: Vec<_> = files.map(|file| &file.sha256()[..8]).collect();
            assert_eq!(begins, hashes, "{name}");
        }
    }
}
