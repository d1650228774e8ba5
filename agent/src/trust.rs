//! Whom the agent believes over TLS: the institution's own authority, or the platform's roots.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Says why no TLS settings can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// The authority's certificate cannot be read, or TLS 1.3 is not there.
    #[error("the authority to trust cannot be used")]
    Authority(#[source] rustls::Error),
}

/// Returns TLS 1.3 settings that trust `ca_der` alone, or the platform's roots without it.
///
/// # Errors
/// Where the certificate cannot be used.
pub(crate) fn tls_config(ca_der: Option<&[u8]>) -> Result<Arc<ClientConfig>, TrustError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(TrustError::Authority)?;
    let builder = match ca_der {
        Some(der) => {
            let mut roots = RootCertStore::empty();
            roots
                .add(CertificateDer::from(der.to_vec()))
                .map_err(TrustError::Authority)?;
            builder.with_root_certificates(roots)
        }
        None => builder
            .with_platform_verifier()
            .map_err(TrustError::Authority)?,
    };
    Ok(Arc::new(builder.with_no_client_auth()))
}
