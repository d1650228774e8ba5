//! What the candidate gave before, for a machine that lost its journal or came after another one.

use std::sync::Arc;

use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::wire::{Hex, StoredResponses};

use super::Registry;
use super::binding::Caller;
use super::error::RegistryError;
use super::load::unsigned;
use super::responses::stored_place;

/// The newest entry of each item: a later machine's before an earlier one's, then by place.
const NEWEST_SQL: &str = "SELECT epoch, seq, sealed FROM (SELECT epoch, seq, sealed, \
    ROW_NUMBER() OVER (PARTITION BY item_id ORDER BY epoch DESC, seq DESC) AS turn \
    FROM responses WHERE attempt_id = $1) AS entries WHERE turn = 1 ORDER BY epoch, seq";

impl Registry {
    /// Returns the newest stored response of each item, of every epoch.
    ///
    /// What a candidate gave is content too: it is shown under a lease only, to the machine that the
    /// attempt is bound to.
    ///
    /// # Errors
    /// `Covered` without a lease, or the caller is not bound.
    //= tests/data/sop-2-28.md#10-start-gate
    pub async fn read_back(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<StoredResponses, RegistryError> {
        self.leased_test(attempt, caller).await?;
        let cell = self.cell(attempt).await?;
        let key = Arc::clone(&cell.state.lock().await.key);
        let rows = qorgan_store::query(NEWEST_SQL)
            .bind(attempt.to_string())
            .fetch_all(self.inner.store.read())
            .await?;
        let mut entries = Vec::with_capacity(rows.len());
        for row in rows {
            let epoch = u32::try_from(unsigned(&row, "epoch")?).unwrap_or_default();
            let place = stored_place(attempt, Epoch(epoch), unsigned(&row, "seq")?);
            let sealed: Vec<u8> = row.get("sealed")?;
            entries.push(Hex(key.open(place.as_bytes(), &sealed)?));
        }
        Ok(StoredResponses { entries })
    }
}
