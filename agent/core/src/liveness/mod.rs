//! Whether a living person sits before the camera: turns of the head, and the light of the screen.
//!
//! No model tells a photo or a screen before the camera from a face in what was measured, so both are
//! asked for what they cannot do. At check-in the candidate turns the head as chance says, and the
//! screen then shows how much of its light reaches the face. In the exam, at moments that chance
//! chooses, the light is asked again, and where it is not followed or cannot be, the head; now and
//! then the head at once, for a print takes on the light as skin does.
//!
//! # Invariants
//! * Only what follows neither light nor turn is said to be no living face, and only as something for
//!   a person to look at.
//! * What was shown once at check-in is not asked for there again, and what is begun anew is counted:
//!   a film cannot be tried until chance fits it.
//! * A recording in which no head was turned at check-in says so, whatever the client did.

mod lights;
#[cfg(test)]
mod tests;
mod turns;

use core::time::Duration;

use qorgan_detect::{
    Chance, LIGHT_NOT_FOLLOWED, LIVENESS_THRESHOLD, LightAnswer, LitLook, Scored,
    TURN_NOT_FOLLOWED, light_score,
};
use qorgan_protocol::incident::{Allowance, Edge, IncidentKind, Severity, WatchPolicy};
use qorgan_protocol::local::{Light, LivenessAsk, LivenessState, Turn};
use qorgan_protocol::time::Now;

use crate::sighting::Sighting;
use lights::{Lights, Row};
use turns::Turns;

/// What may be asked of this candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rules {
    light: bool,
    turns: bool,
}

/// What to look for in the next picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wants {
    /// Nothing.
    Nothing,
    /// How far the head is turned.
    Head,
    /// How the face looks in this light.
    Lit(Light),
}

/// What a picture gave of what was wanted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Glance {
    /// Nothing was wanted.
    Nothing,
    /// No face is in view.
    Nobody,
    /// A face is, and nothing can be read of it.
    Unread,
    /// A head, turned by so many degrees to the picture's right.
    Head(f32),
    /// A face in the light that was asked for.
    Lit(LitLook),
}

/// How a row of turns goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    GoesOn,
    Followed,
    NotFollowed,
    /// Nobody was there to follow.
    Nobody,
}

#[derive(Debug)]
enum Check {
    Turns { turns: Turns, left: u8 },
    Lights(Lights),
}

/// Asks for a living face, and judges what is seen.
#[derive(Debug)]
pub struct Liveness {
    rules: Rules,
    /// The score from which it counts.
    threshold: Severity,
    chance: Chance,
    /// Where it stands while nothing is asked.
    rest: LivenessState,
    check: Option<Check>,
    /// How many more times the candidate may begin at check-in.
    begins: u8,
    /// How much the face takes on of the screen's light, where that is plain.
    usual: Option<LightAnswer>,
    sitting: bool,
    due: Option<Now>,
    /// Whether this very agent saw a living face at check-in.
    seen_here: bool,
    /// Whether the recording says that no head was turned.
    said: bool,
}

impl Liveness {
    /// Asks as an exam watches and a candidate is granted; every moment and turn follows from `seed`.
    #[must_use]
    pub fn new(watch: &WatchPolicy, allowances: &[Allowance], seed: u64) -> Self {
        let sensitivity = watch.sensitivity(IncidentKind::PresentationAttack);
        let rules = Rules {
            light: !allowances.contains(&Allowance::NoLight),
            turns: !allowances.contains(&Allowance::NoTurning),
        };
        let rest = if !watch.counts(IncidentKind::PresentationAttack) {
            LivenessState::NotNeeded
        } else if rules.light || rules.turns {
            LivenessState::NotAsked
        } else {
            LivenessState::Unavailable
        };
        Self {
            rules,
            threshold: sensitivity.threshold(LIVENESS_THRESHOLD),
            chance: Chance::new(seed),
            rest,
            check: None,
            begins: BEGINS,
            usual: None,
            sitting: false,
            due: None,
            seen_here: false,
            said: false,
        }
    }

    /// Goes on from where an agent before this one had seen a living face at check-in.
    pub fn resume(&mut self, usual: Option<LightAnswer>) {
        if self.rest == LivenessState::NotAsked {
            self.rest = LivenessState::Shown;
            self.usual = usual;
        }
    }

    /// Returns how much light the face takes on, once a living face was seen; to be kept.
    #[must_use]
    pub fn seen_alive(&self) -> Option<Option<LightAnswer>> {
        (self.rest == LivenessState::Shown).then_some(self.usual)
    }

    /// Nothing can be read of heads on this machine.
    pub fn cannot(&mut self) {
        if self.rest == LivenessState::NotAsked {
            self.rest = LivenessState::Unavailable;
        }
        self.rules.turns = false;
        self.rules.light = false;
    }

    /// Returns what to tell the client.
    #[must_use]
    pub fn state(&self, now: Now) -> LivenessState {
        match &self.check {
            Some(Check::Turns { turns, .. }) => turns.state(now),
            Some(Check::Lights(lights)) => LivenessState::Shining(lights.light()),
            None => self.rest,
        }
    }

    /// Returns what to look for in a picture of now.
    #[must_use]
    pub fn wants(&self, now: Now) -> Wants {
        match &self.check {
            Some(Check::Turns { .. }) => Wants::Head,
            Some(Check::Lights(lights)) => lights.settled(now).map_or(Wants::Nothing, Wants::Lit),
            None => Wants::Nothing,
        }
    }

    /// Tells whether something is asked for, so that pictures are looked at more often.
    #[must_use]
    pub const fn is_asking(&self) -> bool {
        self.check.is_some()
    }

    /// Takes what the client did; returns what is to be said.
    pub fn asked(&mut self, now: Now, ask: LivenessAsk) -> Option<Sighting> {
        match ask {
            LivenessAsk::Begin => {
                self.begin(now);
                None
            }
            LivenessAsk::Skip => self.skip(now),
            LivenessAsk::Sitting(sits) => self.sits(now, sits),
            LivenessAsk::Shines(_) | LivenessAsk::Dark => {
                if let Some(Check::Lights(lights)) = &mut self.check
                    && lights.told(now, ask) == Row::Cannot
                {
                    return self.dark(now);
                }
                None
            }
        }
    }

    /// Takes what a picture gave; returns what is to be said.
    pub fn see(&mut self, now: Now, glance: Glance) -> Option<Sighting> {
        match &mut self.check {
            Some(Check::Turns { turns, left }) => {
                let (told, left) = (turns.see(now, glance), *left);
                self.turned(now, told, left)
            }
            Some(Check::Lights(lights)) => {
                let lit = match glance {
                    Glance::Lit(look) => Some(look),
                    Glance::Nothing | Glance::Nobody | Glance::Unread | Glance::Head(_) => None,
                };
                match lights.see(now, lit) {
                    Row::GoesOn => None,
                    Row::Cannot => self.dark(now),
                    Row::Over(looks) => self.shone(now, &looks),
                }
            }
            None => {
                if self.sitting && self.due.is_some_and(|due| due <= now) {
                    self.ask_again(now);
                }
                None
            }
        }
    }

    /// Says where the recording ends, or the exam begins, without a head that was turned.
    pub fn missing(&mut self, now: Now) -> Option<Sighting> {
        let detail = match self.rest {
            LivenessState::NotAsked => "the head was not turned",
            LivenessState::NotFollowed { .. } => "the head was not turned as asked",
            LivenessState::Unavailable => "no head can be read, or none may be asked to turn",
            LivenessState::Skipped => "the candidate went on without turning the head",
            LivenessState::Shown
            | LivenessState::NotNeeded
            | LivenessState::Straight { .. }
            | LivenessState::Turning { .. }
            | LivenessState::Shining(_) => return None,
        };
        let already = core::mem::replace(&mut self.said, true);
        let kind = IncidentKind::HeadNotTurned;
        (!already).then(|| Sighting::fact(kind, Edge::Moment, now, CHECK_IN, detail))
    }

    fn begin(&mut self, now: Now) {
        let open = match self.rest {
            LivenessState::NotAsked | LivenessState::NotFollowed { .. } => !self.sitting,
            LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded
            | LivenessState::Straight { .. }
            | LivenessState::Turning { .. }
            | LivenessState::Shining(_) => false,
        };
        let Some(left) = self.begins.checked_sub(1).filter(|_| open) else {
            return;
        };
        self.begins = left;
        self.rest = LivenessState::NotFollowed { left };
        self.check = Some(if self.rules.turns {
            self.turns(now, CHECK_IN_TURNS, CHECK_IN_PATIENCE, 0)
        } else {
            Check::Lights(Lights::begin(now, &mut self.chance))
        });
    }

    fn skip(&mut self, now: Now) -> Option<Sighting> {
        let open = matches!(
            self.rest,
            LivenessState::NotAsked
                | LivenessState::NotFollowed { .. }
                | LivenessState::Unavailable
        );
        if self.sitting || !open {
            return None;
        }
        self.check = None;
        self.rest = LivenessState::Skipped;
        self.missing(now)
    }

    fn sits(&mut self, now: Now, sits: bool) -> Option<Sighting> {
        if core::mem::replace(&mut self.sitting, sits) == sits {
            return None;
        }
        let broken_off = self.check.take().is_some();
        if !sits {
            // An exam that is covered again and again puts nothing off.
            self.due = self.due.or_else(|| broken_off.then_some(now));
            return None;
        }
        self.due = Some(match self.due {
            Some(due) => due.max(now + SETTLED_IN),
            None => now + self.first(),
        });
        self.missing(now)
    }

    /// Returns when the exam asks at first: soon where this agent has seen nobody alive.
    fn first(&mut self) -> Duration {
        let [least, most] = if self.seen_here { FIRST } else { SOON };
        self.chance.between(least, most)
    }

    fn ask_again(&mut self, now: Now) {
        self.due = None;
        if self.rest == LivenessState::NotNeeded {
            return;
        }
        // A print takes on the light as skin does: now and then only a turn will do.
        let turn = self.rules.turns && self.chance.below(TURN_ONE_IN) == 0;
        if self.rules.light && self.usual.is_some() && !turn {
            self.check = Some(Check::Lights(Lights::begin(now, &mut self.chance)));
        } else {
            self.ask_head(now);
        }
    }

    /// Asks for a turn in the exam; where none may be asked for, later again.
    fn ask_head(&mut self, now: Now) {
        self.check = None;
        if self.rules.turns {
            self.check = Some(self.turns(now, EXAM_TURNS, EXAM_PATIENCE, EXAM_TRIES - 1));
        } else {
            self.later(now, AGAIN);
        }
    }

    fn later(&mut self, now: Now, [least, most]: [Duration; 2]) {
        self.check = None;
        self.due = Some(now + self.chance.between(least, most));
    }

    fn turns(&mut self, now: Now, count: usize, patience: Duration, left: u8) -> Check {
        let asked = (0..count).map(|_| match self.chance.below(2) {
            0 => Turn::Left,
            _ => Turn::Right,
        });
        let asked = asked.collect();
        Check::Turns {
            turns: Turns::begin(now, asked, patience),
            left,
        }
    }

    /// A row of turns went so far.
    fn turned(&mut self, now: Now, told: Told, left: u8) -> Option<Sighting> {
        match (told, self.sitting) {
            (Told::GoesOn, _) => None,
            (Told::Followed, false) => {
                if self.rules.light {
                    self.check = Some(Check::Lights(Lights::begin(now, &mut self.chance)));
                } else {
                    self.shown();
                }
                None
            }
            (Told::Followed, true) => {
                self.rest = LivenessState::Shown;
                self.later(now, AGAIN);
                None
            }
            (Told::NotFollowed | Told::Nobody, false) => {
                self.check = None;
                None
            }
            (Told::Nobody, true) => {
                // Nobody in view is flagged as that.
                self.later(now, SOON);
                None
            }
            (Told::NotFollowed, true) => match (left.checked_sub(1), self.check.take()) {
                (Some(left), _) => {
                    self.check = Some(self.turns(now, EXAM_TURNS, EXAM_PATIENCE, left));
                    None
                }
                (None, check) => {
                    self.later(now, AGAIN);
                    let Some(Check::Turns { turns, .. }) = check else {
                        return None;
                    };
                    self.flag(now, TURN_NOT_FOLLOWED, turns.scored())
                }
            },
        }
    }

    /// The screen could not shine.
    fn dark(&mut self, now: Now) -> Option<Sighting> {
        if self.sitting {
            self.ask_head(now);
        } else if self.rules.turns {
            // The turns before it were followed.
            self.shown();
        } else {
            self.check = None;
        }
        None
    }

    /// A row of lights is over.
    fn shone(&mut self, now: Now, looks: &[LitLook]) -> Option<Sighting> {
        self.check = None;
        let answer = LightAnswer::of(looks);
        let plain = answer.filter(LightAnswer::is_plain);
        if !self.sitting {
            self.usual = plain;
            if self.rules.turns || plain.is_some() {
                self.shown();
            }
            return None;
        }
        let scored = self.usual.and_then(|usual| light_score(usual, looks));
        let Some(scored) = scored else {
            self.ask_head(now);
            return None;
        };
        if scored.score < self.threshold {
            self.later(now, AGAIN);
            return None;
        }
        if self.rules.turns {
            // The room may have become brighter: what reaches the face now is what is usual.
            self.usual = plain;
            self.ask_head(now);
            return None;
        }
        self.later(now, AGAIN);
        self.flag(now, LIGHT_NOT_FOLLOWED, scored)
    }

    fn shown(&mut self) {
        self.check = None;
        self.rest = LivenessState::Shown;
        self.seen_here = true;
    }

    fn flag(&self, now: Now, detector: &'static str, scored: Scored) -> Option<Sighting> {
        if scored.score < self.threshold {
            return None;
        }
        // What was scored is a few numbers, which can always be written.
        let scored_input = scored.input().unwrap_or_default();
        Some(Sighting {
            score: scored.score,
            threshold: self.threshold,
            scored_input,
            ..Sighting::fact(
                IncidentKind::PresentationAttack,
                Edge::Moment,
                now,
                detector,
                scored.detail,
            )
        })
    }
}

const CHECK_IN: &str = "liveness-check-in/1";
/// How often the candidate may begin at check-in: by chance alone a film with turns fits one row of
/// three in eight.
const BEGINS: u8 = 3;
const CHECK_IN_TURNS: usize = 3;
/// How long one turn may take; in the exam the candidate is busy with something else.
const CHECK_IN_PATIENCE: Duration = Duration::from_secs(12);
const EXAM_PATIENCE: Duration = Duration::from_secs(20);
/// Turns of one row in the exam, and how many rows are asked for before it is said.
const EXAM_TURNS: usize = 2;
const EXAM_TRIES: u8 = 2;
/// In the exam one request in so many is a turn, whether or not the light would do.
const TURN_ONE_IN: u64 = 3;
/// Items are shown for so long before something is asked that was due meanwhile.
const SETTLED_IN: Duration = Duration::from_secs(10);
/// When to ask in the exam: at first, again, and where it is soon due.
const FIRST: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(240)];
const AGAIN: [Duration; 2] = [Duration::from_secs(480), Duration::from_secs(960)];
const SOON: [Duration; 2] = [Duration::from_secs(20), Duration::from_secs(60)];
