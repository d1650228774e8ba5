//! Who sits there: what the candidate showed, what people decided about it and why (M20).
//!
//! # Invariants
//! * Whoever is refused is told the reason that a person typed, and how to go on.
//! * Another machine is checked before anybody is identified at it.

use std::sync::Arc;

use qorgan_protocol::attempt::{AttemptPhase, CheckInTask, GateInput};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::limits::DOCUMENT_BYTES_MAX;
use qorgan_protocol::wire::{IdentityRequest, IdentityState, ProblemCode};
use qorgan_signing::SecretKey;

use super::Registry;
use super::binding::Caller;
use super::cell::CellState;
use super::change::Change;
use super::error::RegistryError;
use super::quota::Kept;
use super::staff::Deed;
use crate::store::{Store, StoreError};

/// What a proctor decides about an identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdentityDecision {
    /// It is the candidate.
    Approve,
    /// It is not, or cannot be told; with a reason that the candidate reads.
    Refuse,
    /// Face and document are to be shown again; a reason may be told.
    AskAgain,
    /// A refusal was an error.
    TakeBack,
}

impl IdentityDecision {
    /// Returns the decision that a form's word names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        match word {
            "approve" => Some(Self::Approve),
            "refuse" => Some(Self::Refuse),
            "again" => Some(Self::AskAgain),
            "take_back" => Some(Self::TakeBack),
            _ => None,
        }
    }

    /// Returns the word in the record and as key of texts.
    const fn word(self) -> &'static str {
        match self {
            Self::Approve => "approved",
            Self::Refuse => "refused",
            Self::AskAgain => "asked",
            Self::TakeBack => "taken_back",
        }
    }

    const fn input(self) -> GateInput {
        match self {
            Self::Approve => GateInput::Identity { approved: true },
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
        let task = GateInput::Task(CheckInTask::Identity);
        self.input_locked(&cell, &mut state, task).await?;
        self.record(&mut state, ("shown", None), None, document)
            .await?;
        self.raise(&cell, &mut state);
        Ok(())
    }

    /// Returns the newest document that the candidate showed, a JPEG, if there is one.
    ///
    /// # Errors
    /// `NotFound` for an unknown attempt; the database or the attempt's key failed.
    pub async fn identity_document(
        &self,
        attempt: AttemptId,
    ) -> Result<Option<Vec<u8>>, RegistryError> {
        let sealed: Option<Vec<u8>> = sqlx::query_scalar(
            "SELECT sealed FROM identity_documents WHERE attempt_id = $1 ORDER BY id DESC LIMIT 1",
        )
        .bind(attempt.to_string())
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
    /// reads.
    ///
    /// # Errors
    /// `BadRequest` without a reason or with one too long; `WrongPhase` where the decision does not
    /// fit, or a proctor must decide about the machine first; `NotFound`.
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
        let under_way = matches!(
            state.gate.phase(),
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. }
        );
        if decision == IdentityDecision::Approve && under_way && !state.machine.may_start() {
            let detail = "decide about the machine first";
            return Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
        }
        let word = decision.word();
        // The reason is about a person: it stands sealed beside the decision.
        let deed = Deed {
            by,
            action: &format!("identity_{word}"),
            reason: "",
        };
        self.act_locked(&cell, &mut state, decision.input(), deed)
            .await?;
        let told = (!reason.is_empty()).then_some(reason);
        self.record(&mut state, (word, told), Some(by), None)
            .await?;
        self.raise(&cell, &mut state);
        Ok(())
    }

    /// Records what happened to an identity; what the candidate is to read is kept at hand.
    pub(super) async fn record(
        &self,
        state: &mut CellState,
        (word, reason): (&str, Option<&str>),
        by: Option<PersonId>,
        document: Option<Vec<u8>>,
    ) -> Result<(), RegistryError> {
        let (attempt, at) = (state.facts.attempt, self.inner.clock.wall());
        let place = reason_place(attempt);
        let sealed = reason.map(|reason| state.key.seal(place.as_bytes(), reason.as_bytes()));
        let mut change = Change::begin(self, state, state.epoch, at).await?;
        if document.is_some() && !self.room(&mut change, Kept::Documents).await? {
            state.open_incidents = change.commit().await?;
            let detail = "identity was shown too often; call the proctor";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        let stored: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM identity_decisions WHERE attempt_id = $1")
                .bind(attempt.to_string())
                .fetch_one(&mut *change.tx)
                .await?;
        if by.is_none() && stored >= DECISIONS_MAX {
            let detail = "identity was shown too often; call the proctor";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        sqlx::query(
            "INSERT INTO identity_decisions (institution_id, attempt_id, epoch, at_ms, person_id, \
             decision, reason) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(at.unix_ms())
        .bind(by.map(|by| by.to_string()))
        .bind(word)
        .bind(sealed.transpose()?)
        .execute(&mut *change.tx)
        .await?;
        if let Some(document) = document {
            sqlx::query(
                "INSERT INTO identity_documents (institution_id, attempt_id, at_ms, sealed) \
                 VALUES ($1, $2, $3, $4)",
            )
            .bind(self.inner.keys.institution().to_string())
            .bind(attempt.to_string())
            .bind(at.unix_ms())
            .bind(
                state
                    .key
                    .seal(document_place(attempt).as_bytes(), &document)?,
            )
            .execute(&mut *change.tx)
            .await?;
        }
        state.open_incidents = change.commit().await?;
        state.identity_reason = reason.map(str::to_owned);
        Ok(())
    }
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
    let sealed: Option<Option<Vec<u8>>> = sqlx::query_scalar(
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
/// What is kept of one attempt's identity; more is not taken from the candidate.
const DECISIONS_MAX: i64 = 100;
