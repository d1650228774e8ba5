//! What a restarted agent goes on from.

use qorgan_agent_core::timeline::KeptTimeline;
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::StreamChain;
use serde::{Deserialize, Serialize};

/// The recording's state, written once a second.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptState {
    /// The timeline.
    pub(crate) timeline: KeptTimeline,
    /// Every stream.
    pub(crate) streams: Vec<KeptStream>,
    /// What of the candidate lies beside the spool.
    pub(crate) learnt: Learnt,
}

/// The state as it was written before it said what was learnt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct EarlierState {
    timeline: KeptTimeline,
    streams: Vec<KeptStream>,
}

impl From<EarlierState> for KeptState {
    fn from(EarlierState { timeline, streams }: EarlierState) -> Self {
        Self {
            timeline,
            streams,
            learnt: Learnt::default(),
        }
    }
}

/// What was learnt of the candidate and is kept for an agent that is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Learnt {
    /// Face and bearing.
    pub(crate) face: bool,
    /// The voice.
    pub(crate) voice: bool,
    /// That the face is a living one.
    pub(crate) alive: bool,
}

/// One stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptStream {
    /// The head of its chain.
    pub(crate) chain: StreamChain,
    /// The hash of its initialisation segment: a stream goes on only with the same one.
    pub(crate) init: Sha256,
}
