//! What a system check looks at, and what a sitting does about each fact of a machine.

use serde::{Deserialize, Serialize};

use crate::incident::{IncidentKind, Severity};

/// What is done about a fact of the machine; where a policy says nothing, the strictest.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MachineRule {
    /// It is noted for the review.
    Note,
    /// It is an incident, and a proctor decides, before the start where it is found by then.
    // Policies from before have `proctor` for displays.
    #[serde(alias = "proctor")]
    ProctorDecides,
    /// No attempt is begun on such a machine, nor goes on with it.
    #[default]
    Refuse,
}

impl MachineRule {
    /// Every one, from the mildest.
    pub const ALL: [Self; 3] = [Self::Note, Self::ProctorDecides, Self::Refuse];

    /// Returns the word on the wire, in forms and as key of texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::ProctorDecides => "proctor_decides",
            Self::Refuse => "refuse",
        }
    }

    /// Returns the rule that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Returns how grave an incident is that a sitting has this rule for.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::Note => Severity::clamped(0.3),
            Self::ProctorDecides => Severity::clamped(0.6),
            Self::Refuse => Severity::clamped(0.8),
        }
    }
}

/// What a sitting does about the facts of a machine that may be honest and may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct MachinePolicy {
    /// The system runs in a virtual machine.
    pub virtual_machine: MachineRule,
    /// The session comes from another machine.
    pub remote_session: MachineRule,
    /// A proxy stands between the machine and the server.
    pub proxy: MachineRule,
}

impl MachinePolicy {
    /// A virtual machine is for a proctor to decide about, a session from elsewhere is refused, a
    /// proxy is noted: universities and providers have them.
    pub const DEFAULT: Self = Self {
        virtual_machine: MachineRule::ProctorDecides,
        remote_session: MachineRule::Refuse,
        proxy: MachineRule::Note,
    };

    /// Returns the rule for a check, where the sitting sets one.
    #[must_use]
    pub const fn rule(&self, check: CheckName) -> Option<MachineRule> {
        match check {
            CheckName::VirtualMachine => Some(self.virtual_machine),
            CheckName::RemoteSession => Some(self.remote_session),
            CheckName::Proxy => Some(self.proxy),
            CheckName::Server
            | CheckName::Agent
            | CheckName::Camera
            | CheckName::Microphone
            | CheckName::Screen
            | CheckName::Displays
            | CheckName::NestedDisplay
            | CheckName::Disk => None,
        }
    }
}

impl Default for MachinePolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a system check looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CheckName {
    /// The server answers.
    Server,
    /// The agent runs.
    Agent,
    /// The camera gives pictures.
    Camera,
    /// The microphone gives sound.
    Microphone,
    /// The screen can be recorded.
    Screen,
    /// No more displays than allowed.
    Displays,
    /// The display is this machine's own.
    NestedDisplay,
    /// The disk has room for the journal.
    Disk,
    /// The session is of this machine.
    RemoteSession,
    /// The machine is a real one.
    VirtualMachine,
    /// No proxy stands between.
    Proxy,
}

impl CheckName {
    /// Every one, in the order shown.
    pub const ALL: [Self; 11] = [
        Self::Server,
        Self::Agent,
        Self::Camera,
        Self::Microphone,
        Self::Screen,
        Self::Displays,
        Self::NestedDisplay,
        Self::Disk,
        Self::RemoteSession,
        Self::VirtualMachine,
        Self::Proxy,
    ];

    /// Returns the word on the wire and in text keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Agent => "agent",
            Self::Camera => "camera",
            Self::Microphone => "microphone",
            Self::Screen => "screen",
            Self::Displays => "displays",
            Self::NestedDisplay => "nested_display",
            Self::Disk => "disk",
            Self::RemoteSession => "remote_session",
            Self::VirtualMachine => "virtual_machine",
            Self::Proxy => "proxy",
        }
    }

    /// Returns the check that `word` names.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Returns the kind of incident that a line makes that is not in order.
    #[must_use]
    pub const fn incident(self) -> IncidentKind {
        match self {
            Self::RemoteSession => IncidentKind::RemoteSession,
            Self::NestedDisplay => IncidentKind::NestedDisplay,
            Self::VirtualMachine => IncidentKind::VirtualMachine,
            Self::Proxy => IncidentKind::ProxyInUse,
            Self::Server
            | Self::Agent
            | Self::Camera
            | Self::Microphone
            | Self::Screen
            | Self::Displays
            | Self::Disk => IncidentKind::SystemCheck,
        }
    }
}
