//! Freshness codes: found, missed or unanswered, and never taken back.

use proptest::prelude::*;

use super::super::*;
use super::world::{CAMERA, MICROPHONE, SCREEN, World};
use crate::attempt::freshness::UNPROVED_MAX;
use crate::stream::SourceKind;

#[test]
fn a_client_that_comes_every_3300_ms_misses_its_codes() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    for half_second in 1..=1_200_u64 {
        let contact = (half_second * 500) % 3_300 < 500;
        step(&mut world, (contact, true), &mut told);
    }
    assert!(told.missed > 0, "{told:?}");
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    assert!(told.missed + told.unanswered <= 2, "{told:?}");
}

#[test]
fn an_agent_that_sends_every_four_seconds_misses_its_codes() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    for half_second in 1..=1_200 {
        step(&mut world, (true, half_second % 8 == 0), &mut told);
    }
    assert!(told.missed + told.unanswered > 0, "{told:?}");
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
}

#[test]
fn a_client_that_never_comes_is_covered_and_goes_on_once_it_answers() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    for _half_second in 0..240 {
        step(&mut world, (false, true), &mut told);
    }
    assert_eq!((told.missed, told.unanswered), (0, 2));
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    assert_eq!(world.gate.asked_code(), None);
    step(&mut world, (true, true), &mut told);
    assert!(world.gate.asked_code().is_some());
    world.input(GateInput::CodeFound).expect("always taken");
    assert!(world.leased());
}

#[test]
fn an_outage_during_a_code_costs_an_honest_candidate_one_more_code() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    while world.gate.asked_code().is_none() {
        step(&mut world, (true, true), &mut told);
    }
    for _half_second in 0..30 {
        step(&mut world, (false, false), &mut told);
    }
    assert_eq!((told.missed, told.unanswered), (0, 1));
    step(&mut world, (true, true), &mut told);
    assert!(world.leased());
    assert!(world.gate.asked_code().is_some());
    world.input(GateInput::CodeFound).expect("always taken");
    for _half_second in 0..50 {
        step(&mut world, (true, true), &mut told);
        assert!(world.leased());
    }
    assert_eq!((told.missed, told.unanswered), (0, 1));
}

#[test]
fn an_honest_client_on_a_slow_line_is_never_covered() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    for half_second in 1..=1_200_u64 {
        let contact = (half_second * 500) % 3_300 < 500;
        step(&mut world, (contact, true), &mut told);
        let asked = world.gate.asked_code();
        if asked.is_some_and(|code| world.at.now.since(code.asked) >= Duration::from_secs(4)) {
            world.input(GateInput::CodeFound).expect("always taken");
        }
        assert!(world.leased());
    }
    assert_eq!(told.missed + told.unanswered, 0);
}

#[test]
fn an_agent_that_dies_at_each_code_is_covered_until_one_is_found() {
    let mut world = World::running(GatePolicy::remote());
    let mut told = Told::default();
    for _code in 0..2 {
        while world.gate.asked_code().is_none() {
            step(&mut world, (true, true), &mut told);
        }
        world.input(GateInput::LinkDown).expect("always taken");
        for _half_second in 0..14 {
            step(&mut world, (true, false), &mut told);
        }
        world.input(GateInput::LinkUp).expect("always taken");
    }
    assert_eq!(told.unanswered, 2);
    for _half_second in 0..60 {
        step(&mut world, (true, true), &mut told);
        assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    }
    world.input(GateInput::CodeFound).expect("always taken");
    assert!(world.leased());
}

#[test]
fn a_move_and_a_distrusted_clock_forgive_no_missed_code() {
    for forgets in [GateInput::Moved, GateInput::Distrust] {
        let mut world = World::running(GatePolicy::remote());
        let mut told = Told::default();
        for _half_second in 0..120 {
            step(&mut world, (true, true), &mut told);
        }
        assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
        world.input(forgets).expect("always taken");
        world
            .input(GateInput::Identity { approved: true })
            .expect("always taken");
        world.input(GateInput::LinkUp).expect("always taken");
        world.state_devices(SourceKind::Device);
        step(&mut world, (true, true), &mut told);
        assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
        world.input(GateInput::CodeFound).expect("always taken");
        assert!(world.leased());
    }
}

#[test]
fn without_randomness_items_are_covered_when_a_code_is_due() {
    let mut world = World::running(GatePolicy::remote());
    world.at.random = None;
    let mut told = Told::default();
    for _half_second in 0..60 {
        step(&mut world, (true, true), &mut told);
    }
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    assert!(!world.leased());
    assert_eq!(world.gate.asked_code(), None);
    assert_eq!(told.missed + told.unanswered, 0);
}

/// What the gate told of codes.
#[derive(Debug, Default)]
struct Told {
    missed: usize,
    unanswered: usize,
}

/// Half a second in which the client comes, the agent sends, both or neither.
fn step(world: &mut World, (contact, media): (bool, bool), told: &mut Told) {
    world.pass(500);
    if contact {
        world.input(GateInput::Contact).expect("always taken");
    }
    if media {
        world.all_live();
    }
    while let Some(output) = world.gate.poll() {
        match output {
            GateOutput::CodeMissed(_) => told.missed += 1,
            GateOutput::CodeUnanswered(_) => told.unanswered += 1,
            GateOutput::Phase(_)
            | GateOutput::AskCode
            | GateOutput::CodesOverdue
            | GateOutput::CreditUsed(_)
            | GateOutput::TimeIsUp => {}
        }
    }
}

/// One thing that a candidate's machine or a proctor does.
#[derive(Debug, Clone, Copy)]
enum Act {
    Live,
    Contact,
    Found,
    Down,
    Up,
    Screen,
    Hold,
    Release,
    Distrust,
    Move,
}

fn acts() -> impl Strategy<Value = (u64, Act)> {
    let act = prop_oneof![
        12 => Just(Act::Live),
        6 => Just(Act::Contact),
        1 => Just(Act::Found),
        1 => Just(Act::Down),
        1 => Just(Act::Up),
        1 => Just(Act::Screen),
        1 => Just(Act::Hold),
        2 => Just(Act::Release),
        1 => Just(Act::Distrust),
        1 => Just(Act::Move),
    ];
    (prop_oneof![4 => 0_u64..2_500, 1 => 0_u64..6_000], act)
}

fn act(world: &mut World, act: Act) {
    let all = [CAMERA, MICROPHONE, SCREEN];
    let taken = match act {
        Act::Live => {
            world.beat(&all);
            all.into_iter().for_each(|source| world.media(source));
            Ok(())
        }
        Act::Contact => world.input(GateInput::Contact),
        Act::Found => world.input(GateInput::CodeFound),
        Act::Down => world.input(GateInput::LinkDown),
        Act::Up => world.input(GateInput::LinkUp),
        Act::Screen => world.input(GateInput::Media(SCREEN)),
        Act::Hold => world.input(GateInput::Pause),
        Act::Release => world.input(GateInput::Resume),
        Act::Distrust => world.input(GateInput::Distrust),
        Act::Move => {
            world.input(GateInput::Moved).expect("always taken");
            world.input(GateInput::LinkUp).expect("always taken");
            world.state_devices(SourceKind::Device);
            world.input(GateInput::Identity { approved: true })
        }
    };
    let _taken_or_refused = taken.is_ok();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_order_shows_items_longer_than_twice_the_longest_delay_without_a_found_code(
        contacts in any::<bool>(),
        steps in proptest::collection::vec(acts(), 100..400),
    ) {
        let mut world = World::running(GatePolicy::remote());
        let (mut shown, mut ran) = (Duration::ZERO, Duration::ZERO);
        for (pause_ms, next) in steps {
            let lease = world.gate.lease(world.at.now);
            let left = lease.map_or(Duration::ZERO, |lease| lease.left(world.at.now));
            let passed = Duration::from_millis(pause_ms);
            shown += left.min(passed);
            ran += if world.gate.phase().shows_items() { passed } else { Duration::ZERO };
            world.pass(pause_ms);
            if matches!(next, Act::Found) && world.gate.asked_code().is_some() {
                (shown, ran) = (Duration::ZERO, Duration::ZERO);
            }
            if contacts || !matches!(next, Act::Contact) {
                act(&mut world, next);
            }
            prop_assert!(shown <= UNPROVED_MAX, "shown for {shown:?}");
            prop_assert!(ran < UNPROVED_MAX || !world.gate.phase().shows_items());
        }
    }

    #[test]
    fn every_order_leads_back_to_items_once_everything_is_live_and_codes_are_found(
        steps in proptest::collection::vec(acts(), 1..200),
    ) {
        let mut world = World::running(GatePolicy::remote());
        for (pause_ms, next) in steps {
            world.pass(pause_ms);
            act(&mut world, next);
        }
        act(&mut world, Act::Release);
        act(&mut world, Act::Up);
        for _second in 0..3 {
            world.alive_for_a_second();
            act(&mut world, Act::Found);
        }
        let over = matches!(world.gate.phase(), AttemptPhase::Submitted { .. });
        prop_assert!(over || world.leased(), "{:?}", world.gate.phase());
    }
}
