//! Recordings at rest: verified chunks, sealed under the attempt's key, never lost once receipted.
//!
//! # Invariants
//! * What is told as committed is synced to disk.
//! * Every queue is bounded in bytes: [`PENDING_BYTES_MAX`] in all, [`LINK_BYTES_MAX`] a link; a
//!   full queue stops the reading of the socket.
//! * Only the newest link of an attempt and epoch writes, and none of an attempt that is being sealed.
//! * A beat is on disk only after every chunk that it names.
//! * Whatever the disk answers, a recording goes on once it answers well again; what was not told as
//!   committed comes again from the agent's spool.
//! * Where the disk is nearly full no recording takes more, so that responses and the gate's writes go
//!   on.
//! * Reading gives the exact CMAF bytes.

mod appender;
mod disk;
mod files;
mod objects;
mod reading;
mod room;
mod views;
mod writer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use qorgan_protocol::codec::CodecError;
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkSeq, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::link::Standing;
use qorgan_protocol::time::WallTime;
use qorgan_signing::{SealError, SecretKey};
use tokio::sync::{OnceCell, Semaphore, mpsc, oneshot, watch};

pub use appender::Appender;
use appender::{DISK_WAIT_MAX, in_time, standing};
pub use disk::{Part, Record, Walk, Whose, parts};
pub use files::{DiskFiles, Files};
pub use objects::{Objects, Putting};
use qorgan_base::keys::ServerKeys;
use qorgan_base::platform::private_folders;
use qorgan_store::{Store, StoreError};
pub use reading::StoredPlace;
pub use reading::{RANGE_BYTES_MAX, RecordingIndex};
use room::Room;
pub use views::Viewer;
use writer::Job;

/// Says why a recording cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The system refused a file.
    #[error("cannot use {path}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A stored record does not open or does not follow.
    #[error("{path} is damaged at byte {offset}")]
    Corrupt {
        /// Which file.
        path: PathBuf,
        /// Where.
        offset: u64,
    },
    /// A record is longer than a record may be.
    #[error("the record is too long")]
    TooLong,
    /// There is no such attempt, or its key was destroyed.
    #[error("there is no recording, or its key was destroyed")]
    NoKey,
    /// There is no such stream.
    #[error("there is no such stream")]
    NoStream,
    /// The disk refused records of this recording before.
    #[error("the disk does not take the recording")]
    Failed,
    /// The disk is nearly full.
    #[error("the disk is nearly full")]
    NoRoom,
    /// The disk takes less than comes, for longer than anybody waits.
    #[error("the disk does not keep up")]
    Busy,
    /// The attempt is over and its recording is being sealed.
    #[error("the recording is being sealed")]
    Closed,
    /// Another link of the same attempt took over, or the server stops.
    #[error("another link took over, or the server stops")]
    Superseded,
    /// Sealed bytes do not open.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// A stored structure does not read back.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The object store failed.
    #[error("the object store failed")]
    Objects(#[from] object_store::Error),
    /// A background task ended early.
    #[error("a background task ended early")]
    Task(#[from] tokio::task::JoinError),
}

impl RecordingError {
    pub fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File {
            path: path.to_path_buf(),
            source,
        }
    }
}

impl From<qorgan_store::SqlError> for RecordingError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::from(error))
    }
}

/// What of a recording is on disk.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The next chunk and the newest header of every stream.
    pub streams: BTreeMap<StreamId, (ChunkSeq, Sha256)>,
    /// The next beat.
    pub beat_next: u64,
    /// The newest beat's hash.
    pub beat_head: Sha256,
    /// Whether the disk refused.
    pub failed: bool,
}

/// One attempt and epoch that is being recorded.
#[derive(Debug)]
pub struct OpenRecording {
    attempt: AttemptId,
    epoch: Epoch,
    folder: PathBuf,
    key: Arc<SecretKey>,
    generation: AtomicU64,
    failed: AtomicBool,
    committed: watch::Sender<Committed>,
    /// As it was read from disk; its newest headers help after a restart.
    recovered: Standing,
}

/// Every recording; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Recordings {
    inner: Arc<Inner>,
}

type OpenCell = Arc<OnceCell<Arc<OpenRecording>>>;

#[derive(Debug)]
struct Inner {
    root: PathBuf,
    store: Store,
    keys: Arc<ServerKeys>,
    jobs: mpsc::Sender<Job>,
    pending: Arc<Semaphore>,
    open: Mutex<BTreeMap<(AttemptId, Epoch), OpenCell>>,
    /// The attempts whose recordings are being sealed: no link is taken up, nothing appended.
    closed: Mutex<BTreeSet<AttemptId>>,
    room: Arc<Room>,
    objects: Objects,
    indexes: Mutex<reading::Indexes>,
    views: views::Views,
}

impl Recordings {
    /// Opens the folder of recordings and starts the writing thread, which ends when the last clone
    /// is dropped.
    ///
    /// # Errors
    /// Where the folder cannot be made or no thread can be started.
    pub fn open(root: &Path, store: Store, keys: Arc<ServerKeys>) -> Result<Self, RecordingError> {
        Self::open_with(root, store, keys, Arc::new(DiskFiles))
    }

    /// Opens the folder of recordings as [`Self::open`], with other file operations.
    ///
    /// # Errors
    /// Where the folder cannot be made or no thread can be started.
    pub fn open_with(
        root: &Path,
        store: Store,
        keys: Arc<ServerKeys>,
        files: Arc<dyn Files>,
    ) -> Result<Self, RecordingError> {
        let wrap = |source| RecordingError::file(root, source);
        private_folders(&root.join(OPEN_FOLDER)).map_err(wrap)?;
        private_folders(&root.join(objects::FOLDER)).map_err(wrap)?;
        let (jobs, queue) = mpsc::channel(JOBS_MAX);
        let room = Arc::new(Room::new(root, Arc::clone(&files)));
        let writer = writer::Writer::new(root, files);
        std::thread::Builder::new()
            .name("recordings".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(wrap)?;
        Ok(Self {
            inner: Arc::new(Inner {
                objects: Objects::open(root)?,
                root: root.to_path_buf(),
                store,
                keys,
                jobs,
                pending: Arc::new(Semaphore::new(PENDING_BYTES_MAX)),
                open: Mutex::new(BTreeMap::new()),
                closed: Mutex::new(BTreeSet::new()),
                room,
                indexes: Mutex::new(reading::Indexes::default()),
                views: views::Views::default(),
            }),
        })
    }

    /// Takes up a recording for a link; any older link of it can write no more. One that the disk
    /// refused before is read from disk again.
    ///
    /// # Errors
    /// `Closed` while it is sealed, `NoRoom` where the disk is nearly full, `Busy` where it does not keep
    /// up; where the files cannot be read or the key is gone.
    pub async fn link(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<(Appender, Standing), RecordingError> {
        self.inner.room.take()?;
        self.not_closed(attempt)?;
        let mut recording = self.recording(attempt, epoch).await?;
        let mut generation = recording.generation.fetch_add(1, Ordering::AcqRel) + 1;
        in_time(DISK_WAIT_MAX, self.flush()).await?;
        if recording.failed.load(Ordering::Acquire) {
            in_time(DISK_WAIT_MAX, self.mend(&recording)).await?;
            self.forget(&recording);
            recording = self.recording(attempt, epoch).await?;
            generation = recording.generation.fetch_add(1, Ordering::AcqRel) + 1;
        }
        // After the generation was raised: whoever closes raises it after it said so.
        self.not_closed(attempt)
            .inspect_err(|_closed| self.forget(&recording))?;
        let standing = standing(&recording);
        let appender = Appender {
            committed: recording.committed.subscribe(),
            recording,
            generation,
            jobs: self.inner.jobs.clone(),
            pending: Arc::clone(&self.inner.pending),
            own: Arc::new(Semaphore::new(LINK_BYTES_MAX)),
            room: Arc::clone(&self.inner.room),
        };
        Ok((appender, standing))
    }

    /// Refuses where the disk is nearly full.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn room(&self) -> Result<(), RecordingError> {
        self.inner.room.take()
    }

    /// Returns how many bytes the open files of an attempt take.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub fn open_bytes(&self, attempt: AttemptId) -> Result<u64, RecordingError> {
        disk::folder_bytes(&self.open_folder(attempt))
    }

    /// Takes back what a write left that failed half-way.
    async fn mend(&self, recording: &OpenRecording) -> Result<(), RecordingError> {
        let (done, wait) = oneshot::channel();
        let job = Job::Mend(recording.folder.clone(), done);
        let gone = |_gone| RecordingError::Superseded;
        let sent = self.inner.jobs.send(job).await;
        sent.map_err(|_gone| RecordingError::Superseded)?;
        if wait.await.map_err(gone)? {
            Ok(())
        } else {
            Err(RecordingError::Failed)
        }
    }

    fn not_closed(&self, attempt: AttemptId) -> Result<(), RecordingError> {
        if self.closed().contains(&attempt) {
            return Err(RecordingError::Closed);
        }
        Ok(())
    }

    fn closed(&self) -> std::sync::MutexGuard<'_, BTreeSet<AttemptId>> {
        let closed = &self.inner.closed;
        closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until everything that was taken is on disk.
    ///
    /// # Errors
    /// Where the writing thread is gone.
    pub async fn flush(&self) -> Result<(), RecordingError> {
        let (done, wait) = oneshot::channel();
        let gone = |_gone| RecordingError::Superseded;
        self.inner
            .jobs
            .send(Job::Flush(done))
            .await
            .map_err(|_gone| RecordingError::Superseded)?;
        wait.await.map_err(gone)
    }

    /// Ends every link of an attempt; nothing is written after this returns, and no link is taken up
    /// before [`Self::reopen`].
    ///
    /// # Errors
    /// Where the writing thread is gone.
    pub async fn close(&self, attempt: AttemptId) -> Result<(), RecordingError> {
        self.closed().insert(attempt);
        let cells: Vec<_> = self
            .open_cells()
            .range((attempt, Epoch(0))..=(attempt, Epoch(u32::MAX)))
            .map(|(key, cell)| (*key, Arc::clone(cell)))
            .collect();
        for (key, cell) in cells {
            if let Some(recording) = cell.get() {
                recording.generation.fetch_add(1, Ordering::AcqRel);
                recording.committed.send_modify(|_same| {});
            }
            self.open_cells().remove(&key);
        }
        let folder = self.open_folder(attempt);
        let sent = self.inner.jobs.send(Job::Forget(folder)).await;
        sent.map_err(|_gone| RecordingError::Superseded)?;
        self.flush().await
    }

    /// Lets links of an attempt be taken up again: it could not be sealed, or what it is now refuses
    /// them.
    pub fn reopen(&self, attempt: AttemptId) {
        self.closed().remove(&attempt);
    }

    /// Returns when an attempt's recording began, on whichever machine.
    ///
    /// # Errors
    /// The database failed.
    pub async fn began(&self, attempt: AttemptId) -> Result<Option<WallTime>, RecordingError> {
        let began: Option<i64> = qorgan_store::query_scalar(
            "SELECT MIN(began_ms) FROM recordings WHERE attempt_id = $1",
        )
        .bind(attempt.to_string())
        .fetch_one(self.inner.store.read())
        .await?;
        Ok(began.map(WallTime::from_unix_ms))
    }

    /// Returns the key of an attempt.
    ///
    /// # Errors
    /// `NoKey` where there is no such attempt or its key was destroyed.
    pub async fn key(&self, attempt: AttemptId) -> Result<Arc<SecretKey>, RecordingError> {
        let wrapped: Option<Vec<u8>> =
            qorgan_store::query_scalar("SELECT key_wrapped FROM attempts WHERE id = $1")
                .bind(attempt.to_string())
                .fetch_optional(self.inner.store.read())
                .await?;
        let wrapped = wrapped
            .filter(|bytes| !bytes.is_empty())
            .ok_or(RecordingError::NoKey)?;
        let key = self
            .inner
            .keys
            .unwrap(&format!("attempt:{attempt}"), &wrapped)?;
        Ok(Arc::new(key))
    }

    /// Removes every file of a recording whose key was destroyed.
    ///
    /// # Errors
    /// Where the disk refuses.
    pub async fn remove_files(&self, attempt: AttemptId) -> Result<(), RecordingError> {
        // What was on its way when the key went is written by now, and nothing comes after.
        self.close(attempt).await?;
        let removed = match self.remove_open(attempt) {
            Ok(()) => self.inner.objects.delete_all(attempt).await,
            Err(error) => Err(error),
        };
        // The key is gone: whoever comes now is refused for that.
        self.reopen(attempt);
        removed
    }

    /// Removes the open files of an attempt.
    pub fn remove_open(&self, attempt: AttemptId) -> Result<(), RecordingError> {
        let folder = self.open_folder(attempt);
        match std::fs::remove_dir_all(&folder) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(RecordingError::file(&folder, error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Returns the object store of sealed recordings.
    pub fn objects(&self) -> &Objects {
        &self.inner.objects
    }

    /// Returns the folder of an attempt's open files.
    pub fn open_folder(&self, attempt: AttemptId) -> PathBuf {
        self.inner.root.join(OPEN_FOLDER).join(attempt.to_string())
    }

    /// Returns the folder of one epoch's open files.
    pub fn epoch_folder(&self, attempt: AttemptId, epoch: Epoch) -> PathBuf {
        self.open_folder(attempt).join(epoch.to_string())
    }

    async fn recording(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Arc<OpenRecording>, RecordingError> {
        let cell = Arc::clone(self.open_cells().entry((attempt, epoch)).or_default());
        let recording = cell
            .get_or_try_init(|| self.recover(attempt, epoch))
            .await?;
        Ok(Arc::clone(recording))
    }

    async fn recover(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Arc<OpenRecording>, RecordingError> {
        let key = self.key(attempt).await?;
        let folder = self.epoch_folder(attempt, epoch);
        tokio::task::spawn_blocking(move || {
            private_folders(&folder).map_err(|source| RecordingError::file(&folder, source))?;
            let whose = Whose {
                attempt,
                epoch,
                key: &key,
            };
            let recovered = disk::recover(&folder, whose)?;
            let committed = Committed {
                streams: disk::heads(&recovered),
                beat_next: recovered.beat_next,
                beat_head: recovered.beat_head,
                failed: false,
            };
            Ok(Arc::new(OpenRecording {
                attempt,
                epoch,
                folder,
                key,
                generation: AtomicU64::new(0),
                failed: AtomicBool::new(false),
                committed: watch::Sender::new(committed),
                recovered,
            }))
        })
        .await?
    }

    fn forget(&self, recording: &Arc<OpenRecording>) {
        let key = (recording.attempt, recording.epoch);
        let mut cells = self.open_cells();
        let same = |cell: &OpenCell| {
            cell.get()
                .is_some_and(|known| Arc::ptr_eq(known, recording))
        };
        if cells.get(&key).is_some_and(same) {
            cells.remove(&key);
        }
    }

    fn open_cells(&self) -> std::sync::MutexGuard<'_, BTreeMap<(AttemptId, Epoch), OpenCell>> {
        self.inner
            .open
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Folder of the files that still grow.
pub const OPEN_FOLDER: &str = "open";
/// Folder of the files that were sealed.
pub const SEALED_FOLDER: &str = objects::FOLDER;
/// The most records on their way to disk.
const JOBS_MAX: usize = 8_192;
/// The most bytes on their way to disk, of all links; full: sockets are not read.
pub const PENDING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// The most bytes on their way to disk, of one link; full: its socket is not read.
pub const LINK_BYTES_MAX: usize = 6 * 1024 * 1024;
