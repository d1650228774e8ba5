//! Who looked at which stream, recorded or live: once for each sign-in in the custody record.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::ids::AttemptId;
use qorgan_signing::Ring;

use super::RecordingError;
use crate::auth::StaffSession;
use crate::state::AppState;

/// The newest views that stand in the record, so that each range of a file needs no transaction.
#[derive(Debug, Default)]
pub(super) struct Views {
    known: Mutex<VecDeque<View>>,
}

/// Whose sign-in, whose recording, what was done with what.
type View = (String, AttemptId, &'static str, String);

/// Enters a view in the custody record, unless this sign-in's stands there already.
pub(crate) async fn note(
    state: &AppState,
    session: &StaffSession,
    attempt: AttemptId,
    (action, detail): (&'static str, String),
) -> Result<(), RecordingError> {
    let token = Ring.sha256(&[b"view", session.token.as_bytes()]);
    // Tells sign-ins apart and gives none away.
    let sign_in: String = hex::encode(token.0).chars().take(SIGN_IN_CHARS).collect();
    let view = (sign_in, attempt, action, detail);
    let views = &state.recordings.inner.views;
    if views.holds(&view) {
        return Ok(());
    }
    let mut tx = state.store.begin().await?;
    sqlx::query(
        "INSERT OR IGNORE INTO custody \
         (institution_id, attempt_id, person_id, at_ms, action, detail, sign_in) \
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(state.institution().to_string())
    .bind(attempt.to_string())
    .bind(session.person.to_string())
    .bind(state.clock.wall().unix_ms())
    .bind(view.2)
    .bind(&view.3)
    .bind(&view.0)
    .execute(&mut *tx)
    .await?;
    tx.commit().await?;
    views.keep(view);
    Ok(())
}

impl Views {
    fn holds(&self, view: &View) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.contains(view)
    }

    fn keep(&self, view: View) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.push_back(view);
        while known.len() > VIEWS_MAX {
            known.pop_front();
        }
    }
}

/// How many views are kept in memory; an older one is looked up in the record again.
const VIEWS_MAX: usize = 256;
const SIGN_IN_CHARS: usize = 16;
