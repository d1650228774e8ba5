//! Time under cover is given back as far as the policy says.

use super::super::*;
use super::world::{ALLOWED, World};
use crate::attempt::PauseCredit;

#[test]
fn a_lost_source_gives_time_back_up_to_its_bound_and_then_time_runs() {
    let mut world = covered(10_000);
    let before = world.gate.memory();
    pass(&mut world, 10);
    assert_eq!(credits_used(&mut world), [PauseCause::SourceLost]);
    pass(&mut world, 20);
    let memory = world.gate.memory();
    let credited = memory.credited_by.of(PauseCause::SourceLost);
    assert_eq!(credited, Duration::from_secs(10));
    assert_eq!(memory.spent - before.spent, Duration::from_secs(20));
    assert_eq!(
        memory.credited,
        memory.credited_by.of(PauseCause::SourceLost)
    );
    assert_eq!(credits_used(&mut world), []);
}

#[test]
fn one_long_step_is_divided_like_many_short_ones() {
    let (mut long, mut short) = (covered(10_000), covered(10_000));
    long.pass(30_000);
    pass(&mut short, 30);
    assert_eq!(long.gate.memory().spent, short.gate.memory().spent);
    assert_eq!(long.gate.memory().credited, short.gate.memory().credited);
}

#[test]
fn an_endless_pause_ends_with_the_time_to_work_unless_a_person_gives_more() {
    let mut world = covered(10_000);
    let more = Duration::from_secs(100);
    world
        .input(GateInput::ExtraTime(more))
        .expect("always taken");
    pass(&mut world, ALLOWED.as_secs() + 10);
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
    pass(&mut world, 100);
    assert!(matches!(world.gate.phase(), AttemptPhase::Submitted { .. }));
}

#[test]
fn a_restart_of_the_server_gives_no_new_credit() {
    let mut world = covered(10_000);
    pass(&mut world, 10);
    let policy = world.gate.policy().clone();
    let memory = world.gate.memory();
    let mut again = World {
        gate: StartGate::new(policy, memory, world.at),
        at: world.at,
    };
    again.input(GateInput::LinkUp).expect("always taken");
    pass(&mut again, 5);
    assert_eq!(
        again.gate.memory().spent,
        memory.spent + Duration::from_secs(5)
    );
}

#[test]
fn a_proctors_pause_and_a_proctor_who_looks_cost_no_time() {
    let mut world = World::running(policy(0));
    world.input(GateInput::Pause).expect("it runs");
    let before = world.gate.memory().spent;
    pass(&mut world, 3_600);
    assert_eq!(world.gate.memory().spent, before);
    world.input(GateInput::Resume).expect("it is held");
    world
        .input(GateInput::IdentityAgain)
        .expect("it is covered");
    world
        .input(GateInput::Task(CheckInTask::Identity))
        .expect("it is asked for again");
    let before = world.gate.memory().spent;
    pass(&mut world, 3_600);
    assert_eq!(world.gate.memory().spent, before);
    assert_eq!(world.cause(), Some(PauseCause::Identity));
}

fn policy(source_ms: u64) -> GatePolicy {
    GatePolicy {
        freshness: false,
        pause_credit: PauseCredit {
            source_ms,
            ..PauseCredit::DEFAULT
        },
        ..GatePolicy::remote()
    }
}

/// A gate that is covered, for its sources were lost.
fn covered(source_ms: u64) -> World {
    let mut world = World::running(policy(source_ms));
    while world.cause().is_none() {
        world.pass(500);
        world.input(GateInput::Contact).expect("always taken");
    }
    assert_eq!(world.cause(), Some(PauseCause::SourceLost));
    while world.gate.poll().is_some() {}
    world
}

fn pass(world: &mut World, seconds: u64) {
    for _second in 0..seconds {
        world.pass(1_000);
    }
}

fn credits_used(world: &mut World) -> Vec<PauseCause> {
    let mut used = Vec::new();
    while let Some(output) = world.gate.poll() {
        if let GateOutput::CreditUsed(cause) = output {
            used.push(cause);
        }
    }
    used
}
