//! Camera, microphone and displays: each on a thread of its own, from capture to the recorder.

mod ears;
mod eyes;
mod images;
mod life;
mod looking;
mod pictures;
mod screen;
#[cfg_attr(not(feature = "simulated"), path = "unsimulated.rs")]
mod simulated;
mod sound;
mod voice;

use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread;

use qorgan_capture::camera::CameraConfig;
use qorgan_capture::microphone::MicrophoneConfig;
use qorgan_capture::screen::DisplayDescription;
use qorgan_capture::{CaptureHandle, I420Frame, LossCause, PcmBlock, SourceDescription};
use qorgan_encode::ProfileSettings;
use qorgan_protocol::attempt::MachineRule;
use qorgan_protocol::evidence::SourceState;
use qorgan_protocol::link::{SourceKind, SourceStatement};

use crate::board::Board;
use crate::candidate::Candidate;
use crate::recorder::{Controls, Device, Input};
use crate::sources::Sources;
pub(crate) use voice::gone_without;

/// What devices work with.
#[derive(Debug, Clone)]
pub(crate) struct DeviceParts {
    /// The recorder.
    pub(crate) recorder: SyncSender<Input>,
    /// What the client is shown.
    pub(crate) board: Arc<Board>,
    /// What devices are told.
    pub(crate) controls: Arc<Controls>,
    /// The bandwidth profile.
    pub(crate) profile: &'static ProfileSettings,
    /// Devices or files.
    pub(crate) sources: Sources,
    /// Who sits there.
    pub(crate) candidate: Arc<Candidate>,
    /// Whether the camera is required.
    pub(crate) camera: bool,
    /// Whether the microphone is required.
    pub(crate) microphone: bool,
    /// Whether displays are required.
    pub(crate) screen: bool,
    /// What is done about a nested or remote display.
    pub(crate) nested_display: MachineRule,
    /// What is done about a microphone that gives what the machine plays.
    pub(crate) monitor_microphone: MachineRule,
}

/// Every device's thread.
#[derive(Debug)]
pub(crate) struct Devices {
    _threads: Vec<thread::JoinHandle<()>>,
}

impl Devices {
    /// Opens what is required.
    pub(crate) fn open(parts: &DeviceParts) -> Self {
        let mut threads = Vec::new();
        if parts.camera {
            threads.extend(spawn(parts, "camera", run_camera));
        }
        if parts.microphone {
            threads.extend(spawn(parts, "microphone", run_microphone));
        }
        if parts.screen {
            threads.extend(spawn(parts, "displays", run_displays));
        }
        Self { _threads: threads }
    }
}

impl DeviceParts {
    /// Hands something to the recorder; false when it is over.
    pub(crate) fn send(&self, input: Input) -> bool {
        self.recorder.send(input).is_ok()
    }

    /// Tells the recorder that a device is there.
    pub(crate) fn opened(&self, device: Device, description: &SourceDescription) -> bool {
        let kind = match description.kind {
            qorgan_capture::SourceKind::Device => SourceKind::Device,
            qorgan_capture::SourceKind::Simulated => SourceKind::Simulated,
        };
        tracing::info!(
            ?device,
            driver = description.driver,
            ?kind,
            "A device is open"
        );
        let statement = SourceStatement {
            source: device.source(),
            kind,
            driver: description.driver.clone(),
            label: description.name.clone(),
        };
        self.send(Input::Opened(device, Box::new(statement)))
    }

    /// Tells the recorder that a device is lost.
    pub(crate) fn lost(&self, device: Device, cause: &LossCause) -> bool {
        tracing::warn!(?device, ?cause, "A device is lost");
        self.send(Input::Lost(device, state_of(cause)))
    }
}

fn spawn(
    parts: &DeviceParts,
    name: &str,
    body: impl FnOnce(DeviceParts) + Send + 'static,
) -> Option<thread::JoinHandle<()>> {
    let parts = parts.clone();
    let running = parts.controls.running();
    let spawned = thread::Builder::new().name(name.to_owned()).spawn(move || {
        body(parts);
        drop(running);
    });
    match spawned {
        Ok(thread) => Some(thread),
        Err(error) => {
            tracing::error!(%error, name, "A device's thread cannot be started");
            None
        }
    }
}

fn run_camera(parts: DeviceParts) {
    match open_camera(&parts) {
        Ok(handle) => pictures::run(&parts, Device::Camera, &handle),
        Err(error) => {
            parts.lost(Device::Camera, &refused(&error));
        }
    }
}

fn run_microphone(parts: DeviceParts) {
    match open_microphone(&parts) {
        Ok(handle) => sound::run(&parts, &handle),
        Err(error) => {
            parts.lost(Device::Microphone, &refused(&error));
        }
    }
}

/// Records every display; one that is plugged in later gets a stream of its own.
fn run_displays(parts: DeviceParts) {
    if let Some(opened) = simulated::screen(&parts) {
        match opened {
            Ok(handle) => pictures::run(&parts, Device::Screen(0), &handle),
            Err(error) => {
                parts.lost(Device::Screen(0), &refused(&error));
            }
        }
        return;
    }
    let mut known: BTreeMap<String, u8> = BTreeMap::new();
    let mut refused = None;
    while !parts.controls.is_stopped() {
        if known.is_empty()
            && let Some(reason) = nested(&parts)
        {
            if refused.as_ref() != Some(&reason) {
                refused = Some(reason.clone());
                parts.lost(Device::Screen(0), &LossCause::Unsupported { reason });
            }
            wait(&parts, DISPLAYS_EVERY);
            continue;
        }
        match qorgan_capture::screen::displays() {
            Ok(displays) => {
                for display in displays {
                    let index = u8::try_from(known.len()).unwrap_or(u8::MAX);
                    if known.contains_key(&display.name) || index >= DISPLAYS_MAX {
                        continue;
                    }
                    known.insert(display.name.clone(), index);
                    spawn(&parts, "display", move |parts| {
                        run_display(&parts, display, index);
                    });
                }
            }
            Err(cause) => {
                if known.is_empty() && !parts.lost(Device::Screen(0), &cause) {
                    return;
                }
            }
        }
        wait(&parts, DISPLAYS_EVERY);
    }
}

/// Says why the display is not recorded, where the sitting refuses those that are not the machine's
/// own: the gate stays shut without a screen.
fn nested(parts: &DeviceParts) -> Option<String> {
    match parts.nested_display {
        MachineRule::Refuse => qorgan_seat::platform::nested_words(),
        MachineRule::ProctorDecides | MachineRule::Note => None,
    }
}

fn run_display(parts: &DeviceParts, display: DisplayDescription, index: u8) {
    let device = Device::Screen(index);
    match qorgan_capture::screen::start(display, parts.profile.screen.frames_per_s) {
        Ok(handle) => pictures::run(parts, device, &handle),
        Err(error) => {
            parts.lost(device, &refused(&error));
        }
    }
}

fn wait(parts: &DeviceParts, most: Duration) {
    let mut left = most;
    while !left.is_zero() && !parts.controls.is_stopped() {
        thread::sleep(STOP_LOOK.min(left));
        left = left.saturating_sub(STOP_LOOK);
    }
}

fn open_camera(parts: &DeviceParts) -> io::Result<CaptureHandle<I420Frame>> {
    if let Some(opened) = simulated::camera(parts) {
        return opened;
    }
    let camera = &parts.profile.camera;
    qorgan_capture::camera::start(CameraConfig {
        device: None,
        width: camera.width,
        height: camera.height,
        frames_per_s: camera.frames_per_s,
    })
}

fn open_microphone(parts: &DeviceParts) -> io::Result<CaptureHandle<PcmBlock>> {
    if let Some(opened) = simulated::microphone(parts) {
        return opened;
    }
    qorgan_capture::microphone::start(MicrophoneConfig {
        source: None,
        monitors: parts.monitor_microphone != MachineRule::Refuse,
    })
}

fn refused(error: &io::Error) -> LossCause {
    LossCause::Unsupported {
        reason: error.to_string(),
    }
}

const fn state_of(cause: &LossCause) -> SourceState {
    match cause {
        LossCause::Missing => SourceState::Missing,
        LossCause::Busy => SourceState::Busy,
        LossCause::Denied => SourceState::Denied,
        LossCause::Unplugged => SourceState::Unplugged,
        LossCause::Stalled => SourceState::Stalled,
        LossCause::Unsupported { .. } => SourceState::Unsupported,
    }
}

/// Streams of one kind that an attempt may have besides camera, sound and observations.
const DISPLAYS_MAX: u8 = 8;
const DISPLAYS_EVERY: Duration = Duration::from_secs(3);
const STOP_LOOK: Duration = Duration::from_millis(200);
