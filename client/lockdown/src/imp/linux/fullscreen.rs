//! Makes the kiosk's window cover the display and stay above the others.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use x11rb::{
    connection::Connection as _,
    protocol::xproto::{ClientMessageEvent, ConnectionExt as _, EventMask, Window},
};

use super::{display, ewmh::Desktop};
use crate::measure::{Measure, MeasureError, MeasureKind, Undo};

/// The window's states `fullscreen` and `above`, asked of the window manager and read back.
#[derive(Debug)]
pub(super) struct FullscreenOnTop {
    window: Window,
    desktop: Option<Desktop>,
    /// Whether the window covered the display before it was locked: then it goes on doing so.
    was_fullscreen: bool,
}

impl FullscreenOnTop {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            desktop: None,
            was_fullscreen: false,
        }
    }

    fn desktop(&mut self) -> Result<&Desktop, MeasureError> {
        if self.desktop.is_none() {
            let desktop = Desktop::connect().map_err(|reason| MeasureError::Display { reason })?;
            self.desktop = Some(desktop);
        }
        self.desktop
            .as_ref()
            .ok_or_else(|| display(&"no connection"))
    }

    fn ask(&mut self, action: u32, fullscreen: bool) -> Result<(), MeasureError> {
        let window = self.window;
        let desktop = self.desktop()?;
        let atoms = &desktop.atoms;
        let second = if fullscreen {
            atoms._NET_WM_STATE_FULLSCREEN
        } else {
            NO_STATE
        };
        let data = [
            action,
            atoms._NET_WM_STATE_ABOVE,
            second,
            SOURCE_APPLICATION,
            0,
        ];
        let event = ClientMessageEvent::new(32, window, atoms._NET_WM_STATE, data);
        let mask = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
        desktop
            .conn
            .send_event(false, desktop.root, mask, event)
            .map_err(|error| display(&error))?;
        desktop.conn.flush().map_err(|error| display(&error))
    }

    fn in_force(&mut self) -> Result<bool, MeasureError> {
        let window = self.window;
        let desktop = self.desktop()?;
        let states = desktop.states(window).map_err(|error| display(&error))?;
        Ok(states.contains(&desktop.atoms._NET_WM_STATE_FULLSCREEN)
            && states.contains(&desktop.atoms._NET_WM_STATE_ABOVE))
    }
}

impl Measure for FullscreenOnTop {
    fn kind(&self) -> MeasureKind {
        MeasureKind::FullscreenOnTop
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        let window = self.window;
        let desktop = self.desktop()?;
        let states = desktop.states(window).map_err(|error| display(&error))?;
        self.was_fullscreen = states.contains(&desktop.atoms._NET_WM_STATE_FULLSCREEN);
        Ok(Undo::DiesWithProcess)
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        self.ask(STATE_ADD, true)?;
        let deadline = Instant::now() + CONFIRM_MAX;
        while !self.in_force()? {
            if Instant::now() >= deadline {
                return Err(MeasureError::Refused {
                    reason: "the window manager did not make the window fullscreen and topmost"
                        .to_owned(),
                });
            }
            sleep(CONFIRM_STEP);
        }
        Ok(())
    }

    fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
        self.ask(STATE_REMOVE, !self.was_fullscreen)
    }

    fn renew(&mut self) -> Result<bool, MeasureError> {
        if self.in_force()? {
            return Ok(false);
        }
        self.ask(STATE_ADD, true)?;
        Ok(true)
    }
}

const STATE_REMOVE: u32 = 0;
const STATE_ADD: u32 = 1;
const NO_STATE: u32 = 0;
const SOURCE_APPLICATION: u32 = 1;
/// How long the window manager may take until the measure counts as refused.
const CONFIRM_MAX: Duration = Duration::from_millis(500);
const CONFIRM_STEP: Duration = Duration::from_millis(10);
