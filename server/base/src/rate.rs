//! So many at once, then one at a time (GCRA): all that is kept is when everything would be free again.

use std::time::Duration;

/// How much may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How long one counts.
    pub step: Duration,
    /// Over which time all that may come at once are counted.
    pub window: Duration,
}

impl Rate {
    /// Counts one at `now`; returns when everything would be free again. `empty_at` is what was
    /// returned for the one before, if there was any. All three are times of one clock.
    ///
    /// # Errors
    /// How long to wait for the next one, which is then not counted.
    pub fn one_more(self, empty_at: Option<Duration>, now: Duration) -> Result<Duration, Duration> {
        let empty_at = empty_at.unwrap_or(now).max(now).saturating_add(self.step);
        let wait = empty_at.saturating_sub(now).saturating_sub(self.window);
        if wait.is_zero() {
            Ok(empty_at)
        } else {
            Err(wait)
        }
    }
}
