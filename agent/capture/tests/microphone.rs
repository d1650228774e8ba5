//! The real microphone code on a sound server of its own.

#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::panic,
    reason = "the whole file is a test"
)]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use qorgan_capture::microphone::{self, MicrophoneConfig};
use qorgan_capture::{CaptureEvent, CaptureHandle, LossCause, PcmBlock, SourceKind};

/// One test, for the sound server is chosen by the environment of the whole process.
#[test]
fn a_tone_is_heard_and_a_source_that_vanishes_is_missed_by_its_name() {
    let server = SoundServer::start();
    let module = server.control(&["load-module", "module-null-sink", "sink_name=room"]);
    server.control(&["load-module", "module-null-sink", "sink_name=other"]);
    server.control(&["set-default-source", "other.monitor"]);

    let listed = microphone::list().expect("the server lists its sources");
    let room = listed
        .iter()
        .find(|source| source.id.ends_with("room.monitor"))
        .unwrap_or_else(|| panic!("{listed:?}"));
    monitors_are_refused_where_the_policy_refuses_them(&server, &room.id);
    let config = MicrophoneConfig {
        source: Some(room.id.clone()),
        monitors: true,
    };
    let handle = microphone::start(config).expect("a thread starts");
    let mut player = server.play_tone("room");
    let samples = two_seconds(&handle);
    let hertz = frequency(&samples);
    assert!(
        (438.0..442.0).contains(&hertz),
        "440 Hz comes back as {hertz:.1}"
    );

    player.kill().expect("the player is ours");
    player.wait().expect("the player ends");
    server.control(&["unload-module", module.trim()]);
    assert!(
        event(&handle, &CaptureEvent::Lost(LossCause::Unplugged)),
        "the server moves the stream silently"
    );
    server.control(&["load-module", "module-null-sink", "sink_name=room"]);
    let end = Instant::now() + Duration::from_secs(15);
    let mut back = false;
    while !back && Instant::now() < end {
        back = matches!(
            handle.recv_timeout(Duration::from_secs(1)),
            Some(CaptureEvent::Opened(_))
        );
    }
    assert!(back, "the source is opened again when its name returns");
}

fn monitors_are_refused_where_the_policy_refuses_them(server: &SoundServer, monitor: &str) {
    let named = MicrophoneConfig {
        source: Some(monitor.to_owned()),
        monitors: false,
    };
    for config in [MicrophoneConfig::default(), named] {
        let handle = microphone::start(config).expect("a thread starts");
        let Some(CaptureEvent::Lost(LossCause::Unsupported { reason })) =
            handle.recv_timeout(Duration::from_secs(10))
        else {
            panic!("a source that plays what the machine plays is no microphone");
        };
        assert!(reason.contains("monitor"), "{reason}");
    }
    // Beside a default that is a monitor, a source that is none is taken.
    let words = ["load-module", "module-remap-source", "master=other.monitor"];
    let module = server.control(&[&words[..], &["source_name=desk"]].concat());
    let handle = microphone::start(MicrophoneConfig::default()).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = handle.recv_timeout(Duration::from_secs(10)) else {
        panic!("the other source opens");
    };
    assert!(source.name.ends_with("desk"), "{}", source.name);
    drop(handle);
    server.control(&["unload-module", module.trim()]);
    server.control(&["set-default-source", "other.monitor"]);
}

fn two_seconds(handle: &CaptureHandle<PcmBlock>) -> Vec<i16> {
    let mut samples = Vec::new();
    let mut opened = false;
    let mut last_ns = 0;
    let end = Instant::now() + Duration::from_secs(20);
    while samples.len() < 96_000 && Instant::now() < end {
        match handle.recv_timeout(Duration::from_secs(1)) {
            Some(CaptureEvent::Opened(source)) => {
                assert_eq!(
                    (source.kind, source.driver.as_str()),
                    (SourceKind::Device, "pulseaudio")
                );
                assert!(source.name.ends_with("room.monitor"), "{}", source.name);
                opened = true;
            }
            Some(CaptureEvent::Sample(block)) => {
                assert!(opened && block.captured_ns >= last_ns);
                last_ns = block.captured_ns;
                // The player needs a moment; what comes before its tone is silence.
                let loud = block
                    .samples
                    .iter()
                    .any(|sample| sample.unsigned_abs() > 2_000);
                if loud || !samples.is_empty() {
                    samples.extend(block.samples);
                }
            }
            Some(CaptureEvent::Lost(cause)) => panic!("{cause:?}"),
            None => {}
        }
    }
    assert!(samples.len() >= 96_000, "{} samples in time", samples.len());
    samples
}

/// Counts rises through zero in the middle second.
fn frequency(samples: &[i16]) -> f64 {
    let middle = &samples[24_000..72_000];
    let rises: Vec<usize> = (1..middle.len())
        .filter(|at| middle[at - 1] < 0 && middle[*at] >= 0)
        .collect();
    let (first, last) = (rises[0], rises[rises.len() - 1]);
    let periods = u32::try_from(rises.len() - 1).expect("few");
    let samples = u32::try_from(last - first).expect("few");
    f64::from(periods) * 48_000.0 / f64::from(samples)
}

fn event(handle: &CaptureHandle<PcmBlock>, wanted: &CaptureEvent<PcmBlock>) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if handle.recv_timeout(Duration::from_millis(500)).as_ref() == Some(wanted) {
            return true;
        }
    }
    false
}

struct SoundServer {
    child: Child,
    dir: tempfile::TempDir,
}

impl SoundServer {
    fn start() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let socket = dir.path().join("native");
        let module = format!(
            "module-native-protocol-unix socket={} auth-anonymous=1",
            socket.display()
        );
        let child = Command::new("pulseaudio")
            .args([
                "-n",
                "--daemonize=no",
                "--exit-idle-time=-1",
                "--use-pid-file=no",
                "--disable-shm",
            ])
            .arg("--load")
            .arg(&module)
            .env("HOME", dir.path())
            .env("XDG_RUNTIME_DIR", dir.path())
            .env("PULSE_RUNTIME_PATH", dir.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pulseaudio is a test prerequisite");
        let server = Self { child, dir };
        let end = Instant::now() + Duration::from_secs(15);
        while !socket.exists() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        #[expect(unsafe_code, reason = "a test chooses the sound server as a user does")]
        // SAFETY: this is the only test of the process, and no thread reads the environment yet.
        unsafe {
            std::env::set_var("PULSE_SERVER", server.address());
        }
        server
    }

    fn address(&self) -> String {
        format!("unix:{}", self.dir.path().join("native").display())
    }

    fn control(&self, arguments: &[&str]) -> String {
        let output = Command::new("pactl")
            .args(arguments)
            .env("PULSE_SERVER", self.address())
            .output()
            .expect("pactl comes with pulseaudio-utils");
        assert!(
            output.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn play_tone(&self, sink: &str) -> Child {
        let path = self.dir.path().join("tone.wav");
        std::fs::write(&path, tone(10)).expect("the tone is written");
        Command::new("paplay")
            .arg(format!("--device={sink}"))
            .arg(Path::new(&path))
            .env("PULSE_SERVER", self.address())
            .spawn()
            .expect("paplay comes with pulseaudio-utils")
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server ends");
    }
}

/// A WAV file of so many seconds of 440 Hz.
fn tone(seconds: u32) -> Vec<u8> {
    let samples = 48_000 * seconds;
    let mut wav = Vec::new();
    wav.extend(b"RIFF");
    wav.extend((36 + samples * 2).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend((samples * 2).to_le_bytes());
    for n in 0..samples {
        let value = (f64::from(n) * 440.0 / 48_000.0 * std::f64::consts::TAU).sin() * 12_000.0;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the tone stays within 12,000"
        )]
        wav.extend((value as i16).to_le_bytes());
    }
    wav
}
