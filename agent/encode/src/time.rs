//! Moments on the capturing machine's monotonic clock, and their ticks in a track.

use std::time::Duration;

/// A moment on the capturing machine's monotonic clock, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MediaTime(u64);

impl MediaTime {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);

    /// Makes a moment from nanoseconds since the clock's origin.
    #[must_use]
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Makes a moment from milliseconds since the clock's origin.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Returns the nanoseconds since the clock's origin.
    #[must_use]
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// Returns the time since `earlier`, or nothing if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Option<Duration> {
        self.0.checked_sub(earlier.0).map(Duration::from_nanos)
    }

    /// Returns the moment `span` later; it stops at the clock's end.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)),
        )
    }

    /// Returns the whole ticks since `origin`, or nothing before it.
    #[must_use]
    pub fn ticks_since(self, origin: Self, timescale: u32) -> Option<u64> {
        let nanos = u128::from(self.0.checked_sub(origin.0)?);
        u64::try_from(nanos * u128::from(timescale) / NANOS_PER_S).ok()
    }
}

const NANOS_PER_S: u128 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use qorgan_protocol::media::Track;

    use super::*;

    #[test]
    fn packets_of_twenty_milliseconds_are_960_ticks_apart_from_any_start() {
        let origin = MediaTime::from_nanos(17);
        for start in [17_u64, 1_000_003, 999_999_999_999] {
            let ticks: Vec<u64> = (0..200)
                .map(|n| MediaTime::from_nanos(start + n * 20_000_000))
                .map(|at| {
                    at.ticks_since(origin, Track::Sound.timescale())
                        .expect("after the origin")
                })
                .collect();
            assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == 960));
        }
    }

    #[test]
    fn a_moment_before_the_origin_has_no_ticks() {
        let origin = MediaTime::from_millis(5);
        assert_eq!(
            MediaTime::from_millis(4).ticks_since(origin, Track::Video.timescale()),
            None
        );
        assert_eq!(
            MediaTime::from_millis(1_005).ticks_since(origin, Track::Video.timescale()),
            Some(90_000)
        );
    }
}
