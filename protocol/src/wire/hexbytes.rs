//! Bytes in JSON.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use crate::crypto::SignedBytes;

/// Bytes as lower-case hexadecimal text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hex(pub Vec<u8>);

impl Serialize for Hex {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hex::encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Hex {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(&text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(feature = "schema")]
impl utoipa::PartialSchema for Hex {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        crate::schema::text_schema("Lower-case hexadecimal")
    }
}

#[cfg(feature = "schema")]
impl utoipa::ToSchema for Hex {}

/// A signed structure in JSON.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(utoipa::ToSchema))]
pub struct SignedHex {
    /// The canonical bytes.
    pub bytes: Hex,
    /// The signature.
    pub signature: Hex,
}

impl From<SignedBytes> for SignedHex {
    fn from(signed: SignedBytes) -> Self {
        Self {
            bytes: Hex(signed.bytes),
            signature: Hex(signed.signature),
        }
    }
}

impl From<SignedHex> for SignedBytes {
    fn from(signed: SignedHex) -> Self {
        Self {
            bytes: signed.bytes.0,
            signature: signed.signature.0,
        }
    }
}
