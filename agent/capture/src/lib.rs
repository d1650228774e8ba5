//! Camera, microphone and screen: devices in, timed pictures and samples out.
//!
//! Invariants of the crate:
//! * every source runs on its own thread and reaches its owner through a bounded queue: when the
//!   owner is slow, the oldest sample goes and is counted, never an event;
//! * a source that is lost says why ([`LossCause`]) and is opened again by itself, with back-off;
//! * a device call that never returns is seen within [`CAMERA_STALL`] and reported;
//! * a simulated source is named [`SourceKind::Simulated`] and cannot be made to look otherwise.

pub mod camera;
pub mod clock;
mod convert;
mod device;
mod handle;
mod imp;
pub mod microphone;
mod photo;
pub mod screen;
#[cfg(any(feature = "simulated", test))]
pub mod simulated;
mod source;
mod supervise;

pub use handle::CaptureHandle;
pub use photo::frame_of_rgb;
pub use source::{
    CaptureEvent, I420Frame, LossCause, PcmBlock, PointerArea, SAMPLES_PER_S, SourceDescription,
    SourceKind,
};
pub use supervise::CAMERA_STALL;
