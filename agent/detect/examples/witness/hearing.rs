//! Minutes of exam before a microphone, and what the ears make of them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use qorgan_agent_core::looking::Looking;
use qorgan_detect::{Listener, VoicePrint};
use qorgan_protocol::incident::IncidentKind;

use crate::films::{Outcome, at};
use crate::sounds::{Chance, RATE, add, breath, keys, music, samples, spoken};
use crate::tapes::{Reader, Scene, far, from_db, minute, piece, samples_in, with_other};

/// A candidate whose voice is enrolled.
#[derive(Debug)]
pub(crate) struct Enrolled {
    pub(crate) reader: Reader,
    pub(crate) chosen_on: bool,
    print: Arc<VoicePrint>,
}

/// What is heard in a minute.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Tape<'a> {
    /// Another voice, so loud against the candidate's in dB.
    Other(Scene, f32, &'a Reader),
    Whisper(f32),
    Honest(Quiet),
}

/// An honest minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Quiet {
    Silence,
    Typing,
    KeysAndBreath,
    Music,
    OneQuestion,
    Television,
    Reads,
    ReadsInNoise25,
    ReadsInNoise15,
    ReadsOverMusic,
}

impl Quiet {
    pub(crate) const ALL: [Self; 10] = [
        Self::Silence,
        Self::Typing,
        Self::KeysAndBreath,
        Self::Music,
        Self::OneQuestion,
        Self::Television,
        Self::Reads,
        Self::ReadsInNoise25,
        Self::ReadsInNoise15,
        Self::ReadsOverMusic,
    ];

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Silence => "silence",
            Self::Typing => "typing",
            Self::KeysAndBreath => "loud keys and breath",
            Self::Music => "music",
            Self::OneQuestion => "typing, one question read aloud",
            Self::Television => "television far off, -25 dB",
            Self::Reads => "reads aloud all the time",
            Self::ReadsInNoise25 => "the same, room at -25 dB",
            Self::ReadsInNoise15 => "the same, room at -15 dB",
            Self::ReadsOverMusic => "the same, over music at -15 dB",
        }
    }

    /// Whether an exam is mostly such minutes.
    pub(crate) const fn is_common(self) -> bool {
        match self {
            Self::Silence
            | Self::Typing
            | Self::KeysAndBreath
            | Self::Music
            | Self::OneQuestion => true,
            Self::Television
            | Self::Reads
            | Self::ReadsInNoise25
            | Self::ReadsInNoise15
            | Self::ReadsOverMusic => false,
        }
    }

    const fn room_db(self) -> f32 {
        match self {
            Self::ReadsInNoise25 => -25.0,
            Self::ReadsInNoise15 => -15.0,
            Self::Silence
            | Self::Typing
            | Self::KeysAndBreath
            | Self::Music
            | Self::OneQuestion
            | Self::Television
            | Self::Reads
            | Self::ReadsOverMusic => -40.0,
        }
    }

    fn sound(self, own: &Reader, chance: &mut Chance) -> Vec<f32> {
        let mut sound = minute(chance, self.room_db());
        let (length, seed) = (sound.len(), chance.0 | 1);
        match self {
            Self::Silence => {}
            Self::Typing => add(&mut sound, 0, &keys(length, seed), from_db(-10.0)),
            Self::KeysAndBreath => {
                add(&mut sound, 0, &keys(length, seed), from_db(-5.0));
                add(&mut sound, 0, &breath(length, seed), from_db(-15.0));
            }
            Self::Music => add(&mut sound, 0, &music(length, seed), from_db(-5.0)),
            Self::OneQuestion => {
                add(&mut sound, 0, &keys(length, seed), from_db(-10.0));
                let from = samples_in(chance.between(5.0, 40.0));
                add(&mut sound, from, &piece(&own.talk, 8.0, chance), 1.0);
            }
            Self::Television => {
                let news = far(&spoken("en+m3", NEWS));
                let from = chance.place(news.len());
                let news: Vec<f32> = news
                    .iter()
                    .cycle()
                    .skip(from)
                    .take(length)
                    .copied()
                    .collect();
                add(&mut sound, 0, &news, from_db(-25.0));
            }
            Self::Reads | Self::ReadsInNoise25 | Self::ReadsInNoise15 | Self::ReadsOverMusic => {
                add(&mut sound, 2 * RATE, &piece(&own.talk, 56.0, chance), 1.0);
                if self == Self::ReadsOverMusic {
                    add(&mut sound, 0, &music(length, seed), from_db(-15.0));
                }
            }
        }
        sound
    }
}

/// One minute.
#[derive(Debug)]
pub(crate) struct Hearing<'a> {
    pub(crate) own: &'a Enrolled,
    pub(crate) tape: Tape<'a>,
    pub(crate) seed: u64,
}

impl Enrolled {
    /// Lets a candidate read aloud in a quiet room, as at check-in.
    pub(crate) fn by_reading(reader: Reader, chosen_on: bool) -> Result<Self> {
        let mut listener = Listener::load()?;
        listener.begin_reading();
        let mut sound = minute(&mut Chance(99), -40.0);
        sound.resize(reader.reading.len() + 2 * RATE, 0.0);
        add(&mut sound, RATE, &reader.reading, 1.0);
        for block in samples(&sound).chunks(BLOCK) {
            listener.hear(block)?;
        }
        let print = listener
            .end_reading()
            .with_context(|| reader.name.clone())?;
        Ok(Self {
            reader,
            chosen_on,
            print,
        })
    }

    pub(crate) fn print(&self) -> Arc<VoicePrint> {
        Arc::clone(&self.print)
    }
}

impl Hearing<'_> {
    const fn expected(&self) -> Option<IncidentKind> {
        match self.tape {
            Tape::Other(..) => Some(IncidentKind::AnotherVoice),
            Tape::Whisper(_) => Some(IncidentKind::Whisper),
            Tape::Honest(_) => None,
        }
    }

    pub(crate) fn sound(&self) -> (Vec<f32>, f32) {
        let mut chance = Chance(self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        match self.tape {
            Tape::Other(scene, db, other) => {
                with_other(scene, &self.own.reader, other, db, &mut chance)
            }
            Tape::Whisper(db) => {
                let mut sound = minute(&mut chance, -40.0);
                let whisper = piece(&self.own.reader.whisper, 10.0, &mut chance);
                add(&mut sound, 20 * RATE, &whisper, from_db(db));
                (sound, 20.0)
            }
            Tape::Honest(quiet) => (quiet.sound(&self.own.reader, &mut chance), 0.0),
        }
    }

    /// Plays the minute to the ears, until its event is flagged.
    pub(crate) fn play(&self) -> Result<Outcome> {
        let mut looking = Looking::new(qorgan_detect::microphone_detectors());
        let mut listener = Listener::load()?;
        listener.compare_with(self.own.print());
        let (sound, began) = self.sound();
        let mut outcome = Outcome {
            delay: None,
            flagged: Vec::new(),
        };
        let mut t = 0.0;
        for block in samples(&sound).chunks(BLOCK) {
            t += 0.02;
            let mut looked = looking.sound(at(t), block);
            if let Some(voices) = listener.hear(block)? {
                looked.said.extend(looking.voices(at(t), voices).said);
            }
            outcome.note(&looked.said, self.expected(), (began, t));
            if outcome.delay.is_some() {
                break;
            }
        }
        Ok(outcome)
    }
}

/// Every minute that is played: another voice at every level, whisper, and honest ones.
pub(crate) fn hearings<'a>(enrolled: &'a [Enrolled], takes: usize) -> Vec<Hearing<'a>> {
    let mut hearings = Vec::new();
    for (number, own) in enrolled.iter().enumerate() {
        let mut seed = u64::try_from(number * 10_007).unwrap_or_default();
        let mut add = |tape: Tape<'a>| {
            seed += 1;
            hearings.push(Hearing { own, tape, seed });
        };
        let others = enrolled
            .iter()
            .filter(|one| one.reader.name != own.reader.name);
        for (from, other) in others.enumerate() {
            // The level of the aim with every other reader, the others with every second.
            let all = (from + number).is_multiple_of(2);
            let levels = LEVELS_DB.into_iter();
            let levels: Vec<_> = levels.filter(|db| all || (db + 10.0).abs() < 0.1).collect();
            for scene in Scene::ALL {
                let tapes = levels
                    .iter()
                    .map(|db| Tape::Other(scene, *db, &other.reader));
                tapes.for_each(&mut add);
            }
        }
        for db in [-20.0, -15.0, -10.0] {
            (0..2).for_each(|_| add(Tape::Whisper(db)));
        }
        for quiet in Quiet::ALL {
            (0..takes).for_each(|_| add(Tape::Honest(quiet)));
        }
    }
    hearings
}

pub(crate) const LEVELS_DB: [f32; 5] = [-20.0, -15.0, -10.0, -5.0, 0.0];
/// 20 ms, as the microphone gives them.
pub(crate) const BLOCK: usize = RATE / 50;
const NEWS: &str = "Good evening. The ministry announced today that the new railway between the \
    two cities will be opened in the spring. Farmers in the south report a good harvest, and the \
    weather stays dry until the end of the week. In football, the home team won by three to one.";
