//! One camera or display: encode, show to the eyes, and make small pictures.

use core::time::Duration;

use qorgan_agent_core::sighting::Sighting;
use qorgan_agent_core::virtual_camera::virtual_camera_reason;
use qorgan_capture::{CaptureEvent, CaptureHandle, I420Frame, SourceDescription};
use qorgan_encode::{I420Ref, MediaTime, VideoEncoder, VideoLayout, VideoSettings};
use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::limits::DOCUMENT_BYTES_MAX;
use qorgan_protocol::time::Now;

use super::DeviceParts;
use super::eyes::Eyes;
use super::images::{Colours, jpeg, small_jpeg};
use super::screen::ScreenCheck;
use crate::clock;
use crate::recorder::{Device, Input};

/// Runs one device until the recording ends.
pub(super) fn run(parts: &DeviceParts, device: Device, handle: &CaptureHandle<I420Frame>) {
    let mut worker = Worker {
        parts,
        device,
        encoder: None,
        stale: true,
        thumbnail_at: None,
        preview_at: None,
        eyes: match device {
            Device::Camera => Some(Eyes::open(parts, device)),
            Device::Microphone | Device::Screen(_) => None,
        },
        screen: match device {
            Device::Screen(_) => Some(ScreenCheck::new(parts)),
            Device::Camera | Device::Microphone => None,
        },
    };
    while !parts.controls.is_stopped() {
        let goes_on = match handle.recv_timeout(STOP_LOOK) {
            Some(CaptureEvent::Opened(description)) => worker.opened(&description),
            Some(CaptureEvent::Sample(frame)) => worker.frame(&frame),
            Some(CaptureEvent::Lost(cause)) => {
                worker.encoder = None;
                parts.lost(device, &cause)
            }
            None => true,
        };
        if !goes_on {
            return;
        }
    }
    if handle.dropped() > 0 {
        tracing::warn!(
            ?device,
            dropped = handle.dropped(),
            "Pictures were given up"
        );
    }
}

struct Worker<'a> {
    parts: &'a DeviceParts,
    device: Device,
    encoder: Option<VideoEncoder>,
    /// Whether the newest picture is not yet in the stream.
    stale: bool,
    thumbnail_at: Option<Now>,
    preview_at: Option<Now>,
    eyes: Option<Eyes>,
    screen: Option<ScreenCheck>,
}

impl Worker<'_> {
    fn opened(&mut self, description: &SourceDescription) -> bool {
        // A device that came back begins with a key frame of a fresh encoder.
        self.encoder = None;
        if self.device == Device::Camera {
            let bus = description.bus.as_deref().unwrap_or_default();
            if let Some(reason) = virtual_camera_reason(&description.name, &description.driver, bus)
            {
                let sighting = Sighting::fact(
                    IncidentKind::VirtualCamera,
                    Edge::Moment,
                    clock::now(),
                    "virtual-camera/1",
                    reason,
                );
                self.parts
                    .send(Input::Sighting(Some(self.device), Box::new(sighting)));
            }
        }
        self.parts.opened(self.device, description)
    }

    fn frame(&mut self, frame: &I420Frame) -> bool {
        let now = clock::captured(frame.captured_ns);
        let goes_on = self.record(frame, now);
        if let Some(lapse) = self.eyes.as_ref().and_then(|eyes| eyes.show(frame, now)) {
            self.parts
                .send(Input::Sighting(Some(self.device), Box::new(lapse)));
        }
        if let Some(screen) = &mut self.screen {
            for sighting in screen.show(self.parts, frame, now) {
                self.parts
                    .send(Input::Sighting(Some(self.device), Box::new(sighting)));
            }
        }
        self.small_pictures(frame, now);
        self.still(frame);
        goes_on
    }

    fn record(&mut self, frame: &I420Frame, now: Now) -> bool {
        let forced = self.parts.controls.take_key(self.device);
        self.stale |= !frame.unchanged;
        if self.encoder.is_none() && !self.open_encoder(frame) {
            return self.parts.send(Input::Seen(self.device, now));
        }
        if !self.stale && !forced {
            return self.parts.send(Input::Seen(self.device, now));
        }
        let Ok(picture) = I420Ref::tight(frame.width, frame.height, &frame.planes) else {
            return true;
        };
        let Some(encoder) = &mut self.encoder else {
            return true;
        };
        let at = MediaTime::from_nanos(frame.captured_ns);
        match encoder.encode(&picture, at, forced) {
            Ok(Some(encoded)) => {
                self.stale = false;
                self.parts.send(Input::Video(self.device, encoded))
            }
            Ok(None) => {
                // The budget is spent: the picture comes a little later.
                self.stale = true;
                self.parts.send(Input::Seen(self.device, now))
            }
            Err(error) => {
                tracing::warn!(device = ?self.device, %error, "A picture cannot be encoded");
                self.encoder = None;
                self.stale = true;
                true
            }
        }
    }

    fn open_encoder(&mut self, frame: &I420Frame) -> bool {
        let profile = self.parts.profile;
        let settings = match self.device {
            Device::Screen(_) => VideoSettings::screen(&profile.screen, frame.width, frame.height),
            Device::Camera | Device::Microphone => {
                VideoSettings::camera(&profile.camera, frame.width, frame.height)
            }
        };
        let encoder = match VideoEncoder::new(settings) {
            Ok(encoder) => encoder,
            Err(error) => {
                tracing::error!(device = ?self.device, %error, "No encoder opens");
                return false;
            }
        };
        let layout = VideoLayout {
            width: frame.width,
            height: frame.height,
            sets: encoder.parameter_sets().clone(),
        };
        let interval = Duration::from_secs(1) / settings.frames_per_s.max(1);
        self.encoder = Some(encoder);
        self.stale = true;
        self.parts
            .send(Input::Layout(self.device, Box::new(layout), interval))
    }

    fn small_pictures(&mut self, frame: &I420Frame, now: Now) {
        let settings = &self.parts.profile.thumbnail;
        if is_due(self.thumbnail_at, now, settings.period) {
            self.thumbnail_at = Some(now);
            self.small_picture(frame, settings.width, settings.jpeg_quality, false);
        }
        if self.parts.board.preview_wanted() && is_due(self.preview_at, now, PREVIEW_EVERY) {
            self.preview_at = Some(now);
            self.small_picture(frame, PREVIEW_WIDTH, PREVIEW_QUALITY, true);
        }
    }

    /// Gives the client one picture as the camera sees it, where it asked (a document).
    fn still(&self, frame: &I420Frame) {
        if self.device != Device::Camera || !self.parts.board.take_still_wish() {
            return;
        }
        let jpeg = STILL_QUALITIES.iter().find_map(|quality| {
            jpeg(frame, STILL_WIDTH, *quality, Colours::Camera)
                .ok()
                .filter(|jpeg| jpeg.len() <= DOCUMENT_BYTES_MAX)
        });
        match jpeg {
            Some(jpeg) => self.parts.board.still(jpeg),
            None => tracing::warn!("A picture of the camera cannot be written"),
        }
    }

    fn small_picture(&self, frame: &I420Frame, width: u32, quality: u8, preview: bool) {
        let colours = match self.device {
            Device::Screen(_) => Colours::Screen,
            Device::Camera | Device::Microphone => Colours::Camera,
        };
        match small_jpeg(frame, width, quality, colours) {
            Ok(jpeg) => {
                self.parts.send(Input::Picture {
                    device: self.device,
                    jpeg,
                    preview,
                });
            }
            Err(error) => tracing::debug!(%error, "A small picture cannot be written"),
        }
    }
}

fn is_due(last: Option<Now>, now: Now, period: Duration) -> bool {
    last.is_none_or(|last| now.since(last) >= period)
}

const STOP_LOOK: Duration = Duration::from_millis(200);
const PREVIEW_EVERY: Duration = Duration::from_millis(450);
const PREVIEW_WIDTH: u32 = 320;
const PREVIEW_QUALITY: u8 = 70;
/// A document's picture is as wide as the camera's, within reason.
const STILL_WIDTH: u32 = 1_280;
/// The best that fits the bound is taken.
const STILL_QUALITIES: [u8; 3] = [92, 80, 60];
