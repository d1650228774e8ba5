//! Pixels of every device into planar 4:2:0 without padding.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix, rgb_to_yuv420, rgba_to_yuv420, yuyv422_to_yuv420,
};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::source::{LossCause, plane_bytes};

/// Which standard a picture's colours follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colours {
    /// A camera: BT.601.
    Camera,
    /// A display: BT.709.
    Screen,
}

impl Colours {
    pub(crate) const fn matrix(self) -> YuvStandardMatrix {
        match self {
            Self::Camera => YuvStandardMatrix::Bt601,
            Self::Screen => YuvStandardMatrix::Bt709,
        }
    }
}

/// Returns the bytes of a whole picture with even sides.
pub(crate) fn i420_bytes(width: u32, height: u32) -> usize {
    plane_bytes(width, height) + 2 * plane_bytes(width / 2, height / 2)
}

/// Converts packed 4:2:2.
pub(crate) fn yuyv(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, LossCause> {
    let packed = YuvPackedImage {
        yuy: bytes,
        yuy_stride: width * 2,
        width,
        height,
    };
    planar(width, height, |image| {
        yuyv422_to_yuv420(image, &packed).map_err(described)
    })
}

/// Converts half-planar 4:2:0.
pub(crate) fn nv12(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, LossCause> {
    let luma = plane_bytes(width, height);
    let chroma = 2 * plane_bytes(width / 2, height / 2);
    let short = || LossCause::unsupported("an NV12 picture is cut off");
    let (y, rest) = bytes.split_at_checked(luma).ok_or_else(short)?;
    let (pairs, _) = rest.split_at_checked(chroma).ok_or_else(short)?;
    let mut out = Vec::with_capacity(luma + chroma);
    out.extend_from_slice(y);
    let (pairs, _) = pairs.as_chunks::<2>();
    out.extend(pairs.iter().map(|[u, _]| u));
    out.extend(pairs.iter().map(|[_, v]| v));
    Ok(out)
}

/// Decodes a JPEG picture and converts it; it must have the size that the device promised.
pub(crate) fn mjpeg(bytes: &[u8], width: u32, height: u32) -> Result<Option<Vec<u8>>, LossCause> {
    // A torn picture is usual on a busy USB bus: it is left out, the next one comes soon. The decoder
    // would fill what is missing with grey, and a detector would take that for what was seen.
    if !is_whole_jpeg(bytes) {
        return Ok(None);
    }
    let options = DecoderOptions::default().jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    let Ok(rgb) = decoder.decode() else {
        return Ok(None);
    };
    let size = decoder
        .dimensions()
        .map(|(wide, high)| (u32::try_from(wide), u32::try_from(high)));
    if size != Some((Ok(width), Ok(height))) {
        return Ok(None);
    }
    self::rgb(&rgb, width, height).map(Some)
}

/// Tells whether a picture ends as a JPEG does; some cameras put zeros behind the end.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    let end = end.and_then(|last| bytes.get(..=last));
    end.is_some_and(|bytes| bytes.ends_with(&[0xFF, 0xD9]))
}

/// Converts three bytes a pixel of a camera.
pub(crate) fn rgb(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, LossCause> {
    let matrix = Colours::Camera.matrix();
    planar(width, height, |image| {
        rgb_to_yuv420(image, bytes, width * 3, YuvRange::Limited, matrix, MODE).map_err(described)
    })
}

/// Converts four bytes a pixel, red first.
pub(crate) fn rgba(
    bytes: &[u8],
    stride: u32,
    (width, height): (u32, u32),
    colours: Colours,
) -> Result<Vec<u8>, LossCause> {
    planar(width, height, |image| {
        rgba_to_yuv420(
            image,
            bytes,
            stride,
            YuvRange::Limited,
            colours.matrix(),
            MODE,
        )
        .map_err(described)
    })
}

fn planar(
    width: u32,
    height: u32,
    fill: impl FnOnce(&mut YuvPlanarImageMut<'_, u8>) -> Result<(), LossCause>,
) -> Result<Vec<u8>, LossCause> {
    let mut out = vec![0; i420_bytes(width, height)];
    let (y, chroma) = out.split_at_mut(plane_bytes(width, height));
    let (u, v) = chroma.split_at_mut(plane_bytes(width / 2, height / 2));
    let mut image = YuvPlanarImageMut {
        y_plane: BufferStoreMut::Borrowed(y),
        y_stride: width,
        u_plane: BufferStoreMut::Borrowed(u),
        u_stride: width / 2,
        v_plane: BufferStoreMut::Borrowed(v),
        v_stride: width / 2,
        width,
        height,
    };
    fill(&mut image)?;
    Ok(out)
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "it is the shape that map_err calls"
)]
pub(crate) fn described(error: yuv::YuvError) -> LossCause {
    LossCause::unsupported(format!("a picture could not be converted: {error}"))
}

pub(crate) const MODE: YuvConversionMode = YuvConversionMode::Balanced;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grey_stays_grey_from_every_format() {
        let (width, height) = (64, 48);
        let pixels = plane_bytes(width, height);
        let from_yuyv = yuyv(&[120, 128].repeat(pixels), width, height).expect("it converts");
        let from_nv12 = nv12(
            &[vec![120; pixels], vec![128; pixels / 2]].concat(),
            width,
            height,
        )
        .expect("it converts");
        assert_eq!(from_yuyv, from_nv12);
        assert!(from_yuyv[..pixels].iter().all(|y| *y == 120));
        assert!(from_yuyv[pixels..].iter().all(|c| *c == 128));
        let white = rgb(&vec![255; pixels * 3], width, height).expect("it converts");
        assert!(white[..pixels].iter().all(|y| *y == 235));
    }

    #[test]
    fn a_torn_jpeg_is_left_out() {
        assert_eq!(mjpeg(&[0xff, 0xd8, 0xff, 0x00], 64, 48), Ok(None));
    }
}
