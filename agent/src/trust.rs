//! Whom the agent believes over TLS: the institution's own authority, or the platform's roots.

use std::sync::Arc;

use qorgan_protocol::crypto::Hasher as _;
use qorgan_signing::Ring;
use qorgan_trust::Pinned;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Says why no TLS settings can be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TrustError {
    /// TLS 1.3 is not there, or the platform has no roots.
    #[error("no TLS settings can be made")]
    Settings(#[source] rustls::Error),
}

/// Returns TLS 1.3 settings that trust `ca_der` alone, or the platform's roots without it.
///
/// # Errors
/// Where TLS 1.3 or the platform's roots are missing.
pub(crate) fn tls_config(ca_der: Option<&[u8]>) -> Result<Arc<ClientConfig>, TrustError> {
    if let Some(der) = ca_der {
        let fingerprint = Ring.sha256(&[der]).0;
        let (config, _pinned) =
            Pinned::config(fingerprint, Some(der.to_vec())).map_err(TrustError::Settings)?;
        return Ok(Arc::new(config));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .and_then(|builder| builder.with_platform_verifier())
        .map_err(TrustError::Settings)?;
    Ok(Arc::new(config.with_no_client_auth()))
}
