//! The review queue: every attempt that ended, the most urgent first, found by name, exam and verdict.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::Severity;
use qorgan_server_core::queue::{Queued, Urgency};
use qorgan_server_core::review::{IncidentVerdict, ReviewVerdict};
use qorgan_store::Row;
use serde::Deserialize;

use super::error::{Answer, ConsoleError};
use super::page::{Page, Visitor, show};
use super::paging::{PageOf, Pager};
use super::review::verdict_badge;
use crate::acts;
use crate::auth::{Proctor, Staff};
use crate::state::AppState;
use qorgan_store::assigned::Scope;
use qorgan_store::search::Search;
use qorgan_store::{Store, StoreError, id};

#[derive(Debug, Template)]
#[template(path = "console/reviews.html")]
struct ReviewsPage {
    page: Page,
    pager: Pager,
    wanted: Wanted,
    exams: Vec<(String, String)>,
    verdicts: Vec<(&'static str, String)>,
    attempts: Vec<ReviewLine>,
}

/// What is searched for.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    exam: String,
    #[serde(default)]
    verdict: String,
    #[serde(default)]
    page: String,
}

impl Wanted {
    fn is_anything(&self) -> bool {
        !(self.q.is_empty() && self.exam.is_empty() && self.verdict.is_empty())
    }
}

#[derive(Debug)]
struct ReviewLine {
    queued: Queued,
    attempt: String,
    name: String,
    group: String,
    exam: String,
    submitted: String,
    urgency: String,
    gravest: String,
    incidents: usize,
    unjudged: usize,
    verdict: (&'static str, String),
    /// Since when a review that was finished is open again; may be empty.
    reopened: String,
    act: Option<(String, String)>,
}

/// What the queue knows of one attempt's incidents: kind, gravest severity, verdict, how many.
#[derive(Debug, Default)]
struct Seen(Vec<(String, Severity, Option<IncidentVerdict>, usize)>);

impl Seen {
    fn urgency(&self) -> Urgency {
        let all = self.0.iter().flat_map(|(kind, severity, verdict, count)| {
            let one = (kind.as_str(), *severity, *verdict);
            core::iter::repeat_n(one, (*count).min(WEIGHED_MAX))
        });
        Urgency::of(all)
    }

    fn count(&self) -> usize {
        self.0.iter().map(|(.., count)| count).sum()
    }

    fn unjudged(&self) -> usize {
        let open = self.0.iter().filter(|(_, _, verdict, _)| verdict.is_none());
        open.map(|(.., count)| count).sum()
    }

    /// Returns the gravest kind that nobody dismissed.
    fn gravest(&self) -> Option<&str> {
        let open = self.0.iter();
        open.filter(|(_, _, verdict, _)| *verdict != Some(IncidentVerdict::Dismissed))
            .max_by(|(_, one, ..), (_, other, ..)| one.value().total_cmp(&other.value()))
            .map(|(kind, ..)| kind.as_str())
    }
}

/// The attempts that ended, as the queue orders them but for how often a kind was raised.
const LIST_SQL: &str = "SELECT a.id, p.display_name, COALESCE(d.group_name, '') AS group_name, \
    e.title, a.submitted_ms, a.ended_ms, COALESCE(r.verdict, 'not_reviewed') AS verdict, \
    r.reopened_ms FROM attempts a JOIN people p ON p.id = a.person_id \
    JOIN sittings s ON s.id = a.sitting_id JOIN exams e ON e.id = s.exam_id \
    LEFT JOIN person_details d ON d.person_id = p.id LEFT JOIN reviews r ON r.attempt_id = a.id \
    WHERE a.phase_word IN ('submitted', 'sealed', 'terminated') AND a.check_in_ms IS NOT NULL \
    AND (CAST($1 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
        WHERE g.sitting_id = a.sitting_id AND g.person_id = $1)) \
    AND ($2 = '' OR e.id = $2) AND ($3 = '' OR COALESCE(r.verdict, 'not_reviewed') = $3) \
    AND ($4 = '' OR instr(p.folded, $4) > 0 \
        OR d.group_name IN (SELECT value FROM json_each($5)) \
        OR e.title IN (SELECT value FROM json_each($6))) \
    ORDER BY CASE COALESCE(r.verdict, 'not_reviewed') WHEN 'not_reviewed' THEN 0 \
        WHEN 'suspicious' THEN 1 ELSE 2 END, \
    (SELECT MAX(i.severity) FROM incidents i WHERE i.attempt_id = a.id AND i.counts = 1 \
        AND COALESCE(i.verdict, '') <> 'dismissed') DESC NULLS LAST, \
    a.ended_ms NULLS FIRST, a.id LIMIT $7";

const SEEN_SQL: &str = "SELECT attempt_id, kind, verdict, MAX(severity) AS severity, \
    COUNT(*) AS raised FROM incidents WHERE counts = 1 \
    AND attempt_id IN (SELECT value FROM json_each($1)) \
    GROUP BY attempt_id, kind, verdict ORDER BY MIN(began_ms), kind";

const EXAMS_SQL: &str = "SELECT e.id, e.title FROM exams e WHERE EXISTS (SELECT 1 FROM sittings s \
    JOIN attempts a ON a.sitting_id = s.id WHERE s.exam_id = e.id AND a.check_in_ms IS NOT NULL \
    AND a.phase_word IN ('submitted', 'sealed', 'terminated') \
    AND (CAST($1 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
        WHERE g.sitting_id = s.id AND g.person_id = $1))) ORDER BY e.id DESC LIMIT 200";

/// `GET /console/reviews`: every attempt of the reader's sittings that ended, also those without
/// incidents (SOP 16, 17).
pub(super) async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
    staff: Staff<Proctor>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let scope = staff.session.scope::<Proctor>();
    let mut attempts = queue(&state, &page, &wanted, scope).await?;
    let part = PageOf::read(&wanted.page, LINES);
    let (before, limit) = part.range();
    let whole = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
    attempts.drain(..whole(before).min(attempts.len()));
    attempts.truncate(whole(limit));
    let asked = [
        ("q", wanted.q.as_str()),
        ("exam", wanted.exam.as_str()),
        ("verdict", wanted.verdict.as_str()),
    ];
    let pager = part.cut(&mut attempts, "/console/reviews", &asked);
    add_acts(&state, &mut attempts).await?;
    let exams: Vec<(String, String)> = qorgan_store::query_as(EXAMS_SQL)
        .bind(scope.proctor())
        .fetch_all(state.store.read())
        .await?;
    let verdict = |one: ReviewVerdict| (one.word(), page.t(&format!("verdict-{}", one.word())));
    show(&ReviewsPage {
        verdicts: ReviewVerdict::ALL.map(verdict).into(),
        exams,
        wanted,
        attempts,
        pager,
        page,
    })
}

/// Returns the first [`QUEUED_MAX`] attempts in the order in which they are to be looked at.
async fn queue(
    state: &AppState,
    page: &Page,
    wanted: &Wanted,
    scope: Scope,
) -> Result<Vec<ReviewLine>, ConsoleError> {
    let search = Search::read(&wanted.q);
    let rows = qorgan_store::query(LIST_SQL)
        .bind(scope.proctor())
        .bind(&wanted.exam)
        .bind(&wanted.verdict)
        .bind(search.folded())
        .bind(search.groups(&state.store).await?)
        .bind(search.titles(&state.store).await?)
        .bind(QUEUED_MAX)
        .fetch_all(state.store.read())
        .await?;
    let ids = rows.iter().map(|row| row.get("id"));
    let mut seen = seen(&state.store, &ids.collect::<Result<Vec<String>, _>>()?).await?;
    let mut attempts = Vec::with_capacity(rows.len());
    for row in &rows {
        let attempt: AttemptId = id(&row.get::<String>("id")?)?;
        let seen = seen.remove(&attempt).unwrap_or_default();
        attempts.push(line(page, row, attempt, &seen)?);
    }
    attempts.sort_by(|one, other| one.queued.before(&other.queued));
    Ok(attempts)
}

fn line(
    page: &Page,
    row: &Row,
    attempt: AttemptId,
    seen: &Seen,
) -> Result<ReviewLine, ConsoleError> {
    let word: String = row.get("verdict")?;
    let submitted: Option<i64> = row.get("submitted_ms")?;
    let ended: Option<i64> = row.get("ended_ms")?;
    let urgency = seen.urgency();
    let gravest = seen.gravest().map(|kind| page.t(&format!("kind-{kind}")));
    Ok(ReviewLine {
        queued: Queued {
            verdict: ReviewVerdict::from_word(&word).unwrap_or_default(),
            urgency,
            ended_ms: submitted.or(ended).unwrap_or_default(),
        },
        attempt: attempt.to_string(),
        name: row.get("display_name")?,
        group: row.get("group_name")?,
        exam: row.get("title")?,
        submitted: page.date_time(submitted.or(ended)),
        urgency: urgency.hundredths(),
        gravest: gravest.unwrap_or_default(),
        incidents: seen.count(),
        unjudged: seen.unjudged(),
        verdict: verdict_badge(page, &word),
        reopened: match row.get::<Option<i64>>("reopened_ms")? {
            Some(since) => page.t1("review-open-again", "at", page.date_time(Some(since))),
            None => String::new(),
        },
        act: None,
    })
}

async fn add_acts(state: &AppState, lines: &mut [ReviewLine]) -> Result<(), ConsoleError> {
    let attempts: Vec<String> = lines.iter().map(|line| line.attempt.clone()).collect();
    let mut acts = acts::of_attempts(state, &attempts).await?;
    for line in lines {
        line.act = acts.remove(&line.attempt);
    }
    Ok(())
}

async fn seen(store: &Store, attempts: &[String]) -> Result<BTreeMap<AttemptId, Seen>, StoreError> {
    let rows = qorgan_store::query(SEEN_SQL)
        .bind(qorgan_store::list("list of attempts", &attempts)?)
        .fetch_all(store.read())
        .await?;
    let mut seen: BTreeMap<AttemptId, Seen> = BTreeMap::new();
    for row in rows {
        let attempt: AttemptId = id(&row.get::<String>("attempt_id")?)?;
        let verdict: Option<String> = row.get("verdict")?;
        let raised: i64 = row.get("raised")?;
        let one = (
            row.get("kind")?,
            Severity::clamped(row.get("severity")?),
            verdict.as_deref().and_then(IncidentVerdict::from_word),
            usize::try_from(raised).unwrap_or_default(),
        );
        seen.entry(attempt).or_default().0.push(one);
    }
    Ok(seen)
}

/// The most attempts that a page shows.
const LINES: u32 = 100;
/// The most attempts that are put in order for one search: those left out are less urgent.
const QUEUED_MAX: u32 = 2_000;
/// So often raised, a kind weighs as if without end, within a five-thousandth.
const WEIGHED_MAX: usize = 1_000;
