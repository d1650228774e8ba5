//! JSON bodies whose faults are told as problems.

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::Response;
use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::wire::{Problem, ProblemCode};
use qorgan_signing::Ring;
use serde::de::DeserializeOwned;

use super::error::problem_response;
use crate::auth::ProvedBody;
use crate::state::AppState;

/// A JSON body.
#[derive(Debug, Clone, Copy)]
pub struct ApiJson<T>(pub T);

impl<T: DeserializeOwned> FromRequest<AppState> for ApiJson<T> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let request = as_proved(request, state).await?;
        match Json::<T>::from_request(request, state).await {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem_response(&problem(&rejection))),
        }
    }
}

/// Refuses a body that is not the one that the request's proof covers (M11).
async fn as_proved(request: Request, state: &AppState) -> Result<Request, Response> {
    let Some(proved) = request.extensions().get::<ProvedBody>().copied() else {
        return Ok(request);
    };
    let (parts, body) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), body);
    let bytes = Bytes::from_request(whole, state)
        .await
        .map_err(|rejection| {
            let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ProblemCode::TooLarge
            } else {
                ProblemCode::BadRequest
            };
            problem_response(&refused(code, "the body cannot be read"))
        })?;
    if Ring.sha256(&[&bytes]) != proved.0 {
        let other = refused(ProblemCode::NotProved, "the proof is of another body");
        return Err(problem_response(&other));
    }
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn refused(code: ProblemCode, detail: &str) -> Problem {
    Problem {
        code,
        detail: detail.to_owned(),
        retry_after_s: None,
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
