//! JSON bodies whose faults are told as problems.

use axum::Json;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use qorgan_protocol::wire::{Problem, ProblemCode};
use serde::de::DeserializeOwned;

use super::error::problem_response;
use crate::state::AppState;

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem_response(&problem(&rejection))),
        }
    }
}

fn problem(rejection: &JsonRejection) -> Problem {
    let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
        ProblemCode::TooLarge
    } else {
        ProblemCode::BadRequest
    };
    Problem {
        code,
        detail: rejection
            .body_text()
            .chars()
            .take(DETAIL_CHARS_MAX)
            .collect(),
        retry_after_s: None,
    }
}

const DETAIL_CHARS_MAX: usize = 300;
