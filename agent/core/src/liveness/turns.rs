//! Turns of the head as asked: straight, then one way, then straight again.

use core::time::Duration;

use qorgan_detect::{Scored, TURN_DEGREES, turn_score, turned};
use qorgan_protocol::local::{LivenessState, Turn, TurnHint};
use qorgan_protocol::time::Now;

use super::{Glance, Told};

/// Follows one row of turns.
#[derive(Debug, Clone)]
pub(super) struct Turns {
    asked: Vec<Turn>,
    done: usize,
    /// The yaw of looking straight at the screen, in degrees, once it is known.
    straight: Option<f32>,
    turning: bool,
    since: Now,
    /// What was read since then, in degrees.
    yaws: Vec<f32>,
    /// When a head was read last.
    read: Now,
    /// Whether a face was there since then, read or not.
    seen: bool,
    /// How long one turn may take.
    patience: Duration,
}

impl Turns {
    pub(super) const fn begin(now: Now, asked: Vec<Turn>, patience: Duration) -> Self {
        Self {
            asked,
            done: 0,
            straight: None,
            turning: false,
            since: now,
            yaws: Vec::new(),
            read: now,
            seen: false,
            patience,
        }
    }

    /// Takes a glance; tells whether everything was followed, or something was not.
    pub(super) fn see(&mut self, now: Now, glance: Glance) -> Told {
        match glance {
            Glance::Head(yaw) => {
                self.seen = true;
                self.read = now;
                if self.yaws.len() < YAWS_MAX {
                    self.yaws.push(yaw);
                }
                let told = self.head(now);
                if told != Told::GoesOn {
                    return told;
                }
            }
            Glance::Unread => self.seen = true,
            Glance::Nothing | Glance::Nobody | Glance::Lit(_) => {}
        }
        self.in_time(now)
    }

    /// Judges the newest head: it looks straight, has turned as asked, or the other way.
    fn head(&mut self, now: Now) -> Told {
        if !self.turning {
            if let Some(straight) = self.looks_straight() {
                self.straight.get_or_insert(straight);
                self.next(now, true);
            }
            return Told::GoesOn;
        }
        let [.., before, newest] = self.yaws.as_slice() else {
            return Told::GoesOn;
        };
        let both = [*before, *newest].map(|yaw| turned(self.turn(), self.middle(), yaw));
        if both.iter().all(|way| *way <= -WRONG_DEGREES) {
            return Told::NotFollowed;
        }
        if both.iter().any(|way| *way < TURN_DEGREES) {
            return Told::GoesOn;
        }
        if self.done + 1 >= self.asked.len() {
            return Told::Followed;
        }
        self.done += 1;
        self.next(now, false);
        Told::GoesOn
    }

    /// Gives up what takes too long.
    fn in_time(&self, now: Now) -> Told {
        if now.since(self.since) < self.patience {
            Told::GoesOn
        } else if self.seen {
            Told::NotFollowed
        } else {
            Told::Nobody
        }
    }

    fn next(&mut self, now: Now, turning: bool) {
        self.turning = turning;
        self.since = now;
        self.read = now;
        self.yaws.clear();
        self.seen = false;
    }

    /// Returns the middle of the newest looks where they agree, and lie where straight was before.
    fn looks_straight(&self) -> Option<f32> {
        let first = self.yaws.len().checked_sub(STRAIGHT_LOOKS)?;
        let mut newest = self.yaws.get(first..)?.to_vec();
        newest.sort_by(f32::total_cmp);
        let (least, most) = (newest.first()?, newest.last()?);
        let middle = *newest.get(newest.len() / 2)?;
        let there = self
            .straight
            .is_none_or(|straight| (middle - straight).abs() <= BACK_DEGREES);
        (most - least <= STILL_DEGREES && there).then_some(middle)
    }

    fn turn(&self) -> Turn {
        self.asked.get(self.done).copied().unwrap_or(Turn::Left)
    }

    fn middle(&self) -> f32 {
        self.straight.unwrap_or(0.0)
    }

    /// Returns what to ask for now.
    pub(super) fn state(&self, now: Now) -> LivenessState {
        let [done, needed] =
            [self.done, self.asked.len()].map(|count| u8::try_from(count).unwrap_or(u8::MAX));
        let hint = self.hint(now);
        if self.turning {
            let turn = self.turn();
            LivenessState::Turning {
                turn,
                done,
                needed,
                hint,
            }
        } else {
            LivenessState::Straight { done, needed, hint }
        }
    }

    fn hint(&self, now: Now) -> Option<TurnHint> {
        if now.since(self.read) >= UNSEEN_AFTER {
            return Some(TurnHint::NoFace);
        }
        let ways = self
            .yaws
            .iter()
            .map(|yaw| turned(self.turn(), self.middle(), *yaw));
        let most = ways.fold(0.0, f32::max);
        let little = self.turning && now.since(self.since) >= LITTLE_AFTER && most >= SOME_DEGREES;
        little.then_some(TurnHint::More)
    }

    /// Returns how little the last turn was followed.
    pub(super) fn scored(&self) -> Scored {
        if self.turning {
            turn_score(self.turn(), self.middle(), &self.yaws)
        } else {
            turn_score(self.turn(), self.middle(), &[])
        }
    }
}

/// Looks that agree while the candidate looks straight.
const STRAIGHT_LOOKS: usize = 3;
/// So little a head moves that keeps still, in degrees.
const STILL_DEGREES: f32 = 8.0;
/// So near to straight is back.
const BACK_DEGREES: f32 = 12.0;
/// So far the other way is no mistake of reading.
const WRONG_DEGREES: f32 = 15.0;
/// A turn that has begun, but is too little.
const SOME_DEGREES: f32 = 6.0;
const LITTLE_AFTER: Duration = Duration::from_secs(3);
const UNSEEN_AFTER: Duration = Duration::from_secs(2);
/// Four looks a second for more than the longest patience.
const YAWS_MAX: usize = 128;
