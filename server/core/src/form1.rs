//! Form 1: which boxes the confirmed incidents tick.

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::incident::{Form1Box, IncidentKind};

/// What Form 1 says about the breach.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Form1 {
    /// The boxes that are ticked.
    pub boxes: BTreeSet<Form1Box>,
    /// What goes on the line for other breaches: kinds with how often each was confirmed.
    pub other: BTreeMap<IncidentKind, usize>,
}

impl Form1 {
    /// Fills the form from the kinds of the confirmed incidents; nothing else ticks a box.
    #[must_use]
    pub fn of(confirmed: impl IntoIterator<Item = IncidentKind>) -> Self {
        let mut form = Self::default();
        for kind in confirmed {
            match kind.form1_box() {
                Some(ticked) => {
                    form.boxes.insert(ticked);
                }
                None => *form.other.entry(kind).or_default() += 1,
            }
        }
        form
    }

    /// Tells whether nothing is stated at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.boxes.is_empty() && self.other.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_display_ticks_the_box_of_other_screens() {
        let form = Form1::of([IncidentKind::SecondDisplay]);

        assert_eq!(form.boxes, BTreeSet::from([Form1Box::OtherScreen]));
        assert!(form.other.is_empty());
    }

    #[test]
    fn what_has_no_box_goes_on_the_line_for_other_breaches() {
        let form = Form1::of([IncidentKind::WindowSwitch, IncidentKind::WindowSwitch]);

        assert!(form.boxes.is_empty());
        assert_eq!(form.other.get(&IncidentKind::WindowSwitch), Some(&2));
    }
}
