//! A display's stream by stills of xcap: every system but Linux, at a higher price.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use xcap::Monitor;

use crate::convert::{self, Colours};
use crate::device::DisplayDescription;
use crate::source::{I420Frame, LossCause, SourceDescription, SourceKind};
use crate::supervise::Sink;

/// Returns the displays that the system lists.
pub(crate) fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
    let mut displays = Vec::new();
    for monitor in Monitor::all().map_err(|error| cause_of(&error))? {
        displays.push(described(&monitor).map_err(|error| cause_of(&error))?);
    }
    Ok(displays)
}

/// Gives a display's pictures to `sink` until it is closed or the display is lost.
pub(crate) fn run(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> LossCause {
    match pump(display, frames_per_s, sink) {
        Ok(()) => LossCause::Stalled,
        Err(cause) => cause,
    }
}

fn pump(
    display: &DisplayDescription,
    frames_per_s: u32,
    sink: &Sink<I420Frame>,
) -> Result<(), LossCause> {
    let monitor = monitor_of(display)?;
    let period = Duration::from_secs(1) / frames_per_s.max(1);
    let mut before: Option<(Vec<u8>, I420Frame)> = None;
    let mut size = None;
    loop {
        let began = Instant::now();
        let image = monitor.capture_image().map_err(|error| cause_of(&error))?;
        let captured_ns = crate::clock::now_ns();
        let (width, height) = (image.width() & !1, image.height() & !1);
        let stride = image.width() * 4;
        if *size.get_or_insert((width, height)) != (width, height) {
            return Err(LossCause::Unplugged);
        }
        let frame = match before.take() {
            Some((pixels, frame)) if pixels == *image.as_raw() => I420Frame {
                captured_ns,
                unchanged: true,
                ..frame
            },
            found => {
                if found.is_none()
                    && !sink.opened(description(display, width, height, frames_per_s))
                {
                    return Ok(());
                }
                let planes =
                    convert::rgba(image.as_raw(), stride, (width, height), Colours::Screen)?;
                I420Frame {
                    width,
                    height,
                    planes: Arc::new(planes),
                    captured_ns,
                    unchanged: false,
                    pointer: None,
                }
            }
        };
        before = Some((image.into_raw(), frame.clone()));
        if !sink.sample(frame) {
            return Ok(());
        }
        thread::sleep(period.saturating_sub(began.elapsed()));
    }
}

fn description(
    display: &DisplayDescription,
    width: u32,
    height: u32,
    frames_per_s: u32,
) -> SourceDescription {
    SourceDescription {
        kind: SourceKind::Device,
        driver: "xcap".to_owned(),
        name: display.name.clone(),
        bus: None,
        width,
        height,
        frames_per_s,
        samples_per_s: 0,
    }
}

/// Finds a display among those that are there by its name.
fn monitor_of(display: &DisplayDescription) -> Result<Monitor, LossCause> {
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

fn cause_of(error: &xcap::XCapError) -> LossCause {
    LossCause::of_text(&error.to_string())
}
