//! The WebSocket between agent and server (`GET /api/v1/agent/link`): one binary message a frame,
//! each the canonical bytes of [`AgentFrame`] or [`ServerFrame`].
//!
//! # Order
//! `Hello` → `Welcome` → `Clock` → `Sources`, then each stream's chunks in order and a beat a second →
//! receipts come back. After a cut the agent says `Hello` again and the `Welcome` tells where each
//! stream goes on: nothing is lost, nothing comes twice.
//!
//! [`LinkSender`] is the agent's half, [`LinkReceiver`] the server's; both are pure.

mod frame;
mod queue;
mod receiver;
mod sender;

pub use frame::{ChunkFrame, encode_chunk, read_chunk};
pub use queue::Gap;
pub use receiver::{LinkReceiver, LinkRefusal, Received, Standing, StreamStanding};
pub use sender::{LinkSender, SendInput, SendOutput, SenderIdentity};

pub use crate::stream::{SourceKind, SourceStatement};

use serde::{Deserialize, Serialize};

use crate::crypto::{Label, Sha256, Signable, SignedBytes};
use crate::evidence::{Beat, ChunkHeader, ChunkSeq};
use crate::ids::{AttemptId, BootId, Epoch};
use crate::stream::StreamId;
use crate::time::{Now, WallTime};

/// The newest version of this link.
pub const LINK_VERSION: u16 = 2;
/// The oldest version that is still spoken (one minor back); it knows no [`AgentFrame::Clock`].
pub const LINK_VERSION_MIN: u16 = 1;
/// The WebSocket subprotocol's name.
pub const LINK_SUBPROTOCOL: &str = "qorgan.agent.v1";

/// The agent's first frame, signed with its attempt key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The oldest version it speaks.
    pub version_min: u16,
    /// The newest version it speaks.
    pub version_max: u16,
    /// The nonce of the connection's `x-qorgan-nonce` response header, so that no hello can be replayed.
    pub nonce: [u8; 32],
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// The run of the machine's kernel.
    pub boot: BootId,
    /// The agent's version.
    pub agent_version: String,
    /// Whether this build can play files as sources.
    pub simulated_build: bool,
}

impl Signable for Hello {
    const LABEL: Label = Label::LinkHello;
    const VERSION: u16 = 1;
    const NAME: &'static str = "link hello";
}

/// Where a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumePoint {
    /// Which stream.
    pub stream: StreamId,
    /// The chunk that comes next.
    pub next: ChunkSeq,
    /// Hash of the newest stored header.
    pub head: Sha256,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentFrame {
    /// First, and once.
    Hello(SignedBytes),
    /// What feeds each source, signed by being covered by the next beat's hash of it; sent before a
    /// stream's first chunk and again when a device changes.
    Sources(Vec<SourceStatement>),
    /// One chunk.
    Chunk {
        /// Its header.
        header: ChunkHeader,
        /// Its bytes.
        payload: Vec<u8>,
    },
    /// A signed beat.
    Beat(Beat),
    /// A JPEG of the newest picture of a camera or screen, once a second; not part of the recording.
    Thumbnail {
        /// Which stream.
        stream: StreamId,
        /// The JPEG.
        jpeg: Vec<u8>,
    },
    /// Every chunk was sent, the recording ends here.
    Finish {
        /// The last chunk of every stream.
        last: Vec<ResumePoint>,
    },
    /// What the agent's monotonic clock showed when the welcome came, said first and once; beats of
    /// the past are told from those of now by it (since version 2).
    Clock {
        /// The time of beats.
        at: Now,
    },
}

/// What the server says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServerFrame {
    /// The hello is believed.
    Welcome {
        /// The version both speak.
        version: u16,
        /// The server's clock.
        now: WallTime,
        /// Where each known stream goes on.
        resume: Vec<ResumePoint>,
        /// The next beat's place and the hash of the newest stored one.
        beat_next: u64,
        /// Hash of the newest stored beat, [`Sha256::ZERO`] when none.
        beat_head: Sha256,
    },
    /// A signed [`crate::evidence::ReceiptBatch`].
    Receipts(SignedBytes),
    /// Make a key frame now.
    KeyFrame {
        /// Of which stream.
        stream: StreamId,
    },
    /// A proctor looks (chunks of one frame) or looks away (chunks of up to 500 ms).
    Watch {
        /// Which stream.
        stream: StreamId,
        /// Whether somebody looks.
        live: bool,
    },
    /// The attempt is over: finish the recording, say `Finish` and leave.
    End {
        /// Why, as a code of [`crate::wire::ProblemCode`] style words.
        reason: String,
    },
    /// The link is refused or broken off.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// For the log of the agent, in English.
        detail: String,
    },
}

/// What the server wants of an agent that is linked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentCommand {
    /// Make a key frame now.
    KeyFrame {
        /// Of which stream.
        stream: StreamId,
    },
    /// A proctor looks, or looks away.
    Watch {
        /// Which stream.
        stream: StreamId,
        /// Whether somebody looks.
        live: bool,
    },
    /// The attempt is over: finish the recording.
    End {
        /// Why.
        reason: String,
    },
}

impl From<AgentCommand> for ServerFrame {
    fn from(command: AgentCommand) -> Self {
        match command {
            AgentCommand::KeyFrame { stream } => Self::KeyFrame { stream },
            AgentCommand::Watch { stream, live } => Self::Watch { stream, live },
            AgentCommand::End { reason } => Self::End { reason },
        }
    }
}

/// Why the server ends a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// No common version.
    Version,
    /// The token, the certificate or the signature is not good.
    NotProved,
    /// The epoch is over: the attempt was moved to another machine.
    OldEpoch,
    /// The attempt is not one that records now.
    WrongPhase,
    /// A chunk or beat breaks its chain.
    BrokenChain,
    /// The policy does not allow this source.
    SourceNotAllowed,
    /// A frame was too large or not canonical.
    BadFrame,
    /// Another link of the same attempt took over.
    Replaced,
    /// The server is shutting down: come back.
    ShuttingDown,
}

impl RefusalReason {
    /// Tells whether the agent may try again with what it has.
    #[must_use]
    pub const fn passes(self) -> bool {
        match self {
            Self::ShuttingDown => true,
            Self::Version
            | Self::NotProved
            | Self::OldEpoch
            | Self::WrongPhase
            | Self::BrokenChain
            | Self::SourceNotAllowed
            | Self::BadFrame
            | Self::Replaced => false,
        }
    }
}
