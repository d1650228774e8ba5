//! Signs each request with the device's lasting key, so that a token that leaves this machine is of
//! no use.

use std::sync::{Mutex, PoisonError};

use qorgan_protocol::{
    codec::CodecError,
    crypto::{self, Hasher as _},
    ids::InstitutionId,
    wire::{RequestProof, nonce_of, proof_header},
};
use qorgan_signing::{Keys, Ring};

/// The nonce that the server gave, and the next number under it.
#[derive(Debug, Default)]
pub(super) struct Proofs {
    state: Mutex<([u8; 16], u64)>,
}

/// What a proof is made over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The bearer token.
    pub(super) token: &'a str,
    /// The method, in capitals.
    pub(super) method: &'a str,
    /// Path and query.
    pub(super) target: &'a str,
    /// The body's bytes.
    pub(super) body: &'a [u8],
}

impl Proofs {
    /// Returns the header's value for a request, under a number that is used for no other.
    pub(super) fn header(
        &self,
        keys: &Keys,
        institution: InstitutionId,
        asked: Asked<'_>,
    ) -> Result<String, CodecError> {
        let (nonce, number) = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let taken = *state;
            state.1 = state.1.saturating_add(1);
            taken
        };
        let proof = RequestProof {
            token: Ring.sha256(&[asked.token.as_bytes()]),
            nonce,
            number,
            method: asked.method.to_owned(),
            target: asked.target.to_owned(),
            body: Ring.sha256(&[asked.body]),
        };
        Ok(proof_header(&crypto::sign(
            keys,
            &Ring,
            institution,
            &proof,
        )?))
    }

    /// Takes the nonce that the server gave; false where it is none.
    pub(super) fn renew(&self, header: &[u8]) -> bool {
        let nonce = nonce_of(header);
        if let Some(nonce) = nonce {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).0 = nonce;
        }
        nonce.is_some()
    }
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::{
        crypto::Signer as _, ids::InstitutionId, time::WallTime, wire::proof_of,
    };

    use super::*;

    #[test]
    fn each_request_is_signed_under_a_number_of_its_own_and_the_newest_nonce() {
        let (keys, _) = Keys::generate().expect("random bytes");
        let institution = InstitutionId::new(WallTime::from_unix_ms(1), [0; 10]);
        let proofs = Proofs::default();
        let asked = Asked {
            token: "token",
            method: "POST",
            target: "/api/v1/x?y=1",
            body: b"{}",
        };
        let sign = || {
            let header = proofs.header(&keys, institution, asked).expect("writable");
            let signed = proof_of(header.as_bytes()).expect("a proof");
            crypto::open::<RequestProof>(&Ring, &keys.public_key(), institution, &signed)
                .expect("signed here")
        };
        let first = sign();
        assert_eq!((first.nonce, first.number), ([0; 16], 0));
        assert_eq!(first.body, Ring.sha256(&[b"{}"]));
        assert!(!proofs.renew(b"no nonce"));
        assert!(proofs.renew("ab".repeat(16).as_bytes()));
        let second = sign();
        assert_eq!((second.nonce, second.number), ([0xAB; 16], 1));
        assert_eq!((second.method, second.target), (first.method, first.target));
    }
}
