//! The real kiosk under a real display server and window manager, with real key presses.
#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::let_underscore_must_use,
    reason = "every function of a test file is a test or helps one; ending what has ended is no fault"
)]

use std::{
    path::PathBuf,
    process::Child,
    time::{Duration, Instant},
};

use qorgan_tests::display::Display;

#[test]
fn the_kiosk_shows_itself_and_does_not_let_itself_be_closed() {
    let desk = Desk::start();
    let mut kiosk = desk.kiosk(&[]);
    kiosk.expect("the first screen", |state| state["screen"] == "welcome");

    desk.await_managed();
    desk.tool("xdotool", &["key", "alt+F4"]);
    desk.tool("wmctrl", &["-c", "Qorgan"]);

    desk.tool("xdotool", &["key", "F1"]);
    kiosk.expect("the help", |state| state["overlay"] == "Help");
    assert!(
        kiosk.child.try_wait().expect("asks").is_none(),
        "the kiosk was closed"
    );
}

#[test]
fn a_link_can_be_typed_and_a_server_that_is_not_there_is_told_with_a_remedy() {
    let desk = Desk::start();
    let kiosk = desk.kiosk(&["--lang", "en"]);
    kiosk.expect("the first screen", |state| state["screen"] == "welcome");

    while kiosk.state()["focused"] != "link" {
        desk.tool("xdotool", &["key", "Tab"]);
        std::thread::sleep(Duration::from_millis(150));
    }
    let link = format!("qorgan://127.0.0.1:9/?ca={}", "ab".repeat(32));
    desk.tool("xdotool", &["type", "--delay", "2", &link]);
    desk.tool("xdotool", &["key", "Return"]);

    kiosk.expect("the trouble", |state| state["trouble"] == true);
}

#[test]
fn a_second_start_keeps_the_devices_key() {
    let desk = Desk::start();
    let key = desk.folder.path().join("data/device.pk8");
    let mut kiosk = desk.kiosk(&[]);
    kiosk.expect("the first screen", |state| state["screen"] == "welcome");
    let first = std::fs::read(&key).expect("a key");
    kiosk.child.kill().expect("kills");
    kiosk.child.wait().expect("ends");
    std::fs::remove_file(&kiosk.state).expect("a state file");

    let again = desk.kiosk(&[]);
    again.expect("the first screen", |state| state["screen"] == "welcome");

    assert_eq!(std::fs::read(&key).expect("a key"), first);
}

struct Desk {
    folder: tempfile::TempDir,
    display: Display,
}

impl Desk {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let display = Display::start(folder.path(), 1366, 768).expect("Xvfb and openbox start");
        Self { folder, display }
    }

    fn kiosk(&self, args: &[&str]) -> Kiosk {
        let state = self.folder.path().join("state.json");
        let child = self
            .display
            .command(env!("CARGO_BIN_EXE_qorgan-client-hooked"), args)
            .arg("--data")
            .arg(self.folder.path().join("data"))
            .env("QORGAN_CLIENT_STATE", &state)
            .spawn()
            .expect("the kiosk starts");
        Kiosk { child, state }
    }

    fn await_managed(&self) {
        let deadline = Instant::now() + START_MAX;
        loop {
            let listed = self.display.tool("wmctrl", &["-l"]).unwrap_or_default();
            if listed.contains("Qorgan") {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "openbox does not manage the kiosk"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn tool(&self, name: &str, args: &[&str]) {
        self.display.tool(name, args).expect("the tool works");
    }
}

struct Kiosk {
    child: Child,
    state: PathBuf,
}

impl Kiosk {
    fn state(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(&self.state).unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }

    fn expect(&self, what: &str, is: impl Fn(&serde_json::Value) -> bool) {
        let deadline = Instant::now() + START_MAX;
        loop {
            let state = self.state();
            if is(&state) {
                return;
            }
            assert!(Instant::now() < deadline, "{what} did not come: {state}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A debug build on a busy machine without a graphics card.
const START_MAX: Duration = Duration::from_secs(60);
