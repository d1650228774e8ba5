//! `exam`, `sitting`, `list`.

use std::collections::BTreeMap;

use anyhow::{Context as _, anyhow, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use qorgan_protocol::ids::{ExamId, SittingId};
use qorgan_protocol::incident::Allowance;
use qorgan_protocol::time::WallTime;
use qorgan_server_core::schedule::{check_window, read_exam};
use qorgan_server_core::sitting::{SittingFault, SittingSettings, fields, read_sitting};

use super::say;
use crate::registry::{BoardOf, BoardQuery};
use crate::state::AppState;
use qorgan_base::config::ExamDefaults;
use qorgan_base::moment::{self, Typed};
use qorgan_store::assigned::{Scope, assign};
use qorgan_store::exams::{self, NewExam, NewSitting};

#[derive(Debug, Subcommand)]
pub(super) enum Exam {
    /// Make an exam and print its identifier.
    Create {
        /// The exam's title.
        #[arg(long)]
        title: String,
        /// The discipline.
        #[arg(long)]
        discipline: String,
        /// The discipline's code.
        #[arg(long, default_value = "")]
        code: String,
    },
}

impl Exam {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let Self::Create {
            title,
            discipline,
            code,
        } = self;
        let texts = read_exam(&title, &discipline, &code).map_err(|faults| refusal(&faults))?;
        let exam = NewExam {
            title: texts.title,
            discipline: texts.discipline,
            discipline_code: texts.code,
        };
        let mut tx = state.store.begin().await?;
        let id = exams::create_exam(&mut tx, &state.keys, state.clock.wall(), &exam).await?;
        tx.commit().await?;
        say(&id.to_string());
        state.store.close().await;
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Mode {
    /// At home: camera, microphone and every display.
    Remote,
    /// In the testing centre: the screen, opened by a proctor.
    OnSite,
}

#[derive(Debug, Subcommand)]
pub(super) enum Sitting {
    /// Make a sitting of an exam and print its identifier.
    Create(Box<CreateSitting>),
    /// Grant a candidate allowances: what is allowed does not count against them. Possible until they
    /// check in.
    Grant(Grant),
    /// Assign a proctor to a sitting, to watch and review it.
    Assign(Assign),
    /// End a proctor's assignment to a sitting.
    Withdraw(Assign),
}

#[derive(Debug, Args)]
pub(super) struct Assign {
    /// The sitting's identifier.
    #[arg(long)]
    sitting: SittingId,
    /// The proctor's login.
    #[arg(long)]
    login: String,
}

impl Assign {
    async fn run(self, state: &AppState, assigned: bool) -> anyhow::Result<()> {
        let mut tx = state.store.begin().await?;
        let by = (state.clock.wall(), "command line");
        let whom = (self.sitting, self.login.as_str());
        assign(&mut tx, &state.keys, by, whom, assigned).await?;
        tx.commit().await?;
        let done = if assigned { "assigned" } else { "withdrawn" };
        say(&format!("{} is {done}", self.login));
        Ok(())
    }
}

#[derive(Debug, Args)]
pub(super) struct CreateSitting {
    /// The exam's identifier.
    #[arg(long)]
    exam: ExamId,
    /// The earliest start: `2026-06-01T09:00` in the institution's time zone, or with an offset such as
    /// `+05:00`.
    #[arg(long)]
    opens: String,
    /// The latest start, written alike.
    #[arg(long)]
    closes: String,
    /// How many minutes a candidate has for the items.
    #[arg(long)]
    minutes: String,
    /// Where the exam is sat.
    #[arg(long, value_enum, default_value = "remote")]
    mode: Mode,
    /// How large recordings may be: `economy`, `standard` or `rich`; if it is left out, as the settings
    /// say.
    #[arg(long)]
    bandwidth: Option<String>,
    /// How many displays a candidate's machine may have.
    #[arg(long, default_value = "1")]
    displays: String,
    /// Let files stand for devices; for the demo and tests alone.
    #[arg(long)]
    simulated_sources: bool,
    /// Let a proctor open the gate for each candidate, in a remote sitting too.
    #[arg(long)]
    proctor_opens: bool,
    /// Let a proctor approve each candidate's identity before the start.
    #[arg(long)]
    identity_before_start: bool,
    /// Ask the candidate to show a document to the camera at check-in.
    #[arg(long)]
    identity_document: bool,
    /// On site, also require the camera.
    #[arg(long)]
    camera: bool,
    /// On site, also require the microphone.
    #[arg(long)]
    microphone: bool,
    /// Ask for no freshness codes.
    #[arg(long)]
    no_freshness: bool,
    /// Do not give back the time for which items were covered.
    #[arg(long)]
    no_credit: bool,
    /// For how many minutes after the deadline a machine may still deliver what it kept.
    #[arg(long, default_value = "15")]
    late_delivery_minutes: String,
    /// How many new items a candidate may open at once.
    #[arg(long, default_value = "20")]
    items_ahead: String,
    /// How many more new items may be opened each minute.
    #[arg(long, default_value = "20")]
    items_per_minute: String,
    /// For how many seconds items stay shown after the agent or a device was lost.
    #[arg(long, default_value = "5")]
    grace_agent_s: String,
    /// For how many seconds items stay shown without network, while the agent still captures.
    #[arg(long, default_value = "20")]
    grace_network_s: String,
    /// What is done if the machine is a virtual one: `note`, `proctor_decides` or `refuse`. The same
    /// words stand for the rules that follow.
    #[arg(long, default_value = "proctor_decides", value_name = "RULE")]
    virtual_machine: String,
    /// What is done if the machine is used from another one.
    #[arg(long, default_value = "refuse", value_name = "RULE")]
    remote_session: String,
    /// What is done if the machine reaches the server by a proxy.
    #[arg(long, default_value = "note", value_name = "RULE")]
    proxy: String,
    /// What is done if the display is a window of another display, or of another machine.
    #[arg(long, default_value = "refuse", value_name = "RULE")]
    nested_display: String,
    /// What is done if the microphone only gives what the machine itself plays.
    #[arg(long, default_value = "refuse", value_name = "RULE")]
    monitor_microphone: String,
    /// How many covered minutes are given back, at most, for a cause, such as `network_lost=15`; may
    /// be given several times. A cause that is not named has its usual bound.
    #[arg(long, value_name = "CAUSE=MINUTES")]
    pause_credit: Vec<String>,
    /// A program that is reported when it runs; may be given several times. If it is left out, the
    /// settings' list holds.
    #[arg(long, value_name = "PROGRAM")]
    deny: Vec<String>,
    /// A program that is never reported; may be given several times. If it is left out, the settings'
    /// list holds.
    #[arg(long, value_name = "PROGRAM")]
    allow: Vec<String>,
    /// How readily incidents of a kind are raised: `off`, `low`, `normal` or `high`, such as
    /// `talking=off`; may be given several times. A kind that is not named is watched for as is usual
    /// in this mode.
    #[arg(long, value_name = "KIND=WORD")]
    watch: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Grant {
    /// The sitting's identifier.
    #[arg(long)]
    sitting: SittingId,
    /// The candidate's login.
    #[arg(long)]
    login: String,
    /// What is allowed: `reading_aloud`, `helper`, `looks_away`, `leaves_seat`, `no_light` or
    /// `no_turning`; may be given several times. Without it every allowance is taken back.
    #[arg(long, value_name = "WORD")]
    allow: Vec<String>,
}

impl Sitting {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => create.run(state).await?,
            Self::Grant(grant) => grant.run(state).await?,
            Self::Assign(assign) => assign.run(state, true).await?,
            Self::Withdraw(assign) => assign.run(state, false).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

impl Grant {
    async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let named = self.allow.iter().map(|word| {
            let words = Allowance::ALL.map(Allowance::word).join(", ");
            Allowance::from_word(word).with_context(|| format!("`{word}` is none of {words}"))
        });
        let allowances = named.collect::<anyhow::Result<Vec<_>>>()?;
        let mut tx = state.store.begin().await?;
        let whose = (self.sitting, self.login.as_str());
        exams::grant(&mut tx, state.clock.wall(), whose, &allowances).await?;
        tx.commit().await?;
        say(&format!("{} allowances granted", allowances.len()));
        Ok(())
    }
}

impl CreateSitting {
    async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let create = self;
        let zone = state.config.institution.time_zone.as_str();
        let sitting = NewSitting {
            exam: create.exam,
            opens: moment(&create.opens, zone)?,
            closes: moment(&create.closes, zone)?,
            settings: create.settings(&state.config.exam)?,
        };
        let faults = check_window(sitting.opens, sitting.closes, state.clock.wall());
        if !faults.is_empty() {
            return Err(refusal(&faults));
        }
        let mut tx = state.store.begin().await?;
        let id = exams::create_sitting(&mut tx, &state.keys, state.clock.wall(), &sitting)
            .await
            .context("the sitting cannot be made (is the exam there?)")?;
        tx.commit().await?;
        say(&id.to_string());
        Ok(())
    }

    /// Reads what was typed as the console's form is read; what was not typed is the settings'.
    fn settings(&self, defaults: &ExamDefaults) -> anyhow::Result<SittingSettings> {
        let mut fields = self.fields(defaults);
        for typed in &self.watch {
            let (name, word) = watch_field(typed)?;
            fields.insert(name, word);
        }
        for typed in &self.pause_credit {
            let (name, minutes) = credit_field(typed)?;
            fields.insert(name, minutes);
        }
        let read = read_sitting(|name| fields.get(name).map_or("", String::as_str));
        read.map_err(|faults| refusal(&faults))
    }

    fn fields(&self, defaults: &ExamDefaults) -> BTreeMap<&'static str, String> {
        let mode = match self.mode {
            Mode::Remote => "remote",
            Mode::OnSite => "on_site",
        };
        let [camera, microphone, screen] = fields::SOURCES.map(|(name, _)| name);
        let ticked = [
            (camera, self.camera),
            (microphone, self.microphone),
            (screen, true),
            (fields::SIMULATED, self.simulated_sources),
            (fields::PROCTOR_OPENS, self.proctor_opens),
            (fields::IDENTITY, self.identity_before_start),
            (fields::DOCUMENT, self.identity_document),
            (fields::FRESHNESS, !self.no_freshness),
            (fields::CREDIT, !self.no_credit),
        ];
        let bandwidth = self.bandwidth.as_deref();
        let typed = [
            (fields::MINUTES, self.minutes.clone()),
            (fields::MODE, mode.to_owned()),
            (fields::DISPLAYS, self.displays.clone()),
            (fields::NESTED_DISPLAY, self.nested_display.clone()),
            (fields::GRACE_AGENT, self.grace_agent_s.clone()),
            (fields::GRACE_NETWORK, self.grace_network_s.clone()),
            (fields::LATE, self.late_delivery_minutes.clone()),
            (fields::AHEAD, self.items_ahead.clone()),
            (fields::PER_MINUTE, self.items_per_minute.clone()),
            (fields::VIRTUAL_MACHINE, self.virtual_machine.clone()),
            (fields::REMOTE_SESSION, self.remote_session.clone()),
            (fields::PROXY, self.proxy.clone()),
            (fields::MONITOR_MICROPHONE, self.monitor_microphone.clone()),
            (
                fields::BANDWIDTH,
                bandwidth
                    .unwrap_or_else(|| defaults.bandwidth.word())
                    .to_owned(),
            ),
            (fields::DENY, programs(&self.deny, &defaults.deny_processes)),
            (
                fields::ALLOW,
                programs(&self.allow, &defaults.allow_processes),
            ),
        ];
        let ticked = ticked.into_iter().filter(|(_, ticked)| *ticked);
        let on = ticked.map(|(name, _)| (name, "on".to_owned()));
        typed.into_iter().chain(on).collect()
    }
}

/// Puts every fault into a line with its option.
fn refusal(faults: &[(&'static str, SittingFault)]) -> anyhow::Error {
    let line = |(name, fault): &(&str, SittingFault)| {
        format!("--{}: {fault}", option_of(name).replace('_', "-"))
    };
    anyhow!(faults.iter().map(line).collect::<Vec<_>>().join("\n"))
}

/// Returns the option that sets a field.
fn option_of(field: &str) -> &str {
    if field == fields::CODE {
        return "code";
    }
    if field.starts_with("watch_") {
        return "watch";
    }
    if fields::PAUSE_CREDIT.iter().any(|(name, _)| *name == field) {
        return "pause-credit";
    }
    field.strip_prefix("source_").unwrap_or(field)
}

/// Reads `KIND=WORD` as field and value.
fn watch_field(typed: &str) -> anyhow::Result<(&'static str, String)> {
    let (kind, word) = typed.split_once('=').unwrap_or((typed, ""));
    let known = fields::WATCH.iter().find(|(_, known)| known.word() == kind);
    match known {
        Some((name, _)) if !word.is_empty() => Ok((name, word.to_owned())),
        Some(_) | None => {
            let kinds = fields::WATCH.map(|(_, kind)| kind.word()).join(", ");
            bail!("--watch: give KIND=WORD, where KIND is one of {kinds}")
        }
    }
}

/// Reads `CAUSE=MINUTES` as field and value.
fn credit_field(typed: &str) -> anyhow::Result<(&'static str, String)> {
    let (cause, minutes) = typed.split_once('=').unwrap_or((typed, ""));
    let mut known = fields::PAUSE_CREDIT.iter();
    match known.find(|(_, known)| known.word() == cause) {
        Some((name, _)) if !minutes.is_empty() => Ok((name, minutes.to_owned())),
        Some(_) | None => {
            let causes = fields::PAUSE_CREDIT
                .map(|(_, cause)| cause.word())
                .join(", ");
            bail!("--pause-credit: give CAUSE=MINUTES, where CAUSE is one of {causes}")
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum List {
    /// List every attempt: identifier, login, exam, phase, and since when it is in that phase.
    Attempts,
    /// List every exam and sitting.
    Sittings,
}

impl List {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Attempts => attempts(state).await?,
            Self::Sittings => sittings(state).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

async fn attempts(state: &AppState) -> anyhow::Result<()> {
    let mut query = BoardQuery {
        scope: Scope::All,
        of: BoardOf::All,
        named: String::new(),
        offset: 0,
        limit: LINES_AT_ONCE,
    };
    loop {
        let lines = state.registry.board(&query).await?;
        for line in &lines {
            let since = local(line.since, state)?;
            let (attempt, login, exam) = (line.attempt, &line.login, &line.exam_title);
            say(&format!(
                "{attempt}\t{login}\t{exam}\t{}\t{since}",
                line.phase.word()
            ));
        }
        if lines.is_empty() {
            return Ok(());
        }
        query.offset = query.offset.saturating_add(LINES_AT_ONCE);
    }
}

async fn sittings(state: &AppState) -> anyhow::Result<()> {
    let mut offset = 0_u32;
    loop {
        let rows: Vec<(String, String, String, i64, i64)> = qorgan_store::query_as(
            "SELECT s.id, e.id, e.title, s.opens_ms, s.closes_ms FROM sittings s \
             JOIN exams e ON e.id = s.exam_id ORDER BY s.opens_ms, s.id LIMIT $1 OFFSET $2",
        )
        .bind(LINES_AT_ONCE)
        .bind(offset)
        .fetch_all(state.store.read())
        .await?;
        if rows.is_empty() {
            return Ok(());
        }
        for (sitting, exam, title, opens, closes) in rows {
            let opens = local(WallTime::from_unix_ms(opens), state)?;
            let closes = local(WallTime::from_unix_ms(closes), state)?;
            say(&format!("{sitting}\t{exam}\t{title}\t{opens}\t{closes}"));
        }
        offset = offset.saturating_add(LINES_AT_ONCE);
    }
}

/// So many lines are read at once.
const LINES_AT_ONCE: u32 = 500;

/// Returns the programs that were named, or those of the settings, one a line.
fn programs(named: &[String], settings: &[String]) -> String {
    let list = if named.is_empty() { settings } else { named };
    list.join("\n")
}

/// Reads a moment: local time in `zone`, or with its own offset.
fn moment(text: &str, zone: &str) -> anyhow::Result<WallTime> {
    match moment::read(text, &TimeZone::get(zone)?, "") {
        Typed::At(at) => Ok(at),
        Typed::NoMoment => bail!("`{text}` is no moment such as 2026-06-01T09:00"),
        Typed::Skipped([one, other]) => bail!(
            "the clocks skip {text} in {zone}: give {} or {}",
            one.text,
            other.text
        ),
        Typed::Twice([one, other]) => bail!(
            "the clocks show {text} twice in {zone}: give {} or {}",
            one.text,
            other.text
        ),
    }
}

/// Writes a moment in the institution's zone, with its offset.
pub(super) fn local(at: WallTime, state: &AppState) -> anyhow::Result<String> {
    let zone = TimeZone::get(state.config.institution.time_zone.as_str())?;
    let zoned = Timestamp::from_millisecond(at.unix_ms())?.to_zoned(zone);
    Ok(zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use qorgan_protocol::attempt::GatePolicy;
    use qorgan_protocol::incident::{IncidentKind, Sensitivity};

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        create: CreateSitting,
    }

    fn line(words: &str) -> CreateSitting {
        let exam = "01890000-0000-7000-8000-000000000000";
        let begin = format!("x --exam {exam} --opens a --closes b --minutes 40 {words}");
        Line::try_parse_from(begin.split_whitespace())
            .expect("understood")
            .create
    }

    #[test]
    fn the_command_line_sets_what_the_console_sets() {
        let create = line(
            "--mode on-site --microphone --camera --identity-document --grace-agent-s 3 \
             --grace-network-s 10 --deny Zoom --late-delivery-minutes 1 --watch talking=off \
             --watch second_face=high",
        );
        let defaults = ExamDefaults::default();
        let read = create.settings(&defaults).expect("understood");
        let policy = &read.policy;
        assert_eq!(policy.required().len(), 3);
        assert!(policy.identity_document && policy.freshness && policy.credit_covered_time);
        assert_eq!(
            (policy.grace.agent_ms, policy.grace.network_ms),
            (3_000, 10_000)
        );
        assert_eq!(policy.late_delivery_ms_max, 60_000);
        assert_eq!(read.deny_processes, ["zoom"]);
        let watch = &policy.watch;
        assert!(!watch.counts(IncidentKind::Talking) && !watch.counts(IncidentKind::AnotherVoice));
        assert_eq!(
            watch.sensitivity(IncidentKind::SecondFace),
            Sensitivity::High
        );
        assert_eq!(read.allow_processes, defaults.allow_processes);
    }

    #[test]
    fn every_fault_is_named_with_its_option() {
        let create =
            line("--mode on-site --identity-document --grace-agent-s 6 --bandwidth all --deny a/b");
        let faults = create.settings(&ExamDefaults::default());
        let told = faults.expect_err("four faults").to_string();
        for option in [
            "--identity-document:",
            "--grace-agent-s:",
            "--bandwidth:",
            "--deny:",
        ] {
            assert!(told.contains(option), "{told}");
        }
        assert_eq!(told.lines().count(), 4, "{told}");
    }

    #[test]
    fn a_kind_that_always_counts_cannot_be_turned_off() {
        for typed in [
            "tampering=off",
            "talking",
            "impersonation=off",
            "whisper=loud",
        ] {
            let create = line(&format!("--watch {typed}"));
            let refused = create.settings(&ExamDefaults::default());
            let told = refused.expect_err("no such setting").to_string();
            assert!(told.starts_with("--watch:"), "{told}");
        }
    }

    #[test]
    fn what_is_not_typed_is_the_policy_of_a_remote_sitting() {
        let read = line("").settings(&ExamDefaults::default()).expect("good");
        assert_eq!(read.policy, GatePolicy::remote());
    }

    #[test]
    fn a_moment_without_offset_is_in_the_institutions_zone() {
        let at = moment("2026-06-01T09:00", "Asia/Almaty").expect("a moment");
        let same = moment("2026-06-01T04:00:00Z", "Asia/Almaty").expect("a moment");
        assert_eq!(at, same);
        moment("tomorrow", "Asia/Almaty").expect_err("no moment");
        let skipped = moment("2026-03-29T02:30", "Europe/Berlin").expect_err("skipped");
        let told = skipped.to_string();
        assert!(told.contains("2026-03-29T03:30+02:00"), "{told}");
    }
}
