//! The one thread that writes: it gathers what every agent sent, writes, syncs once, and only then
//! tells that it is on disk.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkSeq, StreamId};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::disk::Part;
use super::{OpenRecording, RecordingError};

/// What the thread is asked for.
#[derive(Debug)]
pub(super) enum Job {
    /// Append a record.
    Write(Write),
    /// Say when everything before is on disk.
    Flush(oneshot::Sender<()>),
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

/// Runs until every sender is gone.
pub(super) fn run(root: &Path, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let began = Instant::now();
        let mut batch = vec![first];
        while let Ok(job) = jobs.try_recv() {
            batch.push(job);
            if batch.len() >= BATCH_JOBS_MAX {
                break;
            }
        }
        let urgent = batch.iter().any(|job| matches!(job, Job::Flush(_)));
        commit(root, batch);
        if !urgent {
            std::thread::sleep(COMMIT_GAP.saturating_sub(began.elapsed()));
        }
    }
}

fn commit(root: &Path, batch: Vec<Job>) {
    let mut files: BTreeMap<PathBuf, Vec<Write>> = BTreeMap::new();
    let mut waiting = Vec::new();
    for job in batch {
        match job {
            Job::Write(write) => {
                let current = write.recording.generation.load(Ordering::Acquire);
                if write.generation == current && !write.recording.failed.load(Ordering::Acquire) {
                    let path = write.recording.folder.join(write.part.file_name());
                    files.entry(path).or_default().push(write);
                }
            }
            Job::Flush(done) => waiting.push(done),
        }
    }
    let mut written = Vec::new();
    for (path, writes) in files {
        match append(&path, &writes) {
            Ok(file) => written.push((file, path, writes)),
            Err(error) => fail(&writes, &error),
        }
    }
    for writes in sync(root, written) {
        publish(&writes);
    }
    for done in waiting {
        // Whoever asked may have left.
        let _gone = done.send(());
    }
}

/// Appends records to a file; on failure the file is as it was before.
fn append(path: &Path, writes: &[Write]) -> Result<File, RecordingError> {
    let wrap = |source| RecordingError::file(path, source);
    let mut file = OpenOptions::new()
        .append(true)
        .create(true)
        .open(path)
        .map_err(wrap)?;
    let before = file.metadata().map_err(wrap)?.len();
    let result = match writes {
        [one] => file.write_all(&one.bytes),
        many => {
            let mut all = Vec::with_capacity(many.iter().map(|write| write.bytes.len()).sum());
            for write in many {
                all.extend_from_slice(&write.bytes);
            }
            file.write_all(&all)
        }
    };
    result.map_err(|source| {
        if let Err(error) = file.set_len(before) {
            tracing::error!(%error, "Could not take back a half-written record");
        }
        wrap(source)
    })?;
    Ok(file)
}

type Written = Vec<(File, PathBuf, Vec<Write>)>;

/// Makes what was written last; returns what did.
fn sync(root: &Path, written: Written) -> Vec<Vec<Write>> {
    if written.len() > FILES_SYNCED_APART_MAX && crate::platform::sync_all_at_once(root) {
        return written.into_iter().map(|(_, _, writes)| writes).collect();
    }
    let mut safe = Vec::with_capacity(written.len());
    for (file, path, writes) in written {
        match file.sync_data() {
            Ok(()) => safe.push(writes),
            Err(source) => fail(&writes, &RecordingError::file(&path, source)),
        }
    }
    safe
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

/// Ends the link of every recording that lost a record: the agent then sends it again.
fn fail(writes: &[Write], error: &RecordingError) {
    tracing::error!(%error, "Could not store chunks");
    for write in writes {
        write.recording.failed.store(true, Ordering::Release);
        write
            .recording
            .committed
            .send_modify(|committed| committed.failed = true);
    }
}

/// The shortest time between two syncs.
const COMMIT_GAP: Duration = Duration::from_millis(100);
/// The most jobs in one commit.
const BATCH_JOBS_MAX: usize = 4_096;
/// Up to this many files are synced one by one, more by syncing the file system once.
const FILES_SYNCED_APART_MAX: usize = 8;
