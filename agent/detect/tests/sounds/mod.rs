//! Sounds made by arithmetic or spoken by espeak-ng, mono at 48 kHz, with a full scale of 1.0 unless
//! said otherwise. Shared by the tests and the `witness` bench.

use std::process::Command;

/// Samples a second.
pub(crate) const RATE: usize = 48_000;

/// Returns what espeak-ng says, at a root mean square of one while it speaks.
///
/// # Panics
/// Where espeak-ng, which set-up installs, cannot be run.
pub(crate) fn spoken(voice: &str, text: &str) -> Vec<f32> {
    let output = Command::new("espeak-ng")
        .args(["-v", voice, "--stdout", text])
        .output()
        .expect("espeak-ng is installed by set-up");
    let (_, pcm) = output.stdout.split_at_checked(44).expect("a WAV header");
    let (pairs, _) = pcm.as_chunks::<2>();
    let samples: Vec<f32> = pairs
        .iter()
        .map(|pair| f32::from(i16::from_le_bytes(*pair)))
        .collect();
    at_one(stretched(&samples, 22_050.0))
}

/// Brings sound to 48 kHz, straight between its samples.
pub(crate) fn stretched(samples: &[f32], rate: f32) -> Vec<f32> {
    let step = f64::from(rate) / 48_000.0;
    let mut sound = Vec::new();
    let (mut at, mut within) = (0_usize, 0.0_f64);
    while let (Some(one), Some(next)) = (samples.get(at), samples.get(at + 1)) {
        sound.push(one + (next - one) * narrow(within));
        within += step;
        while within >= 1.0 {
            within -= 1.0;
            at += 1;
        }
    }
    sound
}

/// Scales to a root mean square of one, pauses left out.
pub(crate) fn at_one(mut sound: Vec<f32>) -> Vec<f32> {
    let loudest = sound
        .iter()
        .fold(0.0_f32, |most, level| most.max(level.abs()));
    let (mut squares, mut all) = (0.0_f32, 1.0_f32);
    for block in sound.chunks(480) {
        let peak = block
            .iter()
            .fold(0.0_f32, |most, level| most.max(level.abs()));
        if peak > loudest * 0.05 {
            let block: f32 = block.iter().map(|level| (level / loudest).powi(2)).sum();
            squares += block;
            all += 480.0;
        }
    }
    let scale = loudest * (squares / all).sqrt();
    for level in &mut sound {
        *level /= scale.max(1e-9);
    }
    sound
}

/// Adds a sound to another from a place on, `gain` times as loud; what reaches beyond is cut.
pub(crate) fn add(to: &mut [f32], at: usize, sound: &[f32], gain: f32) {
    for (slot, level) in to.iter_mut().skip(at).zip(sound) {
        *slot += level * gain;
    }
}

/// Rounds to samples, a root mean square of one being 1,500 steps: speech at an arm's length.
pub(crate) fn samples(sound: &[f32]) -> Vec<i16> {
    sound.iter().map(|level| rounded(level * 1_500.0)).collect()
}

/// A generator of random numbers; the seed is the caller's own.
#[derive(Debug, Clone)]
pub(crate) struct Chance(pub(crate) u64);

impl Chance {
    /// Returns a number from -1.0 to 1.0.
    pub(crate) fn level(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let [low, high, ..] = (self.0 >> 20).to_le_bytes();
        f32::from(i16::from_le_bytes([low, high])) / 32_768.0
    }

    /// Returns a number from `least` to `most`.
    pub(crate) fn between(&mut self, least: f32, most: f32) -> f32 {
        least + (self.level() + 1.0) / 2.0 * (most - least)
    }

    /// Returns a place from 0 to below `end`.
    pub(crate) fn place(&mut self, end: usize) -> usize {
        self.level();
        usize::try_from(self.0 >> 8).unwrap_or_default() % end.max(1)
    }
}

/// A room: low-passed noise at a root mean square of one.
pub(crate) fn room(length: usize, seed: u64) -> Vec<f32> {
    let mut chance = Chance(seed);
    let (mut slow, mut slower) = (0.0, 0.0);
    let noise = (0..length).map(|_| {
        let white = chance.level();
        slow += (white - slow) * 0.2;
        slower += (white - slower) * 0.02;
        white * 0.1 + slow + slower * 3.0
    });
    let noise: Vec<f32> = noise.collect();
    let squares: f32 = noise.iter().map(|level| level * level / 4_096.0).sum();
    let scale = (squares / (real(length.max(1)) / 4_096.0)).sqrt();
    noise.into_iter().map(|level| level / scale).collect()
}

/// A keyboard: five strokes a second, each two clicks.
pub(crate) fn keys(length: usize, seed: u64) -> Vec<f32> {
    let mut chance = Chance(seed);
    let mut sound = vec![0.0; length];
    let mut at = 0;
    while at < length {
        for (later, loud) in [(0, 1.0), (3_800, 0.5)] {
            let mut level = loud * chance.between(2.0, 6.0);
            for slot in sound.iter_mut().skip(at + later).take(2_000) {
                *slot += level * chance.level();
                level *= 0.997;
            }
        }
        at += 4_000 + chance.place(12_000);
    }
    sound
}

/// Breath: noise that swells and falls every three seconds.
pub(crate) fn breath(length: usize, seed: u64) -> Vec<f32> {
    let mut chance = Chance(seed);
    let mut slow = 0.0;
    let mut phase = 0.0_f32;
    let sound = (0..length).map(|_| {
        slow += (chance.level() - slow) * 0.3;
        phase = (phase + core::f32::consts::TAU / 144_000.0) % core::f32::consts::TAU;
        phase.sin().max(0.0).powi(2) * slow * 4.0
    });
    sound.collect()
}

/// Music: a plucked melody over held chords, each tone with six overtones.
pub(crate) fn music(length: usize, seed: u64) -> Vec<f32> {
    let mut chance = Chance(seed);
    let mut sound = vec![0.0; length];
    let mut at = 0;
    while at < length {
        for third in [1.0, 1.25, 1.5] {
            tone(&mut sound, at, 130.8 * third, 96_000, 0.25, 0.999_99);
        }
        for beat in 0..8 {
            let note = [1.0, 1.125, 1.25, 1.5, 1.667, 2.0][chance.place(6)];
            tone(
                &mut sound,
                at + beat * 12_000,
                261.6 * note,
                24_000,
                0.8,
                0.999_9,
            );
        }
        at += 96_000;
    }
    sound
}

fn tone(sound: &mut [f32], at: usize, hz: f32, length: usize, loud: f32, fades: f32) {
    let mut phase = 0.0_f32;
    let mut level = loud;
    for slot in sound.iter_mut().skip(at).take(length) {
        phase = (phase + hz / 48_000.0) % 1.0;
        let turns = phase * core::f32::consts::TAU;
        for overtone in [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0] {
            *slot += level / overtone * (turns * overtone).sin();
        }
        level *= fades;
    }
}

/// Rounds to a sample, held to its range.
#[expect(clippy::cast_possible_truncation, reason = "held to the range first")]
pub(crate) fn rounded(level: f32) -> i16 {
    level.round().clamp(-32_768.0, 32_767.0) as i16
}

#[expect(clippy::cast_possible_truncation, reason = "a fraction's last digits")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

/// Returns a count as a real number.
pub(crate) fn real(count: usize) -> f32 {
    f32::from(u16::try_from(count >> 12).unwrap_or(u16::MAX)) * 4_096.0
        + f32::from(u16::try_from(count & 0xFFF).unwrap_or_default())
}
