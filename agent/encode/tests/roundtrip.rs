//! What the encoders and the muxer write, read back by ffprobe, ffmpeg and our own parser.

#![expect(
    clippy::tests_outside_test_module,
    clippy::panic,
    reason = "the whole file is a test"
)]

mod support;

use std::fs;
use std::time::Duration;

use qorgan_encode::{
    AudioEncoder, CmafMuxer, EncodedFrame, Layout, MediaTime, MuxError, Profile, SoundPacket,
    VideoEncoder, VideoLayout, VideoSettings,
};
use qorgan_protocol::media::{Track, frames_of, nals_of, parameter_sets, summary_of};
use support::{Picture, camera_picture, decode, packets, psnr, screen_picture};

#[test]
fn a_camera_with_sound_plays_and_looks_like_its_source() {
    for profile in Profile::ALL {
        let fps = profile.settings().camera.frames_per_s;
        let recording = camera_recording(profile, 3 * fps);
        let file = recording.write(recording.chunks.len());
        let pictures = decode(file.path(), 640, 480);
        assert_eq!(pictures.len(), recording.sources.len());
        let least = recording
            .sources
            .iter()
            .zip(&pictures)
            .map(|(source, seen)| psnr(source, seen))
            .fold(f64::INFINITY, f64::min);
        assert!(
            least > 28.0,
            "{profile:?}: the worst picture has {least:.1} dB"
        );
        let sound = packets(file.path(), "a", "pts");
        assert!(sound.len() > 140, "{} packets of sound", sound.len());
    }
}

#[test]
fn a_screen_that_never_rests_keeps_to_its_budget_and_a_forced_key_frame_comes_all_the_same() {
    let (width, height) = (1_280, 720);
    let screen = Profile::Economy.settings().screen;
    let mut encoder =
        VideoEncoder::new(VideoSettings::screen(&screen, width, height)).expect("it opens");
    let (mut bits, mut pictures) = (0, 0);
    for turn in 0..120_u32 {
        let picture = support::noise(width, height, turn);
        let at = MediaTime::from_millis(u64::from(turn) * 500);
        let written = encoder
            .encode(&picture.lend(), at, false)
            .expect("it encodes");
        if let Some(frame) = written.filter(|_| turn >= 20) {
            bits += frame.data.len() * 8;
            pictures += 1;
        }
    }
    assert!(pictures >= 50 / 3, "{pictures} pictures in 50 s");
    // Coarse as it is, a picture has a least size: a tenth above the budget is all it takes.
    assert!(bits / 50 <= 35_000, "{} bit/s", bits / 50);

    let last = support::noise(width, height, 121);
    let at = MediaTime::from_millis(60_100);
    let forced = encoder.encode(&last.lend(), at, true).expect("it encodes");
    assert!(forced.is_some_and(|frame| frame.key));
}

#[test]
fn times_in_the_file_are_the_times_of_capture() {
    let recording = camera_recording(Profile::Rich, 30);
    let file = recording.write(recording.chunks.len());
    let seen = packets(file.path(), "v", "pts");
    let meant: Vec<String> = (0..30_u64)
        .map(|n| (n * 1_000_000_000 / 15 * 90_000 / 1_000_000_000).to_string())
        .collect();
    assert_eq!(seen, meant);
    let sound: Vec<i64> = packets(file.path(), "a", "pts")
        .iter()
        .map(|pts| pts.parse().expect("a number"))
        .collect();
    assert!(
        sound.windows(2).all(|pair| pair[1] - pair[0] == 960),
        "sound joins without gaps"
    );
}

#[test]
fn key_frames_come_by_time_and_on_demand() {
    let settings = VideoSettings::camera(&Profile::Standard.settings().camera, 640, 480);
    let mut encoder = VideoEncoder::new(settings).expect("openh264 opens");
    let keys: Vec<u64> = (0..75_u64)
        .filter(|n| {
            let picture = camera_picture(640, 480, u32::try_from(*n).expect("small"));
            let at = MediaTime::from_nanos(n * 1_000_000_000 / 15);
            let frame = encoder
                .encode(&picture.lend(), at, *n == 40)
                .expect("openh264 takes it");
            let frame = frame.expect("no frame is skipped");
            assert_eq!(holds_idr(&frame.data), frame.key);
            frame.key
        })
        .collect();
    assert_eq!(
        keys,
        [0, 30, 40, 70],
        "every 2 s, and when it was asked for"
    );
}

#[test]
fn a_file_cut_anywhere_still_plays() {
    let recording = camera_recording(Profile::Economy, 30);
    let whole = recording.bytes(recording.chunks.len());
    let init = recording.init.len();
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("cut.mp4");
    let first_chunk = recording.chunks[0].len();
    for part in 1..8 {
        let end = init + first_chunk + (whole.len() - init - first_chunk) * part / 8;
        fs::write(&path, &whole[..end]).expect("the file is written");
        let seen = packets(&path, "v", "pts");
        assert!(
            seen.len() >= 5,
            "{} frames are left of {end} bytes",
            seen.len()
        );
    }
}

#[test]
fn a_recording_goes_on_after_the_encoder_was_started_again() {
    let mut recording = camera_recording(Profile::Standard, 30);
    let later = camera_recording_from(Profile::Standard, 30, MediaTime::from_millis(9_000));
    assert_eq!(
        recording.init, later.init,
        "the same settings give the same segment"
    );
    recording.chunks.extend(later.chunks.iter().cloned());
    let file = recording.write(recording.chunks.len());
    let pictures = decode(file.path(), 640, 480);
    assert_eq!(pictures.len(), 60);
    assert!(psnr(&later.sources[29], &pictures[59]) > 30.0);
    let seen = packets(file.path(), "v", "pts");
    assert_eq!(seen[30], (9 * 90_000).to_string());
}

#[test]
fn a_screen_with_skipped_frames_keeps_its_times() {
    let settings = VideoSettings::screen(&Profile::Rich.settings().screen, 1280, 720);
    let mut encoder = VideoEncoder::new(settings).expect("openh264 opens");
    let mut muxer = muxer_of(&encoder, None, MediaTime::ZERO);
    let mut bytes = muxer.init_segment().expect("the segment is written");
    let moments = [0_u64, 200, 7_000, 7_400, 19_000];
    let mut sources = Vec::new();
    for (page, millis) in moments.into_iter().enumerate() {
        let picture = screen_picture(1280, 720, u32::try_from(page).expect("small"));
        let at = MediaTime::from_millis(millis);
        let frame = encoder
            .encode(&picture.lend(), at, false)
            .expect("openh264 takes it");
        let frame = frame.expect("a stream without budget skips nothing");
        let until = at.plus(Duration::from_millis(150));
        let chunk = muxer
            .chunk(&[frame], &[], until)
            .expect("the chunk is written");
        assert_eq!(chunk.duration, Duration::from_millis(150));
        bytes.extend(chunk.bytes);
        sources.push(picture);
    }
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("screen.mp4");
    fs::write(&path, bytes).expect("the file is written");
    let seen = packets(&path, "v", "pts");
    assert_eq!(seen, moments.map(|millis| (millis * 90).to_string()));
    let pictures = decode(&path, 1280, 720);
    for (source, seen) in sources.iter().zip(&pictures) {
        assert!(
            psnr(source, seen) > 34.0,
            "text stays legible: {:.1} dB",
            psnr(source, seen)
        );
    }
}

#[test]
fn our_own_parser_finds_every_sample() {
    let recording = camera_recording(Profile::Economy, 30);
    let summary = summary_of(&recording.init).expect("our own segment");
    let video = summary.video.clone().expect("a camera has video");
    assert_eq!((video.width, video.height, summary.sound), (640, 480, true));
    parameter_sets(&video.avcc).expect("settings of a decoder");
    let mut frames = 0;
    for chunk in &recording.chunks {
        for sample in summary.frames_of(chunk).expect("our own chunk") {
            if sample.track == Track::Video {
                assert_eq!(holds_idr(sample.bytes), sample.sync);
                frames += 1;
            }
            assert!(sample.duration() <= Duration::from_millis(500));
        }
    }
    assert_eq!(frames, 30);
}

#[test]
fn a_display_that_changes_without_end_is_slowed_down_towards_its_budget() {
    let settings = Profile::Economy.settings().screen;
    let mut encoder =
        VideoEncoder::new(VideoSettings::screen(&settings, 1280, 720)).expect("openh264 opens");
    let mut frames = Vec::new();
    for index in 0..60_u32 {
        let picture = screen_picture(1280, 720, index);
        let at = MediaTime::from_millis(u64::from(index) * 500);
        frames.extend(
            encoder
                .encode(&picture.lend(), at, false)
                .expect("openh264 takes it"),
        );
    }
    let gaps: Vec<Duration> = frames
        .windows(2)
        .map(|pair| pair[1].at.since(pair[0].at).expect("time goes on"))
        .collect();
    assert!(
        gaps.iter().all(|gap| *gap <= Duration::from_secs(3)),
        "{gaps:?}"
    );
    let late = gaps.last().expect("there are frames");
    assert!(*late >= Duration::from_secs(2), "without end: {gaps:?}");
}

#[test]
fn the_parser_survives_every_flipped_byte_of_a_real_chunk() {
    let recording = camera_recording(Profile::Economy, 6);
    let chunk = &recording.chunks[0];
    let moof = usize::try_from(u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]))
        .expect("small");
    for at in 0..moof + 8 {
        for mask in [0x01, 0x80, 0xff] {
            let mut bad = chunk.clone();
            bad[at] ^= mask;
            if let Ok(samples) = frames_of(&bad) {
                let covered: usize = samples.iter().map(|sample| sample.bytes.len()).sum();
                assert_eq!(covered, chunk.len() - moof - 8);
            }
        }
    }
    for at in 0..recording.init.len() {
        let mut bad = recording.init.clone();
        bad[at] ^= 0xff;
        drop(summary_of(&bad));
    }
}

#[test]
fn a_chunk_longer_than_half_a_second_is_refused_and_changes_nothing() {
    let settings = VideoSettings::camera(&Profile::Rich.settings().camera, 640, 480);
    let mut encoder = VideoEncoder::new(settings).expect("openh264 opens");
    let mut muxer = muxer_of(&encoder, None, MediaTime::ZERO);
    let frames: Vec<EncodedFrame> = [0, 600]
        .into_iter()
        .map(|millis| {
            let picture = camera_picture(640, 480, 1);
            let at = MediaTime::from_millis(millis);
            let frame = encoder
                .encode(&picture.lend(), at, false)
                .expect("openh264 takes it");
            frame.expect("no frame is skipped")
        })
        .collect();
    let until = MediaTime::from_millis(700);
    assert!(matches!(
        muxer.chunk(&frames, &[], until),
        Err(MuxError::TooLong(_))
    ));
    assert!(matches!(muxer.chunk(&[], &[], until), Err(MuxError::Empty)));
    muxer
        .chunk(&frames[..1], &[], until)
        .expect("one at a time fits");
    assert!(matches!(
        muxer.chunk(&frames[..1], &[], until),
        Err(MuxError::TimeWentBack(_))
    ));
}

struct Recording {
    init: Vec<u8>,
    chunks: Vec<Vec<u8>>,
    sources: Vec<Picture>,
}

impl Recording {
    fn bytes(&self, chunks: usize) -> Vec<u8> {
        let mut bytes = self.init.clone();
        self.chunks
            .iter()
            .take(chunks)
            .for_each(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    fn write(&self, chunks: usize) -> tempfile::NamedTempFile {
        let file = tempfile::Builder::new()
            .suffix(".mp4")
            .tempfile()
            .expect("a file");
        fs::write(file.path(), self.bytes(chunks)).expect("the file is written");
        file
    }
}

fn camera_recording(profile: Profile, frames: u32) -> Recording {
    camera_recording_from(profile, frames, MediaTime::ZERO)
}

fn camera_recording_from(profile: Profile, frames: u32, from: MediaTime) -> Recording {
    let settings = profile.settings();
    let video = VideoSettings::camera(&settings.camera, 640, 480);
    let mut encoder = VideoEncoder::new(video).expect("openh264 opens");
    let mut sound_encoder = AudioEncoder::new(&settings.sound).expect("opus opens");
    let mut muxer = muxer_of(&encoder, Some(sound_encoder.pre_skip()), MediaTime::ZERO);
    let init = muxer.init_segment().expect("the segment is written");
    let mut recording = Recording {
        init,
        chunks: Vec::new(),
        sources: Vec::new(),
    };
    let (mut video, mut sound): (Vec<EncodedFrame>, Vec<SoundPacket>) = (Vec::new(), Vec::new());
    let fps = u64::from(settings.camera.frames_per_s);
    let mut sound_to = 0;
    for index in 0..frames {
        let since = Duration::from_nanos(u64::from(index) * 1_000_000_000 / fps);
        let at = from.plus(since);
        let picture = camera_picture(640, 480, index);
        let frame = encoder
            .encode(&picture.lend(), at, false)
            .expect("openh264 takes it");
        video.push(frame.expect("no frame is skipped"));
        recording.sources.push(picture);
        while sound_to < u64::try_from(since.as_millis()).expect("short") + 1_000 / fps {
            let block = tone(sound_to);
            let at = from.plus(Duration::from_millis(sound_to));
            sound.extend(sound_encoder.push(&block, at).expect("opus takes it"));
            sound_to += 20;
        }
        if video.len() == 5 || index + 1 == frames {
            let until = from.plus(Duration::from_nanos(
                u64::from(index + 1) * 1_000_000_000 / fps,
            ));
            let chunk = muxer
                .chunk(&video, &sound, until)
                .expect("the chunk is written");
            recording.chunks.push(chunk.bytes);
            video.clear();
            sound.clear();
        }
    }
    recording
}

/// Tells whether a sample holds an instantaneous refresh, whatever its flags claim.
fn holds_idr(sample: &[u8]) -> bool {
    let nals = nals_of(sample).expect("whole NAL units");
    nals.iter().any(|nal| nal[0] & 0x1f == 5)
}

fn muxer_of(encoder: &VideoEncoder, sound_pre_skip: Option<u16>, origin: MediaTime) -> CmafMuxer {
    let settings = encoder.settings();
    let video = VideoLayout {
        width: settings.width,
        height: settings.height,
        sets: encoder.parameter_sets().clone(),
    };
    CmafMuxer::new(
        Layout {
            video: Some(video),
            sound_pre_skip,
        },
        origin,
        1,
    )
    .expect("there is video")
}

/// Twenty milliseconds of a 440 Hz tone that begins at `millis`.
fn tone(millis: u64) -> Vec<i16> {
    (0..960_u32)
        .map(|n| {
            let t = f64::from(u32::try_from(millis).expect("short")) / 1_000.0
                + f64::from(n) / 48_000.0;
            let value = (t * 440.0 * std::f64::consts::TAU).sin() * 8_000.0;
            #[expect(
                clippy::cast_possible_truncation,
                reason = "the tone stays within 8,000"
            )]
            let value = value as i16;
            value
        })
        .collect()
}
