//! `exam`, `sitting`, `list`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use qorgan_protocol::attempt::{GatePolicy, Grace};
use qorgan_protocol::evidence::StreamKind;
use qorgan_protocol::ids::ExamId;
use qorgan_protocol::time::WallTime;

use super::say;
use crate::state::AppState;
use crate::store::exams::{self, NewExam, NewSitting};

#[derive(Debug, Subcommand)]
pub(super) enum Exam {
    /// Make an exam; prints its identifier.
    Create {
        /// Its title.
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
        let exam = NewExam {
            title,
            discipline,
            discipline_code: code,
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
    /// Make a sitting of an exam; prints its identifier.
    Create(Box<CreateSitting>),
}

#[derive(Debug, Args)]
pub(super) struct CreateSitting {
    /// The exam's identifier.
    #[arg(long)]
    exam: ExamId,
    /// When the start window opens: `2026-06-01T09:00` in the institution's zone, or with offset.
    #[arg(long)]
    opens: String,
    /// When the start window closes.
    #[arg(long)]
    closes: String,
    /// How long items may be worked on, in minutes.
    #[arg(long)]
    minutes: u32,
    #[arg(long, value_enum, default_value = "remote")]
    mode: Mode,
    /// `economy`, `standard` or `rich`; without it the setting.
    #[arg(long)]
    bandwidth: Option<String>,
    /// The most displays.
    #[arg(long, default_value_t = 1)]
    displays: u8,
    /// Files may stand for devices (demo and tests).
    #[arg(long)]
    simulated_sources: bool,
    /// A proctor opens the gate of a remote sitting too.
    #[arg(long)]
    proctor_opens: bool,
    /// Identity must be approved before the start.
    #[arg(long)]
    identity_before_start: bool,
    /// On site, also require the camera.
    #[arg(long)]
    camera: bool,
    /// On site, also require the microphone.
    #[arg(long)]
    microphone: bool,
    /// Ask for no freshness codes.
    #[arg(long)]
    no_freshness: bool,
    /// Time under cover is not given back.
    #[arg(long)]
    no_credit: bool,
    /// How long after the deadline a kept submission is accepted, in seconds.
    #[arg(long, default_value_t = 900)]
    late_delivery_s: u32,
    /// How long a lost agent or device is borne before the exam is covered, in seconds.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u8).range(0..=5))]
    grace_agent_s: u8,
    /// How long a lost network is borne while the agent still captures, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u8).range(0..=20))]
    grace_network_s: u8,
    /// A program that is reported; may be given again; without it the settings' list.
    #[arg(long, value_name = "PROGRAM")]
    deny: Vec<String>,
    /// A program that is never reported; may be given again; without it the settings' list.
    #[arg(long, value_name = "PROGRAM")]
    allow: Vec<String>,
}

impl Sitting {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let Self::Create(create) = self;
        let defaults = &state.config.exam;
        let zone = state.config.institution.time_zone.as_str();
        let sitting = NewSitting {
            exam: create.exam,
            opens: moment(&create.opens, zone)?,
            closes: moment(&create.closes, zone)?,
            duration: Duration::from_secs(u64::from(create.minutes).saturating_mul(60)),
            policy: create.policy(),
            bandwidth: match &create.bandwidth {
                None => defaults.bandwidth.word().to_owned(),
                Some(word) if ["economy", "standard", "rich"].contains(&word.as_str()) => {
                    word.clone()
                }
                Some(word) => bail!("`{word}` is none of economy, standard, rich"),
            },
            deny_processes: programs(&create.deny, &defaults.deny_processes),
            allow_processes: programs(&create.allow, &defaults.allow_processes),
        };
        if sitting.closes <= sitting.opens {
            bail!("the start window closes before it opens");
        }
        let mut tx = state.store.begin().await?;
        let id = exams::create_sitting(&mut tx, &state.keys, state.clock.wall(), &sitting)
            .await
            .context("the sitting cannot be made (is the exam there?)")?;
        tx.commit().await?;
        say(&id.to_string());
        state.store.close().await;
        Ok(())
    }
}

impl CreateSitting {
    fn policy(&self) -> GatePolicy {
        let mut policy = match self.mode {
            Mode::Remote => GatePolicy::remote(),
            Mode::OnSite => GatePolicy::on_site(),
        };
        let on_site = [
            (self.camera, StreamKind::Camera),
            (self.microphone, StreamKind::Microphone),
        ];
        for (_, kind) in on_site.into_iter().filter(|(wanted, _)| *wanted) {
            policy.required_on_site.push(kind);
        }
        policy.required_on_site.sort_unstable();
        GatePolicy {
            displays_max: self.displays,
            simulated_sources: self.simulated_sources,
            proctor_opens: policy.proctor_opens || self.proctor_opens,
            identity_before_start: self.identity_before_start,
            freshness: !self.no_freshness,
            credit_covered_time: !self.no_credit,
            late_delivery_ms_max: u64::from(self.late_delivery_s).saturating_mul(1_000),
            grace: Grace {
                agent_ms: u64::from(self.grace_agent_s).saturating_mul(1_000),
                network_ms: u64::from(self.grace_network_s).saturating_mul(1_000),
            },
            ..policy
        }
    }
}

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum List {
    /// Every attempt: identifier, login, exam, phase, since when.
    Attempts,
    /// Every exam and sitting.
    Sittings,
}

impl List {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Attempts => {
                for line in state.registry.board().await? {
                    let since = local(line.since, state)?;
                    let (attempt, login, exam) = (line.attempt, line.login, line.exam_title);
                    say(&format!(
                        "{attempt}\t{login}\t{exam}\t{}\t{since}",
                        line.phase.word()
                    ));
                }
            }
            Self::Sittings => {
                let rows: Vec<(String, String, String, i64, i64)> = sqlx::query_as(
                    "SELECT s.id, e.id, e.title, s.opens_ms, s.closes_ms FROM sittings s \
                     JOIN exams e ON e.id = s.exam_id ORDER BY s.opens_ms",
                )
                .fetch_all(state.store.read())
                .await?;
                for (sitting, exam, title, opens, closes) in rows {
                    let opens = local(WallTime::from_unix_ms(opens), state)?;
                    let closes = local(WallTime::from_unix_ms(closes), state)?;
                    say(&format!("{sitting}\t{exam}\t{title}\t{opens}\t{closes}"));
                }
            }
        }
        state.store.close().await;
        Ok(())
    }
}

/// Returns the programs that were named, as the agent compares them, or those of the settings.
fn programs(named: &[String], settings: &[String]) -> Vec<String> {
    if named.is_empty() {
        return settings.to_vec();
    }
    named
        .iter()
        .map(|name| name.trim().to_lowercase())
        .collect()
}

/// Reads a moment: local time in `zone`, or with its own offset.
fn moment(text: &str, zone: &str) -> anyhow::Result<WallTime> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(WallTime::from_unix_ms(at.as_millisecond()));
    }
    let local: DateTime = text
        .parse()
        .with_context(|| format!("`{text}` is no moment such as 2026-06-01T09:00"))?;
    let at = local.to_zoned(TimeZone::get(zone)?)?.timestamp();
    Ok(WallTime::from_unix_ms(at.as_millisecond()))
}

/// Writes a moment in the institution's zone, with its offset.
fn local(at: WallTime, state: &AppState) -> anyhow::Result<String> {
    let zone = TimeZone::get(state.config.institution.time_zone.as_str())?;
    let zoned = Timestamp::from_millisecond(at.unix_ms())?.to_zoned(zone);
    Ok(zoned.strftime("%Y-%m-%d %H:%M:%S %:z").to_string())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        create: CreateSitting,
    }

    fn line(words: &str) -> Result<CreateSitting, clap::Error> {
        let exam = "01890000-0000-7000-8000-000000000000";
        let begin = format!("x --exam {exam} --opens a --closes b --minutes 40 {words}");
        Line::try_parse_from(begin.split_whitespace()).map(|line| line.create)
    }

    #[test]
    fn the_command_line_sets_what_the_console_sets() {
        let create = line("--mode on-site --microphone --grace-agent-s 3 --grace-network-s 10")
            .expect("understood");
        let policy = create.policy();
        assert!(policy.required_on_site.contains(&StreamKind::Microphone));
        assert_eq!(
            (policy.grace.agent_ms, policy.grace.network_ms),
            (3_000, 10_000)
        );
        line("--grace-agent-s 6").expect_err("no grace is longer than the default");
        let settings = ["teams".to_owned()];
        assert_eq!(programs(&["Zoom ".to_owned()], &settings), ["zoom"]);
        assert_eq!(programs(&[], &settings), settings);
    }

    #[test]
    fn a_moment_without_offset_is_in_the_institutions_zone() {
        let at = moment("2026-06-01T09:00", "Asia/Almaty").expect("a moment");
        let same = moment("2026-06-01T04:00:00Z", "Asia/Almaty").expect("a moment");
        assert_eq!(at, same);
        moment("tomorrow", "Asia/Almaty").expect_err("no moment");
    }
}
