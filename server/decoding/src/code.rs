//! Reads the freshness code where the kiosk draws it: flush with the bottom right corner of the
//! display, as a QR code of one version, with a quiet zone of four modules.
//!
//! # Invariants
//! * The work is bounded by construction, whatever is on the picture: at most [`PROBES_MAX`] pixels
//!   are looked at to find the code, and at most [`GRIDS_MAX`] squares are decoded.
//! * Nothing is searched for: a code in another place does not count.

use rqrr::{Grid, SimpleGrid};

/// The brightness of a picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Luma<'a> {
    pub(super) bytes: &'a [u8],
    /// From one row to the next, in bytes.
    pub(super) stride: usize,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// What was found, and what it cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// The code's text.
    pub(super) code: Option<String>,
    /// Pixels that were looked at to find it.
    pub(super) probes: usize,
    /// Squares that were decoded.
    pub(super) grids: usize,
}

/// Where the code may stand: the side of a module in sixteenths of a pixel, and how far the
/// display's corner lies beyond the picture's, in pixels.
#[derive(Debug, Clone, Copy)]
struct Place {
    module: i64,
    beyond: (i64, i64),
}

/// Reads the code of a picture.
pub(super) fn read(luma: &Luma<'_>) -> Found {
    let mut found = Found::default();
    for place in places() {
        if !finders_match(luma, place, &mut found.probes) {
            continue;
        }
        found.grids += 1;
        let grid = SimpleGrid::from_func(MODULES, |x, y| dark(luma, place, (x, y)) == Some(true));
        if let Ok((_meta, text)) = Grid::new(grid).decode()
            && is_code(&text)
        {
            found.code = Some(text);
            return found;
        }
        if found.grids >= GRIDS_MAX {
            return found;
        }
    }
    found
}

/// Tells whether a text is a code's: 32 digits of sixteen, with capitals.
pub(super) fn is_code(text: &str) -> bool {
    text.len() == 32
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte))
}

/// Every place to look at: the one where the kiosk draws first, then pictures that were cropped to
/// even sides, then displays that were recorded larger or smaller.
fn places() -> impl Iterator<Item = Place> {
    let scaled = (MODULE_MIN..=MODULE_MAX).filter(|module| *module != MODULE_DRAWN);
    core::iter::once(MODULE_DRAWN)
        .chain(scaled)
        .flat_map(|module| {
            let offsets = BEYOND
                .into_iter()
                .flat_map(|x| BEYOND.map(|y| (x, y)).into_iter());
            offsets.map(move |beyond| Place { module, beyond })
        })
}

/// Tells whether the three finder patterns stand where they belong.
fn finders_match(luma: &Luma<'_>, place: Place, probes: &mut usize) -> bool {
    let mut wrong = 0;
    for (x, y) in finder_modules() {
        *probes += 1;
        if dark(luma, place, (x, y)) != Some(finder_is_dark(x, y)) {
            wrong += 1;
        }
        if wrong > FINDER_WRONG_MAX {
            return false;
        }
    }
    true
}

/// The modules of the three finder patterns, those that differ from plain pictures first.
fn finder_modules() -> impl Iterator<Item = (usize, usize)> {
    let far = MODULES - FINDER;
    let all = move |(x, y)| [(x, y), (far + x, y), (x, far + y)];
    RINGS
        .into_iter()
        .flat_map(|ring| {
            let square = (0..FINDER).flat_map(|y| (0..FINDER).map(move |x| (x, y)));
            square.filter(move |(x, y)| ring_of(*x, *y) == ring)
        })
        .flat_map(all)
}

/// Returns how far a module of a finder pattern lies from its edge.
fn ring_of(x: usize, y: usize) -> usize {
    let last = FINDER - 1;
    x.min(y)
        .min(last.saturating_sub(x))
        .min(last.saturating_sub(y))
}

fn finder_is_dark(x: usize, y: usize) -> bool {
    let far = MODULES - FINDER;
    let within = |at: usize| if at >= far { at - far } else { at };
    ring_of(within(x), within(y)) != 1
}

/// Tells whether the middle of a module is dark; `None` outside the picture.
fn dark(luma: &Luma<'_>, place: Place, (x, y): (usize, usize)) -> Option<bool> {
    let at = |side: usize, module: usize, beyond: i64| -> Option<usize> {
        // From the corner of the display back to the middle of the module.
        let back = i64::try_from(QUIET + MODULES - module).ok()? * 2 - 1;
        let back = back * place.module / (2 * SIXTEENTHS);
        let at = i64::try_from(side).ok()? + beyond - back;
        usize::try_from(at).ok().filter(|at| *at < side)
    };
    let column = at(luma.width, x, place.beyond.0)?;
    let row = at(luma.height, y, place.beyond.1)?;
    let byte = luma.bytes.get(row * luma.stride + column)?;
    Some(*byte < THRESHOLD)
}

/// A code has this many modules a side (version 2, which holds 32 characters).
const MODULES: usize = 25;
/// The quiet zone, in modules.
const QUIET: usize = 4;
/// A finder pattern has this many modules a side.
const FINDER: usize = 7;
/// The rings of a finder pattern from its edge, the light one first.
const RINGS: [usize; 4] = [1, 3, 0, 2];
/// So many modules of the finder patterns may look wrong, for a picture is compressed.
const FINDER_WRONG_MAX: usize = 6;
/// Sixteenths of a pixel.
const SIXTEENTHS: i64 = 16;
/// The kiosk draws a module eight physical pixels wide.
const MODULE_DRAWN: i64 = 8 * SIXTEENTHS;
/// A module of a display that was recorded at three tenths of its size.
const MODULE_MIN: i64 = 5 * SIXTEENTHS / 2;
/// A module of a display that was recorded at twice its size.
const MODULE_MAX: i64 = 16 * SIXTEENTHS;
/// How far the display's corner may lie beyond the picture's, in pixels; exact first.
const BEYOND: [i64; 3] = [0, 1, -1];
/// What is darker than this is dark.
const THRESHOLD: u8 = 128;
/// No picture has more squares decoded.
const GRIDS_MAX: usize = 8;
/// No picture has more pixels looked at to find the code.
#[cfg(test)]
const PROBES_MAX: usize = 217 * BEYOND.len() * BEYOND.len() * 3 * FINDER * FINDER;

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "0123456789ABCDEF0123456789ABCDEF";

    #[test]
    fn a_code_is_read_at_its_place_on_pictures_of_every_size() {
        for (width, height) in [(1_280, 720), (1_366, 768), (1_920, 1_080)] {
            let picture = Picture::with_code(width, height, 128, (0, 0));
            let found = read(&picture.luma());
            assert_eq!(found.code.as_deref(), Some(CODE));
            assert!(found.probes <= 3 * FINDER * FINDER);
        }
    }

    #[test]
    fn a_code_is_read_on_pictures_that_were_cropped_or_scaled() {
        for beyond in [(1, 0), (0, 1), (1, 1)] {
            let picture = Picture::with_code(1_366, 768, 128, beyond);
            assert_eq!(read(&picture.luma()).code.as_deref(), Some(CODE));
        }
        for module in [43, 64, 85, 96, 160, 192, 256] {
            let picture = Picture::with_code(1_280, 720, module, (0, 0));
            let found = read(&picture.luma());
            assert_eq!(found.code.as_deref(), Some(CODE), "{module} sixteenths");
        }
    }

    #[test]
    fn a_code_in_another_place_does_not_count() {
        let picture = Picture::with_code(1_280, 720, 128, (-60, -40));
        assert_eq!(read(&picture.luma()).code, None);
    }

    #[test]
    fn another_text_at_the_place_is_no_code() {
        let mut picture = Picture::new(1_280, 720);
        picture.draw("https://example.org/0123456789", 128, (0, 0));
        assert_eq!(read(&picture.luma()).code, None);
        assert!(!is_code("0123456789abcdef0123456789abcdef"));
    }

    #[test]
    fn screens_full_of_finder_patterns_cost_no_more_than_any_other() {
        for (width, height, module) in [(448, 448, 1), (960, 540, 2), (1_280, 720, 8)] {
            let picture = Picture::full_of_finders(width, height, module);
            let found = read(&picture.luma());
            assert_eq!(found.code, None);
            assert!(found.probes <= PROBES_MAX, "{} probes", found.probes);
            assert!(found.grids <= GRIDS_MAX);
        }
    }

    #[test]
    fn small_empty_and_cut_pictures_are_no_codes() {
        for (width, height) in [(0, 0), (1, 1), (16, 16), (1_280, 0)] {
            let bytes = vec![0; width * height];
            let luma = Luma {
                bytes: &bytes,
                stride: width,
                width,
                height,
            };
            assert_eq!(read(&luma).code, None);
        }
        let picture = Picture::with_code(1_280, 720, 128, (0, 0));
        let cut = Luma {
            bytes: &picture.bytes[..1_280 * 400],
            ..picture.luma()
        };
        assert_eq!(read(&cut).code, None);
    }

    struct Picture {
        bytes: Vec<u8>,
        width: usize,
        height: usize,
    }

    impl Picture {
        fn new(width: usize, height: usize) -> Self {
            let bytes = vec![235; width * height];
            Self {
                bytes,
                width,
                height,
            }
        }

        fn with_code(width: usize, height: usize, module: i64, beyond: (i64, i64)) -> Self {
            let mut picture = Self::new(width, height);
            picture.draw(CODE, module, beyond);
            picture
        }

        /// Draws a text as the kiosk does, scaled, with the display's corner beyond the picture's.
        fn draw(&mut self, text: &str, module: i64, beyond: (i64, i64)) {
            let code = qrcode::QrCode::new(text).expect("a code");
            let side = code.width();
            let colours = code.to_colors();
            let corner = |side: usize, beyond| i64::try_from(side).expect("small") + beyond;
            let (right, bottom) = (corner(self.width, beyond.0), corner(self.height, beyond.1));
            let module_of = |corner: i64, at: usize| {
                let back = (corner - i64::try_from(at).expect("small")) * 16 - 8;
                let back = usize::try_from(back / module).ok()?;
                (side + QUIET).checked_sub(back + 1)
            };
            let width = self.width;
            for (at, byte) in self.bytes.iter_mut().enumerate() {
                let (row, column) = (at / width, at % width);
                let place = module_of(right, column).zip(module_of(bottom, row));
                let inside = place.filter(|(x, y)| *x < side && *y < side);
                if inside.is_some_and(|(x, y)| colours[y * side + x] == qrcode::Color::Dark) {
                    *byte = 16;
                }
            }
        }

        fn full_of_finders(width: usize, height: usize, module: usize) -> Self {
            let mut picture = Self::new(width, height);
            for (at, byte) in picture.bytes.iter_mut().enumerate() {
                let place = |at: usize| (at / module) % (FINDER + 1);
                let (x, y) = (place(at % width), place(at / width));
                if x < FINDER && y < FINDER && ring_of(x, y) != 1 {
                    *byte = 16;
                }
            }
            picture
        }

        fn luma(&self) -> Luma<'_> {
            Luma {
                bytes: &self.bytes,
                stride: self.width,
                width: self.width,
                height: self.height,
            }
        }
    }
}
