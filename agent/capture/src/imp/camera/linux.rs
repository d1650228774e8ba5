//! Linux: cameras by Video4Linux; raw pictures, every conversion is ours.

use std::io;

use v4l::Device;
use v4l::buffer::Type;
use v4l::format::{Format, FourCC};
use v4l::frameinterval::FrameIntervalEnum;
use v4l::framesize::FrameSizeEnum;
use v4l::io::mmap::Stream;
use v4l::io::traits::CaptureStream as _;
use v4l::video::Capture as _;
use v4l::video::capture::Parameters;

use super::Listed;
use crate::convert::{self, PixelFormat, Size};
use crate::device::{CameraConfig, VideoSource};
use crate::imp::camera_bus;
use crate::source::{LossCause, SourceDescription, SourceKind};

pub(super) fn listed() -> Result<Vec<Listed>, LossCause> {
    let nodes = v4l::context::enum_devices();
    let mut cameras: Vec<_> = nodes
        .into_iter()
        .map(|node| Listed {
            id: node.index().to_string(),
            name: node.name().unwrap_or_default(),
        })
        .collect();
    cameras.sort_by_key(|camera| (camera.id.parse::<u32>().ok(), camera.id.clone()));
    Ok(cameras)
}

/// An open camera.
pub(super) struct Camera {
    // Ends before the device does.
    stream: Stream<'static>,
    _device: Device,
    format: PixelFormat,
    size: Size,
    description: SourceDescription,
}

/// One way in which a camera gives pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Offer {
    fourcc: [u8; 4],
    format: PixelFormat,
    width: u32,
    height: u32,
    frames_per_s: u32,
}

pub(super) fn open(config: &CameraConfig) -> Result<Camera, LossCause> {
    let id = match &config.device {
        Some(id) => id.clone(),
        None => {
            let first = super::cameras()?.into_iter().next();
            first.ok_or(LossCause::Missing)?.id
        }
    };
    let bus = camera_bus::of(&id);
    let device = Device::with_path(format!("/dev/video{id}")).map_err(|error| cause_of(&error))?;
    let chosen = choose(&offers(&device, config)?, config)
        .ok_or_else(|| LossCause::unsupported(no_format(&device)))?;
    let wanted = Format::new(chosen.width, chosen.height, FourCC::new(&chosen.fourcc));
    // What the driver really set counts, not what was asked.
    let set = device
        .set_format(&wanted)
        .map_err(|error| cause_of(&error))?;
    let format = PixelFormat::of_four_letters(&set.fourcc.repr)
        .ok_or_else(|| LossCause::unsupported(format!("pictures in {}", set.fourcc)))?;
    let rate = device.set_params(&Parameters::with_fps(chosen.frames_per_s));
    let frames_per_s = rate
        .ok()
        .map(|set| per_second(set.interval.numerator, set.interval.denominator))
        .filter(|rate| *rate > 0)
        .unwrap_or(chosen.frames_per_s);
    let stream = Stream::new(&device, Type::VideoCapture).map_err(|error| cause_of(&error))?;
    let description = SourceDescription {
        kind: SourceKind::Device,
        driver: bus
            .as_ref()
            .map_or_else(|| "unknown".to_owned(), |bus| bus.driver.clone()),
        name: bus
            .as_ref()
            .map_or_else(String::new, |bus| bus.card.clone()),
        bus: bus.and_then(|bus| bus.bus),
        width: set.width & !1,
        height: set.height & !1,
        frames_per_s,
        samples_per_s: 0,
    };
    Ok(Camera {
        stream,
        _device: device,
        format,
        size: Size {
            width: set.width,
            height: set.height,
            stride: set.stride,
        },
        description,
    })
}

impl VideoSource for Camera {
    fn next(&mut self, wanted: bool) -> Result<Option<Vec<u8>>, LossCause> {
        let (buffer, about) = self.stream.next().map_err(|error| read_cause(&error))?;
        if !wanted {
            return Ok(None);
        }
        let used = usize::try_from(about.bytesused).unwrap_or(usize::MAX);
        let bytes = buffer.get(..used).unwrap_or(buffer);
        convert::picture(self.format, bytes, self.size)
    }

    fn description(&self) -> SourceDescription {
        self.description.clone()
    }
}

/// Asks in which ways a camera gives pictures that can be read.
fn offers(device: &Device, config: &CameraConfig) -> Result<Vec<Offer>, LossCause> {
    let mut offers = Vec::new();
    for listed in device.enum_formats().map_err(|error| cause_of(&error))? {
        let fourcc = listed.fourcc;
        let Some(format) = PixelFormat::of_four_letters(&fourcc.repr) else {
            continue;
        };
        for (width, height) in sizes(device, fourcc, config) {
            let offer = |frames_per_s| Offer {
                fourcc: fourcc.repr,
                format,
                width,
                height,
                frames_per_s,
            };
            offers.extend(rates(device, fourcc, (width, height), config).map(offer));
        }
    }
    Ok(offers)
}

/// A driver that lists no sizes has the one that it is set to.
fn sizes(device: &Device, fourcc: FourCC, config: &CameraConfig) -> Vec<(u32, u32)> {
    let listed = device.enum_framesizes(fourcc).unwrap_or_default();
    let mut sizes: Vec<_> = listed
        .into_iter()
        .take(OFFERS_MAX)
        .map(|listed| match listed.size {
            FrameSizeEnum::Discrete(size) => (size.width, size.height),
            FrameSizeEnum::Stepwise(range) => (
                step(
                    config.width,
                    (range.min_width, range.max_width),
                    range.step_width,
                ),
                step(
                    config.height,
                    (range.min_height, range.max_height),
                    range.step_height,
                ),
            ),
        })
        .collect();
    if sizes.is_empty()
        && let Ok(set) = device.format()
    {
        sizes.push((set.width, set.height));
    }
    sizes
}

/// Returns the step of a range that lies closest below what is wanted, or its ends.
fn step(wanted: u32, (least, most): (u32, u32), step: u32) -> u32 {
    let held = wanted.clamp(least, most.max(least));
    let over = held - least;
    least + over - over % step.max(1)
}

/// A driver that lists no rates gives what it gives: it counts as what is asked.
fn rates(
    device: &Device,
    fourcc: FourCC,
    (width, height): (u32, u32),
    config: &CameraConfig,
) -> impl Iterator<Item = u32> {
    let listed = device.enum_frameintervals(fourcc, width, height);
    let mut rates: Vec<u32> = listed
        .unwrap_or_default()
        .into_iter()
        .take(OFFERS_MAX)
        .map(|listed| match listed.interval {
            FrameIntervalEnum::Discrete(each) => per_second(each.numerator, each.denominator),
            FrameIntervalEnum::Stepwise(range) => {
                let most = per_second(range.min.numerator, range.min.denominator);
                let least = per_second(range.max.numerator, range.max.denominator);
                config.frames_per_s.clamp(least.min(most), most.max(least))
            }
        })
        .collect();
    if rates.is_empty() {
        rates.push(config.frames_per_s);
    }
    rates.into_iter()
}

/// Returns pictures a second where each takes this fraction of one.
fn per_second(numerator: u32, denominator: u32) -> u32 {
    denominator.checked_div(numerator).unwrap_or(0)
}

/// Picks the size closest to what is asked, then the rate, then the format that costs least.
fn choose(offered: &[Offer], config: &CameraConfig) -> Option<Offer> {
    offered
        .iter()
        .min_by_key(|offer| {
            let size = offer.width.abs_diff(config.width) + offer.height.abs_diff(config.height);
            let slow = config.frames_per_s.saturating_sub(offer.frames_per_s);
            let work = PixelFormat::ALL
                .iter()
                .position(|known| *known == offer.format);
            let fast = offer.frames_per_s.saturating_sub(config.frames_per_s);
            (size, slow, work, fast)
        })
        .copied()
}

fn no_format(device: &Device) -> String {
    let listed = device.enum_formats().unwrap_or_default();
    let names: Vec<String> = listed
        .iter()
        .map(|format| format.fourcc.to_string())
        .collect();
    format!(
        "the camera offers no format that can be read, only {}",
        names.join(", ")
    )
}

fn cause_of(error: &io::Error) -> LossCause {
    LossCause::of_text(&error.to_string())
}

/// A camera that gave pictures and then fails is gone, whatever number its driver gives.
fn read_cause(error: &io::Error) -> LossCause {
    match cause_of(error) {
        LossCause::Denied => LossCause::Denied,
        LossCause::Missing
        | LossCause::Busy
        | LossCause::Unplugged
        | LossCause::Stalled
        | LossCause::Unsupported { .. } => LossCause::Unplugged,
    }
}

/// Sizes of a format, and rates of a size, that are looked at.
const OFFERS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closest_size_wins_then_the_rate_then_the_work() {
        let offer = |width, height, format, frames_per_s| Offer {
            fourcc: *b"TEST",
            format,
            width,
            height,
            frames_per_s,
        };
        let offered = [
            offer(1_920, 1_080, PixelFormat::Jpeg, 30),
            offer(640, 480, PixelFormat::Jpeg, 30),
            offer(640, 480, PixelFormat::Yuyv, 30),
            offer(640, 480, PixelFormat::Nv12, 5),
        ];
        assert_eq!(choose(&offered, &asked()), Some(offered[2]));
        assert_eq!(choose(&[], &asked()), None);
    }

    #[test]
    fn a_size_out_of_a_range_keeps_to_its_steps() {
        assert_eq!(step(640, (160, 1_920), 16), 640);
        assert_eq!(step(645, (160, 1_920), 16), 640);
        assert_eq!(step(100, (160, 1_920), 16), 160);
        assert_eq!(step(4_000, (160, 1_920), 0), 1_920);
    }

    #[test]
    fn an_interval_of_no_length_is_no_rate() {
        assert_eq!(per_second(1, 30), 30);
        assert_eq!(per_second(0, 30), 0);
    }

    fn asked() -> CameraConfig {
        CameraConfig {
            device: None,
            width: 640,
            height: 480,
            frames_per_s: 15,
        }
    }
}
