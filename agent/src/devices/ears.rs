//! A microphone's ears on a thread of their own: a slow model never holds up the recording.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use qorgan_agent_core::sighting::Sighting;
use qorgan_agent_core::vigil::Vigil;
use qorgan_detect::Listener;
use qorgan_protocol::time::Now;

use super::looking::{Looking, SharedVigil};
use super::voice::Enrolment;
use super::{DeviceParts, spawn};
use crate::clock;
use crate::recorder::{Device, Input};

/// Plays sound to the ears.
#[derive(Debug)]
pub(super) struct Ears {
    blocks: SyncSender<(Vec<i16>, Now)>,
    vigil: SharedVigil,
}

impl Ears {
    /// Opens the ears; they close when this is dropped.
    pub(super) fn open(parts: &DeviceParts) -> Self {
        let (blocks, heard) = sync_channel(BLOCKS_MAX);
        let vigil = SharedVigil::new(Vigil::of_ears());
        let own = vigil.clone();
        spawn(parts, "ears", move |parts| hear(&parts, &heard, &own));
        Self { blocks, vigil }
    }

    /// Plays a block, or gives it up where the ears are far behind; returns what to say of ears that
    /// do not keep up, or are no more.
    pub(super) fn play(&self, samples: &[i16], now: Now) -> Option<Sighting> {
        let taken = self.blocks.try_send((samples.to_vec(), now)).is_ok();
        self.vigil.lock().offered(now, taken)
    }
}

fn hear(parts: &DeviceParts, heard: &Receiver<(Vec<i16>, Now)>, vigil: &SharedVigil) {
    let mut looking = Looking::new(
        qorgan_detect::microphone_detectors(),
        parts.candidate.watch(),
        vigil,
    );
    let mut listener = match Listener::load() {
        Ok(listener) => Some(listener),
        Err(error) => {
            tracing::error!(%error, "No voices are listened for");
            looking.cannot("voices");
            None
        }
    };
    let mut enrolment = Enrolment::open(parts, listener.as_mut());
    let send = |sighting| {
        let sighting = Box::new(sighting);
        parts.send(Input::Sighting(Some(Device::Microphone), sighting))
    };
    for (samples, now) in heard {
        let mut said = looking.sound(now, &samples);
        if let Some(listener) = &mut listener {
            match listener.hear(&samples) {
                Ok(Some(voices)) => said.extend(looking.voices(now, voices)),
                Ok(None) => {}
                Err(error) => looking.failed(now, &error),
            }
            said.extend(enrolment.follow(now, listener, &samples));
        }
        if !said.into_iter().all(send) {
            return;
        }
    }
    if let Some(sighting) = enrolment.missing(clock::now()) {
        send(sighting);
    }
}

/// Blocks that may wait: about two seconds of sound.
const BLOCKS_MAX: usize = 128;
