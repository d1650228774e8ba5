//! Tells a pointer's image that could carry a text from one that points.

use core::time::Duration;
use std::collections::VecDeque;

use qorgan_protocol::time::Now;

/// A pointer's image, as the display server tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerFacts {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The name of the theme's image; empty for one that a program drew.
    pub name: String,
    /// The server's number of the image, which no other one has meanwhile.
    pub serial: u32,
}

/// Follows the pointer's image.
#[derive(Debug, Default)]
pub struct PointerWatch {
    large: Option<(u32, u32)>,
    drawn: VecDeque<(Now, u32)>,
    told_often: bool,
}

impl PointerWatch {
    /// Takes an image that was set; returns what to say, once for each way in which it stands out.
    pub fn look(&mut self, now: Now, pointer: &PointerFacts) -> Option<String> {
        let size = (pointer.width, pointer.height);
        let most = if pointer.name.is_empty() {
            DRAWN_PIXELS_MAX
        } else {
            THEME_PIXELS_MAX
        };
        if size.0.max(size.1) > most {
            if self.large == Some(size) {
                return None;
            }
            self.large = Some(size);
            return Some(format!("a pointer of {} by {} pixels", size.0, size.1));
        }
        self.large = None;
        self.often(now, pointer)
    }

    /// Images without a name that follow one another could spell a text, piece by piece.
    fn often(&mut self, now: Now, pointer: &PointerFacts) -> Option<String> {
        while self
            .drawn
            .front()
            .is_some_and(|(drawn, _)| now.since(*drawn) > OFTEN_WITHIN)
        {
            self.drawn.pop_front();
            self.told_often = false;
        }
        let known = self
            .drawn
            .iter()
            .any(|(_, serial)| *serial == pointer.serial);
        if known || !pointer.name.is_empty() {
            return None;
        }
        if self.drawn.len() >= OFTEN_MIN {
            self.drawn.pop_front();
        }
        self.drawn.push_back((now, pointer.serial));
        let often = self.drawn.len() >= OFTEN_MIN && !self.told_often;
        self.told_often |= often;
        often.then(|| {
            let seconds = OFTEN_WITHIN.as_secs();
            format!("{OFTEN_MIN} pointers that no theme names within {seconds} s")
        })
    }
}

/// Desktops offer enlarged pointers of up to 96 pixels, twice that on dense displays.
const THEME_PIXELS_MAX: u32 = 192;
/// A drawn image has no reason to be larger than a plain pointer on a dense display.
const DRAWN_PIXELS_MAX: u32 = 64;
const OFTEN_MIN: usize = 20;
const OFTEN_WITHIN: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pointers_of_a_theme_are_nothing_to_tell_whatever_their_number() {
        let mut watch = PointerWatch::default();
        for second in 0..100 {
            assert_eq!(watch.look(at(second), &pointer(96, "watch")), None);
        }
    }

    #[test]
    fn a_pointer_that_could_hold_a_text_is_told_once() {
        let mut watch = PointerWatch::default();
        assert_eq!(watch.look(at(0), &pointer(24, "left_ptr")), None);
        let told = watch.look(at(1), &pointer(200, ""));
        assert_eq!(told.as_deref(), Some("a pointer of 200 by 200 pixels"));
        assert_eq!(watch.look(at(2), &pointer(200, "")), None);
        assert_eq!(watch.look(at(3), &pointer(24, "")), None);
        assert!(
            watch.look(at(4), &pointer(200, "")).is_some(),
            "it came again"
        );
        assert!(
            watch.look(at(5), &pointer(400, "left_ptr")).is_some(),
            "a name is only said"
        );
    }

    #[test]
    fn small_images_that_follow_one_another_are_told_once_and_a_few_by_turns_are_not() {
        let drawn = |serial| PointerFacts {
            serial,
            ..pointer(32, "")
        };
        let mut watch = PointerWatch::default();
        for n in 0..100 {
            assert_eq!(watch.look(at(0), &drawn(n % 5)), None);
        }
        let told: Vec<_> = (0..40)
            .filter_map(|n| watch.look(at(1), &drawn(n)))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(watch.look(at(600), &drawn(1)), None);
    }

    fn pointer(side: u32, name: &str) -> PointerFacts {
        PointerFacts {
            width: side,
            height: side,
            name: name.to_owned(),
            serial: 1,
        }
    }

    fn at(seconds: u64) -> Now {
        Now::from_origin(Duration::from_secs(seconds))
    }
}
