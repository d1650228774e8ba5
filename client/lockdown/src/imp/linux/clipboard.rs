//! Empties the clipboard and keeps it empty, by owning it and giving nothing.
//!
//! What was on it before is neither read nor restored: it may be private, and reading it would be
//! worse than losing it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{JoinHandle, sleep},
    time::Duration,
};

use x11rb::{
    CURRENT_TIME, NONE,
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{
            AtomEnum, ConnectionExt as _, CreateWindowAux, EventMask, SELECTION_NOTIFY_EVENT,
            SelectionNotifyEvent, SelectionRequestEvent, Window, WindowClass,
        },
    },
    wrapper::ConnectionExt as _,
};

use super::{
    display,
    ewmh::{Desktop, wake},
};
use crate::measure::{Measure, MeasureError, MeasureKind, Undo};

/// The selections CLIPBOARD and PRIMARY, owned by a window that answers every request with nothing.
#[derive(Debug, Default)]
pub(super) struct ClipboardEmptied {
    owner: Option<Owner>,
}

#[derive(Debug)]
struct Owner {
    desktop: Arc<Desktop>,
    window: Window,
    ending: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Measure for ClipboardEmptied {
    fn kind(&self) -> MeasureKind {
        MeasureKind::ClipboardEmptied
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        Ok(Undo::DiesWithProcess)
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        let desktop = Desktop::connect().map_err(|reason| MeasureError::Display { reason })?;
        let window = make_owner_window(&desktop)?;
        own(&desktop, window)?;
        let desktop = Arc::new(desktop);
        let ending = Arc::new(AtomicBool::new(false));
        let thread = std::thread::Builder::new()
            .name("clipboard".to_owned())
            .spawn({
                let (desktop, ending) = (Arc::clone(&desktop), Arc::clone(&ending));
                move || serve(&desktop, window, &ending)
            })
            .map_err(|error| display(&error))?;
        self.owner = Some(Owner {
            desktop,
            window,
            ending,
            thread,
        });
        Ok(())
    }

    fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
        let Some(owner) = self.owner.take() else {
            return Ok(());
        };
        owner.ending.store(true, Ordering::Release);
        wake(
            &owner.desktop.conn,
            owner.window,
            owner.desktop.atoms._QORGAN_STOP,
        )
        .map_err(|error| display(&error))?;
        owner
            .thread
            .join()
            .map_err(|_panic| display(&"the clipboard thread panicked"))
    }
}

fn make_owner_window(desktop: &Desktop) -> Result<Window, MeasureError> {
    let conn = &desktop.conn;
    let window = conn.generate_id().map_err(|error| display(&error))?;
    conn.create_window(
        0,
        window,
        desktop.root,
        0,
        0,
        1,
        1,
        0,
        WindowClass::INPUT_ONLY,
        0,
        &CreateWindowAux::new(),
    )
    .map_err(|error| display(&error))?;
    conn.change_property32(
        x11rb::protocol::xproto::PropMode::REPLACE,
        window,
        desktop.atoms._QORGAN_CLIPBOARD,
        AtomEnum::CARDINAL,
        &[1],
    )
    .map_err(|error| display(&error))?;
    Ok(window)
}

fn own(desktop: &Desktop, window: Window) -> Result<(), MeasureError> {
    for selection in [desktop.atoms.CLIPBOARD, AtomEnum::PRIMARY.into()] {
        desktop
            .conn
            .set_selection_owner(window, selection, CURRENT_TIME)
            .map_err(|error| display(&error))?;
        let held = desktop
            .conn
            .get_selection_owner(selection)
            .map_err(|error| display(&error))?
            .reply()
            .map_err(|error| display(&error))?;
        if held.owner != window {
            return Err(MeasureError::Refused {
                reason: "another program holds the clipboard".to_owned(),
            });
        }
    }
    Ok(())
}

fn serve(desktop: &Desktop, window: Window, ending: &AtomicBool) {
    while !ending.load(Ordering::Acquire) {
        let served = match desktop.conn.wait_for_event() {
            Ok(Event::SelectionRequest(request)) => refuse(desktop, &request),
            Ok(Event::SelectionClear(_)) => {
                // Programs that fight over the clipboard must not make this thread spin.
                sleep(RETAKE_PAUSE);
                own(desktop, window)
            }
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(%error, "Lost the display server while holding the clipboard");
                return;
            }
        };
        if let Err(error) = served {
            tracing::warn!(%error, "Could not keep the clipboard empty");
        }
    }
}

/// Answers a request to paste with "there is nothing in that form".
fn refuse(desktop: &Desktop, request: &SelectionRequestEvent) -> Result<(), MeasureError> {
    let answer = SelectionNotifyEvent {
        response_type: SELECTION_NOTIFY_EVENT,
        sequence: 0,
        time: request.time,
        requestor: request.requestor,
        selection: request.selection,
        target: request.target,
        property: NONE,
    };
    desktop
        .conn
        .send_event(false, request.requestor, EventMask::NO_EVENT, answer)
        .map_err(|error| display(&error))?;
    desktop.conn.flush().map_err(|error| display(&error))
}

const RETAKE_PAUSE: Duration = Duration::from_millis(100);
