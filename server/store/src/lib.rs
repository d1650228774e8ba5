//! The databases: SQLite in a file, or PostgreSQL; one writer, readers that never wait for it. The only
//! crate that names sqlx.
//!
//! # Invariants
//! * Each statement is one text with `$1`, `$2`, … that both databases take and read alike ([`sql`]).
//! * Every change goes through [`Store::begin`]; a transaction that is dropped is rolled back.
//! * Identifiers are stored as UUID texts, times as UTC in milliseconds, booleans as 0 and 1.

pub mod assigned;
pub mod audit;
pub mod content;
pub mod exams;
mod open;
pub mod people;
pub mod responses;
pub mod rotation;
pub mod search;
pub mod sql;
mod store;

pub use open::{open, open_database};
pub use sql::{
    Changed, Column, Connection, Database, FromRow, FromValue, Held, Kind, Mismatch, Moved, Query,
    QueryAs, QueryScalar, Readers, Row, Script, SqlError, Target, ToValue, TransferError, Value,
    WriteTx, copy, query, query_as, query_scalar, script,
};
pub use store::{Store, StoreError, array, id, json, list};
