//! Canonical bytes: one value has one encoding.
//!
//! postcard writes a value in one way but reads some integers in several; [`decode`] therefore
//! encodes what it read and compares, so that trailing bytes and overlong integers are refused.

use serde::{Serialize, de::DeserializeOwned};

/// Says why bytes are not the canonical encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes do not hold the value at all.
    #[error("cannot read a {what} from {len} bytes: {cause}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// How many bytes there were.
        len: usize,
        /// What the reader said.
        cause: postcard::Error,
    },
    /// The bytes hold the value, but not in its only encoding, or more follows.
    #[error("the {what} in {len} bytes is not in canonical form")]
    NotCanonical {
        /// What was expected.
        what: &'static str,
        /// How many bytes there were.
        len: usize,
    },
    /// The value cannot be written.
    #[error("cannot write a {what}: {cause}")]
    Unwritable {
        /// What was to be written.
        what: &'static str,
        /// What the writer said.
        cause: postcard::Error,
    },
}

/// Returns the canonical bytes of `value`; `what` names it in errors.
///
/// # Errors
/// `Unwritable` for a type that postcard cannot write (none in this crate).
pub fn encode<T: Serialize>(what: &'static str, value: &T) -> Result<Vec<u8>, CodecError> {
    postcard::to_allocvec(value).map_err(|cause| CodecError::Unwritable { what, cause })
}

/// Reads the value whose canonical bytes are exactly `bytes`; `what` names it in errors.
///
/// # Errors
/// `Malformed` where the bytes hold no such value, `NotCanonical` where they hold it in another
/// encoding or are followed by more.
pub fn decode<T: Serialize + DeserializeOwned>(
    what: &'static str,
    bytes: &[u8],
) -> Result<T, CodecError> {
    let len = bytes.len();
    let (value, rest) = postcard::take_from_bytes::<T>(bytes)
        .map_err(|cause| CodecError::Malformed { what, len, cause })?;
    if rest.is_empty() && encode(what, &value)? == bytes {
        Ok(value)
    } else {
        Err(CodecError::NotCanonical { what, len })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_was_encoded_reads_back(value: (u32, Vec<u8>, Option<i64>)) {
            let bytes = encode("triple", &value).expect("plain data");
            prop_assert_eq!(decode::<(u32, Vec<u8>, Option<i64>)>("triple", &bytes), Ok(value));
        }

        #[test]
        fn trailing_bytes_are_refused(value: u32, tail in 1usize..5) {
            let mut bytes = encode("number", &value).expect("plain data");
            bytes.resize(bytes.len() + tail, 0);
            prop_assert!(decode::<u32>("number", &bytes).is_err());
        }
    }

    #[test]
    fn an_overlong_integer_is_refused() {
        assert_eq!(
            decode::<u32>("number", &[0x81, 0x00]),
            Err(CodecError::NotCanonical {
                what: "number",
                len: 2
            })
        );
    }
}
