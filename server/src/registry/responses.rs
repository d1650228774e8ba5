//! Responses: stored once, in order, sealed; receipts are signed.

use std::sync::Arc;
use std::time::Duration;

use qorgan_protocol::assessment::{ResponseEntry, ResponseSeq};
use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::limits::RESPONSES_MAX;
use qorgan_protocol::wire::{
    AcceptedResponses, ProblemCode, ResponseReceipt, ResponsesRequest, SignedHex, SubmitReply,
    SubmitRequest,
};
use qorgan_signing::Ring;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::error::RegistryError;
use crate::store::{StoreError, WriteTx};

/// An entry that was read, with its canonical bytes.
struct Parsed {
    entry: ResponseEntry,
    bytes: Vec<u8>,
    hash: Sha256,
}

impl Registry {
    /// Stores responses, idempotent by (attempt, epoch, seq), and signs for them.
    ///
    /// # Errors
    /// `OldEpoch`, `OutOfOrder` with the expected place, `WrongPhase` after the end, `BadRequest`
    /// for entries that are not canonical, not of this attempt or do not fit their item.
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
        let fresh = self.fresh_entries(&state, parsed, head).await?;
        if !fresh.is_empty() {
            self.may_respond(&state).await?;
            self.check_fit(&state, &fresh).await?;
            head = self.store_entries(&mut state, &fresh).await?;
            self.mark_late(&state, &fresh).await?;
            self.raise(&cell, &mut state);
        }
        let receipt = self.receipt(&state, head, false).await?;
        Ok(AcceptedResponses { receipt })
    }

    /// Submits the attempt; accepted while covered, and late within the policy's delay.
    ///
    /// # Errors
    /// `OutOfOrder` while responses are missing, `TooLate` after the delay, `WrongPhase`.
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
        if request.entries.0 != state.journal_next {
            return Err(out_of_order(state.journal_next));
        }
        let late = self.take_submission(&cell, &mut state).await?;
        let head = self.journal_head(attempt, state.epoch).await?;
        let receipt = self.receipt(&state, head, true).await?;
        Ok(SubmitReply { receipt, late })
    }

    /// Submits, or finds it submitted. Tells whether the candidate came after the deadline.
    async fn take_submission(
        &self,
        cell: &Cell,
        state: &mut CellState,
    ) -> Result<bool, RegistryError> {
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => {
                self.input_locked(cell, state, GateInput::Submit).await?;
                Ok(false)
            }
            AttemptPhase::Submitted { since } | AttemptPhase::Sealed { since } => {
                if self.candidate_submitted(state).await? {
                    return self.was_late(state).await;
                }
                if self.inner.clock.wall().since(since) > late_delivery(state) {
                    return Err(RegistryError::refuse(
                        ProblemCode::TooLate,
                        "the time for late delivery is over",
                    ));
                }
                let mut tx = self.inner.store.begin().await?;
                sqlx::query("UPDATE attempts SET late = 1 WHERE id = $1")
                    .bind(state.facts.attempt.to_string())
                    .execute(&mut *tx)
                    .await?;
                tx.commit().await?;
                Ok(true)
            }
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => Err(RegistryError::refuse(
                ProblemCode::WrongPhase,
                "there is nothing to submit",
            )),
        }
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

    /// Refuses new responses outside Running, Paused and the late delivery after a deadline.
    async fn may_respond(&self, state: &CellState) -> Result<(), RegistryError> {
        let over = || RegistryError::refuse(ProblemCode::WrongPhase, "the attempt is over");
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => Ok(()),
            AttemptPhase::Submitted { since } => {
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
            AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => Err(over()),
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
        fresh: &[Parsed],
    ) -> Result<Sha256, RegistryError> {
        let key = Arc::clone(&state.key);
        let mut tx = self.inner.store.begin().await?;
        let mut head = Sha256::ZERO;
        for parsed in fresh {
            let place = response_place(&parsed.entry);
            let sealed = key.seal(place.as_bytes(), &parsed.bytes)?;
            self.insert_entry(&mut tx, state, parsed, sealed).await?;
            head = parsed.hash;
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
        parsed: &Parsed,
        sealed: Vec<u8>,
    ) -> Result<(), RegistryError> {
        let entry = &parsed.entry;
        sqlx::query(
            "INSERT INTO responses (attempt_id, epoch, seq, institution_id, item_id, sealed, hash, \
             lease_left_ms, after_lease, received_ms, received_phase) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        )
        .bind(entry.attempt.to_string())
        .bind(i64::from(entry.epoch.0))
        .bind(signed(entry.seq.0))
        .bind(self.inner.keys.institution().to_string())
        .bind(entry.item.to_string())
        .bind(sealed)
        .bind(parsed.hash.0.as_slice())
        .bind(entry.lease_left_ms)
        .bind(entry.lease_left_ms < 0)
        .bind(self.inner.clock.wall().unix_ms())
        .bind(state.gate.phase().word())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }

    /// Notes responses dated after the lease's end: kept, and counted only by a person's decision.
    async fn mark_late(&self, state: &CellState, fresh: &[Parsed]) -> Result<(), RegistryError> {
        let late = fresh.iter().filter(|p| p.entry.lease_left_ms < 0).count();
        if late == 0 {
            return Ok(());
        }
        let detail = format!("{late} after the lease's end");
        let at = self.inner.clock.wall();
        self.note(state, IncidentKind::LateResponses, at, &detail)
            .await
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

/// Returns the place of a sealed response.
#[must_use]
pub fn response_place(entry: &ResponseEntry) -> String {
    stored_place(entry.attempt, entry.epoch, entry.seq.0)
}

/// Returns the place of a sealed response by its row's columns.
pub(super) fn stored_place(attempt: AttemptId, epoch: Epoch, seq: u64) -> String {
    format!("response:{attempt}:{epoch}:{seq}")
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
