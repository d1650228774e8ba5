//! Checks one stream: its headers as a chain, its media chunk by chunk.

use core::ops::Range;

use super::records::{Next, Records, wide};
use super::{Check, FileSource, SourceError, StreamLine, When};
use crate::codec;
use crate::crypto::{Sha256, StreamHasher, Verifier};
use crate::evidence::side_log::{HEADERS_MAGIC, headers_name, media_name};
use crate::evidence::{ChunkHeader, ChunkSeq};
use crate::ids::{AttemptId, Epoch};
use crate::limits::CHUNK_BYTES_MAX;
use crate::stream::StreamId;

/// What a signed structure says of a stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expected {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) stream: StreamId,
    pub(super) chunks: u64,
    pub(super) head: Sha256,
    /// `None` where only the headers say how long the media are.
    pub(super) media_len: Option<u64>,
}

/// A header, where it stands and where its chunk lies.
struct Read {
    header: ChunkHeader,
    hash: Sha256,
    record: Range<u64>,
    media: Range<u64>,
}

/// What has been read of a stream.
struct Progress {
    next: u64,
    media_end: u64,
    time_us: u64,
    good: u64,
    good_end_us: u64,
    buffer: Vec<u8>,
}

impl<V: Verifier + StreamHasher, S: FileSource> Check<'_, V, S> {
    /// Checks a stream and adds its line; returns whether its log could be read to the end.
    pub(super) fn stream(&mut self, expected: &Expected) -> Result<bool, SourceError> {
        let log = headers_name(expected.stream, expected.epoch);
        let mut progress = Progress {
            next: 0,
            media_end: 0,
            time_us: 0,
            good: 0,
            good_end_us: 0,
            buffer: Vec::new(),
        };
        let read = if self.has(&log) {
            self.chain(expected, &log, &mut progress)?
        } else {
            false
        };
        if read {
            self.media_end(expected, &progress)?;
        } else {
            self.media_untold(expected, &progress)?;
        }
        self.report.streams.push(StreamLine {
            epoch: expected.epoch,
            stream: expected.stream,
            chunks: progress.good,
            end_us: progress.good_end_us,
            uncovered: progress.next,
        });
        Ok(read)
    }

    /// Reads the headers one behind: a header is believed once the next one, or the signed head,
    /// names its hash.
    fn chain(
        &mut self,
        expected: &Expected,
        log: &str,
        progress: &mut Progress,
    ) -> Result<bool, SourceError> {
        let Some(mut records) = Records::open(&mut self.source, log, HEADERS_MAGIC)? else {
            self.whole_fault(log, "it is no log of headers")?;
            return Ok(false);
        };
        let mut held: Option<Read> = None;
        loop {
            let record = match records.next(&mut self.source)? {
                Next::End => break,
                Next::Broken(bytes) => {
                    self.log_fault(
                        expected,
                        log,
                        bytes,
                        progress.time_us,
                        "it cannot be read on",
                    );
                    return Ok(false);
                }
                Next::Record(record) => record,
            };
            let read = match self.header(expected, records.bytes(), &record, progress) {
                Ok(read) => read,
                Err(what) => {
                    self.log_fault(expected, log, record, progress.time_us, &what);
                    return Ok(false);
                }
            };
            let previous = read.header.previous;
            match held.replace(read) {
                Some(before) => self.believe(expected, log, &before, previous, progress)?,
                None if previous != Sha256::ZERO => {
                    self.log_fault(expected, log, 16..20, 0, "the first header follows another");
                }
                None => {}
            }
        }
        if let Some(last) = held {
            self.believe(expected, log, &last, expected.head, progress)?;
        }
        if progress.next != expected.chunks {
            let len = self.source.len(log)?;
            let what = format!(
                "it holds {} headers, not {}",
                progress.next, expected.chunks
            );
            self.log_fault(expected, log, len..len, progress.time_us, &what);
        }
        Ok(true)
    }

    fn header(
        &self,
        expected: &Expected,
        bytes: &[u8],
        record: &Range<u64>,
        progress: &mut Progress,
    ) -> Result<Read, String> {
        let header = codec::decode::<ChunkHeader>("chunk header", bytes)
            .map_err(|error| error.to_string())?;
        let whose = (expected.attempt, expected.epoch, expected.stream);
        if (header.attempt, header.epoch, header.stream) != whose {
            return Err("a header is of another recording".to_owned());
        }
        if header.seq != ChunkSeq(progress.next) {
            return Err(format!(
                "header {} stands where {} belongs",
                header.seq, progress.next
            ));
        }
        if wide(CHUNK_BYTES_MAX) < u64::from(header.payload_len) {
            return Err("a chunk is said to be larger than a chunk may be".to_owned());
        }
        let begin = progress.media_end;
        progress.next += 1;
        progress.media_end += u64::from(header.payload_len);
        progress.time_us = header.start_us.saturating_add(header.duration_us);
        Ok(Read {
            header,
            hash: self.verifier.sha256(&[bytes]),
            record: record.clone(),
            media: begin..progress.media_end,
        })
    }

    /// Checks a header against the hash that was said of it, and its chunk against the header.
    fn believe(
        &mut self,
        expected: &Expected,
        log: &str,
        read: &Read,
        said: Sha256,
        progress: &mut Progress,
    ) -> Result<(), SourceError> {
        let end_us = read.header.start_us.saturating_add(read.header.duration_us);
        let when = When::Span {
            epoch: expected.epoch,
            from_us: read.header.start_us,
            to_us: end_us,
        };
        if read.hash != said {
            self.report
                .fault(log, read.record.clone(), when, "a header was changed");
            return Ok(());
        }
        let media = media_name(expected.stream, expected.epoch);
        if !self.has(&media) {
            return Ok(());
        }
        let len = usize::try_from(read.header.payload_len).unwrap_or(0);
        if progress.buffer.len() < len {
            progress.buffer.resize(len, 0);
        }
        let bytes = &mut progress.buffer[..len];
        let found = self.source.read(&media, read.media.start, bytes)?;
        if found == len && self.verifier.sha256(&[bytes]) == read.header.payload {
            progress.good += 1;
            progress.good_end_us = end_us;
            let place = (
                expected.attempt,
                expected.epoch,
                expected.stream,
                read.header.seq,
            );
            self.found_chunk(place, read.hash);
        } else {
            let what = if found == len { "changed" } else { "missing" };
            self.report.fault(&media, read.media.clone(), when, what);
        }
        Ok(())
    }

    /// Tells of bytes behind the last chunk.
    fn media_end(&mut self, expected: &Expected, progress: &Progress) -> Result<(), SourceError> {
        let media = media_name(expected.stream, expected.epoch);
        if !self.has(&media) {
            return Ok(());
        }
        let len = self.source.len(&media)?;
        let end = progress.media_end;
        let when = span(expected, progress.time_us);
        if len > end {
            self.report
                .fault(&media, end..len, when, "bytes were added");
        }
        if let Some(said) = expected.media_len
            && said != end
            && len <= end
        {
            self.report.fault(
                &media,
                said.min(end)..said.max(end),
                when,
                "the headers tell of another length",
            );
        }
        Ok(())
    }

    /// Tells of media that no believed header describes.
    fn media_untold(
        &mut self,
        expected: &Expected,
        progress: &Progress,
    ) -> Result<(), SourceError> {
        let media = media_name(expected.stream, expected.epoch);
        if !self.has(&media) {
            return Ok(());
        }
        let len = self.source.len(&media)?;
        let from = progress.media_end.min(len);
        self.report.fault(
            &media,
            from..len.max(expected.media_len.unwrap_or(len)),
            span(expected, progress.time_us),
            "its headers cannot be read from here on",
        );
        Ok(())
    }

    fn log_fault(
        &mut self,
        expected: &Expected,
        log: &str,
        bytes: Range<u64>,
        time_us: u64,
        what: &str,
    ) {
        self.report.fault(log, bytes, span(expected, time_us), what);
    }
}

const fn span(expected: &Expected, time_us: u64) -> When {
    When::Span {
        epoch: expected.epoch,
        from_us: time_us,
        to_us: time_us,
    }
}
