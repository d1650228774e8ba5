//! Server, sign in, my exams.

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::{
    assessment::ResponseSeq,
    crypto::Sha256,
    ids::AttemptId,
    time::Now,
    wire::{CheckInReply, ClientEventKind, ExamCard},
};

use super::{Agent, Attempt, Kiosk, Stage};
use crate::{
    Private,
    book::ResponseBook,
    event::{Call, CallKind, Effect, Intent, Language, Reply},
    lease::LeaseClock,
};

impl Kiosk {
    //= tests/data/sop-2-28.md#3-test-application
    //= tests/data/sop-2-28.md#11-sign-in
    pub(super) fn entry_intent(&mut self, intent: Intent) {
        match (&mut self.stage, intent) {
            (Stage::Welcome { link, trouble }, Intent::TypeLink(typed)) => {
                *link = typed;
                *trouble = None;
            }
            (Stage::Welcome { link, .. }, Intent::Connect) => {
                let link = link.trim().to_owned();
                self.call(Call::Enrol { link });
            }
            (Stage::SignIn { login, trouble, .. }, Intent::TypeLogin(typed)) => {
                *login = typed;
                *trouble = None;
            }
            (
                Stage::SignIn {
                    password, trouble, ..
                },
                Intent::TypePassword(typed),
            ) => {
                *password = typed;
                *trouble = None;
            }
            (
                Stage::SignIn {
                    login, password, ..
                },
                Intent::SignIn,
            ) if !login.0.trim().is_empty() && !password.0.is_empty() => {
                let login = Private(login.0.trim().to_owned());
                let password = password.clone();
                self.call(Call::SignIn { login, password });
            }
            (Stage::Exams { .. }, Intent::RefreshExams) => self.call(Call::Exams),
            (Stage::Exams { .. }, Intent::OpenExam(attempt)) => {
                let language = self.language;
                self.call(Call::CheckIn { attempt, language });
                self.opening(attempt);
            }
            (Stage::Exams { .. }, Intent::SignOut) => self.stage = sign_in(),
            _ => {}
        }
    }

    pub(super) fn entry_reply(&mut self, now: Now, reply: Reply) {
        match (&mut self.stage, reply) {
            (Stage::Welcome { .. }, Reply::Enrolled(hello)) => {
                self.hello = Some(*hello);
                self.stage = sign_in();
                self.outbox.push(Effect::LookAtMachine);
            }
            (Stage::SignIn { .. }, Reply::SignedIn(reply)) => {
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
        let step = super::check_in::step_of(&check_in.phase);
        let again = super::check_in::has_consented(&check_in.phase);
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
            trouble: None,
            view: None,
            lease: LeaseClock::default(),
            retry_at: BTreeMap::new(),
            book,
            journal_open: false,
            disk_refuses: false,
            slots: Vec::new(),
            pages: BTreeMap::new(),
            wanted_pictures: BTreeSet::new(),
            photo: false,
            place: 1,
            covered_since: None,
            submission: None,
            events: Vec::new(),
            events_sent: 0,
            journal_saved: ResponseSeq(0),
            locked: false,
            adapter: true,
            preview: true,
            seen_messages: BTreeSet::new(),
            draft: String::new(),
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

    /// Takes the candidate's language as the interface's, once known.
    pub fn set_language(&mut self, language: Language) {
        self.language = language;
    }
}

fn sign_in() -> Stage {
    Stage::SignIn {
        login: Private::default(),
        password: Private::default(),
        trouble: None,
    }
}
