//! Voices read from files, and minutes of exam composed of them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::sounds::{Chance, RATE, add, at_one, real, room, spoken, stretched};

/// One reader: what is read at enrolment, and what is said in the exam.
#[derive(Debug)]
pub(crate) struct Reader {
    pub(crate) name: String,
    pub(crate) reading: Vec<f32>,
    pub(crate) talk: Vec<f32>,
    pub(crate) whisper: Vec<f32>,
}

/// How the other voice comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scene {
    /// It speaks for 8 s while the candidate is silent.
    Alone,
    /// Four times it answers for 1.5 to 3 s between the candidate's own sentences.
    Turns,
    /// It speaks for 15 s while the candidate goes on reading aloud.
    Over,
}

impl Scene {
    pub(crate) const ALL: [Self; 3] = [Self::Over, Self::Turns, Self::Alone];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Alone => "in the candidate's silence",
            Self::Turns => "between own sentences",
            Self::Over => "while the candidate reads on",
        }
    }
}

/// Reads every reader of LibriSpeech, by name; none where there are no files.
pub(crate) fn readers(folder: &Path) -> Result<Vec<Reader>> {
    let mut files = Vec::new();
    let Ok(list) = std::fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    for entry in list {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let reader = name
            .strip_prefix("ls_")
            .and_then(|rest| rest.split('-').next());
        if let Some(reader) = reader {
            files.push((reader.to_owned(), path.clone()));
        }
    }
    files.sort();
    let mut readers: Vec<Reader> = Vec::new();
    let mut before = 0;
    for (name, path) in files {
        if readers.last().is_none_or(|reader| reader.name != name) {
            before = 0;
            readers.push(Reader {
                name,
                reading: Vec::new(),
                talk: Vec::new(),
                whisper: Vec::new(),
            });
        }
        let Some(reader) = readers.last_mut() else {
            continue;
        };
        let pause = vec![0.0; RATE * 3 / 10];
        if before < 2 {
            reader.reading.extend(at_one(decoded(&path, 48_000)?));
            reader.reading.extend(&pause);
        } else {
            reader.talk.extend(at_one(decoded(&path, 48_000)?));
            reader.talk.extend(&pause);
            let whisper = whispered(&decoded(&path, 16_000)?);
            reader.whisper.extend(at_one(stretched(&whisper, 16_000.0)));
        }
        before += 1;
    }
    Ok(readers)
}

/// A reader whom espeak-ng speaks, in one of the languages of the exam.
pub(crate) fn synthetic(language: &str, variant: &str, [reading, talk]: [&str; 2]) -> Reader {
    let voice = format!("{language}+{variant}");
    Reader {
        name: voice.clone(),
        reading: spoken(&voice, reading),
        talk: spoken(&voice, talk),
        whisper: Vec::new(),
    }
}

/// Sound from another room: dull, with echoes.
pub(crate) fn far(sound: &[f32]) -> Vec<f32> {
    let mut dull = 0.0;
    let mut heard: Vec<f32> = sound
        .iter()
        .map(|level| {
            dull += (level - dull) * 0.12;
            dull
        })
        .collect();
    for (later, loud) in [(1_900, 0.6), (4_300, 0.45), (7_100, 0.3), (11_000, 0.2)] {
        let first: Vec<f32> = heard.iter().map(|level| level * loud).collect();
        add(&mut heard, later, &first, 1.0);
    }
    at_one(heard)
}

fn decoded(path: &Path, rate: u32) -> Result<Vec<f32>> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-ac", "1", "-ar", &rate.to_string(), "-f", "f32le", "-"])
        .output()
        .context("ffmpeg decodes")?;
    let (words, _) = output.stdout.as_chunks::<4>();
    ensure!(!words.is_empty(), "{} is no sound", path.display());
    Ok(words.iter().map(|word| f32::from_le_bytes(*word)).collect())
}

/// A stretch of speech, from anywhere in what there is.
pub(crate) fn piece(talk: &[f32], seconds: f32, chance: &mut Chance) -> Vec<f32> {
    let from = chance.place(talk.len());
    let length = samples_in(seconds);
    talk.iter()
        .cycle()
        .skip(from)
        .take(length)
        .copied()
        .collect()
}

/// A minute of room noise 40 dB below speech.
pub(crate) fn minute(chance: &mut Chance, noise_db: f32) -> Vec<f32> {
    chance.level();
    let mut sound = room(60 * RATE, chance.0 | 1);
    let gain = from_db(noise_db);
    sound.iter_mut().for_each(|level| *level *= gain);
    sound
}

/// A minute with another voice in it, and when it begins, in seconds.
pub(crate) fn with_other(
    scene: Scene,
    own: &Reader,
    other: &Reader,
    db: f32,
    chance: &mut Chance,
) -> (Vec<f32>, f32) {
    let mut sound = minute(chance, -40.0);
    let gain = from_db(db);
    match scene {
        Scene::Alone => {
            let at = chance.between(10.0, 30.0);
            add(
                &mut sound,
                samples_in(at),
                &piece(&other.talk, 8.0, chance),
                gain,
            );
            (sound, at)
        }
        Scene::Turns => {
            let (mut at, mut began) = (2.0, None);
            for turn in 0..6 {
                let length = chance.between(3.0, 6.0);
                add(
                    &mut sound,
                    samples_in(at),
                    &piece(&own.talk, length, chance),
                    1.0,
                );
                at += length + 0.3;
                if turn >= 2 {
                    began.get_or_insert(at);
                    let length = chance.between(1.5, 3.0);
                    add(
                        &mut sound,
                        samples_in(at),
                        &piece(&other.talk, length, chance),
                        gain,
                    );
                    at += length + 0.3;
                }
            }
            (sound, began.unwrap_or_default())
        }
        Scene::Over => {
            add(&mut sound, 3 * RATE, &piece(&own.talk, 54.0, chance), 1.0);
            let at = chance.between(15.0, 30.0);
            add(
                &mut sound,
                samples_in(at),
                &piece(&other.talk, 15.0, chance),
                gain,
            );
            (sound, at)
        }
    }
}

pub(crate) fn from_db(db: f32) -> f32 {
    10.0_f32.powf(db / 20.0)
}

pub(crate) fn samples_in(seconds: f32) -> usize {
    let mut samples = 0;
    while real(samples + 480) <= seconds * 48_000.0 {
        samples += 480;
    }
    samples
}

/// Takes the voice out of speech at 16 kHz: the same filter of the mouth, excited by noise.
fn whispered(speech: &[f32]) -> Vec<f32> {
    const FRAME: usize = 512;
    let mut chance = Chance(77);
    let mut out = vec![0.0; speech.len()];
    let window: Vec<f32> = (0..FRAME)
        .map(|n| 0.5 - 0.5 * (core::f32::consts::TAU * real(n) / real(FRAME)).cos())
        .collect();
    for (number, frame) in speech.windows(FRAME).step_by(FRAME / 2).enumerate() {
        let windowed: Vec<f32> = frame.iter().zip(&window).map(|(x, w)| x * w).collect();
        let Some((filter, energy)) = predictor(&windowed) else {
            continue;
        };
        let mut made: Vec<f32> = Vec::with_capacity(FRAME);
        for _ in 0..FRAME {
            let noise = chance.level() * 1.732 * (energy / real(FRAME)).sqrt();
            let past = made.iter().rev().zip(&filter);
            let value = noise - past.map(|(level, factor)| level * factor).sum::<f32>();
            made.push(value);
        }
        let place = out.iter_mut().skip(number * FRAME / 2);
        for ((slot, level), weight) in place.zip(&made).zip(&window) {
            *slot += level * weight;
        }
    }
    out
}

/// Levinson and Durbin: 18 factors and the energy that they leave over.
fn predictor(frame: &[f32]) -> Option<(Vec<f32>, f32)> {
    const ORDER: usize = 18;
    let likeness: Vec<f32> = (0..=ORDER)
        .map(|lag| {
            frame
                .iter()
                .zip(frame.iter().skip(lag))
                .map(|(a, b)| a * b)
                .sum()
        })
        .collect();
    let mut energy = likeness.first()? * 1.000_1;
    if energy < 1e-4 {
        return None;
    }
    let mut filter: Vec<f32> = Vec::with_capacity(ORDER);
    for order in 1..=ORDER {
        let rest = filter.iter().zip(likeness.iter().take(order).skip(1).rev());
        let sum = likeness.get(order)? + rest.map(|(factor, r)| factor * r).sum::<f32>();
        let reflection = -sum / energy;
        let mirrored: Vec<f32> = filter.iter().rev().copied().collect();
        for (factor, mirror) in filter.iter_mut().zip(mirrored) {
            *factor += reflection * mirror;
        }
        filter.push(reflection);
        energy *= 1.0 - reflection * reflection;
    }
    Some((filter, energy))
}
