//! Attacks a server and says what held: `cargo run -p qorgan-tests --example attack -- --server URL`.
//!
//! Without `--server` it starts one of its own (built beforehand: `cargo build -p qorgan-server`) and
//! looks at its memory and database as well. With it, `--ca FILE` names its authority and
//! `--logins FILE` a list of `login,password`: first the bystander, then who tries the cases, then at
//! least one for the sequences, all admitted to the exams that `Stage::set` makes. `--pid N` and
//! `--database FILE` let memory and marks be looked at where the server is local. Cases that need an
//! office's acts (a withdrawn admission, a move's approval, a window's end, an export) are tried on a
//! server of its own alone.
//!
//! `--seed N --first N --count N` choose the sequences (20,000); `--short` leaves out cases that take
//! minutes.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use qorgan_tests::attack::{Plan, Stage, Target, attack};

fn main() -> Result<ExitCode> {
    let wish = Wish::read(std::env::args().skip(1))?;
    let folder = tempfile::tempdir()?;
    let (_stage, target) = match &wish.server {
        Some(origin) => (None, wish.target(origin)?),
        None => {
            let stage = Stage::set(folder.path(), ATTACKERS, SITTINGS)?;
            let target = stage.target.clone();
            (Some(stage), target)
        }
    };
    let report = attack(&target, wish.plan)?;
    write!(std::io::stdout(), "seed {}\n{report}", wish.plan.seed)?;
    Ok(if report.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was asked for.
struct Wish {
    server: Option<String>,
    ca: Option<PathBuf>,
    logins: Option<PathBuf>,
    pid: Option<u32>,
    database: Option<PathBuf>,
    plan: Plan,
}

impl Wish {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let plan = Plan {
            seed: 1,
            first: 0,
            count: 20_000,
            long: true,
        };
        let (server, ca, logins, pid, database) = (None, None, None, None, None);
        let mut wish = Self {
            server,
            ca,
            logins,
            pid,
            database,
            plan,
        };
        while let Some(word) = words.next() {
            if word == "--short" {
                wish.plan.long = false;
                continue;
            }
            let value = words
                .next()
                .with_context(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--server" => wish.server = Some(value),
                "--ca" => wish.ca = Some(value.into()),
                "--logins" => wish.logins = Some(value.into()),
                "--pid" => wish.pid = Some(value.parse()?),
                "--database" => wish.database = Some(value.into()),
                "--seed" => wish.plan.seed = value.parse()?,
                "--first" => wish.plan.first = value.parse()?,
                "--count" => wish.plan.count = value.parse()?,
                _ => bail!("{word} is not known"),
            }
        }
        Ok(wish)
    }

    fn target(&self, origin: &str) -> Result<Target> {
        let list = self.logins.as_ref().context("--server needs --logins")?;
        let list = fs::read_to_string(list)?;
        let line = |line: &str| {
            let (login, password) = line.split_once(',').context("login,password")?;
            Ok((login.trim().to_owned(), password.trim().to_owned()))
        };
        let logins = list
            .lines()
            .filter(|text| !text.trim().is_empty())
            .map(line);
        Ok(Target {
            origin: origin.trim_end_matches('/').to_owned(),
            ca_pem: fs::read_to_string(self.ca.as_ref().context("--server needs --ca")?)?,
            logins: logins.collect::<Result<_>>()?,
            staff: None,
            office: None,
            pid: self.pid,
            database: self.database.clone(),
        })
    }
}

const ATTACKERS: usize = 4;
const SITTINGS: usize = 12;
