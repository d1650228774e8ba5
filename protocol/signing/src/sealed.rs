//! Bytes that only a key's holder can read.

use core::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::signing::random;

/// Says why bytes could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// They are not what was sealed, or were sealed under another key or for another place.
    #[error("the sealed bytes do not open: changed, cut, or under another key")]
    DoesNotOpen,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// An AES-256-GCM key.
pub struct SecretKey {
    bytes: [u8; 32],
    key: LessSafeKey,
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey(‹private›)")
    }
}

impl SecretKey {
    /// Bytes that a seal adds: nonce and tag.
    pub const OVERHEAD_BYTES: usize = NONCE_LEN + 16;

    /// Wraps 32 key bytes.
    ///
    /// # Panics
    /// Never: 32 bytes are the length that AES-256 takes.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        let unbound = UnboundKey::new(&AES_256_GCM, &bytes).expect("32 bytes are an AES-256 key");
        Self {
            bytes,
            key: LessSafeKey::new(unbound),
        }
    }

    /// Makes a random key.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate() -> Result<Self, SealError> {
        random()
            .map(Self::new)
            .map_err(|_none| SealError::NoRandomness)
    }

    /// Returns the key's bytes, to be wrapped by another key.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Returns nonce ‖ ciphertext ‖ tag; `place` must be said again to open.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn seal(&self, place: &[u8], plain: &[u8]) -> Result<Vec<u8>, SealError> {
        let nonce: [u8; NONCE_LEN] = random().map_err(|_none| SealError::NoRandomness)?;
        let mut sealed = Vec::with_capacity(plain.len() + Self::OVERHEAD_BYTES);
        sealed.extend_from_slice(&nonce);
        let mut body = plain.to_vec();
        self.key
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(nonce),
                Aad::from(place),
                &mut body,
            )
            .map_err(|_unspecified| SealError::NoRandomness)?;
        sealed.append(&mut body);
        Ok(sealed)
    }

    /// Returns what was sealed for `place`.
    ///
    /// # Errors
    /// `DoesNotOpen` where a bit, the key or the place differs.
    pub fn open(&self, place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (nonce, body) = sealed
            .split_first_chunk::<NONCE_LEN>()
            .ok_or(SealError::DoesNotOpen)?;
        let mut body = body.to_vec();
        let plain = self
            .key
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                Aad::from(place),
                &mut body,
            )
            .map_err(|_unspecified| SealError::DoesNotOpen)?;
        let len = plain.len();
        body.truncate(len);
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sealed_bytes_open_only_whole_and_in_their_place() {
        let key = SecretKey::generate().expect("random bytes");
        let sealed = key.seal(b"here", b"response").expect("random bytes");
        assert_eq!(
            key.open(b"here", &sealed).as_deref(),
            Ok(b"response".as_slice())
        );
        assert_eq!(key.open(b"there", &sealed), Err(SealError::DoesNotOpen));
        for bit in 0..sealed.len() * 8 {
            let mut bad = sealed.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(key.open(b"here", &bad), Err(SealError::DoesNotOpen));
        }
        assert_eq!(key.open(b"here", &sealed[..5]), Err(SealError::DoesNotOpen));
    }
}
