//! Requests with a client's token.

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use qorgan_protocol::crypto::Hasher as _;
use qorgan_protocol::wire::{Problem, ProblemCode};
use qorgan_signing::Ring;

use super::error::problem_response;
use crate::auth::Signed;
use crate::registry::Caller;
use crate::state::AppState;

/// A request that a client's device signed, body and all. A route has no other way to a client's
/// token, so that none can leave the body out of what the proof covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct ByClient<B = NoBody>(pub(super) Caller, pub(super) B);

/// The body of a request that has no use for one.
#[derive(Debug, Clone, Copy)]
pub(super) struct NoBody;

impl FromRequest<AppState> for NoBody {
    type Rejection = Response;

    async fn from_request(_request: Request, _state: &AppState) -> Result<Self, Response> {
        Ok(Self)
    }
}

impl<B: FromRequest<AppState, Rejection = Response>> FromRequest<AppState> for ByClient<B> {
    type Rejection = Response;

    async fn from_request(request: Request, state: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let signed = Signed::by(&mut parts, state).await;
        let signed = signed.map_err(|rejection| rejection.into_response())?;
        let whole = Request::from_parts(parts.clone(), body);
        let bytes = Bytes::from_request(whole, state).await;
        let bytes = bytes.map_err(|rejection| {
            let code = if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
                ProblemCode::TooLarge
            } else {
                ProblemCode::BadRequest
            };
            refused(code, "the body cannot be read")
        })?;
        if Ring.sha256(&[&bytes]) != signed.body {
            let detail = "the proof is of another body";
            return Err(refused(ProblemCode::NotProved, detail));
        }
        let read = B::from_request(Request::from_parts(parts, Body::from(bytes)), state).await?;
        Ok(Self(signed.caller, read))
    }
}

fn refused(code: ProblemCode, detail: &str) -> Response {
    problem_response(&Problem {
        code,
        detail: detail.to_owned(),
        retry_after_s: None,
    })
}
