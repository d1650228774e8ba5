//! From check-in to submission.

use serde::{Deserialize, Serialize};

use super::hexbytes::{Hex, SignedHex};
use super::sign_in::Accommodation;
use crate::assessment::ResponseSeq;
use crate::attempt::{
    AttemptPhase, CheckInTasks, GateLine, GatePolicy, IdentityState, PauseCause, SystemCheckLine,
};
use crate::crypto::{Label, Sha256, Signable};
use crate::ids::{AttemptId, Epoch, ItemId, MessageId};
use crate::time::{Now, WallTime};

/// The reply to `POST …/check-in`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct CheckInReply {
    /// The epoch that this machine holds.
    pub epoch: Epoch,
    /// The policy in force.
    pub policy: GatePolicy,
    /// The client's signed [`crate::evidence::AttemptKeyCertificate`].
    pub certificate: SignedHex,
    /// The key of the response journal, 32 bytes; kept in memory only.
    pub journal_key: Hex,
    /// The key of the freshness codes of this epoch, 32 bytes; kept in memory only.
    pub freshness_key: Hex,
    /// The first entry's place and the hash of the newest stored one of this epoch.
    pub journal_next: ResponseSeq,
    /// Hash of the newest stored entry, zero for none.
    pub journal_head: Hex,
    /// The consent text's version.
    pub consent_version: String,
    /// The consent text in each language, so that what is shown is in the language that is recorded.
    pub consent_text: TextIn,
    /// Whether agreement to this version is on record already; if not, the text must be shown.
    #[serde(default)]
    pub consent_recorded: bool,
    /// The instruction's version.
    pub instruction_version: String,
    /// The instruction in each language.
    pub instruction_text: TextIn,
    /// Adjustments granted.
    pub accommodation: Accommodation,
    /// Whether a photo is on file (`GET …/photo`).
    pub photo_on_file: bool,
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// The exam's title.
    pub title: String,
}

/// A text of the institution in each language of the interface, paragraphs parted by an empty line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct TextIn {
    /// In Kazakh.
    pub kk: String,
    /// In Russian.
    pub ru: String,
    /// In English.
    pub en: String,
}

/// `POST …/consent`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConsentRequest {
    /// The version that was shown.
    pub version: String,
    /// The language it was shown in.
    pub language: String,
    /// Whether the candidate agrees; refusal leads to the test centre, not to a dead end.
    pub agreed: bool,
}

/// The reply to consent: what the agent needs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConsentReply {
    /// The agent's token; empty where consent was refused.
    pub agent_token: String,
    /// Bandwidth profile: `economy`, `standard` or `rich`.
    pub bandwidth: String,
    /// Whom to call, where consent was refused.
    pub contact: String,
}

impl core::fmt::Debug for ConsentReply {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("ConsentReply")
            .field("bandwidth", &self.bandwidth)
            .finish_non_exhaustive()
    }
}

/// `POST …/system-check`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SystemCheckRequest {
    /// What was checked.
    pub lines: Vec<SystemCheckLine>,
}

/// `POST …/identity`: the client says that the candidate is before the camera, whose live stream the
/// proctor sees, and adds the picture of a document where the policy asks for one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct IdentityRequest {
    /// A JPEG of the document, at most [`crate::limits::DOCUMENT_BYTES_MAX`] bytes; required where the
    /// policy asks for one, refused where it does not.
    pub document: Option<Hex>,
}

/// `POST …/instruction`: it was read to its end (SOP 11).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct InstructionRequest {
    /// The version that was read.
    pub version: String,
}

/// A code to draw on the screen (decision 2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct FreshnessView {
    /// 16 bytes; the drawn text is the upper-case hexadecimal of the first 16 bytes of
    /// HMAC-SHA256(freshness key, nonce ‖ attempt ‖ epoch as 4 big-endian bytes).
    pub nonce: Hex,
    /// How long it must still be shown, in milliseconds.
    pub show_ms: u64,
}

/// The lease on content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct LeaseView {
    /// How long items may still be shown unless renewed, in milliseconds from the reply; the client
    /// counts from when it sent the request, so that the lease can only be shorter.
    pub left_ms: u64,
    /// The longest the client may go on without the server while its agent attests capture.
    pub offline_grace_ms: u64,
}

/// Time left, as the server counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ConnectionTime {
    /// Time left to work on items, in milliseconds; stands still while covered where the policy
    /// credits it.
    pub remaining_ms: u64,
    /// Time that was given back so far, in milliseconds.
    pub credited_ms: u64,
    /// The server's clock.
    pub now: WallTime,
}

/// Who wrote a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum MessageFrom {
    /// A proctor.
    Proctor,
    /// The candidate.
    Candidate,
}

/// A message between proctor and candidate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct Message {
    /// Its identifier.
    pub id: MessageId,
    /// Who wrote it.
    pub from: MessageFrom,
    /// When.
    pub at: WallTime,
    /// What it says.
    pub text: String,
}

/// `GET …/view?after=VERSION&wait_ms=1000`: everything that the client shows, answered when the
/// version changed or the wait is over; each answer renews the lease it carries.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AttemptView {
    /// Raised by each change.
    pub version: u64,
    /// The epoch that holds; another one than the client's means that the attempt was moved.
    pub epoch: Epoch,
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// What is done of check-in; a machine that an attempt moved to is not checked until it was.
    pub tasks: CheckInTasks,
    /// Where the identity check stands.
    pub identity: IdentityState,
    /// What a proctor says of a refusal, or of why it is to be shown again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity_reason: Option<String>,
    /// Every required source.
    pub gate: Vec<GateLine>,
    /// Whether `POST …/start` would be granted now.
    pub gate_open: bool,
    /// Whether the gate still waits for a proctor.
    pub waits_for_proctor: bool,
    /// Present only while items may be shown.
    pub lease: Option<LeaseView>,
    /// Why items are covered.
    pub covered: Option<PauseCause>,
    /// Time left.
    pub time: ConnectionTime,
    /// A code to draw now.
    pub freshness: Option<FreshnessView>,
    /// The newest messages, oldest first, at most 50.
    pub messages: Vec<Message>,
    /// Whether the candidate's hand is raised.
    pub hand_raised: bool,
    /// The place up to which responses are stored.
    pub journal_next: ResponseSeq,
}

/// One item's place; no content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ItemSlot {
    /// Its identifier.
    pub id: ItemId,
    /// Its place, from 1.
    pub position: u16,
}

/// `GET …/items` (under a lease); `GET …/items/{position}` gives the [`crate::assessment::ItemPage`],
/// `GET …/pictures/{picture}` a picture's bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ItemList {
    /// Every item, in order.
    pub items: Vec<ItemSlot>,
}

/// `POST …/responses`: canonical bytes of [`crate::assessment::ResponseEntry`], in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ResponsesRequest {
    /// The epoch they were made in.
    pub epoch: Epoch,
    /// The entries.
    pub entries: Vec<Hex>,
}

/// `GET …/responses` (under a lease): the newest stored entry of each item, of every epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct StoredResponses {
    /// Canonical bytes of [`crate::assessment::ResponseEntry`], oldest first.
    pub entries: Vec<Hex>,
}

/// The server's signed word that responses are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseReceipt {
    /// Whose attempt.
    pub attempt: AttemptId,
    /// In which epoch.
    pub epoch: Epoch,
    /// The place after the newest stored entry.
    pub next: ResponseSeq,
    /// Hash of the newest stored entry.
    pub head: Sha256,
    /// Whether the candidate said with this that nothing more comes.
    pub submitted: bool,
    /// When, by the server's clock.
    pub at: WallTime,
}

impl Signable for ResponseReceipt {
    const LABEL: Label = Label::ResponseReceipt;
    const VERSION: u16 = 1;
    const NAME: &'static str = "response receipt";
}

/// The reply to responses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct AcceptedResponses {
    /// A signed [`ResponseReceipt`].
    pub receipt: SignedHex,
}

/// `POST …/submit`: the candidate's word that nothing more comes; accepted while covered, and after the
/// end until the policy's late delivery is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubmitRequest {
    /// The epoch.
    pub epoch: Epoch,
    /// The place after the last entry; all before it must be stored.
    pub entries: ResponseSeq,
}

/// The reply to a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SubmitReply {
    /// A signed [`ResponseReceipt`] with `submitted`.
    pub receipt: SignedHex,
    /// Whether it came later than the network grace after a lease, by the server's own record.
    pub late: bool,
}

/// `POST …/messages`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SendMessageRequest {
    /// What it says, at most [`crate::limits::MESSAGE_CHARS_MAX`] characters.
    pub text: String,
}

/// `POST …/hand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct RaiseHandRequest {
    /// Raised or taken down.
    pub raised: bool,
}

/// What the kiosk's lockdown saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(rename_all = "snake_case")]
pub enum ClientEventKind {
    /// Another window became active.
    WindowSwitch,
    /// Focus was lost without another active window (a grab, a notification).
    FocusLost,
    /// Focus came back.
    FocusBack,
    /// A close request was refused.
    CloseRefused,
    /// A measure could not be applied.
    MeasureFailed,
    /// The clipboard was not empty.
    ClipboardCleared,
    /// The local agent is gone: the exam was covered at once.
    AgentGone,
    /// The client was started again with an unfinished journal.
    ClientRestarted,
    /// The accessibility adapter was switched.
    AccessibilitySwitched,
    /// Another virtual terminal or session is shown: the exam was covered at once.
    TerminalLeft,
    /// The exam's own terminal is shown again.
    TerminalBack,
    /// A library was put into the kiosk, or another program traces it.
    ProgramTouched,
}

impl ClientEventKind {
    /// Returns the word on the wire, in SQL and in text keys.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::WindowSwitch => "window_switch",
            Self::FocusLost => "focus_lost",
            Self::FocusBack => "focus_back",
            Self::CloseRefused => "close_refused",
            Self::MeasureFailed => "measure_failed",
            Self::ClipboardCleared => "clipboard_cleared",
            Self::AgentGone => "agent_gone",
            Self::ClientRestarted => "client_restarted",
            Self::AccessibilitySwitched => "accessibility_switched",
            Self::TerminalLeft => "terminal_left",
            Self::TerminalBack => "terminal_back",
            Self::ProgramTouched => "program_touched",
        }
    }
}

/// One thing that the lockdown saw.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientEvent {
    /// What.
    pub kind: ClientEventKind,
    /// How long ago when sent, in milliseconds.
    pub ago_ms: u64,
    /// When, on the client's monotonic clock.
    pub at: Now,
    /// Facts in few words, such as a window's title.
    pub detail: String,
}

/// `POST …/events`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct ClientEvents {
    /// What was seen, oldest first.
    pub events: Vec<ClientEvent>,
}
