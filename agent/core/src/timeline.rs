//! From the machine's monotonic clock to the epoch's timeline, over restarts of agent and machine.

use core::time::Duration;

use qorgan_protocol::ids::BootId;
use qorgan_protocol::time::{Now, WallTime};
use serde::{Deserialize, Serialize};

/// Maps moments of capture onto microseconds since the epoch's recording began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeline {
    base: Now,
    at_base_us: u64,
}

/// What is kept on disk so that a restarted agent goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptTimeline {
    /// The run of the kernel.
    pub boot: BootId,
    /// The timeline's base on that run's clock.
    pub base: Now,
    /// Where the base lies on the timeline.
    pub at_base_us: u64,
    /// The newest moment that was kept, on the timeline.
    pub newest_us: u64,
    /// The wall clock at that moment: the only bridge over a reboot.
    pub wall: WallTime,
}

/// A timeline that goes on, with what is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resumed {
    /// The timeline.
    pub timeline: Timeline,
    /// Where the gap begins, in microseconds.
    pub gap_from_us: u64,
    /// How long nothing was recorded.
    pub gap: Duration,
    /// Whether the machine was started anew in between.
    pub rebooted: bool,
}

impl Timeline {
    /// Begins an epoch's timeline.
    #[must_use]
    pub const fn begin(now: Now) -> Self {
        Self {
            base: now,
            at_base_us: 0,
        }
    }

    /// Goes on where a former run of the agent ended.
    ///
    /// Within one run of the kernel the monotonic clock counts on; over a reboot the wall clock
    /// tells how long the gap was, held to between one second and one day.
    #[must_use]
    pub fn resume(kept: &KeptTimeline, boot: BootId, now: Now, wall: WallTime) -> Resumed {
        let same = Self {
            base: kept.base,
            at_base_us: kept.at_base_us,
        };
        if kept.boot == boot && same.us(now) >= kept.newest_us {
            return Resumed {
                timeline: same,
                gap_from_us: kept.newest_us,
                gap: Duration::from_micros(same.us(now) - kept.newest_us),
                rebooted: false,
            };
        }
        let gap = wall.since(kept.wall).clamp(GAP_MIN, GAP_MAX);
        Resumed {
            timeline: Self {
                base: now,
                at_base_us: kept.newest_us.saturating_add(micros(gap)),
            },
            gap_from_us: kept.newest_us,
            gap,
            rebooted: true,
        }
    }

    /// Returns where `captured` lies on the timeline; what lies before its beginning is at zero.
    #[must_use]
    pub fn us(&self, captured: Now) -> u64 {
        if captured >= self.base {
            self.at_base_us
                .saturating_add(micros(captured.since(self.base)))
        } else {
            self.at_base_us
                .saturating_sub(micros(self.base.since(captured)))
        }
    }

    /// Returns what to keep on disk at `now`.
    #[must_use]
    pub fn keep(&self, boot: BootId, newest_us: u64, wall: WallTime) -> KeptTimeline {
        KeptTimeline {
            boot,
            base: self.base,
            at_base_us: self.at_base_us,
            newest_us,
            wall,
        }
    }
}

/// Returns a duration in whole microseconds, held at the largest number.
#[must_use]
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

const GAP_MIN: Duration = Duration::from_secs(1);
const GAP_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restarted_agent_goes_on_with_the_gap_on_the_timeline() {
        let first = Timeline::begin(at(100.0));
        let kept = first.keep(BOOT, first.us(at(160.0)), wall(1_000));
        let resumed = Timeline::resume(&kept, BOOT, at(167.0), wall(9_999_000));
        assert_eq!(resumed.gap_from_us, 60_000_000);
        assert_eq!(resumed.gap, Duration::from_secs(7));
        assert!(!resumed.rebooted);
        assert_eq!(resumed.timeline.us(at(170.0)), 70_000_000);
    }

    #[test]
    fn over_a_reboot_the_wall_clock_tells_the_gap_and_time_never_goes_back() {
        let first = Timeline::begin(at(100.0));
        let kept = first.keep(BOOT, first.us(at(160.0)), wall(1_000));
        let resumed = Timeline::resume(&kept, BootId([2; 16]), at(5.0), wall(91_000));
        assert!(resumed.rebooted);
        assert_eq!(resumed.gap, Duration::from_secs(90));
        assert_eq!(resumed.timeline.us(at(6.0)), 151_000_000);
        let stepped_back = Timeline::resume(&kept, BootId([2; 16]), at(5.0), wall(-50));
        assert_eq!(stepped_back.timeline.us(at(5.0)), 61_000_000);
    }

    #[test]
    fn a_picture_from_before_the_beginning_is_at_zero() {
        assert_eq!(Timeline::begin(at(100.0)).us(at(99.0)), 0);
    }

    const BOOT: BootId = BootId([1; 16]);

    fn at(seconds: f64) -> Now {
        Now::from_origin(Duration::from_secs_f64(seconds))
    }

    fn wall(ms: i64) -> WallTime {
        WallTime::from_unix_ms(ms)
    }
}
