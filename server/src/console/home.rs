//! The first page of each role: what awaits me.

use askama::Template;
use axum::extract::State;
use qorgan_protocol::attempt::AttemptPhase;

use super::board::mode_word;
use super::error::Answer;
use super::page::{Page, Visitor, show};
use super::store::{SittingFacts, SittingsOf, sittings};
use crate::auth::{AnyStaff, Proctor, Staff};
use crate::registry::{BoardLine, BoardOf, BoardQuery};
use crate::state::AppState;
use qorgan_store::assigned::Scope;

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
    let mut cards = Vec::new();
    if page.may("proctor") {
        let scope = staff.session.scope::<Proctor>();
        cards.extend(proctor_cards(&page, &state, scope).await?);
    }
    if page.may("test_centre") || page.may("administrator") {
        cards.extend(centre_cards(&page, &state).await?);
    }
    let now = state.clock.wall().unix_ms();
    let day_ms = 24 * 60 * 60 * 1_000;
    let after = SittingsOf::After(now - day_ms, staff.session.scope::<AnyStaff>());
    let near = sittings(&state.store, after, (0, NEAR_MAX)).await?;
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
    scope: Scope,
) -> Result<Vec<Card>, super::error::ConsoleError> {
    let query = BoardQuery {
        scope,
        of: BoardOf::UnderWay(None),
        named: String::new(),
        offset: 0,
        limit: COUNTED_MAX,
    };
    let lines = state.registry.board(&query).await?;
    let count = |wanted: &dyn Fn(&BoardLine) -> bool| lines.iter().filter(|l| wanted(l)).count();
    let running = count(&|line| {
        matches!(
            line.phase,
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. }
        )
    });
    let open: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM attempts a LEFT JOIN reviews r ON r.attempt_id = a.id \
         WHERE a.phase_word IN ('submitted', 'sealed', 'terminated') \
         AND COALESCE(r.verdict, 'not_reviewed') IN ('not_reviewed', 'suspicious') \
         AND (CAST($1 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
         WHERE g.sitting_id = a.sitting_id AND g.person_id = $1))",
    )
    .bind(scope.proctor())
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
    let ahead: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM sittings WHERE closes_ms > $1")
            .bind(now)
            .fetch_one(state.store.read())
            .await?;
    let no_test: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM exams e WHERE NOT EXISTS \
         (SELECT 1 FROM tests t WHERE t.exam_id = e.id AND t.replaced_ms IS NULL)",
    )
    .fetch_one(state.store.read())
    .await?;
    let people: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM people p \
         WHERE NOT EXISTS (SELECT 1 FROM staff_roles r WHERE r.person_id = p.id)",
    )
    .fetch_one(state.store.read())
    .await?;
    let acts: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM acts")
        .fetch_one(state.store.read())
        .await?;
    let whole = |count: i64| usize::try_from(count).unwrap_or_default();
    let mut entries = vec![("/console/people", whole(people), "await-people")];
    if page.may("test_centre") {
        entries.insert(0, ("/console/exams", whole(ahead), "await-sittings"));
        entries.push(("/console/exams", whole(no_test), "await-no-test"));
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
const NEAR_MAX: u32 = 12;
/// The most attempts under way that are counted for one proctor.
const COUNTED_MAX: u32 = 2_000;
