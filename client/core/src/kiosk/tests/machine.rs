//! What the sitting makes of the machine, and identity that is asked for again.

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::attempt::{
    AttemptPhase, CheckInTask, CheckInTasks, MachinePolicy, MachineRule, PauseCause,
};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{AttemptView, CheckOutcome, IdentityState, Problem, ProblemCode};

use super::{Desk, calls, phase_with};
use crate::{
    event::{AgentNews, Call, CallKind, Effect, Event, Failure, Intent, MachineFacts},
    kiosk::fixtures as fx,
    view::{Check, CheckResult, ScreenView, SystemCheckView},
};

fn at_the_check(machine: MachinePolicy, facts: MachineFacts) -> (Desk, Vec<Effect>) {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let mut check_in = fx::check_in(phase_with(&[CheckInTask::Consent]));
    check_in.policy.machine = machine;
    desk.open_reply(check_in);
    desk.hear(fx::view(1, phase_with(&[CheckInTask::Consent])));
    desk.agent_up();
    let effects = desk.event(Event::Machine(facts));
    (desk, effects)
}

fn in_a_virtual_machine() -> MachineFacts {
    MachineFacts {
        disk_free_bytes: Some(1_000_000_000),
        virtual_machine: Some("QEMU".to_owned()),
        ..MachineFacts::default()
    }
}

fn check_screen(desk: &Desk) -> SystemCheckView {
    let ScreenView::SystemCheck(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    screen
}

#[test]
fn a_machine_that_the_sitting_refuses_is_told_to_the_server_once_and_leads_no_further() {
    let refuses = MachinePolicy {
        virtual_machine: MachineRule::Refuse,
        ..MachinePolicy::DEFAULT
    };
    let (mut desk, effects) = at_the_check(refuses, in_a_virtual_machine());
    let told = effects.iter().find_map(|effect| {
        if let Effect::Call(Call::SystemCheck { lines }) = effect {
            Some(lines.clone())
        } else {
            None
        }
    });
    let told = told.expect("the server is told though the check does not pass");
    let machine = told.iter().find(|line| line.check == "virtual_machine");
    assert_eq!(machine.expect("the line").result, CheckOutcome::Failed);
    let problem = Problem {
        code: ProblemCode::CheckFailed,
        detail: "virtual_machine: refused".to_owned(),
        retry_after_s: None,
    };
    desk.fail(CallKind::SystemCheck, Failure::Problem(problem));
    assert!(!calls(&desk.later(5_000)).contains(&CallKind::SystemCheck));
    let screen = check_screen(&desk);
    assert!(!screen.ready);
    assert!(screen.trouble.is_some(), "the candidate is told");
    let line = screen
        .lines
        .iter()
        .find(|line| line.check == Check::VirtualMachine);
    let line = line.expect("the line");
    assert_eq!(line.result, CheckResult::Bad);
    assert_eq!(line.rule, Some(MachineRule::Refuse));
    let effects = desk.intent(Intent::SystemChecked);
    assert!(!calls(&effects).contains(&CallKind::SystemCheck));
}

#[test]
fn a_machine_that_a_proctor_decides_about_passes_the_check_with_a_word() {
    let (mut desk, effects) = at_the_check(MachinePolicy::DEFAULT, in_a_virtual_machine());
    assert!(!calls(&effects).contains(&CallKind::SystemCheck));
    let screen = check_screen(&desk);
    assert!(screen.ready);
    let line = screen
        .lines
        .iter()
        .find(|line| line.check == Check::VirtualMachine);
    let line = line.expect("the line");
    assert_eq!(line.result, CheckResult::Warning);
    assert_eq!(line.rule, Some(MachineRule::ProctorDecides));
    let effects = desk.intent(Intent::SystemChecked);
    assert!(calls(&effects).contains(&CallKind::SystemCheck));
}

const CHECKED: CheckInTasks = CheckInTasks {
    consent: true,
    system_check: true,
    identity: true,
    instruction: true,
};

fn held(identity: IdentityState, tasks: CheckInTasks) -> AttemptView {
    let phase = AttemptPhase::Paused {
        since: WallTime::from_unix_ms(5),
        cause: PauseCause::Identity,
    };
    AttemptView {
        identity,
        identity_reason: Some("the face is in the dark".to_owned()),
        tasks,
        covered: Some(PauseCause::Identity),
        ..fx::view(9, phase)
    }
}

#[test]
fn an_identity_refused_in_the_exam_is_told_with_its_reason_and_can_be_shown_again() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let running = AttemptPhase::Running {
        since: WallTime::from_unix_ms(1),
    };
    desk.open(running);
    desk.agent_up();
    let effects = desk.hear(held(IdentityState::Refused, CHECKED));
    let ScreenView::Identity(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    assert_eq!(screen.reason.as_deref(), Some("the face is in the dark"));
    assert!(
        !effects.contains(&Effect::Release),
        "the machine stays locked"
    );
    let effects = desk.intent(Intent::ShowIdentity);
    assert!(effects.contains(&Effect::Call(Call::Identity { document: false })));

    desk.hear(held(IdentityState::Waiting, CHECKED));
    assert_eq!(desk.screen(), "covered", "a proctor looks");
    let effects = desk.intent(Intent::ShowIdentity);
    assert!(!calls(&effects).contains(&CallKind::Identity));
}

#[test]
fn a_machine_that_the_attempt_moved_to_is_checked_before_anybody_is_identified() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let moving = AttemptPhase::Paused {
        since: WallTime::from_unix_ms(1),
        cause: PauseCause::Moving,
    };
    let mut check_in = fx::check_in(moving);
    check_in.journal_next = ResponseSeq(4);
    desk.open_reply(check_in);
    desk.event(Event::Machine(MachineFacts {
        disk_free_bytes: Some(1_000_000_000),
        ..MachineFacts::default()
    }));
    desk.agent_up();
    let unchecked = CheckInTasks {
        system_check: false,
        ..CHECKED
    };
    desk.hear(held(IdentityState::Again, unchecked));
    assert_eq!(desk.screen(), "system-check");
    let effects = desk.intent(Intent::SystemChecked);
    assert!(calls(&effects).contains(&CallKind::SystemCheck));
    desk.hear(held(IdentityState::Again, CHECKED));
    assert_eq!(desk.screen(), "identity");
    desk.event(Event::Agent(AgentNews::DocumentTaken));
    desk.hear(held(IdentityState::Waiting, CHECKED));
    let ScreenView::Covered(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    assert!(screen.identity_shown, "nothing is asked for any more");
    assert_eq!(
        screen.answered, None,
        "what the other machine gave is not none"
    );
}
