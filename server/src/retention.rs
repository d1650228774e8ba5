//! Deletion of recordings: when their term ends, or because somebody asked for it with a reason; and of
//! tokens that are over.
//!
//! # Invariants
//! * A legal hold always wins: it is asked for in the statement that destroys the key.
//! * The key goes first, in one transaction with everything that was sealed under it and with the
//!   audit entry; a cut afterwards leaves files that nobody can read, and the next look removes them.
//! * What the procedure must keep stays: the attempt with its phases, consents, verdicts, the acts,
//!   the leaf of the seal, custody, the audit log.
//! * While a server runs, it alone deletes, for it may hold keys in memory: a command asks it to.

use std::time::Duration;

use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_store::Target;

use crate::auth::AuthError;
use crate::state::AppState;
use qorgan_recordings::RecordingError;
use qorgan_store::{StoreError, WriteTx, audit, id};

/// Says why an attempt is not held, released or deleted.
#[derive(Debug, thiserror::Error)]
pub enum RetentionError {
    /// There is no such attempt.
    #[error("there is no such attempt")]
    NoAttempt,
    /// The attempt is not over.
    #[error("the attempt is not over: only one that ended is deleted")]
    NotOver,
    /// The attempt is under legal hold.
    #[error("the attempt is under legal hold ({reason}): `attempt release` lifts it")]
    LegalHold {
        /// Why it is held.
        reason: String,
    },
    /// The attempt is under no hold.
    #[error("the attempt is under no legal hold")]
    NotHeld,
    /// It is being sealed at this moment.
    #[error("the recording is being sealed: it is deleted afterwards")]
    Sealing,
    /// Its recording was deleted before.
    #[error("the recording was deleted before")]
    Gone,
    /// No reason was given, or too long a one.
    #[error("a reason of 1 to {REASON_CHARS_MAX} characters is needed: it goes into the audit log")]
    NoReason,
    /// Files cannot be removed; the key is destroyed.
    #[error("the key is destroyed, but files are left; the server removes them later")]
    Files(#[from] RecordingError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<qorgan_store::SqlError> for RetentionError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

/// How an attempt stands to deletion.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    over: bool,
    held: bool,
    hold_reason: String,
    deleted: bool,
    /// Nobody has sealed it, and somebody may.
    unsealed: bool,
}

qorgan_store::from_row!(Standing {
    over,
    held,
    hold_reason,
    deleted,
    unsealed,
});

async fn standing(
    from: impl Into<Target<'_>>,
    attempt: AttemptId,
) -> Result<Standing, RetentionError> {
    qorgan_store::query_as(
        "SELECT CAST(CASE WHEN phase_word IN ('submitted', 'sealed', 'terminated', 'void') \
         THEN 1 ELSE 0 END AS BIGINT) AS over, \
         CAST(CASE WHEN phase_word IN ('submitted', 'terminated') AND NOT EXISTS \
         (SELECT 1 FROM log_leaves l WHERE l.attempt_id = attempts.id) \
         THEN 1 ELSE 0 END AS BIGINT) AS unsealed, legal_hold AS held, hold_reason, \
         CAST(CASE WHEN deleted_ms IS NOT NULL OR length(key_wrapped) = 0 \
         THEN 1 ELSE 0 END AS BIGINT) AS deleted FROM attempts WHERE id = $1",
    )
    .bind(attempt.to_string())
    .fetch_optional(from)
    .await?
    .ok_or(RetentionError::NoAttempt)
}

/// Sets a legal hold, or lifts it; both stand in the audit log with their reason.
///
/// # Errors
/// `RetentionError` says why not; nothing is changed then.
pub async fn hold(
    state: &AppState,
    attempt: AttemptId,
    (by, reason): (PersonId, &str),
    held: bool,
) -> Result<(), RetentionError> {
    let reason = reasonable(reason)?;
    let mut tx = state.store.begin().await?;
    let standing = standing(&mut *tx, attempt).await?;
    if standing.deleted {
        return Err(RetentionError::Gone);
    }
    if !held && !standing.held {
        return Err(RetentionError::NotHeld);
    }
    // A deletion that was asked for before the hold is not done when the hold is lifted.
    let sql = "UPDATE attempts SET legal_hold = $2, hold_reason = $3, delete_by = NULL, \
               delete_reason = NULL WHERE id = $1";
    qorgan_store::query(sql)
        .bind(attempt.to_string())
        .bind(held)
        .bind(if held { reason } else { "" })
        .execute(&mut *tx)
        .await?;
    let action = if held { "hold_set" } else { "hold_lifted" };
    log(&mut tx, state, (&by.to_string(), action), attempt, reason).await?;
    tx.commit().await?;
    Ok(())
}

/// Asks for the deletion of an attempt's recording: whoever runs [`delete_due`] next does it.
///
/// # Errors
/// `RetentionError` says why not; nothing is changed then.
pub async fn ask(
    state: &AppState,
    attempt: AttemptId,
    (by, reason): (PersonId, &str),
) -> Result<(), RetentionError> {
    let reason = reasonable(reason)?;
    let mut tx = state.store.begin().await?;
    let standing = standing(&mut *tx, attempt).await?;
    refuse(&standing)?;
    let by = by.to_string();
    qorgan_store::query("UPDATE attempts SET delete_by = $2, delete_reason = $3 WHERE id = $1")
        .bind(attempt.to_string())
        .bind(&by)
        .bind(reason)
        .execute(&mut *tx)
        .await?;
    log(&mut tx, state, (&by, "deletion_asked"), attempt, reason).await?;
    tx.commit().await?;
    Ok(())
}

fn refuse(standing: &Standing) -> Result<(), RetentionError> {
    if standing.deleted {
        return Err(RetentionError::Gone);
    }
    if standing.held {
        let reason = standing.hold_reason.clone();
        return Err(RetentionError::LegalHold { reason });
    }
    if !standing.over {
        return Err(RetentionError::NotOver);
    }
    Ok(())
}

/// Deletes what is due: recordings whose term ended, those that somebody asked for, and files that a
/// cut left. One that fails does not keep the others. Returns how many were deleted.
///
/// # Errors
/// The database failed.
pub async fn delete_due(state: &AppState) -> Result<usize, RetentionError> {
    let mut deleted = 0;
    let mut after = String::new();
    loop {
        let rows: Vec<String> = qorgan_store::query_scalar(
            "SELECT id FROM attempts WHERE id > $2 AND legal_hold = 0 AND files_gone_ms IS NULL \
             AND phase_word IN ('submitted', 'sealed', 'terminated', 'void') \
             AND (deleted_ms IS NOT NULL OR delete_reason IS NOT NULL \
             OR retention_until_ms <= $1) ORDER BY id LIMIT 64",
        )
        .bind(state.clock.wall().unix_ms())
        .bind(&after)
        .fetch_all(state.store.read())
        .await?;
        let Some(last) = rows.last() else {
            break;
        };
        after.clone_from(last);
        for row in &rows {
            let done = match id(row) {
                Ok(attempt) => delete(state, attempt).await,
                Err(error) => Err(error.into()),
            };
            match done {
                Ok(()) => deleted += 1,
                Err(error) => {
                    tracing::error!(attempt = row, %error, "Could not delete a recording")
                }
            }
        }
    }
    if deleted > 0 {
        state.store.empty_journal().await?;
    }
    Ok(deleted)
}

/// Deletes one attempt's recording, or goes on where a cut left it. Nobody seals it meanwhile: a
/// sealer would put files behind the one that removes them.
async fn delete(state: &AppState, attempt: AttemptId) -> Result<(), RetentionError> {
    let before = standing(state.store.read(), attempt).await?;
    if !before.deleted {
        refuse(&before)?;
    }
    let marked = before.unsealed && !before.deleted;
    if marked {
        let begun = state.registry.begin_sealing(attempt).await;
        begun.map_err(|_refused| RetentionError::Sealing)?;
    }
    if let Err(error) = close_and_destroy(state, attempt).await {
        // A link that still delivers, or a sealer, goes on.
        state.recordings.reopen(attempt);
        if marked && let Err(error) = state.registry.stop_sealing(attempt).await {
            tracing::error!(%attempt, %error, "Could not let an attempt be sealed again");
        }
        return Err(error);
    }
    state.registry.forget(attempt);
    state.live.forget(attempt);
    state.recordings.remove_files(attempt).await?;
    let mut tx = state.store.begin().await?;
    qorgan_store::query("UPDATE attempts SET files_gone_ms = $2 WHERE id = $1")
        .bind(attempt.to_string())
        .bind(state.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await?;
    tx.commit().await?;
    tracing::info!(%attempt, "Deleted a recording");
    Ok(())
}

async fn close_and_destroy(state: &AppState, attempt: AttemptId) -> Result<(), RetentionError> {
    state.recordings.close(attempt).await?;
    let mut tx = state.store.begin().await?;
    // Asked again in the transaction that destroys: a hold may have come.
    let standing = standing(&mut *tx, attempt).await?;
    if standing.deleted {
        return Ok(());
    }
    refuse(&standing)?;
    destroy_key(&mut tx, state, attempt).await?;
    tx.commit().await?;
    Ok(())
}

/// Destroys an attempt's keys and what was sealed under them, and says so in the audit log.
async fn destroy_key(
    tx: &mut WriteTx,
    state: &AppState,
    attempt: AttemptId,
) -> Result<(), RetentionError> {
    let at = state.clock.wall();
    let asked: (Option<String>, Option<String>) =
        qorgan_store::query_as("SELECT delete_by, delete_reason FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_one(&mut **tx)
            .await?;
    let changed = qorgan_store::query(
        "UPDATE attempts SET key_wrapped = CAST('' AS BLOB), deleted_ms = $2, hand_raised = 0 \
         WHERE id = $1 AND legal_hold = 0",
    )
    .bind(attempt.to_string())
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    if changed.rows_affected() == 0 {
        let reason = String::new();
        return Err(RetentionError::LegalHold { reason });
    }
    for sql in CLEARED {
        qorgan_store::query(sql)
            .bind(attempt.to_string())
            .execute(&mut **tx)
            .await?;
    }
    let by = asked.0.unwrap_or_else(|| "server".to_owned());
    let reason = asked.1.unwrap_or_else(|| "retention".to_owned());
    log(tx, state, (&by, "recording_deleted"), attempt, &reason).await
}

async fn log(
    tx: &mut WriteTx,
    state: &AppState,
    (by, action): (&str, &str),
    attempt: AttemptId,
    reason: &str,
) -> Result<(), RetentionError> {
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor: by,
        action,
        subject: &attempt.to_string(),
        detail: reason,
    };
    Ok(audit::write(tx, &entry).await?)
}

fn reasonable(reason: &str) -> Result<&str, RetentionError> {
    let reason = reason.trim();
    let chars = reason.chars().count();
    if chars == 0 || chars > REASON_CHARS_MAX {
        return Err(RetentionError::NoReason);
    }
    Ok(reason)
}

/// Deletes what is due until `stop`.
pub async fn run(state: AppState, stop: impl Future<Output = ()> + Send) {
    tokio::pin!(stop);
    loop {
        if let Err(error) = delete_due(&state).await {
            tracing::error!(%error, "Could not look for recordings to delete");
        }
        if let Err(error) = delete_tokens(&state).await {
            tracing::error!(%error, "Could not delete tokens that are over");
        }
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK_GAP) => {}
        }
    }
}

/// Deletes tokens that are over, a bounded number at each look.
async fn delete_tokens(state: &AppState) -> Result<(), AuthError> {
    for _batch in 0..TOKEN_BATCHES_MAX {
        if state.auth.delete_over().await? == 0 {
            break;
        }
    }
    Ok(())
}

/// What was sealed under an attempt's key or tells of its candidate's machine. Hashes of responses
/// stay, so that receipts can still be checked against them.
const CLEARED: [&str; 11] = [
    "UPDATE epochs SET journal_key_wrapped = CAST('' AS BLOB), \
     freshness_key_wrapped = CAST('' AS BLOB), spool_key_wrapped = CAST('' AS BLOB) \
     WHERE attempt_id = $1",
    "UPDATE responses SET sealed = CAST('' AS BLOB) WHERE attempt_id = $1",
    "UPDATE incidents SET detail = '', note = '' WHERE attempt_id = $1",
    "DELETE FROM messages WHERE attempt_id = $1",
    "DELETE FROM identity_documents WHERE attempt_id = $1",
    "DELETE FROM client_events WHERE attempt_id = $1",
    "DELETE FROM system_checks WHERE attempt_id = $1",
    "DELETE FROM attempt_addresses WHERE attempt_id = $1",
    "DELETE FROM attempt_instances WHERE attempt_id = $1",
    "UPDATE identity_decisions SET reason = NULL WHERE attempt_id = $1",
    "UPDATE response_decisions SET reason = '' WHERE attempt_id = $1",
];
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;
/// Transactions in which tokens are deleted at one look.
const TOKEN_BATCHES_MAX: usize = 10;
/// How soon a server does what a command asked for.
const LOOK_GAP: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
