//! Steps of the wall clock and sleep of the machine, seen by comparing three clocks.

use core::time::Duration;

use qorgan_protocol::time::{Now, WallTime};

/// The three clocks at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// Stands still while the machine sleeps.
    pub monotonic: Now,
    /// Counts on while the machine sleeps.
    pub boot: Now,
    /// The wall clock.
    pub wall: WallTime,
}

/// What the clocks show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClockFinding {
    /// Somebody set the wall clock, by this many milliseconds.
    Stepped {
        /// Forward is positive.
        by_ms: i64,
    },
    /// The machine slept.
    Slept {
        /// How long.
        for_ms: i64,
    },
}

/// Compares the clocks with how they stood before.
#[derive(Debug, Clone, Default)]
pub struct ClockWatch {
    before: Option<Clocks>,
}

impl ClockWatch {
    /// Takes the clocks, a few times a second, and returns what changed since.
    pub fn look(&mut self, clocks: Clocks) -> Vec<ClockFinding> {
        let Some(before) = self.before.replace(clocks) else {
            return Vec::new();
        };
        let monotonic = millis(clocks.monotonic.since(before.monotonic));
        let boot = millis(clocks.boot.since(before.boot));
        let wall = clocks.wall.unix_ms().saturating_sub(before.wall.unix_ms());
        let slept = boot.saturating_sub(monotonic);
        let stepped = wall.saturating_sub(boot.max(monotonic));
        let mut findings = Vec::new();
        if slept >= TOLERANCE_MS {
            findings.push(ClockFinding::Slept { for_ms: slept });
        }
        if stepped.abs() >= TOLERANCE_MS {
            findings.push(ClockFinding::Stepped { by_ms: stepped });
        }
        findings
    }
}

impl core::fmt::Display for ClockFinding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stepped { by_ms } => write!(f, "the wall clock was set by {by_ms:+} ms"),
            Self::Slept { for_ms } => write!(f, "the machine slept for {for_ms} ms"),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    qorgan_protocol::time::millis(duration)
}

/// A clock that is slewed (at most 500 ppm) stays far below this between two looks.
const TOLERANCE_MS: i64 = 1_500;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_that_run_together_say_nothing() {
        let mut watch = ClockWatch::default();
        for n in 0..100_u32 {
            let ms = u64::from(n) * 500;
            assert!(watch.look(clocks(ms, ms, i64::from(n) * 501)).is_empty());
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_is_seen_both_ways() {
        let mut watch = ClockWatch::default();
        watch.look(clocks(0, 0, 1_000_000));
        assert_eq!(
            watch.look(clocks(500, 500, 4_600_500)),
            [ClockFinding::Stepped { by_ms: 3_600_000 }]
        );
        assert_eq!(
            watch.look(clocks(1_000, 1_000, 1_001_000)),
            [ClockFinding::Stepped { by_ms: -3_600_000 }]
        );
    }

    #[test]
    fn sleep_is_no_step() {
        let mut watch = ClockWatch::default();
        watch.look(clocks(0, 0, 0));
        assert_eq!(
            watch.look(clocks(500, 60_500, 60_500)),
            [ClockFinding::Slept { for_ms: 60_000 }]
        );
    }

    fn clocks(monotonic: u64, boot: u64, wall: i64) -> Clocks {
        Clocks {
            monotonic: Now::from_origin(Duration::from_millis(monotonic)),
            boot: Now::from_origin(Duration::from_millis(boot)),
            wall: WallTime::from_unix_ms(wall),
        }
    }
}
