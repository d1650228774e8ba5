//! Rooms with people in them, as a camera gives them.

use anyhow::Result;
use image::RgbImage;
use qorgan_detect::Picture;

use crate::colours::planes;
use crate::numbers::{byte, real, whole};
use crate::people::{Cut, FACE_HEIGHT};
use crate::sounds::Chance;

pub(crate) const WIDTH: usize = 640;
pub(crate) const HEIGHT: usize = 480;

/// A picture as a camera gives it.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    width: u32,
    height: u32,
    planes: [Vec<u8>; 3],
}

impl Frame {
    pub(crate) fn of(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        Self {
            width,
            height,
            planes: planes(picture),
        }
    }

    pub(crate) fn picture(&self) -> Result<Picture<'_>> {
        let [y, u, v] = &self.planes;
        Ok(Picture::i420(self.width, self.height, [y, u, v])?)
    }

    /// Brightness and both colours behind one another, 640 by 480.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.planes.concat()
    }

    pub(crate) fn of_bytes(bytes: &[u8]) -> Option<Self> {
        let (y, rest) = bytes.split_at_checked(WIDTH * HEIGHT)?;
        let (u, v) = rest.split_at_checked(WIDTH * HEIGHT / 4)?;
        Some(Self {
            width: 640,
            height: 480,
            planes: [y.to_vec(), u.to_vec(), v.to_vec()],
        })
    }
}

/// Where a face is: its middle and height in pixels, and how far it leans in radians.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pose {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) face: f32,
    pub(crate) roll: f32,
    /// Drawn, for nobody in the pictures wears any.
    pub(crate) glasses: bool,
}

/// How the light falls.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Light {
    pub(crate) room: f32,
    pub(crate) person: f32,
    /// How much brighter the right side is.
    pub(crate) side: f32,
    /// The sensor's noise: its deviation in steps.
    pub(crate) noise: f32,
}

/// What is before the lens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lens {
    Open,
    Black,
    Finger,
    Paper,
    Cloth,
}

/// A room by number, with its camera's own noise.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Brightness, blue and red of each pixel.
    room: Vec<[f32; 3]>,
    noise: Vec<f32>,
    chance: Chance,
}

impl Stage {
    pub(crate) fn new(number: usize, seed: u64) -> Self {
        let mut chance = Chance(seed | 1);
        let noise = (0..NOISES)
            .map(|_| (0..4).map(|_| chance.level()).sum::<f32>() * 0.866)
            .collect();
        let room = (0..WIDTH * HEIGHT)
            .map(|pixel| wall(number, pixel % WIDTH, pixel / WIDTH))
            .collect();
        Self {
            room,
            noise,
            chance,
        }
    }

    /// Takes a picture; who is named first stands behind.
    pub(crate) fn shoot(&mut self, actors: &[(&Cut, Pose)], light: Light, lens: Lens) -> Frame {
        let mut canvas = match lens {
            Lens::Open => self
                .room
                .iter()
                .map(|[y, u, v]| [y * light.room, *u, *v])
                .collect(),
            Lens::Black | Lens::Finger | Lens::Paper | Lens::Cloth => (0..WIDTH * HEIGHT)
                .map(|pixel| cover(lens, pixel % WIDTH, pixel / WIDTH))
                .collect::<Vec<_>>(),
        };
        if lens == Lens::Open {
            for (cut, pose) in actors {
                seat(&mut canvas, cut, pose, light.person);
            }
        }
        let side = if lens == Lens::Open { light.side } else { 0.0 };
        self.develop(&canvas, side, light.noise)
    }

    fn develop(&mut self, canvas: &[[f32; 3]], side: f32, noise: f32) -> Frame {
        let mut planes = [
            Vec::with_capacity(WIDTH * HEIGHT),
            Vec::with_capacity(WIDTH * HEIGHT / 4),
            Vec::with_capacity(WIDTH * HEIGHT / 4),
        ];
        for (row, pixels) in canvas.chunks(WIDTH).enumerate() {
            let mut at = self.chance.place(NOISES);
            for (column, [y, u, v]) in pixels.iter().enumerate() {
                at = (at + 1) % NOISES;
                let lit = 1.0 + side * (real(column) / 320.0 - 1.0);
                let level = 16.0 + y * lit + self.noise[at] * noise;
                planes[0].push(byte(level.clamp(16.0, 235.0)));
                if row % 2 == 0 && column % 2 == 0 {
                    planes[1].push(byte(128.0 + u));
                    planes[2].push(byte(128.0 + v));
                }
            }
        }
        Frame {
            width: 640,
            height: 480,
            planes,
        }
    }
}

fn seat(canvas: &mut [[f32; 3]], cut: &Cut, pose: &Pose, gain: f32) {
    let scale = FACE_HEIGHT / pose.face;
    let (sine, cosine) = pose.roll.sin_cos();
    let reach = pose.face * 3.2;
    let rows = (pose.y - reach).max(0.0)..(pose.y + reach).min(real(HEIGHT));
    let columns = (pose.x - reach).max(0.0)..(pose.x + reach).min(real(WIDTH));
    for row in whole(rows.start, HEIGHT)..whole(rows.end, HEIGHT) {
        for column in whole(columns.start, WIDTH)..whole(columns.end, WIDTH) {
            let (dx, dy) = (real(column) - pose.x, real(row) - pose.y);
            let (across, down) = (cosine * dx + sine * dy, cosine * dy - sine * dx);
            let at = (across * scale + cut.centre.0, down * scale + cut.centre.1);
            let Some([y, u, v, own]) = sample(cut, at) else {
                continue;
            };
            let own = own / 255.0;
            let worn = pose.glasses && rim(cut, across / pose.face, down / pose.face);
            let lit = if worn {
                4.0
            } else {
                (y - 16.0).max(0.0) * gain
            };
            let slot = &mut canvas[row * WIDTH + column];
            for (old, new) in slot.iter_mut().zip([lit, u - 128.0, v - 128.0]) {
                *old += (new - *old) * own;
            }
        }
    }
}

/// A dark rim about each eye and a bridge between.
fn rim(cut: &Cut, across: f32, down: f32) -> bool {
    let [(one, high), (other, other_high)] = cut.eyes;
    let middle = f32::midpoint(high, other_high);
    let near = |x: f32, y: f32| {
        let away = ((across - x) / 0.19).hypot((down - y) / 0.15);
        (0.87..=1.0).contains(&away)
    };
    let bridge = (down - middle).abs() < 0.012 && (one + 0.19..other - 0.19).contains(&across);
    near(one, high) || near(other, other_high) || bridge
}

fn sample(cut: &Cut, (x, y): (f32, f32)) -> Option<[f32; 4]> {
    if x < 0.0 || y < 0.0 {
        return None;
    }
    let (left, top) = (whole(x, cut.width), whole(y, cut.height));
    if left + 1 >= cut.width || top + 1 >= cut.height {
        return None;
    }
    let [_, _, _, own] = cut.pixels[top * cut.width + left];
    if own == 0 {
        return None;
    }
    let (dx, dy) = (x - real(left), y - real(top));
    let at = |column: usize, row: usize| cut.pixels[row * cut.width + column].map(f32::from);
    let (a, b) = (at(left, top), at(left + 1, top));
    let (c, d) = (at(left, top + 1), at(left + 1, top + 1));
    let mut mixed = [0.0; 4];
    for (index, slot) in mixed.iter_mut().enumerate() {
        let above = a[index] + (b[index] - a[index]) * dx;
        let below = c[index] + (d[index] - c[index]) * dx;
        *slot = above + (below - above) * dy;
    }
    Some(mixed)
}

/// Rooms: a plain wall with a window, a bookcase, an evening with a lamp, a corner with a curtain.
fn wall(number: usize, x: usize, y: usize) -> [f32; 3] {
    let (across, down) = (real(x), real(y));
    let shade = 12.0 * (across / 90.0).sin() + 6.0 * (down / 37.0).cos();
    match number % 4 {
        0 => match (x, y) {
            (30..=170, 40..=220) if x % 70 > 4 => [190.0, 4.0, -4.0],
            (_, 400..) => [70.0 + shade / 2.0, -8.0, 10.0],
            (_, _) => [140.0 + shade, -4.0, 3.0],
        },
        1 => match (x / 14 * 7 + y / 90 * 11, y % 90) {
            (_, 0..=8) => [40.0, -10.0, 12.0],
            (book, _) => {
                let tint = real(book % 13);
                [50.0 + tint * 7.0, tint * 2.0 - 12.0, 12.0 - tint * 2.0]
            }
        },
        2 => {
            let lamp = (across - 540.0).hypot(down - 90.0);
            [30.0 + 130.0 * (-lamp / 140.0).exp(), -10.0, 8.0]
        }
        _ => {
            let folds = 25.0 * (across / 9.0).sin() * f32::from(u8::from(x > 380));
            [110.0 + folds - down / 12.0, 6.0, -2.0]
        }
    }
}

fn cover(lens: Lens, x: usize, y: usize) -> [f32; 3] {
    let (across, down) = (real(x), real(y));
    match lens {
        Lens::Open | Lens::Black => [0.0, 0.0, 0.0],
        // Light shines red through a finger, more on one side.
        Lens::Finger => [14.0 + across / 40.0 + down / 60.0, -12.0, 50.0],
        Lens::Paper => [120.0 + across / 80.0, -2.0, 1.0],
        Lens::Cloth => {
            let weave = 5.0 * (across / 5.0).sin() * (down / 5.0).sin();
            [34.0 + weave + across / 90.0, 3.0, -2.0]
        }
    }
}

const NOISES: usize = 1 << 16;
