//! The light that the agent asks for: shown in the light theme alone, told when it was drawn, never
//! a flash, and over by itself.

use core::time::Duration;

use qorgan_protocol::local::{Light, LivenessAsk, LivenessState};
use qorgan_protocol::time::Now;

use super::{Desk, liveness::at_liveness, liveness_asks};
use crate::{
    event::{AgentNews, CallKind, Event, Failure, Intent, Overlay, Reading, Theme},
    view::ScreenView,
};

const WARM: LivenessState = LivenessState::Shining(Light::Warm);
const COOL: LivenessState = LivenessState::Shining(Light::Cool);

fn light(desk: &Desk) -> Option<Light> {
    desk.kiosk.view(desk.now).light
}

/// The window draws what it is to draw; returns what the agent is told then.
fn draw(desk: &mut Desk) -> Vec<LivenessAsk> {
    let drawn = light(desk);
    liveness_asks(&desk.event(Event::Drew(drawn)))
}

fn theme(desk: &mut Desk, theme: Theme) -> Vec<LivenessAsk> {
    let reading = Reading {
        theme,
        ..Reading::default()
    };
    liveness_asks(&desk.intent(Intent::ChooseReading(reading)))
}

const SHINES_WARM: LivenessAsk = LivenessAsk::Shines(Some(Light::Warm));
const SHINES_COOL: LivenessAsk = LivenessAsk::Shines(Some(Light::Cool));
const AS_ALWAYS: LivenessAsk = LivenessAsk::Shines(None);

#[test]
fn at_check_in_and_in_the_exam_the_screen_shines_as_asked_and_says_so_once_it_was_drawn() {
    for mut desk in [at_liveness(), Desk::in_exam()] {
        assert_eq!(light(&desk), None);
        assert!(desk.liveness(WARM).is_empty(), "nothing was drawn yet");
        assert_eq!(light(&desk), Some(Light::Warm));
        assert_eq!(draw(&mut desk), [SHINES_WARM]);
        assert!(draw(&mut desk).is_empty(), "told once");
        desk.later(1_200);
        desk.liveness(COOL);
        assert_eq!(draw(&mut desk), [SHINES_COOL]);
        desk.later(1_200);
        assert_eq!(desk.liveness(COOL), [SHINES_COOL], "asked once more");
        desk.liveness(LivenessState::Shown);
        assert_eq!(light(&desk), None);
        assert_eq!(draw(&mut desk), [AS_ALWAYS]);
    }
}

#[test]
fn the_exam_says_why_the_screen_shines() {
    let mut desk = Desk::in_exam();
    desk.liveness(WARM);
    let ScreenView::Exam(exam) = desk.kiosk.view(desk.now).screen else {
        panic!("{}", desk.screen())
    };
    assert_eq!(exam.ask, Some(crate::view::ExamAsk::Light));
}

#[test]
fn in_a_dark_or_contrast_theme_nothing_changes_and_the_agent_hears_it_each_time() {
    for chosen in [Theme::Dark, Theme::Contrast] {
        let mut desk = Desk::in_exam();
        theme(&mut desk, chosen);
        for state in [WARM, COOL] {
            assert_eq!(desk.liveness(state), [LivenessAsk::Dark]);
            assert_eq!(light(&desk), None);
            assert!(draw(&mut desk).is_empty());
        }
    }
}

#[test]
fn under_a_panel_over_the_exam_nothing_changes_but_messages_hide_nothing() {
    for overlay in [Overlay::Help, Overlay::ConfirmSubmit, Overlay::Reading] {
        let mut desk = Desk::in_exam();
        desk.intent(Intent::Open(overlay));
        assert_eq!(desk.liveness(WARM), [LivenessAsk::Dark], "{overlay:?}");
        assert_eq!(light(&desk), None);
    }
    let mut desk = Desk::in_exam();
    desk.intent(Intent::Open(Overlay::Messages));
    assert!(desk.liveness(WARM).is_empty());
    assert_eq!(light(&desk), Some(Light::Warm));
}

#[test]
fn where_nothing_is_to_be_seen_of_the_exam_or_the_step_nothing_shines() {
    let mut covered = Desk::in_exam();
    covered.fail(CallKind::View, Failure::Unreachable);
    covered.later(60_000);
    assert!(covered.cover().is_some());
    assert_eq!(covered.liveness(WARM), [LivenessAsk::Dark]);

    let mut elsewhere = at_liveness();
    elsewhere.liveness(LivenessState::Shown);
    elsewhere.intent(Intent::Continue);
    assert_eq!(elsewhere.screen(), "voice");
    assert_eq!(elsewhere.liveness(WARM), [LivenessAsk::Dark]);
    assert_eq!(light(&elsewhere), None);
}

#[test]
fn a_run_that_is_cut_short_stays_dark_until_the_next_one() {
    let mut desk = Desk::in_exam();
    desk.liveness(WARM);
    draw(&mut desk);
    desk.later(1_000);
    assert_eq!(theme(&mut desk, Theme::Dark), [LivenessAsk::Dark]);
    assert_eq!(light(&desk), None);
    assert_eq!(draw(&mut desk), [AS_ALWAYS]);
    theme(&mut desk, Theme::Light);
    desk.later(1_000);
    assert_eq!(desk.liveness(COOL), [LivenessAsk::Dark]);
    assert_eq!(light(&desk), None);
    desk.liveness(LivenessState::Shown);
    desk.liveness(WARM);
    assert_eq!(light(&desk), Some(Light::Warm), "another run");
}

#[test]
fn a_change_that_comes_too_soon_waits_and_what_comes_between_is_passed_over() {
    let mut desk = Desk::in_exam();
    desk.liveness(WARM);
    draw(&mut desk);
    desk.later(100);
    desk.liveness(COOL);
    desk.later(100);
    desk.liveness(WARM);
    desk.later(100);
    desk.liveness(COOL);
    assert_eq!(light(&desk), Some(Light::Warm));
    assert!(draw(&mut desk).is_empty(), "nothing new was drawn");
    let wakes = desk.kiosk.wake_at(desk.now).expect("it comes by itself");
    assert!(wakes.since(desk.now) <= Duration::from_millis(100));
    desk.later(99);
    assert_eq!(light(&desk), Some(Light::Warm));
    desk.later(1);
    assert_eq!(light(&desk), Some(Light::Cool));
    assert_eq!(draw(&mut desk), [SHINES_COOL]);
}

#[test]
fn whatever_agent_and_candidate_do_the_light_changes_less_than_three_times_a_second() {
    let mut desk = Desk::in_exam();
    let steps = [WARM, COOL, LivenessState::Shown, COOL, WARM];
    let (mut changes, mut before): (Vec<Now>, _) = (Vec::new(), None);
    for step in 0..400_usize {
        desk.now = desk.now + Duration::from_millis(20);
        desk.liveness(steps[step * 7 % steps.len()]);
        if step % 11 == 0 {
            desk.intent(Intent::Open(Overlay::Help));
        } else if step % 11 == 3 {
            desk.intent(Intent::CloseOverlay);
        }
        let shown = light(&desk);
        if shown != before {
            changes.push(desk.now);
        }
        before = shown;
        draw(&mut desk);
    }
    assert!(changes.len() > 3, "it does change: {changes:?}");
    for three in changes.windows(3) {
        let passed = three[2].since(three[0]);
        assert!(passed >= Duration::from_millis(800), "{passed:?}");
    }
}

#[test]
fn a_run_is_over_by_itself_though_the_agent_says_nothing_more() {
    let mut desk = at_liveness();
    desk.liveness(WARM);
    draw(&mut desk);
    desk.later(6_000);
    desk.liveness(COOL);
    draw(&mut desk);
    desk.later(3_999);
    assert_eq!(light(&desk), Some(Light::Cool));
    desk.later(1);
    assert_eq!(light(&desk), None);
    assert_eq!(draw(&mut desk), [AS_ALWAYS]);
    assert_eq!(desk.liveness(WARM), [LivenessAsk::Dark], "the run is over");
    assert_eq!(light(&desk), None);
}

#[test]
fn the_window_wakes_for_the_end_of_a_run() {
    let mut desk = at_liveness();
    desk.later(31_000);
    desk.liveness(WARM);
    draw(&mut desk);
    let wakes = desk.kiosk.wake_at(desk.now).expect("it ends by itself");
    assert!(wakes.since(desk.now) <= Duration::from_secs(10));
}

#[test]
fn the_light_goes_with_the_agent_that_asked_for_it() {
    let mut desk = at_liveness();
    desk.liveness(WARM);
    draw(&mut desk);
    desk.later(1_000);
    desk.event(Event::Agent(AgentNews::Gone));
    assert_eq!(light(&desk), None);
    assert!(draw(&mut desk).is_empty(), "nobody hears it");
    desk.agent_up();
    desk.later(1_000);
    let told = liveness_asks(&desk.log);
    assert_ne!(told.last(), Some(&AS_ALWAYS), "the new agent asked nothing");
}
