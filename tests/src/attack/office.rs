//! What the institution does while it is attacked: exams, sittings, admissions, decisions of staff.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::SignedBytes;
use qorgan_protocol::ids::AttemptId;

use super::wire::Site;
use crate::demo::stage::{last_word, moment, text};
use crate::places;
use crate::server::Commands;

/// The office of an institution whose server runs on this machine.
#[derive(Debug, Clone)]
pub struct Office {
    commands: Commands,
    server_key: String,
}

/// When a sitting is held.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    /// The end of its window, in seconds since 1970.
    pub(super) closes: u64,
    /// How long items may be worked on.
    pub(super) minutes: u32,
}

impl Times {
    /// A sitting that lasts longer than any attack.
    pub(super) fn long() -> Self {
        Self {
            closes: unix_seconds() + 4 * 3600,
            minutes: 240,
        }
    }
}

impl Office {
    pub(super) const fn new(commands: Commands, server_key: String) -> Self {
        Self {
            commands,
            server_key,
        }
    }

    /// Does something that waits for the server's commands, beside whatever else is under way.
    pub(super) async fn does<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let office = self.clone();
        tokio::task::spawn_blocking(move || work(&office)).await?
    }

    /// Makes an exam with a test; returns its identifier.
    pub(super) fn exam(&self, title: &str) -> Result<String> {
        let words = ["exam", "create", "--title", title, "--discipline", title];
        let exam = last_word(&self.commands.run(&words)?)?;
        let package: PathBuf = places::exam().join("kk");
        let words = ["import", "test", text(&package)?, "--language", "kk"];
        self.commands
            .run(&[&words[..], &["--exam", &exam]].concat())?;
        Ok(exam)
    }

    /// Makes a sitting that is open; returns its identifier.
    pub(super) fn sitting(&self, exam: &str, times: Times, policy: &[&str]) -> Result<String> {
        let opens = moment(unix_seconds().saturating_sub(60))?;
        let (closes, minutes) = (moment(times.closes)?, times.minutes.to_string());
        let words = ["sitting", "create", "--exam", exam, "--opens", &opens];
        let when = ["--closes", &closes, "--minutes", &minutes];
        last_word(&self.commands.run(&[&words[..], &when, policy].concat())?)
    }

    /// Admits people with a rating, or withdraws their admission with one that is too low.
    pub(super) fn admit(&self, sitting: &str, logins: &[String], rating: u8) -> Result<()> {
        let mut sheet = "login,rating\n".to_owned();
        for login in logins {
            writeln!(sheet, "{login},{rating}")?;
        }
        let list = self.commands.folder().join(format!("{sitting}.csv"));
        fs::write(&list, sheet)?;
        let words = ["import", "admission", text(&list)?, "--sitting", sitting];
        self.commands.run(&words).map(drop)
    }

    /// Makes an exam with one sitting for one candidate; returns the sitting.
    pub(super) fn sits(&self, title: &str, login: &str, times: Times) -> Result<String> {
        let exam = self.exam(title)?;
        self.sits_at(&exam, login, times)
    }

    /// Makes a sitting of an exam for one candidate; returns it.
    pub(super) fn sits_at(&self, exam: &str, login: &str, times: Times) -> Result<String> {
        let sitting = self.sitting(exam, times, SIMULATED)?;
        self.admit(&sitting, &[login.to_owned()], 80)?;
        Ok(sitting)
    }

    /// Exports a recording and returns what `verify` says of it, held against an agent's receipts.
    pub(super) fn verified(&self, attempt: AttemptId, receipts: &[SignedBytes]) -> Result<String> {
        let folder = self.commands.folder();
        let export = folder.join(format!("export-{attempt}"));
        let kept = folder.join(format!("{attempt}.receipts"));
        fs::write(&kept, codec::encode("receipts", &receipts.to_vec())?)?;
        let (to, attempt) = (text(&export)?, attempt.to_string());
        self.commands.run(&["export", &attempt, "--out", to])?;
        let trust = ["--trust", &self.server_key, "--receipts", text(&kept)?];
        self.commands.run(&[&["verify", to], &trust[..]].concat())
    }

    /// Adds a proctor of a sitting and signs in as one.
    pub(super) async fn proctor(&self, site: &Site, sitting: &str) -> Result<Console> {
        let login = format!("proctor-{}", hex::encode(qorgan_signing::random::<4>()?));
        let (added, sitting) = (login.clone(), sitting.to_owned());
        let add = move |office: &Self| {
            let words = ["staff", "add", "--login", &added, "--role", "proctor"];
            let password = last_word(&office.commands.run(&words)?)?;
            let words = [
                "sitting",
                "assign",
                "--sitting",
                &sitting,
                "--login",
                &added,
            ];
            office.commands.run(&words).map(|_said| password)
        };
        let password = self.does(add).await?;
        Console::sign_in(site, (&login, &password)).await
    }
}

/// A proctor at the console.
#[derive(Debug)]
pub(super) struct Console {
    http: reqwest::Client,
    origin: String,
    cookie: String,
}

impl Console {
    /// Signs in with a one-time password, and puts another one in its place.
    async fn sign_in(site: &Site, (login, password): (&str, &str)) -> Result<Self> {
        let mut console = Self {
            http: site.browser()?,
            origin: site.origin.clone(),
            cookie: String::new(),
        };
        let fields = [("login", login), ("password", password)];
        console.cookie = console.form("/console/sign-in", &fields).await?;
        let page = console.page("/console/password").await?;
        let fields = [
            ("csrf", value(&page, "csrf")?),
            ("old", password),
            ("new", PASSWORD),
            ("again", PASSWORD),
        ];
        let cookie = console.form("/console/password", &fields).await?;
        ensure!(!cookie.is_empty(), "{login}'s password was not changed");
        console.cookie = cookie;
        Ok(console)
    }

    /// Returns what decides about the newest machine that asks for an attempt.
    pub(super) async fn asked_to_move(&self, attempt: AttemptId) -> Result<Move<'_>> {
        let page = self.page(&format!("/console/attempts/{attempt}")).await?;
        Ok(Move {
            console: self,
            attempt,
            csrf: value(&page, "csrf")?.to_owned(),
            request: value(&page, "request")?.to_owned(),
        })
    }

    async fn page(&self, path: &str) -> Result<String> {
        let asked = self.http.get(format!("{}{path}", self.origin));
        let page = asked.header("cookie", &self.cookie).send().await?;
        ensure!(page.status() == 200, "{path} gave {}", page.status());
        Ok(page.text().await?)
    }

    /// Sends a form; returns the cookie that was set, if there is one.
    async fn form(&self, path: &str, fields: &[(&str, &str)]) -> Result<String> {
        let pairs = fields
            .iter()
            .map(|(name, value)| format!("{name}={}", escaped(value)));
        let body = pairs.collect::<Vec<_>>().join("&");
        let asked = self.http.post(format!("{}{path}", self.origin));
        let asked = asked
            .header("cookie", &self.cookie)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body);
        let reply = asked.send().await?;
        let status = reply.status().as_u16();
        ensure!((200..400).contains(&status), "{path} gave {status}");
        let cookie = reply.headers().get("set-cookie");
        let cookie = cookie.and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.and_then(|cookie| cookie.split(';').next());
        Ok(cookie.unwrap_or_default().to_owned())
    }
}

/// A machine that asks for an attempt.
#[derive(Debug)]
pub(super) struct Move<'a> {
    console: &'a Console,
    attempt: AttemptId,
    csrf: String,
    request: String,
}

impl Move<'_> {
    /// Approves it.
    pub(super) async fn approve(&self) -> Result<()> {
        let path = format!("/console/attempts/{}/move", self.attempt);
        let fields = [
            ("csrf", self.csrf.as_str()),
            ("request", self.request.as_str()),
            ("approved", "yes"),
        ];
        self.console.form(&path, &fields).await.map(drop)
    }
}

/// Returns what a page's hidden field holds.
fn value<'a>(page: &'a str, name: &str) -> Result<&'a str> {
    let begins = format!("name=\"{name}\" value=\"");
    let (_, rest) = page
        .split_once(&begins)
        .with_context(|| format!("no `{name}`"))?;
    Ok(rest.split('"').next().unwrap_or_default())
}

fn escaped(value: &str) -> String {
    let mut text = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

pub(super) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

/// The policy of a sitting whose agent has no devices and is asked for no codes, and that covers a
/// second after the network is gone.
const SIMULATED: &[&str] = &[
    "--simulated-sources",
    "--no-freshness",
    "--grace-network-s",
    "1",
];
const PASSWORD: &str = "a word of the office 2026";
