//! Whether a living face answers, on scenes made of the portrait.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[path = "scenes/bent.rs"]
mod bent;
#[path = "scenes/living.rs"]
mod living;
mod scenes;

use image::RgbImage;
use image::imageops::{self, FilterType};
use qorgan_detect::{
    FaceFinder, HeadReader, LIGHT_NOT_FOLLOWED, LIVENESS_THRESHOLD, LightAnswer, LitLook, Scored,
    Seen, TURN_NOT_FOLLOWED, light_score, replay, turn_score,
};
use qorgan_protocol::local::{Light, Turn};

use bent::print_bent;
use living::{Before, Oval, Sitting, Taken, head_turned, print_turned};
use scenes::{Frame, head, portrait, room, seat};

#[test]
fn a_face_that_the_screen_lights_as_at_check_in_follows() {
    let eyes = Eyes::load();
    let usual = eyes.usual();
    assert!(usual.is_plain(), "{usual:?}");
    // The room may grow brighter by two fifths, and the camera may balance white.
    for (share, balance) in [(0.1, 0.0), (0.07, 0.0), (0.1, 0.7)] {
        let taken = Taken {
            share,
            balance,
            ..Taken::EVENING
        };
        let scored = light_score(usual, &eyes.looks(Before::Face, taken, 5)).expect("a score");
        assert!(scored.score < LIVENESS_THRESHOLD, "{scored:?}");
        replays(LIGHT_NOT_FOLLOWED, &scored);
    }
}

#[test]
fn a_display_and_a_fed_film_do_not_follow_also_where_a_program_tints_them() {
    let eyes = Eyes::load();
    let usual = eyes.usual();
    for before in [
        Before::Display(0.0),
        Before::Display(0.04),
        Before::Film,
        Before::Tinted,
    ] {
        let scored = light_score(usual, &eyes.looks(before, Taken::EVENING, 5)).expect("a score");
        assert!(scored.score.value() > 0.8, "{before:?} {scored:?}");
        replays(LIGHT_NOT_FOLLOWED, &scored);
    }
}

#[test]
fn light_that_does_not_reach_the_face_is_not_plain() {
    let eyes = Eyes::load();
    for (share, plain) in [(0.0, false), (0.002, false), (0.02, true)] {
        let looks = eyes.looks(
            Before::Face,
            Taken {
                share,
                ..Taken::EVENING
            },
            3,
        );
        let answer = LightAnswer::of(&looks).expect("enough looks");
        assert_eq!(answer.is_plain(), plain, "{share} {answer:?}");
    }
}

#[test]
fn a_face_that_fills_the_picture_tells_nothing_of_the_light() {
    let eyes = Eyes::load();
    let near = imageops::crop_imm(&portrait(), 170, 60, 120, 120).to_image();
    let near = imageops::resize(&near, 640, 480, FilterType::Triangle);
    let frame = Frame::of(&near);
    let picture = frame.picture();
    let faces = eyes.finder.quick(picture).expect("the model runs");
    let face = faces.main().expect("a face");
    let seen = Seen {
        picture,
        faces: &faces,
    };
    assert_eq!(LitLook::of(seen, face, Light::Warm), None);
}

#[test]
fn a_head_that_turns_reads_as_one_in_its_direction() {
    let eyes = Eyes::load();
    let straight = eyes.yaw(&seated()).expect("a face");
    let face = eyes.oval(&seated());
    for (degrees, turn, other) in [
        (45.0, Turn::Left, Turn::Right),
        (-45.0, Turn::Right, Turn::Left),
    ] {
        let ways = [0.0, 0.25, 0.5, 0.75, 1.0, 1.0].map(|part| part * degrees);
        let yaws = ways.map(|degrees| eyes.yaw(&head_turned(&seated(), face, degrees)));
        let yaws: Vec<f32> = yaws.into_iter().flatten().collect();
        let scored = turn_score(turn, straight, &yaws);
        assert!(scored.score.value() < 1e-6, "{scored:?} {yaws:?}");
        replays(TURN_NOT_FOLLOWED, &scored);
        let scored = turn_score(other, straight, &yaws);
        assert!(scored.score >= LIVENESS_THRESHOLD, "{scored:?} {yaws:?}");
        replays(TURN_NOT_FOLLOWED, &scored);
    }
}

#[test]
fn a_print_that_is_turned_by_hand_is_no_head_that_turns() {
    let eyes = Eyes::load();
    let print = imageops::resize(&head(), 360, 360, FilterType::Triangle);
    let held = |degrees| eyes.yaw(&print_turned(&room(), &print, (340.0, 300.0), degrees));
    let straight = held(0.0).expect("a face");
    let degrees = [-45.0, -45.0, -35.0, -20.0, 20.0, 35.0, 45.0, 45.0];
    let yaws: Vec<f32> = degrees.into_iter().filter_map(held).collect();
    for turn in [Turn::Left, Turn::Right] {
        let scored = turn_score(turn, straight, &yaws);
        assert!(scored.score >= LIVENESS_THRESHOLD, "{scored:?} {yaws:?}");
    }
}

#[test]
fn a_print_wound_round_as_wide_as_a_head_does_not_turn_far_enough() {
    let eyes = Eyes::load();
    let print = imageops::resize(&head(), 360, 360, FilterType::Triangle);
    let held = |degrees| {
        let column = (110.0, degrees);
        eyes.yaw(&print_bent(&room(), &print, (320.0, 260.0), column))
    };
    let straight = held(0.0).expect("a face");
    let degrees = [-45.0, -45.0, -30.0, 30.0, 45.0, 45.0];
    let yaws: Vec<f32> = degrees.into_iter().filter_map(held).collect();
    for turn in [Turn::Left, Turn::Right] {
        let scored = turn_score(turn, straight, &yaws);
        assert!(scored.score >= LIVENESS_THRESHOLD, "{scored:?} {yaws:?}");
    }
}

struct Eyes {
    finder: FaceFinder,
    reader: HeadReader,
}

impl Eyes {
    fn load() -> Self {
        Self {
            finder: FaceFinder::load().expect("the model as committed"),
            reader: HeadReader::load().expect("the model as committed"),
        }
    }

    fn usual(&self) -> LightAnswer {
        LightAnswer::of(&self.looks(Before::Face, Taken::EVENING, 11)).expect("enough looks")
    }

    /// Five phases of three looks each, at 320 by 240.
    fn looks(&self, before: Before, taken: Taken, seed: u32) -> Vec<LitLook> {
        let half = |scene: &RgbImage| imageops::resize(scene, 320, 240, FilterType::Triangle);
        let (person, room) = (half(&seated()), half(&room()));
        let person = (&person, self.oval(&person));
        let mut sitting = Sitting::new(person, &room, (before, taken), seed);
        let mut looks = Vec::new();
        for light in [
            Light::Warm,
            Light::Cool,
            Light::Cool,
            Light::Warm,
            Light::Cool,
        ] {
            for _ in 0..3 {
                let frame = Frame::of(&sitting.shoot(light));
                let picture = frame.picture();
                let faces = self.finder.quick(picture).expect("the model runs");
                let face = faces.main().expect("a face");
                let seen = Seen {
                    picture,
                    faces: &faces,
                };
                looks.extend(LitLook::of(seen, face, light));
            }
        }
        looks
    }

    fn yaw(&self, scene: &RgbImage) -> Option<f32> {
        let frame = Frame::of(scene);
        let faces = self.finder.quick(frame.picture()).expect("the model runs");
        let face = faces.main()?;
        let yaw = self.reader.yaw(frame.picture(), face);
        yaw.expect("the model runs")
    }

    fn oval(&self, scene: &RgbImage) -> Oval {
        let frame = Frame::of(scene);
        let faces = self.finder.find(frame.picture()).expect("the model runs");
        Oval::of(scene, faces.main().expect("a face"))
    }
}

fn replays(name: &str, scored: &Scored) {
    let kept = scored.input().expect("bytes");
    assert!(kept.len() < 1_000, "numbers alone");
    assert_eq!(replay(name, &kept).expect("kept"), scored.score);
}

fn seated() -> RgbImage {
    let mut scene = room();
    seat(&mut scene, 160, 120, 360);
    scene
}
