//! Living faces: what light and turns tell of real faces, in made light and made turns.

use std::path::Path;

use anyhow::{Context as _, Result};
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};
use qorgan_detect::{
    FaceFinder, HeadReader, LIVENESS_THRESHOLD, LightAnswer, LitLook, Seen, TURN_DEGREES,
    light_score, turn_score, turned,
};
use qorgan_protocol::local::{Light, Turn};

use crate::bent::print_bent;
use crate::each;
use crate::figures::{Page, Rate};
use crate::living::{Before, Oval, Sitting, Taken, head_turned, print_turned, real};
use crate::people::{People, Photo, upright, whole};
use crate::report::part;
use crate::scene::Frame;

/// Both tables.
pub(crate) fn report(page: &mut Page, people: &People, root: &Path) -> Result<()> {
    page.heading("A living face");
    page.line(&format!(
        "Thresholds were chosen on {} and the others are reported: {}. The light is added to their \
         pictures and the turns are made of them: no real turned head, no real monitor and no real \
         display before a camera is in the data, so that these figures say what the measures tell \
         apart, not how many candidates are living.",
        people.names(true),
        people.names(false)
    ));
    page.line("");
    lights(page, people, root)?;
    page.line("");
    turns(page, people, root)
}

/// A calibration by one share of light, and what came later.
#[derive(Debug)]
struct LightTrial {
    chosen_on: bool,
    share: f32,
    usual: LightAnswer,
    /// By [`LATER`], where it was plain: followed, not followed, or nothing could be told.
    later: Vec<Option<bool>>,
}

fn lights(page: &mut Page, people: &People, root: &Path) -> Result<()> {
    let hard = [false, true].into_iter().cycle();
    let jobs: Vec<_> = people.photos.iter().zip(hard).collect();
    let trials = each(&jobs, |(photo, hard)| light_trials(photo, *hard, root))?;
    let trials: Vec<_> = trials.into_iter().flatten().collect();
    let mut rows = Vec::new();
    for share in SHARES {
        for chosen_on in [true, false] {
            let of: Vec<_> = trials
                .iter()
                .filter(|one| one.chosen_on == chosen_on && (one.share - share).abs() < 1e-6)
                .collect();
            let plain = of.iter().filter(|one| one.usual.is_plain());
            let plain: Vec<_> = plain.collect();
            let mut levels: Vec<f32> = of.iter().map(|one| one.usual.follows).collect();
            let mut row = vec![
                format!("{:.1} %", share * 100.0),
                part(chosen_on).to_owned(),
                Rate::count(of.iter().map(|one| one.usual.is_plain())).words(),
                spread(&mut levels),
            ];
            for (kind, (_, _, honest)) in LATER.iter().enumerate() {
                let told = plain.iter().filter_map(|one| one.later.get(kind));
                let rate = Rate::count(told.map(|told| (*told == Some(true)) != *honest));
                row.push(rate.words());
            }
            rows.push(row);
        }
    }
    let words = LATER.map(|(name, _, honest)| {
        let asked = if honest { "asked for a turn" } else { "passes" };
        format!("{name}: {asked}")
    });
    let head = [
        "light of the screen",
        "people",
        "plain",
        "levels: least, median, most",
    ];
    let head: Vec<&str> = head
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    page.table(&head, &rows);
    page.line("");
    page.line(
        "The light is the screen's share of the room's at the face; a tenth of it reaches the wall. \
         One picture in two is taken by a steady camera with a noise of 3 steps, the others by one that \
         balances white by 70 %, with a noise of 6 and a drift of 5 % in colour. Where the light was \
         not plain at check-in, turns take its place. The display is as dark as the picture that it \
         shows, so that its glass counts for most where skin is dark.",
    );
    Ok(())
}

fn light_trials(photo: &Photo, hard: bool, root: &Path) -> Result<Vec<LightTrial>> {
    let finder = FaceFinder::load()?;
    let scene = framed(photo, root, &finder, (320, 240))?;
    let face = oval(&scene, &finder)?.context("a framed face is found")?;
    let mut seed = 1;
    let mut answer = |before: Before, share: f32| {
        seed += 1;
        let taken = taken(share, hard);
        let mut sitting = Sitting::new((&scene, face), &scene, (before, taken), seed * 7_919);
        looks(&mut sitting, &finder, seed)
    };
    let mut trials = Vec::new();
    for share in SHARES {
        let usual = answer(Before::Face, share)?;
        let usual = LightAnswer::of(&usual).context("the face is found in every look")?;
        let mut later = Vec::new();
        let used = if usual.is_plain() { &LATER[..] } else { &[] };
        for (_, (before, part), _) in used {
            let scored = light_score(usual, &answer(*before, share * part)?);
            later.push(scored.map(|scored| scored.score < LIVENESS_THRESHOLD));
        }
        trials.push(LightTrial {
            chosen_on: photo.chosen_on,
            share,
            usual,
            later,
        });
    }
    Ok(trials)
}

fn taken(share: f32, hard: bool) -> Taken {
    let steady = Taken {
        share,
        drift: 0.0,
        ..Taken::EVENING
    };
    if hard {
        Taken {
            noise: 6.0,
            drift: 0.05,
            balance: 0.7,
            moves: 1.5,
            ..steady
        }
    } else {
        steady
    }
}

/// Three looks in each of five phases.
fn looks(sitting: &mut Sitting, finder: &FaceFinder, seed: u32) -> Result<Vec<LitLook>> {
    let mut found = Vec::new();
    let order = ORDERS.iter().cycle().nth(usize::try_from(seed)?);
    for light in order.into_iter().flatten() {
        for _ in 0..3 {
            let frame = Frame::of(&sitting.shoot(*light));
            let picture = frame.picture()?;
            let faces = finder.quick(picture)?;
            let seen = Seen {
                picture,
                faces: &faces,
            };
            let face = faces.main();
            found.extend(face.and_then(|face| LitLook::of(seen, face, *light)));
        }
    }
    Ok(found)
}

/// One kind of turn of one picture: degrees turned the asked way by those that were made.
#[derive(Debug)]
struct TurnTrial {
    chosen_on: bool,
    kind: usize,
    made: f32,
    read: Option<f32>,
}

fn turns(page: &mut Page, people: &People, root: &Path) -> Result<()> {
    let photos: Vec<_> = people.photos.iter().collect();
    let trials = each(&photos, |photo| turn_trials(photo, root))?;
    let trials: Vec<_> = trials.into_iter().flatten().collect();
    let mut rows = Vec::new();
    for (kind, name) in KINDS.iter().enumerate() {
        for made in MADE_DEGREES {
            for chosen_on in [true, false] {
                let of = trials.iter().filter(|one| {
                    one.kind == kind && one.chosen_on == chosen_on && (one.made - made).abs() < 0.1
                });
                let of: Vec<_> = of.collect();
                let mut read: Vec<f32> = of.iter().filter_map(|one| one.read).collect();
                let scores = read.iter().map(|yaw| {
                    let scored = turn_score(Turn::Left, 0.0, &[*yaw; 2]);
                    scored.score >= LIVENESS_THRESHOLD
                });
                rows.push(vec![
                    (*name).to_owned(),
                    format!("{made:.0}°"),
                    part(chosen_on).to_owned(),
                    Rate::count(of.iter().map(|one| one.read.is_some())).words(),
                    Rate::count(read.iter().map(|yaw| *yaw >= TURN_DEGREES)).words(),
                    Rate::count(scores).words(),
                    spread(&mut read),
                ]);
            }
        }
    }
    let done = format!("done: {TURN_DEGREES:.0}° and more");
    let head = [
        "what turns",
        "made",
        "people",
        "face read",
        &done,
        "not followed",
        "degrees read: least, median, most",
    ];
    page.table(&head, &rows);
    page.line("");
    page.line(
        "Each turn is made to both sides and measured from straight. A head is made as a ball with a \
         nose whose skin is the picture; a bent print is wound round as wide as a head. Turned \
         pictures that are changed for one another, and a film of a head that turns, are told by no \
         turn alone, only by its being asked for at random, and films by the light.",
    );
    Ok(())
}

fn turn_trials(photo: &Photo, root: &Path) -> Result<Vec<TurnTrial>> {
    let (finder, reader) = (FaceFinder::load()?, HeadReader::load()?);
    let scene = framed(photo, root, &finder, (640, 480))?;
    let face = oval(&scene, &finder)?.context("a framed face is found")?;
    let print = imageops::crop_imm(&scene, 120, 40, 400, 400).to_image();
    // As many colours as the picture, and nobody in it.
    let room = imageops::resize(&scene, 6, 4, FilterType::Triangle);
    let room = imageops::resize(&room, 640, 480, FilterType::Triangle);
    let made = |kind: usize, degrees: f32| match kind {
        0 => head_turned(&scene, face, degrees),
        1 => print_turned(&room, &print, (320.0, 240.0), degrees),
        2.. => print_bent(&room, &print, (320.0, 240.0), (0.75 * face.width, degrees)),
    };
    let yaw = |scene: &RgbImage| -> Result<Option<f32>> {
        let frame = Frame::of(scene);
        let faces = finder.quick(frame.picture()?)?;
        match faces.main() {
            Some(face) => Ok(reader.yaw(frame.picture()?, face)?),
            None => Ok(None),
        }
    };
    let mut trials = Vec::new();
    for kind in 0..KINDS.len() {
        let Some(straight) = yaw(&made(kind, 0.0))? else {
            continue;
        };
        for degrees in MADE_DEGREES {
            for (turn, way) in [(Turn::Left, degrees), (Turn::Right, -degrees)] {
                let read = yaw(&made(kind, way))?;
                trials.push(TurnTrial {
                    chosen_on: photo.chosen_on,
                    kind,
                    made: degrees,
                    read: read.map(|yaw| turned(turn, straight, yaw)),
                });
            }
        }
    }
    Ok(trials)
}

/// A picture with its face in the middle, a third as high; what it does not show repeats its edge.
fn framed(
    photo: &Photo,
    root: &Path,
    finder: &FaceFinder,
    (width, height): (u32, u32),
) -> Result<RgbImage> {
    let picture = upright(&root.join("faces").join(format!("{}.jpg", photo.file)))?;
    let face = oval(&picture, finder)?.context("who was found once is found again")?;
    let scale = real(height) / 2.8 / face.height;
    let size = [picture.width(), picture.height()].map(|side| whole(real(side) * scale).max(2));
    let [wide, high] = size;
    let small = imageops::resize(&picture, wide, high, FilterType::Triangle);
    let (left, top) = (
        face.x * scale - real(width) / 2.0,
        face.y * scale - real(height) / 2.0,
    );
    Ok(RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (
            (real(x) + left).clamp(0.0, real(wide - 1)),
            (real(y) + top).clamp(0.0, real(high - 1)),
        );
        imageops::interpolate_bilinear(&small, x, y).unwrap_or(Rgb([0; 3]))
    }))
}

fn oval(picture: &RgbImage, finder: &FaceFinder) -> Result<Option<Oval>> {
    let frame = Frame::of(picture);
    let faces = finder.find(frame.picture()?)?;
    Ok(faces.main().map(|face| Oval::of(picture, face)))
}

/// `0.1, 2.0, 4.5`: the least, the median, the most.
fn spread(values: &mut [f32]) -> String {
    values.sort_by(f32::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(least), Some(median), Some(most)) => format!("{least:.1}, {median:.1}, {most:.1}"),
        (_, _, _) => "-".to_owned(),
    }
}

const SHARES: [f32; 6] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];
/// What sits there later, under how much of the light of check-in, and whether it is a face.
const LATER: [(&str, (Before, f32), bool); 6] = [
    ("same light", (Before::Face, 1.0), true),
    ("room twice as bright", (Before::Face, 0.5), true),
    ("display", (Before::Display(0.0), 1.0), false),
    ("display, glass of 4 %", (Before::Display(0.04), 1.0), false),
    ("fed film", (Before::Film, 1.0), false),
    ("film tinted with the screen", (Before::Tinted, 1.0), false),
];
const KINDS: [&str; 3] = ["head", "flat print", "print bent round"];
const MADE_DEGREES: [f32; 4] = [15.0, 30.0, 45.0, 60.0];
const ORDERS: [[Light; 5]; 4] = {
    let (warm, cool) = (Light::Warm, Light::Cool);
    [
        [warm, cool, cool, warm, cool],
        [cool, warm, cool, warm, warm],
        [warm, cool, warm, cool, warm],
        [cool, warm, warm, cool, warm],
    ]
};
