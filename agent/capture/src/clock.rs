//! The monotonic clock that stamps every picture and block.

use std::sync::OnceLock;
use std::time::Instant;

/// Makes the clock read `now_ns` at this moment, once and before the first capture.
///
/// Returns false if the clock was already running; it then stays as it is. An agent that was started
/// again sets it from the system's own monotonic clock, so that a recording's times go on.
pub fn anchor(now_ns: u64) -> bool {
    ORIGIN.set((Instant::now(), now_ns)).is_ok()
}

/// Returns the nanoseconds that the clock shows; without [`anchor`] it starts at zero.
#[must_use]
pub fn now_ns() -> u64 {
    let (origin, origin_ns) = ORIGIN.get_or_init(|| (Instant::now(), 0));
    let since = u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
    origin_ns.saturating_add(since)
}

static ORIGIN: OnceLock<(Instant, u64)> = OnceLock::new();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_never_goes_back_and_is_anchored_once() {
        let first = now_ns();
        assert!(!anchor(5), "the clock runs already");
        assert!(now_ns() >= first);
    }
}
