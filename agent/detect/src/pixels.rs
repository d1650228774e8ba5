//! Small pictures that are scored and kept: 8 bits a channel, one channel or three.

use image::codecs::png::PngEncoder;
use image::{DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat};
use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;

use crate::InputError;

/// A picture in memory, row by row: grey (one channel) or red, green, blue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pixels {
    width: u16,
    height: u16,
    channels: Channels,
    bytes: Vec<u8>,
}

/// What a pixel holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Channels {
    Grey,
    Rgb,
}

impl Channels {
    pub(crate) const fn count(self) -> usize {
        match self {
            Self::Grey => 1,
            Self::Rgb => 3,
        }
    }
}

impl Pixels {
    /// Takes bytes that fill the picture.
    ///
    /// # Errors
    /// `Size` where they do not.
    pub(crate) fn new(
        width: u16,
        height: u16,
        channels: Channels,
        bytes: Vec<u8>,
    ) -> Result<Self, InputError> {
        let needed = usize::from(width) * usize::from(height) * channels.count();
        if needed == 0 || bytes.len() != needed {
            return Err(InputError::Size {
                bytes: bytes.len(),
                width: u32::from(width),
                height: u32::from(height),
                stride: u32::from(width),
            });
        }
        Ok(Self {
            width,
            height,
            channels,
            bytes,
        })
    }

    pub(crate) const fn width(&self) -> u16 {
        self.width
    }

    pub(crate) const fn height(&self) -> u16 {
        self.height
    }

    pub(crate) const fn channels(&self) -> Channels {
        self.channels
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the values plane by plane, red, green, blue, each put through `scale`; grey is
    /// given to all three.
    pub(crate) fn planes(&self, scale: impl Fn(usize, u8) -> f32) -> Vec<f32> {
        let count = self.channels.count();
        let mut values = Vec::with_capacity(self.bytes.len() / count * 3);
        for plane in 0..3 {
            let channel = plane.min(count - 1);
            let of_plane = self.bytes.iter().skip(channel).step_by(count);
            values.extend(of_plane.map(|byte| scale(plane, *byte)));
        }
        values
    }

    /// Returns the PNG, without loss.
    ///
    /// # Errors
    /// `Picture` where it cannot be written.
    pub(crate) fn png(&self) -> Result<Vec<u8>, InputError> {
        let mut png = Vec::new();
        let colour = match self.channels {
            Channels::Grey => ExtendedColorType::L8,
            Channels::Rgb => ExtendedColorType::Rgb8,
        };
        PngEncoder::new(&mut png)
            .write_image(
                &self.bytes,
                u32::from(self.width),
                u32::from(self.height),
                colour,
            )
            .map_err(InputError::Picture)?;
        Ok(png)
    }

    /// Reads a PNG of 8 bits, grey or RGB, of at most `side_max` pixels a side.
    ///
    /// # Errors
    /// `Picture` where it is no such PNG, `NotScored` where it is larger than what is kept.
    pub(crate) fn from_png(png: &[u8], side_max: u16) -> Result<Self, InputError> {
        if png.len() > SCORED_INPUT_BYTES_MAX {
            return Err(InputError::NotScored);
        }
        let cursor = std::io::Cursor::new(png);
        let mut reader = image::ImageReader::with_format(cursor, ImageFormat::Png);
        let mut limits = image::Limits::default();
        limits.max_image_width = Some(u32::from(side_max));
        limits.max_image_height = Some(u32::from(side_max));
        reader.limits(limits);
        let side = |side| u16::try_from(side).map_err(|_wide| InputError::NotScored);
        let picture = reader.decode().map_err(InputError::Picture)?;
        let (width, height) = (side(picture.width())?, side(picture.height())?);
        let (channels, bytes) = match picture {
            DynamicImage::ImageLuma8(grey) => (Channels::Grey, grey.into_raw()),
            DynamicImage::ImageRgb8(rgb) => (Channels::Rgb, rgb.into_raw()),
            _ => return Err(InputError::NotScored),
        };
        Self::new(width, height, channels, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_reads_back_without_loss_and_other_sizes_are_refused() {
        for channels in [Channels::Grey, Channels::Rgb] {
            let bytes: Vec<u8> = (0..=255).cycle().take(40 * 30 * channels.count()).collect();
            let pixels = Pixels::new(40, 30, channels, bytes).expect("whole");
            let png = pixels.png().expect("a PNG");
            assert_eq!(Pixels::from_png(&png, 40).expect("the same"), pixels);
            Pixels::from_png(&png, 39).expect_err("a refusal");
        }
        Pixels::new(2, 2, Channels::Rgb, vec![0; 11]).expect_err("a refusal");
        Pixels::from_png(b"no PNG", 40).expect_err("a refusal");
    }

    #[test]
    fn planes_come_one_after_another_and_grey_fills_all_three() {
        let rgb = Pixels::new(2, 1, Channels::Rgb, vec![1, 2, 3, 4, 5, 6]).expect("whole");
        let grey = Pixels::new(2, 1, Channels::Grey, vec![7, 8]).expect("whole");
        let plain = |_plane, byte| f32::from(byte);
        assert_eq!(rgb.planes(plain), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
        assert_eq!(grey.planes(plain), [7.0, 8.0, 7.0, 8.0, 7.0, 8.0]);
    }
}
