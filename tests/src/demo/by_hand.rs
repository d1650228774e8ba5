//! The demo as a person walks through it.

use std::env;
use std::fs;
use std::io::Write;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::Wishes;
use super::stage::{Camera, Stage};
use crate::kiosk::command;
use crate::media::Media;
use crate::program::run as run_command;
use crate::sound::Sound;

pub(super) fn run(wishes: &Wishes, say: &mut dyn Write) -> Result<bool> {
    if env::var_os("DISPLAY").is_none() {
        writeln!(
            say,
            "There is no X11 display here. `cargo demo --auto` walks by itself."
        )?;
        return Ok(false);
    }
    fs::create_dir_all(&wishes.out)?;
    let folder = tempfile::tempdir().context("make a folder for the demo's data")?;
    writeln!(say, "Starting the server and importing the exam …")?;
    let stage = Stage::set(folder.path(), &wishes.language, wishes.camera)?;
    let media = Media::make()?;
    let mut sound = None;
    let mut variables = Vec::new();
    if !has_microphone() {
        let mut room = Sound::start(folder.path())?;
        room.play(&media.microphone)?;
        variables = room
            .variables()
            .into_iter()
            .map(|(n, v)| (n.to_owned(), v))
            .collect();
        sound = Some(room);
    }
    tell(&stage, say)?;
    let mut kiosk = command(&stage.kiosk(&wishes.language, &media, variables)?)?;
    let ended = kiosk.status().context("start the kiosk")?;
    writeln!(
        say,
        "The kiosk has ended ({ended}); the server ends with it."
    )?;
    drop(sound);
    Ok(ended.success())
}

fn tell(stage: &Stage, say: &mut dyn Write) -> Result<()> {
    let ready = stage.server.ready();
    writeln!(say, "\nThe kiosk opens now. Sign in as the candidate:")?;
    writeln!(
        say,
        "    login {}   password {}",
        stage.candidate.login, stage.candidate.password
    )?;
    writeln!(
        say,
        "Watch as the proctor in a browser (it will warn of the demo's certificate):"
    )?;
    writeln!(say, "    {}/console/", ready.origin)?;
    writeln!(
        say,
        "    login {}   password {}",
        stage.proctor.login, stage.proctor.password
    )?;
    if stage.camera == Camera::Film {
        writeln!(
            say,
            "There is no camera here: a film of a portrait stands before it."
        )?;
    }
    writeln!(say, "Leave the kiosk to end the demo.\n")?;
    Ok(())
}

fn has_microphone() -> bool {
    let sources = run_command(Command::new("pactl").args(["list", "short", "sources"]));
    sources.is_ok_and(|sources| sources.lines().any(|line| !line.contains(".monitor")))
}
