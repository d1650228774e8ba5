mod codes;
mod credit;
mod entry;
mod identity;
mod orders;
mod world;

use super::*;
use crate::attempt::GateLineState;
use crate::stream::SourceKind;
use world::{ALLOWED, CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN, START, World, health};

#[test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
fn the_gate_stays_closed_until_camera_microphone_and_screen_are_seen() {
    let mut world = World::ready(GatePolicy::remote());
    assert_eq!(world.input(START), Err(GateError::Closed));
    world.state_devices(SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN]);
    assert_eq!(world.input(START), Err(GateError::Closed));
    for seen in [CAMERA, SCREEN] {
        world.media(seen);
        assert_eq!(world.input(START), Err(GateError::Closed));
    }
    world.media(MICROPHONE);
    assert_eq!(world.input(START), Ok(()));
    assert!(world.leased());
}

#[test]
fn samples_without_a_statement_count_for_nothing() {
    let mut world = World::ready(GatePolicy::remote());
    world.all_live();
    assert_eq!(world.input(START), Err(GateError::Closed));
}

#[test]
fn simulated_sources_count_only_where_the_policy_allows_them() {
    let mut world = World::ready(GatePolicy::remote());
    world.state_devices(SourceKind::Simulated);
    world.all_live();
    assert_eq!(world.input(START), Err(GateError::Closed));
    let lines = world.gate.lines(world.at.now);
    assert!(
        lines
            .iter()
            .all(|line| line.state == GateLineState::NotAllowed)
    );
    let mut world = World::ready(GatePolicy {
        simulated_sources: true,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Simulated);
    world.all_live();
    assert_eq!(world.input(START), Ok(()));
}

#[test]
fn a_source_that_turns_simulated_covers_at_once() {
    let mut world = World::running(GatePolicy::remote());
    world.state_devices(SourceKind::Simulated);
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
}

#[test]
fn a_killed_agent_covers_within_five_seconds_and_its_return_uncovers() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::LinkDown).expect("always taken");
    for _second in 0..4 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        assert!(world.leased());
    }
    world.pass(1_000);
    world.input(GateInput::Contact).expect("always taken");
    assert!(!world.leased());
    assert_eq!(world.cause(), Some(PauseCause::AgentLost));
    world.input(GateInput::LinkUp).expect("always taken");
    world.all_live();
    assert!(world.leased());
}

#[test]
fn a_lost_device_covers_and_names_the_source() {
    let mut world = World::running(GatePolicy::remote());
    for _second in 0..6 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        world.beat(&[CAMERA, SCREEN]);
        world.media(CAMERA);
        world.media(SCREEN);
    }
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
    let lines = world.gate.lines(world.at.now);
    assert_eq!(lines[1].state, GateLineState::Lost);
}

#[test]
fn a_lost_network_is_covered_after_its_own_grace_but_leases_nothing_meanwhile() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::LinkDown).expect("always taken");
    for second in 1..20 {
        world.pass(1_000);
        assert_eq!(world.cause(), None, "after {second} s");
        assert_eq!(world.leased(), second < 5, "after {second} s");
    }
    world.pass(1_000);
    assert_eq!(world.cause(), Some(PauseCause::NetworkLost));
}

#[test]
fn a_second_display_covers_at_once() {
    let mut world = World::running(GatePolicy::remote());
    world.state(SECOND_SCREEN, SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN]);
    assert_eq!(world.cause(), Some(PauseCause::Displays));
    world.all_live();
    assert!(world.leased());
}

#[test]
fn every_display_must_be_seen() {
    let mut world = World::ready(GatePolicy {
        displays_max: 2,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Device);
    world.state(SECOND_SCREEN, SourceKind::Device);
    world.beat(&[CAMERA, MICROPHONE, SCREEN, SECOND_SCREEN]);
    for seen in [CAMERA, MICROPHONE, SCREEN] {
        world.media(seen);
    }
    assert_eq!(world.input(START), Err(GateError::Closed));
    world.media(SECOND_SCREEN);
    assert_eq!(world.input(START), Ok(()));
}

#[test]
fn a_still_screen_is_live_while_beats_name_its_newest_chunk() {
    let mut world = World::running(GatePolicy {
        freshness: false,
        ..GatePolicy::remote()
    });
    for _second in 0..30 {
        world.pass(1_000);
        let health = health(&[CAMERA, MICROPHONE, SCREEN]);
        let current = vec![CAMERA, SCREEN];
        world
            .input(GateInput::Beat { health, current })
            .expect("always taken");
        world.media(CAMERA);
        world.media(MICROPHONE);
        assert!(world.leased());
    }
}

#[test]
fn a_camera_that_sends_nothing_new_is_not_live() {
    let mut world = World::running(GatePolicy::remote());
    for _second in 0..6 {
        world.pass(1_000);
        world.input(GateInput::Contact).expect("always taken");
        let health = health(&[CAMERA, MICROPHONE, SCREEN]);
        let current = vec![CAMERA, SCREEN];
        world
            .input(GateInput::Beat { health, current })
            .expect("always taken");
        world.media(MICROPHONE);
    }
    assert!(!world.leased());
}

#[test]
fn an_on_site_gate_waits_for_its_proctor() {
    let mut world = World::ready(GatePolicy::on_site());
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert_eq!(world.input(START), Err(GateError::Closed));
    assert!(world.gate.waits_for_proctor());
    world.input(GateInput::ProctorOpens).expect("always taken");
    assert_eq!(world.input(START), Ok(()));
}

#[test]
fn identity_must_be_approved_where_the_policy_says_so() {
    let mut world = World::ready(GatePolicy {
        identity_before_start: true,
        ..GatePolicy::remote()
    });
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert_eq!(world.input(START), Err(GateError::Closed));
    world
        .input(GateInput::Identity { approved: false })
        .expect("always taken");
    assert_eq!(world.input(START), Err(GateError::Closed));
    world
        .input(GateInput::Task(CheckInTask::Identity))
        .expect("shown again");
    assert_eq!(world.gate.memory().identity, IdentityState::Waiting);
    world
        .input(GateInput::Identity { approved: true })
        .expect("always taken");
    assert_eq!(world.input(START), Ok(()));
}

#[test]
fn a_proctors_pause_holds_until_it_is_taken_back() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Pause).expect("it runs");
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Proctor));
    world.input(GateInput::Resume).expect("it is held");
    assert!(world.leased());
    world.input(GateInput::Resume).expect_err("nothing is held");
}

#[test]
fn a_restarted_server_covers_until_streams_are_seen_again() {
    let world = World::running(GatePolicy::remote());
    let gate = StartGate::new(GatePolicy::remote(), world.gate.memory(), world.at);
    let mut again = World { gate, at: world.at };
    assert_eq!(again.cause(), Some(PauseCause::ServerRestarted));
    again.input(GateInput::LinkUp).expect("always taken");
    again.state_devices(SourceKind::Device);
    again.all_live();
    assert!(again.leased());
}

#[test]
fn a_moved_attempt_is_covered_until_the_new_machine_is_seen() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Moved).expect("always taken");
    assert_eq!(world.cause(), Some(PauseCause::Moving));
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Moving));
    world.input(GateInput::LinkUp).expect("always taken");
    world.state_devices(SourceKind::Device);
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    world
        .input(GateInput::Identity { approved: true })
        .expect("always taken");
    assert!(world.leased());
}

#[test]
fn two_missed_codes_cover_and_a_found_one_uncovers() {
    let mut world = World::running(GatePolicy::remote());
    let mut missed = 0;
    for _second in 0..110 {
        world.alive_for_a_second();
        missed += world.missed();
        if missed == 2 {
            break;
        }
    }
    assert_eq!(missed, 2);
    assert_eq!(world.cause(), Some(PauseCause::FreshnessMissed));
    world.alive_for_a_second();
    world.input(GateInput::CodeFound).expect("always taken");
    assert!(world.leased());
}

#[test]
fn time_stands_still_under_cover_where_the_policy_credits_it() {
    for (credit, spent_s, credited_s) in [(true, 4, 10), (false, 14, 0)] {
        let mut world = World::running(GatePolicy {
            credit_covered_time: credit,
            freshness: false,
            ..GatePolicy::remote()
        });
        let before = world.gate.memory().spent;
        for _second in 0..4 {
            world.alive_for_a_second();
        }
        world.input(GateInput::Pause).expect("it runs");
        world.pass(10_000);
        let memory = world.gate.memory();
        assert_eq!(memory.spent - before, Duration::from_secs(spent_s));
        assert_eq!(memory.credited, Duration::from_secs(credited_s));
    }
}

#[test]
fn the_deadline_submits() {
    let mut world = World::running(GatePolicy {
        freshness: false,
        ..GatePolicy::remote()
    });
    for _second in 0..ALLOWED.as_secs() {
        world.alive_for_a_second();
    }
    assert!(matches!(world.gate.phase(), AttemptPhase::Submitted { .. }));
    assert!(!world.leased());
}

#[test]
fn a_distrusted_clock_covers_until_streams_are_seen_again() {
    let mut world = World::running(GatePolicy::remote());
    world.input(GateInput::Distrust).expect("always taken");
    assert!(!world.leased());
    world.all_live();
    assert!(world.leased());
}
