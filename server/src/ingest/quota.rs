//! How many bytes one attempt's recording may bring, in a second and in all.

use std::time::Duration;

use qorgan_protocol::time::Now;

use crate::registry::ByteBounds;

/// The fate of bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// They are taken.
    Now,
    /// They are taken, and the next ones are read later.
    After(Duration),
    /// They are not taken.
    Never,
}

/// A bucket that fills at the rate that the profile allows.
#[derive(Debug)]
pub(super) struct ByteQuota {
    bounds: ByteBounds,
    /// How much the bucket holds.
    left: u64,
    filled: Option<Now>,
    total: u64,
}

impl ByteQuota {
    /// Begins a link over what is stored of a recording that began so long ago: linking again fills
    /// nothing, for what came before is taken off what the time has given.
    pub(super) fn of(bounds: ByteBounds, stored: u64, age: Duration) -> Self {
        let ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
        let given = bounds.per_s.saturating_mul(ms) / 1_000;
        let left = bounds.burst.saturating_add(given).saturating_sub(stored);
        Self {
            bounds,
            left: left.min(bounds.burst),
            filled: None,
            total: stored,
        }
    }

    /// Takes what came now: bytes that are stored, and what they and their handling cost of the rate.
    pub(super) fn take(&mut self, (stored, bytes): (usize, usize), now: Now) -> Taken {
        let wide = |len| u64::try_from(len).unwrap_or(u64::MAX);
        let bytes = wide(bytes);
        self.total = self.total.saturating_add(wide(stored));
        if self.total > self.bounds.total {
            return Taken::Never;
        }
        let since = now.since(self.filled.unwrap_or(now));
        let ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let more = ms.saturating_mul(self.bounds.per_s) / 1_000;
        if more > 0 || self.filled.is_none() {
            self.filled = Some(now);
            self.left = self.left.saturating_add(more).min(self.bounds.burst);
        }
        if bytes <= self.left {
            self.left -= bytes;
            return Taken::Now;
        }
        let lacking = bytes - self.left;
        self.left = 0;
        // The wait gives what is lacking, and nothing of it is given twice.
        let ms = lacking.saturating_mul(1_000) / self.bounds.per_s.max(1);
        let wait = Duration::from_millis(ms);
        self.filled = Some(now + wait);
        Taken::After(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: ByteBounds = ByteBounds {
        per_s: 1_000,
        burst: 10_000,
        total: 40_000,
    };

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn a_burst_is_taken_at_once_and_what_follows_no_faster_than_allowed() {
        let mut quota = ByteQuota::of(BOUNDS, 0, Duration::ZERO);
        assert_eq!(quota.take((10_000, 10_000), at(0)), Taken::Now);
        assert_eq!(
            quota.take((500, 500), at(0)),
            Taken::After(Duration::from_millis(500))
        );
        assert_eq!(
            quota.take((1_000, 1_000), at(500)),
            Taken::After(Duration::from_secs(1))
        );
        assert_eq!(quota.take((1_000, 1_000), at(2_500)), Taken::Now);
    }

    #[test]
    fn a_recording_ends_at_its_whole_size_over_all_its_links() {
        let mut quota = ByteQuota::of(BOUNDS, 35_000, Duration::from_secs(60));
        assert_eq!(quota.take((5_000, 5_000), at(0)), Taken::Now);
        assert_eq!(quota.take((1, 1), at(60_000)), Taken::Never);
    }

    #[test]
    fn linking_again_gives_no_second_burst() {
        let mut again = ByteQuota::of(BOUNDS, 10_000, Duration::from_secs(1));
        assert_eq!(again.take((1_000, 1_000), at(0)), Taken::Now);
        assert_eq!(
            again.take((1_000, 1_000), at(0)),
            Taken::After(Duration::from_secs(1))
        );
        // Chunks that waited for a network that was away come as fast as they can.
        let mut late = ByteQuota::of(BOUNDS, 10_000, Duration::from_secs(600));
        assert_eq!(late.take((10_000, 10_000), at(0)), Taken::Now);
    }

    #[test]
    fn a_trickle_is_never_slowed() {
        let mut quota = ByteQuota::of(BOUNDS, 0, Duration::ZERO);
        for ms in 0..30_000 {
            assert_eq!(quota.take((1, 1), at(ms)), Taken::Now, "{ms}");
        }
    }

    #[test]
    fn what_is_small_and_costs_work_is_slowed_and_does_not_fill_the_disk() {
        let mut quota = ByteQuota::of(BOUNDS, 39_999, Duration::from_secs(60));
        assert_eq!(quota.take((1, 10_000), at(0)), Taken::Now);
        assert_eq!(
            quota.take((0, 4_000), at(0)),
            Taken::After(Duration::from_secs(4))
        );
    }
}
