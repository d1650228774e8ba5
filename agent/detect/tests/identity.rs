//! Whose face it is, on the portrait and on the portrait made into somebody else.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod scenes;

use core::time::Duration;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use qorgan_detect::{
    Detector as _, FaceFinder, FaceNumbers, FaceTemplate, Impersonation, Input, Recogniser, Scored,
    Seen, replay,
};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;

use scenes::{Frame, head, room, seat};

#[test]
fn the_candidate_nearer_farther_or_in_the_dark_is_no_impersonation() {
    let eyes = Eyes::load();
    let template = eyes.template();
    assert!(template.check_in_score().expect("both").value() < 0.5);
    let scenes = [
        seated(120, 60, 420),
        seated(250, 150, 220),
        dimmed(&seated(160, 120, 300)),
    ];
    for scene in scenes {
        let mut detector = detector(&template);
        let scored = eyes.look(&mut detector, 0, &scene).expect("a face");
        assert!(scored.score < detector.threshold(), "{scored:?}");
    }
}

#[test]
fn who_puts_on_glasses_is_still_the_candidate() {
    let eyes = Eyes::load();
    let mut detector = detector(&eyes.template());
    let scene = eyes.with_glasses(&seated(160, 120, 360));
    let scored = eyes.look(&mut detector, 0, &scene).expect("a face");
    assert!(scored.score < detector.threshold(), "{scored:?}");
}

#[test]
fn another_person_is_seen_at_check_in_and_later() {
    let eyes = Eyes::load();
    let other = eyes.numbers(&somebody_else()).expect("a face");
    let template = eyes.template();
    let mut detector = detector(&template);

    let scored = eyes.look(&mut detector, 0, &somebody_else());

    let scored = scored.expect("a face");
    assert!(scored.score >= detector.threshold(), "{scored:?}");
    let photo = eyes.numbers(&seated(100, 40, 440)).expect("a face");
    let swapped = FaceTemplate::new(vec![photo], vec![other]).expect("references");
    assert!(swapped.check_in_score().expect("both").value() >= 0.5);
}

#[test]
fn moments_are_drawn_and_a_doubt_is_looked_at_again_at_once() {
    let eyes = Eyes::load();
    let (own, other) = (seated(160, 120, 360), somebody_else());
    let mut detector = detector(&eyes.template());
    eyes.look(&mut detector, 0, &own).expect("the first moment");
    let mut looked = (1..=20).filter(|second| eyes.look(&mut detector, *second, &own).is_some());
    let moment = looked.next().expect("within twenty seconds");
    assert!(moment >= 5, "{moment}");
    drop(looked);
    let after = moment + 20;
    for second in after..after + 4 {
        let scored = eyes.look(&mut detector, second, &other);
        assert!(scored.is_some(), "at {second} s");
    }
    eyes.look(&mut detector, after + 4, &own)
        .expect("a last look");
    assert!(eyes.look(&mut detector, after + 5, &own).is_none());
}

#[test]
fn no_face_is_no_impersonation() {
    let eyes = Eyes::load();
    let mut detector = detector(&eyes.template());
    assert!(eyes.look(&mut detector, 0, &room()).is_none());
    assert!(eyes.look(&mut detector, 1, &seated(300, 200, 60)).is_none());
}

#[test]
fn what_is_kept_fits_and_gives_the_same_score() {
    let eyes = Eyes::load();
    for scene in [seated(160, 120, 360), somebody_else()] {
        let mut detector = detector(&eyes.template());
        let scored = eyes.look(&mut detector, 0, &scene).expect("a face");
        let kept = scored.input().expect("a PNG");
        assert!(kept.len() <= SCORED_INPUT_BYTES_MAX, "{}", kept.len());
        let again = replay("impersonation/2", &kept).expect("the same detector");
        assert!((again.value() - scored.score.value()).abs() < 1e-3);
    }
}

#[test]
fn a_template_reads_back_and_other_bytes_are_refused() {
    let template = Eyes::load().template();
    let bytes = template.to_bytes();
    assert_eq!(FaceTemplate::from_bytes(&bytes).expect("whole"), template);
    FaceTemplate::from_bytes(&[]).expect_err("nothing");
    FaceTemplate::from_bytes(&bytes[1..]).expect_err("cut");
    let mut padded = bytes.clone();
    *padded.last_mut().expect("bytes") = 1;
    FaceTemplate::from_bytes(&padded).expect_err("trailing bytes");
    let mut unknown = bytes;
    unknown[0] = 9;
    FaceTemplate::from_bytes(&unknown).expect_err("an unknown origin");
    assert!(FaceTemplate::new(Vec::new(), Vec::new()).is_none());
    assert!(!format!("{template:?}").contains(char::is_numeric));
}

struct Eyes {
    finder: FaceFinder,
    recogniser: Recogniser,
}

impl Eyes {
    fn load() -> Self {
        Self {
            finder: FaceFinder::load().expect("the model as committed"),
            recogniser: Recogniser::load().expect("the model as committed"),
        }
    }

    fn numbers(&self, scene: &RgbImage) -> Option<FaceNumbers> {
        let frame = Frame::of(scene);
        let faces = self.finder.find(frame.picture()).expect("the model runs");
        let numbers = self.recogniser.numbers(frame.picture(), faces.main()?);
        numbers.expect("the model runs")
    }

    fn look(&self, detector: &mut Impersonation, second: u64, scene: &RgbImage) -> Option<Scored> {
        let frame = Frame::of(scene);
        let picture = frame.picture();
        let faces = self.finder.find(picture).expect("the model runs");
        let now = Now::from_origin(Duration::from_secs(second));
        let faces = &faces;
        let looked = detector.look(now, Input::Faces(Seen { picture, faces }));
        looked.expect("the models run")
    }

    /// Draws a dark rim about each eye.
    fn with_glasses(&self, scene: &RgbImage) -> RgbImage {
        let frame = Frame::of(scene);
        let faces = self.finder.find(frame.picture()).expect("the model runs");
        let [one, other, ..] = faces.main().expect("a face").points;
        let mut scene = scene.clone();
        let (wide, high) = (scene.width(), scene.height());
        let real = |pixels: u32| f32::from(u16::try_from(pixels).expect("small"));
        let apart = (other.x - one.x) * real(wide);
        for (x, y, pixel) in scene.enumerate_pixels_mut() {
            for eye in [one, other] {
                let across = (real(x) - eye.x * real(wide)) / (apart * 0.42);
                let down = (real(y) - eye.y * real(high)) / (apart * 0.33);
                if (0.87..=1.0).contains(&across.hypot(down)) {
                    *pixel = Rgb([20, 18, 18]);
                }
            }
        }
        scene
    }

    /// A photo on file and four pictures of check-in.
    fn template(&self) -> FaceTemplate {
        let photo = self.numbers(&seated(100, 40, 440)).expect("a face");
        let places = [
            (160, 120, 360),
            (150, 110, 350),
            (170, 125, 340),
            (165, 118, 330),
        ];
        let check_in =
            places.map(|(left, top, side)| self.numbers(&seated(left, top, side)).expect("a face"));
        FaceTemplate::new(vec![photo], check_in.to_vec()).expect("references")
    }
}

fn seated(left: i64, top: i64, side: u32) -> RgbImage {
    let mut scene = room();
    seat(&mut scene, left, top, side);
    scene
}

/// The portrait with a face half as long: to the model another person.
fn somebody_else() -> RgbImage {
    let mut scene = room();
    let other = imageops::resize(&head(), 360, 200, FilterType::Triangle);
    imageops::replace(&mut scene, &other, 120, 110);
    scene
}

fn detector(template: &FaceTemplate) -> Impersonation {
    let recogniser = Recogniser::load().expect("the model as committed");
    Impersonation::new(recogniser, template.clone(), 7)
}

fn dimmed(scene: &RgbImage) -> RgbImage {
    let mut scene = scene.clone();
    for pixel in scene.pixels_mut() {
        *pixel = Rgb(pixel.0.map(|value| value / 3 + 10));
    }
    scene
}
