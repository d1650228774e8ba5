//! Bounded reading of big-endian fields and ISO boxes from foreign bytes.

use super::error::MediaError;

/// The bytes of one box or field list that are not read yet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

/// One box: its kind and its body without the header.
#[derive(Debug, Clone, Copy)]
pub(super) struct BoxRef<'a> {
    pub(super) kind: [u8; 4],
    pub(super) body: Reader<'a>,
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) const fn left(&self) -> usize {
        self.rest.len()
    }

    /// Returns the bytes that are left.
    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], MediaError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(MediaError::Cut)?;
        self.rest = tail;
        Ok(head)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], MediaError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(MediaError::Cut)?;
        self.rest = tail;
        Ok(*head)
    }

    pub(super) fn u8(&mut self) -> Result<u8, MediaError> {
        Ok(u8::from_be_bytes(self.array()?))
    }

    pub(super) fn u16(&mut self) -> Result<u16, MediaError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, MediaError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, MediaError> {
        Ok(u64::from_be_bytes(self.array()?))
    }

    /// Reads a version byte and 24 flag bits.
    pub(super) fn version_flags(&mut self) -> Result<(u8, u32), MediaError> {
        let word = self.u32()?;
        let [version, ..] = word.to_be_bytes();
        Ok((version, word & 0x00ff_ffff))
    }

    /// Reads the next box, or nothing at the end.
    pub(super) fn next_box(&mut self) -> Result<Option<BoxRef<'a>>, MediaError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let size = usize::try_from(self.u32()?).map_err(|_too_long| MediaError::Cut)?;
        let kind = self.array()?;
        let body = size.checked_sub(8).ok_or(MediaError::Size { kind })?;
        Ok(Some(BoxRef {
            kind,
            body: Self::new(self.take(body)?),
        }))
    }

    /// Reads the next box, which must be of `kind`.
    pub(super) fn expect_box(&mut self, kind: [u8; 4]) -> Result<Self, MediaError> {
        match self.next_box()? {
            Some(found) if found.kind == kind => Ok(found.body),
            Some(found) => Err(MediaError::Unexpected { kind: found.kind }),
            None => Err(MediaError::Missing { kind }),
        }
    }

    /// Finds the only child of `kind`; other children are passed over.
    pub(super) fn only_child(&self, kind: [u8; 4]) -> Result<Self, MediaError> {
        let mut rest = *self;
        let mut found = None;
        while let Some(child) = rest.next_box()? {
            if child.kind == kind && found.replace(child.body).is_some() {
                return Err(MediaError::Unexpected { kind });
            }
        }
        found.ok_or(MediaError::Missing { kind })
    }

    /// Refuses bytes that are left over.
    pub(super) const fn finish(&self) -> Result<(), MediaError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(MediaError::Trailing)
        }
    }
}
