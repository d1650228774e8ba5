//! From the first moment of sealing on nothing is accepted that the manifest would not hold.

use qorgan_protocol::attempt::AttemptPhase;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::ProblemCode;

use super::Registry;
use super::cell::CellState;
use super::error::RegistryError;

impl Registry {
    /// Marks an attempt as being sealed; waits for whoever stores a response now. After it returned,
    /// no response and no submission is taken and no receipt is made that is not in the database
    /// already.
    ///
    /// # Errors
    /// `WrongPhase` where the attempt has not ended or is being sealed already, `NotFound`, or the
    /// database failed.
    pub async fn begin_sealing(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let phase = state.gate.phase();
        let ended = matches!(
            phase,
            AttemptPhase::Submitted { .. } | AttemptPhase::Terminated { .. }
        );
        if !ended || state.sealer || self.has_leaf(attempt).await? {
            let detail = format!("an attempt that is {} cannot be sealed now", phase.word());
            return Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
        }
        (state.sealing, state.sealer) = (true, true);
        Ok(())
    }

    /// Sealing failed: what comes late is taken again until it is tried anew. Where it cannot be told
    /// whether the manifest is in the log nothing is taken, and sealing may be tried anew all the same.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn stop_sealing(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        state.sealer = false;
        state.sealing = self.has_leaf(attempt).await?;
        Ok(())
    }

    /// Tells whether the manifest is signed and in the log, whatever the phase says after a crash.
    async fn has_leaf(&self, attempt: AttemptId) -> Result<bool, RegistryError> {
        let leaves: i64 =
            qorgan_store::query_scalar("SELECT COUNT(*) FROM log_leaves WHERE attempt_id = $1")
                .bind(attempt.to_string())
                .fetch_one(self.inner.store.read())
                .await?;
        Ok(leaves > 0)
    }
}

/// Refuses what the manifest would not hold.
pub(super) fn refuse_while_sealing(state: &CellState) -> Result<(), RegistryError> {
    if state.sealing {
        return Err(RegistryError::refuse(
            ProblemCode::TooLate,
            "the recording is being sealed",
        ));
    }
    Ok(())
}
