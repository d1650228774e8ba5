//! A borrowed picture in planar 4:2:0.

use thiserror::Error;

/// Why planes are not a picture.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum PictureError {
    /// A side is odd, zero, or longer than the encoder takes.
    #[error("a picture of {width}x{height} cannot be encoded")]
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// A plane holds fewer bytes than its rows need.
    #[error("plane {plane} holds {bytes} bytes, {needed} are needed")]
    Plane {
        /// 0 for Y, 1 for U, 2 for V.
        plane: usize,
        /// Bytes found.
        bytes: usize,
        /// Bytes needed.
        needed: usize,
    },
}

/// A picture in planar 4:2:0 that is lent for encoding.
///
/// Both sides are even, no longer than 3840, and every plane holds all its rows.
#[derive(Debug, Clone, Copy)]
pub struct I420Ref<'a> {
    width: u32,
    height: u32,
    planes: [&'a [u8]; 3],
    strides: [u32; 3],
}

impl<'a> I420Ref<'a> {
    /// Makes a picture from three planes with their strides in bytes.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if a side or a plane does not fit.
    pub fn new(
        width: u32,
        height: u32,
        planes: [&'a [u8]; 3],
        strides: [u32; 3],
    ) -> Result<Self, PictureError> {
        let fits = |side: u32| side.is_multiple_of(2) && (16..=SIDE_MAX).contains(&side);
        if !fits(width) || !fits(height) || width.min(height) > SHORT_SIDE_MAX {
            return Err(PictureError::Size { width, height });
        }
        let sizes = [
            (width, height),
            (width / 2, height / 2),
            (width / 2, height / 2),
        ];
        for (plane, ((wide, rows), (bytes, stride))) in sizes
            .into_iter()
            .zip(planes.iter().zip(strides))
            .enumerate()
        {
            let needed = usize::try_from(u64::from(stride) * u64::from(rows - 1) + u64::from(wide))
                .unwrap_or(usize::MAX);
            if stride < wide || stride > STRIDE_MAX || bytes.len() < needed {
                return Err(PictureError::Plane {
                    plane,
                    bytes: bytes.len(),
                    needed,
                });
            }
        }
        Ok(Self {
            width,
            height,
            planes,
            strides,
        })
    }

    /// Makes a picture from one buffer that holds Y, U and V without padding.
    ///
    /// # Errors
    ///
    /// [`PictureError`] if a side or the buffer does not fit.
    pub fn tight(width: u32, height: u32, bytes: &'a [u8]) -> Result<Self, PictureError> {
        let luma = usize::try_from(u64::from(width) * u64::from(height)).unwrap_or(usize::MAX);
        let chroma = luma / 4;
        let short = PictureError::Plane {
            plane: 0,
            bytes: bytes.len(),
            needed: luma,
        };
        let (y, rest) = bytes.split_at_checked(luma).ok_or(short)?;
        let (u, rest) = rest.split_at_checked(chroma).ok_or(short)?;
        let (v, _) = rest.split_at_checked(chroma).ok_or(short)?;
        Self::new(width, height, [y, u, v], [width, width / 2, width / 2])
    }

    /// Returns the picture with blocks of `side` pixels a side in one colour, without padding.
    #[must_use]
    pub(crate) fn in_blocks(&self, side: u32) -> Vec<u8> {
        let size = |pixels: u32| usize::try_from(pixels).unwrap_or(usize::MAX);
        let mut out = Vec::new();
        for (plane, (bytes, stride)) in self.planes.iter().zip(self.strides).enumerate() {
            let part = if plane == 0 { 1 } else { 2 };
            let (wide, rows) = (size(self.width / part), size(self.height / part));
            let side = size((side / part).max(1));
            let lines: Vec<&[u8]> = bytes
                .chunks(size(stride))
                .take(rows)
                .map(|line| line.get(..wide).unwrap_or(line))
                .collect();
            for band in lines.chunks(side) {
                let line: Vec<u8> = (0..wide)
                    .step_by(side)
                    .flat_map(|left| {
                        let right = (left + side).min(wide);
                        std::iter::repeat_n(mean(band, left, right), right - left)
                    })
                    .collect();
                band.iter().for_each(|_| out.extend_from_slice(&line));
            }
        }
        out
    }

    /// Returns the width in pixels.
    #[must_use]
    pub const fn width(&self) -> u32 {
        self.width
    }

    /// Returns the height in pixels.
    #[must_use]
    pub const fn height(&self) -> u32 {
        self.height
    }

    /// Returns Y, U and V.
    #[must_use]
    pub const fn planes(&self) -> [&'a [u8]; 3] {
        self.planes
    }

    /// Returns the bytes from one row to the next in Y, U and V.
    #[must_use]
    pub const fn strides(&self) -> [u32; 3] {
        self.strides
    }
}

const SIDE_MAX: u32 = 3_840;
const SHORT_SIDE_MAX: u32 = 2_160;
const STRIDE_MAX: u32 = 1 << 16;

/// Returns the mean of a block.
fn mean(lines: &[&[u8]], left: usize, right: usize) -> u8 {
    let (mut sum, mut count) = (0_u32, 0_u32);
    for line in lines {
        for value in line.get(left..right).unwrap_or_default() {
            sum += u32::from(*value);
            count += 1;
        }
    }
    u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_have_one_colour_each_and_the_picture_keeps_its_size() {
        let bytes: Vec<u8> = (0..20_u32 * 18 * 3 / 2)
            .map(|n| u8::try_from(n * 7 % 251).expect("a byte"))
            .collect();
        let picture = I420Ref::tight(20, 18, &bytes).expect("whole");

        let coarse = picture.in_blocks(16);

        assert_eq!(coarse.len(), bytes.len());
        assert!(coarse[..16].iter().all(|value| *value == coarse[0]));
        assert!(coarse[16..20].iter().all(|value| *value == coarse[16]));
        assert_eq!(coarse[..20], coarse[20 * 15..20 * 16]);
        assert_eq!(picture.in_blocks(1), bytes);
    }

    #[test]
    fn a_plane_that_is_too_short_is_refused() {
        let bytes = vec![0; 64 * 48 * 3 / 2];
        I420Ref::tight(64, 48, &bytes).expect("it fits");
        I420Ref::tight(64, 48, &bytes[1..]).expect_err("a byte is missing");
        I420Ref::tight(63, 48, &bytes).expect_err("a side is odd");
        let wide = I420Ref::new(64, 48, [&bytes[..], &bytes, &bytes[..10]], [64, 32, 32]);
        assert_eq!(
            wide.expect_err("V is short"),
            PictureError::Plane {
                plane: 2,
                bytes: 10,
                needed: 23 * 32 + 32
            }
        );
    }
}
