//! Opens the first camera and prints what happens, one line an event: for tests under a stand-in.

#![expect(clippy::print_stdout, reason = "the lines are what the test reads")]

use std::time::{Duration, Instant};

use qorgan_capture::camera::{self, CameraConfig};
use qorgan_capture::{CaptureEvent, I420Frame};

fn main() -> std::io::Result<()> {
    let argument = |index: usize| std::env::args().nth(index);
    let seconds = argument(1).and_then(|text| text.parse().ok()).unwrap_or(5);
    let frames_per_s = argument(2).and_then(|text| text.parse().ok()).unwrap_or(30);
    for camera in camera::list().unwrap_or_default() {
        println!("listed {} {:?} {:?}", camera.id, camera.driver, camera.bus);
    }
    let config = CameraConfig {
        device: None,
        width: 640,
        height: 480,
        frames_per_s,
    };
    let handle = camera::start(config)?;
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut frames, mut first_ns, mut last_ns) = (0_u64, 0, 0);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        match handle.recv_timeout(left) {
            Some(CaptureEvent::Opened(source)) => println!(
                "opened {:?} driver={} bus={} {}x{}",
                source.kind,
                source.driver,
                source.bus.unwrap_or_default(),
                source.width,
                source.height
            ),
            Some(CaptureEvent::Sample(frame)) => {
                if frames == 0 {
                    first_ns = frame.captured_ns;
                    println!("luma {}", mean_luma(&frame));
                }
                last_ns = frame.captured_ns;
                frames += 1;
            }
            Some(CaptureEvent::Lost(cause)) => println!("lost {cause:?}"),
            None => break,
        }
    }
    let span_ms = (last_ns - first_ns) / 1_000_000;
    let made = frames + handle.dropped();
    println!("frames {made} span_ms {span_ms}");
    Ok(())
}

fn mean_luma(frame: &I420Frame) -> u64 {
    let [y, _, _] = frame.yuv();
    let sum: u64 = y.iter().map(|value| u64::from(*value)).sum();
    sum / u64::try_from(y.len()).unwrap_or(1).max(1)
}
