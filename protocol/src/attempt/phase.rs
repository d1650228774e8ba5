//! The attempt's phases: one pure table; an edge that is not in it is refused.

use serde::{Deserialize, Serialize};

use crate::time::WallTime;

/// A task of check-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckInTask {
    /// Agreement to capture, recorded.
    Consent,
    /// The machine was checked.
    SystemCheck,
    /// Face and document were shown.
    Identity,
    /// The instruction was read (SOP 11).
    Instruction,
}

/// Which tasks of check-in are done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckInTasks {
    /// Agreement to capture.
    pub consent: bool,
    /// The machine.
    pub system_check: bool,
    /// Face and document.
    pub identity: bool,
    /// The instruction.
    pub instruction: bool,
}

impl CheckInTasks {
    /// Returns the tasks with `task` done.
    #[must_use]
    pub const fn with(mut self, task: CheckInTask) -> Self {
        match task {
            CheckInTask::Consent => self.consent = true,
            CheckInTask::SystemCheck => self.system_check = true,
            CheckInTask::Identity => self.identity = true,
            CheckInTask::Instruction => self.instruction = true,
        }
        self
    }

    /// Tells whether every task is done.
    #[must_use]
    pub const fn complete(self) -> bool {
        self.consent && self.system_check && self.identity && self.instruction
    }
}

/// Why items are covered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum PauseCause {
    /// The agent is gone.
    AgentLost,
    /// A required source is not live.
    SourceLost,
    /// The network is gone longer than its grace.
    NetworkLost,
    /// The freshness code was missed twice.
    FreshnessMissed,
    /// A proctor paused.
    Proctor,
    /// More displays than allowed.
    Displays,
    /// The server started again and has not yet seen the streams.
    ServerRestarted,
    /// The attempt moves to another machine.
    Moving,
    /// A proctor refused the identity or asks for it again, or nobody has looked at it since a move.
    Identity,
}

impl PauseCause {
    /// Every cause, in order.
    pub const ALL: [Self; 9] = [
        Self::AgentLost,
        Self::SourceLost,
        Self::NetworkLost,
        Self::FreshnessMissed,
        Self::Proctor,
        Self::Displays,
        Self::ServerRestarted,
        Self::Moving,
        Self::Identity,
    ];

    /// Returns the word on the wire, in forms and as key of texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::AgentLost => "agent_lost",
            Self::SourceLost => "source_lost",
            Self::NetworkLost => "network_lost",
            Self::FreshnessMissed => "freshness_missed",
            Self::Proctor => "proctor",
            Self::Displays => "displays",
            Self::ServerRestarted => "server_restarted",
            Self::Moving => "moving",
            Self::Identity => "identity",
        }
    }
}

/// Why an attempt was ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum TerminationCause {
    /// A proctor ended it, with a reason on record.
    Proctor,
    /// The candidate did not agree to capture.
    ConsentRefused,
    /// The candidate never came.
    Absent,
}

/// Where an attempt stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum AttemptPhase {
    /// Nobody has come yet.
    Scheduled,
    /// The candidate is being checked in; recording starts with consent.
    CheckIn {
        /// Since when.
        since: WallTime,
        /// What is done.
        tasks: CheckInTasks,
    },
    /// Checked in, waiting at the gate.
    Ready {
        /// Since when.
        since: WallTime,
    },
    /// Items are shown, under a lease.
    Running {
        /// Since when.
        since: WallTime,
    },
    /// Items are covered.
    Paused {
        /// Since when.
        since: WallTime,
        /// Why.
        cause: PauseCause,
    },
    /// The candidate is done, or time is up; the recording is being delivered.
    Submitted {
        /// Since when.
        since: WallTime,
    },
    /// The manifest is signed.
    Sealed {
        /// Since when.
        since: WallTime,
    },
    /// Ended by a person, or never begun.
    Terminated {
        /// Since when.
        since: WallTime,
        /// Why.
        cause: TerminationCause,
    },
    /// Declared void (a technical mishap; a new attempt may be given).
    Void {
        /// Since when.
        since: WallTime,
    },
}

impl AttemptPhase {
    /// Returns the word used in SQL, texts and on the board.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::CheckIn { .. } => "check_in",
            Self::Ready { .. } => "ready",
            Self::Running { .. } => "running",
            Self::Paused { .. } => "paused",
            Self::Submitted { .. } => "submitted",
            Self::Sealed { .. } => "sealed",
            Self::Terminated { .. } => "terminated",
            Self::Void { .. } => "void",
        }
    }

    /// Tells whether items may be shown at all in this phase (a lease is needed besides).
    #[must_use]
    pub const fn shows_items(self) -> bool {
        matches!(self, Self::Running { .. })
    }

    /// Tells whether the agent records in this phase.
    #[must_use]
    pub const fn records(self) -> bool {
        match self {
            Self::CheckIn { tasks, .. } => tasks.consent,
            Self::Ready { .. } | Self::Running { .. } | Self::Paused { .. } => true,
            Self::Scheduled
            | Self::Submitted { .. }
            | Self::Sealed { .. }
            | Self::Terminated { .. }
            | Self::Void { .. } => false,
        }
    }
}

/// What can happen to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AttemptEvent {
    /// The candidate opened the assigned test on an admitted machine.
    CheckInBegan,
    /// A task of check-in was done.
    TaskDone(CheckInTask),
    /// The candidate asked to start and the gate is open.
    GateOpened,
    /// Items must be covered.
    Covered(PauseCause),
    /// Everything required is back.
    Uncovered,
    /// The candidate submitted, or time is up.
    Submitted,
    /// The manifest was signed.
    Sealed,
    /// A person or rule ended it.
    Terminated(TerminationCause),
    /// It was declared void.
    Voided,
}

/// An edge that is not in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an attempt that is {} cannot take {event:?}", phase.word())]
pub struct Refused {
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// What was tried.
    pub event: AttemptEvent,
}

impl AttemptPhase {
    /// Returns the phase after `event` at `at`.
    ///
    /// # Errors
    /// [`Refused`] for every edge that is not in the table; the phase then stays.
    //= tests/data/sop-2-28.md#11-sign-in
    pub fn after(self, event: AttemptEvent, at: WallTime) -> Result<Self, Refused> {
        let refused = Refused { phase: self, event };
        let next = match (self, event) {
            (Self::Scheduled, AttemptEvent::CheckInBegan) => Self::CheckIn {
                since: at,
                tasks: CheckInTasks::default(),
            },
            (Self::CheckIn { since, tasks }, AttemptEvent::TaskDone(task)) => {
                let tasks = tasks.with(task);
                if task != CheckInTask::Consent && !tasks.consent {
                    return Err(refused);
                }
                if tasks.complete() {
                    Self::Ready { since: at }
                } else {
                    Self::CheckIn { since, tasks }
                }
            }
            (Self::Ready { .. }, AttemptEvent::GateOpened)
            | (Self::Paused { .. }, AttemptEvent::Uncovered) => Self::Running { since: at },
            (Self::Running { .. }, AttemptEvent::Covered(cause)) => {
                Self::Paused { since: at, cause }
            }
            (Self::Paused { since, .. }, AttemptEvent::Covered(cause)) => {
                Self::Paused { since, cause }
            }
            (Self::Running { .. } | Self::Paused { .. }, AttemptEvent::Submitted) => {
                Self::Submitted { since: at }
            }
            (Self::Submitted { .. } | Self::Terminated { .. }, AttemptEvent::Sealed) => {
                Self::Sealed { since: at }
            }
            (
                Self::Scheduled
                | Self::CheckIn { .. }
                | Self::Ready { .. }
                | Self::Running { .. }
                | Self::Paused { .. },
                AttemptEvent::Terminated(cause),
            ) => Self::Terminated { since: at, cause },
            (
                Self::Scheduled
                | Self::CheckIn { .. }
                | Self::Ready { .. }
                | Self::Running { .. }
                | Self::Paused { .. }
                | Self::Submitted { .. },
                AttemptEvent::Voided,
            ) => Self::Void { since: at },
            (
                Self::Scheduled
                | Self::CheckIn { .. }
                | Self::Ready { .. }
                | Self::Running { .. }
                | Self::Paused { .. }
                | Self::Submitted { .. }
                | Self::Sealed { .. }
                | Self::Terminated { .. }
                | Self::Void { .. },
                _,
            ) => return Err(refused),
        };
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fmt::Write as _;

    use super::*;

    #[test]
    fn the_table_is_the_one_that_was_looked_at() {
        let mut table = String::new();
        for phase in phases() {
            for event in events() {
                let next = match phase.after(event, LATER) {
                    Ok(next) => name(next),
                    Err(_refused) => "refused".to_owned(),
                };
                writeln!(table, "{:<20} {event:?} → {next}", name(phase)).expect("a string");
            }
        }
        insta::assert_snapshot!("attempt-table", table);
    }

    #[test]
    fn the_graph_is_the_one_that_was_looked_at() {
        let mut edges = BTreeSet::new();
        for phase in phases() {
            for event in events() {
                if let Ok(next) = phase.after(event, LATER) {
                    let event = format!("{event:?}");
                    let event = event.split('(').next().unwrap_or_default().to_owned();
                    edges.insert((phase.word(), next.word(), event));
                }
            }
        }
        let mut graph = String::from("digraph attempt {\n");
        for (from, to, event) in edges {
            writeln!(graph, "  {from} -> {to} [label=\"{event}\"];").expect("a string");
        }
        graph.push_str("}\n");
        insta::assert_snapshot!("attempt-graph", graph);
    }

    #[test]
    //= tests/data/sop-2-28.md#11-sign-in
    //= type=test
    fn the_gate_is_not_reached_before_the_instruction_was_read() {
        let unread = CheckInTasks {
            consent: true,
            system_check: true,
            identity: true,
            instruction: false,
        };
        let check_in = AttemptPhase::CheckIn {
            since: EARLIER,
            tasks: unread,
        };
        check_in
            .after(AttemptEvent::GateOpened, LATER)
            .expect_err("the instruction was not read");
        let read = AttemptEvent::TaskDone(CheckInTask::Instruction);
        assert_eq!(
            check_in.after(read, LATER),
            Ok(AttemptPhase::Ready { since: LATER })
        );
    }

    #[test]
    fn nothing_is_checked_before_consent() {
        let check_in = AttemptPhase::CheckIn {
            since: EARLIER,
            tasks: CheckInTasks::default(),
        };
        for task in [
            CheckInTask::SystemCheck,
            CheckInTask::Identity,
            CheckInTask::Instruction,
        ] {
            check_in
                .after(AttemptEvent::TaskDone(task), LATER)
                .expect_err("consent comes first");
        }
    }

    const EARLIER: WallTime = WallTime::from_unix_ms(1_000);
    const LATER: WallTime = WallTime::from_unix_ms(2_000);

    fn phases() -> Vec<AttemptPhase> {
        let since = EARLIER;
        let all_but_one = CheckInTasks {
            consent: true,
            system_check: true,
            identity: true,
            instruction: false,
        };
        vec![
            AttemptPhase::Scheduled,
            AttemptPhase::CheckIn {
                since,
                tasks: CheckInTasks::default(),
            },
            AttemptPhase::CheckIn {
                since,
                tasks: all_but_one,
            },
            AttemptPhase::Ready { since },
            AttemptPhase::Running { since },
            AttemptPhase::Paused {
                since,
                cause: PauseCause::Proctor,
            },
            AttemptPhase::Submitted { since },
            AttemptPhase::Sealed { since },
            AttemptPhase::Terminated {
                since,
                cause: TerminationCause::Proctor,
            },
            AttemptPhase::Void { since },
        ]
    }

    fn events() -> Vec<AttemptEvent> {
        vec![
            AttemptEvent::CheckInBegan,
            AttemptEvent::TaskDone(CheckInTask::Consent),
            AttemptEvent::TaskDone(CheckInTask::Instruction),
            AttemptEvent::GateOpened,
            AttemptEvent::Covered(PauseCause::AgentLost),
            AttemptEvent::Uncovered,
            AttemptEvent::Submitted,
            AttemptEvent::Sealed,
            AttemptEvent::Terminated(TerminationCause::Proctor),
            AttemptEvent::Voided,
        ]
    }

    fn name(phase: AttemptPhase) -> String {
        match phase {
            AttemptPhase::CheckIn { tasks, .. } if tasks.consent => "check_in (consent)".to_owned(),
            AttemptPhase::Paused { cause, .. } => format!("paused ({cause:?})"),
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => phase.word().to_owned(),
        }
    }
}
