//! The display, and the real kiosk on it.

use std::{
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use qorgan_tests::display::Display;

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    display: Display,
}

impl Desk {
    pub(crate) fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let display = Display::start(folder.path(), 1366, 768).expect("Xvfb and openbox start");
        Self { folder, display }
    }

    pub(crate) fn kiosk(&self, link: &str) -> Kiosk {
        let state = self.folder.path().join("state.json");
        let _ = std::fs::remove_file(&state);
        let child = self
            .display
            .command(
                env!("CARGO_BIN_EXE_qorgan-client"),
                &["--enrol", link, "--data"],
            )
            .arg(self.folder.path().join("data"))
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
            let listed = self.display.tool("wmctrl", &["-l"]).expect("wmctrl runs");
            if listed.contains("Qorgan") {
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
        self.display.tool(name, args).expect("the tool works");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The small agent waits for clients for ever.
        if let Ok(pid) = std::fs::read_to_string(self.folder.path().join("agent.pid")) {
            let _ = Command::new("kill").args(["-9", pid.trim()]).status();
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
