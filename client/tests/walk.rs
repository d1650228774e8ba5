//! A whole exam in the real kiosk, against a small server and a small agent that speak the real
//! protocol: sign in, check-in, gate, responses, kill -9 in the middle, submission.
#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::let_underscore_must_use,
    reason = "every function of a test file is a test or helps one; ending what has ended is no fault"
)]

mod walk_agent;
mod walk_kiosk;
mod walk_server;

use std::{process::Command, time::Duration};

use qorgan_protocol::assessment::Response;
use walk_kiosk::Desk;
use walk_server::Server;

#[test]
//= tests/data/sop-2-28.md#3-test-application
//= type=test
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
fn an_exam_is_sat_killed_gone_on_with_and_submitted_with_the_keyboard_alone() {
    let desk = Desk::start();
    let server = Server::start();
    let mut kiosk = desk.kiosk(&server.link());
    sign_in(&desk, &kiosk);
    check_in(&desk, &kiosk);
    kiosk.expect("the gate", |state| state["screen"] == "gate");
    desk.key("Return");
    assert_eq!(server.phase(), "ready", "the gate is closed");
    server.open_gate();
    kiosk.expect("the button", |state| state["focused"] == "start");
    desk.key("Return");
    kiosk.expect("the first question", |state| state["question"] == 1);

    desk.key("b");
    kiosk.expect("the response", |state| state["kept"] == "delivered");
    desk.key("ctrl+Return");
    kiosk.expect("the second question", |state| state["question"] == 2);
    server.refuse_responses(true);
    desk.key("a");
    kiosk.expect("the response", |state| state["kept"] == "saved");

    kiosk.kill();
    server.refuse_responses(false);
    let kiosk = desk.kiosk(&server.link());
    sign_in(&desk, &kiosk);
    kiosk.expect("the same question with its response", |state| {
        state["question"] == 2 && state["chosen"] == 1 && state["answered"] == 2
    });
    kiosk.expect("the delivery", |state| state["kept"] == "delivered");
    assert_eq!(
        server.responses(),
        [
            (1, Response::choices(vec!["B".to_owned()])),
            (2, Response::choices(vec!["A".to_owned()]))
        ],
        "nothing lost, nothing twice"
    );

    desk.kill_agent();
    kiosk.expect("the cover", |state| state["screen"] == "covered");
    kiosk.expect("the exam again, with a new agent", |state| {
        state["screen"] == "exam"
    });

    desk.key("ctrl+Return");
    kiosk.expect("the question whether to finish", |state| {
        state["overlay"] == "ConfirmSubmit"
    });
    kiosk.expect("its first button", |state| state["focused"] == "back");
    desk.key("Tab");
    kiosk.expect("the other button", |state| state["focused"] == "submit");
    desk.key("Return");
    kiosk.expect("the receipt", |state| {
        state["screen"] == "submitted" && state["kept"] == "delivered"
    });
}

/// Plays the agent; runs only as a child of the kiosk.
#[test]
#[ignore = "is run by the kiosk, as its agent"]
fn agent() {
    walk_agent::run();
}

fn sign_in(desk: &Desk, kiosk: &walk_kiosk::Kiosk) {
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

fn check_in(desk: &Desk, kiosk: &walk_kiosk::Kiosk) {
    kiosk.expect("the consent", |state| state["focused"] == "consent-text");
    read_on(desk, kiosk, "agree");
    kiosk.expect("a machine in order", |state| {
        state["screen"] == "system-check" && state["focused"] == "continue"
    });
    desk.key("Return");
    kiosk.expect("the identity", |state| {
        state["screen"] == "identity" && state["focused"] == "continue"
    });
    while kiosk.state()["screen"] == "identity" {
        desk.key("Return");
        std::thread::sleep(Duration::from_millis(400));
    }
    kiosk.expect("the instruction", |state| {
        state["focused"] == "instruction-text"
    });
    read_on(desk, kiosk, "continue");
}

/// Reads to the end, and goes on by the button that wakes then.
fn read_on(desk: &Desk, kiosk: &walk_kiosk::Kiosk, button: &str) {
    desk.key("End");
    while kiosk.state()["focused"] != button {
        desk.key("Tab");
        std::thread::sleep(Duration::from_millis(250));
    }
    desk.key("Return");
}

/// Returns this program's command line as an agent.
fn agent_script(folder: &std::path::Path) -> std::path::PathBuf {
    let script = folder.join("agent.sh");
    let program = std::env::current_exe().expect("a path");
    let text = format!(
        "#!/bin/sh\necho $$ > {}/agent.pid\nQORGAN_WALK_AGENT=\"$3\" exec {} agent --exact --ignored\n",
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
