//! The one thread that writes: it gathers what every agent sent, writes, syncs once, and only then
//! tells that it is on disk.
//!
//! # Invariants
//! * A beat is written after every chunk of its recording that came before it, and not at all where
//!   one of those could not be stored.
//! * A file whose write or sync failed is cut to what was synced before, and takes nothing until that
//!   is done: what was not told as stored is sent again.
//! * At most [`OPEN_FILES_MAX`] files stay open, and fewer where the system refuses more.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkSeq, StreamId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::disk::Part;
use super::files::Files;
use super::{OpenRecording, RecordingError};

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// Append a record.
    Write(Write),
    /// Say when everything before is on disk.
    Flush(oneshot::Sender<()>),
    /// Take back what failed half-way in a folder's files, and tell whether that could be done.
    Mend(PathBuf, oneshot::Sender<bool>),
    /// Close the files below a folder.
    Forget(PathBuf),
}

/// A record on its way to disk.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) recording: Arc<OpenRecording>,
    /// The link that sent it; an older one's records are dropped, for they come again.
    pub(super) generation: u64,
    pub(super) part: Part,
    pub(super) bytes: Vec<u8>,
    pub(super) moves: Moves,
    /// Gives its bytes back to the bounds when it is written.
    pub(super) _permits: [OwnedSemaphorePermit; 2],
}

/// What a record moves once it is on disk.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moves {
    Stream(StreamId, ChunkSeq, Sha256),
    Beats(u64, Sha256),
}

/// The records of one file in one commit.
type Batch = (PathBuf, Vec<Write>);

/// A file that is kept open.
#[derive(Debug)]
struct Open {
    file: Arc<File>,
    /// How much of it is synced.
    synced: u64,
    /// How much was appended since.
    fresh: u64,
    used: u64,
}

/// The writing thread.
#[derive(Debug)]
pub(super) struct Writer {
    root: PathBuf,
    files: Arc<dyn Files>,
    open: BTreeMap<PathBuf, Open>,
    /// Files that are to be cut to what was synced before they take more.
    broken: BTreeMap<PathBuf, u64>,
    commits: u64,
}

impl Writer {
    pub(super) fn new(root: &Path, files: Arc<dyn Files>) -> Self {
        Self {
            root: root.to_path_buf(),
            files,
            open: BTreeMap::new(),
            broken: BTreeMap::new(),
            commits: 0,
        }
    }

    /// Runs until every sender is gone.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        while let Some(first) = jobs.blocking_recv() {
            let began = Instant::now();
            let mut batch = vec![first];
            while let Ok(job) = jobs.try_recv() {
                batch.push(job);
                if batch.len() >= BATCH_JOBS_MAX {
                    break;
                }
            }
            let urgent = batch.iter().any(|job| match job {
                Job::Flush(_) | Job::Mend(..) => true,
                Job::Write(_) | Job::Forget(_) => false,
            });
            self.commit(batch);
            if !urgent {
                std::thread::sleep(COMMIT_GAP.saturating_sub(began.elapsed()));
            }
        }
    }

    fn commit(&mut self, batch: Vec<Job>) {
        self.commits += 1;
        let (mut streams, mut beats) = (BTreeMap::new(), BTreeMap::new());
        let (mut waiting, mut mending, mut forgotten) = (Vec::new(), Vec::new(), Vec::new());
        for job in batch {
            match job {
                Job::Write(write) => {
                    let path = write.recording.folder.join(write.part.file_name());
                    let files: &mut BTreeMap<PathBuf, Vec<Write>> = match write.part {
                        Part::Stream(_) => &mut streams,
                        Part::Beats => &mut beats,
                    };
                    if is_current(&write) {
                        files.entry(path).or_default().push(write);
                    }
                }
                Job::Flush(done) => waiting.push(done),
                Job::Mend(folder, done) => mending.push((folder, done)),
                Job::Forget(folder) => forgotten.push(folder),
            }
        }
        self.store(streams.into_iter().chain(beats));
        for folder in forgotten {
            self.open.retain(|path, _| !path.starts_with(&folder));
        }
        for done in waiting {
            // Whoever asked may have left.
            let _gone = done.send(());
        }
        for (folder, done) in mending {
            let _gone = done.send(self.mend(&folder));
        }
    }

    /// Writes, syncs and tells; a recording that lost a record before takes none.
    fn store(&mut self, files: impl Iterator<Item = Batch>) {
        let mut written = Vec::new();
        for (path, writes) in files {
            if writes.iter().any(is_failed) {
                continue;
            }
            match self.append(&path, &writes) {
                Ok(()) => written.push((path, writes)),
                Err(error) => self.fail(&path, &writes, &error),
            }
        }
        for writes in self.sync(written) {
            publish(&writes);
        }
        self.close_unused(OPEN_FILES_MAX);
    }

    fn append(&mut self, path: &Path, writes: &[Write]) -> Result<(), RecordingError> {
        let wrap = |source| RecordingError::file(path, source);
        self.opened(path).map_err(wrap)?;
        let (commits, files) = (self.commits, Arc::clone(&self.files));
        let Some(open) = self.open.get_mut(path) else {
            return Err(wrap(io::Error::from(io::ErrorKind::NotFound)));
        };
        open.used = commits;
        let len = writes.iter().map(|write| write.bytes.len()).sum();
        open.fresh = u64::try_from(len).unwrap_or(u64::MAX);
        match writes {
            [one] => files.append(&open.file, &one.bytes),
            many => {
                let mut all = Vec::with_capacity(len);
                for write in many {
                    all.extend_from_slice(&write.bytes);
                }
                files.append(&open.file, &all)
            }
        }
        .map_err(wrap)
    }

    /// Opens a file, or finds it open; where the system has no more room for open files, those that
    /// were used longest ago are closed first.
    fn opened(&mut self, path: &Path) -> io::Result<()> {
        if self.open.contains_key(path) {
            return Ok(());
        }
        if self.broken.contains_key(path) {
            return Err(io::Error::other("an earlier write is not taken back yet"));
        }
        let file = match self.files.open(path) {
            Ok(file) => file,
            Err(_refused) if !self.open.is_empty() => {
                self.close_unused(self.open.len() / 2);
                self.files.open(path)?
            }
            Err(refused) => return Err(refused),
        };
        let synced = file.metadata()?.len();
        let open = Open {
            file: Arc::new(file),
            synced,
            fresh: 0,
            used: self.commits,
        };
        self.open.insert(path.to_path_buf(), open);
        Ok(())
    }

    fn close_unused(&mut self, most: usize) {
        if self.open.len() <= most {
            return;
        }
        let mut used: Vec<_> = self
            .open
            .iter()
            .map(|(path, open)| (open.used, path))
            .collect();
        used.sort_unstable();
        let many = used.len() - most;
        // What this commit wrote is not synced yet.
        let now = self.commits;
        let old = used.into_iter().take(many).filter(|(used, _)| *used < now);
        let old: Vec<PathBuf> = old.map(|(_, path)| path.clone()).collect();
        for path in old {
            self.open.remove(&path);
        }
    }

    /// Makes what was written last; returns what did.
    fn sync(&mut self, written: Vec<Batch>) -> Vec<Vec<Write>> {
        let at_once = written.len() > FILES_SYNCED_APART_MAX && self.files.sync_all(&self.root);
        let mut safe = Vec::with_capacity(written.len());
        for (path, writes) in written {
            let Some(open) = self.open.get_mut(&path) else {
                let gone = RecordingError::file(&path, io::ErrorKind::NotFound.into());
                self.fail(&path, &writes, &gone);
                continue;
            };
            let synced = if writes.iter().any(is_failed) {
                // A beat over chunks that are not on disk.
                Err(io::Error::other("another file of the recording failed"))
            } else if at_once {
                Ok(())
            } else {
                self.files.sync(&open.file)
            };
            match synced {
                Ok(()) => {
                    open.synced = open.synced.saturating_add(open.fresh);
                    open.fresh = 0;
                    safe.push(writes);
                }
                Err(source) => {
                    self.fail(&path, &writes, &RecordingError::file(&path, source));
                }
            }
        }
        safe
    }

    /// Takes back what was written and ends the link of every recording that lost a record: the agent
    /// then sends it again.
    fn fail(&mut self, path: &Path, writes: &[Write], error: &RecordingError) {
        tracing::error!(%error, "Could not store chunks");
        for write in writes {
            write.recording.failed.store(true, Ordering::Release);
            write
                .recording
                .committed
                .send_modify(|committed| committed.failed = true);
        }
        if let Some(open) = self.open.remove(path) {
            self.broken.insert(path.to_path_buf(), open.synced);
            self.cut(path, &open.file);
        }
    }

    fn mend(&mut self, folder: &Path) -> bool {
        let broken: Vec<PathBuf> = self.broken.keys().cloned().collect();
        for path in broken.iter().filter(|path| path.starts_with(folder)) {
            match self.files.open(path) {
                Ok(file) => self.cut(path, &file),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    self.broken.remove(path);
                }
                Err(error) => tracing::error!(%error, "Could not open a file to mend it"),
            }
        }
        !self.broken.keys().any(|path| path.starts_with(folder))
    }

    fn cut(&mut self, path: &Path, file: &File) {
        let Some(len) = self.broken.get(path) else {
            return;
        };
        match self.files.cut(file, *len) {
            Ok(()) => {
                self.broken.remove(path);
            }
            Err(error) => tracing::error!(%error, "Could not take back a half-written record"),
        }
    }
}

/// Tells whether a record is of the newest link, and its recording lost none before.
fn is_current(write: &Write) -> bool {
    let recording = &write.recording;
    write.generation == recording.generation.load(Ordering::Acquire) && !is_failed(write)
}

fn is_failed(write: &Write) -> bool {
    write.recording.failed.load(Ordering::Acquire)
}

fn publish(writes: &[Write]) {
    for write in writes {
        write
            .recording
            .committed
            .send_modify(|committed| match write.moves {
                Moves::Stream(stream, next, head) => {
                    committed.streams.insert(stream, (next, head));
                }
                Moves::Beats(next, head) => {
                    (committed.beat_next, committed.beat_head) = (next, head);
                }
            });
    }
}

/// The shortest time between two syncs.
const COMMIT_GAP: Duration = Duration::from_millis(100);
/// The most jobs in one commit.
const BATCH_JOBS_MAX: usize = 4_096;
/// Up to this many files are synced one by one, more by syncing the file system once.
const FILES_SYNCED_APART_MAX: usize = 8;
/// The most files that stay open; of more, those that were used longest ago are opened again.
const OPEN_FILES_MAX: usize = 4_096;
