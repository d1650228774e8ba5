//! Sounds for tests: made by arithmetic, so that no file is needed.

/// Rounds a level to a sample without a cast.
pub(crate) fn rounded(level: f64) -> i16 {
    format!("{:.0}", level.clamp(-32_768.0, 32_767.0))
        .parse()
        .expect("a number within a sample's range")
}

/// Two triangle waves, noise and an offset, in whole numbers alone, as `fbank`'s expected figures
/// were made from.
pub(crate) fn reference_signal(samples: i64) -> Vec<i16> {
    let triangle = |n: i64, period: i64| (n % period * 4 - 2 * period).abs() - period;
    let mut state = 12_345_i64;
    let mut signal = Vec::new();
    for n in 0..samples {
        state = (state * 1_103_515_245 + 12_345) & 0x7fff_ffff;
        let noise = (state >> 16) % 2_001 - 1_000;
        let level = noise + 40 * triangle(n, 80) + 20 * triangle(n, 29) + 137;
        signal.push(i16::try_from(level).expect("within a sample's range"));
    }
    signal
}

/// A saw tooth: as many overtones as a voice.
pub(crate) fn buzz(samples: i64, hz: i64) -> Vec<i16> {
    (0..samples)
        .map(|n| {
            let level = n * hz * 8_000 / 16_000 % 8_000 - 4_000;
            i16::try_from(level).expect("within a sample's range")
        })
        .collect()
}

/// White noise.
pub(crate) fn noise(samples: usize, seed: u64) -> Vec<i16> {
    let mut noise = crate::input::scenes::Noise(seed);
    (0..samples)
        .map(|_| i16::try_from(noise.level(400)).expect("small"))
        .collect()
}
