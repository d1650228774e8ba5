//! The record of leases: kept in the database, so that a restart does not lose it.

use std::time::Duration;

use qorgan_protocol::attempt::LeaseChange;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::time::{Now, WallTime};

use super::Registry;
use super::cell::CellState;
use super::error::RegistryError;
use qorgan_store::{StoreError, WriteTx};

impl Registry {
    /// Returns how long after a lease a response of this attempt still counts by itself.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn network_grace(&self, attempt: AttemptId) -> Result<Duration, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Ok(state.gate.policy().grace.network())
    }

    /// The server's clock jumped: no grace is left of a lease that was valid before.
    pub(super) async fn distrust_leases(
        &self,
        state: &mut CellState,
        (now, wall): (Now, WallTime),
    ) -> Result<(), RegistryError> {
        let mut leases = state.leases;
        let change = leases.distrust(now, wall);
        if !change.is_none() {
            let mut tx = self.inner.store.begin().await?;
            self.write_lease(&mut tx, state, change).await?;
            tx.commit().await?;
        }
        state.leases = leases;
        Ok(())
    }

    /// Writes what a moment changed in the record.
    pub(super) async fn write_lease(
        &self,
        tx: &mut WriteTx,
        state: &CellState,
        change: LeaseChange,
    ) -> Result<(), StoreError> {
        let attempt = state.facts.attempt.to_string();
        if let Some(ended) = change.ended {
            qorgan_store::query(
                "UPDATE lease_spans SET ended_ms = CASE WHEN $2 > began_ms THEN $2 \
                 ELSE began_ms END WHERE attempt_id = $1 AND ended_ms IS NULL",
            )
            .bind(&attempt)
            .bind(ended.unix_ms())
            .execute(&mut **tx)
            .await?;
        }
        let Some(began) = change.began else {
            return Ok(());
        };
        // A span that a crash left open ended when it was last known to be valid.
        qorgan_store::query(
            "UPDATE lease_spans SET ended_ms = seen_ms \
             WHERE attempt_id = $1 AND ended_ms IS NULL",
        )
        .bind(&attempt)
        .execute(&mut **tx)
        .await?;
        qorgan_store::query(
            "INSERT INTO lease_spans (institution_id, attempt_id, epoch, began_ms, seen_ms) \
             VALUES ($1, $2, $3, $4, $4)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(attempt)
        .bind(i64::from(state.epoch.0))
        .bind(began.unix_ms())
        .execute(&mut **tx)
        .await?;
        Ok(())
    }
}

/// Notes that the lease of an attempt is valid at a moment.
pub(super) async fn write_seen(
    tx: &mut WriteTx,
    attempt: AttemptId,
    wall: WallTime,
) -> Result<(), StoreError> {
    qorgan_store::query(
        "UPDATE lease_spans SET seen_ms = $2 WHERE attempt_id = $1 AND ended_ms IS NULL",
    )
    .bind(attempt.to_string())
    .bind(wall.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(())
}
