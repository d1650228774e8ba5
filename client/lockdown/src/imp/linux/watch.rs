//! Watches the active window, the list of windows, overlays and the clipboard.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Instant,
};

use x11rb::{
    connection::Connection as _,
    errors::{ConnectionError, ReplyError, ReplyOrIdError},
    protocol::{
        Event,
        xfixes::{ConnectionExt as _, SelectionEventMask},
        xproto::{
            AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, CreateWindowAux, EventMask,
            Window, WindowClass,
        },
    },
};

use super::ewmh::{Desktop, wake};
use super::tracker::{Change, Look, Tracker};
use crate::watch::{Stop, WatchError, WatchEvent, WatchHandle, WatchKind};

type Notify = Box<dyn FnMut(WatchEvent) + Send>;

/// Begins to watch on a thread of its own.
pub(super) fn start(own: Window, notify: Notify) -> Result<WatchHandle, WatchError> {
    let desktop = Desktop::connect().map_err(|reason| WatchError::Display { reason })?;
    if !desktop.has_manager() {
        return Err(WatchError::NotAvailable {
            reason: "no window manager names the active window of this display",
        });
    }
    let bell = subscribe(&desktop).map_err(|error| WatchError::Display {
        reason: error.to_string(),
    })?;
    // Looked at before this returns: what opens from then on is new.
    let first = desktop.look().map_err(|error| WatchError::Display {
        reason: error.to_string(),
    })?;
    let desktop = Arc::new(desktop);
    let ending = Arc::new(AtomicBool::new(false));
    let watcher = Watcher {
        desktop: Arc::clone(&desktop),
        own,
        notify,
    };
    let thread = std::thread::Builder::new()
        .name("window-watch".to_owned())
        .spawn({
            let ending = Arc::clone(&ending);
            move || watcher.run(&first, &ending)
        })
        .map_err(|error| WatchError::Display {
            reason: error.to_string(),
        })?;
    Ok(WatchHandle::new(Running {
        desktop,
        bell,
        ending,
        thread: Some(thread),
    }))
}

#[derive(Debug)]
struct Running {
    desktop: Arc<Desktop>,
    bell: Window,
    ending: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Stop for Running {
    fn stop(&mut self) {
        self.ending.store(true, Ordering::Release);
        // Fails where the display server is gone, which ended the watch and was told by it.
        let _rung = wake(
            &self.desktop.conn,
            self.bell,
            self.desktop.atoms._QORGAN_STOP,
        );
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("The window watch ended in a panic");
        }
    }
}

struct Watcher {
    desktop: Arc<Desktop>,
    own: Window,
    notify: Notify,
}

impl Watcher {
    fn run(mut self, first: &Look, ending: &AtomicBool) {
        if let Err(error) = self.watch(first, ending) {
            tracing::warn!(%error, "The window watch went blind");
            self.tell(WatchKind::Blind);
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the display library has an event for everything"
    )]
    fn watch(&mut self, first: &Look, ending: &AtomicBool) -> Result<(), ReplyError> {
        let (mut tracker, changes) = Tracker::new(self.own, first);
        self.tell_all(&changes);
        while !ending.load(Ordering::Acquire) {
            match self.desktop.conn.wait_for_event()? {
                Event::PropertyNotify(event) if self.is_listed(event.atom) => {
                    let changes = tracker.look(&self.desktop.look()?);
                    self.tell_all(&changes);
                }
                Event::MapNotify(event) if event.override_redirect && event.window != self.own => {
                    self.overlay(event.window)?;
                }
                Event::XfixesSelectionNotify(event)
                    if event.owner != x11rb::NONE
                        && !self.desktop.is_own_clipboard(event.owner) =>
                {
                    self.tell(WatchKind::ClipboardTaken);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn is_listed(&self, atom: u32) -> bool {
        let atoms = &self.desktop.atoms;
        [
            atoms._NET_ACTIVE_WINDOW,
            atoms._NET_CLIENT_LIST,
            atoms._NET_CLIENT_LIST_STACKING,
        ]
        .contains(&atom)
    }

    /// A frame around a managed window and a window that takes input only are no overlays; a window
    /// that is gone before it can be looked at was not seen by anybody either.
    fn overlay(&mut self, window: Window) -> Result<(), ConnectionError> {
        let attributes = self.desktop.conn.get_window_attributes(window)?.reply();
        let drawn = attributes.is_ok_and(|found| found.class == WindowClass::INPUT_OUTPUT);
        if drawn && !self.desktop.is_frame(window) {
            let window = self.desktop.identify(window);
            self.tell(WatchKind::OverlayShown { window });
        }
        Ok(())
    }

    fn tell_all(&mut self, changes: &[Change]) {
        for change in changes {
            let kind = match *change {
                Change::SwitchedAway(window) => WatchKind::SwitchedAway {
                    to: window.map(|window| self.desktop.identify(window)),
                },
                Change::SwitchedBack => WatchKind::SwitchedBack,
                Change::Opened(window) => WatchKind::WindowOpened {
                    window: self.desktop.identify(window),
                },
                Change::Raised(window) => WatchKind::WindowRaised {
                    window: self.desktop.identify(window),
                },
            };
            self.tell(kind);
        }
    }

    fn tell(&mut self, kind: WatchKind) {
        (self.notify)(WatchEvent {
            at: Instant::now(),
            kind,
        });
    }
}

/// Asks for the events; returns a window of our own that wakes the thread when it gets a word.
fn subscribe(desktop: &Desktop) -> Result<Window, ReplyOrIdError> {
    let conn = &desktop.conn;
    let mask = EventMask::PROPERTY_CHANGE | EventMask::SUBSTRUCTURE_NOTIFY;
    conn.change_window_attributes(
        desktop.root,
        &ChangeWindowAttributesAux::new().event_mask(mask),
    )?
    .check()?;
    let bell = conn.generate_id()?;
    let aux = CreateWindowAux::new();
    conn.create_window(
        0,
        bell,
        desktop.root,
        0,
        0,
        1,
        1,
        0,
        WindowClass::INPUT_ONLY,
        0,
        &aux,
    )?
    .check()?;
    conn.xfixes_query_version(5, 0)?.reply()?;
    for selection in [desktop.atoms.CLIPBOARD, AtomEnum::PRIMARY.into()] {
        conn.xfixes_select_selection_input(
            bell,
            selection,
            SelectionEventMask::SET_SELECTION_OWNER,
        )?
        .check()?;
    }
    Ok(bell)
}
