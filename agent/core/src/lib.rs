//! The agent's pure parts: what to do with frames, devices, spool and clocks; no I/O.
//!
//! # Invariants
//! * No clock, file, socket, environment or random number is read here: `now` is an argument.
//! * A chunk that got a place in its chain is never dropped; what cannot be kept is dropped before
//!   it is chained, and said as a gap ([`spool`]).
//! * Time on the recording's timeline never goes back, not even over a restart ([`timeline`]).

pub mod bandwidth;
pub mod beat;
pub mod clock;
pub mod debounce;
pub mod events;
pub mod health;
pub mod input;
pub mod liveness;
pub mod looking;
pub mod pointer;
pub mod processes;
pub mod reading;
pub mod segmenter;
pub mod sighting;
pub mod spool;
pub mod timeline;
pub mod vigil;
pub mod virtual_camera;
pub mod windows;
