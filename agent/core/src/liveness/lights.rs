//! The screen's light as asked, and how the face takes it on.

use core::time::Duration;

use qorgan_detect::{Chance, LitLook};
use qorgan_protocol::local::{Light, LivenessAsk};
use qorgan_protocol::time::Now;

/// Follows one row of lights.
#[derive(Debug, Clone)]
pub(super) struct Lights {
    order: [Light; PHASES],
    at: usize,
    /// Since when the light of this phase is asked for.
    asked: Now,
    /// Since when the screen shines in it.
    shines: Option<Now>,
    /// Since when this phase counts; two phases may have one light.
    phase: Option<Now>,
    looks: Vec<LitLook>,
}

/// How a row of lights goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    /// It goes on.
    GoesOn,
    /// The screen cannot shine.
    Cannot,
    /// It is over, with what was seen.
    Over(Vec<LitLook>),
}

impl Lights {
    pub(super) fn begin(now: Now, chance: &mut Chance) -> Self {
        Self {
            order: order(chance),
            at: 0,
            asked: now,
            shines: None,
            phase: None,
            looks: Vec::new(),
        }
    }

    /// Returns the light to shine in.
    pub(super) fn light(&self) -> Light {
        self.order.get(self.at).copied().unwrap_or(Light::Warm)
    }

    /// Returns the light in which a face is to be looked at now; `None` while it settles.
    pub(super) fn settled(&self, now: Now) -> Option<Light> {
        let since = self.shines?;
        (now.since(since) >= SETTLES).then(|| self.light())
    }

    /// Takes what the screen did.
    pub(super) fn told(&mut self, now: Now, ask: LivenessAsk) -> Row {
        match ask {
            LivenessAsk::Shines(Some(light)) if light == self.light() => {
                self.shines.get_or_insert(now);
                self.phase.get_or_insert(now);
                Row::GoesOn
            }
            LivenessAsk::Dark => Row::Cannot,
            LivenessAsk::Shines(None) if self.shines.is_some() => Row::Cannot,
            // What belongs to the phase before, or to no light at all.
            LivenessAsk::Shines(_)
            | LivenessAsk::Begin
            | LivenessAsk::Skip
            | LivenessAsk::Sitting(_) => Row::GoesOn,
        }
    }

    /// Takes a look at the face, where there is one; goes on to the next light in time.
    pub(super) fn see(&mut self, now: Now, look: Option<LitLook>) -> Row {
        let Some(phase) = self.phase else {
            let late = now.since(self.asked) >= ANSWER_WAIT;
            return if late { Row::Cannot } else { Row::GoesOn };
        };
        let settled = self.settled(now);
        self.looks
            .extend(look.filter(|look| settled == Some(look.light)));
        if now.since(phase) < PHASE {
            return Row::GoesOn;
        }
        let before = self.light();
        self.at += 1;
        if self.at >= PHASES {
            return Row::Over(core::mem::take(&mut self.looks));
        }
        self.asked = now;
        if self.light() == before {
            self.phase = Some(now);
        } else {
            (self.shines, self.phase) = (None, None);
        }
        Row::GoesOn
    }
}

/// Returns a row in which either light comes at least twice and none three times on end.
fn order(chance: &mut Chance) -> [Light; PHASES] {
    let light = |row: u8, phase: usize| {
        if row >> phase & 1 == 1 {
            Light::Warm
        } else {
            Light::Cool
        }
    };
    let rows = (0..1_u8 << PHASES).map(|row| core::array::from_fn(|phase| light(row, phase)));
    let fair: Vec<[Light; PHASES]> = rows.filter(is_fair).collect();
    let most = u64::try_from(fair.len()).unwrap_or(u64::MAX);
    let drawn = usize::try_from(chance.below(most)).unwrap_or_default();
    fair.get(drawn).copied().unwrap_or([
        Light::Warm,
        Light::Cool,
        Light::Warm,
        Light::Cool,
        Light::Warm,
    ])
}

fn is_fair(row: &[Light; PHASES]) -> bool {
    let warm = row.iter().filter(|light| **light == Light::Warm).count();
    let three = |three: &[Light]| three.iter().all(|light| Some(light) == three.first());
    (2..=PHASES - 2).contains(&warm) && !row.windows(3).any(three)
}

const PHASES: usize = 5;
/// One light at a time for so long: far below three changes a second (WCAG 2.2, 2.3.1).
const PHASE: Duration = Duration::from_millis(1_200);
/// Until a display shows it, and the camera's exposure has followed.
const SETTLES: Duration = Duration::from_millis(400);
/// A kiosk answers at once.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_row_of_lights_is_known_before_and_each_is_fair() {
        let rows: Vec<_> = (0..64)
            .map(|seed| order(&mut Chance::new(seed)))
            .inspect(|row| assert!(is_fair(row), "{row:?}"))
            .collect();
        let different: std::collections::BTreeSet<_> =
            rows.iter().map(|row| format!("{row:?}")).collect();
        assert!(different.len() >= 8, "{}", different.len());
    }

    #[test]
    fn a_screen_that_says_nothing_or_no_is_not_waited_for() {
        let at = |ms| Now::from_origin(Duration::from_millis(ms));
        let mut lights = Lights::begin(at(0), &mut Chance::new(1));
        assert_eq!(lights.see(at(1_900), None), Row::GoesOn);
        assert_eq!(lights.see(at(2_000), None), Row::Cannot);
        assert_eq!(lights.told(at(100), LivenessAsk::Dark), Row::Cannot);
    }
}
