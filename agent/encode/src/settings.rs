//! How a video stream is encoded, and why it cannot be.

use std::time::Duration;

use thiserror::Error;

use crate::profile::{CameraSettings, Entropy, Rate, ScreenSettings};

/// What a stream shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// A camera.
    Camera,
    /// A display.
    Screen,
}

/// How one video stream is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VideoSettings {
    /// What the stream shows.
    pub content: Content,
    /// Picture width in pixels, even.
    pub width: u32,
    /// Picture height in pixels, even.
    pub height: u32,
    /// Frames in a second at most.
    pub frames_per_s: u32,
    /// What holds the bytes down.
    pub rate: Rate,
    /// How symbols are written.
    pub entropy: Entropy,
    /// The longest time between two key frames.
    pub key_interval: Duration,
}

impl VideoSettings {
    /// Returns the settings of a camera that gives pictures of this size.
    #[must_use]
    pub const fn camera(settings: &CameraSettings, width: u32, height: u32) -> Self {
        Self {
            content: Content::Camera,
            width,
            height,
            frames_per_s: settings.frames_per_s,
            rate: settings.rate,
            entropy: settings.entropy,
            key_interval: settings.key_interval,
        }
    }

    /// Returns the settings of a display of this size.
    #[must_use]
    pub const fn screen(settings: &ScreenSettings, width: u32, height: u32) -> Self {
        Self {
            content: Content::Screen,
            width,
            height,
            frames_per_s: settings.frames_per_s,
            rate: settings.rate,
            entropy: settings.entropy,
            key_interval: settings.key_interval,
        }
    }
}

/// Why a picture could not be encoded.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum EncodeError {
    /// A setting is out of the encoder's range.
    #[error("a setting is out of the encoder's range")]
    Settings,
    /// The library refused a call.
    #[error("openh264 refused `{call}` with {code}")]
    Library {
        /// What was asked.
        call: &'static str,
        /// What it answered.
        code: i32,
    },
    /// The encoder gave no usable parameter sets.
    #[error("openh264 gave no parameter sets")]
    NoParameterSets,
    /// The picture has another size than the stream: begin a new stream.
    #[error("a picture of {width}x{height} came into a stream of another size")]
    SizeChanged {
        /// Width of the picture.
        width: u32,
        /// Height of the picture.
        height: u32,
    },
    /// The picture is not later than the one before.
    #[error("a picture is not later than the one before")]
    TimeWentBack,
}
