//! The coordination server: it decides, the client shows, the agent witnesses.
//!
//! # Invariants
//! * Item content leaves the server only under a lease that verified streams renew ([`registry`]).
//! * One writer holds the database, with `BEGIN IMMEDIATE`; readers never wait for it ([`qorgan_store`]).
//! * What is secret at rest is sealed under a key that the key-encryption key wraps ([`qorgan_base::keys`]).
//! * Nothing is stored that was not verified, nothing receipted that is not on disk ([`ingest`],
//!   [`qorgan_recordings`]); an export proves it offline ([`evidence`]).
//! * A route says by its extractor's type who may call it ([`auth`]).

pub mod acts;
pub mod auth;
mod backup;
pub mod cli;
pub mod console;
pub mod evidence;
pub mod http;
pub mod ingest;
pub mod live;
pub mod registry;
pub mod retention;
pub mod rights;
pub mod state;
mod watched;

cfg_select! {
    unix => {
        #[cfg(test)]
        #[path = "imp/private_files.rs"]
        mod private_files;
    }
    _ => {}
}
