//! Linux: Video4Linux tells driver, card and bus.

use v4l::Device;
use v4l::capability::Flags;

use super::CameraBus;

pub(super) fn of(id: &str) -> Option<CameraBus> {
    let caps = Device::with_path(format!("/dev/video{id}"))
        .ok()?
        .query_caps()
        .ok()?;
    Some(CameraBus {
        driver: caps.driver,
        card: caps.card,
        bus: Some(caps.bus).filter(|bus| !bus.is_empty()),
        gives_pictures: caps.capabilities.contains(Flags::VIDEO_CAPTURE),
    })
}
