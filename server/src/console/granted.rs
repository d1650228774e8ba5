//! What candidates of a sitting are granted, so that it does not count against them (SOP 7): the list,
//! and one candidate's change until check-in.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::ids::SittingId;
use qorgan_protocol::incident::Allowance;

use super::error::Answer;
use super::imports::log;
use super::page::Page;
use super::posted::Posted;
use crate::auth::TestCentre;
use crate::state::AppState;
use qorgan_store::StoreError;
use qorgan_store::exams::{GrantError, grant};

/// What a sitting's page shows of what is granted.
#[derive(Debug)]
pub(super) struct Granted {
    /// Everybody who has not checked in: login and name.
    pub(super) open: Vec<(String, String)>,
    /// Everybody who is granted something: name and what.
    pub(super) lines: Vec<(String, String)>,
    /// What may be granted: the field's name, its words and what then does not count.
    pub(super) boxes: Vec<(&'static str, String, String)>,
}

impl Granted {
    /// Reads a sitting's list.
    pub(super) async fn read(
        state: &AppState,
        page: &Page,
        sitting: SittingId,
    ) -> Result<Self, StoreError> {
        let rows = qorgan_store::query(
            "SELECT p.login, p.display_name, d.allowances, CAST(CASE WHEN EXISTS \
             (SELECT 1 FROM attempts a \
             WHERE a.sitting_id = d.sitting_id AND a.person_id = d.person_id \
             AND a.watch IS NOT NULL AND a.phase_word <> 'void') \
             THEN 1 ELSE 0 END AS BIGINT) AS checked_in \
             FROM admissions d JOIN people p ON p.id = d.person_id \
             WHERE d.sitting_id = $1 AND d.admitted = 1 ORDER BY p.folded NULLS FIRST LIMIT $2",
        )
        .bind(sitting.to_string())
        .bind(LISTED_MAX)
        .fetch_all(state.store.read())
        .await?;
        let (mut open, mut lines) = (Vec::new(), Vec::new());
        for row in rows {
            let name: String = row.get("display_name")?;
            let granted: Vec<Allowance> =
                qorgan_store::json("allowances", &row.get::<String>("allowances")?)?;
            if !granted.is_empty() {
                lines.push((name.clone(), words(page, &granted)));
            }
            if !row.get::<bool>("checked_in")? {
                open.push((row.get("login")?, name));
            }
        }
        let field = |allowance: Allowance| {
            let kinds = allowance.excuses().iter();
            let kinds: Vec<String> = kinds
                .map(|kind| page.t(&format!("kind-{}", kind.word())))
                .collect();
            let hint = page.t1("granted-excuses", "list", kinds.join("; "));
            (allowance.word(), words(page, &[allowance]), hint)
        };
        Ok(Self {
            open,
            lines,
            boxes: Allowance::ALL.map(field).into(),
        })
    }
}

/// Names allowances in a page's language.
pub(super) fn words(page: &Page, allowances: &[Allowance]) -> String {
    let words = allowances.iter();
    let words = words.map(|one| page.t(&format!("allowance-{}", one.word())));
    words.collect::<Vec<_>>().join("; ")
}

/// `POST /console/sittings/{sitting}/granted`: grants a candidate exactly what is ticked.
//= tests/data/sop-2-28.md#7-admission
pub(super) async fn change(
    State(state): State<AppState>,
    Path(sitting): Path<String>,
    posted: Posted<TestCentre>,
) -> Answer {
    let sitting: SittingId = sitting.parse()?;
    let ticked = |one: &Allowance| !posted.fields.get(one.word()).is_empty();
    let granted: Vec<Allowance> = Allowance::ALL.into_iter().filter(ticked).collect();
    let mut tx = state.store.begin().await?;
    let whose = (sitting, posted.fields.get("login"));
    let person = match grant(&mut tx, state.clock.wall(), whose, &granted).await {
        Ok(person) => person,
        Err(GrantError::NotListed) => return Ok(back(sitting, "?problem=granted-not-listed")),
        Err(GrantError::CheckedIn) => return Ok(back(sitting, "?problem=granted-checked-in")),
        Err(GrantError::Store(error)) => return Err(error.into()),
    };
    let actor = posted.staff.session.person.to_string();
    let detail: Vec<&str> = granted.iter().map(|one| one.word()).collect();
    let subject = format!("{sitting} {person}");
    log(
        &mut tx,
        &state,
        &actor,
        ("granted", &subject, &detail.join(" ")),
    )
    .await?;
    tx.commit().await?;
    Ok(back(sitting, ""))
}

fn back(sitting: SittingId, problem: &str) -> axum::response::Response {
    Redirect::to(&format!("/console/sittings/{sitting}{problem}#granted")).into_response()
}

/// The most candidates that the form offers; the admission sheet grants to any.
const LISTED_MAX: u32 = 2_000;
