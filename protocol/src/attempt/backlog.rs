//! Tells what is captured now from what waited in the agent's spool: evidence of the past opens
//! nothing.
//!
//! The agent's clock is its kernel's and goes on when the agent is started again, so the least
//! distance between the two clocks that was ever seen in an epoch is that of a beat that did not
//! wait. A machine that slept keeps a longer distance for good; once it has stood still for a
//! while it is the new measure, for what waits comes faster than time passes.

use core::time::Duration;

use crate::time::Now;

/// Follows the distance between an agent's clock and the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    least_ms: Option<i128>,
    steady: Option<(Now, i128)>,
    caught_up: bool,
}

impl Backlog {
    /// A link is up: nothing counts before its first beat of now.
    pub const fn link_up(&mut self) {
        self.steady = None;
        self.caught_up = false;
    }

    /// Takes a verified beat that came at `now` and was signed at `monotonic` on the agent's clock.
    /// Tells whether it, and what follows it, is of now.
    pub fn beat(&mut self, now: Now, monotonic: Now) -> bool {
        let distance = distance_ms(now, monotonic);
        let least = self.least_ms.map_or(distance, |least| least.min(distance));
        let since = match self.steady {
            Some((since, first)) if (distance - first).abs() <= STEADY_MS => since,
            Some(_) | None => {
                self.steady = Some((now, distance));
                now
            }
        };
        let stands = now.since(since) >= STEADY_FOR;
        self.caught_up = stands || distance - least <= WAITED_MS_MAX;
        self.least_ms = Some(if stands { distance } else { least });
        self.caught_up
    }

    /// Tells whether what comes now is captured now.
    #[must_use]
    pub const fn caught_up(&self) -> bool {
        self.caught_up
    }
}

fn distance_ms(now: Now, monotonic: Now) -> i128 {
    let ms = |at: Now| i128::try_from(at.since_origin().as_millis()).unwrap_or(i128::MAX / 2);
    ms(now) - ms(monotonic)
}

/// A beat that waited longer is of the past.
const WAITED_MS_MAX: i128 = 3_000;
/// The distance may waver so much and still stand.
const STEADY_MS: i128 = 1_500;
/// A distance that has stood so long is no backlog.
const STEADY_FOR: Duration = Duration::from_secs(8);

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    #[test]
    fn what_waited_in_the_spool_is_of_the_past_until_it_is_all_sent() {
        let mut backlog = Backlog::default();
        assert!(backlog.beat(at(10_000), at(500_000)));
        backlog.link_up();
        assert!(!backlog.caught_up());
        for waited in 1..=57 {
            let came = at(70_000 + waited * 10);
            assert!(
                !backlog.beat(came, at(500_000 + waited * 1_000)),
                "{waited}"
            );
        }
        assert!(backlog.beat(at(71_000), at(560_500)));
    }

    #[test]
    fn a_machine_that_slept_is_believed_again_once_its_clock_stands() {
        let mut backlog = Backlog::default();
        assert!(backlog.beat(at(0), at(0)));
        for second in 1..=7 {
            assert!(!backlog.beat(at(60_000 + second * 1_000), at(second * 1_000)));
        }
        assert!(!backlog.beat(at(68_000), at(8_000)));
        assert!(backlog.beat(at(69_000), at(9_000)));
        assert!(backlog.beat(at(70_000), at(10_000)));
    }

    #[test]
    fn an_agent_that_was_started_again_goes_on_at_once() {
        let mut backlog = Backlog::default();
        assert!(backlog.beat(at(0), at(1_000_000)));
        backlog.link_up();
        assert!(backlog.beat(at(20_000), at(1_020_100)));
    }
}
