//! What happens to the kiosk, what it asks for, and what it answers.

use qorgan_protocol::{
    assessment::{ItemPage, ResponseEntry, ResponseSeq},
    attempt::GatePolicy,
    ids::{AttemptId, Epoch, PictureId},
    local::{AgentStatus, Light, LivenessAsk, LivenessState, LocalRefusal, VoiceAsk, VoiceState},
    time::Now,
    wire::{
        AttemptView, CheckInReply, ClientEvent, ClientEventKind, ConsentReply, ExamCard, ItemList,
        Problem, ResponseReceipt, ServerHello, SignInReply, SystemCheckLine,
    },
};

use crate::Private;

/// A language of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Language {
    /// Kazakh.
    Kk,
    /// Russian.
    Ru,
    /// English.
    En,
}

impl Language {
    /// Every language, in the order offered.
    pub const ALL: [Self; 3] = [Self::Kk, Self::Ru, Self::En];

    /// Returns the code on the wire and in file names.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Kk => "kk",
            Self::Ru => "ru",
            Self::En => "en",
        }
    }

    /// Returns the language of a code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == code)
    }
}

/// Light, dark, or black on white.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Theme {
    /// Dark text on light ground.
    Light,
    /// Light text on dark ground.
    Dark,
    /// Black and white, for those who need the strongest contrast.
    Contrast,
}

/// How the candidate wants to read (decision 11).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Light, dark or contrast.
    pub theme: Theme,
    /// Steps above the smallest item text, 0 to [`Reading::TEXT_STEP_MAX`].
    pub text_step: u8,
    /// Whether nothing may move.
    pub reduced_motion: bool,
    /// Whether Noto Sans is used in the place of Inter.
    pub second_font: bool,
}

impl Reading {
    /// The largest text step.
    pub const TEXT_STEP_MAX: u8 = 4;
}

impl Default for Reading {
    fn default() -> Self {
        Self {
            theme: Theme::Light,
            text_step: 0,
            reduced_motion: false,
            second_font: false,
        }
    }
}

/// What the candidate did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intent {
    /// Chose a language.
    ChooseLanguage(Language),
    /// Changed how to read.
    ChooseReading(Reading),
    /// Typed the enrolment link.
    TypeLink(String),
    /// Asked to reach the server.
    Connect,
    /// Typed the login.
    TypeLogin(Private<String>),
    /// Typed the password.
    TypePassword(Private<String>),
    /// Asked to sign in.
    SignIn,
    /// Left the account.
    SignOut,
    /// Asked for the list of exams once more.
    RefreshExams,
    /// Opened an exam.
    OpenExam(AttemptId),
    /// Agreed to capture or refused.
    Consent(bool),
    /// Read a text to its end.
    ReadToEnd,
    /// Went on from the system check.
    SystemChecked,
    /// Asked for a picture of the document before the camera.
    TakeDocument,
    /// Is ready to be identified.
    ShowIdentity,
    /// Turns the head as asked from now on.
    TurnHead,
    /// Goes on without turning the head.
    SkipTurning,
    /// Reads aloud from now on.
    ReadAloud,
    /// Goes on without reading aloud.
    SkipReading,
    /// Went on from identity, liveness, reading aloud or instruction.
    Continue,
    /// Asked to start at the gate.
    Start,
    /// Went to another question, from 1.
    GoTo(u16),
    /// Chose a choice, or took it back.
    Choose(String),
    /// Flagged the question for later, or took it back.
    Flag,
    /// Raised the hand, or took it down.
    RaiseHand,
    /// Opened an overlay.
    Open(Overlay),
    /// Closed the overlay.
    CloseOverlay,
    /// Typed a message.
    TypeMessage(String),
    /// Sent the message.
    SendMessage,
    /// Submits for good.
    Submit,
    /// Leaves the program after the end.
    Leave,
}

/// What lies over the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlay {
    /// The card of keys, with whom to call.
    Help,
    /// The messages with the proctor.
    Messages,
    /// The question whether to submit.
    ConfirmSubmit,
    /// A picture, enlarged.
    Picture(PictureId),
    /// How to read.
    Reading,
}

/// A request to the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Reaches the server of an enrolment link and checks its certificate.
    Enrol {
        /// The link.
        link: String,
    },
    /// Signs in.
    SignIn {
        /// The login.
        login: Private<String>,
        /// The password.
        password: Private<String>,
    },
    /// Lists the candidate's exams.
    Exams,
    /// Binds the attempt to this machine.
    CheckIn {
        /// Which attempt.
        attempt: AttemptId,
        /// In which language.
        language: Language,
    },
    /// Tells consent or refusal.
    Consent {
        /// The version shown.
        version: String,
        /// The language it was shown in.
        language: Language,
        /// Which it is.
        agreed: bool,
    },
    /// Tells what was checked.
    SystemCheck {
        /// The lines.
        lines: Vec<SystemCheckLine>,
    },
    /// Gets the photo on file into the picture store.
    Photo,
    /// Tells that the candidate is before the camera.
    Identity {
        /// Whether the picture of the document that the shell keeps goes with it.
        document: bool,
    },
    /// Tells that the instruction was read to its end.
    Instruction {
        /// The version read.
        version: String,
    },
    /// Asks to start.
    Start,
    /// Waits for the next view.
    View {
        /// The version that is known.
        after: u64,
    },
    /// Lists the items.
    Items,
    /// Gets one item.
    Item {
        /// Its place, from 1.
        position: u16,
    },
    /// Gets a picture into the picture store.
    Picture {
        /// Which.
        picture: PictureId,
    },
    /// Gets what the server has of the responses.
    ReadBack,
    /// Delivers responses.
    Responses {
        /// In order.
        entries: Vec<ResponseEntry>,
    },
    /// Submits.
    Submit {
        /// The place after the last entry.
        entries: ResponseSeq,
    },
    /// Sends a message.
    Message {
        /// What it says.
        text: Private<String>,
    },
    /// Raises the hand or takes it down.
    Hand {
        /// Which.
        raised: bool,
    },
    /// Tells what the lockdown saw.
    Events {
        /// Oldest first.
        events: Vec<ClientEvent>,
    },
}

/// Names a request, so that an answer finds its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallKind {
    /// [`Call::Enrol`].
    Enrol,
    /// [`Call::SignIn`].
    SignIn,
    /// [`Call::Exams`].
    Exams,
    /// [`Call::CheckIn`].
    CheckIn,
    /// [`Call::Consent`].
    Consent,
    /// [`Call::SystemCheck`].
    SystemCheck,
    /// [`Call::Photo`].
    Photo,
    /// [`Call::Identity`].
    Identity,
    /// [`Call::Instruction`].
    Instruction,
    /// [`Call::Start`].
    Start,
    /// [`Call::View`].
    View,
    /// [`Call::Items`].
    Items,
    /// [`Call::Item`].
    Item,
    /// [`Call::Picture`].
    Picture,
    /// [`Call::ReadBack`].
    ReadBack,
    /// [`Call::Responses`].
    Responses,
    /// [`Call::Submit`].
    Submit,
    /// [`Call::Message`].
    Message,
    /// [`Call::Hand`].
    Hand,
    /// [`Call::Events`].
    Events,
}

impl Call {
    /// Returns the request's name.
    #[must_use]
    pub const fn kind(&self) -> CallKind {
        match self {
            Self::Enrol { .. } => CallKind::Enrol,
            Self::SignIn { .. } => CallKind::SignIn,
            Self::Exams => CallKind::Exams,
            Self::CheckIn { .. } => CallKind::CheckIn,
            Self::Consent { .. } => CallKind::Consent,
            Self::SystemCheck { .. } => CallKind::SystemCheck,
            Self::Photo => CallKind::Photo,
            Self::Identity { .. } => CallKind::Identity,
            Self::Instruction { .. } => CallKind::Instruction,
            Self::Start => CallKind::Start,
            Self::View { .. } => CallKind::View,
            Self::Items => CallKind::Items,
            Self::Item { .. } => CallKind::Item,
            Self::Picture { .. } => CallKind::Picture,
            Self::ReadBack => CallKind::ReadBack,
            Self::Responses { .. } => CallKind::Responses,
            Self::Submit { .. } => CallKind::Submit,
            Self::Message { .. } => CallKind::Message,
            Self::Hand { .. } => CallKind::Hand,
            Self::Events { .. } => CallKind::Events,
        }
    }
}

/// What the server answered. Answers whose content stays in the shell (keys, pictures) say only
/// that it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// The server is the one of the link.
    Enrolled(Box<ServerHello>),
    /// Signed in.
    SignedIn(SignInReply),
    /// The exams.
    Exams(Vec<ExamCard>),
    /// The attempt is bound to this machine.
    CheckedIn(Box<CheckInReply>),
    /// Consent is recorded.
    Consented(ConsentReply),
    /// The view.
    View(Box<AttemptView>),
    /// The items' places.
    Items(ItemList),
    /// An item.
    Item(Box<ItemPage>),
    /// A picture is in the store.
    Picture(PictureId),
    /// The newest response that the server has of each item.
    ReadBack(Vec<ResponseEntry>),
    /// Responses are stored; the receipt's signature holds.
    Stored(ResponseReceipt),
    /// The submission is stored; the receipt's signature holds.
    Submitted {
        /// The receipt.
        receipt: ResponseReceipt,
        /// Whether it came late.
        late: bool,
    },
    /// Done, nothing to tell.
    Done,
}

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// The server refused, with a code.
    Problem(Problem),
    /// The server cannot be reached.
    Unreachable,
    /// The certificate is not the one of the enrolment: somebody stands between, or the link is old.
    Untrusted,
    /// The enrolment link cannot be read.
    BadLink,
    /// An answer made no sense or its signature does not hold.
    BadAnswer,
}

/// What the local agent told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentNews {
    /// Its process was started.
    Started,
    /// It proved itself and told how everything does.
    Status(Box<AgentStatus>),
    /// The picture of the document is in the picture store.
    DocumentTaken,
    /// Where learning the candidate's voice stands.
    Voice(VoiceState),
    /// What is asked of the candidate and of the screen to show that a living person sits there.
    Liveness(LivenessState),
    /// It refused.
    Refused(LocalRefusal),
    /// It is gone, or its connection is.
    Gone,
    /// It has delivered everything and has left, as it was told to.
    Finished,
    /// Its program is not there or cannot be started.
    Missing,
}

/// What the journal told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JournalNews {
    /// What was on disk for this attempt and epoch, whole and in order.
    Replayed {
        /// The entries.
        entries: Vec<ResponseEntry>,
        /// The submission that was kept, with the place after its last entry.
        submitted: Option<ResponseSeq>,
        /// The question that was open.
        place: Option<u16>,
    },
    /// The entry is on disk.
    Saved(ResponseSeq),
    /// The submission is on disk.
    SubmissionKept,
    /// The disk refused; the entry lives in memory until the server has it.
    Failed,
}

/// A receipt of the server, kept for the candidate (decision 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReceipt {
    /// What the server signed.
    pub receipt: ResponseReceipt,
    /// A short code of the signed bytes, to be compared by eye.
    pub code: String,
    /// Where the file lies; `None` where the disk refused it.
    pub place: Option<String>,
}

/// What the machine's shell found about the machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MachineFacts {
    /// Free bytes where the journal lies.
    pub disk_free_bytes: Option<u64>,
    /// The proxy in use.
    pub proxy: Option<String>,
    /// Whether the display is an X11 one.
    pub x11: bool,
    /// Whether the session comes from another machine.
    pub remote_session: bool,
    /// The virtual machine's maker, where there is one.
    pub virtual_machine: Option<String>,
    /// Why the display is taken for one inside another, or of another machine.
    pub nested_display: Option<String>,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The candidate did something.
    Intent(Intent),
    /// The server answered what was asked at `sent`.
    Answered {
        /// Which request.
        kind: CallKind,
        /// When it was sent.
        sent: Now,
        /// The answer.
        result: Result<Reply, Failure>,
    },
    /// The agent told something.
    Agent(AgentNews),
    /// The journal told something.
    Journal(JournalNews),
    /// A signed receipt of the server was kept on this machine.
    Receipt(KeptReceipt),
    /// The machine was looked at.
    Machine(MachineFacts),
    /// The lockdown saw something.
    Seen {
        /// What.
        kind: ClientEventKind,
        /// In few words.
        detail: String,
    },
    /// The window has drawn a frame that shines in this light, or as always.
    Drew(Option<Light>),
    /// Time passed.
    Tick,
}

/// What the kiosk asks its shell to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Asks the server.
    Call(Call),
    /// Starts the agent, or binds it once more after it was gone, and opens its devices.
    RunAgent {
        /// The token for its enrolment.
        token: Private<String>,
        /// Its bandwidth profile.
        bandwidth: String,
    },
    /// Asks the agent for previews, or no more.
    Preview(bool),
    /// Asks the agent for a picture of the camera in full size; [`AgentNews::DocumentTaken`] answers.
    TakeDocument,
    /// Tells the agent what the candidate does about reading aloud; [`AgentNews::Voice`] follows.
    Voice(VoiceAsk),
    /// Tells the agent what candidate and screen do about showing that a living person sits there.
    Liveness(LivenessAsk),
    /// Tells the agent that the attempt is over here.
    FinishAgent,
    /// Opens the journal of an attempt and epoch; [`JournalNews::Replayed`] answers.
    OpenJournal {
        /// Which attempt.
        attempt: AttemptId,
        /// Which epoch.
        epoch: Epoch,
    },
    /// Writes an entry to the journal; [`JournalNews::Saved`] answers when it is on disk.
    Append(ResponseEntry),
    /// Writes the submission to the journal.
    KeepSubmission(ResponseSeq),
    /// Remembers which question is open.
    RememberPlace(u16),
    /// Looks at the machine.
    LookAtMachine,
    /// Locks the machine.
    Engage(GatePolicy),
    /// Unlocks the machine.
    Release,
    /// Forgets every picture of the exam.
    DropContent,
    /// Switches the accessibility adapter.
    Accessibility(bool),
    /// Ends the program.
    Quit,
}
