//! The response journal on disk: sealed, append-only, synced before anything is shown as saved.
//!
//! `ATTEMPT.eN.log` holds the entries, each sealed for its place attempt ‖ epoch ‖ seq;
//! `ATTEMPT.eN.submit` the submission, `ATTEMPT.eN.place` the open question (a number, no content).

use std::{
    collections::VecDeque,
    fs::{File, OpenOptions},
    io::{self, Write as _},
    ops::RangeInclusive,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
};

use qorgan_client_core::event::{Event, JournalNews};
use qorgan_protocol::{
    assessment::{ResponseEntry, ResponseSeq},
    codec::{self, CodecError},
    ids::{AttemptId, Epoch},
    sealed_log::{self, End},
};
use qorgan_signing::{SealError, SecretKey};

use super::Bell;

/// Why the journal cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk refused.
    #[error("the response journal cannot be {doing}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// What lies at a byte of the file is no record: it was changed, or is under another key.
    #[error("the response journal is damaged at byte {at}")]
    Damaged {
        /// The byte at which the record begins.
        at: usize,
    },
    /// An entry cannot be sealed.
    #[error("a response cannot be sealed")]
    Seal(#[source] SealError),
    /// An entry is no canonical one.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// An entry is longer than a record may be.
    #[error("a response is too long for the journal")]
    TooLong,
    /// The disk has refused for so long that no more entries wait for it.
    #[error("too many responses wait for the disk")]
    Full,
}

/// The journal of one attempt and epoch. Each record is read by its place in the chain, so that one
/// that the disk refused is written before those that follow it.
#[derive(Debug)]
pub struct JournalFile {
    file: File,
    /// The length of the file up to the end of the last whole record.
    whole: u64,
    /// What the disk refused, oldest first.
    refused: VecDeque<ResponseEntry>,
    key: SecretKey,
    place: Place,
    base: PathBuf,
}

/// Whose journal it is: what its records are sealed for.
#[derive(Debug, Clone, Copy)]
struct Place {
    attempt: AttemptId,
    epoch: Epoch,
}

impl JournalFile {
    /// Opens the journal in `folder`, cuts off a torn end, and returns what it holds.
    ///
    /// # Errors
    /// Where the disk refuses, or a whole record is damaged or under another key.
    pub fn open(
        folder: &Path,
        attempt: AttemptId,
        epoch: Epoch,
        key: SecretKey,
    ) -> Result<(Self, JournalNews), JournalError> {
        std::fs::create_dir_all(folder).map_err(io_error("made"))?;
        let base = folder.join(format!("{attempt}.{epoch}"));
        let path = base.with_added_extension("log");
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(source) => {
                return Err(JournalError::Io {
                    doing: "read",
                    source,
                });
            }
        };
        let place = Place { attempt, epoch };
        let (entries, whole_bytes) = read_entries(&bytes, &key, place)?;
        let whole = u64::try_from(whole_bytes).unwrap_or(u64::MAX);
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(io_error("opened"))?;
        file.set_len(whole)
            .and_then(|()| file.sync_all())
            .map_err(io_error("cut"))?;
        qorgan_files::sync_folder(folder).map_err(io_error("made durable"))?;
        let journal = Self {
            file,
            whole,
            refused: VecDeque::new(),
            key,
            place,
            base,
        };
        let news = JournalNews::Replayed {
            entries,
            submitted: journal.submission(),
            place: journal.open_question(),
        };
        Ok((journal, news))
    }

    /// Writes an entry, after those that the disk refused before; all are on disk when this returns.
    ///
    /// # Errors
    /// Where the disk refuses; the file then ends where it did before, and the entry is written before
    /// the next one.
    pub fn append(&mut self, entry: &ResponseEntry) -> Result<(), JournalError> {
        if self.refused.len() >= REFUSED_MAX {
            return Err(JournalError::Full);
        }
        self.refused.push_back(entry.clone());
        while let Some(oldest) = self.refused.pop_front() {
            if let Err(error) = self.write(&oldest) {
                self.refused.push_front(oldest);
                return Err(error);
            }
        }
        Ok(())
    }

    fn write(&mut self, entry: &ResponseEntry) -> Result<(), JournalError> {
        let plain = codec::encode("response entry", entry)?;
        let sealed = self
            .key
            .seal(&self.place.of(entry.seq), &plain)
            .map_err(JournalError::Seal)?;
        let framed =
            sealed_log::frame(&sealed, *SEALED_BYTES.end()).ok_or(JournalError::TooLong)?;
        // What was written by halves, and could not be cut off then.
        self.file.set_len(self.whole).map_err(io_error("cut"))?;
        let written = self
            .file
            .write_all(&framed)
            .and_then(|()| self.file.sync_data());
        if let Err(source) = written {
            if let Err(error) = self.file.set_len(self.whole) {
                tracing::warn!(%error, "Could not cut a half-written response");
            }
            return Err(JournalError::Io {
                doing: "written",
                source,
            });
        }
        let bytes = u64::try_from(framed.len()).unwrap_or(u64::MAX);
        self.whole = self.whole.saturating_add(bytes);
        Ok(())
    }

    /// Writes that everything before `next` is submitted; it is on disk when this returns.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn keep_submission(&self, next: ResponseSeq) -> Result<(), JournalError> {
        let sealed = self
            .key
            .seal(&self.place.of_submission(), &next.0.to_be_bytes())
            .map_err(JournalError::Seal)?;
        qorgan_files::replace(&self.base.with_added_extension("submit"), &sealed)
            .map_err(io_error("written"))
    }

    /// Remembers which question is open.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub fn remember(&self, place: u16) -> Result<(), JournalError> {
        qorgan_files::replace(
            &self.base.with_added_extension("place"),
            place.to_string().as_bytes(),
        )
        .map_err(io_error("written"))
    }

    fn submission(&self) -> Option<ResponseSeq> {
        let sealed = std::fs::read(self.base.with_added_extension("submit")).ok()?;
        let plain = self.key.open(&self.place.of_submission(), &sealed).ok()?;
        Some(ResponseSeq(u64::from_be_bytes(plain.try_into().ok()?)))
    }

    fn open_question(&self) -> Option<u16> {
        std::fs::read_to_string(self.base.with_added_extension("place"))
            .ok()?
            .trim()
            .parse()
            .ok()
    }
}

impl Place {
    fn of(self, seq: ResponseSeq) -> Vec<u8> {
        let mut place = self.begin();
        place.extend(seq.0.to_be_bytes());
        place
    }

    fn of_submission(self) -> Vec<u8> {
        let mut place = self.begin();
        place.extend(b"submission");
        place
    }

    fn begin(self) -> Vec<u8> {
        let mut place = self.attempt.as_bytes().to_vec();
        place.extend(self.epoch.0.to_be_bytes());
        place
    }
}

/// Returns the entries of a journal's file, and the length of the file up to a torn end.
fn read_entries(
    file: &[u8],
    key: &SecretKey,
    place: Place,
) -> Result<(Vec<ResponseEntry>, usize), JournalError> {
    // A journal that began after a lost one begins at the server's place, so the first record
    // says where; the chain is checked by the core.
    let mut next = None;
    let read = sealed_log::read(file, &SEALED_BYTES, |_at, sealed| {
        let seqs = next.map_or(0..FIRST_SEQ_MAX, |next: u64| next..next.saturating_add(1));
        let (seq, plain) = seqs
            .map(|seq| (seq, key.open(&place.of(ResponseSeq(seq)), sealed)))
            .find_map(|(seq, opened)| Some((seq, opened.ok()?)))?;
        next = Some(seq.saturating_add(1));
        codec::decode::<ResponseEntry>("response entry", &plain).ok()
    });
    let at = read.whole_bytes;
    // Each entry was synced before the next one: behind a torn one there is nothing.
    let rest = file.get(at..).unwrap_or_default();
    let torn = match read.end {
        End::Whole => true,
        End::Torn => sealed_log::is_last(rest, &SEALED_BYTES),
        End::Changed => false,
    };
    torn.then_some((read.records, at))
        .ok_or(JournalError::Damaged { at })
}

/// Writes the journal on a thread of its own.
#[derive(Debug)]
pub(super) struct JournalThread {
    folder: PathBuf,
    jobs: SyncSender<Job>,
}

enum Job {
    Open(AttemptId, Epoch, Box<SecretKey>),
    Append(ResponseEntry),
    KeepSubmission(ResponseSeq),
    Remember(u16),
}

impl JournalThread {
    /// Starts the thread.
    pub(super) fn start(folder: PathBuf, bell: Bell) -> io::Result<Self> {
        let (jobs, receiver) = sync_channel(JOBS_MAX);
        let place = folder.clone();
        std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(&place, &receiver, &bell))?;
        Ok(Self { folder, jobs })
    }

    /// Returns where the journals lie.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Opens a journal.
    pub(super) fn open(&self, attempt: AttemptId, epoch: Epoch, key: [u8; 32]) {
        self.send(Job::Open(attempt, epoch, Box::new(SecretKey::new(key))));
    }

    /// Writes an entry.
    pub(super) fn append(&self, entry: ResponseEntry) {
        self.send(Job::Append(entry));
    }

    /// Writes the submission.
    pub(super) fn keep_submission(&self, next: ResponseSeq) {
        self.send(Job::KeepSubmission(next));
    }

    /// Remembers the open question.
    pub(super) fn remember(&self, place: u16) {
        self.send(Job::Remember(place));
    }

    fn send(&self, job: Job) {
        if self.jobs.send(job).is_err() {
            tracing::error!("The journal's thread is gone");
        }
    }
}

fn run(folder: &Path, jobs: &Receiver<Job>, bell: &Bell) {
    let mut journal: Option<JournalFile> = None;
    for job in jobs {
        let news = match work(folder, &mut journal, job) {
            Ok(news) => news,
            Err(error) => {
                tracing::error!(%error, "Could not keep the response journal");
                Some(JournalNews::Failed)
            }
        };
        if let Some(news) = news {
            bell.ring(Event::Journal(news));
        }
    }
}

fn work(
    folder: &Path,
    journal: &mut Option<JournalFile>,
    job: Job,
) -> Result<Option<JournalNews>, JournalError> {
    let closed = || JournalError::Io {
        doing: "written",
        source: io::ErrorKind::NotConnected.into(),
    };
    match (job, journal.as_mut()) {
        (Job::Open(attempt, epoch, key), _) => {
            let (opened, news) = JournalFile::open(folder, attempt, epoch, *key)?;
            *journal = Some(opened);
            Ok(Some(news))
        }
        (Job::Append(entry), Some(journal)) => {
            journal.append(&entry)?;
            Ok(Some(JournalNews::Saved(entry.seq)))
        }
        (Job::KeepSubmission(next), Some(journal)) => {
            journal.keep_submission(next)?;
            Ok(Some(JournalNews::SubmissionKept))
        }
        (Job::Remember(place), Some(journal)) => journal.remember(place).map(|()| None),
        (Job::Append(_) | Job::KeepSubmission(_) | Job::Remember(_), None) => Err(closed()),
    }
}

fn io_error(doing: &'static str) -> impl Fn(io::Error) -> JournalError {
    move |source| JournalError::Io { doing, source }
}

/// Entries that wait for the disk; more make the window wait, which a slow disk must show.
const JOBS_MAX: usize = 256;
/// Entries that the disk refused and that wait for it; an exam has far fewer.
const REFUSED_MAX: usize = 4_096;
/// A journal that was begun after a lost one starts below this place.
const FIRST_SEQ_MAX: u64 = 20_000;
/// The sealed bytes that a record may have; an entry has far fewer, so more means damage.
const SEALED_BYTES: RangeInclusive<usize> = SecretKey::OVERHEAD_BYTES..=64 * 1024;

#[cfg(test)]
mod tests {
    use qorgan_protocol::{
        assessment::Response,
        crypto::Sha256,
        ids::ItemId,
        time::{Now, WallTime},
    };

    use super::*;

    #[test]
    fn what_was_written_reads_back_and_a_cut_end_loses_only_itself() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        for seq in 0..3 {
            journal.append(&entry(seq)).expect("writes");
        }
        journal.remember(7).expect("writes");
        let path = journal.base.with_added_extension("log");
        let whole = std::fs::read(&path).expect("reads");

        for cut in (0..=whole.len()).rev() {
            std::fs::write(&path, &whole[..cut]).expect("cuts");
            let (_, news) = open(folder.path(), 1).expect("opens");
            let JournalNews::Replayed { entries, place, .. } = news else {
                panic!("{news:?}")
            };
            let expected: Vec<ResponseEntry> = (0..3)
                .filter(|seq| cut >= whole.len() / 3 * usize::try_from(seq + 1).expect("small"))
                .map(entry)
                .collect();
            assert_eq!(entries, expected, "cut at {cut}");
            assert_eq!(place, Some(7));
        }
    }

    #[test]
    fn what_the_disk_refused_is_written_before_what_follows_and_nothing_saved_is_lost() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        journal.append(&entry(0)).expect("writes");
        let path = journal.base.with_added_extension("log");
        let writable = std::mem::replace(&mut journal.file, File::open(&path).expect("opens"));
        for seq in 1..3 {
            journal.append(&entry(seq)).expect_err("the disk refuses");
        }
        journal.file = writable;
        journal.append(&entry(3)).expect("writes");

        let (_, news) = open(folder.path(), 1).expect("opens");
        let JournalNews::Replayed { entries, .. } = news else {
            panic!("{news:?}")
        };
        assert_eq!(entries, (0..4).map(entry).collect::<Vec<_>>());
    }

    #[test]
    fn a_half_of_a_record_that_could_not_be_cut_off_is_cut_off_before_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        journal.append(&entry(0)).expect("writes");
        (&journal.file).write_all(b"half").expect("writes");
        journal.append(&entry(1)).expect("writes");

        let (_, news) = open(folder.path(), 1).expect("opens");
        let JournalNews::Replayed { entries, .. } = news else {
            panic!("{news:?}")
        };
        assert_eq!(entries, [entry(0), entry(1)]);
    }

    #[test]
    fn every_flipped_byte_and_another_key_are_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        journal.append(&entry(0)).expect("writes");
        let path = journal.base.with_added_extension("log");
        let whole = std::fs::read(&path).expect("reads");

        assert!(open(folder.path(), 2).is_err(), "another key");
        for at in 4..whole.len() {
            let mut bad = whole.clone();
            bad[at] ^= 1;
            std::fs::write(&path, &bad).expect("writes");
            assert!(open(folder.path(), 1).is_err(), "byte {at}");
        }
    }

    #[test]
    fn zeros_that_a_power_cut_left_behind_the_last_saved_entry_lose_none() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        journal.append(&entry(0)).expect("writes");
        let path = journal.base.with_added_extension("log");
        let one = std::fs::read(&path).expect("reads").len();
        for seq in 1..12 {
            journal.append(&entry(seq)).expect("writes");
        }
        let whole = std::fs::read(&path).expect("reads");

        // The length was written and the bytes were not, from any sector on.
        for from in (0..whole.len()).step_by(512) {
            let saved = from / one;
            let mut torn = whole[..(saved + 1) * one].to_vec();
            torn[from..].fill(0);
            for more in [0, 4_096] {
                torn.resize(torn.len() + more, 0);
                std::fs::write(&path, &torn).expect("writes");
                let (_, news) = open(folder.path(), 1).expect("opens");
                let JournalNews::Replayed { entries, .. } = news else {
                    panic!("{news:?}")
                };
                assert_eq!(entries.len(), saved, "zeros from {from}");
                let left = std::fs::metadata(&path).expect("there").len();
                assert_eq!(left, u64::try_from(saved * one).expect("small"), "cut off");
            }
        }

        // A saved entry stands behind the zeros: this is damage, and nothing is cut off.
        let mut bad = whole;
        bad[512..1_024].fill(0);
        std::fs::write(&path, &bad).expect("writes");
        let opened = open(folder.path(), 1);
        assert!(
            matches!(opened, Err(JournalError::Damaged { .. })),
            "{opened:?}"
        );
        assert_eq!(std::fs::read(&path).expect("reads"), bad);
    }

    #[test]
    fn a_journal_of_an_earlier_version_opens() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = open(folder.path(), 1).expect("opens");
        let path = journal.base.with_added_extension("log");
        std::fs::write(&path, include_bytes!("data/earlier.log")).expect("writes");
        let (_, news) = open(folder.path(), 1).expect("opens");
        let JournalNews::Replayed { entries, .. } = news else {
            panic!("{news:?}")
        };
        assert_eq!(entries, [entry(0), entry(1)]);
    }

    #[test]
    fn no_word_of_a_response_can_be_read_on_the_disk() {
        let folder = tempfile::tempdir().expect("a folder");
        let (mut journal, _) = open(folder.path(), 1).expect("opens");
        journal.append(&entry(0)).expect("writes");
        let bytes = std::fs::read(journal.base.with_added_extension("log")).expect("reads");
        assert!(!bytes.windows(6).any(|window| window == b"choice"));
    }

    #[test]
    fn a_submission_that_was_kept_is_there_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let (journal, _) = open(folder.path(), 1).expect("opens");
        journal.keep_submission(ResponseSeq(9)).expect("writes");
        let (_, news) = open(folder.path(), 1).expect("opens");
        assert!(matches!(
            news,
            JournalNews::Replayed {
                submitted: Some(ResponseSeq(9)),
                ..
            }
        ));
    }

    fn open(folder: &Path, key: u8) -> Result<(JournalFile, JournalNews), JournalError> {
        let attempt = AttemptId::new(WallTime::from_unix_ms(1), [1; 10]);
        JournalFile::open(folder, attempt, Epoch::FIRST, SecretKey::new([key; 32]))
    }

    fn entry(seq: u64) -> ResponseEntry {
        ResponseEntry {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            seq: ResponseSeq(seq),
            item: ItemId::new(WallTime::from_unix_ms(1), [2; 10]),
            response: Response::choices(vec!["choice".to_owned()]),
            flagged: false,
            at: Now::default(),
            lease_left_ms: 0,
            previous: Sha256::ZERO,
        }
    }
}
