//! What the client shows, and what keeps its lease.

use std::time::Duration;

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::attempt::{AttemptPhase, CheckInTasks, GateInput, Moment};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{
    AttemptView, ConnectionTime, FreshnessView, Hex, LeaseView, Message, MessageFrom, ProblemCode,
};

use super::Registry;
use super::binding::Caller;
use super::cell::CellState;
use super::error::RegistryError;
use qorgan_store::StoreError;

impl Registry {
    /// Returns the view once its version is newer than `after`, or after `wait`.
    ///
    /// # Errors
    /// The caller is not bound, or the database failed.
    pub async fn view(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        after: u64,
        wait: Duration,
    ) -> Result<AttemptView, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut changed = cell.changed.subscribe();
        {
            let mut state = cell.state.lock().await;
            Self::authorize(caller, &state)?;
            self.input_locked(&cell, &mut state, GateInput::Contact)
                .await?;
        }
        let newer = changed.wait_for(|version| *version > after);
        // Neither the end of the wait nor a closed channel is an error: the view is then the same.
        let _waited = tokio::time::timeout(wait.min(WAIT_MAX), newer)
            .await
            .map(|version| version.is_ok());
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        let at = self.moment();
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        self.view_of(&state, at).await
    }

    /// Refuses a caller who is not the one that the attempt is bound to.
    ///
    /// # Errors
    /// `NotFound`, `OldEpoch`, `BoundElsewhere`, `WrongPhase` before check-in.
    pub async fn bound(&self, attempt: AttemptId, caller: &Caller) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Self::authorize(caller, &state)
    }

    /// Starts the attempt where the gate is open.
    ///
    /// # Errors
    /// `NotAdmitted` where the admission was withdrawn, `GateClosed`, `TooLate`, `WrongPhase`, or the
    /// caller is not bound.
    //= tests/data/sop-2-28.md#10-start-gate
    pub async fn start(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<AttemptView, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        self.refresh(&cell, &mut state).await?;
        if matches!(state.gate.phase(), AttemptPhase::Ready { .. }) && !state.facts.admitted {
            let reason = state.facts.reason.clone();
            return Err(RegistryError::refuse(ProblemCode::NotAdmitted, reason));
        }
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        let phase = state.gate.phase();
        if matches!(phase, AttemptPhase::Ready { .. }) && !state.machine.may_start() {
            let detail = "the machine's check, or a proctor, does not let it start";
            return Err(RegistryError::refuse(ProblemCode::GateClosed, detail));
        }
        let entry = state.facts.entry();
        self.input_locked(&cell, &mut state, GateInput::Start(entry))
            .await?;
        self.view_of(&state, self.moment()).await
    }

    pub(super) async fn view_of(
        &self,
        state: &CellState,
        at: Moment,
    ) -> Result<AttemptView, RegistryError> {
        let (gate, memory) = (&state.gate, state.gate.memory());
        let lease = gate.lease(at.now).map(|lease| LeaseView {
            left_ms: whole_ms(lease.left(at.now)),
            offline_grace_ms: whole_ms(gate.policy().grace.network()),
        });
        let checked_in = CheckInTasks {
            system_check: state.machine.done,
            ..ALL_DONE
        };
        let (tasks, covered) = match memory.phase {
            AttemptPhase::CheckIn { tasks, .. } => (tasks, None),
            AttemptPhase::Scheduled => (CheckInTasks::default(), None),
            AttemptPhase::Paused { cause, .. } => (checked_in, Some(cause)),
            AttemptPhase::Ready { .. } | AttemptPhase::Running { .. } => (checked_in, None),
            AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => (ALL_DONE, None),
        };
        let freshness = gate.asked_code().map(|code| FreshnessView {
            nonce: Hex(code.nonce.to_vec()),
            show_ms: whole_ms(code.left(at.now)),
        });
        Ok(AttemptView {
            version: state.version,
            epoch: state.epoch,
            phase: memory.phase,
            tasks,
            identity: memory.identity,
            identity_reason: state.told_reason(),
            gate: gate.lines(at.now),
            gate_open: gate.open(at.now) && state.machine.may_start(),
            waits_for_proctor: gate.waits_for_proctor() || state.machine.waits(),
            lease,
            covered,
            time: ConnectionTime {
                remaining_ms: whole_ms(gate.left()),
                credited_ms: whole_ms(memory.credited),
                now: at.wall,
            },
            freshness,
            messages: self.messages(state).await?,
            hand_raised: state.hand_raised,
            journal_next: ResponseSeq(state.journal_next),
        })
    }

    async fn messages(&self, state: &CellState) -> Result<Vec<Message>, RegistryError> {
        if state.messages == 0 {
            return Ok(Vec::new());
        }
        let rows = qorgan_store::query(
            "SELECT id, sender, at_ms, sealed FROM messages WHERE attempt_id = $1 \
             ORDER BY at_ms DESC, id DESC LIMIT 50",
        )
        .bind(state.facts.attempt.to_string())
        .fetch_all(self.inner.store.read())
        .await?;
        let mut messages = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            let id: String = row.get("id")?;
            let sealed: Vec<u8> = row.get("sealed")?;
            let place = super::candidate::message_place(&id);
            let plain = state.key.open(place.as_bytes(), &sealed)?;
            let from = match row.get::<String>("sender")?.as_str() {
                "proctor" => MessageFrom::Proctor,
                _ => MessageFrom::Candidate,
            };
            messages.push(Message {
                id: qorgan_store::id(&id)?,
                from,
                at: WallTime::from_unix_ms(row.get("at_ms")?),
                text: String::from_utf8(plain)
                    .map_err(|_bad| StoreError::Corrupt { what: "message" })?,
            });
        }
        Ok(messages)
    }
}

/// Returns whole milliseconds.
pub(super) fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const ALL_DONE: CheckInTasks = CheckInTasks {
    consent: true,
    system_check: true,
    identity: true,
    instruction: true,
};
/// A view is answered after this at the latest.
const WAIT_MAX: Duration = Duration::from_secs(2);
