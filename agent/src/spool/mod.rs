//! The sealed spool: every chunk from its chain until its receipt.
//!
//! Records lie in numbered files, each sealed for its place (attempt, epoch, file, offset), so that
//! none can be read, changed, moved or copied on the machine. A file goes when all its chunks are
//! receipted. Beats wait in memory: they are signed with a key that lives no longer than they do.

mod file;
mod state;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use qorgan_agent_core::spool::{Place, Room, SpoolBounds, SpoolPolicy};
use qorgan_protocol::codec::CodecError;
use qorgan_protocol::crypto::SignedBytes;
use qorgan_protocol::evidence::{ChunkHeader, ChunkSeq, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::link::encode_chunk;
use qorgan_protocol::time::Now;
use qorgan_signing::{SealError, SecretKey};

use file::Files;
pub(crate) use file::SealedState;
pub(crate) use state::{KeptState, KeptStream, Learnt};

/// Says why the spool cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SpoolError {
    /// The disk refused.
    #[error("the spool's disk refused")]
    Disk(#[from] io::Error),
    /// A record does not open.
    #[error("a record of the spool does not open")]
    Seal(#[from] SealError),
    /// A record opens, but holds nothing that was put there.
    #[error("a record of the spool cannot be read")]
    Codec(#[from] CodecError),
}

/// What a former run left.
#[derive(Debug, Default)]
pub(crate) struct Left {
    /// Its state, where it wrote one.
    pub(crate) state: Option<KeptState>,
    /// The headers of its chunks without receipts, in the order they were made.
    pub(crate) headers: Vec<ChunkHeader>,
    /// Whether a record was changed: not merely cut off at the end.
    pub(crate) changed: bool,
    /// What was learnt of the candidate and is gone.
    pub(crate) forgotten: Vec<&'static str>,
}

/// The spool, shared by the recorder and the link.
#[derive(Debug, Clone)]
pub(crate) struct SharedSpool(Arc<Mutex<Spool>>);

impl SharedSpool {
    /// Returns the spool; no lock is held over an await.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Spool> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chunks and beats without receipts.
#[derive(Debug)]
pub(crate) struct Spool {
    files: Files,
    policy: SpoolPolicy,
    chunks: BTreeMap<(StreamId, ChunkSeq), Kept>,
    recent: VecDeque<(StreamId, ChunkSeq)>,
    recent_bytes: usize,
    beats: VecDeque<(u64, SignedBytes)>,
    waiting_bytes: u64,
    /// The first chunk of each stream that the server was not said to have.
    released: BTreeMap<StreamId, ChunkSeq>,
}

#[derive(Debug)]
struct Kept {
    len: usize,
    /// Where it lies on disk; nowhere while the disk is full.
    on_disk: Option<file::Spot>,
    /// Its frame: always where it is not on disk, and for the newest ones.
    frame: Option<Arc<Vec<u8>>>,
}

impl Spool {
    /// Opens the spool of one attempt and epoch and reads what a former run left.
    ///
    /// # Errors
    /// Where the folder cannot be read.
    pub(crate) fn open(
        folder: &Path,
        key: [u8; 32],
        attempt: AttemptId,
        epoch: Epoch,
        bounds: SpoolBounds,
    ) -> Result<(SharedSpool, Left), SpoolError> {
        let folder = folder.join(format!("{attempt}.{epoch}"));
        let (files, found) = Files::open(&folder, SecretKey::new(key), attempt, epoch)?;
        let mut spool = Self {
            policy: SpoolPolicy::new(bounds, files.bytes()),
            files,
            chunks: BTreeMap::new(),
            recent: VecDeque::new(),
            recent_bytes: 0,
            beats: VecDeque::new(),
            waiting_bytes: 0,
            released: BTreeMap::new(),
        };
        let mut left = Left {
            state: found.state,
            headers: Vec::new(),
            changed: found.changed,
            forgotten: Vec::new(),
        };
        for (header, spot, len) in found.records {
            spool.waiting_bytes = spool.waiting_bytes.saturating_add(size(len));
            let kept = Kept {
                len,
                on_disk: Some(spot),
                frame: None,
            };
            spool.chunks.insert((header.stream, header.seq), kept);
            left.headers.push(header);
        }
        Ok((SharedSpool(Arc::new(Mutex::new(spool))), left))
    }

    /// Keeps a chunk and tells whether there was room; without room it must not be chained.
    ///
    /// # Errors
    /// Where the header cannot be written or the system gives no random bytes; a disk that
    /// refuses is no error, the chunk then waits in memory.
    pub(crate) fn put(
        &mut self,
        now: Now,
        header: &ChunkHeader,
        payload: &[u8],
        essential: bool,
    ) -> Result<bool, SpoolError> {
        let frame = encode_chunk(header, payload)?;
        let len = frame.len();
        let stored = size(len.saturating_add(file::RECORD_OVERHEAD_BYTES));
        let mut place = self.policy.place(now, stored, essential);
        let mut on_disk = None;
        if place == Place::Disk {
            match self.files.append(&frame) {
                Ok(spot) => on_disk = Some(spot),
                Err(SpoolError::Disk(error)) => {
                    tracing::warn!(%error, "The spool's disk refused a chunk");
                    place = self.policy.disk_refused(now, stored, essential);
                }
                Err(error) => return Err(error),
            }
        }
        if place == Place::Nowhere {
            return Ok(false);
        }
        self.policy.kept(place, stored);
        self.waiting_bytes = self.waiting_bytes.saturating_add(size(len));
        let id = (header.stream, header.seq);
        let in_memory = on_disk.is_none();
        let kept = Kept {
            len,
            on_disk,
            frame: Some(Arc::new(frame)),
        };
        self.chunks.insert(id, kept);
        if !in_memory {
            self.remember(id, len);
        }
        Ok(true)
    }

    /// Returns a chunk's frame, ready to be sent; `None` where it has its receipt.
    ///
    /// # Errors
    /// Where the disk refuses or the record was changed.
    pub(crate) fn frame(
        &self,
        stream: StreamId,
        seq: ChunkSeq,
    ) -> Result<Option<Vec<u8>>, SpoolError> {
        let Some(kept) = self.chunks.get(&(stream, seq)) else {
            return Ok(None);
        };
        if let Some(frame) = &kept.frame {
            return Ok(Some(frame.to_vec()));
        }
        match kept.on_disk {
            Some(spot) => self.files.read(spot).map(Some),
            None => Ok(None),
        }
    }

    /// Keeps a beat; returns whether there was room.
    pub(crate) fn put_beat(&mut self, seq: u64, beat: SignedBytes) -> bool {
        if self.beats.len() >= BEATS_MAX {
            return false;
        }
        self.beats.push_back((seq, beat));
        true
    }

    /// Returns a beat.
    pub(crate) fn beat(&self, seq: u64) -> Option<SignedBytes> {
        let found = self.beats.iter().find(|(place, _)| *place == seq);
        found.map(|(_, beat)| beat.clone())
    }

    /// Forgets beats that the server has.
    pub(crate) fn release_beats(&mut self, before: u64) {
        while self.beats.front().is_some_and(|(seq, _)| *seq < before) {
            self.beats.pop_front();
        }
    }

    /// Forgets chunks that the server has, and removes files that hold no other.
    pub(crate) fn release(&mut self, stream: StreamId, through: ChunkSeq) {
        let gone: Vec<_> = self
            .chunks
            .range((stream, ChunkSeq(0))..=(stream, through))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            self.forget(id);
        }
        let next = self.released.entry(stream).or_insert(ChunkSeq(0));
        *next = through.next().max(*next);
    }

    /// Tells whether every chunk of a stream from one on and before another is here, or was released.
    pub(crate) fn is_whole(&self, stream: StreamId, first: ChunkSeq, before: ChunkSeq) -> bool {
        let released = self.released.get(&stream).copied();
        let first = released
            .map_or(first, |released| released.max(first))
            .min(before);
        let here = self.chunks.range((stream, first)..(stream, before)).count();
        u64::try_from(here).is_ok_and(|here| here == before.0.saturating_sub(first.0))
    }

    /// Returns a stream's chunks from one on, in order.
    pub(crate) fn waiting_from(&self, stream: StreamId, first: ChunkSeq) -> Vec<ChunkSeq> {
        let rest = (stream, first)..=(stream, ChunkSeq(u64::MAX));
        self.chunks.range(rest).map(|((_, seq), _)| *seq).collect()
    }

    /// Gives a chunk's frame away; `None` where it is not here.
    ///
    /// # Errors
    /// Where the disk refuses or the record was changed; it is forgotten then too.
    pub(crate) fn take(
        &mut self,
        stream: StreamId,
        seq: ChunkSeq,
    ) -> Result<Option<Vec<u8>>, SpoolError> {
        let frame = self.frame(stream, seq);
        self.forget((stream, seq));
        frame
    }

    /// Forgets every beat: another chain of them begins.
    pub(crate) fn drop_beats(&mut self) {
        self.beats.clear();
    }

    fn forget(&mut self, id: (StreamId, ChunkSeq)) {
        let Some(kept) = self.chunks.remove(&id) else {
            return;
        };
        self.waiting_bytes = self.waiting_bytes.saturating_sub(size(kept.len));
        match kept.on_disk {
            Some(spot) => {
                let freed = self.files.release(spot);
                self.policy.freed(Place::Disk, freed);
            }
            None => {
                let stored = size(kept.len.saturating_add(file::RECORD_OVERHEAD_BYTES));
                self.policy.freed(Place::Memory, stored);
            }
        }
    }

    /// Seals the state that a restarted agent goes on from; it is written without the lock.
    ///
    /// # Errors
    /// Where it cannot be sealed.
    pub(crate) fn seal_state(&self, state: &KeptState) -> Result<SealedState, SpoolError> {
        self.files.seal_state(state)
    }

    /// Returns the file to be synced, so that this is done without the lock.
    pub(crate) fn take_unsynced(&mut self) -> Option<Arc<File>> {
        self.files.take_unsynced()
    }

    /// Returns the bytes that wait for a receipt.
    pub(crate) const fn waiting_bytes(&self) -> u64 {
        self.waiting_bytes
    }

    /// Tells whether everything has its receipt.
    pub(crate) fn is_empty(&self) -> bool {
        self.chunks.is_empty() && self.beats.is_empty()
    }

    /// Tells whether pictures and sound are kept.
    pub(crate) const fn takes_media(&self) -> bool {
        self.policy.takes_media()
    }

    /// Returns how much room there is, where it changed.
    pub(crate) fn poll_room(&mut self) -> Option<Room> {
        self.policy.poll_room()
    }

    /// Removes what is left of a recording that is wholly delivered.
    pub(crate) fn clear(&mut self) {
        self.files.clear();
    }

    fn remember(&mut self, id: (StreamId, ChunkSeq), len: usize) {
        self.recent.push_back(id);
        self.recent_bytes = self.recent_bytes.saturating_add(len);
        while self.recent_bytes > RECENT_BYTES_MAX {
            let Some(oldest) = self.recent.pop_front() else {
                break;
            };
            if let Some(kept) = self.chunks.get_mut(&oldest)
                && kept.on_disk.is_some()
            {
                kept.frame = None;
            }
            let len = self.chunks.get(&oldest).map_or(0, |kept| kept.len);
            self.recent_bytes = self.recent_bytes.saturating_sub(len);
        }
        while let Some(oldest) = self.recent.front()
            && !self.chunks.contains_key(oldest)
        {
            self.recent.pop_front();
        }
        if self.recent.is_empty() {
            self.recent_bytes = 0;
        }
    }
}

fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

/// Frames of the newest chunks that stay in memory, so that a live link reads nothing from disk.
const RECENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Two hours of beats; an outage that is longer has none, the chunks' chain goes on.
const BEATS_MAX: usize = 7_200;

#[cfg(test)]
mod tests;
