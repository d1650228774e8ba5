//! Reads the records of a side log, one after another, in bounded memory.

use core::ops::Range;

use super::{FileSource, SourceError};
use crate::evidence::side_log::RECORD_BYTES_MAX;

/// What comes next in a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing: the log ends after a whole record.
    End,
    /// A record; [`Records::bytes`] gives it.
    Record(Range<u64>),
    /// No record can begin here; the log cannot be read further.
    Broken(Range<u64>),
}

/// A log that is being read.
#[derive(Debug)]
pub(super) struct Records {
    name: String,
    len: u64,
    /// Where the next record begins in the file.
    offset: u64,
    /// The file's bytes from `offset - start`.
    buffer: Vec<u8>,
    start: usize,
    record: Range<usize>,
}

impl Records {
    /// Opens a log; `None` where it does not begin with `magic`.
    pub(super) fn open(
        source: &mut impl FileSource,
        name: &str,
        magic: &[u8; 16],
    ) -> Result<Option<Self>, SourceError> {
        let mut head = [0; 16];
        let len = source.len(name)?;
        if source.read(name, 0, &mut head)? < 16 || head != *magic {
            return Ok(None);
        }
        Ok(Some(Self {
            name: name.to_owned(),
            len,
            offset: 16,
            buffer: Vec::new(),
            start: 0,
            record: 0..0,
        }))
    }

    /// Moves to the next record.
    pub(super) fn next(&mut self, source: &mut impl FileSource) -> Result<Next, SourceError> {
        if self.offset == self.len {
            return Ok(Next::End);
        }
        let broken = Next::Broken(self.offset..self.len);
        if !self.fill(source, 4)? {
            return Ok(broken);
        }
        let mut prefix = [0; 4];
        prefix.copy_from_slice(&self.buffer[self.start..self.start + 4]);
        let Ok(len) = usize::try_from(u32::from_be_bytes(prefix)) else {
            return Ok(broken);
        };
        if len > RECORD_BYTES_MAX || !self.fill(source, 4 + len)? {
            return Ok(broken);
        }
        let begin = self.offset;
        self.record = self.start + 4..self.start + 4 + len;
        self.start += 4 + len;
        self.offset += wide(4 + len);
        Ok(Next::Record(begin..self.offset))
    }

    /// Returns the record that [`Records::next`] moved to.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.buffer[self.record.clone()]
    }

    /// Makes sure that `needed` bytes from `offset` are in the buffer; false where the file ends.
    fn fill(&mut self, source: &mut impl FileSource, needed: usize) -> Result<bool, SourceError> {
        if self.buffer.len() - self.start >= needed {
            return Ok(true);
        }
        if self.len - self.offset < wide(needed) {
            return Ok(false);
        }
        self.buffer.resize(BUFFER_BYTES, 0);
        let read = source.read(&self.name, self.offset, &mut self.buffer)?;
        self.buffer.truncate(read);
        self.start = 0;
        Ok(read >= needed)
    }
}

/// Widens a length; a `usize` is never wider than 64 bits here.
pub(super) fn wide(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

const BUFFER_BYTES: usize = 2 * RECORD_BYTES_MAX;
