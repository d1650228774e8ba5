//! Who did what: written in the transaction of what was done.

use qorgan_protocol::ids::InstitutionId;
use qorgan_protocol::time::WallTime;

use super::{StoreError, WriteTx};

/// One line of the audit log; no names, no content.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// The institution.
    pub institution: InstitutionId,
    /// When.
    pub at: WallTime,
    /// Who: a person's identifier, `server` or `command line`.
    pub actor: &'a str,
    /// What, as a word.
    pub action: &'a str,
    /// On what: an identifier.
    pub subject: &'a str,
    /// Facts in few words.
    pub detail: &'a str,
}

/// Writes a line.
///
/// # Errors
/// The database failed.
pub async fn write(tx: &mut WriteTx, entry: &Entry<'_>) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO audit_log (institution_id, at_ms, actor, action, subject, detail) \
         VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(entry.institution.to_string())
    .bind(entry.at.unix_ms())
    .bind(entry.actor)
    .bind(entry.action)
    .bind(entry.subject)
    .bind(entry.detail)
    .execute(&mut **tx)
    .await?;
    Ok(())
}
