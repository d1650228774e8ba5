//! Whom the client believes over TLS: the authority whose fingerprint stands in the enrolment link,
//! and nobody else; or the platform's roots where the link says so. No trust on first use.

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

/// An enrolment link: `qorgan://HOST:PORT/?ca=HEX` or `…?ca=platform`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EnrolmentLink {
    /// The server's origin, such as `https://host:8443`.
    pub(crate) origin: String,
    /// SHA-256 of the authority's DER; `None` for the platform's roots.
    pub(crate) fingerprint: Option<[u8; 32]>,
}

impl EnrolmentLink {
    /// Reads a link; `None` where it is none.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let rest = text.trim().strip_prefix("qorgan://")?;
        let (host, query) = rest.split_once('?')?;
        let host = host.trim_end_matches('/');
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
        if host.is_empty() || !host.chars().all(plain) {
            return None;
        }
        let ca = query.split('&').find_map(|pair| pair.strip_prefix("ca="))?;
        let fingerprint = match ca {
            "platform" => None,
            hex => Some(qorgan_protocol::crypto::PublicKey::from_hex(hex)?.0),
        };
        Some(Self {
            origin: format!("https://{host}"),
            fingerprint,
        })
    }
}

/// Checks a chain against the fingerprint of its authority.
#[derive(Debug)]
pub(crate) struct Pinned {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
    authority: Mutex<Option<Vec<u8>>>,
}

impl Pinned {
    /// Returns TLS 1.3 settings that believe only the authority with this fingerprint.
    pub(crate) fn config(fingerprint: [u8; 32]) -> Result<(ClientConfig, Arc<Self>), Error> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let pinned = Arc::new(Self {
            fingerprint,
            provider: Arc::clone(&provider),
            authority: Mutex::new(None),
        });
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&pinned) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        Ok((config, pinned))
    }

    /// Returns the authority that the fingerprint was found to name.
    pub(crate) fn authority(&self) -> Option<Vec<u8>> {
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
        let verified = verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        )?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_gives_origin_and_fingerprint() {
        let link = EnrolmentLink::parse(&format!("qorgan://exam.kz:8443/?ca={}", "ab".repeat(32)));
        assert_eq!(
            link,
            Some(EnrolmentLink {
                origin: "https://exam.kz:8443".to_owned(),
                fingerprint: Some([0xAB; 32])
            })
        );
    }

    #[test]
    fn a_link_without_a_whole_fingerprint_is_none() {
        for bad in [
            "",
            "qorgan://host/",
            "qorgan://host/?ca=ab",
            "https://host/?ca=platform",
            "qorgan:///?ca=platform",
            "qorgan://a b/?ca=platform",
        ] {
            assert_eq!(EnrolmentLink::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_authority_of_the_link_is_believed() {
        let (ca, leaf) = chain("exam.kz");
        let (other_ca, other_leaf) = chain("exam.kz");
        let (_, pinned) = Pinned::config(Ring.sha256(&[ca.as_ref()]).0).expect("settings");
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

    fn chain(host: &str) -> (CertificateDer<'static>, CertificateDer<'static>) {
        let ca_key = rcgen::KeyPair::generate().expect("a key");
        let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("plain");
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let ca_der = ca.self_signed(&ca_key).expect("signs").der().clone();
        let issuer = rcgen::Issuer::new(ca, ca_key);
        let key = rcgen::KeyPair::generate().expect("a key");
        let leaf = rcgen::CertificateParams::new(vec![host.to_owned()]).expect("a host");
        (
            ca_der,
            leaf.signed_by(&key, &issuer).expect("signs").der().clone(),
        )
    }
}
