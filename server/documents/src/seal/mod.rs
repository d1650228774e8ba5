//! Seals a PDF: PAdES B-B (`ETSI.CAdES.detached`) as an incremental update.
//!
//! Invariants: the sealed file begins with the bytes that were given, untouched; the signature
//! covers every byte of the file except its own value. [`prepare`] and [`complete`] are all that
//! an outside signer needs, and the inner [`Sealer`] uses the same two.

mod cms;
mod section;
mod syntax;

use std::fmt;
use std::ops::Range;

use der::Decode as _;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use x509_cert::Certificate;

use crate::moment::Moment;

/// How many bytes a signature may take: room for an outside signer's chain and time stamp.
pub const CMS_BYTES_MAX: usize = 16 * 1024; // larger: refused by `complete`

/// Says who seals what, when and why; stands in the signature's dictionary.
#[derive(Debug, Clone)]
pub struct SealMeta {
    /// Why the document is sealed.
    pub reason: String,
    /// Where, as the institution writes it.
    pub location: String,
    /// Whose seal it is.
    pub name: String,
    /// When, by the server's clock.
    pub signing_time: Moment,
}

/// Is a document that waits for its signature; can be stored between the steps.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    pdf: Vec<u8>,
    contents: Range<usize>,
}

/// Seals with a key of the institution.
pub struct Sealer {
    key: EcdsaKeyPair,
    chain: Vec<Certificate>,
    random: SystemRandom,
}

/// Says why a document cannot be sealed.
#[derive(Debug, Error)]
pub enum SealError {
    /// The bytes are no PDF that can be read.
    #[error("the document is no PDF that can be sealed")]
    Pdf(#[from] lopdf::Error),
    /// The PDF is built in a way that an update cannot be appended to.
    #[error("the document cannot be sealed: {reason}")]
    Shape {
        /// What is in the way.
        reason: &'static str,
    },
    /// The key is no ECDSA P-256 key in PKCS#8.
    #[error("the seal's key is no ECDSA P-256 key in PKCS#8: {reason}")]
    Key {
        /// What the key parser says.
        reason: String,
    },
    /// The chain is empty, or its first certificate is of another key.
    #[error("the first certificate of the chain is not that of the seal's key")]
    Chain,
    /// Something that should be ASN.1 is not.
    #[error("a certificate or signature is not well formed")]
    Asn1(#[from] der::Error),
    /// The signing itself failed.
    #[error("the signature could not be made")]
    Signing,
    /// The signature does not fit into the room that was left.
    #[error("a signature of {size_bytes} bytes does not fit into {CMS_BYTES_MAX}")]
    TooLarge {
        /// How large the signature is.
        size_bytes: usize,
    },
    /// The signature is not what a seal needs.
    #[error("the signature cannot be a seal: {reason}")]
    Signature {
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Appends an empty signature to `pdf` and returns the bytes that a signer signs.
///
/// # Errors
/// Returns [`SealError`] when the bytes are no PDF that an update can be appended to.
pub fn prepare(pdf: &[u8], meta: &SealMeta) -> Result<(Vec<u8>, Prepared), SealError> {
    let section = section::append(pdf, meta)?;
    let prepared = Prepared {
        pdf: section.pdf,
        contents: section.contents,
    };
    let bytes = prepared
        .bytes_to_sign()
        .ok_or(SealError::Shape { reason: BAD_RANGE })?;
    Ok((bytes, prepared))
}

/// Puts the detached signature `cms` into a prepared document and returns the sealed PDF.
///
/// # Errors
/// Returns [`SealError`] when it does not fit, is no signature of one signer, or was made over
/// other bytes.
pub fn complete(prepared: Prepared, cms: &[u8]) -> Result<Vec<u8>, SealError> {
    if cms.len() > CMS_BYTES_MAX {
        return Err(SealError::TooLarge {
            size_bytes: cms.len(),
        });
    }
    let bytes = prepared
        .bytes_to_sign()
        .ok_or(SealError::Shape { reason: BAD_RANGE })?;
    cms::check(cms, &bytes)?;
    let Prepared { mut pdf, contents } = prepared;
    let room = pdf
        .get_mut(contents)
        .ok_or(SealError::Shape { reason: BAD_RANGE })?;
    for (pair, byte) in room.chunks_exact_mut(2).zip(cms) {
        pair.copy_from_slice(format!("{byte:02x}").as_bytes());
    }
    Ok(pdf)
}

impl Prepared {
    /// Returns the bytes before and after the signature's value, joined.
    fn bytes_to_sign(&self) -> Option<Vec<u8>> {
        let before = self.pdf.get(..self.contents.start.checked_sub(1)?)?;
        let after = self.pdf.get(self.contents.end.checked_add(1)?..)?;
        let room = self.pdf.get(self.contents.clone())?;
        let empty = room.len() == 2 * CMS_BYTES_MAX && room.iter().all(|digit| *digit == b'0');
        empty.then(|| [before, after].concat())
    }
}

impl Sealer {
    /// Takes the key in PKCS#8 and its certificate chain in DER, the key's own first.
    ///
    /// # Errors
    /// Returns [`SealError`] when the key or a certificate cannot be read, or the first
    /// certificate is not the key's.
    pub fn new(pkcs8: &[u8], chain: &[Vec<u8>], random: SystemRandom) -> Result<Self, SealError> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8, &random)
            .map_err(|rejected| SealError::Key {
                reason: rejected.to_string(),
            })?;
        let chain = chain
            .iter()
            .map(|der| Certificate::from_der(der))
            .collect::<Result<Vec<_>, _>>()?;
        let own = chain.first().ok_or(SealError::Chain)?;
        let public = &own
            .tbs_certificate
            .subject_public_key_info
            .subject_public_key;
        if public.as_bytes() != Some(key.public_key().as_ref()) {
            return Err(SealError::Chain);
        }
        Ok(Self { key, chain, random })
    }

    /// Seals `pdf` and returns it with the seal appended.
    ///
    /// # Errors
    /// Returns [`SealError`] when the PDF cannot take an update or the signing fails.
    pub fn seal(&self, pdf: &[u8], meta: &SealMeta) -> Result<Vec<u8>, SealError> {
        let (bytes, prepared) = prepare(pdf, meta)?;
        let cms = cms::sign(&bytes, &self.key, &self.chain, &self.random)?;
        complete(prepared, &cms)
    }
}

impl fmt::Debug for Prepared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared")
            .field("bytes", &self.pdf.len())
            .field("contents", &self.contents)
            .finish()
    }
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealer")
            .field("certificates", &self.chain.len())
            .finish_non_exhaustive()
    }
}

const BAD_RANGE: &str = "the room for the signature is not where it should be";
