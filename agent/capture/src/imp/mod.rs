//! What differs between the systems: one facade a concern.

#[cfg(target_os = "linux")]
mod x11;

/// Cameras.
pub(crate) mod camera {
    #[cfg(target_os = "linux")]
    #[path = "linux.rs"]
    mod system;
    #[cfg(not(target_os = "linux"))]
    #[path = "other.rs"]
    mod system;

    use super::camera_bus;
    use crate::device::{CameraConfig, CameraDescription, VideoSource};
    use crate::source::LossCause;

    /// A camera's number and name.
    pub(crate) struct Listed {
        pub(crate) id: String,
        pub(crate) name: String,
    }

    /// Lists the cameras of the system.
    fn listed() -> Result<Vec<Listed>, LossCause> {
        system::listed()
    }

    /// Lists the cameras of the system, those that give no pictures left out.
    pub(crate) fn cameras() -> Result<Vec<CameraDescription>, LossCause> {
        let mut cameras = Vec::new();
        for camera in listed()? {
            let bus = camera_bus::of(&camera.id);
            if bus.as_ref().is_some_and(|bus| !bus.gives_pictures) {
                continue;
            }
            let (driver, bus) = bus.map_or((None, None), |bus| (Some(bus.driver), bus.bus));
            cameras.push(CameraDescription {
                id: camera.id,
                name: camera.name,
                driver,
                bus,
            });
        }
        Ok(cameras)
    }

    /// Opens a camera in the format that costs least, at the size closest to what is asked.
    pub(crate) fn open(config: &CameraConfig) -> Result<impl VideoSource, LossCause> {
        system::open(config)
    }
}

/// What a camera's driver says about itself.
pub(crate) mod camera_bus {
    #[cfg(target_os = "linux")]
    #[path = "linux.rs"]
    mod system;
    #[cfg(not(target_os = "linux"))]
    #[path = "other.rs"]
    mod system;

    /// What a camera's driver says about itself.
    #[derive(Debug, Clone, PartialEq, Eq)]
    pub(crate) struct CameraBus {
        pub(crate) driver: String,
        pub(crate) card: String,
        pub(crate) bus: Option<String>,
        pub(crate) gives_pictures: bool,
    }

    /// Asks the driver of a camera, where the system lets a program do that.
    pub(crate) fn of(id: &str) -> Option<CameraBus> {
        system::of(id)
    }
}

/// The stream of a display's pictures.
pub(crate) mod display {
    #[cfg(not(target_os = "linux"))]
    pub(crate) mod stills;
    #[cfg(target_os = "linux")]
    #[path = "linux.rs"]
    mod system;
    #[cfg(not(target_os = "linux"))]
    #[path = "other.rs"]
    mod system;

    use crate::device::DisplayDescription;
    use crate::source::{I420Frame, LossCause};
    use crate::supervise::Sink;

    /// Refuses a system whose displays cannot be read, with a reason for a person.
    pub(crate) fn readable() -> Result<(), LossCause> {
        system::readable()
    }

    /// Returns the areas that are recorded, one a display.
    pub(crate) fn displays() -> Result<Vec<DisplayDescription>, LossCause> {
        system::displays()
    }

    /// Gives a display's pictures to `sink` until it is closed or the display is lost.
    pub(crate) fn run(
        display: &DisplayDescription,
        frames_per_s: u32,
        sink: &Sink<I420Frame>,
    ) -> LossCause {
        system::run(display, frames_per_s, sink)
    }
}
