//! The coordination server: it decides, the client shows, the agent witnesses.
//!
//! # Invariants
//! * Item content leaves the server only under a lease that verified streams renew ([`registry`]).
//! * One writer holds the database, with `BEGIN IMMEDIATE`; readers never wait for it ([`store`]).
//! * What is secret at rest is sealed under a key that the key-encryption key wraps ([`keys`]).
//! * Nothing is stored that was not verified, nothing receipted that is not on disk ([`ingest`],
//!   [`recordings`]); an export proves it offline ([`evidence`]).
//! * A route says by its extractor's type who may call it ([`auth`]).

pub mod acts;
pub mod auth;
mod backup;
pub mod cli;
pub mod config;
pub mod console;
pub mod decoding;
pub mod evidence;
pub mod http;
pub mod ingest;
pub mod keys;
pub mod live;
pub mod moment;
mod platform;
mod rate;
pub mod recordings;
pub mod registry;
pub mod retention;
pub mod rights;
pub mod rotation;
pub mod state;
pub mod store;
pub mod tls;
mod watched;
