//! A living face is told from prints, displays and films, by the real models on made scenes.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[path = "../../detect/tests/scenes/living.rs"]
mod living;
#[path = "../../detect/tests/scenes/mod.rs"]
mod scenes;

use core::time::Duration;

use image::RgbImage;
use image::imageops::{self, FilterType};
use qorgan_agent_core::liveness::Liveness;
use qorgan_agent_core::looking::Looking;
use qorgan_agent_core::sighting::Sighting;
use qorgan_detect::{FaceFinder, HeadReader, LightAnswer};
use qorgan_protocol::incident::{IncidentKind, WatchPolicy};
use qorgan_protocol::local::{Light, LivenessAsk, LivenessState, Turn};
use qorgan_protocol::time::Now;

use living::{Before, Oval, Sitting, Taken, head_turned, print_turned};
use scenes::{Frame, head, room, seat};

/// What is held or sits before the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Turns {
    /// A head, as asked.
    Head,
    /// A print, turned by hand as asked.
    Print,
    /// Nothing turns.
    Never,
}

/// A place before the camera with an agent's eyes on it, and a kiosk that shines.
struct Place {
    looking: Looking,
    turns: Turns,
    lit: Sitting,
    person: RgbImage,
    face: Oval,
    degrees: f32,
    shines: Option<Light>,
    ms: u64,
    said: Vec<Sighting>,
}

impl Place {
    fn new(turns: Turns, before: Before, usual: Option<LightAnswer>) -> Self {
        let finder = FaceFinder::load().expect("the model as committed");
        let half = |scene: &RgbImage| imageops::resize(scene, 320, 240, FilterType::Triangle);
        let mut person = room();
        seat(&mut person, 160, 120, 360);
        let (person, room) = (half(&person), half(&room()));
        let faces = finder.find(Frame::of(&person).picture());
        let faces = faces.expect("the model runs");
        let face = Oval::of(&person, faces.main().expect("a face"));
        let mut liveness = Liveness::new(&WatchPolicy::remote(), &[], 41);
        if usual.is_some() {
            liveness.resume(usual);
        }
        let reader = HeadReader::load().expect("the model as committed");
        Self {
            looking: Looking::new(Vec::new())
                .with_faces(finder)
                .with_liveness(liveness, Some(reader)),
            turns,
            lit: Sitting::new((&person, face), &room, (before, Taken::EVENING), 7),
            person,
            face,
            degrees: 0.0,
            shines: None,
            ms: 0,
            said: Vec::new(),
        }
    }

    fn now(&self) -> Now {
        Now::from_origin(Duration::from_millis(self.ms))
    }

    fn ask(&mut self, ask: LivenessAsk) {
        let said = self.looking.liveness_asked(self.now(), ask);
        self.said.extend(said);
    }

    fn state(&self) -> LivenessState {
        let liveness = self.looking.liveness().expect("it asks");
        liveness.state(self.now())
    }

    /// Lets time pass until the next picture, and shows it.
    fn step(&mut self) {
        self.ms += if self.asks() { 250 } else { 1_000 };
        let shines = if let LivenessState::Shining(light) = self.state() {
            Some(light)
        } else {
            None
        };
        if shines != self.shines {
            self.shines = shines;
            self.ask(LivenessAsk::Shines(shines));
        }
        let scene = match shines {
            Some(light) => self.lit.shoot(light),
            None => self.turned(),
        };
        let frame = Frame::of(&scene);
        let looked = self.looking.picture(self.now(), frame.picture());
        assert!(looked.failed.is_empty(), "{:?}", looked.failed);
        self.said.extend(looked.said);
    }

    /// Turns by up to 15 degrees a look towards what is asked.
    fn turned(&mut self) -> RgbImage {
        let wanted = if let LivenessState::Turning { turn, .. } = self.state() {
            match turn {
                Turn::Left => 45.0,
                Turn::Right => -45.0,
            }
        } else {
            0.0
        };
        self.degrees += (wanted - self.degrees).clamp(-15.0, 15.0);
        match self.turns {
            Turns::Head if self.degrees != 0.0 => {
                head_turned(&self.person, self.face, self.degrees)
            }
            Turns::Print => {
                let print = imageops::resize(&head(), 180, 180, FilterType::Triangle);
                print_turned(&room(), &print, (170.0, 150.0), self.degrees)
            }
            Turns::Head | Turns::Never => self.person.clone(),
        }
    }

    fn asks(&self) -> bool {
        self.looking.liveness().is_some_and(Liveness::is_asking)
    }

    fn check_in(&mut self) -> LivenessState {
        self.ask(LivenessAsk::Begin);
        while self.asks() {
            self.step();
            assert!(self.ms < 120_000, "it ends");
        }
        self.state()
    }

    /// Sits until something is asked for.
    fn sit(&mut self) {
        self.ask(LivenessAsk::Sitting(true));
        while !self.asks() {
            self.step();
            assert!(self.ms < 120_000, "soon");
        }
    }

    /// Tells whether the light is asked for.
    fn is_lit(&self) -> bool {
        matches!(self.state(), LivenessState::Shining(_))
    }
}

#[test]
fn a_person_checks_in_by_turns_and_light_and_what_does_not_take_on_the_light_is_asked_to_turn() {
    let mut place = Place::new(Turns::Head, Before::Face, None);
    assert_eq!(place.check_in(), LivenessState::Shown);
    let seen = place.looking.liveness().and_then(Liveness::seen_alive);
    let usual = seen.flatten().expect("the light is plain");

    let mut place = Place::new(Turns::Head, Before::Face, Some(usual));
    place.sit();
    while place.asks() {
        assert!(place.is_lit());
        place.step();
    }
    assert_eq!(place.said, []);

    // The light that this face takes on finds what only shows it.
    for before in [Before::Film, Before::Display(0.04), Before::Tinted] {
        let mut place = Place::new(Turns::Never, before, Some(usual));
        place.sit();
        assert!(place.is_lit());
        while place.is_lit() {
            place.step();
        }
        assert!(place.asks(), "{before:?} is asked for a turn");
        if before == Before::Film {
            while place.asks() {
                place.step();
            }
            let kinds: Vec<_> = place.said.iter().map(|seen| seen.kind).collect();
            assert_eq!(kinds, [IncidentKind::PresentationAttack]);
        }
    }
}

#[test]
fn a_print_that_is_turned_by_hand_is_not_seen_alive() {
    let mut place = Place::new(Turns::Print, Before::Face, None);
    assert_eq!(place.check_in(), LivenessState::NotFollowed { left: 2 });
}
