//! How an attempt ends at the kiosk: what waits is delivered, and the server is told that nothing is
//! left; and how it waits where new questions come too fast.

use core::time::Duration;

use qorgan_protocol::{
    assessment::ResponseSeq,
    attempt::{AttemptPhase, TerminationCause},
    time::WallTime,
    wire::{Problem, ProblemCode},
};

use super::{Desk, calls, receipt};
use crate::{
    event::{Call, CallKind, Effect, Event, Failure, Intent, JournalNews, Reply},
    kiosk::fixtures as fx,
    view::{Delivery, ScreenView},
};

#[test]
fn the_servers_deadline_ends_nothing_before_the_last_response_is_delivered() {
    let mut desk = with_an_undelivered_response();
    let effects = desk.hear(fx::view(9, submitted()));
    assert_eq!(desk.delivery(), Some(Delivery::Kept));
    assert!(!effects.contains(&Effect::Release));
    assert!(!may_leave(&desk));
    desk.fail(CallKind::Responses, Failure::Unreachable);
    let effects = desk.later(1_000);
    assert!(
        calls(&effects).contains(&CallKind::Responses),
        "{effects:?}"
    );
    let effects = desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    let submit = Call::Submit {
        entries: ResponseSeq(1),
    };
    assert!(effects.contains(&Effect::Call(submit)), "{effects:?}");
    let effects = desk.answer(
        CallKind::Submit,
        Reply::Submitted {
            receipt: receipt(1, true),
            late: true,
        },
    );
    assert!(effects.contains(&Effect::Release));
    assert!(matches!(
        desk.delivery(),
        Some(Delivery::Delivered { late: true, .. })
    ));
}

#[test]
fn what_came_too_late_for_the_seal_is_told_and_asked_no_more() {
    let mut desk = with_an_undelivered_response();
    desk.fail(CallKind::Responses, Failure::Unreachable);
    let since = WallTime::from_unix_ms(5);
    desk.hear(fx::view(9, AttemptPhase::Sealed { since }));
    assert_eq!(
        desk.delivery(),
        Some(Delivery::Refused(ProblemCode::TooLate))
    );
    assert!(may_leave(&desk));
    let asked = calls(&desk.later(60_000));
    assert!(!asked.contains(&CallKind::Responses), "{asked:?}");
}

#[test]
fn a_refusal_of_responses_after_the_end_is_no_dead_end() {
    let mut desk = with_an_undelivered_response();
    desk.hear(fx::view(9, submitted()));
    desk.fail(CallKind::Responses, problem(ProblemCode::WrongPhase, None));
    assert_eq!(
        desk.delivery(),
        Some(Delivery::Refused(ProblemCode::WrongPhase))
    );
    assert!(may_leave(&desk));
}

#[test]
fn an_attempt_that_a_person_ended_still_delivers_its_last_response() {
    let mut desk = with_an_undelivered_response();
    desk.fail(CallKind::Responses, Failure::Unreachable);
    let since = WallTime::from_unix_ms(5);
    let cause = TerminationCause::Proctor;
    desk.hear(fx::view(9, AttemptPhase::Terminated { since, cause }));
    assert_eq!(desk.screen(), "ended");
    let effects = desk.later(1_000);
    assert_eq!(calls(&effects), [CallKind::Responses]);
    let effects = desk.answer(CallKind::Responses, Reply::Stored(receipt(1, false)));
    assert_eq!(calls(&effects), [CallKind::Submit]);
}

#[test]
fn a_question_that_comes_too_fast_opens_when_the_server_says() {
    let mut desk = Desk::in_exam();
    let effects = desk.intent(Intent::GoTo(2));
    assert!(calls(&effects).contains(&CallKind::Item));
    desk.fail(CallKind::Item, problem(ProblemCode::TooMany, Some(3)));
    assert_eq!(opens_in(&desk), Some(Some(Duration::from_secs(3))));
    assert_eq!(desk.cover(), None, "the exam goes on");
    for _second in 0..2 {
        assert!(!calls(&desk.later(1_000)).contains(&CallKind::Item));
    }
    assert!(calls(&desk.later(1_000)).contains(&CallKind::Item));
    desk.answer(CallKind::Item, Reply::Item(Box::new(fx::page(2))));
    assert_eq!(opens_in(&desk), Some(None));
}

fn with_an_undelivered_response() -> Desk {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("A".to_owned()));
    desk.event(Event::Journal(JournalNews::Saved(ResponseSeq(0))));
    desk
}

fn submitted() -> AttemptPhase {
    AttemptPhase::Submitted {
        since: WallTime::from_unix_ms(5),
    }
}

fn problem(code: ProblemCode, retry_after_s: Option<u32>) -> Failure {
    Failure::Problem(Problem {
        code,
        detail: String::new(),
        retry_after_s,
    })
}

fn may_leave(desk: &Desk) -> bool {
    let ScreenView::Submitted(submitted) = desk.kiosk.view(desk.now).screen else {
        panic!("submitted")
    };
    submitted.may_leave
}

fn opens_in(desk: &Desk) -> Option<Option<Duration>> {
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        return None;
    };
    Some(exam.item_in)
}
