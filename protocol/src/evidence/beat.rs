//! The beat: what the agent signs once a second over all its streams.

use serde::{Deserialize, Serialize};

use super::chunk::{ChunkSeq, StreamId};
use crate::crypto::{Label, Sha256, Signable, SignedBytes};
use crate::ids::{AttemptId, BootId, Epoch};
use crate::time::{Now, WallTime};

/// Something that the gate can require.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Samples arrive.
    Live,
    /// The device is being opened.
    Opening,
    /// No such device.
    Missing,
    /// Another program holds it.
    Busy,
    /// The system refused.
    Denied,
    /// It was there and is gone.
    Unplugged,
    /// It is there and gives nothing.
    Stalled,
    /// It cannot be used here (for example Wayland).
    Unsupported,
}

/// How one device does, by the agent's own word; the server believes only what it also sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceHealth {
    /// The device: `camera-0`, `microphone-0`, `screen-1` (the microphone is one of the camera's
    /// tracks, and still a source of its own here).
    pub source: StreamId,
    /// How it does.
    pub state: SourceState,
    /// When the newest sample was captured, on the agent's clock.
    pub newest: Option<Now>,
}

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
