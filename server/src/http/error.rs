//! Errors as replies: told once, logged where they are the server's.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qorgan_protocol::wire::{Problem, ProblemCode};

use crate::auth::AuthError;
use crate::registry::RegistryError;
use qorgan_store::StoreError;

/// The ways in which a handler of the API fails.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The registry refuses or fails.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Sign-in refuses or fails.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ApiError {
    /// Makes a refusal.
    #[must_use]
    pub fn refuse(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::Registry(RegistryError::refuse(code, detail))
    }

    /// Tells whether something failed that must be looked at; a full queue has been told to the caller.
    fn is_fault(&self) -> bool {
        match self {
            Self::Registry(error) => error.problem().code == ProblemCode::Unavailable,
            Self::Auth(error) => error.is_fault(),
            Self::Store(_) => true,
        }
    }

    fn problem(&self) -> Problem {
        match self {
            Self::Registry(error) => error.problem(),
            Self::Auth(error) => error.problem(),
            Self::Store(_) => Problem {
                code: ProblemCode::Unavailable,
                detail: "the server cannot do this now".to_owned(),
                retry_after_s: Some(5),
            },
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        if self.is_fault() {
            let cause = std::error::Error::source(&self).map(ToString::to_string);
            tracing::error!(error = %self, cause = cause.unwrap_or_default(), "A request failed");
        }
        problem_response(&problem)
    }
}

/// Returns a problem as a reply.
pub(super) fn problem_response(problem: &Problem) -> Response {
    let status =
        StatusCode::from_u16(problem.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, Json(problem)).into_response();
    if let Some(seconds) = problem.retry_after_s {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}
