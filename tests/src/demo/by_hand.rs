//! The demo as a person walks through it: kiosk and console beside each other, and at the end the
//! recording and the act in hand.
//!
//! The kiosk locks its display, so it has one of its own in a window: else nobody could look at the
//! proctor's console while the exam is sat.

use std::fs;
use std::io::{Write, stdin};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Wishes;
use super::stage::{Camera, Sitter, Stage};
use crate::display::Display;
use crate::kiosk::command;
use crate::media::Media;
use crate::program::{Program, run as run_command};
use crate::sound::Sound;

pub(super) fn run(wishes: &Wishes, say: &mut dyn Write) -> Result<bool> {
    fs::create_dir_all(&wishes.out)?;
    let out = fs::canonicalize(&wishes.out)?;
    let folder = tempfile::tempdir().context("make a folder for the demo's data")?;
    writeln!(say, "Starting the server and importing the exam …")?;
    let stage = Stage::set(
        folder.path(),
        &wishes.language,
        (wishes.camera, Sitter::Person),
    )?;
    let media = Media::make()?;
    let room = room(folder.path(), &media)?;
    let variables = room.as_ref().map(Sound::variables).unwrap_or_default();
    let variables = variables.into_iter().map(|(n, v)| (n.to_owned(), v));
    let settings = stage.kiosk(&wishes.language, &media, variables.collect())?;
    let display = Display::in_a_window(folder.path(), 1366, 768, TITLE)?;
    let console = format!("{}/console/", stage.server.ready().origin);
    let browser = open_browser(&console, folder.path());
    tell(&stage, &console, browser.is_some(), say)?;
    let mut client = command(&settings)?;
    client
        .env("DISPLAY", display.name())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env_remove("WAYLAND_DISPLAY");
    let kiosk = Program::start("kiosk", client, &out)?;
    let lines = typed_lines();
    if !sat(kiosk, (&display, folder.path()), &lines, say)? {
        return Ok(false);
    }
    let kept = keep(&stage, &out, &lines, say)?;
    drop((browser, room));
    Ok(kept)
}

/// Returns the lines that are typed at the terminal from now on.
fn typed_lines() -> Receiver<String> {
    let (sender, lines) = mpsc::sync_channel(LINES_MAX);
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Waits until the kiosk ends; at each line a window opens over the exam.
fn sat(
    mut kiosk: Program,
    (display, folder): (&Display, &Path),
    lines: &Receiver<String>,
    say: &mut dyn Write,
) -> Result<bool> {
    loop {
        if let Some(ended) = kiosk.ended()? {
            writeln!(say, "The kiosk has ended with {ended}.")?;
            return Ok(ended.success());
        }
        if lines.try_recv().is_ok() {
            let other = display.open_other_window(folder)?;
            // Where the window is in front already, there is nothing to bring there.
            drop(display.activate("Notes"));
            thread::sleep(OTHER_WINDOW);
            drop(other);
        }
        thread::sleep(LOOK_EVERY);
    }
}

/// Makes a room with a voice in it where the machine has no microphone.
fn room(folder: &Path, media: &Media) -> Result<Option<Sound>> {
    let sources = run_command(Command::new("pactl").args(["list", "short", "sources"]));
    if sources.is_ok_and(|sources| sources.lines().any(|line| !line.contains(".monitor"))) {
        return Ok(None);
    }
    let mut room = Sound::start(folder)?;
    room.play(&media.microphone)?;
    Ok(Some(room))
}

/// Opens the console in a Chromium with a profile of its own; nothing where there is none.
///
/// It is told to take the demo's certificate, which no browser knows.
fn open_browser(console: &str, folder: &Path) -> Option<Program> {
    let found = BROWSERS
        .iter()
        .find(|name| run_command(Command::new("which").arg(name)).is_ok())?;
    let mut chromium = Command::new(found);
    chromium
        .arg(format!(
            "--user-data-dir={}",
            folder.join("browser").display()
        ))
        .args([
            "--no-first-run",
            "--test-type",
            "--ignore-certificate-errors",
        ])
        .args(["--disable-quic", "--new-window", "--window-size=1100,800"]);
    if run_command(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0") {
        chromium.arg("--no-sandbox");
    }
    chromium.arg(console);
    Program::start("browser", chromium, folder).ok()
}

fn tell(stage: &Stage, console: &str, opened: bool, say: &mut dyn Write) -> Result<()> {
    let (candidate, proctor) = (&stage.candidate, &stage.proctor);
    if opened {
        writeln!(
            say,
            "\n1. In the browser that opens now, sign in as the proctor:"
        )?;
    } else {
        writeln!(
            say,
            "\n1. In a browser (it will warn of the demo's certificate), sign in as the proctor:"
        )?;
        writeln!(say, "       {console}")?;
    }
    let (login, password) = (&proctor.login, &proctor.password);
    writeln!(say, "       login {login}   password {password}")?;
    writeln!(
        say,
        "   Choose a password of your own when asked. The wall shows each candidate as soon as the\n   \
         agent streams."
    )?;
    writeln!(
        say,
        "2. In the kiosk, sign in as the candidate and sit the exam:"
    )?;
    let (login, password) = (&candidate.login, &candidate.password);
    writeln!(say, "       login {login}   password {password}")?;
    writeln!(
        say,
        "3. Press Enter here to open another window over the exam, as somebody would who looks\n   \
         something up: the kiosk stays in front, and the proctor sees it flagged."
    )?;
    writeln!(say, "4. Finish the exam, then leave the kiosk.")?;
    if stage.camera == Camera::Film {
        writeln!(
            say,
            "There is no camera here: a film of a portrait stands before it."
        )?;
    }
    writeln!(say)?;
    Ok(())
}

/// Exports and verifies what was recorded, and makes the act of what the proctor confirmed.
fn keep(stage: &Stage, out: &Path, lines: &Receiver<String>, say: &mut dyn Write) -> Result<bool> {
    writeln!(say, "Waiting for the sealed recording …")?;
    let Ok(attempt) = stage.sealed_attempt() else {
        writeln!(say, "Nothing was submitted, so nothing was sealed.")?;
        return Ok(false);
    };
    let recording = out.join("recording");
    if recording.exists() {
        fs::remove_dir_all(&recording)?;
    }
    let said = stage.export(&attempt, &recording)?;
    let verdict = said.lines().next_back().unwrap_or_default();
    writeln!(say, "    recording  {}\n    {verdict}", recording.display())?;
    writeln!(
        say,
        "Now review the attempt in the console and confirm what you saw, then press Enter here."
    )?;
    // Nobody is there where the terminal is closed; then nothing was confirmed either.
    let _closed = lines.recv();
    match stage.act(&attempt, &out.join("act.pdf")) {
        Ok(_made) => writeln!(say, "    act        {}", out.join("act.pdf").display())?,
        Err(reason) => writeln!(say, "No act was made: {reason:#}")?,
    }
    Ok(true)
}

const TITLE: &str = "Qorgan: the candidate's display";
const LOOK_EVERY: Duration = Duration::from_millis(100);
const LINES_MAX: usize = 16;
const OTHER_WINDOW: Duration = Duration::from_secs(2);
const BROWSERS: [&str; 3] = ["chromium", "google-chrome", "chromium-browser"];
