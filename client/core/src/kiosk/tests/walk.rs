//! The way through an exam, and what may go wrong on it.

use core::time::Duration;

use qorgan_protocol::{
    assessment::ResponseSeq,
    attempt::{AttemptPhase, CheckInTask, MachineRule},
    ids::Epoch,
    local::{LivenessState, VoiceState},
    time::WallTime,
    wire::{AttemptView, ClientEventKind, FreshnessView, Hex, IdentityState},
};

use super::{Desk, agent_token, calls, phase_with, receipt};
use crate::{
    book::Kept,
    event::{
        AgentNews, Call, CallKind, Effect, Event, Failure, Intent, JournalNews, MachineFacts, Reply,
    },
    kiosk::fixtures as fx,
    lease::CoverCause,
    view::{Check, CheckResult, Delivery, EndCause, ScreenView, Trouble},
};

#[test]
//= tests/data/sop-2-28.md#3-test-application
//= type=test
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
fn a_candidate_signs_in_sees_the_exams_reads_the_instruction_and_waits_at_the_gate() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    assert_eq!(desk.screen(), "exams");
    desk.open(phase_with(&[]));
    assert_eq!(desk.screen(), "consent");
    assert!(
        desk.intent(Intent::Consent(true)).is_empty(),
        "an unread consent is none"
    );
    desk.intent(Intent::ReadToEnd);
    let effects = desk.intent(Intent::Consent(true));
    assert!(calls(&effects).contains(&CallKind::Consent));
    let effects = desk.answer(CallKind::Consent, Reply::Consented(agent_token()));
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::RunAgent { .. }))
    );
    assert_eq!(desk.screen(), "system-check");
    assert!(
        desk.intent(Intent::SystemChecked).is_empty(),
        "nothing is known of the devices yet"
    );
    desk.agent_up();
    desk.event(Event::Machine(MachineFacts {
        disk_free_bytes: Some(u64::MAX),
        x11: true,
        ..Default::default()
    }));
    assert!(calls(&desk.intent(Intent::SystemChecked)).contains(&CallKind::SystemCheck));
    desk.hear(fx::view(
        2,
        phase_with(&[CheckInTask::Consent, CheckInTask::SystemCheck]),
    ));
    assert_eq!(desk.screen(), "identity");
    let identified = [
        CheckInTask::Consent,
        CheckInTask::SystemCheck,
        CheckInTask::Identity,
    ];
    desk.hear(AttemptView {
        identity: IdentityState::Deferred,
        ..fx::view(3, phase_with(&identified))
    });
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "liveness");
    desk.liveness(LivenessState::Shown);
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "voice");
    desk.event(Event::Agent(AgentNews::Voice(VoiceState::Known)));
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "instruction");
    assert!(
        desk.intent(Intent::Continue).is_empty(),
        "the instruction must be read"
    );
    desk.intent(Intent::ReadToEnd);
    assert!(calls(&desk.intent(Intent::Continue)).contains(&CallKind::Instruction));
    desk.hear(fx::view(
        4,
        AttemptPhase::Ready {
            since: WallTime::from_unix_ms(0),
        },
    ));
    assert_eq!(desk.screen(), "gate");
}

#[test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
fn the_start_is_asked_for_only_when_the_server_says_that_the_gate_is_open() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let ready = AttemptPhase::Ready {
        since: WallTime::from_unix_ms(0),
    };
    desk.open(ready);
    desk.hear(fx::view(1, ready));
    assert!(!calls(&desk.intent(Intent::Start)).contains(&CallKind::Start));
    desk.hear(AttemptView {
        gate_open: true,
        ..fx::view(2, ready)
    });
    assert!(calls(&desk.intent(Intent::Start)).contains(&CallKind::Start));
}

#[test]
fn a_response_goes_to_the_journal_first_and_to_the_server_when_it_is_saved() {
    let mut desk = Desk::in_exam();
    let effects = desk.intent(Intent::Choose("B".to_owned()));
    let Some(Effect::Append(entry)) = effects.first() else {
        panic!("{effects:?}")
    };
    assert!(!calls(&effects).contains(&CallKind::Responses));
    assert_eq!(desk.kept(), Some(Kept::Writing));
    let effects = desk.event(Event::Journal(JournalNews::Saved(entry.seq)));
    assert!(matches!(desk.kept(), Some(Kept::Saved(_))));
    assert!(calls(&effects).contains(&CallKind::Responses));
    desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    assert!(matches!(desk.kept(), Some(Kept::Delivered(_))));
}

#[test]
fn a_full_disk_is_told_and_the_response_still_goes_to_the_server() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("B".to_owned()));
    let effects = desk.event(Event::Journal(JournalNews::Failed));
    assert_eq!(desk.kept(), Some(Kept::Unsaved));
    assert!(calls(&effects).contains(&CallKind::Responses));
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(exam.trouble, Some(Trouble::DiskRefuses));
}

#[test]
fn an_agent_that_is_gone_covers_at_once_and_the_content_is_dropped() {
    let mut desk = Desk::in_exam();
    let effects = desk.event(Event::Agent(AgentNews::Gone));
    assert!(effects.contains(&Effect::DropContent));
    assert_eq!(desk.cover(), Some(CoverCause::AgentGone));
    assert!(
        !desk
            .intent(Intent::Choose("A".to_owned()))
            .iter()
            .any(|e| matches!(e, Effect::Append(_)))
    );
}

#[test]
fn another_terminal_covers_at_once_until_the_exams_own_is_shown_again() {
    let mut desk = Desk::in_exam();
    let seen = |kind| Event::Seen {
        kind,
        detail: "tty3".to_owned(),
    };
    let effects = desk.event(seen(ClientEventKind::TerminalLeft));
    assert!(effects.contains(&Effect::DropContent));
    assert_eq!(desk.cover(), Some(CoverCause::OtherTerminal));
    desk.event(Event::Tick);
    assert_eq!(desk.cover(), Some(CoverCause::OtherTerminal));
    desk.event(seen(ClientEventKind::TerminalBack));
    assert_eq!(desk.cover(), None);
}

#[test]
fn the_sitting_says_what_becomes_of_a_nested_display() {
    let result = |tolerance, found: Option<&str>| {
        let mut desk = Desk::at_system_check(tolerance);
        desk.event(Event::Machine(MachineFacts {
            nested_display: found.map(str::to_owned),
            ..Default::default()
        }));
        let ScreenView::SystemCheck(check) = desk.kiosk.view(desk.now).screen else {
            panic!("at the system check")
        };
        let mut lines = check.lines.into_iter();
        lines
            .find(|line| line.check == Check::NestedDisplay)
            .expect("a line")
            .result
    };
    let found = Some("Xephyr serves it");
    assert_eq!(result(MachineRule::Refuse, found), CheckResult::Bad);
    assert_eq!(
        result(MachineRule::ProctorDecides, found),
        CheckResult::Warning
    );
    assert_eq!(result(MachineRule::Note, found), CheckResult::Warning);
    assert_eq!(result(MachineRule::Refuse, None), CheckResult::Good);
}

#[test]
fn a_submission_while_covered_and_offline_is_kept_and_delivered_later() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("A".to_owned()));
    desk.event(Event::Journal(JournalNews::Saved(ResponseSeq(0))));
    desk.fail(CallKind::Responses, Failure::Unreachable);
    desk.fail(CallKind::View, Failure::Unreachable);
    desk.later(60_000);
    assert!(desk.cover().is_some());
    let effects = desk.intent(Intent::Submit);
    assert!(effects.contains(&Effect::KeepSubmission(ResponseSeq(1))));
    desk.event(Event::Journal(JournalNews::SubmissionKept));
    assert_eq!(desk.delivery(), Some(Delivery::Kept));
    desk.fail(CallKind::Responses, Failure::Unreachable);
    let effects = desk.later(1_000);
    assert!(
        calls(&effects).contains(&CallKind::Responses),
        "{effects:?}"
    );
    let effects = desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    assert!(
        effects.contains(&Effect::Call(Call::Submit {
            entries: ResponseSeq(1)
        })),
        "{effects:?}"
    );
    desk.answer(
        CallKind::Submit,
        Reply::Submitted {
            receipt: receipt(1, true),
            late: true,
        },
    );
    assert!(matches!(
        desk.delivery(),
        Some(Delivery::Delivered { late: true, .. })
    ));
}

#[test]
fn an_agent_that_has_delivered_everything_leaves_without_a_word() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Submit);
    desk.event(Event::Journal(JournalNews::SubmissionKept));
    let submitted = Reply::Submitted {
        receipt: receipt(0, true),
        late: false,
    };
    desk.answer(CallKind::Submit, submitted);
    let mut status = fx::status(true);
    status.spooled_bytes = 36_000;
    desk.event(Event::Agent(AgentNews::Status(Box::new(status))));
    assert_eq!(left(&desk), Some(36_000));

    let effects = desk.event(Event::Agent(AgentNews::Finished));

    assert_eq!(left(&desk), Some(0));
    assert!(
        !calls(&effects).contains(&CallKind::Events),
        "nothing is told of it: {effects:?}"
    );
}

fn left(desk: &Desk) -> Option<u64> {
    let ScreenView::Submitted(submitted) = desk.kiosk.view(desk.now).screen else {
        return None;
    };
    Some(submitted.recording_left_bytes)
}

#[test]
fn after_a_crash_the_candidate_is_back_in_the_same_question_with_every_response() {
    let mut before = Desk::in_exam();
    before.intent(Intent::GoTo(2));
    before.answer(CallKind::Item, Reply::Item(Box::new(fx::page(2))));
    let effects = before.intent(Intent::Choose("B".to_owned()));
    let Some(Effect::Append(entry)) = effects.first().cloned() else {
        panic!("{effects:?}")
    };

    let mut after = Desk::new();
    after.walk_to_exams();
    after.open_with(fx::running(), vec![entry], Some(2));
    after.agent_up();
    after.hear(fx::running_view(9, 5_000, 20_000));
    after.answer(CallKind::Items, Reply::Items(fx::items()));
    after.answer(CallKind::Item, Reply::Item(Box::new(fx::page(2))));

    let ScreenView::Exam(exam) = after.kiosk.view(after.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(exam.place, 2);
    assert_eq!(
        exam.item.map(|item| item.chosen),
        Some(vec!["B".to_owned()])
    );
}

#[test]
fn an_old_epoch_ends_the_attempt_on_this_machine() {
    let mut desk = Desk::in_exam();
    desk.hear(AttemptView {
        epoch: Epoch(2),
        ..fx::running_view(9, 5_000, 20_000)
    });
    assert!(matches!(
        desk.kiosk.view(desk.now).screen,
        ScreenView::Ended(ended) if ended.cause == EndCause::Moved
    ));
}

#[test]
fn a_freshness_code_is_drawn_for_as_long_as_the_server_says() {
    let mut desk = Desk::in_exam();
    let nonce = FreshnessView {
        nonce: Hex(vec![0xAB]),
        show_ms: 4_000,
    };
    desk.hear(AttemptView {
        freshness: Some(nonce),
        ..fx::running_view(9, 60_000, 60_000)
    });
    assert_eq!(desk.kiosk.view(desk.now).freshness, Some("[AB]".to_owned()));
    desk.now = desk.now + Duration::from_millis(4_000);
    assert_eq!(desk.kiosk.view(desk.now).freshness, None);
}

#[test]
fn the_adapter_goes_off_with_the_items_and_comes_back_after_them() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open_with(fx::running(), Vec::new(), None);
    assert!(desk.log.contains(&Effect::Accessibility(false)));
    desk.hear(fx::view(
        5,
        AttemptPhase::Submitted {
            since: WallTime::from_unix_ms(5),
        },
    ));
    assert_eq!(
        desk.log
            .iter()
            .rfind(|effect| matches!(effect, Effect::Accessibility(_))),
        Some(&Effect::Accessibility(true))
    );
}

#[test]
fn the_end_of_time_submits_by_itself() {
    let mut desk = Desk::in_exam();
    let mut view = fx::running_view(9, 5_000, 20_000);
    view.time.remaining_ms = 2_000;
    desk.hear(view);
    let effects = desk.later(2_000);
    assert!(
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::KeepSubmission(_)))
    );
}
