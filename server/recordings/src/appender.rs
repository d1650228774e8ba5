//! One link's way to disk.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qorgan_protocol::crypto::{Hasher as _, SignedBytes};
use qorgan_protocol::evidence::{ChunkHeader, ChunkSeq, StreamChain};
use qorgan_protocol::link::{Standing, StreamStanding};
use qorgan_signing::Ring;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::timeout;

use super::disk::{self, Part, Whose};
use super::room::Room;
use super::writer::{Job, Moves, Write};
use super::{Committed, OpenRecording, RecordingError};

/// Returns where a recording stands by what is committed.
pub(super) fn standing(recording: &OpenRecording) -> Standing {
    let committed = recording.committed.borrow();
    let mut standing = Standing {
        beat_next: committed.beat_next,
        beat_head: committed.beat_head,
        ..Standing::default()
    };
    for (stream, (next, head)) in &committed.streams {
        let mut chain = StreamChain::new(recording.attempt, recording.epoch, *stream);
        (chain.next, chain.head) = (*next, *head);
        let recovered = recording.recovered.streams.get(stream);
        let mut recent = recovered
            .map(|known| known.recent.clone())
            .unwrap_or_default();
        if next.0 > 0 {
            recent.push_back((ChunkSeq(next.0 - 1), *head));
        }
        let stream_standing = StreamStanding { chain, recent };
        standing.streams.insert(*stream, stream_standing);
    }
    standing
}

/// One link's way to disk.
#[derive(Debug)]
pub struct Appender {
    pub(super) recording: Arc<OpenRecording>,
    pub(super) generation: u64,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) pending: Arc<Semaphore>,
    pub(super) own: Arc<Semaphore>,
    pub(super) committed: watch::Receiver<Committed>,
    pub(super) room: Arc<Room>,
}

impl Appender {
    /// Takes a verified chunk; waits while too much is on its way.
    ///
    /// # Errors
    /// `Superseded` where another link took over, `NoRoom` where the disk is nearly full, `Busy` where it
    /// does not keep up.
    pub async fn chunk(
        &self,
        header: &ChunkHeader,
        header_bytes: &[u8],
        payload: &[u8],
    ) -> Result<(), RecordingError> {
        let head = Ring.sha256(&[header_bytes]);
        let part = Part::Stream(header.stream);
        let moves = Moves::Stream(header.stream, header.seq.next(), head);
        self.record(part, header.seq.0, (header_bytes, payload), moves)
            .await
    }

    /// Takes a verified beat; waits while too much is on its way.
    ///
    /// # Errors
    /// `Superseded` where another link took over, `NoRoom` where the disk is nearly full, `Busy` where it
    /// does not keep up.
    pub async fn beat(&self, seq: u64, signed: &SignedBytes) -> Result<(), RecordingError> {
        let bytes = qorgan_protocol::codec::encode("beat", signed)?;
        let moves = Moves::Beats(seq.saturating_add(1), Ring.sha256(&[&signed.bytes]));
        self.record(Part::Beats, seq, (&[], &bytes), moves).await
    }

    /// Waits until more is on disk and returns what is.
    ///
    /// # Errors
    /// `Superseded` where another link took over, `Failed` where the disk refused.
    pub async fn committed(&mut self) -> Result<Committed, RecordingError> {
        self.committed
            .changed()
            .await
            .map_err(|_gone| RecordingError::Superseded)?;
        self.now()
    }

    /// Returns what is on disk.
    ///
    /// # Errors
    /// `Superseded` where another link took over, `Failed` where the disk refused.
    pub fn now(&self) -> Result<Committed, RecordingError> {
        self.current()?;
        let committed = self.committed.borrow().clone();
        if committed.failed {
            return Err(RecordingError::Failed);
        }
        Ok(committed)
    }

    fn current(&self) -> Result<(), RecordingError> {
        if self.recording.generation.load(Ordering::Acquire) == self.generation {
            Ok(())
        } else {
            Err(RecordingError::Superseded)
        }
    }

    async fn record(
        &self,
        part: Part,
        number: u64,
        (head, body): (&[u8], &[u8]),
        moves: Moves,
    ) -> Result<(), RecordingError> {
        self.current()?;
        self.room.take()?;
        let whose = Whose {
            attempt: self.recording.attempt,
            epoch: self.recording.epoch,
            key: &self.recording.key,
        };
        let bytes = disk::seal_record(whose, part, number, head, body)?;
        let permits = u32::try_from(bytes.len()).map_err(|_wide| RecordingError::TooLong)?;
        let permits = in_time(DISK_WAIT_MAX, self.permits(permits)).await?;
        let write = Write {
            recording: Arc::clone(&self.recording),
            generation: self.generation,
            part,
            bytes,
            moves,
            _permits: permits,
        };
        let sent = async {
            let sent = self.jobs.send(Job::Write(write)).await;
            sent.map_err(|_gone| RecordingError::Superseded)
        };
        in_time(DISK_WAIT_MAX, sent).await
    }

    /// Waits until so many bytes may be on their way to the disk: of this link, and of all.
    async fn permits(&self, bytes: u32) -> Result<[OwnedSemaphorePermit; 2], RecordingError> {
        let closed = |_closed| RecordingError::Superseded;
        let own = Arc::clone(&self.own).acquire_many_owned(bytes).await;
        let own = own.map_err(closed)?;
        let all = Arc::clone(&self.pending).acquire_many_owned(bytes).await;
        Ok([own, all.map_err(closed)?])
    }
}

/// Waits so long at the most: a disk that hangs would else keep every link that was ever tried.
pub(super) async fn in_time<T>(
    wait_max: Duration,
    work: impl Future<Output = Result<T, RecordingError>>,
) -> Result<T, RecordingError> {
    timeout(wait_max, work)
        .await
        .unwrap_or(Err(RecordingError::Busy))
}

/// How long a link waits for the disk before it ends; its agent keeps what is not receipted.
pub(super) const DISK_WAIT_MAX: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_disk_that_hangs_is_waited_for_no_longer_than_that() {
        let hangs = core::future::pending::<Result<(), RecordingError>>();
        let ended = in_time(Duration::from_millis(10), hangs).await;
        assert!(matches!(ended, Err(RecordingError::Busy)), "{ended:?}");
        let answers = in_time(DISK_WAIT_MAX, async { Ok(7) }).await;
        assert!(matches!(answers, Ok(7)), "{answers:?}");
    }
}
