//! Sealing, export and offline verification of recordings (decision 5).
//!
//! # Invariants
//! * A recording is sealed once, after its attempt was submitted or terminated and its links ended;
//!   its leaf stands in the Merkle log before the attempt counts as sealed.
//! * An export holds the exact CMAF bytes; what came after the seal stands in a signed supplement.
//! * Every file of an export is hashed into what the server signs, also where nothing was sealed.

pub(crate) mod clip;
mod delivery;
mod due;
mod export;
mod folder;
mod machine;
mod records;
mod replay;
mod seal;

use std::path::PathBuf;

use qorgan_protocol::codec::CodecError;
use qorgan_protocol::crypto::StatementError;

use crate::registry::RegistryError;
use qorgan_recordings::RecordingError;
use qorgan_store::StoreError;

pub(crate) use export::missing_from;
pub use export::{Exported, ScoredInputs, export};
pub use folder::{FolderSource, trusted_keys};
pub use replay::{Again, Replayed, ReplayedLine, replay};
pub use seal::{recording_root, run_sealer, seal};

/// Says why a recording cannot be sealed or exported.
#[derive(Debug, thiserror::Error)]
pub enum EvidenceError {
    /// There is no such attempt.
    #[error("there is no such attempt")]
    NoAttempt,
    /// The attempt is not over.
    #[error("the attempt is not over: it is {phase}")]
    NotOver {
        /// Where it stands.
        phase: String,
    },
    /// The folder to export to is not empty or cannot be written.
    #[error("cannot export to {path}")]
    Folder {
        /// Which folder or file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The key to trust cannot be read.
    #[error("`{text}` is neither a key of 64 hexadecimal digits nor a file with such keys")]
    Trust {
        /// What was given.
        text: String,
    },
    /// The recording cannot be read.
    #[error(transparent)]
    Recording(#[from] RecordingError),
    /// An act cannot be read.
    #[error("an act cannot be read")]
    Act(#[source] Box<crate::acts::ActError>),
    /// The registry failed.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A structure cannot be written or read.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// A structure cannot be signed.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// Incidents cannot be written.
    #[error("incidents cannot be written")]
    Json(#[from] serde_json::Error),
}

impl From<qorgan_store::SqlError> for EvidenceError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::from(error))
    }
}
