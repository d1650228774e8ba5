//! Who watches and reviews a sitting: assigned by the testing centre or an administrator.

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::ids::SittingId;
use qorgan_protocol::wire::ProblemCode;

use super::error::{Answer, ConsoleError};
use super::posted::Posted;
use crate::auth::Office;
use crate::state::AppState;
use qorgan_store::assigned::{AssignError, assign};

/// `POST /console/sittings/{sitting}/proctors`: assigns a proctor, or withdraws them.
pub(super) async fn change(
    State(state): State<AppState>,
    Path(sitting): Path<String>,
    posted: Posted<Office>,
) -> Answer {
    let sitting: SittingId = sitting.parse()?;
    let assigned = match posted.fields.get("action") {
        "assign" => true,
        "withdraw" => false,
        _ => return Err(ConsoleError::Refused(ProblemCode::BadRequest)),
    };
    let actor = posted.staff.session.person.to_string();
    let by = (state.clock.wall(), actor.as_str());
    let whom = (sitting, posted.fields.get("login"));
    let mut tx = state.store.begin().await?;
    let problem = match assign(&mut tx, &state.keys, by, whom, assigned).await {
        Ok(_person) => "",
        Err(AssignError::NoProctor) => "?problem=proctors-no-proctor",
        Err(AssignError::NoSitting) => return Err(ConsoleError::Refused(ProblemCode::NotFound)),
        Err(AssignError::Store(error)) => return Err(error.into()),
    };
    if problem.is_empty() {
        tx.commit().await?;
    }
    let there = format!("/console/sittings/{sitting}{problem}#proctors");
    Ok(Redirect::to(&there).into_response())
}
