//! Carries out what the gate says, persists it, and tells those who wait.

use std::collections::BTreeSet;

use qorgan_protocol::attempt::{AttemptPhase, GateMemory, GateOutput, Moment, PauseCause};
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::{WallTime, millis};

use super::Registry;
use super::cell::{Cell, CellState};
use super::command::AgentCommand;
use super::error::RegistryError;
use crate::store::{StoreError, WriteTx};

impl Registry {
    /// Carries out the gate's outputs, persists what changed, raises the version.
    pub(super) async fn settle(
        &self,
        cell: &Cell,
        state: &mut CellState,
        at: Moment,
    ) -> Result<(), RegistryError> {
        let mut phases = Vec::new();
        while let Some(output) = state.gate.poll() {
            match output {
                GateOutput::Phase(phase) => phases.push(phase),
                GateOutput::AskCode => ask_key_frames(cell, state),
                GateOutput::CodeMissed(misses) => {
                    let detail = format!("{misses} in a row");
                    self.note(state, IncidentKind::FreshnessMissed, at.wall, &detail)
                        .await?;
                }
                GateOutput::CodeUnanswered(misses) => {
                    let kind = IncidentKind::FreshnessUnanswered;
                    let detail = format!("{misses} in a row");
                    self.note(state, kind, at.wall, &detail).await?;
                }
                GateOutput::CodesOverdue => {
                    let kind = IncidentKind::FreshnessUnanswered;
                    let detail = "no code was found for as long as items may be shown";
                    self.note(state, kind, at.wall, detail).await?;
                }
                GateOutput::CreditUsed(cause) => {
                    let kind = IncidentKind::PauseTooLong;
                    let detail = format!("{cause:?}: covered time now counts as used");
                    self.note(state, kind, at.wall, &detail).await?;
                }
                GateOutput::TimeIsUp => {
                    tracing::info!(attempt = %state.facts.attempt, "Time is up");
                }
            }
        }
        let memory = state.gate.memory();
        if !phases.is_empty() || differs(&memory, &state.saved) {
            self.persist(state, &memory, &phases, at).await?;
        }
        self.record_lease(state, (at.now, at.wall)).await?;
        for phase in phases {
            self.phase_changed(cell, state, phase, at).await?;
        }
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

    async fn phase_changed(
        &self,
        cell: &Cell,
        state: &mut CellState,
        phase: AttemptPhase,
        at: Moment,
    ) -> Result<(), RegistryError> {
        tracing::info!(attempt = %state.facts.attempt, phase = phase.word(), "Phase changed");
        match phase {
            AttemptPhase::Paused { cause, .. } => {
                if let Some((kind, detail)) = incident_of(cause) {
                    self.began(state, kind, at.wall, detail).await?;
                }
            }
            AttemptPhase::Running { .. } => self.all_ended(state, at.wall).await?,
            AttemptPhase::Submitted { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => {
                self.all_ended(state, at.wall).await?;
                let reason = phase.word().to_owned();
                send(cell, AgentCommand::End { reason });
            }
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Sealed { .. } => {}
        }
        Ok(())
    }

    async fn persist(
        &self,
        state: &mut CellState,
        memory: &GateMemory,
        phases: &[AttemptPhase],
        at: Moment,
    ) -> Result<(), RegistryError> {
        let mut tx = self.inner.store.begin().await?;
        write_memory(&mut tx, state, memory, at.wall).await?;
        for phase in phases {
            write_phase(&mut tx, self, state, *phase, at.wall).await?;
        }
        tx.commit().await.map_err(StoreError::from)?;
        state.saved = *memory;
        state.saved_at = at.now;
        Ok(())
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
