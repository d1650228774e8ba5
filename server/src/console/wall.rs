//! The proctor's wall: one tile a candidate, those first who need a person.

use askama::Template;
use axum::extract::{Query, State};
use qorgan_protocol::attempt::AttemptPhase;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::{GateLine, GateLineState, IdentityState};
use serde::Deserialize;

use super::error::{Answer, ConsoleError};
use super::page::{Page, Visitor, encode, show};
use super::paging::{PageOf, Pager};
use super::store::{SittingsOf, sittings};
use crate::auth::{Proctor, Staff};
use crate::registry::{BoardLine, BoardOf, BoardQuery};
use crate::state::AppState;
use qorgan_store::assigned::Scope;

/// One tile.
#[derive(Debug)]
pub(super) struct Tile {
    attempt: AttemptId,
    attention: u8,
    name: String,
    word: &'static str,
    phase: String,
    time: String,
    sources: Vec<(&'static str, String)>,
    call: Option<String>,
    incident: Option<String>,
    incident_at: String,
}

#[derive(Debug, Template)]
#[template(path = "console/wall.html")]
struct WallPage {
    page: Page,
    sitting: String,
    q: String,
    /// Where the tiles' facts come from.
    facts: String,
    sittings: Vec<(String, String)>,
    tiles: Vec<Tile>,
    pager: Pager,
}

#[derive(Debug, Template)]
#[template(path = "console/_tiles.html")]
struct TilesPart {
    page: Page,
    tiles: Vec<Tile>,
}

/// Which sitting is shown, empty for every open one, and whose names hold what is searched for.
#[derive(Debug, Deserialize)]
pub(super) struct Which {
    #[serde(default)]
    sitting: String,
    #[serde(default)]
    q: String,
    #[serde(default)]
    page: String,
}

/// `GET /console/wall`.
pub(super) async fn wall(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(which): Query<Which>,
    staff: Staff<Proctor>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let now = state.clock.wall().unix_ms();
    let scope = staff.session.scope::<Proctor>();
    let open = SittingsOf::After(now, scope);
    let open = sittings(&state.store, open, (0, CHOICES_MAX)).await?;
    let choices = open
        .iter()
        .map(|one| {
            let when = page.date_time(Some(one.opens_ms));
            (one.id.to_string(), format!("{when} · {}", one.title))
        })
        .collect();
    let (tiles, pager) = tiles_of(&state, &page, &which, scope).await?;
    show(&WallPage {
        page,
        facts: format!(
            "/console/wall/tiles?sitting={}&q={}&page={}",
            encode(&which.sitting),
            encode(&which.q),
            pager.number
        ),
        pager,
        sitting: which.sitting,
        q: which.q,
        sittings: choices,
        tiles,
    })
}

/// `GET /console/wall/tiles`: the tiles alone.
pub(super) async fn tiles(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(which): Query<Which>,
    staff: Staff<Proctor>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let scope = staff.session.scope::<Proctor>();
    let (tiles, _pager) = tiles_of(&state, &page, &which, scope).await?;
    show(&TilesPart { page, tiles })
}

async fn tiles_of(
    state: &AppState,
    page: &Page,
    which: &Which,
    scope: Scope,
) -> Result<(Vec<Tile>, Pager), ConsoleError> {
    let part = PageOf::read(&which.page, TILES);
    let (offset, limit) = part.range();
    let sitting = match which.sitting.as_str() {
        "" => None,
        named => Some(named.parse()?),
    };
    let query = BoardQuery {
        scope,
        of: BoardOf::UnderWay(sitting),
        named: which.q.clone(),
        offset,
        limit,
    };
    let mut lines = state.registry.board(&query).await?;
    let asked = [("sitting", which.sitting.as_str()), ("q", which.q.as_str())];
    let pager = part.cut(&mut lines, "/console/wall", &asked);
    let now_ms = state.clock.wall().unix_ms();
    // One that ended a moment ago may still be stored as under way.
    let live = lines.iter().filter(|line| is_live(&line.phase));
    let mut tiles: Vec<Tile> = live.map(|line| tile(page, line, now_ms)).collect();
    tiles.sort_by(|a, b| {
        b.attention
            .cmp(&a.attention)
            .then_with(|| a.name.cmp(&b.name))
    });
    Ok((tiles, pager))
}

const fn is_live(phase: &AttemptPhase) -> bool {
    match phase {
        AttemptPhase::CheckIn { .. }
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. } => true,
        AttemptPhase::Scheduled
        | AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => false,
    }
}

fn tile(page: &Page, line: &BoardLine, now_ms: i64) -> Tile {
    let (mut incident, mut incident_at, mut grave) = (None, String::new(), false);
    if let Some(newest) = &line.newest {
        incident = Some(page.t(&format!("kind-{}", newest.kind)));
        incident_at = page.clock(Some(newest.began_ms));
        let fresh = now_ms.saturating_sub(newest.began_ms) < FRESH_MS;
        grave = newest.severity >= GRAVE && fresh;
    }
    let call = call(line).map(|key| page.t(key));
    let attention = match (&call, grave, line.unreviewed > 0) {
        (Some(_), _, _) => 3,
        (None, true, _) => 2,
        (None, false, true) => 1,
        (None, false, false) => 0,
    };
    Tile {
        attempt: line.attempt,
        attention,
        name: line.candidate.clone(),
        word: line.phase.word(),
        phase: page.t(&format!("phase-{}", line.phase.word())),
        time: clock_of(line.remaining_ms),
        sources: sources(page, &line.gate),
        call,
        incident,
        incident_at,
    }
}

/// Returns the key of what waits for a person now.
fn call(line: &BoardLine) -> Option<&'static str> {
    if line.moves_open > 0 {
        Some("call-move")
    } else if line.hand_raised {
        Some("call-hand")
    } else if line.identity == IdentityState::Waiting {
        Some("call-identity")
    } else if line.machine_waits {
        Some("call-machine")
    } else if line.waits_for_proctor {
        Some("call-gate")
    } else if matches!(line.phase, AttemptPhase::Paused { .. })
        && line
            .gate
            .iter()
            .any(|source| source.state == GateLineState::Lost)
    {
        Some("call-lost")
    } else {
        None
    }
}

/// Returns each required source with its state's word.
pub(super) fn sources(page: &Page, gate: &[GateLine]) -> Vec<(&'static str, String)> {
    gate.iter()
        .map(|source| {
            let word = match source.state {
                GateLineState::Live => "live",
                GateLineState::Waiting => "waiting",
                GateLineState::Lost => "lost",
                GateLineState::NotAllowed => "not_allowed",
            };
            (word, page.t(&format!("source-{}", source.source.word())))
        })
        .collect()
}

fn clock_of(ms: u64) -> String {
    let seconds = ms / 1_000;
    format!(
        "{:02}:{:02}:{:02}",
        seconds / 3_600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// An incident from this severity on puts a tile forward while it is fresh.
const GRAVE: f64 = 0.6;
/// How long an incident is fresh.
const FRESH_MS: i64 = 60_000;
/// The most tiles of a page.
const TILES: u32 = 500;
/// The most sittings that are offered; the address names any.
const CHOICES_MAX: u32 = 200;
