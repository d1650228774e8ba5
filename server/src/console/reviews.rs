//! The review queue: every attempt that ended, the most urgent first, found by name, exam and verdict.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::Severity;
use qorgan_server_core::queue::{Queued, Urgency};
use qorgan_server_core::review::{IncidentVerdict, ReviewVerdict};
use serde::Deserialize;
use sqlx::Row as _;

use super::error::Answer;
use super::page::{Page, Visitor, show};
use super::review::verdict_badge;
use crate::acts;
use crate::auth::{Proctor, Staff};
use crate::state::AppState;
use crate::store::{Store, StoreError, id};

#[derive(Debug, Template)]
#[template(path = "console/reviews.html")]
struct ReviewsPage {
    page: Page,
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
    act: Option<(String, String)>,
}

/// What the queue knows of one attempt's incidents.
#[derive(Debug, Default)]
struct Seen(Vec<(String, Severity, Option<IncidentVerdict>)>);

impl Seen {
    fn urgency(&self) -> Urgency {
        let all = self.0.iter();
        Urgency::of(all.map(|(kind, severity, verdict)| (kind.as_str(), *severity, *verdict)))
    }

    fn unjudged(&self) -> usize {
        self.0
            .iter()
            .filter(|(_, _, verdict)| verdict.is_none())
            .count()
    }

    /// Returns the gravest kind that nobody dismissed.
    fn gravest(&self) -> Option<&str> {
        let open = self.0.iter();
        open.filter(|(_, _, verdict)| *verdict != Some(IncidentVerdict::Dismissed))
            .max_by(|(_, one, _), (_, other, _)| one.value().total_cmp(&other.value()))
            .map(|(kind, _, _)| kind.as_str())
    }
}

const LIST_SQL: &str = "SELECT a.id, p.display_name, COALESCE(d.group_name, '') AS group_name, \
    e.id AS exam_id, e.title, a.submitted_ms, a.ended_ms, \
    COALESCE(r.verdict, 'not_reviewed') AS verdict \
    FROM attempts a JOIN people p ON p.id = a.person_id \
    JOIN sittings s ON s.id = a.sitting_id JOIN exams e ON e.id = s.exam_id \
    LEFT JOIN person_details d ON d.person_id = p.id LEFT JOIN reviews r ON r.attempt_id = a.id \
    WHERE a.phase_word IN ('submitted', 'sealed', 'terminated') AND a.check_in_ms IS NOT NULL \
    ORDER BY a.id";

const SEEN_SQL: &str = "SELECT i.attempt_id, i.kind, i.severity, i.verdict FROM incidents i \
    JOIN attempts a ON a.id = i.attempt_id \
    WHERE i.counts = 1 AND a.phase_word IN ('submitted', 'sealed', 'terminated') \
    ORDER BY i.began_ms, i.id";

/// `GET /console/reviews`: every attempt that ended, also those without incidents (SOP 16, 17).
pub(super) async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
    staff: Staff<Proctor>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let mut seen = seen(&state.store).await?;
    let needle = wanted.q.trim().to_lowercase();
    let rows = sqlx::query(LIST_SQL).fetch_all(state.store.read()).await?;
    let mut attempts = Vec::with_capacity(rows.len());
    let mut exams = BTreeMap::new();
    for row in rows {
        let attempt: AttemptId = id(&row.try_get::<String, _>("id")?)?;
        let (name, group, exam): (String, String, String) = (
            row.try_get("display_name")?,
            row.try_get("group_name")?,
            row.try_get("title")?,
        );
        let exam_id: String = row.try_get("exam_id")?;
        let word: String = row.try_get("verdict")?;
        exams.insert(exam_id.clone(), exam.clone());
        let text = format!("{name} {group} {exam}").to_lowercase();
        let fits = |asked: &str, is: &str| asked.is_empty() || asked == is;
        if !text.contains(&needle) || !fits(&wanted.exam, &exam_id) || !fits(&wanted.verdict, &word)
        {
            continue;
        }
        let submitted: Option<i64> = row.try_get("submitted_ms")?;
        let ended: Option<i64> = row.try_get("ended_ms")?;
        let seen = seen.remove(&attempt).unwrap_or_default();
        let urgency = seen.urgency();
        let gravest = seen.gravest().map(|kind| page.t(&format!("kind-{kind}")));
        attempts.push(ReviewLine {
            queued: Queued {
                verdict: ReviewVerdict::from_word(&word).unwrap_or_default(),
                urgency,
                ended_ms: submitted.or(ended).unwrap_or_default(),
            },
            attempt: attempt.to_string(),
            name,
            group,
            exam,
            submitted: page.date_time(submitted.or(ended)),
            urgency: urgency.hundredths(),
            gravest: gravest.unwrap_or_default(),
            incidents: seen.0.len(),
            unjudged: seen.unjudged(),
            verdict: verdict_badge(&page, &word),
            act: acts::of_attempt(&state, attempt).await?,
        });
    }
    attempts.sort_by(|one, other| one.queued.before(&other.queued));
    let verdict = |one: ReviewVerdict| (one.word(), page.t(&format!("verdict-{}", one.word())));
    show(&ReviewsPage {
        verdicts: ReviewVerdict::ALL.map(verdict).into(),
        exams: exams.into_iter().collect(),
        wanted,
        attempts,
        page,
    })
}

async fn seen(store: &Store) -> Result<BTreeMap<AttemptId, Seen>, StoreError> {
    let rows = sqlx::query(SEEN_SQL).fetch_all(store.read()).await?;
    let mut seen: BTreeMap<AttemptId, Seen> = BTreeMap::new();
    for row in rows {
        let attempt: AttemptId = id(&row.try_get::<String, _>("attempt_id")?)?;
        let verdict: Option<String> = row.try_get("verdict")?;
        let one = (
            row.try_get("kind")?,
            Severity::clamped(row.try_get("severity")?),
            verdict.as_deref().and_then(IncidentVerdict::from_word),
        );
        seen.entry(attempt).or_default().0.push(one);
    }
    Ok(seen)
}
