//! Windows and macOS: cameras by nokhwa; raw pictures only, every conversion is ours.

use nokhwa::utils::{
    ApiBackend, CameraFormat, CameraIndex, FrameFormat, RequestedFormat, RequestedFormatType,
};
use nokhwa::{Camera, NokhwaError};

use super::Listed;
use crate::convert::{self, PixelFormat, Size};
use crate::device::{CameraConfig, VideoSource};
use crate::imp::camera_bus;
use crate::source::{LossCause, SourceDescription, SourceKind};

pub(super) fn listed() -> Result<Vec<Listed>, LossCause> {
    let mut cameras: Vec<_> = nokhwa::query(ApiBackend::Auto)
        .map_err(|error| cause_of(&error))?
        .into_iter()
        .map(|camera| Listed {
            id: camera.index().as_string(),
            name: camera.human_name(),
        })
        .collect();
    cameras.sort_by_key(|camera| (camera.id.parse::<u32>().ok(), camera.id.clone()));
    Ok(cameras)
}

/// An open camera.
pub(super) struct Device {
    camera: Camera,
    format: FrameFormat,
    size: Size,
    description: SourceDescription,
}

/// Opens a camera in the format that costs least, at the size closest to what is asked.
pub(super) fn open(config: &CameraConfig) -> Result<Device, LossCause> {
    let id = match &config.device {
        Some(id) => id.clone(),
        None => {
            super::cameras()?
                .into_iter()
                .next()
                .ok_or(LossCause::Missing)?
                .id
        }
    };
    let index = id
        .parse()
        .map_or_else(|_text| CameraIndex::String(id.clone()), CameraIndex::Index);
    let bus = camera_bus::of(&id);
    let any = RequestedFormat::with_formats(RequestedFormatType::None, &FORMATS);
    let mut camera = Camera::new(index, any).map_err(|error| cause_of(&error))?;
    let offered = camera
        .compatible_camera_formats()
        .map_err(|error| cause_of(&error))?;
    let chosen = choose(&offered, config)
        .ok_or_else(|| LossCause::unsupported("the camera offers no format that can be read"))?;
    if camera.camera_format() != chosen {
        let exact = RequestedFormat::with_formats(RequestedFormatType::Exact(chosen), &FORMATS);
        camera
            .set_camera_requset(exact)
            .map_err(|error| cause_of(&error))?;
    }
    camera.open_stream().map_err(|error| cause_of(&error))?;
    // What the driver really set counts, not what was asked.
    let format = camera.camera_format();
    let description = SourceDescription {
        kind: SourceKind::Device,
        driver: bus
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |bus| bus.driver.clone()),
        name: bus
            .as_ref()
            .map_or_else(|| camera.info().human_name(), |bus| bus.card.clone()),
        bus: bus.and_then(|bus| bus.bus),
        width: format.width() & !1,
        height: format.height() & !1,
        frames_per_s: format.frame_rate(),
        samples_per_s: 0,
    };
    Ok(Device {
        camera,
        format: format.format(),
        size: Size::packed(format.width(), format.height()),
        description,
    })
}

impl VideoSource for Device {
    fn next(&mut self, wanted: bool) -> Result<Option<Vec<u8>>, LossCause> {
        let bytes = self
            .camera
            .frame_raw()
            .map_err(|error| read_cause(&error))?;
        if !wanted {
            return Ok(None);
        }
        let format = match self.format {
            FrameFormat::YUYV => PixelFormat::Yuyv,
            FrameFormat::NV12 => PixelFormat::Nv12,
            FrameFormat::MJPEG => PixelFormat::Jpeg,
            FrameFormat::RAWRGB => PixelFormat::Rgb,
            FrameFormat::RAWBGR => PixelFormat::Bgr,
            FrameFormat::GRAY => PixelFormat::Grey,
        };
        convert::picture(format, &bytes, self.size)
    }

    fn description(&self) -> SourceDescription {
        self.description.clone()
    }
}

/// Picks the size closest to what is asked, then the rate, then the format that costs least.
fn choose(offered: &[CameraFormat], config: &CameraConfig) -> Option<CameraFormat> {
    offered
        .iter()
        .filter(|format| FORMATS.contains(&format.format()))
        .min_by_key(|format| {
            let size =
                format.width().abs_diff(config.width) + format.height().abs_diff(config.height);
            let slow = config.frames_per_s.saturating_sub(format.frame_rate());
            let work = FORMATS.iter().position(|known| *known == format.format());
            let fast = format.frame_rate().saturating_sub(config.frames_per_s);
            (size, slow, work, fast)
        })
        .copied()
}

fn cause_of(error: &NokhwaError) -> LossCause {
    LossCause::of_text(&error.to_string())
}

/// A camera that gave pictures and then fails is gone, whatever number its driver gives.
fn read_cause(error: &NokhwaError) -> LossCause {
    match cause_of(error) {
        LossCause::Denied => LossCause::Denied,
        LossCause::Missing
        | LossCause::Busy
        | LossCause::Unplugged
        | LossCause::Stalled
        | LossCause::Unsupported { .. } => LossCause::Unplugged,
    }
}

/// The formats that are read, the cheapest first.
const FORMATS: [FrameFormat; 6] = [
    FrameFormat::NV12,
    FrameFormat::YUYV,
    FrameFormat::RAWRGB,
    FrameFormat::RAWBGR,
    FrameFormat::MJPEG,
    FrameFormat::GRAY,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_size_wins_then_the_rate_then_the_work() {
        let offered = [
            CameraFormat::new_from(1920, 1080, FrameFormat::MJPEG, 30),
            CameraFormat::new_from(640, 480, FrameFormat::MJPEG, 30),
            CameraFormat::new_from(640, 480, FrameFormat::YUYV, 30),
            CameraFormat::new_from(640, 480, FrameFormat::NV12, 5),
        ];
        let config = CameraConfig {
            device: None,
            width: 640,
            height: 480,
            frames_per_s: 15,
        };
        assert_eq!(choose(&offered, &config), Some(offered[2]));
    }
}
