//! Hashes, signatures and random bytes.

use core::fmt;

use qorgan_protocol::crypto::{Hasher, PublicKey, Sha256, Signer, StreamHasher, Verifier};
use qorgan_protocol::ids::{AttemptId, Epoch};
use ring::rand::SecureRandom as _;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use ring::{digest, hmac, rand};

/// Says that key bytes are not good, or that the system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The bytes hold no PKCS#8 Ed25519 key.
    #[error("the bytes hold no PKCS#8 Ed25519 key")]
    NoKey,
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// Hashes and checks signatures.
#[derive(Debug, Clone, Copy, Default)]
pub struct Ring;

impl Hasher for Ring {
    fn sha256(&self, parts: &[&[u8]]) -> Sha256 {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in parts {
            context.update(part);
        }
        let mut hash = [0; 32];
        hash.copy_from_slice(context.finish().as_ref());
        Sha256(hash)
    }
}

impl StreamHasher for Ring {
    type Running = digest::Context;

    fn begin(&self) -> digest::Context {
        digest::Context::new(&digest::SHA256)
    }

    fn feed(&self, running: &mut digest::Context, bytes: &[u8]) {
        running.update(bytes);
    }

    fn end(&self, running: digest::Context) -> Sha256 {
        let mut hash = [0; 32];
        hash.copy_from_slice(running.finish().as_ref());
        Sha256(hash)
    }
}

impl Verifier for Ring {
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &key.0)
            .verify(message, signature)
            .is_ok()
    }
}

/// An Ed25519 key pair.
pub struct Keys {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// Makes a new pair; returns it with its PKCS#8 bytes, which must be kept secret.
    ///
    /// # Errors
    /// Where the system gives no random bytes.
    pub fn generate() -> Result<(Self, Vec<u8>), KeyError> {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&rand::SystemRandom::new())
            .map_err(|_unspecified| KeyError::NoRandomness)?;
        let keys = Self::from_pkcs8(pkcs8.as_ref())?;
        Ok((keys, pkcs8.as_ref().to_vec()))
    }

    /// Reads a pair from its PKCS#8 bytes.
    ///
    /// # Errors
    /// `NoKey` where the bytes hold none.
    pub fn from_pkcs8(pkcs8: &[u8]) -> Result<Self, KeyError> {
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8).map_err(|_rejected| KeyError::NoKey)?;
        let mut public = [0; 32];
        public.copy_from_slice(pair.public_key().as_ref());
        Ok(Self {
            pair,
            public: PublicKey(public),
        })
    }
}

impl Signer for Keys {
    fn public_key(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.pair.sign(message).as_ref().to_vec()
    }
}

/// Returns `N` random bytes.
///
/// # Errors
/// Where the system gives none.
pub fn random<const N: usize>() -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    rand::SystemRandom::new()
        .fill(&mut bytes)
        .map_err(|_unspecified| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// Returns HMAC-SHA256 of the parts, one after another.
#[must_use]
pub fn hmac_sha256(key: &[u8; 32], parts: &[&[u8]]) -> [u8; 32] {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for part in parts {
        context.update(part);
    }
    let mut tag = [0; 32];
    tag.copy_from_slice(context.sign().as_ref());
    tag
}

/// Returns the text of a freshness code (decision 2): 32 upper-case hexadecimal digits.
#[must_use]
pub fn freshness_code(key: &[u8; 32], nonce: &[u8], attempt: AttemptId, epoch: Epoch) -> String {
    let tag = hmac_sha256(key, &[nonce, attempt.as_bytes(), &epoch.0.to_be_bytes()]);
    tag[..16].iter().map(|byte| format!("{byte:02X}")).collect()
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::crypto::{self, Signer as _};
    use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole};
    use qorgan_protocol::ids::{BootId, InstitutionId};
    use qorgan_protocol::time::WallTime;

    use super::*;

    fn certificate(key: PublicKey) -> AttemptKeyCertificate {
        AttemptKeyCertificate {
            attempt: AttemptId::new(WallTime::from_unix_ms(5), [1; 10]),
            epoch: Epoch::FIRST,
            role: AttemptRole::Agent,
            key,
            boot: BootId([3; 16]),
            issued: WallTime::from_unix_ms(5),
            expires: WallTime::from_unix_ms(9),
        }
    }

    #[test]
    fn a_signed_statement_opens_with_its_key_and_no_other() {
        let (keys, pkcs8) = Keys::generate().expect("random bytes");
        let (other, _) = Keys::generate().expect("random bytes");
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [0; 10]);
        let body = certificate(other.public_key());
        let keys = Keys::from_pkcs8(&pkcs8).map_or(keys, |again| again);
        let signed = crypto::sign(&keys, &Ring, institution, &body).expect("writable");
        assert_eq!(
            crypto::open(&Ring, &keys.public_key(), institution, &signed),
            Ok(body)
        );
        crypto::open::<AttemptKeyCertificate>(&Ring, &other.public_key(), institution, &signed)
            .expect_err("another key");
    }

    #[test]
    fn every_flipped_bit_of_a_statement_is_refused() {
        let (keys, _) = Keys::generate().expect("random bytes");
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [0; 10]);
        let signed = crypto::sign(&keys, &Ring, institution, &certificate(keys.public_key()))
            .expect("writable");
        for bit in 0..signed.bytes.len() * 8 {
            let mut bad = signed.clone();
            bad.bytes[bit / 8] ^= 1 << (bit % 8);
            crypto::open::<AttemptKeyCertificate>(&Ring, &keys.public_key(), institution, &bad)
                .expect_err("a flipped bit");
        }
    }

    #[test]
    fn a_freshness_code_depends_on_attempt_and_epoch() {
        let a = AttemptId::new(WallTime::from_unix_ms(5), [1; 10]);
        let b = AttemptId::new(WallTime::from_unix_ms(5), [2; 10]);
        let code = freshness_code(&[7; 32], b"nonce", a, Epoch(1));
        assert_eq!(code.len(), 32);
        assert_ne!(code, freshness_code(&[7; 32], b"nonce", b, Epoch(1)));
        assert_ne!(code, freshness_code(&[7; 32], b"nonce", a, Epoch(2)));
    }
}
