//! One layer over SQLite and PostgreSQL: statements, values, rows, transactions.
//!
//! # Invariants
//! * Each statement is one text with `$1`, `$2`, … that both databases take and read alike.
//! * Every change goes through [`Database::begin`]; a transaction that is dropped is rolled back.
//! * A value is bound by its type and read back by it; what does not fit is an error with the
//!   column's name.
//! * Booleans are stored as 0 and 1, identifiers as UUID texts, times as UTC in milliseconds.

mod database;
mod error;
mod migrations;
mod query;
mod row;
mod transfer;
mod value;

pub use database::{Connection, Database, Held, Readers, WriteTx};
pub use error::SqlError;
pub use query::{
    Changed, Query, QueryAs, QueryScalar, Script, Target, query, query_as, query_scalar, script,
};
pub use row::{Column, FromRow, Row};
pub use transfer::{Moved, TransferError, copy};
pub use value::{FromValue, Kind, Mismatch, ToValue, Value};
