//! Displays.

use std::time::Duration;

use crate::handle::CaptureHandle;
use crate::imp::display;
use crate::source::{I420Frame, LossCause};
use crate::supervise::{self, Sink, Source};

pub use crate::device::DisplayDescription;

/// Returns what must be recorded so that no part of a display is left out, from left to right and top
/// to bottom.
///
/// On X11 these are the parts of the desktop that the server scans out, whatever monitors its clients
/// have defined.
///
/// # Errors
///
/// [`LossCause`] if this system's displays cannot be read.
pub fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    display::readable()?;
    let mut displays = display::displays()?;
    displays.sort_by_key(|display| (display.x, display.y, display.name.clone()));
    Ok(displays)
}

/// Starts the stream of a display.
///
/// The first picture comes at once. A picture that did not change is marked and costs next to
/// nothing. A display that is gone or has another size is lost and opened again under its name.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn start(
    display: DisplayDescription,
    frames_per_s: u32,
) -> std::io::Result<CaptureHandle<I420Frame>> {
    supervise::start(Screen {
        display,
        frames_per_s: frames_per_s.clamp(1, 30),
    })
}

struct Screen {
    display: DisplayDescription,
    frames_per_s: u32,
}

impl Source for Screen {
    type Sample = I420Frame;

    fn run(&self, sink: &Sink<I420Frame>) -> LossCause {
        match display::readable() {
            Ok(()) => display::run(&self.display, self.frames_per_s, sink),
            Err(cause) => cause,
        }
    }

    fn label(&self) -> &'static str {
        "screen"
    }

    fn stall_limit(&self) -> Duration {
        Duration::from_secs(5)
    }

    fn samples_max(&self) -> usize {
        FRAMES_MAX
    }
}

/// Pictures that wait for a slow owner at most: of a 1080p display nine megabytes.
const FRAMES_MAX: usize = 3;
