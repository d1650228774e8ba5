//! Acts: the list, the sealed PDF, and the public page that verifies one without naming anybody.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use qorgan_protocol::wire::ProblemCode;

use super::error::{Answer, ConsoleError};
use super::page::{Page, Visitor, show};
use super::paging::{PageOf, Pager, WhichPage};
use super::store::custody;
use crate::acts;
use crate::auth::{Staff, Watcher};
use crate::state::AppState;

#[derive(Debug, Template)]
#[template(path = "console/acts.html")]
struct ActsPage {
    page: Page,
    pager: Pager,
    acts: Vec<ActLine>,
}

#[derive(Debug)]
struct ActLine {
    id: String,
    number: String,
    registered: String,
    attempt: String,
    name: String,
    exam: String,
    state: String,
    verify: String,
}

/// `GET /console/acts`.
pub(super) async fn acts(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(which): Query<WhichPage>,
    staff: Staff<Watcher>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let part = PageOf::read(&which.page, LINES);
    let scope = staff.session.scope::<Watcher>();
    let mut found = acts::register(&state, scope, part.range()).await?;
    let pager = part.cut(&mut found, "/console/acts", &[]);
    let acts = found
        .into_iter()
        .map(|one| ActLine {
            registered: page.date_time(Some(one.registered_ms)),
            state: page.t(&format!("act-state-{}", one.state)),
            verify: format!("/verify/{}", one.code),
            id: one.id,
            number: one.number,
            attempt: one.attempt,
            name: one.candidate,
            exam: one.exam,
        })
        .collect();
    show(&ActsPage { page, pager, acts })
}

/// `GET /console/acts/{act}`: the sealed PDF; taking it stands in the custody record.
pub(super) async fn download(
    State(state): State<AppState>,
    Path(act): Path<String>,
    staff: Staff<Watcher>,
) -> Answer {
    let found = acts::sealed_pdf(&state, act.parse()?)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let mut tx = state.store.begin().await?;
    let who = (found.attempt, staff.session.person);
    let at = state.clock.wall();
    custody(
        &mut tx,
        state.institution(),
        who,
        at,
        ("took_act", &found.number),
    )
    .await?;
    tx.commit().await?;
    let name = found.number.replace('/', "-");
    let attachment = format!("attachment; filename=\"act-{name}.pdf\"");
    let headers = [
        (CONTENT_TYPE, "application/pdf".to_owned()),
        (CONTENT_DISPOSITION, attachment),
    ];
    Ok((headers, found.pdf).into_response())
}

#[derive(Debug, Template)]
#[template(path = "console/verify.html")]
struct VerifyPage {
    page: Page,
    number: String,
    registered: String,
    state: String,
    hash: String,
    root: String,
}

/// `GET /verify/{code}`: open to everybody who has the code; no names.
pub(super) async fn verify(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(code): Path<String>,
) -> Answer {
    let found = acts::by_code(&state, &code)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let page = Page::new(&state, &visitor, None);
    show(&VerifyPage {
        number: found.number,
        registered: page.date_time(Some(found.registered_ms)),
        state: page.t(&format!("act-state-{}", found.state)),
        hash: hex::encode(found.pdf_hash),
        root: hex::encode(found.recording_root),
        page,
    })
}

/// The most acts that a page shows.
const LINES: u32 = 100;
