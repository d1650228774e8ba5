//! Tells what is captured now from what waited in the agent's spool: evidence of the past opens
//! nothing.
//!
//! After each welcome the agent says what its clock shows. The welcome was sent before that, so the
//! distance between the two clocks is at least the one from the welcome's time, and no beat seems
//! younger than it is: neither after a restart of the server, nor behind a proxy that delays
//! everything. Both clocks wander, so the measure follows beats of now by a millisecond each.
//!
//! An agent of link version 1 says nothing. Its clock is its kernel's and goes on when it is
//! started again, so the least distance that was seen is that of a beat that did not wait; where
//! none was seen, or the machine slept, a distance that has stood still for a while is the measure,
//! for what waits comes faster than time passes.

use core::time::Duration;

use crate::time::Now;

/// Follows the distance between an agent's clock and the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Backlog {
    measured_ms: Option<i128>,
    least_ms: Option<i128>,
    steady: Option<(Now, i128)>,
    stands: bool,
    caught_up: bool,
}

impl Backlog {
    /// A link is up: nothing counts before its first beat of now.
    pub const fn link_up(&mut self) {
        self.measured_ms = None;
        self.steady = None;
        self.stands = false;
        self.caught_up = false;
    }

    /// The agent says that its clock showed `at` when it had the welcome, which was sent at `sent`.
    /// Only the first word after a welcome counts.
    pub fn clock(&mut self, sent: Now, at: Now) {
        self.measured_ms
            .get_or_insert_with(|| distance_ms(sent, at));
    }

    /// Takes a verified beat that came at `now` and was signed at `monotonic` on the agent's clock.
    /// Tells whether it, and what follows it, is of now.
    pub fn beat(&mut self, now: Now, monotonic: Now) -> bool {
        let distance = distance_ms(now, monotonic);
        let since = match self.steady {
            Some((since, first)) if (distance - first).abs() <= STEADY_MS => since,
            Some(_) | None => {
                self.steady = Some((now, distance));
                now
            }
        };
        self.stands = now.since(since) >= STEADY_FOR;
        self.caught_up = match self.measured_ms {
            Some(measured) => self.measured(distance, measured),
            None => self.guessed(distance),
        };
        self.caught_up
    }

    /// Tells whether what comes now is captured now.
    #[must_use]
    pub const fn caught_up(&self) -> bool {
        self.caught_up
    }

    /// Tells whether the agent's clock has left the one that it told, as that of a machine that
    /// slept does: the link must be made anew to measure it again.
    #[must_use]
    pub const fn asks_again(&self) -> bool {
        self.measured_ms.is_some() && self.stands && !self.caught_up
    }

    /// Returns how long before `now` the agent's clock showed `at`, so that what waited in its spool
    /// is dated when it was seen; `None` while the distance of the clocks is unknown. What lies
    /// ahead happens now.
    #[must_use]
    pub fn ago(&self, now: Now, at: Now) -> Option<Duration> {
        let distance = self.measured_ms.or(self.least_ms)?;
        let ago = distance_ms(now, at).saturating_sub(distance).max(0);
        Some(Duration::from_millis(
            u64::try_from(ago).unwrap_or(u64::MAX),
        ))
    }

    fn measured(&mut self, distance: i128, measured: i128) -> bool {
        let waited = distance - measured;
        let current = (-STEADY_MS..=WAITED_MS_MAX).contains(&waited);
        if current {
            self.measured_ms = Some(measured + waited.clamp(-WANDER_MS, WANDER_MS));
        }
        current
    }

    fn guessed(&mut self, distance: i128) -> bool {
        let known = self
            .least_ms
            .is_some_and(|least| distance - least <= WAITED_MS_MAX);
        if self.stands {
            self.least_ms = Some(distance);
        } else if known {
            self.least_ms = self.least_ms.map(|least| least.min(distance));
        }
        self.stands || known
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
/// How far two clocks may part from one beat to the next.
const WANDER_MS: i128 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Now {
        Now::from_origin(Duration::from_millis(ms))
    }

    /// A link whose agent's clock is 500 s ahead and said so at `now`.
    fn measured(backlog: &mut Backlog, now: u64) {
        backlog.link_up();
        backlog.clock(at(now), at(now + 500_020));
    }

    //= tests/data/sop-2-28.md#10-start-gate
    //= type=test
    #[test]
    fn a_spool_that_drains_into_a_restarted_server_counts_for_nothing_until_it_is_all_sent() {
        let mut backlog = Backlog::default();
        measured(&mut backlog, 70_000);
        for waited in 1..=57 {
            let came = at(70_000 + waited * 10);
            assert!(
                !backlog.beat(came, at(510_000 + waited * 1_000)),
                "{waited}"
            );
        }
        assert!(backlog.beat(at(71_000), at(571_000)));
    }

    #[test]
    fn a_spool_that_drains_as_fast_as_time_passes_never_becomes_live() {
        let mut backlog = Backlog::default();
        measured(&mut backlog, 70_000);
        for second in 0..600 {
            let came = 70_000 + second * 1_000;
            assert!(!backlog.beat(at(came), at(came + 500_000 - 60_000)));
        }
        assert!(backlog.asks_again());
    }

    #[test]
    fn a_proxy_that_delays_everything_makes_no_old_picture_a_new_one() {
        let mut backlog = Backlog::default();
        backlog.link_up();
        // The welcome was sent at 10 s and read at 40 s; the agent's word came at 70 s.
        backlog.clock(at(10_000), at(540_000));
        for second in 0..20 {
            assert!(!backlog.beat(at(71_000 + second * 1_000), at(541_000 + second * 1_000)));
        }
    }

    #[test]
    fn clocks_that_wander_apart_in_a_long_exam_stay_one_measure() {
        let mut backlog = Backlog::default();
        measured(&mut backlog, 0);
        for second in 0..4 * 3_600 {
            let lost = second / 2;
            assert!(backlog.beat(at(second * 1_000 + 30), at(second * 1_000 + 500_000 - lost)));
        }
    }

    #[test]
    fn beats_signed_ahead_of_their_time_are_not_of_now() {
        let mut backlog = Backlog::default();
        measured(&mut backlog, 0);
        assert!(!backlog.beat(at(1_000), at(520_000)));
    }

    #[test]
    fn a_machine_that_slept_is_asked_for_its_clock_again() {
        let mut backlog = Backlog::default();
        measured(&mut backlog, 0);
        assert!(backlog.beat(at(1_000), at(501_000)));
        for second in 0..10 {
            assert!(!backlog.beat(at(12_000 + second * 1_000), at(502_000 + second * 1_000)));
        }
        assert!(backlog.asks_again());
        backlog.link_up();
        assert!(!backlog.asks_again() && !backlog.caught_up());
        backlog.clock(at(23_000), at(513_020));
        assert!(backlog.beat(at(24_000), at(514_000)));
    }

    #[test]
    fn what_waited_is_dated_when_it_was_seen_also_before_the_server_started() {
        let mut backlog = Backlog::default();
        assert_eq!(backlog.ago(at(5_000), at(505_000)), None);
        measured(&mut backlog, 5_000);
        let ago = |seen| backlog.ago(at(6_000), at(seen)).map(|ago| ago.as_millis());
        assert_eq!(ago(506_020), Some(0));
        assert_eq!(ago(386_020), Some(120_000));
        assert_eq!(ago(0), Some(506_020));
        assert_eq!(ago(u64::MAX), Some(0));
    }

    #[test]
    fn an_agent_that_tells_no_clock_is_believed_once_its_distance_stands() {
        let mut backlog = Backlog::default();
        backlog.link_up();
        for second in 0..8 {
            assert!(!backlog.beat(at(second * 1_000), at(500_000 + second * 1_000)));
        }
        assert!(backlog.beat(at(8_000), at(508_000)));
        backlog.link_up();
        for waited in 1..=57 {
            let came = at(70_000 + waited * 10);
            assert!(
                !backlog.beat(came, at(510_000 + waited * 1_000)),
                "{waited}"
            );
        }
        assert!(backlog.beat(at(71_000), at(570_500)));
        assert!(!backlog.asks_again());
    }
}
