//! How much a face takes on the light of the screen.
//!
//! The screen shines warm and cool by turns, about as bright, so that only colour tells. What is
//! measured is the tint of the face's inner part, red by green: light multiplies what a surface gives
//! back, so that the change is the same on any skin and at any exposure; blue is left out, of which
//! skin gives back little. The tint of what is seen beside and above the head is taken off. A camera
//! that balances white against the screen's light moves both alike, and so does who tints a whole
//! film by a program; a near face takes on more of the screen's light than the wall behind it. A
//! straight drift over all looks, such as a sunset, is taken out.
//!
//! A display held before the camera shines itself; its glass gives back a few percent, of which the
//! more is seen the darker the display is. A print follows the light as skin does: only a turn tells
//! it.
//!
//! The bytes that are kept: `QL`, version 1, what was usual (follows, doubt), the number of looks as
//! one byte, then for each look `0` for warm or `1` for cool, and brightness, blue and red of the
//! face and of what is around. All numbers are 32-bit reals, little-endian.

use qorgan_protocol::incident::Severity;
use qorgan_protocol::local::Light;

use crate::faces::{Face, Seen};
use crate::numbers::real;
use crate::picture::{Point, rgb};
use crate::rest::Rest;
use crate::{InputError, KeptInput, Scored};

/// The name of what a [`light_score`] is.
pub const LIGHT_NOT_FOLLOWED: &str = "light-not-followed/1";

/// A mean colour in the camera's own Y'CbCr levels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shade {
    /// Brightness.
    pub luma: f32,
    /// Blue, 128 for none.
    pub cb: f32,
    /// Red, 128 for none.
    pub cr: f32,
}

impl Shade {
    const fn of([luma, cb, cr]: [f32; 3]) -> Self {
        Self { luma, cb, cr }
    }

    const fn parts(self) -> [f32; 3] {
        [self.luma, self.cb, self.cr]
    }

    fn brightness(self) -> f32 {
        (self.luma - BLACK).max(DARK)
    }

    /// How red it is against green, as the logarithm of both, in which a light's tint is added.
    fn tint(self) -> f32 {
        let [red, green, _blue] = rgb(self.luma, self.cb, self.cr);
        (red.max(DARK) / green.max(DARK)).ln()
    }
}

/// One look at a face while the screen shines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LitLook {
    /// How the screen shines.
    pub light: Light,
    /// The inner part of the face.
    pub face: Shade,
    /// What is seen beside and above heads.
    pub around: Shade,
}

impl LitLook {
    /// Measures one picture, of a phase that has lasted for 0.4 s at least; `None` where the face is
    /// too small, or so large that hardly anything is seen around it.
    #[must_use]
    pub fn of(seen: Seen<'_>, face: &Face, light: Light) -> Option<Self> {
        let inner = seen.picture.mean_where(FACE_LEAST, |at| {
            let (x, y) = from_middle(face, at);
            (x / INNER_WIDTH).hypot(y / INNER_HEIGHT) <= 1.0
        })?;
        let heads = || seen.faces.all().iter().chain([face]);
        let around = seen.picture.mean_where(AROUND_LEAST, |at| {
            !heads().any(|head| is_near(from_middle(head, at)))
        })?;
        Some(Self {
            light,
            face: Shade::of(inner),
            around: Shade::of(around),
        })
    }

    fn is_finite(&self) -> bool {
        let parts = [self.face.parts(), self.around.parts()];
        parts.as_flattened().iter().all(|part| part.is_finite())
    }

    /// How much warmer the face is tinted than what is around it.
    fn tint(&self) -> f32 {
        self.face.tint() - self.around.tint()
    }
}

/// A place against a face's middle, in widths and heights of the face.
fn from_middle(face: &Face, at: Point) -> (f32, f32) {
    let middle = face.centre();
    (
        (at.x - middle.x) / face.width.max(f32::EPSILON),
        (at.y - middle.y) / face.height.max(f32::EPSILON),
    )
}

/// Whether a place is head, hair, or shoulders, which are about as near to the screen.
fn is_near((across, down): (f32, f32)) -> bool {
    if down > 0.3 {
        across.abs() < SHOULDERS
    } else {
        across.abs() < HEAD && down > -HEAD
    }
}

/// How much a face follows the light.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LightAnswer {
    /// By how much redder the face is in the warm light than in the cool one, against what is around
    /// it: levels between red and green at the face's own brightness.
    pub follows: f32,
    /// How far chance alone would bring it: two standard errors, as if the looks of one phase were
    /// a single one.
    pub doubt: f32,
}

impl LightAnswer {
    /// Returns how the looks, in order, followed the light; `None` for fewer than
    /// four of either light, for fewer than three phases, or where a drift could not be told from
    /// the light.
    #[must_use]
    pub fn of(looks: &[LitLook]) -> Option<Self> {
        let looks: Vec<_> = looks.iter().filter(|look| look.is_finite()).collect();
        let warm = looks.iter().filter(|look| look.light == Light::Warm);
        let warm = warm.count();
        let changes = looks.windows(2).filter(|pair| match pair {
            [one, next] => one.light != next.light,
            [] | [_] | [_, _, ..] => false,
        });
        let phases = 1 + changes.count();
        if warm.min(looks.len() - warm) < LOOKS_OF_EITHER_MIN || phases < PHASES_MIN {
            return None;
        }
        let count = real(looks.len());
        let bright = looks.iter().map(|look| look.face.brightness()).sum::<f32>() / count;
        let tints = looks.iter().map(|look| look.tint() * bright);
        let tints = without_drift(tints.collect());
        let lights = looks.iter().map(|look| match look.light {
            Light::Warm => 0.5,
            Light::Cool => -0.5,
        });
        let lights = without_drift(lights.collect());
        let weight = product(&lights, &lights);
        if weight < count * WEIGHT_MIN {
            return None;
        }
        let follows = product(&lights, &tints) / weight;
        let pairs = tints.iter().zip(&lights);
        let left = pairs.map(|(tint, light)| (tint - follows * light).powi(2));
        let variance = left.sum::<f32>() / (count - 3.0);
        let doubt = 2.0 * (variance * (count / real(phases)) / weight).sqrt();
        Some(Self { follows, doubt })
    }

    /// Tells whether it follows so clearly that later answers can be held against it.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        self.follows >= PLAIN_LEVELS && self.doubt * PLAIN_DOUBTS <= self.follows
    }
}

/// Takes a straight line out of values that come one after another.
fn without_drift(mut values: Vec<f32>) -> Vec<f32> {
    let count = real(values.len());
    let mean = values.iter().sum::<f32>() / count;
    let times = || (0..values.len()).map(|place| real(place) - (count - 1.0) / 2.0);
    let moments = times().zip(&values).map(|(time, value)| time * value);
    let squares = times().map(|time| time * time).sum::<f32>();
    let slope = moments.sum::<f32>() / squares.max(f32::EPSILON);
    let drift: Vec<f32> = times().map(|time| slope.mul_add(time, mean)).collect();
    for (value, drift) in values.iter_mut().zip(drift) {
        *value -= drift;
    }
    values
}

fn product(one: &[f32], other: &[f32]) -> f32 {
    one.iter().zip(other).map(|(one, other)| one * other).sum()
}

/// Scores looks under the light against what was usual at check-in: 1 where the face does not follow
/// at all, 0.5 where it follows by half of what was usual.
///
/// `None` where nothing can be told: too few looks, a usual answer that was not plain, or too much
/// doubt. The caller then asks for a turn. Of more than 255 looks the latest count.
#[must_use]
pub fn light_score(usual: LightAnswer, looks: &[LitLook]) -> Option<Scored> {
    let first = looks.len().saturating_sub(LOOKS_MAX);
    let kept = KeptLight {
        usual,
        looks: looks.get(first..).unwrap_or_default().to_vec(),
    };
    let (score, answer) = kept.score()?;
    Some(Scored {
        score,
        detail: format!(
            "the face took on {:.1} of {:.1} levels of the light, give or take {:.1}",
            answer.follows, usual.follows, answer.doubt
        ),
        input: KeptInput::Light(kept),
    })
}

/// Looks with what they are held against.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct KeptLight {
    usual: LightAnswer,
    looks: Vec<LitLook>,
}

impl KeptLight {
    fn score(&self) -> Option<(Severity, LightAnswer)> {
        let answer = LightAnswer::of(&self.looks)?;
        let enough = self.usual.follows * ENOUGH_SHARE;
        let tells = self.usual.is_plain() && answer.doubt <= enough;
        let share = f64::from(answer.follows / enough);
        tells.then(|| (Severity::clamped(1.0 - share / 2.0), answer))
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(self.usual.follows.to_le_bytes());
        bytes.extend(self.usual.doubt.to_le_bytes());
        let looks = self.looks.iter().take(LOOKS_MAX);
        bytes.push(u8::try_from(looks.len()).unwrap_or_default());
        for look in looks {
            bytes.push(match look.light {
                Light::Warm => 0,
                Light::Cool => 1,
            });
            let parts = [look.face.parts(), look.around.parts()];
            bytes.extend(
                parts
                    .as_flattened()
                    .iter()
                    .flat_map(|part| part.to_le_bytes()),
            );
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, InputError> {
        let mut rest = Rest::after(MAGIC, bytes)?;
        let usual = LightAnswer {
            follows: rest.real()?,
            doubt: rest.real()?,
        };
        let count = rest.byte()?;
        let looks = (0..count)
            .map(|_| look(&mut rest))
            .collect::<Result<_, _>>()?;
        rest.ends()?;
        Ok(Self { usual, looks })
    }
}

fn look(rest: &mut Rest<'_>) -> Result<LitLook, InputError> {
    let light = match rest.byte()? {
        0 => Light::Warm,
        1 => Light::Cool,
        2.. => return Err(InputError::NotScored),
    };
    let mut shade = || Ok::<_, InputError>(Shade::of([rest.real()?, rest.real()?, rest.real()?]));
    Ok(LitLook {
        light,
        face: shade()?,
        around: shade()?,
    })
}

/// Scores kept looks again.
pub(crate) fn again(input: &[u8]) -> Result<Severity, InputError> {
    let (score, _answer) = KeptLight::from_bytes(input)?
        .score()
        .ok_or(InputError::NotScored)?;
    Ok(score)
}

/// Of video range. In full range black is 0, by which levels come out about a sixth off, at check-in
/// and later alike.
const BLACK: f32 = 16.0;
/// What is darker, in levels, has no colour that could be measured by its brightness.
const DARK: f32 = 16.0;
/// The inner part of a face, in its widths and heights: without hair, ears and background.
const INNER_WIDTH: f32 = 0.3;
const INNER_HEIGHT: f32 = 0.35;
/// Shares of the picture that must be seen.
const FACE_LEAST: f32 = 0.002;
const AROUND_LEAST: f32 = 0.03;
/// In widths and heights of the face from its middle.
const HEAD: f32 = 1.2;
const SHOULDERS: f32 = 2.0;
const LOOKS_OF_EITHER_MIN: usize = 4;
const PHASES_MIN: usize = 3;
/// Without a drift, lights that change by turns have a quarter of a look's weight each.
const WEIGHT_MIN: f32 = 0.08;
/// An answer is plain from so many levels on, and so many times its doubt.
const PLAIN_LEVELS: f32 = 0.5;
const PLAIN_DOUBTS: f32 = 2.0;
/// This share of what was usual scores 0.5. A room that grew twice as bright leaves half; a turn is
/// asked for then, which costs a living candidate little, while glass reaches less.
const ENOUGH_SHARE: f32 = 0.5;
const LOOKS_MAX: usize = 255;
const MAGIC: [u8; 3] = *b"QL\x01";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_face_that_follows_scores_low_and_one_that_does_not_high() {
        let usual = LightAnswer::of(&looks(&ORDER, 4.0)).expect("enough looks");
        assert!((usual.follows - 4.0).abs() < 0.1, "{usual:?}");
        assert!(usual.is_plain(), "{usual:?}");
        for (levels, low, high) in [
            (4.0, 0.0, 0.01),
            (3.0, 0.2, 0.3),
            (1.0, 0.7, 0.8),
            (0.0, 0.99, 1.0),
            (-4.0, 1.0, 1.0),
        ] {
            let scored = light_score(usual, &looks(&ORDER, levels)).expect("a score");
            assert!((low..=high).contains(&scored.score.value()), "{scored:?}");
            let kept = scored.input().expect("bytes");
            assert_eq!(again(&kept).expect("kept"), scored.score);
        }
    }

    #[test]
    fn what_was_found_is_said_in_levels() {
        let usual = LightAnswer {
            follows: 4.2,
            doubt: 0.2,
        };
        let scored = light_score(usual, &looks(&ORDER, 0.1)).expect("a score");
        assert_eq!(
            scored.detail,
            "the face took on 0.1 of 4.2 levels of the light, give or take 0.0"
        );
    }

    #[test]
    fn a_drift_and_an_exposure_that_changes_are_no_answer() {
        let mut looks = looks(&ORDER, 0.0);
        for (place, look) in looks.iter_mut().enumerate() {
            look.face.cr += 0.3 * real(place);
        }
        let answer = LightAnswer::of(&looks).expect("enough looks");
        assert!(answer.follows.abs() < 0.1, "{answer:?}");
        for look in looks.iter_mut().filter(|look| look.light == Light::Cool) {
            for part in [&mut look.face, &mut look.around] {
                *part = lit(*part, [1.2; 3]);
            }
        }
        let answer = LightAnswer::of(&looks).expect("enough looks");
        assert!(answer.follows.abs() < 0.1, "{answer:?}");
    }

    #[test]
    fn a_tint_of_the_whole_picture_is_no_answer() {
        let mut looks = looks(&ORDER, 0.0);
        for look in looks.iter_mut().filter(|look| look.light == Light::Warm) {
            for part in [&mut look.face, &mut look.around] {
                *part = lit(*part, [1.1, 1.0, 0.9]);
            }
        }
        let answer = LightAnswer::of(&looks).expect("enough looks");
        assert!(answer.follows.abs() < 0.1, "{answer:?}");
    }

    #[test]
    fn few_looks_few_phases_and_no_numbers_tell_nothing() {
        let (warm, cool) = (Light::Warm, Light::Cool);
        assert_eq!(LightAnswer::of(&[]), None);
        assert_eq!(LightAnswer::of(&looks(&[warm; 5], 4.0)), None);
        assert_eq!(
            LightAnswer::of(&looks(&[warm, warm, cool, cool], 4.0)),
            None
        );
        assert_eq!(LightAnswer::of(&looks(&[warm, cool, warm], 4.0)), None);
        let mut broken = looks(&ORDER, 4.0);
        for look in broken.iter_mut().skip(8) {
            look.face.cr = f32::NAN;
        }
        assert_eq!(LightAnswer::of(&broken), None);
    }

    #[test]
    fn doubt_is_no_score_in_either_direction() {
        let clear = LightAnswer {
            follows: 4.0,
            doubt: 0.2,
        };
        for usual in [
            LightAnswer {
                follows: 0.4,
                ..clear
            },
            LightAnswer {
                doubt: 3.0,
                ..clear
            },
            LightAnswer {
                follows: f32::NAN,
                ..clear
            },
        ] {
            assert_eq!(light_score(usual, &looks(&ORDER, 0.0)), None);
        }
        // A film of a room with changing colours.
        for levels in [0.0, 4.0] {
            let mut looks = looks(&ORDER, levels);
            for (place, look) in looks.iter_mut().enumerate() {
                look.face.cr += if place % 7 < 3 { 6.0 } else { -6.0 };
            }
            assert_eq!(light_score(clear, &looks), None);
        }
    }

    #[test]
    fn bytes_that_were_cut_lengthened_or_changed_are_refused_or_score_without_panic() {
        let usual = LightAnswer::of(&looks(&ORDER, 4.0)).expect("enough looks");
        let scored = light_score(usual, &looks(&ORDER, 1.0)).expect("a score");
        let bytes = scored.input().expect("bytes");
        for end in 0..bytes.len() {
            again(&bytes[..end]).expect_err("cut");
        }
        again(&[bytes.clone(), vec![0]].concat()).expect_err("something behind");
        for (place, value) in [(0, b'q'), (1, b'T'), (2, 2), (11, 14), (11, 16), (12, 2)] {
            let mut changed = bytes.clone();
            changed[place] = value;
            again(&changed).expect_err("another format");
        }
        for place in 3..bytes.len() {
            for value in [0, 0x7f, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[place] = value;
                if let Ok(score) = again(&changed) {
                    assert!((0.0..=1.0).contains(&score.value()));
                }
            }
        }
    }

    #[test]
    fn of_a_long_row_of_looks_the_latest_count_and_are_kept() {
        let usual = LightAnswer::of(&looks(&ORDER, 4.0)).expect("enough looks");
        let long = [vec![looks(&ORDER, 4.0); 3], vec![looks(&ORDER, 0.0); 17]];
        let scored = light_score(usual, &long.concat().concat()).expect("a score");
        assert!(scored.score.value() > 0.99, "{scored:?}");
        let kept = scored.input().expect("bytes");
        assert_eq!(again(&kept).expect("kept"), scored.score);
    }

    #[test]
    fn the_warm_light_is_redder_against_green_than_the_cool_one() {
        let redness = |light: Light| {
            let [red, green, _] = light.rgb().map(f32::from);
            (red / green).ln()
        };
        assert!(redness(Light::Warm) - redness(Light::Cool) > 0.5);
    }

    #[test]
    fn any_skin_follows_by_as_much_of_its_brightness() {
        let share = |face: Shade| {
            let mut looks = looks(&ORDER, 0.0);
            for look in &mut looks {
                look.face = match look.light {
                    Light::Warm => lit(face, [1.1, 1.0, 0.95]),
                    Light::Cool => face,
                };
            }
            let answer = LightAnswer::of(&looks).expect("enough looks");
            answer.follows / face.brightness()
        };
        let [dark, light] = [[60.0, 120.0, 140.0], [190.0, 112.0, 146.0]].map(Shade::of);
        assert!((share(dark) / share(light) - 1.0).abs() < 0.1);
    }

    const ORDER: [Light; 5] = [
        Light::Warm,
        Light::Cool,
        Light::Cool,
        Light::Warm,
        Light::Cool,
    ];

    /// Three looks a phase at a face that follows by so many levels.
    fn looks(order: &[Light], levels: f32) -> Vec<LitLook> {
        let phases = order.iter().flat_map(|light| [*light; 3]);
        let looks = phases.enumerate().map(|(place, light)| {
            let half = match light {
                Light::Warm => levels / 2.0,
                Light::Cool => -levels / 2.0,
            };
            let noise = if place % 2 == 0 { 0.02 } else { -0.02 };
            let face = Shade {
                luma: 136.0,
                cb: 112.0,
                cr: 150.0,
            };
            LitLook {
                light,
                face: lit(face, [((half + noise) / 120.0).exp(), 1.0, 1.0]),
                around: Shade {
                    luma: 100.0,
                    cb: 126.0,
                    cr: 131.0,
                },
            }
        });
        looks.collect()
    }

    /// A colour in a light that multiplies red, green and blue.
    fn lit(shade: Shade, gains: [f32; 3]) -> Shade {
        let [red, green, blue] = rgb(shade.luma, shade.cb, shade.cr);
        let [r, g, b] = [red * gains[0], green * gains[1], blue * gains[2]];
        Shade {
            luma: 16.0 + 0.257 * r + 0.504 * g + 0.098 * b,
            cb: 128.0 - 0.148 * r - 0.291 * g + 0.439 * b,
            cr: 128.0 + 0.439 * r - 0.368 * g - 0.071 * b,
        }
    }
}
