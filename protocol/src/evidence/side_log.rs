//! The side logs of an export: headers and beats beside the media, so that the media stay standard
//! files. A log is a magic line of sixteen bytes, then records: a 4-byte big-endian length and the
//! canonical bytes of a [`ChunkHeader`] or [`Beat`].
//!
//! [`ChunkHeader`]: super::ChunkHeader
//! [`Beat`]: super::Beat

use crate::ids::Epoch;
use crate::stream::{StreamId, StreamKind};

/// Begins a log of headers.
pub const HEADERS_MAGIC: &[u8; 16] = b"qorgan headers 1";
/// Begins a log of beats.
pub const BEATS_MAGIC: &[u8; 16] = b"qorgan beats   1";
/// Begins a log of responses.
pub const RESPONSES_MAGIC: &[u8; 16] = b"qorgan replies 1";
/// The longest record, in bytes.
pub const RECORD_BYTES_MAX: usize = 32 * 1024;
/// The signed manifest.
pub const MANIFEST_FILE: &str = "manifest.bin";
/// The inclusion proof.
pub const PROOF_FILE: &str = "proof.bin";
/// What came after the seal.
pub const SUPPLEMENT_FILE: &str = "supplement.bin";
/// Stands in place of the manifest in an unsealed export.
pub const UNSEALED_FILE: &str = "unsealed.bin";
/// The incidents as they were when the recording was sealed.
pub const INCIDENTS_FILE: &str = "incidents.json";
/// What the candidate's machine and kiosk told, and what was decided about them.
pub const MACHINE_FILE: &str = "machine.json";
/// The responses with their receipts.
pub const RESPONSES_FILE: &str = "responses.log";

/// What was delivered when: leases, items that left, responses with their marks.
pub const DELIVERY_FILE: &str = "delivery.json";
/// Decisions of people on late responses, as they stand at the export.
pub const DECISIONS_FILE: &str = "decisions.json";

/// The key of the scored inputs, in hexadecimal: only in an export that was asked to hold it.
pub const INPUT_KEY_FILE: &str = "inputs.key";

/// Adds a record to a log.
pub fn push_record(log: &mut Vec<u8>, record: &[u8]) {
    let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
    log.extend_from_slice(&len.to_be_bytes());
    log.extend_from_slice(record);
}

/// Returns the name of a stream's media file, such as `camera-0.e1.mp4`.
#[must_use]
pub fn media_name(stream: StreamId, epoch: Epoch) -> String {
    match stream.kind {
        StreamKind::Camera | StreamKind::Microphone | StreamKind::Screen => {
            format!("{stream}.{epoch}.mp4")
        }
        StreamKind::Events => format!("{stream}.{epoch}.bin"),
    }
}

/// Returns the name of a stream's log of headers, such as `camera-0.e1.log`.
#[must_use]
pub fn headers_name(stream: StreamId, epoch: Epoch) -> String {
    format!("{stream}.{epoch}.log")
}

/// Returns the name of an epoch's log of beats, such as `beats.e1.log`.
#[must_use]
pub fn beats_name(epoch: Epoch) -> String {
    format!("beats.{epoch}.log")
}

/// Tells whether a name can stand in a manifest.
#[must_use]
pub fn is_plain_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && !name.starts_with('.')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-".contains(&byte))
}
