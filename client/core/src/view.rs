//! What there is to draw: plain data, made anew from the state.

use core::time::Duration;

use qorgan_protocol::{
    assessment::{Block, Choice},
    attempt::MachineRule,
    evidence::{SourceState, StreamId, StreamKind},
    ids::PictureId,
    local::{Light, LivenessState, Turn, TurnHint, VoiceState},
    time::WallTime,
    wire::{ExamCard, GateLineState, IdentityState, Message, ProblemCode},
};

/// What is checked.
pub use qorgan_protocol::attempt::CheckName as Check;

use crate::{
    Private,
    book::Kept,
    event::{Language, Overlay, Reading},
    lease::CoverCause,
};

/// The whole window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The language of the interface.
    pub language: Language,
    /// How the candidate wants to read.
    pub reading: Reading,
    /// The institution's name, once the server is known.
    pub institution: Option<String>,
    /// Whom to call.
    pub support: Option<String>,
    /// The screen.
    pub screen: ScreenView,
    /// What lies over it.
    pub overlay: Option<OverlayView>,
    /// The text of a freshness code that must be drawn now.
    pub freshness: Option<String>,
    /// The light that background and surfaces shine in; none in a dark or high-contrast theme.
    pub light: Option<Light>,
}

/// One screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScreenView {
    /// Server and language.
    Welcome(WelcomeView),
    /// Sign in.
    SignIn(SignInView),
    /// My exams.
    Exams(ExamsView),
    /// Consent to capture.
    Consent(TextView),
    /// System check.
    SystemCheck(SystemCheckView),
    /// Identity.
    Identity(IdentityView),
    /// Showing that a living person sits there.
    Liveness(LivenessView),
    /// Reading aloud.
    Voice(VoiceView),
    /// Instruction.
    Instruction(TextView),
    /// The waiting gate.
    Gate(GateView),
    /// The exam.
    Exam(Box<ExamView>),
    /// The exam, covered.
    Covered(CoveredView),
    /// Submitted.
    Submitted(SubmittedView),
    /// Ended without a submission.
    Ended(EndedView),
}

impl ScreenView {
    /// Returns the screen's name, for tests and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Welcome(_) => "welcome",
            Self::SignIn(_) => "sign-in",
            Self::Exams(_) => "exams",
            Self::Consent(_) => "consent",
            Self::SystemCheck(_) => "system-check",
            Self::Identity(_) => "identity",
            Self::Liveness(_) => "liveness",
            Self::Voice(_) => "voice",
            Self::Instruction(_) => "instruction",
            Self::Gate(_) => "gate",
            Self::Exam(_) => "exam",
            Self::Covered(_) => "covered",
            Self::Submitted(_) => "submitted",
            Self::Ended(_) => "ended",
        }
    }
}

/// What went wrong, to be told with cause, remedy and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// The server refused.
    Problem {
        /// Its code.
        code: ProblemCode,
        /// When to try again, in seconds.
        retry_after_s: Option<u32>,
    },
    /// The server cannot be reached.
    Unreachable,
    /// The server is not the one of the enrolment.
    Untrusted,
    /// The enrolment link cannot be read.
    BadLink,
    /// An answer made no sense.
    BadAnswer,
    /// The disk takes nothing more.
    DiskRefuses,
    /// Somebody else signed in than the one whose attempt it is.
    OtherPerson,
    /// The journal on disk is not one to go on with.
    JournalForked,
}

/// Server and language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WelcomeView {
    /// The enrolment link, as typed or given.
    pub link: String,
    /// Whether the server is being reached.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// Sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInView {
    /// The login as typed.
    pub login: Private<String>,
    /// The password as typed.
    pub password: Private<String>,
    /// Whether an attempt is under way whose sign-in ran out: it is covered, responses are kept.
    pub again: bool,
    /// Whether the server is being asked.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// My exams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExamsView {
    /// How to address the candidate.
    pub name: Private<String>,
    /// The exams; `None` while they are being asked for.
    pub exams: Option<Vec<ExamCard>>,
    /// Whether one is being opened.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// A text that must be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextView {
    /// The exam's title.
    pub title: String,
    /// The text, paragraphs parted by an empty line.
    pub text: String,
    /// Whether its end was seen.
    pub read: bool,
    /// Whether consent was refused: the way on leads to the test centre.
    pub refused: Option<Private<String>>,
    /// Whether the server is being asked.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// How one check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CheckResult {
    /// Not known yet.
    Pending,
    /// In order.
    Good,
    /// Worth knowing; the way on is open.
    Warning,
    /// The way on is closed.
    Bad,
}

/// One line of the system check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckLine {
    /// What is checked.
    pub check: Check,
    /// How it came out.
    pub result: CheckResult,
    /// What was found, such as a device's name.
    pub found: String,
    /// The state of the device, where it is one, so that the remedy fits.
    pub state: Option<SourceState>,
    /// What the sitting does about what was found, so that the remedy fits.
    pub rule: Option<MachineRule>,
}

/// System check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCheckView {
    /// Every line.
    pub lines: Vec<CheckLine>,
    /// Whether nothing stands in the way.
    pub ready: bool,
    /// Whether the server is being asked.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// Where the picture of an identity document stands (decision 7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DocumentState {
    /// The policy asks for none.
    NotAsked,
    /// It is to be taken.
    Asked,
    /// It is in the picture store, to be looked at before it is shown.
    Taken,
}

/// Identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityView {
    /// Whether the photo on file is in the picture store.
    pub photo: bool,
    /// The camera whose picture to show.
    pub camera: Option<StreamId>,
    /// Where the picture of the document stands.
    pub document: DocumentState,
    /// Where the check stands.
    pub state: IdentityState,
    /// What a proctor says of a refusal, or of why it is to be shown again.
    pub reason: Option<String>,
    /// Whether it must be approved before going on.
    pub must_be_approved: bool,
    /// Whether the way on is open.
    pub ready: bool,
    /// Whether the server is being asked.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// Showing that a living person sits there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LivenessView {
    /// What is asked for, and how it goes.
    pub state: LivenessState,
    /// The camera whose picture to show.
    pub camera: Option<StreamId>,
    /// How the camera does; `None` where the agent says nothing.
    pub device: Option<SourceState>,
    /// Whether it may be begun, or begun anew.
    pub may_begin: bool,
    /// Whether to go on without is offered.
    pub may_skip: bool,
}

/// Reading aloud, from which the agent learns the voice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoiceView {
    /// Which text to read, from 0 to below [`VoiceView::TEXTS`].
    pub text: u8,
    /// Where it stands.
    pub state: VoiceState,
    /// The microphone's level, 0 to 100.
    pub level: Option<u8>,
    /// How the microphone does; `None` where the agent says nothing.
    pub device: Option<SourceState>,
    /// Whether to go on without reading is offered.
    pub may_skip: bool,
}

impl VoiceView {
    /// How many texts there are to read.
    pub const TEXTS: u8 = 4;
}

/// One line of the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateLineView {
    /// Camera, microphone or screen.
    pub source: StreamKind,
    /// How the server sees it; this alone opens the gate.
    pub server: GateLineState,
    /// How the agent sees the device; `None` where the agent says nothing.
    pub device: Option<SourceState>,
    /// What the system calls it.
    pub label: String,
    /// The microphone's level, 0 to 100.
    pub level: Option<u8>,
    /// The stream whose small picture to show.
    pub preview: Option<StreamId>,
}

/// The waiting gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GateView {
    /// The exam's title.
    pub title: String,
    /// How long items may be worked on.
    pub duration: Duration,
    /// How many items there are.
    pub items: u16,
    /// Every required source.
    pub lines: Vec<GateLineView>,
    /// Whether a proctor must open yet.
    pub waits_for_proctor: bool,
    /// Whether a proctor must approve the identity yet.
    pub waits_for_identity: bool,
    /// Whether the agent reaches the server.
    pub agent_linked: bool,
    /// Whether the start would be granted.
    pub open: bool,
    /// Whether it is being asked for.
    pub busy: bool,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// How the connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// The server answers.
    Good,
    /// It has not answered for a moment.
    Weak,
    /// It does not answer.
    Lost,
}

/// How the recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recording {
    /// Every required source is live at the server.
    On,
    /// It is kept on this machine until the server can be reached.
    Kept,
    /// It is not going on.
    Off,
}

/// The bar over the exam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BarView {
    /// The exam's title.
    pub title: String,
    /// Recorded.
    pub recording: Recording,
    /// Connected.
    pub connection: Connection,
    /// Time left.
    pub remaining: Duration,
    /// Whether the time stands still.
    pub stands_still: bool,
    /// Whether the hand is raised.
    pub hand_raised: bool,
    /// Messages of the proctor that were not seen.
    pub unread: usize,
}

/// One question in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionView {
    /// Its place, from 1.
    pub position: u16,
    /// Whether it has a response.
    pub answered: bool,
    /// Whether it is flagged.
    pub flagged: bool,
}

/// The open question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ItemView {
    /// What is shown, in order.
    pub body: Vec<Block>,
    /// The question put.
    pub prompt: String,
    /// The choices.
    pub choices: Vec<Choice>,
    /// Whether any number may be chosen.
    pub multiple: bool,
    /// What is chosen.
    pub chosen: Vec<String>,
    /// How far the response has come.
    pub kept: Option<Kept>,
}

/// What is asked of the candidate while items are shown, to show that a living person sits there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExamAsk {
    /// To look straight at the screen, with what is amiss.
    Straight(Option<TurnHint>),
    /// To turn the head this way, with what is amiss.
    Turn(Turn, Option<TurnHint>),
    /// Nothing: the screen shines.
    Light,
}

/// The exam.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExamView {
    /// The bar.
    pub bar: BarView,
    /// Every question.
    pub questions: Vec<QuestionView>,
    /// How many have a response.
    pub answered: usize,
    /// The open one's place, from 1.
    pub place: u16,
    /// Whether the open one is flagged.
    pub flagged: bool,
    /// The open question; `None` while it is on its way.
    pub item: Option<ItemView>,
    /// In how many whole seconds it opens, where new questions come too fast.
    pub item_in: Option<Duration>,
    /// The newest message of the proctor that was not seen.
    pub message: Option<Message>,
    /// What is asked of the candidate beside the question.
    pub ask: Option<ExamAsk>,
    /// What went wrong.
    pub trouble: Option<Trouble>,
}

/// The exam, covered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoveredView {
    /// The bar.
    pub bar: BarView,
    /// Why.
    pub cause: CoverCause,
    /// For how long.
    pub since: Duration,
    /// The sources that are lost, as far as is known.
    pub lost: Vec<StreamKind>,
    /// Whether time under cover is given back.
    pub credited: bool,
    /// Whether face and document were shown again, and a proctor looks at them.
    pub identity_shown: bool,
    /// How many questions have a response; unknown on a machine that has read none back yet.
    pub answered: Option<usize>,
    /// How many questions there are.
    pub of: usize,
    /// How many responses wait for the server.
    pub undelivered: usize,
}

/// How far the submission has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// It is kept on this machine and is being sent.
    Kept,
    /// The server has it.
    Delivered {
        /// When, by the server's clock.
        at: WallTime,
        /// Whether that was after the deadline.
        late: bool,
    },
    /// The server refused it.
    Refused(ProblemCode),
}

/// Submitted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubmittedView {
    /// The exam's title.
    pub title: String,
    /// How far it has come.
    pub delivery: Delivery,
    /// How many questions have a response.
    pub answered: usize,
    /// How many questions there are.
    pub of: usize,
    /// Bytes of the recording that wait on this machine.
    pub recording_left_bytes: u64,
    /// What the server signed for, once it has.
    pub receipt: Option<ReceiptView>,
    /// Whether the program may be left.
    pub may_leave: bool,
}

/// The server's signed word for the responses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptView {
    /// How many journal entries it covers.
    pub entries: u64,
    /// When it was signed, by the server's clock.
    pub at: WallTime,
    /// The receipt's short code.
    pub code: String,
    /// Where the file lies; `None` where it could not be written.
    pub place: Option<String>,
}

/// Why it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCause {
    /// A proctor ended it.
    Terminated,
    /// Consent was refused.
    ConsentRefused,
    /// It was moved to another machine.
    Moved,
    /// It was declared void.
    Void,
}

/// Ended without a submission.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedView {
    /// The exam's title.
    pub title: String,
    /// Why.
    pub cause: EndCause,
}

/// What lies over the screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverlayView {
    /// Which.
    pub overlay: Overlay,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// The message as typed.
    pub draft: String,
    /// Questions without a response.
    pub unanswered: Vec<u16>,
    /// Flagged questions.
    pub flagged: Vec<u16>,
    /// What the enlarged picture shows.
    pub picture: Option<(PictureId, String)>,
}
