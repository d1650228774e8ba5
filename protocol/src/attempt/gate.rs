//! The start gate (SOP 10): one pure machine an attempt, run by the server.
//!
//! # Invariants
//! * A lease exists only while the attempt runs, nobody holds it back, and everything that the
//!   policy requires was seen by the server itself within the grace.
//! * No input but the server's own evidence makes a source live; every other input can only close.
//! * Time to work is counted on the monotonic clock alone.

use core::time::Duration;
use std::collections::VecDeque;

use super::credit::CreditedPause;
use super::entry::{Entry, EntryRefused};
use super::freshness::{AskedCode, Freshness, Randomness};
use super::lease::ContentLease;
use super::phase::{
    AttemptEvent, AttemptPhase, CheckInTask, PauseCause, Refused, TerminationCause,
};
use super::policy::{GateMode, GatePolicy};
use super::sources::{LIVE_AGE_MAX, Sources};
use crate::attempt::{GateLine, IdentityState};
use crate::stream::SourceStatement;
use crate::stream::{SourceHealth, StreamId};
use crate::time::{Now, WallTime};

/// One moment on both of the server's clocks, with the randomness that it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Measures.
    pub now: Now,
    /// Names.
    pub wall: WallTime,
    /// Random bytes for a freshness code; `None` where the system gives none. A code that is due
    /// then covers the items.
    pub random: Option<Randomness>,
}

/// What the server tells the gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GateInput {
    /// The candidate opened the test on an admitted, bound machine.
    CheckIn,
    /// A task of check-in was done.
    Task(CheckInTask),
    /// A proctor looked at face and document.
    Identity {
        /// Whether it is the candidate.
        approved: bool,
    },
    /// A proctor wants to see face and document again.
    IdentityAgain,
    /// A proctor takes the refusal of an identity back.
    RefusalTakenBack,
    /// The agent's link is up and its hello believed.
    LinkUp,
    /// The agent's link is gone.
    LinkDown,
    /// The agent stated what feeds its sources.
    Stated(Vec<SourceStatement>),
    /// Verified samples of a source were stored.
    Media(StreamId),
    /// A verified beat was stored.
    Beat {
        /// Its health lines.
        health: Vec<SourceHealth>,
        /// The streams whose newest stored chunk it names.
        current: Vec<StreamId>,
    },
    /// The bound client made a request with a good token.
    Contact,
    /// The candidate asks to start, with what the office says of them now.
    Start(Entry),
    /// A proctor opens the gate.
    ProctorOpens,
    /// A proctor covers the items.
    Pause,
    /// A proctor takes the pause back.
    Resume,
    /// The freshness code that is asked for was found on the recorded screen.
    CodeFound,
    /// The attempt was moved to another machine.
    Moved,
    /// The server's clock jumped: what was seen must be seen again.
    Distrust,
    /// More time is given.
    ExtraTime(Duration),
    /// Less time is given than before; what was used stays used.
    LessTime(Duration),
    /// The candidate submits.
    Submit,
    /// The manifest was signed.
    Seal,
    /// A person or rule ends it.
    Terminate(TerminationCause),
    /// It is declared void.
    Void,
}

/// What the gate tells the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GateOutput {
    /// The phase changed.
    Phase(AttemptPhase),
    /// A freshness code is asked for: have a key frame made.
    AskCode,
    /// A freshness code was not found; so many in a row.
    CodeMissed(u8),
    /// A freshness code was not found, or could not be asked for, while client or recording were out
    /// of contact; so many in a row.
    CodeUnanswered(u8),
    /// Items were shown for as long as may be without a code that was found.
    CodesOverdue,
    /// The time that the policy gives back for a cover of this cause is used up: from now on covered
    /// time counts as used, until a person gives more.
    CreditUsed(PauseCause),
    /// The deadline passed: the attempt was submitted by rule.
    TimeIsUp,
}

/// Says why the gate refused an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// The phase does not allow it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The sitting is not open to the candidate.
    #[error(transparent)]
    Entry(#[from] EntryRefused),
    /// Something required is not live, not allowed or not approved.
    #[error("the gate is closed")]
    Closed,
}

/// What outlives a restart of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GateMemory {
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// Time to work on items, with what was granted in addition.
    pub allowed: Duration,
    /// Time used.
    pub spent: Duration,
    /// Time given back.
    pub credited: Duration,
    /// How much of it under a bound, by cause.
    pub credited_by: CreditedPause,
    /// Where the identity check stands.
    pub identity: IdentityState,
    /// Whether a proctor opened.
    pub proctor_opened: bool,
    /// Whether a proctor or a move holds the items covered.
    pub held: Option<PauseCause>,
}

impl GateMemory {
    /// Describes an attempt that nobody has begun.
    #[must_use]
    pub const fn scheduled(allowed: Duration) -> Self {
        Self {
            phase: AttemptPhase::Scheduled,
            allowed,
            spent: Duration::ZERO,
            credited: Duration::ZERO,
            credited_by: CreditedPause::NONE,
            identity: IdentityState::Open,
            proctor_opened: false,
            held: None,
        }
    }
}

/// The start gate and lease of one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartGate {
    policy: GatePolicy,
    memory: GateMemory,
    sources: Sources,
    freshness: Freshness,
    contact: Option<Now>,
    contact_since: Now,
    counted: Now,
    outputs: VecDeque<GateOutput>,
}

impl StartGate {
    /// Begins from what was remembered. An attempt that ran is covered until its streams are seen.
    #[must_use]
    pub fn new(policy: GatePolicy, memory: GateMemory, at: Moment) -> Self {
        let mut gate = Self {
            policy,
            memory,
            sources: Sources::default(),
            freshness: Freshness::new(at.now, at.random),
            contact: None,
            contact_since: at.now,
            counted: at.now,
            outputs: VecDeque::new(),
        };
        if gate.memory.phase.shows_items() {
            gate.cover(PauseCause::ServerRestarted, at);
        }
        gate
    }

    /// Takes an input.
    ///
    /// # Errors
    /// `Refused` for an edge that is not in the table, `Closed` for a start at a closed gate;
    /// nothing but the passing of time has then changed.
    pub fn handle(&mut self, at: Moment, input: GateInput) -> Result<(), GateError> {
        self.count_time(at.now);
        let result = self.take(at, input);
        self.review(at);
        result
    }

    /// Goes on with time.
    pub fn tick(&mut self, at: Moment) {
        self.count_time(at.now);
        self.review(at);
    }

    /// Returns what is to be done next.
    pub fn poll(&mut self) -> Option<GateOutput> {
        self.outputs.pop_front()
    }

    /// Returns the lease, only while items may be shown.
    #[must_use]
    //= tests/data/sop-2-28.md#10-start-gate
    pub fn lease(&self, now: Now) -> Option<ContentLease> {
        if !self.memory.phase.shows_items() || self.memory.held.is_some() {
            return None;
        }
        let allowed = self.recognised() && self.sources.displays_allowed(&self.policy);
        if self.freshness.failed() || !allowed {
            return None;
        }
        let oldest = self.sources.oldest_evidence(&self.policy, now)?;
        let mut lease = ContentLease::from_evidence(oldest, self.policy.grace.agent());
        if self.freshness_applies() {
            lease = lease.until_at_most(self.unproved_until());
        }
        (lease.left(now) > Duration::ZERO).then_some(lease)
    }

    /// Tells whether a start would be granted now.
    #[must_use]
    //= tests/data/sop-2-28.md#10-start-gate
    pub fn open(&self, now: Now) -> bool {
        matches!(self.memory.phase, AttemptPhase::Ready { .. })
            && self.complete(now)
            && self.recognised()
            && !self.waits_for_proctor()
    }

    /// Tells whether the gate still waits for a proctor to open it.
    #[must_use]
    pub fn waits_for_proctor(&self) -> bool {
        let needed = match self.policy.mode {
            GateMode::OnSite => true,
            GateMode::Remote => self.policy.proctor_opens,
        };
        needed && !self.memory.proctor_opened
    }

    /// Returns how every required source stands.
    #[must_use]
    pub fn lines(&self, now: Now) -> Vec<GateLine> {
        self.sources.lines(&self.policy, now)
    }

    /// Returns the code that the client draws now.
    #[must_use]
    pub const fn asked_code(&self) -> Option<AskedCode> {
        self.freshness.asked()
    }

    /// Returns where the attempt stands.
    #[must_use]
    pub const fn phase(&self) -> AttemptPhase {
        self.memory.phase
    }

    /// Returns what outlives a restart.
    #[must_use]
    pub const fn memory(&self) -> GateMemory {
        self.memory
    }

    /// Returns the policy in force.
    #[must_use]
    pub const fn policy(&self) -> &GatePolicy {
        &self.policy
    }

    /// Returns the time left to work on items, as of the last input or tick.
    #[must_use]
    pub const fn left(&self) -> Duration {
        self.memory.allowed.saturating_sub(self.memory.spent)
    }

    /// Tells whether the agent's link is up.
    #[must_use]
    pub const fn linked(&self) -> bool {
        self.sources.linked()
    }

    fn take(&mut self, at: Moment, input: GateInput) -> Result<(), GateError> {
        match input {
            GateInput::CheckIn => self.step(AttemptEvent::CheckInBegan, at)?,
            GateInput::Task(task) => self.task(task, at)?,
            GateInput::Identity { approved } => self.judged(approved),
            GateInput::IdentityAgain => self.identity_again()?,
            GateInput::RefusalTakenBack => self.refusal_taken_back()?,
            GateInput::LinkUp => self.sources.link_up(),
            GateInput::LinkDown => self.sources.link_down(),
            GateInput::Stated(statements) => self.sources.stated(&statements),
            GateInput::Media(stream) => self.sources.media(at.now, stream),
            GateInput::Beat { health, current } => self.sources.beat(at.now, &health, &current),
            GateInput::Contact => self.contacted(at.now),
            GateInput::Start(entry) => self.start(entry, at)?,
            GateInput::ProctorOpens => self.memory.proctor_opened = true,
            GateInput::Pause => {
                self.step(AttemptEvent::Covered(PauseCause::Proctor), at)?;
                self.memory.held = Some(PauseCause::Proctor);
            }
            GateInput::Resume if self.memory.held.is_none() => {
                return Err(self.refused(AttemptEvent::Uncovered));
            }
            GateInput::Resume => self.memory.held = None,
            GateInput::CodeFound => {
                self.freshness.found(at.now, at.random);
            }
            GateInput::Moved => self.forget(PauseCause::Moving, at),
            GateInput::Distrust => self.forget(PauseCause::ServerRestarted, at),
            GateInput::ExtraTime(more) => {
                self.memory.allowed = self.memory.allowed.saturating_add(more);
            }
            GateInput::LessTime(less) => {
                self.memory.allowed = self.memory.allowed.saturating_sub(less);
            }
            GateInput::Submit => self.step(AttemptEvent::Submitted, at)?,
            GateInput::Seal => self.step(AttemptEvent::Sealed, at)?,
            GateInput::Terminate(cause) => self.step(AttemptEvent::Terminated(cause), at)?,
            GateInput::Void => self.step(AttemptEvent::Voided, at)?,
        }
        Ok(())
    }

    /// Covers, uncovers, asks for codes and ends by the deadline, as the moment demands.
    fn review(&mut self, at: Moment) {
        let counts = self.memory.phase.shows_items() || self.paused();
        if counts && self.left() == Duration::ZERO {
            self.outputs.push_back(GateOutput::TimeIsUp);
            self.advance(AttemptEvent::Submitted, at);
            return;
        }
        self.ask_for_codes(at);
        if self.memory.phase.shows_items() {
            if let Some(cause) = self.cover_due(at.now) {
                self.cover(cause, at);
            }
        } else if let AttemptPhase::Paused { cause, .. } = self.memory.phase {
            match self.still_covered(cause, at.now) {
                None => self.advance(AttemptEvent::Uncovered, at),
                Some(other) if other != cause => self.cover(other, at),
                Some(_same) => {}
            }
        }
    }

    /// Returns why items that are shown must be covered now.
    fn cover_due(&self, now: Now) -> Option<PauseCause> {
        if !self.recognised() {
            return Some(PauseCause::Identity);
        }
        if !self.sources.displays_allowed(&self.policy) {
            return Some(PauseCause::Displays);
        }
        if self.freshness.failed() {
            return Some(PauseCause::FreshnessMissed);
        }
        let Some(seen) = self.sources.oldest_evidence(&self.policy, now) else {
            return Some(self.loss());
        };
        if seen + self.policy.grace.agent() > now {
            return None;
        }
        if self.in_contact(now) {
            let settled = now.since(self.contact_since) >= CONTACT_SETTLES;
            let over = seen + self.policy.grace.network() <= now;
            return (settled || over).then(|| self.loss());
        }
        (seen + self.policy.grace.network() <= now).then_some(PauseCause::NetworkLost)
    }

    /// Returns why items that are covered stay covered; `None` when everything is back.
    fn still_covered(&self, cause: PauseCause, now: Now) -> Option<PauseCause> {
        if let Some(held) = self.memory.held {
            return Some(held);
        }
        let live = self.sources.all_live(&self.policy, now);
        if cause == PauseCause::Moving && !live {
            return Some(PauseCause::Moving);
        }
        if !self.recognised() {
            return Some(PauseCause::Identity);
        }
        if !self.sources.displays_allowed(&self.policy) {
            return Some(PauseCause::Displays);
        }
        if self.freshness.failed() {
            return Some(PauseCause::FreshnessMissed);
        }
        if live {
            return None;
        }
        Some(match cause {
            PauseCause::AgentLost
            | PauseCause::SourceLost
            | PauseCause::FreshnessMissed
            | PauseCause::Proctor
            | PauseCause::Displays
            | PauseCause::Identity => self.loss(),
            PauseCause::NetworkLost | PauseCause::ServerRestarted | PauseCause::Moving => cause,
        })
    }

    const fn loss(&self) -> PauseCause {
        if self.sources.linked() {
            PauseCause::SourceLost
        } else {
            PauseCause::AgentLost
        }
    }

    fn complete(&self, now: Now) -> bool {
        self.memory.held.is_none()
            && self.sources.all_live(&self.policy, now)
            && self.sources.displays_allowed(&self.policy)
    }

    fn contacted(&mut self, now: Now) {
        if !self.in_contact(now) {
            self.contact_since = now;
        }
        self.contact = Some(now);
        self.freshness.came(now);
    }

    fn in_contact(&self, now: Now) -> bool {
        self.contact
            .is_some_and(|seen| now.since(seen) <= CONTACT_AGE_MAX)
    }

    /// Forgets all evidence: every source must be seen again before items show. A move also forgets
    /// the machine that was there and who sat at it.
    fn forget(&mut self, cause: PauseCause, at: Moment) {
        if cause == PauseCause::Moving {
            self.sources = Sources::default();
            self.seat_changed();
        } else {
            self.sources.unsee();
        }
        self.freshness.ask_anew(at.now);
        if self.memory.phase.shows_items() || self.paused() {
            self.cover(cause, at);
        }
    }

    fn start(&mut self, entry: Entry, at: Moment) -> Result<(), GateError> {
        let ready = matches!(self.memory.phase, AttemptPhase::Ready { .. });
        if ready {
            entry.at(at.wall)?;
        }
        if !self.open(at.now) {
            return Err(self.closed());
        }
        Ok(self.step(AttemptEvent::GateOpened, at)?)
    }

    fn closed(&self) -> GateError {
        match self.memory.phase {
            AttemptPhase::Ready { .. } => GateError::Closed,
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => self.refused(AttemptEvent::GateOpened),
        }
    }

    const fn refused(&self, event: AttemptEvent) -> GateError {
        GateError::Refused(Refused {
            phase: self.memory.phase,
            event,
        })
    }

    fn cover(&mut self, cause: PauseCause, at: Moment) {
        self.advance(AttemptEvent::Covered(cause), at);
    }

    /// Takes an event that the table is known to have in this phase.
    fn advance(&mut self, event: AttemptEvent, at: Moment) {
        // A refusal leaves the phase as it is, which never shows more than before.
        let _unchanged: Result<(), Refused> = self.step(event, at);
    }

    fn step(&mut self, event: AttemptEvent, at: Moment) -> Result<(), Refused> {
        let next = self.memory.phase.after(event, at.wall)?;
        if next != self.memory.phase {
            if next.shows_items() {
                self.freshness.resume(at.now);
            }
            self.memory.phase = next;
            self.outputs.push_back(GateOutput::Phase(next));
        }
        Ok(())
    }

    const fn paused(&self) -> bool {
        matches!(self.memory.phase, AttemptPhase::Paused { .. })
    }
}

/// Without a request for so long the client is out of contact.
const CONTACT_AGE_MAX: Duration = LIVE_AGE_MAX;
/// After a cut, the agent's link may come back so much later than the client's.
const CONTACT_SETTLES: Duration = Duration::from_secs(2);

mod clock;
mod codes;
mod identity;

#[cfg(test)]
mod tests;
