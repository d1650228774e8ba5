//! H.264, Opus and CMAF: raw pictures and samples in, chunks of a standard MP4 out.
//!
//! Invariants of the crate:
//! * time comes from the caller as [`MediaTime`]; nothing here reads a clock;
//! * a chunk is one `moof` and one `mdat`, spans at most [`CHUNK_SPAN_MAX`], and an initialisation
//!   segment followed by any of its chunks plays.
//!
//! What is written here is read by [`qorgan_protocol::media`].

mod budget;
mod imp;
mod mux;
mod nal;
mod picture;
mod profile;
mod settings;
mod sound;
mod time;
mod video;

pub use mux::{Chunk, CmafMuxer, Layout, MuxError, VideoLayout};
pub use picture::{I420Ref, PictureError};
pub use profile::{
    CameraSettings, Entropy, Profile, ProfileSettings, Rate, ScreenSettings, SoundSettings,
    ThumbnailSettings,
};
pub use settings::{Content, EncodeError, VideoSettings};
pub use sound::{AudioEncoder, SoundError, SoundPacket};
pub use time::MediaTime;
pub use video::{EncodedFrame, VideoEncoder};

use std::time::Duration;

/// The longest span of one chunk.
pub const CHUNK_SPAN_MAX: Duration = Duration::from_millis(500);
