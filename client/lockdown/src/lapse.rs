//! Which measures do not hold any more, each told once until it holds again. Pure.

use std::collections::BTreeSet;

use crate::measure::{MeasureKind, MeasureOutcome, MeasureReport};

/// Follows what renewing the measures brings.
#[derive(Debug, Default)]
pub struct LapseWatch {
    lapsed: BTreeSet<MeasureKind>,
}

impl LapseWatch {
    /// Takes the reports of one renewal; returns those of measures that failed now and held before.
    pub fn look(&mut self, reports: Vec<MeasureReport>) -> Vec<MeasureReport> {
        let failed = |report: &MeasureReport| matches!(report.outcome, MeasureOutcome::Failed(_));
        let now: BTreeSet<MeasureKind> = reports
            .iter()
            .filter(|report| failed(report))
            .map(|report| report.kind)
            .collect();
        let before = std::mem::replace(&mut self.lapsed, now);
        let new = |report: &MeasureReport| failed(report) && !before.contains(&report.kind);
        reports.into_iter().filter(new).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::MeasureError;

    #[test]
    fn a_measure_that_is_lost_is_told_once_until_it_holds_again() {
        let mut watch = LapseWatch::default();
        let lost = || report(MeasureKind::KeyboardGrab, failed());
        assert_eq!(watch.look(vec![lost()]), [lost()]);
        assert_eq!(watch.look(vec![lost()]), []);
        let other = report(MeasureKind::FullscreenOnTop, failed());
        assert_eq!(watch.look(vec![other.clone(), lost()]), [other]);
        assert_eq!(watch.look(Vec::new()), []);
        assert_eq!(watch.look(vec![lost()]), [lost()]);
    }

    #[test]
    fn a_measure_that_was_only_loosened_holds_again_and_is_not_told() {
        let mut watch = LapseWatch::default();
        let renewed = report(MeasureKind::FullscreenOnTop, MeasureOutcome::Applied);
        assert_eq!(watch.look(vec![renewed]), []);
    }

    fn failed() -> MeasureOutcome {
        MeasureOutcome::Failed(MeasureError::Refused {
            reason: "another program holds the keyboard".to_owned(),
        })
    }

    fn report(kind: MeasureKind, outcome: MeasureOutcome) -> MeasureReport {
        MeasureReport { kind, outcome }
    }
}
