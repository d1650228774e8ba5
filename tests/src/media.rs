//! What stands in for devices: a person before the camera, sounds of a room.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, ensure};

use crate::catalogue::Catalogue;
use crate::places;
use crate::program::run;

/// The sample media, made once and kept in the target folder.
#[derive(Debug, Clone)]
pub struct Media {
    /// A person who moves a little, 640 by 480 at 15 frames a second, H.264.
    pub camera: PathBuf,
    /// The folder of the same as `camera.y4m`, for an agent that plays files.
    pub films: PathBuf,
    /// A quiet room in which somebody at times reads a line, mono, 48 kHz.
    pub microphone: PathBuf,
    /// The same voice, which reads aloud for ten seconds, mono, 22 kHz.
    pub reading: PathBuf,
}

/// Returns the portrait of the person before the camera, which set-up fetches.
///
/// # Errors
/// Fails where it is missing.
pub fn portrait() -> Result<PathBuf> {
    let portrait = places::folder("QORGAN_MEDIA", "qorgan-media").join("portrait.png");
    ensure!(
        portrait.is_file(),
        "{} is missing; `cargo demo` fetches it",
        portrait.display()
    );
    Ok(portrait)
}

impl Media {
    /// Makes what is missing.
    ///
    /// # Errors
    /// Fails where set-up has not fetched the portrait or a tool is missing.
    pub fn make() -> Result<Self> {
        let folder = places::folder("QORGAN_MEDIA", "qorgan-media");
        let portrait = portrait()?;
        let media = Self {
            camera: folder.join("camera.mp4"),
            films: folder.join("films"),
            microphone: folder.join("microphone.wav"),
            reading: folder.join("reading.wav"),
        };
        once(&media.camera, |part| make_camera(&portrait, part))?;
        fs::create_dir_all(&media.films)?;
        once(&media.films.join("camera.y4m"), |part| {
            make_film(&media.camera, part)
        })?;
        once(&media.microphone, |part| make_room(&folder, part))?;
        once(&media.reading, make_reading)?;
        Ok(media)
    }
}

/// Makes `file` under another name first, so that a cut run leaves no half of it.
fn once(file: &Path, make: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    if file.is_file() {
        return Ok(());
    }
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let part = file.with_file_name(format!("part-{}-{name}", std::process::id()));
    make(&part)?;
    Ok(fs::rename(&part, file)?)
}

/// Moves the portrait as a head moves, and adds a sensor's noise.
fn make_camera(portrait: &Path, to: &Path) -> Result<()> {
    let moves = "zoompan=z='1.12+0.02*sin(on/23)':x='iw/2-(iw/zoom/2)+9*sin(on/17)'\
                 :y='ih*0.05+6*sin(on/29)':d=1:s=640x480:fps=15,noise=alls=6:allf=t,format=yuv420p";
    let mut ffmpeg = ffmpeg();
    ffmpeg
        .args(["-loop", "1", "-framerate", "15", "-t", "20", "-i"])
        .arg(portrait);
    ffmpeg.args(["-vf", &format!("scale=1280:-1,crop=1280:960:0:0,{moves}")]);
    ffmpeg
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-g", "30", "-f", "mp4",
        ])
        .arg(to);
    run(&mut ffmpeg).map(drop)
}

fn make_film(camera: &Path, to: &Path) -> Result<()> {
    let mut ffmpeg = ffmpeg();
    ffmpeg.args(["-t", "10", "-i"]).arg(camera);
    ffmpeg
        .args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"])
        .arg(to);
    run(&mut ffmpeg).map(drop)
}

fn make_room(folder: &Path, to: &Path) -> Result<()> {
    let voice = folder.join(format!("voice-{}.wav", std::process::id()));
    speak("Бірінші сұрақ. Жүректің жиырылу жиілігі.", &voice)?;
    let mut ffmpeg = ffmpeg();
    ffmpeg.args([
        "-f",
        "lavfi",
        "-t",
        "40",
        "-i",
        "anoisesrc=color=brown:amplitude=0.02:r=48000",
    ]);
    ffmpeg.arg("-i").arg(&voice);
    ffmpeg.args([
        "-filter_complex",
        "[1]adelay=12000,volume=0.5,apad[v];[0][v]amix=duration=first",
    ]);
    ffmpeg
        .args(["-ac", "1", "-ar", "48000", "-c:a", "pcm_s16le", "-f", "wav"])
        .arg(to);
    let made = run(&mut ffmpeg).map(drop);
    fs::remove_file(&voice)?;
    made
}

fn make_reading(to: &Path) -> Result<()> {
    let words = Catalogue::read("kk")?.text("voice-text-2")?.to_owned();
    speak(&words, to)
}

/// Says words in the voice of the person before the camera.
fn speak(words: &str, to: &Path) -> Result<()> {
    let mut espeak = Command::new("espeak-ng");
    espeak.args(["-v", "kk", "-s", "130", "-w"]).arg(to);
    run(espeak.arg(words)).map(drop)
}

fn ffmpeg() -> Command {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y"]);
    ffmpeg
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_media_have_the_sizes_that_devices_have() {
        let media = Media::make().expect("set-up has fetched the portrait");

        let film = fs::metadata(media.films.join("camera.y4m"))
            .expect("it is there")
            .len();
        assert!(
            film > 640 * 480 * 3 / 2 * 150,
            "ten seconds at 15 frames a second"
        );
        assert!(media.camera.is_file() && media.microphone.is_file());
    }
}
