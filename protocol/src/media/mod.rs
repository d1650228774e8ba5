//! The one reader of CMAF in the workspace: what the agent writes, and what server and tests read.
//!
//! # Invariants
//! * It reads foreign bytes: every length is checked, every byte of a chunk is accounted for, and
//!   nothing panics.
//! * It accepts what our own muxer writes and refuses the rest: a chunk is one `moof` and one
//!   `mdat`, video is track 1 (`avc1`), sound is track 2 (`Opus`).

mod chunk;
mod error;
mod init;
mod nal;
mod reader;

pub use chunk::{CHUNK_SAMPLES_MAX, SAMPLE_IS_NON_SYNC, Sample, Track, frames_of};
pub use error::MediaError;
pub use init::{InitSummary, VideoSummary, parameter_sets, summary_of};
pub use nal::{NalError, ParameterSets, annexb_of, nals_of};
