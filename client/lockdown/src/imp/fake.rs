//! Measures that only write down what was asked of them, for tests.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    journal::leftovers,
    measure::{Measure, MeasureError, MeasureKind, Undo},
};

/// A measure that changes nothing but a log.
#[derive(Debug)]
pub struct FakeMeasure {
    kind: MeasureKind,
    log: Arc<Mutex<Vec<String>>>,
    refuses: bool,
    journal: Option<PathBuf>,
}

impl FakeMeasure {
    /// Makes a measure that writes to `log`.
    #[must_use]
    pub fn new(kind: MeasureKind, log: &Arc<Mutex<Vec<String>>>) -> Self {
        Self {
            kind,
            log: Arc::clone(log),
            refuses: false,
            journal: None,
        }
    }

    /// Makes a boxed measure that writes to `log`.
    #[must_use]
    pub fn boxed(kind: MeasureKind, log: &Arc<Mutex<Vec<String>>>) -> Box<dyn Measure> {
        Box::new(Self::new(kind, log))
    }

    /// Makes the measure refuse to be applied.
    #[must_use]
    pub fn failing_boxed(mut self) -> Box<dyn Measure> {
        self.refuses = true;
        Box::new(self)
    }

    /// Makes the measure look, when it is applied, whether the journal has it already.
    #[must_use]
    pub fn checking_journal(mut self, journal: PathBuf) -> Self {
        self.journal = Some(journal);
        self
    }

    fn write(&self, line: String) {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}

impl Measure for FakeMeasure {
    fn kind(&self) -> MeasureKind {
        self.kind
    }

    fn survey(&mut self) -> Result<Undo, MeasureError> {
        Ok(Undo::DiesWithProcess)
    }

    fn apply(&mut self) -> Result<(), MeasureError> {
        if self.refuses {
            return Err(MeasureError::Refused {
                reason: "told to".to_owned(),
            });
        }
        if let Some(journal) = &self.journal {
            let left = leftovers(journal).map_err(|error| MeasureError::Refused {
                reason: error.to_string(),
            })?;
            for leftover in left {
                self.write(format!("journal holds {}", leftover.measure.name()));
            }
        }
        self.write(format!("apply {}", self.kind.name()));
        Ok(())
    }

    fn revert(&mut self, _undo: &Undo) -> Result<(), MeasureError> {
        self.write(format!("revert {}", self.kind.name()));
        Ok(())
    }
}
