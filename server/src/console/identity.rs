//! Who sits there: photo on file and document beside the live camera or the recording (decision 7).

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Redirect, Response};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::{IdentityState, ProblemCode};

use super::candidate::after;
use super::error::{Answer, ConsoleError};
use super::page::Page;
use super::posted::Posted;
use super::store::custody;
use crate::auth::{Proctor, Staff, Watcher};
use crate::registry::BoardLine;
use crate::state::AppState;
use crate::store::people;

/// What a page says about an attempt's identity check.
#[derive(Debug)]
pub(super) struct IdentityFacts {
    /// Whether somebody is to look: before the start, or in the review where the policy lets it
    /// wait.
    pub(super) due: bool,
    /// How it stands, in words.
    pub(super) words: String,
    /// Whether there is a photo on file.
    pub(super) photo: bool,
    /// Whether the candidate showed a document.
    pub(super) document: bool,
}

impl IdentityFacts {
    /// Reads how the check of an attempt stands.
    pub(super) async fn read(
        state: &AppState,
        page: &Page,
        line: &BoardLine,
    ) -> Result<Self, ConsoleError> {
        let photo = people::photo(&state.store, &state.keys, line.person).await?;
        let document = state.registry.identity_document(line.attempt).await?;
        let (due, word) = match line.identity {
            IdentityState::Open => (false, "open"),
            IdentityState::Again => (false, "again"),
            IdentityState::Waiting | IdentityState::Deferred => (true, "due"),
            IdentityState::Approved => (false, "approved"),
            IdentityState::Refused => (false, "refused"),
        };
        Ok(Self {
            due,
            words: page.t(&format!("identity-{word}")),
            photo: photo.is_some(),
            document: document.is_some(),
        })
    }
}

/// `POST /console/attempts/{attempt}/identity`, from the live page or from the review.
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let approved = posted.fields.get("approved") == "yes";
    let by = posted.staff.session.person;
    let done = state.registry.approve_identity(attempt, approved, by).await;
    if done.is_ok() && posted.fields.get("from") == "review" {
        let review = format!("/console/attempts/{attempt}/review");
        return Ok(Redirect::to(&review).into_response());
    }
    after(attempt, done)
}

/// `GET /console/attempts/{attempt}/photo`: the photo on file.
pub(super) async fn photo(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    _staff: Staff<Watcher>,
) -> Answer {
    let line = state.registry.board_line(attempt.parse()?).await?;
    let jpeg = people::photo(&state.store, &state.keys, line.person).await?;
    picture(jpeg)
}

/// `GET /console/attempts/{attempt}/document`: the document that the candidate showed; the look
/// stands in the custody record.
pub(super) async fn document(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let jpeg = state.registry.identity_document(attempt).await?;
    let (who, at) = ((attempt, staff.session.person), state.clock.wall());
    let mut tx = state.store.begin().await?;
    custody(&mut tx, state.institution(), who, at, ("saw_document", "")).await?;
    tx.commit().await?;
    picture(jpeg)
}

/// Sends a picture that no cache may keep.
fn picture(jpeg: Option<Vec<u8>>) -> Result<Response, ConsoleError> {
    let jpeg = jpeg.ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let kept = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "no-store")];
    Ok((kept, jpeg).into_response())
}
