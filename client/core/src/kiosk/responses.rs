//! What the candidate gives: journalled, delivered, submitted.

use qorgan_protocol::{
    assessment::{Interaction, ItemPage, Response, ResponseSeq},
    limits::RESPONSES_MAX,
    time::{Now, WallTime},
    wire::ProblemCode,
};

use super::{Attempt, Step, Submission};
use crate::{
    event::{Call, Effect, JournalNews, KeptReceipt},
    view::{Delivery, EndCause, Trouble},
};

impl Attempt {
    /// Keeps the newest receipt; one for the submission is the last word.
    pub(super) fn keep_receipt(&mut self, kept: KeptReceipt) {
        let own = (self.card.attempt, self.check_in.epoch);
        if (kept.receipt.attempt, kept.receipt.epoch) != own {
            return;
        }
        let rank = |kept: &KeptReceipt| (kept.receipt.submitted, kept.receipt.next);
        let newer = self
            .receipt
            .as_ref()
            .is_none_or(|known| rank(known) <= rank(&kept));
        if newer {
            self.receipt = Some(kept);
        }
    }

    pub(super) fn journal_news(&mut self, now: Now, news: JournalNews) {
        let wall = self.wall(now);
        match news {
            JournalNews::Replayed {
                entries,
                submitted,
                place,
            } => {
                if self.book.replay(&entries, wall).is_err() {
                    self.trouble = Some(Trouble::JournalForked);
                }
                self.journal_open = true;
                self.journal_saved = self.book.next();
                self.place = place.unwrap_or(1).max(1);
                if submitted.is_some() && self.submission.is_none() {
                    self.submission = Some(Submission {
                        kept: true,
                        delivery: Delivery::Kept,
                    });
                }
            }
            JournalNews::Saved(seq) => {
                self.book.saved(seq, wall);
                self.journal_saved = self.journal_saved.max(ResponseSeq(seq.0.saturating_add(1)));
                self.disk_refuses = false;
            }
            JournalNews::SubmissionKept => {
                if let Some(submission) = &mut self.submission {
                    submission.kept = true;
                }
            }
            JournalNews::Failed => {
                if !self.journal_open {
                    self.journal_open = true;
                    self.trouble = Some(Trouble::JournalForked);
                }
                self.book.unsaved();
                self.journal_saved = self.book.next();
                self.disk_refuses = true;
                if let Some(submission) = &mut self.submission {
                    submission.kept = true;
                }
            }
        }
    }

    pub(super) fn delivered(&mut self, at: WallTime, late: bool) {
        let known = self
            .submission
            .is_some_and(|submission| matches!(submission.delivery, Delivery::Delivered { .. }));
        if !known {
            let delivery = Delivery::Delivered { at, late };
            self.submission = Some(Submission {
                kept: true,
                delivery,
            });
        }
    }

    /// The attempt was submitted by the deadline, or before this kiosk was started: what waits is
    /// delivered, and then the server is told that nothing is left.
    pub(super) fn ended(&mut self) {
        self.submission.get_or_insert(Submission {
            kept: true,
            delivery: Delivery::Kept,
        });
    }

    /// The recording is sealed: nothing more is taken, and what was delivered is in it.
    pub(super) fn sealed(&mut self, since: WallTime) {
        if self.book.waiting(1).is_empty() {
            self.delivered(since, false);
        } else {
            self.ended();
            self.delivery_refused(ProblemCode::TooLate);
        }
    }

    /// The server refused what was to be delivered: for good where the attempt takes nothing more.
    pub(super) fn delivery_refused(&mut self, code: ProblemCode) {
        let for_good = matches!(
            code,
            ProblemCode::TooLate
                | ProblemCode::WrongPhase
                | ProblemCode::Forbidden
                | ProblemCode::NotFound
        );
        if let (true, Some(submission)) = (for_good, &mut self.submission)
            && submission.delivery == Delivery::Kept
        {
            submission.delivery = Delivery::Refused(code);
        }
    }

    pub(super) fn choose(&mut self, now: Now, choice: &str, outbox: &mut Vec<Effect>) {
        let Some((page, before, flagged)) = self.given_here() else {
            return;
        };
        let Response::Choices {
            choices: mut chosen,
        } = before.clone();
        match &page.interaction {
            Interaction::SingleChoice { .. } => chosen = vec![choice.to_owned()],
            Interaction::MultipleChoice { .. } => match chosen.iter().position(|id| id == choice) {
                Some(place) => {
                    chosen.remove(place);
                }
                None => chosen.push(choice.to_owned()),
            },
        }
        let response = Response::choices(chosen);
        if response != before && response.fits(&page.interaction) {
            self.give(now, (response, flagged), outbox);
        }
    }

    pub(super) fn flag(&mut self, now: Now, outbox: &mut Vec<Effect>) {
        let Some((_, response, flagged)) = self.given_here() else {
            return;
        };
        self.give(now, (response, !flagged), outbox);
    }

    /// Returns the page at the place, its response so far and whether it is flagged.
    fn given_here(&self) -> Option<(&ItemPage, Response, bool)> {
        let page = self.pages.get(&self.place)?;
        let given = self
            .book
            .given(page.id)
            .map(|given| (given.response.clone(), given.flagged));
        let (response, flagged) = given.unwrap_or_else(|| (Response::choices(Vec::new()), false));
        Some((page, response, flagged))
    }

    /// Journals a response; only what may be seen can be changed.
    fn give(&mut self, now: Now, given: (Response, bool), outbox: &mut Vec<Effect>) {
        let open = self.journal_open && self.submission.is_none() && self.shows(now).is_ok();
        let Some(page) = self.pages.get(&self.place).filter(|_| open) else {
            return;
        };
        let left = self.lease.left_ms(now);
        let entry = self.book.give(page.id, given, now, left);
        outbox.push(Effect::Append(entry));
    }

    pub(super) fn submit(&mut self, outbox: &mut Vec<Effect>) {
        if self.step == Step::Exam && self.submission.is_none() && self.journal_open {
            self.submission = Some(Submission {
                kept: false,
                delivery: Delivery::Kept,
            });
            outbox.push(Effect::KeepSubmission(self.book.next()));
        }
    }

    /// Returns what is still told of an attempt that a person ended: the responses that wait, and then
    /// that nothing is left.
    pub(super) fn last_words(&self) -> Option<Call> {
        match &self.step {
            Step::Ended(EndCause::Terminated) if self.submission.is_some() => self.delivery_due(),
            Step::Ended(
                EndCause::Terminated | EndCause::ConsentRefused | EndCause::Void | EndCause::Moved,
            )
            | Step::Consent { .. }
            | Step::SystemCheck
            | Step::Identity
            | Step::Liveness
            | Step::Voice
            | Step::Instruction { .. }
            | Step::Gate
            | Step::Exam => None,
        }
    }

    pub(super) fn delivery_due(&self) -> Option<Call> {
        let refused = self
            .submission
            .is_some_and(|submission| matches!(submission.delivery, Delivery::Refused(_)));
        if !self.journal_open || refused {
            return None;
        }
        let mut entries = self.book.waiting(RESPONSES_MAX);
        entries.retain(|entry| entry.seq < self.journal_saved);
        if !entries.is_empty() {
            return Some(Call::Responses { entries });
        }
        let submission = self.submission?;
        let ready = submission.kept && submission.delivery == Delivery::Kept;
        ready.then_some(Call::Submit {
            entries: self.book.next(),
        })
    }
}
