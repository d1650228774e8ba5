//! Showing that a living person sits there: the head turns as asked, and the face takes on the light
//! of the screen. What is asked for follows from the agent's chance and is not known before.

use serde::{Deserialize, Serialize};

/// Which way to turn the head, as the candidate sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Turn {
    /// To the candidate's own left: the picture's right.
    Left,
    /// To the candidate's own right: the picture's left.
    Right,
}

/// A colour that the screen shines in. Both are about as bright, so that going from one to the other
/// is no flash (WCAG 2.2, 2.3.1), and neither is a saturated red.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Light {
    /// Amber, [`Light::rgb`].
    Warm,
    /// Light blue.
    Cool,
}

impl Light {
    /// Returns the colour as sRGB.
    #[must_use]
    pub const fn rgb(self) -> [u8; 3] {
        match self {
            Self::Warm => [0xff, 0xb8, 0x4d],
            Self::Cool => [0x8c, 0xc8, 0xff],
        }
    }
}

/// What the client says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LivenessAsk {
    /// At check-in the candidate begins, or begins anew. Nothing follows from it once it was shown, or
    /// too often asked for.
    Begin,
    /// At check-in the candidate goes on without, which the recording says.
    Skip,
    /// From now on items are shown, or no more: only while they are is the candidate asked again.
    Sitting(bool),
    /// From now on the screen shines in this colour, as asked for; in none, as always.
    Shines(Option<Light>),
    /// The screen cannot shine as asked for: dark or high-contrast colours are chosen, or something
    /// lies over the exam.
    Dark,
}

/// What the agent asks for, and how it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum LivenessState {
    /// Nothing is asked for, and nothing was shown yet.
    #[default]
    NotAsked,
    /// The candidate looks straight at the screen.
    Straight {
        /// Turns done.
        done: u8,
        /// Turns that it takes.
        needed: u8,
        /// What is amiss.
        hint: Option<TurnHint>,
    },
    /// The candidate turns the head.
    Turning {
        /// Which way.
        turn: Turn,
        /// Turns done.
        done: u8,
        /// Turns that it takes.
        needed: u8,
        /// What is amiss.
        hint: Option<TurnHint>,
    },
    /// The screen shines in this colour, and the candidate looks at it.
    Shining(Light),
    /// At check-in what was asked for was not done: the candidate may begin anew.
    NotFollowed {
        /// How many more times it may be begun.
        left: u8,
    },
    /// It was shown that a living person sits there.
    Shown,
    /// At check-in the candidate went on without.
    Skipped,
    /// It cannot be shown on this machine, or to this candidate.
    Unavailable,
    /// This exam does not ask for it.
    NotNeeded,
}

/// What is amiss while a turn is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TurnHint {
    /// The face is not seen, or another is beside it.
    NoFace,
    /// The head turns, but too little.
    More,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// WCAG's relative luminance.
    fn luminance(light: Light) -> f64 {
        let linear = light.rgb().map(|part| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        });
        let [red, green, blue] = linear;
        0.212_6 * red + 0.715_2 * green + 0.072_2 * blue
    }

    #[test]
    fn going_from_one_light_to_the_other_is_no_flash_and_neither_is_a_saturated_red() {
        let (warm, cool) = (luminance(Light::Warm), luminance(Light::Cool));
        assert!((warm - cool).abs() < 0.1, "{warm} {cool}");
        for light in [Light::Warm, Light::Cool] {
            let [red, green, blue] = light.rgb().map(f64::from);
            assert!(red / (red + green + blue) < 0.8, "{light:?}");
        }
    }

    #[test]
    fn dark_text_stays_readable_in_either_light() {
        for light in [Light::Warm, Light::Cool] {
            let contrast = (luminance(light) + 0.05) / (0.012 + 0.05);
            assert!(contrast >= 4.5, "{light:?} {contrast}");
        }
    }
}
