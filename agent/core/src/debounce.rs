//! From flickering scores to `Began`, `Holds` and `Ended`.

use core::time::Duration;

use qorgan_protocol::incident::Edge;
use qorgan_protocol::time::Now;

/// Says a state's edges once it has held long enough, and again every ten seconds.
#[derive(Debug, Clone)]
pub struct Debouncer {
    begin_after: Duration,
    end_after: Duration,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Off,
    Rising { since: Now },
    On { said: Now },
    Falling { since: Now, said: Now },
}

impl Debouncer {
    /// Makes a debouncer: a state begins after `begin_after` and ends after `end_after` without it.
    #[must_use]
    pub const fn new(begin_after: Duration, end_after: Duration) -> Self {
        Self {
            begin_after,
            end_after,
            state: State::Off,
        }
    }

    /// Takes what is seen now and returns what to say.
    pub fn see(&mut self, now: Now, active: bool) -> Option<Edge> {
        let (state, edge) = match (self.state, active) {
            (State::Off, false) | (State::Rising { .. }, false) => (State::Off, None),
            (State::Off, true) => self.rise(now, now),
            (State::Rising { since }, true) => self.rise(now, since),
            (State::On { said }, true) | (State::Falling { said, .. }, true) => hold(now, said),
            (State::On { said }, false) => self.fall(now, now, said),
            (State::Falling { since, said }, false) => self.fall(now, since, said),
        };
        self.state = state;
        edge
    }

    fn rise(&self, now: Now, since: Now) -> (State, Option<Edge>) {
        if now.since(since) >= self.begin_after {
            (State::On { said: now }, Some(Edge::Began))
        } else {
            (State::Rising { since }, None)
        }
    }

    fn fall(&self, now: Now, since: Now, said: Now) -> (State, Option<Edge>) {
        if now.since(since) >= self.end_after {
            (State::Off, Some(Edge::Ended))
        } else {
            (State::Falling { since, said }, None)
        }
    }
}

fn hold(now: Now, said: Now) -> (State, Option<Edge>) {
    if now.since(said) >= HOLDS_EVERY {
        (State::On { said: now }, Some(Edge::Holds))
    } else {
        (State::On { said }, None)
    }
}

const HOLDS_EVERY: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_begins_holds_and_ends_each_said_once() {
        let mut debouncer = Debouncer::new(Duration::from_secs(2), Duration::from_secs(1));
        let said: Vec<_> = (0..30_u64)
            .filter_map(|s| {
                debouncer
                    .see(at(s), (3..20).contains(&s))
                    .map(|edge| (s, edge))
            })
            .collect();
        assert_eq!(
            said,
            [(5, Edge::Began), (15, Edge::Holds), (21, Edge::Ended)]
        );
    }

    #[test]
    fn a_flicker_says_nothing() {
        let mut debouncer = Debouncer::new(Duration::from_secs(2), Duration::from_secs(1));
        assert!((0..40_u64).all(|s| debouncer.see(at(s), s % 2 == 0).is_none()));
    }

    #[test]
    fn without_a_wait_it_is_said_at_once() {
        let mut debouncer = Debouncer::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(debouncer.see(at(1), true), Some(Edge::Began));
        assert_eq!(debouncer.see(at(1), false), Some(Edge::Ended));
    }

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }
}
