//! The permission to show items, by the client's own monotonic clock (decision 1).
//!
//! No path fails open: a lease that is not known to be alive is over.

use core::time::Duration;

use qorgan_protocol::{
    attempt::{AttemptPhase, PauseCause},
    ids::Epoch,
    local::AgentStatus,
    time::Now,
    wire::AttemptView,
};

/// Why items are covered, as the candidate is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CoverCause {
    /// The server covers, for this cause.
    Server(PauseCause),
    /// The local agent is gone or silent.
    AgentGone,
    /// The server was not heard in time.
    NetworkLost,
    /// The machine shows another virtual terminal or session.
    OtherTerminal,
    /// Time is up.
    TimeUp,
    /// Nothing is known yet.
    Unknown,
}

/// The lease as it was last heard of.
#[derive(Debug, Clone, Default)]
pub struct LeaseClock {
    heard: Option<Now>,
    granted: Option<Granted>,
    refused: Option<PauseCause>,
    not_before: Option<Now>,
    lost_agent: bool,
    agent: Option<AgentWord>,
}

#[derive(Debug, Clone, Copy)]
struct Granted {
    /// When the request was sent whose answer carried the lease.
    heard: Now,
    until: Now,
    offline_until: Now,
}

#[derive(Debug, Clone, Copy)]
struct AgentWord {
    at: Now,
    capturing: bool,
}

impl LeaseClock {
    /// Takes in a view that answers what was sent at `sent`.
    ///
    /// An answer to an older question than the newest one heard changes nothing, and an answer that
    /// was asked for before the agent was lost grants nothing.
    pub fn hear(&mut self, sent: Now, view: &AttemptView, own: Epoch) {
        if self.heard.is_some_and(|heard| heard > sent) {
            return;
        }
        self.heard = Some(sent);
        self.refused = match view.phase {
            AttemptPhase::Paused { cause, .. } => Some(cause),
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => view.covered,
        };
        let shows = view.phase.shows_items() && view.covered.is_none() && view.epoch == own;
        self.granted = view.lease.filter(|_| shows).map(|lease| Granted {
            heard: sent,
            until: sent + Duration::from_millis(lease.left_ms),
            offline_until: sent + Duration::from_millis(lease.left_ms.max(lease.offline_grace_ms)),
        });
    }

    /// Takes in the agent's word.
    pub fn agent_said(&mut self, now: Now, status: &AgentStatus) {
        self.agent = Some(AgentWord {
            at: now,
            capturing: status.capturing,
        });
    }

    /// Takes in that the agent is gone: covered at once, until it is back and the server, asked after
    /// the loss, grants anew.
    pub fn agent_gone(&mut self, now: Now) {
        self.agent = None;
        self.lost_agent = true;
        self.not_before = Some(now);
    }

    /// Forgets the lease, so that only a word of the server that was asked for later uncovers.
    pub fn void(&mut self, now: Now) {
        self.granted = None;
        self.lost_agent = false;
        self.not_before = Some(now);
    }

    /// Tells whether items may be shown at `now`, or why not.
    ///
    /// # Errors
    /// The cause to tell the candidate.
    //= tests/data/sop-2-28.md#10-start-gate
    pub fn check(&self, now: Now) -> Result<(), CoverCause> {
        if let Some(cause) = self.refused {
            return Err(CoverCause::Server(cause));
        }
        let Some(agent) = self
            .agent
            .filter(|word| now.since(word.at) <= AGENT_SILENCE_MAX)
        else {
            return Err(CoverCause::AgentGone);
        };
        let Some(granted) = self.granted else {
            return Err(CoverCause::Unknown);
        };
        if self
            .not_before
            .is_some_and(|moment| granted.heard <= moment)
        {
            return Err(if self.lost_agent {
                CoverCause::AgentGone
            } else {
                CoverCause::Unknown
            });
        }
        let until = if agent.capturing {
            granted.offline_until
        } else {
            granted.until
        };
        if now < until {
            Ok(())
        } else {
            Err(CoverCause::NetworkLost)
        }
    }

    /// Returns how long the lease still runs at `now`, negative when it is over.
    #[must_use]
    pub fn left_ms(&self, now: Now) -> i64 {
        let Some(granted) = self.granted else {
            return i64::MIN;
        };
        let agent = self.agent.is_some_and(|word| word.capturing);
        let until = if agent {
            granted.offline_until
        } else {
            granted.until
        };
        let left = qorgan_protocol::time::millis(until.since(now));
        if left > 0 {
            left
        } else {
            qorgan_protocol::time::millis(now.since(until)).saturating_neg()
        }
    }

    /// Returns the next moment at which the answer of [`Self::check`] can change by time alone.
    #[must_use]
    pub fn changes_at(&self, now: Now) -> Option<Now> {
        let silence = self.agent.map(|word| word.at + AGENT_SILENCE_MAX + INSTANT);
        let over = self.granted.map(|granted| {
            if self.agent.is_some_and(|word| word.capturing) {
                granted.offline_until
            } else {
                granted.until
            }
        });
        silence.into_iter().chain(over).filter(|&at| at > now).min()
    }
}

/// An agent that tells its status twice a second and was not heard this long is gone.
const AGENT_SILENCE_MAX: Duration = Duration::from_secs(3);
const INSTANT: Duration = Duration::from_millis(1);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kiosk::fixtures::{running_view, status};

    const OWN: Epoch = Epoch::FIRST;

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn nothing_is_shown_before_the_server_and_the_agent_have_spoken() {
        let mut clock = LeaseClock::default();
        assert_eq!(clock.check(at(0)), Err(CoverCause::AgentGone));
        clock.agent_said(at(0), &status(true));
        assert_eq!(clock.check(at(0)), Err(CoverCause::Unknown));
        clock.hear(at(1), &running_view(1, 5_000, 20_000), OWN);
        assert_eq!(clock.check(at(2)), Ok(()));
    }

    #[test]
    fn the_lease_counts_from_when_the_question_was_sent() {
        let mut clock = LeaseClock::default();
        clock.agent_said(at(5_900), &status(false));
        clock.hear(at(1_000), &running_view(1, 5_000, 20_000), OWN);
        assert_eq!(clock.check(at(5_999)), Ok(()));
        assert_eq!(clock.check(at(6_000)), Err(CoverCause::NetworkLost));
    }

    #[test]
    fn the_network_grace_needs_an_agent_that_attests_capture() {
        let mut clock = LeaseClock::default();
        clock.hear(at(0), &running_view(1, 5_000, 20_000), OWN);
        clock.agent_said(at(18_000), &status(true));
        assert_eq!(clock.check(at(19_999)), Ok(()));
        clock.agent_said(at(19_000), &status(false));
        assert_eq!(clock.check(at(19_999)), Err(CoverCause::NetworkLost));
    }

    #[test]
    fn a_lost_agent_covers_at_once_and_an_older_grant_does_not_uncover() {
        let mut clock = LeaseClock::default();
        clock.agent_said(at(0), &status(true));
        clock.hear(at(0), &running_view(1, 5_000, 20_000), OWN);
        clock.agent_gone(at(100));
        assert_eq!(clock.check(at(100)), Err(CoverCause::AgentGone));
        clock.agent_said(at(200), &status(true));
        assert_eq!(clock.check(at(200)), Err(CoverCause::AgentGone));
        clock.hear(at(90), &running_view(2, 5_000, 20_000), OWN);
        assert_eq!(clock.check(at(210)), Err(CoverCause::AgentGone));
        clock.hear(at(220), &running_view(3, 5_000, 20_000), OWN);
        assert_eq!(clock.check(at(230)), Ok(()));
    }

    #[test]
    fn another_epoch_shows_nothing() {
        let mut clock = LeaseClock::default();
        clock.agent_said(at(0), &status(true));
        clock.hear(at(0), &running_view(1, 5_000, 20_000), Epoch(2));
        assert!(clock.check(at(0)).is_err());
    }

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }
}
