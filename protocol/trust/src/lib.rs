//! Whom client and agent believe over TLS: one authority, named by its fingerprint, and nobody else.
//!
//! # Invariants
//! * No trust on first use: the fingerprint comes from the enrolment link (decision 10).
//! * TLS 1.3 alone; the machine's wall clock decides nothing (decision 3).

use std::sync::{Arc, Mutex, PoisonError};

use qorgan_protocol::crypto::Hasher as _;
use qorgan_signing::Ring;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::CryptoProvider,
    pki_types::{CertificateDer, ServerName, UnixTime},
};

/// Checks a chain against the fingerprint of its authority.
#[derive(Debug)]
pub struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    authority: Mutex<Option<Vec<u8>>>,
}

impl Pinned {
    /// Returns TLS 1.3 settings that believe only the authority with this fingerprint; it is known
    /// already, or is taken from the chain that the server shows.
    ///
    /// # Errors
    /// Where the provider has no TLS 1.3.
    pub fn config(
        fingerprint: [u8; 32],
        known: Option<Vec<u8>>,
    ) -> Result<(ClientConfig, Arc<Self>), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Arc::new(Self {
            fingerprint,
            provider: Arc::clone(&provider),
            authority: Mutex::new(known),
        });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&pinned) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((config, pinned))
    }

    /// Returns the DER of the authority that the fingerprint was found to name.
    #[must_use]
    pub fn authority(&self) -> Option<Vec<u8>> {
        self.authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn is_named(&self, certificate: &CertificateDer<'_>) -> bool {
        Ring.sha256(&[certificate.as_ref()]).0 == self.fingerprint
    }

    fn known(&self) -> Option<CertificateDer<'static>> {
        self.authority().map(CertificateDer::from)
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let served = intermediates
            .iter()
            .find(|certificate| self.is_named(certificate));
        let authority = served
            .map(|certificate| certificate.clone().into_owned())
            .or_else(|| self.known())
            .ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(authority.clone())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::clone(&self.provider),
        )
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
        let check = |at| {
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, at)
        };
        let verified = check(now).or_else(|error| match moment_within(&error) {
            Some(within) => check(within),
            None => Err(error),
        })?;
        *self
            .authority
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = Some(authority.to_vec());
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            rustls::PeerIncompatible::Tls13RequiredForQuic,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Returns a moment at which the certificate holds, where its time is all that is wrong with it.
///
/// A machine's wall clock is evidence, never input (decision 3): a dead battery must keep nobody
/// from an exam, and a clock that a candidate sets must change nothing.
fn moment_within(error: &Error) -> Option<UnixTime> {
    if let Error::InvalidCertificate(CertificateError::NotValidYetContext { not_before, .. }) =
        error
    {
        return Some(*not_before);
    }
    if let Error::InvalidCertificate(CertificateError::ExpiredContext { not_after, .. }) = error {
        return Some(*not_after);
    }
    None
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;

    #[test]
    fn only_the_authority_of_the_link_is_believed() {
        let (ca, leaf) = chain("exam.kz");
        let (other_ca, other_leaf) = chain("exam.kz");
        let (_, pinned) = Pinned::config(Ring.sha256(&[ca.as_ref()]).0, None).expect("settings");
        let check = |leaf: &CertificateDer<'_>, ca: &CertificateDer<'_>, name: &str| {
            let name = ServerName::try_from(name.to_owned()).expect("a name");
            pinned
                .verify_server_cert(leaf, std::slice::from_ref(ca), &name, &[], UnixTime::now())
                .is_ok()
        };
        assert!(
            !check(&other_leaf, &other_ca, "exam.kz"),
            "another authority"
        );
        assert_eq!(pinned.authority(), None);
        assert!(
            !check(&other_leaf, &ca, "exam.kz"),
            "a leaf that the authority did not sign"
        );
        assert!(!check(&leaf, &ca, "other.kz"), "another host");
        assert!(check(&leaf, &ca, "exam.kz"));
        assert_eq!(pinned.authority().as_deref(), Some(ca.as_ref()));
    }

    #[test]
    fn a_machine_with_a_wrong_wall_clock_is_served_all_the_same() {
        let (ca, leaf) = chain("exam.kz");
        let (_, other_leaf) = chain("exam.kz");
        let (_, pinned) = Pinned::config(Ring.sha256(&[ca.as_ref()]).0, None).expect("settings");
        let name = ServerName::try_from("exam.kz").expect("a name");
        for year in [1, 200] {
            let at = UnixTime::since_unix_epoch(Duration::from_secs(year * 365 * 86_400));
            let check =
                |leaf| pinned.verify_server_cert(leaf, std::slice::from_ref(&ca), &name, &[], at);
            assert!(check(&leaf).is_ok(), "year {year}");
            assert!(check(&other_leaf).is_err(), "all else is still checked");
        }
    }

    fn chain(host: &str) -> (CertificateDer<'static>, CertificateDer<'static>) {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("plain");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_der = ca.self_signed(&ca_key).expect("signs").der().clone();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let mut leaf = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a host");
        leaf.not_before = rcgen::date_time_ymd(2025, 1, 1);
        leaf.not_after = rcgen::date_time_ymd(2036, 1, 1);
        (
            ca_der,
            leaf.signed_by(&key, &issuer).expect("signs").der().clone(),
        )
    }
}
