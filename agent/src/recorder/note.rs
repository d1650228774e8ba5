//! What the recorder tells the link.

use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkHeader, StreamId};
use qorgan_protocol::link::SourceStatement;

/// What the recorder tells the link.
#[derive(Debug)]
pub(crate) enum Note {
    /// A chunk is in the spool.
    Chunk(Box<ChunkHeader>, Sha256),
    /// What waited behind gaps is chained anew. One word for all of it: the link may be waiting for the
    /// recorder meanwhile.
    ChainedAnew(Vec<(ChunkHeader, Sha256)>),
    /// A beat is in the spool.
    Beat(u64),
    /// What feeds the sources.
    Sources(Vec<SourceStatement>),
    /// The newest small picture of a stream.
    Thumbnail(StreamId, Vec<u8>),
    /// Nothing more will be recorded.
    Finish,
}
