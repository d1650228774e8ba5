//! The display, and the real kiosk on it.

use std::{
    path::PathBuf,
    process::{Child, Command},
    time::{Duration, Instant},
};

use qorgan_tests::display::Display;

use crate::walk_agent::LIGHT_WANTED;

pub(crate) struct Desk {
    folder: tempfile::TempDir,
    display: Display,
    program: String,
}

impl Desk {
    /// Starts a display of this size for a kiosk of this program.
    pub(crate) fn start(program: &str, (width, height): (u32, u32)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let display = Display::start(folder.path(), width, height).expect("Xvfb and openbox start");
        Self {
            folder,
            display,
            program: program.to_owned(),
        }
    }

    pub(crate) fn kiosk(&self, link: &str) -> Kiosk {
        let state = self.folder.path().join("state.json");
        drop(std::fs::remove_file(&state));
        let child = self
            .display
            .command(&self.program, &["--enrol", link, "--data"])
            .arg(self.folder.path().join("data"))
            .env_remove("XDG_RUNTIME_DIR")
            .env("QORGAN_AGENT", agent_script(self.folder.path()))
            .env("QORGAN_CLIENT_STATE", &state)
            .spawn()
            .expect("the kiosk starts");
        let kiosk = Kiosk { child, state };
        let deadline = Instant::now() + WAIT_MAX;
        loop {
            // A word to openbox, which can leave a window waiting that is mapped while it starts.
            self.tool("wmctrl", &["-s", "0"]);
            let listed = self.display.tool("wmctrl", &["-l"]).unwrap_or_default();
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

    /// Loses what the kiosk wrote down of its responses, as another machine would not have it.
    pub(crate) fn lose_journal(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data/journal")).expect("a journal");
    }

    /// Returns the receipts that the candidate may keep.
    pub(crate) fn receipts(&self) -> Vec<String> {
        let folder = self.folder.path().join("data/receipts");
        let files = std::fs::read_dir(folder).expect("a folder");
        let read = |file: std::io::Result<std::fs::DirEntry>| {
            std::fs::read_to_string(file.expect("a file").path()).expect("readable")
        };
        files.map(read).collect()
    }

    /// Has the small agent ask for a light.
    pub(crate) fn want_light(&self) {
        let file = self.folder.path().join("data/agent").join(LIGHT_WANTED);
        std::fs::write(file, "").expect("the agent's folder");
    }

    pub(crate) fn kill_agent(&self) {
        let pid = std::fs::read_to_string(self.folder.path().join("agent.pid")).expect("an agent");
        self.tool("kill", &["-9", pid.trim()]);
    }

    pub(crate) fn tool(&self, name: &str, args: &[&str]) {
        self.display.tool(name, args).expect("the tool works");
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The small agent waits for clients for ever.
        if let Ok(pid) = std::fs::read_to_string(self.folder.path().join("agent.pid")) {
            drop(Command::new("kill").args(["-9", pid.trim()]).status());
        }
    }
}

pub(crate) struct Kiosk {
    pub(crate) child: Child,
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
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Signs in and opens the exam.
pub(crate) fn sign_in(desk: &Desk, kiosk: &Kiosk) {
    kiosk.expect("the first button", |state| state["focused"] == "continue");
    desk.key("Return");
    kiosk.expect("the sign-in", |state| {
        state["screen"] == "sign-in" && state["focused"] == "login"
    });
    desk.type_text("aigerim");
    desk.key("Return");
    kiosk.expect("the password", |state| state["focused"] == "password");
    desk.type_text("secret");
    desk.key("Return");
    kiosk.expect("the exam's button", |state| state["focused"] == "open-exam");
    desk.key("Return");
}

/// Goes through every screen from the consent to the gate.
pub(crate) fn check_in(desk: &Desk, kiosk: &Kiosk) {
    kiosk.expect("the consent", |state| state["focused"] == "consent-text");
    read_on(desk, kiosk, "agree");
    kiosk.expect("a machine in order", |state| {
        state["screen"] == "system-check" && state["focused"] == "continue"
    });
    desk.key("Return");
    kiosk.expect("the identity", |state| {
        state["screen"] == "identity" && state["focused"] == "continue"
    });
    leave(desk, kiosk, &["identity"]);
    turn_head(desk, kiosk);
    // The small agent knows the voice at once, so that both screens are left by the same key.
    leave(desk, kiosk, &["liveness", "voice"]);
    kiosk.expect("the instruction", |state| {
        state["focused"] == "instruction-text"
    });
    read_on(desk, kiosk, "continue");
}

/// Presses Enter until none of these screens is shown.
fn leave(desk: &Desk, kiosk: &Kiosk, screens: &[&str]) {
    let shows = |state: &serde_json::Value| screens.iter().any(|name| state["screen"] == *name);
    while shows(&kiosk.state()) {
        desk.key("Return");
        std::thread::sleep(Duration::from_millis(400));
    }
}

/// Begins, and sees both lights that the small agent asks for.
fn turn_head(desk: &Desk, kiosk: &Kiosk) {
    kiosk.expect("the step", |state| {
        state["screen"] == "liveness" && state["focused"] == "begin"
    });
    desk.key("Return");
    for light in ["warm", "cool"] {
        kiosk.expect(light, |state| state["light"] == light);
    }
    kiosk.expect("the end of it, as bright as always", |state| {
        state["focused"] == "continue" && state["light"].is_null()
    });
}

/// Reads to the end, and goes on by the button that wakes then.
fn read_on(desk: &Desk, kiosk: &Kiosk, button: &str) {
    desk.key("End");
    while kiosk.state()["focused"] != button {
        desk.key("Tab");
        std::thread::sleep(Duration::from_millis(250));
    }
    desk.key("Return");
}

/// Returns this program's command line as an agent.
fn agent_script(folder: &std::path::Path) -> PathBuf {
    let script = folder.join("agent.sh");
    let program = std::env::current_exe().expect("a path");
    let text = format!(
        "#!/bin/sh\necho $$ > {}/agent.pid\nQORGAN_WALK_AGENT=\"$3\" exec {} walks_as_agent --exact --ignored\n",
        folder.display(),
        program.display()
    );
    std::fs::write(&script, text).expect("writes");
    let done = Command::new("chmod")
        .arg("700")
        .arg(&script)
        .status()
        .expect("chmod");
    assert!(done.success());
    script
}

const WAIT_MAX: Duration = Duration::from_secs(30);
