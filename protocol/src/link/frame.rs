//! The chunk frame without copies: nearly all bytes of the link are chunks, so they are written and
//! read here by hand, in exactly the encoding of [`AgentFrame::Chunk`].
//!
//! [`AgentFrame::Chunk`]: super::AgentFrame::Chunk

use crate::codec::{self, CodecError};
use crate::evidence::ChunkHeader;
use crate::limits::CHUNK_BYTES_MAX;

/// A chunk as it lies in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ChunkFrame<'a> {
    /// Its header.
    pub header: ChunkHeader,
    /// Its header's canonical bytes.
    pub header_bytes: &'a [u8],
    /// Its bytes.
    pub payload: &'a [u8],
}

/// Returns the frame of a chunk: the canonical bytes of `AgentFrame::Chunk`.
///
/// # Errors
/// None in practice: a header can always be written.
pub fn encode_chunk(header: &ChunkHeader, payload: &[u8]) -> Result<Vec<u8>, CodecError> {
    let header = codec::encode(NAME, header)?;
    let mut frame = Vec::with_capacity(1 + header.len() + VARINT_BYTES_MAX + payload.len());
    frame.push(CHUNK_TAG);
    frame.extend_from_slice(&header);
    write_varint(&mut frame, payload.len());
    frame.extend_from_slice(payload);
    Ok(frame)
}

/// Reads a chunk frame; `None` where the frame is another one.
///
/// # Errors
/// `Malformed` or `NotCanonical`, as [`codec::decode`] would say.
pub fn read_chunk(frame: &[u8]) -> Result<Option<ChunkFrame<'_>>, CodecError> {
    let Some((&CHUNK_TAG, rest)) = frame.split_first() else {
        return Ok(None);
    };
    let len = frame.len();
    let (header, tail) =
        postcard::take_from_bytes::<ChunkHeader>(rest).map_err(|cause| CodecError::Malformed {
            what: NAME,
            len,
            cause,
        })?;
    let not_canonical = CodecError::NotCanonical { what: NAME, len };
    let header_bytes = &rest[..rest.len() - tail.len()];
    if codec::encode(NAME, &header)? != header_bytes {
        return Err(not_canonical);
    }
    match read_varint(tail) {
        Some((said, payload)) if said == payload.len() && said <= CHUNK_BYTES_MAX => {
            Ok(Some(ChunkFrame {
                header,
                header_bytes,
                payload,
            }))
        }
        _ => Err(not_canonical),
    }
}

fn write_varint(out: &mut Vec<u8>, mut value: usize) {
    loop {
        let [low, ..] = (value & 0x7f).to_le_bytes();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

/// Reads a length in its only shortest form.
fn read_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0usize;
    for (place, byte) in bytes.iter().enumerate().take(VARINT_BYTES_MAX) {
        value |= usize::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return (*byte != 0 || place == 0).then_some((value, &bytes[place + 1..]));
        }
    }
    None
}

const NAME: &str = "chunk frame";
/// The place of `Chunk` among the variants of `AgentFrame`.
const CHUNK_TAG: u8 = 2;
/// Four bytes say up to 256 MiB, far more than a frame may hold.
const VARINT_BYTES_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::crypto::Sha256;
    use crate::evidence::ChunkSeq;
    use crate::ids::{AttemptId, Epoch};
    use crate::link::AgentFrame;
    use crate::stream::StreamId;
    use crate::time::WallTime;

    proptest! {
        #[test]
        fn a_chunk_frame_is_the_canonical_agent_frame(
            seq: u64, start_us: u64, len in 0usize..70_000,
        ) {
            let payload = vec![7; len];
            let header = header(seq, start_us, len);
            let fast = encode_chunk(&header, &payload).expect("plain data");
            let frame = AgentFrame::Chunk { header, payload: payload.clone() };
            prop_assert_eq!(&fast, &codec::encode("frame", &frame).expect("plain data"));
            let read = read_chunk(&fast).expect("canonical").expect("a chunk");
            prop_assert_eq!(read.header, header);
            prop_assert_eq!(read.payload, payload.as_slice());
        }

        #[test]
        fn any_bytes_are_read_as_the_codec_reads_them(mut bytes: Vec<u8>, flip in 0usize..2_000) {
            bytes.insert(0, CHUNK_TAG);
            let slow = codec::decode::<AgentFrame>("frame", &bytes).is_ok();
            prop_assert_eq!(read_chunk(&bytes).is_ok(), slow);

            let mut bytes = encode_chunk(&header(3, 5, 20), &[1; 20]).expect("plain data");
            let bit = flip % (bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            if bytes[0] == CHUNK_TAG {
                let slow = codec::decode::<AgentFrame>("frame", &bytes).is_ok();
                prop_assert_eq!(read_chunk(&bytes).is_ok(), slow);
            }
        }
    }

    fn header(seq: u64, start_us: u64, len: usize) -> ChunkHeader {
        ChunkHeader {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            stream: StreamId::from_word("camera-0").expect("a stream"),
            seq: ChunkSeq(seq),
            start_us,
            duration_us: 500_000,
            sync: true,
            payload_len: u32::try_from(len).expect("small"),
            payload: Sha256([9; 32]),
            previous: Sha256::ZERO,
        }
    }
}
