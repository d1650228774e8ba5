//! Who sits there: photo on file and document beside the live camera or the recording (decision 7).

use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Redirect, Response};
use qorgan_protocol::attempt::AttemptPhase;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::{IdentityState, ProblemCode};

use super::candidate::after;
use super::error::{Answer, ConsoleError};
use super::page::Page;
use super::posted::Posted;
use super::store::custody;
use crate::auth::{Proctor, Staff, Watcher};
use crate::registry::{BoardLine, DocumentId, IdentityDecision, reason_place};
use crate::state::AppState;
use qorgan_store::{exams, people};

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
    /// Names the newest document that the candidate showed, if there is one.
    pub(super) document: Option<i64>,
    /// Whether it was refused, so that the refusal can be taken back.
    pub(super) refused: bool,
    /// Whether it may be asked for again.
    pub(super) may_ask: bool,
    /// What was decided, newest first: when, what, why.
    pub(super) history: Vec<(String, String, String)>,
    /// That there is more.
    pub(super) history_more: Option<String>,
}

impl IdentityFacts {
    /// Reads how the check of an attempt stands.
    pub(super) async fn read(
        state: &AppState,
        page: &Page,
        line: &BoardLine,
    ) -> Result<Self, ConsoleError> {
        let photo = people::photo(&state.store, &state.keys, line.person).await?;
        let document = state.registry.newest_document(line.attempt).await?;
        let (history, history_more) = history(state, page, line.attempt).await?;
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
            document: document.map(|document| document.0),
            refused: line.identity == IdentityState::Refused,
            may_ask: may_ask(line),
            history,
            history_more,
        })
    }
}

/// Tells whether face and document may be asked for again: they were shown, and the attempt is
/// under way.
const fn may_ask(line: &BoardLine) -> bool {
    let shown = match line.identity {
        IdentityState::Waiting
        | IdentityState::Deferred
        | IdentityState::Approved
        | IdentityState::Refused => true,
        IdentityState::Open | IdentityState::Again => false,
    };
    let under_way = matches!(
        line.phase,
        AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. }
    );
    shown && under_way
}

type History = (Vec<(String, String, String)>, Option<String>);

async fn history(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<History, ConsoleError> {
    let rows = qorgan_store::query(
        "SELECT at_ms, decision, reason, COUNT(*) OVER () AS counted FROM identity_decisions \
         WHERE attempt_id = $1 ORDER BY id DESC LIMIT 20",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let all = rows.first().map_or(Ok(0), |row| row.get("counted"))?;
    let more = page.only_newest(rows.len(), all);
    let mut read = Vec::with_capacity(rows.len());
    for row in rows {
        let sealed: Option<Vec<u8>> = row.get("reason")?;
        read.push((row, sealed));
    }
    // The key is asked for where a reason is sealed: a deleted attempt has neither.
    let key = if read.iter().any(|(_row, sealed)| sealed.is_some()) {
        Some(exams::attempt_key(&state.store, &state.keys, attempt).await?)
    } else {
        None
    };
    let place = reason_place(attempt);
    let mut history = Vec::with_capacity(read.len());
    for (row, sealed) in read {
        let plain = match (&key, sealed) {
            (Some(key), Some(sealed)) => key.open(place.as_bytes(), &sealed)?,
            (Some(_) | None, _) => Vec::new(),
        };
        let decision: String = row.get("decision")?;
        history.push((
            page.clock(Some(row.get("at_ms")?)),
            page.t(&format!("identity-decision-{decision}")),
            String::from_utf8_lossy(&plain).into_owned(),
        ));
    }
    Ok((history, more))
}

/// `POST /console/attempts/{attempt}/identity`, from the live page or from the review.
pub(super) async fn decide(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    // What the form showed; what came since, nobody has seen.
    let document = match posted.fields.get("document") {
        "" => None,
        document => Some(document_of(document)?),
    };
    let decision = IdentityDecision::from_word(posted.fields.get("decision"), document);
    let decision = decision.ok_or(ConsoleError::Refused(ProblemCode::BadRequest))?;
    let (by, reason) = (posted.staff.session.person, posted.fields.get("reason"));
    let done = state
        .registry
        .decide_identity(attempt, decision, by, reason)
        .await;
    let reviewing = posted.fields.get("from") == "review";
    let page = format!("/console/attempts/{attempt}");
    match done {
        Ok(()) if reviewing => Ok(Redirect::to(&format!("{page}/review")).into_response()),
        Err(error) if error.problem().code == ProblemCode::OutOfOrder => {
            let part = if reviewing { "/review" } else { "" };
            let there = format!("{page}{part}?problem={DOCUMENT_CHANGED}");
            Ok(Redirect::to(&there).into_response())
        }
        done => after(attempt, done),
    }
}

fn document_of(text: &str) -> Result<DocumentId, ConsoleError> {
    let document = text.parse().map(DocumentId);
    document.map_err(|_none| ConsoleError::Refused(ProblemCode::BadRequest))
}

/// The key of the text that says that another document was shown meanwhile.
pub(super) const DOCUMENT_CHANGED: &str = "document-changed";

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

/// `GET /console/attempts/{attempt}/documents/{document}`: a document that the candidate showed; the
/// look stands in the custody record.
pub(super) async fn document(
    State(state): State<AppState>,
    Path((attempt, document)): Path<(String, String)>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let document = document_of(&document)?;
    let jpeg = state.registry.identity_document(attempt, document).await?;
    let (who, at) = ((attempt, staff.session.person), state.clock.wall());
    let mut tx = state.store.begin().await?;
    let number = document.0.to_string();
    let seen = ("saw_document", number.as_str());
    custody(&mut tx, state.institution(), who, at, seen).await?;
    tx.commit().await?;
    picture(jpeg)
}

/// Sends a picture that no cache may keep.
fn picture(jpeg: Option<Vec<u8>>) -> Result<Response, ConsoleError> {
    let jpeg = jpeg.ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let kept = [(CONTENT_TYPE, "image/jpeg"), (CACHE_CONTROL, "no-store")];
    Ok((kept, jpeg).into_response())
}
