//! A build that plays no files: every source is the device itself.

use std::io;

use qorgan_capture::{CaptureHandle, I420Frame, PcmBlock};

use super::DeviceParts;
use crate::sources::Sources;

/// Returns nothing: the camera is the device.
pub(super) const fn camera(parts: &DeviceParts) -> Option<io::Result<CaptureHandle<I420Frame>>> {
    match parts.sources {
        Sources::Devices => None,
    }
}

/// Returns nothing: the display is the device.
pub(super) const fn screen(_parts: &DeviceParts) -> Option<io::Result<CaptureHandle<I420Frame>>> {
    None
}

/// Returns nothing: the microphone is the device.
pub(super) const fn microphone(
    _parts: &DeviceParts,
) -> Option<io::Result<CaptureHandle<PcmBlock>>> {
    None
}
