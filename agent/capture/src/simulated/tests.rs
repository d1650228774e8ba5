//! Simulated sources: what they play, at what rate, and what they call themselves.

use std::path::Path;
use std::time::Duration;

use super::{Pictures, PicturesConfig, next_turn};
use crate::{CaptureEvent, CaptureHandle, I420Frame, LossCause, SourceKind, simulated};

#[test]
fn a_simulated_camera_says_so_and_keeps_its_rate() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = still(dir.path(), "face.png", [120, 90, 60]);
    let pictures = Pictures::Stills {
        paths: vec![path],
        each: Duration::from_secs(1),
    };
    let config = PicturesConfig {
        pictures,
        width: 320,
        height: 240,
        frames_per_s: 20,
    };
    let handle = simulated::camera(config).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = handle.recv_timeout(WAIT) else {
        panic!("it opens first");
    };
    assert_eq!(
        (source.kind, source.driver.as_str()),
        (SourceKind::Simulated, "simulated")
    );
    let frames: Vec<I420Frame> = (0..20).map(|_| frame(&handle)).collect();
    let span_ms = (frames[19].captured_ns - frames[0].captured_ns) / 1_000_000;
    assert!(
        (850..1_400).contains(&span_ms),
        "19 pictures took {span_ms} ms"
    );
    assert_ne!(frames[0].planes, frames[1].planes, "a sensor has grain");
}

#[test]
fn a_simulated_display_marks_what_stays() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = vec![
        still(dir.path(), "a.png", [255; 3]),
        still(dir.path(), "b.png", [0; 3]),
    ];
    let pictures = Pictures::Stills {
        paths,
        each: Duration::from_millis(300),
    };
    let config = PicturesConfig {
        pictures,
        width: 320,
        height: 240,
        frames_per_s: 10,
    };
    let handle = simulated::screen(config).expect("a thread starts");
    assert!(matches!(
        handle.recv_timeout(WAIT),
        Some(CaptureEvent::Opened(_))
    ));
    let marks: Vec<bool> = (0..6).map(|_| frame(&handle).unchanged).collect();
    assert_eq!(marks, [false, true, true, false, true, true]);
}

#[test]
fn a_source_that_stood_still_gives_no_burst_when_it_goes_on() {
    let period = Duration::from_millis(100);
    assert_eq!(next_turn(4, Duration::from_millis(401), period), 5);
    assert_eq!(next_turn(4, Duration::from_millis(730), period), 5);
    assert_eq!(next_turn(4, Duration::from_millis(4_430), period), 44);
}

#[test]
fn a_film_begins_again_at_its_end() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("film.y4m");
    let mut film = b"YUV4MPEG2 W32 H16 F25:1 Ip A1:1 C420jpeg\n".to_vec();
    for shade in [10_u8, 20, 30] {
        film.extend(b"FRAME\n");
        film.extend(vec![shade; 32 * 16 * 3 / 2]);
    }
    std::fs::write(&path, film).expect("the film is written");
    let pictures = Pictures::Film { path };
    let config = PicturesConfig {
        pictures,
        width: 32,
        height: 16,
        frames_per_s: 30,
    };
    let handle = simulated::camera(config).expect("a thread starts");
    assert!(matches!(
        handle.recv_timeout(WAIT),
        Some(CaptureEvent::Opened(_))
    ));
    let shades: Vec<u8> = (0..5).map(|_| frame(&handle).planes[0]).collect();
    assert_eq!(shades, [10, 20, 30, 10, 20]);
}

#[test]
fn a_sound_is_played_at_real_rate_and_a_missing_one_is_missing() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("sound.wav");
    let mut wav =
        b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data"
            .to_vec();
    wav.extend(6_400_u32.to_le_bytes());
    wav.extend([5_u8, 0].repeat(3_200));
    std::fs::write(&path, wav).expect("the sound is written");
    let handle = simulated::microphone(path).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = handle.recv_timeout(WAIT) else {
        panic!("it opens first");
    };
    assert_eq!(
        (source.kind, source.samples_per_s),
        (SourceKind::Simulated, 16_000)
    );
    let mut last_ns = None;
    for _ in 0..20 {
        let Some(CaptureEvent::Sample(block)) = handle.recv_timeout(WAIT) else {
            panic!("a block comes");
        };
        assert_eq!(block.samples.len(), 960);
        assert!(last_ns.is_none_or(|last| block.captured_ns == last + 20_000_000));
        last_ns = Some(block.captured_ns);
    }
    let missing = simulated::microphone(dir.path().join("none.wav")).expect("a thread starts");
    assert_eq!(
        missing.recv_timeout(WAIT),
        Some(CaptureEvent::Lost(LossCause::Missing))
    );
}

fn still(dir: &Path, name: &str, colour: [u8; 3]) -> std::path::PathBuf {
    let path = dir.join(name);
    image::RgbImage::from_pixel(160, 120, image::Rgb(colour))
        .save(&path)
        .expect("the still is written");
    path
}

fn frame(handle: &CaptureHandle<I420Frame>) -> I420Frame {
    match handle.recv_timeout(WAIT) {
        Some(CaptureEvent::Sample(frame)) => frame,
        other => panic!("a picture comes: {other:?}"),
    }
}

const WAIT: Duration = Duration::from_secs(10);
