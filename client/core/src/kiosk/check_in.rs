//! Consent, system check, identity, instruction, gate.

use qorgan_protocol::{
    attempt::{AttemptPhase, GatePolicy, MachineRule},
    evidence::{SourceState, StreamKind},
    local::{LocalRefusal, SourceStatus},
    time::Now,
    wire::{CheckOutcome, IdentityState, SystemCheckLine},
};

use super::{Agent, Attempt, Kiosk, Stage, Step, liveness::Liveness, voice::VoiceStep};
use crate::{
    Private,
    event::{Call, CallKind, Effect, Intent, Reply},
    view::{Check, CheckLine, CheckResult, DocumentState, EndCause},
};

impl Kiosk {
    pub(super) fn check_in_intent(&mut self, intent: Intent) {
        let lines = self.check_lines();
        let language = self.language;
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        let (identified, open) = (attempt.identity_passes(), attempt.gate_open());
        let (document, again) = (attempt.document(), attempt.again());
        let call = match (&mut attempt.step, intent) {
            (Step::Consent { read, .. } | Step::Instruction { read }, Intent::ReadToEnd) => {
                *read = true;
                return;
            }
            (Step::Consent { read, .. }, Intent::Consent(agreed)) if *read || !agreed => {
                Call::Consent {
                    version: attempt.check_in.consent_version.clone(),
                    language,
                    agreed,
                }
            }
            (step, Intent::SystemChecked)
                if passes(&lines)
                    && (*step == Step::SystemCheck || again == Some(Again::Check)) =>
            {
                Call::SystemCheck {
                    lines: lines.iter().map(wire_line).collect(),
                }
            }
            (step, Intent::TakeDocument)
                if (*step == Step::Identity || again == Some(Again::Identity))
                    && !identified
                    && document != DocumentState::NotAsked =>
            {
                self.outbox.push(Effect::TakeDocument);
                return;
            }
            (step, Intent::ShowIdentity)
                if (*step == Step::Identity || again == Some(Again::Identity))
                    && document != DocumentState::Asked =>
            {
                Call::Identity {
                    document: document == DocumentState::Taken,
                }
            }
            (Step::Identity, Intent::Continue) if identified => {
                attempt.step = attempt.after_identity();
                return;
            }
            (Step::Liveness, Intent::Continue) if attempt.liveness.is_over() => {
                attempt.step = attempt.after_liveness();
                return;
            }
            (Step::Voice, Intent::Continue) if attempt.voice.is_over() => {
                attempt.step = Step::Instruction { read: false };
                return;
            }
            //= tests/data/sop-2-28.md#11-sign-in
            (Step::Instruction { read: true }, Intent::Continue) => Call::Instruction {
                version: attempt.check_in.instruction_version.clone(),
            },
            //= tests/data/sop-2-28.md#10-start-gate
            (Step::Gate, Intent::Start) if open => Call::Start,
            (Step::Ended(EndCause::ConsentRefused), Intent::Continue) => {
                attempt.step = Step::Consent {
                    read: true,
                    refused: None,
                };
                return;
            }
            _ => return,
        };
        attempt.trouble = None;
        self.call(call);
    }

    /// Tells the server of a check that does not pass, once each time that it changes: people see
    /// what keeps the candidate out, and the server says what the sitting makes of it.
    pub(super) fn tell_failed_check(&mut self, now: Now) {
        let at_check = matches!(&self.stage, Stage::Attempt(attempt)
            if attempt.step == Step::SystemCheck || attempt.again() == Some(Again::Check));
        if !at_check || self.busy.contains(&CallKind::SystemCheck) {
            return;
        }
        let lines = self.check_lines();
        let known = lines.iter().all(|line| line.result != CheckResult::Pending);
        let told: Vec<_> = lines.iter().map(|line| (line.check, line.result)).collect();
        let Stage::Attempt(attempt) = &mut self.stage else {
            return;
        };
        let waits = attempt.retry_at.get(&CallKind::SystemCheck);
        let due = waits.is_none_or(|&at| at <= now) && attempt.check_told.as_ref() != Some(&told);
        if !known || passes(&lines) || !due {
            return;
        }
        attempt.check_told = Some(told);
        self.call(Call::SystemCheck {
            lines: lines.iter().map(wire_line).collect(),
        });
    }

    pub(super) fn consented(&mut self, _now: Now, reply: Reply) {
        let (Stage::Attempt(attempt), Reply::Consented(reply)) = (&mut self.stage, reply) else {
            return;
        };
        attempt.trouble = None;
        if reply.agent_token.is_empty() {
            let contact = Private(reply.contact);
            attempt.step = Step::Consent {
                read: true,
                refused: Some(contact),
            };
            return;
        }
        attempt.consented();
        attempt.agent_bound = true;
        self.outbox.push(Effect::RunAgent {
            token: Private(reply.agent_token),
            bandwidth: reply.bandwidth,
        });
        self.outbox
            .push(Effect::Preview(!matches!(attempt.step, Step::Exam)));
        self.outbox.push(Effect::LookAtMachine);
    }

    pub(super) fn source(&self, kind: StreamKind) -> Option<&SourceStatus> {
        let Agent::Up { status } = &self.agent else {
            return None;
        };
        status
            .sources
            .iter()
            .find(|source| source.health.source.kind == kind)
    }

    pub(super) fn check_lines(&self) -> Vec<CheckLine> {
        let Stage::Attempt(attempt) = &self.stage else {
            return Vec::new();
        };
        let required = attempt.check_in.policy.required();
        let mut lines = vec![
            line(Check::Server, CheckResult::Good, ""),
            line(Check::Agent, self.agent_result(), self.refusal()),
        ];
        for (check, kind) in [
            (Check::Camera, StreamKind::Camera),
            (Check::Microphone, StreamKind::Microphone),
            (Check::Screen, StreamKind::Screen),
        ] {
            if required.contains(&kind) {
                lines.push(self.device_line(check, kind));
            }
        }
        lines.push(self.displays_line(attempt.check_in.policy.displays_max));
        lines.extend(self.machine_lines(&attempt.check_in.policy));
        lines
    }

    fn agent_result(&self) -> CheckResult {
        match &self.agent {
            Agent::Up { .. } => CheckResult::Good,
            Agent::Absent | Agent::Starting => CheckResult::Pending,
            Agent::Refused(_) | Agent::Gone | Agent::Missing => CheckResult::Bad,
        }
    }

    /// Returns the word of the agent's refusal, for support.
    fn refusal(&self) -> &'static str {
        let Agent::Refused(reason) = &self.agent else {
            return "";
        };
        match reason {
            LocalRefusal::OtherAttempt => "other_attempt",
            LocalRefusal::SecondClient => "second_client",
            LocalRefusal::NotProved => "not_proved",
            LocalRefusal::ServerUnreachable => "server_unreachable",
            LocalRefusal::ServerRefused => "server_refused",
            LocalRefusal::BadFrame => "bad_frame",
            LocalRefusal::Version => "version",
        }
    }

    fn device_line(&self, check: Check, kind: StreamKind) -> CheckLine {
        let Some(source) = self.source(kind) else {
            return line(check, CheckResult::Pending, "");
        };
        let state = source.health.state;
        let result = match state {
            SourceState::Live => CheckResult::Good,
            SourceState::Opening => CheckResult::Pending,
            SourceState::Missing
            | SourceState::Busy
            | SourceState::Denied
            | SourceState::Unplugged
            | SourceState::Stalled
            | SourceState::Unsupported => CheckResult::Bad,
        };
        CheckLine {
            check,
            result,
            found: source.label.clone(),
            state: Some(state),
            rule: None,
        }
    }

    fn displays_line(&self, most: u8) -> CheckLine {
        let Agent::Up { status } = &self.agent else {
            return line(Check::Displays, CheckResult::Pending, "");
        };
        let displays = status
            .sources
            .iter()
            .filter(|source| source.health.source.kind == StreamKind::Screen)
            .count();
        let result = match displays {
            // The agent is still looking for them.
            0 => CheckResult::Pending,
            displays if displays > usize::from(most) => CheckResult::Bad,
            _ => CheckResult::Good,
        };
        line(Check::Displays, result, &format!("{displays} / {most}"))
    }

    fn machine_lines(&self, policy: &GatePolicy) -> Vec<CheckLine> {
        let rules = policy.machine;
        let facts = &self.machine;
        let disk = match facts.disk_free_bytes {
            None => line(Check::Disk, CheckResult::Pending, ""),
            Some(free) => {
                let result = if free < DISK_FREE_BYTES_MIN {
                    CheckResult::Bad
                } else {
                    CheckResult::Good
                };
                line(Check::Disk, result, &format!("{} MB", free / 1_000_000))
            }
        };
        let ruled = |check, found: Option<&str>, rule: MachineRule| CheckLine {
            rule: found.map(|_| rule),
            ..line(
                check,
                ruled(found.is_some(), rule),
                found.unwrap_or_default(),
            )
        };
        vec![
            ruled(
                Check::NestedDisplay,
                facts.nested_display.as_deref(),
                policy.nested_display,
            ),
            disk,
            ruled(
                Check::RemoteSession,
                facts.remote_session.then_some(""),
                rules.remote_session,
            ),
            ruled(
                Check::VirtualMachine,
                facts.virtual_machine.as_deref(),
                rules.virtual_machine,
            ),
            ruled(Check::Proxy, facts.proxy.as_deref(), rules.proxy),
        ]
    }
}

/// What is asked for again after check-in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Again {
    /// The machine's check.
    Check,
    /// Face and document.
    Identity,
}

impl Attempt {
    /// Goes to the step that the server's phase asks for; a step that the candidate is still at
    /// stays, where the phase allows it.
    pub(super) fn follow_phase(&mut self, phase: &AttemptPhase) {
        let due = step_of(phase, self.after_identity());
        if self.consent_due && !matches!(due, Step::Ended(_)) {
            return;
        }
        let rank = |step: &Step| match step {
            Step::Consent { .. } => 0,
            Step::SystemCheck => 1,
            Step::Identity => 2,
            Step::Liveness => 3,
            Step::Voice => 4,
            Step::Instruction { .. } => 5,
            Step::Gate => 6,
            Step::Exam => 7,
            Step::Ended(_) => 8,
        };
        if rank(&due) > rank(&self.step) && !self.lingers(&due) {
            if self.step == Step::Exam && due == Step::Ended(EndCause::Terminated) {
                self.ended();
            }
            self.step = due;
            self.trouble = None;
        }
    }

    /// Goes on from the consent: to the next step, or back to where a changed text came between.
    fn consented(&mut self) {
        if std::mem::take(&mut self.consent_due) {
            let phase = self.view.as_ref().map(|heard| heard.view.phase);
            self.step = step_of(&phase.unwrap_or(self.check_in.phase), self.after_identity());
        } else if matches!(self.step, Step::Consent { .. }) {
            self.step = Step::SystemCheck;
        }
    }

    /// The screens of identity, liveness and voice stay until the candidate goes on from them.
    fn lingers(&self, due: &Step) -> bool {
        matches!(self.step, Step::Identity | Step::Liveness | Step::Voice)
            && matches!(due, Step::Liveness | Step::Voice | Step::Instruction { .. })
    }

    fn after_identity(&self) -> Step {
        after_identity(&self.check_in.policy, (&self.liveness, &self.voice))
    }

    pub(super) fn after_liveness(&self) -> Step {
        after_liveness(&self.check_in.policy, &self.voice)
    }

    pub(super) fn identity(&self) -> IdentityState {
        self.view
            .as_ref()
            .map_or(IdentityState::Open, |heard| heard.view.identity)
    }

    /// Returns what is asked for again after check-in, in the place of gate or exam: a machine that
    /// the attempt moved to is checked, then whoever sits there is identified.
    pub(super) fn again(&self) -> Option<Again> {
        let heard = self.view.as_ref()?;
        let under_way = match heard.view.phase {
            AttemptPhase::Ready { .. }
            | AttemptPhase::Running { .. }
            | AttemptPhase::Paused { .. } => matches!(self.step, Step::Gate | Step::Exam),
            AttemptPhase::Scheduled
            | AttemptPhase::CheckIn { .. }
            | AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. } => false,
        };
        let asked = match heard.view.identity {
            IdentityState::Again | IdentityState::Refused => true,
            IdentityState::Open
            | IdentityState::Waiting
            | IdentityState::Deferred
            | IdentityState::Approved => false,
        };
        if !under_way || self.submission.is_some() || !asked {
            return None;
        }
        Some(if heard.view.tasks.system_check {
            Again::Identity
        } else {
            Again::Check
        })
    }

    /// Tells whether face and document are to be shown now.
    pub(super) fn shows_identity(&self) -> bool {
        self.step == Step::Identity || self.again() == Some(Again::Identity)
    }

    /// Tells where the picture of the document stands.
    pub(super) fn document(&self) -> DocumentState {
        if !self.check_in.policy.identity_document {
            DocumentState::NotAsked
        } else if self.document {
            DocumentState::Taken
        } else {
            DocumentState::Asked
        }
    }

    pub(super) fn identity_passes(&self) -> bool {
        match self.identity() {
            IdentityState::Approved | IdentityState::Deferred | IdentityState::Waiting => true,
            IdentityState::Open | IdentityState::Again | IdentityState::Refused => false,
        }
    }

    pub(super) fn gate_open(&self) -> bool {
        self.view.as_ref().is_some_and(|heard| heard.view.gate_open)
    }
}

/// Returns the consent screen, unread.
pub(super) const fn consent_step() -> Step {
    Step::Consent {
        read: false,
        refused: None,
    }
}

/// Returns what comes after the identity: where a camera is required, it is shown that a living
/// person sits there, unless that is over.
pub(super) fn after_identity(
    policy: &GatePolicy,
    (liveness, voice): (&Liveness, &VoiceStep),
) -> Step {
    if policy.required().contains(&StreamKind::Camera) && !liveness.is_over() {
        Step::Liveness
    } else {
        after_liveness(policy, voice)
    }
}

/// Returns what comes then: where a microphone is required, the voice is learnt, unless that is over.
fn after_liveness(policy: &GatePolicy, voice: &VoiceStep) -> Step {
    if policy.hears() && !voice.is_over() {
        Step::Voice
    } else {
        Step::Instruction { read: false }
    }
}

/// Returns the screen that a phase asks for; what comes `after_identity` comes before the gate.
pub(super) fn step_of(phase: &AttemptPhase, after_identity: Step) -> Step {
    match phase {
        AttemptPhase::Scheduled => consent_step(),
        AttemptPhase::CheckIn { tasks, .. } => {
            if !tasks.consent {
                consent_step()
            } else if !tasks.system_check {
                Step::SystemCheck
            } else if !tasks.identity {
                Step::Identity
            } else {
                after_identity
            }
        }
        AttemptPhase::Ready { .. } => Step::Gate,
        AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. }
        | AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. } => Step::Exam,
        AttemptPhase::Terminated { .. } => Step::Ended(EndCause::Terminated),
        AttemptPhase::Void { .. } => Step::Ended(EndCause::Void),
    }
}

/// Tells whether consent is on record in this phase.
pub(super) fn has_consented(phase: &AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Scheduled => false,
        AttemptPhase::CheckIn { tasks, .. } => tasks.consent,
        AttemptPhase::Ready { .. } | AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => {
            true
        }
        AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => false,
    }
}

/// Tells whether no line stands in the way.
pub(super) fn passes(lines: &[CheckLine]) -> bool {
    lines.iter().all(|line| match line.result {
        CheckResult::Good | CheckResult::Warning => true,
        CheckResult::Pending | CheckResult::Bad => false,
    })
}

/// Returns how a fact of the machine comes out that the sitting has a rule for.
const fn ruled(found: bool, rule: MachineRule) -> CheckResult {
    match (found, rule) {
        (false, _) => CheckResult::Good,
        (true, MachineRule::Note | MachineRule::ProctorDecides) => CheckResult::Warning,
        (true, MachineRule::Refuse) => CheckResult::Bad,
    }
}

fn wire_line(line: &CheckLine) -> SystemCheckLine {
    let result = match line.result {
        CheckResult::Good => CheckOutcome::Ok,
        CheckResult::Warning => CheckOutcome::Warning,
        CheckResult::Pending | CheckResult::Bad => CheckOutcome::Failed,
    };
    SystemCheckLine {
        check: line.check.word().to_owned(),
        result,
        detail: line.found.clone(),
    }
}

fn line(check: Check, result: CheckResult, found: &str) -> CheckLine {
    CheckLine {
        check,
        result,
        found: found.to_owned(),
        state: None,
        rule: None,
    }
}

/// The calls whose flight keeps a check-in screen's button asleep.
pub(super) const CHECK_IN_CALLS: [CallKind; 5] = [
    CallKind::Consent,
    CallKind::SystemCheck,
    CallKind::Identity,
    CallKind::Instruction,
    CallKind::Start,
];

/// Room that the journal and the recording's spool must have.
const DISK_FREE_BYTES_MIN: u64 = 200_000_000;
