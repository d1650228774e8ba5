//! Reading aloud at check-in: asked for where a microphone is, never a dead end.

use qorgan_protocol::attempt::{CheckInTask, GatePolicy};
use qorgan_protocol::local::{LivenessState, VoiceAsk, VoiceState};

use super::{Desk, IDENTIFIED, phase_with};
use crate::{
    event::{AgentNews, Effect, Event, Intent},
    kiosk::fixtures as fx,
    view::{ScreenView, VoiceView},
};

/// At the identity screen, approved.
fn at_identity() -> Desk {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open(phase_with(&[
        CheckInTask::Consent,
        CheckInTask::SystemCheck,
    ]));
    identified(desk)
}

fn identified(mut desk: Desk) -> Desk {
    desk.agent_up();
    desk.liveness(LivenessState::NotNeeded);
    desk.identified();
    desk
}

fn at_voice() -> Desk {
    let mut desk = at_identity();
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "voice");
    desk
}

fn shown(desk: &Desk) -> VoiceView {
    let ScreenView::Voice(screen) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    screen
}

fn tell(desk: &mut Desk, state: VoiceState) -> Vec<Effect> {
    desk.event(Event::Agent(AgentNews::Voice(state)))
}

const BEGIN: Effect = Effect::Voice(VoiceAsk::Begin);
const SKIP: Effect = Effect::Voice(VoiceAsk::Skip);

#[test]
fn after_the_identity_the_candidate_reads_aloud_until_the_voice_is_known() {
    let mut desk = at_voice();
    assert!(!shown(&desk).may_skip, "a reader has time");
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "voice", "nothing was read");
    assert!(desk.intent(Intent::ReadAloud).contains(&BEGIN));
    let listening = VoiceState::Listening {
        heard: 3,
        needed: 4,
        hint: None,
    };
    tell(&mut desk, listening);
    assert_eq!(shown(&desk).state, listening);
    tell(&mut desk, VoiceState::NotOneVoice);
    assert!(desk.intent(Intent::ReadAloud).contains(&BEGIN), "once more");
    tell(&mut desk, VoiceState::Known);
    assert_eq!(desk.screen(), "voice", "the candidate sees it and goes on");
    assert!(desk.intent(Intent::ReadAloud).is_empty(), "it is known");
    assert!(desk.intent(Intent::SkipReading).is_empty());
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "instruction");
}

#[test]
fn who_cannot_read_aloud_goes_on_without_after_a_while_and_the_agent_is_told() {
    let mut desk = at_voice();
    assert!(desk.intent(Intent::SkipReading).is_empty());
    desk.later(29_000);
    assert!(!shown(&desk).may_skip);
    let wakes = desk
        .kiosk
        .wake_at(desk.now)
        .expect("the offer comes by itself");
    assert!(wakes.since(desk.now).as_secs() < 2);
    desk.later(1_000);
    assert!(shown(&desk).may_skip);
    assert!(desk.intent(Intent::SkipReading).contains(&SKIP));
    assert_eq!(desk.screen(), "instruction");
    // An agent that is started again says that nothing was asked; nobody is asked any more.
    assert!(tell(&mut desk, VoiceState::NotAsked).is_empty());
    assert_eq!(desk.screen(), "instruction");
}

#[test]
fn an_accommodation_and_a_machine_that_learns_no_voice_offer_to_go_on_at_once() {
    let mut desk = at_voice();
    tell(&mut desk, VoiceState::Unavailable);
    assert!(shown(&desk).may_skip);

    let mut desk = Desk::new();
    desk.walk_to_exams();
    let mut check_in = fx::check_in(phase_with(&IDENTIFIED));
    check_in.accommodation.accessibility = true;
    desk.open_reply(check_in);
    desk.liveness(LivenessState::NotNeeded);
    assert!(shown(&desk).may_skip);
}

#[test]
fn an_agent_that_was_started_again_while_somebody_reads_is_asked_again() {
    let mut desk = at_voice();
    assert!(tell(&mut desk, VoiceState::NotAsked).is_empty());
    desk.intent(Intent::ReadAloud);
    desk.event(Event::Agent(AgentNews::Gone));
    assert!(tell(&mut desk, VoiceState::NotAsked).contains(&BEGIN));
}

#[test]
fn a_kiosk_that_was_started_again_asks_only_where_no_voice_is_known() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    desk.open(phase_with(&IDENTIFIED));
    let mut desk = identified(desk);
    assert_eq!(desk.screen(), "voice");
    tell(&mut desk, VoiceState::Known);
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "instruction");
}

#[test]
fn where_no_microphone_is_required_nobody_reads_aloud() {
    let mut desk = Desk::new();
    desk.walk_to_exams();
    let mut check_in = fx::check_in(phase_with(&[
        CheckInTask::Consent,
        CheckInTask::SystemCheck,
    ]));
    check_in.policy = GatePolicy::on_site();
    desk.open_reply(check_in);
    let mut desk = identified(desk);
    desk.intent(Intent::Continue);
    assert_eq!(desk.screen(), "instruction");
}

#[test]
fn where_the_exam_listens_for_no_other_voice_nobody_reads_aloud() {
    let mut told_before = at_identity();
    tell(&mut told_before, VoiceState::NotNeeded);
    told_before.intent(Intent::Continue);
    assert_eq!(told_before.screen(), "instruction");

    let mut told_at_the_step = at_voice();
    tell(&mut told_at_the_step, VoiceState::NotNeeded);
    assert_eq!(told_at_the_step.screen(), "instruction");
}
