//! JSON bodies whose faults are told as problems.

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, StatusCode, header};
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
        let read = if is_json(request.headers()) {
            let bytes = Bytes::from_request(request, state).await;
            match bytes {
                Ok(bytes) if holds_nul(&bytes) => return Err(problem_response(&nul())),
                Ok(bytes) => Json::<T>::from_bytes(&bytes),
                Err(rejection) => Err(rejection.into()),
            }
        } else {
            Json::<T>::from_request(request, state).await
        };
        match read {
            Ok(Json(value)) => Ok(Self(value)),
            Err(rejection) => Err(problem_response(&problem(&rejection))),
        }
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE);
    kind.and_then(|kind| kind.to_str().ok())
        .is_some_and(|kind| kind.starts_with("application/json"))
}

/// Tells whether a JSON text holds U+0000, which no database of ours keeps in a text.
fn holds_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\' || *byte == 0) {
        rest = rest.get(at..).unwrap_or_default();
        if rest.first() == Some(&0) || rest.starts_with(b"\\u0000") {
            return true;
        }
        rest = rest.get(2..).unwrap_or_default();
    }
    false
}

fn nul() -> Problem {
    Problem {
        code: ProblemCode::BadRequest,
        detail: "a text holds the character U+0000".to_owned(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nul_is_found_however_it_is_written_and_a_backslash_is_none() {
        for bad in [&b"{\"a\":\"x\\u0000\"}"[..], b"\"\\\\\\u0000\"", b"\"\0\""] {
            assert!(holds_nul(bad), "{bad:?}");
        }
        for good in [&b"{\"a\":\"\\\\u0000\"}"[..], b"\"\\u0001\"", b"\"\\", b""] {
            assert!(!holds_nul(good), "{good:?}");
        }
    }
}
