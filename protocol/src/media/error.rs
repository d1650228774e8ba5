//! Why foreign bytes are refused.

use thiserror::Error;

/// Why bytes are not a chunk or an initialisation segment of ours.
#[derive(Debug, Error, Clone, Copy, PartialEq, Eq)]
pub enum MediaError {
    /// The chunk is longer than is accepted.
    #[error("{bytes} bytes are more than a chunk may have")]
    TooLong {
        /// The length found.
        bytes: usize,
    },
    /// The bytes end inside a box or field.
    #[error("the bytes end inside a box")]
    Cut,
    /// Bytes follow the last box.
    #[error("bytes follow the last box")]
    Trailing,
    /// A box gives an impossible size.
    #[error("box {} has an impossible size", kind.escape_ascii())]
    Size {
        /// The box's four characters.
        kind: [u8; 4],
    },
    /// A box stands where it may not.
    #[error("box {} is not expected here", kind.escape_ascii())]
    Unexpected {
        /// The box's four characters.
        kind: [u8; 4],
    },
    /// A box is missing.
    #[error("box {} is missing", kind.escape_ascii())]
    Missing {
        /// The box's four characters.
        kind: [u8; 4],
    },
    /// A box has a version or flags that this format does not use.
    #[error("box {} has a form that is not used", kind.escape_ascii())]
    Form {
        /// The box's four characters.
        kind: [u8; 4],
    },
    /// A track has a number that is not in use.
    #[error("track {id} is not in use")]
    UnknownTrack {
        /// The number found.
        id: u32,
    },
    /// A track's handler does not fit its number.
    #[error("track {id} has another handler")]
    Handler {
        /// The track's number.
        id: u32,
    },
    /// The segment names no such track.
    #[error("the stream has no track {id}")]
    NoSuchTrack {
        /// The track's number.
        id: u32,
    },
    /// A track has no sample, or too many.
    #[error("{count} samples are not accepted")]
    Samples {
        /// The count found.
        count: u32,
    },
    /// The samples do not cover the data exactly.
    #[error("the samples do not cover the data exactly")]
    Cover,
    /// The track's time does not fit its field.
    #[error("a sample's time is out of range")]
    Time,
}
