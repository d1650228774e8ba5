//! Decodes one key frame of the screen and looks for the code drawn on it (decision 2).

use openh264::decoder::{DecodeOptions, Decoder, Flush};
use openh264::formats::YUVSource as _;

use super::cmaf::annex_b;

/// Returns the text of the code on a picture; `None` where there is none, or the picture cannot be
/// decoded.
///
/// It takes milliseconds: call it where blocking is allowed.
#[must_use]
pub fn code_on_picture(avcc: &[u8], sample: &[u8]) -> Option<String> {
    let stream = annex_b(avcc, sample)?;
    let mut decoder = Decoder::new().ok()?;
    let options = DecodeOptions::new().flush_after_decode(Flush::Flush);
    let picture = decoder.decode_with_options(&stream, options).ok()??;
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 || width.checked_mul(height)? > PIXELS_MAX {
        return None;
    }
    let (stride, _, _) = picture.strides();
    let luma = picture.y();
    let corner = Region {
        x: width.saturating_sub(CORNER_PIXELS),
        y: height.saturating_sub(CORNER_PIXELS),
        width: width.min(CORNER_PIXELS),
        height: height.min(CORNER_PIXELS),
    };
    let whole = Region {
        x: 0,
        y: 0,
        width,
        height,
    };
    find(luma, stride, &corner).or_else(|| find(luma, stride, &whole))
}

struct Region {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

fn find(luma: &[u8], stride: usize, region: &Region) -> Option<String> {
    let pixel = |x, y| {
        let at = (region.y + y) * stride + region.x + x;
        luma.get(at).copied().unwrap_or(u8::MAX)
    };
    let mut picture =
        rqrr::PreparedImage::prepare_from_greyscale(region.width, region.height, pixel);
    picture
        .detect_grids()
        .iter()
        .filter_map(|grid| grid.decode().ok())
        .map(|(_, text)| text)
        .find(|text| is_code(text))
}

fn is_code(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

/// The code stands in the bottom right corner: a square of this side holds it.
const CORNER_PIXELS: usize = 448;
/// The largest picture that is looked at (an 8K display).
const PIXELS_MAX: usize = 7_680 * 4_320;
