//! Responses: stored once, in order, sealed; receipts are signed.

use std::sync::Arc;
use std::time::Duration;

use qorgan_protocol::assessment::{ResponseEntry, ResponseSeq};
use qorgan_protocol::attempt::{Arrival, AttemptPhase, GateInput, ResponseMark};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::limits::RESPONSES_MAX;
use qorgan_protocol::time::{WallTime, millis};
use qorgan_protocol::wire::{
    AcceptedResponses, ProblemCode, ResponseReceipt, ResponsesRequest, SignedHex, SubmitReply,
    SubmitRequest,
};
use qorgan_signing::Ring;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::error::RegistryError;
use super::sealing::refuse_while_sealing;
use crate::store::{StoreError, WriteTx};

/// An entry that was read, with its canonical bytes.
struct Parsed {
    entry: ResponseEntry,
    bytes: Vec<u8>,
    hash: Sha256,
}

/// A new entry, with what the server's record of leases says of its arrival.
struct Arrived {
    parsed: Parsed,
    arrival: Arrival,
    at: WallTime,
}

impl Registry {
    /// Stores responses, idempotent by (attempt, epoch, seq), and signs for them. Each is marked by
    /// the server's own record of leases; what arrives in time confirms all before it in the chain.
    ///
    /// # Errors
    /// `OldEpoch`, `OutOfOrder` with the expected place, `WrongPhase` after the end, `TooLate` once
    /// the recording is being sealed, `BadRequest` for entries that are not canonical, not of this
    /// attempt or do not fit their item, `TooMany` for more than a person can give.
    pub async fn responses(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &ResponsesRequest,
    ) -> Result<AcceptedResponses, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        if request.epoch != state.epoch {
            return Err(RegistryError::refuse(
                ProblemCode::OldEpoch,
                "the epoch is over",
            ));
        }
        if request.entries.len() > RESPONSES_MAX {
            return Err(RegistryError::refuse(ProblemCode::TooLarge, "entries"));
        }
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        let parsed = parse(&state, request)?;
        let mut head = self.journal_head(attempt, state.epoch).await?;
        let told = parsed.last().map(|parsed| parsed.entry.seq.0);
        let fresh = self.fresh_entries(&state, parsed, head).await?;
        if !fresh.is_empty() {
            self.may_respond(&state).await?;
            self.check_fit(&state, &fresh).await?;
            let arrived = self.judge(&state, fresh);
            head = self.store_entries(&mut state, &arrived).await?;
            self.note_late(&mut state, &arrived).await?;
            self.raise(&cell, &mut state);
        }
        if let Some(told) = told {
            self.confirm(&state, told).await?;
        }
        let receipt = self.receipt(&state, head, false).await?;
        Ok(AcceptedResponses { receipt })
    }

    /// Takes the candidate's word that nothing more comes: submits the attempt, or where it has ended
    /// already ends the wait for late delivery. Accepted while covered, and within the policy's delay;
    /// late is what comes later than the network grace after a lease, by the server's own record.
    ///
    /// # Errors
    /// `OutOfOrder` while responses are missing, `TooLate` after the delay or once the recording is
    /// being sealed, `WrongPhase`.
    pub async fn submit(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &SubmitRequest,
    ) -> Result<SubmitReply, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        if request.epoch != state.epoch {
            return Err(RegistryError::refuse(
                ProblemCode::OldEpoch,
                "the epoch is over",
            ));
        }
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        if request.entries.0 != state.journal_next {
            return Err(out_of_order(state.journal_next));
        }
        let late = self.take_submission(&cell, &mut state).await?;
        let head = self.journal_head(attempt, state.epoch).await?;
        let receipt = self.receipt(&state, head, true).await?;
        Ok(SubmitReply { receipt, late })
    }

    /// Submits, or finds it submitted. Tells whether the candidate came late.
    async fn take_submission(
        &self,
        cell: &Cell,
        state: &mut CellState,
    ) -> Result<bool, RegistryError> {
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => {
                let late = self.take_word(state).await?;
                self.input_locked(cell, state, GateInput::Submit).await?;
                Ok(late)
            }
            AttemptPhase::Submitted { since } | AttemptPhase::Terminated { since, .. } => {
                if self.candidate_submitted(state).await? {
                    return self.was_late(state).await;
                }
                refuse_while_sealing(state)?;
                if self.inner.clock.wall().since(since) > late_delivery(state) {
                    return Err(RegistryError::refuse(
                        ProblemCode::TooLate,
                        "the time for late delivery is over",
                    ));
                }
                self.take_word(state).await
            }
            AttemptPhase::Sealed { .. } => {
                if self.candidate_submitted(state).await? {
                    return self.was_late(state).await;
                }
                Err(RegistryError::refuse(
                    ProblemCode::TooLate,
                    "the recording is sealed",
                ))
            }
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Void { .. } => Err(RegistryError::refuse(
                ProblemCode::WrongPhase,
                "there is nothing to submit",
            )),
        }
    }

    /// Judges the candidate's last word by the record of leases: in time it confirms the whole chain,
    /// else the attempt is marked late.
    async fn take_word(&self, state: &CellState) -> Result<bool, RegistryError> {
        if state.leases.in_time(self.inner.clock.now()) {
            self.confirm(state, state.journal_next).await?;
            return Ok(false);
        }
        let mut tx = self.inner.store.begin().await?;
        sqlx::query("UPDATE attempts SET late = 1 WHERE id = $1")
            .bind(state.facts.attempt.to_string())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Confirms what came late, up to `told`: the head of its chain arrives in time.
    async fn confirm(&self, state: &CellState, told: u64) -> Result<(), RegistryError> {
        if !state.leases.in_time(self.inner.clock.now()) {
            return Ok(());
        }
        let (attempt, epoch) = (state.facts.attempt.to_string(), i64::from(state.epoch.0));
        let open: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM responses WHERE attempt_id = $1 AND epoch = $2 AND seq <= $3 \
             AND mark IN ('after_cover', 'after_end') AND confirmed_ms IS NULL",
        )
        .bind(&attempt)
        .bind(epoch)
        .bind(signed(told))
        .fetch_one(self.inner.store.read())
        .await?;
        if open == 0 || state.sealing {
            return Ok(());
        }
        let mut tx = self.inner.store.begin().await?;
        sqlx::query(
            "UPDATE responses SET confirmed_ms = $4 WHERE attempt_id = $1 AND epoch = $2 \
             AND seq <= $3 AND mark IN ('after_cover', 'after_end') AND confirmed_ms IS NULL",
        )
        .bind(&attempt)
        .bind(epoch)
        .bind(signed(told))
        .bind(self.inner.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Marks new entries by the server's own record of leases.
    fn judge(&self, state: &CellState, fresh: Vec<Parsed>) -> Vec<Arrived> {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.wall());
        let over = ended(state.gate.phase());
        let judged = fresh.into_iter().map(|parsed| Arrived {
            arrival: (state.leases).judge(now, at, parsed.entry.lease_left_ms, over),
            parsed,
            at,
        });
        judged.collect()
    }

    /// Drops entries that are stored already, and refuses what does not follow.
    async fn fresh_entries(
        &self,
        state: &CellState,
        parsed: Vec<Parsed>,
        head: Sha256,
    ) -> Result<Vec<Parsed>, RegistryError> {
        let (mut next, mut head) = (state.journal_next, head);
        let mut fresh = Vec::new();
        for entry in parsed {
            let seq = entry.entry.seq.0;
            if seq < state.journal_next {
                self.same_as_stored(state, &entry).await?;
                continue;
            }
            if seq != next || entry.entry.previous != head {
                return Err(out_of_order(next));
            }
            next = next.saturating_add(1);
            head = entry.hash;
            fresh.push(entry);
        }
        Ok(fresh)
    }

    async fn same_as_stored(&self, state: &CellState, entry: &Parsed) -> Result<(), RegistryError> {
        let stored: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT hash FROM responses WHERE attempt_id = $1 AND epoch = $2 AND seq = $3",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(signed(entry.entry.seq.0))
        .fetch_optional(self.inner.store.read())
        .await?;
        if stored.as_deref() == Some(entry.hash.0.as_slice()) {
            Ok(())
        } else {
            Err(RegistryError::refuse(
                ProblemCode::OutOfOrder,
                format!("entry {} was stored with other content", entry.entry.seq.0),
            ))
        }
    }

    /// Refuses new responses outside Running, Paused and the late delivery after the end.
    async fn may_respond(&self, state: &CellState) -> Result<(), RegistryError> {
        let over = || RegistryError::refuse(ProblemCode::WrongPhase, "the attempt is over");
        refuse_while_sealing(state)?;
        if state.journal_next >= ENTRIES_MAX {
            return Err(RegistryError::slow_down(
                "there are too many responses",
                Duration::from_secs(60),
            ));
        }
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => Ok(()),
            AttemptPhase::Submitted { since } | AttemptPhase::Terminated { since, .. } => {
                let in_time = self.inner.clock.wall().since(since) <= late_delivery(state);
                if in_time && !self.candidate_submitted(state).await? {
                    Ok(())
                } else {
                    Err(over())
                }
            }
            AttemptPhase::Scheduled | AttemptPhase::CheckIn { .. } | AttemptPhase::Ready { .. } => {
                Err(RegistryError::refuse(
                    ProblemCode::WrongPhase,
                    "the attempt has not started",
                ))
            }
            AttemptPhase::Sealed { .. } | AttemptPhase::Void { .. } => Err(over()),
        }
    }

    async fn check_fit(&self, state: &CellState, fresh: &[Parsed]) -> Result<(), RegistryError> {
        for parsed in fresh {
            let entry = &parsed.entry;
            let item = self.item_by_id(state, entry.item).await?;
            if item.is_none_or(|item| !entry.response.fits(&item.interaction)) {
                let detail = format!("entry {} does not fit its item", entry.seq.0);
                return Err(RegistryError::refuse(ProblemCode::BadRequest, detail));
            }
        }
        Ok(())
    }

    async fn store_entries(
        &self,
        state: &mut CellState,
        fresh: &[Arrived],
    ) -> Result<Sha256, RegistryError> {
        let key = Arc::clone(&state.key);
        let mut tx = self.inner.store.begin().await?;
        let mut head = Sha256::ZERO;
        for arrived in fresh {
            let entry = &arrived.parsed.entry;
            let place = stored_place(entry.attempt, entry.epoch, entry.seq.0);
            let sealed = key.seal(place.as_bytes(), &arrived.parsed.bytes)?;
            self.insert_entry(&mut tx, state, arrived, sealed).await?;
            head = arrived.parsed.hash;
        }
        tx.commit().await.map_err(StoreError::from)?;
        let count = u64::try_from(fresh.len()).unwrap_or(u64::MAX);
        state.journal_next = state.journal_next.saturating_add(count);
        Ok(head)
    }

    async fn insert_entry(
        &self,
        tx: &mut WriteTx,
        state: &CellState,
        arrived: &Arrived,
        sealed: Vec<u8>,
    ) -> Result<(), RegistryError> {
        let entry = &arrived.parsed.entry;
        sqlx::query(
            "INSERT INTO responses (attempt_id, epoch, seq, institution_id, item_id, sealed, hash, \
             lease_left_ms, after_lease, received_ms, received_phase, mark, late_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(entry.attempt.to_string())
        .bind(i64::from(entry.epoch.0))
        .bind(signed(entry.seq.0))
        .bind(self.inner.keys.institution().to_string())
        .bind(entry.item.to_string())
        .bind(sealed)
        .bind(arrived.parsed.hash.0.as_slice())
        .bind(entry.lease_left_ms)
        .bind(entry.lease_left_ms < 0)
        .bind(arrived.at.unix_ms())
        .bind(state.gate.phase().word())
        .bind(arrived.arrival.mark.word())
        .bind(arrived.arrival.late.map(millis))
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Notes that responses came late: each is kept, listed in the review, and counts by a person's
    /// decision unless its chain is confirmed. Noted once a minute, however many come.
    async fn note_late(
        &self,
        state: &mut CellState,
        arrived: &[Arrived],
    ) -> Result<(), RegistryError> {
        let late = arrived
            .iter()
            .filter(|one| one.arrival.mark != ResponseMark::InTime);
        let most = late.clone().filter_map(|one| one.arrival.late).max();
        let (late, now) = (late.count(), self.inner.clock.now());
        let noted = state.late_noted.is_some_and(|at| now.since(at) < NOTE_GAP);
        if late == 0 || noted {
            return Ok(());
        }
        let upto = most.map_or_else(String::new, |most| {
            format!(", up to {} s after a lease", most.as_secs())
        });
        let detail = format!("{late} delivered after the cover{upto}");
        let at = self.inner.clock.wall();
        self.note(state, IncidentKind::LateResponses, at, &detail)
            .await?;
        state.late_noted = Some(now);
        Ok(())
    }

    async fn receipt(
        &self,
        state: &CellState,
        head: Sha256,
        submitted: bool,
    ) -> Result<SignedHex, RegistryError> {
        let at = self.inner.clock.wall();
        let signed_receipt = self.inner.keys.sign(&ResponseReceipt {
            attempt: state.facts.attempt,
            epoch: state.epoch,
            next: ResponseSeq(state.journal_next),
            head,
            submitted,
            at,
        })?;
        let mut tx = self.inner.store.begin().await?;
        sqlx::query(
            "INSERT INTO response_receipts (attempt_id, epoch, next, submitted, institution_id, \
             bytes, signature, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) \
             ON CONFLICT DO NOTHING",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(signed(state.journal_next))
        .bind(submitted)
        .bind(self.inner.keys.institution().to_string())
        .bind(signed_receipt.bytes.as_slice())
        .bind(signed_receipt.signature.as_slice())
        .bind(at.unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(signed_receipt.into())
    }

    async fn candidate_submitted(&self, state: &CellState) -> Result<bool, RegistryError> {
        let count: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM response_receipts WHERE attempt_id = $1 AND submitted = 1",
        )
        .bind(state.facts.attempt.to_string())
        .fetch_one(self.inner.store.read())
        .await?;
        Ok(count > 0)
    }

    async fn was_late(&self, state: &CellState) -> Result<bool, RegistryError> {
        Ok(
            sqlx::query_scalar("SELECT late FROM attempts WHERE id = $1")
                .bind(state.facts.attempt.to_string())
                .fetch_one(self.inner.store.read())
                .await?,
        )
    }
}

/// Returns the additional data under which a response is sealed: the one place that spells it.
#[must_use]
pub fn stored_place(attempt: AttemptId, epoch: Epoch, seq: u64) -> String {
    format!("response:{attempt}:{epoch}:{seq}")
}

const fn ended(phase: AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => true,
        AttemptPhase::Scheduled
        | AttemptPhase::CheckIn { .. }
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. } => false,
    }
}

fn parse(state: &CellState, request: &ResponsesRequest) -> Result<Vec<Parsed>, RegistryError> {
    let mut parsed = Vec::with_capacity(request.entries.len());
    for (index, bytes) in request.entries.iter().enumerate() {
        let bad = |why: &str| {
            RegistryError::refuse(ProblemCode::BadRequest, format!("entries[{index}] {why}"))
        };
        let entry: ResponseEntry =
            codec::decode("response entry", &bytes.0).map_err(|error| bad(&error.to_string()))?;
        if entry.attempt != state.facts.attempt || entry.epoch != request.epoch {
            return Err(bad("belongs to another attempt or epoch"));
        }
        parsed.push(Parsed {
            hash: Ring.sha256(&[&bytes.0]),
            bytes: bytes.0.clone(),
            entry,
        });
    }
    Ok(parsed)
}

fn out_of_order(expected: u64) -> RegistryError {
    RegistryError::refuse(
        ProblemCode::OutOfOrder,
        format!("entry {expected} is expected"),
    )
}

fn late_delivery(state: &CellState) -> Duration {
    Duration::from_millis(state.gate.policy().late_delivery_ms_max)
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// More entries in one epoch than a person can give: four and a half a second for three hours.
const ENTRIES_MAX: u64 = 50_000;
/// Late responses are noted as an incident this often at most.
const NOTE_GAP: Duration = Duration::from_secs(60);
