//! Carries out what the gate says, persists it, and tells those who wait.

use std::collections::BTreeSet;

use qorgan_protocol::attempt::{
    AttemptPhase, GateInput, GateMemory, GateOutput, LeaseChange, LeaseRecord, Moment, PauseCause,
    StartGate,
};
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::{WallTime, millis};

use super::Registry;
use super::cell::{Cell, CellState, OpenIncidents};
use super::change::{Change, Ended};
use super::command::AgentCommand;
use super::error::RegistryError;
use super::leases::write_seen;
use qorgan_store::{StoreError, WriteTx};

/// What a gate says after an input, with what follows from it for the record of leases. Nothing of it
/// holds before it is stored.
#[derive(Debug)]
pub(super) struct Settlement {
    gate: StartGate,
    memory: GateMemory,
    said: Said,
    leases: LeaseRecord,
    lease_change: LeaseChange,
    at: Moment,
}

impl Settlement {
    /// Takes what a gate says at a moment.
    pub(super) fn of(state: &CellState, mut gate: StartGate, at: Moment) -> Self {
        let said = Said::of(&mut gate, state);
        let mut leases = state.leases;
        let lease_change = leases.observe(at.now, at.wall, gate.lease(at.now));
        Self {
            memory: gate.memory(),
            gate,
            said,
            leases,
            lease_change,
            at,
        }
    }

    /// Tells whether something is to be stored beside the time that runs.
    pub(super) fn is_to_be_stored(&self, state: &CellState) -> bool {
        !self.said.is_empty() || !self.lease_change.is_none() || differs(&self.memory, &state.saved)
    }

    /// Tells whether what outlives a restart is another than the one that is stored.
    pub(super) fn differs(&self, state: &CellState) -> bool {
        self.memory != state.saved
    }

    /// Returns the moment that it is of.
    pub(super) const fn at(&self) -> Moment {
        self.at
    }

    /// Writes the time used alone, where nothing else is to be stored.
    pub(super) async fn write_time(
        &self,
        tx: &mut WriteTx,
        attempt: AttemptId,
    ) -> Result<(), StoreError> {
        let memory = &self.memory;
        qorgan_store::query(
            "UPDATE attempts SET spent_ms = $2, credited_ms = $3, credited_by = $4, saved_ms = $5 \
             WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(millis(memory.spent))
        .bind(millis(memory.credited))
        .bind(credited_by(memory)?)
        .bind(self.at.wall.unix_ms())
        .execute(&mut **tx)
        .await?;
        self.write_seen(tx, attempt).await
    }

    /// Notes that a valid lease is valid now, which is its end should the server crash.
    async fn write_seen(&self, tx: &mut WriteTx, attempt: AttemptId) -> Result<(), StoreError> {
        if !self.leases.valid(self.at.now) {
            return Ok(());
        }
        write_seen(tx, attempt, self.at.wall).await
    }
}

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
        let settlement = Settlement::of(state, gate, at);
        let open = if settlement.is_to_be_stored(state) {
            let change = self.begin_settled(state, &settlement).await?;
            Some(change.commit().await?)
        } else {
            None
        };
        self.publish(cell, state, settlement, open);
        Ok(())
    }

    /// Takes an input into a copy of the gate; returns what is then to be stored, with what belongs to
    /// it. Where the gate refuses, what it says of that is stored at once.
    pub(super) async fn settled_by(
        &self,
        cell: &Cell,
        state: &mut CellState,
        input: GateInput,
    ) -> Result<Settlement, RegistryError> {
        let at = self.moment();
        let mut gate = state.gate.clone();
        if let Err(refused) = gate.handle(at, input) {
            self.settle(cell, state, gate, at).await?;
            return Err(refused.into());
        }
        Ok(Settlement::of(state, gate, at))
    }

    /// Begins a change that holds what a gate says; what belongs to it is written to the same change
    /// before it is committed. After that, [`Self::publish`] lets it hold.
    pub(super) async fn begin_settled<'a>(
        &'a self,
        state: &'a CellState,
        settlement: &Settlement,
    ) -> Result<Change<'a>, RegistryError> {
        let wall = settlement.at.wall;
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        self.write_settled(&mut change, state, settlement).await?;
        Ok(change)
    }

    /// Lets hold what was stored, or what needs no storing, and tells who waits for it. `open` is what
    /// the commit returned, where there was one.
    pub(super) fn publish(
        &self,
        cell: &Cell,
        state: &mut CellState,
        settlement: Settlement,
        open: Option<OpenIncidents>,
    ) {
        let Settlement {
            gate,
            memory,
            said,
            leases,
            lease_change: _,
            at,
        } = settlement;
        if let Some(open) = open {
            state.open_incidents = open;
            state.saved = memory;
            state.saved_at = at.now;
        }
        state.gate = gate;
        state.leases = leases;
        self.tell_agent(cell, state, &said);
        let shown = state.shown_at(at.now);
        if shown != state.shown {
            state.shown = shown;
            self.raise(cell, state);
        }
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

    /// Writes what changed, with its incidents.
    pub(super) async fn write_settled(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        settlement: &Settlement,
    ) -> Result<(), RegistryError> {
        let (said, wall) = (&settlement.said, settlement.at.wall);
        write_memory(&mut change.tx, state, &settlement.memory, wall).await?;
        for phase in &said.phases {
            write_phase(&mut change.tx, self, state, *phase, wall).await?;
        }
        self.write_lease(&mut change.tx, state, settlement.lease_change)
            .await?;
        // A stored change puts the next save off, so the lease is noted with it.
        let attempt = state.facts.attempt;
        settlement.write_seen(&mut change.tx, attempt).await?;
        for (kind, detail) in &said.incidents {
            change.note(*kind, wall, detail).await?;
        }
        for phase in &said.phases {
            match phase {
                AttemptPhase::Paused { cause, .. } => {
                    if let Some((kind, detail)) = incident_of(*cause) {
                        change.began(kind, wall, detail).await?;
                    }
                }
                AttemptPhase::Running { .. } => change.all_ended(Ended::Servers, wall).await?,
                AttemptPhase::Submitted { .. }
                | AttemptPhase::Terminated { .. }
                | AttemptPhase::Void { .. } => {
                    change.all_ended(Ended::Everything, wall).await?;
                }
                AttemptPhase::Scheduled
                | AttemptPhase::CheckIn { .. }
                | AttemptPhase::Ready { .. }
                | AttemptPhase::Sealed { .. } => {}
            }
        }
        Ok(())
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
    /// Takes the outputs that wait in a gate.
    fn of(gate: &mut StartGate, state: &CellState) -> Self {
        let mut said = Self::default();
        while let Some(output) = gate.poll() {
            match output {
                GateOutput::Phase(phase) => said.phases.push(phase),
                GateOutput::AskCode => said.asks_code = true,
                GateOutput::CodeMissed(misses) => {
                    said.incident(IncidentKind::FreshnessMissed, format!("{misses} in a row"));
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
        said
    }

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
    let credited_by = credited_by(memory)?;
    let extra = millis(memory.allowed).saturating_sub(base_ms(state));
    qorgan_store::query(
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

fn credited_by(memory: &GateMemory) -> Result<String, StoreError> {
    let text = serde_json::to_string(&memory.credited_by.to_ms());
    text.map_err(|source| StoreError::Json {
        what: "credited pause",
        source,
    })
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
    qorgan_store::query(
        "INSERT INTO phase_changes (institution_id, attempt_id, at_ms, phase) \
         VALUES ($1, $2, $3, $4)",
    )
    .bind(registry.inner.keys.institution().to_string())
    .bind(&attempt)
    .bind(wall.unix_ms())
    .bind(text)
    .execute(&mut **tx)
    .await?;
    qorgan_store::query("UPDATE attempts SET phase_since_ms = $2 WHERE id = $1")
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
    qorgan_store::query(sql)
        .bind(&attempt)
        .bind(wall.unix_ms())
        .execute(&mut **tx)
        .await?;
    let keep_ms = i64::from(registry.inner.config.exam.retention_days).saturating_mul(DAY_MS);
    qorgan_store::query("UPDATE attempts SET retention_until_ms = ended_ms + $2 WHERE id = $1")
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
