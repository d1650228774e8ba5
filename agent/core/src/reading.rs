//! A reading aloud as it goes: what to tell the candidate while too little of it is heard.

use core::time::Duration;

use qorgan_protocol::local::VoiceHint;
use qorgan_protocol::time::Now;

/// Follows one reading aloud.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    heard: usize,
    /// Since when nothing more was heard, or what is amiss was told.
    since: Now,
    /// The largest sample since then.
    peak: u16,
    hint: Option<VoiceHint>,
}

impl Reading {
    /// Begins.
    #[must_use]
    pub const fn begin(now: Now) -> Self {
        Self {
            heard: 0,
            since: now,
            peak: 0,
            hint: None,
        }
    }

    /// Takes samples and how many pieces of speech were heard so far; returns what is amiss.
    pub fn see(&mut self, now: Now, samples: &[i16], heard: usize) -> Option<VoiceHint> {
        let peaks = samples.iter().map(|sample| sample.unsigned_abs());
        self.peak = self.peak.max(peaks.max().unwrap_or(0));
        if heard > self.heard {
            *self = Self {
                heard,
                ..Self::begin(now)
            };
        } else if now.since(self.since) >= PATIENCE {
            self.hint = Some(match self.peak {
                0..=STILL_PEAK_MAX => VoiceHint::NoSound,
                peak if peak < SPEECH_PEAK_MIN => VoiceHint::TooQuiet,
                _loud => VoiceHint::NoSpeech,
            });
            (self.since, self.peak) = (now, 0);
        }
        self.hint
    }
}

/// A piece of speech is 1.5 s, and a reader breathes.
const PATIENCE: Duration = Duration::from_secs(5);
/// A muted microphone gives zeros, or rounds to one step.
const STILL_PEAK_MAX: u16 = 1;
/// Speech at an arm's length peaks above 5,000; a tenth of it is hard to hear.
const SPEECH_PEAK_MIN: u16 = 500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_amiss_while_speech_comes() {
        let mut reading = Reading::begin(at(0));
        for second in 1..40 {
            let heard = usize::try_from(second / 2).expect("small");
            assert_eq!(reading.see(at(second), &[9_000, -8_000], heard), None);
        }
    }

    #[test]
    fn what_is_amiss_is_told_by_how_loud_it_is_and_forgotten_with_the_next_piece() {
        let mut reading = Reading::begin(at(0));
        assert_eq!(reading.see(at(4), &[0, 1], 0), None, "a reader breathes");
        assert_eq!(reading.see(at(5), &[0, -1], 0), Some(VoiceHint::NoSound));
        assert_eq!(reading.see(at(10), &[-90], 0), Some(VoiceHint::TooQuiet));
        let music = reading.see(at(15), &[i16::MIN], 0);
        assert_eq!(music, Some(VoiceHint::NoSpeech));
        assert_eq!(reading.see(at(16), &[0], 0), Some(VoiceHint::NoSpeech));
        assert_eq!(reading.see(at(17), &[7_000], 1), None);
        assert_eq!(reading.see(at(21), &[7_000], 1), None);
    }

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }
}
