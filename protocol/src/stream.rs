//! The streams of an attempt, and the sources that feed them.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::time::Now;

/// What a stream carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum StreamKind {
    /// A camera with its microphone: one CMAF file with H.264 and Opus.
    Camera,
    /// A microphone without a camera: one CMAF file with Opus.
    Microphone,
    /// One display: one CMAF file with H.264 at a variable rate.
    Screen,
    /// The agent's observations: canonical `Vec<Observation>` payloads, no media.
    Events,
}

impl StreamKind {
    /// Every kind, in order.
    pub const ALL: [Self; 4] = [Self::Camera, Self::Microphone, Self::Screen, Self::Events];

    /// Returns the word used in file names and paths.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Screen => "screen",
            Self::Events => "events",
        }
    }
}

/// One stream of an attempt, such as `camera-0` or `screen-1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StreamId {
    /// What it carries.
    pub kind: StreamKind,
    /// Which one of its kind, from 0.
    pub index: u8,
}

impl StreamId {
    /// The first of all in order.
    pub const FIRST: Self = Self {
        kind: StreamKind::Camera,
        index: 0,
    };

    /// The agent's observations.
    pub const EVENTS: Self = Self {
        kind: StreamKind::Events,
        index: 0,
    };

    /// Reads `camera-0` and the like; `None` for anything else.
    #[must_use]
    pub fn from_word(text: &str) -> Option<Self> {
        let (word, index) = text.rsplit_once('-')?;
        let kind = StreamKind::ALL
            .into_iter()
            .find(|kind| kind.word() == word)?;
        let stream = Self {
            kind,
            index: index.parse().ok()?,
        };
        (stream.to_string() == text).then_some(stream)
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.kind.word(), self.index)
    }
}

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

/// What kind of source feeds a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// A device of this machine.
    Device,
    /// Files played at real rate; refused unless the sitting's policy allows it.
    Simulated,
}

/// The agent's signed word about what feeds a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceStatement {
    /// The device: `camera-0`, `microphone-0`, `screen-0`.
    pub source: StreamId,
    /// Device or files.
    pub kind: SourceKind,
    /// The driver or library that gives the samples, such as `v4l2/uvcvideo`, `pulseaudio`, `x11-shm`.
    pub driver: String,
    /// What the system calls the device.
    pub label: String,
}
