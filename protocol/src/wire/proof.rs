//! What a client signs for each request, so that its token is of no use without the device's key
//! (the idea is that of RFC 9449).
//!
//! A signed header and no TLS exporter: it also holds where a trusted proxy ends TLS, it covers the
//! body, and it needs nothing from the TLS library.

use serde::{Deserialize, Serialize};

use crate::crypto::{Label, Sha256, Signable, SignedBytes};

/// The header that carries the signed [`RequestProof`]: two hexadecimal words, parted by a dot.
pub const PROOF_HEADER: &str = "qorgan-proof";
/// The header in which the server gives the nonce to use, beside
/// [`super::ProblemCode::StaleProof`].
pub const PROOF_NONCE_HEADER: &str = "qorgan-proof-nonce";

/// One request with a token, signed by the device's lasting key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestProof {
    /// SHA-256 of the bearer token's text.
    pub token: Sha256,
    /// The nonce that the server gave for this token; zeros before it gave one.
    pub nonce: [u8; 16],
    /// Raised with each request: no number is used twice under one nonce.
    pub number: u64,
    /// The method, in capitals.
    pub method: String,
    /// Path and query, as sent.
    pub target: String,
    /// SHA-256 of the body's bytes.
    pub body: Sha256,
}

impl Signable for RequestProof {
    const LABEL: Label = Label::RequestProof;
    const VERSION: u16 = 1;
    const NAME: &'static str = "request proof";
}

/// Says why a header holds no proof.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// It is longer than any proof.
    #[error("the proof is longer than {HEADER_BYTES_MAX} bytes")]
    TooLong,
    /// It is not two hexadecimal words.
    #[error("the proof is not two hexadecimal words")]
    Form,
}

/// Returns a signed proof as the header's value.
#[must_use]
pub fn proof_header(signed: &SignedBytes) -> String {
    let (bytes, signature) = (hex::encode(&signed.bytes), hex::encode(&signed.signature));
    format!("{bytes}.{signature}")
}

/// Reads a header's value; nothing in it is believed yet.
///
/// # Errors
/// Where it is too long or has another form.
pub fn proof_of(header: &[u8]) -> Result<SignedBytes, ProofError> {
    if header.len() > HEADER_BYTES_MAX {
        return Err(ProofError::TooLong);
    }
    let mut words = header.split(|byte| *byte == b'.');
    let (Some(bytes), Some(signature), None) = (words.next(), words.next(), words.next()) else {
        return Err(ProofError::Form);
    };
    let word = |word: &[u8]| hex::decode(word).map_err(|_not_hex| ProofError::Form);
    Ok(SignedBytes {
        bytes: word(bytes)?,
        signature: word(signature)?,
    })
}

/// Reads the nonce that the server gave in [`PROOF_NONCE_HEADER`]; `None` where it is none.
#[must_use]
pub fn nonce_of(header: &[u8]) -> Option<[u8; 16]> {
    let mut nonce = [0; 16];
    hex::decode_to_slice(header, &mut nonce).ok()?;
    Some(nonce)
}

/// The longest header's value, in bytes: a target may have about a thousand.
const HEADER_BYTES_MAX: usize = 3_072;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_gives_back_what_was_signed() {
        let signed = SignedBytes {
            bytes: vec![1, 2, 0xFF],
            signature: vec![7; 64],
        };
        assert_eq!(proof_of(proof_header(&signed).as_bytes()), Ok(signed));
    }

    #[test]
    fn what_is_no_proof_is_refused() {
        for bad in ["", "00", "00.zz", "00.00.00", "0.0", "é.00"] {
            assert_eq!(proof_of(bad.as_bytes()), Err(ProofError::Form), "{bad}");
        }
        let long = "0".repeat(HEADER_BYTES_MAX + 1);
        assert_eq!(proof_of(long.as_bytes()), Err(ProofError::TooLong));
    }
}
