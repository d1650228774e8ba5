//! A picture that somebody gave us as a small, upright JPEG.
//!
//! # Invariants
//! * A picture is decoded within bounds and one at a time, made small and written anew: what else a
//!   file carried, such as where it was taken, is not kept.
//! * A picture that is not whole is none.

use std::io::Cursor;
use std::sync::{Mutex, PoisonError};

use image::codecs::jpeg::JpegEncoder;
use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder as _, ImageFormat, ImageReader, Limits, Rgb, RgbImage};
use qorgan_server_core::fault::FaultKind;
use qorgan_server_core::picture::jpeg_is_whole;

/// Returns a picture as a small JPEG, turned as its metadata says.
///
/// # Errors
/// Why it is none; `href` is the file's name for the words.
pub(super) fn small_jpeg(href: &str, bytes: &[u8]) -> Result<Vec<u8>, FaultKind> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let href = href.to_owned();
    let Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) = image::guess_format(bytes) else {
        return Err(match other_format(bytes) {
            Some(format) => FaultKind::PictureFormat {
                href,
                format: format.to_owned(),
            },
            None => FaultKind::BadPicture { href },
        });
    };
    let cut = |_error| FaultKind::CutPicture { href: href.clone() };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(DECODED_BYTES_MAX);
    reader.limits(limits);
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut decoder = reader.into_decoder().map_err(cut)?;
    let (width, height) = decoder.dimensions();
    let too_many = u64::from(width).saturating_mul(u64::from(height)) > POINTS_MAX;
    if too_many || decoder.total_bytes() > DECODED_BYTES_MAX {
        let max = u32::try_from(POINTS_MAX / 1_000_000).unwrap_or(u32::MAX);
        let (href, width, height) = (href.clone(), width, height);
        return Err(FaultKind::HugePicture {
            href,
            width,
            height,
            max,
        });
    }
    if format == ImageFormat::Jpeg && !jpeg_is_whole(bytes) {
        return Err(FaultKind::CutPicture { href });
    }
    // Metadata that cannot be read turns nothing.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(cut)?;
    let mut small = if width.max(height) > PHOTO_PX {
        picture.thumbnail(PHOTO_PX, PHOTO_PX)
    } else {
        picture
    };
    small.apply_orientation(orientation);
    let mut jpeg = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, PHOTO_QUALITY);
    let written = on_white(&small).write_with_encoder(encoder);
    written.map_err(cut)?;
    Ok(jpeg)
}

/// Puts a picture with see-through parts on white.
fn on_white(picture: &DynamicImage) -> RgbImage {
    if !picture.color().has_alpha() {
        return picture.to_rgb8();
    }
    let seen = picture.to_rgba8();
    RgbImage::from_fn(seen.width(), seen.height(), |x, y| {
        let [red, green, blue, alpha] = seen.get_pixel(x, y).0;
        let part = u16::from(alpha);
        let blend = |value: u8| {
            let mixed = (u16::from(value) * part + 255 * (255 - part)) / 255;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Rgb([blend(red), blend(green), blend(blue)])
    })
}

/// Names a picture that is not read by its first bytes.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    let brand = bytes
        .get(4..12)
        .and_then(|brand| brand.strip_prefix(b"ftyp"));
    match brand {
        Some(b"avif" | b"avis") => return Some("AVIF"),
        Some(b"heic" | b"heix" | b"hevc" | b"heim" | b"heis" | b"mif1" | b"msf1") => {
            return Some("HEIC");
        }
        Some(_) | None => {}
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("WebP");
    }
    let known = MAGIC.iter().find(|(magic, _)| bytes.starts_with(magic));
    known.map(|(_, name)| *name)
}

const MAGIC: [(&[u8], &str); 7] = [
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"%PDF", "PDF"),
    (b"\0\0\0\x0CjP  ", "JPEG 2000"),
    (b"\xFF\x0A", "JPEG XL"),
];
/// A photo is shown at a few hundred pixels, and compared at 150.
const PHOTO_PX: u32 = 640;
const PHOTO_QUALITY: u8 = 88;
/// A picture with more points is refused before it is decoded.
const POINTS_MAX: u64 = 110_000_000;
/// The most memory of a decoded picture.
const DECODED_BYTES_MAX: u64 = 512 * 1024 * 1024;

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::console) fn written(format: ImageFormat, width: u32, height: u32) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = RgbImage::from_fn(width, height, |x, _y| {
            if x < width / 2 {
                Rgb([250, 10, 10])
            } else {
                Rgb([10, 10, 250])
            }
        });
        picture.write_to(&mut bytes, format).expect("writes");
        bytes.into_inner()
    }

    fn word(bytes: &[u8]) -> &'static str {
        small_jpeg("a.jpg", bytes).expect_err("no picture").word()
    }

    /// Puts an EXIF block with an orientation behind a JPEG's first marker.
    fn turned(jpeg: &[u8], orientation: u8) -> Vec<u8> {
        let exif = [
            b"Exif\0\0MM\0\x2A\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0".as_slice(),
            &[orientation, 0, 0, 0, 0, 0, 0],
        ]
        .concat();
        let len = u16::try_from(exif.len() + 2).expect("short").to_be_bytes();
        [&jpeg[..2], &[0xFF, 0xE1], &len, &exif, &jpeg[2..]].concat()
    }

    #[test]
    fn a_picture_of_a_telephone_stands_upright_and_keeps_nothing_else() {
        let jpeg = written(ImageFormat::Jpeg, 80, 40);
        let plain = small_jpeg("a", &jpeg).expect("good");
        let upright = small_jpeg("a", &turned(&jpeg, 6)).expect("good");

        let sides = |bytes: &[u8]| {
            let picture = image::load_from_memory(bytes).expect("a JPEG");
            (picture.width(), picture.height())
        };
        assert_eq!((sides(&plain), sides(&upright)), ((80, 40), (40, 80)));
        let picture = image::load_from_memory(&upright).expect("a JPEG").to_rgb8();
        assert!(
            picture.get_pixel(20, 5).0[0] > 200,
            "the left edge is on top"
        );
        assert!(!upright.windows(4).any(|four| four == b"Exif"));
    }

    #[test]
    fn a_cut_picture_is_refused_wherever_it_is_cut() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png] {
            let whole = written(format, 64, 64);
            for cut in [60, whole.len() / 2, whole.len() - 14] {
                assert_eq!(word(&whole[..cut]), "cut-picture", "{format:?} {cut}");
            }
            // A copy that broke off leaves zeros.
            let mut zeros = whole.clone();
            zeros[whole.len() / 2..].fill(0);
            assert_eq!(word(&zeros), "cut-picture", "{format:?}");
        }
    }

    #[test]
    fn a_picture_of_another_format_is_named() {
        for (bytes, format) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], "HEIC"),
            (b"\0\0\0\x18ftypavif", "AVIF"),
            (b"GIF89a", "GIF"),
            (b"BM\0\0\0\0", "BMP"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "WebP"),
        ] {
            let kind = FaultKind::PictureFormat {
                href: "a.jpg".to_owned(),
                format: format.to_owned(),
            };
            assert_eq!(small_jpeg("a.jpg", bytes), Err(kind));
        }
        assert_eq!(word(b"<html>"), "bad-picture");
    }

    #[test]
    fn a_large_picture_is_made_small_and_a_huge_one_is_refused_before_it_takes_memory() {
        let large = written(ImageFormat::Jpeg, 9_000, 30);
        let small = small_jpeg("a", &large).expect("made small");
        let picture = image::load_from_memory(&small).expect("a JPEG");
        assert_eq!(picture.width(), 640);

        let mut huge = written(ImageFormat::Png, 8, 8);
        let side = 20_000_u32.to_be_bytes();
        huge[16..20].copy_from_slice(&side);
        huge[20..24].copy_from_slice(&side);
        assert!(
            ["huge-picture", "cut-picture"].contains(&word(&huge)),
            "the check sum is wrong too"
        );
    }

    #[test]
    fn what_is_seen_through_is_white() {
        let clear = image::RgbaImage::from_pixel(8, 8, image::Rgba([0, 0, 0, 0]));
        let mut bytes = Cursor::new(Vec::new());
        clear
            .write_to(&mut bytes, ImageFormat::Png)
            .expect("writes");
        let jpeg = small_jpeg("a", &bytes.into_inner()).expect("good");
        let picture = image::load_from_memory(&jpeg).expect("a JPEG").to_rgb8();
        assert!(picture.get_pixel(4, 4).0.iter().all(|value| *value > 250));
    }
}
