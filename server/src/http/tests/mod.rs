//! The whole server in one process, over TLS, with a client that tries what it should not.

mod acts;
mod admission;
mod broken;
mod client;
mod consent;
mod content;
mod document;
mod entry;
mod harness;
mod incidents;
mod late;
mod machine;
mod machines;
mod meanwhile;
mod people_import;
mod people_search;
mod proofs;
mod read_back;
mod responses;
mod reviews;
mod sessions;
mod sign_in;
mod staff;
mod strangers;
mod together;
