//! Bounded reading of big-endian fields and ISO boxes from foreign bytes.

use crate::chunk::ChunkError;

/// The bytes of one box or field list that are not read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

/// One box: its kind and its body without the header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BoxRef<'a> {
    pub(crate) kind: [u8; 4],
    pub(crate) body: Reader<'a>,
}

impl<'a> Reader<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) const fn left(&self) -> usize {
        self.rest.len()
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], ChunkError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(ChunkError::Cut)?;
        self.rest = tail;
        Ok(head)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], ChunkError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(ChunkError::Cut)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, ChunkError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(crate) fn u16(&mut self) -> Result<u16, ChunkError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(crate) fn u32(&mut self) -> Result<u32, ChunkError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, ChunkError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads a version byte and 24 flag bits.
    pub(crate) fn version_flags(&mut self) -> Result<(u8, u32), ChunkError> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Ok((version, word & 0x00ff_ffff))
    }

    /// Reads the next box, or nothing at the end.
    pub(crate) fn next_box(&mut self) -> Result<Option<BoxRef<'a>>, ChunkError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let size = usize::try_from(self.u32()?).map_err(|_too_long| ChunkError::Cut)?;
        let kind = self.array()?;
        let body = size.checked_sub(8).ok_or(ChunkError::Size { kind })?;
        Ok(Some(BoxRef {
            kind,
            body: Self::new(self.take(body)?),
        }))
    }

    /// Reads the next box, which must be of `kind`.
    pub(crate) fn expect_box(&mut self, kind: [u8; 4]) -> Result<Self, ChunkError> {
        match self.next_box()? {
            Some(found) if found.kind == kind => Ok(found.body),
            Some(found) => Err(ChunkError::Unexpected { kind: found.kind }),
            None => Err(ChunkError::Missing { kind }),
        }
    }

    /// Finds the only child of `kind`; other children are passed over.
    pub(crate) fn only_child(&self, kind: [u8; 4]) -> Result<Self, ChunkError> {
        let mut rest = *self;
        let mut found = None;
        while let Some(child) = rest.next_box()? {
            if child.kind == kind && found.replace(child.body).is_some() {
                return Err(ChunkError::Unexpected { kind });
            }
        }
        found.ok_or(ChunkError::Missing { kind })
    }

    /// Refuses bytes that are left over.
    pub(crate) const fn finish(&self) -> Result<(), ChunkError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(ChunkError::Trailing)
        }
    }
}
