//! The manifest of a sealed recording: it names everything, and the server signs it.

use serde::{Deserialize, Serialize};

use super::merkle;
use crate::attempt::GatePolicy;
use crate::codec::{self, CodecError};
use crate::crypto::{Hasher, Label, Sha256, Signable, SignedBytes};
use crate::ids::{AttemptId, Epoch, ExamId, PersonId, SittingId};
use crate::stream::SourceStatement;
use crate::stream::StreamId;
use crate::time::WallTime;

/// What a file must hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Content {
    /// Bytes with this SHA-256.
    Bytes(Sha256),
    /// The payloads of the chunks that a side log describes, one after another; the log's headers
    /// hold their hashes, so that a fault is found to the chunk and each byte is hashed once.
    Chunks {
        /// The side log's name.
        log: String,
        /// How many chunks.
        chunks: u64,
        /// Hash of the last header.
        head: Sha256,
    },
}

/// One file of an export.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEntry {
    /// Its name: `a-z`, `0-9`, `.` and `-`.
    pub name: String,
    /// Its length, in bytes.
    pub len: u64,
    /// What it holds.
    pub content: Content,
}

/// One stream of one epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamPart {
    /// Which stream.
    pub stream: StreamId,
    /// How many chunks.
    pub chunks: u64,
    /// Hash of the last header.
    pub head: Sha256,
}

/// What was recorded on one machine (decision 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EpochPart {
    /// On which machine and key.
    pub epoch: Epoch,
    /// Every signed [`super::AttemptKeyCertificate`] of an agent, in the order of issue.
    pub certificates: Vec<SignedBytes>,
    /// What fed the sources.
    pub sources: Vec<SourceStatement>,
    /// When the first chunk came, by the server's clock.
    pub began: WallTime,
    /// Every stream, sorted.
    pub streams: Vec<StreamPart>,
    /// How many beats.
    pub beats: u64,
    /// Hash of the last beat, [`Sha256::ZERO`] when none.
    pub beat_head: Sha256,
}

/// When the attempt entered a phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineEntry {
    /// When, by the server's clock.
    pub at: WallTime,
    /// The phase's word.
    pub phase: String,
    /// The cause's word, or nothing.
    pub cause: String,
}

/// Everything that a sealed recording is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// The exam.
    pub exam: ExamId,
    /// The sitting.
    pub sitting: SittingId,
    /// The candidate.
    pub candidate: PersonId,
    /// The policy in force for this candidate, with what is watched for.
    pub policy: GatePolicy,
    /// Every epoch, in order.
    pub epochs: Vec<EpochPart>,
    /// Every phase, in order.
    pub timeline: Vec<TimelineEntry>,
    /// Every file but the manifest itself, its proof and the supplement, sorted by name.
    pub files: Vec<FileEntry>,
    /// Hash of the incidents as they were when the recording was sealed.
    pub incidents: Sha256,
    /// [`manifest_root`] of the files.
    pub root: Sha256,
    /// When it was sealed, by the server's clock.
    pub sealed: WallTime,
}

impl Signable for Manifest {
    const LABEL: Label = Label::Manifest;
    const VERSION: u16 = 5;
    const NAME: &'static str = "manifest";
}

/// What an export holds that came after the seal: acts, reviews.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supplement {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// Hash of the signed manifest's bytes.
    pub manifest: Sha256,
    /// When it was exported, by the server's clock.
    pub at: WallTime,
    /// The files, sorted by name.
    pub files: Vec<FileEntry>,
}

impl Signable for Supplement {
    const LABEL: Label = Label::Supplement;
    const VERSION: u16 = 1;
    const NAME: &'static str = "supplement";
}

/// What stands in place of the manifest where nothing was sealed: the server's word on what there
/// was when it was exported, never on a finished recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsealed {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// When it was exported, by the server's clock.
    pub at: WallTime,
    /// Every epoch, in order.
    pub epochs: Vec<UnsealedEpoch>,
    /// Every file but the statement itself, sorted by name.
    pub files: Vec<FileEntry>,
}

impl Signable for Unsealed {
    const LABEL: Label = Label::Unsealed;
    const VERSION: u16 = 1;
    const NAME: &'static str = "unsealed recording";
}

/// One epoch of an unsealed recording.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnsealedEpoch {
    /// Every signed certificate of an agent.
    pub certificates: Vec<SignedBytes>,
    /// The signed [`super::ReceiptBatch`] over the newest chunks.
    pub receipts: SignedBytes,
}

/// Returns the RFC 6962 root over the canonical bytes of every file's entry.
///
/// # Errors
/// None in practice: an entry can always be written.
pub fn manifest_root(hasher: &impl Hasher, files: &[FileEntry]) -> Result<Sha256, CodecError> {
    let mut leaves = Vec::with_capacity(files.len());
    for file in files {
        leaves.push(merkle::leaf_hash(
            hasher,
            &codec::encode("file entry", file)?,
        ));
    }
    Ok(merkle::tree_root(hasher, &leaves))
}
