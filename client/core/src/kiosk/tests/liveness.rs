//! Showing that a living person sits there: asked for where a camera is, never a dead end; in the
//! exam only while items are shown.

use qorgan_protocol::attempt::{CheckInTask, GatePolicy};
use qorgan_protocol::evidence::StreamKind;
use qorgan_protocol::local::{LivenessAsk, LivenessState, Turn, TurnHint};

use super::{Desk, IDENTIFIED, liveness_asks, phase_with};
use crate::{
    event::{AgentNews, CallKind, Event, Failure, Intent},
    kiosk::fixtures as fx,
    view::{ExamAsk, LivenessView, ScreenView},
};

const CHECKED: [CheckInTask; 2] = [CheckInTask::Consent, CheckInTask::SystemCheck];

fn identified(mut desk: Desk) -> Desk {
    desk.agent_up();
    desk.identified();
    desk
}

/// At the identity screen, approved.
fn at_identity(policy: GatePolicy) -> Desk {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let mut check_in = fx::check_in(phase_with(&CHECKED));
    check_in.policy = policy;
    desk.open_reply(check_in);
    identified(desk)
}

pub(super) fn at_liveness() -> Desk {
    let mut desk = at_identity(GatePolicy::remote());
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "liveness");
    desk
}

fn shown(desk: &Desk) -> LivenessView {
    let ScreenView::Liveness(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    screen
}

fn asks(desk: &mut Desk, intent: Intent) -> Vec<LivenessAsk> {
    liveness_asks(&desk.intent(intent))
}

fn straight() -> LivenessState {
    LivenessState::Straight {
        done: 0,
        needed: 3,
        hint: None,
    }
}

fn turning() -> LivenessState {
    LivenessState::Turning {
        turn: Turn::Left,
        done: 1,
        needed: 3,
        hint: Some(TurnHint::More),
    }
}

#[test]
fn after_the_identity_the_candidate_turns_the_head_until_it_is_shown() {
    let mut desk = at_liveness();
    assert!(!shown(&desk).may_skip, "there is time");
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "liveness", "nothing was shown");
    assert_eq!(asks(&mut desk, Intent::TurnHead), [LivenessAsk::Begin]);
    assert!(!shown(&desk).may_begin);
    assert!(asks(&mut desk, Intent::TurnHead).is_empty(), "it began");
    for state in [straight(), turning()] {
        desk.liveness(state);
        assert_eq!(shown(&desk).state, state);
        assert!(asks(&mut desk, Intent::TurnHead).is_empty(), "it goes on");
    }
    desk.liveness(LivenessState::Shown);
    assert_eq!(desk.screen(), "liveness", "the candidate sees it");
    assert!(asks(&mut desk, Intent::TurnHead).is_empty(), "it is shown");
    assert!(asks(&mut desk, Intent::SkipTurning).is_empty());
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "voice");
}

#[test]
fn what_was_not_followed_is_begun_anew_as_often_as_the_agent_allows() {
    let mut desk = at_liveness();
    desk.intent(Intent::TurnHead);
    desk.liveness(turning());
    desk.liveness(LivenessState::NotFollowed { left: 1 });
    assert!(!shown(&desk).may_skip);
    assert_eq!(asks(&mut desk, Intent::TurnHead), [LivenessAsk::Begin]);
    desk.liveness(LivenessState::NotFollowed { left: 0 });
    assert!(asks(&mut desk, Intent::TurnHead).is_empty(), "none is left");
    assert!(shown(&desk).may_skip);
    assert_eq!(asks(&mut desk, Intent::SkipTurning), [LivenessAsk::Skip]);
    assert_eq!(desk.screen(), "voice");
}

#[test]
fn who_cannot_turn_the_head_goes_on_without_after_a_while_and_the_agent_is_told() {
    let mut desk = at_liveness();
    assert!(asks(&mut desk, Intent::SkipTurning).is_empty());
    desk.later(29_000);
    assert!(!shown(&desk).may_skip);
    let wakes = desk
        .kiosk
        .wake_at(desk.now)
        .expect("the offer comes by itself");
    assert!(wakes.since(desk.now).as_secs() < 2);
    desk.later(1_000);
    assert!(shown(&desk).may_skip);
    assert_eq!(asks(&mut desk, Intent::SkipTurning), [LivenessAsk::Skip]);
    assert_eq!(desk.screen(), "voice");
    // An agent that is started again says that nothing was asked; nobody is asked any more.
    assert!(desk.liveness(LivenessState::NotAsked).is_empty());
    assert_eq!(desk.screen(), "voice");
}

#[test]
fn an_accommodation_and_a_machine_that_cannot_tell_offer_to_go_on_at_once() {
    let mut desk = at_liveness();
    desk.liveness(LivenessState::Unavailable);
    assert!(shown(&desk).may_skip && !shown(&desk).may_begin);

    let mut desk = Desk::new();
    desk.walk_to_exams();
    let mut check_in = fx::check_in(phase_with(&IDENTIFIED));
    check_in.accommodation.accessibility = true;
    desk.open_reply(check_in);
    assert!(shown(&desk).may_skip);
}

#[test]
fn an_agent_that_was_started_again_while_somebody_turns_is_asked_again() {
    let mut desk = at_liveness();
    assert!(desk.liveness(LivenessState::NotAsked).is_empty());
    desk.intent(Intent::TurnHead);
    desk.liveness(turning());
    desk.event(Event::Agent(AgentNews::Gone));
    assert_eq!(shown(&desk).state, LivenessState::NotAsked, "nobody asks");
    desk.event(Event::Agent(AgentNews::Started));
    let told = desk.liveness(LivenessState::NotAsked);
    assert_eq!(told, [LivenessAsk::Begin]);
}

#[test]
fn a_kiosk_that_was_started_again_asks_only_where_it_was_not_shown() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open(phase_with(&IDENTIFIED));
    let mut desk = identified(desk);
    assert_eq!(desk.screen(), "liveness");
    desk.liveness(LivenessState::Shown);
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "voice");
}

#[test]
fn where_no_camera_is_required_or_nothing_is_watched_for_nobody_turns_the_head() {
    let mut on_site = at_identity(GatePolicy::on_site());
    on_site.intent(Intent::Continue);
    assert_eq!(on_site.screen(), "instruction");

    let mut with_camera = GatePolicy::on_site();
    with_camera.required_on_site = vec![StreamKind::Camera, StreamKind::Screen];
    let mut with_camera = at_identity(with_camera);
    with_camera.intent(Intent::Continue);
    assert_eq!(with_camera.screen(), "liveness", "there is one to look");

    let mut told_before = at_identity(GatePolicy::remote());
    told_before.liveness(LivenessState::NotNeeded);
    told_before.intent(Intent::Continue);
    assert_eq!(told_before.screen(), "voice");

    let mut told_at_the_step = at_liveness();
    told_at_the_step.liveness(LivenessState::NotNeeded);
    assert_eq!(told_at_the_step.screen(), "voice");
}

fn sittings(desk: &Desk) -> Vec<LivenessAsk> {
    liveness_asks(&desk.log)
}

const SITS: LivenessAsk = LivenessAsk::Sitting(true);
const SITS_NOT: LivenessAsk = LivenessAsk::Sitting(false);

#[test]
fn the_agent_knows_whether_items_are_shown_also_one_that_was_started_anew() {
    let mut desk = Desk::in_exam();
    assert_eq!(sittings(&desk), [SITS_NOT, SITS]);
    desk.log.clear();

    desk.fail(CallKind::View, Failure::Unreachable);
    desk.later(60_000);
    assert!(desk.cover().is_some());
    assert_eq!(sittings(&desk), [SITS_NOT], "covered");
    desk.agent_up();
    desk.hear(fx::running_view(9, 5_000, 20_000));
    assert_eq!(desk.screen(), "exam");
    assert_eq!(sittings(&desk), [SITS_NOT, SITS]);
    desk.log.clear();

    desk.event(Event::Agent(AgentNews::Gone));
    assert!(sittings(&desk).is_empty(), "nobody hears it");
    desk.event(Event::Agent(AgentNews::Started));
    desk.agent_up();
    desk.later(1);
    desk.hear(fx::running_view(10, 5_000, 20_000));
    assert_eq!(sittings(&desk).last(), Some(&SITS));
    desk.log.clear();

    desk.intent(Intent::Submit);
    assert_eq!(sittings(&desk), [SITS_NOT], "submitted");
}

fn ask(desk: &Desk) -> Option<ExamAsk> {
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    exam.ask
}

#[test]
fn in_the_exam_a_turn_is_asked_for_beside_the_question_until_the_agent_says_otherwise() {
    let mut desk = Desk::in_exam();
    assert_eq!(ask(&desk), None);
    desk.liveness(turning());
    let turn = ExamAsk::Turn(Turn::Left, Some(TurnHint::More));
    assert_eq!(ask(&desk), Some(turn));
    let effects = desk.intent(Intent::Choose("B".to_owned()));
    assert!(!effects.is_empty(), "the question is open meanwhile");
    desk.liveness(straight());
    assert_eq!(ask(&desk), Some(ExamAsk::Straight(None)));
    desk.liveness(LivenessState::Shown);
    assert_eq!(ask(&desk), None);
    assert!(asks(&mut desk, Intent::SkipTurning).is_empty());
    assert!(asks(&mut desk, Intent::TurnHead).is_empty());
}

#[test]
fn nothing_is_asked_for_any_more_by_an_agent_that_is_gone() {
    let mut desk = Desk::in_exam();
    desk.liveness(turning());
    desk.event(Event::Agent(AgentNews::Gone));
    desk.event(Event::Agent(AgentNews::Started));
    desk.agent_up();
    desk.later(1);
    desk.hear(fx::running_view(10, 5_000, 20_000));
    assert_eq!(ask(&desk), None);
}
