//! Speech beneath the loudest: what another voice leaves between the candidate's own words.
//!
//! Where two speak at once, the louder hides the other, and a piece of both sounds like the louder.
//! Between words and syllables the louder falls silent and the speech goes on more quietly: these
//! frames, gathered over seconds, are the other's. Of one voice alone they are its own soft ends,
//! which is why they are judged with a bound of their own.

use std::collections::VecDeque;

use super::floor::level_db;
use super::phrases::{PIECE_FRAMES, Piece};
use super::speech::SPEECH_FRAME_SAMPLES;

/// Gathers soft speech.
#[derive(Debug, Default)]
pub(crate) struct Undertone {
    /// Levels of the speech of the last seconds: (frame, dB).
    levels: VecDeque<(u64, f64)>,
    /// Soft frames that follow one another.
    run: Vec<Soft>,
    /// Soft frames of runs that were long enough.
    gathered: VecDeque<Soft>,
}

#[derive(Debug, Clone)]
struct Soft {
    index: u64,
    probability: f32,
    samples: [i16; SPEECH_FRAME_SAMPLES],
}

impl Undertone {
    /// Takes one frame with its place and its probability; returns a piece when one is whole.
    pub(crate) fn push(
        &mut self,
        index: u64,
        probability: f32,
        samples: &[i16; SPEECH_FRAME_SAMPLES],
    ) -> Option<Piece> {
        let is_speech = probability >= SPEECH;
        let level = level_db(samples);
        if is_speech {
            self.levels.push_back((index, level));
        }
        let old = |at: u64, frames: u64| index.saturating_sub(at) >= frames;
        while self
            .levels
            .front()
            .is_some_and(|(at, _)| old(*at, LOUDNESS_FRAMES))
        {
            self.levels.pop_front();
        }
        let below = self.loudness().map_or(0.0, |loud| loud - level);
        if is_speech && (SOFTER_DB..=SOFTEST_DB).contains(&below) {
            self.run.push(Soft {
                index,
                probability,
                samples: *samples,
            });
            self.run.truncate(PIECE_FRAMES); // full: the beginning is enough
            return None;
        }
        if self.run.len() >= RUN_FRAMES_MIN {
            self.gathered.extend(self.run.drain(..));
        }
        self.run.clear();
        while self
            .gathered
            .front()
            .is_some_and(|soft| old(soft.index, WAIT_FRAMES))
        {
            self.gathered.pop_front();
        }
        (self.gathered.len() >= PIECE_FRAMES).then(|| self.piece())
    }

    /// How loud the speech of the last five seconds is where it is loud.
    fn loudness(&self) -> Option<f64> {
        if self.levels.len() < LEVELS_MIN {
            return None;
        }
        let mut levels: Vec<f64> = self.levels.iter().map(|(_, level)| *level).collect();
        levels.sort_by(f64::total_cmp);
        levels.get(levels.len() * LOUD_PERCENT / 100).copied()
    }

    fn piece(&mut self) -> Piece {
        let (mut probabilities, mut all) = (0.0, 0.0);
        let mut samples = Vec::with_capacity(PIECE_FRAMES * SPEECH_FRAME_SAMPLES);
        let mut ended = 0;
        for soft in self.gathered.drain(..).take(PIECE_FRAMES) {
            probabilities += f64::from(soft.probability);
            all += 1.0;
            samples.extend_from_slice(&soft.samples);
            ended = soft.index + 1;
        }
        Piece {
            samples,
            heard: Vec::new(),
            ended,
            probability: probabilities / f64::max(all, 1.0),
        }
    }
}

const SPEECH: f32 = 0.5;
/// Five seconds.
const LOUDNESS_FRAMES: u64 = 160;
const LEVELS_MIN: usize = 20;
const LOUD_PERCENT: usize = 85;
/// A voice's own vowels stay within 6 dB of its loudest; 25 dB below is the room.
const SOFTER_DB: f64 = 6.0;
const SOFTEST_DB: f64 = 25.0;
/// 96 ms: shorter is a consonant.
const RUN_FRAMES_MIN: usize = 3;
/// 30 s.
const WAIT_FRAMES: u64 = 937;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_softly_between_louder_words_is_gathered() {
        let pieces = heard(400, |n| if n % 10 < 5 { (0.9, 3_000) } else { (0.9, 800) });
        assert!(!pieces.is_empty());
        for piece in pieces {
            assert_eq!(piece.samples.len(), PIECE_FRAMES * SPEECH_FRAME_SAMPLES);
            assert!(piece.samples.iter().all(|sample| *sample == 800));
        }
    }

    #[test]
    fn even_speech_consonants_and_the_room_are_not() {
        assert!(heard(400, |_| (0.9, 3_000)).is_empty(), "one loudness");
        let consonants = heard(400, |n| if n % 10 < 8 { (0.9, 3_000) } else { (0.9, 800) });
        assert!(consonants.is_empty(), "two frames are a consonant");
        let pauses = heard(400, |n| if n % 10 < 5 { (0.9, 3_000) } else { (0.1, 800) });
        assert!(pauses.is_empty(), "no speech");
        let room = heard(400, |n| if n % 10 < 5 { (0.9, 3_000) } else { (0.9, 100) });
        assert!(room.is_empty(), "30 dB below");
    }

    fn heard(frames: u64, of: impl Fn(u64) -> (f32, i16)) -> Vec<Piece> {
        let mut undertone = Undertone::default();
        let pieces = (0..frames).filter_map(|n| {
            let (probability, loudness) = of(n);
            undertone.push(n, probability, &[loudness; SPEECH_FRAME_SAMPLES])
        });
        pieces.collect()
    }
}
