//! Kaldi's filter bank: what the speaker model was trained on.
//!
//! 25 ms frames every 10 ms (only whole ones), mean removed, pre-emphasis 0.97, Povey window, power
//! spectrum of 512 points, 80 triangles even on the mel scale from 20 Hz to 8 kHz, natural
//! logarithm; no dither. Samples count in whole 16-bit steps, as Kaldi reads them.

use core::fmt;
use std::sync::Arc;

use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};

/// Features of a frame.
pub const BINS: usize = 80;
/// Samples of a frame at 16 kHz: 25 ms.
pub const FRAME_SAMPLES: usize = 400;
/// Samples from one frame to the next: 10 ms.
pub const SHIFT_SAMPLES: usize = 160;

/// Computes features; holds the tables.
#[derive(Clone)]
pub struct FilterBank {
    transform: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    triangles: Vec<Triangle>,
}

/// One filter: weights of neighbouring points of the spectrum.
#[derive(Debug, Clone)]
struct Triangle {
    first: usize,
    weights: Vec<f32>,
}

impl fmt::Debug for FilterBank {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FilterBank").finish_non_exhaustive()
    }
}

impl Default for FilterBank {
    fn default() -> Self {
        Self {
            transform: RealFftPlanner::new().plan_fft_forward(POINTS),
            window: povey(),
            triangles: triangles(),
        }
    }
}

impl FilterBank {
    /// Returns the features of mono sound at 16 kHz, [`BINS`] values a frame, frame after frame,
    /// each less its mean over all frames; empty where there is no whole frame.
    #[must_use]
    pub fn features(&self, samples: &[i16]) -> Vec<f32> {
        let mut features = Vec::new();
        let mut frame = self.transform.make_input_vec();
        let mut spectrum = self.transform.make_output_vec();
        let mut scratch = self.transform.make_scratch_vec();
        for samples in samples.windows(FRAME_SAMPLES).step_by(SHIFT_SAMPLES) {
            self.prepare(samples, &mut frame);
            let done = self
                .transform
                .process_with_scratch(&mut frame, &mut spectrum, &mut scratch);
            debug_assert!(done.is_ok(), "the buffers are the plan's own");
            let power: Vec<f32> = spectrum.iter().map(Complex::norm_sqr).collect();
            let energies = self.triangles.iter().map(|triangle| triangle.sum(&power));
            features.extend(energies.map(|energy| energy.max(f32::EPSILON).ln()));
        }
        remove_mean(&mut features);
        features
    }

    /// Fills the transform's input: no offset, high tones raised, windowed, zeros behind.
    fn prepare(&self, samples: &[i16], frame: &mut [f32]) {
        // Exact: a frame's sum is a whole number below 2^24.
        let sum: f32 = samples.iter().map(|sample| f32::from(*sample)).sum();
        let mean = sum / FRAME_LENGTH;
        let mut before = samples.first().map_or(0.0, |first| f32::from(*first)) - mean;
        frame.fill(0.0);
        for ((slot, sample), weight) in frame.iter_mut().zip(samples).zip(&self.window) {
            let level = f32::from(*sample) - mean;
            *slot = (level - PRE_EMPHASIS * before) * weight;
            before = level;
        }
    }
}

impl Triangle {
    fn sum(&self, power: &[f32]) -> f32 {
        let band = power.iter().skip(self.first);
        self.weights.iter().zip(band).map(|(w, p)| w * p).sum()
    }
}

fn remove_mean(features: &mut [f32]) {
    let (mut sums, mut frames) = ([0.0_f32; BINS], 0.0_f32);
    for frame in features.chunks_exact(BINS) {
        frames += 1.0;
        for (sum, value) in sums.iter_mut().zip(frame) {
            *sum += value;
        }
    }
    for frame in features.chunks_exact_mut(BINS) {
        for (value, sum) in frame.iter_mut().zip(&sums) {
            *value -= sum / frames;
        }
    }
}

/// Kaldi's own window: a Hann window to the power of 0.85.
fn povey() -> Vec<f32> {
    let turn = core::f32::consts::TAU / (FRAME_LENGTH - 1.0);
    let mut window = Vec::with_capacity(FRAME_SAMPLES);
    let mut n = 0.0;
    while n < FRAME_LENGTH {
        window.push((0.5 - 0.5 * (turn * n).cos()).powf(0.85));
        n += 1.0;
    }
    window
}

fn triangles() -> Vec<Triangle> {
    let low = mel(LOWEST_HZ);
    let step = (mel(HIGHEST_HZ) - low) / (80.0 + 1.0);
    let mut triangles = Vec::with_capacity(BINS);
    let mut left = low;
    for _ in 0..BINS {
        let mut first = 0;
        let mut weights = Vec::new();
        for point in 0..POINTS_BELOW_NYQUIST {
            let place = mel(f32::from(point) * HZ_PER_POINT) - left;
            if place <= 0.0 {
                first += 1;
            } else if place < 2.0 * step {
                weights.push((place / step).min(2.0 - place / step));
            }
        }
        triangles.push(Triangle { first, weights });
        left += step;
    }
    triangles
}

fn mel(hz: f32) -> f32 {
    1_127.0 * (hz / 700.0).ln_1p()
}

/// A frame, filled up with zeros to the next power of two.
const POINTS: usize = 512;
const POINTS_BELOW_NYQUIST: u16 = 256;
const HZ_PER_POINT: f32 = 16_000.0 / 512.0;
const FRAME_LENGTH: f32 = 400.0;
const PRE_EMPHASIS: f32 = 0.97;
const LOWEST_HZ: f32 = 20.0;
const HIGHEST_HZ: f32 = 8_000.0;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::voices::samples::reference_signal;

    /// Made with kaldi-native-fbank 1.23.0 (`num_bins` 80, `dither` 0) and, apart from it, with the
    /// formulas above in numpy 2.4 in double precision; both agree within 7e-5. The values shown are
    /// numpy's less their mean over the 48 frames: (frame, bin, value).
    const EXPECTED: [(usize, usize, f32); 15] = [
        (0, 0, -0.2842),
        (0, 1, -1.1805),
        (0, 10, 0.4908),
        (0, 40, -1.3788),
        (0, 79, -0.1313),
        (7, 0, -0.6898),
        (7, 1, -0.0571),
        (7, 10, 1.4363),
        (7, 40, -1.5558),
        (7, 79, -0.3065),
        (46, 0, -0.1576),
        (46, 1, 0.6417),
        (46, 10, 0.0022),
        (46, 40, 0.6985),
        (46, 79, -0.1832),
    ];
    const EXPECTED_MAGNITUDES: f64 = 1_941.021;

    #[test]
    fn features_are_those_of_kaldi() {
        let features = FilterBank::default().features(&reference_signal(8_000));
        assert_eq!(features.len(), 48 * BINS);
        for (frame, bin, expected) in EXPECTED {
            let value = features[frame * BINS + bin];
            assert!(
                (value - expected).abs() < 1e-3,
                "frame {frame}, bin {bin}: {value} for {expected}"
            );
        }
        let magnitudes: f64 = features.iter().map(|value| f64::from(value.abs())).sum();
        assert!(
            (magnitudes - EXPECTED_MAGNITUDES).abs() < 0.5,
            "{magnitudes}"
        );
    }

    #[test]
    fn each_feature_is_centred() {
        let features = FilterBank::default().features(&reference_signal(16_000));
        for bin in 0..BINS {
            let sum: f32 = features.iter().skip(bin).step_by(BINS).sum();
            assert!(sum.abs() < 0.01, "bin {bin}: {sum}");
        }
    }

    #[test]
    fn less_than_a_frame_has_no_features() {
        let bank = FilterBank::default();
        assert!(bank.features(&[1; FRAME_SAMPLES - 1]).is_empty());
        assert_eq!(bank.features(&[0; FRAME_SAMPLES]), [0.0; BINS]);
    }
}
