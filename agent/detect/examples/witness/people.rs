//! Real faces of `QORGAN_TESTDATA`, cut out so that they can be seated in a room.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context as _, Result};
use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageDecoder as _, ImageReader, RgbImage};
use qorgan_detect::{Face, FaceFinder, Faces};

use crate::colours::yuv;
use crate::living::real;
use crate::numbers::{self, byte};
use crate::scene::Frame;

/// One picture of one person.
#[derive(Debug)]
pub(crate) struct Photo {
    pub(crate) file: String,
    pub(crate) person: String,
    /// Whether thresholds were chosen on this person.
    pub(crate) chosen_on: bool,
    pub(crate) tone: Tone,
    pub(crate) cut: Cut,
    pub(crate) frame: Frame,
}

/// How a skin looks in a picture, by its individual typology angle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tone {
    /// Above 41 degrees.
    Light,
    /// 10 to 41 degrees.
    Medium,
    /// Below 10 degrees.
    Dark,
}

impl Tone {
    pub(crate) const ALL: [Self; 3] = [Self::Light, Self::Medium, Self::Dark];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Light => "light skin",
            Self::Medium => "medium skin",
            Self::Dark => "dark skin",
        }
    }
}

/// Head and shoulders, with how much of each pixel belongs to them.
#[derive(Debug)]
pub(crate) struct Cut {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Brightness, both colours, and 0 to 255 of the person.
    pub(crate) pixels: Vec<[u8; 4]>,
    /// The middle of the face.
    pub(crate) centre: (f32, f32),
    /// Both eyes against the middle, in heights of the face.
    pub(crate) eyes: [(f32, f32); 2],
}

/// Everybody who is in the pictures.
#[derive(Debug)]
pub(crate) struct People {
    /// Pictures of one person each.
    pub(crate) photos: Vec<Photo>,
    /// Faces of groups, who may be anybody: they only step in as a second face.
    pub(crate) bystanders: Vec<Cut>,
    /// Faces in one picture are of different persons: the pictures of several.
    pub(crate) groups: Vec<Frame>,
}

impl People {
    /// Reads the pictures; `None` where there are none.
    pub(crate) fn read(root: &Path) -> Result<Option<Self>> {
        let folder = root.join("faces");
        let Ok(list) = std::fs::read_dir(&folder) else {
            return Ok(None);
        };
        let mut names = BTreeSet::new();
        for entry in list {
            names.insert(entry?.file_name().to_string_lossy().into_owned());
        }
        let finder = FaceFinder::load()?;
        let mut people = Self {
            photos: Vec::new(),
            bystanders: Vec::new(),
            groups: Vec::new(),
        };
        for name in names.iter().filter(|name| name.ends_with(".jpg")) {
            let picture = upright(&folder.join(name))?;
            let frame = Frame::of(&picture);
            let faces = finder.find(frame.picture()?)?;
            people.add(name.trim_end_matches(".jpg"), &picture, frame, &faces);
        }
        let persons: BTreeSet<_> = people.photos.iter().map(|p| p.person.clone()).collect();
        let chosen: Vec<_> = persons.iter().step_by(2).cloned().collect();
        for photo in &mut people.photos {
            photo.chosen_on = chosen.contains(&photo.person);
        }
        Ok((!people.photos.is_empty()).then_some(people))
    }

    fn add(&mut self, name: &str, picture: &RgbImage, frame: Frame, faces: &Faces) {
        let sure = faces.all().iter().filter(|face| face.confidence >= 0.5);
        match (person(name), faces.main()) {
            (Some(person), Some(face)) => self.photos.push(Photo {
                file: name.to_owned(),
                person,
                chosen_on: false,
                tone: tone(picture, face),
                cut: cut(picture, face),
                frame,
            }),
            (None, Some(_)) if name.contains("group") => {
                self.bystanders.extend(sure.map(|face| cut(picture, face)));
                self.groups.push(frame);
            }
            (None, _) | (_, None) => {}
        }
    }

    pub(crate) fn names(&self, chosen_on: bool) -> String {
        let of = self.photos.iter().filter(|one| one.chosen_on == chosen_on);
        let names: BTreeSet<_> = of.map(|one| one.person.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(", ")
    }
}

/// Whose picture it is, as the files' names say; `None` for several persons, parts of a face and
/// photos of photos.
fn person(name: &str) -> Option<String> {
    let not_one = ["and", "two_people", "group", "partial", "image_F"];
    if not_one.iter().any(|word| name.contains(word)) {
        return None;
    }
    let known = ["obama", "biden"]
        .into_iter()
        .find(|one| name.contains(one));
    let last = name.rsplit(['-', '_']).next().unwrap_or(name);
    let own = last.trim_end_matches(|letter: char| letter.is_ascii_digit());
    Some(known.unwrap_or(own).to_owned())
}

pub(crate) fn upright(file: &Path) -> Result<RgbImage> {
    let mut decoder = ImageReader::open(file)?.into_decoder()?;
    let turned = decoder.orientation()?;
    let mut picture =
        DynamicImage::from_decoder(decoder).with_context(|| file.display().to_string())?;
    picture.apply_orientation(turned);
    Ok(picture.to_rgb8())
}

fn cut(picture: &RgbImage, face: &Face) -> Cut {
    let (width, height) = (real(picture.width()), real(picture.height()));
    let tall = face.height * height;
    let (x, y) = (face.centre().x * width, face.centre().y * height);
    let (left, top) = ((x - 1.6 * tall).max(0.0), (y - 1.2 * tall).max(0.0));
    let (right, bottom) = (
        (x + 1.6 * tall).min(width - 1.0),
        (y + 2.6 * tall).min(height - 1.0),
    );
    let part = imageops::crop_imm(
        picture,
        whole(left),
        whole(top),
        whole(right - left).max(1),
        whole(bottom - top).max(1),
    )
    .to_image();
    let scale = FACE_HEIGHT / tall;
    let wide = whole(real(part.width()) * scale).max(2);
    let high = whole(real(part.height()) * scale).max(2);
    let part = imageops::resize(&part, wide, high, FilterType::Triangle);
    let centre = ((x - left) * scale, (y - top) * scale);
    let pixels = part
        .enumerate_pixels()
        .map(|(column, row, pixel)| {
            let across = (real(column) - centre.0) / FACE_HEIGHT;
            let down = (real(row) - centre.1) / FACE_HEIGHT;
            let [y, u, v] = yuv(pixel.0);
            [y, u, v, byte(255.0 * belongs(across, down))]
        })
        .collect();
    let eye = |point: qorgan_detect::Point| {
        (
            (point.x - face.centre().x) * width / tall,
            (point.y - face.centre().y) * height / tall,
        )
    };
    let [one, other, ..] = face.points;
    Cut {
        width: usize::try_from(wide).unwrap_or_default(),
        height: usize::try_from(high).unwrap_or_default(),
        pixels,
        centre,
        eyes: [eye(one), eye(other)],
    }
}

/// How much a place belongs to head or shoulders, measured in heights of the face from its middle.
fn belongs(across: f32, down: f32) -> f32 {
    let within = |x: f32, y: f32, wide: f32, high: f32| {
        let away = ((across - x) / wide).hypot((down - y) / high);
        ((1.0 - away) / 0.12).clamp(0.0, 1.0)
    };
    within(0.0, -0.08, 0.72, 0.92).max(within(0.0, 2.1, 1.45, 1.5))
}

/// The typology angle of the skin between eyes and mouth.
fn tone(picture: &RgbImage, face: &Face) -> Tone {
    let (width, height) = (real(picture.width()), real(picture.height()));
    let [eye, other_eye, _, mouth, other_mouth] = face.points;
    let mut angles = Vec::new();
    for (eye, mouth) in [(eye, mouth), (other_eye, other_mouth)] {
        for part in [0.45_f32, 0.55, 0.65] {
            let x = (eye.x + (mouth.x - eye.x) * part) * width;
            let y = (eye.y + (mouth.y - eye.y) * part) * height;
            let place = (
                whole(x).min(picture.width() - 1),
                whole(y).min(picture.height() - 1),
            );
            angles.push(angle(picture.get_pixel(place.0, place.1).0));
        }
    }
    angles.sort_by(f32::total_cmp);
    match angles.get(angles.len() / 2) {
        Some(angle) if *angle > 41.0 => Tone::Light,
        Some(angle) if *angle > 10.0 => Tone::Medium,
        Some(_) | None => Tone::Dark,
    }
}

/// Of sRGB, by CIE Lab under D65, in degrees.
fn angle(colour: [u8; 3]) -> f32 {
    let [r, g, b] = colour.map(|byte| {
        let value = f32::from(byte) / 255.0;
        if value <= 0.040_45 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    });
    let y = 0.2126 * r + 0.7152 * g + 0.0722 * b;
    let z = (0.0193 * r + 0.1192 * g + 0.9505 * b) / 1.0888;
    let bent = |part: f32| {
        if part > 0.008_856 {
            part.cbrt()
        } else {
            7.787 * part + 16.0 / 116.0
        }
    };
    let lightness = 116.0 * bent(y) - 16.0;
    let yellow = 200.0 * (bent(y) - bent(z));
    (lightness - 50.0).atan2(yellow).to_degrees()
}

/// The whole part of a place in a picture; what is negative is 0.
pub(crate) fn whole(place: f32) -> u32 {
    u32::try_from(numbers::whole(place, usize::from(u16::MAX))).unwrap_or_default()
}

/// A cut face is so high, in pixels.
pub(crate) const FACE_HEIGHT: f32 = 160.0;
