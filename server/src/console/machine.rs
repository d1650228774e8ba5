//! What an attempt's page says of the candidate's machine and of who speaks for the attempt.

use axum::extract::{Path, State};
use axum::response::IntoResponse as _;
use qorgan_protocol::attempt::CheckName;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::wire::{ProblemCode, SystemCheckLine};

use super::candidate::{after, back};
use super::error::{Answer, ConsoleError};
use super::page::Page;
use super::posted::Posted;
use crate::auth::Proctor;
use crate::registry::MachineStanding;
use crate::state::AppState;

/// What a page says of the machine.
#[derive(Debug)]
pub(super) struct MachineFacts {
    /// What a proctor is to decide about, in words; nothing where nothing waits.
    pub(super) waits_for: Option<String>,
    /// When the newest check was told.
    pub(super) checked: Option<String>,
    /// Why that check does not pass; nothing where it does.
    pub(super) faults: Vec<String>,
    /// Its lines.
    pub(super) lines: Vec<LineView>,
    /// The newest words of the kiosk's lockdown, newest first: when, what, facts.
    pub(super) events: Vec<(String, String, String)>,
    /// That there are more.
    pub(super) more: Option<String>,
    /// Program, address, first and last heard.
    pub(super) addresses: Vec<(String, String, String, String)>,
    /// When each start of the client took the attempt.
    pub(super) starts: Vec<String>,
    /// That there are more.
    pub(super) starts_more: Option<String>,
}

/// A line of a check as a page shows it.
#[derive(Debug)]
pub(super) struct LineView {
    /// What was checked.
    pub(super) name: String,
    /// `ok`, `warning` or `failed`.
    pub(super) word: &'static str,
    /// How it came out.
    pub(super) result: String,
    /// What was found.
    pub(super) detail: String,
}

impl MachineFacts {
    /// Reads what a page says of an attempt's machine.
    pub(super) async fn read(
        state: &AppState,
        page: &Page,
        attempt: AttemptId,
    ) -> Result<Self, ConsoleError> {
        let standing: String =
            qorgan_store::query_scalar("SELECT machine FROM attempts WHERE id = $1")
                .bind(attempt.to_string())
                .fetch_one(state.store.read())
                .await?;
        let standing: MachineStanding = qorgan_store::json("machine", &standing)?;
        let name = |word: &String| check_words(page, word);
        let waits_for = standing.waits().then(|| {
            let waiting = standing.to_decide.iter();
            let waiting = waiting.filter(|word| !standing.accepted.contains(word));
            waiting.map(name).collect::<Vec<_>>().join(", ")
        });
        let (checked, lines, faults) = newest_check(state, page, attempt).await?;
        let (events, more) = events(state, page, attempt).await?;
        let (starts, starts_more) = starts(state, page, attempt).await?;
        Ok(Self {
            waits_for,
            checked,
            faults,
            lines,
            events,
            more,
            addresses: addresses(state, page, attempt).await?,
            starts,
            starts_more,
        })
    }
}

/// Returns the name of a check; the word itself where it is not known.
fn check_words(page: &Page, word: &str) -> String {
    CheckName::from_word(word).map_or_else(
        || word.to_owned(),
        |check| page.t(&format!("check-{}", check.word())),
    )
}

type NewestCheck = (Option<String>, Vec<LineView>, Vec<String>);

async fn newest_check(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<NewestCheck, ConsoleError> {
    let row = qorgan_store::query(
        "SELECT at_ms, lines, faults FROM system_checks WHERE attempt_id = $1 \
         ORDER BY id DESC LIMIT 1",
    )
    .bind(attempt.to_string())
    .fetch_optional(state.store.read())
    .await?;
    let Some(row) = row else {
        return Ok((None, Vec::new(), Vec::new()));
    };
    let lines: Vec<SystemCheckLine> =
        qorgan_store::json("system check", &row.get::<String>("lines")?)?;
    let view = |line: &SystemCheckLine| LineView {
        name: check_words(page, &line.check),
        word: line.result.word(),
        result: page.t(&format!("check-{}", line.result.word())),
        detail: line.detail.clone(),
    };
    let faults: String = row.get("faults")?;
    Ok((
        Some(page.date_time(Some(row.get("at_ms")?))),
        lines.iter().map(view).collect(),
        faults.lines().map(str::to_owned).collect(),
    ))
}

type Events = (Vec<(String, String, String)>, Option<String>);

async fn events(state: &AppState, page: &Page, attempt: AttemptId) -> Result<Events, ConsoleError> {
    let rows = qorgan_store::query(
        "SELECT kind, at_ms, detail FROM client_events WHERE attempt_id = $1 \
         ORDER BY id DESC LIMIT 50",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        let kind: String = row.get("kind")?;
        events.push((
            page.clock(Some(row.get("at_ms")?)),
            page.t(&format!("event-{kind}")),
            row.get("detail")?,
        ));
    }
    let all: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM client_events WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_one(state.store.read())
            .await?;
    let more = page.only_newest(events.len(), all);
    Ok((events, more))
}

async fn addresses(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<Vec<(String, String, String, String)>, ConsoleError> {
    let lines = state.registry.addresses(attempt).await?;
    let view = |line: crate::registry::AddressLine| {
        (
            page.t(&format!("program-{}", line.program)),
            line.address,
            page.clock(Some(line.first.unix_ms())),
            page.clock(Some(line.last.unix_ms())),
        )
    };
    Ok(lines.into_iter().map(view).collect())
}

async fn starts(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<(Vec<String>, Option<String>), ConsoleError> {
    let times: Vec<(i64, i64)> = qorgan_store::query_as(
        "SELECT at_ms, COUNT(*) OVER () FROM attempt_instances WHERE attempt_id = $1 \
         ORDER BY id DESC LIMIT 20",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let all = times.first().map_or(0, |(_, all)| *all);
    let more = page.only_newest(times.len(), all);
    let starts = times.into_iter().map(|(at, _)| page.clock(Some(at)));
    Ok((starts.collect(), more))
}

/// `POST /console/attempts/{attempt}/machine`: a proctor accepts the machine, with a reason.
pub(super) async fn accept(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let reason = posted.fields.get("reason").trim();
    if reason.is_empty() {
        return Ok(back(attempt, Some(ProblemCode::BadRequest)).into_response());
    }
    let by = posted.staff.session.person;
    after(
        attempt,
        state.registry.accept_machine(attempt, by, reason).await,
    )
}
