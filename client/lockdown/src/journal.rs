//! The record of measures in force, on disk before they are applied.
//!
//! One JSON object a line. A line is only acted upon when it is whole: a torn last line was being
//! written when the machine stopped, so the step that it announces had not been taken.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use crate::measure::{MeasureKind, Undo};

/// One step that was about to be taken, or was taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "step", rename_all = "kebab-case")]
pub enum JournalEntry {
    /// The measure is about to be applied.
    Apply {
        /// Counts measures from 0.
        seq: u32,
        /// Which measure.
        measure: MeasureKind,
        /// How it is taken back.
        #[serde(flatten)]
        undo: Undo,
    },
    /// The measure was taken back, or was never applied.
    Reverted {
        /// The number of its `Apply`.
        seq: u32,
    },
}

/// A measure that a process left in force when it died.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// Its number in the journal.
    pub seq: u32,
    /// Which measure.
    pub measure: MeasureKind,
    /// How it is taken back.
    pub undo: Undo,
}

/// Why the journal could not be kept; nothing is applied then.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The file cannot be read or written.
    #[error("the lockdown journal cannot be {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A line in the middle of the file makes no sense.
    #[error("line {line} of the lockdown journal is damaged")]
    Damaged {
        /// Counted from 1.
        line: usize,
        /// What the parser said.
        #[source]
        source: serde_json::Error,
    },
    /// An entry could not be written as JSON.
    #[error("a journal entry cannot be encoded")]
    Encode(#[source] serde_json::Error),
}

/// The journal's file, open for appending.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    file: File,
    next_seq: u32,
}

impl Journal {
    /// Opens the journal at `path`, making it where there is none, and cuts off a torn last line.
    ///
    /// # Errors
    /// Fails where the file cannot be made, read or synced, or is damaged.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let (entries, whole_bytes) = read(path)?;
        let next_seq = entries
            .iter()
            .map(|entry| match entry {
                JournalEntry::Apply { seq, .. } | JournalEntry::Reverted { seq } => {
                    seq.saturating_add(1)
                }
            })
            .max()
            .unwrap_or(0);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .map_err(|source| JournalError::Io {
                doing: "opened",
                source,
            })?;
        // What is appended begins a line of its own.
        let whole = u64::try_from(whole_bytes).unwrap_or(u64::MAX);
        file.set_len(whole)
            .and_then(|()| file.sync_all())
            .map_err(|source| JournalError::Io {
                doing: "cut",
                source,
            })?;
        sync_folder(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            next_seq,
        })
    }

    /// Opens the journal at `path`; a damaged one is set aside first, for it must keep nobody from
    /// locking the machine.
    ///
    /// # Errors
    /// Fails where the file cannot be made, read, moved or synced.
    pub fn open_or_begin(path: &Path) -> Result<Self, JournalError> {
        match Self::open(path) {
            Err(error @ JournalError::Damaged { .. }) => {
                tracing::warn!(%error, "Begins another lockdown journal");
                set_aside(path)?;
                Self::open(path)
            }
            opened => opened,
        }
    }

    /// Writes down that `measure` is about to be applied; returns its number once that is on disk.
    ///
    /// # Errors
    /// Fails where the line is not on disk; the measure must then not be applied.
    pub fn intend(&mut self, measure: MeasureKind, undo: &Undo) -> Result<u32, JournalError> {
        let seq = self.next_seq;
        self.append(&JournalEntry::Apply {
            seq,
            measure,
            undo: undo.clone(),
        })?;
        self.next_seq = seq.saturating_add(1);
        Ok(seq)
    }

    /// Writes down that measure `seq` is no longer in force.
    ///
    /// # Errors
    /// Fails where the line is not on disk.
    pub fn reverted(&mut self, seq: u32) -> Result<(), JournalError> {
        self.append(&JournalEntry::Reverted { seq })
    }

    /// Empties the journal when nothing is in force any more.
    ///
    /// # Errors
    /// Fails where the file cannot be cut or synced.
    pub fn clear_if_settled(&self) -> Result<(), JournalError> {
        if leftovers(&self.path)?.is_empty() {
            self.file
                .set_len(0)
                .and_then(|()| self.file.sync_all())
                .map_err(|source| JournalError::Io {
                    doing: "emptied",
                    source,
                })?;
        }
        Ok(())
    }

    fn append(&mut self, entry: &JournalEntry) -> Result<(), JournalError> {
        let mut line = serde_json::to_vec(entry).map_err(JournalError::Encode)?;
        line.push(b'\n');
        self.file
            .write_all(&line)
            .and_then(|()| self.file.sync_all())
            .map_err(|source| JournalError::Io {
                doing: "written",
                source,
            })
    }
}

/// Moves a damaged journal out of the way, to be looked at.
pub(crate) fn set_aside(path: &Path) -> Result<(), JournalError> {
    let aside = path.with_added_extension("damaged");
    qorgan_files::put(path, &aside).map_err(|source| JournalError::Io {
        doing: "set aside",
        source,
    })
}

/// Returns the measures that are in force by the journal at `path`, oldest first.
///
/// # Errors
/// Fails where the file is there and cannot be read, or is damaged before its last line.
pub(crate) fn leftovers(path: &Path) -> Result<Vec<Leftover>, JournalError> {
    let mut open = Vec::new();
    for entry in read(path)?.0 {
        match entry {
            JournalEntry::Apply { seq, measure, undo } => {
                open.push(Leftover { seq, measure, undo })
            }
            JournalEntry::Reverted { seq } => open.retain(|leftover| leftover.seq != seq),
        }
    }
    Ok(open)
}

/// Returns the entries of the whole lines, and how many bytes those have.
fn read(path: &Path) -> Result<(Vec<JournalEntry>, usize), JournalError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(source) => {
            return Err(JournalError::Io {
                doing: "read",
                source,
            });
        }
    };
    let end = text.rfind('\n').map_or(0, |end| end.saturating_add(1));
    let whole = text.get(..end).unwrap_or_default();
    let entries: Result<_, _> = whole
        .lines()
        .enumerate()
        .map(|(index, line)| {
            serde_json::from_str(line).map_err(|source| JournalError::Damaged {
                line: index.saturating_add(1),
                source,
            })
        })
        .collect();
    Ok((entries?, end))
}

fn sync_folder(path: &Path) -> Result<(), JournalError> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    qorgan_files::sync_folder(folder).map_err(|source| JournalError::Io {
        doing: "made durable",
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLANKING: Undo = Undo::ScreenBlanking {
        timeout_s: 600,
        interval_s: 600,
        prefer_blanking: 1,
        allow_exposures: 1,
    };

    #[test]
    fn what_was_applied_and_not_reverted_is_left_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lockdown.journal");
        let mut journal = Journal::open(&path).expect("opens");
        let first = journal
            .intend(MeasureKind::KeyboardGrab, &Undo::DiesWithProcess)
            .expect("writes");
        journal
            .intend(MeasureKind::DisplayAwake, &BLANKING)
            .expect("writes");
        journal.reverted(first).expect("writes");

        let left = leftovers(&path).expect("reads");

        assert_eq!(
            left,
            vec![Leftover {
                seq: 1,
                measure: MeasureKind::DisplayAwake,
                undo: BLANKING
            }]
        );
    }

    #[test]
    fn a_torn_last_line_is_a_step_that_was_not_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lockdown.journal");
        let mut journal = Journal::open(&path).expect("opens");
        journal
            .intend(MeasureKind::DisplayAwake, &BLANKING)
            .expect("writes");
        let whole = std::fs::read(&path).expect("reads");

        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("writes");
            assert_eq!(leftovers(&path).expect("reads"), vec![], "cut at {cut}");
        }
    }

    #[test]
    fn what_is_written_after_a_torn_line_can_be_read_and_the_machine_locked_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lockdown.journal");
        let mut journal = Journal::open(&path).expect("opens");
        let first = journal
            .intend(MeasureKind::DisplayAwake, &BLANKING)
            .expect("writes");
        journal.reverted(first).expect("writes");
        let whole = std::fs::read(&path).expect("reads");

        for cut in 0..whole.len() {
            std::fs::write(&path, &whole[..cut]).expect("writes");
            let mut journal = Journal::open(&path).expect("opens");
            let seq = journal
                .intend(MeasureKind::KeyboardGrab, &Undo::DiesWithProcess)
                .expect("writes");
            journal.reverted(seq).expect("writes");
            Journal::open(&path).unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        }
    }

    #[test]
    fn damage_before_the_last_line_is_named_by_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lockdown.journal");
        std::fs::write(&path, "{\"step\":\"reverted\",\"seq\":0}\nnonsense\n").expect("writes");

        let error = Journal::open(&path).expect_err("is damaged");

        assert!(
            matches!(error, JournalError::Damaged { line: 2, .. }),
            "{error}"
        );
    }

    #[test]
    fn a_settled_journal_is_emptied_and_an_unsettled_one_is_kept() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lockdown.journal");
        let mut journal = Journal::open(&path).expect("opens");
        let seq = journal
            .intend(MeasureKind::DisplayAwake, &BLANKING)
            .expect("writes");

        journal.clear_if_settled().expect("keeps");
        assert_eq!(leftovers(&path).expect("reads").len(), 1);

        journal.reverted(seq).expect("writes");
        journal.clear_if_settled().expect("empties");
        assert_eq!(std::fs::read(&path).expect("reads"), b"");
    }
}
