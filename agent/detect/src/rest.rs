//! Kept bytes, read from the front; what is too short, too long or of another kind is refused.

use qorgan_protocol::limits::SCORED_INPUT_BYTES_MAX;

use crate::InputError;

/// Bytes not yet read.
#[derive(Debug)]
pub(crate) struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    /// Begins behind the three bytes that say what it is.
    pub(crate) fn after(magic: [u8; 3], bytes: &'a [u8]) -> Result<Self, InputError> {
        let mut rest = Self(bytes);
        if bytes.len() <= SCORED_INPUT_BYTES_MAX && rest.array()? == magic {
            Ok(rest)
        } else {
            Err(InputError::NotScored)
        }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], InputError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(InputError::NotScored)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(crate) fn array<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], InputError> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(InputError::NotScored)?;
        self.0 = rest;
        Ok(*taken)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, InputError> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn real(&mut self) -> Result<f32, InputError> {
        self.array().map(f32::from_le_bytes)
    }

    /// Says whether everything was read.
    pub(crate) const fn ends(&self) -> Result<(), InputError> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InputError::NotScored)
        }
    }
}
