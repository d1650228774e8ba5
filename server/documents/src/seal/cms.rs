//! The signature itself: CMS `SignedData` with the attributes that CAdES baseline B asks for.

use ::cms::cert::{CertificateChoices, IssuerAndSerialNumber};
use ::cms::content_info::{CmsVersion, ContentInfo};
use ::cms::signed_data::{
    CertificateSet, EncapsulatedContentInfo, SignedData, SignerIdentifier, SignerInfo, SignerInfos,
};
use der::asn1::{ObjectIdentifier, OctetString, OctetStringRef, SetOfVec};
use der::{Any, Decode as _, Encode};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::EcdsaKeyPair;
use x509_cert::Certificate;
use x509_cert::attr::{Attribute, Attributes};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::SealError;

/// Signs `bytes` and returns the DER of a detached signature.
///
/// PAdES leaves the signing time to the signature dictionary's `M`, so no attribute says it.
///
/// # Errors
/// Returns [`SealError`] when a certificate cannot be encoded or the key refuses to sign.
pub(super) fn sign(
    bytes: &[u8],
    key: &EcdsaKeyPair,
    chain: &[Certificate],
    random: &SystemRandom,
) -> Result<Vec<u8>, SealError> {
    let own = chain.first().ok_or(SealError::Chain)?;
    let attributes = signed_attributes(bytes, own)?;
    let signature = key
        .sign(random, &attributes.to_der()?)
        .map_err(|ring::error::Unspecified| SealError::Signing)?;
    let info = SignerInfo {
        version: CmsVersion::V1,
        sid: SignerIdentifier::IssuerAndSerialNumber(IssuerAndSerialNumber {
            issuer: own.tbs_certificate.issuer.clone(),
            serial_number: own.tbs_certificate.serial_number.clone(),
        }),
        digest_alg: algorithm(ID_SHA_256),
        signed_attrs: Some(attributes),
        signature_algorithm: algorithm(ECDSA_WITH_SHA_256),
        signature: OctetString::new(signature.as_ref())?,
        unsigned_attrs: None,
    };
    let certificates: Vec<CertificateChoices> = chain
        .iter()
        .cloned()
        .map(CertificateChoices::Certificate)
        .collect();
    let data = SignedData {
        version: CmsVersion::V1,
        digest_algorithms: SetOfVec::try_from(vec![algorithm(ID_SHA_256)])?,
        encap_content_info: EncapsulatedContentInfo {
            econtent_type: ID_DATA,
            econtent: None,
        },
        certificates: Some(CertificateSet::try_from(certificates)?),
        crls: None,
        signer_infos: SignerInfos::try_from(vec![info])?,
    };
    let content = ContentInfo {
        content_type: ID_SIGNED_DATA,
        content: Any::encode_from(&data)?,
    };
    Ok(content.to_der()?)
}

/// Refuses what is no detached signature of one signer over `bytes`.
///
/// Whether the signer may be trusted is the reader's question; digests of other families than
/// SHA-2 cannot be computed here and are left to the reader, too.
///
/// # Errors
/// Returns [`SealError::Signature`] naming what is wrong.
pub(super) fn check(cms: &[u8], bytes: &[u8]) -> Result<(), SealError> {
    let content = ContentInfo::from_der(cms)?;
    if content.content_type != ID_SIGNED_DATA {
        return Err(refuse("it is no signed data"));
    }
    let data: SignedData = content.content.decode_as()?;
    if data.encap_content_info.econtent.is_some() {
        return Err(refuse("it carries the content instead of being detached"));
    }
    let [info] = data.signer_infos.0.as_slice() else {
        return Err(refuse("it is not by exactly one signer"));
    };
    let Some(attributes) = &info.signed_attrs else {
        return Err(refuse("it has no signed attributes"));
    };
    let stated = attributes
        .iter()
        .find(|attribute| attribute.oid == ID_MESSAGE_DIGEST)
        .and_then(|attribute| attribute.values.iter().next())
        .ok_or_else(|| refuse("it states no digest"))?
        .decode_as::<OctetString>()?;
    let Some(family) = digest_of(info.digest_alg.oid) else {
        return Ok(());
    };
    if stated.as_bytes() == digest::digest(family, bytes).as_ref() {
        Ok(())
    } else {
        Err(refuse("it was made over other bytes"))
    }
}

/// Builds content type, message digest and the hash of the signer's certificate.
fn signed_attributes(bytes: &[u8], own: &Certificate) -> Result<Attributes, SealError> {
    let message = digest::digest(&digest::SHA256, bytes);
    let certificate = digest::digest(&digest::SHA256, &own.to_der()?);
    // SigningCertificateV2 { certs { ESSCertIDv2 { certHash } } }: SHA-256 is the default.
    let signing_certificate = vec![vec![vec![OctetString::new(certificate.as_ref())?]]];
    Ok(SetOfVec::try_from(vec![
        attribute(ID_CONTENT_TYPE, &ID_DATA)?,
        attribute(ID_MESSAGE_DIGEST, &OctetStringRef::new(message.as_ref())?)?,
        attribute(ID_SIGNING_CERTIFICATE_V2, &signing_certificate)?,
    ])?)
}

fn attribute(oid: ObjectIdentifier, value: &impl Encode) -> Result<Attribute, SealError> {
    let value = Any::from_der(&value.to_der()?)?;
    Ok(Attribute {
        oid,
        values: SetOfVec::try_from(vec![value])?,
    })
}

const fn algorithm(oid: ObjectIdentifier) -> AlgorithmIdentifierOwned {
    AlgorithmIdentifierOwned {
        oid,
        parameters: None,
    }
}

fn digest_of(oid: ObjectIdentifier) -> Option<&'static digest::Algorithm> {
    if oid == ID_SHA_256 {
        Some(&digest::SHA256)
    } else if oid == ID_SHA_384 {
        Some(&digest::SHA384)
    } else if oid == ID_SHA_512 {
        Some(&digest::SHA512)
    } else {
        None
    }
}

const fn refuse(reason: &'static str) -> SealError {
    SealError::Signature { reason }
}

const ID_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.1");
const ID_SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const ID_CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const ID_MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
const ID_SIGNING_CERTIFICATE_V2: ObjectIdentifier =
    ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const ID_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const ID_SHA_384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const ID_SHA_512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
const ECDSA_WITH_SHA_256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
