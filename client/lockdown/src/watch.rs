//! What a watch reports.

use std::time::Instant;

/// Something that the operating system showed, with the time at which it was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchEvent {
    /// When it was seen, by this machine's monotonic clock.
    pub at: Instant,
    /// What was seen.
    pub kind: WatchKind,
}

/// What a watch can see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchKind {
    /// Another window became the active one; `None` where no window is active at all.
    SwitchedAway {
        /// The window that is active.
        to: Option<WindowIdentity>,
    },
    /// The kiosk is the active window once more.
    SwitchedBack,
    /// A window appeared that was not there before.
    WindowOpened {
        /// The window.
        window: WindowIdentity,
    },
    /// Another window lies above the kiosk.
    WindowRaised {
        /// The window.
        window: WindowIdentity,
    },
    /// A window that no window manager looks after was shown, as overlays do.
    OverlayShown {
        /// The window.
        window: WindowIdentity,
    },
    /// Another program put something on the clipboard.
    ClipboardTaken,
    /// The machine shows another virtual terminal, or another session of the seat.
    TerminalLeft {
        /// Which.
        to: String,
    },
    /// The exam's own terminal is shown again.
    TerminalBack,
    /// Something was put into the kiosk's own process.
    Touched {
        /// What, in few words.
        what: String,
    },
    /// The watch lost its connection to the display server and sees nothing any more.
    Blind,
}

impl WatchKind {
    /// Returns the name that logs and reports use.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::SwitchedAway { .. } => "switched-away",
            Self::SwitchedBack => "switched-back",
            Self::WindowOpened { .. } => "window-opened",
            Self::WindowRaised { .. } => "window-raised",
            Self::OverlayShown { .. } => "overlay-shown",
            Self::ClipboardTaken => "clipboard-taken",
            Self::TerminalLeft { .. } => "terminal-left",
            Self::TerminalBack => "terminal-back",
            Self::Touched { .. } => "touched",
            Self::Blind => "blind",
        }
    }
}

/// Which program a window belongs to; its title is not read, for it may hold personal data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WindowIdentity {
    /// The window's class, as the program named it.
    pub class: Option<String>,
    /// The process, as the program claims it.
    pub pid: Option<u32>,
}

/// Why a watch could not begin.
#[derive(Debug, Clone, thiserror::Error, PartialEq, Eq)]
pub enum WatchError {
    /// This system has no such watch in this program.
    #[error("not available on this system yet: {reason}")]
    NotAvailable {
        /// What is missing.
        reason: &'static str,
    },
    /// The display server cannot be reached.
    #[error("the display server failed: {reason}")]
    Display {
        /// What went wrong.
        reason: String,
    },
}

/// A running watch; dropping it ends it.
#[derive(Debug)]
pub struct WatchHandle {
    stop: Option<Box<dyn Stop>>,
}

impl WatchHandle {
    /// Wraps what ends a watch.
    pub(crate) fn new(stop: impl Stop + 'static) -> Self {
        Self {
            stop: Some(Box::new(stop)),
        }
    }
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        if let Some(mut stop) = self.stop.take() {
            stop.stop();
        }
    }
}

/// Ends a watch and waits for its thread.
pub(crate) trait Stop: std::fmt::Debug + Send {
    /// Ends it.
    fn stop(&mut self);
}
