//! Displays.

use std::time::Duration;

use xcap::Monitor;
use xcap::image::RgbaImage;

use crate::handle::CaptureHandle;
use crate::imp::display;
use crate::source::{I420Frame, LossCause};
use crate::supervise::{self, Sink, Source};

/// A display that the system lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayDescription {
    /// Its name.
    pub name: String,
    /// Its left edge on the desktop, in pixels.
    pub x: i32,
    /// Its upper edge on the desktop, in pixels.
    pub y: i32,
    /// Its width in pixels.
    pub width: u32,
    /// Its height in pixels.
    pub height: u32,
    /// Whether the system calls it the primary one.
    pub primary: bool,
}

/// Returns the displays that the system lists, from left to right and top to bottom.
///
/// # Errors
///
/// [`LossCause`] if this system's displays cannot be read.
pub fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    display::readable()?;
    let mut displays = Vec::new();
    for monitor in Monitor::all().map_err(|error| cause_of(&error))? {
        displays.push(described(&monitor).map_err(|error| cause_of(&error))?);
    }
    displays.sort_by_key(|display| (display.x, display.y, display.name.clone()));
    Ok(displays)
}

/// Takes one picture of a display as it is now.
///
/// # Errors
///
/// [`LossCause`] if the display is gone or cannot be read.
pub fn still(display: &DisplayDescription) -> Result<RgbaImage, LossCause> {
    display::readable()?;
    let monitor = monitor_of(display)?;
    monitor.capture_image().map_err(|error| cause_of(&error))
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

/// Finds a display among those that are there: by name, or by place where names are not told.
pub(crate) fn monitor_of(display: &DisplayDescription) -> Result<Monitor, LossCause> {
    let monitors = Monitor::all().map_err(|error| cause_of(&error))?;
    monitors
        .into_iter()
        .find(|monitor| described(monitor).is_ok_and(|found| found.name == display.name))
        .ok_or(LossCause::Missing)
}

fn described(monitor: &Monitor) -> Result<DisplayDescription, xcap::XCapError> {
    Ok(DisplayDescription {
        name: monitor.name()?,
        x: monitor.x()?,
        y: monitor.y()?,
        width: monitor.width()?,
        height: monitor.height()?,
        primary: monitor.is_primary().unwrap_or(false),
    })
}

pub(crate) fn cause_of(error: &xcap::XCapError) -> LossCause {
    LossCause::of_text(&error.to_string())
}

/// Pictures that wait for a slow owner at most: of a 1080p display nine megabytes.
const FRAMES_MAX: usize = 3;
