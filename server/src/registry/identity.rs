//! Who sits there: what the candidate showed, what people decided about it and why.
//!
//! # Invariants
//! * Whoever is refused is told the reason that a person typed, and how to go on.
//! * Another machine is checked before anybody is identified at it.
//! * What is approved is the document that was looked at: one that was shown since is looked at anew.
//! * What was shown or decided, its record and its audit entry are one transaction.

use std::sync::Arc;

use qorgan_protocol::attempt::{AttemptPhase, CheckInTask, GateInput};
use qorgan_protocol::ids::{AttemptId, Epoch, PersonId};
use qorgan_protocol::limits::DOCUMENT_BYTES_MAX;
use qorgan_protocol::wire::{IdentityRequest, IdentityState, ProblemCode};
use qorgan_signing::SecretKey;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::Change;
use super::error::RegistryError;
use super::quota::Kept;
use super::staff::Deed;
use qorgan_store::{Store, StoreError};

/// Names a document that a candidate showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DocumentId(pub i64);

/// What a proctor decides about an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityDecision {
    /// It is the candidate.
    Approve {
        /// The document that was looked at; none where none was shown.
        document: Option<DocumentId>,
    },
    /// It is not, or cannot be told; with a reason that the candidate reads.
    Refuse,
    /// Face and document are to be shown again; a reason may be told.
    AskAgain,
    /// A refusal was an error.
    TakeBack,
}

impl IdentityDecision {
    /// Returns the decision that a form's word names; `document` is the one that the form showed.
    #[must_use]
    pub fn from_word(word: &str, document: Option<DocumentId>) -> Option<Self> {
        match word {
            "approve" => Some(Self::Approve { document }),
            "refuse" => Some(Self::Refuse),
            "again" => Some(Self::AskAgain),
            "take_back" => Some(Self::TakeBack),
            _ => None,
        }
    }

    /// Returns the word in the record and as key of texts.
    const fn word(self) -> &'static str {
        match self {
            Self::Approve { .. } => "approved",
            Self::Refuse => "refused",
            Self::AskAgain => "asked",
            Self::TakeBack => "taken_back",
        }
    }

    const fn input(self) -> GateInput {
        match self {
            Self::Approve { .. } => GateInput::Identity { approved: true },
            Self::Refuse => GateInput::Identity { approved: false },
            Self::AskAgain => GateInput::IdentityAgain,
            Self::TakeBack => GateInput::RefusalTakenBack,
        }
    }
}

impl Registry {
    /// The candidate shows face and, where the policy asks, a document (decision 7); after check-in
    /// where it was refused or is asked for again.
    ///
    /// # Errors
    /// `BadRequest` where the document is missing, not asked for or no JPEG; `CheckFailed` before
    /// the machine was checked; `TooMany` documents; `WrongPhase` where nothing is to be shown, or
    /// the caller is not bound.
    pub async fn identity(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: IdentityRequest,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        let asked = state.gate.policy().identity_document;
        let document = request.document.map(|hex| hex.0);
        if document.is_some() != asked || document.as_deref().is_some_and(|jpeg| !is_jpeg(jpeg)) {
            return Err(RegistryError::refuse(ProblemCode::BadRequest, "document"));
        }
        if !state.machine.done {
            let detail = "the machine is checked first";
            return Err(RegistryError::refuse(ProblemCode::CheckFailed, detail));
        }
        self.take_shown(&cell, &mut state, document).await
    }

    /// Takes what the candidate showed, with its record, in one transaction: where no more is kept, the
    /// step does not move, and nobody approves an older document in its place.
    async fn take_shown(
        &self,
        cell: &Cell,
        state: &mut CellState,
        document: Option<Vec<u8>>,
    ) -> Result<(), RegistryError> {
        let kept: &[Kept] = match &document {
            Some(_) => &[Kept::Shown, Kept::Documents],
            None => &[Kept::Shown],
        };
        if !self.room_first(state, kept).await? {
            let detail = "identity was shown too often; call the proctor";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        let task = GateInput::Task(CheckInTask::Identity);
        let settlement = self.settled_by(cell, state, task).await?;
        let mut change = self.begin_settled(state, &settlement).await?;
        let shown = Recorded {
            epoch: state.epoch,
            word: "shown",
            reason: None,
            by: None,
        };
        self.record(&mut change, state, shown).await?;
        if let Some(document) = document {
            self.put_document(&mut change, state, &document).await?;
        }
        let open = change.commit().await?;
        state.identity_reason = None;
        self.publish(cell, state, settlement, Some(open));
        self.raise(cell, state);
        Ok(())
    }

    async fn put_document(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        document: &[u8],
    ) -> Result<(), RegistryError> {
        let attempt = state.facts.attempt;
        let sealed = state
            .key
            .seal(document_place(attempt).as_bytes(), document)?;
        qorgan_store::query(
            "INSERT INTO identity_documents (institution_id, attempt_id, at_ms, sealed) \
             VALUES ($1, $2, $3, $4)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(attempt.to_string())
        .bind(self.inner.clock.wall().unix_ms())
        .bind(sealed)
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }

    /// Names the newest document that the candidate showed, if there is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn newest_document(
        &self,
        attempt: AttemptId,
    ) -> Result<Option<DocumentId>, RegistryError> {
        newest_document(self.inner.store.read(), attempt).await
    }

    /// Returns a document that the candidate showed, a JPEG, if there is such a one.
    ///
    /// # Errors
    /// `NotFound` for an unknown attempt; the database or the attempt's key failed.
    pub async fn identity_document(
        &self,
        attempt: AttemptId,
        document: DocumentId,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let sealed: Option<Vec<u8>> = qorgan_store::query_scalar(
            "SELECT sealed FROM identity_documents WHERE attempt_id = $1 AND id = $2",
        )
        .bind(attempt.to_string())
        .bind(document.0)
        .fetch_optional(self.inner.store.read())
        .await?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let cell = self.cell(attempt).await?;
        let key = Arc::clone(&cell.state.lock().await.key);
        Ok(Some(key.open(document_place(attempt).as_bytes(), &sealed)?))
    }

    /// Takes what a proctor decided about an identity. A refusal needs a reason, which the candidate
    /// reads; an approval names the document that was looked at.
    ///
    /// # Errors
    /// `BadRequest` without a reason or with one too long; `WrongPhase` where the decision does not
    /// fit, nothing was shown since it was asked for, or a proctor must decide about the machine first;
    /// `OutOfOrder` where another document was shown since; `NotFound`.
    pub async fn decide_identity(
        &self,
        attempt: AttemptId,
        decision: IdentityDecision,
        by: PersonId,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let reason = reason.trim();
        let missing = decision == IdentityDecision::Refuse && reason.is_empty();
        if missing || reason.chars().count() > REASON_CHARS_MAX {
            return Err(RegistryError::refuse(ProblemCode::BadRequest, "reason"));
        }
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let settlement = self.settled_by(&cell, &mut state, decision.input()).await?;
        let mut change = self.begin_settled(&state, &settlement).await?;
        if let IdentityDecision::Approve { document } = decision {
            may_be_approved(&mut change, &state, document).await?;
        }
        let decided = Recorded {
            epoch: state.epoch,
            word: decision.word(),
            reason: (!reason.is_empty()).then_some(reason),
            by: Some(by),
        };
        self.record(&mut change, &state, decided).await?;
        // The reason is about a person: it stands sealed beside the decision.
        let deed = Deed {
            by,
            action: &format!("identity_{}", decided.word),
            reason: "",
        };
        self.write_deed(&mut change.tx, attempt, deed).await?;
        let open = change.commit().await?;
        state.identity_reason = decided.reason.map(str::to_owned);
        self.publish(&cell, &mut state, settlement, Some(open));
        self.raise(&cell, &mut state);
        Ok(())
    }

    /// Writes what happened to an identity; whoever commits it keeps at hand what the candidate is to
    /// read.
    pub(super) async fn record(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        recorded: Recorded<'_>,
    ) -> Result<(), RegistryError> {
        let attempt = state.facts.attempt;
        let place = reason_place(attempt);
        let seal = |reason: &str| state.key.seal(place.as_bytes(), reason.as_bytes());
        qorgan_store::query(
            "INSERT INTO identity_decisions (institution_id, attempt_id, epoch, at_ms, person_id, \
             decision, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(attempt.to_string())
        .bind(i64::from(recorded.epoch.0))
        .bind(self.inner.clock.wall().unix_ms())
        .bind(recorded.by.map(|by| by.to_string()))
        .bind(recorded.word)
        .bind(recorded.reason.map(seal).transpose()?)
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }
}

/// What happened to an identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Recorded<'a> {
    /// On which machine.
    pub(super) epoch: Epoch,
    /// What, as the record's word.
    pub(super) word: &'a str,
    /// What a person typed for the candidate.
    pub(super) reason: Option<&'a str>,
    /// Who decided; nobody where the candidate showed something.
    pub(super) by: Option<PersonId>,
}

/// Refuses an approval of what was not looked at, asked in the transaction that writes it.
async fn may_be_approved(
    change: &mut Change<'_>,
    state: &CellState,
    looked_at: Option<DocumentId>,
) -> Result<(), RegistryError> {
    let wrong = |detail: &str| Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
    let under_way = matches!(
        state.gate.phase(),
        AttemptPhase::Running { .. } | AttemptPhase::Paused { .. }
    );
    if under_way && !state.machine.may_start() {
        return wrong("decide about the machine first");
    }
    match state.gate.memory().identity {
        IdentityState::Open | IdentityState::Again => {
            return wrong("nothing was shown since it was asked for");
        }
        IdentityState::Waiting
        | IdentityState::Deferred
        | IdentityState::Approved
        | IdentityState::Refused => {}
    }
    if newest_document(&mut *change.tx, state.facts.attempt).await? != looked_at {
        let detail = "another document was shown meanwhile; look at it first";
        return Err(RegistryError::refuse(ProblemCode::OutOfOrder, detail));
    }
    Ok(())
}

async fn newest_document(
    from: impl Into<qorgan_store::Target<'_>>,
    attempt: AttemptId,
) -> Result<Option<DocumentId>, RegistryError> {
    let newest: Option<i64> = qorgan_store::query_scalar(
        "SELECT id FROM identity_documents WHERE attempt_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(attempt.to_string())
    .fetch_optional(from)
    .await?;
    Ok(newest.map(DocumentId))
}

impl CellState {
    /// Returns what a person typed for the candidate to read, while it matters.
    pub(super) fn told_reason(&self) -> Option<String> {
        match self.gate.memory().identity {
            IdentityState::Refused | IdentityState::Again => self.identity_reason.clone(),
            IdentityState::Open
            | IdentityState::Waiting
            | IdentityState::Deferred
            | IdentityState::Approved => None,
        }
    }
}

/// Reads the reason of the newest decision on an attempt's identity.
pub(super) async fn newest_reason(
    store: &Store,
    key: &SecretKey,
    attempt: AttemptId,
) -> Result<Option<String>, RegistryError> {
    let sealed: Option<Option<Vec<u8>>> = qorgan_store::query_scalar(
        "SELECT reason FROM identity_decisions WHERE attempt_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(attempt.to_string())
    .fetch_optional(store.read())
    .await?;
    let Some(sealed) = sealed.flatten() else {
        return Ok(None);
    };
    let plain = key.open(reason_place(attempt).as_bytes(), &sealed)?;
    let text = String::from_utf8(plain).map_err(|_bad| StoreError::Corrupt { what: "reason" })?;
    Ok(Some(text))
}

/// Returns the place that the reason of a decision on an identity is sealed under.
pub(crate) fn reason_place(attempt: AttemptId) -> String {
    format!("identity-reason:{attempt}")
}

fn document_place(attempt: AttemptId) -> String {
    format!("identity-document:{attempt}")
}

/// A document is shown to staff as what it says it is: within bounds, and whole.
fn is_jpeg(bytes: &[u8]) -> bool {
    bytes.len() <= DOCUMENT_BYTES_MAX
        && bytes.starts_with(&[0xFF, 0xD8, 0xFF])
        && bytes.ends_with(&[0xFF, 0xD9])
}

/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 300;
