//! A whole exam in the real kiosk, against a small server and a small agent that speak the real
//! protocol: sign in, check-in, gate, responses, kill -9 in the middle, submission.
#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    reason = "every function of a test file is a test or helps one"
)]

mod walk_agent;
mod walk_kiosk;
mod walk_server;

use std::time::Duration;

use qorgan_protocol::assessment::Response;
use walk_kiosk::{Desk, check_in, sign_in};
use walk_server::Server;

#[test]
//= tests/data/sop-2-28.md#3-test-application
//= type=test
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
fn an_exam_is_sat_killed_gone_on_with_and_submitted_with_the_keyboard_alone() {
    let desk = Desk::start(env!("CARGO_BIN_EXE_qorgan-client-hooked"), (1366, 768));
    let server = Server::start(Duration::from_millis(200));
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

    let kiosk = lose_sign_in_and_journal(&desk, &server, kiosk);
    answer_in_another_light(&desk, &kiosk);

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
    let receipts = desk.receipts();
    assert_eq!(receipts.len(), 1);
    assert!(receipts[0].contains("\"submitted\": true") && receipts[0].contains("\"entries\": 2"));
}

#[test]
fn a_delivery_that_crosses_the_closing_of_its_connection_is_sent_again_once_and_counts_once() {
    let desk = Desk::start(env!("CARGO_BIN_EXE_qorgan-client-hooked"), (1366, 768));
    let server = Server::start(Duration::from_millis(200));
    let kiosk = desk.kiosk(&server.link());
    sign_in(&desk, &kiosk);
    check_in(&desk, &kiosk);
    server.open_gate();
    kiosk.expect("the button", |state| state["focused"] == "start");
    desk.key("Return");
    kiosk.expect("the first question", |state| state["question"] == 1);

    server.close_under_responses();
    desk.key("b");
    kiosk.expect("the delivery", |state| state["kept"] == "delivered");

    assert_eq!(
        server.responses(),
        [(1, Response::choices(vec!["B".to_owned()]))],
        "counted once"
    );
    let deliveries = server.deliveries();
    assert_eq!(deliveries.len(), 2, "sent again, and once");
    assert_ne!(
        deliveries[0], deliveries[1],
        "under a number of its own, for a server that took the first would take it for a copy"
    );
    desk.key("ctrl+Return");
    kiosk.expect("the exam goes on", |state| state["question"] == 2);
}

/// The token ends in the middle, then the machine loses what it wrote down: nothing is lost.
fn lose_sign_in_and_journal(
    desk: &Desk,
    server: &Server,
    mut kiosk: walk_kiosk::Kiosk,
) -> walk_kiosk::Kiosk {
    server.sign_out();
    kiosk.expect("the sign-in, in place", |state| {
        state["screen"] == "sign-in" && state["focused"] == "password"
    });
    desk.type_text("secret");
    desk.key("Return");
    kiosk.expect("the exam where it was", |state| {
        state["screen"] == "exam" && state["question"] == 2 && state["chosen"] == 1
    });

    kiosk.kill();
    desk.lose_journal();
    let kiosk = desk.kiosk(&server.link());
    sign_in(desk, &kiosk);
    kiosk.expect("the responses that the server has", |state| {
        state["question"] == 1 && state["chosen"] == 1 && state["answered"] == 2
    });
    desk.key("ctrl+Return");
    kiosk.expect("the second one too", |state| {
        state["question"] == 2 && state["chosen"] == 1 && state["kept"] == "delivered"
    });
    kiosk
}

/// A light and a turn are asked for, and the questions stay open meanwhile.
fn answer_in_another_light(desk: &Desk, kiosk: &walk_kiosk::Kiosk) {
    desk.want_light();
    kiosk.expect("the light", |state| {
        state["light"] == "cool" && state["asked"] == true
    });
    desk.key("Left");
    kiosk.expect("the first question", |state| state["question"] == 1);
    kiosk.expect("the turn, as bright as always", |state| {
        state["light"].is_null() && state["asked"] == true
    });
    desk.key("Right");
    kiosk.expect("the second question, and nothing asked", |state| {
        state["question"] == 2 && state["asked"] == false
    });
}

/// Plays the agent; runs only as a child of the kiosk.
#[test]
#[ignore = "is run by the kiosk, as its agent"]
fn walks_as_agent() {
    walk_agent::run();
}
