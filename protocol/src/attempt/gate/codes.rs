//! Asks for freshness codes and weighs what became of them.

use core::time::Duration;

use super::{GateOutput, Moment, StartGate};
use crate::attempt::freshness::{FreshnessStep, MISSES_MAX, Sight};
use crate::stream::StreamKind;
use crate::time::Now;

impl StartGate {
    pub(super) fn ask_for_codes(&mut self, at: Moment) {
        if !self.memory.phase.shows_items() && !self.paused() {
            self.freshness.rest();
            return;
        }
        let sight = Sight {
            asks: self.freshness_runs(),
            live: self.sources.all_live(&self.policy, at.now),
            contact: self.in_contact(at.now),
            leased: self.lease(at.now).is_some(),
        };
        while let Some(step) = self.freshness.step(at.now, sight, at.random) {
            match step {
                FreshnessStep::Asked => {
                    self.outputs.push_back(GateOutput::AskCode);
                    return;
                }
                // Covered until a code is found, and told: further misses change nothing.
                FreshnessStep::Missed(misses) | FreshnessStep::Unanswered(misses)
                    if misses > MISSES_MAX => {}
                FreshnessStep::Missed(misses) => {
                    self.outputs.push_back(GateOutput::CodeMissed(misses));
                }
                FreshnessStep::Unanswered(misses) => {
                    self.outputs.push_back(GateOutput::CodeUnanswered(misses));
                }
                FreshnessStep::Overdue => self.outputs.push_back(GateOutput::CodesOverdue),
            }
        }
    }

    /// Tells whether codes are part of what this attempt must show.
    pub(super) fn freshness_applies(&self) -> bool {
        self.policy.freshness && self.policy.required().contains(&StreamKind::Screen)
    }

    fn freshness_runs(&self) -> bool {
        let covered_for_it = self.paused() && self.freshness.failed();
        self.freshness_applies() && (self.memory.phase.shows_items() || covered_for_it)
    }

    /// Returns until when items may be shown without a code that is found.
    pub(super) fn unproved_until(&self) -> Now {
        self.counted + self.freshness.left()
    }

    /// Items were shown for `passed`.
    pub(super) fn count_unproved(&mut self, passed: Duration) {
        if self.freshness_applies() {
            self.freshness.shown(passed);
        }
    }
}
