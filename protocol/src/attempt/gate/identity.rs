//! Who sits there: shown at check-in, judged by a person, and asked for again.

use super::{Moment, StartGate};
use crate::attempt::IdentityState;
use crate::attempt::phase::{AttemptEvent, AttemptPhase, CheckInTask, PauseCause, Refused};

impl StartGate {
    /// Tells whether items may be shown to the person who sits there.
    pub(super) const fn recognised(&self) -> bool {
        match self.memory.identity {
            IdentityState::Approved => true,
            IdentityState::Deferred => !self.policy.identity_before_start,
            IdentityState::Open
            | IdentityState::Again
            | IdentityState::Waiting
            | IdentityState::Refused => false,
        }
    }

    /// Takes a task of check-in. Identity can be shown again after check-in where it was refused or
    /// is asked for again.
    pub(super) fn task(&mut self, task: CheckInTask, at: Moment) -> Result<(), Refused> {
        let again = task == CheckInTask::Identity && self.shows_again();
        if !again {
            self.step(AttemptEvent::TaskDone(task), at)?;
        }
        if task == CheckInTask::Identity {
            self.shown();
        }
        Ok(())
    }

    /// Takes a proctor's word. A refusal covers items that are shown.
    pub(super) const fn judged(&mut self, approved: bool) {
        self.memory.identity = if approved {
            IdentityState::Approved
        } else {
            IdentityState::Refused
        };
    }

    /// Asks for face and document again; a proctor looks at what is then shown. What was never
    /// shown is asked for already.
    pub(super) fn identity_again(&mut self) -> Result<(), Refused> {
        match self.memory.phase {
            AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. } => {
                self.ask_again();
                Ok(())
            }
            AttemptPhase::Scheduled
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => {
                Err(self.refusal(AttemptEvent::Covered(PauseCause::Identity)))
            }
        }
    }

    /// Takes a refusal back: what was shown waits for a proctor again where the policy demands one,
    /// and is reviewed later where it does not.
    pub(super) fn refusal_taken_back(&mut self) -> Result<(), Refused> {
        match self.memory.identity {
            IdentityState::Refused => {
                self.memory.identity = self.unjudged();
                Ok(())
            }
            IdentityState::Open
            | IdentityState::Again
            | IdentityState::Waiting
            | IdentityState::Deferred
            | IdentityState::Approved => Err(self.refusal(AttemptEvent::Uncovered)),
        }
    }

    /// Another machine took the attempt over: nobody has seen who sits there.
    pub(super) const fn seat_changed(&mut self) {
        match self.memory.phase {
            AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. } => self.ask_again(),
            AttemptPhase::Scheduled
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => {}
        }
    }

    const fn ask_again(&mut self) {
        match self.memory.identity {
            IdentityState::Open => {}
            IdentityState::Again
            | IdentityState::Waiting
            | IdentityState::Deferred
            | IdentityState::Approved
            | IdentityState::Refused => self.memory.identity = IdentityState::Again,
        }
    }

    const fn shows_again(&self) -> bool {
        let asked = match self.memory.identity {
            IdentityState::Again | IdentityState::Refused => true,
            IdentityState::Open
            | IdentityState::Waiting
            | IdentityState::Deferred
            | IdentityState::Approved => false,
        };
        let checked_in = match self.memory.phase {
            AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. } => true,
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => false,
        };
        asked && checked_in
    }

    /// Face and document were shown. What a person refused or asked for again waits for a person,
    /// whatever the policy says of the first time.
    const fn shown(&mut self) {
        self.memory.identity = match self.memory.identity {
            IdentityState::Approved => IdentityState::Approved,
            IdentityState::Open | IdentityState::Deferred => self.unjudged(),
            IdentityState::Again | IdentityState::Waiting | IdentityState::Refused => {
                IdentityState::Waiting
            }
        };
    }

    const fn unjudged(&self) -> IdentityState {
        if self.policy.identity_before_start {
            IdentityState::Waiting
        } else {
            IdentityState::Deferred
        }
    }

    const fn refusal(&self, event: AttemptEvent) -> Refused {
        Refused {
            phase: self.memory.phase,
            event,
        }
    }
}
