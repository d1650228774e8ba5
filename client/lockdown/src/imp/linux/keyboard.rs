//! Grabs the keyboard for the kiosk's window, so that no key reaches another program.
//!
//! While a client holds the keyboard the server starts no other grab, so the window manager's
//! combinations (Alt+Tab, Alt+F4, Super) come to the kiosk as ordinary key presses.
#![expect(
    unsafe_code,
    reason = "the window library's connection is only given as a C pointer"
)]

use std::ffi::c_void;

use x11rb::{
    CURRENT_TIME,
    connection::Connection as _,
    protocol::xproto::{ConnectionExt as _, GrabMode, GrabStatus},
    xcb_ffi::XCBConnection,
};

use super::{WindowTarget, display};
use crate::measure::{Measure, MeasureError, MeasureKind, Undo};

/// The keyboard, held by the connection that owns the kiosk's window.
#[derive(Debug)]
pub(super) struct KeyboardGrab {
    target: WindowTarget,
}

impl KeyboardGrab {
    pub(super) fn new(target: WindowTarget) -> Self {
        Self { target }
    }

    fn grab(&self) -> Result<(), MeasureError> {
        let reply = self
            .target
            .owner
            .grab_keyboard(
                true,
                self.target.window,
                CURRENT_TIME,
                GrabMode::ASYNC,
                GrabMode::ASYNC,
            )
            .map_err(|error| display(&error))?
            .reply()
            .map_err(|error| display(&error))?;
        let reason = match reply.status {
            GrabStatus::SUCCESS => return Ok(()),
            GrabStatus::ALREADY_GRABBED => "another program holds the keyboard",
            GrabStatus::NOT_VIEWABLE => "the window is not on the display",
            GrabStatus::FROZEN => "another program has frozen the keyboard",
            _ => "the display server gave no reason",
        };
        Err(MeasureError::Refused {
            reason: reason.to_owned(),
        })
    }
}

impl Measure for KeyboardGrab {
    fn kind(&self) -> MeasureKind {
        MeasureKind::KeyboardGrab
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        Ok(Undo::DiesWithProcess)
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        self.grab()
    }

    fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
        self.target
            .owner
            .ungrab_keyboard(CURRENT_TIME)
            .map_err(|error| display(&error))?;
        self.target.owner.flush().map_err(|error| display(&error))
    }

    /// A grab ends without a word when the window was hidden for a moment, so it is asked for again;
    /// asking while it is held changes nothing.
    fn renew(&mut self) -> Result<bool, MeasureError> {
        self.grab()?;
        Ok(false)
    }
}

/// Returns the XCB connection that lies under the window library's Xlib display.
pub(super) fn connection_of(
    xlib_display: std::ptr::NonNull<c_void>,
) -> Result<XCBConnection, MeasureError> {
    let library = x11_dl::xlib_xcb::Xlib_xcb::open().map_err(|error| display(&error))?;
    // SAFETY: the pointer is the live Display of the window library, which the caller's window
    // handle borrows.
    let raw = unsafe { (library.XGetXCBConnection)(xlib_display.as_ptr().cast()) };
    if raw.is_null() {
        return Err(display(&"the display has no XCB connection"));
    }
    // SAFETY: `raw` is the connection under that Display; `false` leaves its closing to its owner,
    // which by the contract of `WindowTarget::from_handles` outlives what is made here.
    let connection = unsafe { XCBConnection::from_raw_xcb_connection(raw.cast(), false) };
    connection.map_err(|error| display(&error))
}
