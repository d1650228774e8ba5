//! What a new sitting is set to: a form's fields in, a policy or every fault out.
//!
//! # Invariants
//! * Nothing that is typed lowers what a remote sitting requires: camera, microphone and every
//!   display (decision 1).
//! * What always counts is no field: no form turns it off.
//! * A word or number that is not understood is a fault, never a default.

pub mod fields;

use core::time::Duration;

use qorgan_protocol::attempt::{
    GateMode, GatePolicy, Grace, MachinePolicy, MachineRule, Pace, PauseCredit,
};
use qorgan_protocol::evidence::StreamKind;
use qorgan_protocol::incident::{Sensitivity, WatchPolicy};

/// What a sitting is set to, besides its exam and its start window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SittingSettings {
    /// How long items may be worked on.
    pub duration: Duration,
    /// What is required.
    pub policy: GatePolicy,
    /// `economy`, `standard` or `rich`.
    pub bandwidth: String,
    /// Programs that are reported.
    pub deny_processes: Vec<String>,
    /// Programs that are never reported.
    pub allow_processes: Vec<String>,
}

/// What is wrong with a field; the words are the command line's, the console has its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SittingFault {
    /// No whole number between two bounds.
    #[error("give a whole number from {min} to {max}")]
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// None of the words that are known.
    #[error("none of the words that are known")]
    Word,
    /// On site, no source is required.
    #[error("require at least one source")]
    NoSource,
    /// A document is asked for where no camera is.
    #[error("a document is shown to the camera: require the camera too")]
    NoCamera,
    /// No name of a program.
    #[error("`{name}` is no name of a program")]
    ProgramName {
        /// What was typed.
        name: String,
    },
    /// More programs than a list holds.
    #[error("a list holds at most {max} programs")]
    TooManyPrograms {
        /// The most.
        max: usize,
    },
    /// The start window closes before it opens.
    #[error("the start window closes before it opens")]
    Order,
    /// The start window is over already.
    #[error("the start window is over already")]
    Past,
    /// The start window opened too long ago.
    #[error("the start window may have opened a day ago at most")]
    Opened,
    /// Too far ahead.
    #[error("it lies more than two years ahead")]
    Far,
    /// The start window is too long.
    #[error("a start window is open for at most {max} days")]
    Window {
        /// The most days.
        max: i64,
    },
    /// Nothing was typed where something must be.
    #[error("it is empty")]
    Empty,
    /// A text is too long.
    #[error("it has more than {max} characters")]
    Long {
        /// The most characters.
        max: usize,
    },
    /// A character that nobody sees.
    #[error("it has a character that nobody sees, U+{code:04X}")]
    Hidden {
        /// Its code.
        code: u32,
    },
    /// A program that is both reported and never reported.
    #[error("`{name}` is in both lists")]
    ProgramInBoth {
        /// Which.
        name: String,
    },
}

/// Reads a form: `field` gives what was typed, empty for what was not sent or not ticked.
///
/// # Errors
/// Every fault, with its field's name.
//= tests/data/sop-2-28.md#8-sitting-times
pub fn read_sitting<'a>(
    field: impl Fn(&str) -> &'a str,
) -> Result<SittingSettings, Vec<(&'static str, SittingFault)>> {
    let mut form = Form {
        field: &field,
        faults: Vec::new(),
    };
    let minutes = form.number(fields::MINUTES);
    let policy = form.policy();
    let bandwidth = field(fields::BANDWIDTH).to_owned();
    if !BANDWIDTHS.contains(&bandwidth.as_str()) {
        form.faults.push((fields::BANDWIDTH, SittingFault::Word));
    }
    let deny_processes = form.programs(fields::DENY);
    let allow_processes = form.programs(fields::ALLOW);
    if let Some(name) = allow_processes
        .iter()
        .find(|one| deny_processes.contains(one))
    {
        let fault = SittingFault::ProgramInBoth { name: name.clone() };
        form.faults.push((fields::ALLOW, fault));
    }
    if !form.faults.is_empty() {
        return Err(form.faults);
    }
    Ok(SittingSettings {
        duration: Duration::from_secs(minutes.saturating_mul(60)),
        policy,
        bandwidth,
        deny_processes,
        allow_processes,
    })
}

struct Form<'f, F> {
    field: &'f F,
    faults: Vec<(&'static str, SittingFault)>,
}

impl<'a, F: Fn(&str) -> &'a str> Form<'_, F> {
    fn policy(&mut self) -> GatePolicy {
        let base = match (self.field)(fields::MODE) {
            "remote" => GatePolicy::remote(),
            "on_site" => GatePolicy {
                required_on_site: self.sources(),
                ..GatePolicy::on_site()
            },
            _ => {
                self.faults.push((fields::MODE, SittingFault::Word));
                GatePolicy::remote()
            }
        };
        let displays = self.number(fields::DISPLAYS);
        let agent_s = self.number(fields::GRACE_AGENT);
        let network_s = self.number(fields::GRACE_NETWORK);
        let late_minutes = self.number(fields::LATE);
        let pace = self.pace();
        let watch = self.watch(base.watch.clone());
        let pause_credit = self.pause_credit(base.pause_credit);
        let machine = self.machine(base.machine);
        let nested_display = self.rule(fields::NESTED_DISPLAY, base.nested_display);
        let monitor_microphone = self.rule(fields::MONITOR_MICROPHONE, base.monitor_microphone);
        let policy = GatePolicy {
            displays_max: u8::try_from(displays).unwrap_or(1),
            simulated_sources: self.ticked(fields::SIMULATED),
            proctor_opens: base.mode == GateMode::OnSite || self.ticked(fields::PROCTOR_OPENS),
            identity_before_start: self.ticked(fields::IDENTITY),
            freshness: self.ticked(fields::FRESHNESS),
            grace: Grace {
                agent_ms: agent_s.saturating_mul(1_000),
                network_ms: network_s.saturating_mul(1_000),
            },
            late_delivery_ms_max: late_minutes.saturating_mul(60_000),
            credit_covered_time: self.ticked(fields::CREDIT),
            identity_document: self.ticked(fields::DOCUMENT),
            watch,
            pace,
            machine,
            nested_display,
            monitor_microphone,
            pause_credit,
            ..base
        };
        if policy.identity_document && !policy.required().contains(&StreamKind::Camera) {
            self.faults.push((fields::DOCUMENT, SittingFault::NoCamera));
        }
        policy
    }

    fn pace(&mut self) -> Pace {
        let usual = Pace::DEFAULT;
        let (ahead, per_minute) = (self.number(fields::AHEAD), self.number(fields::PER_MINUTE));
        Pace {
            ahead: u16::try_from(ahead).unwrap_or(usual.ahead),
            per_minute: u16::try_from(per_minute).unwrap_or(usual.per_minute),
        }
    }

    fn machine(&mut self, usual: MachinePolicy) -> MachinePolicy {
        MachinePolicy {
            virtual_machine: self.rule(fields::VIRTUAL_MACHINE, usual.virtual_machine),
            remote_session: self.rule(fields::REMOTE_SESSION, usual.remote_session),
            proxy: self.rule(fields::PROXY, usual.proxy),
        }
    }

    fn rule(&mut self, name: &'static str, usual: MachineRule) -> MachineRule {
        let word = (self.field)(name);
        let rule = MachineRule::from_word(word);
        if rule.is_none() && !word.is_empty() {
            self.faults.push((name, SittingFault::Word));
        }
        rule.unwrap_or(usual)
    }

    fn pause_credit(&mut self, usual: PauseCredit) -> PauseCredit {
        let mut credit = usual;
        for (name, cause) in fields::PAUSE_CREDIT {
            if !(self.field)(name).is_empty() {
                let minutes = self.number_within(name, (0, fields::PAUSE_CREDIT_MAX));
                credit = credit.with(cause, minutes.saturating_mul(60_000));
            }
        }
        credit
    }

    fn watch(&mut self, usual: WatchPolicy) -> WatchPolicy {
        let mut watch = usual;
        for (name, kind) in fields::WATCH {
            let word = (self.field)(name);
            let sensitivity = Sensitivity::from_word(word);
            let set = sensitivity.is_some_and(|sensitivity| watch.set(kind, sensitivity));
            if !set && !word.is_empty() {
                self.faults.push((name, SittingFault::Word));
            }
        }
        watch
    }

    fn sources(&mut self) -> Vec<StreamKind> {
        let mut sources: Vec<StreamKind> = fields::SOURCES
            .iter()
            .filter(|(name, _)| self.ticked(name))
            .map(|(_, kind)| *kind)
            .collect();
        sources.sort_unstable();
        if sources.is_empty() {
            let [.., (screen, _)] = fields::SOURCES;
            self.faults.push((screen, SittingFault::NoSource));
        }
        sources
    }

    fn ticked(&self, name: &str) -> bool {
        !(self.field)(name).is_empty()
    }

    fn number(&mut self, name: &'static str) -> u64 {
        let known = fields::NUMBERS.iter().find(|(known, ..)| *known == name);
        let bounds = known.map_or((0, 0), |(_, min, max)| (*min, *max));
        self.number_within(name, bounds)
    }

    fn number_within(&mut self, name: &'static str, (min, max): (u64, u64)) -> u64 {
        let number = (self.field)(name).parse::<u64>().ok();
        number
            .filter(|number| (min..=max).contains(number))
            .unwrap_or_else(|| {
                self.faults.push((name, SittingFault::Number { min, max }));
                min
            })
    }

    /// Reads a list of programs: one a line, or parted by commas; each once.
    fn programs(&mut self, name: &'static str) -> Vec<String> {
        let mut programs: Vec<String> = Vec::new();
        for typed in (self.field)(name).split(['\n', ',', ';']) {
            let typed = typed.trim().to_lowercase();
            let known = |c: char| c.is_alphanumeric() || " ._+-".contains(c);
            if typed.chars().count() > PROGRAM_CHARS_MAX || !typed.chars().all(known) {
                self.faults
                    .push((name, SittingFault::ProgramName { name: typed }));
                break;
            }
            if !typed.is_empty() && !programs.contains(&typed) {
                programs.push(typed);
            }
        }
        if programs.len() > PROGRAMS_MAX {
            let fault = SittingFault::TooManyPrograms { max: PROGRAMS_MAX };
            self.faults.push((name, fault));
        }
        programs
    }
}

/// The most programs of a list.
const PROGRAMS_MAX: usize = 128;
/// The longest name of a program, in characters.
const PROGRAM_CHARS_MAX: usize = 64;
const BANDWIDTHS: [&str; 3] = ["economy", "standard", "rich"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use qorgan_protocol::attempt::PauseCause;
    use qorgan_protocol::incident::IncidentKind;

    use super::*;

    fn watch_of_the_form() -> WatchPolicy {
        let mut watch = WatchPolicy::on_site();
        assert!(watch.set(IncidentKind::LookingAway, Sensitivity::Low));
        assert!(watch.set(IncidentKind::SecondFace, Sensitivity::High));
        watch
    }

    #[test]
    //= tests/data/sop-2-28.md#8-sitting-times
    //= type=test
    fn every_field_reaches_the_sitting() {
        let mut form = remote();
        form.extend([
            ("minutes", "90"),
            ("mode", "on_site"),
            ("source_screen", "on"),
            ("source_camera", "on"),
            ("displays", "2"),
            ("identity_before_start", "on"),
            ("identity_document", "on"),
            ("simulated_sources", "on"),
            ("nested_display", "note"),
            ("grace_agent_s", "2"),
            ("grace_network_s", "0"),
            ("late_delivery_minutes", "30"),
            ("items_ahead", "5"),
            ("items_per_minute", "10"),
            ("bandwidth", "economy"),
            ("deny", "AnyDesk\r\nzoom, zoom"),
            ("allow", "magnify"),
            ("watch_looking_away", "low"),
            ("watch_second_face", "high"),
            ("virtual_machine", "refuse"),
            ("remote_session", "note"),
            ("proxy", "proctor_decides"),
            ("monitor_microphone", "proctor_decides"),
            ("credit_agent_lost", "0"),
            ("credit_moving", "600"),
        ]);
        form.remove("freshness");
        form.remove("credit_covered_time");

        let read = read(&form).expect("a good form");

        let policy = GatePolicy {
            mode: GateMode::OnSite,
            required_on_site: vec![StreamKind::Camera, StreamKind::Screen],
            displays_max: 2,
            simulated_sources: true,
            proctor_opens: true,
            identity_before_start: true,
            freshness: false,
            grace: Grace {
                agent_ms: 2_000,
                network_ms: 0,
            },
            late_delivery_ms_max: 1_800_000,
            credit_covered_time: false,
            pause_credit: PauseCredit {
                agent_ms: 0,
                moving_ms: 36_000_000,
                ..PauseCredit::DEFAULT
            },
            identity_document: true,
            watch: watch_of_the_form(),
            pace: Pace {
                ahead: 5,
                per_minute: 10,
            },
            machine: MachinePolicy {
                virtual_machine: MachineRule::Refuse,
                remote_session: MachineRule::Note,
                proxy: MachineRule::ProctorDecides,
            },
            nested_display: MachineRule::Note,
            monitor_microphone: MachineRule::ProctorDecides,
        };
        assert_eq!(read.policy, policy);
        assert_eq!(read.duration, Duration::from_secs(5_400));
        assert_eq!(read.bandwidth, "economy");
        assert_eq!(read.deny_processes, ["anydesk", "zoom"]);
        assert_eq!(read.allow_processes, ["magnify"]);
    }

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn a_form_cannot_lower_what_a_remote_sitting_requires() {
        for sources in [&["source_screen"][..], &[]] {
            let mut form = remote();
            form.extend(sources.iter().map(|name| (*name, "on")));

            let read = read(&form).expect("a good form");

            assert_eq!(read.policy, GatePolicy::remote());
            assert_eq!(read.policy.required().len(), 3);
        }
    }

    #[test]
    fn every_bad_field_is_named() {
        let mut form = remote();
        form.extend([
            ("minutes", "0"),
            ("displays", "many"),
            ("grace_agent_s", "6"),
            ("grace_network_s", "21"),
            ("late_delivery_minutes", "-1"),
            ("items_ahead", "0"),
            ("items_per_minute", "601"),
            ("bandwidth", "all"),
            ("deny", "zoom\n/usr/bin/obs"),
            ("allow", "Zoom"),
            ("remote_session", "allow"),
            ("nested_display", "proctor"),
            ("credit_displays", "601"),
        ]);

        let faults = read(&form).expect_err("bad");

        let named: Vec<_> = faults.iter().map(|(name, _)| *name).collect();
        let wanted = [
            "minutes",
            "displays",
            "grace_agent_s",
            "grace_network_s",
            "late_delivery_minutes",
            "items_ahead",
            "items_per_minute",
            "credit_displays",
            "remote_session",
            "nested_display",
            "bandwidth",
            "deny",
            "allow",
        ];
        assert_eq!(named, wanted);
    }

    #[test]
    fn a_mode_that_is_not_known_and_a_sitting_without_sources_are_refused() {
        let mut form = remote();
        form.insert("mode", "at_home");
        assert_eq!(read(&form), Err(vec![("mode", SittingFault::Word)]));
        form.insert("mode", "on_site");
        assert_eq!(
            read(&form),
            Err(vec![("source_screen", SittingFault::NoSource)])
        );
    }

    #[test]
    fn every_cause_but_a_proctors_pause_has_its_credit_and_no_other() {
        let mut causes = PauseCause::ALL.to_vec();
        causes.retain(|cause| *cause != PauseCause::Proctor);
        let mut known = fields::PAUSE_CREDIT.map(|(_, cause)| cause).to_vec();
        known.sort_unstable();
        causes.sort_unstable();
        assert_eq!(known, causes);
        for (name, cause) in fields::PAUSE_CREDIT {
            assert_eq!(name, format!("credit_{}", cause.word()));
        }
    }

    #[test]
    fn every_kind_that_can_be_set_is_a_field_and_no_other() {
        let kinds = fields::WATCH.map(|(_, kind)| kind);
        assert_eq!(WatchPolicy::settable().collect::<Vec<_>>(), kinds);
        for (name, kind) in fields::WATCH {
            assert_eq!(name, format!("watch_{}", kind.word()));
        }
    }

    #[test]
    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    fn what_is_watched_for_changes_nothing_that_the_gate_requires() {
        for word in ["off", "low", "normal", "high"] {
            for (name, kind) in fields::WATCH {
                let mut form = remote();
                form.insert(name, word);
                let Ok(read) = read(&form) else {
                    let set = Sensitivity::from_word(word).expect("a word");
                    assert!(!kind.sensitivities().contains(&set), "{name} {word}");
                    continue;
                };
                let usual = GatePolicy::remote();
                assert_eq!(read.policy.watch.sensitivity(kind).word(), word);
                assert_eq!(
                    GatePolicy {
                        watch: usual.watch.clone(),
                        ..read.policy
                    },
                    usual
                );
            }
        }
        let mut form = remote();
        form.insert("watch_impersonation", "off");
        assert_eq!(
            read(&form),
            Err(vec![("watch_impersonation", SittingFault::Word)])
        );
    }

    #[test]
    fn a_document_needs_a_camera_to_be_shown_to() {
        let mut form = remote();
        form.extend([("identity_document", "on"), ("source_screen", "on")]);
        assert!(read(&form).expect("a good form").policy.identity_document);
        form.insert("mode", "on_site");
        assert_eq!(
            read(&form),
            Err(vec![("identity_document", SittingFault::NoCamera)])
        );
        form.insert("source_camera", "on");
        assert!(read(&form).expect("a good form").policy.identity_document);
    }

    fn remote() -> BTreeMap<&'static str, &'static str> {
        BTreeMap::from([
            ("minutes", "60"),
            ("mode", "remote"),
            ("displays", "1"),
            ("freshness", "on"),
            ("grace_agent_s", "5"),
            ("grace_network_s", "20"),
            ("credit_covered_time", "on"),
            ("late_delivery_minutes", "15"),
            ("items_ahead", "20"),
            ("items_per_minute", "20"),
            ("bandwidth", "standard"),
        ])
    }

    fn read(
        form: &BTreeMap<&'static str, &'static str>,
    ) -> Result<SittingSettings, Vec<(&'static str, SittingFault)>> {
        read_sitting(|name| form.get(name).copied().unwrap_or_default())
    }
}
