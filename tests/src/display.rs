//! A display of our own: Xvfb, with a window manager where it is wanted; Xorg's dummy driver where
//! monitors are plugged in and out.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::program::{Program, run};
use crate::wait::until;

/// A running X server, mostly with openbox; ended when dropped.
#[derive(Debug)]
pub struct Display {
    name: String,
    // Ends before the server does.
    manager: Option<Program>,
    _server: Program,
}

impl Display {
    /// Starts a display of `width` by `height` and waits until windows can be opened.
    ///
    /// # Errors
    /// Fails where Xvfb or openbox are missing or do not come up in time.
    pub fn start(folder: &Path, width: u32, height: u32) -> Result<Self> {
        Self::without_manager(folder, width, height)?.managed(folder)
    }

    /// Starts a display of `width` by `height` that is a window of the display in use.
    ///
    /// # Errors
    /// Fails where Xephyr or openbox are missing or do not come up in time.
    pub fn in_a_window(folder: &Path, width: u32, height: u32, title: &str) -> Result<Self> {
        let mut xephyr = Command::new("Xephyr");
        xephyr.args(["-displayfd", "1", "-nolisten", "tcp", "-no-host-grab"]);
        xephyr.args(["-title", title, "-screen"]);
        xephyr.arg(format!("{width}x{height}"));
        Self::served(xephyr, "xephyr", folder)?.managed(folder)
    }

    /// Starts a display of `width` by `height` that nothing manages.
    ///
    /// # Errors
    /// Fails where Xvfb is missing or does not come up in time.
    pub fn without_manager(folder: &Path, width: u32, height: u32) -> Result<Self> {
        let mut xvfb = Command::new("Xvfb");
        xvfb.args(["-displayfd", "1", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"));
        Self::served(xvfb, "xvfb", folder)
    }

    /// Starts a display with one monitor and sockets for more, by RandR's own events.
    ///
    /// # Errors
    /// Fails where Xorg or its dummy driver are missing or do not come up in time.
    pub fn with_sockets(folder: &Path) -> Result<Self> {
        let config = folder.join("xorg.conf");
        fs::create_dir_all(folder)?;
        fs::write(&config, DUMMY_CONFIG)?;
        let mut xorg = Command::new("Xorg");
        xorg.args(["-displayfd", "1", "-nolisten", "tcp", "-noreset"])
            .arg("-config")
            .arg(&config)
            .arg("-logfile")
            .arg(folder.join("xorg-server.log"));
        Self::served(xorg, "xorg", folder)
    }

    /// Plugs a second monitor in, to the right of the first one.
    ///
    /// # Errors
    /// Fails where xrandr does.
    pub fn plug(&self) -> Result<()> {
        self.tool("xrandr", &["--addmode", "DUMMY1", "800x600"])?;
        let words = ["--output", "DUMMY1", "--mode", "800x600"];
        self.tool("xrandr", &[&words[..], &["--right-of", "DUMMY0"]].concat())
            .map(drop)
    }

    /// Pulls the second monitor out.
    ///
    /// # Errors
    /// Fails where xrandr does.
    pub fn unplug(&self) -> Result<()> {
        self.tool("xrandr", &["--output", "DUMMY1", "--off"])
            .map(drop)
    }

    /// Starts an X server that prints its number.
    fn served(command: Command, name: &str, folder: &Path) -> Result<Self> {
        let mut server = Program::start(name, command, folder)?;
        let log = folder.join(format!("{name}.log"));
        let number = server.until("the display's number", START_LIMIT, || {
            let said = fs::read_to_string(&log)?;
            Ok(said
                .lines()
                .find_map(|line| line.trim().parse::<u16>().ok()))
        })?;
        Ok(Self {
            name: format!(":{number}"),
            manager: None,
            _server: server,
        })
    }

    /// Starts a window manager and waits until it manages.
    fn managed(mut self, folder: &Path) -> Result<Self> {
        let openbox = self.command("openbox", &["--sm-disable"]);
        self.manager = Some(Program::start("openbox", openbox, folder)?);
        until("the window manager", START_LIMIT, || {
            let managed = self.tool("xprop", &["-root", "_NET_SUPPORTING_WM_CHECK"])?;
            Ok(managed.contains("window id").then_some(()))
        })?;
        Ok(self)
    }

    /// Returns the display's name, such as `:99`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Presses keys one after the other, by their names in xdotool.
    ///
    /// # Errors
    /// Fails where xdotool does.
    pub fn press(&self, keys: &[&str]) -> Result<()> {
        let words = ["key", "--clearmodifiers", "--delay", KEY_DELAY_MS];
        self.tool("xdotool", &[&words, keys].concat()).map(drop)
    }

    /// Types a text.
    ///
    /// # Errors
    /// Fails where xdotool does.
    pub fn type_text(&self, text: &str) -> Result<()> {
        self.tool("xdotool", &["type", "--delay", KEY_DELAY_MS, "--", text])
            .map(drop)
    }

    /// Clicks at a place of the display.
    ///
    /// # Errors
    /// Fails where xdotool does.
    pub fn click(&self, x: u32, y: u32) -> Result<()> {
        let (x, y) = (x.to_string(), y.to_string());
        self.tool("xdotool", &["mousemove", "--sync", &x, &y, "click", "1"])
            .map(drop)
    }

    /// Takes a picture of the whole display as PNG.
    ///
    /// # Errors
    /// Fails where ImageMagick does.
    pub fn shoot(&self, file: &Path) -> Result<()> {
        // Without the time of day, two pictures of one screen are the same bytes.
        let plain = ["-window", "root", "-define", "png:exclude-chunks=date,time"];
        let mut import = self.command("import", &plain);
        run(import.arg(file)).map(drop)
    }

    /// Takes a picture of the whole display as PNG, on which there must be something to see.
    ///
    /// # Errors
    /// Fails where ImageMagick does, and where the picture has one colour alone.
    pub fn shoot_something(&self, file: &Path) -> Result<()> {
        self.shoot(file)?;
        seen(file)
    }

    /// Takes a picture once the display stands still: a window that leaves the lock is laid out anew,
    /// and shows for a moment what lies behind it.
    ///
    /// # Errors
    /// Fails where ImageMagick does, and where the display never rests.
    pub fn shoot_at_rest(&self, file: &Path) -> Result<()> {
        let mut before = Vec::new();
        until("a display that stands still", REST_LIMIT, || {
            thread::sleep(REST);
            self.shoot(file)?;
            let shown = fs::read(file)?;
            let rests = shown == before;
            before = shown;
            Ok(rests.then_some(()))
        })
    }

    /// Opens a window of another program, as a candidate would who looks something up.
    ///
    /// # Errors
    /// Fails where it cannot be started.
    pub fn open_other_window(&self, folder: &Path) -> Result<Program> {
        let words = ["-title", "Notes", "-geometry", "600x400+80+80", "notes"];
        let other = self.command("xmessage", &words);
        Program::start("other-window", other, folder)
    }

    /// Opens a window of 300 by 200 pixels at 400 and 300 that no window manager manages, that never
    /// takes the focus and that stays on top.
    ///
    /// # Errors
    /// Fails where it cannot be started.
    pub fn open_overlay(&self, folder: &Path) -> Result<Program> {
        let script = "xmessage -xrm '*overrideRedirect: true' -title Overlay \
                      -geometry 300x200+400+300 notes & \
                      while :; do xdotool search --name '^Overlay$' windowraise; sleep 0.1; done";
        let shell = self.command("sh", &["-c", script]);
        Program::start("overlay", shell, folder)
    }

    /// Brings a window to the front by its title, as a click on a task bar would.
    ///
    /// # Errors
    /// Fails where there is no such window.
    pub fn activate(&self, title: &str) -> Result<()> {
        self.tool(
            "xdotool",
            &["search", "--sync", "--name", title, "windowactivate"],
        )
        .map(drop)
    }

    /// Returns a program's call on this display.
    #[must_use]
    pub fn command(&self, name: &str, words: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.args(words).env("DISPLAY", &self.name);
        command.env_remove("WAYLAND_DISPLAY");
        command
    }

    /// Runs a tool on this display and returns what it wrote.
    ///
    /// # Errors
    /// Fails where it does, or is not there.
    pub fn tool(&self, name: &str, words: &[&str]) -> Result<String> {
        run(&mut self.command(name, words))
    }
}

/// Refuses a picture of one colour.
fn seen(picture: &Path) -> Result<()> {
    let mut identify = Command::new("identify");
    let colours = run(identify.args(["-format", "%k"]).arg(picture))?;
    ensure!(
        colours.trim() != "1",
        "{} shows one colour alone",
        picture.display()
    );
    Ok(())
}

/// A display without a graphics card, keyboard or mouse.
const DUMMY_CONFIG: &str = r#"
Section "ServerFlags"
  Option "AutoAddDevices" "false"
  Option "AutoEnableDevices" "false"
EndSection
Section "Device"
  Identifier "dummy"
  Driver "dummy"
  VideoRam 65536
EndSection
Section "Screen"
  Identifier "screen"
  Device "dummy"
  DefaultDepth 24
EndSection
"#;
/// What stands still for so long rests.
const REST: Duration = Duration::from_millis(500);
const REST_LIMIT: Duration = Duration::from_secs(10);
const START_LIMIT: Duration = Duration::from_secs(20);
const KEY_DELAY_MS: &str = "12";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_on_a_display_of_our_own_shows_in_its_picture() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let display = Display::start(folder.path(), 800, 600).expect("Xvfb and openbox start");
        let before = folder.path().join("before.png");
        display.shoot(&before).expect("a picture is taken");

        let empty = display.shoot_something(&before);
        assert!(
            empty.is_err_and(|error| error.to_string().contains("one colour")),
            "an empty display is no screen of ours"
        );
        let _other = display
            .open_other_window(folder.path())
            .expect("a window opens");

        let after = folder.path().join("after.png");
        until("the window to show", START_LIMIT, || {
            display.shoot(&after)?;
            Ok((fs::read(&before)? != fs::read(&after)?).then_some(()))
        })
        .expect("the window is drawn");
        display
            .shoot_something(&after)
            .expect("there is something to see");
    }
}
