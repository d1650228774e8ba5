//! From the first contact to check-in.

use serde::{Deserialize, Serialize};

use super::hexbytes::{Hex, SignedHex};
use crate::attempt::{AttemptPhase, MachineRule};
use crate::crypto::{Label, PublicKey, Sha256, Signable};
use crate::ids::{AttemptId, BootId, Epoch, InstitutionId, PersonId};
use crate::incident::{Allowance, WatchPolicy};
use crate::time::WallTime;

/// `GET /api/v1/hello`: who the server is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ServerHello {
    /// The institution.
    pub institution: InstitutionId,
    /// Its name in Kazakh.
    pub name_kk: String,
    /// Its name in Russian.
    pub name_ru: String,
    /// Its name in English.
    pub name_en: String,
    /// Whom candidates call for help.
    pub support: String,
    /// The oldest API version served.
    pub version_min: u16,
    /// The newest API version served.
    pub version_max: u16,
    /// The server's signing key, hexadecimal.
    pub server_key: Hex,
    /// The server's clock.
    pub now: WallTime,
}

/// `POST /api/v1/challenge`: a nonce that one sign-in or enrolment must sign within a minute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ChallengeReply {
    /// 32 bytes.
    pub nonce: Hex,
}

/// What a device signs with its own key when a candidate signs in on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceProof {
    /// The challenge.
    pub nonce: [u8; 32],
    /// The device's lasting key.
    pub device_key: PublicKey,
    /// The run of the machine's kernel.
    pub boot: BootId,
    /// Sixteen random bytes made at each start of the client.
    pub instance: [u8; 16],
}

impl Signable for DeviceProof {
    const LABEL: Label = Label::DeviceProof;
    const VERSION: u16 = 1;
    const NAME: &'static str = "device proof";
}

/// `POST /api/v1/sign-in` (SOP 11).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInRequest {
    /// The login.
    pub login: String,
    /// The password.
    pub password: String,
    /// The device's lasting public key, 32 bytes.
    pub device_key: Hex,
    /// A signed [`DeviceProof`].
    pub proof: SignedHex,
    /// The client's version.
    pub client_version: String,
    /// `linux`, `windows` or `macos`.
    pub system: String,
}

impl core::fmt::Debug for SignInRequest {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignInRequest")
            .field("system", &self.system)
            .finish_non_exhaustive()
    }
}

/// The reply to a sign-in.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignInReply {
    /// The client's bearer token.
    pub token: String,
    /// When it ends.
    pub expires: WallTime,
    /// The candidate.
    pub candidate: PersonId,
    /// How to address the candidate.
    pub display_name: String,
    /// The language on file: `kk`, `ru` or `en`.
    pub language: String,
}

impl core::fmt::Debug for SignInReply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("SignInReply")
            .field("candidate", &self.candidate)
            .finish_non_exhaustive()
    }
}

/// Whether an exam can be opened now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum ExamState {
    /// It can be opened.
    Open,
    /// Its window opens later.
    NotYet {
        /// When.
        opens: WallTime,
    },
    /// Its window is over.
    Over,
    /// The candidate is not admitted (SOP 7).
    NotAdmitted {
        /// Why, in the candidate's language.
        reason: String,
    },
    /// It was submitted.
    Done,
}

/// One of the candidate's exams (`GET /api/v1/my/exams` gives a list).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ExamCard {
    /// The candidate's attempt.
    pub attempt: AttemptId,
    /// The exam's title.
    pub title: String,
    /// The discipline.
    pub discipline: String,
    /// When its start window opens.
    pub opens: WallTime,
    /// When its start window closes.
    pub closes: WallTime,
    /// How long items may be worked on, with the candidate's extra time, in milliseconds.
    pub duration_ms: u64,
    /// How many items there are.
    pub items: u16,
    /// `remote` or `on_site`.
    pub mode: crate::attempt::GateMode,
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// Whether it can be opened now.
    pub state: ExamState,
}

/// `POST /api/v1/attempts/{attempt}/check-in`: binds the attempt to this machine (decision 4).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckInRequest {
    /// The client's key for this attempt and epoch, 32 bytes.
    pub client_key: Hex,
    /// `kk`, `ru` or `en`.
    pub language: String,
}

/// Adjustments granted to a candidate.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Accommodation {
    /// More time, in minutes.
    pub extra_minutes: u16,
    /// The accessibility adapter stays on while items are shown (decision 11).
    pub accessibility: bool,
    /// What does not count against the candidate.
    #[serde(default)]
    pub allowances: Vec<Allowance>,
}

/// What the agent signs to prove its key when it enrols.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolProof {
    /// The challenge.
    pub nonce: [u8; 32],
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine.
    pub epoch: Epoch,
    /// The agent's attempt key.
    pub key: PublicKey,
    /// The run of the machine's kernel.
    pub boot: BootId,
}

impl Signable for EnrolProof {
    const LABEL: Label = Label::EnrolProof;
    const VERSION: u16 = 1;
    const NAME: &'static str = "enrolment proof";
}

/// What a device signs with its own key so that the agent on it may enrol with a token: the token
/// alone is of no use elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentGrant {
    /// SHA-256 of the agent token's text.
    pub token: Sha256,
    /// Whose attempt.
    pub attempt: AttemptId,
    /// On which machine.
    pub epoch: Epoch,
    /// The run of the machine's kernel.
    pub boot: BootId,
}

impl Signable for AgentGrant {
    const LABEL: Label = Label::AgentGrant;
    const VERSION: u16 = 1;
    const NAME: &'static str = "agent grant";
}

/// `POST /api/v1/agent/enrol`, with the agent token: has the agent's attempt key certified.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgentEnrolRequest {
    /// The key, 32 bytes.
    pub key: Hex,
    /// A signed [`EnrolProof`].
    pub proof: SignedHex,
    /// The [`AgentGrant`] that the device's key signed.
    pub grant: SignedHex,
    /// The agent's version.
    pub agent_version: String,
    /// Whether this build can play files as sources.
    pub simulated_build: bool,
}

/// Keys and photo are never printed.
impl core::fmt::Debug for AgentEnrolReply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AgentEnrolReply")
            .field("bandwidth", &self.bandwidth)
            .finish_non_exhaustive()
    }
}

/// The reply to an enrolment.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AgentEnrolReply {
    /// A signed [`crate::evidence::AttemptKeyCertificate`].
    pub certificate: SignedHex,
    /// The key that the spool is sealed under, 32 bytes; the same for one attempt and epoch, kept in
    /// memory only.
    pub spool_key: Hex,
    /// The exam's rules for the agent.
    pub deny_processes: Vec<String>,
    /// Programs that are never reported.
    pub allow_processes: Vec<String>,
    /// The most displays allowed.
    pub displays_max: u8,
    /// `economy`, `standard` or `rich`.
    pub bandwidth: String,
    /// Whether the camera is required.
    pub camera: bool,
    /// Whether the microphone is required.
    pub microphone: bool,
    /// Whether the screen is required.
    pub screen: bool,
    /// The photo on file, a JPEG, to compare the candidate with; kept in memory only.
    #[serde(default)]
    pub photo: Option<Hex>,
    /// What is watched for in this attempt, with what the candidate is granted.
    #[serde(default)]
    pub watch: WatchPolicy,
    /// What the candidate is granted.
    #[serde(default)]
    pub allowances: Vec<Allowance>,
    /// The key that scored inputs are sealed under before they enter the recording, 32 bytes; the
    /// same for one attempt, kept in memory only.
    pub input_key: Hex,
    /// What is done about a nested or remote display.
    #[serde(default)]
    pub nested_display: MachineRule,
    /// What is done about a microphone that gives what the machine plays.
    #[serde(default)]
    pub monitor_microphone: MachineRule,
}
