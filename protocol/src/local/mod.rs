//! The local socket between client and agent: a 4-byte big-endian length, then the canonical bytes
//! of [`ClientFrame`] or [`AgentFrame`], at most [`crate::limits::LOCAL_FRAME_BYTES_MAX`].
//!
//! Nothing the server decides rests on what is said here: it can close the gate, never open it
//! (decision 6).
//!
//! # Order
//! agent `Hello` → client `Provision` (where the agent is not bound yet) → agent `Bound` → client
//! `Proof` → agent `Proof` → `Status` twice a second. Before both proofs nothing else is answered.

mod drawn;
mod liveness;

pub use drawn::{DrawnScreen, TILES_ACROSS, TILES_DOWN, luma_of};
pub use liveness::{Light, LivenessAsk, LivenessState, Turn, TurnHint};

use serde::{Deserialize, Serialize};

use crate::crypto::{Label, PublicKey, Signable, SignedBytes};
use crate::evidence::AttemptRole;
use crate::ids::{AttemptId, Epoch, InstitutionId};
use crate::stream::{SourceHealth, StreamId};

/// The socket's file name inside its 0700 directory.
pub const SOCKET_NAME: &str = "agent.sock";

/// What the agent needs to reach the server for one attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provision {
    /// The server's origin, such as `https://exam.example.kz:8443`.
    pub server: String,
    /// The authority to trust, DER; `None` for platform roots.
    pub ca_der: Option<Vec<u8>>,
    /// The institution.
    pub institution: InstitutionId,
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// The token for enrolment and link.
    pub agent_token: String,
    /// The signed [`crate::wire::AgentGrant`] of this machine's device for the token.
    pub grant: SignedBytes,
    /// The server's signing key, to check certificates and receipts.
    pub server_key: PublicKey,
    /// `economy`, `standard` or `rich`.
    pub bandwidth: String,
}

/// What both sides sign: neither can be replayed, nor taken for the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelProof {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// Who signs.
    pub role: AttemptRole,
    /// The agent's nonce of this connection.
    pub agent_nonce: [u8; 32],
    /// The client's nonce of this connection.
    pub client_nonce: [u8; 32],
    /// The agent's attempt key.
    pub agent_key: PublicKey,
    /// The client's attempt key.
    pub client_key: PublicKey,
}

impl Signable for ChannelProof {
    const LABEL: Label = Label::ChannelProof;
    const VERSION: u16 = 1;
    const NAME: &'static str = "channel proof";
}

/// What the client says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum ClientFrame {
    /// Binds an agent to an attempt, once.
    Provision(Box<Provision>),
    /// Proves the client's key: its certificate, its nonce, its signed [`ChannelProof`].
    Proof {
        /// The signed certificate.
        certificate: SignedBytes,
        /// The client's nonce.
        nonce: [u8; 32],
        /// The signed proof.
        proof: SignedBytes,
    },
    /// Asks for small pictures of camera and screen in the status (check-in and gate), or no more.
    Preview(bool),
    /// Consent is given: devices may open.
    OpenDevices,
    /// The attempt is over for the client; the agent finishes, delivers and leaves.
    Finish,
    /// Asks for one picture of the camera in its full size (a document at check-in).
    Still,
    /// Says what the candidate does about reading aloud at check-in.
    Voice(VoiceAsk),
    /// What the client drew over its whole window just now, while it covers a display.
    Drawn(DrawnScreen),
    /// Says what the candidate and the screen do about showing that a living person sits there.
    Liveness(LivenessAsk),
}

/// What the candidate does about reading aloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoiceAsk {
    /// Reads from now on; what was gathered before is forgotten. Nothing follows from it once a
    /// voice is known, so that nobody takes the candidate's place later.
    Begin,
    /// Goes on without reading, which the recording says.
    Skip,
}

/// What the agent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentFrame {
    /// First on every connection.
    Hello {
        /// The oldest version it speaks.
        version_min: u16,
        /// The newest version it speaks.
        version_max: u16,
        /// The agent's nonce of this connection.
        nonce: [u8; 32],
        /// The attempt it is bound to, with its certificate.
        bound: Option<(AttemptId, Epoch, SignedBytes)>,
    },
    /// The server certified the agent's key.
    Bound {
        /// The signed certificate.
        certificate: SignedBytes,
    },
    /// Binding failed, or a frame came out of order; the connection ends.
    Refused {
        /// A word for the client to translate.
        reason: LocalRefusal,
        /// For the log, in English.
        detail: String,
    },
    /// Proves the agent's key with its signed [`ChannelProof`].
    Proof {
        /// The signed proof.
        proof: SignedBytes,
    },
    /// How everything does, twice a second and at each change.
    Status(Box<AgentStatus>),
    /// The picture that was asked for, a JPEG of at most [`crate::limits::DOCUMENT_BYTES_MAX`] bytes.
    Still(Vec<u8>),
    /// Where learning the candidate's voice stands, first after the proofs and at each change.
    Voice(VoiceState),
    /// What is asked of the candidate and of the screen to show that a living person sits there,
    /// first after the proofs and at each change.
    Liveness(LivenessState),
}

/// Where learning the candidate's voice stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum VoiceState {
    /// Nobody was asked to read aloud yet.
    #[default]
    NotAsked,
    /// What is read is gathered.
    Listening {
        /// Pieces of speech that were heard.
        heard: u8,
        /// Pieces of speech that it takes.
        needed: u8,
        /// What is amiss.
        hint: Option<VoiceHint>,
    },
    /// What was read is not one clear voice: others spoke too, or noise hides it.
    NotOneVoice,
    /// The voice is known, and others are told from it.
    Known,
    /// The candidate went on without reading.
    Skipped,
    /// No voice can be learnt on this machine.
    Unavailable,
    /// This exam listens for no other voice: nobody is asked to read.
    NotNeeded,
}

/// What is amiss while nothing more is heard of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VoiceHint {
    /// The microphone gives silence.
    NoSound,
    /// What it gives is very quiet.
    TooQuiet,
    /// There is sound, but no clear speech.
    NoSpeech,
}

/// Why the agent refuses a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LocalRefusal {
    /// It is bound to another attempt or epoch.
    OtherAttempt,
    /// Another client is connected and proved.
    SecondClient,
    /// A proof does not hold.
    NotProved,
    /// The server cannot be reached.
    ServerUnreachable,
    /// The server refused the agent.
    ServerRefused,
    /// A frame came out of order or could not be read.
    BadFrame,
    /// No common version.
    Version,
}

/// Where the agent's link to the server stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LinkState {
    /// Not yet asked for.
    Idle,
    /// On the way.
    Connecting,
    /// Frames flow and are receipted.
    Live,
    /// Lost; everything goes to the spool.
    Lost,
    /// Refused for good.
    Refused,
}

/// One source as the candidate sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatus {
    /// Its health.
    pub health: SourceHealth,
    /// What the system calls it.
    pub label: String,
    /// The sound level of a microphone, 0 to 100.
    pub level: Option<u8>,
    /// A small JPEG of a camera or screen, while previews are asked for.
    pub preview: Option<Vec<u8>>,
}

/// How the agent does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentStatus {
    /// Its link to the server.
    pub link: LinkState,
    /// Every source.
    pub sources: Vec<SourceStatus>,
    /// Streams whose newest chunk has a receipt not older than three seconds.
    pub receipted: Vec<StreamId>,
    /// Bytes that wait in the spool.
    pub spooled_bytes: u64,
    /// Whether capture goes on into the spool (the ground for the grace of decision 1).
    pub capturing: bool,
}
