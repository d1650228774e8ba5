//! What detectors look at, small enough to be kept.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _, ImageFormat};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;

/// Width of the pictures that are scored and kept.
pub const SMALL_WIDTH: u32 = 160;
/// Height of the pictures that are scored and kept.
pub const SMALL_HEIGHT: u32 = 120;

/// Says why an input is not one that a detector scored.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// The rows of a picture do not fit its bytes.
    #[error("{bytes} bytes hold no picture of {width}x{height} with rows of {stride}")]
    Size {
        /// Bytes found.
        bytes: usize,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes from one row to the next.
        stride: u32,
    },
    /// The picture cannot be written or read.
    #[error("the scored picture cannot be written or read")]
    Picture(#[source] image::ImageError),
    /// The bytes are no input that a detector keeps.
    #[error("the bytes are no input that this detector scored")]
    NotScored,
    /// The model that scored it cannot be loaded or run.
    #[error("the model that scored it cannot be run")]
    Model(#[from] crate::ModelError),
    /// No detector of that name and version is built in.
    #[error("no detector `{name}` is built in")]
    UnknownDetector {
        /// The name.
        name: String,
    },
}

/// A picture's brightness, lent.
#[derive(Debug, Clone, Copy)]
pub struct Luma<'a> {
    width: u32,
    height: u32,
    stride: u32,
    bytes: &'a [u8],
}

impl<'a> Luma<'a> {
    /// Lends a plane; rows are `stride` bytes apart.
    ///
    /// # Errors
    /// `Size` where the bytes do not hold the rows.
    pub fn new(width: u32, height: u32, stride: u32, bytes: &'a [u8]) -> Result<Self, InputError> {
        let needed = u64::from(stride) * u64::from(height.saturating_sub(1)) + u64::from(width);
        let fits = width > 0
            && height > 0
            && stride >= width
            && usize::try_from(needed).is_ok_and(|needed| bytes.len() >= needed);
        if fits {
            Ok(Self {
                width,
                height,
                stride,
                bytes,
            })
        } else {
            Err(InputError::Size {
                bytes: bytes.len(),
                width,
                height,
                stride,
            })
        }
    }

    /// Returns how many pixels a row has.
    pub(crate) fn columns(&self) -> usize {
        usize::try_from(self.width).unwrap_or(usize::MAX)
    }

    /// Returns how many rows there are.
    pub(crate) fn rows(&self) -> usize {
        usize::try_from(self.height).unwrap_or(usize::MAX)
    }

    /// Returns one row; empty below the last.
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        let stride = usize::try_from(self.stride).unwrap_or(usize::MAX);
        let first = row.saturating_mul(stride);
        let end = first.saturating_add(self.columns());
        self.bytes.get(first..end).unwrap_or_default()
    }

    /// Returns single pixels on a grid, unmixed: an average would hide the sensor's noise, by which
    /// a live picture is told from a repeated one.
    #[must_use]
    pub fn sampled(&self) -> Small {
        let mut pixels = Vec::with_capacity(SMALL_PIXELS);
        for y in 0..SMALL_HEIGHT {
            let row = u64::from(y) * u64::from(self.height) / u64::from(SMALL_HEIGHT);
            for x in 0..SMALL_WIDTH {
                let column = u64::from(x) * u64::from(self.width) / u64::from(SMALL_WIDTH);
                let at = usize::try_from(row * u64::from(self.stride) + column);
                let pixel = at.ok().and_then(|at| self.bytes.get(at));
                pixels.push(pixel.copied().unwrap_or_default());
            }
        }
        Small { pixels }
    }
}

/// A picture of [`SMALL_WIDTH`] by [`SMALL_HEIGHT`] brightness values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Small {
    pixels: Vec<u8>,
}

impl Small {
    /// Returns the pixels, row by row.
    #[must_use]
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// Returns mean and standard deviation.
    #[must_use]
    pub fn mean_and_deviation(&self) -> (f64, f64) {
        let (mut sum, mut squares) = (0_u32, 0_u32);
        for pixel in &self.pixels {
            let value = u32::from(*pixel);
            sum += value;
            squares += value * value;
        }
        let count = f64::from(SMALL_WIDTH * SMALL_HEIGHT);
        let mean = f64::from(sum) / count;
        let variance = (f64::from(squares) / count - mean * mean).max(0.0);
        (mean, variance.sqrt())
    }
}

/// Returns the PNG of pictures one above another.
pub(crate) fn png_of(pictures: &[Small]) -> Result<Vec<u8>, InputError> {
    let mut pixels = Vec::with_capacity(SMALL_PIXELS * pictures.len());
    let mut height = 0;
    for picture in pictures {
        pixels.extend_from_slice(&picture.pixels);
        height += SMALL_HEIGHT;
    }
    let mut png = Vec::new();
    PngEncoder::new(&mut png)
        .write_image(&pixels, SMALL_WIDTH, height, ExtendedColorType::L8)
        .map_err(InputError::Picture)?;
    Ok(png)
}

/// Returns the `count` pictures that stand one above another in a PNG.
pub(crate) fn pictures_of(png: &[u8], count: usize) -> Result<Vec<Small>, InputError> {
    if png.len() > SCORED_INPUT_BYTES_MAX {
        return Err(InputError::NotScored);
    }
    let mut reader = image::ImageReader::with_format(std::io::Cursor::new(png), ImageFormat::Png);
    let mut limits = image::Limits::default();
    limits.max_image_width = Some(SMALL_WIDTH);
    limits.max_image_height = Some(SMALL_HEIGHT * PICTURES_MAX);
    reader.limits(limits);
    let picture = reader.decode().map_err(InputError::Picture)?.into_luma8();
    let pixels = picture.into_raw();
    if pixels.len() != SMALL_PIXELS * count {
        return Err(InputError::NotScored);
    }
    Ok(pixels
        .chunks_exact(SMALL_PIXELS)
        .map(|pixels| Small {
            pixels: pixels.to_vec(),
        })
        .collect())
}

/// Returns samples as 16-bit little-endian bytes.
pub(crate) fn pcm_of(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

/// Reads 16-bit little-endian samples.
pub(crate) fn samples_of(pcm: &[u8]) -> Result<Vec<i16>, InputError> {
    let (pairs, rest) = pcm.as_chunks::<2>();
    if !rest.is_empty() || pairs.is_empty() || pcm.len() > SCORED_INPUT_BYTES_MAX {
        return Err(InputError::NotScored);
    }
    Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

const SMALL_PIXELS: usize = 160 * 120;
const PICTURES_MAX: u32 = 2;

#[cfg(test)]
pub(crate) mod scenes {
    //! Pictures for the tests of detectors.

    use crate::Picture;

    /// Lends a grey picture of 640 by 480.
    pub(crate) fn grey(pixels: &[u8]) -> Picture<'_> {
        const COLOURLESS: &[u8] = &[128; 320 * 240];
        Picture::i420(640, 480, [pixels, COLOURLESS, COLOURLESS]).expect("whole")
    }

    /// A room: a gradient with shapes, and a sensor's noise of about two levels.
    pub(crate) fn room(seed: u64) -> Vec<u8> {
        let mut noise = Noise(seed);
        let mut pixels = Vec::with_capacity(640 * 480);
        for y in 0..480_i32 {
            for x in 0..640_i32 {
                let face = (x - 320).pow(2) + (y - 240).pow(2) < 100 * 100;
                let base = if face { 170 } else { 40 + x / 8 + y / 12 };
                pixels.push(level(base + noise.level(2)));
            }
        }
        pixels
    }

    /// A hand over the lens: dark red glow, noise, no structure.
    pub(crate) fn covered(seed: u64) -> Vec<u8> {
        let mut noise = Noise(seed);
        (0..640 * 480).map(|_| level(24 + noise.level(3))).collect()
    }

    fn level(value: i32) -> u8 {
        u8::try_from(value.clamp(16, 235)).expect("within a byte")
    }

    /// A small generator; the seed is the test's own number.
    pub(crate) struct Noise(pub(crate) u64);

    impl Noise {
        pub(crate) fn level(&mut self, most: i32) -> i32 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            let wide = i32::try_from(self.0 % 1_000).expect("small");
            wide % (2 * most + 1) - most
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plane_that_is_too_short_is_refused() {
        Luma::new(4, 4, 4, &[0; 16]).expect("whole");
        Luma::new(4, 4, 4, &[0; 15]).expect_err("a refusal");
        Luma::new(4, 4, 3, &[0; 16]).expect_err("a refusal");
        Luma::new(0, 4, 4, &[0; 16]).expect_err("a refusal");
    }

    #[test]
    fn pictures_and_samples_read_back_without_loss() {
        let pixels = scenes::room(7);
        let small = Luma::new(640, 480, 640, &pixels).expect("whole").sampled();
        let png = png_of(&[small.clone(), small.clone()]).expect("a PNG");
        assert!(png.len() <= SCORED_INPUT_BYTES_MAX);
        assert_eq!(
            pictures_of(&png, 2).expect("two pictures"),
            [small.clone(), small]
        );
        pictures_of(&png, 1).expect_err("a refusal");
        let samples = [0, 1, -1, i16::MAX, i16::MIN];
        assert_eq!(samples_of(&pcm_of(&samples)).expect("samples"), samples);
        samples_of(&[1]).expect_err("a refusal");
    }
}
