//! Where the candidate looks, on the portrait and against baselines of others.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod scenes;

use core::time::Duration;

use image::{RgbImage, imageops};
use qorgan_detect::{
    Attention, AttentionBaseline, AttentionReader, Detector as _, FaceFinder, Input, LOOKS_MIN,
    LookingAway, Scored, Seen, replay,
};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;

use scenes::{Frame, room, seat};

#[test]
fn a_mirror_turns_head_and_eyes_round() {
    let eyes = Eyes::load();
    let (scene, mut mirrored) = (seated(), seated());
    imageops::flip_horizontal_in_place(&mut mirrored);
    let (one, other) = (eyes.read(&scene), eyes.read(&mirrored));
    assert!((one.yaw + other.yaw).abs() < 5.0, "{one:?} {other:?}");
    assert!((one.pitch - other.pitch).abs() < 5.0, "{one:?} {other:?}");
    assert!((one.roll + other.roll).abs() < 5.0, "{one:?} {other:?}");
    let (one, other) = (one.eyes.expect("large"), other.eyes.expect("large"));
    assert!((one + other).abs() < 8.0, "{one} {other}");
}

#[test]
fn looking_as_at_check_in_is_not_looking_away() {
    let eyes = Eyes::load();
    let own = eyes.read(&seated());
    let mut detector = detector(&around(own));
    let scored = eyes.look(&mut detector, 0, &seated()).expect("a face");
    assert!(scored.score.value() < 0.2, "{scored:?}");
}

#[test]
fn a_habit_is_no_fault_and_the_same_look_is_one_for_others() {
    let eyes = Eyes::load();
    let own = eyes.read(&seated());
    let aside = Attention {
        yaw: own.yaw - 35.0,
        ..own
    };
    let down = Attention {
        pitch: own.pitch - 30.0,
        ..own
    };
    for usual in [aside, down] {
        let mut detector = detector(&around(usual));
        let scored = eyes.look(&mut detector, 0, &seated()).expect("a face");
        assert!(scored.score >= detector.threshold(), "{scored:?}");
    }
    // Who looked about at check-in is allowed more.
    let restless = [-14.0, -9.0, 0.0, 9.0, 14.0].map(|off| Attention {
        yaw: aside.yaw + off,
        ..aside
    });
    let restless = AttentionBaseline::of(&restless).expect("enough looks");
    let steady = around(aside);
    assert!(restless.score(&own) < steady.score(&own));
}

#[test]
fn nobody_looks_nowhere_and_few_looks_are_no_baseline() {
    let eyes = Eyes::load();
    let own = eyes.read(&seated());
    let mut detector = detector(&around(own));
    assert!(eyes.look(&mut detector, 0, &room()).is_none());
    assert!(AttentionBaseline::of(&[own; LOOKS_MIN - 1]).is_none());
}

#[test]
fn what_is_kept_fits_and_gives_the_same_score() {
    let eyes = Eyes::load();
    let own = eyes.read(&seated());
    let usual = Attention {
        yaw: own.yaw - 20.0,
        ..own
    };
    let mut small = room();
    seat(&mut small, 250, 200, 150);
    for scene in [seated(), small] {
        let mut detector = detector(&around(usual));
        let scored = eyes.look(&mut detector, 0, &scene).expect("a face");
        assert!(scored.score.value() > 0.0, "{scored:?}");
        let kept = scored.input().expect("a PNG");
        assert!(kept.len() <= SCORED_INPUT_BYTES_MAX, "{}", kept.len());
        let again = replay("looking-away/1", &kept).expect("the same detector");
        assert!((again.value() - scored.score.value()).abs() < 1e-3);
    }
}

struct Eyes {
    finder: FaceFinder,
    reader: AttentionReader,
}

impl Eyes {
    fn load() -> Self {
        Self {
            finder: FaceFinder::load().expect("the model as committed"),
            reader: AttentionReader::load().expect("the models as committed"),
        }
    }

    fn read(&self, scene: &RgbImage) -> Attention {
        let frame = Frame::of(scene);
        let faces = self.finder.find(frame.picture()).expect("the model runs");
        let face = faces.main().expect("a face");
        let look = self.reader.read(frame.picture(), face);
        look.expect("the models run").expect("a face")
    }

    fn look(&self, detector: &mut LookingAway, second: u64, scene: &RgbImage) -> Option<Scored> {
        let frame = Frame::of(scene);
        let picture = frame.picture();
        let faces = self.finder.find(picture).expect("the model runs");
        let now = Now::from_origin(Duration::from_secs(second));
        let faces = &faces;
        let looked = detector.look(now, Input::Faces(Seen { picture, faces }));
        looked.expect("the models run")
    }
}

fn detector(baseline: &AttentionBaseline) -> LookingAway {
    let reader = AttentionReader::load().expect("the models as committed");
    LookingAway::new(reader, *baseline)
}

/// The baseline of somebody who hardly moves.
fn around(look: Attention) -> AttentionBaseline {
    let looks = [-2.0, -1.0, 0.0, 1.0, 2.0].map(|off| Attention {
        yaw: look.yaw + off,
        pitch: look.pitch + off,
        ..look
    });
    AttentionBaseline::of(&looks).expect("enough looks")
}

fn seated() -> RgbImage {
    let mut scene = room();
    seat(&mut scene, 160, 120, 360);
    scene
}
