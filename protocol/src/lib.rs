//! What the client, the agent and the server must agree on.
//!
//! # Invariants
//! * Pure: no clock, file, socket, environment or random number is read here; time, bytes and
//!   randomness are arguments. The crate builds for `wasm32-unknown-unknown`.
//! * Every signed structure has exactly one encoding ([`codec`]); what does not re-encode to the
//!   same bytes is refused.
//! * Every length that a peer can choose has a bound in [`limits`].

pub mod assessment;
pub mod attempt;
pub mod codec;
pub mod crypto;
pub mod evidence;
pub mod ids;
pub mod incident;
pub mod limits;
pub mod link;
pub mod local;
pub mod media;
#[cfg(feature = "schema")]
mod schema;
pub mod sealed_log;
pub mod stream;
pub mod time;
pub mod wire;
