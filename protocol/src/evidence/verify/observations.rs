//! The observations of an export, read back so that their scores can be made again (decision 12).
//! Whether they are genuine is for [`verify`](super::verify) to say.

use super::records::{Next, Records};
use super::{FileSource, SourceError};
use crate::codec;
use crate::evidence::ChunkHeader;
use crate::evidence::side_log::{HEADERS_MAGIC, media_name};
use crate::ids::{AttemptId, Epoch};
use crate::incident::Observation;
use crate::limits::CHUNK_BYTES_MAX;

/// Gives every observation of an export to `take`, with whose it is and in the order of recording;
/// at most one chunk of them is in memory.
///
/// # Errors
/// Where a file cannot be read or does not hold what its name says.
pub fn observations(
    source: &mut impl FileSource,
    mut take: impl FnMut((AttemptId, Epoch), Observation),
) -> Result<(), SourceError> {
    let mut logs = source.names()?;
    logs.retain(|name| name.starts_with("events-") && name.ends_with(".log"));
    logs.sort_unstable();
    for log in logs {
        let bad = |detail: &str| SourceError {
            name: log.clone(),
            detail: detail.to_owned(),
        };
        let Some(mut records) = Records::open(source, &log, HEADERS_MAGIC)? else {
            return Err(bad("it is no log of headers"));
        };
        let mut offset = 0;
        loop {
            match records.next(source)? {
                Next::End => break,
                Next::Broken(_) => return Err(bad("it cannot be read on")),
                Next::Record(_) => {}
            }
            let header: ChunkHeader = codec::decode("chunk header", records.bytes())
                .map_err(|error| bad(&error.to_string()))?;
            for observation in chunk(source, &header, offset)? {
                take((header.attempt, header.epoch), observation);
            }
            offset += u64::from(header.payload_len);
        }
    }
    Ok(())
}

/// Reads one chunk of the events stream.
fn chunk(
    source: &mut impl FileSource,
    header: &ChunkHeader,
    offset: u64,
) -> Result<Vec<Observation>, SourceError> {
    let name = media_name(header.stream, header.epoch);
    let bad = |detail: String| SourceError {
        name: name.clone(),
        detail,
    };
    let len = usize::try_from(header.payload_len).unwrap_or(usize::MAX);
    if len > CHUNK_BYTES_MAX {
        return Err(bad(format!("a chunk of {len} bytes is too large")));
    }
    let mut payload = vec![0; len];
    if source.read(&name, offset, &mut payload)? < len {
        return Err(bad(format!("it ends before byte {offset} + {len}")));
    }
    codec::decode("observations", &payload).map_err(|error| bad(error.to_string()))
}
