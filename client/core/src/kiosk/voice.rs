//! Reading aloud at check-in: the agent learns the voice, so that it can tell others from it.
//!
//! # Invariants
//! * Nobody is kept here who cannot speak: after [`SKIP_AFTER`], and at once with an accommodation,
//!   the candidate may go on without, and the agent says so in the recording.
//! * Which text is read follows from the attempt's random identifier, so that it is not known before.

use core::time::Duration;

use qorgan_protocol::{
    evidence::StreamKind,
    local::{VoiceAsk, VoiceState},
    time::Now,
};

use super::{Attempt, Kiosk, Stage, Step};
use crate::{
    event::{Effect, Intent},
    view::VoiceView,
};

/// Where reading aloud stands in the kiosk.
#[derive(Debug, Default)]
pub(super) struct VoiceStep {
    state: VoiceState,
    /// Whether the candidate began to read.
    asked: bool,
    shown_since: Option<Now>,
}

impl VoiceStep {
    /// Tells whether there is nothing left to do: the voice is known, or not to be had.
    pub(super) const fn is_over(&self) -> bool {
        match self.state {
            VoiceState::Known | VoiceState::Skipped | VoiceState::NotNeeded => true,
            VoiceState::NotAsked
            | VoiceState::Listening { .. }
            | VoiceState::NotOneVoice
            | VoiceState::Unavailable => false,
        }
    }

    /// The screen is shown.
    pub(super) fn shown(&mut self, now: Now) {
        self.shown_since.get_or_insert(now);
    }

    /// Returns from when on going on without is offered.
    pub(super) fn skip_at(&self) -> Option<Now> {
        self.shown_since.map(|since| since + SKIP_AFTER)
    }
}

impl Kiosk {
    pub(super) fn voice_intent(&mut self, now: Now, intent: &Intent) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        if attempt.step != Step::Voice || attempt.voice.is_over() {
            return;
        }
        if *intent == Intent::ReadAloud {
            attempt.voice.asked = true;
            self.outbox.push(Effect::Voice(VoiceAsk::Begin));
        } else if *intent == Intent::SkipReading && attempt.may_skip_reading(now) {
            attempt.voice.state = VoiceState::Skipped;
            attempt.step = Step::Instruction { read: false };
            self.outbox.push(Effect::Voice(VoiceAsk::Skip));
        }
    }

    pub(super) fn voice_view(&self, now: Now, attempt: &Attempt) -> VoiceView {
        let microphone = self.source(StreamKind::Microphone);
        let id = attempt.card.attempt.as_bytes();
        let [random, ..] = (self.tools.hash)(&[b"text to read", id]).0;
        VoiceView {
            text: random % VoiceView::TEXTS,
            state: attempt.voice.state,
            level: microphone.and_then(|source| source.level),
            device: microphone.map(|source| source.health.state),
            may_skip: attempt.may_skip_reading(now),
        }
    }
}

impl Attempt {
    /// Takes what the agent told of the voice; one that was started anew is asked again.
    pub(super) fn voice_told(&mut self, state: VoiceState) -> Option<Effect> {
        self.voice.state = state;
        if self.step == Step::Voice && state == VoiceState::NotNeeded {
            self.step = Step::Instruction { read: false };
        }
        let forgotten =
            self.step == Step::Voice && self.voice.asked && state == VoiceState::NotAsked;
        forgotten.then_some(Effect::Voice(VoiceAsk::Begin))
    }

    fn may_skip_reading(&self, now: Now) -> bool {
        self.check_in.accommodation.accessibility
            || self.voice.state == VoiceState::Unavailable
            || self.voice.skip_at().is_some_and(|at| at <= now)
    }
}

/// Long enough to read the text twice.
const SKIP_AFTER: Duration = Duration::from_secs(30);
