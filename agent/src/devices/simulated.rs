//! Files in place of devices: `camera.y4m`, `camera*.png|jpg` or `portrait.png`, any `.wav`, and
//! `screen*.png`. What the folder lacks comes from the real device.

use core::time::Duration;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use qorgan_capture::simulated::{self, Pictures, PicturesConfig};
use qorgan_capture::{CaptureHandle, I420Frame, PcmBlock};

use super::DeviceParts;
use crate::sources::Sources;

/// Starts the folder's camera, where it has one.
pub(super) fn camera(parts: &DeviceParts) -> Option<io::Result<CaptureHandle<I420Frame>>> {
    let folder = folder(parts)?;
    let film = folder.join("camera.y4m");
    let pictures = if film.is_file() {
        Pictures::Film { path: film }
    } else {
        let stills = files(folder, |name| {
            (name.starts_with("camera") || name.starts_with("portrait")) && is_still(name)
        });
        still_pictures(stills, CAMERA_STILL)?
    };
    let settings = &parts.profile.camera;
    Some(simulated::camera(PicturesConfig {
        pictures,
        width: settings.width,
        height: settings.height,
        frames_per_s: settings.frames_per_s,
    }))
}

/// Starts the folder's display, where it has one.
pub(super) fn screen(parts: &DeviceParts) -> Option<io::Result<CaptureHandle<I420Frame>>> {
    let stills = files(folder(parts)?, |name| {
        name.starts_with("screen") && is_still(name)
    });
    let pictures = still_pictures(stills, SCREEN_STILL)?;
    Some(simulated::screen(PicturesConfig {
        pictures,
        width: 1_920,
        height: 1_080,
        frames_per_s: parts.profile.screen.frames_per_s,
    }))
}

/// Starts the folder's microphone, where it has one.
pub(super) fn microphone(parts: &DeviceParts) -> Option<io::Result<CaptureHandle<PcmBlock>>> {
    let sounds = files(folder(parts)?, |name| name.ends_with(".wav"));
    sounds.into_iter().next().map(simulated::microphone)
}

fn folder(parts: &DeviceParts) -> Option<&Path> {
    match &parts.sources {
        Sources::Devices => None,
        Sources::Simulated(folder) => Some(folder),
    }
}

fn still_pictures(paths: Vec<PathBuf>, each: Duration) -> Option<Pictures> {
    (!paths.is_empty()).then_some(Pictures::Stills { paths, each })
}

fn is_still(name: &str) -> bool {
    [".png", ".jpg", ".jpeg"]
        .iter()
        .any(|suffix| name.ends_with(suffix))
}

fn files(folder: &Path, fits: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(&fits) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    paths
}

const CAMERA_STILL: Duration = Duration::from_secs(3_600);
const SCREEN_STILL: Duration = Duration::from_secs(5);
