//! The beat: what the agent signs once a second over all its streams.

use serde::{Deserialize, Serialize};

use super::chunk::ChunkSeq;
use crate::crypto::{Label, Sha256, Signable, SignedBytes};
use crate::ids::{AttemptId, BootId, Epoch};
use crate::stream::{SourceHealth, StreamId};
use crate::time::{Now, WallTime};

/// The newest chunk of one stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Which stream.
    pub stream: StreamId,
    /// Its newest chunk.
    pub seq: ChunkSeq,
    /// Hash of that chunk's header.
    pub header: Sha256,
}

/// What a beat states.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BeatBody {
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// The beat's place, from 0 within the epoch.
    pub seq: u64,
    /// Hash of the beat before ([`SignedBytes::bytes`]), [`Sha256::ZERO`] for the first.
    pub previous: Sha256,
    /// The run of the machine's kernel.
    pub boot: BootId,
    /// The agent's monotonic clock.
    pub monotonic: Now,
    /// The machine's wall clock: evidence, never input.
    pub wall: WallTime,
    /// The newest chunk of every stream, sorted by stream.
    pub heads: Vec<Head>,
    /// Every device, sorted by source.
    pub sources: Vec<SourceHealth>,
    /// Bytes that wait in the spool.
    pub spooled_bytes: u64,
}

impl Signable for BeatBody {
    const LABEL: Label = Label::Beat;
    const VERSION: u16 = 1;
    const NAME: &'static str = "beat";
}

/// A signed [`BeatBody`].
pub type Beat = SignedBytes;
