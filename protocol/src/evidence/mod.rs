//! What is recorded, and how it is believed: chunks in hash chains, beats signed over their heads,
//! receipts signed by the server.
//!
//! # Invariants
//! * A chunk's header names the hash of the header before it, so a stream can only grow.
//! * A sealed recording's [`Manifest`] names every file; its root stands in the Merkle log.
//! * One signature a second and agent: the [`BeatBody`] covers the newest header of every stream.

mod beat;
mod chunk;
mod manifest;
pub mod merkle;
mod receipt;
pub mod side_log;
pub mod verify;

pub use beat::{Beat, BeatBody, Head};
pub use chunk::{ChainError, ChunkHeader, ChunkSeq, StreamChain};
pub use manifest::{
    Content, EpochPart, FileEntry, Manifest, StreamPart, Supplement, TimelineEntry, Unsealed,
    UnsealedEpoch, manifest_root,
};
pub use receipt::{AttemptKeyCertificate, AttemptRole, Receipt, ReceiptBatch};

pub use crate::stream::{SourceHealth, SourceState, StreamId, StreamKind};
