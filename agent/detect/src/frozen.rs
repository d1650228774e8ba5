//! A camera that repeats one picture: a sensor's noise makes two live pictures differ.

use core::time::Duration;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::time::Now;

use crate::input::Small;
use crate::{DetectError, Detector, Input, KeptInput, Patience, Scored};

pub(crate) const NAME: &str = "frozen-camera/1";

/// Looks for a camera that repeats one picture.
#[derive(Debug, Default)]
pub struct FrozenCamera {
    before: Option<(Now, Small)>,
}

impl Detector for FrozenCamera {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::CameraFrozen
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.995)
    }

    fn patience(&self) -> Patience {
        Patience {
            // Two pictures a second apart take up to two seconds after the event; it is said within
            // five.
            begin_after: Duration::from_secs(2),
            end_after: Duration::from_secs(1),
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Picture(picture) = input else {
            return Ok(None);
        };
        let (then, _) = self
            .before
            .get_or_insert_with(|| (now, picture.luma().sampled()));
        if now.since(*then) < EVERY {
            return Ok(None);
        }
        let small = picture.luma().sampled();
        let Some((_, before)) = self.before.replace((now, small.clone())) else {
            return Ok(None);
        };
        let score = score(&before, &small);
        let detail = format!("{:.1} % of the picture repeats", score.value() * 100.0);
        Ok(Some(Scored {
            score,
            detail,
            input: KeptInput::Pictures(vec![before, small]),
        }))
    }
}

/// The share of pixels that are the same a second later; 0 for a picture without structure, which
/// is the covered camera's business and says nothing about repetition.
pub(crate) fn score(before: &Small, after: &Small) -> Severity {
    let (mean, deviation) = after.mean_and_deviation();
    if mean < DARK_MEAN || deviation < EVEN_DEVIATION {
        return Severity::clamped(0.0);
    }
    let pairs = before.pixels().iter().zip(after.pixels());
    let (mut same, mut all) = (0_u32, 0_u32);
    for (one, other) in pairs {
        all += 1;
        same += u32::from(one == other);
    }
    Severity::clamped(f64::from(same) / f64::from(all.max(1)))
}

const EVERY: Duration = Duration::from_secs(1);
const DARK_MEAN: f64 = 24.0;
const EVEN_DEVIATION: f64 = 4.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::scenes;
    use crate::replay;

    #[test]
    fn a_repeated_picture_is_seen() {
        let room = scenes::room(3);
        let scored = look(&room, &room);
        assert!(scored.score >= FrozenCamera::default().threshold());
    }

    #[test]
    fn a_still_scene_with_a_sensors_noise_is_not_frozen() {
        let scored = look(&scenes::room(3), &scenes::room(4));
        assert!(scored.score.value() < 0.5, "{:?}", scored.score);
    }

    #[test]
    fn a_black_camera_is_not_also_called_frozen() {
        let black = vec![16; 640 * 480];
        assert_eq!(look(&black, &black).score, Severity::clamped(0.0));
    }

    #[test]
    fn it_is_said_within_five_seconds_also_where_it_froze_just_after_a_picture() {
        let second_pair = 2 * EVERY;
        let mut said = second_pair;
        while said - second_pair < FrozenCamera::default().patience().begin_after {
            said += EVERY;
        }
        assert!(said < Duration::from_secs(5), "{said:?}");
    }

    #[test]
    fn the_kept_input_gives_the_same_score() {
        let scored = look(&scenes::room(3), &scenes::room(9));
        let again = replay(NAME, &scored.input().expect("a PNG")).expect("the same detector");
        assert!((again.value() - scored.score.value()).abs() < 1e-3);
    }

    fn look(before: &[u8], after: &[u8]) -> Scored {
        let mut detector = FrozenCamera::default();
        let first = detector.look(Now::default(), Input::Picture(scenes::grey(before)));
        assert!(first.expect("it needs no model").is_none());
        detector
            .look(Now::default() + EVERY, Input::Picture(scenes::grey(after)))
            .expect("it needs no model")
            .expect("a second later there is a score")
    }
}
