//! A phone in a hand, drawn beside the portrait.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

mod scenes;

use core::time::Duration;

use image::{Rgb, RgbImage};
use qorgan_detect::{
    Detector, FaceFinder, Input, PhoneInView, Scored, Seen, THINGS_EVERY, ThingFinder, replay,
};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;
use qorgan_protocol::time::Now;

use scenes::{Frame, room, seat};

#[test]
fn a_candidate_without_a_phone_raises_nothing() {
    assert!(!counts(&scored(&candidate())));
    assert!(!counts(&scored(&room())), "nor does an empty room");
}

#[test]
fn a_phone_in_a_hand_is_perhaps_a_phone() {
    for (width, lit) in [(50, true), (70, true), (70, false), (90, true)] {
        let mut scene = candidate();
        phone(&mut scene, (470, 250), width, lit);

        let found = scored(&scene);

        assert!(counts(&found), "{width} {lit}: {found:?}");
        assert!(found.detail.starts_with("perhaps"), "{}", found.detail);
    }
}

#[test]
fn a_thing_seen_in_one_look_alone_is_not_said() {
    assert!(PhoneInView.patience().begin_after > Duration::ZERO);
    assert!(PhoneInView.patience().begin_after < THINGS_EVERY);
}

#[test]
fn what_is_kept_fits_and_gives_the_same_score() {
    let mut scene = candidate();
    phone(&mut scene, (470, 250), 70, true);
    let found = scored(&scene);
    let kept = found.input().expect("a PNG");
    assert!(kept.len() <= SCORED_INPUT_BYTES_MAX, "{}", kept.len());
    let again = replay(PhoneInView.name(), &kept).expect("the same detector");
    assert!((again.value() - found.score.value()).abs() < 1e-3);
}

#[test]
fn noise_that_no_png_shrinks_can_still_be_kept() {
    let mut noise = 0x9E37_79B9_u32;
    let scene = RgbImage::from_fn(1280, 720, |_x, _y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let [red, green, blue, _] = noise.to_le_bytes();
        Rgb([red, green, blue])
    });
    let kept = scored(&scene).input().expect("a PNG");
    assert!(kept.len() <= SCORED_INPUT_BYTES_MAX, "{}", kept.len());
}

#[test]
fn things_are_looked_for_at_their_own_cadence() {
    let frame = Frame::of(&room());
    let faces = FaceFinder::load().expect("the model as committed");
    let faces = faces.find(frame.picture()).expect("the model runs");
    let mut finder = ThingFinder::load().expect("the model as committed");
    let mut look = |ms| {
        let seen = Seen {
            picture: frame.picture(),
            faces: &faces,
        };
        let now = Now::from_origin(Duration::from_millis(ms));
        finder.look(now, seen).expect("the model runs").is_some()
    };
    let every = u64::try_from(THINGS_EVERY.as_millis()).expect("short");
    assert!(look(0));
    assert!(!look(every - 1));
    assert!(look(every));
}

fn candidate() -> RgbImage {
    let mut scene = room();
    seat(&mut scene, 160, 120, 360);
    scene
}

fn scored(scene: &RgbImage) -> Scored {
    let frame = Frame::of(scene);
    let faces = FaceFinder::load().expect("the model as committed");
    let faces = faces.find(frame.picture()).expect("the model runs");
    let seen = Seen {
        picture: frame.picture(),
        faces: &faces,
    };
    let mut finder = ThingFinder::load().expect("the model as committed");
    let things = finder.look(Now::default(), seen).expect("the model runs");
    let things = things.expect("the first look");
    let found = PhoneInView.look(Now::default(), Input::Things(&things));
    let found = found.expect("it needs no model");
    found.expect("things are scored")
}

fn counts(found: &Scored) -> bool {
    found.score >= PhoneInView.threshold()
}

/// Draws a phone twice as high as wide, with the fingers that hold it.
fn phone(scene: &mut RgbImage, (left, top): (i64, i64), width: i64, lit: bool) {
    let height = width * 2;
    let (dark, skin, screen) = (Rgb([18, 18, 22]), Rgb([196, 150, 126]), Rgb([60, 110, 190]));
    let palm = (left + width / 8, top + height * 37 / 40);
    ellipse(scene, palm, (width / 2, height * 3 / 8), skin);
    rectangle(scene, (left, top), (width, height), dark);
    if lit {
        let edge = width / 16;
        let size = (width - 2 * edge, height * 21 / 25);
        rectangle(scene, (left + edge, top + height * 2 / 25), size, screen);
        for icon in 0..15 {
            let colour = [[240, 240, 240], [230, 90, 60], [90, 200, 110]];
            let kind = usize::try_from((icon / 3 + icon % 3) % 3).expect("small");
            let place = (
                left + width / 8 + (icon % 3) * width * 27 / 100,
                top + height / 7 + (icon / 3) * height / 7,
            );
            rectangle(scene, place, (width / 5, width / 5), Rgb(colour[kind]));
        }
    }
    for finger in 0..4 {
        let place = (left + width, top + height * (40 + 14 * finger) / 100);
        ellipse(scene, place, (width / 7, height / 18), Rgb([190, 142, 118]));
    }
}

fn rectangle(
    scene: &mut RgbImage,
    (left, top): (i64, i64),
    (width, height): (i64, i64),
    colour: Rgb<u8>,
) {
    draw(scene, colour, |x, y| {
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    });
}

fn ellipse(scene: &mut RgbImage, middle: (i64, i64), radius: (i64, i64), colour: Rgb<u8>) {
    let (across, down) = (radius.0.pow(2), radius.1.pow(2));
    draw(scene, colour, |x, y| {
        let (dx, dy) = ((x - middle.0).pow(2), (y - middle.1).pow(2));
        dx * down + dy * across <= across * down
    });
}

fn draw(scene: &mut RgbImage, colour: Rgb<u8>, inside: impl Fn(i64, i64) -> bool) {
    for (x, y, pixel) in scene.enumerate_pixels_mut() {
        if inside(i64::from(x), i64::from(y)) {
            *pixel = colour;
        }
    }
}
