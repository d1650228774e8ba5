//! A screen as a grid of grey tiles: what the client drew beside what a display shows.
//!
//! Both sides make it by the same rule from their own pixels, so that two grids of one picture are
//! alike whatever the display scales, and so little crosses the socket that it can be said each second.

use core::ops::Range;

use serde::{Deserialize, Serialize};

/// Tiles across.
pub const TILES_ACROSS: u16 = 96;
/// Tiles down.
pub const TILES_DOWN: u16 = 54;

/// The mean brightness of each tile of a screen, row by row from the top left, in BT.709's limited
/// range: 16 for black, 235 for white.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrawnScreen {
    /// The picture's width, in pixels.
    pub width: u32,
    /// The picture's height, in pixels.
    pub height: u32,
    /// The tiles.
    tiles: Vec<u8>,
}

/// A screen may show an item: it is never printed.
impl core::fmt::Debug for DrawnScreen {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "DrawnScreen({} x {})", self.width, self.height)
    }
}

impl DrawnScreen {
    /// Makes the grid of a picture, of which `luma` gives the brightness at column and row; every
    /// second pixel of every second row is asked for.
    pub fn of(width: u32, height: u32, luma: impl Fn(u32, u32) -> u8) -> Self {
        let edge = |size: u32, tiles: u16, tile: u16| {
            let edge = u64::from(size) * u64::from(tile) / u64::from(tiles);
            u32::try_from(edge).unwrap_or(size)
        };
        let mut tiles = Vec::with_capacity(TILES);
        for down in 0..TILES_DOWN {
            let rows = edge(height, TILES_DOWN, down)..edge(height, TILES_DOWN, down + 1);
            for across in 0..TILES_ACROSS {
                let columns =
                    edge(width, TILES_ACROSS, across)..edge(width, TILES_ACROSS, across + 1);
                tiles.push(mean(columns, rows.clone(), &luma));
            }
        }
        Self {
            width,
            height,
            tiles,
        }
    }

    /// Takes the tiles that lie under an area of this picture's pixels from another grid.
    pub fn take_from(&mut self, other: &Self, columns: Range<u32>, rows: Range<u32>) {
        let span = |range: &Range<u32>, size: u32, tiles: u16| {
            let size = u64::from(size.max(1));
            let tile = |pixel: u32| u64::from(pixel) * u64::from(tiles) / size;
            let last = tile(range.end.saturating_sub(1)).min(u64::from(tiles.saturating_sub(1)));
            tile(range.start)..=last
        };
        for down in span(&rows, self.height, TILES_DOWN) {
            for across in span(&columns, self.width, TILES_ACROSS) {
                let index = usize::try_from(down * u64::from(TILES_ACROSS) + across);
                if let Ok(index) = index
                    && let (Some(tile), Some(from)) =
                        (self.tiles.get_mut(index), other.tiles.get(index))
                {
                    *tile = *from;
                }
            }
        }
    }

    /// Returns the tiles of a whole grid; one that a peer cut or lengthened has none.
    #[must_use]
    pub fn tiles(&self) -> Option<&[u8]> {
        (self.tiles.len() == TILES).then_some(self.tiles.as_slice())
    }

    /// Tells whether the other can be a picture of the same screen: of the same shape, whatever it is
    /// scaled by.
    #[must_use]
    pub fn same_shape(&self, other: &Self) -> bool {
        let one = u64::from(self.width) * u64::from(other.height);
        let two = u64::from(other.width) * u64::from(self.height);
        one > 0 && two > 0 && one.abs_diff(two) * 100 <= one.max(two)
    }
}

/// Returns the brightness of a colour as a display's recording has it.
#[must_use]
pub fn luma_of([red, green, blue]: [u8; 3]) -> u8 {
    // 219/255 of BT.709's shares, in 65536ths.
    let sum = 11_966 * u32::from(red) + 40_254 * u32::from(green) + 4_064 * u32::from(blue);
    u8::try_from(16 + (sum + 32_768) / 65_536).unwrap_or(u8::MAX)
}

/// Returns the mean brightness of every second pixel of every second row.
fn mean(columns: Range<u32>, rows: Range<u32>, luma: &impl Fn(u32, u32) -> u8) -> u8 {
    let (mut sum, mut count) = (0_u64, 0_u64);
    for y in rows.step_by(2) {
        for x in columns.clone().step_by(2) {
            sum += u64::from(luma(x, y));
            count += 1;
        }
    }
    u8::try_from(sum / count.max(1)).unwrap_or(u8::MAX)
}

const TILES: usize = 96 * 54;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_and_its_enlargement_have_one_grid() {
        let page = |x: u32, y: u32| if x / 160 % 2 == y / 120 % 2 { 30 } else { 200 };
        let small = DrawnScreen::of(960, 540, page);
        let large = DrawnScreen::of(1_920, 1_080, |x, y| page(x / 2, y / 2));
        assert!(small.same_shape(&large));
        let pairs = small.tiles.iter().zip(&large.tiles);
        assert!(pairs.clone().count() == TILES && pairs.clone().all(|(a, b)| a.abs_diff(*b) <= 2));
        assert!(!small.same_shape(&DrawnScreen::of(1_024, 768, page)));
        assert!(!DrawnScreen::of(0, 0, page).same_shape(&small));
    }

    #[test]
    fn the_tiles_under_an_area_are_taken_from_another_grid_and_no_others() {
        let mut shown = DrawnScreen::of(960, 540, |_, _| 200);
        let drawn = DrawnScreen::of(960, 540, |_, _| 30);
        // Tiles of ten by ten pixels: an area from 15 to 34 touches three across and one down.
        shown.take_from(&drawn, 15..35, 530..540);
        let taken: Vec<_> = (0..TILES).filter(|&tile| shown.tiles[tile] == 30).collect();
        assert_eq!(taken, [53 * 96 + 1, 53 * 96 + 2, 53 * 96 + 3]);
        shown.take_from(&drawn, 950..5_000, 0..10);
        assert_eq!(shown.tiles[95], 30, "what lies outside is nothing");
    }

    #[test]
    fn colours_are_as_bright_as_in_the_recording() {
        assert_eq!(luma_of([0, 0, 0]), 16);
        assert_eq!(luma_of([255, 255, 255]), 235);
        assert_eq!(luma_of([0, 255, 0]), 173);
    }

    #[test]
    fn a_grid_that_was_cut_has_no_tiles_and_none_is_printed() {
        let mut screen = DrawnScreen::of(10, 10, |_, _| 77);
        assert!(screen.tiles().is_some());
        assert!(!format!("{screen:?}").contains("77"));
        screen.tiles.pop();
        assert!(screen.tiles().is_none());
    }
}
