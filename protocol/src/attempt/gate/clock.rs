//! Counts the time that is used and the time that is given back.

use core::time::Duration;

use super::{GateOutput, StartGate};
use crate::attempt::IdentityState;
use crate::attempt::phase::{AttemptPhase, PauseCause};
use crate::time::Now;

impl StartGate {
    pub(super) fn count_time(&mut self, now: Now) {
        let passed = now.since(self.counted);
        self.counted = self.counted.max(now);
        match self.memory.phase {
            AttemptPhase::Running { .. } => {
                self.count_unproved(passed);
                self.spend(passed);
            }
            AttemptPhase::Paused { cause, .. } => self.count_cover(cause, passed),
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => {}
        }
    }

    /// Gives time under cover back as far as the policy's credit for the cause goes; what is beyond
    /// is used, until a person gives more.
    fn count_cover(&mut self, cause: PauseCause, passed: Duration) {
        let left = self.credit_left(cause);
        let credited = left.map_or(passed, |left| passed.min(left));
        let memory = &mut self.memory;
        memory.credited = memory.credited.saturating_add(credited);
        if let Some(left) = left {
            memory.credited_by.add(cause, credited);
            if left > Duration::ZERO && credited == left {
                self.outputs.push_back(GateOutput::CreditUsed(cause));
            }
        }
        self.spend(passed.saturating_sub(credited));
    }

    /// Returns how much time the policy still gives back for a cause; `None` for all of it, where a
    /// person decides already.
    fn credit_left(&self, cause: PauseCause) -> Option<Duration> {
        if !self.policy.credit_covered_time {
            return Some(Duration::ZERO);
        }
        let bound = match cause {
            PauseCause::Proctor => return None,
            // A proctor looks at what was shown.
            PauseCause::Identity if self.memory.identity == IdentityState::Waiting => return None,
            PauseCause::AgentLost
            | PauseCause::SourceLost
            | PauseCause::NetworkLost
            | PauseCause::FreshnessMissed
            | PauseCause::Displays
            | PauseCause::ServerRestarted
            | PauseCause::Moving
            | PauseCause::Identity => self.policy.pause_credit.bound(cause),
        };
        Some(bound.saturating_sub(self.memory.credited_by.of(cause)))
    }

    fn spend(&mut self, passed: Duration) {
        let memory = &mut self.memory;
        memory.spent = memory.spent.saturating_add(passed).min(memory.allowed);
    }
}
