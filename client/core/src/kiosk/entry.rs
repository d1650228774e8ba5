//! Server, sign in, my exams.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use qorgan_protocol::{
    assessment::ResponseSeq,
    crypto::Sha256,
    ids::{AttemptId, Epoch},
    time::Now,
    wire::{CheckInReply, ClientEventKind, ExamCard, ProblemCode},
};

use super::{
    Agent, Attempt, Kiosk, ReadBack, SignInForm, Stage, Step,
    check_in::{after_identity, consent_step, has_consented, step_of},
    liveness::Liveness,
    messages::Draft,
    voice::VoiceStep,
};
use crate::{
    Private,
    book::ResponseBook,
    event::{Call, CallKind, Effect, Intent, Overlay, Reply},
    lease::LeaseClock,
    view::Trouble,
};

impl Kiosk {
    //= tests/data/sop-2-28.md#3-test-application
    //= tests/data/sop-2-28.md#11-sign-in
    pub(super) fn entry_intent(&mut self, intent: Intent) {
        if let Some(form) = self.form() {
            if let Some(call) = form.take(intent) {
                self.call(call);
            }
            return;
        }
        match (&mut self.stage, intent) {
            (Stage::Welcome { link, trouble }, Intent::TypeLink(typed)) => {
                *link = typed;
                *trouble = None;
            }
            (Stage::Welcome { link, .. }, Intent::Connect) => {
                let link = link.trim().to_owned();
                self.call(Call::Enrol { link });
            }
            (Stage::Exams { .. }, Intent::RefreshExams) => self.call(Call::Exams),
            (Stage::Exams { .. }, Intent::OpenExam(attempt)) => {
                let language = self.language;
                self.call(Call::CheckIn { attempt, language });
                self.opening(attempt);
            }
            (Stage::Exams { .. }, Intent::SignOut) => {
                self.stage = sign_in(Private(String::new()), None);
            }
            _ => {}
        }
    }

    pub(super) fn entry_reply(&mut self, now: Now, reply: Reply) {
        match (&mut self.stage, reply) {
            (Stage::Welcome { .. }, Reply::Enrolled(hello)) => {
                self.hello = Some(*hello);
                self.stage = sign_in(Private(String::new()), None);
                self.outbox.push(Effect::LookAtMachine);
            }
            (Stage::Attempt(attempt), Reply::SignedIn(reply)) => {
                attempt.signed_in(now, self.candidate == Some(reply.candidate));
            }
            (Stage::SignIn(form), Reply::SignedIn(reply)) => {
                self.login = form.login.clone();
                self.candidate = Some(reply.candidate);
                self.stage = Stage::Exams {
                    name: Private(reply.display_name),
                    exams: None,
                    trouble: None,
                };
                self.call(Call::Exams);
            }
            (Stage::Exams { exams, trouble, .. }, Reply::Exams(list)) => {
                *exams = Some(list);
                *trouble = None;
            }
            (
                Stage::Exams {
                    exams: Some(exams), ..
                },
                Reply::CheckedIn(check_in),
            ) => {
                let opened = self.opened;
                let card = exams
                    .iter()
                    .find(|card| Some(card.attempt) == opened)
                    .cloned();
                if let Some(card) = card {
                    self.begin(now, card, check_in);
                }
            }
            _ => {}
        }
    }

    /// Returns what is being typed to sign in, where that is asked for.
    pub(super) fn form(&mut self) -> Option<&mut SignInForm> {
        match &mut self.stage {
            Stage::SignIn(form) => Some(form),
            Stage::Attempt(attempt) => attempt.signed_out.as_mut(),
            Stage::Welcome { .. } | Stage::Exams { .. } => None,
        }
    }

    /// The token ran out or was ended: the candidate signs in again where they are.
    pub(super) fn signed_out(&mut self, now: Now, trouble: Trouble) {
        let login = self.login.clone();
        match &mut self.stage {
            Stage::Attempt(attempt) => attempt.sign_out(now, login),
            Stage::SignIn(form) => form.trouble = Some(trouble),
            Stage::Exams { .. } => self.stage = sign_in(login, Some(trouble)),
            Stage::Welcome { trouble: slot, .. } => *slot = Some(trouble),
        }
        if matches!(self.stage, Stage::Attempt(_)) && self.overlay != Some(Overlay::Help) {
            self.overlay = None;
        }
    }

    fn opening(&mut self, attempt: AttemptId) {
        self.opened = Some(attempt);
        if let Stage::Exams { trouble, .. } = &mut self.stage {
            *trouble = None;
        }
    }

    fn begin(&mut self, now: Now, card: ExamCard, check_in: Box<CheckInReply>) {
        let (id, epoch) = (card.attempt, check_in.epoch);
        let head =
            <[u8; 32]>::try_from(check_in.journal_head.0.as_slice()).map_or(Sha256::ZERO, Sha256);
        let book = ResponseBook::new(id, epoch, self.tools.hash, check_in.journal_next, head);
        let resumed = check_in.phase.shows_items() || check_in.journal_next.0 > 0;
        let agreed = has_consented(&check_in.phase);
        let again = agreed && check_in.consent_recorded;
        let consent_due = agreed && !again;
        let step = first_step(&check_in, consent_due);
        let stored = check_in.journal_next.0 > 0 || epoch > Epoch::FIRST;
        let consent = Call::Consent {
            version: check_in.consent_version.clone(),
            language: self.language,
            agreed: true,
        };
        let photo = check_in.photo_on_file;
        self.agent = Agent::Absent;
        self.stage = Stage::Attempt(Box::new(Attempt {
            card,
            check_in,
            step,
            signed_out: None,
            terminal_away: false,
            consent_due,
            trouble: None,
            view: None,
            lease: LeaseClock::default(),
            retry_at: BTreeMap::new(),
            book,
            journal_open: false,
            read_back: if stored {
                ReadBack::Due
            } else {
                ReadBack::Done
            },
            receipt: None,
            disk_refuses: false,
            slots: Vec::new(),
            pages: BTreeMap::new(),
            wanted_pictures: BTreeSet::new(),
            photo: false,
            place: 1,
            paced_until: None,
            covered_since: None,
            submission: None,
            events: Vec::new(),
            events_sent: 0,
            journal_saved: ResponseSeq(0),
            locked: false,
            adapter: true,
            preview: true,
            check_told: None,
            document: false,
            liveness: Liveness::default(),
            voice: VoiceStep::default(),
            seen_messages: BTreeSet::new(),
            draft: Draft::default(),
            hand: None,
            agent_bound: false,
        }));
        self.outbox.push(Effect::OpenJournal { attempt: id, epoch });
        if photo {
            self.call(Call::Photo);
        }
        if again {
            // Consent is on record; the same word again gives the agent's token after a restart.
            self.call(consent);
        }
        if resumed {
            self.note(now, ClientEventKind::ClientRestarted, String::new());
        }
    }

    /// Returns whether one of these requests is under way.
    pub(super) fn is_busy(&self, kinds: &[CallKind]) -> bool {
        kinds.iter().any(|kind| self.busy.contains(kind))
    }
}

impl SignInForm {
    const fn new(login: Private<String>, trouble: Option<Trouble>) -> Self {
        Self {
            login,
            password: Private(String::new()),
            trouble,
            retry_at: None,
        }
    }

    /// Keeps why it failed. Where the server was busy and said until when, it is sent again then: who
    /// comes with a full lab does not have to press for a place.
    pub(super) fn failed(&mut self, now: Now, trouble: Trouble) {
        self.retry_at = match &trouble {
            Trouble::Problem {
                code: ProblemCode::Unavailable,
                retry_after_s: Some(seconds),
            } => Some(now + Duration::from_secs(u64::from(*seconds))),
            Trouble::Problem { .. }
            | Trouble::Unreachable
            | Trouble::Untrusted
            | Trouble::BadLink
            | Trouble::BadAnswer
            | Trouble::DiskRefuses
            | Trouble::OtherPerson
            | Trouble::JournalForked => None,
        };
        self.trouble = Some(trouble);
    }

    /// Returns the request once it is to be sent again.
    pub(super) fn again(&mut self, now: Now) -> Option<Call> {
        self.retry_at.take_if(|at| *at <= now)?;
        self.take(Intent::SignIn)
    }

    /// Takes what was typed; returns the request once it is to be sent.
    fn take(&mut self, intent: Intent) -> Option<Call> {
        match intent {
            Intent::TypeLogin(typed) => {
                self.login = typed;
                self.trouble = None;
                self.retry_at = None;
            }
            Intent::TypePassword(typed) => {
                self.password = typed;
                self.trouble = None;
                self.retry_at = None;
            }
            Intent::SignIn if !self.login.0.trim().is_empty() && !self.password.0.is_empty() => {
                self.retry_at = None;
                return Some(Call::SignIn {
                    login: Private(self.login.0.trim().to_owned()),
                    password: self.password.clone(),
                });
            }
            Intent::ChooseLanguage(_)
            | Intent::ChooseReading(_)
            | Intent::TypeLink(_)
            | Intent::Connect
            | Intent::SignIn
            | Intent::SignOut
            | Intent::RefreshExams
            | Intent::OpenExam(_)
            | Intent::Consent(_)
            | Intent::ReadToEnd
            | Intent::SystemChecked
            | Intent::TakeDocument
            | Intent::ShowIdentity
            | Intent::TurnHead
            | Intent::SkipTurning
            | Intent::ReadAloud
            | Intent::SkipReading
            | Intent::Continue
            | Intent::Start
            | Intent::GoTo(_)
            | Intent::Choose(_)
            | Intent::Flag
            | Intent::RaiseHand
            | Intent::Open(_)
            | Intent::CloseOverlay
            | Intent::TypeMessage(_)
            | Intent::SendMessage
            | Intent::Submit
            | Intent::Leave => {}
        }
        None
    }
}

impl Attempt {
    /// Covers and asks for the sign-in; what was given stays in book and journal.
    fn sign_out(&mut self, now: Now, login: Private<String>) {
        self.lease.void(now);
        if self.signed_out.is_none() {
            self.signed_out = Some(SignInForm::new(login, None));
        }
    }

    /// Goes on where it was, for the same person only: the attempt is nobody else's.
    fn signed_in(&mut self, now: Now, same: bool) {
        let Some(form) = &mut self.signed_out else {
            return;
        };
        if same {
            self.signed_out = None;
            self.retry_at.clear();
            self.lease.void(now);
        } else {
            form.password = Private(String::new());
            form.trouble = Some(Trouble::OtherPerson);
        }
    }
}

/// Returns the screen to begin at on this machine.
fn first_step(check_in: &CheckInReply, consent_due: bool) -> Step {
    if consent_due {
        return consent_step();
    }
    let undone = (&Liveness::default(), &VoiceStep::default());
    step_of(&check_in.phase, after_identity(&check_in.policy, undone))
}

const fn sign_in(login: Private<String>, trouble: Option<Trouble>) -> Stage {
    Stage::SignIn(SignInForm::new(login, trouble))
}
