//! What a screen reader sees, and a hand that clicks where it points.
//!
//! A session bus and an accessibility bus of our own; real mouse and keys.

use std::ffi::OsString;
use std::fs;
use std::mem;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::display::Display;
use crate::program::{Program, run};
use crate::tree::top;
use crate::wait::until;

/// One thing that a screen reader can name.
#[derive(Debug, Clone, Deserialize)]
pub struct Node {
    /// What it is, in AT-SPI's words, such as `push button`.
    pub role: String,
    /// What it is called.
    pub name: String,
    /// What was typed into it.
    pub value: String,
    /// Which of `checked`, `enabled`, `focused`, `showing`, `selected` hold.
    pub states: Vec<String>,
    x: i32,
    y: i32,
    width: i32,
    height: i32,
}

impl Node {
    /// Returns whether the node is called `name`, or starts with it.
    #[must_use]
    pub fn is_called(&self, name: &str) -> bool {
        self.name.trim() == name || self.name.trim().starts_with(name)
    }

    /// Returns whether a state holds.
    #[must_use]
    pub fn is(&self, state: &str) -> bool {
        self.states.iter().any(|found| found == state)
    }

    /// Returns whether people can act on the node.
    #[must_use]
    pub fn is_control(&self) -> bool {
        CONTROLS.contains(&self.role.as_str())
    }

    /// Returns whether the field holds `text`, or as many dots where it hides what is typed.
    #[must_use]
    pub fn holds(&self, text: &str) -> bool {
        self.value == text
            || (self.role == "password text" && self.value.chars().eq(text.chars().map(|_| '•')))
    }

    fn centre(&self) -> Option<(u32, u32)> {
        let x = u32::try_from(self.x + self.width / 2).ok()?;
        let y = u32::try_from(self.y + self.height / 2).ok()?;
        (self.width > 0 && self.height > 0).then_some((x, y))
    }
}

/// A session bus with an accessibility bus; ended when dropped.
#[derive(Debug)]
pub struct Reader {
    address: String,
    display: String,
    _launcher: Program,
    _bus: Program,
}

impl Reader {
    /// Starts both buses for programs on `display`, and says that a screen reader is there.
    ///
    /// # Errors
    /// Fails where they are missing or do not come up in time.
    pub fn start(folder: &Path, display: &Display) -> Result<Self> {
        let mut bus = Command::new("dbus-daemon");
        bus.args(["--session", "--nofork", "--nopidfile", "--print-address=1"]);
        bus.env("DISPLAY", display.name());
        let mut bus = Program::start("session-bus", bus, folder)?;
        let log = folder.join("session-bus.log");
        let address = bus.until("the session bus", START_LIMIT, || {
            let said = fs::read_to_string(&log)?;
            Ok(said
                .lines()
                .find(|line| line.starts_with("unix:"))
                .map(str::to_owned))
        })?;
        let mut launcher = Command::new("/usr/libexec/at-spi-bus-launcher");
        launcher.args(["--launch-immediately"]);
        launcher
            .env("DISPLAY", display.name())
            .env("DBUS_SESSION_BUS_ADDRESS", &address);
        let launcher = Program::start("accessibility-bus", launcher, folder)?;
        let display = display.name().to_owned();
        let reader = Self {
            address,
            display,
            _launcher: launcher,
            _bus: bus,
        };
        until("the accessibility bus", START_LIMIT, || {
            Ok(reader.announce().ok())
        })?;
        Ok(reader)
    }

    /// Returns the variables by which programs find the buses.
    #[must_use]
    pub fn variables(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("DBUS_SESSION_BUS_ADDRESS", self.address.clone().into()),
            ("DISPLAY", self.display.clone().into()),
        ]
    }

    /// Returns what a screen reader sees of a program, by its name.
    ///
    /// # Errors
    /// Fails where the accessibility bus does.
    pub fn nodes(&self, program: &str) -> Result<Vec<Node>> {
        let script = top().join("tests").join("drive").join("tree.py");
        let mut tree = Command::new("/usr/bin/python3");
        tree.arg("-B")
            .arg(script)
            .arg(program)
            .envs(self.variables());
        serde_json::from_str(&run(&mut tree)?).context("the tree is JSON")
    }

    /// Waits for something that can be seen, called by one of `names`; a control before a
    /// label of the same name.
    ///
    /// # Errors
    /// Fails with what was seen in its place when the time is over.
    pub fn find(&self, program: &str, names: &[&str], limit: Duration) -> Result<Node> {
        self.find_where(program, names, limit, |_| true)
    }

    fn find_where(
        &self,
        program: &str,
        names: &[&str],
        limit: Duration,
        mut fits: impl FnMut(&Node) -> bool,
    ) -> Result<Node> {
        let mut seen = Vec::new();
        let found = until(&format!("{names:?}"), limit, || {
            seen = self.nodes(program)?;
            let wanted = |node: &&Node| {
                node.centre().is_some() && names.iter().any(|name| node.is_called(name))
            };
            let control = seen.iter().filter(wanted).find(|node| node.is_control());
            let node = control.or_else(|| seen.iter().find(wanted));
            Ok(node.filter(|node| fits(node)).cloned())
        });
        found.with_context(|| {
            let seen: Vec<_> = seen.iter().map(|node| (&node.name, &node.states)).collect();
            format!("the screen reader saw {seen:?}")
        })
    }

    /// Clicks on what is called by one of `names`, once it is awake and stands still.
    ///
    /// # Errors
    /// Fails where it does not come, or wake, in time.
    pub fn click(
        &self,
        display: &Display,
        program: &str,
        names: &[&str],
        limit: Duration,
    ) -> Result<()> {
        let mut place = None;
        let node = self.find_where(program, names, limit, |node| {
            let before = mem::replace(&mut place, node.centre());
            node.is("enabled") && before == node.centre()
        })?;
        let (x, y) = node.centre().context("it has a place")?;
        display.click(x, y)
    }

    fn announce(&self) -> Result<()> {
        for property in ["IsEnabled", "ScreenReaderEnabled"] {
            let mut set = Command::new("dbus-send");
            set.args([
                "--session",
                "--print-reply",
                "--dest=org.a11y.Bus",
                "/org/a11y/bus",
            ])
            .args([
                "org.freedesktop.DBus.Properties.Set",
                "string:org.a11y.Status",
            ])
            .arg(format!("string:{property}"))
            .arg("variant:boolean:true")
            .envs(self.variables());
            run(&mut set)?;
        }
        Ok(())
    }
}

const CONTROLS: [&str; 8] = [
    "button",
    "check box",
    "entry",
    "link",
    "password text",
    "push button",
    "radio button",
    "toggle button",
];
const START_LIMIT: Duration = Duration::from_secs(20);
