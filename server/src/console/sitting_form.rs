//! The form of a new sitting (SOP 8): every setting, with what was typed and what is wrong beside
//! each field.

use std::collections::BTreeMap;

use qorgan_protocol::attempt::{GatePolicy, MachineRule};
use qorgan_protocol::ids::ExamId;
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_server_core::schedule::check_window;
use qorgan_server_core::sitting::{SittingFault, fields, read_sitting};

use super::page::Page;
use super::posted::Fields;
use qorgan_base::config::ExamDefaults;
use qorgan_base::moment::{self, Choice, Typed};
use qorgan_store::exams::NewSitting;

/// A number as a page shows it.
#[derive(Debug)]
pub(super) struct NumberField {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) value: String,
    pub(super) min: u64,
    pub(super) max: u64,
    pub(super) wrong: Option<String>,
}

/// A box to tick as a page shows it.
#[derive(Debug)]
pub(super) struct TickField {
    pub(super) name: &'static str,
    pub(super) label: String,
    pub(super) ticked: bool,
    pub(super) wrong: Option<String>,
}

/// One choice of several words, as a page shows it.
#[derive(Debug)]
pub(super) struct WatchField {
    pub(super) name: &'static str,
    pub(super) label: String,
    /// Word, text, and whether it is chosen.
    pub(super) choices: Vec<(&'static str, String, bool)>,
    pub(super) wrong: Option<String>,
}

/// The form as a page shows it.
#[derive(Debug)]
pub(super) struct SittingForm {
    page: Page,
    values: BTreeMap<&'static str, String>,
    ticked: BTreeMap<&'static str, bool>,
    wrong: BTreeMap<&'static str, String>,
    /// The moments that may be meant where the clocks change, and the offset that was chosen.
    choices: BTreeMap<&'static str, (Vec<Choice>, String)>,
}

impl SittingForm {
    /// Makes a form with the defaults.
    pub(super) fn new(page: &Page, defaults: &ExamDefaults) -> Self {
        let policy = GatePolicy::remote();
        let seconds = |ms: u64| (ms / 1_000).to_string();
        let machine = policy.machine;
        let values = [
            (OPENS, String::new()),
            (CLOSES, String::new()),
            (fields::MINUTES, "60".to_owned()),
            (fields::MODE, "remote".to_owned()),
            (fields::DISPLAYS, policy.displays_max.to_string()),
            (
                fields::NESTED_DISPLAY,
                policy.nested_display.word().to_owned(),
            ),
            (fields::GRACE_AGENT, seconds(policy.grace.agent_ms)),
            (fields::GRACE_NETWORK, seconds(policy.grace.network_ms)),
            (
                fields::LATE,
                (policy.late_delivery_ms_max / 60_000).to_string(),
            ),
            (fields::AHEAD, policy.pace.ahead.to_string()),
            (fields::PER_MINUTE, policy.pace.per_minute.to_string()),
            (
                fields::VIRTUAL_MACHINE,
                machine.virtual_machine.word().to_owned(),
            ),
            (
                fields::REMOTE_SESSION,
                machine.remote_session.word().to_owned(),
            ),
            (fields::PROXY, machine.proxy.word().to_owned()),
            (
                fields::MONITOR_MICROPHONE,
                policy.monitor_microphone.word().to_owned(),
            ),
            (fields::BANDWIDTH, defaults.bandwidth.word().to_owned()),
            (fields::DENY, defaults.deny_processes.join("\n")),
            (fields::ALLOW, defaults.allow_processes.join("\n")),
        ];
        let mut values = BTreeMap::from(values);
        values.extend(fields::WATCH.map(|(name, _)| (name, String::new())));
        values.extend(fields::PAUSE_CREDIT.map(|(name, cause)| {
            let minutes = policy.pause_credit.bound(cause).as_secs() / 60;
            (name, minutes.to_string())
        }));
        let on_site = GatePolicy::on_site().required();
        let mut ticked = BTreeMap::from([
            (fields::PROCTOR_OPENS, policy.proctor_opens),
            (fields::IDENTITY, policy.identity_before_start),
            (fields::DOCUMENT, policy.identity_document),
            (fields::FRESHNESS, policy.freshness),
            (fields::SIMULATED, policy.simulated_sources),
            (fields::CREDIT, policy.credit_covered_time),
        ]);
        for (name, kind) in fields::SOURCES {
            ticked.insert(name, on_site.contains(&kind));
        }
        Self {
            page: page.clone(),
            values,
            ticked,
            wrong: BTreeMap::new(),
            choices: BTreeMap::new(),
        }
    }

    /// Reads what was posted: a sitting, or the form as it was typed with every fault.
    pub(super) fn read(
        mut self,
        exam: ExamId,
        posted: &Fields,
        now: WallTime,
    ) -> Result<NewSitting, Box<Self>> {
        for (name, value) in &mut self.values {
            posted.get(name).clone_into(value);
        }
        for (name, ticked) in &mut self.ticked {
            *ticked = !posted.get(name).is_empty();
        }
        let opens = self.moment(OPENS, posted.get("opens_offset"));
        let closes = self.moment(CLOSES, posted.get("closes_offset"));
        if let (Some(opens), Some(closes)) = (opens, closes) {
            for (name, fault) in check_window(opens, closes, now) {
                let words = words(&self.page, &fault);
                self.wrong.entry(name).or_insert(words);
            }
        }
        let read = read_sitting(|name| posted.get(name));
        if let Err(faults) = &read {
            for (name, fault) in faults {
                let words = words(&self.page, fault);
                self.wrong.entry(name).or_insert(words);
            }
        }
        match (opens, closes, read) {
            (Some(opens), Some(closes), Ok(read)) if self.wrong.is_empty() => Ok(NewSitting {
                exam,
                opens,
                closes,
                settings: read,
            }),
            _ => Err(Box::new(self)),
        }
    }

    /// Reads a moment in the institution's zone; where the clocks leave a choice, it is asked for.
    fn moment(&mut self, name: &'static str, offset: &str) -> Option<WallTime> {
        let typed = self.value(name).to_owned();
        let zone = self.page.zone().clone();
        let ask = match moment::read(&typed, &zone, "") {
            Typed::At(at) => return Some(at),
            Typed::NoMoment => {
                self.wrong.insert(name, self.page.t("wrong-moment"));
                return None;
            }
            Typed::Skipped(choices) => ("wrong-moment-gap", choices),
            Typed::Twice(choices) => ("wrong-moment-twice", choices),
        };
        let (key, choices) = ask;
        let chosen = choices.iter().find(|one| one.offset == offset).cloned();
        self.choices
            .insert(name, (choices.into(), offset.to_owned()));
        if chosen.is_none() {
            self.wrong.insert(name, self.page.t(key));
        }
        chosen.map(|one| one.at)
    }

    /// Returns the moments that may be meant: offset, text, and whether it is chosen.
    pub(super) fn choices(&self, name: &str) -> Vec<(String, String, bool)> {
        let Some((choices, chosen)) = self.choices.get(name) else {
            return Vec::new();
        };
        let line = |one: &Choice| {
            let text = one.text.replace('T', " ");
            (one.offset.clone(), text, one.offset == *chosen)
        };
        choices.iter().map(line).collect()
    }

    /// Returns the numbers of a group.
    pub(super) fn numbers(&self, group: &str) -> Vec<NumberField> {
        let wanted: &[&str] = match group {
            "gate" => &[fields::DISPLAYS],
            "loss" => &LOSS_NUMBERS,
            _ => &[fields::MINUTES],
        };
        fields::NUMBERS
            .iter()
            .filter(|(name, ..)| wanted.contains(name))
            .map(|(name, min, max)| NumberField {
                name,
                label: self.label(name),
                value: self.value(name).to_owned(),
                min: *min,
                max: *max,
                wrong: self.wrong(name).cloned(),
            })
            .collect()
    }

    /// Returns how many minutes are given back, by cause.
    pub(super) fn credits(&self) -> Vec<NumberField> {
        let field = |(name, _)| NumberField {
            name,
            label: self.label(name),
            value: self.value(name).to_owned(),
            min: 0,
            max: fields::PAUSE_CREDIT_MAX,
            wrong: self.wrong(name).cloned(),
        };
        fields::PAUSE_CREDIT.map(field).into()
    }

    /// Returns the boxes of a group.
    pub(super) fn boxes(&self, group: &str) -> Vec<TickField> {
        let wanted: &[&'static str] = match group {
            "sources" => &fields::SOURCES.map(|(name, _)| name),
            "gate" => &[
                fields::PROCTOR_OPENS,
                fields::IDENTITY,
                fields::DOCUMENT,
                fields::FRESHNESS,
            ],
            "loss" => &[fields::CREDIT],
            _ => &[fields::SIMULATED],
        };
        wanted
            .iter()
            .map(|name| TickField {
                name,
                label: self.label(name),
                ticked: self.is_ticked(name),
                // The sources have one place for all of theirs.
                wrong: (group != "sources")
                    .then(|| self.wrong(name).cloned())
                    .flatten(),
            })
            .collect()
    }

    /// Returns how readily each kind is raised.
    pub(super) fn watches(&self) -> Vec<WatchField> {
        let field = |(name, kind): (&'static str, IncidentKind)| {
            let choice = |word: &'static str, key: String| {
                (word, self.page.t(&key), self.value(name) == word)
            };
            let usual = choice("", "sensitivity-usual".to_owned());
            let set = kind.sensitivities().iter().map(|one| {
                let word = one.word();
                choice(word, format!("sensitivity-{word}"))
            });
            WatchField {
                name,
                label: self.page.t(&format!("kind-{}", kind.word())),
                choices: core::iter::once(usual).chain(set).collect(),
                wrong: self.wrong(name).cloned(),
            }
        };
        fields::WATCH.map(field).into()
    }

    /// Returns what is done about each fact of the machine.
    pub(super) fn machine(&self) -> Vec<WatchField> {
        let field = |name: &'static str| WatchField {
            name,
            label: self.label(name),
            choices: MachineRule::ALL
                .map(|rule| {
                    let word = rule.word();
                    let text = self.page.t(&format!("rule-{word}"));
                    (word, text, self.value(name) == word)
                })
                .into(),
            wrong: self.wrong(name).cloned(),
        };
        fields::MACHINE.map(field).into()
    }

    /// Returns what stands in a field.
    pub(super) fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    /// Tells whether a box is ticked.
    pub(super) fn is_ticked(&self, name: &str) -> bool {
        self.ticked.get(name).copied().unwrap_or_default()
    }

    /// Returns what is wrong with a field.
    pub(super) fn wrong(&self, name: &str) -> Option<&String> {
        self.wrong.get(name)
    }

    /// Tells whether anything is wrong.
    pub(super) fn has_wrong(&self) -> bool {
        !self.wrong.is_empty()
    }

    /// Tells whether a group of settings is to be shown open: something in it is wrong.
    pub(super) fn opens(&self, group: &str) -> bool {
        let names: &[&str] = match group {
            "gate" => &[fields::DISPLAYS, fields::DOCUMENT, "source_screen"],
            "loss" => {
                let credits = fields::PAUSE_CREDIT.map(|(name, _)| name);
                &[&LOSS_NUMBERS[..], &credits].concat()
            }
            "machine" => &fields::MACHINE,
            "watch" => &fields::WATCH.map(|(name, _)| name),
            _ => &[fields::BANDWIDTH, fields::DENY, fields::ALLOW],
        };
        names.iter().any(|name| self.wrong.contains_key(name))
    }

    /// Returns the label of a field.
    pub(super) fn label(&self, name: &str) -> String {
        self.page.t(&format!("sitting-{}", name.replace('_', "-")))
    }
}

/// Puts a fault into words.
pub(super) fn words(page: &Page, fault: &SittingFault) -> String {
    match fault {
        SittingFault::Number { min, max } => {
            let bounds = [("min", min.to_string()), ("max", max.to_string())];
            page.in_language().fill("wrong-number", &bounds)
        }
        SittingFault::Word => page.t("wrong-word"),
        SittingFault::NoSource => page.t("wrong-no-source"),
        SittingFault::NoCamera => page.t("wrong-no-camera"),
        SittingFault::ProgramName { name } => page.t1("wrong-program", "name", name),
        SittingFault::TooManyPrograms { max } => page.t1("wrong-programs", "max", max),
        SittingFault::ProgramInBoth { name } => page.t1("wrong-program-both", "name", name),
        SittingFault::Order => page.t("wrong-order"),
        SittingFault::Past => page.t("wrong-past"),
        SittingFault::Opened => page.t("wrong-opened"),
        SittingFault::Far => page.t("wrong-far"),
        SittingFault::Window { max } => page.t1("wrong-window", "max", max),
        SittingFault::Empty => page.t("exam-problem"),
        SittingFault::Long { max } => page.t1("wrong-long", "max", max),
        SittingFault::Hidden { code } => page.t1("wrong-hidden", "code", format!("U+{code:04X}")),
    }
}

const OPENS: &str = fields::OPENS;
const CLOSES: &str = fields::CLOSES;

/// The numbers that say what happens at a loss, and how fast questions leave.
const LOSS_NUMBERS: [&str; 5] = [
    fields::GRACE_AGENT,
    fields::GRACE_NETWORK,
    fields::LATE,
    fields::AHEAD,
    fields::PER_MINUTE,
];

#[cfg(test)]
mod tests {
    use qorgan_protocol::time::millis;

    use super::*;

    /// 2026-11-20.
    const NOVEMBER: WallTime = WallTime::from_unix_ms(1_795_132_800_000);

    #[test]
    fn a_start_that_the_clocks_leave_open_is_asked_again_and_the_choice_is_taken() {
        let page = Page::for_test_at("Europe/Berlin");
        let now = WallTime::from_unix_ms(1_774_000_000_000);
        let exam = ExamId::new(WallTime::from_unix_ms(1), [1; 10]);
        let read = |offset: &str| {
            let typed = [
                (OPENS, "2026-03-29T02:30"),
                (CLOSES, "2026-03-29T09:00"),
                ("opens_offset", offset),
            ];
            let sent = typed.map(|(name, value)| (name.to_owned(), value.to_owned()));
            let form = SittingForm::new(&page, &ExamDefaults::default());
            form.read(exam, &Fields::of(sent.to_vec()), now)
                .expect_err("the rest is missing")
        };

        let form = read("");
        assert!(form.wrong(OPENS).is_some());
        let offered: Vec<_> = form
            .choices(OPENS)
            .into_iter()
            .map(|(_, text, _)| text)
            .collect();
        assert_eq!(
            offered,
            ["2026-03-29 01:30+01:00", "2026-03-29 03:30+02:00"]
        );

        let form = read("+02:00");
        assert!(form.wrong(OPENS).is_none(), "{:?}", form.wrong(OPENS));
        assert!(form.choices(OPENS)[1].2, "the choice stays");
        assert!(form.wrong(CLOSES).is_none());
    }

    #[test]
    fn a_form_sent_as_it_was_shown_is_the_remote_policy() {
        let page = Page::for_test();
        let form = SittingForm::new(&page, &ExamDefaults::default());
        let mut sent: Vec<(String, String)> = form
            .values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect();
        for (name, _) in form.ticked.iter().filter(|(_, ticked)| **ticked) {
            sent.push(((*name).to_owned(), "on".to_owned()));
        }
        sent.push((OPENS.to_owned(), "2026-12-01T09:00".to_owned()));
        sent.push((CLOSES.to_owned(), "2026-12-01T12:00".to_owned()));
        let exam = ExamId::new(WallTime::from_unix_ms(1), [1; 10]);

        let read = form
            .read(exam, &Fields::of(sent), NOVEMBER)
            .expect("good as it was shown");

        assert_eq!(read.settings.policy, GatePolicy::remote());
        assert_eq!(millis(read.settings.duration), 3_600_000);
        assert_eq!(read.settings.bandwidth, "standard");
        assert!(read.settings.deny_processes.contains(&"anydesk".to_owned()));
        assert_eq!(read.opens.unix_ms(), 1_796_097_600_000);
    }

    #[test]
    fn what_was_typed_stays_and_each_fault_stands_at_its_field() {
        let page = Page::for_test();
        let typed = [
            (OPENS, "2026-12-01T12:00"),
            (CLOSES, "2026-12-01T09:00"),
            (fields::MODE, "on_site"),
            (fields::MINUTES, "abc"),
            (fields::DENY, "a/b"),
            ("credit_moving", "601"),
            (fields::MONITOR_MICROPHONE, "proctor"),
        ];
        let sent = typed.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let exam = ExamId::new(WallTime::from_unix_ms(1), [1; 10]);

        let form = SittingForm::new(&page, &ExamDefaults::default())
            .read(exam, &Fields::of(sent.to_vec()), NOVEMBER)
            .expect_err("bad");

        assert_eq!(form.value(fields::MINUTES), "abc");
        assert_eq!(form.value(fields::MODE), "on_site");
        assert!(!form.is_ticked(fields::FRESHNESS), "it was not ticked");
        for name in [
            CLOSES,
            fields::MINUTES,
            "source_screen",
            fields::DENY,
            "credit_moving",
            fields::MONITOR_MICROPHONE,
        ] {
            assert!(
                form.wrong(name)
                    .is_some_and(|words| !words.contains("wrong-")),
                "{name}"
            );
        }
        assert!(form.wrong(OPENS).is_none());
        assert!(form.opens("gate") && form.opens("programs"));
        assert!(form.opens("loss") && form.opens("machine"));
    }
}
