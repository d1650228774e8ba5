//! The display, and the real kiosk on it.

use std::{
    io::{BufRead as _, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    display: String,
    server: Child,
    manager: Child,
}

impl Desk {
    pub(crate) fn start() -> Self {
        let mut server = Command::new("Xvfb")
            .args([
                "-displayfd",
                "1",
                "-screen",
                "0",
                "1366x768x24",
                "-nolisten",
                "tcp",
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb (Debian package xvfb) starts");
        let mut number = String::new();
        BufReader::new(server.stdout.as_mut().expect("a pipe"))
            .read_line(&mut number)
            .expect("a display");
        let display = format!(":{}", number.trim());
        let mut openbox = Command::new("openbox");
        openbox
            .arg("--sm-disable")
            .env("DISPLAY", &display)
            .stderr(Stdio::null());
        let manager = openbox.spawn().expect("openbox starts");
        let desk = Self {
            folder: tempfile::tempdir().expect("a folder"),
            display,
            server,
            manager,
        };
        let deadline = Instant::now() + WAIT_MAX;
        while !desk
            .command("wmctrl", &["-m"])
            .output()
            .expect("wmctrl runs")
            .status
            .success()
        {
            assert!(
                Instant::now() < deadline,
                "openbox did not take the display"
            );
        }
        desk
    }

    pub(crate) fn kiosk(&self, link: &str) -> Kiosk {
        let state = self.folder.path().join("state.json");
        let _ = std::fs::remove_file(&state);
        let child = self
            .command(
                env!("CARGO_BIN_EXE_qorgan-client"),
                &["--enrol", link, "--data"],
            )
            .arg(self.folder.path().join("data"))
            .env_remove("WAYLAND_DISPLAY")
            .env_remove("XDG_RUNTIME_DIR")
            .env("QORGAN_AGENT", super::agent_script(self.folder.path()))
            .env("QORGAN_CLIENT_STATE", &state)
            .spawn()
            .expect("the kiosk starts");
        let kiosk = Kiosk { child, state };
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            // A word to openbox, which can leave a window waiting that is mapped while it starts.
            self.tool("wmctrl", &["-s", "0"]);
            let listed = self
                .command("wmctrl", &["-l"])
                .output()
                .expect("wmctrl runs");
            if String::from_utf8_lossy(&listed.stdout).contains("Qorgan") {
                return kiosk;
            }
            assert!(
                Instant::now() < deadline,
                "openbox does not manage the kiosk"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn key(&self, key: &str) {
        self.tool("xdotool", &["key", key]);
    }

    pub(crate) fn type_text(&self, text: &str) {
        self.tool("xdotool", &["type", "--delay", "20", text]);
    }

    pub(crate) fn kill_agent(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("agent.pid")).expect("an agent");
        self.tool("kill", &["-9", pid.trim()]);
    }

    fn tool(&self, name: &str, args: &[&str]) {
        let status = self.command(name, args).status();
        assert!(
            status.expect("the tool is installed").success(),
            "{name} {args:?}"
        );
    }

    fn command(&self, name: &str, args: &[&str]) -> Command {
        let mut command = Command::new(name);
        command.args(args).env("DISPLAY", &self.display);
        command
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The small agent waits for clients for ever.
        if let Ok(pid) = std::fs::read_to_string(self.folder.path().join("agent.pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
        }
        for child in [&mut self.manager, &mut self.server] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub(crate) struct Kiosk {
    child: Child,
    state: PathBuf,
}

impl Kiosk {
    pub(crate) fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(&self.state).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    pub(crate) fn expect(&self, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            let state = self.state();
            if is(&state) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const WAIT_MAX: Duration = Duration::from_secs(30);
