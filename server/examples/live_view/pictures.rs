//! Pictures that carry their capture time: sixteen blocks across, two rows, at the top.

use std::time::{SystemTime, UNIX_EPOCH};

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;

/// Returns the time of day in milliseconds, as the browser's `Date.now()` tells it.
pub(crate) fn wall_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

/// Paints one source.
#[derive(Debug, Clone)]
pub(crate) struct Painter {
    pub(crate) width: usize,
    pub(crate) height: usize,
    base: Vec<u8>,
    moves: bool,
}

impl Painter {
    /// A camera: everything moves a little, with noise.
    pub(crate) fn camera() -> Self {
        let (width, height) = (640, 480);
        let mut noise = 7_u32;
        let base = (0..width * height).map(|at| {
            let (x, y) = (at % width, at / width);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let grain = (noise >> 29) & 7;
            shade((x / 4 + y / 3) % 120 + 60) + shade(usize::try_from(grain).unwrap_or(0))
        });
        Self {
            width,
            height,
            base: base.collect(),
            moves: true,
        }
    }

    /// A screen: lines of something like text on white.
    pub(crate) fn screen() -> Self {
        let (width, height) = (1_920, 1_080);
        let base = (0..width * height).map(|at| {
            let (x, y) = (at % width, at / width);
            let ink = y % 24 < 12 && (x * 7 + y / 24 * 13) % 11 < 4 && x % 900 > 60;
            if ink { 40 } else { 235 }
        });
        Self {
            width,
            height,
            base: base.collect(),
            moves: false,
        }
    }

    /// Returns the planes of the picture that is captured at `at_ms`, the `number`th.
    pub(crate) fn planes(&self, number: usize, at_ms: u64) -> Vec<u8> {
        let shift = if self.moves {
            number * 2 % self.height
        } else {
            0
        };
        let mut planes = Vec::with_capacity(self.base.len() * 3 / 2);
        planes.extend_from_slice(&self.base[shift * self.width..]);
        planes.extend_from_slice(&self.base[..shift * self.width]);
        stamp(&mut planes, self.width, 1, at_ms);
        planes.resize(self.base.len() * 3 / 2, 128);
        planes
    }

    /// Returns the small picture that is captured at `at_ms`.
    pub(crate) fn jpeg(&self, width: usize, quality: u8, at_ms: u64) -> anyhow::Result<Vec<u8>> {
        let height = self.height * width / self.width;
        let mut pixels = Vec::with_capacity(width * height * 3);
        for at in 0..width * height {
            let (x, y) = (
                at % width * self.width / width,
                at / width * self.height / height,
            );
            let luma = self.base[y * self.width + x];
            pixels.extend([luma, luma, luma.saturating_sub(20)]);
        }
        stamp(&mut pixels, width, 3, at_ms);
        let mut jpeg = Vec::new();
        JpegEncoder::new_with_quality(&mut jpeg, quality).encode(
            &pixels,
            u32::try_from(width)?,
            u32::try_from(height)?,
            ExtendedColorType::Rgb8,
        )?;
        Ok(jpeg)
    }
}

fn shade(value: usize) -> u8 {
    u8::try_from(value).unwrap_or(u8::MAX)
}

/// Draws the low 24 bits of a time and their check byte.
fn stamp(pixels: &mut [u8], width: usize, bytes: usize, at_ms: u64) {
    let bits = code(at_ms);
    let block = width / BLOCKS;
    for y in 0..block * 2 {
        for x in 0..block * BLOCKS {
            let bit = y / block * BLOCKS + x / block;
            let value = if bits >> (31 - bit) & 1 == 1 { 235 } else { 16 };
            let at = (y * width + x) * bytes;
            pixels[at..at + bytes].fill(value);
        }
    }
}

fn code(at_ms: u64) -> u64 {
    let time = at_ms & 0x00ff_ffff;
    let check = (time ^ (time >> 8) ^ (time >> 16) ^ 0xa5) & 0xff;
    time << 8 | check
}

const BLOCKS: usize = 16;
