//! Pixels of every device into planar 4:2:0 without padding.

use yuv::{
    BufferStoreMut, YuvConversionMode, YuvPackedImage, YuvPlanarImageMut, YuvRange,
    YuvStandardMatrix, bgr_to_yuv420, rgb_to_yuv420, rgba_to_yuv420, uyvy422_to_yuv420,
    yuyv422_to_yuv420,
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

/// How the bytes of a camera's picture are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PixelFormat {
    /// Brightness, then pairs of colours.
    Nv12,
    /// Three planes: brightness, U, V.
    I420,
    /// Three planes: brightness, V, U.
    Yv12,
    /// Packed 4:2:2, brightness first.
    Yuyv,
    /// Packed 4:2:2, colour first.
    Uyvy,
    /// Three bytes a pixel, red first.
    Rgb,
    /// Three bytes a pixel, blue first.
    Bgr,
    /// A JPEG picture each.
    Jpeg,
    /// Brightness alone.
    Grey,
}

impl PixelFormat {
    /// Every one that is read, the cheapest first.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "other systems name fewer")
    )]
    pub(crate) const ALL: [Self; 9] = [
        Self::Nv12,
        Self::I420,
        Self::Yv12,
        Self::Yuyv,
        Self::Uyvy,
        Self::Rgb,
        Self::Bgr,
        Self::Jpeg,
        Self::Grey,
    ];

    /// Returns the format that Video4Linux calls by these four letters.
    #[cfg_attr(
        not(target_os = "linux"),
        expect(dead_code, reason = "other systems name no letters")
    )]
    pub(crate) fn of_four_letters(letters: &[u8; 4]) -> Option<Self> {
        match letters {
            b"NV12" => Some(Self::Nv12),
            b"YU12" | b"I420" => Some(Self::I420),
            b"YV12" => Some(Self::Yv12),
            b"YUYV" | b"YUY2" => Some(Self::Yuyv),
            b"UYVY" => Some(Self::Uyvy),
            b"RGB3" => Some(Self::Rgb),
            b"BGR3" => Some(Self::Bgr),
            b"MJPG" | b"JPEG" => Some(Self::Jpeg),
            b"GREY" | b"GRAY" => Some(Self::Grey),
            _ => None,
        }
    }

    /// Returns the bytes of a row of this many pixels, of brightness where there are planes.
    const fn row_bytes(self, width: u32) -> u32 {
        match self {
            Self::Nv12 | Self::I420 | Self::Yv12 | Self::Grey | Self::Jpeg => width,
            Self::Yuyv | Self::Uyvy => width.div_ceil(2) * 4,
            Self::Rgb | Self::Bgr => width * 3,
        }
    }
}

/// The size of a picture as a device gives it; what is made of it has even sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Width in pixels.
    pub(crate) width: u32,
    /// Height in pixels.
    pub(crate) height: u32,
    /// Bytes from one row to the next; zero where they follow without a gap.
    pub(crate) stride: u32,
}

impl Size {
    /// A picture whose rows follow without a gap.
    pub(crate) const fn packed(width: u32, height: u32) -> Self {
        Self {
            width,
            height,
            stride: 0,
        }
    }

    const fn even(self) -> (u32, u32) {
        (self.width & !1, self.height & !1)
    }
}

/// Converts a camera's picture; an odd last row or column is left out. Nothing is returned for a
/// picture that is torn.
pub(crate) fn picture(
    format: PixelFormat,
    bytes: &[u8],
    size: Size,
) -> Result<Option<Vec<u8>>, LossCause> {
    let stride = size.stride.max(format.row_bytes(size.width));
    match format {
        PixelFormat::Jpeg => return mjpeg(bytes, size.width, size.height),
        PixelFormat::Nv12 => half_planar(bytes, size, stride),
        PixelFormat::I420 => three_planes(bytes, size, stride, false),
        PixelFormat::Yv12 => three_planes(bytes, size, stride, true),
        PixelFormat::Grey => grey(bytes, size, stride),
        PixelFormat::Yuyv | PixelFormat::Uyvy => packed(format, bytes, size, stride),
        PixelFormat::Rgb => {
            let whole = rows(bytes, stride, size.even().1)?;
            three_bytes(whole, stride, size.even(), rgb_to_yuv420)
        }
        PixelFormat::Bgr => {
            let whole = rows(bytes, stride, size.even().1)?;
            three_bytes(whole, stride, size.even(), bgr_to_yuv420)
        }
    }
    .map(Some)
}

/// Returns the bytes of the first rows.
fn rows(bytes: &[u8], stride: u32, rows: u32) -> Result<&[u8], LossCause> {
    bytes
        .get(..plane_bytes(stride, rows))
        .ok_or_else(|| LossCause::unsupported("a picture is cut off"))
}

fn packed(
    format: PixelFormat,
    bytes: &[u8],
    size: Size,
    stride: u32,
) -> Result<Vec<u8>, LossCause> {
    let (width, height) = size.even();
    let packed = YuvPackedImage {
        yuy: rows(bytes, stride, height)?,
        yuy_stride: stride,
        width,
        height,
    };
    planar(width, height, |image| {
        let converted = if format == PixelFormat::Uyvy {
            uyvy422_to_yuv420(image, &packed)
        } else {
            yuyv422_to_yuv420(image, &packed)
        };
        converted.map_err(described)
    })
}

/// Takes the first `width` bytes of each of `count` rows that begin at `from`.
fn plane(
    bytes: &[u8],
    from: usize,
    (width, stride): (u32, u32),
    count: u32,
    out: &mut Vec<u8>,
) -> Result<(), LossCause> {
    let short = || LossCause::unsupported("a picture is cut off");
    let width = usize::try_from(width).unwrap_or(usize::MAX);
    for row in 0..count {
        let start = from.saturating_add(plane_bytes(stride, row));
        let end = start.saturating_add(width);
        out.extend_from_slice(bytes.get(start..end).ok_or_else(short)?);
    }
    Ok(())
}

fn half_planar(bytes: &[u8], size: Size, stride: u32) -> Result<Vec<u8>, LossCause> {
    let (width, height) = size.even();
    let mut out = Vec::with_capacity(i420_bytes(width, height));
    plane(bytes, 0, (width, stride), height, &mut out)?;
    let mut colours = Vec::with_capacity(plane_bytes(width, height / 2));
    let from = plane_bytes(stride, size.height);
    plane(bytes, from, (width, stride), height / 2, &mut colours)?;
    let (pairs, _) = colours.as_chunks::<2>();
    out.extend(pairs.iter().map(|[u, _]| u));
    out.extend(pairs.iter().map(|[_, v]| v));
    Ok(out)
}

fn three_planes(
    bytes: &[u8],
    size: Size,
    stride: u32,
    v_first: bool,
) -> Result<Vec<u8>, LossCause> {
    let (width, height) = size.even();
    let chroma_stride = stride.div_ceil(2);
    let first = plane_bytes(stride, size.height);
    let second = first.saturating_add(plane_bytes(chroma_stride, size.height.div_ceil(2)));
    let (u, v) = if v_first {
        (second, first)
    } else {
        (first, second)
    };
    let mut out = Vec::with_capacity(i420_bytes(width, height));
    plane(bytes, 0, (width, stride), height, &mut out)?;
    for from in [u, v] {
        plane(
            bytes,
            from,
            (width / 2, chroma_stride),
            height / 2,
            &mut out,
        )?;
    }
    Ok(out)
}

fn grey(bytes: &[u8], size: Size, stride: u32) -> Result<Vec<u8>, LossCause> {
    let (width, height) = size.even();
    let mut out = Vec::with_capacity(i420_bytes(width, height));
    plane(bytes, 0, (width, stride), height, &mut out)?;
    out.resize(i420_bytes(width, height), 128);
    Ok(out)
}

/// Decodes a JPEG picture and converts it; it must have the size that the device promised.
fn mjpeg(bytes: &[u8], width: u32, height: u32) -> Result<Option<Vec<u8>>, LossCause> {
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
    picture(PixelFormat::Rgb, &rgb, Size::packed(width, height))
}

/// Tells whether a picture ends as a JPEG does; some cameras put zeros behind the end.
fn is_whole_jpeg(bytes: &[u8]) -> bool {
    let end = bytes.iter().rposition(|&byte| byte != 0);
    let end = end.and_then(|last| bytes.get(..=last));
    end.is_some_and(|bytes| bytes.ends_with(&[0xFF, 0xD9]))
}

/// Converts three bytes a pixel of a camera, red first.
pub(crate) fn rgb(bytes: &[u8], width: u32, height: u32) -> Result<Vec<u8>, LossCause> {
    three_bytes(bytes, width * 3, (width, height), rgb_to_yuv420)
}

type ToPlanes = fn(
    &mut YuvPlanarImageMut<'_, u8>,
    &[u8],
    u32,
    YuvRange,
    YuvStandardMatrix,
    YuvConversionMode,
) -> Result<(), yuv::YuvError>;

fn three_bytes(
    bytes: &[u8],
    stride: u32,
    (width, height): (u32, u32),
    convert: ToPlanes,
) -> Result<Vec<u8>, LossCause> {
    let matrix = Colours::Camera.matrix();
    planar(width, height, |image| {
        convert(image, bytes, stride, YuvRange::Limited, matrix, MODE).map_err(described)
    })
}

/// Converts four bytes a pixel, red first.
#[cfg_attr(
    all(target_os = "linux", not(any(feature = "simulated", test))),
    expect(dead_code, reason = "X11 has blue first, and rows of its own")
)]
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
    fn every_format_gives_the_same_picture() {
        // Left half dark, right half bright and red: every format carries the same brightness.
        let (width, height) = (64_u32, 48_u32);
        let columns = |x: u32| {
            if x < 32 {
                (60_u8, 128_u8, 128_u8)
            } else {
                (120, 100, 180)
            }
        };
        let all = |of: &dyn Fn(u32) -> Vec<u8>| -> Vec<u8> {
            let row: Vec<u8> = (0..width).flat_map(of).collect();
            row.repeat(usize::try_from(height).expect("small"))
        };
        let luma = all(&|x| vec![columns(x).0]);
        let chroma = |of: fn((u8, u8, u8)) -> u8| -> Vec<u8> {
            let row: Vec<u8> = (0..width / 2).map(|x| of(columns(2 * x))).collect();
            row.repeat(usize::try_from(height / 2).expect("small"))
        };
        let (u, v) = (chroma(|c| c.1), chroma(|c| c.2));
        let pairs: Vec<u8> = u.iter().zip(&v).flat_map(|(u, v)| [*u, *v]).collect();
        let pair = |x: u32| {
            if x.is_multiple_of(2) {
                columns(x).1
            } else {
                columns(x).2
            }
        };
        let expected = [luma.clone(), u.clone(), v.clone()].concat();
        let pictures = [
            (PixelFormat::Nv12, [luma.clone(), pairs].concat()),
            (PixelFormat::I420, expected.clone()),
            (PixelFormat::Yv12, [luma, v, u].concat()),
            (PixelFormat::Yuyv, all(&|x| vec![columns(x).0, pair(x)])),
            (PixelFormat::Uyvy, all(&|x| vec![pair(x), columns(x).0])),
        ];
        for (format, bytes) in pictures {
            let made = picture(format, &bytes, Size::packed(width, height));
            assert_eq!(made, Ok(Some(expected.clone())), "{format:?}");
        }
    }

    #[test]
    fn red_stays_red_whichever_colour_comes_first() {
        let size = Size::packed(16, 16);
        let made = |format, pixel: [u8; 3]| {
            let made = picture(format, &pixel.repeat(256), size).expect("it converts");
            let made = made.expect("a whole picture");
            [made[0], made[256], made[256 + 64]]
        };
        let red = made(PixelFormat::Rgb, [255, 0, 0]);
        assert_eq!(red, made(PixelFormat::Bgr, [0, 0, 255]));
        assert!(red[2] > 220, "{red:?}");
        assert_eq!(made(PixelFormat::Rgb, [255; 3])[0], 235);
    }

    #[test]
    fn rows_with_a_gap_between_them_and_odd_sides_are_read() {
        let size = Size {
            width: 33,
            height: 17,
            stride: 48,
        };
        let luma = [vec![120; 33], vec![7; 15]].concat().repeat(17);
        let from_grey = picture(PixelFormat::Grey, &luma, size).expect("it converts");
        let grey = [vec![120; 32 * 16], vec![128; 32 * 16 / 2]].concat();
        assert_eq!(from_grey, Some(grey.clone()));
        let chroma = [vec![128; 17], vec![7; 7]].concat().repeat(9);
        let planes = [luma.clone(), chroma.clone(), chroma].concat();
        assert_eq!(
            picture(PixelFormat::I420, &planes, size),
            Ok(Some(grey.clone()))
        );
        let pairs = [vec![128; 34], vec![7; 14]].concat().repeat(9);
        let half = [luma, pairs].concat();
        assert_eq!(picture(PixelFormat::Nv12, &half, size), Ok(Some(grey)));
    }

    #[test]
    fn a_jpeg_of_odd_sides_is_read_without_its_last_row_and_column() {
        let mut jpeg = std::io::Cursor::new(Vec::new());
        let odd = image::RgbImage::from_pixel(65, 49, image::Rgb([123; 3]));
        odd.write_to(&mut jpeg, image::ImageFormat::Jpeg)
            .expect("it is written");
        let made = picture(PixelFormat::Jpeg, jpeg.get_ref(), Size::packed(65, 49));
        let made = made.expect("it converts").expect("a whole picture");
        assert_eq!(made.len(), i420_bytes(64, 48));
        assert!(made[..64 * 48].iter().all(|y| y.abs_diff(121) <= 2));
    }

    #[test]
    fn a_picture_that_is_cut_off_is_refused_in_every_format() {
        for format in PixelFormat::ALL {
            let made = picture(format, &[128; 100], Size::packed(64, 48));
            match format {
                PixelFormat::Jpeg => assert_eq!(made, Ok(None)),
                PixelFormat::Nv12
                | PixelFormat::I420
                | PixelFormat::Yv12
                | PixelFormat::Yuyv
                | PixelFormat::Uyvy
                | PixelFormat::Rgb
                | PixelFormat::Bgr
                | PixelFormat::Grey => {
                    assert!(
                        matches!(made, Err(LossCause::Unsupported { .. })),
                        "{format:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_torn_jpeg_is_left_out() {
        let torn = [0xff, 0xd8, 0xff, 0x00];
        assert_eq!(
            picture(PixelFormat::Jpeg, &torn, Size::packed(64, 48)),
            Ok(None)
        );
    }
}
