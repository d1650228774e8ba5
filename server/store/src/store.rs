//! The database: SQLite, one writer with `BEGIN IMMEDIATE`, readers that never wait for it.
//!
//! # Invariants
//! * Every change goes through [`Store::begin`]; a transaction that is dropped is rolled back.
//! * Identifiers are stored as UUID texts, times as UTC in milliseconds.

pub mod assigned;
pub mod audit;
pub mod content;
pub mod exams;
pub mod people;
pub mod responses;
pub(crate) mod search;

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use qorgan_protocol::ids::IdError;
use serde::de::DeserializeOwned;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};

/// Says why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite refused.
    #[error("the database failed")]
    Sql(#[from] sqlx::Error),
    /// The schema cannot be brought up to date.
    #[error("the database's schema cannot be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
    /// A stored identifier does not read back.
    #[error("a stored identifier does not read back")]
    Id(#[from] IdError),
    /// A stored value does not read back.
    #[error("a stored {what} does not read back")]
    Corrupt {
        /// What it is.
        what: &'static str,
    },
    /// A stored JSON value does not read back.
    #[error("a stored {what} does not read back")]
    Json {
        /// What it is.
        what: &'static str,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Work on another thread ended before it was done.
    #[error("the work on a {what} was cut off")]
    CutOff {
        /// What it is.
        what: &'static str,
    },
    /// Something sealed does not open.
    #[error("a sealed {what} does not open")]
    Sealed {
        /// What it is.
        what: &'static str,
        /// Why.
        #[source]
        source: qorgan_signing::SealError,
    },
}

/// An open write transaction; [`Transaction::commit`] keeps it, dropping rolls it back.
pub type WriteTx = Transaction<'static, Sqlite>;

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    writer: SqlitePool,
    readers: SqlitePool,
}

impl Store {
    /// Opens the database at `path`, making it where it is missing, and brings it up to date.
    ///
    /// # Errors
    /// Where SQLite refuses or a migration fails.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        // SQLite gives its journals the database's mode; an empty file is a new database.
        match crate::platform::new_private_file(path) {
            // Closed before SQLite opens it: closing any descriptor of a file gives up this process's
            // locks on it, and another program would then delete the journal of a running server.
            Ok(file) => drop(file),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(sqlx::Error::Io(error).into()),
        }
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // What is deleted is overwritten, so that a copy of the file does not hold it.
            .pragma("secure_delete", "ON")
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(10));
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        sqlx::migrate!("./migrations").run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true))
            .await?;
        let store = Self { writer, readers };
        audit::chain_old(&store).await?;
        people::fold_old(&store).await?;
        Ok(store)
    }

    /// Begins the one write transaction; others wait.
    ///
    /// # Errors
    /// Where SQLite refuses, or another process holds the database longer than ten seconds.
    pub async fn begin(&self) -> Result<WriteTx, StoreError> {
        Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
    }

    /// Returns the readers.
    #[must_use]
    pub const fn read(&self) -> &SqlitePool {
        &self.readers
    }

    /// Writes what was committed to the main file and empties the journal beside it, so that what was
    /// deleted is in neither.
    ///
    /// # Errors
    /// Where SQLite refuses. Readers of older states keep the journal; the next call empties it.
    pub async fn empty_journal(&self) -> Result<(), StoreError> {
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
            .execute(&self.writer)
            .await?;
        Ok(())
    }

    /// Writes everything to the main file and closes the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Reads a stored identifier.
///
/// # Errors
/// Where the text is none.
pub fn id<T: FromStr<Err = IdError>>(text: &str) -> Result<T, StoreError> {
    Ok(text.parse()?)
}

/// Reads a stored value from its JSON text; `what` names it in the error.
///
/// # Errors
/// Fails where the text is not such a value.
pub fn json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Json { what, source })
}

/// Writes a list for `json_each`; `what` names it in the error.
///
/// # Errors
/// Fails where a member cannot be written.
pub fn list<T: serde::Serialize>(what: &'static str, members: &T) -> Result<String, StoreError> {
    serde_json::to_string(members).map_err(|source| StoreError::Json { what, source })
}

/// Reads a stored array of bytes of fixed length.
///
/// # Errors
/// Where the length differs; `what` names it.
pub fn array<const N: usize>(what: &'static str, bytes: &[u8]) -> Result<[u8; N], StoreError> {
    <[u8; N]>::try_from(bytes).map_err(|_len| StoreError::Corrupt { what })
}

const READERS_MAX: u32 = 8; // full: a read waits for its turn
