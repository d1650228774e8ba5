//! A camera's eyes on a thread of their own: a slow look never holds up the recording.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use qorgan_capture::I420Frame;
use qorgan_detect::Picture;
use qorgan_protocol::time::Now;

use super::looking::Looking;
use super::{DeviceParts, spawn};
use crate::recorder::{Device, Input};

/// Shows pictures to the eyes.
#[derive(Debug)]
pub(super) struct Eyes {
    pictures: SyncSender<(I420Frame, Now)>,
}

impl Eyes {
    /// Opens the eyes; they close when this is dropped.
    pub(super) fn open(parts: &DeviceParts, device: Device) -> Self {
        // No picture waits: the eyes take the newest, or none while they look.
        let (pictures, shown) = sync_channel(0);
        spawn(parts, "eyes", move |parts| look(&parts, device, &shown));
        Self { pictures }
    }

    /// Shows a picture, or gives it up where the eyes are still busy with the one before.
    pub(super) fn show(&self, frame: &I420Frame, now: Now) {
        // Full is a weak machine's way of looking less often; closed was said when it happened.
        let _busy = self.pictures.try_send((frame.clone(), now)).is_err();
    }
}

fn look(parts: &DeviceParts, device: Device, shown: &Receiver<(I420Frame, Now)>) {
    let mut looking = Looking::camera(&parts.candidate);
    for (frame, now) in shown {
        let Ok(picture) = Picture::i420(frame.width, frame.height, frame.yuv()) else {
            continue;
        };
        for sighting in looking.picture(now, picture) {
            if !parts.send(Input::Sighting(Some(device), Box::new(sighting))) {
                return;
            }
        }
    }
}
