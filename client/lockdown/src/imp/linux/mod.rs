//! Linux: X11 under a window manager. Wayland is refused with a reason.
//!
//! The keyboard grab goes through the connection that owns the kiosk's window, because a grab by
//! another connection would take the keys away from the kiosk itself. Everything else has a
//! connection of its own, so that nothing here waits for the window library's event loop.

mod blanking;
mod clipboard;
mod ewmh;
mod fullscreen;
mod keyboard;
mod layouts;
mod tracker;
mod watch;

use std::sync::Arc;

pub use layouts::Layouts;
use raw_window_handle::{HasDisplayHandle, HasWindowHandle, RawDisplayHandle, RawWindowHandle};
use x11rb::xcb_ffi::XCBConnection;

use crate::{
    measure::{Measure, MeasureError, MeasureKind, Undo},
    watch::{WatchError, WatchEvent, WatchHandle},
};

/// The kiosk's window, with the connection that owns it.
#[derive(Clone)]
pub struct WindowTarget {
    window: u32,
    owner: Arc<XCBConnection>,
}

impl std::fmt::Debug for WindowTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WindowTarget")
            .field("window", &self.window)
            .finish_non_exhaustive()
    }
}

impl WindowTarget {
    /// Names the kiosk's window by the handles that the window library gives.
    ///
    /// The library's connection must outlive the target and every measure made from it; the kiosk
    /// keeps them inside its application object, which the event loop outlives.
    ///
    /// # Errors
    /// Fails where the window is not an X11 one.
    pub fn from_handles<W: HasWindowHandle + HasDisplayHandle>(
        window: &W,
    ) -> Result<Self, MeasureError> {
        let handle = window.window_handle().map_err(|error| display(&error))?;
        let RawWindowHandle::Xlib(xlib) = handle.as_raw() else {
            return Err(WAYLAND);
        };
        let display_handle = window.display_handle().map_err(|error| display(&error))?;
        let RawDisplayHandle::Xlib(xlib_display) = display_handle.as_raw() else {
            return Err(WAYLAND);
        };
        let Some(pointer) = xlib_display.display else {
            return Err(WAYLAND);
        };
        let window = u32::try_from(xlib.window).map_err(|error| display(&error))?;
        let owner = keyboard::connection_of(pointer)?;
        Ok(Self {
            window,
            owner: Arc::new(owner),
        })
    }

    /// Names a window that was made on an XCB connection.
    #[must_use]
    pub fn from_connection(owner: Arc<XCBConnection>, window: u32) -> Self {
        Self { window, owner }
    }
}

pub(crate) fn measures(target: &WindowTarget) -> Vec<Box<dyn Measure>> {
    vec![
        Box::new(blanking::DisplayAwake),
        Box::new(fullscreen::FullscreenOnTop::new(target.window)),
        Box::new(clipboard::ClipboardEmptied::default()),
        Box::new(keyboard::KeyboardGrab::new(target.clone())),
    ]
}

pub(crate) fn start_watch(
    target: &WindowTarget,
    notify: Box<dyn FnMut(WatchEvent) + Send>,
) -> Result<WatchHandle, WatchError> {
    watch::start(target.window, notify)
}

pub(crate) fn revert_leftover(kind: MeasureKind, undo: &Undo) -> Result<(), MeasureError> {
    match kind {
        MeasureKind::DisplayAwake => blanking::DisplayAwake.revert(undo),
        MeasureKind::FullscreenOnTop
        | MeasureKind::KeyboardGrab
        | MeasureKind::ClipboardEmptied => Ok(()),
    }
}

/// Turns what the display library says into this crate's error.
fn display(error: &dyn std::fmt::Display) -> MeasureError {
    MeasureError::Display {
        reason: error.to_string(),
    }
}

const WAYLAND: MeasureError = MeasureError::NotAvailable {
    reason: "the window is not on an X11 display; under Wayland only a session of its own can lock it",
};
