//! The light that the screen shines in, as the agent asks for it.
//!
//! # Invariants
//! * Whatever the agent asks for and whatever the candidate does, [`CHANGE_AFTER`] passes between
//!   two changes: fewer than the three a second at which flashes begin (WCAG 2.2, 2.3.1).
//! * [`RUN_MAX`] after the first light of a run the screen is as always again, though the agent
//!   says nothing more.
//! * The agent is told what was drawn, never what was asked for.

use core::time::Duration;

use qorgan_protocol::{
    local::{Light, LivenessAsk},
    time::Now,
};

/// What is asked for, shown, drawn and told. A run lasts from a light until no light is asked for.
#[derive(Debug, Default)]
pub(super) struct ScreenLight {
    asked: Option<Light>,
    /// When the first light of this run was asked for.
    run_since: Option<Now>,
    /// For the rest of this run the screen stays as always.
    dark: bool,
    /// The newest light that was asked for has no answer yet.
    unanswered: bool,
    shown: Option<Light>,
    changed: Option<Now>,
    drawn: Option<Light>,
    told: Option<Light>,
}

impl ScreenLight {
    /// Takes what the agent asks for; no light ends the run.
    pub(super) fn ask(&mut self, now: Now, light: Option<Light>) {
        self.asked = light;
        self.unanswered = light.is_some();
        if light.is_some() {
            self.run_since.get_or_insert(now);
        } else {
            self.run_since = None;
            self.dark = false;
        }
    }

    /// Takes that a frame in this light was drawn.
    pub(super) const fn drew(&mut self, light: Option<Light>) {
        self.drawn = light;
    }

    /// Returns the light to draw in.
    pub(super) const fn shown(&self) -> Option<Light> {
        self.shown
    }

    /// Goes to what is asked for where the screen `can` shine; returns what to tell the agent.
    pub(super) fn settle(&mut self, now: Now, can: bool) -> Vec<LivenessAsk> {
        let mut told = Vec::new();
        if self.asked.is_some() {
            let stopped = !can && !self.dark;
            self.dark |= !can || self.run_ends_at().is_some_and(|at| at <= now);
            if self.dark && (stopped || self.unanswered) {
                self.unanswered = false;
                told.push(LivenessAsk::Dark);
            }
        }
        if self.wanted() != self.shown && self.may_change_at().is_none_or(|at| at <= now) {
            self.shown = self.wanted();
            self.changed = Some(now);
        }
        let answers = self.unanswered && self.drawn == self.asked;
        if answers || self.drawn != self.told {
            self.unanswered &= !answers;
            self.told = self.drawn;
            told.push(LivenessAsk::Shines(self.drawn));
        }
        told
    }

    /// Returns when time alone changes something.
    pub(super) fn changes_at(&self, now: Now) -> Option<Now> {
        let change = (self.wanted() != self.shown).then(|| self.may_change_at().unwrap_or(now));
        let end = self.run_ends_at().filter(|_| !self.dark);
        change.into_iter().chain(end).min()
    }

    fn wanted(&self) -> Option<Light> {
        self.asked.filter(|_| !self.dark)
    }

    fn may_change_at(&self) -> Option<Now> {
        self.changed.map(|changed| changed + CHANGE_AFTER)
    }

    fn run_ends_at(&self) -> Option<Now> {
        self.run_since.map(|since| since + RUN_MAX)
    }
}

/// What is asked for sooner after a change waits; of what is asked for meanwhile the newest counts.
pub(super) const CHANGE_AFTER: Duration = Duration::from_millis(400);
/// Longer than any run of the agent takes.
pub(super) const RUN_MAX: Duration = Duration::from_secs(10);
