//! Files in, pictures and samples out, at real rate.
//!
//! Every source here calls itself [`SourceKind::Simulated`] with the driver `simulated`.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use image::imageops::FilterType;

use crate::convert::{self, Colours};
use crate::handle::CaptureHandle;
use crate::source::{I420Frame, LossCause, PcmBlock, SourceDescription, SourceKind};
use crate::supervise::{self, Sink, Source};

mod files;
#[cfg(test)]
mod tests;
use files::{Wav, Y4m};

/// What a simulated camera or display shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pictures {
    /// PNG or JPEG files, each shown for `each`, again and again.
    Stills {
        /// The files.
        paths: Vec<PathBuf>,
        /// How long each is shown.
        each: Duration,
    },
    /// An uncompressed `.y4m` film in 4:2:0, again and again.
    Film {
        /// The file.
        path: PathBuf,
    },
}

/// What is asked of a simulated camera or display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PicturesConfig {
    /// What it shows.
    pub pictures: Pictures,
    /// Width in pixels, even; stills are scaled to it, a film must have it.
    pub width: u32,
    /// Height in pixels, even; stills are scaled to it, a film must have it.
    pub height: u32,
    /// Pictures in a second.
    pub frames_per_s: u32,
}

/// Starts a simulated camera: stills get a slight grain, as a real sensor gives.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn camera(config: PicturesConfig) -> std::io::Result<CaptureHandle<I420Frame>> {
    supervise::start(Player {
        config,
        show: Show::Camera,
    })
}

/// Starts a simulated display: a still that stays is marked as unchanged.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn screen(config: PicturesConfig) -> std::io::Result<CaptureHandle<I420Frame>> {
    supervise::start(Player {
        config,
        show: Show::Screen,
    })
}

/// Starts a simulated microphone that plays a WAV file of 16-bit samples again and again.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn microphone(path: PathBuf) -> std::io::Result<CaptureHandle<PcmBlock>> {
    supervise::start(Speaker { path })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Show {
    Camera,
    Screen,
}

struct Player {
    config: PicturesConfig,
    show: Show,
}

impl Source for Player {
    type Sample = I420Frame;

    fn run(&self, sink: &Sink<I420Frame>) -> LossCause {
        match self.play(sink) {
            Ok(()) => LossCause::Stalled,
            Err(cause) => cause,
        }
    }

    fn label(&self) -> &'static str {
        match self.show {
            Show::Camera => "simulated-camera",
            Show::Screen => "simulated-screen",
        }
    }

    fn stall_limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn samples_max(&self) -> usize {
        4
    }
}

impl Player {
    fn play(&self, sink: &Sink<I420Frame>) -> Result<(), LossCause> {
        let PicturesConfig {
            width,
            height,
            frames_per_s,
            ..
        } = self.config;
        if width % 2 != 0 || height % 2 != 0 || width == 0 || height == 0 {
            return Err(LossCause::unsupported(
                "a simulated picture needs even sides",
            ));
        }
        let mut film = self.load()?;
        let description = SourceDescription {
            kind: SourceKind::Simulated,
            driver: DRIVER.to_owned(),
            name: self.label().to_owned(),
            bus: None,
            width,
            height,
            frames_per_s,
            samples_per_s: 0,
        };
        if !sink.opened(description) {
            return Ok(());
        }
        let period = Duration::from_secs(1) / frames_per_s.max(1);
        let began = Instant::now();
        let mut index = 0_u32;
        loop {
            let (planes, unchanged) = film.at(index, period)?;
            let captured_ns = crate::clock::now_ns();
            let frame = I420Frame {
                width,
                height,
                planes,
                captured_ns,
                unchanged,
                pointer: None,
            };
            if !sink.sample(frame) {
                return Ok(());
            }
            index = next_turn(index, began.elapsed(), period);
            thread::sleep((began + period * index).saturating_duration_since(Instant::now()));
        }
    }

    fn load(&self) -> Result<Film, LossCause> {
        let (width, height) = (self.config.width, self.config.height);
        match &self.config.pictures {
            Pictures::Film { path } => Y4m::open(path, width, height).map(Film::Moving),
            Pictures::Stills { paths, each } => {
                let stills = paths
                    .iter()
                    .map(|path| self.still(path))
                    .collect::<Result<Vec<_>, _>>()?;
                if stills.is_empty() {
                    return Err(LossCause::Missing);
                }
                let grain = self.show == Show::Camera;
                Ok(Film::Stills {
                    stills,
                    each: *each,
                    grain,
                    shown: None,
                })
            }
        }
    }

    fn still(&self, path: &PathBuf) -> Result<Arc<Vec<u8>>, LossCause> {
        let bytes = fs::read(path).map_err(|error| LossCause::of_text(&error.to_string()))?;
        let picture = image::load_from_memory(&bytes)
            .map_err(|error| LossCause::unsupported(format!("a still cannot be read: {error}")))?;
        let (width, height) = (self.config.width, self.config.height);
        let rgba = picture
            .resize_to_fill(width, height, FilterType::Triangle)
            .to_rgba8();
        let colours = match self.show {
            Show::Camera => Colours::Camera,
            Show::Screen => Colours::Screen,
        };
        convert::rgba(rgba.as_raw(), width * 4, (width, height), colours).map(Arc::new)
    }
}

enum Film {
    Moving(Y4m),
    Stills {
        stills: Vec<Arc<Vec<u8>>>,
        each: Duration,
        grain: bool,
        shown: Option<usize>,
    },
}

impl Film {
    /// Returns the picture with this number, and whether it equals the one before.
    fn at(&mut self, index: u32, period: Duration) -> Result<(Arc<Vec<u8>>, bool), LossCause> {
        match self {
            Self::Moving(film) => film.next().map(|planes| (Arc::new(planes), false)),
            Self::Stills {
                stills,
                each,
                grain,
                shown,
            } => {
                let since = period * index;
                let turn = since.as_nanos() / each.as_nanos().max(1);
                let number = usize::try_from(turn).unwrap_or(0) % stills.len();
                let unchanged = shown.replace(number) == Some(number);
                let still = stills.get(number).ok_or(LossCause::Missing)?;
                if *grain {
                    return Ok((Arc::new(grained(still, index)), false));
                }
                Ok((Arc::clone(still), unchanged))
            }
        }
    }
}

/// Adds at most one step of brightness to some pixels; the same number gives the same grain.
fn grained(picture: &[u8], number: u32) -> Vec<u8> {
    let mut state = number.wrapping_mul(2_654_435_761) | 1;
    let luma = picture.len() * 2 / 3;
    let mut out = picture.to_vec();
    for chunk in out.get_mut(..luma).unwrap_or_default().chunks_mut(8) {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        for (bit, pixel) in chunk.iter_mut().enumerate() {
            *pixel = pixel.saturating_add(u8::from(state & (1 << bit) != 0));
        }
    }
    out
}

struct Speaker {
    path: PathBuf,
}

impl Source for Speaker {
    type Sample = PcmBlock;

    fn run(&self, sink: &Sink<PcmBlock>) -> LossCause {
        match self.play(sink) {
            Ok(()) => LossCause::Stalled,
            Err(cause) => cause,
        }
    }

    fn label(&self) -> &'static str {
        "simulated-microphone"
    }

    fn stall_limit(&self) -> Duration {
        Duration::from_secs(30)
    }

    fn samples_max(&self) -> usize {
        100
    }
}

impl Speaker {
    fn play(&self, sink: &Sink<PcmBlock>) -> Result<(), LossCause> {
        let wav = Wav::open(&self.path)?;
        let description = SourceDescription {
            kind: SourceKind::Simulated,
            driver: DRIVER.to_owned(),
            name: self.label().to_owned(),
            bus: None,
            width: 0,
            height: 0,
            frames_per_s: 0,
            samples_per_s: wav.rate,
        };
        if !sink.opened(description) {
            return Ok(());
        }
        let began = Instant::now();
        let mut samples = wav.samples.iter().cycle().copied();
        let began_ns = crate::clock::now_ns();
        let mut blocks = 0_u32;
        let period = Duration::from_nanos(BLOCK_NS);
        loop {
            let block = samples.by_ref().take(BLOCK_SAMPLES).collect();
            let captured_ns = began_ns + u64::from(blocks) * BLOCK_NS;
            if !sink.sample(PcmBlock {
                samples: block,
                captured_ns,
            }) {
                return Ok(());
            }
            blocks = next_turn(blocks, began.elapsed(), period);
            thread::sleep((began + period * blocks).saturating_duration_since(Instant::now()));
        }
    }
}

/// Returns which turn comes after `turn`, `passed` after the first one.
///
/// A source that comes a little late makes up for it. One that stood still, because the whole
/// process was stopped or the machine slept, goes on from where a device would be: no device gives
/// in one burst what happened while nobody looked.
fn next_turn(turn: u32, passed: Duration, period: Duration) -> u32 {
    let next = turn.wrapping_add(1);
    let due = passed.as_nanos() / period.as_nanos().max(1);
    let due = u32::try_from(due).unwrap_or(u32::MAX);
    if due > next.saturating_add(LATE_TURNS_MAX) {
        due
    } else {
        next
    }
}

/// Turns that are made up for in one go; the queue before the owner holds more.
const LATE_TURNS_MAX: u32 = 2;
const DRIVER: &str = "simulated";
const BLOCK_SAMPLES: usize = 960;
const BLOCK_NS: u64 = 20_000_000;
