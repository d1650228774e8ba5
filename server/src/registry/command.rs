//! What the registry tells the agent's link, and what staff tell the registry.

use qorgan_protocol::attempt::TerminationCause;
use qorgan_protocol::evidence::StreamId;

/// A command for the agent of one attempt, to be sent over its link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentCommand {
    /// Make a key frame of a stream now (a freshness code is drawn).
    KeyFrame {
        /// Which stream.
        stream: StreamId,
    },
    /// Somebody looks at a stream, or looks away.
    Watch {
        /// Which stream.
        stream: StreamId,
        /// Whether somebody looks.
        live: bool,
    },
    /// The attempt is over: finish the recording.
    End {
        /// Why, as a word.
        reason: String,
    },
    /// The epoch is over: refuse this link.
    Replaced,
}

/// What a member of staff does to an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ControlAction {
    /// Open the gate by hand (on site).
    OpenGate,
    /// Cover the items until resumed.
    Pause,
    /// Take the pause back; items show as soon as everything required is live.
    Resume,
    /// End the attempt.
    Terminate(TerminationCause),
    /// Declare it void.
    Void,
    /// Give more time.
    ExtraTime {
        /// How much, in minutes.
        minutes: u16,
    },
    /// Flag it by hand.
    Flag,
}
