//! What a candidate comes back to: a sign-in that ran out, a journal that was lost, a consent that
//! changed, a receipt.

use std::time::Duration;

use qorgan_protocol::{
    assessment::{Response, ResponseEntry, ResponseSeq},
    attempt::AttemptPhase,
    crypto::Sha256,
    ids::{Epoch, PersonId},
    time::{Now, WallTime},
    wire::{CheckInReply, Problem, ProblemCode, SignInReply},
};

use super::{Desk, agent_token, calls, receipt};
use crate::{
    Private,
    event::{CallKind, Effect, Event, Failure, Intent, JournalNews, KeptReceipt, Reply},
    kiosk::fixtures as fx,
    view::{ScreenView, SignInView, Trouble},
};

#[test]
fn a_sign_in_that_ran_out_mid_exam_covers_keeps_responses_and_goes_on_in_place() {
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Choose("B".to_owned()));
    desk.event(Event::Journal(JournalNews::Saved(ResponseSeq(0))));

    let effects = desk.fail(CallKind::View, signed_out());

    assert!(effects.contains(&Effect::DropContent), "the item is gone");
    let form = sign_in_view(&desk);
    assert!(form.again);
    assert_eq!((form.login.0.as_str(), form.password.0.as_str()), ("a", ""));
    desk.fail(CallKind::Responses, signed_out());
    assert!(
        calls(&desk.later(60_000)).is_empty(),
        "nothing is asked with a token that is over"
    );

    desk.intent(Intent::TypePassword(Private("b".to_owned())));
    assert_eq!(calls(&desk.intent(Intent::SignIn)), [CallKind::SignIn]);
    desk.later(10);
    desk.agent_up();
    let effects = desk.answer(CallKind::SignIn, Reply::SignedIn(fx::signed_in()));
    let asked = calls(&effects);
    assert!(asked.contains(&CallKind::View) && asked.contains(&CallKind::Responses));
    assert_eq!(desk.screen(), "covered", "until the server grants anew");
    desk.later(10);
    desk.hear(fx::running_view(9, 5_000, 20_000));
    assert_eq!(desk.screen(), "exam");
    desk.answer(CallKind::Item, Reply::Item(Box::new(fx::page(1))));
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(
        exam.item.map(|item| item.chosen),
        Some(vec!["B".to_owned()])
    );
}

#[test]
fn another_person_cannot_go_on_with_the_attempt() {
    let mut desk = Desk::in_exam();
    desk.fail(CallKind::View, signed_out());
    let other = SignInReply {
        candidate: PersonId::new(WallTime::from_unix_ms(5), [9; 10]),
        ..fx::signed_in()
    };

    let effects = desk.answer(CallKind::SignIn, Reply::SignedIn(other));

    assert!(calls(&effects).is_empty());
    let form = sign_in_view(&desk);
    assert_eq!(form.trouble, Some(Trouble::OtherPerson));
}

#[test]
fn a_wrong_password_is_told_where_it_was_typed() {
    let mut desk = Desk::in_exam();
    desk.fail(CallKind::View, signed_out());

    desk.fail(CallKind::SignIn, refused(ProblemCode::WrongPassword));

    let form = sign_in_view(&desk);
    assert!(
        matches!(form.trouble, Some(Trouble::Problem { code, .. }) if code == ProblemCode::WrongPassword)
    );
}

#[test]
fn the_end_of_time_submits_also_while_signed_out() {
    let mut desk = Desk::in_exam();
    let mut view = fx::running_view(9, 5_000, 20_000);
    view.time.remaining_ms = 2_000;
    desk.hear(view);
    desk.fail(CallKind::View, signed_out());

    let effects = desk.later(2_000);

    let kept = |effect: &Effect| matches!(effect, Effect::KeepSubmission(_));
    assert!(effects.iter().any(kept), "{effects:?}");
}

#[test]
fn a_sign_in_that_ran_out_before_the_exam_leads_back_to_the_sign_in() {
    let mut desk = Desk::new();
    desk.walk_to_exams();

    desk.fail(CallKind::Exams, signed_out());

    assert_eq!(sign_in_view(&desk).login.0, "a");
}

#[test]
fn a_lost_journal_is_filled_from_the_server_before_the_item_is_shown() {
    let mut desk = desk_that_came_back(1);
    let asked = calls(&desk.log);
    assert!(asked.contains(&CallKind::ReadBack));
    assert!(!asked.contains(&CallKind::Item), "the item waits for it");

    desk.answer(CallKind::ReadBack, Reply::ReadBack(vec![entry("B")]));
    desk.answer(CallKind::Item, Reply::Item(Box::new(fx::page(1))));

    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("in the exam")
    };
    assert_eq!(
        exam.item.map(|item| item.chosen),
        Some(vec!["B".to_owned()])
    );
    assert_eq!(exam.answered, 1);
}

#[test]
fn a_server_that_gives_nothing_back_holds_no_item_up() {
    let mut desk = desk_that_came_back(1);

    let effects = desk.fail(CallKind::ReadBack, refused(ProblemCode::Unavailable));

    assert!(calls(&effects).contains(&CallKind::Item));
    assert!(calls(&desk.later(1_000)).contains(&CallKind::ReadBack));
}

#[test]
fn nothing_is_read_back_where_the_server_has_nothing() {
    let desk = desk_that_came_back(0);

    assert!(!calls(&desk.log).contains(&CallKind::ReadBack));
}

#[test]
fn consent_is_shown_again_only_where_its_text_changed() {
    for (recorded, screen) in [(true, "covered"), (false, "consent")] {
        let mut desk = Desk::new();
        desk.walk_to_exams();
        desk.intent(Intent::OpenExam(fx::attempt()));
        let reply = CheckInReply {
            consent_recorded: recorded,
            ..fx::check_in(fx::running())
        };
        let effects = desk.answer(CallKind::CheckIn, Reply::CheckedIn(Box::new(reply)));
        assert_eq!(calls(&effects).contains(&CallKind::Consent), recorded);
        desk.hear(fx::running_view(1, 5_000, 20_000));
        assert_eq!(desk.screen(), screen);
        let runs = |effects: &[Effect]| {
            let run = |effect: &Effect| matches!(effect, Effect::RunAgent { .. });
            effects.iter().any(run)
        };
        assert!(!runs(&desk.log), "no device opens before consent");
        if !recorded {
            desk.intent(Intent::ReadToEnd);
            let effects = desk.intent(Intent::Consent(true));
            assert!(calls(&effects).contains(&CallKind::Consent));
        }
        let effects = desk.answer(CallKind::Consent, Reply::Consented(agent_token()));
        assert!(runs(&effects));
        assert_eq!(desk.screen(), "covered", "back where the attempt stands");
    }
}

#[test]
fn the_newest_receipt_of_this_attempt_is_shown_with_the_submission() {
    let mut desk = Desk::in_exam();
    let kept = |next, submitted, code: &str| KeptReceipt {
        receipt: receipt(next, submitted),
        code: code.to_owned(),
        place: Some("/receipts/a.json".to_owned()),
    };
    desk.event(Event::Receipt(kept(3, true, "LAST")));
    desk.event(Event::Receipt(kept(3, false, "EARLIER")));
    let mut foreign = kept(9, true, "FOREIGN");
    foreign.receipt.epoch = Epoch(2);
    desk.event(Event::Receipt(foreign));
    desk.hear(fx::view(
        5,
        AttemptPhase::Submitted {
            since: WallTime::from_unix_ms(5),
        },
    ));

    let ScreenView::Submitted(submitted) = desk.kiosk.view(desk.now).screen else {
        panic!("submitted")
    };

    let shown = submitted.receipt.expect("a receipt");
    assert_eq!((shown.code.as_str(), shown.entries), ("LAST", 3));
}

/// A machine without a journal, where the server has `stored` entries.
fn desk_that_came_back(stored: u64) -> Desk {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.intent(Intent::OpenExam(fx::attempt()));
    let reply = CheckInReply {
        journal_next: ResponseSeq(stored),
        ..fx::check_in(fx::running())
    };
    desk.answer(CallKind::CheckIn, Reply::CheckedIn(Box::new(reply)));
    desk.event(Event::Journal(JournalNews::Replayed {
        entries: Vec::new(),
        submitted: None,
        place: None,
    }));
    desk.agent_up();
    desk.hear(fx::running_view(1, 5_000, 20_000));
    desk.answer(CallKind::Items, Reply::Items(fx::items()));
    desk
}

fn entry(choice: &str) -> ResponseEntry {
    ResponseEntry {
        attempt: fx::attempt(),
        epoch: Epoch::FIRST,
        seq: ResponseSeq(0),
        item: fx::item(1),
        response: Response::choices(vec![choice.to_owned()]),
        flagged: false,
        at: Now::default(),
        lease_left_ms: 1,
        previous: Sha256::ZERO,
    }
}

#[test]
fn a_busy_server_is_asked_again_when_it_said_and_a_count_that_is_full_is_not() {
    let mut desk = Desk::in_exam();
    desk.fail(CallKind::View, signed_out());
    desk.intent(Intent::TypePassword(Private("b".to_owned())));
    desk.intent(Intent::SignIn);
    desk.fail(
        CallKind::SignIn,
        refused_for(ProblemCode::Unavailable, Some(7)),
    );
    assert_eq!(
        sign_in_view(&desk).trouble,
        Some(Trouble::Problem {
            code: ProblemCode::Unavailable,
            retry_after_s: Some(7),
        }),
        "the wait is told"
    );
    let due = desk.now + Duration::from_secs(7);
    assert!(desk.kiosk.wake_at(desk.now).is_some_and(|at| at <= due));
    assert!(calls(&desk.later(6_900)).is_empty());
    assert_eq!(calls(&desk.later(100)), [CallKind::SignIn]);
    desk.fail(CallKind::SignIn, refused_for(ProblemCode::TooMany, Some(7)));
    assert!(calls(&desk.later(60_000)).is_empty(), "the person decides");
    desk.intent(Intent::SignIn);
    desk.fail(
        CallKind::SignIn,
        refused_for(ProblemCode::Unavailable, Some(7)),
    );
    desk.intent(Intent::TypePassword(Private("another".to_owned())));
    assert!(
        calls(&desk.later(60_000)).is_empty(),
        "what is typed is not sent"
    );
}

fn sign_in_view(desk: &Desk) -> SignInView {
    let ScreenView::SignIn(form) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    form
}

fn signed_out() -> Failure {
    refused(ProblemCode::NotSignedIn)
}

fn refused(code: ProblemCode) -> Failure {
    refused_for(code, None)
}

fn refused_for(code: ProblemCode, retry_after_s: Option<u32>) -> Failure {
    Failure::Problem(Problem {
        code,
        detail: String::new(),
        retry_after_s,
    })
}
