//! The proctoring agent: captures, encodes, chains, spools and uploads; watches the desktop.
//!
//! # Invariants
//! * No device opens before the client says `OpenDevices`, which it does after consent.
//! * A chunk is in the sealed spool before it is sent and stays there until the server's signed
//!   receipt for it came.
//! * Capture runs on threads, sockets on tokio, the cores on whoever calls them; they meet in
//!   bounded channels, and a slow network never stops the recording.
//! * The attempt's private key is made here, in memory, and never leaves it.

mod agent;
mod board;
mod candidate;
mod clock;
mod devices;
mod enrol;
mod instance;
mod link;
mod local;
mod recorder;
mod run;
mod socket;
mod sources;
mod spool;
mod trust;
mod watch;

#[cfg(test)]
mod tests;

pub use agent::Options;
pub use instance::InstanceError;
pub use run::{RunError, run};
pub use sources::{Sources, SourcesError};
