//! What ffmpeg with x264 veryfast costs for the same.

use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::machine::Row;
use crate::material::{Material, SECONDS};
use crate::parts::{SCROLL_ROWS, WATCHED};
use crate::server::Server;

/// Camera and sound: YUYV to H.264, samples to Opus, into fragments.
pub(crate) fn camera(material: &Material) -> Result<Row> {
    let mut command = Command::new("ffmpeg");
    command
        .args([
            "-f",
            "rawvideo",
            "-pix_fmt",
            "yuyv422",
            "-video_size",
            "640x480",
            "-framerate",
            "15",
        ])
        .arg("-i")
        .arg(material.path("yuyv"))
        .args(["-f", "s16le", "-ar", "48000", "-ac", "1", "-i"])
        .arg(material.path("sound"))
        .args([
            "-b:v", "300k", "-pix_fmt", "yuv420p", "-g", "30", "-c:a", "libopus", "-b:a", "24k",
        ]);
    let busy = run(&mut command, &mut || Ok(()))?;
    Ok(Row::new(
        "camera and sound: x264 at 300 kbit/s, opus",
        busy,
        Duration::from_secs(SECONDS.into()),
    ))
}

/// The display by x11grab.
pub(crate) fn screen(server: &Server, material: &Material, scrolls: bool) -> Result<Row> {
    let seconds = WATCHED.as_secs().to_string();
    let mut command = Command::new("ffmpeg");
    command
        .args([
            "-f",
            "x11grab",
            "-framerate",
            "5",
            "-video_size",
            "1920x1080",
            "-draw_mouse",
            "0",
        ])
        .args(["-i", &server.name, "-t", &seconds])
        .args(["-crf", "28", "-pix_fmt", "yuv420p", "-g", "50"]);
    let mut rows = 0;
    let busy = run(&mut command, &mut || {
        if scrolls {
            rows += SCROLL_ROWS;
            server.paint(&material.pages[0], rows)?;
        }
        Ok(())
    })?;
    Ok(Row::new("screen: x11grab, x264 at CRF 28", busy, WATCHED))
}

/// Runs ffmpeg, calls `meanwhile` five times a second, and returns ffmpeg's time on a core.
fn run(command: &mut Command, meanwhile: &mut dyn FnMut() -> Result<()>) -> Result<Duration> {
    let mut child = command
        .args([
            "-c:v",
            "libx264",
            "-preset",
            "veryfast",
            "-threads",
            "1",
            "-benchmark",
        ])
        .args([
            "-movflags",
            "frag_keyframe+empty_moov",
            "-f",
            "mp4",
            "-y",
            "/dev/null",
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("ffmpeg is needed")?;
    while child.try_wait()?.is_none() {
        meanwhile()?;
        thread::sleep(Duration::from_millis(200));
    }
    let output = child.wait_with_output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "ffmpeg: {text}");
    let seconds = |name: &str| -> Result<f64> {
        let (_, rest) = text.rsplit_once(name).with_context(|| name.to_owned())?;
        Ok(rest.split('s').next().context("a number")?.parse()?)
    };
    Ok(Duration::from_secs_f64(
        seconds("utime=")? + seconds("stime=")?,
    ))
}
