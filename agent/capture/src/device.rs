//! Cameras and displays as a system lists them and as it is asked for them.

use crate::source::{LossCause, SourceDescription};

/// A camera that the system lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraDescription {
    /// What [`CameraConfig::device`] takes.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its driver, where the system tells.
    pub driver: Option<String>,
    /// The bus that it hangs on, where the system tells.
    pub bus: Option<String>,
}

/// What is asked of a camera.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CameraConfig {
    /// The camera, or the first that the system lists.
    pub device: Option<String>,
    /// Width in pixels; the closest that the camera offers is taken.
    pub width: u32,
    /// Height in pixels; the closest that the camera offers is taken.
    pub height: u32,
    /// Pictures in a second; what a camera gives beyond that is left out before conversion.
    pub frames_per_s: u32,
}

/// Where a camera's pictures come from; a system's own interface stands behind it.
pub(crate) trait VideoSource {
    /// Waits for the next picture as the device gives it; nothing for a torn one.
    fn next(&mut self, wanted: bool) -> Result<Option<Vec<u8>>, LossCause>;

    /// Returns what the source says about itself.
    fn description(&self) -> SourceDescription;
}

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
