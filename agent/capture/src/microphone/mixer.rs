//! Any number of channels at any rate into mono at ours.

use crate::source::SAMPLES_PER_S;

/// Mixes channels down and brings the rate to [`SAMPLES_PER_S`] by linear interpolation.
///
/// Linear interpolation is for the rare device that offers no 48 kHz; speech below 8 kHz stays.
#[derive(Debug)]
pub(crate) struct Mixer {
    channels: usize,
    rate: u64,
    last: i32,
    /// Place of the next sample between the last two, in parts of [`SAMPLES_PER_S`].
    phase: u64,
}

impl Mixer {
    pub(crate) fn new(channels: u16, rate: u32) -> Self {
        let phase = u64::from(SAMPLES_PER_S);
        Self {
            channels: usize::from(channels.max(1)),
            rate: u64::from(rate.max(1)),
            last: 0,
            phase,
        }
    }

    /// Takes interleaved samples; an unfinished frame at the end is left out.
    pub(crate) fn mix(&mut self, interleaved: impl Iterator<Item = i16>) -> Vec<i16> {
        let mut out = Vec::new();
        let mut sum = 0_i32;
        let mut count = 0_usize;
        for sample in interleaved {
            sum += i32::from(sample);
            count += 1;
            if count == self.channels {
                let mono = sum / i32::try_from(self.channels).unwrap_or(1);
                self.resample(mono, &mut out);
                (sum, count) = (0, 0);
            }
        }
        out
    }

    fn resample(&mut self, next: i32, out: &mut Vec<i16>) {
        let whole = u64::from(SAMPLES_PER_S);
        if self.rate == whole {
            out.push(clamped(i64::from(next)));
            return;
        }
        while self.phase < whole {
            let part = i64::try_from(self.phase).unwrap_or(0);
            let all = i64::from(SAMPLES_PER_S);
            let value = (i64::from(self.last) * (all - part) + i64::from(next) * part) / all;
            out.push(clamped(value));
            self.phase += self.rate;
        }
        self.phase -= whole;
        self.last = next;
    }
}

/// Tells when the first sample of each block was captured.
///
/// Blocks arrive early and late, their samples do not: time follows the count of samples, and
/// gently the arrivals; only an arrival that is far off, as after a gap, is taken as it is.
#[derive(Debug, Default)]
pub(super) struct BlockClock {
    next_ns: Option<u64>,
}

impl BlockClock {
    /// Takes the moment of arrival and the number of samples.
    pub(super) fn captured_ns(&mut self, arrived_ns: u64, samples: usize) -> u64 {
        let count = u64::try_from(samples).unwrap_or(0);
        let span_ns = count * NANOS_PER_S / u64::from(SAMPLES_PER_S);
        let seen_ns = arrived_ns.saturating_sub(span_ns);
        let captured_ns = match self.next_ns {
            Some(next) if seen_ns.abs_diff(next) <= GAP_NS => {
                let late = seen_ns.saturating_sub(next) / PULL;
                let early = next.saturating_sub(seen_ns) / PULL;
                next + late - early.min(next)
            }
            Some(next) => seen_ns.max(next),
            None => seen_ns,
        };
        self.next_ns = Some(captured_ns + span_ns);
        captured_ns
    }
}

fn clamped(value: i64) -> i16 {
    i16::try_from(value.clamp(i64::from(i16::MIN), i64::from(i16::MAX))).unwrap_or(0)
}

const NANOS_PER_S: u64 = 1_000_000_000;
/// An arrival further off than this is a gap.
const GAP_NS: u64 = 200_000_000;
/// Each block follows its arrival by this part of the difference.
const PULL: u64 = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_of_blocks_keeps_its_order_and_a_gap_is_seen() {
        let mut clock = BlockClock::default();
        let arrivals = [100_u64, 100, 160, 160, 161, 220];
        let times: Vec<u64> = arrivals
            .iter()
            .map(|ms| clock.captured_ns(ms * 1_000_000, 960))
            .collect();
        assert!(
            times
                .windows(2)
                .all(|pair| (19..=21).contains(&((pair[1] - pair[0]) / 1_000_000)))
        );
        assert_eq!(clock.captured_ns(5_000_000_000, 960), 4_980_000_000);
    }

    #[test]
    fn stereo_is_averaged_and_the_rate_is_met() {
        let mut mixer = Mixer::new(2, 48_000);
        assert_eq!(mixer.mix([100, 300, -50, 50].into_iter()), [200, 0]);
        for rate in [8_000_u32, 16_000, 44_100, 96_000] {
            let mut mixer = Mixer::new(1, rate);
            let mut count = 0;
            for _ in 0..100 {
                let block = (0..rate / 100).map(|_| 5);
                count += mixer.mix(block).len();
            }
            assert!(
                count.abs_diff(48_000) <= 8,
                "{rate} gave {count} samples in a second"
            );
        }
    }

    #[test]
    fn a_slope_stays_a_slope() {
        let mut mixer = Mixer::new(1, 24_000);
        let out = mixer.mix([0, 100, 200, 300].into_iter());
        assert!(
            out.windows(2)
                .all(|pair| pair[1] - pair[0] <= 50 && pair[1] >= pair[0]),
            "{out:?}"
        );
    }
}
