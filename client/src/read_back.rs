//! Tells the agent what the window shows, so that something over it is seen in the recording.
//!
//! # Invariants
//! * No frame is drawn for it: what is read back is a frame that is drawn anyway. egui's own way of
//!   asking draws two more, which costs more than the reading.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use egui::{
    ColorImage, Context, FullOutput, Plugin, ScreenshotCallback, ViewportCommand, ViewportId,
};
use qorgan_protocol::{
    local::{DrawnScreen, luma_of},
    time::Now,
};

use crate::effects::Drawn;

/// When to read a frame back.
#[derive(Debug)]
pub(crate) struct ReadBack {
    wanted: Arc<AtomicBool>,
    asked: Option<Now>,
    /// Whether something else than a clock was drawn since.
    anew: bool,
}

impl ReadBack {
    /// Has what is read back told to `drawn`.
    pub(crate) fn start(ctx: &Context, drawn: Drawn) -> Self {
        let wanted = Arc::new(AtomicBool::new(false));
        ctx.add_plugin(Asks {
            wanted: Arc::clone(&wanted),
            drawn,
        });
        Self {
            wanted,
            asked: None,
            anew: false,
        }
    }

    /// Something else than a clock was drawn.
    pub(crate) const fn drew_anew(&mut self) {
        self.anew = true;
    }

    /// Has the next frame read back where it is time to.
    pub(crate) fn look(&mut self, now: Now) {
        let every = if self.anew { ANEW_AFTER } else { EVERY };
        if self.asked.is_none_or(|asked| now.since(asked) >= every) {
            self.asked = Some(now);
            self.anew = false;
            self.wanted.store(true, Ordering::Relaxed);
        }
    }
}

/// Puts the wish among what a frame asks of the window, which has no other frame drawn for it.
struct Asks {
    wanted: Arc<AtomicBool>,
    drawn: Drawn,
}

impl Plugin for Asks {
    fn debug_name(&self) -> &'static str {
        "read-back"
    }

    fn output_hook(&mut self, _ctx: &Context, output: &mut FullOutput) {
        let Some(window) = output.viewport_output.get_mut(&ViewportId::ROOT) else {
            return;
        };
        if self.wanted.swap(false, Ordering::Relaxed) {
            let drawn = self.drawn.clone();
            let tell = move |image: Arc<ColorImage>| {
                if let Some(screen) = grid_of(&image) {
                    drawn.tell(screen);
                }
            };
            let command = ViewportCommand::Screenshot(ScreenshotCallback::new(tell));
            window.commands.push(command);
        }
    }
}

fn grid_of(image: &ColorImage) -> Option<DrawnScreen> {
    let [columns, rows] = image.size;
    let (width, height) = (u32::try_from(columns).ok()?, u32::try_from(rows).ok()?);
    Some(DrawnScreen::of(width, height, |x, y| {
        let place = u64::from(y) * u64::from(width) + u64::from(x);
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let pixel = image.pixels.get(place).copied().unwrap_or_default();
        luma_of([pixel.r(), pixel.g(), pixel.b()])
    }))
}

/// With the second until the next frame well within the four that the agent takes a picture for.
const EVERY: Duration = Duration::from_millis(1_500);
/// What is new is told sooner, so that the agent takes it for nothing that lies over the exam.
const ANEW_AFTER: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_read_back_now_and_then_sooner_where_it_is_new_and_none_is_drawn_for_it() {
        let ctx = Context::default();
        let mut read_back = ReadBack::start(&ctx, Drawn::nobody());
        let reads = |read_back: &mut ReadBack, ms| {
            read_back.look(Now::from_origin(Duration::from_millis(ms)));
            asks(&ctx)
        };
        asks(&ctx);
        asks(&ctx);
        assert!(reads(&mut read_back, 0));
        assert!(!reads(&mut read_back, 1_499));
        assert!(reads(&mut read_back, 1_500));
        read_back.drew_anew();
        assert!(!reads(&mut read_back, 1_999));
        assert!(reads(&mut read_back, 2_000));
        assert!(!reads(&mut read_back, 3_000), "nothing is new any more");
    }

    /// Draws an empty frame, which must ask for no other one; tells whether it has one read back.
    fn asks(ctx: &Context) -> bool {
        let mut output = ctx.run_ui(egui::RawInput::default(), |_ui| {});
        output.textures_delta.clear();
        let window = &output.viewport_output[&ViewportId::ROOT];
        let reads = |command: &ViewportCommand| matches!(command, ViewportCommand::Screenshot(_));
        let asked = window.commands.iter().any(reads);
        if asked {
            assert!(window.repaint_delay > Duration::from_secs(60), "drawn anew");
        }
        asked
    }

    #[test]
    fn a_picture_of_one_grey_is_a_grid_of_one_grey() {
        let image = ColorImage::filled([192, 108], egui::Color32::from_gray(90));
        let grid = grid_of(&image).expect("a grid");
        let tiles = grid.tiles().expect("whole");
        assert!(tiles.iter().all(|&tile| tile == luma_of([90; 3])));
    }
}
