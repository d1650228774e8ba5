//! The built-in certificate authority, the TLS certificate and the seal's certificate.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use qorgan_protocol::ids::InstitutionId;
use qorgan_signing::{Keys, SecretKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::config::Config;
use crate::keys::{
    AuthorityKeys, KeysError, ServerKeys, file_error, key_encryption_key, read_sealed,
    write_private, write_sealed,
};

/// Says why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// A PEM file holds no certificate or key.
    #[error("{path} holds no usable PEM certificate or key: {source}")]
    Pem {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: rustls::pki_types::pem::Error,
    },
    /// The certificate and its key do not fit.
    #[error("the TLS certificate cannot be used")]
    Rustls(#[from] rustls::Error),
}

/// Reads the server's keys from `data`, making those that are missing.
///
/// # Errors
/// Where a file cannot be used, or the key-encryption key is missing or another one.
pub fn open_keys(
    data: &Path,
    config: &Config,
    institution: InstitutionId,
) -> Result<ServerKeys, KeysError> {
    let (sign, ca_key) = (data.join("sign.pk8"), data.join("ca.pk8"));
    let first = !sign.exists() && !ca_key.exists();
    let kek = key_encryption_key(&config.key_file(data), first)?;
    let signing = if sign.is_file() {
        Keys::from_pkcs8(&read_sealed(&sign, &kek)?)?
    } else {
        let (keys, pkcs8) = Keys::generate()?;
        write_sealed(&sign, &kek, &pkcs8)?;
        keys
    };
    let authority = open_authority(data, &kek, institution)?;
    Ok(ServerKeys::new(institution, kek, signing, authority))
}

fn open_authority(
    data: &Path,
    kek: &SecretKey,
    institution: InstitutionId,
) -> Result<AuthorityKeys, KeysError> {
    let ca_file = data.join("ca.pem");
    let ca_pair = open_pair(&data.join("ca.pk8"), kek)?;
    if !ca_file.is_file() {
        let certificate = ca_params(institution)?.self_signed(&ca_pair)?;
        write_private(&ca_file, certificate.pem().as_bytes())?;
    }
    let ca_pem = fs::read_to_string(&ca_file).map_err(|e| file_error(&ca_file, e))?;
    let ca_der = CertificateDer::from_pem_slice(ca_pem.as_bytes())
        .map_err(|e| file_error(&ca_file, std::io::Error::other(e)))?
        .to_vec();
    let seal_pair = open_pair(&data.join("seal.pk8"), kek)?;
    let seal_file = data.join("seal.pem");
    if !seal_file.is_file() {
        let params = ca_params(institution)?;
        let issuer = Issuer::from_params(&params, &ca_pair);
        let certificate = seal_params()?.signed_by(&seal_pair, &issuer)?;
        write_private(&seal_file, certificate.pem().as_bytes())?;
    }
    Ok(AuthorityKeys {
        ca_pem,
        ca_der,
        seal_pem: fs::read_to_string(&seal_file).map_err(|e| file_error(&seal_file, e))?,
        seal_pkcs8: seal_pair.serialize_der(),
    })
}

/// Returns the TLS configuration: own files where set, else a certificate of the built-in authority
/// for every name under which the server is reached, made anew when these change.
///
/// # Errors
/// Where a file cannot be used.
pub fn server_config(
    data: &Path,
    config: &Config,
    keys: &ServerKeys,
    bound: SocketAddr,
) -> Result<Arc<rustls::ServerConfig>, TlsError> {
    let own = !config.tls.certificate.as_os_str().is_empty();
    let (certificate, key) = if own {
        (config.tls.certificate.clone(), config.tls.key.clone())
    } else {
        issue_leaf(data, config, keys, bound)?;
        (data.join("tls.pem"), data.join("tls.key"))
    };
    let pem_error = |path: &Path, source| TlsError::Pem {
        path: path.display().to_string(),
        source,
    };
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| pem_error(&certificate, source))?;
    let key = PrivateKeyDer::from_pem_file(&key).map_err(|source| pem_error(&key, source))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(tls))
}

fn issue_leaf(
    data: &Path,
    config: &Config,
    keys: &ServerKeys,
    bound: SocketAddr,
) -> Result<(), KeysError> {
    let names = leaf_names(config, bound);
    let (pem_file, key_file) = (data.join("tls.pem"), data.join("tls.key"));
    let names_file = data.join("tls.names");
    let wanted = names.iter().cloned().collect::<Vec<_>>().join("\n");
    let same = fs::read_to_string(&names_file).is_ok_and(|have| have == wanted);
    if same && pem_file.is_file() && key_file.is_file() {
        return Ok(());
    }
    let ca_pair = open_pair(&data.join("ca.pk8"), keys.kek())?;
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::new(names.into_iter().collect::<Vec<_>>())?;
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2036, 1, 1);
    params
        .distinguished_name
        .push(DnType::CommonName, "Qorgan server");
    params.key_usages.push(KeyUsagePurpose::DigitalSignature);
    params
        .extended_key_usages
        .push(ExtendedKeyUsagePurpose::ServerAuth);
    params.use_authority_key_identifier_extension = true;
    let ca_params = ca_params(keys.institution())?;
    let issuer = Issuer::from_params(&ca_params, &ca_pair);
    let leaf = params.signed_by(&pair, &issuer)?;
    let chain = format!("{}{}", leaf.pem(), keys.ca_pem());
    write_private(&pem_file, chain.as_bytes())?;
    write_private(&key_file, pair.serialize_pem().as_bytes())?;
    write_private(&names_file, wanted.as_bytes())
}

fn leaf_names(config: &Config, bound: SocketAddr) -> BTreeSet<String> {
    let mut names: BTreeSet<String> = config.host_names.iter().cloned().collect();
    names.insert("localhost".to_owned());
    names.insert("127.0.0.1".to_owned());
    names.insert("::1".to_owned());
    if !bound.ip().is_unspecified() {
        names.insert(bound.ip().to_string());
    }
    names.extend(host_of(&config.public_address).map(str::to_owned));
    names
}

/// Returns the host of `HOST` or `HOST:PORT`; an IPv6 address may stand in brackets.
fn host_of(address: &str) -> Option<&str> {
    let host = match address.strip_prefix('[') {
        Some(bracketed) => bracketed.split(']').next().unwrap_or_default(),
        None if address.parse::<std::net::IpAddr>().is_ok() => address,
        None => address.split(':').next().unwrap_or_default(),
    };
    Some(host).filter(|host| !host.is_empty())
}

fn ca_params(institution: InstitutionId) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2056, 1, 1);
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "Qorgan authority");
    name.push(DnType::OrganizationName, institution.to_string());
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

fn seal_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    params.not_after = rcgen::date_time_ymd(2046, 1, 1);
    params
        .distinguished_name
        .push(DnType::CommonName, "Qorgan act seal");
    params.key_usages = vec![
        KeyUsagePurpose::DigitalSignature,
        KeyUsagePurpose::ContentCommitment,
    ];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

fn open_pair(path: &Path, kek: &SecretKey) -> Result<KeyPair, KeysError> {
    if path.is_file() {
        let der = read_sealed(path, kek)?;
        let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der);
        return Ok(KeyPair::from_pkcs8_der_and_sign_algo(
            &der,
            &PKCS_ECDSA_P256_SHA256,
        )?);
    }
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    write_sealed(path, kek, &pair.serialize_der())?;
    Ok(pair)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_certificate_names_the_public_address_with_and_without_a_port() {
        for (address, name) in [
            ("exam.example.kz", "exam.example.kz"),
            ("exam.example.kz:443", "exam.example.kz"),
            ("192.0.2.7", "192.0.2.7"),
            ("[2001:db8::5]:8443", "2001:db8::5"),
            ("[2001:db8::5]", "2001:db8::5"),
            ("2001:db8::5", "2001:db8::5"),
        ] {
            let config = Config {
                public_address: address.to_owned(),
                ..Config::default()
            };
            let names = leaf_names(&config, SocketAddr::from(([0, 0, 0, 0], 8443)));
            assert!(names.contains(name), "{address}: {names:?}");
        }
        assert_eq!(host_of(""), None);
    }
}
