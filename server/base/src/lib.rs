//! What every part of the server stands on: settings, keys, certificates, private files, rates, typed
//! moments.
//!
//! # Invariants
//! * What the server writes only its owner may read.
//! * What is secret at rest is sealed under a key that the key-encryption key wraps ([`keys`]).

pub mod config;
pub mod keys;
pub mod moment;
pub mod platform;
pub mod rate;
pub mod tls;
