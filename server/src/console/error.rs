//! Why a page cannot be given; a layer turns it into a page in the visitor's language.

use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use qorgan_protocol::ids::IdError;
use qorgan_protocol::wire::ProblemCode;
use qorgan_signing::{KeyError, SealError};

use crate::acts::{ActError, BUSY_RETRY};
use crate::auth::AuthError;
use crate::registry::RegistryError;
use qorgan_store::StoreError;

/// What a handler of the console gives.
pub(super) type Answer = Result<Response, ConsoleError>;

/// Says why a page cannot be given.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConsoleError {
    /// A refusal.
    #[error("{}", .0.word())]
    Refused(ProblemCode),
    /// The console's own parts are not there.
    #[error("the console is not ready")]
    Unready,
    /// The registry refuses or fails.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Sign-in failed.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// A template failed.
    #[error("a page cannot be drawn")]
    Template(#[from] askama::Error),
    /// Something sealed cannot be made or opened.
    #[error("something sealed does not open")]
    Seal(#[from] SealError),
    /// There is no randomness.
    #[error("no randomness")]
    Key(#[from] KeyError),
    /// An act cannot be made.
    #[error(transparent)]
    Act(#[from] ActError),
}

impl From<qorgan_store::SqlError> for ConsoleError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

impl From<IdError> for ConsoleError {
    fn from(_not_an_id: IdError) -> Self {
        Self::Refused(ProblemCode::NotFound)
    }
}

/// Marks a response that becomes a page about a problem.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told(pub(super) ProblemCode);

impl ConsoleError {
    /// Returns the problem's code.
    pub(super) fn code(&self) -> ProblemCode {
        match self {
            Self::Refused(code) => *code,
            Self::Registry(error) => error.problem().code,
            Self::Auth(error) => error.problem().code,
            Self::Unready
            | Self::Store(_)
            | Self::Template(_)
            | Self::Seal(_)
            | Self::Key(_)
            | Self::Act(_) => ProblemCode::Unavailable,
        }
    }

    /// Returns in how many seconds to try again, where it is known.
    fn retry_after_s(&self) -> Option<u32> {
        match self {
            Self::Registry(error) => error.problem().retry_after_s,
            Self::Auth(error) => error.problem().retry_after_s,
            Self::Act(ActError::Busy) => u32::try_from(BUSY_RETRY.as_secs()).ok(),
            Self::Refused(_)
            | Self::Unready
            | Self::Store(_)
            | Self::Template(_)
            | Self::Seal(_)
            | Self::Key(_)
            | Self::Act(_) => None,
        }
    }
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        let code = self.code();
        let is_refusal = match &self {
            Self::Auth(error) => !error.is_fault(),
            Self::Act(ActError::Busy) => true,
            Self::Act(_)
            | Self::Refused(_)
            | Self::Unready
            | Self::Registry(_)
            | Self::Store(_)
            | Self::Template(_)
            | Self::Seal(_)
            | Self::Key(_) => false,
        };
        if code == ProblemCode::Unavailable && !is_refusal {
            tracing::error!(error = %chain(&self), "The console failed");
        }
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
        if let Some(seconds) = self.retry_after_s() {
            let value = HeaderValue::from(seconds);
            response.headers_mut().insert(RETRY_AFTER, value);
        }
        response.extensions_mut().insert(Told(code));
        response
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_come_again_is_told_when() {
        let too_many = AuthError::TooMany { retry_after_s: 91 };
        for (error, status, seconds) in [
            (ConsoleError::Act(ActError::Busy), 503, Some("30")),
            (ConsoleError::Auth(too_many), 429, Some("91")),
            (ConsoleError::Unready, 503, None),
        ] {
            let response = error.into_response();
            assert_eq!(response.status().as_u16(), status);
            let told = response.headers().get(RETRY_AFTER);
            assert_eq!(told.map(|value| value.to_str().expect("text")), seconds);
        }
    }
}
