//! Cameras.

use std::time::Duration;

use crate::device::VideoSource;
use crate::handle::CaptureHandle;
use crate::imp::camera as device;
use crate::source::{I420Frame, LossCause};
use crate::supervise::{self, CAMERA_STALL, Sink, Source};

pub use crate::device::{CameraConfig, CameraDescription};

/// Returns the cameras that the system lists, those that give no pictures left out.
///
/// # Errors
///
/// [`LossCause`] if the system refuses to list them.
pub fn list() -> Result<Vec<CameraDescription>, LossCause> {
    device::cameras()
}

/// Starts a camera.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn start(config: CameraConfig) -> std::io::Result<CaptureHandle<I420Frame>> {
    supervise::start(Camera { config })
}

struct Camera {
    config: CameraConfig,
}

impl Source for Camera {
    type Sample = I420Frame;

    fn run(&self, sink: &Sink<I420Frame>) -> LossCause {
        match device::open(&self.config) {
            Ok(mut source) => pump(&mut source, self.config.frames_per_s, sink),
            Err(cause) => cause,
        }
    }

    fn label(&self) -> &'static str {
        "camera"
    }

    fn stall_limit(&self) -> Duration {
        CAMERA_STALL
    }

    fn samples_max(&self) -> usize {
        FRAMES_MAX
    }
}

/// Passes pictures on, at most as many a second as are asked for.
fn pump(source: &mut dyn VideoSource, frames_per_s: u32, sink: &Sink<I420Frame>) -> LossCause {
    let description = source.description();
    let (width, height) = (description.width, description.height);
    let mut pace = Pace::new(frames_per_s, description.frames_per_s);
    let mut opened = Some(description);
    loop {
        let planes = match source.next(pace.wants(crate::clock::now_ns())) {
            Ok(Some(planes)) => planes,
            Ok(None) => continue,
            Err(cause) => return cause,
        };
        let captured_ns = crate::clock::now_ns();
        pace.took(captured_ns);
        // A camera counts as open with its first picture: many open and then give nothing.
        if let Some(description) = opened.take()
            && !sink.opened(description)
        {
            return LossCause::Stalled;
        }
        let planes = std::sync::Arc::new(planes);
        let frame = I420Frame {
            width,
            height,
            planes,
            captured_ns,
            unchanged: false,
            pointer: None,
        };
        if !sink.sample(frame) {
            return LossCause::Stalled;
        }
    }
}

/// Picks pictures so that their average rate is what is asked, whatever the camera gives.
#[derive(Debug)]
struct Pace {
    period_ns: u64,
    due_ns: u64,
}

impl Pace {
    /// A camera that gives about what is asked is not thinned: its jitter would cost pictures.
    fn new(asked: u32, given: u32) -> Self {
        let thinned = given > asked.saturating_add(asked / 4);
        let period_ns = if thinned {
            1_000_000_000 / u64::from(asked.max(1))
        } else {
            0
        };
        Self {
            period_ns,
            due_ns: 0,
        }
    }

    /// Says whether a picture that comes about now is wanted; a quarter of a period early will do.
    const fn wants(&self, now_ns: u64) -> bool {
        now_ns + self.period_ns / 4 >= self.due_ns
    }

    fn took(&mut self, now_ns: u64) {
        let behind = now_ns.saturating_sub(self.due_ns) >= self.period_ns;
        self.due_ns = if behind { now_ns } else { self.due_ns } + self.period_ns;
    }
}

/// Pictures that wait for a slow owner at most: at 640x480 about two megabytes.
const FRAMES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_camera_is_thinned_to_the_rate_that_is_asked() {
        for (given, asked, expected) in [
            (30_u64, 15_u32, 150),
            (30, 10, 100),
            (15, 15, 150),
            (25, 10, 100),
        ] {
            let mut pace = Pace::new(asked, u32::try_from(given).expect("small"));
            let taken = (0..given * 10)
                .map(|n| 5_000_000_000 + n * 1_000_000_000 / given)
                .filter(|now| {
                    let wanted = pace.wants(*now);
                    if wanted {
                        pace.took(*now);
                    }
                    wanted
                })
                .count();
            assert!(
                taken.abs_diff(expected) <= 2,
                "{given} to {asked}: {taken} in ten seconds"
            );
        }
    }
}
