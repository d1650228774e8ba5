//! Carries out what the gate says, persists it, and tells those who wait.

use std::collections::BTreeSet;

use qorgan_protocol::attempt::{
    AttemptPhase, GateMemory, GateOutput, Moment, PauseCause, StartGate,
};
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::{WallTime, millis};

use super::Registry;
use super::cell::{Cell, CellState, OpenIncidents};
use super::change::{Change, Ended};
use super::command::AgentCommand;
use super::error::RegistryError;
use super::staff::Deed;
use crate::store::{StoreError, WriteTx};

impl Registry {
    /// Stores what the gate of an input says, and only then lets it hold, carries out its outputs and
    /// raises the version. Where it cannot be stored nothing is lost: the gate stands as before, and
    /// the next input or tick says it again.
    pub(super) async fn settle(
        &self,
        cell: &Cell,
        state: &mut CellState,
        gate: StartGate,
        at: Moment,
    ) -> Result<(), RegistryError> {
        self.settle_as(cell, state, gate, (at, None)).await
    }

    /// Settles what a member of staff did, with its audit entry in the same transaction.
    pub(super) async fn settle_as(
        &self,
        cell: &Cell,
        state: &mut CellState,
        mut gate: StartGate,
        (at, deed): (Moment, Option<Deed<'_>>),
    ) -> Result<(), RegistryError> {
        let mut said = Said::default();
        while let Some(output) = gate.poll() {
            match output {
                GateOutput::Phase(phase) => said.phases.push(phase),
                GateOutput::AskCode => said.asks_code = true,
                GateOutput::CodeMissed(misses) => {
                    said.incident(IncidentKind::FreshnessMissed, format!("{misses} in a row"))
                }
                GateOutput::CodeUnanswered(misses) => said.incident(
                    IncidentKind::FreshnessUnanswered,
                    format!("{misses} in a row"),
                ),
                GateOutput::CodesOverdue => said.incident(
                    IncidentKind::FreshnessUnanswered,
                    "no code was found for as long as items may be shown".to_owned(),
                ),
                GateOutput::CreditUsed(cause) => said.incident(
                    IncidentKind::PauseTooLong,
                    format!("{cause:?}: covered time now counts as used"),
                ),
                GateOutput::TimeIsUp => {
                    tracing::info!(attempt = %state.facts.attempt, "Time is up");
                }
            }
        }
        let memory = gate.memory();
        if deed.is_some() || !said.is_empty() || differs(&memory, &state.saved) {
            state.open_incidents = self.persist(state, &memory, &said, (at, deed)).await?;
            state.saved = memory;
            state.saved_at = at.now;
        }
        state.gate = gate;
        self.tell_agent(cell, state, &said);
        self.record_lease(state, (at.now, at.wall)).await?;
        let shown = state.shown_at(at.now);
        if shown != state.shown {
            state.shown = shown;
            self.raise(cell, state);
        }
        Ok(())
    }

    /// Raises the view's version and wakes those who wait for it.
    pub(super) fn raise(&self, cell: &Cell, state: &mut CellState) {
        state.version = state.version.saturating_add(1);
        cell.changed.send_replace(state.version);
    }

    fn tell_agent(&self, cell: &Cell, state: &CellState, said: &Said) {
        if said.asks_code {
            ask_key_frames(cell, state);
        }
        for phase in &said.phases {
            tracing::info!(attempt = %state.facts.attempt, phase = phase.word(), "Phase changed");
            match phase {
                AttemptPhase::Submitted { .. }
                | AttemptPhase::Terminated { .. }
                | AttemptPhase::Void { .. } => {
                    let reason = phase.word().to_owned();
                    send(cell, AgentCommand::End { reason });
                }
                AttemptPhase::Scheduled
                | AttemptPhase::CheckIn { .. }
                | AttemptPhase::Ready { .. }
                | AttemptPhase::Running { .. }
                | AttemptPhase::Paused { .. }
                | AttemptPhase::Sealed { .. } => {}
            }
        }
    }

    /// Writes what changed, with its incidents, in one transaction; returns the incidents that last.
    async fn persist(
        &self,
        state: &CellState,
        memory: &GateMemory,
        said: &Said,
        (at, deed): (Moment, Option<Deed<'_>>),
    ) -> Result<OpenIncidents, RegistryError> {
        let mut change = Change::begin(self, state, state.epoch, at.wall).await?;
        write_memory(&mut change.tx, state, memory, at.wall).await?;
        if let Some(deed) = deed {
            self.write_deed(&mut change.tx, state.facts.attempt, deed)
                .await?;
        }
        for phase in &said.phases {
            write_phase(&mut change.tx, self, state, *phase, at.wall).await?;
        }
        for (kind, detail) in &said.incidents {
            change.note(*kind, at.wall, detail).await?;
        }
        for phase in &said.phases {
            match phase {
                AttemptPhase::Paused { cause, .. } => {
                    if let Some((kind, detail)) = incident_of(*cause) {
                        change.began(kind, at.wall, detail).await?;
                    }
                }
                AttemptPhase::Running { .. } => change.all_ended(Ended::Servers, at.wall).await?,
                AttemptPhase::Submitted { .. }
                | AttemptPhase::Terminated { .. }
                | AttemptPhase::Void { .. } => {
                    change.all_ended(Ended::Everything, at.wall).await?;
                }
                AttemptPhase::Scheduled
                | AttemptPhase::CheckIn { .. }
                | AttemptPhase::Ready { .. }
                | AttemptPhase::Sealed { .. } => {}
            }
        }
        change.commit().await
    }
}

/// What the gate said at one input.
#[derive(Debug, Default)]
struct Said {
    phases: Vec<AttemptPhase>,
    incidents: Vec<(IncidentKind, String)>,
    asks_code: bool,
}

impl Said {
    fn incident(&mut self, kind: IncidentKind, detail: String) {
        self.incidents.push((kind, detail));
    }

    /// Tells whether nothing is to be stored.
    const fn is_empty(&self) -> bool {
        self.phases.is_empty() && self.incidents.is_empty()
    }
}

/// Tells whether more changed than the time that runs.
fn differs(memory: &GateMemory, saved: &GateMemory) -> bool {
    GateMemory {
        spent: saved.spent,
        credited: saved.credited,
        credited_by: saved.credited_by,
        ..*memory
    } != *saved
}

/// Writes what outlives a restart.
pub(super) async fn write_memory(
    tx: &mut WriteTx,
    state: &CellState,
    memory: &GateMemory,
    wall: WallTime,
) -> Result<(), StoreError> {
    let json = |what, source| StoreError::Json { what, source };
    let phase = serde_json::to_string(&memory.phase).map_err(|e| json("phase", e))?;
    let held = memory.held.map(|cause| serde_json::to_string(&cause));
    let held = held.transpose().map_err(|e| json("cause", e))?;
    let identity = serde_json::to_string(&memory.identity).map_err(|e| json("identity", e))?;
    let credited_by = serde_json::to_string(&memory.credited_by.to_ms());
    let credited_by = credited_by.map_err(|e| json("credited pause", e))?;
    let extra = millis(memory.allowed).saturating_sub(base_ms(state));
    sqlx::query(
        "UPDATE attempts SET phase = $2, phase_word = $3, identity = $4, proctor_opened = $5, \
         held = $6, spent_ms = $7, credited_ms = $8, saved_ms = $9, extra_ms = extra_ms + $10, \
         credited_by = $11 \
         WHERE id = $1",
    )
    .bind(state.facts.attempt.to_string())
    .bind(phase)
    .bind(memory.phase.word())
    .bind(identity.trim_matches('"'))
    .bind(memory.proctor_opened)
    .bind(held)
    .bind(millis(memory.spent))
    .bind(millis(memory.credited))
    .bind(wall.unix_ms())
    .bind(extra)
    .bind(credited_by)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// What was allowed when last saved; the difference is extra time given since.
fn base_ms(state: &CellState) -> i64 {
    millis(state.saved.allowed)
}

async fn write_phase(
    tx: &mut WriteTx,
    registry: &Registry,
    state: &CellState,
    phase: AttemptPhase,
    wall: WallTime,
) -> Result<(), RegistryError> {
    let attempt = state.facts.attempt.to_string();
    let text = serde_json::to_string(&phase).map_err(|source| StoreError::Json {
        what: "phase",
        source,
    })?;
    sqlx::query(
        "INSERT INTO phase_changes (institution_id, attempt_id, at_ms, phase) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(registry.inner.keys.institution().to_string())
    .bind(&attempt)
    .bind(wall.unix_ms())
    .bind(text)
    .execute(&mut **tx)
    .await?;
    sqlx::query("UPDATE attempts SET phase_since_ms = $2 WHERE id = $1")
        .bind(&attempt)
        .bind(wall.unix_ms())
        .execute(&mut **tx)
        .await?;
    let sql = match phase {
        AttemptPhase::CheckIn { .. } => {
            "UPDATE attempts SET check_in_ms = COALESCE(check_in_ms, $2) WHERE id = $1"
        }
        AttemptPhase::Running { .. } => {
            "UPDATE attempts SET started_ms = COALESCE(started_ms, $2) WHERE id = $1"
        }
        AttemptPhase::Submitted { .. } => {
            "UPDATE attempts SET submitted_ms = $2, ended_ms = $2 WHERE id = $1"
        }
        AttemptPhase::Terminated { .. } | AttemptPhase::Void { .. } => {
            "UPDATE attempts SET ended_ms = $2 WHERE id = $1"
        }
        AttemptPhase::Scheduled
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Paused { .. }
        | AttemptPhase::Sealed { .. } => return Ok(()),
    };
    sqlx::query(sql)
        .bind(&attempt)
        .bind(wall.unix_ms())
        .execute(&mut **tx)
        .await?;
    let keep_ms = i64::from(registry.inner.config.exam.retention_days).saturating_mul(DAY_MS);
    sqlx::query("UPDATE attempts SET retention_until_ms = ended_ms + $2 WHERE id = $1")
        .bind(&attempt)
        .bind(keep_ms)
        .execute(&mut **tx)
        .await?;
    Ok(())
}

fn incident_of(cause: PauseCause) -> Option<(IncidentKind, &'static str)> {
    match cause {
        PauseCause::AgentLost => Some((IncidentKind::StreamLost, "the agent is gone")),
        PauseCause::SourceLost => Some((IncidentKind::StreamLost, "a required source is gone")),
        PauseCause::NetworkLost => Some((IncidentKind::StreamLost, "the network is gone")),
        PauseCause::Displays => Some((IncidentKind::SecondDisplay, "more displays than allowed")),
        PauseCause::FreshnessMissed
        | PauseCause::Proctor
        | PauseCause::ServerRestarted
        | PauseCause::Moving
        | PauseCause::Identity => None,
    }
}

/// Has a key frame made of every display, for the kiosk may be on any.
fn ask_key_frames(cell: &Cell, state: &CellState) {
    let streams = state.heads.keys().copied();
    let screens: BTreeSet<_> = streams
        .filter(|stream| stream.kind == StreamKind::Screen)
        .chain([SCREEN])
        .collect();
    for stream in screens {
        send(cell, AgentCommand::KeyFrame { stream });
    }
}

pub(super) fn send(cell: &Cell, command: AgentCommand) {
    // No receiver means no link: there is nobody to tell.
    let _nobody_listens = cell.commands.send(command).ok();
}

const SCREEN: StreamId = StreamId {
    kind: StreamKind::Screen,
    index: 0,
};
const DAY_MS: i64 = 24 * 60 * 60 * 1_000;
