//! Why the registry refuses.

use std::time::Duration;

use qorgan_protocol::attempt::{EntryRefused, GateError, PauseCause};
use qorgan_protocol::codec::CodecError;
use qorgan_protocol::crypto::StatementError;
use qorgan_protocol::wire::{Problem, ProblemCode};
use qorgan_signing::{KeyError, SealError};

use qorgan_store::StoreError;

/// Says why the registry refuses or fails.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// A refusal that the caller is told.
    #[error("{}: {}", problem.code.word(), problem.detail)]
    Problem {
        /// What the caller is told.
        problem: Problem,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something cannot be sealed or opened.
    #[error("sealing failed")]
    Seal(#[from] SealError),
    /// A statement cannot be made.
    #[error("a statement cannot be signed")]
    Statement(#[from] StatementError),
    /// A statement cannot be written or read.
    #[error("bytes cannot be written")]
    Codec(#[from] CodecError),
    /// A key cannot be made.
    #[error("a key cannot be made")]
    Key(#[from] KeyError),
}

impl RegistryError {
    /// Makes a refusal.
    #[must_use]
    pub fn refuse(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::Problem {
            problem: Problem {
                code,
                detail: detail.into(),
                retry_after_s: None,
            },
        }
    }

    /// Refuses what may be asked again after a while; told in whole seconds, at least one.
    pub(crate) fn slow_down(detail: impl Into<String>, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        Self::Problem {
            problem: Problem {
                code: ProblemCode::TooMany,
                detail: detail.into(),
                retry_after_s: Some(u32::try_from(seconds).unwrap_or(u32::MAX)),
            },
        }
    }

    /// Refuses because items are covered.
    pub(crate) fn covered(cause: Option<PauseCause>) -> Self {
        let detail = cause.map_or_else(
            || "there is no lease".to_owned(),
            |cause| format!("items are covered: {cause:?}"),
        );
        Self::refuse(ProblemCode::Covered, detail)
    }

    /// Returns what the caller is told.
    #[must_use]
    pub fn problem(&self) -> Problem {
        match self {
            Self::Problem { problem } => problem.clone(),
            Self::Store(_) | Self::Seal(_) | Self::Statement(_) | Self::Codec(_) | Self::Key(_) => {
                Problem {
                    code: ProblemCode::Unavailable,
                    detail: "the server cannot do this now".to_owned(),
                    retry_after_s: Some(5),
                }
            }
        }
    }
}

impl From<qorgan_store::SqlError> for RegistryError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

impl From<GateError> for RegistryError {
    fn from(error: GateError) -> Self {
        match error {
            GateError::Closed => Self::refuse(ProblemCode::GateClosed, error.to_string()),
            GateError::Entry(refused) => Self::from(refused),
            GateError::Refused(refused) => {
                Self::refuse(ProblemCode::WrongPhase, refused.to_string())
            }
        }
    }
}

impl From<EntryRefused> for RegistryError {
    fn from(refused: EntryRefused) -> Self {
        let code = match refused {
            EntryRefused::NotAdmitted => ProblemCode::NotAdmitted,
            EntryRefused::TooEarly => ProblemCode::TooEarly,
            EntryRefused::TooLate => ProblemCode::TooLate,
        };
        Self::refuse(code, refused.to_string())
    }
}
