//! The kiosk as a program: found by the names of its controls, used with mouse and keys.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::time::Duration;

use qorgan_tests::display::Display;
use qorgan_tests::kiosk::{Kiosk, KioskSettings};
use qorgan_tests::reader::Reader;
use qorgan_tests::server::Server;

//= tests/data/sop-2-28.md#11-sign-in
//= type=test
#[test]
fn a_wrong_password_leads_nowhere_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start(&folder.path().join("server"), "").expect("the server starts");
    let display = Display::start(folder.path(), 1366, 768).expect("a display starts");
    let reader = Reader::start(folder.path(), &display).expect("the buses start");
    let settings = KioskSettings {
        folder: folder.path().join("candidate"),
        link: server.ready().enrol_link.clone(),
        language: "kk".to_owned(),
        agent: "qorgan-agent".to_owned(),
        agent_words: String::new(),
        variables: Vec::new(),
    };
    let mut kiosk = Kiosk::start(&display, &reader, settings).expect("the kiosk starts");
    kiosk.await_screen("welcome", LIMIT).expect("it opens");
    kiosk
        .click("continue")
        .expect("the server is reached by the link's authority");
    kiosk
        .await_screen("sign-in", LIMIT)
        .expect("the server answers");

    kiosk
        .fill("sign-in-login", "nobody")
        .expect("the field is there");
    kiosk
        .fill("sign-in-password", "a wrong password")
        .expect("the field is there");
    kiosk.click("sign-in-go").expect("the button wakes");

    kiosk
        .await_state("the trouble", |state| state["trouble"] == true)
        .expect("it is told");
    kiosk
        .await_screen("sign-in", LIMIT)
        .expect("it leads nowhere");
    if let Some(shots) = std::env::var_os("QORGAN_SHOTS") {
        kiosk
            .shoot(&std::path::Path::new(&shots).join("kiosk.png"))
            .expect("a picture");
    }
}

const LIMIT: Duration = Duration::from_secs(30);
