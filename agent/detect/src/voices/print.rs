//! The print that enrolment makes of voices.

use core::fmt;

use super::apart;
use super::speaker::{Manner, VOICE_NUMBERS, VoiceEmbedding};

/// Says why there is no voice print.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PrintError {
    /// Too little was read aloud.
    #[error("{pieces} pieces of speech are too few for a voice print, which takes {needed}")]
    TooLittle {
        /// Pieces given.
        pieces: usize,
        /// Pieces that a print takes.
        needed: usize,
    },
    /// The pieces are not one voice, or noise hides it.
    #[error("the pieces are alike by {alike:.2} only: more than one voice, or much noise")]
    Unlike {
        /// Mean likeness of a piece to the others.
        alike: f32,
    },
    /// Bytes are no voice print.
    #[error("the bytes are no voice print")]
    Bytes,
}

impl VoiceEmbedding {
    /// Takes numbers as they were stored: not scaled again, so that a replay compares the same.
    fn stored(numbers: Vec<f32>) -> Result<Self, PrintError> {
        let length = numbers.iter().map(|n| n * n).sum::<f32>();
        if numbers.len() == VOICE_NUMBERS && (length - 1.0).abs() < 1e-3 {
            Ok(Self(numbers))
        } else {
            Err(PrintError::Bytes)
        }
    }

    fn mean(embeddings: &[&Self]) -> Option<Self> {
        let mut sums = vec![0.0; VOICE_NUMBERS];
        for embedding in embeddings {
            for (sum, number) in sums.iter_mut().zip(&embedding.0) {
                *sum += number;
            }
        }
        Self::new(sums)
    }
}

/// An enrolled voice with how much it varies by itself.
///
/// It is a person's biometric: it stays in memory, and whoever stores it encrypts it.
#[derive(Clone, PartialEq)]
pub struct VoicePrint {
    clear: VoiceEmbedding,
    soft: VoiceEmbedding,
    /// Mean likeness of an enrolled piece to the others.
    alike: f32,
    /// Standard deviation of that likeness.
    spread: f32,
}

impl fmt::Debug for VoicePrint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VoicePrint(‹private›)")
    }
}

impl VoicePrint {
    /// Makes a print of the pieces of one reading, clear ones of 1.5 s and what there is of soft
    /// ones.
    ///
    /// # Errors
    /// `TooLittle` for fewer than [`PRINT_PIECES_MIN`] clear pieces, `Unlike` where they are not one
    /// clear voice.
    pub fn enrol(clear: &[VoiceEmbedding], soft: &[VoiceEmbedding]) -> Result<Self, PrintError> {
        let too_little = PrintError::TooLittle {
            pieces: clear.len(),
            needed: PRINT_PIECES_MIN,
        };
        if clear.len() < PRINT_PIECES_MIN {
            return Err(too_little);
        }
        let (alike, spread) = alike_and_spread(clear).ok_or(too_little)?;
        let voices: Vec<_> = clear.iter().collect();
        let several = apart::most_apart(&voices).is_some_and(|(score, _)| score.value() >= 0.5);
        if several || alike < PRINT_ALIKE_MIN {
            return Err(PrintError::Unlike { alike });
        }
        let clear = VoiceEmbedding::mean(&voices).ok_or(too_little)?;
        // Few soft pieces stand for much: both kinds count the same.
        let soft = VoiceEmbedding::mean(&soft.iter().collect::<Vec<_>>())
            .and_then(|soft| VoiceEmbedding::mean(&[&clear, &soft]))
            .unwrap_or_else(|| clear.clone());
        Ok(Self {
            clear,
            soft,
            alike: alike.min(1.0),
            spread,
        })
    }

    /// Returns how alike a voice is to the enrolled one, -1.0 to 1.0.
    #[must_use]
    pub fn likeness(&self, manner: Manner, voice: &VoiceEmbedding) -> f32 {
        match manner {
            Manner::Clear => self.clear.likeness(voice),
            Manner::Soft => self.soft.likeness(voice),
        }
    }

    /// Returns the likeness below which a voice is another.
    ///
    /// A part of the candidate's own mean likeness, less twice its spread beyond what is common,
    /// within bounds: a voice that varies by itself, or a noisy room, is given more room.
    #[must_use]
    pub fn other_below(&self) -> f32 {
        let spread = (self.spread - COMMON_SPREAD).max(0.0);
        (self.alike * OTHER_PART - 2.0 * spread).clamp(OTHER_BELOW_MIN, OTHER_BELOW_MAX)
    }

    /// Returns the print as [`PRINT_BYTES`] bytes: version, likeness, spread, both voices.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(PRINT_BYTES);
        bytes.push(PRINT_VERSION);
        let numbers = [self.alike, self.spread];
        let voices = self.clear.0.iter().chain(&self.soft.0);
        for number in numbers.iter().chain(voices) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Reads [`Self::to_bytes`].
    ///
    /// # Errors
    /// `Bytes` for any other length or version, and for numbers that no print has.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, PrintError> {
        if bytes.len() != PRINT_BYTES {
            return Err(PrintError::Bytes);
        }
        let Some((&PRINT_VERSION, rest)) = bytes.split_first() else {
            return Err(PrintError::Bytes);
        };
        let (words, _) = rest.as_chunks::<4>();
        let mut numbers = words.iter().map(|word| f32::from_le_bytes(*word));
        let mut next = || numbers.next().filter(|number| (0.0..=1.0).contains(number));
        let (Some(alike), Some(spread)) = (next(), next()) else {
            return Err(PrintError::Bytes);
        };
        let clear = VoiceEmbedding::stored(numbers.by_ref().take(VOICE_NUMBERS).collect())?;
        let soft = VoiceEmbedding::stored(numbers.collect())?;
        Ok(Self {
            clear,
            soft,
            alike,
            spread,
        })
    }
}

/// Mean and standard deviation of how alike each piece is to all others.
fn alike_and_spread(pieces: &[VoiceEmbedding]) -> Option<(f32, f32)> {
    let (mut sum, mut squares, mut all) = (0.0, 0.0, 0.0);
    for (at, piece) in pieces.iter().enumerate() {
        let others = pieces.iter().enumerate().filter(|(other, _)| *other != at);
        let others: Vec<_> = others.map(|(_, other)| other).collect();
        let likeness = piece.likeness(&VoiceEmbedding::mean(&others)?);
        sum += likeness;
        squares += likeness * likeness;
        all += 1.0;
    }
    let mean = sum / all;
    Some((mean, f32::sqrt((squares / all - mean * mean).max(0.0))))
}

/// Pieces that a print takes: 6 s of speech.
pub const PRINT_PIECES_MIN: usize = 4;
/// Bytes of a stored print.
pub const PRINT_BYTES: usize = 1 + 4 * (2 + 2 * VOICE_NUMBERS);
const PRINT_VERSION: u8 = 1;
/// Pieces of one reader were alike by 0.63 to 0.82, those of two readers by 0.41 at most.
const PRINT_ALIKE_MIN: f32 = 0.5;
const COMMON_SPREAD: f32 = 0.06;
/// The two most unlike pieces of an honest minute were alike by 0.44 on average, clear or soft; of a
/// minute with another voice 10 dB beneath the candidate's reading, by 0.38 at most.
const OTHER_PART: f32 = 0.58;
const OTHER_BELOW_MIN: f32 = 0.25;
const OTHER_BELOW_MAX: f32 = 0.40;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_print_reads_back_and_other_bytes_are_refused() {
        let print = VoicePrint::enrol(&near(3, 0.3, 6), &near(3, 0.6, 2)).expect("one voice");
        let bytes = print.to_bytes();
        assert_eq!(bytes.len(), PRINT_BYTES);
        let again = VoicePrint::from_bytes(&bytes).expect("a print");
        assert_eq!(again, print);
        for (place, value) in [(0, 2), (4, 0x7f), (12, 0x7f)] {
            let mut changed = bytes.clone();
            changed[place] = value;
            VoicePrint::from_bytes(&changed).expect_err("no print");
        }
        VoicePrint::from_bytes(&bytes[1..]).expect_err("cut");
    }

    #[test]
    fn the_bound_gives_a_varying_voice_more_room() {
        let even = VoicePrint::enrol(&near(3, 0.2, 6), &[]).expect("one voice");
        assert!((even.other_below() - OTHER_BELOW_MAX).abs() < 1e-6);
        let mut pieces = near(3, 0.2, 5);
        pieces.push(near(3, 1.6, 1).remove(0));
        let varied = VoicePrint::enrol(&pieces, &[]).expect("one voice");
        assert!(varied.other_below() < even.other_below());
        assert!(varied.other_below() >= OTHER_BELOW_MIN);
    }

    #[test]
    fn too_little_and_more_than_one_voice_make_no_print() {
        let few = VoicePrint::enrol(&near(3, 0.2, 3), &[]).expect_err("too little");
        assert!(matches!(few, PrintError::TooLittle { pieces: 3, .. }));
        let two = [near(3, 0.2, 4), near(90, 0.2, 4)].concat();
        let two = VoicePrint::enrol(&two, &[]).expect_err("two voices");
        assert!(matches!(two, PrintError::Unlike { .. }), "{two}");
    }

    #[test]
    fn numbers_without_a_direction_are_no_voice() {
        assert!(VoiceEmbedding::new(vec![0.0; VOICE_NUMBERS]).is_none());
        assert!(VoiceEmbedding::new(vec![f32::NAN; VOICE_NUMBERS]).is_none());
        assert!(VoiceEmbedding::new(vec![1.0; 3]).is_none());
        assert_eq!(format!("{:?}", print_of_one()), "VoicePrint(‹private›)");
    }

    fn print_of_one() -> VoicePrint {
        VoicePrint::enrol(&near(1, 0.1, PRINT_PIECES_MIN), &[]).expect("one voice")
    }

    /// Voices about one direction, each bent by so much towards one of its own.
    fn near(direction: usize, bent: f32, count: usize) -> Vec<VoiceEmbedding> {
        let voices = (0..count).map(|own| {
            let mut numbers = vec![0.0; VOICE_NUMBERS];
            numbers[direction] = 1.0;
            numbers[100 + own] = bent;
            VoiceEmbedding::new(numbers).expect("a direction")
        });
        voices.collect()
    }
}
