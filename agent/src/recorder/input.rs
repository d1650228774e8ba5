//! What comes to the recorder, and what it tells devices without a queue.

use core::time::Duration;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use qorgan_agent_core::sighting::Sighting;
use qorgan_encode::{EncodedFrame, SoundPacket, VideoLayout};
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{SourceState, StreamChain, StreamId, StreamKind};
use qorgan_protocol::link::{Gap, SourceStatement};
use qorgan_protocol::time::Now;

/// A device, whatever stream it feeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Device {
    /// The camera.
    Camera,
    /// The microphone.
    Microphone,
    /// A display.
    Screen(u8),
}

/// What comes to the recorder.
#[derive(Debug)]
pub(crate) enum Input {
    /// A device gives samples from here on.
    Opened(Device, Box<SourceStatement>),
    /// A device's pictures are encoded like this from here on.
    Layout(Device, Box<VideoLayout>, Duration),
    /// An encoded picture.
    Video(Device, EncodedFrame),
    /// Encoded sound.
    Sound(Vec<SoundPacket>),
    /// A sample was captured, whether or not it is recorded (a screen that stands still).
    Seen(Device, Now),
    /// A device gives nothing from here on.
    Lost(Device, SourceState),
    /// A small picture, for the wall or for the client's preview.
    Picture {
        /// Of which device.
        device: Device,
        /// The JPEG.
        jpeg: Vec<u8>,
        /// Whether it is for the client alone.
        preview: bool,
    },
    /// How loud the microphone is.
    Level(u8),
    /// Something was seen by a detector on a device, or by a watch.
    Sighting(Option<Device>, Box<Sighting>),
    /// The server said where the recording stands.
    Resumed(Box<Resumption>),
    /// The server wants a key frame.
    KeyFrame(StreamId),
    /// A proctor looks or looks away.
    Watch(StreamId, bool),
    /// The recording ends and is delivered.
    Finish,
    /// The recording ends; nobody takes it.
    Stop,
}

/// Where the server says that the recording stands.
#[derive(Debug)]
pub(crate) struct Resumption {
    /// Every stream's head, with what the link knows of that waits.
    pub(crate) chains: Vec<StreamChain>,
    /// The next beat's place.
    pub(crate) beat_next: u64,
    /// Hash of the newest beat.
    pub(crate) beat_head: Sha256,
    /// Where chunks are lost for good.
    pub(crate) gaps: Vec<Gap>,
}

/// What recorder and devices tell each other without a queue.
#[derive(Debug)]
pub(crate) struct Controls {
    stopped: AtomicBool,
    active: AtomicUsize,
    keys: Mutex<BTreeSet<Device>>,
}

/// Counts a device's thread as running until it is dropped.
#[derive(Debug)]
pub(crate) struct Running(Arc<Controls>);

impl Controls {
    /// Makes controls of devices that may run.
    pub(crate) const fn new() -> Self {
        Self {
            stopped: AtomicBool::new(false),
            active: AtomicUsize::new(0),
            keys: Mutex::new(BTreeSet::new()),
        }
    }

    /// Has every device and watch end.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
    }

    /// Tells whether devices must end.
    pub(crate) fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Asks a device for a key frame.
    pub(crate) fn want_key(&self, device: Device) {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.insert(device);
    }

    /// Tells whether a device was asked for a key frame, once.
    pub(crate) fn take_key(&self, device: Device) -> bool {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.remove(&device)
    }

    /// Counts a thread in.
    pub(crate) fn running(self: &Arc<Self>) -> Running {
        self.active.fetch_add(1, Ordering::AcqRel);
        Running(Arc::clone(self))
    }

    /// Returns how many devices' threads run.
    pub(super) fn active(&self) -> usize {
        self.active.load(Ordering::Acquire)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Device {
    /// Returns the source's name where it feeds no stream yet.
    pub(crate) const fn source(self) -> StreamId {
        let (kind, index) = match self {
            Self::Camera => (StreamKind::Camera, 0),
            Self::Microphone => (StreamKind::Microphone, 0),
            Self::Screen(index) => (StreamKind::Screen, index),
        };
        StreamId { kind, index }
    }
}
