//! What a walk stands on: server, exam, people, devices.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::CameraWish;
use super::stand_in::starter;
use crate::account::Account;
use crate::exam::sheet;
use crate::kiosk::KioskSettings;
use crate::media::{Media, portrait};
use crate::places;
use crate::program::run;
use crate::server::Server;
use crate::wait::until;

/// A server with an exam, ready to be sat.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Server,
    /// The sitting's identifier.
    pub sitting: String,
    /// Who sits the exam.
    pub candidate: Account,
    /// Who watches; the password is for the first sign-in.
    pub proctor: Account,
    /// Where the pictures of the candidate come from.
    pub camera: Camera,
    /// Where programs keep their data.
    pub folder: PathBuf,
}

/// Where the pictures of the candidate come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Camera {
    /// The machine's own camera, captured by the packaged agent.
    Own,
    /// A film, played by the simulated agent.
    Film,
    /// A stand-in for the kernel's device, loaded before the packaged agent.
    StandIn,
}

impl Camera {
    /// Returns the machine's own camera where there is one; else what was wished for.
    #[must_use]
    pub fn of_this_machine(wish: CameraWish) -> Self {
        match (has_camera(), wish) {
            (true, CameraWish::Film | CameraWish::StandIn) => Self::Own,
            (false, CameraWish::Film) => Self::Film,
            (false, CameraWish::StandIn) => Self::StandIn,
        }
    }
}

/// Who sits before the camera.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sitter {
    /// Somebody, who can turn the head.
    Person,
    /// A film, or nobody at all.
    Robot,
}

impl Stage {
    /// Starts a server in `folder` and brings the exam in `language` in, by the server's own
    /// commands.
    ///
    /// # Errors
    /// Fails with what the server said.
    pub fn set(
        folder: &Path,
        language: &str,
        (camera, sitter): (CameraWish, Sitter),
    ) -> Result<Self> {
        let server = Server::start(&folder.join("server"), CONFIG)?;
        let exam = places::exam();
        let people = exam.join("candidates.csv");
        server.command(&["import", "people", text(&people)?])?;
        let title = if language == "ru" {
            "Нормальная физиология"
        } else {
            "Қалыпты физиология"
        };
        let create = [
            "exam",
            "create",
            "--title",
            title,
            "--discipline",
            title,
            "--code",
            "KF2201",
        ];
        let exam_id = last_word(&server.command(&create)?)?;
        for language in ["kk", "ru"] {
            let package = exam.join(language);
            let words = ["import", "test", text(&package)?, "--language", language];
            server.command(&[&words[..], &["--exam", &exam_id]].concat())?;
        }
        let camera = Camera::of_this_machine(camera);
        let sitting = create_sitting(&server, &exam_id, (camera, sitter))?;
        let admission = folder.join("admission.csv");
        fs::write(&admission, admission_sheet()?)?;
        let words = [
            "import",
            "admission",
            text(&admission)?,
            "--sitting",
            &sitting,
        ];
        server.command(&words)?;
        let proctor = add_proctor(&server)?;
        let escrow = folder.join("escrow.kek");
        server.command(&["keys", "export", "--escrow", text(&escrow)?])?;
        let words = ["sitting", "assign", "--sitting", &sitting, "--login"];
        server.command(&[&words[..], &[&proctor.login]].concat())?;
        let candidate = candidate(language)?;
        let photos = folder.join("photos");
        fs::create_dir_all(&photos)?;
        fs::copy(portrait()?, photos.join(format!("{}.png", candidate.login)))?;
        server.command(&["import", "photos", text(&photos)?])?;
        Ok(Self {
            server,
            sitting,
            candidate,
            proctor,
            camera,
            folder: folder.to_path_buf(),
        })
    }

    /// Returns how a kiosk of this stage is started.
    ///
    /// # Errors
    /// Fails where the stand-in cannot be made.
    pub fn kiosk(
        &self,
        language: &str,
        media: &Media,
        variables: Vec<(String, OsString)>,
    ) -> Result<KioskSettings> {
        let (agent, agent_words) = match self.camera {
            Camera::Own => ("qorgan-agent".to_owned(), String::new()),
            Camera::Film => (
                "qorgan-agent-simulated".to_owned(),
                format!("--sources simulated:{}", media.films.display()),
            ),
            Camera::StandIn => {
                let starter = starter(&self.folder, media)?;
                (text(&starter)?.to_owned(), String::new())
            }
        };
        Ok(KioskSettings {
            folder: self.folder.join("candidate"),
            link: self.server.ready().enrol_link.clone(),
            language: language.to_owned(),
            agent,
            agent_words,
            variables,
        })
    }

    /// Returns the incidents of the stage's attempts, oldest first.
    ///
    /// # Errors
    /// Fails where the database cannot be read.
    pub fn incidents(&self) -> Result<Vec<Value>> {
        self.rows(
            "SELECT id, kind, severity, began_ms, ended_ms, stream, detail, verdict \
             FROM incidents ORDER BY began_ms",
        )
    }

    /// Returns rows of the server's database, read beside the running server.
    ///
    /// # Errors
    /// Fails where the database cannot be read.
    pub fn rows(&self, query: &str) -> Result<Vec<Value>> {
        let database = self.folder.join("server").join("data").join("qorgan.db");
        let mut sqlite = Command::new("sqlite3");
        let said = run(sqlite.args(["-readonly", "-json"]).arg(database).arg(query))?;
        if said.trim().is_empty() {
            return Ok(Vec::new());
        }
        Ok(serde_json::from_str(&said)?)
    }

    /// Returns what a script of the console needs to sign in as the proctor.
    #[must_use]
    pub fn proctor_words(&self) -> Value {
        json!({
            "origin": self.server.ready().origin,
            "login": self.proctor.login,
            "password": self.proctor.password,
            "newPassword": "demo-proctor-2026",
        })
    }

    /// Waits until the candidate's recording is sealed, and returns the attempt.
    ///
    /// # Errors
    /// Fails where it is not sealed in time.
    pub fn sealed_attempt(&self) -> Result<String> {
        until("the sealed recording", SEAL_LIMIT, || {
            let listed = self.server.command(&["list", "attempts"])?;
            let sealed =
                |line: &&str| line.contains(&self.candidate.login) && line.contains("sealed");
            let found = listed.lines().find(sealed);
            Ok(found.and_then(|line| line.split('\t').next().map(str::to_owned)))
        })
    }

    /// Exports a recording to a folder and returns what `verify` says of it.
    ///
    /// # Errors
    /// Fails where either refuses.
    pub fn export(&self, attempt: &str, folder: &Path) -> Result<String> {
        self.server
            .command(&["export", attempt, "--out", text(folder)?])?;
        self.verify(folder, &self.receipts()?)
    }

    /// Exports a recording with the key of the scored inputs and returns what `replay` says of it.
    ///
    /// # Errors
    /// Fails where a score is not what the recording says.
    pub fn replay(&self, attempt: &str, folder: &Path) -> Result<String> {
        let to = text(folder)?;
        let words = ["export", attempt, "--with-faces-and-voices", "--out", to];
        self.server.command(&words)?;
        self.server.command(&["replay", to])
    }

    /// Returns the files of receipts that agents kept on the candidate's machine.
    ///
    /// # Errors
    /// Fails where the folder cannot be read.
    pub fn receipts(&self) -> Result<Vec<PathBuf>> {
        receipts_in(&self.folder.join("candidate").join("data"))
    }

    /// Makes the act of what was confirmed, as the stage's proctor, and returns what was said.
    ///
    /// # Errors
    /// Fails where nothing was confirmed.
    pub fn act(&self, attempt: &str, file: &Path) -> Result<String> {
        let words = ["act", "make", attempt, "--out", text(file)?, "--by"];
        let words = [&words[..], &[&self.proctor.login]].concat();
        self.server.command(&words)
    }

    /// Returns what `verify` says of an export, also against receipts that agents kept.
    ///
    /// # Errors
    /// Fails where the export is not valid.
    pub fn verify(&self, folder: &Path, receipts: &[PathBuf]) -> Result<String> {
        let mut words = vec!["verify", text(folder)?, "--trust"];
        words.push(&self.server.ready().server_key);
        for file in receipts {
            words.extend(["--receipts", text(file)?]);
        }
        self.server.command(&words)
    }
}

/// Returns the files of receipts that agents kept in a kiosk's data folder.
///
/// # Errors
/// Fails where the folder cannot be read.
pub fn receipts_in(data: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let spool = data.join("agent").join("spool");
    // Where no agent ran, none kept receipts.
    if !spool.is_dir() {
        return Ok(found);
    }
    for entry in fs::read_dir(spool)? {
        let path = entry?.path();
        if path.extension().is_some_and(|word| word == "receipts") {
            found.push(path);
        }
    }
    Ok(found)
}

/// Returns whether the machine has a camera of its own.
fn has_camera() -> bool {
    let devices = fs::read_dir("/sys/class/video4linux");
    devices.is_ok_and(|mut devices| devices.next().is_some())
}

fn create_sitting(
    server: &Server,
    exam: &str,
    (camera, sitter): (Camera, Sitter),
) -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let (opens, closes) = (moment(now.saturating_sub(60))?, moment(now + 4 * 3600)?);
    let words = [
        "sitting", "create", "--exam", exam, "--opens", &opens, "--closes", &closes,
    ];
    let policy: &[&str] = match camera {
        Camera::Own | Camera::StandIn => &["--identity-document"],
        Camera::Film => &["--identity-document", "--simulated-sources"],
    };
    // A film turns no head and takes on no light, as is the point of asking for it.
    let watch: &[&str] = match sitter {
        Sitter::Person => &[],
        Sitter::Robot => &["--watch", "presentation_attack=off"],
    };
    // The demo runs where somebody starts it: in virtual machines, over the network, behind proxies; its
    // display lies in a window of another one.
    let machine = [
        "--virtual-machine",
        "note",
        "--remote-session",
        "note",
        "--proxy",
        "note",
        "--nested-display",
        "note",
    ];
    let words = [&words[..], &["--minutes", "40"], policy, watch, &machine].concat();
    last_word(&server.command(&words)?)
}

/// The walk's candidate uses a screen reader's bus while items are shown: an accommodation.
fn admission_sheet() -> Result<String> {
    let text = String::from_utf8(sheet("admission.csv")?)?;
    let mut lines = text.lines();
    let mut out = format!("{},accessibility\n", lines.next().unwrap_or_default());
    for line in lines {
        let granted = CANDIDATES.iter().any(|(_, login)| line.starts_with(login));
        out.push_str(&format!("{line},{}\n", if granted { "yes" } else { "no" }));
    }
    Ok(out)
}

fn candidate(language: &str) -> Result<Account> {
    let login = CANDIDATES
        .iter()
        .find(|(spoken, _)| *spoken == language)
        .map(|(_, login)| *login)
        .context("the demo speaks kk and ru")?;
    let sheet = String::from_utf8(sheet("candidates.csv")?)?;
    let line = sheet
        .lines()
        .find(|line| line.starts_with(login))
        .context("the sheet has it")?;
    let password = line.rsplit(',').next().unwrap_or_default().to_owned();
    Ok(Account {
        login: login.to_owned(),
        password,
    })
}

fn add_proctor(server: &Server) -> Result<Account> {
    let login = "proctor";
    let words = [
        "staff",
        "add",
        "--login",
        login,
        "--role",
        "proctor",
        "--name",
        "Проктор",
    ];
    let password = last_word(&server.command(&words)?)?;
    Ok(Account {
        login: login.to_owned(),
        password,
    })
}

/// Returns a moment as the server's commands take it.
pub(crate) fn moment(unix_s: u64) -> Result<String> {
    let mut date = Command::new("date");
    let words = [
        "--utc",
        "--date",
        &format!("@{unix_s}"),
        "+%Y-%m-%dT%H:%M:%SZ",
    ];
    Ok(run(date.args(words))?.trim().to_owned())
}

/// Returns the last word of what a command said, such as a new identifier.
pub(crate) fn last_word(said: &str) -> Result<String> {
    let word = said.split_whitespace().next_back();
    Ok(word.context("the server said nothing")?.to_owned())
}

/// Returns a path as text.
pub(crate) fn text(path: &Path) -> Result<&str> {
    path.to_str().context("the path is text")
}

const CANDIDATES: [(&str, &str); 2] = [("kk", "aruzhan.bekova"), ("ru", "timur.abdrakhmanov")];

/// The demo's proctor has no telephone at hand.
const CONFIG: &str = "[sign_in]\nstaff_totp_required = false\n\n[exam]\nbandwidth = \"standard\"\n";
const SEAL_LIMIT: Duration = Duration::from_secs(90);
