//! A camera's picture in colour, lent: scaled down or cut out for the models.

use crate::numbers::{byte, real, whole};
use crate::pixels::{Channels, Pixels};
use crate::{InputError, Luma};

/// A picture of a camera, lent: brightness and both colour planes (I420, BT.601, video range).
#[derive(Debug, Clone, Copy)]
pub struct Picture<'a> {
    y: Luma<'a>,
    u: Luma<'a>,
    v: Luma<'a>,
}

/// A place in a picture, in pixels from its top left corner.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
}

/// Where a pixel of a crop lies in the picture it is cut from: turned, scaled and moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Placement {
    /// Where the crop's top left corner lies.
    pub(crate) origin: Point,
    /// One crop pixel to the right, in picture pixels; one down is this turned by a quarter.
    pub(crate) right: Point,
}

impl Placement {
    /// Returns where a crop's point lies in the picture.
    pub(crate) fn place(&self, at: Point) -> Point {
        Point {
            x: self.origin.x + at.x * self.right.x - at.y * self.right.y,
            y: self.origin.y + at.x * self.right.y + at.y * self.right.x,
        }
    }

    /// Places a square crop of `side` pixels around `centre`, `extent` picture pixels wide, whose
    /// right side points to `right` (of any length).
    pub(crate) fn around(centre: Point, extent: f32, right: Point, side: u16) -> Self {
        let length = right.x.hypot(right.y).max(f32::EPSILON);
        let step = extent / f32::from(side);
        let right = Point {
            x: right.x / length * step,
            y: right.y / length * step,
        };
        let half = f32::from(side) / 2.0;
        Self {
            origin: Point {
                x: centre.x - half * right.x + half * right.y,
                y: centre.y - half * right.y - half * right.x,
            },
            right,
        }
    }
}

impl<'a> Picture<'a> {
    /// Lends a picture of `width` by `height`: its brightness, and its colours at half the size
    /// (rounded up), each without gaps between rows.
    ///
    /// # Errors
    /// `Size` where a plane does not hold its rows.
    pub fn i420(width: u32, height: u32, planes: [&'a [u8]; 3]) -> Result<Self, InputError> {
        let [y, u, v] = planes;
        let (half, rows) = (width.div_ceil(2), height.div_ceil(2));
        Ok(Self {
            y: Luma::new(width, height, width, y)?,
            u: Luma::new(half, rows, half, u)?,
            v: Luma::new(half, rows, half, v)?,
        })
    }

    /// Returns the brightness.
    #[must_use]
    pub const fn luma(&self) -> Luma<'a> {
        self.y
    }

    /// Returns width and height in pixels.
    pub(crate) fn size(&self) -> (f32, f32) {
        (real(self.y.columns()), real(self.y.rows()))
    }

    /// Returns the whole picture in another size, each pixel the mean of those that it covers.
    ///
    /// # Errors
    /// `Size` where a side is 0.
    pub(crate) fn scaled(
        &self,
        width: u16,
        height: u16,
        channels: Channels,
    ) -> Result<Pixels, InputError> {
        let luma = scale(&self.y, width, height);
        let bytes = match channels {
            Channels::Grey => luma,
            Channels::Rgb => {
                let colours = scale(&self.u, width, height)
                    .into_iter()
                    .zip(scale(&self.v, width, height));
                luma.into_iter()
                    .zip(colours)
                    .flat_map(|(y, (u, v))| rgb(f32::from(y), f32::from(u), f32::from(v)))
                    .map(byte)
                    .collect()
            }
        };
        Pixels::new(width, height, channels, bytes)
    }

    /// Returns a square crop in colour; what lies outside repeats the border.
    ///
    /// # Errors
    /// `Size` where the side is 0.
    pub(crate) fn cut(&self, placement: &Placement, side: u16) -> Result<Pixels, InputError> {
        let bytes = cut_by(placement, side, 1.0, |at| self.at(at));
        Pixels::new(side, side, Channels::Rgb, bytes)
    }

    /// Returns a square crop as I420 in one grey picture: `side` rows of brightness, then both
    /// colours at half the size, two of their rows to a line. What lies outside repeats the border.
    ///
    /// # Errors
    /// `Size` where the side is 0.
    pub(crate) fn cut_planar(
        &self,
        placement: &Placement,
        side: u16,
    ) -> Result<Pixels, InputError> {
        let mut bytes = cut_by(placement, side, 1.0, |at| [between(&self.y, at.x, at.y)]);
        for plane in [&self.u, &self.v] {
            let half = |at: Point| [between(plane, at.x / 2.0, at.y / 2.0)];
            bytes.extend(cut_by(placement, side / 2, 2.0, half));
        }
        Pixels::new(side, side / 2 * 3, Channels::Grey, bytes)
    }

    /// Returns the mean of brightness and both colours where `keep` says so, by places as shares of
    /// width and height; `None` for less than `least` of the picture.
    pub(crate) fn mean_where(&self, least: f32, keep: impl Fn(Point) -> bool) -> Option<[f32; 3]> {
        let (columns, rows) = (self.u.columns(), self.u.rows());
        let mut sums = [0_u64; 3];
        let mut count = 0_usize;
        for row in 0..rows {
            let y = (real(row) + 0.5) / real(rows);
            let lines = [self.y.row(2 * row), self.u.row(row), self.v.row(row)];
            for column in 0..columns {
                let x = (real(column) + 0.5) / real(columns);
                if !keep(Point { x, y }) {
                    continue;
                }
                let places = [2 * column, column, column];
                for ((sum, line), place) in sums.iter_mut().zip(lines).zip(places) {
                    *sum += line.get(place).copied().map_or(0, u64::from);
                }
                count += 1;
            }
        }
        let enough = count > 0 && real(count) >= least * real(columns * rows);
        enough.then(|| sums.map(|sum| mean(sum, count)))
    }

    fn at(&self, at: Point) -> [f32; 3] {
        let y = between(&self.y, at.x, at.y);
        let u = between(&self.u, at.x / 2.0, at.y / 2.0);
        let v = between(&self.v, at.x / 2.0, at.y / 2.0);
        rgb(y, u, v)
    }
}

/// Cuts a square of `side` pixels, each `shrink` of the placement's, the mean of what it covers.
fn cut_by<const CHANNELS: usize>(
    placement: &Placement,
    side: u16,
    shrink: f32,
    at: impl Fn(Point) -> [f32; CHANNELS],
) -> Vec<u8> {
    // A crop that is smaller than what it covers takes the mean of several places a pixel.
    let step = placement.right.x.hypot(placement.right.y);
    let grid = u8::try_from(whole(step + 0.5, 4)).unwrap_or(4).max(1);
    let parts = f32::from(grid);
    let pixel = |column: u16, row: u16| {
        let mut sum = [0.0; CHANNELS];
        for part in 0..grid * grid {
            let (across, down) = (f32::from(part % grid), f32::from(part / grid));
            let found = at(placement.place(Point {
                x: (f32::from(column) + (across + 0.5) / parts) * shrink,
                y: (f32::from(row) + (down + 0.5) / parts) * shrink,
            }));
            for (sum, found) in sum.iter_mut().zip(found) {
                *sum += found;
            }
        }
        sum.map(|sum| byte(sum / (parts * parts)))
    };
    (0..side)
        .flat_map(|row| (0..side).map(move |column| (column, row)))
        .flat_map(|(column, row)| pixel(column, row))
        .collect()
}

/// BT.601 in video range, to red, green, blue of 0 to 255.
pub(crate) fn rgb(y: f32, u: f32, v: f32) -> [f32; 3] {
    let (y, u, v) = (1.164 * (y - 16.0), u - 128.0, v - 128.0);
    [
        1.596_f32.mul_add(v, y),
        y - 0.392 * u - 0.813 * v,
        2.017_f32.mul_add(u, y),
    ]
}

/// Of at most 2^24 bytes.
fn mean(sum: u64, count: usize) -> f32 {
    let whole = usize::try_from(sum).unwrap_or(usize::MAX);
    real(whole / count) + real(whole % count) / real(count)
}

fn between(plane: &Luma<'_>, x: f32, y: f32) -> f32 {
    let (left, right, dx) = neighbours(x, plane.columns());
    let (above, below, dy) = neighbours(y, plane.rows());
    let mix = |row: &[u8]| {
        let at = |column: usize| row.get(column).copied().map_or(0.0, f32::from);
        at(left) + (at(right) - at(left)) * dx
    };
    let (above, below) = (mix(plane.row(above)), mix(plane.row(below)));
    above + (below - above) * dy
}

/// The two pixels whose centres enclose a place, and how far it lies from the first to the second.
fn neighbours(at: f32, count: usize) -> (usize, usize, f32) {
    let last = count.saturating_sub(1);
    let at = (at - 0.5).clamp(0.0, real(last));
    let first = whole(at, last);
    (first, (first + 1).min(last), at - real(first))
}

fn scale(plane: &Luma<'_>, width: u16, height: u16) -> Vec<u8> {
    let columns = spans(plane.columns(), width);
    let rows = spans(plane.rows(), height);
    let mut bytes = Vec::with_capacity(columns.len() * rows.len());
    let mut sums = vec![0_u32; columns.len()];
    for (top, bottom) in rows {
        sums.fill(0);
        for row in top..bottom {
            let row = plane.row(row);
            for (sum, (left, right)) in sums.iter_mut().zip(&columns) {
                let part = row.get(*left..*right).unwrap_or_default();
                *sum += part.iter().map(|pixel| u32::from(*pixel)).sum::<u32>();
            }
        }
        bytes.extend(sums.iter().zip(&columns).map(|(sum, (left, right))| {
            let area = u32::try_from((right - left) * (bottom - top))
                .unwrap_or(1)
                .max(1);
            u8::try_from((sum + area / 2) / area).unwrap_or(u8::MAX)
        }));
    }
    bytes
}

/// Cuts `count` pixels into `parts` runs, none of them empty.
fn spans(count: usize, parts: u16) -> Vec<(usize, usize)> {
    let wanted = usize::from(parts);
    (0..wanted)
        .map(|part| {
            let first = (part * count / wanted).min(count.saturating_sub(1));
            (first, ((part + 1) * count / wanted).max(first + 1))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn planes_that_are_too_short_are_refused() {
        let (y, half) = ([0; 64], [0; 16]);
        Picture::i420(8, 8, [&y, &half, &half]).expect("whole");
        Picture::i420(8, 8, [&y, &half, &half[1..]]).expect_err("a refusal");
        Picture::i420(8, 8, [&y[1..], &half, &half]).expect_err("a refusal");
    }

    #[test]
    fn colours_come_out_as_they_were_meant() {
        // BT.601: red is (82, 90, 240), white (235, 128, 128).
        let (red, white) = ([82, 90, 240], [235, 128, 128]);
        for (yuv, meant) in [(red, [255, 0, 0]), (white, [255, 255, 255])] {
            let planes = yuv.map(|value| vec![value; 64]);
            let picture = Picture::i420(8, 8, [&planes[0], &planes[1], &planes[2]]).expect("whole");
            let scaled = picture.scaled(3, 2, Channels::Rgb).expect("a size");
            for pixel in scaled.bytes().chunks_exact(3) {
                for (found, meant) in pixel.iter().zip(meant) {
                    assert!(found.abs_diff(meant) <= 2, "{pixel:?}");
                }
            }
        }
    }

    #[test]
    fn a_planar_crop_holds_brightness_and_both_colours() {
        let (y, u, v) = ([82; 256], [90; 64], [240; 64]);
        let picture = Picture::i420(16, 16, [&y, &u, &v]).expect("whole");
        let whole = Placement::around(Point { x: 8.0, y: 8.0 }, 32.0, Point { x: 1.0, y: 0.0 }, 8);
        let crop = picture.cut_planar(&whole, 8).expect("a size");
        assert_eq!((crop.width(), crop.height()), (8, 12));
        let planes = crop.bytes().split_at(64);
        assert!(planes.0.iter().all(|y| *y == 82));
        assert_eq!(planes.1, [[90; 16], [240; 16]].concat());
    }

    #[test]
    fn scaling_takes_means_and_a_crop_follows_its_placement() {
        let y: Vec<u8> = (0..16_u8)
            .flat_map(|row| (0..16_u8).map(move |column| 16 + row * 8 + column * 4))
            .collect();
        let half = [128; 64];
        let picture = Picture::i420(16, 16, [&y, &half, &half]).expect("whole");
        let small = picture.scaled(2, 2, Channels::Grey).expect("a size");
        assert_eq!(small.bytes(), [58, 90, 122, 154]);

        // A quarter turn: the crop's right is the picture's down.
        let turned = Placement::around(Point { x: 8.0, y: 8.0 }, 8.0, Point { x: 0.0, y: 1.0 }, 8);
        let crop = picture.cut(&turned, 8).expect("a size");
        let first = &crop.bytes()[..6];
        // Top left of the crop is (11.5, 4.5) of the picture; one to the right is one row down.
        let meant = |row: f32, column: f32| byte(1.164 * (row * 8.0 + column * 4.0));
        assert_eq!(first[0], meant(4.0, 11.0));
        assert_eq!(first[3], meant(5.0, 11.0));
    }
}
