//! A seat with a candidate, or what is put in their place, and a kiosk before it.

use proptest::prelude::*;
use qorgan_detect::{Shade, replay};
use qorgan_protocol::incident::Sensitivity;

use super::*;

/// What sits before the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Actor {
    /// Does as asked and takes on so many levels of the light.
    Living(f32),
    /// A print: nothing moves, and it takes on so many levels of the light.
    Print(f32),
    /// A photo or a screen: nothing moves, nothing shines.
    Still,
    /// A film in which a head turns to and fro, three seconds a way.
    Film,
    /// Nobody.
    Nobody,
    /// A face of which nothing can be read.
    Blurred,
}

/// A kiosk that shines, or does not.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Screen {
    Bright,
    Dark,
    Silent,
}

struct Seat {
    live: Liveness,
    actor: Actor,
    screen: Screen,
    ms: u64,
    shines: Option<Light>,
    said: Vec<Sighting>,
    /// Everything that was asked for, in order.
    states: Vec<LivenessState>,
}

impl Seat {
    fn new(actor: Actor, seed: u64) -> Self {
        Self::with(actor, seed, &[])
    }

    fn with(actor: Actor, seed: u64, allowances: &[Allowance]) -> Self {
        Self {
            live: Liveness::new(&WatchPolicy::remote(), allowances, seed),
            actor,
            screen: Screen::Bright,
            ms: 0,
            shines: None,
            said: Vec::new(),
            states: Vec::new(),
        }
    }

    fn ask(&mut self, ask: LivenessAsk) {
        let said = self.live.asked(self.now(), ask);
        self.said.extend(said);
    }

    fn now(&self) -> Now {
        Now::from_origin(Duration::from_millis(self.ms))
    }

    /// Lets a quarter of a second pass.
    fn step(&mut self) {
        self.ms += 250;
        let state = self.live.state(self.now());
        if self.states.last() != Some(&state) {
            self.states.push(state);
        }
        let asked = if let LivenessState::Shining(light) = state {
            Some(light)
        } else {
            None
        };
        if asked != self.shines {
            match self.screen {
                Screen::Bright => {
                    self.shines = asked;
                    self.ask(LivenessAsk::Shines(asked));
                }
                Screen::Dark if asked.is_some() => self.ask(LivenessAsk::Dark),
                Screen::Dark | Screen::Silent => {}
            }
        }
        let glance = self.glance(state);
        let said = self.live.see(self.now(), glance);
        self.said.extend(said);
    }

    fn glance(&self, state: LivenessState) -> Glance {
        let wants = self.live.wants(self.now());
        match (wants, self.actor) {
            (Wants::Nothing, _) => Glance::Nothing,
            (_, Actor::Nobody) => Glance::Nobody,
            (_, Actor::Blurred) => Glance::Unread,
            (Wants::Head, Actor::Living(_)) => {
                if let LivenessState::Turning { turn, .. } = state {
                    Glance::Head(side(turn) * 32.0 + 4.0)
                } else {
                    Glance::Head(4.0)
                }
            }
            (Wants::Head, Actor::Still | Actor::Print(_)) => Glance::Head(4.0),
            (Wants::Head, Actor::Film) => Glance::Head(match self.ms / 3_000 % 4 {
                0 | 2 => 0.0,
                1 => 32.0,
                _ => -32.0,
            }),
            (Wants::Lit(light), actor) => Glance::Lit(self.lit(light, actor)),
        }
    }

    /// A face of which the sensor's noise moves the mean by a tenth of a level.
    fn lit(&self, light: Light, actor: Actor) -> LitLook {
        let levels = match actor {
            Actor::Living(levels) | Actor::Print(levels) => levels,
            Actor::Still | Actor::Film | Actor::Nobody | Actor::Blurred => 0.0,
        };
        let way = if light == Light::Warm { 0.5 } else { -0.5 };
        let noise = if (self.ms / 250).is_multiple_of(3) {
            0.1
        } else {
            -0.1
        };
        let shade = |levels: f32| Shade {
            luma: 120.0,
            cb: 112.0 - way * levels + noise,
            cr: 146.0 + way * levels - noise,
        };
        LitLook {
            light,
            face: shade(levels),
            around: shade(levels / 4.0),
        }
    }

    fn run(&mut self, seconds: u64) {
        for _ in 0..seconds * 4 {
            self.step();
        }
    }

    /// Begins at check-in and waits until nothing is asked any more.
    fn check_in(&mut self) -> LivenessState {
        self.ask(LivenessAsk::Begin);
        for _ in 0..400 {
            self.step();
            if !self.live.is_asking() {
                break;
            }
        }
        self.live.state(self.now())
    }

    /// A living candidate checks in; then somebody takes the seat, and the exam begins.
    fn exam(actor: Actor, seed: u64, allowances: &[Allowance]) -> Self {
        let mut seat = Self::with(Actor::Living(4.0), seed, allowances);
        assert_eq!(seat.check_in(), LivenessState::Shown);
        seat.states.clear();
        seat.actor = actor;
        seat.ask(LivenessAsk::Sitting(true));
        seat
    }

    fn kinds(&self) -> Vec<IncidentKind> {
        self.said.iter().map(|seen| seen.kind).collect()
    }

    fn shone(&self) -> usize {
        let shines = |state: &&LivenessState| matches!(state, LivenessState::Shining(_));
        self.states.iter().filter(shines).count()
    }

    fn turned(&self) -> usize {
        let turning = |state: &&LivenessState| matches!(state, LivenessState::Turning { .. });
        self.states.iter().filter(turning).count()
    }
}

fn side(turn: Turn) -> f32 {
    match turn {
        Turn::Left => 1.0,
        Turn::Right => -1.0,
    }
}

const HOUR: u64 = 3_600;

#[test]
fn who_turns_as_asked_and_takes_on_the_light_is_seen_alive() {
    for seed in 0..20 {
        let mut seat = Seat::new(Actor::Living(3.0), seed);
        assert_eq!(seat.check_in(), LivenessState::Shown, "{:?}", seat.states);
        assert!(seat.ms < 25_000, "it takes {} ms", seat.ms);
        assert!(seat.turned() >= CHECK_IN_TURNS && seat.shone() >= 3);
        assert!(
            seat.live.seen_alive().flatten().is_some(),
            "the light is plain"
        );
        seat.ask(LivenessAsk::Begin);
        seat.ask(LivenessAsk::Skip);
        assert!(!seat.live.is_asking() && seat.said.is_empty());
    }
}

#[test]
fn a_picture_is_not_seen_alive_and_what_is_begun_anew_is_counted() {
    for actor in [Actor::Still, Actor::Nobody, Actor::Blurred] {
        let mut seat = Seat::new(actor, 7);
        for left in [2, 1, 0, 0] {
            assert_eq!(seat.check_in(), LivenessState::NotFollowed { left });
        }
        assert!(seat.said.is_empty());
        seat.ask(LivenessAsk::Skip);
        assert_eq!(seat.live.state(seat.now()), LivenessState::Skipped);
        assert_eq!(seat.kinds(), [IncidentKind::HeadNotTurned]);
        assert_eq!(seat.live.missing(seat.now()), None, "said once");
    }
}

#[test]
fn a_film_of_a_turning_head_fits_by_chance_alone() {
    let passes = |seed: &u64| Seat::new(Actor::Film, *seed).check_in() == LivenessState::Shown;
    let passed = (0..400).filter(passes).count();
    assert!(
        (20..80).contains(&passed),
        "{passed} of 400, and 50 by chance"
    );
}

#[test]
fn one_who_begins_anew_in_the_middle_has_begun_once_more() {
    let mut seat = Seat::new(Actor::Film, 3);
    for _ in 0..10 {
        seat.ask(LivenessAsk::Begin);
        seat.run(2);
    }
    seat.run(60);
    let left = LivenessState::NotFollowed { left: 0 };
    assert_eq!(seat.live.state(seat.now()), left);
}

#[test]
fn an_honest_hour_is_asked_a_few_times_mostly_by_light_and_nothing_is_said() {
    let (mut shone, mut turned) = (0, 0);
    for seed in 0..20 {
        let mut seat = Seat::exam(Actor::Living(4.0), seed, &[]);
        seat.run(HOUR);
        assert_eq!(seat.said, [], "seed {seed}");
        let asked = seat.shone() / 3 + seat.turned() / EXAM_TURNS;
        assert!((3..=13).contains(&asked), "{asked}");
        shone += seat.shone() / 4;
        turned += seat.turned() / EXAM_TURNS;
    }
    assert!(
        turned > 10 && shone > turned,
        "{shone} by light, {turned} by turns"
    );
}

#[test]
fn a_print_that_takes_on_the_light_is_said_in_the_course_of_an_exam() {
    let said = (0..20).filter(|seed| {
        let mut seat = Seat::exam(Actor::Print(4.0), *seed, &[]);
        seat.run(2 * HOUR);
        !seat.said.is_empty()
    });
    assert!(said.count() >= 18);
}

#[test]
fn a_picture_in_the_candidates_place_is_said_with_what_was_scored() {
    for actor in [Actor::Still, Actor::Blurred] {
        for seed in 0..20 {
            let mut seat = Seat::exam(actor, seed, &[]);
            seat.run(6 * 60);
            let [flag] = seat.said.as_slice() else {
                panic!("{:?}", seat.said)
            };
            assert_eq!(flag.kind, IncidentKind::PresentationAttack);
            assert_eq!(flag.detector, TURN_NOT_FOLLOWED);
            let again = replay(flag.detector, &flag.scored_input).expect("as kept");
            assert!((again.value() - flag.score.value()).abs() < 1e-9);
        }
    }
}

#[test]
fn a_film_is_said_in_the_course_of_an_exam() {
    let said = (0..20).filter(|seed| {
        let mut seat = Seat::exam(Actor::Film, *seed, &[]);
        seat.run(3 * HOUR);
        !seat.said.is_empty()
    });
    assert!(said.count() >= 19);
}

#[test]
fn an_empty_seat_is_asked_again_and_is_no_picture() {
    let mut seat = Seat::exam(Actor::Nobody, 5, &[]);
    seat.run(HOUR);
    assert_eq!(seat.said, [], "nobody in view is another flag's business");
    assert!(seat.states.len() > 10);
}

#[test]
fn where_the_screen_does_not_shine_the_head_is_asked() {
    for screen in [Screen::Dark, Screen::Silent] {
        let mut seat = Seat::exam(Actor::Living(4.0), 9, &[]);
        seat.screen = screen;
        seat.run(HOUR);
        assert_eq!(seat.said, []);
        assert!(seat.turned() >= 2, "{screen:?}");
    }
}

#[test]
fn a_room_too_bright_for_the_light_asks_for_the_head_from_then_on() {
    let mut seat = Seat::exam(Actor::Living(0.0), 11, &[]);
    seat.run(2 * HOUR);
    assert_eq!(seat.said, [], "who turns is no picture");
    let shone = seat.shone();
    assert!(
        shone <= 5 && seat.turned() >= 6,
        "{shone} {}",
        seat.turned()
    );
}

#[test]
fn an_allowance_puts_one_check_in_the_others_place() {
    let mut seat = Seat::exam(Actor::Living(4.0), 13, &[Allowance::NoLight]);
    seat.run(HOUR);
    assert_eq!((seat.shone(), seat.said.len()), (0, 0));
    assert!(seat.turned() >= 2);

    let mut seat = Seat::exam(Actor::Living(4.0), 13, &[Allowance::NoTurning]);
    seat.run(HOUR);
    assert_eq!((seat.turned(), seat.said.len()), (0, 0));
    assert!(seat.shone() >= 9);

    let mut seat = Seat::exam(Actor::Still, 13, &[Allowance::NoTurning]);
    seat.run(6 * 60);
    assert_eq!(seat.said[0].detector, LIGHT_NOT_FOLLOWED);
    let again = replay(LIGHT_NOT_FOLLOWED, &seat.said[0].scored_input).expect("as kept");
    assert!((again.value() - seat.said[0].score.value()).abs() < 1e-9);

    let both = [Allowance::NoLight, Allowance::NoTurning];
    let mut seat = Seat::with(Actor::Living(4.0), 13, &both);
    assert_eq!(seat.check_in(), LivenessState::Unavailable);
    seat.ask(LivenessAsk::Skip);
    assert_eq!(seat.kinds(), [IncidentKind::HeadNotTurned]);
}

#[test]
fn an_exam_that_does_not_watch_for_it_asks_nothing() {
    let mut seat = Seat::new(Actor::Still, 1);
    seat.live = Liveness::new(&WatchPolicy::on_site(), &[], 1);
    assert_eq!(seat.check_in(), LivenessState::NotNeeded);
    seat.ask(LivenessAsk::Sitting(true));
    seat.run(HOUR);
    assert_eq!(seat.said, []);
    assert_eq!(seat.states, [LivenessState::NotNeeded]);
}

#[test]
fn an_exam_that_is_covered_again_and_again_puts_nothing_off() {
    let mut seat = Seat::exam(Actor::Still, 17, &[]);
    for _ in 0..40 {
        seat.run(20);
        seat.ask(LivenessAsk::Sitting(false));
        seat.run(2);
        seat.ask(LivenessAsk::Sitting(true));
    }
    assert!(seat.shone() >= 3 && seat.turned() > 10, "{}", seat.turned());
}

#[test]
fn who_comes_to_the_exam_without_a_turn_is_said_and_asked_soon() {
    let mut seat = Seat::new(Actor::Living(4.0), 19);
    seat.ask(LivenessAsk::Sitting(true));
    assert_eq!(seat.kinds(), [IncidentKind::HeadNotTurned]);
    seat.ask(LivenessAsk::Begin);
    assert!(!seat.live.is_asking(), "check-in is over");
    seat.run(75);
    assert!(seat.turned() >= 1);
    assert_eq!(seat.live.state(seat.now()), LivenessState::Shown);
}

#[test]
fn an_agent_that_was_started_again_asks_soon() {
    let mut before = Seat::new(Actor::Living(4.0), 23);
    before.check_in();
    let mut seat = Seat::new(Actor::Living(4.0), 24);
    seat.live.resume(before.live.seen_alive().expect("alive"));
    seat.ask(LivenessAsk::Sitting(true));
    seat.run(75);
    assert!(seat.shone() + seat.turned() >= 2 && seat.said.is_empty());
}

#[test]
fn a_machine_that_reads_no_heads_says_so() {
    let mut seat = Seat::new(Actor::Living(4.0), 29);
    seat.live.cannot();
    assert_eq!(seat.check_in(), LivenessState::Unavailable);
    seat.ask(LivenessAsk::Sitting(true));
    seat.run(HOUR);
    assert_eq!(seat.kinds(), [IncidentKind::HeadNotTurned]);
}

#[test]
fn the_threshold_follows_the_exams_sensitivity() {
    let mut watch = WatchPolicy::remote();
    assert!(watch.set(IncidentKind::PresentationAttack, Sensitivity::Low));
    let low = Liveness::new(&watch, &[], 1).threshold;
    assert!(low > Liveness::new(&WatchPolicy::remote(), &[], 1).threshold);
}

proptest! {
    #[test]
    fn whatever_client_and_camera_do_a_living_candidate_is_never_said_to_be_a_picture(
        seed in 0_u64..1_000,
        script in proptest::collection::vec((0_u8..9, 1_u64..40), 1..40)
    ) {
        let mut seat = Seat::new(Actor::Living(4.0), seed);
        for (what, seconds) in script {
            match what {
                0 => seat.ask(LivenessAsk::Begin),
                1 => seat.ask(LivenessAsk::Skip),
                2 | 3 => seat.ask(LivenessAsk::Sitting(true)),
                4 => seat.ask(LivenessAsk::Sitting(false)),
                5 => seat.ask(LivenessAsk::Dark),
                6 => seat.ask(LivenessAsk::Shines(None)),
                7 => seat.screen = Screen::Dark,
                _ => seat.screen = Screen::Bright,
            }
            seat.run(seconds * 10);
        }
        prop_assert!(!seat.kinds().contains(&IncidentKind::PresentationAttack));
    }
}
