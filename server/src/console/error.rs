//! Why a page cannot be given; a layer turns it into a page in the visitor's language.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use qorgan_protocol::ids::IdError;
use qorgan_protocol::wire::ProblemCode;
use qorgan_signing::{KeyError, SealError};

use crate::acts::ActError;
use crate::auth::AuthError;
use crate::registry::RegistryError;
use crate::store::StoreError;

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

impl From<sqlx::Error> for ConsoleError {
    fn from(error: sqlx::Error) -> Self {
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
}

impl IntoResponse for ConsoleError {
    fn into_response(self) -> Response {
        let code = self.code();
        let is_refusal = matches!(&self, Self::Auth(error) if !error.is_fault());
        if code == ProblemCode::Unavailable && !is_refusal {
            tracing::error!(error = %chain(&self), "The console failed");
        }
        let status =
            StatusCode::from_u16(code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = status.into_response();
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
