//! The candidate's last word, and the receipts of what was given.
//!
//! # Invariants
//! * A receipt is signed once for what it stands for and is in the database before it leaves: who asks
//!   again is given the same one.
//! * The submission, how it was judged, and its receipt are one transaction.

use std::time::Duration;

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::crypto::{Sha256, SignedBytes};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::{ProblemCode, ResponseReceipt, SignedHex, SubmitReply, SubmitRequest};

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::Change;
use super::error::RegistryError;
use super::save::Settlement;
use super::sealing::refuse_while_sealing;

/// What a receipt stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Standing {
    /// The place after the newest entry.
    pub(super) next: u64,
    /// The newest entry's hash.
    pub(super) head: Sha256,
    /// Whether the candidate said that nothing more comes.
    pub(super) submitted: bool,
}

impl Registry {
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
        Self::authorize_in(caller, &state, request.epoch)?;
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        if request.entries.0 != state.journal_next {
            return Err(out_of_order(state.journal_next));
        }
        if self.is_told_already(&state).await? {
            return self.submitted_before(&mut state).await;
        }
        self.take_submission(&cell, &mut state).await
    }

    /// Tells whether the candidate said before that nothing more comes; refuses where it may not be
    /// said any more, or not yet.
    async fn is_told_already(&self, state: &CellState) -> Result<bool, RegistryError> {
        let too_late = |detail| Err(RegistryError::refuse(ProblemCode::TooLate, detail));
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => Ok(false),
            AttemptPhase::Submitted { since } | AttemptPhase::Terminated { since, .. } => {
                if self.candidate_submitted(state).await? {
                    return Ok(true);
                }
                refuse_while_sealing(state)?;
                if self.inner.clock.wall().since(since) > late_delivery(state) {
                    return too_late("the time for late delivery is over");
                }
                Ok(false)
            }
            AttemptPhase::Sealed { .. } => {
                if self.candidate_submitted(state).await? {
                    return Ok(true);
                }
                too_late("the recording is sealed")
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

    /// Submits where the attempt has not ended, and takes the candidate's word.
    async fn take_submission(
        &self,
        cell: &Cell,
        state: &mut CellState,
    ) -> Result<SubmitReply, RegistryError> {
        let settlement = match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => {
                self.settled_by(cell, state, GateInput::Submit).await?
            }
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => Settlement::of(state, state.gate.clone(), self.moment()),
        };
        let standing = self.submitted_standing(state).await?;
        let mut change = self.begin_settled(state, &settlement).await?;
        let late = self.take_word(&mut change, state).await?;
        let receipt = self.receipt(&mut change, state, standing).await?;
        let open = change.commit().await?;
        self.publish(cell, state, settlement, Some(open));
        Ok(SubmitReply { receipt, late })
    }

    /// Answers whoever submitted before.
    async fn submitted_before(&self, state: &mut CellState) -> Result<SubmitReply, RegistryError> {
        let standing = self.submitted_standing(state).await?;
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        let late = qorgan_store::query_scalar("SELECT late FROM attempts WHERE id = $1")
            .bind(state.facts.attempt.to_string())
            .fetch_one(&mut *change.tx)
            .await?;
        let receipt = self.receipt(&mut change, state, standing).await?;
        state.open_incidents = change.commit().await?;
        Ok(SubmitReply { receipt, late })
    }

    async fn submitted_standing(&self, state: &CellState) -> Result<Standing, RegistryError> {
        Ok(Standing {
            next: state.journal_next,
            head: self.journal_head(state.facts.attempt, state.epoch).await?,
            submitted: true,
        })
    }

    /// Judges the candidate's last word by the record of leases: in time it confirms the whole chain,
    /// else the attempt is marked late. Tells whether it is.
    async fn take_word(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
    ) -> Result<bool, RegistryError> {
        if state.leases.in_time(self.inner.clock.now()) {
            self.confirm(change, state, state.journal_next).await?;
            return Ok(false);
        }
        qorgan_store::query("UPDATE attempts SET late = 1 WHERE id = $1")
            .bind(state.facts.attempt.to_string())
            .execute(&mut *change.tx)
            .await?;
        Ok(true)
    }

    /// Confirms what came late, up to `told`, where the head of its chain arrives in time.
    pub(super) async fn confirm(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        told: u64,
    ) -> Result<(), RegistryError> {
        if !state.leases.in_time(self.inner.clock.now()) || state.sealing {
            return Ok(());
        }
        qorgan_store::query(
            "UPDATE responses SET confirmed_ms = $4 WHERE attempt_id = $1 AND epoch = $2 \
             AND seq <= $3 AND mark IN ('after_cover', 'after_end') AND confirmed_ms IS NULL",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(signed(told))
        .bind(self.inner.clock.wall().unix_ms())
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }

    /// Returns the receipt of what was given: the one that was made before, or a new one, which is
    /// stored. None is made once the recording is being sealed.
    pub(super) async fn receipt(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        standing: Standing,
    ) -> Result<SignedHex, RegistryError> {
        let attempt = state.facts.attempt.to_string();
        let (epoch, next) = (i64::from(state.epoch.0), signed(standing.next));
        let made: Option<(Vec<u8>, Vec<u8>)> = qorgan_store::query_as(
            "SELECT bytes, signature FROM response_receipts WHERE attempt_id = $1 AND epoch = $2 \
             AND next = $3 AND submitted = $4",
        )
        .bind(&attempt)
        .bind(epoch)
        .bind(next)
        .bind(standing.submitted)
        .fetch_optional(&mut *change.tx)
        .await?;
        if let Some((bytes, signature)) = made {
            return Ok(SignedBytes { bytes, signature }.into());
        }
        refuse_while_sealing(state)?;
        let at = self.inner.clock.wall();
        let receipt = self.inner.keys.sign(&ResponseReceipt {
            attempt: state.facts.attempt,
            epoch: state.epoch,
            next: ResponseSeq(standing.next),
            head: standing.head,
            submitted: standing.submitted,
            at,
        })?;
        qorgan_store::query(
            "INSERT INTO response_receipts (attempt_id, epoch, next, submitted, institution_id, \
             bytes, signature, at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(attempt)
        .bind(epoch)
        .bind(next)
        .bind(standing.submitted)
        .bind(self.inner.keys.institution().to_string())
        .bind(receipt.bytes.as_slice())
        .bind(receipt.signature.as_slice())
        .bind(at.unix_ms())
        .execute(&mut *change.tx)
        .await?;
        Ok(receipt.into())
    }

    /// Tells whether the candidate said that nothing more comes.
    pub(super) async fn candidate_submitted(
        &self,
        state: &CellState,
    ) -> Result<bool, RegistryError> {
        let count: i64 = qorgan_store::query_scalar(
            "SELECT COUNT(*) FROM response_receipts WHERE attempt_id = $1 AND submitted = 1",
        )
        .bind(state.facts.attempt.to_string())
        .fetch_one(self.inner.store.read())
        .await?;
        Ok(count > 0)
    }
}

pub(super) fn out_of_order(expected: u64) -> RegistryError {
    RegistryError::refuse(
        ProblemCode::OutOfOrder,
        format!("entry {expected} is expected"),
    )
}

pub(super) fn late_delivery(state: &CellState) -> Duration {
    Duration::from_millis(state.gate.policy().late_delivery_ms_max)
}

pub(super) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
