//! From frames to pieces of speech that are long enough to tell a voice by.
//!
//! # Invariants
//! * A piece holds speech only, between [`PIECE_FRAMES_MIN`] and [`PIECE_FRAMES`] frames.
//! * What is held is bounded: one piece in the making and [`SHORT_MAX`] short phrases.

use core::ops::Range;

use super::floor::level_db;
use super::speech::SPEECH_FRAME_SAMPLES;

/// Frames of a whole piece: 1.5 s.
pub(crate) const PIECE_FRAMES: usize = 47;
/// Frames from which a voice is told with care: 1 s.
pub(crate) const PIECE_FRAMES_MIN: usize = 31;

/// Speech to tell a voice by.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Piece {
    /// Mono sound at 16 kHz.
    pub(crate) samples: Vec<i16>,
    /// Where it was heard, in frames since the beginning.
    pub(crate) heard: Vec<Range<u64>>,
    /// The frame after its last.
    pub(crate) ended: u64,
    /// How likely it is speech, on average.
    pub(crate) probability: f64,
}

/// Gathers speech.
#[derive(Debug, Default)]
pub(crate) struct Phrases {
    phrase: Option<Phrase>,
    /// Frames that may be a pause within the phrase or the silence after it.
    pause: Vec<Frame>,
    short: Vec<Phrase>,
}

#[derive(Debug, Clone)]
struct Frame {
    index: u64,
    probability: f32,
    samples: [i16; SPEECH_FRAME_SAMPLES],
}

/// Frames that follow one another.
#[derive(Debug, Clone)]
struct Phrase {
    first: u64,
    end: u64,
    samples: Vec<i16>,
    probabilities: f64,
}

impl Phrases {
    /// Takes one frame with its place and its probability; returns a piece when one is whole.
    pub(crate) fn push(
        &mut self,
        index: u64,
        probability: f32,
        samples: &[i16; SPEECH_FRAME_SAMPLES],
    ) -> Option<Piece> {
        let frame = Frame {
            index,
            probability,
            samples: *samples,
        };
        let Some(mut phrase) = self.phrase.take() else {
            if probability >= BEGINS {
                self.phrase = Some(Phrase::of(frame));
            }
            return None;
        };
        if probability < ENDS {
            self.pause.push(frame);
            if self.pause.len() < PAUSE_FRAMES {
                self.phrase = Some(phrase);
                return None;
            }
            self.pause.clear();
            return self.ended(phrase);
        }
        for frame in self.pause.drain(..).chain([frame]) {
            phrase.add(&frame);
        }
        if phrase.frames() >= PIECE_FRAMES {
            return Some(piece_of(vec![phrase]));
        }
        self.phrase = Some(phrase);
        None
    }

    /// A phrase that is too short by itself waits for another that is as loud, and so likely of the
    /// same voice: a question whispered in three words each time is heard as one.
    fn ended(&mut self, phrase: Phrase) -> Option<Piece> {
        if phrase.frames() >= PIECE_FRAMES_MIN {
            return Some(piece_of(vec![phrase]));
        }
        if phrase.frames() < SHORT_FRAMES_MIN {
            return None;
        }
        let level = phrase.level_db();
        self.short
            .retain(|short| phrase.first.saturating_sub(short.end) <= SHORT_WAIT_FRAMES);
        let (mut alike, others): (Vec<_>, Vec<_>) = self
            .short
            .drain(..)
            .partition(|short| (short.level_db() - level).abs() <= ALIKE_DB);
        self.short = others;
        alike.push(phrase);
        let frames: usize = alike.iter().map(Phrase::frames).sum();
        if frames >= PIECE_FRAMES_MIN {
            return Some(piece_of(alike));
        }
        self.short.append(&mut alike);
        self.short.sort_by_key(|short| short.first);
        if self.short.len() > SHORT_MAX {
            self.short.remove(0); // full: the oldest is forgotten
        }
        None
    }
}

impl Phrase {
    fn of(frame: Frame) -> Self {
        let mut phrase = Self {
            first: frame.index,
            end: frame.index,
            samples: Vec::with_capacity(PIECE_FRAMES * SPEECH_FRAME_SAMPLES),
            probabilities: 0.0,
        };
        phrase.add(&frame);
        phrase
    }

    fn add(&mut self, frame: &Frame) {
        self.end = frame.index + 1;
        self.samples.extend_from_slice(&frame.samples);
        self.probabilities += f64::from(frame.probability);
    }

    fn frames(&self) -> usize {
        self.samples.len() / SPEECH_FRAME_SAMPLES
    }

    fn level_db(&self) -> f64 {
        level_db(&self.samples)
    }
}

fn piece_of(phrases: Vec<Phrase>) -> Piece {
    let mut piece = Piece {
        samples: Vec::with_capacity(PIECE_FRAMES * SPEECH_FRAME_SAMPLES),
        heard: Vec::new(),
        ended: 0,
        probability: 0.0,
    };
    let (mut probabilities, mut all) = (0.0, 0.0);
    for phrase in phrases {
        probabilities += phrase.probabilities;
        all += (phrase.first..phrase.end).map(|_| 1.0).sum::<f64>();
        piece.samples.extend_from_slice(&phrase.samples);
        piece.heard.push(phrase.first..phrase.end);
        piece.ended = piece.ended.max(phrase.end);
    }
    piece.samples.truncate(PIECE_SAMPLES_MAX);
    piece.probability = probabilities / f64::max(all, 1.0);
    piece
}

/// Silero's own advice: begin at 0.5, end 0.15 below.
const BEGINS: f32 = 0.5;
const ENDS: f32 = 0.35;
/// 160 ms: a pause within a word is shorter.
const PAUSE_FRAMES: usize = 5;
/// 320 ms: less is a click or a cough.
const SHORT_FRAMES_MIN: usize = 10;
/// A short phrase waits for 30 s.
const SHORT_WAIT_FRAMES: u64 = 937;
const SHORT_MAX: usize = 8;
const ALIKE_DB: f64 = 4.0;
/// A pause that is taken in may lead a little beyond a whole piece.
pub(crate) const PIECE_SAMPLES_MAX: usize = (PIECE_FRAMES + PAUSE_FRAMES) * SPEECH_FRAME_SAMPLES;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_speech_comes_in_pieces_of_a_second_and_a_half() {
        let pieces = said(&[(PIECE_FRAMES * 3 + 5, 1_000)]);
        let lengths: Vec<_> = pieces.iter().map(|piece| piece.samples.len()).collect();
        assert_eq!(lengths, [PIECE_FRAMES * SPEECH_FRAME_SAMPLES; 3]);
        assert_eq!(pieces[1].heard.first(), Some(&(47..94)));
        assert_eq!(pieces[1].ended, 94);
        assert!((pieces[1].probability - 0.9).abs() < 1e-6);
    }

    #[test]
    fn a_phrase_of_a_second_is_a_piece_and_a_cough_is_none() {
        assert_eq!(said(&[(PIECE_FRAMES_MIN, 1_000)]).len(), 1);
        assert!(said(&[(PIECE_FRAMES_MIN - 1, 1_000)]).is_empty());
        assert!(said(&[(SHORT_FRAMES_MIN - 1, 1_000); 9]).is_empty());
    }

    #[test]
    fn short_phrases_of_one_loudness_are_put_together_and_others_are_not() {
        let together = said(&[(16, 1_000), (16, 1_000)]);
        assert_eq!(together.len(), 1);
        assert_eq!(together[0].heard, [0..16, 36..52]);
        assert!(said(&[(16, 1_000), (16, 300)]).is_empty());
        let apart = said(&[(16, 1_000), (16, 300), (16, 1_000), (16, 300)]);
        assert_eq!(apart.len(), 2);
    }

    #[test]
    fn a_pause_within_a_word_belongs_to_the_phrase() {
        let mut phrases = Phrases::default();
        let mut pieces = Vec::new();
        for index in 0..u64::try_from(PIECE_FRAMES).expect("small") {
            let probability = if (20..23).contains(&index) { 0.1 } else { 0.9 };
            pieces.extend(phrases.push(index, probability, &[500; SPEECH_FRAME_SAMPLES]));
        }
        assert_eq!(pieces.len(), 1);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let mut phrases = Phrases::default();
        let mut index = 0;
        // Each phrase is twice as loud as the one before, so that none waits for another.
        for loudness in [1, 3, 9, 27, 81, 243, 729, 2_187, 6_561, 19_683] {
            feed(&mut phrases, &mut index, 12, loudness);
        }
        assert_eq!(phrases.short.len(), SHORT_MAX);
    }

    /// Phrases of so many frames and so loud, with a pause behind each.
    fn said(spoken: &[(usize, i16)]) -> Vec<Piece> {
        let (mut phrases, mut index, mut pieces) = (Phrases::default(), 0, Vec::new());
        for (frames, loudness) in spoken {
            pieces.extend(feed(&mut phrases, &mut index, *frames, *loudness));
        }
        pieces
    }

    fn feed(phrases: &mut Phrases, index: &mut u64, frames: usize, loudness: i16) -> Vec<Piece> {
        let mut pieces = Vec::new();
        for frame in 0..frames + 20 {
            let probability = if frame < frames { 0.9 } else { 0.05 };
            pieces.extend(phrases.push(*index, probability, &[loudness; SPEECH_FRAME_SAMPLES]));
            *index += 1;
        }
        pieces
    }
}
