//! The agent as it is packaged keeps the user's other programs out of its memory, and plays no
//! files.
#![cfg(target_os = "linux")]
#![expect(clippy::tests_outside_test_module, reason = "the whole file is a test")]

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::process::Command;
use std::time::Duration;

use qorgan_tests::program::Program;
use qorgan_tests::wait::until;

#[test]
fn every_other_program_of_the_user_is_kept_out_of_the_agent() {
    let folder = tempfile::tempdir().expect("a folder");
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(folder.path(), open).expect("for everybody");
    let program = folder.path().join("qorgan-agent");
    fs::copy(AGENT, &program).expect("a copy that everybody can run");
    // The memory and environment of what is not dumpable belong to root, whoever runs it.
    let mut agent = Command::new("setpriv");
    agent.args(["--reuid", "65534", "--clear-groups"]);
    agent.arg(&program).args(["run", "--socket-dir"]);
    agent.arg(folder.path().join("socket"));
    let agent = Program::start("agent", agent, folder.path()).expect("it starts");

    let guarded = until("an agent that is closed to others", WAIT, || {
        let folder = format!("/proc/{}", agent.id());
        let name = fs::read_to_string(format!("{folder}/comm"))?;
        let user = fs::read_to_string(format!("{folder}/status"))?;
        let nobodys = user.lines().any(|line| line.starts_with("Uid:\t65534"));
        let owner = fs::metadata(format!("{folder}/environ"))?.uid();
        Ok((name.trim() == "qorgan-agent" && nobodys && owner == 0).then_some(()))
    });

    guarded.expect("it is guarded");
}

#[test]
fn the_packaged_agent_plays_no_files() {
    let output = Command::new(AGENT)
        .args([
            "run",
            "--socket-dir",
            "/nowhere",
            "--sources",
            "simulated:/tmp",
        ])
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(
        said.contains("plays no files") || cfg!(feature = "simulated"),
        "{said}"
    );
}

const AGENT: &str = env!("CARGO_BIN_EXE_qorgan-agent");
const WAIT: Duration = Duration::from_secs(30);
