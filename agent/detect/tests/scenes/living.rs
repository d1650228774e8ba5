//! Scenes before a screen that shines, and heads and prints that turn: made of still pictures.
//! Shared by the tests and the `witness` bench.
//!
//! Light is added in linear space: what a surface gives back of the room's light and of the
//! screen's. A head is turned as a ball with a nose whose skin is the picture; a print as a plane
//! before a pinhole.

use image::{DynamicImage, Pixel as _, Rgb, Rgb32FImage, RgbImage, imageops};
use qorgan_detect::Face;
use qorgan_protocol::local::Light;

/// Where a face is in a picture, in pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Oval {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) width: f32,
    pub(crate) height: f32,
}

impl Oval {
    pub(crate) fn of(picture: &RgbImage, face: &Face) -> Self {
        let (width, height) = (real(picture.width()), real(picture.height()));
        let middle = face.centre();
        Self {
            x: middle.x * width,
            y: middle.y * height,
            width: face.width * width,
            height: face.height * height,
        }
    }

    /// How much a place belongs to head or shoulders.
    fn belongs(&self, x: f32, y: f32) -> f32 {
        let (across, down) = ((x - self.x) / self.height, (y - self.y) / self.height);
        let within = |from: f32, wide: f32, high: f32| {
            let away = (across / wide).hypot((down - from) / high);
            ((1.0 - away) / 0.12).clamp(0.0, 1.0)
        };
        within(-0.08, 0.72, 0.92).max(within(2.1, 1.45, 1.5))
    }
}

/// What is before the camera.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Before {
    /// A face, or a print of one.
    Face,
    /// A display that shows a film of the face; its glass gives back this share of the light.
    Display(f32),
    /// A film that is fed instead of the camera.
    Film,
    /// The same, tinted by a program that follows the screen.
    Tinted,
}

/// How it is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Taken {
    /// The screen's light on the face, as a share of the room's.
    pub(crate) share: f32,
    /// How much of that reaches the wall behind.
    pub(crate) behind: f32,
    /// The sensor's noise in steps.
    pub(crate) noise: f32,
    /// By how much red grows against blue over six seconds.
    pub(crate) drift: f32,
    /// How much of a tint the camera's white balance takes out, a seventh of it with each look.
    pub(crate) balance: f32,
    /// How far the head moves between two looks, in pixels.
    pub(crate) moves: f32,
}

impl Taken {
    /// Evening at a laptop, a common camera.
    pub(crate) const EVENING: Self = Self {
        share: 0.1,
        behind: 0.1,
        noise: 3.0,
        drift: 0.02,
        balance: 0.0,
        moves: 0.7,
    };
}

/// A person at a screen.
#[derive(Debug)]
pub(crate) struct Sitting {
    before: Before,
    taken: Taken,
    face: Oval,
    person: Rgb32FImage,
    room: Rgb32FImage,
    chance: u32,
    gains: [f32; 3],
    mean: Option<[f32; 3]>,
    at: (f32, f32),
    seconds: f32,
}

impl Sitting {
    /// Seats the person of one picture in the room of another of the same size.
    pub(crate) fn new(
        (person, face): (&RgbImage, Oval),
        room: &RgbImage,
        (before, taken): (Before, Taken),
        seed: u32,
    ) -> Self {
        Self {
            before,
            taken,
            face,
            person: linear(person),
            room: linear(room),
            chance: seed | 1,
            gains: [1.0; 3],
            mean: None,
            at: (0.0, 0.0),
            seconds: 0.0,
        }
    }

    /// Takes a picture, a quarter of a second after the one before.
    pub(crate) fn shoot(&mut self, light: Light) -> RgbImage {
        self.seconds += 0.25;
        let moves = self.taken.moves;
        self.at.0 = (self.at.0 + moves * self.level()).clamp(-8.0, 8.0);
        self.at.1 = (self.at.1 + moves * self.level()).clamp(-8.0, 8.0);
        let exposure = 1.0 + 0.02 * self.level();
        let lit = self.lit(light);
        let drift = 1.0 + self.taken.drift * self.seconds / 6.0;
        self.adapt(&lit);
        let [red, green, blue] = self.gains;
        let gains = [red * drift, green, blue / drift].map(|gain| gain * exposure);
        let mut picture = lit;
        for pixel in picture.pixels_mut() {
            for (value, gain) in pixel.0.iter_mut().zip(gains) {
                let level = (*value * gain).max(0.0).powf(1.0 / GAMMA);
                *value = (level + self.taken.noise / 255.0 * self.level()).clamp(0.0, 1.0);
            }
        }
        DynamicImage::ImageRgb32F(picture).to_rgb8()
    }

    /// What reaches the lens.
    fn lit(&self, light: Light) -> Rgb32FImage {
        let shine = shine(light).map(|part| part * self.taken.share);
        let (width, height) = self.room.dimensions();
        Rgb32FImage::from_fn(width, height, |x, y| {
            let (left, top) = (real(x) - self.at.0, real(y) - self.at.1);
            let near = self.face.belongs(left, top);
            let person = imageops::interpolate_bilinear(
                &self.person,
                left.clamp(0.0, real(width - 1)),
                top.clamp(0.0, real(height - 1)),
            );
            let person = person.unwrap_or(Rgb([0.0; 3]));
            let room = self.room.get_pixel(x, y);
            let mut mixed = [0.0; 3];
            for (part, slot) in mixed.iter_mut().enumerate() {
                let (skin, wall) = (person.0[part], room.0[part]);
                let (skin, wall) = match self.before {
                    Before::Face => (
                        skin * (1.0 + shine[part]),
                        wall * (1.0 + shine[part] * self.taken.behind),
                    ),
                    Before::Display(glass) => (
                        skin + glass * shine[part],
                        wall * (1.0 + shine[part] * self.taken.behind),
                    ),
                    Before::Film => (skin, wall),
                    Before::Tinted => (skin * (1.0 + shine[part]), wall * (1.0 + shine[part])),
                };
                *slot = wall + (skin - wall) * near;
            }
            Rgb(mixed)
        })
    }

    /// Balances white by the mean of the whole picture.
    fn adapt(&mut self, lit: &Rgb32FImage) {
        let mut mean = [0.0_f32; 3];
        for pixel in lit.pixels() {
            for (sum, value) in mean.iter_mut().zip(pixel.channels()) {
                *sum += value;
            }
        }
        let first = *self.mean.get_or_insert(mean);
        for ((gain, mean), first) in self.gains.iter_mut().zip(mean).zip(first) {
            let wanted = (first / mean).powf(self.taken.balance);
            *gain += (wanted - *gain) / 7.0;
        }
    }

    /// About normal, with a deviation of one.
    fn level(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..4 {
            self.chance ^= self.chance << 13;
            self.chance ^= self.chance >> 17;
            self.chance ^= self.chance << 5;
            sum += f32::from(u16::try_from(self.chance >> 16).unwrap_or_default()) / 32_768.0 - 1.0;
        }
        sum * 0.866
    }
}

/// The light of the screen, its mean over both colours one.
fn shine(light: Light) -> [f32; 3] {
    let of = |light: Light| {
        light
            .rgb()
            .map(|part| (f32::from(part) / 255.0).powf(GAMMA))
    };
    let (warm, cool) = (of(Light::Warm), of(Light::Cool));
    let mean = warm.iter().chain(&cool).sum::<f32>() / 6.0;
    of(light).map(|part| part / mean)
}

fn linear(picture: &RgbImage) -> Rgb32FImage {
    let mut picture = DynamicImage::ImageRgb8(picture.clone()).to_rgb32f();
    for pixel in picture.pixels_mut() {
        pixel.apply(|value| value.powf(GAMMA));
    }
    picture
}

/// Turns the head of a picture to the picture's right, by degrees.
pub(crate) fn head_turned(picture: &RgbImage, face: Oval, degrees: f32) -> RgbImage {
    let sine = degrees.to_radians().sin();
    // A head is wider and higher than its face.
    let (wide, high) = (face.width * 0.68, face.height * 0.78);
    let middle = face.y - 0.08 * face.height;
    let nose = |x: f32, y: f32| {
        let (across, down) = (
            x / (0.13 * face.width),
            (y - 0.12 * face.height) / (0.16 * face.height),
        );
        0.22 * wide * (-(across * across + down * down) / 2.0).exp()
    };
    RgbImage::from_fn(picture.width(), picture.height(), |column, row| {
        let (x, y) = (real(column) - face.x, real(row) - middle);
        let slice = wide * (1.0 - (y / high).powi(2)).max(0.0).sqrt();
        let mut from = x;
        if x.abs() < slice {
            for _ in 0..6 {
                let skin = (x - nose(from, y) * sine).clamp(-slice, slice);
                let angle = (skin / slice).asin() - degrees.to_radians();
                // What the picture does not show of the head's side repeats its edge.
                let angle = angle.clamp(-1.5, 1.5);
                from = slice * angle.sin();
            }
        }
        sampled(picture, from + face.x, y + middle)
            .unwrap_or_else(|| *picture.get_pixel(column, row))
    })
}

/// Holds a print into a room, its middle at a place, its right edge turned away by degrees.
pub(crate) fn print_turned(
    room: &RgbImage,
    print: &RgbImage,
    (x, y): (f32, f32),
    degrees: f32,
) -> RgbImage {
    let (sine, cosine) = degrees.to_radians().sin_cos();
    let (width, height) = (real(print.width()), real(print.height()));
    let away = 2.0 * width;
    RgbImage::from_fn(room.width(), room.height(), |column, row| {
        let (across, down) = (real(column) - x, real(row) - y);
        let along = across * away / (away * cosine - across * sine);
        let high = down * (away + along * sine) / away;
        sampled(print, along + width / 2.0, high + height / 2.0)
            .unwrap_or_else(|| *room.get_pixel(column, row))
    })
}

/// Between pixels; `None` outside.
pub(crate) fn sampled(picture: &RgbImage, x: f32, y: f32) -> Option<Rgb<u8>> {
    imageops::interpolate_bilinear(picture, x, y)
}

/// A count of pixels below 2^16.
pub(crate) fn real(count: u32) -> f32 {
    f32::from(u16::try_from(count).unwrap_or(u16::MAX))
}

const GAMMA: f32 = 2.2;
