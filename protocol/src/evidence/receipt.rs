//! What the server signs: receipts for chunks, certificates for keys.

use serde::{Deserialize, Serialize};

use super::chunk::ChunkSeq;
use crate::crypto::{Label, PublicKey, Sha256, Signable};
use crate::ids::{AttemptId, BootId, Epoch};
use crate::stream::StreamId;
use crate::time::WallTime;

/// The server has this chunk on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Which stream.
    pub stream: StreamId,
    /// Which chunk.
    pub seq: ChunkSeq,
    /// Hash of its header.
    pub header: Sha256,
}

/// Receipts under one signature; each covers its chunk and, by the chain, all before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBatch {
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// When they were on disk, by the server's clock.
    pub at: WallTime,
    /// The newest stored chunk of each stream that grew.
    pub receipts: Vec<Receipt>,
    /// The beat that comes next: all before it are on disk.
    pub beat_next: u64,
}

impl Signable for ReceiptBatch {
    const LABEL: Label = Label::Receipts;
    const VERSION: u16 = 1;
    const NAME: &'static str = "receipt batch";
}

/// Which program holds an attempt key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttemptRole {
    /// The kiosk.
    Client,
    /// The proctoring agent.
    Agent,
}

/// The server's word that a key belongs to one program of one attempt in one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AttemptKeyCertificate {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine.
    pub epoch: Epoch,
    /// Which program.
    pub role: AttemptRole,
    /// Its key.
    pub key: PublicKey,
    /// The run of the kernel in which the key was made.
    pub boot: BootId,
    /// When it was certified.
    pub issued: WallTime,
    /// After this it is void.
    pub expires: WallTime,
}

impl Signable for AttemptKeyCertificate {
    const LABEL: Label = Label::AttemptKeyCertificate;
    const VERSION: u16 = 1;
    const NAME: &'static str = "attempt key certificate";
}
