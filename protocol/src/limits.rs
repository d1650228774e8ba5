//! Bounds on everything that a peer can choose.

/// The largest WebSocket message between agent and server, in bytes; a larger one ends the link.
pub const FRAME_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The largest chunk payload (moof + mdat), in bytes; the encoder splits before it.
pub const CHUNK_BYTES_MAX: usize = 1024 * 1024;
/// The longest a chunk may last, in milliseconds, but for a screen that stands still.
pub const CHUNK_MS_MAX: u64 = 500;
/// The largest JPEG thumbnail, in bytes.
pub const THUMBNAIL_BYTES_MAX: usize = 64 * 1024;
/// The most streams one attempt may have at once.
pub const STREAMS_MAX: usize = 16;
/// The largest JPEG of an identity document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 200 * 1024;
/// The largest frame on the local socket between client and agent, in bytes.
pub const LOCAL_FRAME_BYTES_MAX: usize = 256 * 1024;
/// The most chunks that may be sent and not yet receipted; more wait in the spool.
pub const UNRECEIPTED_CHUNKS_MAX: usize = 256;
/// The most payload bytes that may be sent and not yet receipted; more wait in the spool.
pub const UNRECEIPTED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// The largest body of a JSON request, in bytes.
pub const REQUEST_BYTES_MAX: usize = 1024 * 1024;
/// How long a client keeps a connection over which nothing passes, in seconds. A server that closes one
/// sooner crosses the client's next request.
pub const IDLE_KEPT_SECONDS: u64 = 10;
/// The most response entries in one request.
pub const RESPONSES_MAX: usize = 512;
/// The longest text message, in characters.
pub const MESSAGE_CHARS_MAX: usize = 2_000;
/// The most observations in one chunk of the events stream.
pub const OBSERVATIONS_MAX: usize = 256;
/// The largest scored input kept with an incident, in bytes (decision 12).
pub const SCORED_INPUT_BYTES_MAX: usize = 256 * 1024;
