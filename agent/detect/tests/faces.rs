//! Who is in view, on scenes made of the portrait.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod scenes;

use core::time::Duration;

use image::{Rgb, RgbImage};
use qorgan_detect::{
    Cadence, Detector, FaceFinder, Faces, Input, LOOK_EVERY, NobodyInView, Scored, SecondFace,
    Seen, replay,
};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;

use scenes::{Frame, room, seat};

#[test]
fn one_person_in_a_room_raises_nothing() {
    let mut scene = room();
    seat(&mut scene, 160, 120, 360);

    let (nobody, second) = scores(&scene);

    assert!(!counts(&NobodyInView, &nobody), "{nobody:?}");
    assert!(!counts(&SecondFace, &second), "{second:?}");
}

#[test]
fn an_empty_room_is_nobody_in_view() {
    let (nobody, second) = scores(&room());

    assert!(counts(&NobodyInView, &nobody), "{nobody:?}");
    assert!(!counts(&SecondFace, &second), "{second:?}");
}

#[test]
fn a_covered_camera_is_not_also_called_nobody() {
    let dark = RgbImage::from_pixel(640, 480, Rgb([6, 3, 3]));
    let even = RgbImage::from_pixel(640, 480, Rgb([150, 110, 90]));
    for scene in [dark, even] {
        let (nobody, _) = scores(&scene);
        assert!(!counts(&NobodyInView, &nobody), "{nobody:?}");
    }
}

#[test]
fn a_second_person_beside_or_half_behind_the_candidate_is_a_second_face() {
    for (left, top, side) in [(330, 110, 300), (400, 60, 200)] {
        let mut scene = room();
        seat(&mut scene, 20, 120, 320);
        seat(&mut scene, left, top, side);

        let (nobody, second) = scores(&scene);

        assert!(counts(&SecondFace, &second), "{second:?}");
        assert!(!counts(&NobodyInView, &nobody), "{nobody:?}");
    }
}

#[test]
fn a_poster_across_the_room_is_no_second_person() {
    let mut scene = room();
    seat(&mut scene, 160, 120, 360);
    seat(&mut scene, 40, 30, 72);

    let (_, second) = scores(&scene);

    assert!(!counts(&SecondFace, &second), "{second:?}");
}

#[test]
fn a_candidate_partly_out_of_view_or_behind_a_hand_is_still_somebody() {
    let mut aside = room();
    seat(&mut aside, -150, 120, 360);
    let mut low = room();
    seat(&mut low, 160, 300, 360);
    let mut hand = room();
    seat(&mut hand, 160, 120, 360);
    cover(&mut hand, (240, 290), (200, 90));
    for scene in [aside, low, hand] {
        let (nobody, _) = scores(&scene);
        assert!(!counts(&NobodyInView, &nobody), "{nobody:?}");
    }
}

#[test]
fn both_are_said_within_five_seconds_and_a_passer_by_is_not() {
    let looks = LOOK_EVERY + Duration::from_millis(67);
    for (detector, held) in [
        (&NobodyInView as &dyn Detector, Duration::from_millis(2_500)),
        (&SecondFace, Duration::from_secs(1)),
    ] {
        let begin = detector.patience().begin_after;
        // At worst the event comes just after a look; it is said with the first look that is late
        // enough, so that whole looks count.
        let mut said = looks;
        while said - looks < begin {
            said += looks;
        }
        assert!(said + SLOW_LOOK <= Duration::from_secs(5), "{said:?}");
        assert!(begin > held, "{held:?} is too short to be said");
    }
}

#[test]
fn what_is_kept_fits_and_gives_the_same_scores() {
    let mut two = room();
    seat(&mut two, 20, 120, 320);
    seat(&mut two, 330, 110, 300);
    let mut one = room();
    seat(&mut one, 160, 120, 360);
    for scene in [room(), one, two] {
        let (nobody, second) = scores(&scene);
        for (name, scored) in [("nobody-in-view/1", nobody), ("second-face/1", second)] {
            let kept = scored.input().expect("a PNG");
            assert!(kept.len() <= SCORED_INPUT_BYTES_MAX, "{}", kept.len());
            let again = replay(name, &kept).expect("the same detector");
            assert!((again.value() - scored.score.value()).abs() < 1e-3);
        }
    }
}

#[test]
fn the_finder_looks_at_its_own_cadence() {
    let frame = Frame::of(&room());
    let mut finder = FaceFinder::load().expect("the model as committed");
    let look = |finder: &mut FaceFinder, ms| {
        let now = Now::from_origin(Duration::from_millis(ms));
        let faces = finder.look(now, frame.picture());
        faces.expect("the model runs").is_some()
    };
    let every = u64::try_from(LOOK_EVERY.as_millis()).expect("short");
    assert!(look(&mut finder, 0));
    assert!(!look(&mut finder, every - 1));
    assert!(look(&mut finder, every));
    assert!(!look(&mut finder, every + 1));
    // While a living face is asked to answer.
    finder.pace(Cadence::Close);
    let looks = (1..=1_000).filter(|ms| look(&mut finder, every + ms));
    assert_eq!(looks.count(), 4);
}

/// What a slow look takes on a weak machine.
const SLOW_LOOK: Duration = Duration::from_millis(500);

fn scores(scene: &RgbImage) -> (Scored, Scored) {
    let frame = Frame::of(scene);
    let picture = frame.picture();
    let faces = found(&frame);
    let input = Input::Faces(Seen {
        picture,
        faces: &faces,
    });
    let score = |detector: &mut dyn Detector| {
        let looked = detector.look(Now::default(), input);
        looked.expect("it needs no model")
    };
    (
        score(&mut NobodyInView).expect("faces are scored"),
        score(&mut SecondFace).expect("faces are scored"),
    )
}

fn found(frame: &Frame) -> Faces {
    let finder = FaceFinder::load().expect("the model as committed");
    finder.find(frame.picture()).expect("the model runs")
}

fn counts(detector: &dyn Detector, scored: &Scored) -> bool {
    scored.score >= detector.threshold()
}

/// Draws a flat, skin-coloured shape over a part of a scene.
fn cover(scene: &mut RgbImage, (left, top): (u32, u32), (width, height): (u32, u32)) {
    for y in top..top + height {
        for x in left..left + width {
            scene.put_pixel(x, y, Rgb([196, 150, 126]));
        }
    }
}
