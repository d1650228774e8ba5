//! The procedure's rules: what an import may contain, who is admitted, how an attempt is reviewed,
//! how an act is numbered and what it may print.
//!
//! # Invariants
//! * Pure: bytes, times and random bytes are arguments.
//! * An import tells every fault that it finds, each with its place and its remedy's key; nothing
//!   of an import with a fault is returned.
//! * An act prints an annulment only after a recorded decision of a commission (decision 9).

pub mod act;
pub mod archive;
pub mod fault;
pub mod form1;
pub mod login;
pub mod picture;
pub mod qti;
pub mod queue;
pub mod review;
pub mod schedule;
pub mod sheets;
pub mod sitting;
