//! Decodes what a candidate's machine encoded. Only the worker process calls this.

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use openh264::decoder::{DecodeOptions, DecodedYUV, Decoder, Flush};
use openh264::formats::YUVSource as _;
use qorgan_protocol::media::{Track, annexb_of, parameter_sets, summary_of};

use super::code::{Luma, read};

/// Returns the text of the code on a key frame of the screen; `None` where there is none in its
/// place, or the picture cannot be decoded.
///
/// It decodes in this process: the server has it done by [`super::Decoders::code`].
#[must_use]
pub fn code_on_picture(avcc: &[u8], sample: &[u8]) -> Option<String> {
    let stream = annexb_of(sample, Some(&parameter_sets(avcc).ok()?)).ok()?;
    let mut decoder = Decoder::new().ok()?;
    let picture = decode(&mut decoder, &stream, Flush::Flush)?;
    let (width, height) = picture.dimensions();
    if width == 0 || height == 0 || width.checked_mul(height)? > PIXELS_MAX {
        return None;
    }
    let (stride, _, _) = picture.strides();
    let luma = Luma {
        bytes: picture.y(),
        stride,
        width,
        height,
    };
    read(&luma).code
}

/// Returns the last picture of chunks that begin with a key frame, as a JPEG.
pub(super) fn still(init: &[u8], chunks: &[u8]) -> Option<Vec<u8>> {
    let summary = summary_of(init).ok()?;
    let sets = parameter_sets(&summary.video.as_ref()?.avcc).ok()?;
    let mut decoder = Decoder::new().ok()?;
    let samples = summary.frames_of_all(chunks).ok()?;
    let mut pictures = samples
        .iter()
        .filter(|sample| sample.track == Track::Video)
        .map(|sample| annexb_of(sample.bytes, Some(&sets)));
    let last = pictures.next_back()?.ok()?;
    for stream in pictures {
        // Whether it is given out now or later, the pictures after it build on it.
        let _shown = decode(&mut decoder, &stream.ok()?, Flush::NoFlush);
    }
    let picture = decode(&mut decoder, &last, Flush::Flush)?;
    let (width, height) = picture.dimensions();
    if width.checked_mul(height)? > PIXELS_MAX {
        return None;
    }
    let mut rgb = vec![0; width.checked_mul(height)?.checked_mul(3)?];
    picture.write_rgb8(&mut rgb);
    let mut jpeg = Vec::new();
    JpegEncoder::new_with_quality(&mut jpeg, QUALITY)
        .write_image(
            &rgb,
            u32::try_from(width).ok()?,
            u32::try_from(height).ok()?,
            ExtendedColorType::Rgb8,
        )
        .ok()?;
    Some(jpeg)
}

fn decode<'a>(decoder: &'a mut Decoder, stream: &[u8], flush: Flush) -> Option<DecodedYUV<'a>> {
    let options = DecodeOptions::new().flush_after_decode(flush);
    decoder.decode_with_options(stream, options).ok()?
}

/// The largest picture that is looked at (an 8K display).
const PIXELS_MAX: usize = 7_680 * 4_320;
/// JPEG's quality: text of a screen stays readable.
const QUALITY: u8 = 85;

#[cfg(test)]
mod tests {
    use openh264::OpenH264API;
    use openh264::encoder::{Encoder, EncoderConfig, UsageType};
    use openh264::formats::YUVBuffer;

    use super::*;

    const CODE: &str = "0123456789ABCDEF0123456789ABCDEF";

    #[test]
    fn a_code_is_found_in_the_corner_of_an_encoded_screen() {
        let place = |side| (WIDTH - side, HEIGHT - side);
        let (avcc, sample) = encoded(&screen(Some(CODE), place));
        assert_eq!(code_on_picture(&avcc, &sample).as_deref(), Some(CODE));
    }

    #[test]
    fn a_code_that_is_not_in_the_corner_of_an_encoded_screen_does_not_count() {
        let (avcc, sample) = encoded(&screen(Some(CODE), |_side| (400, 104)));
        assert_eq!(code_on_picture(&avcc, &sample), None);
    }

    #[test]
    fn a_screen_without_a_code_and_broken_samples_give_nothing() {
        let (avcc, sample) = encoded(&screen(None, |_side| (0, 0)));
        assert_eq!(code_on_picture(&avcc, &sample), None);
        assert_eq!(code_on_picture(&avcc, &sample[..sample.len() / 2]), None);
        assert_eq!(code_on_picture(&[], &sample), None);
        assert_eq!(code_on_picture(&avcc, &[0xff; 64]), None);
    }

    const WIDTH: usize = 1_280;
    const HEIGHT: usize = 720;

    /// Draws a page with a code where `place` says, given the side of the code with its quiet zone.
    fn screen(code: Option<&str>, place: impl Fn(usize) -> (usize, usize)) -> Vec<u8> {
        let mut luma = vec![235; WIDTH * HEIGHT];
        for (at, pixel) in luma.iter_mut().enumerate() {
            if at.is_multiple_of(7) && (at / WIDTH).is_multiple_of(3) && at % WIDTH < WIDTH / 2 {
                *pixel = 30;
            }
        }
        if let Some(code) = code {
            let code = qrcode::QrCode::new(code).expect("a code");
            let side = code.width();
            let (left, top) = place((side + 8) * 8);
            for row in top..top + (side + 8) * 8 {
                luma[row * WIDTH + left..row * WIDTH + left + (side + 8) * 8].fill(235);
            }
            for (at, colour) in code.to_colors().into_iter().enumerate() {
                let value = if colour == qrcode::Color::Dark {
                    16
                } else {
                    235
                };
                let (x, y) = (left + (at % side + 4) * 8, top + (at / side + 4) * 8);
                for row in y..y + 8 {
                    luma[row * WIDTH + x..row * WIDTH + x + 8].fill(value);
                }
            }
        }
        luma
    }

    /// Encodes one key frame; returns its `avcC` record and sample.
    fn encoded(luma: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let config = EncoderConfig::new().usage_type(UsageType::ScreenContentRealTime);
        let api = OpenH264API::from_source();
        let mut encoder = Encoder::with_api_config(api, config).expect("an encoder");
        let mut picture = luma.to_vec();
        picture.resize(WIDTH * HEIGHT * 3 / 2, 128);
        let picture = YUVBuffer::from_vec(picture, WIDTH, HEIGHT);
        let stream = encoder.encode(&picture).expect("a picture").to_vec();
        let (mut parameters, mut sample) = (Vec::new(), Vec::new());
        assert!(!stream.is_empty(), "the encoder skipped the picture");
        for nal in nals(&stream) {
            let len = u32::try_from(nal.len()).expect("small").to_be_bytes();
            match nal[0] & 0x1f {
                7 | 8 => {
                    parameters.push([&len[2..], nal].concat());
                }
                _ => sample.extend([&len[..], nal].concat()),
            }
        }
        let mut avcc = vec![1, 66, 0, 30, 0xff, 0xe1];
        avcc.extend_from_slice(&parameters[0]);
        avcc.push(1);
        avcc.extend_from_slice(&parameters[1]);
        (avcc, sample)
    }

    /// Splits at start codes.
    fn nals(stream: &[u8]) -> Vec<&[u8]> {
        let starts: Vec<usize> = (0..stream.len().saturating_sub(2))
            .filter(|at| stream[*at..*at + 3] == [0, 0, 1])
            .collect();
        let ends = starts.iter().skip(1).copied().chain([stream.len()]);
        let nal = |(start, end): (&usize, usize)| {
            let nal = &stream[start + 3..end];
            nal.strip_suffix(&[0]).unwrap_or(nal)
        };
        starts.iter().zip(ends).map(nal).collect()
    }
}
