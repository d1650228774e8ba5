//! The traits of `qorgan_protocol::crypto`, done with ring, and sealing under a [`SecretKey`].
//!
//! # Invariants
//! * ring is the only provider of cryptography here and anywhere.
//! * A nonce is random for every seal; a key seals far fewer than 2³² messages.

mod inputs;
mod sealed;
mod signing;

pub use inputs::{InputKey, is_sealed};
pub use sealed::{SealError, SecretKey};
pub use signing::{KeyError, Keys, Ring, freshness_code, hmac_sha256, random};
