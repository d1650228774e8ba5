//! The kiosk's brain: `(state, event, now)` gives effects, and the state gives views to draw.
//!
//! Invariants:
//! * Pure: time, bytes and hashes are handed in; nothing here waits, reads or writes.
//! * A view holds an item only while a content lease is alive, the local agent is up and the server
//!   says that the attempt runs. Whatever is unknown covers ([`lease`]).
//! * A response is shown as saved only after the journal said that it is on disk.
//! * Covered or offline, the candidate can submit, and can neither see nor change.

pub mod book;
pub mod event;
pub mod kiosk;
pub mod lease;
mod private;
pub mod view;

pub use kiosk::{Kiosk, Toolbox};
pub use private::Private;
