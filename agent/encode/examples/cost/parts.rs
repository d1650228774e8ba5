//! What our own parts cost.

use std::time::{Duration, Instant};

use anyhow::Result;
use qorgan_capture::{CaptureEvent, screen};
use qorgan_encode::{
    AudioEncoder, CmafMuxer, I420Ref, Layout, MediaTime, Profile, VideoEncoder, VideoLayout,
    VideoSettings,
};
use yuv::{YuvChromaSubsampling, YuvPackedImage, YuvPlanarImageMut};

use crate::machine::{self, Row};
use crate::material::{self, CAMERA, Film, Material, bytes_of};
use crate::server::Server;

/// How long a display is watched.
pub(crate) const WATCHED: Duration = Duration::from_secs(10);
/// Rows that the page moves in a picture when it scrolls.
pub(crate) const SCROLL_ROWS: usize = 24;

pub(crate) fn camera(material: &Material) -> Result<Vec<Row>> {
    let (width, height) = CAMERA;
    let mut film = Film::open(&material.path("yuyv"), bytes_of(CAMERA) * 2)?;
    let mut convert = Duration::ZERO;
    let mut frames = 0;
    let mut image = YuvPlanarImageMut::alloc(width, height, YuvChromaSubsampling::Yuv420);
    while let Some(yuy) = film.next() {
        let packed = YuvPackedImage {
            yuy,
            yuy_stride: width * 2,
            width,
            height,
        };
        let (done, busy) = machine::busy(|| yuv::yuyv422_to_yuv420(&mut image, &packed))?;
        done?;
        convert += busy;
        frames += 1;
    }
    let settings = VideoSettings::camera(&Profile::Rich.settings().camera, width, height);
    let mut encoder = VideoEncoder::new(settings)?;
    let mut film = material.film(15)?;
    let mut encode = Duration::ZERO;
    let mut index = 0_u64;
    while let Some(bytes) = film.next() {
        let picture = material::camera_picture(bytes)?;
        let at = MediaTime::from_nanos(index * 1_000_000_000 / 15);
        let (frame, busy) = machine::busy(|| encoder.encode(&picture, at, false))?;
        frame?;
        encode += busy;
        index += 1;
    }
    let span = Duration::from_secs(1) * frames / 15;
    Ok(vec![
        Row::new("camera: YUYV to I420", convert, span),
        Row::new("camera: openh264 at 300 kbit/s", encode, span),
    ])
}

pub(crate) fn sound(material: &Material) -> Result<Row> {
    let mut encoder = AudioEncoder::new(&Profile::Rich.settings().sound)?;
    let mut at = MediaTime::ZERO;
    let mut busy = Duration::ZERO;
    for block in material.sound.chunks_exact(960) {
        let (packets, took) = machine::busy(|| encoder.push(block, at))?;
        packets?;
        busy += took;
        at = at.plus(AudioEncoder::PACKET_SPAN);
    }
    Ok(Row::new(
        "sound: opus at 24 kbit/s",
        busy,
        at.since(MediaTime::ZERO).unwrap_or_default(),
    ))
}

pub(crate) fn mux(material: &Material) -> Result<Row> {
    let (width, height) = CAMERA;
    let settings = VideoSettings::camera(&Profile::Rich.settings().camera, width, height);
    let mut encoder = VideoEncoder::new(settings)?;
    let sets = encoder.parameter_sets().clone();
    let video = Some(VideoLayout {
        width,
        height,
        sets,
    });
    let layout = Layout {
        video,
        sound_pre_skip: None,
    };
    let mut muxer = CmafMuxer::new(layout, MediaTime::ZERO, 1)?;
    let mut film = material.film(15)?;
    let (mut busy, mut index, mut gathered) = (Duration::ZERO, 0_u64, Vec::new());
    while let Some(bytes) = film.next() {
        let at = MediaTime::from_nanos(index * 1_000_000_000 / 15);
        index += 1;
        gathered.extend(encoder.encode(&material::camera_picture(bytes)?, at, false)?);
        if gathered.len() == 6 {
            let until = MediaTime::from_nanos(index * 1_000_000_000 / 15);
            let (chunk, took) = machine::busy(|| muxer.chunk(&gathered, &[], until))?;
            chunk?;
            busy += took;
            gathered.clear();
        }
    }
    Ok(Row::new(
        "container: moof and mdat",
        busy,
        Duration::from_nanos(index * 1_000_000_000 / 15),
    ))
}

/// Watches the display with our capture and encodes what changes.
pub(crate) fn screen(server: &Server, material: &Material, scrolls: bool) -> Result<Vec<Row>> {
    let settings = Profile::Rich.settings().screen;
    let display = server.display()?;
    let mut encoder = VideoEncoder::new(VideoSettings::screen(
        &settings,
        display.width,
        display.height,
    ))?;
    let handle = screen::start(display, settings.frames_per_s)?;
    // The first picture is the price of starting, not of watching.
    while !matches!(
        handle.recv_timeout(WATCHED),
        Some(CaptureEvent::Sample(_)) | None
    ) {}
    let (threads, x_server) = (machine::threads(THREADS)?, machine::process(server.id())?);
    let began = Instant::now();
    let (mut encode, mut rows, mut painting) = (Duration::ZERO, 0, Duration::ZERO);
    while began.elapsed() < WATCHED {
        let Some(CaptureEvent::Sample(frame)) = handle.recv_timeout(WATCHED) else {
            continue;
        };
        if !frame.unchanged {
            let picture = I420Ref::tight(frame.width, frame.height, &frame.planes)?;
            let at = MediaTime::from_nanos(frame.captured_ns);
            let (done, busy) = machine::busy(|| encoder.encode(&picture, at, false))?;
            done?;
            encode += busy;
        }
        if scrolls {
            rows += SCROLL_ROWS;
            let before = machine::process(server.id())?;
            server.paint(&material.pages[0], rows)?;
            painting += machine::process(server.id())?.saturating_sub(before);
        }
    }
    let span = began.elapsed();
    let x_busy = machine::process(server.id())?
        .saturating_sub(x_server)
        .saturating_sub(painting);
    let threads = machine::threads(THREADS)?.saturating_sub(threads);
    Ok(vec![
        Row::new("screen: capture and I420", threads, span),
        Row::new("screen: the X server's part of the capture", x_busy, span),
        Row::new("screen: openh264 at QP 28", encode, span),
    ])
}

const THREADS: &str = "qorgan-screen";
