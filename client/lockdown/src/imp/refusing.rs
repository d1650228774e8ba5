//! A system whose measures are not built: compiles behind the seam and refuses with the reason that
//! the facade gives.

use super::REFUSED_BECAUSE as REASON;
use crate::{
    measure::{Measure, MeasureError, MeasureKind, Undo},
    watch::{WatchError, WatchEvent, WatchHandle},
};

/// The kiosk's window.
#[derive(Debug, Clone)]
pub struct WindowTarget {
    _private: (),
}

impl WindowTarget {
    /// Names the kiosk's window by the handle that the window library gives.
    ///
    /// # Errors
    /// Never fails on this system.
    pub fn from_handles<W>(_window: &W) -> Result<Self, MeasureError>
    where
        W: raw_window_handle::HasWindowHandle + raw_window_handle::HasDisplayHandle,
    {
        Ok(Self { _private: () })
    }
}

#[derive(Debug)]
struct NotBuilt(MeasureKind);

impl Measure for NotBuilt {
    fn kind(&self) -> MeasureKind {
        self.0
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }

    fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }
}

/// No layouts are read on this system yet.
#[derive(Debug)]
pub struct Layouts;

impl Layouts {
    /// Refuses: the system's own switch works while the kiosk is open.
    ///
    /// # Errors
    /// Always.
    pub const fn open() -> Result<Self, MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }

    /// Reads nothing.
    ///
    /// # Errors
    /// Always.
    pub const fn read(&self) -> Result<crate::layouts::Layout, MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }

    /// Switches nothing.
    ///
    /// # Errors
    /// Always.
    pub const fn switch(&self) -> Result<(), MeasureError> {
        Err(MeasureError::NotAvailable { reason: REASON })
    }
}

pub(crate) fn measures(_target: &WindowTarget) -> Vec<Box<dyn Measure>> {
    [
        MeasureKind::FullscreenOnTop,
        MeasureKind::KeyboardGrab,
        MeasureKind::ClipboardEmptied,
        MeasureKind::DisplayAwake,
    ]
    .into_iter()
    .map(|kind| -> Box<dyn Measure> { Box::new(NotBuilt(kind)) })
    .collect()
}

pub(crate) fn start_watch(
    _target: &WindowTarget,
    _notify: Box<dyn FnMut(WatchEvent) + Send>,
) -> Result<WatchHandle, WatchError> {
    Err(WatchError::NotAvailable { reason: REASON })
}

pub(crate) fn revert_leftover(_kind: MeasureKind, undo: &Undo) -> Result<(), MeasureError> {
    match undo {
        Undo::DiesWithProcess => Ok(()),
        Undo::ScreenBlanking { .. } => Err(MeasureError::NotAvailable { reason: REASON }),
    }
}
