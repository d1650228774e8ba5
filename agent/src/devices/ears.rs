//! A microphone's ears on a thread of their own: a slow model never holds up the recording.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use qorgan_detect::Listener;
use qorgan_protocol::time::Now;

use super::looking::Looking;
use super::{DeviceParts, spawn};
use crate::recorder::{Device, Input};

/// Plays sound to the ears.
#[derive(Debug)]
pub(super) struct Ears {
    blocks: SyncSender<(Vec<i16>, Now)>,
}

impl Ears {
    /// Opens the ears; they close when this is dropped.
    pub(super) fn open(parts: &DeviceParts) -> Self {
        let (blocks, heard) = sync_channel(BLOCKS_MAX);
        spawn(parts, "ears", move |parts| hear(&parts, &heard));
        Self { blocks }
    }

    /// Plays a block, or gives it up where the ears are far behind.
    pub(super) fn play(&self, samples: &[i16], now: Now) {
        // Full is a weak machine's way of hearing less; closed was said when it happened.
        let _behind = self.blocks.try_send((samples.to_vec(), now)).is_err();
    }
}

fn hear(parts: &DeviceParts, heard: &Receiver<(Vec<i16>, Now)>) {
    let mut looking = Looking::new(
        qorgan_detect::microphone_detectors(),
        parts.candidate.watch(),
    );
    let mut listener = Listener::load()
        .inspect_err(|error| tracing::error!(%error, "No voices are listened for"))
        .ok();
    for (samples, now) in heard {
        let mut said = looking.sound(now, &samples);
        match listener.as_mut().map(|listener| listener.hear(&samples)) {
            Some(Ok(Some(voices))) => said.extend(looking.voices(now, voices)),
            Some(Err(error)) => tracing::warn!(%error, "A second's voices cannot be told"),
            Some(Ok(None)) | None => {}
        }
        for sighting in said {
            let sighting = Box::new(sighting);
            if !parts.send(Input::Sighting(Some(Device::Microphone), sighting)) {
                return;
            }
        }
    }
}

/// Blocks that may wait: about two seconds of sound.
const BLOCKS_MAX: usize = 128;
