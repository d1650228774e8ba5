//! Decides, from lists of windows, what has changed since the last look. Pure.

use std::collections::BTreeSet;

/// A window's number at the display server.
pub(super) type WindowId = u32;

/// What the window manager says at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Look {
    /// The active window; `None` where there is none.
    pub(super) active: Option<WindowId>,
    /// Every managed window, lowest first; empty where the window manager keeps no list.
    pub(super) stacking: Vec<WindowId>,
}

/// One change that is worth a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// Another window, or none, is active.
    SwitchedAway(Option<WindowId>),
    /// The kiosk is active once more.
    SwitchedBack,
    /// A window is new.
    Opened(WindowId),
    /// A window lies above the kiosk that did not before.
    Raised(WindowId),
}

/// Remembers the last look.
#[derive(Debug)]
pub(super) struct Tracker {
    own: WindowId,
    active: Option<WindowId>,
    known: BTreeSet<WindowId>,
    above: BTreeSet<WindowId>,
}

impl Tracker {
    /// Starts from `first`; windows that are there already are not new, but those above are reported.
    pub(super) fn new(own: WindowId, first: &Look) -> (Self, Vec<Change>) {
        let mut tracker = Self {
            own,
            active: Some(own),
            known: first.stacking.iter().copied().collect(),
            above: BTreeSet::new(),
        };
        let changes = tracker.look(first);
        (tracker, changes)
    }

    /// Compares `look` with the one before.
    pub(super) fn look(&mut self, look: &Look) -> Vec<Change> {
        let mut changes = Vec::new();
        for &window in &look.stacking {
            if window != self.own && self.known.insert(window) {
                changes.push(Change::Opened(window));
            }
        }
        self.known.retain(|window| look.stacking.contains(window));
        let above: BTreeSet<WindowId> = look
            .stacking
            .iter()
            .position(|&window| window == self.own)
            .map(|place| {
                look.stacking
                    .iter()
                    .skip(place.saturating_add(1))
                    .copied()
                    .collect()
            })
            .unwrap_or_default();
        changes.extend(
            above
                .difference(&self.above)
                .map(|&window| Change::Raised(window)),
        );
        self.above = above;
        if look.active != self.active {
            changes.push(if look.active == Some(self.own) {
                Change::SwitchedBack
            } else {
                Change::SwitchedAway(look.active)
            });
            self.active = look.active;
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: WindowId = 7;

    #[test]
    fn windows_that_were_there_before_are_not_new() {
        let (_, changes) = Tracker::new(OWN, &look(Some(OWN), &[1, 2, OWN]));
        assert_eq!(changes, []);
    }

    #[test]
    fn a_window_that_opens_above_and_takes_the_focus_is_told_in_full() {
        let (mut tracker, _) = Tracker::new(OWN, &look(Some(OWN), &[1, OWN]));
        let changes = tracker.look(&look(Some(9), &[1, OWN, 9]));
        assert_eq!(
            changes,
            [
                Change::Opened(9),
                Change::Raised(9),
                Change::SwitchedAway(Some(9))
            ]
        );
    }

    #[test]
    fn no_active_window_at_all_counts_as_switched_away() {
        let (mut tracker, _) = Tracker::new(OWN, &look(Some(OWN), &[OWN]));
        assert_eq!(
            tracker.look(&look(None, &[OWN])),
            [Change::SwitchedAway(None)]
        );
        assert_eq!(
            tracker.look(&look(Some(OWN), &[OWN])),
            [Change::SwitchedBack]
        );
    }

    #[test]
    fn the_same_look_twice_is_told_once() {
        let (mut tracker, _) = Tracker::new(OWN, &look(Some(OWN), &[OWN]));
        let away = look(Some(3), &[3, OWN]);
        assert_eq!(
            tracker.look(&away),
            [Change::Opened(3), Change::SwitchedAway(Some(3))]
        );
        assert_eq!(tracker.look(&away), []);
    }

    #[test]
    fn a_window_that_closes_and_comes_back_is_new_again() {
        let (mut tracker, _) = Tracker::new(OWN, &look(Some(OWN), &[3, OWN]));
        tracker.look(&look(Some(OWN), &[OWN]));
        assert_eq!(
            tracker.look(&look(Some(OWN), &[3, OWN])),
            [Change::Opened(3)]
        );
    }

    #[test]
    fn an_active_window_at_the_start_that_is_not_the_kiosk_is_reported() {
        let (_, changes) = Tracker::new(OWN, &look(Some(2), &[2, OWN]));
        assert_eq!(changes, [Change::SwitchedAway(Some(2))]);
    }

    fn look(active: Option<WindowId>, stacking: &[WindowId]) -> Look {
        Look {
            active,
            stacking: stacking.to_vec(),
        }
    }
}
