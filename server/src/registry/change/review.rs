//! An incident that comes after the review was finished takes the review up again.

use qorgan_protocol::ids::IncidentId;
use qorgan_protocol::incident::IncidentKind;

use super::super::error::RegistryError;
use super::Change;
use qorgan_store::audit;

impl Change<'_> {
    /// Takes a finished review up again for an incident that this change raises; nobody has seen it.
    pub(super) async fn reopen_review(
        &mut self,
        kind: IncidentKind,
        incident: IncidentId,
    ) -> Result<(), RegistryError> {
        let attempt = self.attempt().to_string();
        let finished: Option<String> = qorgan_store::query_scalar(
            "SELECT verdict FROM reviews WHERE attempt_id = $1 AND verdict != 'not_reviewed'",
        )
        .bind(&attempt)
        .fetch_optional(&mut *self.tx)
        .await?;
        let Some(verdict) = finished else {
            return Ok(());
        };
        qorgan_store::query(
            "UPDATE reviews SET verdict = 'not_reviewed', finished_by = NULL, finished_ms = NULL, \
             reopened_ms = $2, reopened_from = $3 WHERE attempt_id = $1",
        )
        .bind(&attempt)
        .bind(self.now.unix_ms())
        .bind(&verdict)
        .execute(&mut *self.tx)
        .await?;
        let entry = audit::Entry {
            institution: self.registry.inner.keys.institution(),
            at: self.now,
            actor: "server",
            action: "review_reopened",
            subject: &attempt,
            detail: &format!("{verdict}: {} {incident}", kind.word()),
        };
        Ok(audit::write(&mut self.tx, &entry).await?)
    }
}
