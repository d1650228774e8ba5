//! The review queue: which attempt a proctor looks at first, so that ten minutes see the worst.
//!
//! # Invariants
//! * However many incidents of one kind there are, one that is a tenth graver comes before them.
//! * One more incident never makes an attempt less urgent; a dismissed one never makes it more.
//! * Nothing is left out: what has no incidents comes last, not never (SOP 16, 17).

use std::collections::BTreeMap;

use qorgan_protocol::incident::Severity;

use crate::review::{IncidentVerdict, ReviewVerdict};

/// How much an attempt asks for a look, 0.0 to 1.0.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Urgency(f64);

impl Urgency {
    /// Weighs the incidents of an attempt that nobody dismissed: kind, severity, verdict.
    ///
    /// A kind weighs the square of its gravest severity, and up to a fifth more the more often it was
    /// raised: s² · (1 + (1 − 1/n)/5). Kinds are then joined as chances that are independent of one
    /// another, 1 − ∏(1 − wₖ), so that several kinds outweigh each of them and no sum leaves 1.
    #[must_use]
    pub fn of<K: AsRef<str>>(
        incidents: impl IntoIterator<Item = (K, Severity, Option<IncidentVerdict>)>,
    ) -> Self {
        let mut kinds: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for (kind, severity, verdict) in incidents {
            if verdict == Some(IncidentVerdict::Dismissed) {
                continue;
            }
            let (gravest, count) = kinds.entry(kind.as_ref().to_owned()).or_insert((0.0, 0.0));
            *gravest = gravest.max(severity.value());
            *count += 1.0;
        }
        let calm = kinds.values().map(|(gravest, count)| {
            let often = 1.0 + (1.0 - 1.0 / count) * OFTEN_MORE;
            1.0 - (gravest * gravest * often).min(1.0)
        });
        Self(1.0 - calm.product::<f64>())
    }

    /// Returns it in hundredths, for people.
    #[must_use]
    pub fn hundredths(self) -> String {
        format!("{:.0}", self.0 * 100.0)
    }

    /// Returns a number for sorting.
    #[must_use]
    pub const fn value(self) -> f64 {
        self.0
    }
}

/// What the queue needs to know of an attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Queued {
    /// What was said of the whole.
    pub verdict: ReviewVerdict,
    /// How much it asks for a look.
    pub urgency: Urgency,
    /// When it ended.
    pub ended_ms: i64,
}

impl Queued {
    /// Orders two attempts, first whom to look at first: what nobody has finished before what
    /// somebody else should look at before what is done; then the more urgent; then who has waited
    /// longer.
    #[must_use]
    pub fn before(&self, other: &Self) -> core::cmp::Ordering {
        let place = |verdict| match verdict {
            ReviewVerdict::NotReviewed => 0_u8,
            ReviewVerdict::Suspicious => 1,
            ReviewVerdict::Violation | ReviewVerdict::Passed => 2,
        };
        place(self.verdict)
            .cmp(&place(other.verdict))
            .then(other.urgency.0.total_cmp(&self.urgency.0))
            .then(self.ended_ms.cmp(&other.ended_ms))
    }
}

/// So much more weighs a kind that was raised without end than one that was raised once.
const OFTEN_MORE: f64 = 0.2;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use qorgan_protocol::incident::IncidentKind;

    use super::*;

    fn urgency(incidents: &[(&'static str, f64, Option<IncidentVerdict>)]) -> f64 {
        let weighed = incidents.iter();
        Urgency::of(
            weighed
                .map(|(kind, severity, verdict)| (*kind, Severity::clamped(*severity), *verdict)),
        )
        .value()
    }

    fn incidents() -> impl Strategy<Value = Vec<(&'static str, f64, Option<IncidentVerdict>)>> {
        let kinds = IncidentKind::ALL.iter().map(|kind| kind.word());
        let kind = proptest::sample::select(kinds.collect::<Vec<_>>());
        let verdict = proptest::sample::select(vec![
            None,
            Some(IncidentVerdict::Confirmed),
            Some(IncidentVerdict::Dismissed),
        ]);
        proptest::collection::vec((kind, 0.0..=1.0_f64, verdict), 0..40)
    }

    proptest! {
        #[test]
        fn one_more_never_makes_it_less_urgent_and_nothing_leaves_one(
            incidents in incidents(), place in 0_usize..40
        ) {
            let all = urgency(&incidents);
            prop_assert!((0.0..=1.0).contains(&all));
            let mut fewer = incidents.clone();
            if place < fewer.len() {
                fewer.remove(place);
            }
            prop_assert!(urgency(&fewer) <= all + 1e-12);
        }

        #[test]
        fn the_order_of_incidents_is_nothing(incidents in incidents()) {
            let mut turned = incidents.clone();
            turned.reverse();
            prop_assert!((urgency(&incidents) - urgency(&turned)).abs() < 1e-9);
        }

        #[test]
        fn no_number_of_one_kind_hides_what_is_a_tenth_graver(
            severity in 0.0..=0.9_f64, count in 1_usize..500
        ) {
            let many = vec![("window_switch", severity, None); count];
            prop_assert!(urgency(&many) < urgency(&[("impersonation", severity + 0.1, None)]));
        }
    }

    #[test]
    fn fifty_window_switches_do_not_hide_one_impersonation() {
        let kind = |kind: IncidentKind| (kind.word(), kind.default_severity().value(), None);
        let mut windows = vec![kind(IncidentKind::WindowSwitch); 50];
        windows.extend(vec![kind(IncidentKind::ForeignWindow); 50]);
        assert!(urgency(&windows) < urgency(&[kind(IncidentKind::Impersonation)]));
    }

    #[test]
    fn what_was_dismissed_asks_for_no_look() {
        let dismissed = Some(IncidentVerdict::Dismissed);
        assert!(urgency(&[("second_face", 0.8, dismissed)]).abs() < 1e-12);
        assert!(urgency(&[("second_face", 0.8, Some(IncidentVerdict::Confirmed))]) > 0.5);
    }

    #[test]
    fn open_reviews_come_first_by_urgency_then_by_waiting() {
        let of = |verdict, severity: f64, ended_ms| Queued {
            verdict,
            urgency: Urgency::of([("second_face", Severity::clamped(severity), None)]),
            ended_ms,
        };
        let mut queue = [
            of(ReviewVerdict::Violation, 1.0, 1),
            of(ReviewVerdict::Suspicious, 0.9, 1),
            of(ReviewVerdict::NotReviewed, 0.0, 2),
            of(ReviewVerdict::NotReviewed, 0.0, 1),
            of(ReviewVerdict::NotReviewed, 0.8, 3),
        ];
        queue.sort_by(Queued::before);
        let ended: Vec<_> = queue
            .iter()
            .map(|one| (one.verdict, one.ended_ms))
            .collect();
        assert_eq!(
            ended,
            [
                (ReviewVerdict::NotReviewed, 3),
                (ReviewVerdict::NotReviewed, 1),
                (ReviewVerdict::NotReviewed, 2),
                (ReviewVerdict::Suspicious, 1),
                (ReviewVerdict::Violation, 1),
            ]
        );
    }
}
