//! Prints what the eyes see on the face pictures of `QORGAN_TESTDATA`: faces found against faces
//! there, distances of same and different persons with their equal error rate, and what each model
//! costs in milliseconds of processor time.
//!
//! `cargo run --release -p qorgan-detect --example eyes`
//!
//! Persons are known from the files' names: `fr_NAME` and `vh_person-NAME` one each; two faces of
//! one picture are two persons.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use image::{DynamicImage, ImageDecoder as _, ImageReader, RgbImage};
use qorgan_detect::{
    AttentionReader, Detector as _, FaceFinder, FaceNumbers, Faces, Input, NobodyInView, Picture,
    Recogniser, SecondFace, Seen,
};
use qorgan_protocol::time::Now;

fn main() -> Result<()> {
    let root = std::env::var_os("QORGAN_TESTDATA")
        .map_or_else(|| PathBuf::from("../shared/testdata"), PathBuf::from);
    let list = root.join("MANIFEST.tsv");
    let list = std::fs::read_to_string(&list)
        .with_context(|| format!("{}: QORGAN_TESTDATA says where it is", list.display()))?;
    let (finder, recogniser) = (FaceFinder::load()?, Recogniser::load()?);
    let attention = AttentionReader::load()?;
    let mut known = Vec::new();
    println!(
        "{:<32} there  320  640  nobody  second   yaw pitch  roll  eyes",
        "picture"
    );
    for line in list.lines().filter(|line| line.starts_with("faces/")) {
        let mut cells = line.split('\t');
        let (Some(file), Some(shows)) = (cells.next(), cells.next_back()) else {
            continue;
        };
        let frame = Frame::read(&root.join(file))?;
        let picture = frame.picture()?;
        let faces = finder.find(picture)?;
        let counts = [finder.quick(picture)?, finder.slow(picture)?].map(|faces| sure(&faces));
        let seen = Input::Faces(Seen {
            picture,
            faces: &faces,
        });
        let nobody = NobodyInView.look(Now::default(), seen)?;
        let second = SecondFace.look(Now::default(), seen)?;
        let score = |scored: Option<qorgan_detect::Scored>| {
            scored.map_or(f64::NAN, |scored| scored.score.value())
        };
        let look = match faces.main() {
            Some(face) => attention.read(picture, face)?,
            None => None,
        };
        let look = look.map(|look| {
            let eyes = look
                .eyes
                .map_or_else(|| "-".to_owned(), |eyes| format!("{eyes:.0}"));
            let (yaw, pitch, roll) = (look.yaw, look.pitch, look.roll);
            format!("{yaw:>5.0} {pitch:>5.0} {roll:>5.0} {eyes:>5}")
        });
        println!(
            "{file:<32} {:>5} {:>4} {:>4} {:>7.2} {:>7.2} {}",
            there(shows),
            counts[0],
            counts[1],
            score(nobody),
            score(second),
            look.unwrap_or_default()
        );
        for face in faces.all().iter().filter(|face| face.confidence >= SURE) {
            if let Some(numbers) = recogniser.numbers(picture, face)? {
                known.push((file.to_owned(), numbers));
            }
        }
    }
    identities(&known);
    costs(
        &finder,
        &recogniser,
        &attention,
        &root.join("faces/fr_obama.jpg"),
    )
}

fn sure(faces: &Faces) -> usize {
    let sure = faces.all().iter().filter(|face| face.confidence >= SURE);
    sure.count()
}

/// How many faces the manifest says there are; where it says no number, one.
fn there(shows: &str) -> usize {
    let numbers = shows
        .split_whitespace()
        .filter_map(|word| word.parse::<usize>().ok());
    numbers.sum::<usize>().max(1)
}

/// Whose picture it is, by the file's name; `None` where several are in it.
fn person(file: &str) -> Option<String> {
    let name = file.trim_start_matches("faces/").trim_end_matches(".jpg");
    let several = ["and", "two_people", "group"];
    if several.iter().any(|word| name.contains(word)) {
        return None;
    }
    let known = ["obama", "biden"]
        .into_iter()
        .find(|known| name.contains(known));
    let own = name.trim_end_matches(|letter: char| letter.is_ascii_digit());
    Some(known.unwrap_or(own).to_owned())
}

fn identities(known: &[(String, FaceNumbers)]) {
    let (mut same, mut different) = (Vec::new(), Vec::new());
    for (index, (file, numbers)) in known.iter().enumerate() {
        for (other_file, other) in known.iter().skip(index + 1) {
            let distance = numbers.distance(other);
            if file == other_file {
                different.push(distance);
            } else if let (Some(one), Some(two)) = (person(file), person(other_file)) {
                if one == two {
                    same.push(distance);
                } else {
                    different.push(distance);
                }
            }
        }
    }
    same.sort_by(f32::total_cmp);
    different.sort_by(f32::total_cmp);
    let (rate, limit) = equal_error(&same, &different);
    println!(
        "\nidentity: {} same {:.3} to {:.3}, {} different from {:.3}; EER {:.1} % at {limit:.3}",
        same.len(),
        same.first().copied().unwrap_or_default(),
        same.last().copied().unwrap_or_default(),
        different.len(),
        different.first().copied().unwrap_or_default(),
        rate * 100.0
    );
}

fn equal_error(same: &[f32], different: &[f32]) -> (f64, f32) {
    let share = |count: usize, of: usize| {
        f64::from(u32::try_from(count).unwrap_or(u32::MAX))
            / f64::from(u32::try_from(of.max(1)).unwrap_or(u32::MAX))
    };
    let rates = same.iter().chain(different).map(|limit| {
        let missed = same.iter().filter(|one| *one > limit).count();
        let taken = different.iter().filter(|one| *one <= limit).count();
        let rate = share(missed, same.len()).max(share(taken, different.len()));
        (rate, *limit)
    });
    rates
        .min_by(|one, other| one.0.total_cmp(&other.0))
        .unwrap_or_default()
}

fn costs(
    finder: &FaceFinder,
    recogniser: &Recogniser,
    attention: &AttentionReader,
    file: &Path,
) -> Result<()> {
    let still = Frame::read(file)?;
    let webcam = still.webcam();
    let picture = webcam.picture()?;
    let face = finder.find(picture)?;
    let face = face.main().context("a face")?;
    println!("\nprocessor time on a picture of 640x480, mean of {RUNS} runs");
    cost("faces at 320", || finder.quick(picture).map(drop))?;
    cost("faces at 640", || finder.slow(picture).map(drop))?;
    cost("mesh and iris", || attention.read(picture, face).map(drop))?;
    cost("identity", || recogniser.numbers(picture, face).map(drop))
}

fn cost<E>(what: &str, run: impl Fn() -> Result<(), E>) -> Result<()>
where
    anyhow::Error: From<E>,
{
    run()?;
    let before = processor_ms()?;
    for _ in 0..RUNS {
        run()?;
    }
    let each = (processor_ms()? - before) / f64::from(RUNS);
    println!("{what:<16} {each:>6.1} ms");
    Ok(())
}

/// What this process's threads have run, from Linux's own books.
fn processor_ms() -> Result<f64> {
    let mut all = 0.0;
    for task in std::fs::read_dir("/proc/self/task")? {
        let book = std::fs::read_to_string(task?.path().join("schedstat"))?;
        let nanos = book.split_whitespace().next().context("a number")?;
        all += nanos.parse::<f64>()? / 1e6;
    }
    Ok(all)
}

struct Frame {
    width: u32,
    height: u32,
    planes: [Vec<u8>; 3],
}

impl Frame {
    fn read(file: &Path) -> Result<Self> {
        let mut decoder = ImageReader::open(file)?.into_decoder()?;
        let turned = decoder.orientation()?;
        let mut picture = DynamicImage::from_decoder(decoder)?;
        picture.apply_orientation(turned);
        Ok(Self::of(&picture.to_rgb8()))
    }

    /// BT.601 in video range.
    fn of(picture: &RgbImage) -> Self {
        let (width, height) = picture.dimensions();
        let plane = |factors: [f32; 4], step: usize| {
            let rows = (0..height).step_by(step);
            rows.flat_map(|y| {
                let columns = (0..width).step_by(step);
                columns.map(move |x| {
                    let [r, g, b] = picture.get_pixel(x, y).0.map(f32::from);
                    let [base, of_r, of_g, of_b] = factors;
                    byte(base + of_r * r + of_g * g + of_b * b)
                })
            })
            .collect()
        };
        Self {
            width,
            height,
            planes: [
                plane([16.0, 0.257, 0.504, 0.098], 1),
                plane([128.0, -0.148, -0.291, 0.439], 2),
                plane([128.0, 0.439, -0.368, -0.071], 2),
            ],
        }
    }

    /// The upper 640 by 480 of the picture.
    fn webcam(&self) -> Self {
        let cut = |plane: &[u8], width: u32, columns: usize, rows: usize| {
            let width = usize::try_from(width).unwrap_or_default();
            let rows = plane.chunks(width).take(rows);
            let skipped = (width - columns) / 2;
            rows.flat_map(|row| row.iter().skip(skipped).take(columns).copied())
                .collect()
        };
        let [y, u, v] = &self.planes;
        let half = self.width.div_ceil(2);
        Self {
            width: 640,
            height: 480,
            planes: [
                cut(y, self.width, 640, 480),
                cut(u, half, 320, 240),
                cut(v, half, 320, 240),
            ],
        }
    }

    fn picture(&self) -> Result<Picture<'_>> {
        let [y, u, v] = &self.planes;
        Ok(Picture::i420(self.width, self.height, [y, u, v])?)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "held to a byte's range first"
)]
fn byte(value: f32) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

const SURE: f32 = 0.5;
const RUNS: u32 = 20;
