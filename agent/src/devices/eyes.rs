//! A camera's eyes on a thread of their own: a slow look never holds up the recording.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use qorgan_agent_core::sighting::Sighting;
use qorgan_agent_core::vigil::Vigil;
use qorgan_capture::I420Frame;
use qorgan_detect::Picture;
use qorgan_protocol::time::Now;

use super::life::Life;
use super::looking::{Looking, SharedVigil};
use super::{DeviceParts, spawn};
use crate::clock;
use crate::recorder::{Device, Input};

/// Shows pictures to the eyes.
#[derive(Debug)]
pub(super) struct Eyes {
    pictures: SyncSender<(I420Frame, Now)>,
    vigil: SharedVigil,
}

impl Eyes {
    /// Opens the eyes; they close when this is dropped.
    pub(super) fn open(parts: &DeviceParts, device: Device) -> Self {
        // No picture waits: the eyes take the newest, or none while they look.
        let (pictures, shown) = sync_channel(0);
        let vigil = SharedVigil::new(Vigil::of_eyes());
        let own = vigil.clone();
        spawn(parts, "eyes", move |parts| {
            look(&parts, device, &shown, &own);
        });
        Self { pictures, vigil }
    }

    /// Shows a picture, or gives it up where the eyes are still busy with the one before; returns
    /// what to say of eyes that do not keep up, or are no more.
    pub(super) fn show(&self, frame: &I420Frame, now: Now) -> Option<Sighting> {
        let taken = self.pictures.try_send((frame.clone(), now)).is_ok();
        self.vigil.lock().offered(now, taken)
    }
}

fn look(
    parts: &DeviceParts,
    device: Device,
    shown: &Receiver<(I420Frame, Now)>,
    vigil: &SharedVigil,
) {
    let mut looking = Looking::camera(&parts.candidate, vigil);
    let mut life = Life::open(parts, &looking);
    let send = |sighting| parts.send(Input::Sighting(Some(device), Box::new(sighting)));
    for (frame, now) in shown {
        let Ok(picture) = Picture::i420(frame.width, frame.height, frame.yuv()) else {
            continue;
        };
        let mut said = life.asks(&mut looking);
        said.extend(looking.picture(now, picture));
        life.told(now, &looking);
        if !said.into_iter().all(send) {
            return;
        }
    }
    let mut said = life.asks(&mut looking);
    said.extend(looking.not_alive(clock::now()));
    said.into_iter().all(send);
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use qorgan_protocol::incident::{Edge, IncidentKind};

    use super::*;

    #[test]
    fn eyes_whose_thread_is_gone_are_said_to_see_nothing() {
        let (pictures, shown) = sync_channel(0);
        drop(shown);
        let eyes = Eyes {
            pictures,
            vigil: SharedVigil::new(Vigil::of_eyes()),
        };
        let frame = qorgan_capture::frame_of_rgb(&[90; 12], 2, 2).expect("a picture");
        let at = |second| Now::from_origin(Duration::from_secs(second));
        let said: Vec<_> = (0..9).filter_map(|n| eyes.show(&frame, at(n))).collect();
        let [told] = said.as_slice() else {
            panic!("{said:?}")
        };
        assert_eq!(
            (told.kind, told.edge),
            (IncidentKind::NotWatched, Edge::Began)
        );
    }
}
