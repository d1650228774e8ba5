//! The microphone: encode, look, and tell how loud it is.

use core::time::Duration;

use qorgan_agent_core::sighting::Sighting;
use qorgan_capture::{CaptureEvent, CaptureHandle, PcmBlock, SourceDescription};
use qorgan_encode::{AudioEncoder, MediaTime};
use qorgan_protocol::attempt::MachineRule;
use qorgan_protocol::incident::{Edge, IncidentKind};
use qorgan_protocol::time::Now;

use super::DeviceParts;
use super::ears::Ears;
use crate::clock;
use crate::recorder::{Device, Input};

/// Runs the microphone until the recording ends.
pub(super) fn run(parts: &DeviceParts, handle: &CaptureHandle<PcmBlock>) {
    let mut worker = Worker {
        parts,
        encoder: None,
        ears: Ears::open(parts),
        name: None,
        loud: Vec::new(),
        level_at: None,
    };
    while !parts.controls.is_stopped() {
        let goes_on = match handle.recv_timeout(STOP_LOOK) {
            Some(CaptureEvent::Opened(description)) => worker.opened(&description),
            Some(CaptureEvent::Sample(block)) => worker.block(&block),
            Some(CaptureEvent::Lost(cause)) => parts.lost(Device::Microphone, &cause),
            None => true,
        };
        if !goes_on {
            return;
        }
    }
}

struct Worker<'a> {
    parts: &'a DeviceParts,
    encoder: Option<AudioEncoder>,
    ears: Ears,
    name: Option<String>,
    loud: Vec<i16>,
    level_at: Option<Now>,
}

impl Worker<'_> {
    fn opened(&mut self, description: &SourceDescription) -> bool {
        let before = self.name.replace(description.name.clone());
        if before.is_some_and(|before| before != description.name) {
            let sighting = Sighting::fact(
                IncidentKind::MicrophoneChanged,
                Edge::Moment,
                clock::now(),
                "microphone/1",
                format!("now {}", description.name),
            );
            self.see(sighting);
        }
        if self.parts.monitor_microphone == MachineRule::ProctorDecides
            && qorgan_capture::microphone::is_monitor(&description.name)
        {
            let sighting = Sighting::fact(
                IncidentKind::VirtualMicrophone,
                Edge::Moment,
                clock::now(),
                "microphone/1",
                description.name.clone(),
            );
            self.see(sighting);
        }
        self.parts.opened(Device::Microphone, description)
    }

    fn block(&mut self, block: &PcmBlock) -> bool {
        let now = clock::captured(block.captured_ns);
        if let Some(lapse) = self.ears.play(&block.samples, now) {
            self.see(lapse);
        }
        self.level(now, &block.samples);
        if self.encoder.is_none() {
            match AudioEncoder::new(&self.parts.profile.sound) {
                Ok(encoder) => self.encoder = Some(encoder),
                Err(error) => tracing::error!(%error, "No sound encoder opens"),
            }
        }
        let Some(encoder) = &mut self.encoder else {
            return false;
        };
        let at = MediaTime::from_nanos(block.captured_ns);
        match encoder.push(&block.samples, at) {
            Ok(packets) if packets.is_empty() => true,
            Ok(packets) => self.parts.send(Input::Sound(packets)),
            Err(error) => {
                tracing::warn!(%error, "Sound cannot be encoded");
                self.encoder = None;
                true
            }
        }
    }

    fn level(&mut self, now: Now, samples: &[i16]) {
        self.loud.extend_from_slice(samples);
        if self
            .level_at
            .is_some_and(|last| now.since(last) < LEVEL_EVERY)
        {
            return;
        }
        self.level_at = Some(now);
        let level = qorgan_detect::level_percent(&core::mem::take(&mut self.loud));
        self.parts.send(Input::Level(level));
    }

    fn see(&self, sighting: Sighting) {
        self.parts.send(Input::Sighting(
            Some(Device::Microphone),
            Box::new(sighting),
        ));
    }
}

const STOP_LOOK: Duration = Duration::from_millis(200);
const LEVEL_EVERY: Duration = Duration::from_millis(250);
