//! Late responses of one attempt: what came without a lease, and whether it counts.

use std::collections::BTreeMap;

use askama::Template;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use axum::routing::get;
use qorgan_protocol::attempt::{ResponseMark, Standing};
use qorgan_protocol::ids::{AttemptId, Epoch, ItemId, PersonId, TestId};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::ProblemCode;
use serde::Deserialize;

use super::candidate::AttemptFacts;
use super::error::{Answer, ConsoleError};
use super::page::{Page, Visitor, show};
use super::posted::Posted;
use super::store::{custody, person};
use crate::auth::{Proctor, Staff};
use crate::state::AppState;
use qorgan_store::responses::{self, LateResponse, NewDecision, Which, late, late_counts};
use qorgan_store::{StoreError, content, id};

/// One late response.
#[derive(Debug)]
struct LateLine {
    epoch: u32,
    seq: u64,
    /// The question's place in the test; nothing where it is not in the test.
    position: Option<u16>,
    received: String,
    phase: String,
    late: String,
    mark: String,
    standing: (&'static str, String),
    /// The newest decision: when, by whom, why.
    decided: Option<(String, String, String)>,
    confirmed: Option<String>,
    replaced: bool,
}

#[derive(Debug, Template)]
#[template(path = "console/late.html")]
struct LatePage {
    page: Page,
    facts: AttemptFacts,
    lines: Vec<LateLine>,
    all: i64,
    waiting: i64,
    grace_s: u64,
    newer: Option<u32>,
    older: Option<u32>,
    problem: Option<String>,
    /// When this was looked at: a decision on all that wait is on these alone.
    seen_ms: i64,
}

/// Which part of the list, and what went wrong on the way here.
#[derive(Debug, Deserialize)]
struct Wanted {
    #[serde(default)]
    part: u32,
    #[serde(default)]
    problem: bool,
}

/// Returns the pages of late responses.
pub(super) fn pages() -> Router<AppState> {
    Router::new().route("/console/attempts/{attempt}/late", get(list).post(decide))
}

/// `GET /console/attempts/{attempt}/late`.
async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    Query(wanted): Query<Wanted>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = AttemptFacts::read(&state, &page, attempt).await?;
    let seen_ms = state.clock.wall().unix_ms();
    let offset = wanted.part.saturating_mul(PART);
    let entries = late(&state.store, attempt, (offset, PART)).await?;
    let (all, waiting) = late_counts(&state.store, attempt).await?;
    let more = i64::from(offset.saturating_add(PART)) < all;
    let places = places(&state, attempt).await?;
    let names = names(&state, &entries).await?;
    show(&LatePage {
        lines: entries
            .iter()
            .map(|entry| line(&page, entry, (&places, &names)))
            .collect(),
        all,
        waiting,
        grace_s: state.registry.network_grace(attempt).await?.as_secs(),
        newer: wanted.part.checked_sub(1),
        older: more.then(|| wanted.part.saturating_add(1)),
        problem: wanted.problem.then(|| page.t("late-reason-missing")),
        seen_ms,
        facts,
        page,
    })
}

/// `POST /console/attempts/{attempt}/late`: a person decides on one entry or on all that wait, with a
/// reason; it stands in the audit log, in the custody record and in every export.
async fn decide(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    // Refuses an attempt that is not there.
    state.registry.board_line(attempt).await?;
    let bad = || ConsoleError::Refused(ProblemCode::BadRequest);
    let fields = &posted.fields;
    let counts = match fields.get("counts") {
        "yes" => true,
        "no" => false,
        _ => return Err(bad()),
    };
    let which = match (fields.get("epoch"), fields.get("seq")) {
        ("", "") => Which::Waiting {
            seen: WallTime::from_unix_ms(fields.get("seen").parse().map_err(|_bad| bad())?),
        },
        (epoch, seq) => Which::One {
            epoch: Epoch(epoch.parse().map_err(|_bad| bad())?),
            seq: seq.parse().map_err(|_bad| bad())?,
        },
    };
    let reason: String = fields
        .get("reason")
        .trim()
        .chars()
        .take(REASON_CHARS_MAX)
        .collect();
    let here = format!("/console/attempts/{attempt}/late");
    if reason.is_empty() {
        return Ok(Redirect::to(&format!("{here}?problem=true")).into_response());
    }
    let by = posted.staff.session.person;
    let at = state.clock.wall();
    let decision = NewDecision {
        attempt,
        which,
        counts,
        reason: &reason,
        by,
    };
    let mut tx = state.store.begin().await?;
    let entries = responses::decide(&mut tx, state.institution(), at, &decision).await?;
    if entries == 0 && matches!(which, Which::One { .. }) {
        return Err(ConsoleError::Refused(ProblemCode::NotFound));
    }
    let word = if counts { "counts" } else { "does not count" };
    let action = ("decided_late", word);
    custody(&mut tx, state.institution(), (attempt, by), at, action).await?;
    tx.commit().await?;
    Ok(Redirect::to(&here).into_response())
}

fn line(
    page: &Page,
    entry: &LateResponse,
    (places, names): (&BTreeMap<ItemId, u16>, &BTreeMap<PersonId, String>),
) -> LateLine {
    let standing = entry.standing();
    let class = match standing {
        Standing::CountsByItself | Standing::DecidedCounts => "good",
        Standing::Waits => "care",
        Standing::DecidedNot => "calm",
    };
    let decided = entry.decision.as_ref().map(|decision| {
        let by = names.get(&decision.by).cloned().unwrap_or_default();
        (
            page.date_time(Some(decision.at_ms)),
            by,
            decision.reason.clone(),
        )
    });
    LateLine {
        epoch: entry.epoch.0,
        seq: entry.seq,
        position: places.get(&entry.item).copied(),
        received: page.date_time(Some(entry.received_ms)),
        phase: page.t(&format!("phase-{}", entry.received_phase)),
        late: entry.late_ms.map_or_else(
            || page.t("late-unknown"),
            |ms| page.t1("late-upto", "time", span(ms)),
        ),
        mark: page.t(match entry.mark {
            ResponseMark::InTime => "late-mark-in_time",
            ResponseMark::AfterCover => "late-mark-after_cover",
            ResponseMark::AfterEnd => "late-mark-after_end",
            ResponseMark::OwnWord => "late-mark-own_word",
        }),
        standing: (class, page.t(&format!("late-standing-{}", standing.word()))),
        decided,
        confirmed: entry.confirmed_ms.map(|ms| page.clock(Some(ms))),
        replaced: entry.replaced,
    }
}

/// Returns hours, minutes and seconds; a part of a second counts as a whole one.
fn span(ms: i64) -> String {
    let seconds = ms.max(0).saturating_add(999) / 1_000;
    let (hours, minutes) = (seconds / 3_600, seconds / 60 % 60);
    format!("{hours}:{minutes:02}:{:02}", seconds % 60)
}

/// Returns the place of each item of the attempt's test.
async fn places(state: &AppState, attempt: AttemptId) -> Result<BTreeMap<ItemId, u16>, StoreError> {
    let test: Option<String> =
        qorgan_store::query_scalar("SELECT test_id FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_one(state.store.read())
            .await?;
    let Some(test) = test else {
        return Ok(BTreeMap::new());
    };
    let test: TestId = id(&test)?;
    let slots = content::slots(&state.store, test).await?;
    Ok(slots
        .into_iter()
        .map(|(position, item)| (item, position))
        .collect())
}

async fn names(
    state: &AppState,
    entries: &[LateResponse],
) -> Result<BTreeMap<PersonId, String>, StoreError> {
    let mut names = BTreeMap::new();
    for decision in entries.iter().filter_map(|entry| entry.decision.as_ref()) {
        if let std::collections::btree_map::Entry::Vacant(entry) = names.entry(decision.by) {
            entry.insert(person(&state.store, decision.by).await?.name);
        }
    }
    Ok(names)
}

/// How many entries a page shows.
const PART: u32 = 100;
/// The longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_late_it_may_be_is_never_told_too_small() {
        assert_eq!(span(0), "0:00:00");
        assert_eq!(span(1), "0:00:01");
        assert_eq!(span(3_599_001), "1:00:00");
    }
}
