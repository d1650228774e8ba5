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
}

/// One stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeptStream {
    /// The head of its chain.
    pub(crate) chain: StreamChain,
    /// The hash of its initialisation segment: a stream goes on only with the same one.
    pub(crate) init: Sha256,
}
