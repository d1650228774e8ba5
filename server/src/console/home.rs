//! The first page of each role: what awaits me.

use askama::Template;
use axum::extract::State;
use qorgan_protocol::attempt::AttemptPhase;

use super::board::mode_word;
use super::error::Answer;
use super::page::{Page, Visitor, show};
use super::store::{SittingFacts, exams, sittings};
use crate::auth::{AnyStaff, Staff};
use crate::registry::BoardLine;
use crate::state::AppState;

#[derive(Debug, Template)]
#[template(path = "console/home.html")]
struct HomePage {
    page: Page,
    today: String,
    cards: Vec<Card>,
    sittings: Vec<SittingLine>,
}

#[derive(Debug)]
struct Card {
    href: &'static str,
    count: usize,
    text: String,
}

/// A sitting in a list.
#[derive(Debug)]
pub(super) struct SittingLine {
    pub(super) href: String,
    pub(super) title: String,
    pub(super) discipline: String,
    pub(super) opens: String,
    pub(super) closes: String,
    pub(super) mode: String,
    pub(super) admitted: i64,
    pub(super) running: i64,
}

impl SittingLine {
    /// Puts a sitting into words.
    pub(super) fn of(page: &Page, facts: &SittingFacts) -> Self {
        Self {
            href: format!("/console/sittings/{}", facts.id),
            title: facts.title.clone(),
            discipline: facts.discipline.clone(),
            opens: page.date_time(Some(facts.opens_ms)),
            closes: page.date_time(Some(facts.closes_ms)),
            mode: page.t(mode_word(facts.mode)),
            admitted: facts.admitted,
            running: facts.running,
        }
    }
}

/// `GET /console/`.
pub(super) async fn home(
    visitor: Visitor,
    State(state): State<AppState>,
    staff: Staff<AnyStaff>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let lines = state.registry.board().await?;
    let mut cards = Vec::new();
    if page.may("proctor") {
        cards.extend(proctor_cards(&page, &state, &lines).await?);
    }
    if page.may("test_centre") || page.may("administrator") {
        cards.extend(centre_cards(&page, &state).await?);
    }
    let now = state.clock.wall().unix_ms();
    let day_ms = 24 * 60 * 60 * 1_000;
    let mut near: Vec<_> = sittings(&state.store).await?;
    near.retain(|one| one.closes_ms > now - day_ms);
    near.sort_by_key(|one| one.opens_ms);
    near.truncate(NEAR_MAX);
    show(&HomePage {
        today: page.moment(Some(now), "%d.%m.%Y"),
        cards,
        sittings: near.iter().map(|one| SittingLine::of(&page, one)).collect(),
        page,
    })
}

async fn proctor_cards(
    page: &Page,
    state: &AppState,
    lines: &[BoardLine],
) -> Result<Vec<Card>, super::error::ConsoleError> {
    let count = |wanted: &dyn Fn(&BoardLine) -> bool| lines.iter().filter(|l| wanted(l)).count();
    let running = count(&|line| {
        matches!(
            line.phase,
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. }
        )
    });
    let open: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM attempts a LEFT JOIN reviews r ON r.attempt_id = a.id \
         WHERE a.phase_word IN ('submitted', 'sealed', 'terminated') \
         AND COALESCE(r.verdict, 'not_reviewed') IN ('not_reviewed', 'suspicious')",
    )
    .fetch_one(state.store.read())
    .await?;
    let entries = [
        ("/console/wall", running, "await-running"),
        (
            "/console/wall",
            count(&|line| line.hand_raised || line.waits_for_proctor || line.machine_waits),
            "await-help",
        ),
        (
            "/console/wall",
            count(&|line| line.moves_open > 0),
            "await-moves",
        ),
        (
            "/console/reviews",
            usize::try_from(open).unwrap_or_default(),
            "await-reviews",
        ),
    ];
    Ok(entries
        .into_iter()
        .map(|(href, count, key)| Card {
            href,
            count,
            text: page.t(key),
        })
        .collect())
}

async fn centre_cards(
    page: &Page,
    state: &AppState,
) -> Result<Vec<Card>, super::error::ConsoleError> {
    let now = state.clock.wall().unix_ms();
    let ahead = sittings(&state.store)
        .await?
        .iter()
        .filter(|one| one.closes_ms > now)
        .count();
    let no_test = exams(&state.store)
        .await?
        .iter()
        .filter(|one| one.tests.is_empty())
        .count();
    let people: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM people p \
         WHERE NOT EXISTS (SELECT 1 FROM staff_roles r WHERE r.person_id = p.id)",
    )
    .fetch_one(state.store.read())
    .await?;
    let acts: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM acts")
        .fetch_one(state.store.read())
        .await?;
    let whole = |count: i64| usize::try_from(count).unwrap_or_default();
    let mut entries = vec![("/console/people", whole(people), "await-people")];
    if page.may("test_centre") {
        entries.insert(0, ("/console/exams", ahead, "await-sittings"));
        entries.push(("/console/exams", no_test, "await-no-test"));
        entries.push(("/console/acts", whole(acts), "await-acts"));
    }
    Ok(entries
        .into_iter()
        .map(|(href, count, key)| Card {
            href,
            count,
            text: page.t(key),
        })
        .collect())
}

/// The most sittings on the first page.
const NEAR_MAX: usize = 12;
