//! Makes the views.

use core::time::Duration;

use qorgan_protocol::{
    assessment::{Interaction, Response},
    evidence::StreamKind,
    local::LinkState,
    time::Now,
    wire::{GateLineState, IdentityState, MessageFrom, TextIn},
};

use super::{Agent, Attempt, Kiosk, ReadBack, SignInForm, Stage, Step, check_in, check_in::Again};
use crate::{
    event::{CallKind, Language, Overlay},
    lease::CoverCause,
    view::{
        BarView, Connection, CoveredView, EndedView, ExamView, ExamsView, GateLineView, GateView,
        IdentityView, ItemView, OverlayView, QuestionView, ReceiptView, Recording, ScreenView,
        SignInView, SubmittedView, SystemCheckView, TextView, Trouble, View, WelcomeView,
    },
};

impl Kiosk {
    /// Returns what to draw at `now`.
    #[must_use]
    pub fn view(&self, now: Now) -> View {
        let institution = self.hello.as_ref().map(|hello| match self.language {
            Language::Kk => hello.name_kk.clone(),
            Language::Ru => hello.name_ru.clone(),
            Language::En => hello.name_en.clone(),
        });
        View {
            language: self.language,
            reading: self.reading,
            institution,
            support: self.hello.as_ref().map(|hello| hello.support.clone()),
            screen: self.screen(now),
            overlay: self.overlay_view(now),
            freshness: self.freshness(now),
            light: self.light(),
        }
    }

    fn screen(&self, now: Now) -> ScreenView {
        match &self.stage {
            Stage::Welcome { link, trouble } => ScreenView::Welcome(WelcomeView {
                link: link.clone(),
                busy: self.is_busy(&[CallKind::Enrol]),
                trouble: trouble.clone(),
            }),
            Stage::SignIn(form) => ScreenView::SignIn(self.sign_in(form, false)),
            Stage::Exams {
                name,
                exams,
                trouble,
            } => ScreenView::Exams(ExamsView {
                name: name.clone(),
                exams: exams.clone(),
                busy: self.is_busy(&[CallKind::CheckIn]),
                trouble: trouble.clone(),
            }),
            Stage::Attempt(attempt) => match &attempt.signed_out {
                Some(form) => ScreenView::SignIn(self.sign_in(form, true)),
                None => self.attempt_screen(now, attempt),
            },
        }
    }

    fn sign_in(&self, form: &SignInForm, again: bool) -> SignInView {
        SignInView {
            login: form.login.clone(),
            password: form.password.clone(),
            again,
            busy: self.is_busy(&[CallKind::SignIn]),
            trouble: form.trouble.clone(),
        }
    }

    fn attempt_screen(&self, now: Now, attempt: &Attempt) -> ScreenView {
        match attempt.again() {
            Some(Again::Check) => return self.system_check(attempt),
            Some(Again::Identity) => return self.identity_screen(attempt),
            None => {}
        }
        match &attempt.step {
            Step::Consent { read, refused } => ScreenView::Consent(TextView {
                refused: refused.clone(),
                ..self.text(attempt, &attempt.check_in.consent_text, *read)
            }),
            Step::SystemCheck => self.system_check(attempt),
            Step::Identity => self.identity_screen(attempt),
            Step::Liveness => ScreenView::Liveness(self.liveness_view(now, attempt)),
            Step::Voice => ScreenView::Voice(self.voice_view(now, attempt)),
            Step::Instruction { read } => ScreenView::Instruction(self.text(
                attempt,
                &attempt.check_in.instruction_text,
                *read,
            )),
            Step::Gate => ScreenView::Gate(self.gate(attempt)),
            Step::Exam => self.exam_screen(now, attempt),
            Step::Ended(cause) => ScreenView::Ended(EndedView {
                title: attempt.check_in.title.clone(),
                cause: *cause,
            }),
        }
    }

    fn system_check(&self, attempt: &Attempt) -> ScreenView {
        let lines = self.check_lines();
        ScreenView::SystemCheck(SystemCheckView {
            ready: check_in::passes(&lines),
            lines,
            busy: self.is_busy(&check_in::CHECK_IN_CALLS),
            trouble: attempt.trouble.clone(),
        })
    }

    fn identity_screen(&self, attempt: &Attempt) -> ScreenView {
        let reason = attempt.view.as_ref();
        ScreenView::Identity(IdentityView {
            photo: attempt.photo,
            camera: self
                .source(StreamKind::Camera)
                .map(|source| source.health.source),
            document: attempt.document(),
            state: attempt.identity(),
            reason: reason.and_then(|heard| heard.view.identity_reason.clone()),
            must_be_approved: attempt.check_in.policy.identity_before_start,
            ready: attempt.identity_passes(),
            busy: self.is_busy(&check_in::CHECK_IN_CALLS),
            trouble: attempt.trouble.clone(),
        })
    }

    fn text(&self, attempt: &Attempt, text: &TextIn, read: bool) -> TextView {
        let text = match self.language {
            Language::Kk => &text.kk,
            Language::Ru => &text.ru,
            Language::En => &text.en,
        };
        TextView {
            title: attempt.check_in.title.clone(),
            text: text.clone(),
            read,
            refused: None,
            busy: self.is_busy(&check_in::CHECK_IN_CALLS),
            trouble: attempt.trouble.clone(),
        }
    }

    fn gate(&self, attempt: &Attempt) -> GateView {
        let lines = attempt
            .check_in
            .policy
            .required()
            .into_iter()
            .map(|source| self.gate_line(attempt, source))
            .collect();
        let heard = attempt.view.as_ref();
        let policy = &attempt.check_in.policy;
        let approved = attempt.identity() == IdentityState::Approved;
        GateView {
            title: attempt.check_in.title.clone(),
            duration: Duration::from_millis(attempt.card.duration_ms),
            items: attempt.card.items,
            lines,
            waits_for_proctor: heard.is_some_and(|heard| heard.view.waits_for_proctor),
            waits_for_identity: policy.identity_before_start && !approved,
            agent_linked: matches!(&self.agent, Agent::Up { status } if status.link == LinkState::Live),
            open: attempt.gate_open(),
            busy: self.is_busy(&check_in::CHECK_IN_CALLS),
            trouble: attempt.trouble.clone(),
        }
    }

    fn gate_line(&self, attempt: &Attempt, source: StreamKind) -> GateLineView {
        let server = attempt
            .view
            .as_ref()
            .and_then(|heard| heard.view.gate.iter().find(|line| line.source == source))
            .map_or(GateLineState::Waiting, |line| line.state);
        let device = self.source(source);
        GateLineView {
            source,
            server,
            device: device.map(|device| device.health.state),
            label: device
                .map(|device| device.label.clone())
                .unwrap_or_default(),
            level: device.and_then(|device| device.level),
            preview: device
                .filter(|device| device.preview.is_some())
                .map(|device| device.health.source),
        }
    }

    fn exam_screen(&self, now: Now, attempt: &Attempt) -> ScreenView {
        if let Some(submission) = attempt.submission {
            return ScreenView::Submitted(SubmittedView {
                title: attempt.check_in.title.clone(),
                delivery: submission.delivery,
                answered: attempt.book.answered(),
                of: attempt.questions_total(),
                recording_left_bytes: match &self.agent {
                    Agent::Up { status } => status.spooled_bytes,
                    Agent::Absent
                    | Agent::Starting
                    | Agent::Refused(_)
                    | Agent::Gone
                    | Agent::Missing => 0,
                },
                receipt: attempt.receipt.as_ref().map(|kept| ReceiptView {
                    entries: kept.receipt.next.0,
                    at: kept.receipt.at,
                    code: kept.code.clone(),
                    place: kept.place.clone(),
                }),
                may_leave: self.may_leave(),
            });
        }
        match attempt.shows(now) {
            Ok(()) => ScreenView::Exam(Box::new(self.exam(now, attempt))),
            Err(cause) => ScreenView::Covered(self.covered(now, attempt, cause)),
        }
    }

    fn exam(&self, now: Now, attempt: &Attempt) -> ExamView {
        let message = attempt.view.as_ref().and_then(|heard| {
            heard.view.messages.iter().rev().find(|message| {
                message.from == MessageFrom::Proctor && !attempt.seen_messages.contains(&message.id)
            })
        });
        let questions: Vec<QuestionView> = attempt.questions();
        ExamView {
            bar: self.bar(now, attempt),
            flagged: questions
                .iter()
                .any(|question| question.position == attempt.place && question.flagged),
            questions,
            answered: attempt.book.answered(),
            place: attempt.place,
            item: attempt.item(),
            item_in: attempt
                .paced_until
                .filter(|&at| at > now)
                .map(|at| whole_seconds(at.since(now) + Duration::from_millis(999))),
            message: message.cloned(),
            ask: attempt.liveness.exam_ask(),
            trouble: attempt
                .trouble
                .clone()
                .or_else(|| attempt.disk_refuses.then_some(Trouble::DiskRefuses)),
        }
    }

    fn covered(&self, now: Now, attempt: &Attempt, cause: CoverCause) -> CoveredView {
        let mut lost: Vec<StreamKind> = attempt
            .view
            .as_ref()
            .map(|heard| {
                let lines = heard.view.gate.iter();
                lines
                    .filter(|line| line.state != GateLineState::Live)
                    .map(|line| line.source)
                    .collect()
            })
            .unwrap_or_default();
        lost.sort_unstable();
        let heard = attempt.view.as_ref();
        let identity_shown =
            heard.is_some_and(|heard| heard.view.identity == IdentityState::Waiting);
        let answered = attempt.book.answered();
        let known = answered > 0 || attempt.read_back == ReadBack::Done;
        CoveredView {
            bar: self.bar(now, attempt),
            cause,
            since: attempt
                .covered_since
                .map_or(Duration::ZERO, |since| whole_seconds(now.since(since))),
            lost,
            credited: attempt.check_in.policy.credit_covered_time,
            identity_shown,
            answered: known.then_some(answered),
            of: attempt.questions_total(),
            undelivered: attempt.book.waiting(usize::MAX).len(),
        }
    }

    fn bar(&self, now: Now, attempt: &Attempt) -> BarView {
        BarView {
            title: attempt.check_in.title.clone(),
            recording: self.recording(attempt),
            connection: attempt.connection(now),
            remaining: whole_seconds(attempt.remaining(now).unwrap_or_default()),
            stands_still: attempt.stands_still(),
            hand_raised: attempt.hand_raised(),
            unread: attempt.unread(),
        }
    }

    fn recording(&self, attempt: &Attempt) -> Recording {
        let Agent::Up { status } = &self.agent else {
            return Recording::Off;
        };
        let live = attempt.view.as_ref().is_some_and(|heard| {
            heard
                .view
                .gate
                .iter()
                .all(|line| line.state == GateLineState::Live)
        });
        if live && status.link == LinkState::Live {
            Recording::On
        } else if status.capturing {
            Recording::Kept
        } else {
            Recording::Off
        }
    }

    fn overlay_view(&self, now: Now) -> Option<OverlayView> {
        let overlay = self.overlay?;
        let attempt = match &self.stage {
            Stage::Attempt(attempt) => Some(attempt),
            Stage::Welcome { .. } | Stage::SignIn(_) | Stage::Exams { .. } => None,
        };
        let questions = attempt
            .map(|attempt| attempt.questions())
            .unwrap_or_default();
        let pick = |wanted: fn(&QuestionView) -> bool| {
            questions
                .iter()
                .filter(|question| wanted(question))
                .map(|question| question.position)
                .collect()
        };
        Some(OverlayView {
            overlay,
            messages: attempt
                .and_then(|attempt| attempt.view.as_ref())
                .map(|heard| heard.view.messages.clone())
                .unwrap_or_default(),
            draft: attempt
                .map(|attempt| attempt.draft.text().to_owned())
                .unwrap_or_default(),
            unanswered: pick(|question| !question.answered),
            flagged: pick(|question| question.flagged),
            picture: attempt
                .filter(|attempt| attempt.shows(now).is_ok())
                .and_then(|attempt| attempt.enlarged(overlay)),
        })
    }

    fn freshness(&self, now: Now) -> Option<String> {
        let Stage::Attempt(attempt) = &self.stage else {
            return None;
        };
        if attempt.freshness_until()? <= now {
            return None;
        }
        let freshness = attempt.view.as_ref()?.view.freshness.as_ref()?;
        let key = <[u8; 32]>::try_from(attempt.check_in.freshness_key.0.as_slice()).ok()?;
        let epoch = attempt.check_in.epoch;
        Some((self.tools.freshness_code)(
            &key,
            &freshness.nonce.0,
            attempt.card.attempt,
            epoch,
        ))
    }
}

impl Attempt {
    pub(super) fn questions_total(&self) -> usize {
        if self.slots.is_empty() {
            usize::from(self.card.items)
        } else {
            self.slots.len()
        }
    }

    fn questions(&self) -> Vec<QuestionView> {
        self.slots
            .iter()
            .map(|slot| {
                let given = self.book.given(slot.id);
                QuestionView {
                    position: slot.position,
                    answered: given.is_some_and(|given| !given.response.is_empty()),
                    flagged: given.is_some_and(|given| given.flagged),
                }
            })
            .collect()
    }

    fn item(&self) -> Option<ItemView> {
        let page = self.pages.get(&self.place)?;
        let (choices, multiple) = match &page.interaction {
            Interaction::SingleChoice { choices } => (choices, false),
            Interaction::MultipleChoice { choices, .. } => (choices, true),
        };
        let given = self.book.given(page.id);
        let chosen = given.map_or_else(Vec::new, |given| {
            let Response::Choices { choices } = &given.response;
            choices.clone()
        });
        Some(ItemView {
            body: page.body.clone(),
            prompt: page.prompt.clone(),
            choices: choices.clone(),
            multiple,
            chosen,
            kept: given.map(|given| given.kept),
        })
    }

    fn enlarged(&self, overlay: Overlay) -> Option<(qorgan_protocol::ids::PictureId, String)> {
        let Overlay::Picture(wanted) = overlay else {
            return None;
        };
        let page = self.pages.get(&self.place)?;
        page.body.iter().find_map(|block| match block {
            qorgan_protocol::assessment::Block::Picture { picture, alt } if *picture == wanted => {
                Some((*picture, alt.clone()))
            }
            qorgan_protocol::assessment::Block::Picture { .. }
            | qorgan_protocol::assessment::Block::Text { .. } => None,
        })
    }

    fn connection(&self, now: Now) -> Connection {
        let silence = self.view.as_ref().map(|heard| now.since(heard.received));
        match silence {
            Some(silence) if silence < WEAK_AFTER => Connection::Good,
            Some(silence) if silence < LOST_AFTER => Connection::Weak,
            Some(_) | None => Connection::Lost,
        }
    }
}

/// Cuts off what is not shown, so that equal pictures have equal views.
const fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs(duration.as_secs())
}

/// A long poll answers after 2 s at the latest, so a longer silence is worth a word.
const WEAK_AFTER: Duration = Duration::from_millis(4_000);
const LOST_AFTER: Duration = Duration::from_secs(10);
