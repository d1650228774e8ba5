//! Applies measures in order and takes them back in the reverse order.

use std::path::{Path, PathBuf};

use crate::{
    journal::{Journal, JournalError, leftovers, set_aside},
    measure::{Measure, MeasureKind, MeasureOutcome, MeasureReport, Undo},
    platform,
};

/// The measures in force, with the journal that can undo them after a crash.
#[derive(Debug)]
pub struct Lockdown {
    journal: Journal,
    in_force: Vec<InForce>,
    /// Everything was taken back and told to whoever asked for it.
    is_released: bool,
}

#[derive(Debug)]
struct InForce {
    seq: u32,
    undo: Undo,
    measure: Box<dyn Measure>,
}

impl Lockdown {
    /// Applies `measures` in their order, each journalled first.
    ///
    /// A measure that fails is reported and the rest goes on: whether an exam may begin without it
    /// is the server's decision, which gets the reports.
    ///
    /// # Errors
    /// Fails where the journal cannot be kept; what was applied by then is taken back.
    pub fn engage(
        journal_path: &Path,
        measures: Vec<Box<dyn Measure>>,
    ) -> Result<(Self, Vec<MeasureReport>), JournalError> {
        let mut lockdown = Self {
            journal: Journal::open_or_begin(journal_path)?,
            in_force: Vec::new(),
            is_released: false,
        };
        let mut reports = Vec::new();
        for measure in measures {
            let kind = measure.kind();
            // Where the journal fails, `drop` takes back what was applied by then.
            let outcome = lockdown.engage_one(measure)?;
            reports.push(MeasureReport { kind, outcome });
        }
        Ok((lockdown, reports))
    }

    /// Applies again what something outside has loosened; returns what had to be renewed or failed.
    pub fn renew(&mut self) -> Vec<MeasureReport> {
        let mut reports = Vec::new();
        for entry in &mut self.in_force {
            let outcome = match entry.measure.renew() {
                Ok(false) => continue,
                Ok(true) => MeasureOutcome::Applied,
                Err(error) => MeasureOutcome::Failed(error),
            };
            reports.push(MeasureReport {
                kind: entry.measure.kind(),
                outcome,
            });
        }
        reports
    }

    /// Takes every measure back, newest first; whoever calls hears what failed, and nobody else.
    #[must_use]
    pub fn release(mut self) -> Vec<MeasureReport> {
        self.is_released = true;
        self.take_back()
    }

    /// Returns the measures in force, in the order of their application.
    #[must_use]
    pub fn in_force(&self) -> Vec<MeasureKind> {
        self.in_force
            .iter()
            .map(|entry| entry.measure.kind())
            .collect()
    }

    fn engage_one(
        &mut self,
        mut measure: Box<dyn Measure>,
    ) -> Result<MeasureOutcome, JournalError> {
        let undo = match measure.survey() {
            Ok(undo) => undo,
            Err(error) => return Ok(MeasureOutcome::Failed(error)),
        };
        let seq = self.journal.intend(measure.kind(), &undo)?;
        match measure.apply() {
            Ok(()) => {
                self.in_force.push(InForce { seq, undo, measure });
                Ok(MeasureOutcome::Applied)
            }
            Err(error) => {
                self.journal.reverted(seq)?;
                Ok(MeasureOutcome::Failed(error))
            }
        }
    }

    fn take_back(&mut self) -> Vec<MeasureReport> {
        let mut reports = Vec::new();
        while let Some(mut entry) = self.in_force.pop() {
            let kind = entry.measure.kind();
            let outcome = match entry.measure.revert(&entry.undo) {
                Ok(()) => {
                    self.note_reverted(entry.seq);
                    MeasureOutcome::Reverted
                }
                Err(error) => MeasureOutcome::Failed(error),
            };
            reports.push(MeasureReport { kind, outcome });
        }
        if let Err(error) = self.journal.clear_if_settled() {
            tracing::warn!(%error, "Kept a settled lockdown journal");
        }
        reports
    }

    /// A line that cannot be written only means that the next start reverts once more, which is safe.
    fn note_reverted(&mut self, seq: u32) {
        if let Err(error) = self.journal.reverted(seq) {
            tracing::warn!(%error, seq, "Could not note a reverted measure");
        }
    }
}

/// Takes back what nobody released, as on the way out of a panic; here alone it is logged.
impl Drop for Lockdown {
    fn drop(&mut self) {
        if self.is_released {
            return;
        }
        for report in self.take_back() {
            let measure = report.kind.name();
            match report.outcome {
                MeasureOutcome::Failed(error) => {
                    tracing::warn!(%error, measure, "Could not revert a measure on the way out");
                }
                MeasureOutcome::Applied | MeasureOutcome::Reverted => {
                    tracing::debug!(measure, "Reverted a measure on the way out");
                }
            }
        }
    }
}

/// Takes back, newest first, what a process that died left in force. A damaged journal tells of
/// nothing, and is set aside.
///
/// # Errors
/// Fails where the journal cannot be read or written, or is damaged.
pub fn revert_leftovers(journal_path: &Path) -> Result<Vec<MeasureReport>, JournalError> {
    revert_leftovers_with(journal_path, platform::revert_leftover)
}

fn revert_leftovers_with(
    journal_path: &Path,
    revert: fn(MeasureKind, &Undo) -> Result<(), crate::measure::MeasureError>,
) -> Result<Vec<MeasureReport>, JournalError> {
    let path: PathBuf = journal_path.to_owned();
    let mut left = match leftovers(&path) {
        Err(error @ JournalError::Damaged { .. }) => {
            set_aside(&path)?;
            return Err(error);
        }
        left => left?,
    };
    if left.is_empty() {
        return Ok(Vec::new());
    }
    let mut journal = Journal::open(&path)?;
    let mut reports = Vec::new();
    while let Some(leftover) = left.pop() {
        let outcome = match revert(leftover.measure, &leftover.undo) {
            Ok(()) => {
                journal.reverted(leftover.seq)?;
                MeasureOutcome::Reverted
            }
            Err(error) => MeasureOutcome::Failed(error),
        };
        reports.push(MeasureReport {
            kind: leftover.measure,
            outcome,
        });
    }
    journal.clear_if_settled()?;
    Ok(reports)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{fake::FakeMeasure, measure::MeasureError};

    #[test]
    fn measures_are_taken_back_in_the_reverse_order() {
        let (folder, log) = setup();
        let measures = vec![
            FakeMeasure::boxed(MeasureKind::FullscreenOnTop, &log),
            FakeMeasure::boxed(MeasureKind::KeyboardGrab, &log),
            FakeMeasure::boxed(MeasureKind::DisplayAwake, &log),
        ];

        let (lockdown, reports) =
            Lockdown::engage(&folder.path().join("journal"), measures).expect("engages");
        assert!(
            reports
                .iter()
                .all(|report| report.outcome == MeasureOutcome::Applied)
        );
        assert_eq!(lockdown.release().len(), 3);

        assert_eq!(
            *log.lock().expect("no panic holds it"),
            [
                "apply fullscreen-on-top",
                "apply keyboard-grab",
                "apply display-awake",
                "revert display-awake",
                "revert keyboard-grab",
                "revert fullscreen-on-top",
            ]
        );
    }

    #[test]
    fn the_journal_is_written_before_the_measure_is_applied() {
        let (folder, log) = setup();
        let path = folder.path().join("journal");
        let measure =
            FakeMeasure::new(MeasureKind::DisplayAwake, &log).checking_journal(path.clone());

        let (lockdown, _) = Lockdown::engage(&path, vec![Box::new(measure)]).expect("engages");

        assert_eq!(
            log.lock()
                .expect("no panic holds it")
                .first()
                .map(String::as_str),
            Some("journal holds display-awake")
        );
        drop(lockdown);
    }

    #[test]
    fn a_measure_that_fails_is_reported_and_the_rest_goes_on() {
        let (folder, log) = setup();
        let measures = vec![
            FakeMeasure::new(MeasureKind::KeyboardGrab, &log).failing_boxed(),
            FakeMeasure::boxed(MeasureKind::DisplayAwake, &log),
        ];

        let (lockdown, reports) =
            Lockdown::engage(&folder.path().join("journal"), measures).expect("engages");

        assert!(matches!(
            reports[0].outcome,
            MeasureOutcome::Failed(MeasureError::Refused { .. })
        ));
        assert_eq!(lockdown.in_force(), [MeasureKind::DisplayAwake]);
    }

    #[test]
    fn a_journal_that_cannot_be_emptied_is_told_of_once() {
        let (folder, log) = setup();
        let path = folder.path().join("journal");
        let measures = vec![FakeMeasure::boxed(MeasureKind::DisplayAwake, &log)];
        let (lockdown, _) = Lockdown::engage(&path, measures).expect("engages");
        std::fs::remove_file(&path).expect("removed");
        std::fs::create_dir(&path).expect("nothing can be read from it");

        let told = Told::of(|| assert_eq!(lockdown.release().len(), 1));

        assert_eq!(told, ["WARN Kept a settled lockdown journal"]);
    }

    #[test]
    fn what_cannot_be_taken_back_is_logged_where_nobody_released() {
        let (folder, _) = setup();
        let path = folder.path().join("journal");
        let (first, _) = Lockdown::engage(&path, vec![Box::new(Stuck)]).expect("engages");
        let (second, _) = Lockdown::engage(&path, vec![Box::new(Stuck)]).expect("engages");

        let dropped = Told::of(|| drop(first));
        let released = Told::of(|| {
            let reports = second.release();
            assert!(matches!(reports[0].outcome, MeasureOutcome::Failed(_)));
        });

        assert_eq!(dropped, ["WARN Could not revert a measure on the way out"]);
        assert_eq!(released, [""; 0], "whoever releases is told");
    }

    /// A measure that stays.
    #[derive(Debug)]
    struct Stuck;

    impl Measure for Stuck {
        fn kind(&self) -> MeasureKind {
            MeasureKind::DisplayAwake
        }

        fn survey(&mut self) -> Result<Undo, MeasureError> {
            Ok(Undo::DiesWithProcess)
        }

        fn apply(&mut self) -> Result<(), MeasureError> {
            Ok(())
        }

        fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
            Err(MeasureError::NotAvailable { reason: "test" })
        }
    }

    /// What is logged, level and words.
    #[derive(Debug, Default)]
    struct Told(Arc<Mutex<Vec<String>>>);

    impl Told {
        fn of(done: impl FnOnce()) -> Vec<String> {
            let told = Self::default();
            let lines = Arc::clone(&told.0);
            tracing::subscriber::with_default(told, done);
            lines.lock().expect("no panic holds it").clone()
        }
    }

    impl tracing::Subscriber for Told {
        fn enabled(&self, _metadata: &tracing::Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _span: &tracing::span::Attributes<'_>) -> tracing::span::Id {
            tracing::span::Id::from_u64(1)
        }

        fn record(&self, _span: &tracing::span::Id, _values: &tracing::span::Record<'_>) {}

        fn record_follows_from(&self, _span: &tracing::span::Id, _of: &tracing::span::Id) {}

        fn event(&self, event: &tracing::Event<'_>) {
            let mut line = event.metadata().level().to_string();
            event.record(
                &mut |field: &tracing::field::Field, value: &dyn std::fmt::Debug| {
                    if field.name() == "message" {
                        line.push_str(&format!(" {value:?}"));
                    }
                },
            );
            self.0.lock().expect("no panic holds it").push(line);
        }

        fn enter(&self, _span: &tracing::span::Id) {}

        fn exit(&self, _span: &tracing::span::Id) {}
    }

    #[test]
    fn what_a_dead_process_left_is_reverted_newest_first() {
        let (folder, _) = setup();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).expect("opens");
        journal
            .intend(MeasureKind::KeyboardGrab, &Undo::DiesWithProcess)
            .expect("writes");
        journal
            .intend(MeasureKind::DisplayAwake, &Undo::DiesWithProcess)
            .expect("writes");
        drop(journal);

        let reports = revert_leftovers_with(&path, |_, _| Ok(())).expect("reverts");

        let order: Vec<_> = reports.iter().map(|report| report.kind).collect();
        assert_eq!(
            order,
            [MeasureKind::DisplayAwake, MeasureKind::KeyboardGrab]
        );
        assert_eq!(
            revert_leftovers_with(&path, |_, _| Ok(())).expect("reads"),
            vec![]
        );
    }

    #[test]
    fn a_leftover_that_cannot_be_reverted_stays_in_the_journal() {
        let (folder, _) = setup();
        let path = folder.path().join("journal");
        let mut journal = Journal::open(&path).expect("opens");
        journal
            .intend(MeasureKind::DisplayAwake, &Undo::DiesWithProcess)
            .expect("writes");
        drop(journal);

        revert_leftovers_with(&path, |_, _| {
            Err(MeasureError::NotAvailable { reason: "test" })
        })
        .expect("reads");

        assert_eq!(leftovers(&path).expect("reads").len(), 1);
    }

    #[test]
    fn a_damaged_journal_is_told_once_and_keeps_nobody_from_locking_the_machine() {
        let (folder, log) = setup();
        let path = folder.path().join("journal");
        let measures = || vec![FakeMeasure::boxed(MeasureKind::KeyboardGrab, &log)];
        std::fs::write(&path, "nonsense\n").expect("writes");

        revert_leftovers_with(&path, |_, _| Ok(())).expect_err("is damaged");
        assert_eq!(
            revert_leftovers_with(&path, |_, _| Ok(())).expect("reads"),
            vec![]
        );
        // As by another program, after the start.
        std::fs::write(&path, "nonsense\n").expect("writes");
        let (lockdown, _) = Lockdown::engage(&path, measures()).expect("engages");

        assert_eq!(lockdown.in_force(), [MeasureKind::KeyboardGrab]);
    }

    fn setup() -> (tempfile::TempDir, Arc<Mutex<Vec<String>>>) {
        (tempfile::tempdir().expect("a folder"), Arc::default())
    }
}
