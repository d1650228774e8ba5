//! Microphones.
//!
//! A source is bound by its name and watched by it: once a second the system is asked whether a
//! source of that name is still there. A sound server can move a running stream to another source
//! while the first one stays; no interface that is used here tells that, so it is not seen.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::{Duration, Instant};

use cpal::traits::{DeviceTrait as _, HostTrait as _, StreamTrait as _};
use cpal::{
    BufferSize, Device, Error, ErrorKind, FromSample, Host, Sample, SampleFormat, SizedSample,
    StreamConfig, SupportedStreamConfig,
};

use crate::handle::CaptureHandle;
use crate::source::{LossCause, PcmBlock, SAMPLES_PER_S, SourceDescription, SourceKind};
use crate::supervise::{self, Sink, Source};
use mixer::BlockClock;
pub(crate) use mixer::Mixer;

mod mixer;

/// A microphone that the system lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MicrophoneDescription {
    /// What [`MicrophoneConfig::source`] takes: the system's own name of the source.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// The interface that it is read through.
    pub driver: String,
    /// Where it hangs, where the system tells.
    pub bus: Option<String>,
    /// Whether the system would take it when none is named.
    pub is_default: bool,
}

/// What is asked of a microphone.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MicrophoneConfig {
    /// The source's id, or the system's default at the time of opening.
    pub source: Option<String>,
    /// Whether a source that gives what the machine plays may be taken.
    pub monitors: bool,
}

/// Tells whether a source gives what the machine itself plays, by the system's own name of it: every
/// sink of `PulseAudio` and `PipeWire` has such a source, and the kernel has a card of its own for it.
#[must_use]
pub fn is_monitor(id: &str) -> bool {
    let low = id.to_lowercase();
    low.ends_with(".monitor") || low.contains("snd_aloop") || low.contains("loopback")
}

/// Returns the microphones that the system lists.
///
/// # Errors
///
/// [`LossCause`] if the system refuses to list them.
pub fn list() -> Result<Vec<MicrophoneDescription>, LossCause> {
    let host = cpal::default_host();
    let default = host
        .default_input_device()
        .and_then(|device| id_of(&device));
    let devices = host.input_devices().map_err(|error| cause_of(&error))?;
    let mut found: Vec<_> = devices
        .filter_map(|device| {
            let id = id_of(&device)?;
            let description = device.description().ok()?;
            Some(MicrophoneDescription {
                name: description.name().to_owned(),
                driver: driver_of(&host, &device),
                bus: description.address().map(str::to_owned),
                is_default: default.as_ref() == Some(&id),
                id,
            })
        })
        .collect();
    found.sort_by(|left, right| left.id.cmp(&right.id));
    Ok(found)
}

/// Starts a microphone.
///
/// # Errors
///
/// [`std::io::Error`] if the system gives no thread.
pub fn start(config: MicrophoneConfig) -> std::io::Result<CaptureHandle<PcmBlock>> {
    supervise::start(Microphone {
        config,
        latest_ns: AtomicU64::new(0),
    })
}

struct Microphone {
    config: MicrophoneConfig,
    /// When the newest block was captured: a source that is opened again does not go back.
    latest_ns: AtomicU64,
}

impl Source for Microphone {
    type Sample = PcmBlock;

    fn run(&self, sink: &Sink<PcmBlock>) -> LossCause {
        match capture(self, sink) {
            Ok(()) => LossCause::Stalled,
            Err(cause) => cause,
        }
    }

    fn label(&self) -> &'static str {
        "microphone"
    }

    fn stall_limit(&self) -> Duration {
        STALL
    }

    fn samples_max(&self) -> usize {
        BLOCKS_MAX
    }
}

/// What the callbacks of the sound system hand over.
enum Heard {
    Block(PcmBlock),
    Failed(LossCause),
}

fn capture(microphone: &Microphone, sink: &Sink<PcmBlock>) -> Result<(), LossCause> {
    let host = cpal::default_host();
    let (device, id) = chosen(&host, &microphone.config)?;
    let native = device
        .default_input_config()
        .map_err(|error| cause_of(&error))?;
    let format = wanted(&device, &native);
    let (sender, receiver) = sync_channel(HANDOVER_BLOCKS);
    let stream = open(&device, format, sender)?;
    stream.play().map_err(|error| cause_of(&error))?;
    let mut opened = Some(describe(&host, &device, &native));
    let mut watched = Instant::now();
    loop {
        match receiver.recv_timeout(WATCH) {
            Ok(Heard::Block(mut block)) => {
                let latest = &microphone.latest_ns;
                let before_ns = latest.fetch_max(block.captured_ns, Ordering::Relaxed);
                block.captured_ns = block.captured_ns.max(before_ns);
                // A source counts as open with its first samples.
                if let Some(description) = opened.take()
                    && !sink.opened(description)
                {
                    return Ok(());
                }
                if !sink.sample(block) {
                    return Ok(());
                }
            }
            Ok(Heard::Failed(cause)) => return Err(cause),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(LossCause::Unplugged),
        }
        if watched.elapsed() >= WATCH {
            if find(&host, Some(&id)).is_none() {
                return Err(LossCause::Unplugged);
            }
            watched = Instant::now();
        }
    }
}

/// Finds the source to open. In place of a default that only gives what the machine plays, the first
/// real one is taken.
fn chosen(host: &Host, config: &MicrophoneConfig) -> Result<(Device, String), LossCause> {
    let device = find(host, config.source.as_deref()).ok_or(LossCause::Missing)?;
    let id = id_of(&device).ok_or(LossCause::Missing)?;
    if config.monitors || !is_monitor(&id) {
        return Ok((device, id));
    }
    let refused = || {
        LossCause::unsupported(format!(
            "{id} gives what the machine plays and is no microphone: plug one in"
        ))
    };
    if config.source.is_some() {
        return Err(refused());
    }
    let listed = host.input_devices().map_err(|error| cause_of(&error))?;
    let mut real: Vec<_> = listed
        .filter_map(|device| id_of(&device).map(|id| (device, id)))
        .filter(|(_, id)| !is_monitor(id))
        .collect();
    real.sort_by(|left, right| left.1.cmp(&right.1));
    real.into_iter().next().ok_or_else(refused)
}

fn find(host: &Host, id: Option<&str>) -> Option<Device> {
    match id {
        Some(id) => host
            .devices()
            .ok()?
            .find(|device| id_of(device).is_some_and(|found| found == id)),
        None => host.default_input_device(),
    }
}

fn id_of(device: &Device) -> Option<String> {
    device.id().ok().map(|id| id.to_string())
}

fn driver_of(host: &Host, device: &Device) -> String {
    let driver = device
        .description()
        .ok()
        .and_then(|found| found.driver().map(str::to_owned));
    driver.unwrap_or_else(|| host.id().name().to_lowercase())
}

fn describe(host: &Host, device: &Device, native: &SupportedStreamConfig) -> SourceDescription {
    let description = device.description().ok();
    SourceDescription {
        kind: SourceKind::Device,
        driver: host.id().name().to_lowercase(),
        // The system's own name: it says more than the one for people, and it is what is watched.
        name: id_of(device).unwrap_or_default(),
        bus: description.and_then(|found| found.address().map(str::to_owned)),
        width: 0,
        height: 0,
        frames_per_s: 0,
        samples_per_s: native.sample_rate(),
    }
}

/// Picks mono at our rate where the sound system converts by itself, else what the device has.
fn wanted(device: &Device, native: &SupportedStreamConfig) -> SupportedStreamConfig {
    let ours = device
        .supported_input_configs()
        .ok()
        .and_then(|mut ranges| {
            ranges.find(|range| {
                range.channels() == 1
                    && range.sample_format() == SampleFormat::I16
                    && (range.min_sample_rate()..=range.max_sample_rate()).contains(&SAMPLES_PER_S)
            })
        });
    ours.and_then(|range| range.try_with_sample_rate(SAMPLES_PER_S))
        .unwrap_or(*native)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "cpal's list of formats is open"
)]
fn open(
    device: &Device,
    format: SupportedStreamConfig,
    sender: SyncSender<Heard>,
) -> Result<cpal::Stream, LossCause> {
    match format.sample_format() {
        SampleFormat::I16 => build::<i16>(device, format, sender),
        SampleFormat::I32 => build::<i32>(device, format, sender),
        SampleFormat::U8 => build::<u8>(device, format, sender),
        SampleFormat::U16 => build::<u16>(device, format, sender),
        SampleFormat::F32 => build::<f32>(device, format, sender),
        other => Err(LossCause::unsupported(format!("sound as {other} samples"))),
    }
}

fn build<T>(
    device: &Device,
    format: SupportedStreamConfig,
    sender: SyncSender<Heard>,
) -> Result<cpal::Stream, LossCause>
where
    T: SizedSample,
    i16: FromSample<T>,
{
    let mut config: StreamConfig = format.config();
    if config.sample_rate == SAMPLES_PER_S {
        config.buffer_size = BufferSize::Fixed(BLOCK_SAMPLES);
    }
    let mut mixer = Mixer::new(config.channels, config.sample_rate);
    let mut clock = BlockClock::default();
    let failed = sender.clone();
    let heard = move |data: &[T], _info: &cpal::InputCallbackInfo| {
        let now_ns = crate::clock::now_ns();
        let samples = mixer.mix(data.iter().map(|sample| i16::from_sample(*sample)));
        let captured_ns = clock.captured_ns(now_ns, samples.len());
        let block = PcmBlock {
            samples,
            captured_ns,
        };
        // The sound system's thread may not wait; the gap shows in the next block's time.
        if let Err(TrySendError::Full(_)) = sender.try_send(Heard::Block(block)) {
            tracing::warn!("Gave up a block of sound");
        }
    };
    let failure = move |error: Error| {
        if error.kind() != ErrorKind::Xrun && error.kind() != ErrorKind::RealtimeDenied {
            // A full queue means that blocks still come; a lost source is seen by its silence.
            drop(failed.try_send(Heard::Failed(stream_cause(&error))));
        }
    };
    device
        .build_input_stream::<T, _, _>(config, heard, failure, Some(Duration::from_secs(5)))
        .map_err(|error| cause_of(&error))
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "cpal's list of causes is open"
)]
fn cause_of(error: &Error) -> LossCause {
    match error.kind() {
        ErrorKind::DeviceBusy => LossCause::Busy,
        ErrorKind::DeviceNotAvailable | ErrorKind::HostUnavailable => LossCause::Missing,
        ErrorKind::PermissionDenied => LossCause::Denied,
        ErrorKind::StreamInvalidated | ErrorKind::DeviceChanged => LossCause::Unplugged,
        _other => LossCause::of_text(&error.to_string()),
    }
}

/// A stream that ran and then fails is gone.
fn stream_cause(error: &Error) -> LossCause {
    match cause_of(error) {
        LossCause::Denied => LossCause::Denied,
        LossCause::Missing
        | LossCause::Busy
        | LossCause::Unplugged
        | LossCause::Stalled
        | LossCause::Unsupported { .. } => LossCause::Unplugged,
    }
}

/// How long an open microphone may give nothing, not even silence.
const STALL: Duration = Duration::from_secs(3);
/// How often the source's name is looked for.
const WATCH: Duration = Duration::from_secs(1);
/// Samples asked for at a time: 20 ms.
const BLOCK_SAMPLES: u32 = 960;
/// Blocks that wait for a slow owner at most: about two seconds.
const BLOCKS_MAX: usize = 100;
/// Blocks between the sound system's thread and ours.
const HANDOVER_BLOCKS: usize = 32;
