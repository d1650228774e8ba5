//! Moments that nobody can foresee who does not know the seed.

use core::time::Duration;

/// A row of numbers that follows from its seed (SplitMix64).
#[derive(Clone)]
pub struct Chance(u64);

impl Chance {
    /// Begins a row.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `end`; 0 where that is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        match self.next().checked_rem(end) {
            Some(number) => number,
            None => 0,
        }
    }

    /// Returns a time of `least` to `most`.
    pub fn between(&mut self, least: Duration, most: Duration) -> Duration {
        let span = u64::try_from(most.saturating_sub(least).as_millis()).unwrap_or(u64::MAX);
        least + Duration::from_millis(self.below(span.saturating_add(1)))
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }
}

/// The state foretells every moment: it is never printed.
impl core::fmt::Debug for Chance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("‹private›")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_follow_from_the_seed_and_stay_between_their_ends() {
        let row = |seed| {
            let mut chance = Chance::new(seed);
            let (least, most) = (Duration::from_secs(5), Duration::from_secs(20));
            [(); 50].map(|()| {
                let time = chance.between(least, most);
                assert!((least..=most).contains(&time));
                time
            })
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
    }
}
