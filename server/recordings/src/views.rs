//! Who looked at which stream, recorded or live: once for each sign-in in the custody record.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::ids::{AttemptId, InstitutionId, PersonId};
use qorgan_protocol::time::WallTime;
use qorgan_signing::Ring;

use super::{RecordingError, Recordings};

/// The newest views that stand in the record, so that each range of a file needs no transaction.
#[derive(Debug, Default)]
pub(super) struct Views {
    known: Mutex<VecDeque<View>>,
}

/// Whose sign-in, whose recording, what was done with what.
type View = (String, AttemptId, &'static str, String);

/// Who looks, and when.
#[derive(Debug, Clone, Copy)]
pub struct Viewer<'a> {
    /// The institution.
    pub institution: InstitutionId,
    /// The member of staff.
    pub person: PersonId,
    /// The sign-in's token; a hash of it tells sign-ins apart and gives none away.
    pub token: &'a str,
    /// The time of day.
    pub at: WallTime,
}

impl Recordings {
    /// Enters a view in the custody record, unless this sign-in's stands there already.
    ///
    /// # Errors
    /// The database failed; nothing may be shown then.
    pub async fn note_view(
        &self,
        viewer: &Viewer<'_>,
        attempt: AttemptId,
        (action, detail): (&'static str, String),
    ) -> Result<(), RecordingError> {
        let token = Ring.sha256(&[b"view", viewer.token.as_bytes()]);
        let sign_in: String = hex::encode(token.0).chars().take(SIGN_IN_CHARS).collect();
        let view = (sign_in, attempt, action, detail);
        if self.inner.views.holds(&view) {
            return Ok(());
        }
        let mut tx = self.inner.store.begin().await?;
        qorgan_store::query(
            "INSERT INTO custody \
             (institution_id, attempt_id, person_id, at_ms, action, detail, sign_in) \
             VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        )
        .bind(viewer.institution)
        .bind(attempt)
        .bind(viewer.person)
        .bind(viewer.at)
        .bind(view.2)
        .bind(&view.3)
        .bind(&view.0)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        self.inner.views.keep(view);
        Ok(())
    }
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
