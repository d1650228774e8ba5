//! The exam: what the candidate does in it, what the server answers, what is asked next.

use core::time::Duration;
use std::collections::BTreeMap;

use qorgan_protocol::{
    assessment::{Block, ItemPage},
    attempt::AttemptPhase,
    ids::PictureId,
    time::{Now, WallTime},
    wire::{AttemptView, ClientEvent, ClientEventKind, IdentityState, MessageFrom, ProblemCode},
};

use super::{Attempt, Heard, Kiosk, ReadBack, Stage, Step};
use crate::{
    event::{Call, CallKind, Effect, Failure, Intent, Overlay, Reply},
    view::{Delivery, EndCause, Trouble},
};

impl Kiosk {
    pub(super) fn exam_intent(&mut self, now: Now, intent: Intent) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        match intent {
            Intent::GoTo(place) => attempt.go_to(now, place, &mut self.outbox),
            Intent::Choose(choice) => attempt.choose(now, &choice, &mut self.outbox),
            Intent::Flag => attempt.flag(now, &mut self.outbox),
            Intent::RaiseHand => {
                let raised = attempt.hand_raised();
                attempt.hand = Some(!raised);
            }
            Intent::TypeMessage(text) => {
                attempt.draft.typed(&text);
            }
            Intent::SendMessage => {
                // What is typed while another one is under way waits in its field.
                if !self.busy.contains(&CallKind::Message)
                    && let Some(text) = attempt.draft.send()
                {
                    self.call(Call::Message { text });
                }
            }
            Intent::Submit => {
                self.overlay = None;
                attempt.submit(&mut self.outbox);
            }
            Intent::ChooseLanguage(_)
            | Intent::ChooseReading(_)
            | Intent::TypeLink(_)
            | Intent::Connect
            | Intent::TypeLogin(_)
            | Intent::TypePassword(_)
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
            | Intent::Open(_)
            | Intent::CloseOverlay
            | Intent::Leave => {}
        }
    }

    pub(super) fn exam_reply(&mut self, now: Now, reply: Reply) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        let wall = attempt.wall(now);
        match reply {
            Reply::Items(list) => attempt.slots = list.items,
            Reply::Item(page) => attempt.take_page(now, *page),
            Reply::Picture(picture) => {
                attempt.wanted_pictures.remove(&picture);
            }
            Reply::ReadBack(stored) => {
                attempt.book.fill(&stored, wall);
                attempt.read_back = ReadBack::Done;
            }
            Reply::Stored(receipt) => attempt.book.stored(receipt.next, wall),
            Reply::Submitted { receipt, late } => {
                attempt.book.stored(receipt.next, receipt.at);
                attempt.delivered(receipt.at, late);
            }
            Reply::Enrolled(_)
            | Reply::SignedIn(_)
            | Reply::Exams(_)
            | Reply::CheckedIn(_)
            | Reply::Consented(_)
            | Reply::View(_)
            | Reply::Done => {}
        }
    }

    pub(super) fn heard(&mut self, now: Now, sent: Now, view: Box<AttemptView>) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        attempt.heard(now, sent, view);
        if matches!(attempt.step, Step::Ended(_)) && self.overlay != Some(Overlay::Help) {
            self.overlay = None;
        }
    }

    pub(super) fn attempt_failed(
        &mut self,
        now: Now,
        kind: CallKind,
        failure: Failure,
        trouble: Trouble,
    ) {
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        let code = match &failure {
            Failure::Problem(problem) => Some(problem.code),
            Failure::Unreachable | Failure::Untrusted | Failure::BadLink | Failure::BadAnswer => {
                None
            }
        };
        let wait = match &failure {
            Failure::Problem(problem) => problem
                .retry_after_s
                .map_or(RETRY, |s| Duration::from_secs(s.into())),
            Failure::Unreachable | Failure::Untrusted | Failure::BadLink | Failure::BadAnswer => {
                RETRY
            }
        };
        attempt.retry_at.insert(kind, now + wait);
        if kind == CallKind::SystemCheck && code.is_none() {
            attempt.check_told = None;
        }
        if kind == CallKind::ReadBack {
            attempt.read_back = ReadBack::Failing;
        }
        match (kind, code) {
            (_, Some(ProblemCode::OldEpoch)) => attempt.step = Step::Ended(EndCause::Moved),
            (
                CallKind::Items | CallKind::Item | CallKind::Picture | CallKind::ReadBack,
                Some(ProblemCode::Covered),
            ) => {
                attempt.lease.void(now);
            }
            (CallKind::Item, Some(ProblemCode::TooMany)) => attempt.paced_until = Some(now + wait),
            (CallKind::Submit | CallKind::Responses, Some(code)) => {
                attempt.delivery_refused(code);
            }
            // The kiosk asks for these by itself and again; the bar shows how the connection is.
            (
                CallKind::View
                | CallKind::Items
                | CallKind::Item
                | CallKind::Picture
                | CallKind::ReadBack
                | CallKind::Responses
                | CallKind::Events
                | CallKind::Submit
                | CallKind::Photo,
                _,
            ) => {}
            _ => attempt.trouble = Some(trouble),
        }
    }

    pub(super) fn may_leave(&self) -> bool {
        let Stage::Attempt(attempt) = &self.stage else {
            return true;
        };
        if matches!(attempt.step, Step::Ended(_) | Step::Consent { .. }) {
            return true;
        }
        attempt
            .submission
            .is_some_and(|submission| match submission.delivery {
                Delivery::Delivered { .. } | Delivery::Refused(_) => true,
                Delivery::Kept => false,
            })
    }
}

impl Attempt {
    pub(super) fn remaining(&self, now: Now) -> Option<Duration> {
        let heard = self.view.as_ref()?;
        let left = Duration::from_millis(heard.view.time.remaining_ms);
        if self.stands_still() {
            return Some(left);
        }
        Some(left.saturating_sub(now.since(heard.sent)))
    }

    /// Tells whether the clock stands still: the server covers and gives the time back.
    pub(super) fn stands_still(&self) -> bool {
        let running = self
            .view
            .as_ref()
            .is_some_and(|heard| heard.view.phase.shows_items());
        !running && self.check_in.policy.credit_covered_time
    }

    pub(super) fn wall(&self, now: Now) -> WallTime {
        self.view.as_ref().map_or_else(WallTime::default, |heard| {
            heard.view.time.now.after(now.since(heard.received))
        })
    }

    pub(super) fn hand_raised(&self) -> bool {
        self.hand.unwrap_or_else(|| {
            self.view
                .as_ref()
                .is_some_and(|heard| heard.view.hand_raised)
        })
    }

    pub(super) fn mark_messages_seen(&mut self) {
        if let Some(heard) = &self.view {
            self.seen_messages
                .extend(heard.view.messages.iter().map(|message| message.id));
        }
    }

    pub(super) fn unread(&self) -> usize {
        self.view.as_ref().map_or(0, |heard| {
            heard
                .view
                .messages
                .iter()
                .filter(|message| {
                    message.from == MessageFrom::Proctor
                        && !self.seen_messages.contains(&message.id)
                })
                .count()
        })
    }

    /// Notes what is to be told to the server. Words that a program chose are cut, so that what waits
    /// fits into one request whatever it says.
    pub(super) fn note(&mut self, now: Now, kind: ClientEventKind, detail: String) {
        if self.events.len() >= EVENTS_MAX {
            self.leave_one_out(now);
        }
        self.keep_note(now, kind, detail);
    }

    fn keep_note(&mut self, now: Now, kind: ClientEventKind, detail: String) {
        self.events.push(ClientEvent {
            kind,
            ago_ms: 0,
            at: now,
            detail: detail.chars().take(DETAIL_CHARS_MAX).collect(),
        });
    }

    /// Gives up the oldest of the kind that most are of, so that a flood of one kind hides no other,
    /// and says once that something was left out.
    fn leave_one_out(&mut self, now: Now) {
        let mut counts = BTreeMap::new();
        for event in &self.events {
            *counts.entry(event.kind).or_insert(0_usize) += 1;
        }
        let most = counts.into_iter().max_by_key(|&(_, count)| count);
        let oldest =
            most.and_then(|(kind, _)| self.events.iter().position(|event| event.kind == kind));
        if let Some(place) = oldest {
            self.events.remove(place);
            if place < self.events_sent {
                self.events_sent = self.events_sent.saturating_sub(1);
            }
        }
        let said = self.events.iter().any(|event| event.detail == LEFT_OUT);
        if !said {
            self.keep_note(now, ClientEventKind::MeasureFailed, LEFT_OUT.to_owned());
        }
    }

    pub(super) fn told(&mut self, kind: CallKind) {
        match kind {
            CallKind::Events => {
                self.events.drain(..self.events_sent.min(self.events.len()));
                self.events_sent = 0;
            }
            CallKind::Photo => self.photo = true,
            CallKind::Message => self.draft.sent(),
            CallKind::Enrol
            | CallKind::SignIn
            | CallKind::Exams
            | CallKind::CheckIn
            | CallKind::Consent
            | CallKind::SystemCheck
            | CallKind::Identity
            | CallKind::Instruction
            | CallKind::Start
            | CallKind::View
            | CallKind::Items
            | CallKind::Item
            | CallKind::Picture
            | CallKind::ReadBack
            | CallKind::Responses
            | CallKind::Submit
            | CallKind::Hand => {}
        }
    }

    fn heard(&mut self, now: Now, sent: Now, view: Box<AttemptView>) {
        self.lease.hear(sent, &view, self.check_in.epoch);
        if view.epoch != self.check_in.epoch {
            self.step = Step::Ended(EndCause::Moved);
            return;
        }
        self.follow_phase(&view.phase);
        let anew = matches!(view.identity, IdentityState::Refused | IdentityState::Again);
        if anew && self.identity() != view.identity {
            // What was refused or is asked for again is taken anew.
            self.document = false;
        }
        if self.hand == Some(view.hand_raised) {
            self.hand = None;
        }
        self.book.stored(view.journal_next, view.time.now);
        match view.phase {
            AttemptPhase::Submitted { .. } => self.ended(),
            AttemptPhase::Sealed { since } => self.sealed(since),
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => {}
        }
        self.view = Some(Heard {
            view,
            sent,
            received: now,
        });
    }

    fn take_page(&mut self, now: Now, page: ItemPage) {
        if self.shows(now).is_err() {
            return;
        }
        for block in &page.body {
            match block {
                Block::Text { .. } => {}
                Block::Picture { picture, .. } => {
                    self.wanted_pictures.insert(*picture);
                }
            }
        }
        self.paced_until = None;
        self.pages.insert(page.position, page);
    }

    fn go_to(&mut self, now: Now, place: u16, outbox: &mut Vec<Effect>) {
        let known = self.slots.iter().any(|slot| slot.position == place);
        if known && self.shows(now).is_ok() && place != self.place {
            self.place = place;
            outbox.push(Effect::RememberPlace(place));
        }
    }

    /// Returns what is to be asked of the server now, whether or not it is under way already.
    pub(super) fn due(&self, now: Now) -> Vec<Call> {
        let mut calls = Vec::new();
        if self.signed_out.is_some() {
            return calls;
        }
        if matches!(self.step, Step::Ended(_)) {
            calls.extend(
                self.last_words()
                    .filter(|call| self.may_ask(now, call.kind())),
            );
            return calls;
        }
        calls.push(Call::View {
            after: self.view.as_ref().map_or(0, |heard| heard.view.version),
        });
        if let Some(raised) = self.hand {
            calls.push(Call::Hand { raised });
        }
        if !self.events.is_empty() {
            calls.push(self.tell_events(now));
        }
        calls.extend(self.delivery_due());
        if self.step == Step::Exam && self.submission.is_none() && self.shows(now).is_ok() {
            if self.journal_open && self.read_back != ReadBack::Done {
                calls.push(Call::ReadBack);
            }
            calls.extend(self.content_due());
        }
        calls.retain(|call| self.may_ask(now, call.kind()));
        calls
    }

    fn may_ask(&self, now: Now, kind: CallKind) -> bool {
        self.retry_at.get(&kind).is_none_or(|&at| at <= now)
    }

    /// Remembers how much of what waits is on its way.
    pub(super) fn sent(&mut self, call: &Call) {
        if let Call::Events { events } = call {
            self.events_sent = events.len();
        }
    }

    fn tell_events(&self, now: Now) -> Call {
        let mut events = self.events.clone();
        for event in &mut events {
            event.ago_ms = u64::try_from(now.since(event.at).as_millis()).unwrap_or(u64::MAX);
        }
        Call::Events { events }
    }

    fn content_due(&self) -> Option<Call> {
        if self.slots.is_empty() {
            return Some(Call::Items);
        }
        if !self.pages.contains_key(&self.place) {
            if self.read_back == ReadBack::Due {
                return None;
            }
            return Some(Call::Item {
                position: self.place,
            });
        }
        let picture: Option<&PictureId> = self.wanted_pictures.first();
        picture.map(|&picture| Call::Picture { picture })
    }
}

const RETRY: Duration = Duration::from_millis(700);
/// More things that the lockdown saw than this, and the word that some are left out, do not wait.
const EVENTS_MAX: usize = 200;
/// The server cuts longer ones.
const DETAIL_CHARS_MAX: usize = 200;
const LEFT_OUT: &str = "more was seen than could be told: some of it is left out";
