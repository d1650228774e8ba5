//! The kiosk as it is packaged heeds no hook of tests, and neither does the agent.
#![cfg(target_os = "linux")]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is a test")]

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use qorgan_tests::{display::Display, program::Program, wait::until};

#[test]
fn the_packaged_kiosk_writes_no_state_and_runs_no_other_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let display = Display::start(folder.path(), 1_366, 768).expect("Xvfb and openbox start");
    let told = kiosk(&display, folder.path(), HOOKED, &[]);
    until("the state of the kiosk with hooks", WAIT, || {
        Ok(told.state.exists().then_some(()))
    })
    .expect("the hook works where it is meant to");
    drop(told);
    fs::remove_file(folder.path().join("state.json")).expect("the state is ours");

    let packaged = kiosk(&display, folder.path(), PACKAGED, &[]);
    until("the window of the packaged kiosk", WAIT, || {
        let listed = display.tool("wmctrl", &["-l"]).unwrap_or_default();
        Ok(listed.contains("Qorgan").then_some(()))
    })
    .expect("it shows its window");
    // A screen with words on it is no small file: the kiosk with hooks tells of its first one.
    let shot = folder.path().join("shot.png");
    until("the first picture", WAIT, || {
        display.shoot(&shot)?;
        Ok((fs::metadata(&shot)?.len() > WORDS_BYTES_MIN).then_some(()))
    })
    .expect("it draws");

    assert!(
        !packaged.state.exists(),
        "QORGAN_CLIENT_STATE has no effect"
    );
    assert!(
        !folder.path().join("agent-ran").exists(),
        "QORGAN_AGENT has no effect"
    );
}

#[test]
fn the_packaged_kiosk_knows_no_word_for_a_window() {
    for word in ["--windowed", "--no-lockdown"] {
        let output = Command::new(PACKAGED).arg(word).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && said.contains("unexpected argument"),
            "{word}: {said}"
        );
    }
}

#[test]
fn no_hook_of_the_environment_is_in_the_packaged_kiosk() {
    let bytes = fs::read(PACKAGED).expect("the program");
    let holds = |word: &str| {
        bytes
            .windows(word.len())
            .any(|part| part == word.as_bytes())
    };
    assert!(
        holds("QORGAN_LOG"),
        "variables are found where they are read"
    );
    for hook in ["QORGAN_AGENT", "QORGAN_AGENT_ARGS", "QORGAN_CLIENT_STATE"] {
        assert!(!holds(hook), "{hook} is in the program");
    }
}

#[test]
fn every_other_program_of_the_user_is_kept_out_of_the_kiosk() {
    let folder = tempfile::tempdir().expect("a folder");
    let display = Display::start(folder.path(), 1_366, 768).expect("Xvfb and openbox start");
    let data = folder.path().join("data");
    fs::create_dir(&data).expect("a folder");
    for path in [folder.path(), &data] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).expect("for everybody");
    }
    let program = folder.path().join("qorgan-client");
    fs::copy(PACKAGED, &program).expect("a copy that everybody can run");
    display
        .tool("xhost", &["+si:localuser:nobody"])
        .expect("the display lets them in");
    // The memory and environment of what is not dumpable belong to root, whoever runs it.
    let mut kiosk = display.command("setpriv", &["--reuid", "65534", "--clear-groups"]);
    kiosk.arg(&program).arg("--data").arg(&data);
    kiosk.env("LIBGL_ALWAYS_SOFTWARE", "1");
    let kiosk = Program::start("unprivileged-kiosk", kiosk, folder.path()).expect("it starts");
    let owner = || {
        let path = format!("/proc/{}", kiosk.id());
        let name = fs::read_to_string(format!("{path}/comm"))?;
        let user = fs::read_to_string(format!("{path}/status"))?;
        let nobodys = user.lines().any(|line| line.starts_with("Uid:\t65534"));
        let owner = fs::metadata(format!("{path}/environ"))?.uid();
        Ok((name.starts_with("qorgan-client") && nobodys && owner == 0).then_some(()))
    };
    until("a kiosk that is closed to others", WAIT, owner).expect("it is guarded");
}

struct Running {
    state: PathBuf,
    _program: Program,
}

fn kiosk(display: &Display, folder: &Path, program: &str, words: &[&str]) -> Running {
    let state = folder.join("state.json");
    let agent = folder.join("agent.sh");
    let ran = folder.join("agent-ran");
    fs::write(
        &agent,
        format!("#!/bin/sh\necho \"$@\" > {}\n", ran.display()),
    )
    .expect("a script");
    fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).expect("it can run");
    let mut command = display.command(program, words);
    command
        .arg("--data")
        .arg(folder.join("data"))
        .env("QORGAN_CLIENT_STATE", &state)
        .env("QORGAN_AGENT", &agent)
        .env("QORGAN_AGENT_ARGS", "--sources simulated:/tmp")
        .env("LIBGL_ALWAYS_SOFTWARE", "1");
    Running {
        state,
        _program: Program::start("kiosk", command, folder).expect("it starts"),
    }
}

const PACKAGED: &str = env!("CARGO_BIN_EXE_qorgan-client");
const HOOKED: &str = env!("CARGO_BIN_EXE_qorgan-client-hooked");
const WORDS_BYTES_MIN: u64 = 12_000;
const WAIT: Duration = Duration::from_secs(60);
