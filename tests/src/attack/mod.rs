//! The attack suite: a hostile client and a hostile agent over the real wire.
//!
//! Named cases try weaknesses that this server once had; seeded sequences try everything else in any
//! order. Beside them a bystander sits an exam, whom nothing may touch.

mod agent;
mod bodies;
mod bystander;
mod cases;
#[path = "../../../server/tests/common/cmaf.rs"]
mod cmaf;
mod journal;
mod office;
mod ops;
mod record;
mod screens;
mod sequences;
mod stage;
mod tricks;
mod wire;

use std::fmt;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};

pub use office::Office;
pub use stage::Stage;

use bystander::Bystander;
use record::Record;
use wire::Site;

/// What is attacked.
#[derive(Debug, Clone)]
pub struct Target {
    /// The server's origin, such as `https://127.0.0.1:8443`.
    pub origin: String,
    /// Its certificate authority, PEM.
    pub ca_pem: String,
    /// Logins with passwords: the bystander, who tries the cases, who run sequences.
    pub logins: Vec<(String, String)>,
    /// A login of staff, which the API must not let in.
    pub staff: Option<(String, String)>,
    /// Its institution's office, where the server runs on this machine: cases that need its acts are
    /// tried.
    pub office: Option<Office>,
    /// The server's process, where it runs on this machine: its memory is looked at.
    pub pid: Option<u32>,
    /// Its database, where it lies on this machine: what was marked is read from it.
    pub database: Option<PathBuf>,
}

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// What sequences are made of.
    pub seed: u64,
    /// The first sequence's number.
    pub first: u64,
    /// How many sequences.
    pub count: u64,
    /// Whether cases that take minutes are tried as well.
    pub long: bool,
}

/// One named case.
#[derive(Debug, Clone)]
pub struct Case {
    /// The number of the part that it is of: 1 gate and codes, 2 exam, 3 tokens and machines, 4 before
    /// the start, 6 sign-in, 7 connections, 8 link and amounts.
    pub point: u8,
    /// Its matter in a word, such as `sign-in`.
    pub matter: &'static str,
    /// What was tried.
    pub name: String,
    /// What should have come.
    pub expected: &'static str,
    /// What came.
    pub came: String,
    /// Whether that is as expected.
    pub held: bool,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// Every case.
    pub cases: Vec<Case>,
    /// Invariants that did not hold, with what leads there again.
    pub faults: Vec<String>,
    /// How many sequences ran.
    pub sequences: u64,
    /// How many replies were looked at.
    pub replies: u64,
    /// The server's memory before, after the first tenth and at its highest, in KiB.
    pub memory_kib: Option<(u64, u64, u64)>,
    /// How long it took, in seconds.
    pub seconds: u64,
}

impl Report {
    /// Tells whether everything held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.faults.is_empty() && self.cases.iter().all(|case| case.held)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for case in &self.cases {
            let word = if case.held { "held" } else { "DID NOT HOLD" };
            let Case {
                point,
                matter,
                name,
                expected,
                came,
                ..
            } = case;
            writeln!(
                f,
                "{word}\t{point}\t{matter}\t{name}\texpected: {expected}\tcame: {came}"
            )?;
        }
        for fault in &self.faults {
            writeln!(f, "FAULT\t{fault}")?;
        }
        let held = self.cases.iter().filter(|case| case.held).count();
        writeln!(
            f,
            "{held} of {} cases held; {} sequences, {} replies, {} faults, {} s",
            self.cases.len(),
            self.sequences,
            self.replies,
            self.faults.len(),
            self.seconds
        )?;
        if let Some((before, warm, most)) = self.memory_kib {
            writeln!(
                f,
                "server's memory: {before} KiB before, {warm} warm, {most} at most"
            )?;
        }
        Ok(())
    }
}

/// Attacks a server and tells what came of it.
///
/// # Errors
/// Fails where the attack itself cannot go on: nobody can sign in, no attempt is open.
pub fn attack(target: &Target, plan: Plan) -> Result<Report> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(target, plan))
}

async fn run(target: &Target, plan: Plan) -> Result<Report> {
    ensure!(target.logins.len() >= 3, "three logins or more are needed");
    let began = Instant::now();
    let site = Site::reach(&target.origin, &target.ca_pem).await?;
    let before = target.pid.and_then(memory_kib);
    let bystander = Bystander::sit(&site, &target.logins[0]).await;
    let bystander = bystander.context("the bystander cannot sit the exam")?;
    let record = Record::new(target.database.clone());
    let mut report = Report::default();
    let beside = (&bystander, &record);
    let tried = cases::run(&site, target, beside, plan.long, &mut report.cases).await;
    if let Err(error) = tried {
        report
            .faults
            .push(format!("the cases ended early: {error:#}"));
    }
    report.faults.extend(site.watch.take_faults());
    let warm = target.pid.and_then(memory_kib);
    let ran = sequences::run(&site, target, beside, plan).await?;
    report.faults.extend(ran.faults);
    report.faults.extend(record.faults().await);
    report.sequences = ran.sequences;
    report.replies = site.watch.replies();
    if let (Some(before), Some(warm)) = (before, warm) {
        let most = ran.memory_kib.max(warm);
        report.memory_kib = Some((before, ran.warm_kib.unwrap_or(warm), most));
        let warm = ran.warm_kib.unwrap_or(warm);
        if most > warm.saturating_add(MEMORY_GROWTH_KIB) {
            let fault = format!("the server's memory grew from {warm} to {most} KiB");
            report.faults.push(fault);
        }
    }
    report.seconds = began.elapsed().as_secs();
    Ok(report)
}

/// Returns a process's resident memory, in KiB.
fn memory_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Whatever is sent after the first tenth, the server keeps no more than this of it.
const MEMORY_GROWTH_KIB: u64 = 192 * 1024;
