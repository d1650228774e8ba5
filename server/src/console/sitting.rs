//! One sitting: its live board and its admission sheet.

use askama::Template;
use axum::extract::{Path, State};
use qorgan_protocol::ids::SittingId;
use qorgan_protocol::wire::ProblemCode;

use super::board::{BoardRow, board as board_of};
use super::error::{Answer, ConsoleError};
use super::home::SittingLine;
use super::imports::{PreviewTable, PreviewWords, read_admission_sheet, show_checked, show_faults};
use super::page::{Page, Visitor, show};
use super::people::csv_file;
use super::posted::Uploaded;
use super::preview::Checked;
use super::store::{SittingFacts, sitting as facts_of};
use crate::auth::{Staff, TestCentre, Watcher};
use crate::state::AppState;

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
    staff: Staff<Watcher>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let (board, board_summary) = board_of(&state, &page, &facts).await?;
    show(&SittingPage {
        id: facts.id,
        sitting: SittingLine::of(&page, &facts),
        exam_href: format!("/console/exams/{}", facts.exam),
        minutes: facts.duration_ms / 60_000,
        board,
        board_summary,
        page,
    })
}

/// `GET /console/sittings/{sitting}/board`: the board alone, for htmx.
pub(super) async fn board(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    staff: Staff<Watcher>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let (board, board_summary) = board_of(&state, &page, &facts).await?;
    show(&BoardPart {
        page,
        board,
        board_summary,
    })
}

/// `GET /console/sittings/{sitting}/board.csv`.
pub(super) async fn export(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    staff: Staff<Watcher>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let facts = facts(&state, &id).await?;
    let keys = [
        "candidate",
        "login",
        "group",
        "phase",
        "since",
        "started",
        "submitted",
        "remarks",
    ];
    let mut rows = vec![keys.iter().map(|key| page.t(key)).collect::<Vec<_>>()];
    for one in board_of(&state, &page, &facts).await?.0 {
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
    let rows = match read {
        Err(faults) => return show_faults(page, words, &faults),
        Ok(rows) => rows,
    };
    let admitted = rows.iter().filter(|row| row.admitted).count();
    let keys = ["line", "login", "admitted", "reason"];
    let mut headings: Vec<String> = keys.iter().map(|key| page.t(key)).collect();
    headings.insert(2, "ЖР".to_owned());
    let table = PreviewTable {
        summary: vec![
            page.t1("preview-admitted", "n", admitted),
            page.t1("preview-not-admitted", "n", rows.len() - admitted),
        ],
        headings,
        rows: rows
            .iter()
            .map(|row| {
                let key = if row.admitted {
                    "ask-yes"
                } else {
                    "remark-not-admitted"
                };
                vec![
                    row.line.to_string(),
                    row.login.clone(),
                    row.rating
                        .map(|rating| rating.to_string())
                        .unwrap_or_default(),
                    page.t(key),
                    row.reason.clone(),
                ]
            })
            .collect(),
    };
    let checked = (Checked::Admission(facts.id, rows), table);
    show_checked(&state, &visitor, &upload.staff, words, checked)
}
