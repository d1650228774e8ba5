//! What freshness costs the server: one key frame of a 1080p screen decoded and its code found, in
//! processor time (and by the clock where the system does not tell that).
//!
//! `cargo run --release -p qorgan-server --example freshness_cost`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use openh264::decoder::{DecodeOptions, Decoder, Flush};
use qorgan_decoding::code_on_picture;
use qorgan_encode::{I420Ref, MediaTime, Profile, ScreenSettings, VideoEncoder, VideoSettings};
use qorgan_protocol::media::annexb_of;

fn main() -> anyhow::Result<()> {
    println!("one key frame of a {WIDTH}x{HEIGHT} screen, {RUNS} runs:");
    for profile in Profile::ALL {
        let name = format!("{profile:?}").to_lowercase();
        let shown = Picture::encoded(profile, true)?;
        let found = timed(|| {
            let code = code_on_picture(&shown.avcc, &shown.sample);
            anyhow::ensure!(code.as_deref() == Some(CODE), "the code is not found");
            Ok(())
        })?;
        let decoded = timed(|| shown.decode())?;
        let bare = Picture::encoded(profile, false)?;
        let missed = timed(|| {
            anyhow::ensure!(code_on_picture(&bare.avcc, &bare.sample).is_none());
            Ok(())
        })?;
        println!(
            "{name}, {} kB: p50 {:.1} ms, p95 {:.1} ms, of which decoding {:.1} ms; without a code \
             p50 {:.1} ms; asked once a minute {:.4} % of a core a candidate",
            shown.sample.len() / 1_000,
            ms(quantile(&found, 50)),
            ms(quantile(&found, 95)),
            ms(quantile(&decoded, 50)),
            ms(quantile(&missed, 50)),
            ms(quantile(&found, 50)) / 600.0,
        );
    }
    println!("screens full of finder patterns, the first of which took 58.6 s before:");
    for (width, height, module) in [(448, 448, 1), (960, 540, 2), (WIDTH, HEIGHT, 1)] {
        let hostile = full_of_finders(width, height, module);
        let settings = Profile::Rich.settings().screen;
        let hostile = Picture::of(&settings, (width, height), &hostile)?;
        let spent = timed(|| {
            anyhow::ensure!(code_on_picture(&hostile.avcc, &hostile.sample).is_none());
            Ok(())
        })?;
        let decoded = timed(|| hostile.decode())?;
        println!(
            "{width}x{height}, {module} px: p50 {:.1} ms, p95 {:.1} ms, of which decoding {:.1} ms",
            ms(quantile(&spent, 50)),
            ms(quantile(&spent, 95)),
            ms(quantile(&decoded, 50)),
        );
    }
    Ok(())
}

/// A screen that is tiled with finder patterns.
fn full_of_finders(width: usize, height: usize, module: usize) -> Vec<u8> {
    let dark = |at: usize| {
        let (x, y) = (at % width / module % 8, at / width / module % 8);
        let far = |at: usize| 6_usize.saturating_sub(at);
        let ring = x.min(y).min(far(x)).min(far(y));
        x < 7 && y < 7 && ring != 1
    };
    let pixels = (0..width * height).map(|at| if dark(at) { 16 } else { 235 });
    let mut planes: Vec<u8> = pixels.collect();
    planes.resize(width * height * 3 / 2, 128);
    planes
}

/// One encoded key frame.
struct Picture {
    avcc: Vec<u8>,
    sample: Vec<u8>,
    stream: Vec<u8>,
}

impl Picture {
    fn encoded(profile: Profile, with_code: bool) -> anyhow::Result<Self> {
        let settings = profile.settings().screen;
        Self::of(&settings, (WIDTH, HEIGHT), &screen(with_code)?)
    }

    fn of(
        settings: &ScreenSettings,
        (width, height): (usize, usize),
        planes: &[u8],
    ) -> anyhow::Result<Self> {
        let (width, height) = (u32::try_from(width)?, u32::try_from(height)?);
        let settings = VideoSettings::screen(settings, width, height);
        let mut encoder = VideoEncoder::new(settings)?;
        let picture = I420Ref::tight(width, height, planes)?;
        let frame = encoder
            .encode(&picture, MediaTime::ZERO, true)?
            .context("no key frame")?;
        let sets = encoder.parameter_sets();
        Ok(Self {
            stream: annexb_of(&frame.data, Some(sets))?,
            avcc: avcc(&sets.sps, &sets.pps)?,
            sample: frame.data,
        })
    }

    fn decode(&self) -> anyhow::Result<()> {
        let mut decoder = Decoder::new()?;
        let options = DecodeOptions::new().flush_after_decode(Flush::Flush);
        let picture = decoder.decode_with_options(&self.stream, options)?;
        anyhow::ensure!(picture.is_some(), "nothing was decoded");
        Ok(())
    }
}

fn avcc(sps: &[u8], pps: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut record = vec![1, 66, 0, 40, 0xff, 0xe1];
    record.extend(u16::try_from(sps.len())?.to_be_bytes());
    record.extend_from_slice(sps);
    record.push(1);
    record.extend(u16::try_from(pps.len())?.to_be_bytes());
    record.extend_from_slice(pps);
    Ok(record)
}

/// A page of something like text, with the code in its corner as the kiosk draws it.
fn screen(with_code: bool) -> anyhow::Result<Vec<u8>> {
    let page = (0..WIDTH * HEIGHT).map(|at| {
        let (x, y) = (at % WIDTH, at / WIDTH);
        let ink = y % 24 < 12 && (x * 7 + y / 24 * 13) % 11 < 4 && x % 900 > 60;
        if ink { 40 } else { 235 }
    });
    let mut planes: Vec<u8> = page.collect();
    if with_code {
        let code = qrcode::QrCode::new(CODE)?;
        let side = code.width();
        let quiet = (side + 8) * MODULE;
        for y in HEIGHT - quiet..HEIGHT {
            planes[y * WIDTH + WIDTH - quiet..(y + 1) * WIDTH].fill(235);
        }
        let (left, top) = (WIDTH - quiet + 4 * MODULE, HEIGHT - quiet + 4 * MODULE);
        for (at, colour) in code.to_colors().into_iter().enumerate() {
            let dark = colour == qrcode::Color::Dark;
            let (x, y) = (left + at % side * MODULE, top + at / side * MODULE);
            for row in y..y + MODULE {
                planes[row * WIDTH + x..row * WIDTH + x + MODULE].fill(if dark { 16 } else { 235 });
            }
        }
    }
    planes.resize(WIDTH * HEIGHT * 3 / 2, 128);
    Ok(planes)
}

/// Returns how long each run took, the shortest first.
fn timed(mut run: impl FnMut() -> anyhow::Result<()>) -> anyhow::Result<Vec<Duration>> {
    let mut spent = Vec::new();
    for _ in 0..RUNS {
        let before = thread_time();
        run()?;
        spent.push(thread_time().saturating_sub(before));
    }
    spent.sort_unstable();
    Ok(spent)
}

/// Returns the processor time of this thread, so that what else runs is not counted.
fn thread_time() -> Duration {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|text| text.split_whitespace().next()?.parse().ok());
    nanos.map_or_else(|| BEGAN.elapsed(), Duration::from_nanos)
}

fn quantile(sorted: &[Duration], percent: usize) -> Duration {
    let at = sorted.len() * percent / 100;
    sorted.get(at).copied().unwrap_or_default()
}

fn ms(span: Duration) -> f64 {
    span.as_secs_f64() * 1_000.0
}

const CODE: &str = "0123456789ABCDEF0123456789ABCDEF";
const WIDTH: usize = 1_920;
const HEIGHT: usize = 1_080;
const MODULE: usize = 8;
const RUNS: usize = 100;
