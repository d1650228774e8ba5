//! What the candidate's machine and kiosk tell: the server judges it, keeps it, and tells
//! people.
//!
//! # Invariants
//! * A check that is not whole and in order fulfils nothing, and its teller is told why.
//! * What the kiosk says closes the way and never opens it: a fact that was told once stays with the
//!   machine until a person decides about it, or the attempt moves.
//! * What one attempt may store is bounded in number and length.

use std::time::Duration;

use qorgan_protocol::attempt::{
    AttemptPhase, CheckFault, CheckInTask, CheckJudgement, CheckName, GateInput,
};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::{WallTime, millis};
use qorgan_protocol::wire::{
    ClientEvent, ClientEventKind, ClientEvents, ProblemCode, SystemCheckLine, SystemCheckRequest,
};
use serde::{Deserialize, Serialize};

use super::Registry;
use super::binding::Caller;
use super::cell::CellState;
use super::change::{Change, KIOSK};
use super::error::RegistryError;
use super::quota::Kept;
use super::save::Settlement;
use super::staff::Deed;
use qorgan_store::StoreError;

/// Where the check of the machine stands that an attempt is bound to.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MachineStanding {
    /// A check fulfilled its task.
    pub done: bool,
    /// The newest check did not.
    pub refused: bool,
    /// The words of what a proctor is to decide about.
    pub to_decide: Vec<String>,
    /// The words of what a proctor accepted.
    pub accepted: Vec<String>,
}

impl MachineStanding {
    /// Tells whether a proctor must decide about this machine yet.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.to_decide
            .iter()
            .any(|word| !self.accepted.contains(word))
    }

    /// Tells whether the exam may start on this machine, as far as its check goes.
    #[must_use]
    pub fn may_start(&self) -> bool {
        !self.refused && !self.waits()
    }

    /// Takes a judgement: what was told before stays told.
    fn take(&mut self, judgement: &CheckJudgement) {
        self.refused = !judgement.is_fulfilled();
        self.done |= judgement.is_fulfilled();
        for check in &judgement.to_decide {
            let word = check.word().to_owned();
            if !self.to_decide.contains(&word) {
                self.to_decide.push(word);
            }
        }
    }

    /// Writes it down.
    pub(crate) fn to_json(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|source| StoreError::Json {
            what: "machine",
            source,
        })
    }
}

impl Registry {
    /// Judges and records what the client found of its machine.
    ///
    /// # Errors
    /// `CheckFailed` names every line that keeps the check from fulfilling its task; `BadRequest`,
    /// `TooLarge` and `TooMany` bound it; `WrongPhase` where nothing is recorded, or the caller is
    /// not bound.
    pub async fn system_check(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &SystemCheckRequest,
    ) -> Result<(), RegistryError> {
        let lines = bounded(&request.lines)?;
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        if !state.gate.phase().records() {
            let detail = "nothing is checked before consent or after the end";
            return Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
        }
        if !self.room_first(&mut state, &[Kept::SystemChecks]).await? {
            let detail = "the machine was checked too often; call the testing centre";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        let judgement = CheckJudgement::of(state.gate.policy(), &lines);
        let at = self.moment();
        let mut gate = state.gate.clone();
        let moves = next_input(gate.phase(), &judgement);
        let result = moves.map_or(Ok(()), |input| gate.handle(at, input));
        let settlement = Settlement::of(&state, gate, at);
        let mut change = self.begin_settled(&state, &settlement).await?;
        let standing = self
            .write_check(&mut change, &state, &lines, &judgement)
            .await?;
        for (place, kind, severity) in &judgement.noted {
            if let Some(line) = lines.get(*place) {
                let (graded, detail) = ((*kind, *severity), told_of(line));
                change.fact(KIOSK, graded, (at.wall, &detail)).await?;
            }
        }
        let open = change.commit().await?;
        state.machine = standing;
        self.publish(&cell, &mut state, settlement, Some(open));
        self.raise(&cell, &mut state);
        if !judgement.is_fulfilled() {
            let faults = words(&judgement.faults, ", ");
            return Err(RegistryError::refuse(ProblemCode::CheckFailed, faults));
        }
        Ok(result?)
    }

    /// Writes a check; returns where the machine then stands.
    async fn write_check(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        lines: &[SystemCheckLine],
        judgement: &CheckJudgement,
    ) -> Result<MachineStanding, RegistryError> {
        let attempt = state.facts.attempt.to_string();
        let text = serde_json::to_string(lines).map_err(|source| StoreError::Json {
            what: "system check",
            source,
        })?;
        let mut standing = state.machine.clone();
        standing.take(judgement);
        qorgan_store::query(
            "INSERT INTO system_checks (institution_id, attempt_id, epoch, at_ms, lines, faults) \
             VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(&attempt)
        .bind(i64::from(state.epoch.0))
        .bind(self.inner.clock.wall().unix_ms())
        .bind(text)
        .bind(words(&judgement.faults, "\n"))
        .execute(&mut *change.tx)
        .await?;
        qorgan_store::query("UPDATE attempts SET machine = $2 WHERE id = $1")
            .bind(&attempt)
            .bind(standing.to_json()?)
            .execute(&mut *change.tx)
            .await?;
        Ok(standing)
    }

    /// A proctor accepts the machine as its check told it; the reason stands in the audit log.
    ///
    /// # Errors
    /// `WrongPhase` where nothing waits for a decision, `NotFound`.
    pub async fn accept_machine(
        &self,
        attempt: AttemptId,
        by: PersonId,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if !state.machine.waits() {
            let detail = "no machine waits for a decision";
            return Err(RegistryError::refuse(ProblemCode::WrongPhase, detail));
        }
        let mut standing = state.machine.clone();
        standing.accepted.clone_from(&standing.to_decide);
        let mut tx = self.inner.store.begin().await?;
        qorgan_store::query("UPDATE attempts SET machine = $2 WHERE id = $1")
            .bind(attempt.to_string())
            .bind(standing.to_json()?)
            .execute(&mut *tx)
            .await?;
        let deed = Deed {
            by,
            action: "machine_accepted",
            reason: &format!("{}: {reason}", standing.accepted.join(", ")),
        };
        self.write_deed(&mut tx, attempt, deed).await?;
        tx.commit().await?;
        state.machine = standing;
        self.raise(&cell, &mut state);
        Ok(())
    }

    /// Takes what the kiosk's lockdown saw; what may matter becomes an incident.
    ///
    /// # Errors
    /// `TooLarge` for too many at once, or the caller is not bound.
    pub async fn client_events(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        events: &ClientEvents,
    ) -> Result<(), RegistryError> {
        if events.events.len() > EVENTS_AT_ONCE_MAX {
            return Err(RegistryError::refuse(ProblemCode::TooLarge, "events"));
        }
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        let now = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, state.epoch, now).await?;
        let room = self.room(&mut change, Kept::ClientEvents).await?;
        for event in &events.events {
            if room {
                self.write_event(&mut change, &state, (event, now)).await?;
            }
            let Some(kind) = incident_of(event, &state) else {
                continue;
            };
            let (at, detail) = (when(event, now), cut(&event.detail));
            if kind == IncidentKind::LockIncomplete {
                // Each measure is a fact of its own: none hides behind another.
                let graded = (kind, kind.default_severity());
                change.fact(KIOSK, graded, (at, &detail)).await?;
            } else {
                change.kiosk_saw(kind, at, &detail).await?;
            }
        }
        state.open_incidents = change.commit().await?;
        Ok(())
    }

    async fn write_event(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        (event, now): (&ClientEvent, WallTime),
    ) -> Result<(), RegistryError> {
        let client_us = event.at.since_origin().as_micros();
        let at = change.bounded(when(event, now));
        qorgan_store::query(
            "INSERT INTO client_events (institution_id, attempt_id, epoch, kind, at_ms, \
             client_at_us, detail) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(event.kind.word())
        .bind(at.unix_ms())
        .bind(i64::try_from(client_us).unwrap_or(i64::MAX))
        .bind(cut(&event.detail))
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }
}

/// Returns what a check means for the gate: its task at check-in, and where the exam runs already, a
/// machine that the sitting refuses is held for a proctor.
fn next_input(phase: AttemptPhase, judgement: &CheckJudgement) -> Option<GateInput> {
    let refused = |fault: &CheckFault| matches!(fault, CheckFault::Refused(_));
    if judgement.is_fulfilled() {
        let checks_in = matches!(phase, AttemptPhase::CheckIn { .. });
        return checks_in.then_some(GateInput::Task(CheckInTask::SystemCheck));
    }
    let covers = phase.shows_items() && judgement.faults.iter().any(refused);
    covers.then_some(GateInput::Pause)
}

/// Returns when an event happened by the server's clock: it came now, and says how long ago, which
/// is no longer than an exam lasts.
fn when(event: &ClientEvent, now: WallTime) -> WallTime {
    let ago = Duration::from_millis(event.ago_ms).min(EVENT_AGE_MAX);
    WallTime::from_unix_ms(now.unix_ms().saturating_sub(millis(ago)))
}

/// Returns the kind of incident that an event makes; nothing for what the kiosk does by itself in
/// every exam.
fn incident_of(event: &ClientEvent, state: &CellState) -> Option<IncidentKind> {
    match event.kind {
        ClientEventKind::WindowSwitch => Some(IncidentKind::WindowSwitch),
        ClientEventKind::CloseRefused => Some(IncidentKind::LockdownBreach),
        ClientEventKind::MeasureFailed => Some(IncidentKind::LockIncomplete),
        ClientEventKind::ClipboardCleared => Some(IncidentKind::ClipboardChanged),
        ClientEventKind::AgentGone => Some(IncidentKind::AgentRestarted),
        ClientEventKind::FocusLost => Some(IncidentKind::FocusLost),
        ClientEventKind::ClientRestarted => Some(IncidentKind::ClientRestarted),
        // It is switched off where items begin and on after the end; while they are shown it is on
        // only where that was granted.
        ClientEventKind::AccessibilitySwitched => {
            let in_exam = matches!(
                state.gate.phase(),
                AttemptPhase::Running { .. } | AttemptPhase::Paused { .. }
            );
            let granted = state.facts.accommodation.accessibility;
            (in_exam && !granted && event.detail != "off")
                .then_some(IncidentKind::AccessibilitySwitched)
        }
        ClientEventKind::TerminalLeft => Some(IncidentKind::TerminalSwitched),
        ClientEventKind::ProgramTouched => Some(IncidentKind::DeniedProcess),
        ClientEventKind::FocusBack | ClientEventKind::TerminalBack => None,
    }
}

/// Returns the lines within their bounds; what was found is cut.
fn bounded(lines: &[SystemCheckLine]) -> Result<Vec<SystemCheckLine>, RegistryError> {
    if lines.len() > LINES_MAX {
        return Err(RegistryError::refuse(ProblemCode::TooLarge, "lines"));
    }
    let is_word = |word: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        !word.is_empty() && word.len() <= WORD_CHARS_MAX && word.chars().all(plain)
    };
    if lines.iter().any(|line| !is_word(&line.check)) {
        return Err(RegistryError::refuse(ProblemCode::BadRequest, "check"));
    }
    let kept = |line: &SystemCheckLine| SystemCheckLine {
        detail: cut(&line.detail),
        ..line.clone()
    };
    Ok(lines.iter().map(kept).collect())
}

/// Names a line that is not in order.
fn told_of(line: &SystemCheckLine) -> String {
    let named = CheckName::from_word(&line.check).map(CheckName::incident);
    match named {
        Some(IncidentKind::VirtualMachine | IncidentKind::ProxyInUse) => line.detail.clone(),
        Some(_) | None if line.detail.is_empty() => line.check.clone(),
        Some(_) | None => format!("{}: {}", line.check, line.detail),
    }
}

fn words(faults: &[CheckFault], between: &str) -> String {
    let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
    faults.join(between)
}

fn cut(detail: &str) -> String {
    detail.chars().take(DETAIL_CHARS_MAX).collect()
}

/// A client that reports more at once is refused and sends less.
const EVENTS_AT_ONCE_MAX: usize = 256;
/// The most lines of a check.
const LINES_MAX: usize = 64;
/// The longest word of a line.
const WORD_CHARS_MAX: usize = 40;
/// Longer facts are cut.
const DETAIL_CHARS_MAX: usize = 200;
/// No event is older: an exam and its delivery last less.
const EVENT_AGE_MAX: Duration = Duration::from_secs(12 * 60 * 60);

#[cfg(test)]
mod tests {
    use qorgan_protocol::time::Now;

    use super::*;

    #[test]
    fn an_event_from_before_the_big_bang_is_at_most_half_a_day_old() {
        let event = ClientEvent {
            kind: ClientEventKind::WindowSwitch,
            ago_ms: u64::MAX,
            at: Now::default(),
            detail: String::new(),
        };
        let now = WallTime::from_unix_ms(1_800_000_000_000);
        assert_eq!(when(&event, now).unix_ms(), now.unix_ms() - 43_200_000);
    }

    #[test]
    fn what_was_told_once_waits_for_a_person_whatever_is_told_later() {
        let mut standing = MachineStanding::default();
        let told = CheckJudgement {
            to_decide: vec![CheckName::VirtualMachine],
            ..CheckJudgement::default()
        };
        standing.take(&told);
        standing.take(&CheckJudgement::default());
        assert!(standing.done && standing.waits() && !standing.may_start());
        standing.accepted.clone_from(&standing.to_decide);
        assert!(!standing.waits() && standing.may_start());
        let refused = CheckJudgement {
            faults: vec![CheckFault::Refused(CheckName::RemoteSession)],
            ..CheckJudgement::default()
        };
        standing.take(&refused);
        assert!(!standing.may_start());
    }
}
