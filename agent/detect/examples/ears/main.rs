//! Prints what the ears hear in the voices of `QORGAN_TESTDATA`: equal error rates, another voice
//! at -20 to 0 dB in composed minutes, false incidents an hour over honest ones, whisper, and what
//! each model costs. Thresholds were chosen on the first readers by name; the rest is reported.
//!
//! `cargo run --release -p qorgan-detect --example ears [PART [HALF]]` (needs ffmpeg and espeak-ng), where
//! `PART` is `identity`, `others`, `honest`, `whisper` or `cost`, and `HALF` is `chosen` or
//! `reported`; without them, all.

#![expect(
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "an example reads files and clocks, and prints"
)]

mod clips;
#[path = "../../tests/sounds/mod.rs"]
mod sounds;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result};
use clips::{Reader, Scene, from_db, minute, piece, samples_in, with_other};
use qorgan_detect::{
    AnotherVoice, Decimator, Detector, Input, Listener, SPEECH_FRAME_SAMPLES, Speaker, Talking,
    VoiceActivity, VoiceEmbedding, VoicePrint, Whisper,
};
use qorgan_protocol::time::Now;
use sounds::{Chance, RATE, add, breath, keys, music, real, samples, spoken};

fn main() -> Result<()> {
    let root = std::env::var_os("QORGAN_TESTDATA")
        .map_or_else(|| PathBuf::from("../shared/testdata"), PathBuf::from);
    let readers = clips::readers(&root.join("speech"))?;
    let (chosen_on, reported) = readers.split_at(readers.len() / 2);
    let names = |of: &[Reader]| {
        let names: Vec<_> = of.iter().map(|reader| reader.name.as_str()).collect();
        names.join(" ")
    };
    println!(
        "thresholds chosen on {}; reported: {}",
        names(chosen_on),
        names(reported)
    );
    println!("few readers, English, read aloud, one day each: figures are a start, not a proof\n");
    let part = std::env::args().nth(1);
    let asked = |word: &str| part.as_deref().is_none_or(|part| part == word);
    if asked("identity") {
        identities(&readers)?;
    }
    let half = std::env::args().nth(2);
    for (word, readers) in [("chosen", chosen_on), ("reported", reported)] {
        if half.as_deref().is_some_and(|half| half != word) {
            continue;
        }
        println!("\n== {word}: {}", names(readers));
        let known: Vec<_> = readers.iter().map(Known::of).collect::<Result<_>>()?;
        if asked("others") {
            others(&known)?;
        }
        if asked("honest") {
            honest(&known)?;
        }
        if asked("whisper") {
            whispers(&known)?;
        }
    }
    if let Some(reader) = readers.first().filter(|_| asked("cost")) {
        costs(&Known::of(reader)?)?;
    }
    Ok(())
}

/// A reader with the print of what was read at enrolment.
struct Known<'a> {
    reader: &'a Reader,
    print: Arc<VoicePrint>,
}

impl<'a> Known<'a> {
    fn of(reader: &'a Reader) -> Result<Self> {
        let print = enrolled(reader)?;
        Ok(Self { reader, print })
    }
}

/// Equal error rates of prints of at most 15 s against windows of other utterances.
fn identities(readers: &[Reader]) -> Result<()> {
    let speaker = Speaker::load()?;
    println!("window  own  other  own least  other most  EER");
    for (word, window) in [("1.5 s", 24_000), ("3 s", 48_000)] {
        let mut voices = Vec::new();
        for reader in readers {
            voices.push((
                embedded(&speaker, &reader.reading, 24_000)?,
                embedded(&speaker, &reader.talk, window)?,
            ));
        }
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for (at, (reading, _)) in voices.iter().enumerate() {
            let print = VoicePrint::enrol(reading, &[])?;
            for (from, (_, talk)) in voices.iter().enumerate() {
                let list = if at == from { &mut own } else { &mut other };
                list.extend(
                    talk.iter()
                        .map(|voice| print.likeness(qorgan_detect::Manner::Clear, voice)),
                );
            }
        }
        own.sort_by(f32::total_cmp);
        other.sort_by(f32::total_cmp);
        let (least, most) = (own.first().copied(), other.last().copied());
        println!(
            "{word:<7} {:>4} {:>5}  {:>9.2}  {:>10.2}  {:.2} %",
            own.len(),
            other.len(),
            least.unwrap_or_default(),
            most.unwrap_or_default(),
            equal_error(&own, &other) * 100.0
        );
    }
    println!("(fewer own windows than 1,000 cannot prove 1 %)");
    Ok(())
}

fn embedded(speaker: &Speaker, sound: &[f32], window: usize) -> Result<Vec<VoiceEmbedding>> {
    let (mut narrow, mut speech) = (Vec::new(), Vec::new());
    Decimator::default().push(&samples(sound), &mut narrow);
    let mut activity = VoiceActivity::load()?;
    let (frames, _) = narrow.as_chunks::<SPEECH_FRAME_SAMPLES>();
    for frame in frames {
        if activity.probability(frame)? >= 0.5 {
            speech.extend_from_slice(frame);
        }
    }
    let windows = speech.chunks_exact(window);
    windows.map(|window| Ok(speaker.embed(window)?)).collect()
}

fn equal_error(own: &[f32], other: &[f32]) -> f32 {
    let mut best = (f32::MAX, 1.0);
    for bound in own.iter().chain(other) {
        let missed = real(own.iter().filter(|one| *one < bound).count()) / real(own.len());
        let passed = real(other.iter().filter(|one| *one >= bound).count()) / real(other.len());
        if (missed - passed).abs() < best.0 {
            best = ((missed - passed).abs(), (missed + passed) / 2.0);
        }
    }
    best.1
}

/// What one minute brought: the second at which each detector's score counted, and its highest.
struct Minute {
    counted: Vec<(&'static str, f32)>,
    highest: Vec<(&'static str, f64)>,
}

impl Minute {
    fn hear(print: &Arc<VoicePrint>, sound: &[f32]) -> Result<Self> {
        let mut listener = Listener::load()?;
        listener.compare_with(Arc::clone(print));
        let mut detectors: [Box<dyn Detector>; 3] =
            [Box::new(AnotherVoice), Box::new(Talking), Box::new(Whisper)];
        let mut heard = Self {
            counted: Vec::new(),
            highest: Vec::new(),
        };
        let mut second = 0.0;
        for block in samples(sound).chunks(RATE / 50) {
            second += 0.02;
            let Some(voices) = listener.hear(block)? else {
                continue;
            };
            for detector in &mut detectors {
                let scored = detector.look(Now::default(), Input::Voices(voices))?;
                let scored = scored.context("a score once enrolled")?;
                if scored.score >= detector.threshold() {
                    heard.counted.push((detector.name(), second));
                }
                heard.highest.push((detector.name(), scored.score.value()));
            }
        }
        Ok(heard)
    }

    /// The first second at which it counted, from `from` on.
    fn first(&self, detector: &dyn Detector, from: f32) -> Option<f32> {
        let counted = self
            .counted
            .iter()
            .find(|(name, at)| *name == detector.name() && *at >= from);
        counted.map(|(_, at)| *at)
    }

    fn highest(&self, detector: &dyn Detector) -> f64 {
        let scores = self
            .highest
            .iter()
            .filter(|(name, _)| *name == detector.name());
        scores.map(|(_, score)| *score).fold(0.0, f64::max)
    }
}

fn enrolled(reader: &Reader) -> Result<Arc<VoicePrint>> {
    let mut listener = Listener::load()?;
    listener.begin_reading();
    let mut sound = minute(&mut Chance(99), -40.0);
    sound.truncate(reader.reading.len() + 2 * RATE);
    add(&mut sound, RATE, &reader.reading, 1.0);
    for block in samples(&sound).chunks(RATE / 50) {
        listener.hear(block)?;
    }
    listener.end_reading().with_context(|| reader.name.clone())
}

fn others(readers: &[Known<'_>]) -> Result<()> {
    println!(
        "\nanother voice                   dB  clips  found  false before  delay p50    p95  lowest score"
    );
    for scene in Scene::ALL {
        for db in [-10.0, 0.0, -20.0] {
            others_line(readers, scene, db)?;
        }
    }
    Ok(())
}

fn others_line(readers: &[Known<'_>], scene: Scene, db: f32) -> Result<()> {
    let takes = if readers.len() < 3 { 2 } else { 1 };
    let (mut delays, mut early, mut clips, mut lowest) = (Vec::new(), 0, 0, 1.0_f64);
    for (at, own) in readers.iter().enumerate() {
        let others = readers.iter().enumerate().filter(|(from, _)| *from != at);
        for (seed, (from, other)) in others.flat_map(|other| (0..takes).map(move |n| (n, other))) {
            let seed = (at + 2) * 1_009 + (from + 2) * 97 + seed;
            let mut chance = Chance(u64::try_from(seed)? * 0x9e37_79b9);
            let (sound, began) = with_other(scene, own.reader, other.reader, db, &mut chance);
            let heard = Minute::hear(&own.print, &sound)?;
            clips += 1;
            let first = heard.first(&AnotherVoice, 0.0);
            early += usize::from(first.is_some_and(|second| second < began));
            let after = heard.first(&AnotherVoice, began);
            delays.extend(after.map(|second| second - began));
            lowest = lowest.min(heard.highest(&AnotherVoice));
        }
    }
    delays.sort_by(f32::total_cmp);
    let delay = |percent: usize| delays.get(delays.len().saturating_sub(1) * percent / 100);
    println!(
        "{:<30} {db:>3.0}  {clips:>5}  {:>4.0} %  {early:>12}  {:>7.1} s  {:>4.1} s  {lowest:.2}",
        scene.word(),
        real(delays.len()) / real(clips) * 100.0,
        delay(50).copied().unwrap_or_default(),
        delay(95).copied().unwrap_or_default(),
    );
    Ok(())
}

/// What an honest minute is made of.
const HONEST: [&str; 9] = [
    "reads aloud, quiet room",
    "reads aloud, room -25 dB",
    "reads aloud, room -15 dB",
    "reads aloud over music -15 dB",
    "types, reads one question",
    "music only",
    "keys and breath only",
    "silence",
    "espeak television -10 dB (speech!)",
];

fn honest_minute(kind: usize, own: &Reader, chance: &mut Chance) -> Vec<f32> {
    let noise = [-40.0, -25.0, -15.0].get(kind).copied().unwrap_or(-40.0);
    let mut sound = minute(chance, noise);
    let length = sound.len();
    let seed = chance.0 | 1;
    match kind {
        0..=3 => {
            add(&mut sound, 2 * RATE, &piece(&own.talk, 56.0, chance), 1.0);
            if kind == 3 {
                add(&mut sound, 0, &music(length, seed), from_db(-15.0));
            }
        }
        4 => {
            add(&mut sound, 0, &keys(length, seed), from_db(-10.0));
            let at = samples_in(chance.between(5.0, 40.0));
            add(&mut sound, at, &piece(&own.talk, 8.0, chance), 1.0);
        }
        5 => add(&mut sound, 0, &music(length, seed), from_db(-5.0)),
        6 => {
            add(&mut sound, 0, &keys(length, seed), from_db(-5.0));
            add(&mut sound, 0, &breath(length, seed), from_db(-15.0));
        }
        8 => {
            let news = spoken("en+m3", NEWS).repeat(3);
            add(&mut sound, 3 * RATE, &news, from_db(-10.0));
        }
        _ => {}
    }
    sound
}

fn honest(readers: &[Known<'_>]) -> Result<()> {
    println!(
        "\nhonest minutes                       minutes  incidents/h: another  whisper  talking  highest another, whisper"
    );
    for (kind, word) in HONEST.iter().enumerate() {
        let takes = if kind < 5 { 12 / readers.len() } else { 1 };
        let (mut minutes, mut counts, mut highest) = (0, [0; 3], [0.0_f64; 2]);
        for (at, own) in readers.iter().enumerate() {
            for take in 0..takes {
                let seed = u64::try_from((at + 3) * 1_009 + take * 31 + kind)?;
                let mut chance = Chance(seed * 0x9e37_79b9);
                let heard =
                    Minute::hear(&own.print, &honest_minute(kind, own.reader, &mut chance))?;
                minutes += 1;
                let detectors: [&dyn Detector; 3] = [&AnotherVoice, &Whisper, &Talking];
                for (count, detector) in counts.iter_mut().zip(detectors) {
                    *count += usize::from(heard.first(detector, 0.0).is_some());
                }
                highest[0] = highest[0].max(heard.highest(&AnotherVoice));
                highest[1] = highest[1].max(heard.highest(&Whisper));
            }
        }
        let hourly = |count: usize| real(count) * 60.0 / real(minutes);
        println!(
            "{word:<36} {minutes:>7}  {:>20.1}  {:>7.1}  {:>7.1}  {:.2}, {:.2}",
            hourly(counts[0]),
            hourly(counts[1]),
            hourly(counts[2]),
            highest[0],
            highest[1]
        );
    }
    println!("(about 40 s of speech a reader, repeated in other noise: hours are not independent;");
    println!(
        " reading aloud without pause is steady talking, and television is speech: both may fire)"
    );
    Ok(())
}

/// Whisper made of speech by noise in place of the voice; no recorded whisper is at hand.
fn whispers(readers: &[Known<'_>]) -> Result<()> {
    println!("\nwhisper made of speech, 10 s         dB  clips  found  lowest score");
    for db in [-20.0, -15.0, -10.0] {
        let (mut found, mut clips, mut lowest) = (0, 0, 1.0_f64);
        for reader in readers {
            for take in 0..2_u64 {
                let mut chance = Chance(0x9e37_79b9 * (take + 7));
                let mut sound = minute(&mut chance, -40.0);
                let whisper = piece(&reader.reader.whisper, 10.0, &mut chance);
                add(&mut sound, 20 * RATE, &whisper, from_db(db));
                let heard = Minute::hear(&reader.print, &sound)?;
                clips += 1;
                found += usize::from(heard.first(&Whisper, 20.0).is_some());
                lowest = lowest.min(heard.highest(&Whisper));
            }
        }
        let share = real(found) / real(clips) * 100.0;
        println!(
            "{:<35} {db:>3.0}  {clips:>5}  {share:>4.0} %  {lowest:.2}",
            ""
        );
    }
    println!(
        "(synthetic whisper, synthetic keys and breath: weak evidence until recorded ones are measured)"
    );
    Ok(())
}

fn costs(known: &Known<'_>) -> Result<()> {
    let mut narrow = Vec::new();
    Decimator::default().push(&samples(&known.reader.talk), &mut narrow);
    let (frames, _) = narrow.as_chunks::<SPEECH_FRAME_SAMPLES>();
    let mut activity = VoiceActivity::load()?;
    let began = Instant::now();
    for frame in frames {
        activity.probability(frame)?;
    }
    let silero = began.elapsed().as_secs_f64() * 1_000.0 / f64::from(u32::try_from(frames.len())?);
    println!("\nSilero, 32 ms frame: {silero:.2} ms");
    let speaker = Speaker::load()?;
    for (word, window) in [("1.5 s", 24_000), ("3 s", 48_000)] {
        let mut least = f64::MAX;
        for window in narrow.chunks_exact(window).take(8) {
            let began = Instant::now();
            speaker.embed(window)?;
            least = least.min(began.elapsed().as_secs_f64() * 1_000.0);
        }
        println!("CAM++ with its features, {word}: {least:.1} ms at least");
    }
    let mut chance = Chance(5);
    for (word, kind) in [
        ("reads aloud without pause", 0),
        ("types, reads one question", 4),
        ("silence", 7),
    ] {
        let sound = honest_minute(kind, known.reader, &mut chance);
        let began = Instant::now();
        Minute::hear(&known.print, &sound)?;
        let share = began.elapsed().as_secs_f64() / 60.0 * 100.0;
        println!(
            "all ears over a minute, {word}: {share:.1} % of a core (loading and waiting included)"
        );
    }
    Ok(())
}

const NEWS: &str = "Good evening. The ministry announced today that the new railway between the \
    two cities will be opened in the spring. Farmers in the south report a good harvest, and the \
    weather stays dry until the end of the week. In football, the home team won by three to one.";
