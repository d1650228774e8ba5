//! Pictures that somebody gave us: decoded once, as the kiosk will decode them.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};

/// The longest side, in pixels; the kiosk draws nothing larger.
pub const SIDE_PX_MAX: u32 = 8_192;
/// The most memory that a decoded picture may take, in bytes.
const DECODED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Returns the media type of a picture that the kiosk can draw whole; `None` for one that is
/// neither PNG nor JPEG, is cut, or is too large.
#[must_use]
pub fn media_type(bytes: &[u8]) -> Option<&'static str> {
    let format = image::guess_format(bytes).ok()?;
    let word = if format == ImageFormat::Png {
        "image/png"
    } else if format == ImageFormat::Jpeg && jpeg_ends(bytes) {
        "image/jpeg"
    } else {
        return None;
    };
    let mut limits = Limits::default();
    limits.max_image_width = Some(SIDE_PX_MAX);
    limits.max_image_height = Some(SIDE_PX_MAX);
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    reader.decode().ok().map(|_picture| word)
}

/// Tells whether a JPEG's end marker follows its last scan: the decoder fills a cut picture with grey.
#[must_use]
pub fn jpeg_ends(bytes: &[u8]) -> bool {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    last([0xFF, 0xD9]).is_some_and(|end| last([0xFF, 0xDA]).is_some_and(|scan| scan < end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: ImageFormat, side: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        image::RgbImage::from_fn(side, side, |x, y| {
            image::Rgb([side, x, y].map(|v| u8::try_from(v % 251).expect("small")))
        })
        .write_to(&mut bytes, format)
        .expect("writes");
        bytes.into_inner()
    }

    #[test]
    fn whole_pictures_are_known() {
        assert_eq!(
            media_type(&written(ImageFormat::Png, 64)),
            Some("image/png")
        );
        assert_eq!(
            media_type(&written(ImageFormat::Jpeg, 64)),
            Some("image/jpeg")
        );
    }

    #[test]
    fn a_cut_picture_is_none() {
        for format in [ImageFormat::Png, ImageFormat::Jpeg] {
            let whole = written(format, 64);
            for cut in [9, whole.len() / 2, whole.len() - 12] {
                assert_eq!(media_type(&whole[..cut]), None, "{format:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn magic_bytes_alone_and_other_formats_are_none() {
        assert_eq!(media_type(b"\x89PNG\r\n\x1a\nrest"), None);
        assert_eq!(media_type(b"<html>no picture</html>"), None);
        assert_eq!(media_type(b"GIF89a"), None);
    }

    #[test]
    fn a_picture_of_a_huge_size_is_none_before_it_takes_memory() {
        let mut bytes = written(ImageFormat::Png, 8);
        let huge = 20_000_u32.to_be_bytes();
        bytes[16..20].copy_from_slice(&huge);
        bytes[20..24].copy_from_slice(&huge);

        assert_eq!(media_type(&bytes), None);
    }
}
