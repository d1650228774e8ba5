//! An institution's database as the rest of the server holds it, and how stored texts read back.

use std::str::FromStr;

use qorgan_protocol::ids::IdError;
use serde::de::DeserializeOwned;

use crate::sql::{Connection, Database, Readers, SqlError, WriteTx};

/// Says why the database failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database refused.
    #[error(transparent)]
    Sql(#[from] SqlError),
    /// The database's file cannot be made.
    #[error("the database's file cannot be made")]
    File(#[source] std::io::Error),
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

/// The database.
#[derive(Debug, Clone)]
pub struct Store {
    database: Database,
}

impl Store {
    /// Wraps an open database.
    pub(crate) const fn of(database: Database) -> Self {
        Self { database }
    }

    /// Begins the one write transaction; others wait.
    ///
    /// # Errors
    /// The database refused, or another program writes for longer than ten seconds.
    pub async fn begin(&self) -> Result<WriteTx, StoreError> {
        Ok(self.database.begin().await?)
    }

    /// Returns the readers.
    #[must_use]
    pub const fn read(&self) -> &Readers {
        self.database.read()
    }

    /// Begins a read transaction in which the database stands still.
    ///
    /// # Errors
    /// The database refused.
    pub async fn snapshot(&self) -> Result<Connection, StoreError> {
        Ok(self.database.snapshot().await?)
    }

    /// Returns the database itself, for copies.
    #[must_use]
    pub const fn database(&self) -> &Database {
        &self.database
    }

    /// Has what was deleted leave the files; see [`Database::empty_journal`].
    ///
    /// # Errors
    /// The database refused.
    pub async fn empty_journal(&self) -> Result<(), StoreError> {
        Ok(self.database.empty_journal().await?)
    }

    /// Writes everything to the main file and closes the database.
    pub async fn close(&self) {
        self.database.close().await;
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
