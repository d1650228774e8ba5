//! From the microphone's 48 kHz to the 16 kHz that the voice models were trained on.
//!
//! # Invariants
//! * Whole-number arithmetic throughout: the same samples give the same samples on every machine, so
//!   that the 16-bit result *is* what later steps score and what is kept with an incident.
//! * How the samples are cut into blocks changes nothing.

/// Takes every third sample of low-passed sound.
///
/// A filter of 119 taps (Kaiser window, beta 7): 0.0 dB up to 7 kHz, -11 dB at 8 kHz, at least
/// 72 dB down from 8.8 kHz on, so that nothing audible folds into speech.
#[derive(Debug, Clone)]
pub struct Decimator {
    /// What the next output still needs, oldest first.
    held: Vec<i16>,
}

impl Default for Decimator {
    fn default() -> Self {
        Self {
            held: vec![0; TAPS - 1],
        }
    }
}

impl Decimator {
    /// Takes mono samples at 48 kHz and appends the samples at 16 kHz that they complete.
    pub fn push(&mut self, samples: &[i16], out: &mut Vec<i16>) {
        self.held.extend_from_slice(samples);
        let mut taken = 0;
        while let Some(window) = self.held.get(taken..taken + TAPS) {
            out.push(filtered(window));
            taken += STEP;
        }
        self.held.drain(..taken.min(self.held.len()));
    }
}

/// The filter is symmetric: samples equally far from the middle share a factor.
fn filtered(window: &[i16]) -> i16 {
    let (before, rest) = window.split_at(HALF.len());
    let Some((middle, after)) = rest.split_first() else {
        return 0;
    };
    let mut sum = ROUND + MIDDLE * i32::from(*middle);
    for ((tap, one), other) in HALF.iter().zip(before).zip(after.iter().rev()) {
        sum += tap * (i32::from(*one) + i32::from(*other));
    }
    let value = (sum >> SHIFT).clamp(i32::from(i16::MIN), i32::from(i16::MAX));
    i16::try_from(value).unwrap_or_default()
}

/// 48 kHz to 16 kHz.
const STEP: usize = 3;
const SHIFT: u32 = 15;
const ROUND: i32 = 1 << (SHIFT - 1);
const TAPS: usize = 2 * HALF.len() + 1;

/// `round(2^15 * h)` of `h = sinc(2*7800/48000*n) * kaiser(119, 7.0)` for `n` from -59 to -1, scaled
/// to a sum of one; made with numpy 2.4. The magnitudes of all taps add up to 64,936 < 2^16, so
/// that no sum leaves an `i32`.
const HALF: [i32; 59] = [
    -1, 1, 2, 2, -1, -5, -4, 2, 9, 8, -3, -15, -14, 3, 23, 23, -3, -33, -36, 0, 46, 54, 5, -62,
    -79, -15, 80, 111, 30, -101, -152, -53, 123, 205, 87, -146, -271, -135, 170, 356, 203, -193,
    -465, -301, 215, 612, 444, -235, -823, -672, 251, 1_168, 1_082, -263, -1_883, -2_078, 270,
    4_629, 8_885,
];
const MIDDLE: i32 = 10_654;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filter_neither_amplifies_nor_overflows() {
        let half: i32 = HALF.iter().sum();
        assert_eq!(2 * half + MIDDLE, 1 << SHIFT);
        let most: i32 = HALF.iter().map(|tap| tap.abs()).sum();
        assert!(2 * most + MIDDLE < (1 << 16) - 1);
        let mut loud = Vec::new();
        Decimator::default().push(&[i16::MIN; 1_000], &mut loud);
        assert_eq!(loud.last(), Some(&i16::MIN));
    }

    #[test]
    fn speech_passes_unchanged() {
        for hz in [100.0, 1_000.0, 3_000.0, 6_500.0] {
            let gain = gain_db(hz);
            assert!(gain.abs() < 0.05, "{hz} Hz: {gain} dB");
        }
    }

    #[test]
    fn what_would_fold_into_speech_is_silenced() {
        for hz in [9_000.0, 10_000.0, 12_500.0, 15_000.0, 17_000.0, 20_000.0] {
            let gain = gain_db(hz);
            assert!(gain < -65.0, "{hz} Hz: {gain} dB");
        }
    }

    #[test]
    fn blocks_of_any_length_give_the_same_sound() {
        let sound = tone(1_234.0);
        let (mut whole, mut pieces) = (Vec::new(), Vec::new());
        Decimator::default().push(&sound, &mut whole);
        let mut decimator = Decimator::default();
        for block in sound.chunks(479) {
            decimator.push(block, &mut pieces);
        }
        assert_eq!(whole, pieces);
        assert_eq!(whole.len(), 16_000);
    }

    fn gain_db(hz: f64) -> f64 {
        let sound = tone(hz);
        let mut out = Vec::new();
        Decimator::default().push(&sound, &mut out);
        let settled = out.get(100..).expect("a second of sound");
        20.0 * (root_mean_square(settled) / root_mean_square(&sound)).log10()
    }

    fn root_mean_square(samples: &[i16]) -> f64 {
        let (mut squares, mut all) = (0.0, 0.0);
        for sample in samples {
            squares += f64::from(*sample).powi(2);
            all += 1.0;
        }
        f64::sqrt(squares / all)
    }

    fn tone(hz: f64) -> Vec<i16> {
        (0..48_000_u32)
            .map(|n| {
                let angle = f64::from(n) / 48_000.0 * hz * core::f64::consts::TAU;
                crate::voices::samples::rounded(angle.sin() * 20_000.0)
            })
            .collect()
    }
}
