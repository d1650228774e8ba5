//! Pictures that somebody gave us: decoded once, as the kiosk will decode them.

use std::io::Cursor;

use image::{ImageFormat, ImageReader, Limits};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::options::DecoderOptions;

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
    } else if format == ImageFormat::Jpeg && jpeg_end(bytes).is_some() {
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
    let whole = reader.decode().is_ok() && (format != ImageFormat::Jpeg || jpeg_is_whole(bytes));
    whole.then_some(word)
}

/// Tells whether a JPEG decodes to its end without a fault; whoever asks has bounded its size.
///
/// The usual decoder shows grey, or whatever comes, where data are damaged; this one is strict.
#[must_use]
pub fn jpeg_is_whole(bytes: &[u8]) -> bool {
    let Some(end) = jpeg_end(bytes) else {
        return false;
    };
    let strictly = |bytes: &[u8]| {
        let options = DecoderOptions::default()
            .set_max_width(usize::MAX)
            .set_max_height(usize::MAX)
            .set_strict_mode(true);
        let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
        decoder.decode().is_ok()
    };
    // An end marker that comes too early is taken for the end of the picture: without it the decoder
    // misses what is not there. It reads a few bytes ahead, which are given to it.
    let mut endless = bytes.get(..end).unwrap_or_default().to_vec();
    endless.extend([0; READ_AHEAD]);
    let progressive = bytes.windows(2).any(|pair| pair == [0xFF, 0xC2]);
    strictly(bytes) && (progressive || strictly(&endless))
}

/// More bytes than the decoder reads ahead.
const READ_AHEAD: usize = 16;

/// Returns where a JPEG's end marker stands, if behind its last scan: the decoder fills a cut picture
/// with grey.
fn jpeg_end(bytes: &[u8]) -> Option<usize> {
    let last = |marker: [u8; 2]| bytes.windows(2).rposition(|pair| pair == marker);
    let (end, scan) = (last([0xFF, 0xD9])?, last([0xFF, 0xDA])?);
    (scan < end).then_some(end)
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

    /// A picture with as many details as a photo, the same each time.
    fn detailed() -> Vec<u8> {
        let mut state = 1_u32;
        let picture = image::RgbImage::from_fn(320, 320, |x, y| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            image::Rgb([x / 2, y / 2, x * y / 700].map(|value| {
                let noise = (state >> 16) % 24;
                u8::try_from(value % 200 + noise).expect("below 224")
            }))
        });
        let mut bytes = Cursor::new(Vec::new());
        picture
            .write_to(&mut bytes, ImageFormat::Jpeg)
            .expect("writes");
        bytes.into_inner()
    }

    #[test]
    fn a_jpeg_that_is_damaged_in_the_middle_is_none() {
        let whole = detailed();
        assert!(jpeg_is_whole(&whole));
        for part in 1..10 {
            let at = whole.len() * part / 10;
            let damaged = |with: &dyn Fn(usize) -> u8| {
                let mut bytes = whole.clone();
                let places = bytes.iter_mut().skip(at).take(512).enumerate();
                places.for_each(|(place, byte)| *byte = with(place));
                bytes
            };
            let mut short = whole.clone();
            short.drain(at..at + 512);
            let page = b"<html>502 Bad Gateway</html>";
            for (what, bytes) in [
                ("zeros", damaged(&|_place| 0)),
                ("ones", damaged(&|_place| 0xFF)),
                ("a page", damaged(&|place| page[place % page.len()])),
                ("a missing part", short),
            ] {
                assert_eq!(media_type(&bytes), None, "{what} at {part} tenths");
                assert!(!jpeg_is_whole(&bytes), "{what} at {part} tenths");
            }
        }
    }

    #[test]
    fn a_jpeg_of_one_colour_is_whole_though_it_has_hardly_any_data() {
        for (width, height) in [(1, 1), (8, 8), (640, 8), (17, 300), (640, 640)] {
            for shade in [0, 128, 255] {
                let flat = image::RgbImage::from_pixel(width, height, image::Rgb([shade; 3]));
                let mut bytes = Cursor::new(Vec::new());
                flat.write_to(&mut bytes, ImageFormat::Jpeg)
                    .expect("writes");
                assert!(jpeg_is_whole(&bytes.into_inner()), "{width} × {height}");
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
