//! From samples to voices, once for every detector that asks about voices.
//!
//! # Invariants
//! * One call runs the speaker model at most once, however much speech waits.
//! * No second of sound stays longer than [`RECENT_FRAMES`]; what is held is bounded.
//! * Voices before enrolment are never compared with the print.

use core::ops::Range;
use std::collections::VecDeque;
use std::sync::Arc;

use super::floor::{Floor, level_db};
use super::kept::KeptPiece;
use super::phrases::{Phrases, Piece};
use super::print::{PrintError, VoicePrint};
use super::resample::Decimator;
use super::speaker::{Manner, Speaker, VoiceEmbedding};
use super::speech::{SPEECH_FRAME_SAMPLES, VoiceActivity};
use super::undertone::Undertone;
use super::voiced::voiced_share;
use crate::{DetectError, ModelError};

/// What was heard in the last minute, lent to detectors as [`crate::Input::Voices`].
#[derive(Debug, Default)]
pub struct Voices {
    pub(super) print: Option<Arc<VoicePrint>>,
    /// The pieces, oldest first.
    pub(super) pieces: VecDeque<VoicePiece>,
    /// What each frame of the last minute was, oldest first.
    pub(super) minute: VecDeque<Sound>,
    /// Frames heard since the beginning.
    pub(super) frames: u64,
}

/// What a frame of 32 ms is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sound {
    /// No speech.
    Silence,
    /// Speech, not known to be another's.
    Speech,
    /// Another's speech.
    Other,
}

/// A piece of speech with its voice.
#[derive(Debug, Clone)]
pub(super) struct VoicePiece {
    pub(super) manner: Manner,
    pub(super) samples: Arc<[i16]>,
    pub(super) voice: VoiceEmbedding,
    /// The share of its frames that have a voice; `None` where noise may hide it.
    pub(super) voiced: Option<f32>,
    pub(super) ended: u64,
}

impl VoicePiece {
    pub(super) fn kept(&self) -> KeptPiece {
        KeptPiece {
            manner: self.manner,
            samples: Arc::clone(&self.samples),
        }
    }
}

impl Voices {
    /// Tells whether a voice is enrolled, so that another can be told from it.
    #[must_use]
    pub const fn is_enrolled(&self) -> bool {
        self.print.is_some()
    }

    /// Returns the share of the last minute in which somebody spoke, 0.0 to 1.0.
    #[must_use]
    pub fn speech_share(&self) -> f64 {
        let speech = self.minute.iter().map(|sound| match sound {
            Sound::Silence => 0.0,
            Sound::Speech | Sound::Other => 1.0,
        });
        speech.sum::<f64>() / MINUTE_LENGTH
    }

    /// Returns the pieces of the last twenty seconds.
    pub(super) fn recent(&self) -> impl Iterator<Item = &VoicePiece> {
        let pieces = self.pieces.iter();
        pieces.filter(|piece| self.frames.saturating_sub(piece.ended) <= TOGETHER_FRAMES)
    }

    fn forget_old(&mut self) {
        while self.minute.len() > MINUTE_FRAMES {
            self.minute.pop_front();
        }
        while self.pieces.len() > PIECES_MAX
            || self
                .pieces
                .front()
                .is_some_and(|piece| self.frames.saturating_sub(piece.ended) > RECENT_FRAMES)
        {
            self.pieces.pop_front();
        }
    }

    /// Marks frames as another's speech.
    fn mark(&mut self, heard: &[Range<u64>]) {
        let first = self.frames.saturating_sub(length(&self.minute));
        for (frame, sound) in (first..self.frames).zip(&mut self.minute) {
            if *sound == Sound::Speech && heard.iter().any(|range| range.contains(&frame)) {
                *sound = Sound::Other;
            }
        }
    }
}

/// Hears: resamples, finds speech, gathers it into pieces and embeds them.
#[derive(Debug)]
pub struct Listener {
    decimator: Decimator,
    activity: VoiceActivity,
    speaker: Speaker,
    /// 16 kHz, less than a frame between calls.
    sound: Vec<i16>,
    phrases: Phrases,
    undertone: Undertone,
    floor: Floor,
    waiting: VecDeque<(Manner, Piece)>,
    reading: Option<Reading>,
    voices: Voices,
    reported: u64,
}

/// What was read aloud for enrolment.
#[derive(Debug, Default)]
struct Reading {
    clear: Vec<VoiceEmbedding>,
    soft: Vec<VoiceEmbedding>,
}

impl Listener {
    /// Loads the models: 9.4 MB in the program, and about as much again in memory.
    ///
    /// # Errors
    /// As [`crate::Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self {
            decimator: Decimator::default(),
            activity: VoiceActivity::load()?,
            speaker: Speaker::load()?,
            sound: Vec::new(),
            phrases: Phrases::default(),
            undertone: Undertone::default(),
            floor: Floor::default(),
            waiting: VecDeque::new(),
            reading: None,
            voices: Voices::default(),
            reported: 0,
        })
    }

    /// Takes mono samples at 48 kHz; returns, once a second, what was heard.
    ///
    /// # Errors
    /// `Model` where a model cannot be run; the sound of this call is lost to the voices then.
    pub fn hear(&mut self, samples: &[i16]) -> Result<Option<&Voices>, DetectError> {
        self.decimator.push(samples, &mut self.sound);
        let sound = core::mem::take(&mut self.sound);
        let (frames, rest) = sound.as_chunks::<SPEECH_FRAME_SAMPLES>();
        self.sound.extend_from_slice(rest);
        for frame in frames {
            self.frame(frame)?;
        }
        self.embed_one()?;
        self.voices.forget_old();
        if self.voices.frames.saturating_sub(self.reported) < REPORT_FRAMES {
            return Ok(None);
        }
        self.reported = self.voices.frames;
        Ok(Some(&self.voices))
    }

    /// Begins to gather what is read aloud for enrolment; what was gathered before is forgotten.
    pub fn begin_reading(&mut self) {
        self.reading = Some(Reading::default());
    }

    /// Returns how many pieces of 1.5 s were read aloud since [`Self::begin_reading`].
    #[must_use]
    pub fn read_pieces(&self) -> usize {
        self.reading.as_ref().map_or(0, |read| read.clear.len())
    }

    /// Makes the print of what was read aloud, and compares voices with it from here on. Where it
    /// fails, the reading goes on.
    ///
    /// # Errors
    /// As [`VoicePrint::enrol`].
    pub fn end_reading(&mut self) -> Result<Arc<VoicePrint>, PrintError> {
        let print = match &self.reading {
            Some(read) => VoicePrint::enrol(&read.clear, &read.soft)?,
            None => VoicePrint::enrol(&[], &[])?,
        };
        let print = Arc::new(print);
        self.compare_with(Arc::clone(&print));
        Ok(print)
    }

    /// Compares voices from here on with a print that was made before.
    pub fn compare_with(&mut self, print: Arc<VoicePrint>) {
        self.reading = None;
        self.voices.print = Some(print);
        self.voices.pieces.clear();
        self.waiting.clear();
        self.phrases = Phrases::default();
        self.undertone = Undertone::default();
    }

    fn frame(&mut self, frame: &[i16; SPEECH_FRAME_SAMPLES]) -> Result<(), ModelError> {
        let probability = self.activity.probability(frame)?;
        let index = self.voices.frames;
        self.voices.frames += 1;
        self.voices.minute.push_back(if probability >= SPEECH {
            Sound::Speech
        } else {
            Sound::Silence
        });
        self.floor.see(frame, probability >= SPEECH);
        let clear = self.phrases.push(index, probability, frame);
        let soft = self.undertone.push(index, probability, frame);
        let pieces = clear.map(|piece| (Manner::Clear, piece)).into_iter();
        for (manner, piece) in pieces.chain(soft.map(|piece| (Manner::Soft, piece))) {
            let above = level_db(&piece.samples) - self.floor.level_db();
            if piece.probability >= CERTAIN_SPEECH && above >= ABOVE_ROOM_DB {
                self.waiting.push_back((manner, piece));
            }
        }
        while self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front(); // full: the oldest is not told
        }
        Ok(())
    }

    fn embed_one(&mut self) -> Result<(), ModelError> {
        let Some((manner, piece)) = self.waiting.pop_front() else {
            return Ok(());
        };
        let voice = self.speaker.embed(&piece.samples)?;
        if let Some(reading) = &mut self.reading {
            reading.add(manner, &voice);
        }
        let print = self.voices.print.as_ref();
        let is_other =
            print.is_some_and(|print| print.likeness(manner, &voice) < print.other_below());
        if is_other {
            self.voices.mark(&piece.heard);
        }
        let above = level_db(&piece.samples) - self.floor.level_db();
        let voiced = (manner == Manner::Clear && above >= ABOVE_NOISE_DB)
            .then(|| voiced_share(&piece.samples));
        self.voices.pieces.push_back(VoicePiece {
            voiced,
            manner,
            samples: piece.samples.into(),
            voice,
            ended: piece.ended,
        });
        Ok(())
    }
}

impl Reading {
    fn add(&mut self, manner: Manner, voice: &VoiceEmbedding) {
        let pieces = match manner {
            Manner::Clear => &mut self.clear,
            Manner::Soft => &mut self.soft,
        };
        if pieces.len() < READ_PIECES_MAX {
            pieces.push(voice.clone()); // full: a minute was read, which is enough
        }
    }
}

fn length(minute: &VecDeque<Sound>) -> u64 {
    u64::try_from(minute.len()).unwrap_or(u64::MAX)
}

const SPEECH: f32 = 0.5;
/// A piece of speech is 0.9 and more on average; music that passes for speech rarely is.
const CERTAIN_SPEECH: f64 = 0.8;
/// Speech that is hardly louder than the room has the room's voice, which is like nobody's: what lies
/// between words in a room at -15 dB is 0 to 8 dB above it, another voice in a quiet one 12 and more.
const ABOVE_ROOM_DB: f64 = 8.0;
/// One second.
const REPORT_FRAMES: u64 = 31;
/// A minute.
pub(super) const MINUTE_FRAMES: usize = 1_875;
pub(super) const MINUTE_LENGTH: f64 = 1_875.0;
/// Twenty seconds.
const TOGETHER_FRAMES: u64 = 625;
/// Noise 10 dB below a voice hides its pitch in half of the frames.
const ABOVE_NOISE_DB: f64 = 12.0;
const RECENT_FRAMES: u64 = 1_875;
/// A minute of speech without pause, clear and soft.
const PIECES_MAX: usize = 64;
const WAITING_MAX: usize = 8;
const READ_PIECES_MAX: usize = 40;
