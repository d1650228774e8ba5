//! The permission to show items, renewed by verified streams and beats (decision 1).

use core::time::Duration;

use crate::time::Now;

/// Says until when items may be shown; only the start gate makes one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContentLease {
    ends: Now,
}

impl ContentLease {
    /// Makes the lease that evidence no older than `oldest` carries for `grace`.
    pub(super) fn from_evidence(oldest: Now, grace: Duration) -> Self {
        Self {
            ends: oldest + grace,
        }
    }

    /// Returns the lease, ended at `end` at the latest.
    pub(super) fn until_at_most(self, end: Now) -> Self {
        Self {
            ends: self.ends.min(end),
        }
    }

    /// Returns when it ends.
    #[must_use]
    pub const fn ends(self) -> Now {
        self.ends
    }

    /// Returns how long it still runs; zero once it ended.
    #[must_use]
    pub const fn left(self, now: Now) -> Duration {
        self.ends.since(now)
    }
}
