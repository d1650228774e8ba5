//! Review of one attempt: its recording, verdicts, the act.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::ids::{AttemptId, IncidentId, PersonId};
use qorgan_protocol::wire::ProblemCode;
use qorgan_server_core::review::{
    IncidentVerdict, Judgement, ReviewEvent, ReviewRefused, ReviewVerdict,
};
use serde::Deserialize;

use super::candidate::{AttemptFacts, IncidentLine};
use super::error::{Answer, ConsoleError};
use super::machine::MachineFacts;
use super::page::{Page, Visitor, show};
use super::parts::{Part, parts};
use super::posted::Posted;
use super::reasons::Foreseen;
use super::store::{
    IncidentRow, ReviewStanding, custody, incidents, incidents_in, not_counted, person, review_of,
    review_standing,
};
use super::texts::Language;
use crate::acts;
use crate::auth::{Proctor, Staff};
use crate::evidence::clip::{Clips, Moment};
use crate::state::AppState;
use qorgan_recordings::RecordingError;
use qorgan_store::responses::late_counts;
use qorgan_store::{StoreError, WriteTx, audit};

/// Returns a verdict's badge: its class and its words.
pub(super) fn verdict_badge(page: &Page, word: &str) -> (&'static str, String) {
    let class = match ReviewVerdict::from_word(word).unwrap_or_default() {
        ReviewVerdict::NotReviewed => "calm",
        ReviewVerdict::Passed => "good",
        ReviewVerdict::Suspicious => "care",
        ReviewVerdict::Violation => "person",
    };
    (class, page.t(&format!("verdict-{word}")))
}

#[derive(Debug, Template)]
#[template(path = "console/review.html")]
struct ReviewPage {
    page: Page,
    facts: AttemptFacts,
    machine: MachineFacts,
    parts: Vec<Part>,
    incidents: Vec<IncidentLine>,
    /// What was seen and does not count in this attempt.
    uncounted: Vec<IncidentLine>,
    /// How many responses came late, and how many of them wait for a decision.
    late: Option<(i64, String)>,
    verdict: (&'static str, String),
    /// What is told of a review that was finished before these incidents came.
    reopened: Option<String>,
    verdicts: Vec<(&'static str, String, bool)>,
    foreseen: Foreseen,
    kinds: Vec<(String, String)>,
    can_act: bool,
    act: Option<(String, String)>,
    problem: Option<String>,
}

/// What went wrong on the way here.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    problem: String,
}

/// `GET /console/attempts/{attempt}/review`; the view stands in the custody record.
pub(super) async fn review(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    Query(told): Query<Told>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = AttemptFacts::read(&state, &page, attempt).await?;
    let rows = incidents(&state.store, attempt).await?;
    let uncounted = not_counted(&state.store, attempt).await?;
    let names = judges(&state, &rows).await?;
    let mut lines = IncidentLine::list(&page, &rows, &names);
    if let Err(error) = add_clips(&state, attempt, &rows, &mut lines).await {
        tracing::warn!(%error, "A review goes without the recording's chunks");
    }
    let ReviewStanding {
        verdict: word,
        reopened,
    } = review_standing(&state.store, attempt).await?;
    let parts = parts(&state, &page, attempt).await?;
    let mut tx = state.store.begin().await?;
    let who = (attempt, staff.session.person);
    let at = state.clock.wall();
    custody(
        &mut tx,
        state.institution(),
        who,
        at,
        ("opened_recording", ""),
    )
    .await?;
    tx.commit().await?;
    let act = acts::of_attempt(&state, attempt).await?;
    let (all, waiting) = late_counts(&state.store, attempt).await?;
    let blanks = [("all", all.to_string()), ("n", waiting.to_string())];
    let late = (all > 0).then(|| (waiting, page.in_language().fill("late-review", &blanks)));
    let verdicts = [
        ReviewVerdict::Passed,
        ReviewVerdict::Suspicious,
        ReviewVerdict::Violation,
    ];
    let known = !told.problem.is_empty()
        && told
            .problem
            .chars()
            .all(|c| c.is_ascii_lowercase() || c == '-');
    let machine = MachineFacts::read(&state, &page, attempt).await?;
    show(&ReviewPage {
        machine,
        parts,
        foreseen: Foreseen::of(&page, &rows),
        kinds: kinds(&lines),
        incidents: lines,
        uncounted: IncidentLine::list(&page, &uncounted, &names),
        late,
        verdict: verdict_badge(&page, &word),
        reopened: reopened.map(|(since, before)| told_reopened(&page, since, &before)),
        verdicts: verdicts
            .iter()
            .map(|one| {
                let key = format!("verdict-{}", one.word());
                (one.word(), page.t(&key), one.word() == word)
            })
            .collect(),
        can_act: act.is_none() && word == ReviewVerdict::Violation.word(),
        act,
        problem: known.then(|| page.t(&told.problem)),
        facts,
        page,
    })
}

fn told_reopened(page: &Page, since_ms: i64, before: &str) -> String {
    let blanks = [
        ("at", page.date_time(Some(since_ms))),
        ("verdict", page.t(&format!("verdict-{before}"))),
    ];
    page.in_language().fill("review-reopened", &blanks)
}

/// Names the chunks that show each incident.
async fn add_clips(
    state: &AppState,
    attempt: AttemptId,
    rows: &[IncidentRow],
    lines: &mut [IncidentLine],
) -> Result<(), RecordingError> {
    let mut clips = Clips::of(&state.recordings, attempt).await?;
    for (line, row) in lines.iter_mut().zip(rows) {
        let moment = Moment {
            epoch: row.epoch,
            stream: row.stream.as_deref(),
            began_us: row.began_us,
        };
        line.clip = clips.find(moment).await?;
    }
    Ok(())
}

/// Returns each kind that there is: word and name.
fn kinds(lines: &[IncidentLine]) -> Vec<(String, String)> {
    let kinds: BTreeMap<_, _> = lines.iter().map(|one| (&one.kind, &one.word)).collect();
    kinds
        .into_iter()
        .map(|(name, word)| (word.clone(), name.clone()))
        .collect()
}

async fn judges(
    state: &AppState,
    rows: &[IncidentRow],
) -> Result<BTreeMap<PersonId, String>, StoreError> {
    let mut names = BTreeMap::new();
    for judgement in rows.iter().filter_map(|row| row.judgement.as_ref()) {
        if let std::collections::btree_map::Entry::Vacant(entry) = names.entry(judgement.by) {
            entry.insert(person(&state.store, judgement.by).await?.name);
        }
    }
    Ok(names)
}

/// `POST /console/attempts/{attempt}/incidents/{incident}`.
pub(super) async fn judge(
    State(state): State<AppState>,
    Path((attempt, incident)): Path<(String, String)>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let incident: IncidentId = incident.parse()?;
    let verdict = IncidentVerdict::from_word(posted.fields.get("verdict"))
        .ok_or(ConsoleError::Refused(ProblemCode::BadRequest))?;
    let by = posted.staff.session.person;
    let at = state.clock.wall();
    let note: String = posted
        .fields
        .get("note")
        .chars()
        .take(NOTE_CHARS_MAX)
        .collect();
    let judgement = Judgement {
        verdict,
        by,
        at,
        note,
    };
    let done = judge_incident(&state, (attempt, incident), judgement).await;
    decided(attempt, done, &format!("#i-{incident}"))
}

/// Leads back to the review, with the reason where the rules refuse.
fn decided(attempt: AttemptId, done: Result<(), ReviewError>, part: &str) -> Answer {
    match done {
        Ok(()) => {
            let there = format!("/console/attempts/{attempt}/review{part}");
            Ok(Redirect::to(&there).into_response())
        }
        Err(ReviewError::Refused(refused)) => {
            Ok(back(attempt, &format!("review-{}", refused.word())).into_response())
        }
        Err(ReviewError::Store(error)) => Err(error.into()),
    }
}

/// Judges an incident; the rules are asked in the transaction that writes, over what it reads.
pub(crate) async fn judge_incident(
    state: &AppState,
    (attempt, incident): (AttemptId, IncidentId),
    judgement: Judgement,
) -> Result<(), ReviewError> {
    let mut tx = state.store.begin().await?;
    let mut review = review_of(&incidents_in(&mut *tx, attempt).await?);
    review.handle(ReviewEvent::Judged(incident, judgement.clone()))?;
    put_judgement(&mut tx, attempt, incident, &judgement).await?;
    reopen(&mut tx, attempt).await?;
    let said = ("judged", judgement.verdict.word());
    let who = (attempt, judgement.by);
    custody(&mut tx, state.institution(), who, judgement.at, said).await?;
    tx.commit().await?;
    Ok(())
}

/// A judgement that changes takes the review up again.
async fn reopen(tx: &mut WriteTx, attempt: AttemptId) -> Result<(), StoreError> {
    qorgan_store::query(
        "UPDATE reviews SET verdict = 'not_reviewed', finished_by = NULL, finished_ms = NULL \
         WHERE attempt_id = $1",
    )
    .bind(attempt.to_string())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// `POST /console/attempts/{attempt}/review`: the verdict on the whole attempt.
pub(super) async fn finish(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let verdict = ReviewVerdict::from_word(posted.fields.get("verdict")).unwrap_or_default();
    let by = posted.staff.session.person;
    let watched_s: u32 = posted.fields.get("watched_s").parse().unwrap_or(0);
    let done = finish_review(&state, (attempt, by), verdict, watched_s).await;
    decided(attempt, done, "")
}

/// Gives the verdict on an attempt that is over; the rules are asked in the transaction that writes, so
/// that no incident is raised between.
pub(crate) async fn finish_review(
    state: &AppState,
    (attempt, by): (AttemptId, PersonId),
    verdict: ReviewVerdict,
    watched_s: u32,
) -> Result<(), ReviewError> {
    let mut tx = state.store.begin().await?;
    must_be_over(&mut tx, attempt).await?;
    let mut review = review_of(&incidents_in(&mut *tx, attempt).await?);
    review.handle(ReviewEvent::Finished(verdict, by, state.clock.wall()))?;
    put_verdict(&mut tx, state, (attempt, by), verdict, watched_s).await?;
    tx.commit().await?;
    Ok(())
}

/// Refuses a verdict on an attempt that goes on.
async fn must_be_over(tx: &mut WriteTx, attempt: AttemptId) -> Result<(), ReviewError> {
    let over: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM attempts WHERE id = $1 \
         AND phase_word IN ('submitted', 'sealed', 'terminated')",
    )
    .bind(attempt.to_string())
    .fetch_one(&mut **tx)
    .await?;
    if over == 0 {
        return Err(ReviewRefused::NotOver.into());
    }
    Ok(())
}

/// Judges every incident for a named proctor and finishes the review.
///
/// # Errors
/// The attempt is not over, an incident is not of it, or the database failed.
pub async fn review_by_hand(
    state: &AppState,
    attempt: AttemptId,
    by: PersonId,
    confirmed: &[IncidentId],
) -> Result<ReviewVerdict, ReviewError> {
    let at = state.clock.wall();
    let mut tx = state.store.begin().await?;
    must_be_over(&mut tx, attempt).await?;
    let rows = incidents_in(&mut *tx, attempt).await?;
    let mut review = review_of(&rows);
    let mut judged: Vec<(IncidentId, IncidentVerdict)> = rows
        .iter()
        .filter(|row| !confirmed.contains(&row.id))
        .map(|row| (row.id, IncidentVerdict::Dismissed))
        .collect();
    judged.extend(confirmed.iter().map(|id| (*id, IncidentVerdict::Confirmed)));
    for (incident, verdict) in judged {
        let judgement = Judgement {
            verdict,
            by,
            at,
            note: String::new(),
        };
        review.handle(ReviewEvent::Judged(incident, judgement.clone()))?;
        put_judgement(&mut tx, attempt, incident, &judgement).await?;
    }
    let verdict = if confirmed.is_empty() {
        ReviewVerdict::Passed
    } else {
        ReviewVerdict::Violation
    };
    review.handle(ReviewEvent::Finished(verdict, by, at))?;
    put_verdict(&mut tx, state, (attempt, by), verdict, 0).await?;
    tx.commit().await?;
    Ok(verdict)
}

/// Says why a review cannot be finished.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// The rules refuse.
    #[error(transparent)]
    Refused(#[from] ReviewRefused),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<qorgan_store::SqlError> for ReviewError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

async fn put_judgement(
    tx: &mut WriteTx,
    attempt: AttemptId,
    incident: IncidentId,
    judgement: &Judgement,
) -> Result<(), StoreError> {
    qorgan_store::query(
        "UPDATE incidents SET verdict = $3, verdict_by = $4, verdict_at_ms = $5, note = $6 \
         WHERE id = $1 AND attempt_id = $2",
    )
    .bind(incident.to_string())
    .bind(attempt.to_string())
    .bind(judgement.verdict.word())
    .bind(judgement.by.to_string())
    .bind(judgement.at.unix_ms())
    .bind(&judgement.note)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

async fn put_verdict(
    tx: &mut WriteTx,
    state: &AppState,
    (attempt, by): (AttemptId, PersonId),
    verdict: ReviewVerdict,
    watched_s: u32,
) -> Result<(), StoreError> {
    let at = state.clock.wall();
    qorgan_store::query(
        "INSERT INTO reviews (attempt_id, institution_id, verdict, finished_by, finished_ms, \
         watched_s) VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (attempt_id) DO UPDATE SET \
         verdict = excluded.verdict, finished_by = excluded.finished_by, \
         finished_ms = excluded.finished_ms, reopened_ms = NULL, reopened_from = NULL, watched_s = reviews.watched_s + excluded.watched_s",
    )
    .bind(attempt.to_string())
    .bind(state.institution().to_string())
    .bind(verdict.word())
    .bind(by.to_string())
    .bind(at.unix_ms())
    .bind(i64::from(watched_s))
    .execute(&mut **tx)
    .await?;
    let entry = audit::Entry {
        institution: state.institution(),
        at,
        actor: &by.to_string(),
        action: "review_finished",
        subject: &attempt.to_string(),
        detail: verdict.word(),
    };
    audit::write(tx, &entry).await
}

/// `POST /console/attempts/{attempt}/act` (SOP 17).
pub(super) async fn make_act(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let language = Language::from_code(posted.fields.get("language")).unwrap_or_default();
    let by = posted.staff.session.person;
    match acts::make(&state, attempt, by, language).await {
        Ok(_registered) => {
            Ok(Redirect::to(&format!("/console/attempts/{attempt}/review")).into_response())
        }
        Err(acts::ActError::NoViolation) => {
            Ok(back(attempt, "act-needs-violation").into_response())
        }
        Err(acts::ActError::Exists) => Ok(back(attempt, "act-exists").into_response()),
        Err(acts::ActError::NotSealed) => Ok(back(attempt, "act-not-sealed").into_response()),
        Err(error) => Err(error.into()),
    }
}

fn back(attempt: AttemptId, problem: &str) -> Redirect {
    Redirect::to(&format!(
        "/console/attempts/{attempt}/review?problem={problem}"
    ))
}

/// The longest note, in characters.
const NOTE_CHARS_MAX: usize = 500;
