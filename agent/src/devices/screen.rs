//! Holds a display against what the kiosk drew on it, twice a second.

use core::time::Duration;

use qorgan_agent_core::looking::Looking;
use qorgan_agent_core::sighting::Sighting;
use qorgan_capture::{I420Frame, PointerArea};
use qorgan_protocol::local::DrawnScreen;
use qorgan_protocol::time::Now;

use super::DeviceParts;

/// Compares one display.
#[derive(Debug)]
pub(super) struct ScreenCheck {
    looking: Looking,
    looked: Option<Now>,
    shown: Option<DrawnScreen>,
}

impl ScreenCheck {
    pub(super) fn new(parts: &DeviceParts) -> Self {
        Self {
            looking: Looking::watching(qorgan_detect::display_detectors(), parts.candidate.watch()),
            looked: None,
            shown: None,
        }
    }

    /// Takes a picture of the display; returns what to say.
    pub(super) fn show(
        &mut self,
        parts: &DeviceParts,
        frame: &I420Frame,
        now: Now,
    ) -> Vec<Sighting> {
        if !frame.unchanged {
            self.shown = None;
        }
        if self
            .looked
            .is_some_and(|looked| now.since(looked) < LOOK_EVERY)
        {
            return Vec::new();
        }
        let Some(drawn) = parts.board.drawn_lately(now) else {
            return Vec::new();
        };
        self.looked = Some(now);
        let shown = self.shown.get_or_insert_with(|| grid_of(frame));
        let shown = without_pointer(shown, &drawn, frame);
        let looked = self.looking.screen(now, &drawn, &shown);
        for error in &looked.failed {
            tracing::warn!(%error, "A display cannot be held against what was drawn");
        }
        looked.said
    }
}

/// Takes a plain pointer, which the kiosk does not draw, out of what is shown; one that could hold a
/// text stays and is held against what was drawn.
fn without_pointer(shown: &DrawnScreen, drawn: &DrawnScreen, frame: &I420Frame) -> DrawnScreen {
    let mut shown = shown.clone();
    let plain = |area: &PointerArea| area.width.max(area.height) <= POINTER_PIXELS_MAX;
    if let Some(area) = frame.pointer.filter(plain) {
        let columns = area.left..area.left + area.width;
        let rows = area.top..area.top + area.height;
        shown.take_from(drawn, columns, rows);
    }
    shown
}

fn grid_of(frame: &I420Frame) -> DrawnScreen {
    let [luma, _, _] = frame.yuv();
    DrawnScreen::of(frame.width, frame.height, |x, y| {
        let place = u64::from(y) * u64::from(frame.width) + u64::from(x);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        luma.get(place).copied().unwrap_or_default()
    })
}

/// A plain pointer on a dense display.
const POINTER_PIXELS_MAX: u32 = 64;
const LOOK_EVERY: Duration = Duration::from_millis(500);
