//! The kiosk as a candidate uses it: found by names, driven by mouse and keys.

use std::ffi::OsString;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::catalogue::Catalogue;
use crate::display::Display;
use crate::places;
use crate::program::{Program, run};
use crate::reader::{Node, Reader};
use crate::sound;
use crate::wait::until;

/// How a kiosk is started.
#[derive(Debug, Clone)]
pub struct KioskSettings {
    /// Where its data, its log and its state lie.
    pub folder: PathBuf,
    /// The server's enrolment link.
    pub link: String,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// The agent that it starts: `qorgan-agent` or `qorgan-agent-simulated`.
    pub agent: String,
    /// What is added to the agent's command line.
    pub agent_words: String,
    /// What else its environment holds, such as the sound server's address.
    pub variables: Vec<(String, OsString)>,
}

/// A running kiosk; ended with its agent when dropped.
#[derive(Debug)]
pub struct Kiosk<'a> {
    display: &'a Display,
    reader: &'a Reader,
    texts: Catalogue,
    settings: KioskSettings,
    program: Program,
    /// What crashed; kept, for its agent runs on in its group.
    crashed: Vec<Program>,
}

impl<'a> Kiosk<'a> {
    /// Starts a kiosk on `display`.
    ///
    /// # Errors
    /// Fails where it is not built or cannot be started.
    pub fn start(
        display: &'a Display,
        reader: &'a Reader,
        settings: KioskSettings,
    ) -> Result<Self> {
        let texts = Catalogue::read(&settings.language)?;
        let program = start(reader, &settings)?;
        Ok(Self {
            display,
            reader,
            texts,
            settings,
            program,
            crashed: Vec::new(),
        })
    }

    /// Starts the kiosk again on the same data, after it was killed or has ended.
    ///
    /// # Errors
    /// Fails where it cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.program.kill()?;
        self.program = start(self.reader, &self.settings)?;
        Ok(())
    }

    /// Kills the kiosk alone, as a crash would, and starts it again; its agent runs on.
    ///
    /// # Errors
    /// Fails where it cannot be started.
    pub fn crash(&mut self) -> Result<()> {
        self.program.signal("KILL")?;
        self.program.wait(CONTROL_LIMIT)?;
        let again = start(self.reader, &self.settings)?;
        self.crashed.push(mem::replace(&mut self.program, again));
        Ok(())
    }

    /// Returns the process id of the agent that the kiosk started.
    ///
    /// # Errors
    /// Fails where none runs in time.
    pub fn agent(&self) -> Result<String> {
        let parent = self.program.id().to_string();
        until("the agent", CONTROL_LIMIT, || {
            let mut children = Command::new("pgrep");
            children.args(["--parent", &parent, "--full", "qorgan-agent"]);
            Ok(run(&mut children)
                .ok()
                .and_then(|said| said.lines().next().map(str::to_owned)))
        })
    }

    /// Returns the running program.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Returns what the kiosk last wrote of its state; nothing before its first frame.
    ///
    /// # Errors
    /// Fails where it wrote something that is no JSON.
    pub fn state(&self) -> Result<Option<Value>> {
        state(&self.settings.folder)
    }

    /// Waits until the kiosk shows the screen `name`, such as `sign-in`.
    ///
    /// # Errors
    /// Fails with the last state when the time is over.
    pub fn await_screen(&mut self, name: &str, limit: Duration) -> Result<()> {
        let folder = self.settings.folder.clone();
        let shown = |state: &Value| state["screen"].as_str() == Some(name);
        let arrived = self
            .program
            .until(&format!("the screen {name}"), limit, || {
                Ok(state(&folder)?.filter(shown).map(drop))
            });
        arrived.with_context(|| format!("the kiosk's state is {:?}", self.state().ok().flatten()))
    }

    /// Returns the name of the screen that is shown; nothing before the first frame.
    ///
    /// # Errors
    /// Fails where the kiosk wrote something that is no JSON.
    pub fn screen(&self) -> Result<String> {
        let state = self.state()?;
        Ok(state
            .and_then(|state| state["screen"].as_str().map(str::to_owned))
            .unwrap_or_default())
    }

    /// Waits until another screen than `name` is shown.
    ///
    /// # Errors
    /// Fails with the last state when the time is over.
    pub fn await_other_screen(&mut self, name: &str, limit: Duration) -> Result<()> {
        let folder = self.settings.folder.clone();
        let other = |state: &Value| state["screen"].as_str().is_some_and(|shown| shown != name);
        let what = format!("another screen than {name}");
        let arrived = self
            .program
            .until(&what, limit, || Ok(state(&folder)?.filter(other).map(drop)));
        arrived.with_context(|| format!("the kiosk's state is {:?}", self.state().ok().flatten()))
    }

    /// Waits until the kiosk's state fits.
    ///
    /// # Errors
    /// Fails with the last state when the time is over.
    pub fn await_state(&mut self, what: &str, fits: impl Fn(&Value) -> bool) -> Result<()> {
        let folder = self.settings.folder.clone();
        let arrived = self.program.until(what, CONTROL_LIMIT, || {
            Ok(state(&folder)?.filter(&fits).map(drop))
        });
        arrived.with_context(|| format!("the kiosk's state is {:?}", self.state().ok().flatten()))
    }

    /// Waits until the control whose caption is the text `key` can be used.
    ///
    /// # Errors
    /// Fails where it stays asleep.
    pub fn await_control(&self, key: &str, limit: Duration) -> Result<()> {
        until(&format!("the control {key}"), limit, || {
            Ok(self.is_awake(key)?.then_some(()))
        })
    }

    /// Returns whether the control whose caption is the text `key` is there and can be used.
    ///
    /// # Errors
    /// Fails where the accessibility bus does.
    pub fn is_awake(&self, key: &str) -> Result<bool> {
        let caption = self.texts.text(key)?;
        let nodes = self.reader.nodes(PROGRAM)?;
        let mut controls = nodes
            .iter()
            .filter(|node| node.is_control() && node.is_called(caption));
        Ok(controls.any(|node| node.is("enabled")))
    }

    /// Clicks on the control whose caption is the text `key`, once it is awake.
    ///
    /// # Errors
    /// Fails where it is not there, or asleep, for too long.
    pub fn click(&self, key: &str) -> Result<()> {
        let caption = self.texts.text(key)?;
        self.reader
            .click(self.display, PROGRAM, &[caption], CONTROL_LIMIT)
    }

    /// Types `text` into the field whose caption is the text `key`, until it stands there: a
    /// busy machine loses a key or a focus, and a person would look and type again.
    ///
    /// # Errors
    /// Fails where the field is not there in time, or does not take the text.
    pub fn fill(&self, key: &str, text: &str) -> Result<()> {
        for _ in 0..FILL_TRIES_MAX {
            self.click(key)?;
            self.display.press(&["ctrl+a"])?;
            self.display.type_text(text)?;
            let there = until("the text to stand there", FILL_LIMIT, || {
                Ok(self
                    .field(key)?
                    .is_some_and(|field| field.holds(text))
                    .then_some(()))
            });
            if there.is_ok() {
                return Ok(());
            }
        }
        bail!("the field `{key}` does not take what is typed")
    }

    fn field(&self, key: &str) -> Result<Option<Node>> {
        let caption = self.texts.text(key)?;
        let nodes = self.reader.nodes(PROGRAM)?;
        let field = |node: &Node| node.is_control() && node.is_called(caption);
        Ok(nodes.into_iter().find(field))
    }

    /// Reads the text on the screen to its end, and goes on by the control `key`.
    ///
    /// # Errors
    /// Fails where the control does not wake.
    pub fn read_and_click(&self, key: &str) -> Result<()> {
        for _ in 0..READ_TRIES_MAX {
            self.display.press(&["End"])?;
            let caption = self.texts.text(key)?;
            let control = self.reader.find(PROGRAM, &[caption], CONTROL_LIMIT)?;
            if control.is("enabled") {
                return self.click(key);
            }
        }
        bail!("`{key}` stays closed after the text was read to its end")
    }

    /// Presses keys one after the other.
    ///
    /// # Errors
    /// Fails where they cannot be pressed.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        self.display.press(keys)
    }

    /// Says what `file` holds, over and over, in the room before the kiosk's microphone, until what
    /// is returned is dropped.
    ///
    /// # Errors
    /// Fails where it cannot be played.
    pub fn say(&self, file: &Path) -> Result<Program> {
        sound::player(file, &self.settings.variables, &self.settings.folder)
    }

    /// Takes a picture of the whole display.
    ///
    /// # Errors
    /// Fails where it cannot be taken, or shows one colour alone.
    pub fn shoot(&self, file: &Path) -> Result<()> {
        self.display.shoot_something(file)
    }

    /// Takes a picture of the whole display once it stands still.
    ///
    /// # Errors
    /// Fails where it cannot be taken, and where the display never rests.
    pub fn shoot_at_rest(&self, file: &Path) -> Result<()> {
        self.display.shoot_at_rest(file)
    }
}

/// Returns the command that starts a kiosk, on whatever display its environment names.
///
/// # Errors
/// Fails where kiosk or agent are not built.
pub fn command(settings: &KioskSettings) -> Result<Command> {
    let mut client = Command::new(places::program("qorgan-client-hooked")?);
    client
        .arg("--data")
        .arg(settings.folder.join("data"))
        .args(["--enrol", &settings.link, "--lang", &settings.language])
        .envs(settings.variables.iter().map(|(name, value)| (name, value)))
        .env("QORGAN_AGENT", places::program(&settings.agent)?)
        .env("QORGAN_AGENT_ARGS", &settings.agent_words)
        // `cargo run` sets it for what it runs, and the watch of the loader would flag it.
        .env_remove("LD_LIBRARY_PATH");
    Ok(client)
}

fn start(reader: &Reader, settings: &KioskSettings) -> Result<Program> {
    let state_file = state_file(&settings.folder);
    if state_file.exists() {
        fs::remove_file(&state_file)?;
    }
    let mut client = command(settings)?;
    client
        .envs(reader.variables())
        .env("LIBGL_ALWAYS_SOFTWARE", "1")
        .env("QORGAN_CLIENT_STATE", state_file);
    Program::start("kiosk", client, &settings.folder)
}

fn state(folder: &Path) -> Result<Option<Value>> {
    let Ok(text) = fs::read_to_string(state_file(folder)) else {
        return Ok(None);
    };
    if text.is_empty() {
        return Ok(None);
    }
    Ok(Some(
        serde_json::from_str(&text).context("the kiosk's state is JSON")?,
    ))
}

fn state_file(folder: &Path) -> PathBuf {
    folder.join("kiosk-state.json")
}

const PROGRAM: &str = "qorgan-client";
const CONTROL_LIMIT: Duration = Duration::from_secs(20);
const READ_TRIES_MAX: usize = 10;
const FILL_TRIES_MAX: usize = 4;
const FILL_LIMIT: Duration = Duration::from_secs(4);
