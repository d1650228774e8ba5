//! A dark or covered camera: little light, or light without any structure.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::input::Small;
use crate::{DetectError, Detector, Input, KeptInput, Patience, Scored};

pub(crate) const NAME: &str = "covered-camera/1";

/// Looks for a camera that is dark or covered.
#[derive(Debug, Default)]
pub struct CoveredCamera {
    looked: Option<Now>,
}

impl Detector for CoveredCamera {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::CameraCovered
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.8)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::from_secs(2),
            end_after: Duration::from_secs(2),
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Picture(picture) = input else {
            return Ok(None);
        };
        if self.looked.is_some_and(|looked| now.since(looked) < EVERY) {
            return Ok(None);
        }
        self.looked = Some(now);
        let small = picture.luma().sampled();
        let (mean, deviation) = small.mean_and_deviation();
        Ok(Some(Scored {
            score: score(&small),
            detail: format!("brightness {mean:.0}, deviation {deviation:.1}"),
            input: KeptInput::Pictures(vec![small]),
        }))
    }
}

/// 1 for black (16 is black in video) or for a picture as even as noise alone; 0 for a lit scene.
pub(crate) fn score(picture: &Small) -> Severity {
    let (mean, deviation) = picture.mean_and_deviation();
    let dark = (DIM_MEAN - mean) / (DIM_MEAN - BLACK_MEAN);
    let even = (SCENE_DEVIATION - deviation) / (SCENE_DEVIATION - NOISE_DEVIATION);
    Severity::clamped(dark.max(even))
}

const EVERY: Duration = Duration::from_millis(500);
const DIM_MEAN: f64 = 40.0;
const BLACK_MEAN: f64 = 18.0;
const SCENE_DEVIATION: f64 = 12.0;
const NOISE_DEVIATION: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::scenes;
    use crate::replay;

    #[test]
    fn a_covered_and_a_black_camera_are_seen() {
        for pixels in [scenes::covered(3), vec![16; 640 * 480]] {
            let scored = look(&pixels);
            assert!(scored.score >= CoveredCamera::default().threshold());
        }
    }

    #[test]
    fn a_room_is_not_a_covered_camera_not_even_a_dim_one() {
        let room = scenes::room(3);
        let dim: Vec<u8> = room.iter().map(|pixel| 16 + (pixel - 16) / 3).collect();
        for pixels in [room, dim] {
            let scored = look(&pixels);
            assert!(
                scored.score < CoveredCamera::default().threshold(),
                "{scored:?}"
            );
        }
    }

    #[test]
    fn the_kept_input_gives_the_same_score() {
        let scored = look(&scenes::covered(5));
        let input = scored.input().expect("a PNG");
        let again = replay(NAME, &input).expect("the same detector");
        assert!((again.value() - scored.score.value()).abs() < 1e-3);
    }

    fn look(pixels: &[u8]) -> Scored {
        let picture = scenes::grey(pixels);
        CoveredCamera::default()
            .look(Now::default(), Input::Picture(picture))
            .expect("it needs no model")
            .expect("the first picture is scored")
    }
}
