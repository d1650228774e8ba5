//! Scenes for the eyes: the public-domain portrait that set-up fetches, in drawn rooms.

mod colours;
#[path = "../../src/numbers.rs"]
mod numbers;

use std::path::{Path, PathBuf};

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use qorgan_detect::Picture;

/// A room of 640 by 480: walls, a window, a shelf, and a sensor's noise.
pub(crate) fn room() -> RgbImage {
    let mut noise = 0x9E37_79B9_u32;
    RgbImage::from_fn(640, 480, |x, y| {
        noise ^= noise << 13;
        noise ^= noise >> 17;
        noise ^= noise << 5;
        let base = match (x, y) {
            (40..=180, 60..=200) => [190, 205, 225],
            (500..=620, 120..=140) => [90, 60, 40],
            (_, 420..) => [110, 90, 70],
            (_, _) => [170, 165, 150],
        };
        Rgb(base.map(|value: u8| {
            let shade = u8::try_from(x / 32).expect("small");
            value - shade + u8::try_from(noise % 5).expect("small")
        }))
    })
}

/// The portrait, 512 by 512, one face of about a fifth of the height.
///
/// # Panics
/// Where set-up has not fetched it.
#[expect(
    clippy::disallowed_methods,
    reason = "a test finds what set-up fetched; the crate itself reads nothing"
)]
pub(crate) fn portrait() -> RgbImage {
    let target = std::env::var("CARGO_TARGET_DIR").map_or_else(
        |_unset| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"),
        PathBuf::from,
    );
    let media = std::env::var("QORGAN_MEDIA")
        .map_or_else(|_unset| target.join("qorgan-media"), PathBuf::from);
    image::open(media.join("portrait.png"))
        .expect("the portrait in QORGAN_MEDIA, which set-up fetches")
        .to_rgb8()
}

/// Puts the head and shoulders of the portrait into a room: `left` and `top` of a square of `side`
/// pixels, in which the face is about 0.45 of the height.
pub(crate) fn seat(room: &mut RgbImage, left: i64, top: i64, side: u32) {
    let head = imageops::resize(&head(), side, side, FilterType::Triangle);
    imageops::replace(room, &head, left, top);
}

/// Head and shoulders of the portrait.
pub(crate) fn head() -> RgbImage {
    imageops::crop_imm(&portrait(), 110, 20, 240, 240).to_image()
}

/// A picture as a camera gives it.
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
            planes: colours::planes(picture),
        }
    }

    pub(crate) fn picture(&self) -> Picture<'_> {
        let [y, u, v] = &self.planes;
        Picture::i420(self.width, self.height, [y, u, v]).expect("whole planes")
    }
}
