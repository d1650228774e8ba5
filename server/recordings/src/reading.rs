//! Reads recordings back, open or sealed: an index of chunks, and any byte range of a stream's file.

use std::collections::VecDeque;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, PoisonError};

use qorgan_protocol::codec;
use qorgan_protocol::evidence::side_log::{headers_name, media_name};
use qorgan_protocol::evidence::{ChunkHeader, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use serde::Serialize;

use super::disk::{Part, Walk, Whose};
use super::{RecordingError, Recordings};

/// Where every chunk of a stream lies in its file.
#[derive(Debug, Clone, Default, Serialize)]
pub struct RecordingIndex {
    /// Length of the initialisation segment.
    pub init: u64,
    /// Length of the file.
    pub len: u64,
    /// Where the newest chunk ends, in microseconds.
    pub end_us: u64,
    /// Start in microseconds, offset, length, and 1 where decoding can begin.
    pub chunks: Vec<(u64, u64, u64, u8)>,
}

impl RecordingIndex {
    fn push(&mut self, header: &ChunkHeader) {
        let len = u64::from(header.payload_len);
        if header.seq.0 == 0 {
            self.init = len;
        } else {
            let sync = u8::from(header.sync);
            self.chunks.push((header.start_us, self.len, len, sync));
        }
        self.len += len;
        self.end_us = self
            .end_us
            .max(header.start_us.saturating_add(header.duration_us));
    }
}

type Stream = (AttemptId, Epoch, StreamId);

/// What was read of one open stream.
#[derive(Debug, Clone, Default)]
struct Known {
    index: RecordingIndex,
    /// Where each record begins in the open file, and how long its payload is.
    records: Vec<(u64, u64)>,
    position: (u64, u64),
}

/// Where to go on in an open stream.
#[derive(Debug, Clone, Copy, Default)]
pub struct StoredPlace {
    offset: u64,
    /// The chunk that lies there.
    pub number: u64,
}

/// The newest indexes of open streams.
#[derive(Debug, Default)]
pub(super) struct Indexes {
    known: VecDeque<(Stream, Known)>,
}

impl Recordings {
    /// Returns the index of a stream as far as it is on disk.
    ///
    /// # Errors
    /// `NoStream`, `NoKey`, or the disk failed.
    pub async fn index(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        stream: StreamId,
    ) -> Result<RecordingIndex, RecordingError> {
        let log = headers_name(stream, epoch);
        let Some(len) = self.inner.objects.len(attempt, &log).await? else {
            let known = self.open_index((attempt, epoch, stream)).await?;
            return Ok(known.index.clone());
        };
        let key = self.key(attempt).await?;
        let bytes = self.inner.objects.read(&key, attempt, &log, 0..len).await?;
        let mut index = RecordingIndex::default();
        let mut rest = bytes.get(16..).unwrap_or_default();
        while let Some((prefix, tail)) = rest.split_first_chunk::<4>() {
            let len = usize::try_from(u32::from_be_bytes(*prefix)).unwrap_or(usize::MAX);
            let Some((header, tail)) = tail.split_at_checked(len) else {
                break;
            };
            index.push(&codec::decode("chunk header", header)?);
            rest = tail;
        }
        Ok(index)
    }

    /// Returns the length of a stream's file as far as it is on disk.
    ///
    /// # Errors
    /// `NoStream`, `NoKey`, or the disk failed.
    pub async fn media_len(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        stream: StreamId,
    ) -> Result<u64, RecordingError> {
        let name = media_name(stream, epoch);
        match self.inner.objects.len(attempt, &name).await? {
            Some(len) => Ok(len),
            None => Ok(self.open_index((attempt, epoch, stream)).await?.index.len),
        }
    }

    /// Returns the exact bytes of a range of a stream's file, cut to its end and to
    /// 8 MiB.
    ///
    /// # Errors
    /// `NoStream`, `NoKey`, or the disk failed.
    pub async fn media(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        stream: StreamId,
        range: Range<u64>,
    ) -> Result<Vec<u8>, RecordingError> {
        let range = range.start..range.end.min(range.start.saturating_add(RANGE_BYTES_MAX));
        let name = media_name(stream, epoch);
        let key = self.key(attempt).await?;
        if self.inner.objects.len(attempt, &name).await?.is_some() {
            return self.inner.objects.read(&key, attempt, &name, range).await;
        }
        let known = self.open_index((attempt, epoch, stream)).await?;
        let folder = self.epoch_folder(attempt, epoch);
        tokio::task::spawn_blocking(move || {
            let whose = Whose {
                attempt,
                epoch,
                key: &key,
            };
            read_open(&folder, whose, stream, &known, &range)
        })
        .await?
    }

    /// Returns the first chunk of an open stream, for media its initialisation segment; `None` while
    /// there is none.
    ///
    /// # Errors
    /// `NoKey`, or the disk failed.
    pub async fn first_chunk(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        stream: StreamId,
    ) -> Result<Option<Vec<u8>>, RecordingError> {
        let key = self.key(attempt).await?;
        let folder = self.epoch_folder(attempt, epoch);
        tokio::task::spawn_blocking(move || {
            let whose = Whose {
                attempt,
                epoch,
                key: &key,
            };
            let Some(mut walk) = Walk::open(&folder, Part::Stream(stream), (0, 0))? else {
                return Ok(None);
            };
            Ok(walk.next(whose)?.map(|record| record.body().to_vec()))
        })
        .await?
    }

    /// Returns the bodies of an open stream's chunks from a place on, some at a time, and where to go
    /// on; none at its end.
    ///
    /// # Errors
    /// `NoKey`, or the disk failed.
    pub async fn stored(
        &self,
        (attempt, epoch, stream): Stream,
        place: StoredPlace,
    ) -> Result<(Vec<Vec<u8>>, StoredPlace), RecordingError> {
        let key = self.key(attempt).await?;
        let folder = self.epoch_folder(attempt, epoch);
        tokio::task::spawn_blocking(move || {
            let whose = Whose {
                attempt,
                epoch,
                key: &key,
            };
            let from = (place.offset, place.number);
            let Some(mut walk) = Walk::open(&folder, Part::Stream(stream), from)? else {
                return Ok((Vec::new(), place));
            };
            let (mut bodies, mut bytes) = (Vec::new(), 0);
            while bytes < STORED_BYTES_MAX
                && let Some(record) = walk.next(whose)?
            {
                bytes += record.body().len();
                bodies.push(record.body().to_vec());
            }
            let (offset, number) = walk.position();
            Ok((bodies, StoredPlace { offset, number }))
        })
        .await?
    }

    /// Returns the epochs and streams that there are, sorted.
    ///
    /// # Errors
    /// Where the disk failed.
    pub async fn streams(
        &self,
        attempt: AttemptId,
    ) -> Result<Vec<(Epoch, StreamId)>, RecordingError> {
        let epochs: Vec<i64> = qorgan_store::query_scalar(
            "SELECT epoch FROM recordings WHERE attempt_id = $1 ORDER BY epoch",
        )
        .bind(attempt.to_string())
        .fetch_all(self.inner.store.read())
        .await?;
        let mut streams = Vec::new();
        for epoch in epochs
            .into_iter()
            .filter_map(|epoch| u32::try_from(epoch).ok())
        {
            let epoch = Epoch(epoch);
            for part in super::parts(&self.epoch_folder(attempt, epoch))? {
                match part {
                    Part::Stream(stream) => streams.push((epoch, stream)),
                    Part::Beats => {}
                }
            }
            streams.extend(self.sealed_streams(attempt, epoch).await?);
        }
        streams.sort_unstable();
        streams.dedup();
        Ok(streams)
    }

    async fn sealed_streams(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Vec<(Epoch, StreamId)>, RecordingError> {
        let names = self.inner.objects.names(attempt).await?;
        let streams = names.iter().filter_map(|name| {
            let (word, _) = name.split_once('.')?;
            let stream = StreamId::from_word(word)?;
            (headers_name(stream, epoch) == *name).then_some((epoch, stream))
        });
        Ok(streams.collect())
    }

    /// Brings the index of an open stream up to what is on disk.
    async fn open_index(&self, which: Stream) -> Result<Arc<Known>, RecordingError> {
        let (attempt, epoch, stream) = which;
        let key = self.key(attempt).await?;
        let folder = self.epoch_folder(attempt, epoch);
        let known = self.known(which);
        let known = tokio::task::spawn_blocking(move || {
            let whose = Whose {
                attempt,
                epoch,
                key: &key,
            };
            extend(&folder, whose, stream, known)
        })
        .await??;
        let mut indexes = self
            .inner
            .indexes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        indexes.known.retain(|(other, _)| *other != which);
        indexes.known.push_back((which, known.clone()));
        while indexes.known.len() > INDEXES_MAX {
            indexes.known.pop_front();
        }
        Ok(Arc::new(known))
    }

    fn known(&self, which: Stream) -> Known {
        let indexes = self
            .inner
            .indexes
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let known = indexes.known.iter().find(|(other, _)| *other == which);
        known.map(|(_, known)| known.clone()).unwrap_or_default()
    }
}

fn extend(
    folder: &Path,
    whose: Whose<'_>,
    stream: StreamId,
    mut known: Known,
) -> Result<Known, RecordingError> {
    let part = Part::Stream(stream);
    let Some(mut walk) = Walk::open(folder, part, known.position)? else {
        return Err(RecordingError::NoStream);
    };
    while let Some(record) = walk.next(whose)? {
        let header = record.header()?;
        known
            .records
            .push((record.offset, u64::from(header.payload_len)));
        known.index.push(&header);
        known.position = walk.position();
    }
    Ok(known)
}

fn read_open(
    folder: &Path,
    whose: Whose<'_>,
    stream: StreamId,
    known: &Known,
    range: &Range<u64>,
) -> Result<Vec<u8>, RecordingError> {
    let mut bytes = Vec::new();
    let mut begin = 0;
    let mut walk: Option<Walk> = None;
    for (number, (offset, len)) in (0..).zip(&known.records) {
        let end = begin + len;
        if end > range.start && begin < range.end {
            if walk.is_none() {
                walk = Walk::open(folder, Part::Stream(stream), (*offset, number))?;
            }
            let record = match walk.as_mut() {
                Some(walk) => walk.next(whose)?,
                None => None,
            };
            let record = record.ok_or(RecordingError::NoStream)?;
            let from = usize::try_from(range.start.saturating_sub(begin)).unwrap_or(usize::MAX);
            let to = usize::try_from(range.end.min(end) - begin).unwrap_or(usize::MAX);
            bytes.extend_from_slice(record.body().get(from..to).unwrap_or_default());
        }
        begin = end;
    }
    Ok(bytes)
}

/// The most bytes that one read gives.
pub const RANGE_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// The bodies that are read at once.
const STORED_BYTES_MAX: usize = 1024 * 1024;
/// How many open streams' indexes are kept.
const INDEXES_MAX: usize = 32;
