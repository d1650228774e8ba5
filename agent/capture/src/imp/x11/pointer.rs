//! The pointer of an X11 display, which the server leaves out of what it copies.

use std::ops::Range;

use x11rb::errors::ReplyError;
use x11rb::protocol::xfixes::{ConnectionExt as _, CursorNotifyMask};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::Place;
use crate::source::PointerArea;

/// A pointer's image, in colours that are already multiplied by their opacity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Image {
    /// Width in pixels.
    width: u32,
    /// Height in pixels.
    height: u32,
    /// The pixel that points.
    hot: (i32, i32),
    /// Opacity, red, green, blue.
    pixels: Vec<u32>,
}

/// Follows the pointer of one display.
#[derive(Debug, Default)]
pub(super) struct Pointer {
    image: Image,
    /// Whether the server tells of pointers at all.
    told: bool,
    /// Whether another image was set since it was read.
    stale: bool,
    /// The image's place in the picture, its left upper corner, where any of it is inside.
    drawn: Option<(i32, i32)>,
}

impl Pointer {
    /// Asks for word of new images; a server without the extension shows none that could be read.
    pub(super) fn open(x: &RustConnection, root: Window) -> Self {
        let asked = || -> Result<(), ReplyError> {
            x.xfixes_query_version(5, 0)?.reply()?;
            x.xfixes_select_cursor_input(root, CursorNotifyMask::DISPLAY_CURSOR)?
                .check()
        };
        let told = asked().is_ok();
        Self {
            told,
            stale: told,
            ..Self::default()
        }
    }

    /// Notes that another image was set.
    pub(super) fn replaced(&mut self) {
        self.stale = self.told;
    }

    /// Reads place and image; returns the rows of the picture that are to be made anew.
    ///
    /// # Errors
    /// Where the server is gone.
    pub(super) fn follow(
        &mut self,
        x: &RustConnection,
        root: Window,
        place: Place,
    ) -> Result<Option<Range<u32>>, ReplyError> {
        if !self.told {
            return Ok(None);
        }
        let at = x.query_pointer(root)?.reply()?;
        let before = self.rows(place);
        let mut changed = false;
        if std::mem::take(&mut self.stale) {
            let image = image_of(x)?;
            changed = image != self.image;
            self.image = image;
        }
        let left = i32::from(at.root_x) - i32::from(place.x) - self.image.hot.0;
        let top = i32::from(at.root_y) - i32::from(place.y) - self.image.hot.1;
        let drawn = at.same_screen.then_some((left, top));
        changed |= drawn != self.drawn;
        self.drawn = drawn;
        let after = self.rows(place);
        Ok(match (before, after) {
            (None, None) => None,
            (one, other) if changed => one
                .iter()
                .chain(&other)
                .map(|rows| (rows.start, rows.end))
                .reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))
                .map(|(start, end)| start..end),
            (Some(_) | None, Some(_) | None) => None,
        })
    }

    /// Returns where the picture shows the pointer.
    pub(super) fn area(&self, place: Place) -> Option<PointerArea> {
        let (left, top) = self.drawn?;
        let columns = inside(left, self.image.width, u32::from(place.width))?;
        let rows = inside(top, self.image.height, u32::from(place.height))?;
        Some(PointerArea {
            left: columns.start,
            top: rows.start,
            width: columns.end - columns.start,
            height: rows.end - rows.start,
        })
    }

    fn rows(&self, place: Place) -> Option<Range<u32>> {
        let area = self.area(place)?;
        Some(area.top..area.top + area.height)
    }

    /// Draws the pointer over rows of the picture that start at `top`, blue first.
    pub(super) fn draw(&self, place: Place, (top, rows): (u32, u32), bytes: &mut [u8]) {
        let (Some(area), Some((left, upper))) = (self.area(place), self.drawn) else {
            return;
        };
        let from = area.top.max(top);
        let to = (area.top + area.height).min(top + rows);
        for y in from..to {
            for x in area.left..area.left + area.width {
                let column = i64::from(x) - i64::from(left);
                let row = i64::from(y) - i64::from(upper);
                let index = row * i64::from(self.image.width) + column;
                let source = usize::try_from(index).ok();
                let Some(pixel) = source.and_then(|index| self.image.pixels.get(index)) else {
                    continue;
                };
                let place = (u64::from(y - top) * u64::from(place.width) + u64::from(x)) * 4;
                let Ok(place) = usize::try_from(place) else {
                    continue;
                };
                if let Some(under) = bytes.get_mut(place..place + 3) {
                    lay_over(under, *pixel);
                }
            }
        }
    }
}

/// Returns the part of an image's extent that lies in a picture's.
fn inside(start: i32, length: u32, whole: u32) -> Option<Range<u32>> {
    let end = i64::from(start) + i64::from(length);
    let end = u32::try_from(end.min(i64::from(whole))).ok()?;
    let start = u32::try_from(start.max(0)).ok()?;
    (start < end).then_some(start..end)
}

/// Lays a pixel over one of blue, green and red.
fn lay_over(under: &mut [u8], pixel: u32) {
    let [opacity, red, green, blue] = pixel.to_be_bytes();
    let through = 255 - u32::from(opacity);
    for (below, over) in under.iter_mut().zip([blue, green, red]) {
        let mixed = u32::from(over) + (u32::from(*below) * through + 127) / 255;
        *below = u8::try_from(mixed).unwrap_or(u8::MAX);
    }
}

fn image_of(x: &RustConnection) -> Result<Image, ReplyError> {
    let image = x.xfixes_get_cursor_image()?.reply()?;
    Ok(Image {
        width: u32::from(image.width),
        height: u32::from(image.height),
        hot: (i32::from(image.xhot), i32::from(image.yhot)),
        pixels: image.cursor_image,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pointer_at_the_edge_is_drawn_as_far_as_it_shows() {
        let pointer = at((-1, 1));
        let mut bytes = vec![100; 4 * 4 * 4];
        pointer.draw(PLACE, (0, 4), &mut bytes);
        let pixel = |x: usize, y: usize| &bytes[(y * 4 + x) * 4..][..3];
        assert_eq!(pixel(0, 1), [0, 0, 255], "red, blue first");
        assert_eq!(pixel(1, 1), [100; 3]);
        assert_eq!(pixel(0, 2), [50, 50, 178], "half of it shines through");
        let area = pointer.area(PLACE).expect("inside");
        assert_eq!((area.left, area.top, area.width, area.height), (0, 1, 1, 2));
    }

    #[test]
    fn rows_that_start_lower_are_drawn_in_their_place() {
        let pointer = at((0, 1));
        let mut whole = vec![100; 4 * 4 * 4];
        pointer.draw(PLACE, (0, 4), &mut whole);
        let mut parts = vec![100; 4 * 4 * 4];
        for top in [0, 2] {
            let from = usize::try_from(top * 16).expect("small");
            pointer.draw(PLACE, (top, 2), &mut parts[from..from + 32]);
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn a_pointer_that_is_elsewhere_changes_nothing() {
        for corner in [(4, 0), (-2, 0), (0, 4), (0, -2)] {
            let pointer = at(corner);
            let mut bytes = vec![100; 4 * 4 * 4];
            pointer.draw(PLACE, (0, 4), &mut bytes);
            assert_eq!(bytes, [100; 64], "{corner:?}");
            assert_eq!(pointer.area(PLACE), None);
        }
    }

    const PLACE: Place = Place {
        x: 0,
        y: 0,
        width: 4,
        height: 4,
    };

    /// Two by two: red, half of red below it, nothing beside them where it starts.
    fn at(corner: (i32, i32)) -> Pointer {
        Pointer {
            image: Image {
                width: 2,
                height: 2,
                hot: (0, 0),
                pixels: vec![0xffff_0000, 0xffff_0000, 0x8080_0000, 0x8080_0000],
            },
            told: true,
            stale: false,
            drawn: Some(corner),
        }
    }
}
