//! The kiosk's state machine.

mod check_in;
mod entry;
mod exam;
mod guard;
mod light;
mod liveness;
mod messages;
mod responses;
mod show;
mod voice;

#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::{
    assessment::{ItemPage, ResponseSeq},
    ids::{AttemptId, Epoch, MessageId, PersonId, PictureId},
    local::{AgentStatus, LocalRefusal},
    time::Now,
    wire::{
        AttemptView, CheckInReply, ClientEvent, ClientEventKind, ExamCard, ItemSlot, ProblemCode,
        ServerHello,
    },
};

use crate::{
    Private,
    book::{HashFn, ResponseBook},
    event::{
        AgentNews, Call, CallKind, Effect, Event, Failure, Intent, JournalNews, KeptReceipt,
        Language, MachineFacts, Overlay, Reading, Reply,
    },
    lease::LeaseClock,
    view::{Check, CheckResult, Delivery, EndCause, Trouble},
};

/// What the kiosk may compute but not know how to.
#[derive(Debug, Clone, Copy)]
pub struct Toolbox {
    /// SHA-256.
    pub hash: HashFn,
    /// The text of a freshness code: key, nonce, attempt, epoch.
    pub freshness_code: fn(&[u8; 32], &[u8], AttemptId, Epoch) -> String,
}

/// The kiosk.
#[derive(Debug)]
pub struct Kiosk {
    tools: Toolbox,
    language: Language,
    reading: Reading,
    hello: Option<ServerHello>,
    stage: Stage,
    candidate: Option<PersonId>,
    /// The login of the newest sign-in, so that signing in again asks for the password alone.
    login: Private<String>,
    opened: Option<AttemptId>,
    overlay: Option<Overlay>,
    machine: MachineFacts,
    agent: Agent,
    busy: BTreeSet<CallKind>,
    outbox: Vec<Effect>,
}

#[derive(Debug)]
enum Stage {
    Welcome {
        link: String,
        trouble: Option<Trouble>,
    },
    SignIn(SignInForm),
    Exams {
        name: Private<String>,
        exams: Option<Vec<ExamCard>>,
        trouble: Option<Trouble>,
    },
    Attempt(Box<Attempt>),
}

/// What is typed to sign in.
#[derive(Debug)]
struct SignInForm {
    login: Private<String>,
    password: Private<String>,
    trouble: Option<Trouble>,
    /// When it is sent again by itself: the server was busy, and said until when.
    retry_at: Option<Now>,
}

#[derive(Debug, Default)]
enum Agent {
    #[default]
    Absent,
    Starting,
    Up {
        status: Box<AgentStatus>,
    },
    Refused(LocalRefusal),
    Gone,
    Missing,
}

/// One attempt on this machine, from check-in on.
#[derive(Debug)]
struct Attempt {
    card: ExamCard,
    check_in: Box<CheckInReply>,
    step: Step,
    /// The sign-in ran out; until it is renewed everything is covered and nothing is asked.
    signed_out: Option<SignInForm>,
    /// Whether the machine shows another terminal or session.
    terminal_away: bool,
    /// The version of the consent changed since the candidate agreed.
    consent_due: bool,
    trouble: Option<Trouble>,
    view: Option<Heard>,
    lease: LeaseClock,
    retry_at: BTreeMap<CallKind, Now>,
    book: ResponseBook,
    journal_open: bool,
    read_back: ReadBack,
    receipt: Option<KeptReceipt>,
    disk_refuses: bool,
    slots: Vec<ItemSlot>,
    pages: BTreeMap<u16, ItemPage>,
    wanted_pictures: BTreeSet<PictureId>,
    photo: bool,
    place: u16,
    /// A new question opens then, where the server asked to wait.
    paced_until: Option<Now>,
    covered_since: Option<Now>,
    submission: Option<Submission>,
    events: Vec<ClientEvent>,
    events_sent: usize,
    journal_saved: ResponseSeq,
    locked: bool,
    adapter: bool,
    preview: bool,
    /// The failing check that the server was told of last.
    check_told: Option<Vec<(Check, CheckResult)>>,
    /// Whether a picture of the document is ready to be shown.
    document: bool,
    liveness: liveness::Liveness,
    voice: voice::VoiceStep,
    seen_messages: BTreeSet<MessageId>,
    draft: messages::Draft,
    hand: Option<bool>,
    agent_bound: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Consent {
        read: bool,
        refused: Option<Private<String>>,
    },
    SystemCheck,
    Identity,
    Liveness,
    Voice,
    Instruction {
        read: bool,
    },
    Gate,
    Exam,
    Ended(EndCause),
}

/// Whether the book has what the server knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ReadBack {
    /// It has, or the server knows nothing.
    Done,
    /// Not yet; the first item waits for it, so that a response given before shows with it.
    Due,
    /// The server refused once; it is asked again, and items wait no more.
    Failing,
}

#[derive(Debug)]
struct Heard {
    view: Box<AttemptView>,
    sent: Now,
    received: Now,
}

#[derive(Debug, Clone, Copy)]
struct Submission {
    kept: bool,
    delivery: Delivery,
}

impl Kiosk {
    /// Begins at the first screen, with the enrolment link that is known already.
    #[must_use]
    pub fn new(tools: Toolbox, language: Language, link: String) -> Self {
        Self {
            tools,
            language,
            reading: Reading::default(),
            hello: None,
            stage: Stage::Welcome {
                link,
                trouble: None,
            },
            candidate: None,
            login: Private(String::new()),
            opened: None,
            overlay: None,
            machine: MachineFacts::default(),
            agent: Agent::Absent,
            busy: BTreeSet::new(),
            outbox: Vec::new(),
        }
    }

    /// Takes in one event; returns what is to be done, in order.
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        match event {
            Event::Intent(intent) => self.intent(now, intent),
            Event::Answered { kind, sent, result } => {
                self.busy.remove(&kind);
                match result {
                    Ok(reply) => {
                        self.told(kind);
                        self.reply(now, sent, reply);
                    }
                    Err(failure) => self.failed(now, kind, failure),
                }
            }
            Event::Agent(news) => self.agent_news(now, news),
            Event::Journal(news) => self.journal_news(now, news),
            Event::Receipt(kept) => self.receipt(kept),
            Event::Machine(facts) => self.machine = facts,
            Event::Seen { kind, detail } => {
                self.follow_terminal(kind);
                self.note(now, kind, detail);
            }
            Event::Drew(light) => self.drew(light),
            Event::Tick => {}
        }
        self.settle(now);
        std::mem::take(&mut self.outbox)
    }

    /// Returns the next moment at which time alone changes something.
    #[must_use]
    pub fn wake_at(&self, now: Now) -> Option<Now> {
        match &self.stage {
            Stage::Welcome { .. } | Stage::Exams { .. } => None,
            Stage::SignIn(form) => form.retry_at,
            Stage::Attempt(attempt) => {
                let form = attempt.signed_out.as_ref().and_then(|form| form.retry_at);
                attempt.wake_at(now).into_iter().chain(form).min()
            }
        }
    }

    /// Returns the language of the interface.
    #[must_use]
    pub const fn language(&self) -> Language {
        self.language
    }

    fn intent(&mut self, now: Now, intent: Intent) {
        match intent {
            Intent::ChooseLanguage(language) => self.choose_language(language),
            Intent::ChooseReading(reading) => self.reading = reading,
            Intent::Open(overlay) => self.overlay = Some(overlay),
            Intent::CloseOverlay => self.close_overlay(),
            Intent::Leave => self.leave(),
            Intent::TypeLink(_)
            | Intent::Connect
            | Intent::TypeLogin(_)
            | Intent::TypePassword(_)
            | Intent::SignIn
            | Intent::SignOut
            | Intent::RefreshExams
            | Intent::OpenExam(_) => self.entry_intent(intent),
            Intent::Consent(_)
            | Intent::ReadToEnd
            | Intent::SystemChecked
            | Intent::TakeDocument
            | Intent::ShowIdentity
            | Intent::Continue
            | Intent::Start => self.check_in_intent(intent),
            Intent::TurnHead | Intent::SkipTurning => self.liveness_intent(now, &intent),
            Intent::ReadAloud | Intent::SkipReading => self.voice_intent(now, &intent),
            Intent::GoTo(_)
            | Intent::Choose(_)
            | Intent::Flag
            | Intent::RaiseHand
            | Intent::TypeMessage(_)
            | Intent::SendMessage
            | Intent::Submit => self.exam_intent(now, intent),
        }
    }

    /// A text counts as read in the language that it was read in.
    fn choose_language(&mut self, language: Language) {
        if let Stage::Attempt(attempt) = &mut self.stage
            && let Step::Consent { read, .. } | Step::Instruction { read } = &mut attempt.step
        {
            *read &= language == self.language;
        }
        self.language = language;
    }

    fn reply(&mut self, now: Now, sent: Now, reply: Reply) {
        match reply {
            Reply::Enrolled(_) | Reply::SignedIn(_) | Reply::Exams(_) | Reply::CheckedIn(_) => {
                self.entry_reply(now, reply);
            }
            Reply::Consented(_) => self.consented(now, reply),
            Reply::View(view) => self.heard(now, sent, view),
            Reply::Items(_)
            | Reply::Item(_)
            | Reply::Picture(_)
            | Reply::ReadBack(_)
            | Reply::Stored(_)
            | Reply::Submitted { .. } => self.exam_reply(now, reply),
            Reply::Done => self.look_again(),
        }
    }

    /// Something was done at the server: the next view tells what it changed, so no retry waits.
    fn look_again(&mut self) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.retry_at.clear();
        }
    }

    fn failed(&mut self, now: Now, kind: CallKind, failure: Failure) {
        let trouble = trouble_of(&failure);
        if let (CallKind::Message, Stage::Attempt(attempt)) = (kind, &mut self.stage) {
            attempt.draft.failed();
        }
        if is_signed_out(&failure) && kind != CallKind::SignIn {
            self.signed_out(now, trouble);
            return;
        }
        match &mut self.stage {
            Stage::Welcome { trouble: slot, .. } | Stage::Exams { trouble: slot, .. } => {
                *slot = Some(trouble);
            }
            Stage::SignIn(form) => form.failed(now, trouble),
            Stage::Attempt(attempt) if kind == CallKind::SignIn => {
                if let Some(form) = &mut attempt.signed_out {
                    form.failed(now, trouble);
                }
            }
            Stage::Attempt(_) => self.attempt_failed(now, kind, failure, trouble),
        }
    }

    fn agent_news(&mut self, now: Now, news: AgentNews) {
        let was_up = matches!(self.agent, Agent::Up { .. });
        let lost = was_up
            && !matches!(
                news,
                AgentNews::Status(_)
                    | AgentNews::Finished
                    | AgentNews::DocumentTaken
                    | AgentNews::Voice(_)
                    | AgentNews::Liveness(_)
            );
        if let Stage::Attempt(attempt) = &mut self.stage {
            match &news {
                AgentNews::Status(status) => {
                    attempt.lease.agent_said(now, status);
                    attempt.liveness.agent_up();
                }
                AgentNews::Finished => attempt.liveness.agent_gone(now),
                AgentNews::DocumentTaken => attempt.document = attempt.shows_identity(),
                AgentNews::Voice(state) => self.outbox.extend(attempt.voice_told(*state)),
                AgentNews::Liveness(state) => {
                    self.outbox.extend(attempt.liveness_told(now, *state));
                }
                AgentNews::Started
                | AgentNews::Refused(_)
                | AgentNews::Gone
                | AgentNews::Missing => {
                    attempt.lease.agent_gone(now);
                    attempt.liveness.agent_gone(now);
                }
            }
        }
        if lost {
            let detail = "the kiosk lost its agent".to_owned();
            self.note(now, ClientEventKind::AgentGone, detail);
        }
        self.agent = match news {
            AgentNews::DocumentTaken | AgentNews::Voice(_) | AgentNews::Liveness(_) => return,
            AgentNews::Started => Agent::Starting,
            AgentNews::Status(status) => Agent::Up { status },
            AgentNews::Refused(reason) => Agent::Refused(reason),
            AgentNews::Gone => Agent::Gone,
            AgentNews::Missing => Agent::Missing,
            AgentNews::Finished => Agent::Absent,
        };
    }

    fn journal_news(&mut self, now: Now, news: JournalNews) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.journal_news(now, news);
        }
    }

    fn receipt(&mut self, kept: KeptReceipt) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.keep_receipt(kept);
        }
    }

    /// Notes what the lockdown saw, to be told to the server; the oldest go when there are too many.
    /// Items are covered as long as the machine shows another terminal.
    fn follow_terminal(&mut self, kind: ClientEventKind) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            match kind {
                ClientEventKind::TerminalLeft => attempt.terminal_away = true,
                ClientEventKind::TerminalBack => attempt.terminal_away = false,
                ClientEventKind::WindowSwitch
                | ClientEventKind::FocusLost
                | ClientEventKind::FocusBack
                | ClientEventKind::CloseRefused
                | ClientEventKind::MeasureFailed
                | ClientEventKind::ClipboardCleared
                | ClientEventKind::AgentGone
                | ClientEventKind::ClientRestarted
                | ClientEventKind::AccessibilitySwitched
                | ClientEventKind::ProgramTouched => {}
            }
        }
    }

    fn note(&mut self, now: Now, kind: ClientEventKind, detail: String) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.note(now, kind, detail);
        }
    }

    fn close_overlay(&mut self) {
        if let (Some(Overlay::Messages), Stage::Attempt(attempt)) = (self.overlay, &mut self.stage)
        {
            attempt.mark_messages_seen();
        }
        self.overlay = None;
    }

    fn leave(&mut self) {
        if self.may_leave() {
            self.outbox.push(Effect::Release);
            self.outbox.push(Effect::FinishAgent);
            self.outbox.push(Effect::Quit);
        }
    }

    /// Sends what is due and not under way. Whatever happened, this decides what goes on.
    fn settle(&mut self, now: Now) {
        if let Some(call) = self.form().and_then(|form| form.again(now)) {
            self.call(call);
        }
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        for call in attempt.due(now) {
            if self.busy.insert(call.kind()) {
                attempt.sent(&call);
                self.outbox.push(Effect::Call(call));
            }
        }
        attempt.guard(now, &mut self.outbox);
        if attempt.covered_since.is_some() && matches!(self.overlay, Some(Overlay::Picture(_))) {
            self.overlay = None;
        }
        self.tell_failed_check(now);
        self.settle_liveness(now);
    }

    fn told(&mut self, kind: CallKind) {
        if let Stage::Attempt(attempt) = &mut self.stage {
            attempt.retry_at.remove(&kind);
            attempt.told(kind);
        }
    }

    fn call(&mut self, call: Call) {
        if self.busy.insert(call.kind()) {
            self.outbox.push(Effect::Call(call));
        }
    }
}

fn is_signed_out(failure: &Failure) -> bool {
    match failure {
        Failure::Problem(problem) => problem.code == ProblemCode::NotSignedIn,
        Failure::Unreachable | Failure::Untrusted | Failure::BadLink | Failure::BadAnswer => false,
    }
}

fn trouble_of(failure: &Failure) -> Trouble {
    match failure {
        Failure::Problem(problem) => Trouble::Problem {
            code: problem.code,
            retry_after_s: problem.retry_after_s,
        },
        Failure::Unreachable => Trouble::Unreachable,
        Failure::Untrusted => Trouble::Untrusted,
        Failure::BadLink => Trouble::BadLink,
        Failure::BadAnswer => Trouble::BadAnswer,
    }
}
