//! Nobody starts outside the window or without admission.

use super::super::*;
use super::world::World;
use crate::stream::SourceKind;

#[test]
//= tests/data/sop-2-28.md#8-sitting-times
//= type=test
fn a_checked_in_candidate_cannot_start_after_the_window() {
    let mut world = live();
    let now = world.at.wall;
    let closed = Entry {
        admitted: true,
        opens: WallTime::from_unix_ms(0),
        closes: now,
    };
    world.pass(1);
    world.all_live();
    let refused = world.input(GateInput::Start(closed));
    assert_eq!(refused, Err(GateError::Entry(EntryRefused::TooLate)));
    assert!(matches!(world.gate.phase(), AttemptPhase::Ready { .. }));
    let extended = Entry {
        closes: world.at.wall,
        ..closed
    };
    assert_eq!(world.input(GateInput::Start(extended)), Ok(()));
}

#[test]
//= tests/data/sop-2-28.md#7-admission
//= type=test
fn a_withdrawn_admission_is_looked_at_again_at_the_start() {
    let mut world = live();
    let withdrawn = Entry {
        admitted: false,
        opens: WallTime::from_unix_ms(0),
        closes: WallTime::from_unix_ms(i64::MAX),
    };
    let refused = world.input(GateInput::Start(withdrawn));
    assert_eq!(refused, Err(GateError::Entry(EntryRefused::NotAdmitted)));
    assert!(!world.leased());
}

fn live() -> World {
    let mut world = World::ready(GatePolicy::remote());
    world.state_devices(SourceKind::Device);
    world.all_live();
    world
}
