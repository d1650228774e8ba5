//! Showing that a living person sits there: the step at check-in, and what is asked in the exam.
//!
//! # Invariants
//! * Nobody is kept at the step who cannot do it: after [`SKIP_AFTER`], and at once with an
//!   accommodation or where it came to nothing, the candidate may go on without, and the agent says
//!   so in the recording.
//! * The agent knows whether items are shown: it asks in the exam only while they are, and one that
//!   was started anew is told once more.

use core::time::Duration;

use qorgan_protocol::{
    evidence::StreamKind,
    local::{Light, LivenessAsk, LivenessState},
    time::Now,
};

use super::{Attempt, Kiosk, Stage, Step, light::ScreenLight};
use crate::{
    event::{Effect, Intent, Overlay, Theme},
    view::{ExamAsk, LivenessView},
};

/// Where it stands in the kiosk.
#[derive(Debug, Default)]
pub(super) struct Liveness {
    state: LivenessState,
    /// Whether the candidate began, and it neither came to nothing nor to an end.
    begun: bool,
    shown_since: Option<Now>,
    /// Whether the agent is there to be told something.
    agent_up: bool,
    /// What the agent was told of items.
    sitting: Option<bool>,
    light: ScreenLight,
}

impl Liveness {
    /// Tells whether check-in has nothing left to do here.
    pub(super) const fn is_over(&self) -> bool {
        match self.state {
            LivenessState::Shown | LivenessState::Skipped | LivenessState::NotNeeded => true,
            LivenessState::NotAsked
            | LivenessState::Straight { .. }
            | LivenessState::Turning { .. }
            | LivenessState::Shining(_)
            | LivenessState::NotFollowed { .. }
            | LivenessState::Unavailable => false,
        }
    }

    /// The screen of the step is shown.
    pub(super) fn shown(&mut self, now: Now) {
        self.shown_since.get_or_insert(now);
    }

    /// Returns from when on going on without is offered.
    pub(super) fn skip_at(&self) -> Option<Now> {
        self.shown_since.map(|since| since + SKIP_AFTER)
    }

    /// Returns when time alone changes the light.
    pub(super) fn light_changes_at(&self, now: Now) -> Option<Now> {
        self.light.changes_at(now)
    }

    /// Returns what to ask for on the screen of the exam.
    pub(super) fn exam_ask(&self) -> Option<ExamAsk> {
        match self.state {
            LivenessState::Straight { hint, .. } => Some(ExamAsk::Straight(hint)),
            LivenessState::Turning { turn, hint, .. } => Some(ExamAsk::Turn(turn, hint)),
            LivenessState::Shining(_) => self.light.shown().map(|_| ExamAsk::Light),
            LivenessState::NotAsked
            | LivenessState::NotFollowed { .. }
            | LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded => None,
        }
    }

    /// The agent is there.
    pub(super) const fn agent_up(&mut self) {
        self.agent_up = true;
    }

    /// The agent is gone, and with it whatever it asked for.
    pub(super) fn agent_gone(&mut self, now: Now) {
        self.agent_up = false;
        self.sitting = None;
        self.light.ask(now, None);
        match self.state {
            LivenessState::Straight { .. }
            | LivenessState::Turning { .. }
            | LivenessState::Shining(_) => self.state = LivenessState::NotAsked,
            LivenessState::NotAsked
            | LivenessState::NotFollowed { .. }
            | LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded => {}
        }
    }

    const fn may_begin(&self) -> bool {
        match self.state {
            LivenessState::NotAsked => !self.begun,
            LivenessState::NotFollowed { left } => left > 0,
            LivenessState::Straight { .. }
            | LivenessState::Turning { .. }
            | LivenessState::Shining(_)
            | LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded => false,
        }
    }

    fn told(&mut self, now: Now, state: LivenessState) {
        self.state = state;
        let light = match state {
            LivenessState::Shining(light) => Some(light),
            LivenessState::NotAsked
            | LivenessState::Straight { .. }
            | LivenessState::Turning { .. } => None,
            LivenessState::NotFollowed { .. }
            | LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded => {
                self.begun = false;
                None
            }
        };
        self.light.ask(now, light);
    }
}

impl Kiosk {
    pub(super) fn liveness_intent(&mut self, now: Now, intent: &Intent) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        if attempt.step != Step::Liveness || attempt.liveness.is_over() {
            return;
        }
        if *intent == Intent::TurnHead && attempt.liveness.may_begin() {
            attempt.liveness.begun = true;
            self.outbox.push(Effect::Liveness(LivenessAsk::Begin));
        } else if *intent == Intent::SkipTurning && attempt.may_skip_turning(now) {
            attempt.liveness.told(now, LivenessState::Skipped);
            attempt.step = attempt.after_liveness();
            self.outbox.push(Effect::Liveness(LivenessAsk::Skip));
        }
    }

    /// Takes that a frame in this light was drawn.
    pub(super) fn drew(&mut self, light: Option<Light>) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.liveness.light.drew(light);
        }
    }

    /// Returns the light to draw in: in the light theme alone.
    pub(super) fn light(&self) -> Option<Light> {
        let Stage::Attempt(attempt) = &self.stage else {
            return None;
        };
        let light = attempt.liveness.light.shown();
        light.filter(|_| self.reading.theme == Theme::Light)
    }

    /// Tells the agent whether items are shown, and goes to the light that it asks for.
    pub(super) fn settle_liveness(&mut self, now: Now) {
        // Messages stand beside the question and hide nothing of it.
        let bare = matches!(self.overlay, None | Some(Overlay::Messages));
        let bright = self.reading.theme == Theme::Light && bare;
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        let (items, step) = (attempt.shows_items(now), attempt.step == Step::Liveness);
        let open = items || (step && attempt.signed_out.is_none());
        let liveness = &mut attempt.liveness;
        let mut told = liveness.light.settle(now, bright && open);
        if liveness.sitting != Some(items) {
            told.push(LivenessAsk::Sitting(items));
        }
        if liveness.agent_up {
            liveness.sitting = Some(items);
            self.outbox.extend(told.into_iter().map(Effect::Liveness));
        }
    }

    pub(super) fn liveness_view(&self, now: Now, attempt: &Attempt) -> LivenessView {
        let camera = self.source(StreamKind::Camera);
        LivenessView {
            state: attempt.liveness.state,
            camera: camera.map(|camera| camera.health.source),
            device: camera.map(|camera| camera.health.state),
            may_begin: attempt.liveness.may_begin(),
            may_skip: !attempt.liveness.is_over() && attempt.may_skip_turning(now),
        }
    }
}

impl Attempt {
    /// Takes what the agent told; one that was started anew while the step goes on is asked again.
    pub(super) fn liveness_told(&mut self, now: Now, state: LivenessState) -> Option<Effect> {
        self.liveness.told(now, state);
        if self.step == Step::Liveness && state == LivenessState::NotNeeded {
            self.step = self.after_liveness();
        }
        let forgotten =
            self.step == Step::Liveness && self.liveness.begun && state == LivenessState::NotAsked;
        forgotten.then_some(Effect::Liveness(LivenessAsk::Begin))
    }

    fn may_skip_turning(&self, now: Now) -> bool {
        let nothing_left = matches!(
            self.liveness.state,
            LivenessState::Unavailable | LivenessState::NotFollowed { left: 0 }
        );
        nothing_left
            || self.check_in.accommodation.accessibility
            || self.liveness.skip_at().is_some_and(|at| at <= now)
    }
}

/// Long enough to do what is asked for, and to begin anew once.
const SKIP_AFTER: Duration = Duration::from_secs(30);
