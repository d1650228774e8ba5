//! How much time under cover is given back by itself, and how much was.

use core::time::Duration;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::phase::PauseCause;

/// How much time under cover is given back by itself, by cause, in milliseconds over a whole
/// attempt. What is beyond counts as used, until a person gives more. A proctor's pause, and
/// the time in which a proctor looks at an identity, have no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct PauseCredit {
    /// The agent was gone.
    pub agent_ms: u64,
    /// A source was gone.
    pub source_ms: u64,
    /// The network was gone.
    pub network_ms: u64,
    /// Freshness codes were not found.
    pub freshness_ms: u64,
    /// There were more displays than allowed.
    pub displays_ms: u64,
    /// The server had started again.
    pub server_ms: u64,
    /// The attempt moved to another machine.
    pub moving_ms: u64,
    /// Identity was to be shown again.
    pub identity_ms: u64,
}

impl PauseCredit {
    /// Five minutes for what the candidate's own machine causes, a quarter of an hour for network
    /// and server, half an hour for a move.
    pub const DEFAULT: Self = Self {
        agent_ms: 5 * 60_000,
        source_ms: 5 * 60_000,
        network_ms: 15 * 60_000,
        freshness_ms: 5 * 60_000,
        displays_ms: 5 * 60_000,
        server_ms: 15 * 60_000,
        moving_ms: 30 * 60_000,
        identity_ms: 5 * 60_000,
    };

    /// Returns how much is given back for a cause; for a proctor's pause there is no bound.
    #[must_use]
    pub const fn bound(self, cause: PauseCause) -> Duration {
        Duration::from_millis(match cause {
            PauseCause::AgentLost => self.agent_ms,
            PauseCause::SourceLost => self.source_ms,
            PauseCause::NetworkLost => self.network_ms,
            PauseCause::FreshnessMissed => self.freshness_ms,
            PauseCause::Displays => self.displays_ms,
            PauseCause::ServerRestarted => self.server_ms,
            PauseCause::Moving => self.moving_ms,
            PauseCause::Identity => self.identity_ms,
            PauseCause::Proctor => u64::MAX,
        })
    }

    /// Returns it with another bound for a cause, in milliseconds; a proctor's pause has none.
    #[must_use]
    pub const fn with(mut self, cause: PauseCause, ms: u64) -> Self {
        match cause {
            PauseCause::AgentLost => self.agent_ms = ms,
            PauseCause::SourceLost => self.source_ms = ms,
            PauseCause::NetworkLost => self.network_ms = ms,
            PauseCause::FreshnessMissed => self.freshness_ms = ms,
            PauseCause::Displays => self.displays_ms = ms,
            PauseCause::ServerRestarted => self.server_ms = ms,
            PauseCause::Moving => self.moving_ms = ms,
            PauseCause::Identity => self.identity_ms = ms,
            PauseCause::Proctor => {}
        }
        self
    }
}

impl Default for PauseCredit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How much time under cover was given back under a bound, by cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CreditedPause {
    agent: Duration,
    source: Duration,
    network: Duration,
    freshness: Duration,
    displays: Duration,
    server: Duration,
    moving: Duration,
    identity: Duration,
    proctor: Duration,
}

impl CreditedPause {
    /// Nothing was given back.
    pub const NONE: Self = Self {
        agent: Duration::ZERO,
        source: Duration::ZERO,
        network: Duration::ZERO,
        freshness: Duration::ZERO,
        displays: Duration::ZERO,
        server: Duration::ZERO,
        moving: Duration::ZERO,
        identity: Duration::ZERO,
        proctor: Duration::ZERO,
    };

    /// Returns how much was given back for a cause.
    #[must_use]
    pub const fn of(self, cause: PauseCause) -> Duration {
        match cause {
            PauseCause::AgentLost => self.agent,
            PauseCause::SourceLost => self.source,
            PauseCause::NetworkLost => self.network,
            PauseCause::FreshnessMissed => self.freshness,
            PauseCause::Displays => self.displays,
            PauseCause::ServerRestarted => self.server,
            PauseCause::Moving => self.moving,
            PauseCause::Identity => self.identity,
            PauseCause::Proctor => self.proctor,
        }
    }

    /// Adds time that was given back for a cause.
    pub const fn add(&mut self, cause: PauseCause, time: Duration) {
        let sum = match cause {
            PauseCause::AgentLost => &mut self.agent,
            PauseCause::SourceLost => &mut self.source,
            PauseCause::NetworkLost => &mut self.network,
            PauseCause::FreshnessMissed => &mut self.freshness,
            PauseCause::Displays => &mut self.displays,
            PauseCause::ServerRestarted => &mut self.server,
            PauseCause::Moving => &mut self.moving,
            PauseCause::Identity => &mut self.identity,
            PauseCause::Proctor => &mut self.proctor,
        };
        *sum = sum.saturating_add(time);
    }

    /// Returns the whole milliseconds by cause, for storage; a cause without any is left out.
    #[must_use]
    pub fn to_ms(self) -> BTreeMap<PauseCause, u64> {
        let ms = |cause: PauseCause| {
            let ms = u64::try_from(self.of(cause).as_millis()).unwrap_or(u64::MAX);
            (cause, ms)
        };
        let all = PauseCause::ALL.into_iter().map(ms);
        all.filter(|(_cause, ms)| *ms > 0).collect()
    }

    /// Reads what [`Self::to_ms`] gave.
    #[must_use]
    pub fn from_ms(stored: &BTreeMap<PauseCause, u64>) -> Self {
        let mut credited = Self::default();
        for (cause, ms) in stored {
            credited.add(*cause, Duration::from_millis(*ms));
        }
        credited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_called_by_its_word_on_the_wire_and_its_bound_is_set_alone() {
        for cause in PauseCause::ALL {
            let wire = serde_json::to_value(cause).expect("a word");
            assert_eq!(wire, cause.word());
            let set = PauseCredit::DEFAULT.with(cause, 60_000);
            for other in PauseCause::ALL {
                let usual = PauseCredit::DEFAULT.bound(other);
                let wanted = if other == cause && cause != PauseCause::Proctor {
                    Duration::from_secs(60)
                } else {
                    usual
                };
                assert_eq!(set.bound(other), wanted, "{cause:?} {other:?}");
            }
        }
    }

    #[test]
    fn what_was_credited_is_the_same_after_it_was_stored() {
        let mut credited = CreditedPause::default();
        for (cause, ms) in PauseCause::ALL
            .into_iter()
            .zip([0, 1, 20, 300, 4_000, 5, 6, 7, 8])
        {
            credited.add(cause, Duration::from_millis(ms));
        }
        let text = serde_json::to_string(&credited.to_ms()).expect("a map of words");
        let stored = serde_json::from_str(&text).expect("the same map");
        assert_eq!(CreditedPause::from_ms(&stored), credited);
    }
}
