//! How far a head turns when it is asked to.
//!
//! The mesh alone is read, without the eyes, so that four looks a second are cheap. Its yaw depends
//! on the shape of a face, so that a turn is measured from how this candidate looks straight.
//!
//! The bytes that are kept: `QT`, version 1, `0` for left or `1` for right, the yaw when looking
//! straight, the number of readings as two bytes, and the readings. All numbers are little-endian,
//! yaws in degrees as 32-bit reals.

use qorgan_protocol::incident::Severity;
use qorgan_protocol::local::Turn;

use crate::attention::MeshReader;
use crate::faces::Face;
use crate::rest::Rest;
use crate::{DetectError, InputError, KeptInput, ModelError, Picture, Scored};

/// The name of what a [`turn_score`] is.
pub const TURN_NOT_FOLLOWED: &str = "turn-not-followed/1";

/// Reads how far a head is turned, by the face mesh alone: cheap enough for four looks a second.
#[derive(Debug)]
pub struct HeadReader(MeshReader);

impl HeadReader {
    /// Loads the model.
    ///
    /// # Errors
    /// As [`crate::Model::load`].
    pub fn load() -> Result<Self, ModelError> {
        Ok(Self(MeshReader::load()?))
    }

    /// Returns how far a head is turned to the picture's right, in degrees; `None` where no face is
    /// read there.
    ///
    /// # Errors
    /// `Model` where the model refuses its crop.
    pub fn yaw(&self, picture: Picture<'_>, face: &Face) -> Result<Option<f32>, DetectError> {
        self.0.yaw(picture, face)
    }
}

/// Returns by how many degrees the head is turned the asked way; negative is the other way.
///
/// The candidate's left is the picture's right, for a camera does not mirror.
#[must_use]
pub const fn turned(turn: Turn, straight: f32, yaw: f32) -> f32 {
    match turn {
        Turn::Left => yaw - straight,
        Turn::Right => straight - yaw,
    }
}

/// Scores how little a head followed one turn that was asked for: 0 at [`TURN_DEGREES`] or beyond,
/// 1 for none, 0.5 at four fifths, which no flat print reached, however it was turned.
///
/// As far counts as two readings after one another reach, so that one misread look is no turn.
/// `straight` is the yaw when looking straight, in degrees, `yaws` is every reading since the turn
/// was asked for; of more than 4,096, which are a quarter of an hour, the latest count.
#[must_use]
pub fn turn_score(turn: Turn, straight: f32, yaws: &[f32]) -> Scored {
    let first = yaws.len().saturating_sub(YAWS_MAX);
    let kept = KeptTurn {
        turn,
        straight,
        yaws: yaws.get(first..).unwrap_or_default().to_vec(),
    };
    let way = match turn {
        Turn::Left => "left",
        Turn::Right => "right",
    };
    Scored {
        score: kept.score(),
        detail: format!(
            "the head turned {:.0} of {TURN_DEGREES:.0} degrees to the candidate's {way} in {} looks",
            kept.farthest(),
            kept.yaws.len()
        ),
        input: KeptInput::Turn(kept),
    }
}

/// The readings of one turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptTurn {
    turn: Turn,
    straight: f32,
    yaws: Vec<f32>,
}

impl KeptTurn {
    /// How far two readings after one another lie the asked way, at least 0; what is no number is
    /// none.
    fn farthest(&self) -> f32 {
        let readings = self.yaws.iter();
        let turns = readings.map(|yaw| turned(self.turn, self.straight, *yaw));
        let turns: Vec<f32> = turns.filter(|turn| turn.is_finite()).collect();
        let pairs = turns.iter().zip(turns.iter().skip(1));
        pairs.fold(0.0, |most, (one, next)| most.max(one.min(*next)))
    }

    fn score(&self) -> Severity {
        Severity::clamped(1.0 - f64::from(self.farthest() / TURN_DEGREES).powi(3))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.push(match self.turn {
            Turn::Left => 0,
            Turn::Right => 1,
        });
        bytes.extend(self.straight.to_le_bytes());
        let yaws = self.yaws.iter().take(YAWS_MAX);
        let count = u16::try_from(yaws.len()).unwrap_or_default();
        bytes.extend(count.to_le_bytes());
        bytes.extend(yaws.flat_map(|yaw| yaw.to_le_bytes()));
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, InputError> {
        let mut rest = Rest::after(MAGIC, bytes)?;
        let turn = match rest.byte()? {
            0 => Turn::Left,
            1 => Turn::Right,
            2.. => return Err(InputError::NotScored),
        };
        let straight = rest.real()?;
        let count = usize::from(u16::from_le_bytes(rest.array()?));
        if count > YAWS_MAX {
            return Err(InputError::NotScored);
        }
        let yaws = (0..count).map(|_| rest.real()).collect::<Result<_, _>>()?;
        rest.ends()?;
        Ok(Self {
            turn,
            straight,
            yaws,
        })
    }
}

/// Scores a kept turn again.
pub(crate) fn again(input: &[u8]) -> Result<Severity, InputError> {
    Ok(KeptTurn::from_bytes(input)?.score())
}

/// How far a head turns that does as asked, in degrees from straight as the mesh reads it: about
/// two thirds of what it is. Of prints, flat ones read as 15 at most, bent round ones as 20.
pub const TURN_DEGREES: f32 = 22.0;
const YAWS_MAX: usize = 4_096;
const MAGIC: [u8; 3] = *b"QT\x01";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_asked_way_counts_and_it_is_measured_from_straight() {
        for (turn, yaws, score) in [
            (Turn::Left, [6.0, 28.0, 30.0], 0.0),
            (Turn::Left, [17.0, 19.0, 11.0], 0.875),
            (Turn::Right, [6.0, 28.0, 30.0], 1.0),
            (Turn::Right, [6.0, -16.0, -17.0], 0.0),
            // One look alone may be misread.
            (Turn::Left, [6.0, 40.0, 6.0], 1.0),
        ] {
            let scored = turn_score(turn, 6.0, &yaws);
            assert!((scored.score.value() - score).abs() < 1e-6, "{scored:?}");
        }
        assert!((turned(Turn::Right, 2.0, -10.0) - 12.0).abs() < 1e-6);
        assert!((turned(Turn::Left, 2.0, -10.0) + 12.0).abs() < 1e-6);
    }

    #[test]
    fn nothing_read_and_no_number_are_no_turn() {
        let nowhere = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY];
        for (straight, yaws) in [
            (0.0, &[][..]),
            (0.0, &nowhere),
            (f32::NAN, &[40.0; 2]),
            (0.0, &[40.0]),
        ] {
            let scored = turn_score(Turn::Left, straight, yaws);
            assert_eq!(scored.score, Severity::clamped(1.0), "{scored:?}");
            let kept = scored.input().expect("bytes");
            assert_eq!(again(&kept).expect("kept"), scored.score);
        }
    }

    #[test]
    fn what_is_kept_scores_the_same_also_when_it_went_on_for_long() {
        let mut yaws = vec![19.0; YAWS_MAX + 7];
        yaws[3] = 90.0;
        for turn in [Turn::Left, Turn::Right] {
            let scored = turn_score(turn, 4.0, &yaws);
            let kept = scored.input().expect("bytes");
            assert_eq!(again(&kept).expect("kept"), scored.score);
        }
        let scored = turn_score(Turn::Left, 4.0, &yaws);
        assert_eq!(
            scored.detail,
            "the head turned 15 of 22 degrees to the candidate's left in 4096 looks"
        );
    }

    #[test]
    fn bytes_that_were_cut_lengthened_or_changed_are_refused() {
        let scored = turn_score(Turn::Right, 1.0, &[0.0, -4.0]);
        let bytes = scored.input().expect("bytes");
        for end in 0..bytes.len() {
            again(&bytes[..end]).expect_err("cut");
        }
        again(&[bytes.clone(), vec![0]].concat()).expect_err("something behind");
        for (place, value) in [(0, b'q'), (1, b'L'), (2, 2), (3, 2), (8, 3), (9, 0x7f)] {
            let mut changed = bytes.clone();
            changed[place] = value;
            again(&changed).expect_err("another format");
        }
    }
}
