//! Who sits there.

use super::super::*;
use super::world::{START, World};
use crate::stream::SourceKind;

#[test]
fn a_refused_identity_covers_until_a_person_approves_what_is_shown_again() {
    let mut world = World::running(GatePolicy::remote());
    judge(&mut world, false);
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    assert!(!world.leased());
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    show(&mut world).expect("it is asked for again");
    assert_eq!(world.gate.memory().identity, IdentityState::Waiting);
    world.all_live();
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    judge(&mut world, true);
    assert!(world.leased());
}

#[test]
fn a_proctor_takes_a_refusal_back_and_the_exam_goes_on() {
    let mut world = World::running(GatePolicy::remote());
    judge(&mut world, false);
    world
        .input(GateInput::RefusalTakenBack)
        .expect("it was refused");
    assert_eq!(world.gate.memory().identity, IdentityState::Deferred);
    assert!(world.leased());
    world
        .input(GateInput::RefusalTakenBack)
        .expect_err("nothing is refused");
}

#[test]
fn a_refusal_taken_back_still_waits_for_approval_where_the_policy_demands_it() {
    let mut world = World::ready(GatePolicy {
        identity_before_start: true,
        ..GatePolicy::remote()
    });
    judge(&mut world, true);
    start(&mut world);
    judge(&mut world, false);
    world
        .input(GateInput::RefusalTakenBack)
        .expect("it was refused");
    assert_eq!(world.gate.memory().identity, IdentityState::Waiting);
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    judge(&mut world, true);
    assert!(world.leased());
}

#[test]
fn a_proctor_asks_for_identity_again_and_it_covers_until_it_is_approved() {
    let mut world = World::running(GatePolicy::remote());
    judge(&mut world, true);
    world.input(GateInput::IdentityAgain).expect("it runs");
    assert_eq!(world.gate.memory().identity, IdentityState::Again);
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    show(&mut world).expect("it is asked for again");
    assert_eq!(world.cause(), Some(PauseCause::Identity));
    judge(&mut world, true);
    assert!(world.leased());
}

#[test]
fn a_refused_candidate_cannot_start_by_showing_again_alone() {
    let mut world = World::ready(GatePolicy::remote());
    world.state_devices(SourceKind::Device);
    world.all_live();
    judge(&mut world, false);
    show(&mut world).expect("it is asked for again");
    assert_eq!(world.input(START), Err(GateError::Closed));
    judge(&mut world, true);
    assert_eq!(world.input(START), Ok(()));
}

#[test]
fn a_move_before_the_start_asks_for_identity_again() {
    for approved in [true, false] {
        let mut world = World::ready(GatePolicy::remote());
        judge(&mut world, approved);
        world.input(GateInput::Moved).expect("always taken");
        assert_eq!(world.gate.memory().identity, IdentityState::Again);
        world.input(GateInput::LinkUp).expect("always taken");
        world.state_devices(SourceKind::Device);
        world.all_live();
        assert_eq!(world.input(START), Err(GateError::Closed));
        show(&mut world).expect("it is asked for again");
        judge(&mut world, true);
        assert_eq!(world.input(START), Ok(()));
    }
}

#[test]
fn an_attempt_whose_identity_is_refused_can_be_ended_by_a_person() {
    let mut world = World::running(GatePolicy::remote());
    judge(&mut world, false);
    world
        .input(GateInput::Terminate(TerminationCause::Proctor))
        .expect("a paused attempt can be ended");
    world
        .input(GateInput::IdentityAgain)
        .expect_err("it is over");
}

#[test]
fn a_restart_of_the_server_forgets_no_refusal() {
    let mut world = World::running(GatePolicy::remote());
    judge(&mut world, false);
    let gate = StartGate::new(GatePolicy::remote(), world.gate.memory(), world.at);
    let mut again = World { gate, at: world.at };
    again.input(GateInput::LinkUp).expect("always taken");
    again.state_devices(SourceKind::Device);
    again.all_live();
    assert!(!again.leased());
    assert_eq!(again.cause(), Some(PauseCause::Identity));
}

fn judge(world: &mut World, approved: bool) {
    world
        .input(GateInput::Identity { approved })
        .expect("always taken");
}

fn show(world: &mut World) -> Result<(), GateError> {
    world.input(GateInput::Task(CheckInTask::Identity))
}

fn start(world: &mut World) {
    world.state_devices(SourceKind::Device);
    world.all_live();
    world.input(GateInput::Contact).expect("always taken");
    world.input(START).expect("everything is live");
}
