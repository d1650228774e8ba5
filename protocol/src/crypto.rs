//! The traits behind every hash and signature, and the one envelope that all signed structures
//! share. `qorgan-signing` does them with ring.

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::codec::{self, CodecError};
use crate::ids::InstitutionId;

/// A SHA-256 hash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(pub [u8; 32]);

impl Sha256 {
    /// Stands where a chain begins.
    pub const ZERO: Self = Self([0; 32]);

    /// Returns the hash in lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }
}

impl core::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl core::fmt::Display for Sha256 {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Names a public key: the first sixteen bytes of its SHA-256.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(pub [u8; 16]);

impl core::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// How a signature was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8032).
    Ed25519,
}

/// A raw Ed25519 public key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// Returns the name of this key.
    #[must_use]
    pub fn id(&self, hasher: &impl Hasher) -> KeyId {
        let hash = hasher.sha256(&[&self.0]);
        let mut id = [0; 16];
        id.copy_from_slice(&hash.0[..16]);
        KeyId(id)
    }

    /// Returns the key in lower-case hexadecimal.
    #[must_use]
    pub fn to_hex(self) -> String {
        hex::encode(self.0)
    }

    /// Reads a key from hexadecimal; `None` where the text is no such key.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let mut key = [0; 32];
        hex::decode_to_slice(text.trim(), &mut key).ok()?;
        Some(Self(key))
    }
}

impl core::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.to_hex())
    }
}

/// Hashes.
pub trait Hasher {
    /// Returns the SHA-256 of the parts, one after another.
    fn sha256(&self, parts: &[&[u8]]) -> Sha256;
}

/// Hashes what does not lie in memory at once.
pub trait StreamHasher: Hasher {
    /// A hash on its way.
    type Running;
    /// Begins a hash.
    fn begin(&self) -> Self::Running;
    /// Adds bytes.
    fn feed(&self, running: &mut Self::Running, bytes: &[u8]);
    /// Returns the hash of all that was fed.
    fn end(&self, running: Self::Running) -> Sha256;
}

/// Holds a private key and signs with it.
pub trait Signer {
    /// Returns the public half.
    fn public_key(&self) -> PublicKey;
    /// Returns the Ed25519 signature of `message`, 64 bytes.
    fn sign(&self, message: &[u8]) -> Vec<u8>;
}

/// Checks signatures.
pub trait Verifier: Hasher {
    /// Tells whether `signature` over `message` was made with the private half of `key`.
    fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> bool;
}

/// What a signed structure is, so that one can never be taken for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Label {
    /// [`crate::evidence::BeatBody`].
    Beat,
    /// [`crate::evidence::ReceiptBatch`].
    Receipts,
    /// [`crate::evidence::AttemptKeyCertificate`].
    AttemptKeyCertificate,
    /// The manifest of a sealed recording.
    Manifest,
    /// [`crate::link::Hello`].
    LinkHello,
    /// [`crate::wire::DeviceProof`].
    DeviceProof,
    /// [`crate::wire::EnrolProof`].
    EnrolProof,
    /// [`crate::local::ChannelProof`].
    ChannelProof,
    /// [`crate::wire::ResponseReceipt`].
    ResponseReceipt,
    /// A checkpoint of the Merkle log.
    Checkpoint,
    /// What an export holds besides the sealed recording.
    Supplement,
    /// What there is of a recording that was not sealed.
    Unsealed,
    /// [`crate::wire::RequestProof`].
    RequestProof,
    /// [`crate::wire::AgentGrant`].
    AgentGrant,
}

/// A structure that can be signed.
pub trait Signable: Serialize + DeserializeOwned {
    /// What it is.
    const LABEL: Label;
    /// The version of its body.
    const VERSION: u16;
    /// What errors call it.
    const NAME: &'static str;
}

#[derive(Serialize, Deserialize)]
struct Preamble {
    label: Label,
    version: u16,
    institution: InstitutionId,
    key: KeyId,
    algorithm: Algorithm,
}

/// Canonical bytes (label, version, institution, key id, algorithm, body) and their signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedBytes {
    /// The canonical bytes that were signed.
    pub bytes: Vec<u8>,
    /// The Ed25519 signature over them, 64 bytes.
    pub signature: Vec<u8>,
}

/// What a signed structure says about itself before anybody believes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// What it says it is.
    pub label: Label,
    /// For whom it says it was signed.
    pub institution: InstitutionId,
    /// Whose key it says signed it.
    pub key: KeyId,
}

impl SignedBytes {
    /// Returns what the bytes claim, to choose the key that [`open`] then checks them with.
    ///
    /// # Errors
    /// Where the bytes begin with no such claim.
    pub fn claim(&self) -> Result<Claim, CodecError> {
        let (preamble, _body) =
            postcard::take_from_bytes::<Preamble>(&self.bytes).map_err(|cause| {
                CodecError::Malformed {
                    what: "signed structure",
                    len: self.bytes.len(),
                    cause,
                }
            })?;
        Ok(Claim {
            label: preamble.label,
            institution: preamble.institution,
            key: preamble.key,
        })
    }
}

/// Says why a signed structure is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    /// The bytes are no canonical statement.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// Another structure was signed.
    #[error("expected a signed {expected}, found label {found:?} version {version}")]
    WrongLabel {
        /// What was expected.
        expected: &'static str,
        /// What is in the bytes.
        found: Label,
        /// Its version.
        version: u16,
    },
    /// It was signed for another institution.
    #[error("the {what} was signed for another institution")]
    WrongInstitution {
        /// What it is.
        what: &'static str,
    },
    /// It names another key than the one it is checked with.
    #[error("the {what} names key {found:?}, not the expected one")]
    WrongKey {
        /// What it is.
        what: &'static str,
        /// The key it names.
        found: KeyId,
    },
    /// The signature does not match.
    #[error("the signature of the {what} does not match")]
    BadSignature {
        /// What it is.
        what: &'static str,
    },
}

/// Signs `body` for `institution`.
///
/// # Errors
/// Only where the body cannot be written.
pub fn sign<T: Signable>(
    signer: &impl Signer,
    hasher: &impl Hasher,
    institution: InstitutionId,
    body: &T,
) -> Result<SignedBytes, CodecError> {
    let preamble = Preamble {
        label: T::LABEL,
        version: T::VERSION,
        institution,
        key: signer.public_key().id(hasher),
        algorithm: Algorithm::Ed25519,
    };
    let bytes = codec::encode(T::NAME, &(preamble, body))?;
    let signature = signer.sign(&bytes);
    Ok(SignedBytes { bytes, signature })
}

/// Returns the body of a statement that `key` signed for `institution`.
///
/// # Errors
/// Names what is wrong: form, label, institution, key or signature.
pub fn open<T: Signable>(
    verifier: &impl Verifier,
    key: &PublicKey,
    institution: InstitutionId,
    signed: &SignedBytes,
) -> Result<T, StatementError> {
    let body = open_chained(verifier, key, institution, signed)?;
    if !verifier.verify(key, &signed.bytes, &signed.signature) {
        return Err(StatementError::BadSignature { what: T::NAME });
    }
    Ok(body)
}

/// Returns the body of a statement that was believed before it was stored. Neither its signature nor
/// whose it is is looked at.
///
/// # Errors
/// Names what is wrong with its form.
pub fn stored<T: Signable>(signed: &SignedBytes) -> Result<T, CodecError> {
    let (_, body) = codec::decode::<(Preamble, T)>(T::NAME, &signed.bytes)?;
    Ok(body)
}

/// Returns the body of a statement whose signature the caller leaves to a later one: a statement of
/// the same key whose bytes lead, hash by hash, to these, and that [`open`] believes.
///
/// # Errors
/// Names what is wrong: form, label, institution or key. The signature is not looked at.
pub fn open_chained<T: Signable>(
    hasher: &impl Hasher,
    key: &PublicKey,
    institution: InstitutionId,
    signed: &SignedBytes,
) -> Result<T, StatementError> {
    let what = T::NAME;
    let (preamble, body) = codec::decode::<(Preamble, T)>(what, &signed.bytes)?;
    if preamble.label != T::LABEL || preamble.version != T::VERSION {
        return Err(StatementError::WrongLabel {
            expected: what,
            found: preamble.label,
            version: preamble.version,
        });
    }
    if preamble.institution != institution {
        return Err(StatementError::WrongInstitution { what });
    }
    if preamble.key != key.id(hasher) {
        return Err(StatementError::WrongKey {
            what,
            found: preamble.key,
        });
    }
    Ok(body)
}
