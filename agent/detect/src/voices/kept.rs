//! What is kept with an incident of voices, so that it can be scored again without the agent.
//!
//! The bytes: `QV`, version 1, `1` and a print or `0`, the number of pieces, then for each piece `0`
//! for clear or `1` for soft, the number of samples as four bytes, and the samples. All numbers are
//! little-endian, the samples 16-bit at 16 kHz: exactly what the model was given.
//!
//! # Invariants
//! * What is written is at most [`qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX`].
//! * Bytes that were not written here are refused, also with something behind.

use std::sync::Arc;

use super::fbank::FRAME_SAMPLES;
use super::phrases::PIECE_SAMPLES_MAX;
use super::print::{PRINT_BYTES, VoicePrint};
use super::speaker::{Manner, Speaker, VoiceEmbedding};
use crate::InputError;
use crate::rest::Rest;

/// Pieces of speech with the voice that they were compared with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptVoices {
    pub(crate) print: Option<Arc<VoicePrint>>,
    pub(crate) pieces: Vec<KeptPiece>,
}

/// One piece of speech.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptPiece {
    pub(crate) manner: Manner,
    pub(crate) samples: Arc<[i16]>,
}

impl KeptVoices {
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        match &self.print {
            Some(print) => {
                bytes.push(1);
                bytes.extend(print.to_bytes());
            }
            None => bytes.push(0),
        }
        let pieces = self.pieces.iter().take(PIECES_MAX);
        bytes.push(u8::try_from(pieces.len()).unwrap_or_default());
        for piece in pieces {
            bytes.push(match piece.manner {
                Manner::Clear => 0,
                Manner::Soft => 1,
            });
            let count = u32::try_from(piece.samples.len()).unwrap_or_default();
            bytes.extend_from_slice(&count.to_le_bytes());
            bytes.extend(piece.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        }
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, InputError> {
        let mut rest = Rest::after(MAGIC, bytes)?;
        let print = match rest.byte()? {
            0 => None,
            1 => {
                let print = VoicePrint::from_bytes(rest.take(PRINT_BYTES)?);
                Some(Arc::new(print.map_err(|_error| InputError::NotScored)?))
            }
            2.. => return Err(InputError::NotScored),
        };
        let count = usize::from(rest.byte()?);
        if count > PIECES_MAX {
            return Err(InputError::NotScored);
        }
        let mut pieces = Vec::with_capacity(count);
        for _ in 0..count {
            pieces.push(piece(&mut rest)?);
        }
        rest.ends()?;
        Ok(Self { print, pieces })
    }

    /// Returns the voices of the pieces, by the model.
    pub(crate) fn embed(&self) -> Result<Vec<VoiceEmbedding>, InputError> {
        if self.pieces.is_empty() {
            return Ok(Vec::new());
        }
        let speaker = Speaker::load()?;
        let voices = self.pieces.iter();
        let voices = voices.map(|piece| Ok(speaker.embed(&piece.samples)?));
        voices.collect()
    }
}

fn piece(rest: &mut Rest<'_>) -> Result<KeptPiece, InputError> {
    let manner = match rest.byte()? {
        0 => Manner::Clear,
        1 => Manner::Soft,
        2.. => return Err(InputError::NotScored),
    };
    let count = usize::try_from(u32::from_le_bytes(rest.array()?));
    let count = count.map_err(|_error| InputError::NotScored)?;
    if !(FRAME_SAMPLES..=PIECE_SAMPLES_MAX).contains(&count) {
        return Err(InputError::NotScored);
    }
    let (pairs, _) = rest.take(2 * count)?.as_chunks::<2>();
    Ok(KeptPiece {
        manner,
        samples: pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect(),
    })
}

const MAGIC: [u8; 3] = *b"QV\x01";
/// Four whole pieces are 213 KB.
pub(crate) const PIECES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;

    use super::*;
    use crate::voices::{PRINT_PIECES_MIN, VOICE_NUMBERS};

    #[test]
    fn what_is_kept_reads_back_whole_and_fits() {
        for print in [None, Some(Arc::new(print()))] {
            let kept = KeptVoices {
                print,
                pieces: vec![piece(Manner::Clear, PIECE_SAMPLES_MAX); PIECES_MAX],
            };
            let bytes = kept.to_bytes();
            assert!(bytes.len() <= SCORED_INPUT_BYTES_MAX);
            assert_eq!(KeptVoices::from_bytes(&bytes).expect("the same"), kept);
        }
    }

    #[test]
    fn bytes_that_were_cut_or_lengthened_are_refused() {
        let kept = KeptVoices {
            print: Some(Arc::new(print())),
            pieces: vec![piece(Manner::Soft, 400), piece(Manner::Clear, 401)],
        };
        let bytes = kept.to_bytes();
        for end in 0..bytes.len() {
            KeptVoices::from_bytes(&bytes[..end]).expect_err("cut");
        }
        let mut longer = bytes.clone();
        longer.push(0);
        KeptVoices::from_bytes(&longer).expect_err("something behind");
        for (place, value) in [(0, b'q'), (2, 2), (3, 2), (4, 9), (8, 0x7f)] {
            let mut changed = bytes.clone();
            changed[place] = value;
            KeptVoices::from_bytes(&changed).expect_err("another format");
        }
    }

    #[test]
    fn a_piece_that_no_detector_scores_is_refused() {
        for samples in [FRAME_SAMPLES - 1, PIECE_SAMPLES_MAX + 1] {
            let kept = KeptVoices {
                print: None,
                pieces: vec![piece(Manner::Clear, samples)],
            };
            KeptVoices::from_bytes(&kept.to_bytes()).expect_err("a refusal");
        }
    }

    fn piece(manner: Manner, samples: usize) -> KeptPiece {
        let samples = (0..=i16::MAX).cycle().take(samples).collect();
        KeptPiece { manner, samples }
    }

    fn print() -> VoicePrint {
        let voice = VoiceEmbedding::new(vec![0.5; VOICE_NUMBERS]).expect("a direction");
        VoicePrint::enrol(&vec![voice; PRINT_PIECES_MIN], &[]).expect("one voice")
    }
}
