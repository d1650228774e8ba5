//! Why a link ends, and the word that its agent gets.

use qorgan_protocol::link::{LinkRefusal, RefusalReason};

use crate::registry::RegistryError;
use qorgan_recordings::RecordingError;

/// Why a link ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkEnd {
    /// The agent left, or the network did.
    #[error("the agent left")]
    Left,
    /// The agent sent something that is not to be believed.
    #[error("refused: {0}")]
    Refused(#[from] LinkRefusal),
    /// The recording cannot be stored.
    #[error("the recording cannot be stored")]
    Recording(#[from] RecordingError),
    /// The registry refused or failed.
    #[error("the registry failed")]
    Registry(#[from] RegistryError),
    /// The agent cannot be told everything in time: it greets again and is told how things stand.
    #[error("commands were lost: greet again")]
    Lagged,
    /// The attempt has recorded as much as it may.
    #[error("the recording is as large as it may be")]
    Full,
    /// A signed structure cannot be made.
    #[error("a receipt cannot be signed")]
    Statement(#[from] qorgan_protocol::crypto::StatementError),
}

impl LinkEnd {
    /// Returns the word for the agent; `None` where nobody listens.
    pub(super) fn refusal(&self) -> Option<LinkRefusal> {
        match self {
            Self::Left => None,
            Self::Refused(refusal) => Some(refusal.clone()),
            Self::Recording(RecordingError::Superseded) => Some(LinkRefusal::new(
                RefusalReason::Replaced,
                "another link took over",
            )),
            Self::Recording(
                why @ (RecordingError::NoRoom
                | RecordingError::Busy
                | RecordingError::Closed
                | RecordingError::Failed),
            ) => Some(LinkRefusal::new(RefusalReason::ShuttingDown, why)),
            Self::Lagged | Self::Full => Some(LinkRefusal::new(RefusalReason::ShuttingDown, self)),
            Self::Recording(_) | Self::Registry(_) | Self::Statement(_) => Some(LinkRefusal::new(
                RefusalReason::ShuttingDown,
                "the server cannot take the recording now",
            )),
        }
    }
}
