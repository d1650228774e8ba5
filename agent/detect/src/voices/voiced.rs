//! How much of a piece of sound repeats at a voice's pitch.

/// Returns the share of frames of mono sound at 16 kHz that repeat at a voice's pitch.
pub(super) fn voiced_share(samples: &[i16]) -> f32 {
    let low: Vec<f32> = samples
        .windows(SMOOTH.len())
        .step_by(THINNING)
        .map(|window| {
            let pairs = window.iter().zip(SMOOTH);
            pairs
                .map(|(sample, weight)| f32::from(*sample) * weight)
                .sum()
        })
        .collect();
    let (mut voiced, mut all) = (0.0, 0.0_f32);
    for frame in low.windows(FRAME).step_by(FRAME / 2) {
        all += 1.0;
        if repetition(frame) > VOICED {
            voiced += 1.0;
        }
    }
    voiced / all.max(1.0)
}

/// How alike a frame is to itself a period later, at the best period of a voice: up to 1.
fn repetition(frame: &[f32]) -> f32 {
    let mut sum = 0.0;
    let mut all = 0.0;
    for level in frame {
        sum += level;
        all += 1.0;
    }
    let mean = sum / all;
    let centred: Vec<f32> = frame.iter().map(|level| level - mean).collect();
    let compared = FRAME - LONGEST_PERIOD;
    let head = centred.get(..compared).unwrap_or_default();
    let energy: f32 = head.iter().map(|level| level * level).sum();
    let mut best = 0.0_f32;
    for period in SHORTEST_PERIOD..LONGEST_PERIOD {
        let later = centred.get(period..period + compared).unwrap_or_default();
        let (mut product, mut later_energy) = (0.0, 0.0);
        for (one, other) in head.iter().zip(later) {
            product += one * other;
            later_energy += other * other;
        }
        best = best.max(product / (energy * later_energy + 1.0).sqrt());
    }
    best
}

/// A low pass of 15 samples (Hann) to about 1 kHz, made in numpy: `hanning(15) / 7`.
const SMOOTH: [f32; 15] = [
    0.0, 0.007_07, 0.026_90, 0.055_53, 0.087_32, 0.115_95, 0.135_78, 0.142_86, 0.135_78, 0.115_95,
    0.087_32, 0.055_53, 0.026_90, 0.007_07, 0.0,
];
/// 16 kHz to 4 kHz.
const THINNING: usize = 4;
/// 64 ms, every 32 ms.
const FRAME: usize = 256;
/// 400 Hz.
const SHORTEST_PERIOD: usize = 10;
/// 70 Hz.
const LONGEST_PERIOD: usize = 58;
const VOICED: f32 = 0.6;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::samples::{buzz, noise};

    #[test]
    fn a_buzz_at_a_voices_pitch_is_voiced_and_noise_is_not() {
        for hz in [90, 160, 300] {
            let share = voiced_share(&buzz(24_000, hz));
            assert!(share > 0.95, "{hz} Hz: {share}");
        }
        let share = voiced_share(&noise(24_000, 5));
        assert!(share < 0.1, "{share}");
        assert!(voiced_share(&[0; 24_000]) < f32::EPSILON);
        assert!(voiced_share(&[]) < f32::EPSILON);
    }
}
