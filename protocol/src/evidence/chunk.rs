//! The chunk: the unit of transport and of trust.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::codec::{self, CodecError};
use crate::crypto::{Hasher, Sha256};
use crate::ids::{AttemptId, Epoch};
use crate::limits::CHUNK_BYTES_MAX;
use crate::stream::StreamId;

/// The place of a chunk in its stream and epoch, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
#[serde(transparent)]
pub struct ChunkSeq(pub u64);

impl ChunkSeq {
    /// Returns the place after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for ChunkSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Describes one chunk and ties it to the one before.
///
/// Chunk 0 of a media stream is its CMAF initialisation segment (ftyp + moov, duration 0), so that
/// the chunks' payloads one after another are the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkHeader {
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// Which stream.
    pub stream: StreamId,
    /// Its place.
    pub seq: ChunkSeq,
    /// Start on the stream's timeline, in microseconds since the epoch's recording began.
    pub start_us: u64,
    /// Length, in microseconds.
    pub duration_us: u64,
    /// Whether decoding can begin here (a key frame first, or no video).
    pub sync: bool,
    /// Length of the payload, in bytes.
    pub payload_len: u32,
    /// Hash of the payload.
    pub payload: Sha256,
    /// Hash of the header before, [`Sha256::ZERO`] for chunk 0.
    pub previous: Sha256,
}

impl ChunkHeader {
    /// Returns the hash that the next header and the beats refer to.
    ///
    /// # Errors
    /// None in practice: a header can always be written.
    pub fn hash(&self, hasher: &impl Hasher) -> Result<Sha256, CodecError> {
        Ok(hasher.sha256(&[&codec::encode("chunk header", self)?]))
    }
}

/// Says how a chunk breaks its stream's chain.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It belongs to another attempt, epoch or stream.
    #[error("chunk {seq} belongs to another attempt, epoch or stream")]
    Foreign {
        /// Its place.
        seq: ChunkSeq,
    },
    /// It does not follow the newest chunk.
    #[error("chunk {found} of {stream} does not follow; {expected} was expected")]
    Gap {
        /// Which stream.
        stream: StreamId,
        /// The place that comes next.
        expected: ChunkSeq,
        /// The place that came.
        found: ChunkSeq,
    },
    /// It names another chunk before it.
    #[error("chunk {seq} of {stream} names another chunk before it")]
    WrongPrevious {
        /// Which stream.
        stream: StreamId,
        /// Its place.
        seq: ChunkSeq,
    },
    /// Its payload is not the one described.
    #[error("the payload of chunk {seq} of {stream} is not the one its header describes")]
    WrongPayload {
        /// Which stream.
        stream: StreamId,
        /// Its place.
        seq: ChunkSeq,
    },
    /// Its payload is larger than allowed.
    #[error("chunk {seq} of {stream} has {len} bytes, more than {CHUNK_BYTES_MAX}")]
    TooLarge {
        /// Which stream.
        stream: StreamId,
        /// Its place.
        seq: ChunkSeq,
        /// Its length.
        len: usize,
    },
    /// It ends later than any recording.
    #[error("chunk {seq} of {stream} ends after {MEDIA_US_MAX} us, later than any recording")]
    Endless {
        /// Which stream.
        stream: StreamId,
        /// Its place.
        seq: ChunkSeq,
    },
    /// The header cannot be written.
    #[error(transparent)]
    Codec(#[from] CodecError),
}

/// The latest moment of a recording at which a chunk may end, in microseconds: seven days.
const MEDIA_US_MAX: u64 = 7 * 24 * 3_600 * 1_000_000;

/// The head of one stream's chain: what is known to follow what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamChain {
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// Which stream.
    pub stream: StreamId,
    /// The place that comes next.
    pub next: ChunkSeq,
    /// Hash of the newest header.
    pub head: Sha256,
}

impl StreamChain {
    /// Begins a stream.
    #[must_use]
    pub const fn new(attempt: AttemptId, epoch: Epoch, stream: StreamId) -> Self {
        Self {
            attempt,
            epoch,
            stream,
            next: ChunkSeq(0),
            head: Sha256::ZERO,
        }
    }

    /// Makes the header of the next chunk and moves the head onto it.
    ///
    /// # Errors
    /// `TooLarge` where the payload exceeds [`CHUNK_BYTES_MAX`].
    pub fn append(
        &mut self,
        hasher: &impl Hasher,
        start_us: u64,
        duration_us: u64,
        sync: bool,
        payload: &[u8],
    ) -> Result<ChunkHeader, ChainError> {
        let len = payload.len();
        let too_large = ChainError::TooLarge {
            stream: self.stream,
            seq: self.next,
            len,
        };
        if len > CHUNK_BYTES_MAX {
            return Err(too_large);
        }
        let header = ChunkHeader {
            attempt: self.attempt,
            epoch: self.epoch,
            stream: self.stream,
            seq: self.next,
            start_us,
            duration_us,
            sync,
            payload_len: u32::try_from(len).map_err(|_wide| too_large)?,
            payload: hasher.sha256(&[payload]),
            previous: self.head,
        };
        self.advance(header.hash(hasher)?);
        Ok(header)
    }

    /// Checks that a chunk follows, and moves the head onto it.
    ///
    /// # Errors
    /// Names how the chunk breaks the chain; the head then stays.
    pub fn accept(
        &mut self,
        hasher: &impl Hasher,
        header: &ChunkHeader,
        payload: &[u8],
    ) -> Result<(), ChainError> {
        let (stream, seq) = (self.stream, header.seq);
        if (header.attempt, header.epoch, header.stream) != (self.attempt, self.epoch, stream) {
            return Err(ChainError::Foreign { seq });
        }
        if seq != self.next {
            return Err(ChainError::Gap {
                stream,
                expected: self.next,
                found: seq,
            });
        }
        if header.previous != self.head {
            return Err(ChainError::WrongPrevious { stream, seq });
        }
        let end_us = header.start_us.checked_add(header.duration_us);
        if end_us.is_none_or(|end| end > MEDIA_US_MAX) {
            return Err(ChainError::Endless { stream, seq });
        }
        if payload.len() > CHUNK_BYTES_MAX {
            return Err(ChainError::TooLarge {
                stream,
                seq,
                len: payload.len(),
            });
        }
        if u32::try_from(payload.len()) != Ok(header.payload_len)
            || hasher.sha256(&[payload]) != header.payload
        {
            return Err(ChainError::WrongPayload { stream, seq });
        }
        self.advance(header.hash(hasher)?);
        Ok(())
    }

    fn advance(&mut self, head: Sha256) {
        self.head = head;
        self.next = self.next.next();
    }
}
