//! H.264, Opus and CMAF: raw pictures and samples in, chunks of a standard MP4 out.
//!
//! Invariants of the crate:
//! * time comes from the caller as [`MediaTime`]; nothing here reads a clock;
//! * a chunk is one `moof` and one `mdat`, spans at most [`CHUNK_SPAN_MAX`], and an initialisation
//!   segment followed by any of its chunks plays;
//! * [`frames_of`] and [`summary_of`] read foreign bytes: every length is checked, every byte of a
//!   chunk is accounted for, and nothing panics.
//!
//! Without the feature `encoders` only that parser is built, and no codec is linked.

#[cfg(feature = "encoders")]
mod budget;
mod chunk;
#[cfg(feature = "encoders")]
mod imp;
mod init;
#[cfg(feature = "encoders")]
mod mux;
mod nal;
#[cfg(feature = "encoders")]
mod picture;
mod profile;
mod reader;
#[cfg(feature = "encoders")]
mod sound;
mod time;
#[cfg(feature = "encoders")]
mod video;

pub use chunk::{ChunkError, Sample, Track, frames_of};
pub use init::{InitSummary, VideoSummary, summary_of};
#[cfg(feature = "encoders")]
pub use mux::{Chunk, CmafMuxer, Layout, MuxError, VideoLayout};
pub use nal::{NalError, ParameterSets, annexb_of, holds_idr, nals_of};
#[cfg(feature = "encoders")]
pub use picture::{I420Ref, PictureError};
pub use profile::{
    CameraSettings, Entropy, Profile, ProfileSettings, Rate, ScreenSettings, SoundSettings,
    ThumbnailSettings,
};
#[cfg(feature = "encoders")]
pub use sound::{AudioEncoder, SoundError, SoundPacket};
pub use time::{MediaTime, SOUND_TIMESCALE, VIDEO_TIMESCALE};
#[cfg(feature = "encoders")]
pub use video::{Content, EncodeError, EncodedFrame, VideoEncoder, VideoSettings};

use std::time::Duration;

/// The longest span of one chunk.
pub const CHUNK_SPAN_MAX: Duration = Duration::from_millis(500);

/// The most bytes of one chunk; a key frame of a 4K display stays far below.
pub const CHUNK_BYTES_MAX: usize = 8 * 1024 * 1024;

/// The most samples of one track in one chunk.
pub const CHUNK_SAMPLES_MAX: usize = 256;
