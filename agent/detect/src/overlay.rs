//! Something over the exam: a part of the display that does not show what the kiosk drew there.
//!
//! A tile counts once it differs for [`HOLDS`] without a break while the kiosk draws nothing new
//! there: a caret, a clock, a scroll or a new item changes what was drawn, and a pointer, which
//! captures leave out, is smaller than the [`TILES_MIN`] neighbours that make a region.
//!
//! # Invariants
//! * The score is a function of both grids as they are kept: tiles that do not count are kept as the
//!   kiosk drew them.

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::incident::{IncidentKind, Severity};
use qorgan_protocol::local::{TILES_ACROSS, TILES_DOWN};
use qorgan_protocol::time::Now;

use crate::pixels::{Channels, Pixels};
use crate::{DetectError, Detector, Input, InputError, KeptInput, Patience, Scored};

pub(crate) const NAME: &str = "drawn-screen/1";

/// Compares a display with what the kiosk drew on it.
#[derive(Debug, Default)]
pub struct OverExam {
    differs: Vec<Option<Since>>,
    looked: Option<Now>,
    /// Whether the display once showed mostly what was drawn: it is the kiosk's.
    kiosks: bool,
}

/// Since when a tile differs.
#[derive(Debug, Clone, Copy)]
struct Since {
    began: Now,
    /// What was drawn there then.
    drawn: u8,
    /// Whether it was as drawn in the look before: a kiosk that raises itself shows for a moment.
    spared: bool,
}

/// Tiles that differ, side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
    tiles: u16,
    left: u16,
    top: u16,
    right: u16,
    bottom: u16,
}

impl Detector for OverExam {
    fn name(&self) -> &'static str {
        NAME
    }

    fn kind(&self) -> IncidentKind {
        IncidentKind::ForeignWindow
    }

    fn threshold(&self) -> Severity {
        Severity::clamped(0.5)
    }

    fn patience(&self) -> Patience {
        Patience {
            begin_after: Duration::ZERO,
            end_after: Duration::from_secs(2),
        }
    }

    fn look(&mut self, now: Now, input: Input<'_>) -> Result<Option<Scored>, DetectError> {
        let Input::Screen { drawn, shown } = input else {
            return Ok(None);
        };
        let (true, Some(drawn), Some(shown)) =
            (drawn.same_shape(shown), drawn.tiles(), shown.tiles())
        else {
            return Ok(None);
        };
        let alike = drawn.iter().zip(shown).filter(|(a, b)| !differ(**a, **b));
        self.kiosks |= 2 * alike.count() > drawn.len();
        if !self.kiosks {
            return Ok(None);
        }
        let counted = self.counted(now, drawn, shown);
        let region = largest(drawn, &counted);
        let kept = Pixels::new(
            TILES_ACROSS,
            2 * TILES_DOWN,
            Channels::Grey,
            [drawn, &counted].concat(),
        )?;
        Ok(Some(Scored {
            score: score(region),
            detail: region.map_or_else(String::new, Region::words),
            input: KeptInput::Pixels(Arc::new(kept)),
        }))
    }
}

impl OverExam {
    /// Returns what is shown, with what was drawn in place of each tile that does not count yet.
    fn counted(&mut self, now: Now, drawn: &[u8], shown: &[u8]) -> Vec<u8> {
        if self
            .looked
            .is_none_or(|looked| now.since(looked) > APART_MAX)
        {
            self.differs.clear();
        }
        self.looked = Some(now);
        self.differs.resize(drawn.len(), None);
        let tiles = drawn.iter().zip(shown).zip(&mut self.differs);
        let counted = tiles.map(|((drawn, shown), since)| {
            let fresh = Since {
                began: now,
                drawn: *drawn,
                spared: false,
            };
            if !differ(*drawn, *shown) {
                *since = since.filter(|since| !since.spared).map(|since| Since {
                    spared: true,
                    ..since
                });
                return *drawn;
            }
            let known = since.filter(|since| !differ(since.drawn, *drawn));
            let held = known.map_or(fresh, |known| Since {
                spared: false,
                ..known
            });
            *since = Some(held);
            if now.since(held.began) >= HOLDS {
                *shown
            } else {
                *drawn
            }
        });
        counted.collect()
    }
}

impl Region {
    fn of(across: u16, down: u16) -> Self {
        Self {
            tiles: 0,
            left: across,
            top: down,
            right: across,
            bottom: down,
        }
    }

    fn take(&mut self, across: u16, down: u16) {
        self.tiles += 1;
        self.left = self.left.min(across);
        self.top = self.top.min(down);
        self.right = self.right.max(across);
        self.bottom = self.bottom.max(down);
    }

    fn words(self) -> String {
        let percent = |tile: u16, all: u16| u32::from(tile) * 100 / u32::from(all);
        format!(
            "not what the kiosk drew: from {} to {} % across, {} to {} % down the screen",
            percent(self.left, TILES_ACROSS),
            percent(self.right + 1, TILES_ACROSS),
            percent(self.top, TILES_DOWN),
            percent(self.bottom + 1, TILES_DOWN)
        )
    }
}

/// Scores a kept pair of grids again.
pub(crate) fn again(png: &[u8]) -> Result<Severity, InputError> {
    let kept = Pixels::from_png(png, 2 * TILES_DOWN)?;
    if (kept.width(), kept.height()) != (TILES_ACROSS, 2 * TILES_DOWN)
        || kept.channels() != Channels::Grey
    {
        return Err(InputError::NotScored);
    }
    let (drawn, shown) = kept.bytes().split_at(kept.bytes().len() / 2);
    Ok(score(largest(drawn, shown)))
}

/// Half at [`TILES_MIN`] tiles, and nearer to certain the larger the region is.
fn score(region: Option<Region>) -> Severity {
    let tiles = region.map_or(0, |region| region.tiles);
    Severity::clamped(1.0 - 0.5_f64.powf(f64::from(tiles) / f64::from(TILES_MIN)))
}

fn differ(one: u8, other: u8) -> bool {
    one.abs_diff(other) > TOLERANCE
}

/// Finds the largest region of tiles that differ and touch by a side.
fn largest(drawn: &[u8], shown: &[u8]) -> Option<Region> {
    let mut left: Vec<bool> = drawn
        .iter()
        .zip(shown)
        .map(|(a, b)| differ(*a, *b))
        .collect();
    let index = |across: u16, down: u16| {
        usize::from(down) * usize::from(TILES_ACROSS) + usize::from(across)
    };
    let mut found: Option<Region> = None;
    for down in 0..TILES_DOWN {
        for across in 0..TILES_ACROSS {
            let mut region = Region::of(across, down);
            let mut waiting = vec![(across, down)];
            while let Some((across, down)) = waiting.pop() {
                match left.get_mut(index(across, down)) {
                    Some(differs) if *differs => *differs = false,
                    Some(_) | None => continue,
                }
                region.take(across, down);
                waiting.extend(neighbours(across, down));
            }
            if region.tiles > found.map_or(0, |best| best.tiles) {
                found = Some(region);
            }
        }
    }
    found
}

fn neighbours(across: u16, down: u16) -> impl Iterator<Item = (u16, u16)> {
    let beside = [across.checked_sub(1), Some(across + 1)];
    let beside = beside
        .into_iter()
        .flatten()
        .map(move |across| (across, down));
    let above = [down.checked_sub(1), Some(down + 1)];
    let above = above.into_iter().flatten().map(move |down| (across, down));
    beside
        .chain(above)
        .filter(|(across, down)| *across < TILES_ACROSS && *down < TILES_DOWN)
}

/// Longer than the kiosk may take to tell what it drew, and than a display to show it.
const HOLDS: Duration = Duration::from_secs(4);
/// Looks that lie further apart begin anew.
const APART_MAX: Duration = Duration::from_secs(2);
/// Steps of brightness: a capture rounds, a scaled one blurs.
const TOLERANCE: u8 = 6;
/// Of a display of 1920 by 1080 six tiles are 2400 pixels, such as 60 by 40.
const TILES_MIN: u16 = 6;

#[cfg(test)]
mod tests {
    use qorgan_protocol::local::DrawnScreen;

    use super::*;

    const WIDTH: u32 = 1_366;
    const HEIGHT: u32 = 768;

    #[test]
    fn a_small_window_over_the_exam_is_said_with_its_region() {
        let mut seen = Watching::default();
        let note = |x: u32, y: u32| (200..440).contains(&x) && (150..300).contains(&y);
        let notes = |x, y| {
            if note(x, y) {
                120 - ink(x, y) / 8
            } else {
                page(x, y)
            }
        };
        assert!(seen.seconds(10, page, page).is_none());
        let scored = seen.seconds(10, page, notes).expect("it is over the exam");
        assert_eq!(
            scored.detail,
            "not what the kiosk drew: from 14 to 32 % across, 18 to 40 % down the screen"
        );
        let input = scored.input().expect("a PNG");
        assert_eq!(again(&input).expect("kept whole"), scored.score);
        assert!(seen.seconds(10, page, page).is_none(), "it is gone");
    }

    #[test]
    fn what_the_kiosk_draws_itself_is_no_window() {
        let mut seen = Watching::default();
        seen.seconds(3, page, page);
        // A freshness code that is told a second after it is shown.
        let code = |x: u32, y: u32| {
            let inside = x > 1_100 && y > 500;
            if inside {
                16 + 219 * u8::from((x / 8 + y / 8).is_multiple_of(2))
            } else {
                page(x, y)
            }
        };
        assert!(seen.seconds(2, page, code).is_none());
        assert!(seen.seconds(10, code, code).is_none());
        assert!(seen.seconds(2, code, page).is_none());
        // A scroll: each second another page was drawn than the one that is shown now.
        for second in 0..20 {
            let before = move |x, y| page(x, y + 37 * second);
            let now = move |x, y| page(x, y + 37 * (second + 1));
            assert!(seen.seconds(1, before, now).is_none(), "{second}");
        }
    }

    #[test]
    fn caret_pointer_clock_and_rounding_are_no_window() {
        let mut seen = Watching::default();
        seen.seconds(3, page, page);
        let pointer = |x: u32, y: u32| {
            let inside = (600..618).contains(&x) && (400..424).contains(&y);
            if inside { 16 } else { page(x, y) }
        };
        assert!(seen.seconds(30, page, pointer).is_none());
        let rounded = |x, y| page(x, y).saturating_add(2);
        assert!(seen.seconds(30, page, rounded).is_none());
        for second in 0..20 {
            let caret = move |x: u32, y: u32| {
                let on = second % 2 == 0 && (300..303).contains(&x) && (500..524).contains(&y);
                if on { 16 } else { page(x, y) }
            };
            assert!(seen.seconds(1, page, caret).is_none());
        }
    }

    #[test]
    fn another_display_than_the_kiosks_is_not_compared() {
        let mut seen = Watching::default();
        assert!(seen.seconds(30, page, |_, _| 30).is_none());
        let shown = DrawnScreen::of(800, 800, page);
        let drawn = DrawnScreen::of(WIDTH, HEIGHT, page);
        let looked = OverExam::default().look(
            Now::default(),
            Input::Screen {
                drawn: &drawn,
                shown: &shown,
            },
        );
        assert_eq!(looked.expect("nothing fails"), None);
    }

    #[derive(Default)]
    struct Watching {
        detector: OverExam,
        half_seconds: u64,
    }

    impl Watching {
        /// Compares for so many seconds; returns the last score that counts.
        fn seconds(
            &mut self,
            seconds: u64,
            drawn: impl Fn(u32, u32) -> u8,
            shown: impl Fn(u32, u32) -> u8,
        ) -> Option<Scored> {
            let drawn = DrawnScreen::of(WIDTH, HEIGHT, drawn);
            let shown = DrawnScreen::of(WIDTH, HEIGHT, shown);
            let mut last = None;
            for _ in 0..2 * seconds {
                self.half_seconds += 1;
                let now = Now::from_origin(Duration::from_millis(500 * self.half_seconds));
                let input = Input::Screen {
                    drawn: &drawn,
                    shown: &shown,
                };
                let looked = self.detector.look(now, input).expect("nothing fails");
                last = looked.filter(|scored| scored.score >= self.detector.threshold());
            }
            last
        }
    }

    /// Lines of text on a bright page.
    fn page(x: u32, y: u32) -> u8 {
        let line = y / 24;
        let written = y % 24 < 14 && x > 80 && x < 400 + line * 97 % 800;
        if written { 230 - ink(x, y) } else { 230 }
    }

    fn ink(x: u32, y: u32) -> u8 {
        if (x / 3 + y / 5).is_multiple_of(3) {
            190
        } else {
            0
        }
    }
}
