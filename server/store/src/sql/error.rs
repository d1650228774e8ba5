//! Why a database failed.

use super::value::Mismatch;

/// Says why a statement failed.
#[derive(Debug, thiserror::Error)]
pub enum SqlError {
    /// The database refused, or cannot be reached.
    #[error("the database failed")]
    Failed(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A text holds U+0000, which PostgreSQL cannot keep; refused for both databases.
    #[error("a text holds the character U+0000")]
    Nul,
    /// The server is none that this program can use.
    #[error("{what}")]
    Unfit {
        /// What it lacks.
        what: String,
    },
    /// A column holds what its reader does not take.
    #[error("column {column} does not read back")]
    Column {
        /// Its name, or its place from 0.
        column: String,
        /// Why.
        #[source]
        source: Mismatch,
    },
}
