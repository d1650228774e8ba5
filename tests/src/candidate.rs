//! What a candidate does at the kiosk, screen by screen.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::account::Account;
use crate::kiosk::Kiosk;
use crate::media::Media;
use crate::wait::until;

/// Goes from whatever is shown to the exam's questions.
///
/// # Errors
/// Fails with the kiosk's state where a screen does not lead on.
pub fn enter(kiosk: &mut Kiosk<'_>, account: &Account) -> Result<()> {
    go(kiosk, "exam", Some(account))?;
    kiosk.await_state("the item", |state| !state["question"].is_null())
}

/// Goes from whatever is shown to where face and document were shown again and a proctor looks: a
/// machine that a running exam was moved to.
///
/// # Errors
/// Fails with the kiosk's state where a screen does not lead on.
pub fn show_again(kiosk: &mut Kiosk<'_>) -> Result<()> {
    go(kiosk, "identity", None)?;
    take_document(kiosk)?;
    kiosk.click("document-show")?;
    kiosk.await_screen("covered", SCREEN_LIMIT)
}

/// Goes from screen to screen up to the one that is wanted; signs in with an account, where there is
/// one.
fn go(kiosk: &mut Kiosk<'_>, wanted: &str, account: Option<&Account>) -> Result<()> {
    let began = Instant::now();
    while began.elapsed() < ENTER_LIMIT {
        let screen = kiosk.screen()?;
        match (screen.as_str(), account) {
            (shown, _) if shown == wanted => return Ok(()),
            ("sign-in", Some(account)) => {
                fill_in(kiosk, account)?;
                kiosk.click("sign-in-go")?;
            }
            ("" | "covered", _) => std::thread::sleep(LOOK_EVERY),
            _ => leave(kiosk, &screen)?,
        }
        kiosk.await_other_screen(&screen, SCREEN_LIMIT)?;
    }
    bail!("the kiosk does not come to {wanted}: {:?}", kiosk.state()?)
}

/// Types login and password.
///
/// # Errors
/// Fails where a field is missing.
pub fn fill_in(kiosk: &Kiosk<'_>, account: &Account) -> Result<()> {
    kiosk.fill("sign-in-login", &account.login)?;
    kiosk.fill("sign-in-password", &account.password)
}

/// Holds a document before the camera until the kiosk has its picture.
///
/// # Errors
/// Fails where no picture comes.
pub fn take_document(kiosk: &Kiosk<'_>) -> Result<()> {
    kiosk.await_control("document-take", DEVICE_LIMIT)?;
    kiosk.click("document-take")?;
    kiosk.await_control("document-show", SCREEN_LIMIT)
}

/// Shows face and document.
///
/// # Errors
/// Fails where there is no picture, or the server does not take it.
pub fn show_identity(kiosk: &Kiosk<'_>) -> Result<()> {
    if !kiosk.is_awake("document-show")? {
        take_document(kiosk)?;
    }
    kiosk.click("document-show")?;
    kiosk.await_control("continue", SCREEN_LIMIT)
}

/// Reads aloud until the agent knows the voice.
///
/// # Errors
/// Fails where nothing can be played, or too little of it is heard.
pub fn read_aloud(kiosk: &Kiosk<'_>) -> Result<()> {
    if kiosk.is_awake("continue")? {
        return Ok(());
    }
    let media = Media::make()?;
    kiosk.click("voice-begin")?;
    let _voice = kiosk.say(&media.reading)?;
    kiosk.await_control("continue", READING_LIMIT)
}

/// Goes on from the step that asks to turn the head, which nobody here can do: with the button that
/// says so, or with none where the exam does not ask for it.
///
/// # Errors
/// Fails where going on without is not offered.
pub fn turn_no_head(kiosk: &Kiosk<'_>) -> Result<()> {
    until("the way on without turning the head", TURNING_LIMIT, || {
        if kiosk.screen()? != "liveness" {
            return Ok(Some(()));
        }
        for way_on in ["continue", "liveness-skip"] {
            if kiosk.is_awake(way_on)? {
                return kiosk.click(way_on).map(Some);
            }
        }
        Ok(None)
    })
}

/// Does what the screen asks for and goes on.
///
/// # Errors
/// Fails where the screen's control stays asleep.
pub fn leave(kiosk: &Kiosk<'_>, screen: &str) -> Result<()> {
    match screen {
        "exams" => kiosk.click("exam-open"),
        "consent" => kiosk.read_and_click("consent-agree"),
        "instruction" => kiosk.read_and_click("instruction-read"),
        "gate" => {
            kiosk.await_control("gate-start", DEVICE_LIMIT)?;
            kiosk.click("gate-start")
        }
        "identity" => {
            if !kiosk.is_awake("continue")? {
                show_identity(kiosk)?;
            }
            kiosk.click("continue")
        }
        "liveness" => turn_no_head(kiosk),
        "voice" => {
            read_aloud(kiosk)?;
            kiosk.click("continue")
        }
        "welcome" | "system-check" => {
            kiosk.await_control("continue", DEVICE_LIMIT)?;
            kiosk.click("continue")
        }
        other => bail!("the screen {other} leads nowhere: {:?}", kiosk.state()?),
    }
}

/// Presses the key of a choice and waits until the response is on this machine's disk.
///
/// # Errors
/// Fails where it is not kept in time.
pub fn choose(kiosk: &mut Kiosk<'_>, key: &str) -> Result<()> {
    kiosk.press(&[key])?;
    kiosk.await_state("the response to be kept", |state| {
        state["chosen"].as_u64() > Some(0)
            && (state["kept"] == "saved" || state["kept"] == "delivered")
    })
}

/// Responds to the questions from the open one on, `count` of them, and stays at the one after.
///
/// # Errors
/// Fails where one is not kept in time.
pub fn respond(kiosk: &mut Kiosk<'_>, count: u64) -> Result<()> {
    kiosk.await_state("an item", |state| !state["question"].is_null())?;
    let first = kiosk
        .state()?
        .and_then(|state| state["question"].as_u64())
        .context("a question is open")?;
    for question in first..first.saturating_add(count) {
        kiosk.await_state("the item", |state| state["question"] == question)?;
        choose(kiosk, "1")?;
        go_on(kiosk)?;
    }
    Ok(())
}

/// Goes to the next question.
///
/// # Errors
/// Fails where it is not shown in time.
pub fn go_on(kiosk: &mut Kiosk<'_>) -> Result<()> {
    kiosk.await_state("an item", |state| state["question"].is_u64())?;
    let open = kiosk.state()?.map(|state| state["question"].clone());
    let next =
        |state: &Value| state["question"].is_u64() && Some(&state["question"]) != open.as_ref();
    for _ in 0..PRESSES {
        kiosk.press(&["Right"])?;
        // An exam that was covered at that very moment takes no key: a person presses again.
        let shown = until("the next item", PRESS_LIMIT, || {
            Ok(kiosk.state()?.filter(&next).map(drop))
        });
        if shown.is_ok() {
            return Ok(());
        }
        kiosk.await_state("an item", |state| state["question"].is_u64())?;
    }
    kiosk.await_state("the next item", next)
}

/// Submits from whatever question is open, and waits for the server's receipt.
///
/// # Errors
/// Fails where the receipt does not come.
pub fn submit(kiosk: &mut Kiosk<'_>) -> Result<()> {
    kiosk.click("submit")?;
    kiosk.await_control("confirm-submit", SCREEN_LIMIT)?;
    kiosk.click("confirm-submit")?;
    kiosk.await_screen("submitted", SCREEN_LIMIT)?;
    kiosk.await_state("the server's receipt", |state| state["kept"] == "delivered")
}

const PRESSES: usize = 3;
const PRESS_LIMIT: Duration = Duration::from_secs(6);
const ENTER_LIMIT: Duration = Duration::from_secs(150);
/// The reading is played over and over; its first round is enough.
const READING_LIMIT: Duration = Duration::from_secs(60);
/// It is offered after half a minute at the latest.
const TURNING_LIMIT: Duration = Duration::from_secs(45);
const SCREEN_LIMIT: Duration = Duration::from_secs(30);
const DEVICE_LIMIT: Duration = Duration::from_secs(30);
const LOOK_EVERY: Duration = Duration::from_millis(100);
