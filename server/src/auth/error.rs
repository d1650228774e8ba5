//! Why somebody is not signed in.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use qorgan_protocol::wire::{PROOF_NONCE_HEADER, Problem, ProblemCode};
use qorgan_signing::{KeyError, SealError};

use qorgan_store::StoreError;

/// Says why a sign-in or a token is refused, or failed.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Login, password or second factor are wrong; which one is not said.
    #[error("login, password or code are wrong")]
    WrongPassword,
    /// The token is missing, wrong or over.
    #[error("not signed in")]
    NotSignedIn,
    /// The account may not do this.
    #[error("this account may not do this")]
    Forbidden,
    /// Too many tries.
    #[error("too many tries")]
    TooMany {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// The queue of sign-ins is full.
    #[error("the server is busy with sign-ins")]
    Busy {
        /// When to try again, in seconds.
        retry_after_s: u32,
    },
    /// A login or a password is longer than any can be.
    #[error("a login has at most 128 characters, a password 200")]
    TooLong,
    /// The password that was handed out is no longer good.
    #[error("the password that was handed out is over")]
    CodeOver,
    /// A proof does not hold.
    #[error("the proof does not hold: {detail}")]
    NotProved {
        /// Why.
        detail: &'static str,
    },
    /// A new password is too short or too long.
    #[error("a password needs 10 to 200 characters")]
    BadPassword,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password cannot be hashed.
    #[error("a password cannot be hashed")]
    Hash,
    /// There is no randomness.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A second factor does not open.
    #[error("a second factor does not open")]
    Seal(#[from] SealError),
}

impl From<qorgan_store::SqlError> for AuthError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

impl AuthError {
    /// Tells whether something failed that the server should not fail at; else it refuses as it should.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Store(_) | Self::Hash | Self::Key(_) | Self::Seal(_) => true,
            Self::WrongPassword
            | Self::NotSignedIn
            | Self::Forbidden
            | Self::TooMany { .. }
            | Self::Busy { .. }
            | Self::TooLong
            | Self::CodeOver
            | Self::NotProved { .. }
            | Self::BadPassword => false,
        }
    }

    /// Returns what the caller is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        let (code, retry_after_s) = match self {
            Self::WrongPassword => (ProblemCode::WrongPassword, None),
            Self::NotSignedIn => (ProblemCode::NotSignedIn, None),
            Self::Forbidden => (ProblemCode::Forbidden, None),
            Self::TooMany { retry_after_s } => (ProblemCode::TooMany, Some(*retry_after_s)),
            Self::Busy { retry_after_s } => (ProblemCode::Unavailable, Some(*retry_after_s)),
            Self::NotProved { .. } => (ProblemCode::NotProved, None),
            Self::CodeOver => (ProblemCode::CodeOver, None),
            Self::BadPassword | Self::TooLong => (ProblemCode::BadRequest, None),
            Self::Store(_) | Self::Hash | Self::Key(_) | Self::Seal(_) => {
                let detail = "the server cannot do this now".to_owned();
                return Problem {
                    code: ProblemCode::Unavailable,
                    detail,
                    retry_after_s: Some(5),
                };
            }
        };
        Problem {
            code,
            detail: self.to_string(),
            retry_after_s,
        }
    }
}

/// The answer of an extractor that does not let the handler be called.
#[derive(Debug)]
pub enum AuthRejection {
    /// A program is told in JSON.
    Problem(Problem),
    /// The proof of a request names an old nonce; the client signs anew with this one.
    StaleProof {
        /// The nonce to use.
        nonce: [u8; 16],
    },
    /// A person is led to the sign-in page.
    SignIn {
        /// Whether htmx asked, which follows another header.
        htmx: bool,
    },
}

impl IntoResponse for AuthRejection {
    fn into_response(self) -> Response {
        match self {
            Self::Problem(problem) => {
                let status = StatusCode::from_u16(problem.code.status())
                    .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
                let wait = problem.retry_after_s;
                let mut response = (status, Json(problem)).into_response();
                if let Some(seconds) = wait {
                    let value = HeaderValue::from(seconds);
                    response.headers_mut().insert(header::RETRY_AFTER, value);
                }
                response
            }
            Self::StaleProof { nonce } => {
                let problem = Problem {
                    code: ProblemCode::StaleProof,
                    detail: "sign the request anew with the nonce of the header".to_owned(),
                    retry_after_s: None,
                };
                let header = [(PROOF_NONCE_HEADER, hex::encode(nonce))];
                (StatusCode::UNAUTHORIZED, header, Json(problem)).into_response()
            }
            Self::SignIn { htmx } => {
                let to = HeaderValue::from_static(SIGN_IN_PAGE);
                if htmx {
                    (StatusCode::OK, [("hx-redirect", to)]).into_response()
                } else {
                    (StatusCode::SEE_OTHER, [(header::LOCATION, to)]).into_response()
                }
            }
        }
    }
}

const SIGN_IN_PAGE: &str = "/console/sign-in";
