//! What may be seen and when: the cover, the lock on the machine, the next moment that matters.

use core::time::Duration;

use qorgan_protocol::{time::Now, wire::ClientEventKind};

use super::{Attempt, Step};
use crate::{event::Effect, lease::CoverCause, view::Delivery};

impl Attempt {
    /// Tells whether the open item may be seen and changed at `now`, or why not.
    pub(super) fn shows(&self, now: Now) -> Result<(), CoverCause> {
        if self.remaining(now).is_some_and(|left| left.is_zero()) {
            return Err(CoverCause::TimeUp);
        }
        if self.terminal_away {
            return Err(CoverCause::OtherTerminal);
        }
        if self.signed_out.is_some() {
            return Err(CoverCause::Unknown);
        }
        self.lease.check(now)
    }

    /// Tells whether items are shown at `now`.
    pub(super) fn shows_items(&self, now: Now) -> bool {
        self.step == Step::Exam && self.submission.is_none() && self.shows(now).is_ok()
    }

    /// Covers what may not be seen, and does what a change of step asks for.
    //= tests/data/sop-2-28.md#10-start-gate
    pub(super) fn guard(&mut self, now: Now, outbox: &mut Vec<Effect>) {
        let over = self.step != Step::Exam || self.submission.is_some();
        if !over && self.shows(now) == Err(CoverCause::TimeUp) {
            self.submit(outbox);
        }
        let hidden = over || self.submission.is_some() || self.shows(now).is_err();
        if hidden && !self.pages.is_empty() {
            self.pages.clear();
            self.wanted_pictures.clear();
            outbox.push(Effect::DropContent);
        }
        if hidden && !over {
            self.covered_since.get_or_insert(now);
        } else {
            self.covered_since = None;
        }
        if self.step == Step::Liveness {
            self.liveness.shown(now);
        }
        if self.step == Step::Voice {
            self.voice.shown(now);
        }
        self.guard_machine(now, outbox);
    }

    fn guard_machine(&mut self, now: Now, outbox: &mut Vec<Effect>) {
        let finished = matches!(self.step, Step::Ended(_))
            || self
                .submission
                .is_some_and(|submission| submission.delivery != Delivery::Kept);
        let in_exam = self.step == Step::Exam && self.submission.is_none();
        let lock = !finished && matches!(self.step, Step::Gate | Step::Exam);
        if lock != self.locked {
            self.locked = lock;
            // The watch that begins with the lock tells anew where the machine is.
            self.terminal_away = false;
            outbox.push(if lock {
                Effect::Engage(self.check_in.policy.clone())
            } else {
                Effect::Release
            });
        }
        let adapter = !in_exam || self.check_in.accommodation.accessibility;
        if adapter != self.adapter {
            self.adapter = adapter;
            outbox.push(Effect::Accessibility(adapter));
            let detail = if adapter { "on" } else { "off" };
            self.note(
                now,
                ClientEventKind::AccessibilitySwitched,
                detail.to_owned(),
            );
        }
        let preview = !matches!(self.step, Step::Exam | Step::Ended(_)) || self.again().is_some();
        if preview != self.preview && self.agent_bound {
            self.preview = preview;
            outbox.push(Effect::Preview(preview));
        }
        if finished && self.agent_bound {
            self.agent_bound = false;
            outbox.push(Effect::FinishAgent);
        }
    }

    pub(super) fn wake_at(&self, now: Now) -> Option<Now> {
        let retries = self.retry_at.values().copied().filter(|&at| at > now);
        let second = match self.step {
            Step::Exam if self.submission.is_none() => Some(now + self.next_second(now)),
            Step::Liveness => self.liveness.skip_at(),
            Step::Voice => self.voice.skip_at(),
            Step::Exam
            | Step::Consent { .. }
            | Step::SystemCheck
            | Step::Identity
            | Step::Instruction { .. }
            | Step::Gate
            | Step::Ended(_) => None,
        };
        let freshness = self.freshness_until().filter(|&until| until > now);
        retries
            .chain(self.lease.changes_at(now))
            .chain(second)
            .chain(freshness)
            .chain(self.liveness.light_changes_at(now))
            .min()
    }

    /// Returns how long until the clock that is shown goes on.
    fn next_second(&self, now: Now) -> Duration {
        let left = self
            .remaining(now)
            .filter(|_| !self.stands_still())
            .map(fraction);
        let covered = self
            .covered_since
            .map(|since| SECOND.saturating_sub(fraction(now.since(since))));
        let next = left.into_iter().chain(covered).min().unwrap_or(SECOND);
        // Just after the turn, so that it has come.
        next + Duration::from_millis(1)
    }

    /// Returns until when the code of the newest view must be drawn.
    pub(super) fn freshness_until(&self) -> Option<Now> {
        let heard = self.view.as_ref()?;
        let freshness = heard.view.freshness.as_ref()?;
        Some(heard.sent + Duration::from_millis(freshness.show_ms))
    }
}

fn fraction(duration: Duration) -> Duration {
    Duration::from_nanos(duration.subsec_nanos().into())
}

const SECOND: Duration = Duration::from_secs(1);
