//! What a sitting makes of the candidate's machine, and how the server judges a system check.
//!
//! # Invariants
//! * The check is the kiosk's word: it can close the way to the gate and never opens it, for no
//!   source becomes live by it.
//! * A check fulfils its task only where every line that the policy requires is there and in order.
//!   A line that is not known is kept, and worth a note where it is not in order.

use std::collections::BTreeMap;

use super::policy::GatePolicy;
use super::rule::{CheckName, MachineRule};
use crate::attempt::{CheckOutcome, SystemCheckLine};
use crate::incident::{IncidentKind, Severity};
use crate::stream::StreamKind;

impl CheckName {
    /// Tells whether a policy requires the line.
    fn is_required(self, policy: &GatePolicy) -> bool {
        let source = match self {
            Self::Camera => StreamKind::Camera,
            Self::Microphone => StreamKind::Microphone,
            Self::Screen => StreamKind::Screen,
            Self::Server
            | Self::Agent
            | Self::Displays
            | Self::NestedDisplay
            | Self::Disk
            | Self::RemoteSession
            | Self::VirtualMachine
            | Self::Proxy => return true,
        };
        policy.required().contains(&source)
    }
}

/// Why a check does not fulfil its task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckFault {
    /// The line is not there.
    Missing(CheckName),
    /// The line is there more than once.
    Twice(CheckName),
    /// What the line is about is not in order.
    Failed(CheckName),
    /// The sitting refuses such a machine.
    Refused(CheckName),
}

impl core::fmt::Display for CheckFault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let (check, what) = match self {
            Self::Missing(check) => (check, "missing"),
            Self::Twice(check) => (check, "twice"),
            Self::Failed(check) => (check, "failed"),
            Self::Refused(check) => (check, "refused"),
        };
        write!(f, "{}: {what}", check.word())
    }
}

/// What the server makes of a system check.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CheckJudgement {
    /// Why it does not fulfil its task; nothing where it does.
    pub faults: Vec<CheckFault>,
    /// What a proctor decides about before the start.
    pub to_decide: Vec<CheckName>,
    /// Every line that is worth an incident, by its place in the check.
    pub noted: Vec<(usize, IncidentKind, Severity)>,
}

impl CheckJudgement {
    /// Judges the lines of a check by the policy in force.
    #[must_use]
    pub fn of(policy: &GatePolicy, lines: &[SystemCheckLine]) -> Self {
        let mut judgement = Self::default();
        let mut told: BTreeMap<CheckName, usize> = BTreeMap::new();
        for (place, line) in lines.iter().enumerate() {
            let in_order = line.result == CheckOutcome::Ok;
            let Some(check) = CheckName::from_word(&line.check) else {
                if !in_order {
                    let kind = IncidentKind::SystemCheck;
                    judgement.noted.push((place, kind, kind.default_severity()));
                }
                continue;
            };
            let times = told.entry(check).or_default();
            *times += 1;
            if *times == 2 {
                judgement.faults.push(CheckFault::Twice(check));
            }
            if !in_order {
                judgement.not_in_order(policy, (place, check), line.result);
            }
        }
        for check in CheckName::ALL {
            if check.is_required(policy) && !told.contains_key(&check) {
                judgement.faults.push(CheckFault::Missing(check));
            }
        }
        judgement.faults.sort_unstable();
        judgement.faults.dedup();
        judgement.to_decide.sort_unstable();
        judgement.to_decide.dedup();
        judgement
    }

    fn not_in_order(
        &mut self,
        policy: &GatePolicy,
        (place, check): (usize, CheckName),
        outcome: CheckOutcome,
    ) {
        let rule = if check == CheckName::NestedDisplay {
            Some(policy.nested_display)
        } else {
            policy.machine.rule(check)
        };
        match rule {
            Some(MachineRule::Refuse) => self.faults.push(CheckFault::Refused(check)),
            Some(MachineRule::ProctorDecides) => self.to_decide.push(check),
            Some(MachineRule::Note) => {}
            None if outcome == CheckOutcome::Failed && check.is_required(policy) => {
                self.faults.push(CheckFault::Failed(check));
            }
            None => {}
        }
        let kind = check.incident();
        let severity = rule.map_or_else(|| kind.default_severity(), MachineRule::severity);
        self.noted.push((place, kind, severity));
    }

    /// Tells whether the check fulfils its task.
    #[must_use]
    pub fn is_fulfilled(&self) -> bool {
        self.faults.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attempt::rule::MachinePolicy;

    #[test]
    fn an_empty_or_partial_check_fulfils_nothing_and_names_what_is_missing() {
        let policy = GatePolicy::remote();
        let empty = CheckJudgement::of(&policy, &[]);
        assert_eq!(empty.faults.len(), CheckName::ALL.len());
        for left_out in CheckName::ALL {
            let mut lines = good(&policy);
            lines.retain(|line| line.check != left_out.word());
            let judged = CheckJudgement::of(&policy, &lines);
            assert_eq!(judged.faults, [CheckFault::Missing(left_out)]);
        }
        assert!(CheckJudgement::of(&policy, &good(&policy)).is_fulfilled());
    }

    #[test]
    fn only_the_sources_that_a_sitting_requires_are_asked_for() {
        let policy = GatePolicy::on_site();
        let mut lines = good(&policy);
        lines.retain(|line| line.check != "camera" && line.check != "microphone");
        assert!(CheckJudgement::of(&policy, &lines).is_fulfilled());
        lines.push(line("camera", CheckOutcome::Failed));
        let judged = CheckJudgement::of(&policy, &lines);
        assert!(judged.is_fulfilled(), "nobody asked for a camera");
        assert_eq!(judged.noted.len(), 1, "and it is on record");
    }

    #[test]
    fn each_rule_refuses_waits_or_notes_and_each_is_an_incident_of_its_weight() {
        for (check, kind) in [
            (CheckName::VirtualMachine, IncidentKind::VirtualMachine),
            (CheckName::RemoteSession, IncidentKind::RemoteSession),
            (CheckName::Proxy, IncidentKind::ProxyInUse),
        ] {
            for rule in MachineRule::ALL {
                let policy = GatePolicy {
                    machine: MachinePolicy {
                        virtual_machine: rule,
                        remote_session: rule,
                        proxy: rule,
                    },
                    ..GatePolicy::remote()
                };
                for outcome in [CheckOutcome::Warning, CheckOutcome::Failed] {
                    judges_by(&policy, (check, kind), (rule, outcome));
                }
            }
        }
    }

    fn judges_by(
        policy: &GatePolicy,
        (check, kind): (CheckName, IncidentKind),
        (rule, outcome): (MachineRule, CheckOutcome),
    ) {
        let mut lines = good(policy);
        let told = lines.iter_mut().filter(|one| one.check == check.word());
        told.for_each(|one| one.result = outcome);
        let judged = CheckJudgement::of(policy, &lines);
        assert_eq!(judged.is_fulfilled(), rule != MachineRule::Refuse);
        let waits = judged.to_decide == [check];
        assert_eq!(waits, rule == MachineRule::ProctorDecides);
        let [(place, noted, severity)] = judged.noted.as_slice() else {
            panic!("one line is noted: {judged:?}");
        };
        assert_eq!(lines[*place].check, check.word());
        assert_eq!((*noted, *severity), (kind, rule.severity()));
    }

    #[test]
    fn what_failed_or_is_told_twice_fulfils_nothing_and_an_unknown_line_is_noted() {
        let policy = GatePolicy::remote();
        let mut lines = good(&policy);
        lines.push(line("camera", CheckOutcome::Failed));
        let judged = CheckJudgement::of(&policy, &lines);
        let camera = CheckName::Camera;
        assert_eq!(
            judged.faults,
            [CheckFault::Twice(camera), CheckFault::Failed(camera)]
        );
        let mut lines = good(&policy);
        let known = lines.len();
        lines.push(line("a_line_of_later", CheckOutcome::Warning));
        lines.push(line("seat", CheckOutcome::Ok));
        let judged = CheckJudgement::of(&policy, &lines);
        assert!(judged.is_fulfilled());
        let kind = IncidentKind::SystemCheck;
        assert_eq!(judged.noted, [(known, kind, kind.default_severity())]);
    }

    #[test]
    fn a_policy_from_before_has_the_usual_rules() {
        let mut old = serde_json::to_value(GatePolicy::remote()).expect("plain data");
        old.as_object_mut().expect("an object").remove("machine");
        let read: GatePolicy = serde_json::from_value(old).expect("readable");
        assert_eq!(read.machine, MachinePolicy::DEFAULT);
    }

    #[test]
    fn a_policy_with_the_words_from_before_reads_and_is_written_with_those_of_today() {
        let mut old = serde_json::to_value(GatePolicy::remote()).expect("plain data");
        old["nested_display"] = "proctor".into();
        old["monitor_microphone"] = "note".into();
        let read: GatePolicy = serde_json::from_value(old).expect("readable");
        assert_eq!(read.nested_display, MachineRule::ProctorDecides);
        assert_eq!(read.monitor_microphone, MachineRule::Note);
        let written = serde_json::to_value(&read).expect("plain data");
        assert_eq!(written["nested_display"], "proctor_decides");
        let mut silent = written;
        let fields = silent.as_object_mut().expect("an object");
        fields.remove("nested_display");
        let read: GatePolicy = serde_json::from_value(silent).expect("readable");
        assert_eq!(read.nested_display, MachineRule::Refuse, "the strictest");
    }

    fn good(_policy: &GatePolicy) -> Vec<SystemCheckLine> {
        let all = CheckName::ALL.into_iter();
        all.map(|check| line(check.word(), CheckOutcome::Ok))
            .collect()
    }

    fn line(check: &str, result: CheckOutcome) -> SystemCheckLine {
        SystemCheckLine {
            check: check.to_owned(),
            result,
            detail: String::new(),
        }
    }
}
