//! JPEGs: small ones for the proctor's wall and the client's preview, one of a document.

use image::ExtendedColorType;
use image::codecs::jpeg::JpegEncoder;
use qorgan_capture::I420Frame;
use qorgan_protocol::limits::THUMBNAIL_BYTES_MAX;

/// How a source's pictures carry colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Colours {
    /// BT.601.
    Camera,
    /// BT.709.
    Screen,
}

/// Says why there is no small picture.
#[derive(Debug, thiserror::Error)]
pub(super) enum ImageError {
    /// The encoder refused.
    #[error("the JPEG cannot be written")]
    Jpeg(#[from] image::ImageError),
    /// It is larger than a thumbnail may be.
    #[error("a thumbnail of {bytes} bytes is too large")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
}

/// Returns a JPEG of at most `width` pixels across, no larger than a thumbnail may be.
pub(super) fn small_jpeg(
    frame: &I420Frame,
    width: u32,
    quality: u8,
    colours: Colours,
) -> Result<Vec<u8>, ImageError> {
    let jpeg = jpeg(frame, width, quality, colours)?;
    if jpeg.len() > THUMBNAIL_BYTES_MAX {
        return Err(ImageError::TooLarge { bytes: jpeg.len() });
    }
    Ok(jpeg)
}

/// Returns a JPEG of at most `width` pixels across.
pub(super) fn jpeg(
    frame: &I420Frame,
    width: u32,
    quality: u8,
    colours: Colours,
) -> Result<Vec<u8>, image::ImageError> {
    let width = width.min(frame.width).max(2);
    let height = (u64::from(frame.height) * u64::from(width)).div_ceil(u64::from(frame.width));
    let height = u32::try_from(height).unwrap_or(width).max(2);
    let pixels = small_rgb(frame, width, height, colours);
    let mut jpeg = Vec::with_capacity(16 * 1024);
    JpegEncoder::new_with_quality(&mut jpeg, quality).encode(
        &pixels,
        width,
        height,
        ExtendedColorType::Rgb8,
    )?;
    Ok(jpeg)
}

fn small_rgb(frame: &I420Frame, width: u32, height: u32, colours: Colours) -> Vec<u8> {
    let [luma, u, v] = frame.yuv();
    let chroma_width = frame.width / 2;
    let mut pixels = Vec::with_capacity(usize::try_from(width * height * 3).unwrap_or_default());
    for row in 0..height {
        let y0 = scale(row, frame.height, height);
        let y1 = (y0 + (frame.height / height) / 2).min(frame.height - 1);
        for column in 0..width {
            let x0 = scale(column, frame.width, width);
            let x1 = (x0 + (frame.width / width) / 2).min(frame.width - 1);
            // Four samples stand for the block that becomes one pixel.
            let sum = at(luma, frame.width, x0, y0)
                + at(luma, frame.width, x1, y0)
                + at(luma, frame.width, x0, y1)
                + at(luma, frame.width, x1, y1);
            let blue = at(u, chroma_width, x0 / 2, y0 / 2) - 128;
            let red = at(v, chroma_width, x0 / 2, y0 / 2) - 128;
            pixels.extend_from_slice(&rgb(sum / 4 - 16, blue, red, colours));
        }
    }
    pixels
}

/// Limited range to RGB, in 1/256.
fn rgb(luma: i32, blue: i32, red: i32, colours: Colours) -> [u8; 3] {
    let (r_v, g_u, g_v, b_u) = match colours {
        Colours::Camera => (409, 100, 208, 516),
        Colours::Screen => (459, 55, 136, 541),
    };
    let base = 298 * luma + 128;
    [
        base + r_v * red,
        base - g_u * blue - g_v * red,
        base + b_u * blue,
    ]
    .map(|value| u8::try_from((value >> 8).clamp(0, 255)).unwrap_or_default())
}

fn scale(place: u32, from: u32, to: u32) -> u32 {
    let scaled = u64::from(place) * u64::from(from) / u64::from(to);
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

fn at(plane: &[u8], width: u32, x: u32, y: u32) -> i32 {
    let index = usize::try_from(u64::from(y) * u64::from(width) + u64::from(x));
    let value = index.ok().and_then(|index| plane.get(index));
    value.map_or(0, |value| i32::from(*value))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_small_picture_has_the_sources_shape_and_colour() {
        // Red in BT.601 limited range.
        let mut planes = vec![81; 640 * 480];
        planes.extend(vec![90; 320 * 240]);
        planes.extend(vec![240; 320 * 240]);
        let frame = I420Frame {
            width: 640,
            height: 480,
            planes: Arc::new(planes),
            captured_ns: 0,
            unchanged: false,
            pointer: None,
        };
        let jpeg = small_jpeg(&frame, 160, 60, Colours::Camera).expect("a JPEG");
        let picture = image::load_from_memory(&jpeg).expect("readable").to_rgb8();
        assert_eq!(picture.dimensions(), (160, 120));
        let [r, g, b] = picture.get_pixel(80, 60).0;
        assert!(r > 220 && g < 40 && b < 40, "{r} {g} {b}");
    }
}
