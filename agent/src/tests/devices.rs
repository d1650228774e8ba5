//! The whole way with files in place of devices: capture, encode, chunk, chain, spool, upload.

use core::time::Duration;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use qorgan_protocol::evidence::{SourceState, StreamId, StreamKind};
use qorgan_protocol::limits::CHUNK_MS_MAX;
use qorgan_protocol::link::{ServerFrame, SourceKind};
use qorgan_protocol::media::{self, Sample, Track};
use tokio::sync::watch;

use super::server::{FakeServer, Stored};
use super::{finished, live, wait_for};
use crate::agent::{Bound, Options};
use crate::clock;
use crate::link::Ending;
use crate::sources::Sources;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn camera_with_sound_and_a_still_screen_are_recorded_live_and_named_as_simulated() {
    let folder = tempfile::tempdir().expect("a folder");
    let files = tempfile::tempdir().expect("a folder");
    write_files(files.path());
    let server = FakeServer::start().await;
    server.devices.store(true, Ordering::Relaxed);
    clock::anchor();
    let (sender, ending) = watch::channel(Ending::None);
    let options = Options {
        socket_dir: folder.path().to_path_buf(),
        data: folder.path().to_path_buf(),
        sources: Sources::Simulated(files.path().to_path_buf()),
        spool_bytes_max: None,
    };
    let bound = Bound::make(&options, server.provision(), &sender)
        .await
        .expect("enrolled");
    let bound = Arc::new(bound);
    live(&bound).await;
    bound.board().want_preview(true);
    bound.board().want_still();
    bound.open_devices();
    wait_for(|| streams_are_live(&server)).await;

    // A key frame and a proctor who looks, while nothing on the screen changes.
    let before = samples(&server, SCREEN, Track::Video);
    server.commands.lock().expect("not poisoned").extend([
        ServerFrame::KeyFrame { stream: SCREEN },
        ServerFrame::Watch {
            stream: CAMERA,
            live: true,
        },
    ]);
    wait_for(|| samples(&server, SCREEN, Track::Video) > before).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let status = bound.board().status(clock::now());
    assert!(status.capturing);
    // The film shows nobody, which is told in a stream of its own.
    for stream in [CAMERA, SCREEN] {
        assert!(status.receipted.contains(&stream), "{:?}", status.receipted);
    }
    assert!(status.sources.iter().any(|source| source.preview.is_some()));
    assert!(status.sources.iter().any(|source| source.level.is_some()));
    let still = bound.board().take_still().expect("it was asked for");
    let still = image::load_from_memory(&still).expect("a JPEG");
    assert_eq!((still.width(), still.height()), (640, 480));
    finished(&bound, ending).await;

    let stored = server.stored.lock().expect("not poisoned");
    assert_eq!(stored.refusals, []);
    assert!(stored.finished);
    let kinds: Vec<_> = stored
        .sources
        .iter()
        .map(|source| (source.source.kind, source.kind, source.driver.as_str()))
        .collect();
    let simulated = SourceKind::Simulated;
    assert_eq!(
        kinds,
        [
            (StreamKind::Camera, simulated, "simulated"),
            (StreamKind::Microphone, simulated, "simulated"),
            (StreamKind::Screen, simulated, "simulated"),
        ]
    );
    assert!(stored.thumbnails.contains_key(&CAMERA) && stored.thumbnails.contains_key(&SCREEN));
    check_file(&stored, CAMERA);
    check_file(&stored, SCREEN);
}

/// Every chunk reads back, says truly whether it can be decoded from, and is not too long; no
/// track's time goes back. Tracks are looked at one by one, for on a busy machine sound comes late
/// and begins before the pictures of its chunk.
fn check_file(stored: &Stored, stream: StreamId) {
    let mut decoded = BTreeMap::new();
    for ((of, seq), (header, payload)) in &stored.chunks {
        if *of != stream {
            continue;
        }
        if seq.0 == 0 {
            media::summary_of(payload).expect("an initialisation segment");
            continue;
        }
        let frames = media::frames_of(payload).expect("a chunk");
        let video = frames.iter().find(|frame| frame.track == Track::Video);
        assert_eq!(header.sync, video.is_none_or(|frame| frame.sync));
        for frame in &frames {
            let first = frames.iter().find(|first| first.track == frame.track);
            let within = frame.start() - first.map_or_else(|| frame.start(), Sample::start);
            assert!(within <= Duration::from_millis(CHUNK_MS_MAX), "{within:?}");
            let before = decoded.insert(frame.track, frame.time_ticks);
            assert!(before <= Some(frame.time_ticks), "time goes back at {seq}");
        }
    }
}

fn streams_are_live(server: &FakeServer) -> bool {
    let sound = samples(server, CAMERA, Track::Sound) > 0;
    let video = samples(server, CAMERA, Track::Video) > 0;
    let screen = samples(server, SCREEN, Track::Video) > 0;
    let stored = server.stored.lock().expect("not poisoned");
    let healthy = stored.last_beat.as_ref().is_some_and(|beat| {
        beat.sources.len() == 3
            && beat
                .sources
                .iter()
                .all(|health| health.state == SourceState::Live)
    });
    sound && video && screen && healthy
}

fn samples(server: &FakeServer, stream: StreamId, track: Track) -> usize {
    let stored = server.stored.lock().expect("not poisoned");
    let of_stream = stored.chunks.iter().filter(|((of, _), _)| *of == stream);
    of_stream
        .filter_map(|(_, (_, payload))| media::frames_of(payload).ok())
        .flatten()
        .filter(|frame| frame.track == track)
        .count()
}

pub(super) fn write_files(folder: &Path) {
    let picture = |name: &str, seed: u32| {
        image::RgbImage::from_fn(640, 480, |x, y| {
            let value = |n: u32| u8::try_from((x * n + y * seed) % 200).expect("a byte");
            image::Rgb([value(1), value(2), value(3)])
        })
        .save(folder.join(name))
        .expect("written");
    };
    picture("camera.png", 1);
    picture("screen.png", 5);
    let samples: Vec<u8> = (0..48_000_i32)
        .flat_map(|n| {
            i16::try_from((n * 97) % 4_000 - 2_000)
                .expect("small")
                .to_le_bytes()
        })
        .collect();
    let length = u32::try_from(samples.len()).expect("small");
    let mut wav = b"RIFF".to_vec();
    wav.extend((length + 36).to_le_bytes());
    wav.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    wav.extend(48_000_u32.to_le_bytes());
    wav.extend(96_000_u32.to_le_bytes());
    wav.extend(b"\x02\0\x10\0data");
    wav.extend(length.to_le_bytes());
    wav.extend(samples);
    std::fs::write(folder.join("voice.wav"), wav).expect("written");
}

const CAMERA: StreamId = StreamId {
    kind: StreamKind::Camera,
    index: 0,
};
const SCREEN: StreamId = StreamId {
    kind: StreamKind::Screen,
    index: 0,
};
