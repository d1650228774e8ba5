//! The demo as it walks through by itself: each phase shows what it claims.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

use super::Wishes;
use super::stage::{Camera, Sitter, Stage};
use super::summary::{Summary, Walk};
use crate::browser;
use crate::candidate;
use crate::display::Display;
use crate::kiosk::Kiosk;
use crate::media::Media;
use crate::places;
use crate::program::{run as run_command, send};
use crate::reader::Reader;
use crate::server::COMMANDS;
use crate::sound::Sound;
use crate::wait::until;

pub(super) fn run(wishes: &Wishes, say: &mut dyn Write) -> Result<bool> {
    fs::create_dir_all(wishes.out.join("screens"))?;
    let out = fs::canonicalize(&wishes.out)?;
    let mut walk = Walk::begin(&out, say);
    let outcome = act(wishes, &mut walk);
    let summary = walk.end(&outcome)?;
    tell(wishes, &summary, &out, say)?;
    outcome.map(|()| summary.passed)
}

fn act(wishes: &Wishes, walk: &mut Walk<'_>) -> Result<()> {
    let folder = tempfile::tempdir().context("make a folder for the demo's data")?;
    let mut stage = None;
    walk.phase("a server, an exam of 20 items, 12 people", |_| {
        let set = Stage::set(
            folder.path(),
            &wishes.language,
            (wishes.camera, Sitter::Robot),
        )?;
        let seen = format!(
            "{} serves; imported by its own commands",
            set.server.ready().origin
        );
        stage = Some(set);
        Ok(seen)
    })?;
    let stage = stage.context("the stage is set")?;
    let media = Media::make()?;
    let display = Display::start(folder.path(), 1920, 1080)?;
    let reader = Reader::start(folder.path(), &display)?;
    let mut sound = Sound::start(folder.path())?;
    sound.play(&media.microphone)?;
    let variables = sound
        .variables()
        .into_iter()
        .map(|(n, v)| (n.to_owned(), v))
        .collect();
    let settings = stage.kiosk(&wishes.language, &media, variables)?;
    let began = Instant::now();
    let mut kiosk = Kiosk::start(&display, &reader, settings)?;
    let walked = attempt(walk, &stage, &mut kiosk, &display, began);
    if walked.is_err() {
        drop(kiosk.shoot(&walk.out().join("screens").join("failed.png")));
    }
    keep_logs(folder.path(), walk)?;
    walked
}

/// From the kiosk's first picture to the act.
fn attempt(
    walk: &mut Walk<'_>,
    stage: &Stage,
    kiosk: &mut Kiosk<'_>,
    display: &Display,
    began: Instant,
) -> Result<()> {
    walk.phase("the kiosk opens and the candidate signs in", |walk| {
        sign_in(walk, stage, kiosk, began)
    })?;
    walk.phase(
        "consent, system check, identity, voice, instruction",
        |walk| check_in(walk, kiosk),
    )?;
    walk.phase("the gate stays shut without the agent's streams", |walk| {
        gate_refuses(walk, kiosk)
    })?;
    walk.phase(
        "camera, microphone and screen stream: the gate opens",
        |walk| gate_opens(walk, kiosk),
    )?;
    walk.phase("the exam is sat", |walk| sit(walk, kiosk))?;
    walk.phase(
        "the agent is killed: the exam is covered until it is back",
        |walk| kill_agent(walk, kiosk),
    )?;
    walk.phase("the proctor watches in a browser", |walk| {
        watch(walk, stage)
    })?;
    walk.phase("a window switch is seen and flagged", |walk| {
        switch_window(walk, stage, kiosk, display)
    })?;
    walk.phase("the exam is submitted", |walk| submit(walk, kiosk))?;
    walk.phase("the recording is sealed", |walk| seal(walk, stage))?;
    walk.phase("the export is verified offline", |walk| export(walk, stage))?;
    walk.phase("the scores of the flags are made again", |walk| {
        replay(walk, stage)
    })?;
    walk.phase("the proctor reviews the attempt", |walk| {
        review(walk, stage)
    })?;
    walk.phase("an act is made", |walk| make_act(walk, stage))
}

fn sign_in(
    walk: &mut Walk<'_>,
    stage: &Stage,
    kiosk: &mut Kiosk<'_>,
    began: Instant,
) -> Result<String> {
    kiosk.await_screen("welcome", SCREEN_LIMIT)?;
    figure(walk, "start_to_first_screen_ms", began);
    shoot(walk, kiosk, "01-welcome")?;
    kiosk.click("continue")?;
    kiosk.await_screen("sign-in", SCREEN_LIMIT)?;
    candidate::fill_in(kiosk, &stage.candidate)?;
    shoot(walk, kiosk, "02-sign-in")?;
    let asked = Instant::now();
    kiosk.click("sign-in-go")?;
    kiosk.await_screen("exams", SCREEN_LIMIT)?;
    figure(walk, "sign_in_to_exam_list_ms", asked);
    shoot(walk, kiosk, "03-exams")?;
    candidate::leave(kiosk, "exams")?;
    kiosk.await_screen("consent", SCREEN_LIMIT)?;
    Ok("the list shows the exam to which the candidate is admitted".to_owned())
}

fn check_in(walk: &mut Walk<'_>, kiosk: &mut Kiosk<'_>) -> Result<String> {
    shoot(walk, kiosk, "04-consent")?;
    candidate::leave(kiosk, "consent")?;
    let agreed = Instant::now();
    kiosk.await_screen("system-check", SCREEN_LIMIT)?;
    kiosk.await_control("continue", DEVICE_LIMIT)?;
    figure(walk, "consent_to_all_streams_ms", agreed);
    shoot(walk, kiosk, "05-system-check")?;
    candidate::leave(kiosk, "system-check")?;
    kiosk.await_screen("identity", SCREEN_LIMIT)?;
    candidate::take_document(kiosk)?;
    shoot(walk, kiosk, "06-identity")?;
    candidate::show_identity(kiosk)?;
    candidate::leave(kiosk, "identity")?;
    kiosk.await_other_screen("identity", SCREEN_LIMIT)?;
    if kiosk.screen()? == "liveness" {
        candidate::leave(kiosk, "liveness")?;
    }
    kiosk.await_screen("voice", SCREEN_LIMIT)?;
    candidate::read_aloud(kiosk)?;
    shoot(walk, kiosk, "07-voice")?;
    candidate::leave(kiosk, "voice")?;
    kiosk.await_screen("instruction", SCREEN_LIMIT)?;
    shoot(walk, kiosk, "07-instruction")?;
    candidate::leave(kiosk, "instruction")?;
    kiosk.await_screen("gate", SCREEN_LIMIT)?;
    Ok("no device opened before consent; the instruction was read to its end".to_owned())
}

fn gate_refuses(walk: &mut Walk<'_>, kiosk: &Kiosk<'_>) -> Result<String> {
    let agent = kiosk.agent()?;
    send("STOP", &agent)?;
    let shut = until("the gate to shut", GATE_LIMIT, || {
        Ok((!kiosk.is_awake("gate-start")?).then_some(()))
    });
    let shot = shoot(walk, kiosk, "08-gate-shut");
    send("CONT", &agent)?;
    shut.and(shot)?;
    Ok("with the agent stopped the server gives nothing, and the button sleeps".to_owned())
}

fn gate_opens(walk: &mut Walk<'_>, kiosk: &mut Kiosk<'_>) -> Result<String> {
    let waited = Instant::now();
    kiosk.await_control("gate-start", DEVICE_LIMIT)?;
    figure(walk, "agent_back_to_gate_open_ms", waited);
    shoot(walk, kiosk, "09-gate-open")?;
    let asked = Instant::now();
    kiosk.click("gate-start")?;
    kiosk.await_screen("exam", SCREEN_LIMIT)?;
    figure(walk, "start_to_first_item_ms", asked);
    Ok("the server has verified all three and opened it".to_owned())
}

fn sit(walk: &mut Walk<'_>, kiosk: &mut Kiosk<'_>) -> Result<String> {
    kiosk.await_state("the first item", |state| state["question"] == 1)?;
    let questions = kiosk
        .state()?
        .and_then(|state| state["questions"].as_u64())
        .unwrap_or(0);
    for question in 1..=questions {
        kiosk.await_state("the item", |state| state["question"] == question)?;
        candidate::choose(kiosk, if question % 2 == 0 { "2" } else { "1" })?;
        if question == 2 {
            shoot(walk, kiosk, "10-exam")?;
        }
        if question < questions {
            kiosk.press(&["ctrl+Return"])?;
        }
    }
    kiosk.await_state("every response to reach the server", |state| {
        state["kept"] == "delivered"
    })?;
    Ok(format!(
        "{questions} items, each response on disk before it is shown as saved"
    ))
}

fn kill_agent(walk: &mut Walk<'_>, kiosk: &mut Kiosk<'_>) -> Result<String> {
    let agent = kiosk.agent()?;
    let killed = Instant::now();
    send("KILL", &agent)?;
    kiosk.await_screen("covered", COVER_MAX)?;
    figure(walk, "agent_kill_to_covered_ms", killed);
    shoot(walk, kiosk, "10-covered")?;
    kiosk.await_screen("exam", COVER_LIMIT)?;
    figure(walk, "agent_kill_to_exam_again_ms", killed);
    Ok("covered at once; a new agent took the recording up".to_owned())
}

fn watch(walk: &mut Walk<'_>, stage: &Stage) -> Result<String> {
    let wall = walk.out().join("screens").join("20-wall.png");
    let one = walk.out().join("screens").join("21-candidate.png");
    let mut words = stage.proctor_words();
    words["wall"] = json!(wall);
    words["candidate"] = json!(one);
    let seen = browser::script("demo/console.mjs", &words)?;
    walk.note_path("wall", &wall);
    walk.note_path("candidate", &one);
    let tiles = seen["tiles"].as_u64().unwrap_or(0);
    ensure!(tiles > 0, "the wall shows nobody: {seen}");
    Ok(format!("{tiles} on the wall, live"))
}

fn switch_window(
    walk: &mut Walk<'_>,
    stage: &Stage,
    kiosk: &Kiosk<'_>,
    display: &Display,
) -> Result<String> {
    let switches = |incidents: &[Value]| {
        let switch = |incident: &&Value| incident["kind"] == "window_switch";
        incidents.iter().filter(switch).count()
    };
    let before = switches(&stage.incidents()?);
    let began = Instant::now();
    let other = display.open_other_window(walk.out())?;
    drop(display.activate("Notes"));
    let found = until("the incident", INCIDENT_LIMIT, || {
        let incidents = stage.incidents()?;
        Ok((switches(&incidents) > before).then_some(incidents))
    });
    shoot(walk, kiosk, "11-other-window")?;
    drop(other);
    fs::remove_file(walk.out().join("other-window.log"))?;
    walk.summary.incidents = found?;
    figure(walk, "window_switch_to_incident_ms", began);
    let kinds: Vec<_> = walk
        .summary
        .incidents
        .iter()
        .filter_map(|incident| incident["kind"].as_str())
        .collect();
    Ok(kinds.join(", "))
}

fn submit(walk: &mut Walk<'_>, kiosk: &mut Kiosk<'_>) -> Result<String> {
    kiosk.await_screen("exam", COVER_LIMIT)?;
    kiosk.press(&["ctrl+Return"])?;
    kiosk.await_control("confirm-submit", SCREEN_LIMIT)?;
    shoot(walk, kiosk, "12-confirm")?;
    kiosk.click("confirm-submit")?;
    kiosk.await_screen("submitted", SCREEN_LIMIT)?;
    kiosk.await_state("the server's receipt", |state| state["kept"] == "delivered")?;
    let file = walk.out().join("screens").join("13-submitted.png");
    kiosk.shoot_at_rest(&file)?;
    walk.note_path("13-submitted", &file);
    Ok("the server has signed for every response".to_owned())
}

fn seal(walk: &mut Walk<'_>, stage: &Stage) -> Result<String> {
    let began = Instant::now();
    let attempt = stage.sealed_attempt()?;
    figure(walk, "submitted_to_sealed_ms", began);
    walk.summary.sources = sources(stage)?;
    walk.summary.paths.insert("attempt".to_owned(), attempt);
    Ok("a signed manifest commits to every file".to_owned())
}

/// Returns the attempt that was sealed.
fn attempt_of(walk: &Walk<'_>) -> Result<String> {
    let attempt = walk.summary.paths.get("attempt").cloned();
    attempt.context("the attempt is known")
}

fn export(walk: &mut Walk<'_>, stage: &Stage) -> Result<String> {
    let folder = walk.out().join("recording");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let attempt = attempt_of(walk)?;
    let said = stage.export(&attempt, &folder)?;
    walk.note_path("recording", &folder);
    let verdict = said.lines().next_back().unwrap_or("").to_owned();
    walk.summary.verification =
        json!({ "verdict": verdict, "said": said.lines().collect::<Vec<_>>() });
    ensure!(verdict.starts_with("VALID"), "{said}");
    Ok(verdict)
}

fn replay(walk: &Walk<'_>, stage: &Stage) -> Result<String> {
    let attempt = attempt_of(walk)?;
    let folder = tempfile::tempdir().context("make a folder for an expert's export")?;
    let said = stage.replay(&attempt, &folder.path().join("export"))?;
    Ok(said.lines().next_back().unwrap_or("").to_owned())
}

/// The proctor confirms the window switch and dismisses what the demo itself brought about.
fn review(walk: &mut Walk<'_>, stage: &Stage) -> Result<String> {
    let attempt = attempt_of(walk)?;
    let shot = walk.out().join("screens").join("22-review.png");
    let mut words = stage.proctor_words();
    words["review"] = json!(shot);
    words["attempt"] = json!(attempt);
    let seen = browser::script("demo/console.mjs", &words)?;
    walk.note_path("review", &shot);
    let found = stage.incidents()?;
    let confirmed: Vec<_> = found
        .iter()
        .filter(|incident| incident["kind"] == "window_switch")
        .filter_map(|incident| incident["id"].as_str())
        .collect();
    let mut review = vec!["review", &attempt, "--by", &stage.proctor.login];
    for id in &confirmed {
        review.extend(["--confirm", id]);
    }
    let verdict = stage.server.command(&review)?;
    walk.summary.incidents = stage.incidents()?;
    let (marks, count) = (&seen["marks"], confirmed.len());
    Ok(format!(
        "{marks} moments on the timeline, {count} confirmed: {}",
        verdict.trim()
    ))
}

fn make_act(walk: &mut Walk<'_>, stage: &Stage) -> Result<String> {
    let file = walk.out().join("act.pdf");
    let attempt = attempt_of(walk)?;
    let said = stage.act(&attempt, &file)?;
    let to = file.to_str().context("the path is text")?;
    walk.note_path("act", &file);
    let read = run_command(Command::new("pdftotext").args(["-layout", to, "-"]))?;
    ensure!(
        read.contains("АКТ") || read.contains("ACT"),
        "the act reads {read:?}"
    );
    run_command(
        Command::new("pdftoppm")
            .args(["-r", "70", "-png", to])
            .arg(walk.out().join("act")),
    )?;
    Ok(said.lines().next().unwrap_or("made").to_owned())
}

/// Returns what the agent stated of its sources: device or file, driver and label of each.
fn sources(stage: &Stage) -> Result<Vec<Value>> {
    let mut stated = Vec::new();
    for row in stage.rows("SELECT statements FROM epochs ORDER BY epoch")? {
        let text = row["statements"].as_str().unwrap_or("[]");
        stated.extend(serde_json::from_str::<Vec<Value>>(text)?);
    }
    Ok(stated)
}

fn shoot(walk: &mut Walk<'_>, kiosk: &Kiosk<'_>, name: &str) -> Result<()> {
    let file = walk.out().join("screens").join(format!("{name}.png"));
    kiosk.shoot(&file)?;
    walk.note_path(name, &file);
    Ok(())
}

fn figure(walk: &mut Walk<'_>, name: &str, since: Instant) {
    let milliseconds = since.elapsed().as_secs_f64() * 1_000.0;
    walk.summary
        .figures
        .insert(name.to_owned(), milliseconds.round());
}

/// After a failure the programs' logs are what explains it.
fn keep_logs(folder: &Path, walk: &mut Walk<'_>) -> Result<()> {
    let logs = walk.out().join("logs");
    fs::create_dir_all(&logs)?;
    for place in [
        folder.to_path_buf(),
        folder.join("server"),
        folder.join("candidate"),
    ] {
        for entry in fs::read_dir(&place).into_iter().flatten().flatten() {
            if entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "log")
            {
                fs::copy(entry.path(), logs.join(entry.file_name()))?;
            }
        }
    }
    walk.note_path("logs", &logs);
    fs::copy(
        folder.join("server").join(COMMANDS),
        walk.out().join(COMMANDS),
    )?;
    Ok(())
}

fn tell(wishes: &Wishes, summary: &Summary, out: &Path, say: &mut dyn Write) -> Result<()> {
    let seconds = Duration::from_millis(summary.took_ms).as_secs();
    let word = if summary.passed {
        "Everything was seen"
    } else {
        "Something was not seen"
    };
    writeln!(
        say,
        "\n{word}, in {seconds} s. All of it lies in {}:",
        out.display()
    )?;
    for (name, path) in &summary.paths {
        writeln!(say, "    {name:<18} {path}")?;
    }
    if Camera::of_this_machine(wishes.camera) == Camera::Film {
        writeln!(
            say,
            "There is no camera here: a film stood before it, and the server was told."
        )?;
    }
    if places::python().is_err() {
        bail!("set-up is not complete");
    }
    Ok(())
}

const SCREEN_LIMIT: Duration = Duration::from_secs(20);
const DEVICE_LIMIT: Duration = Duration::from_secs(30);
const GATE_LIMIT: Duration = Duration::from_secs(15);
const INCIDENT_LIMIT: Duration = Duration::from_secs(15);
/// Decision 1: an agent that is gone covers within this time.
const COVER_MAX: Duration = Duration::from_secs(5);
const COVER_LIMIT: Duration = Duration::from_secs(30);
