//! One sitting: its live board and its admission sheet.

use askama::Template;
use axum::extract::{Path, Query, State};
use qorgan_protocol::attempt::{GateMode, GatePolicy, MachineRule, PauseCredit};
use qorgan_protocol::ids::SittingId;
use qorgan_protocol::incident::{Sensitivity, WatchPolicy};
use qorgan_protocol::wire::ProblemCode;
use qorgan_server_core::sitting::fields;
use serde::Deserialize;

use super::admission_sheet::{preview_table, read_admission_sheet};
use super::board::{BoardRow, board as board_of};
use super::error::{Answer, ConsoleError};
use super::granted::Granted;
use super::home::SittingLine;
use super::imports::{PreviewWords, show_checked, show_faults};
use super::page::{Page, Visitor, show};
use super::paging::{PageOf, Pager};
use super::people::csv_file;
use super::posted::Uploaded;
use super::preview::Checked;
use super::store::{SittingFacts, sitting as facts_of};
use crate::auth::{AnyStaff, Staff, TestCentre, Watcher};
use crate::state::AppState;
use qorgan_store::assigned::{Proctors, proctors};
use qorgan_store::{StoreError, audit};

#[derive(Debug, Template)]
#[template(path = "console/sitting.html")]
struct SittingPage {
    page: Page,
    id: SittingId,
    sitting: SittingLine,
    exam_href: String,
    minutes: i64,
    board: Vec<BoardRow>,
    board_summary: String,
    pager: Pager,
    settings: Vec<(String, String)>,
    simulated: bool,
    granted: Granted,
    proctors: Proctors,
    problem: Option<String>,
}

/// Which page of the board, and what went wrong on the way here.
#[derive(Debug, Deserialize)]
pub(super) struct Told {
    #[serde(default)]
    problem: String,
    #[serde(default)]
    page: String,
}

/// Reads a page of the board, its summary and the links.
async fn board_page(
    state: &AppState,
    page: &Page,
    facts: &SittingFacts,
    typed: &str,
) -> Result<(Vec<BoardRow>, String, Pager), ConsoleError> {
    let part = PageOf::read(typed, BOARD_LINES);
    let (mut board, summary) = board_of(state, page, (facts, part)).await?;
    let pager = part.cut(&mut board, &format!("/console/sittings/{}", facts.id), &[]);
    Ok((board, summary, pager))
}

#[derive(Debug, Template)]
#[template(path = "console/_board.html")]
struct BoardPart {
    page: Page,
    board: Vec<BoardRow>,
    board_summary: String,
}

async fn facts(state: &AppState, text: &str) -> Result<SittingFacts, ConsoleError> {
    let id: SittingId = text.parse()?;
    facts_of(&state.store, id)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))
}

/// `GET /console/sittings/{sitting}`.
pub(super) async fn sitting(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(told): Query<Told>,
    staff: Staff<AnyStaff>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let (board, board_summary, pager) = board_page(&state, &page, &facts, &told.page).await?;
    let known = PROBLEMS.contains(&told.problem.as_str());
    let set = settings(&state, facts.id).await?;
    show(&SittingPage {
        id: facts.id,
        granted: Granted::read(&state, &page, facts.id).await?,
        proctors: proctors(&state.store, facts.id).await?,
        problem: known.then(|| page.t(&told.problem)),
        simulated: set.policy.simulated_sources,
        settings: set.lines(&page),
        sitting: SittingLine::of(&page, &facts),
        exam_href: format!("/console/exams/{}", facts.exam),
        minutes: facts.duration_ms / 60_000,
        board,
        board_summary,
        pager,
        page,
    })
}

/// What a sitting is set to.
struct Settings {
    policy: GatePolicy,
    bandwidth: String,
    deny: Vec<String>,
    allow: Vec<String>,
}

async fn settings(state: &AppState, sitting: SittingId) -> Result<Settings, StoreError> {
    let row: (String, String, String, String) = qorgan_store::query_as(
        "SELECT policy, bandwidth, deny_processes, allow_processes FROM sittings WHERE id = $1",
    )
    .bind(sitting.to_string())
    .fetch_one(state.store.read())
    .await?;
    Ok(Settings {
        policy: qorgan_store::json("gate policy", &row.0)?,
        bandwidth: row.1,
        deny: qorgan_store::json("process list", &row.2)?,
        allow: qorgan_store::json("process list", &row.3)?,
    })
}

impl Settings {
    /// Puts the settings into words: label and value.
    fn lines(&self, page: &Page) -> Vec<(String, String)> {
        let policy = &self.policy;
        let required: Vec<String> = policy
            .required()
            .into_iter()
            .map(|kind| page.t(&format!("source-{}", kind.word())))
            .collect();
        let seconds = |ms: u64| (ms / 1_000).to_string();
        let yes = |value: bool| page.t(if value { "yes" } else { "no" });
        let programs = |list: &[String]| {
            if list.is_empty() {
                "—".to_owned()
            } else {
                list.join(", ")
            }
        };
        let opens = policy.proctor_opens || policy.mode == GateMode::OnSite;
        let lines = [
            ("required", required.join(", ")),
            ("displays", policy.displays_max.to_string()),
            ("proctor-opens", yes(opens)),
            ("identity-before-start", yes(policy.identity_before_start)),
            ("identity-document", yes(policy.identity_document)),
            ("freshness", yes(policy.freshness)),
            ("grace-agent-s", seconds(policy.grace.agent_ms)),
            ("grace-network-s", seconds(policy.grace.network_ms)),
            (
                "late-delivery-minutes",
                (policy.late_delivery_ms_max / 60_000).to_string(),
            ),
            ("items-ahead", policy.pace.ahead.to_string()),
            ("items-per-minute", policy.pace.per_minute.to_string()),
            ("credit-covered-time", yes(policy.credit_covered_time)),
            ("credit", credits(page, policy.pause_credit)),
            (
                "virtual-machine",
                rule(page, policy.machine.virtual_machine),
            ),
            ("remote-session", rule(page, policy.machine.remote_session)),
            ("proxy", rule(page, policy.machine.proxy)),
            ("nested-display", rule(page, policy.nested_display)),
            ("monitor-microphone", rule(page, policy.monitor_microphone)),
            ("watch", watched(page, &policy.watch)),
            ("bandwidth", page.t(&format!("sitting-{}", self.bandwidth))),
            ("deny", programs(&self.deny)),
            ("allow", programs(&self.allow)),
            ("simulated-sources", yes(policy.simulated_sources)),
        ];
        let line = |(key, value): (&str, String)| (page.t(&format!("sitting-{key}")), value);
        lines.into_iter().map(line).collect()
    }
}

fn rule(page: &Page, rule: MachineRule) -> String {
    page.t(&format!("rule-{}", rule.word()))
}

/// Names how many minutes are given back, by cause.
fn credits(page: &Page, credit: PauseCredit) -> String {
    let parts = fields::PAUSE_CREDIT.map(|(name, cause)| {
        let minutes = credit.bound(cause).as_secs() / 60;
        let label = page.t(&format!("sitting-{}", name.replace('_', "-")));
        format!("{label}: {minutes}")
    });
    parts.join("; ")
}

/// Names the kinds that are not watched for as they were measured.
fn watched(page: &Page, watch: &WatchPolicy) -> String {
    let set = WatchPolicy::settable().filter_map(|kind| {
        let sensitivity = watch.sensitivity(kind);
        let word = format!("sensitivity-{}", sensitivity.word());
        let differs = sensitivity != Sensitivity::Normal;
        differs.then(|| {
            format!(
                "{}: {}",
                page.t(&format!("kind-{}", kind.word())),
                page.t(&word)
            )
        })
    });
    let set: Vec<String> = set.collect();
    if set.is_empty() {
        page.t("sitting-watch-all")
    } else {
        set.join("; ")
    }
}

/// `GET /console/sittings/{sitting}/board`: the board alone, for htmx.
pub(super) async fn board(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    Query(told): Query<Told>,
    staff: Staff<AnyStaff>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let (board, board_summary, _pager) = board_page(&state, &page, &facts, &told.page).await?;
    show(&BoardPart {
        page,
        board,
        board_summary,
    })
}

/// `GET /console/sittings/{sitting}/board.csv`; that it was taken stands in the audit log.
pub(super) async fn export(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    staff: Staff<Watcher>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let mut rows = vec![BOARD_KEYS.iter().map(|key| page.t(key)).collect::<Vec<_>>()];
    let whole = PageOf::read("1", EXPORT_LINES_MAX);
    let lines = board_of(&state, &page, (&facts, whole)).await?.0;
    let mut tx = state.store.begin().await?;
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor: &staff.session.person.to_string(),
        action: "board_exported",
        subject: &facts.id.to_string(),
        detail: &lines.len().to_string(),
    };
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    for one in lines {
        let remarks: Vec<String> = one.remarks.into_iter().map(|(_, text)| text).collect();
        rows.push(vec![
            one.name,
            one.login,
            one.group,
            one.phase,
            one.since,
            one.started,
            one.submitted,
            remarks.join(", "),
        ]);
    }
    Ok(csv_file("board.csv", &rows))
}

/// `POST /console/sittings/{sitting}/admissions`: checks a sheet and shows what it would change.
pub(super) async fn import(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    upload: Uploaded<TestCentre>,
) -> Answer {
    let facts = facts(&state, &id).await?;
    let page = Page::new(&state, &visitor, Some(&upload.staff.session));
    let words = PreviewWords {
        title: "import-admission",
        file: upload.name.clone(),
        back: format!("/console/sittings/{}", facts.id),
        clause: "clause-7",
    };
    let read = read_admission_sheet(&state, facts.id, &upload.name, &upload.bytes).await?;
    let sheet = match read {
        Err(faults) => return show_faults(page, words, &faults),
        Ok(sheet) => sheet,
    };
    let table = preview_table(&state, &page, facts.id, &sheet).await?;
    let checked = (Checked::Admission(facts.id, sheet.rows), table);
    show_checked(&state, &visitor, &upload.staff, words, checked)
}

/// What a page of this kind may say that went wrong.
const PROBLEMS: [&str; 3] = [
    "granted-not-listed",
    "granted-checked-in",
    "proctors-no-proctor",
];
/// The most candidates that a page of the board shows.
const BOARD_LINES: u32 = 250;
/// The most candidates of an exported board: more than a sitting can have.
const EXPORT_LINES_MAX: u32 = 50_000;
/// The headings of an exported board; each list that is read in knows them or skips them.
pub(super) const BOARD_KEYS: [&str; 8] = [
    "candidate",
    "login",
    "group",
    "phase",
    "since",
    "started",
    "submitted",
    "remarks",
];
