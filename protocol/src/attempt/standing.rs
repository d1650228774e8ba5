//! What the gate tells: how a source, the identity check and a line of the system check stand.

use serde::{Deserialize, Serialize};

use crate::stream::StreamKind;

/// One line of the system check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemCheckLine {
    /// What was checked, such as `camera`, `displays`, `virtual_machine`, `proxy`, `disk`.
    pub check: String,
    /// How it came out.
    pub result: CheckOutcome,
    /// What was found.
    pub detail: String,
}

/// How a line of the system check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// In order.
    Ok,
    /// Worth knowing.
    Warning,
    /// Not in order.
    Failed,
}

impl CheckOutcome {
    /// Returns the word on the wire and in text keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// Where the identity check stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum IdentityState {
    /// Not yet shown.
    Open,
    /// To be shown again, because a proctor asks or the attempt was moved; a proctor will then look.
    Again,
    /// Shown, a proctor will look before the start.
    Waiting,
    /// Shown, reviewed later.
    Deferred,
    /// Approved.
    Approved,
    /// Refused; the candidate may show again or call.
    Refused,
}

/// How one line of the gate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum GateLineState {
    /// The server receives it, verified.
    Live,
    /// The server waits for it.
    Waiting,
    /// It was live and is not.
    Lost,
    /// The policy does not allow what is there (a simulated source, too many displays).
    NotAllowed,
}

/// One required source at the gate, as the server sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct GateLine {
    /// `camera`, `microphone` or `screen`.
    pub source: StreamKind,
    /// How it stands.
    pub state: GateLineState,
}
