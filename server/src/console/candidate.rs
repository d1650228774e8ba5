//! One candidate large: streams, state, messages, and what a proctor can do.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::attempt::{AttemptPhase, TerminationCause};
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::wire::ProblemCode;
use serde::Deserialize;

use super::error::{Answer, ConsoleError};
use super::identity::{DOCUMENT_CHANGED, IdentityFacts};
use super::machine::MachineFacts;
use super::page::{Page, Visitor, show};
use super::posted::Posted;
use super::reasons::{particulars, reason};
use super::store::{IncidentRow, custody, newest_incidents, person};
use super::wall::sources;
use crate::auth::{Proctor, Staff, Watcher};
use crate::evidence::clip::Clip;
use crate::registry::{BoardLine, ControlAction, message_place};
use crate::state::AppState;
use qorgan_store::exams;

/// What a page says about an attempt.
#[derive(Debug)]
pub(super) struct AttemptFacts {
    pub(super) attempt: AttemptId,
    pub(super) sitting: String,
    pub(super) name: String,
    pub(super) exam: String,
    pub(super) group: String,
    pub(super) word: &'static str,
    pub(super) phase: String,
    cause: Option<String>,
    since: String,
    sources: Vec<(&'static str, String)>,
    hand: bool,
    pub(super) identity: IdentityFacts,
    gate_waits: bool,
    can_message: bool,
    can_pause: bool,
    can_resume: bool,
    can_terminate: bool,
    moves: Vec<(i64, String)>,
    talk: Vec<(String, String, String)>,
    /// That there are older messages.
    talk_more: Option<String>,
}

impl AttemptFacts {
    /// Reads what a page says about an attempt.
    pub(super) async fn read(
        state: &AppState,
        page: &Page,
        attempt: AttemptId,
    ) -> Result<Self, ConsoleError> {
        let line = state.registry.board_line(attempt).await?;
        let who = person(&state.store, line.person).await?;
        let (talk, talk_more) = talk(state, page, attempt).await?;
        let live = matches!(
            line.phase,
            AttemptPhase::CheckIn { .. }
                | AttemptPhase::Ready { .. }
                | AttemptPhase::Running { .. }
                | AttemptPhase::Paused { .. }
        );
        Ok(Self {
            attempt,
            sitting: line.sitting.to_string(),
            name: who.name,
            exam: line.exam_title.clone(),
            group: who.group,
            word: line.phase.word(),
            phase: page.t(&format!("phase-{}", line.phase.word())),
            cause: cause(page, &line),
            since: page.date_time(Some(line.since.unix_ms())),
            sources: sources(page, &line.gate),
            hand: line.hand_raised,
            identity: IdentityFacts::read(state, page, &line).await?,
            gate_waits: line.waits_for_proctor,
            can_message: live,
            can_pause: matches!(line.phase, AttemptPhase::Running { .. }),
            can_resume: matches!(line.phase, AttemptPhase::Paused { .. }),
            can_terminate: live,
            moves: moves(state, page, attempt).await?,
            talk,
            talk_more,
        })
    }
}

fn cause(page: &Page, line: &BoardLine) -> Option<String> {
    let AttemptPhase::Paused { cause, .. } = line.phase else {
        return None;
    };
    let word = serde_json::to_value(cause).ok()?;
    Some(page.t(&format!("cause-{}", word.as_str()?)))
}

async fn moves(
    state: &AppState,
    page: &Page,
    attempt: AttemptId,
) -> Result<Vec<(i64, String)>, ConsoleError> {
    let moves = state.registry.moves(attempt).await?;
    Ok(moves
        .into_iter()
        .map(|one| (one.id, page.clock(Some(one.asked.unix_ms()))))
        .collect())
}

type Talk = (Vec<(String, String, String)>, Option<String>);

async fn talk(state: &AppState, page: &Page, attempt: AttemptId) -> Result<Talk, ConsoleError> {
    let rows = qorgan_store::query(
        "SELECT * FROM (SELECT id, sender, at_ms, sealed, COUNT(*) OVER () AS counted \
         FROM messages WHERE attempt_id = $1 ORDER BY at_ms DESC, id DESC LIMIT $2) AS newest \
         ORDER BY at_ms, id",
    )
    .bind(attempt.to_string())
    .bind(TALK_SHOWN)
    .fetch_all(state.store.read())
    .await?;
    let Some(first) = rows.first() else {
        return Ok((Vec::new(), None));
    };
    let more = page.only_newest(rows.len(), first.get("counted")?);
    let key = exams::attempt_key(&state.store, &state.keys, attempt).await?;
    let mut talk = Vec::with_capacity(rows.len());
    for row in rows {
        let id: String = row.get("id")?;
        let sealed: Vec<u8> = row.get("sealed")?;
        let plain = key.open(message_place(&id).as_bytes(), &sealed)?;
        let sender: String = row.get("sender")?;
        talk.push((
            page.clock(Some(row.get("at_ms")?)),
            page.t(&format!("from-{sender}")),
            String::from_utf8_lossy(&plain).into_owned(),
        ));
    }
    Ok((talk, more))
}

/// An incident as a page shows it.
#[derive(Debug)]
pub(super) struct IncidentLine {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) grade: u8,
    pub(super) severity: String,
    pub(super) shape: &'static str,
    pub(super) at: String,
    pub(super) us: u64,
    pub(super) epoch: u32,
    pub(super) observations: i64,
    pub(super) word: String,
    /// Why it was raised, in plain words.
    pub(super) reason: String,
    /// What programs say of it.
    pub(super) particulars: String,
    /// What of the recording shows it.
    pub(super) clip: Option<Clip>,
    pub(super) verdict: &'static str,
    pub(super) judged: String,
    pub(super) note: String,
}

impl IncidentLine {
    /// Puts incidents into words; who judged one is named where `judges` knows the name.
    pub(super) fn list(
        page: &Page,
        rows: &[IncidentRow],
        judges: &BTreeMap<PersonId, String>,
    ) -> Vec<Self> {
        rows.iter()
            .map(|row| {
                let judge = row.judgement.as_ref().and_then(|one| judges.get(&one.by));
                Self::of(page, row, judge.map(String::as_str))
            })
            .collect()
    }

    fn of(page: &Page, row: &IncidentRow, judge: Option<&str>) -> Self {
        let judgement = row.judgement.as_ref();
        Self {
            id: row.id.to_string(),
            kind: page.t(&format!("kind-{}", row.kind)),
            grade: grade(row.severity),
            severity: format!("{:.2}", row.severity),
            shape: shape(&row.kind),
            at: page.clock(Some(row.began_ms)),
            us: row.began_us,
            epoch: row.epoch.0,
            observations: row.observations,
            word: row.kind.clone(),
            reason: reason(page, row),
            particulars: particulars(row),
            clip: None,
            verdict: judgement.map_or("", |one| one.verdict.word()),
            judged: judge
                .map(|name| page.t1("judged-by", "name", name))
                .unwrap_or_default(),
            note: judgement.map(|one| one.note.clone()).unwrap_or_default(),
        }
    }
}

fn grade(severity: f64) -> u8 {
    if severity >= 0.7 {
        3
    } else if severity >= 0.5 {
        2
    } else {
        1
    }
}

/// Returns the shape of a mark: what kind of thing was seen.
fn shape(kind: &str) -> &'static str {
    match kind {
        "camera_covered"
        | "camera_frozen"
        | "virtual_camera"
        | "nobody_in_view"
        | "second_face"
        | "impersonation"
        | "looking_away"
        | "phone_in_view"
        | "presentation_attack"
        | "head_not_turned" => "picture",
        "microphone_muted" | "microphone_changed" | "another_voice" | "talking" | "whisper"
        | "voice_not_enrolled" | "virtual_microphone" => "sound",
        "window_switch"
        | "foreign_window"
        | "lockdown_breach"
        | "second_display"
        | "denied_process"
        | "remote_control"
        | "clipboard_changed"
        | "virtual_machine"
        | "remote_session"
        | "system_check"
        | "focus_lost"
        | "client_restarted"
        | "accessibility_switched"
        | "lock_incomplete"
        | "nested_display"
        | "terminal_switched"
        | "foreign_input" => "window",
        _ => "link",
    }
}

#[derive(Debug, Template)]
#[template(path = "console/candidate.html")]
struct CandidatePage {
    page: Page,
    facts: AttemptFacts,
    machine: MachineFacts,
    views: Vec<LiveView>,
    streams: String,
    incidents: Vec<IncidentLine>,
    problem: Option<String>,
}

#[derive(Debug, Template)]
#[template(path = "console/_now.html")]
struct NowPart {
    page: Page,
    facts: AttemptFacts,
    /// What is worth a look now: a page that shows something else is loaded anew.
    streams: String,
    incidents: Vec<IncidentLine>,
}

/// One stream that is shown live.
#[derive(Debug)]
struct LiveView {
    stream: StreamId,
    words: String,
    has_sound: bool,
}

/// Returns the streams that a page shows: before the first one comes, a camera and a display.
fn live_streams(state: &AppState, attempt: AttemptId) -> Vec<StreamId> {
    let streams = state.live.streams(attempt);
    if streams.is_empty() {
        let first = |kind| StreamId { kind, index: 0 };
        return vec![first(StreamKind::Camera), first(StreamKind::Screen)];
    }
    streams
}

fn words_of(streams: &[StreamId]) -> String {
    let words: Vec<String> = streams.iter().map(ToString::to_string).collect();
    words.join(" ")
}

fn live_view(page: &Page, stream: StreamId) -> LiveView {
    LiveView {
        stream,
        words: source_words(page, stream),
        has_sound: stream.kind != StreamKind::Screen,
    }
}

/// Names a stream, by number where it is not the first of its kind.
pub(super) fn source_words(page: &Page, stream: StreamId) -> String {
    let words = page.t(&format!("source-{}", stream.kind.word()));
    if stream.index == 0 {
        return words;
    }
    format!("{words} {}", u16::from(stream.index) + 1)
}

/// What went wrong on the way here.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    problem: String,
}

/// `GET /console/attempts/{attempt}`; the look stands in the custody record.
pub(super) async fn candidate(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    Query(told): Query<Told>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = AttemptFacts::read(&state, &page, attempt).await?;
    let mut tx = state.store.begin().await?;
    let who = (attempt, staff.session.person);
    let at = state.clock.wall();
    custody(&mut tx, state.institution(), who, at, ("watched_live", "")).await?;
    tx.commit().await?;
    let rows = newest_incidents(&state.store, attempt, INCIDENTS_SHOWN).await?;
    let known = ["wrong_phase", "bad_request"].contains(&told.problem.as_str());
    let problem = match told.problem.as_str() {
        DOCUMENT_CHANGED => Some(page.t(DOCUMENT_CHANGED)),
        problem => known.then(|| page.t(&format!("remedy-{problem}"))),
    };
    let streams = live_streams(&state, attempt);
    let machine = MachineFacts::read(&state, &page, attempt).await?;
    show(&CandidatePage {
        facts,
        machine,
        views: streams.iter().map(|one| live_view(&page, *one)).collect(),
        streams: words_of(&streams),
        incidents: IncidentLine::list(&page, &rows, &BTreeMap::new()),
        problem,
        page,
    })
}

/// `GET /console/attempts/{attempt}/now`: state, messages and incidents alone.
pub(super) async fn now(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    staff: Staff<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = AttemptFacts::read(&state, &page, attempt).await?;
    let rows = newest_incidents(&state.store, attempt, INCIDENTS_SHOWN).await?;
    show(&NowPart {
        facts,
        streams: words_of(&live_streams(&state, attempt)),
        incidents: IncidentLine::list(&page, &rows, &BTreeMap::new()),
        page,
    })
}

/// `POST /console/attempts/{attempt}/control`.
pub(super) async fn control(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let reason = posted.fields.get("reason");
    let (action, needs_reason) = match posted.fields.get("action") {
        "open_gate" => (ControlAction::OpenGate, false),
        "pause" => (ControlAction::Pause, true),
        "resume" => (ControlAction::Resume, false),
        "terminate" => (ControlAction::Terminate(TerminationCause::Proctor), true),
        "flag" => (ControlAction::Flag, true),
        _ => return Err(ConsoleError::Refused(ProblemCode::BadRequest)),
    };
    if needs_reason && reason.is_empty() {
        return Ok(back(attempt, Some(ProblemCode::BadRequest)).into_response());
    }
    let by = posted.staff.session.person;
    let done = state.registry.control(attempt, action, by, reason).await;
    after(attempt, done)
}

/// `POST /console/attempts/{attempt}/move`.
pub(super) async fn decide_move(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Watcher>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let request = posted.fields.get("request").parse();
    let request = request.map_err(|_none| ConsoleError::Refused(ProblemCode::BadRequest))?;
    let approved = posted.fields.get("approved") == "yes";
    let by = posted.staff.session.person;
    after(
        attempt,
        state
            .registry
            .approve_move(attempt, request, approved, by)
            .await,
    )
}

/// `POST /console/attempts/{attempt}/message`.
pub(super) async fn message(
    State(state): State<AppState>,
    Path(attempt): Path<String>,
    posted: Posted<Proctor>,
) -> Answer {
    let attempt: AttemptId = attempt.parse()?;
    let by = posted.staff.session.person;
    after(
        attempt,
        state
            .registry
            .message(attempt, by, posted.fields.get("text"))
            .await,
    )
}

pub(super) fn after(
    attempt: AttemptId,
    done: Result<(), crate::registry::RegistryError>,
) -> Answer {
    match done {
        Ok(()) => Ok(back(attempt, None).into_response()),
        Err(error) => {
            let code = error.problem().code;
            if matches!(code, ProblemCode::WrongPhase | ProblemCode::BadRequest) {
                Ok(back(attempt, Some(code)).into_response())
            } else {
                Err(error.into())
            }
        }
    }
}

pub(super) fn back(attempt: AttemptId, problem: Option<ProblemCode>) -> Redirect {
    let told = problem
        .map(|code| format!("?problem={}", code.word()))
        .unwrap_or_default();
    Redirect::to(&format!("/console/attempts/{attempt}{told}"))
}

/// The newest messages that a page shows.
const TALK_SHOWN: u32 = 100;
/// The newest incidents that a live page shows; the review shows all.
const INCIDENTS_SHOWN: u32 = 200;
