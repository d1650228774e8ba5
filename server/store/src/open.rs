//! Opening: the file, the schema, and what older versions left to do.

use std::path::Path;

use qorgan_base::config::Location;

use crate::sql::Database;
use crate::store::{Store, StoreError};
use crate::{audit, people};

/// Opens an institution's database, making SQLite's file where it is missing, and brings it up to date.
///
/// # Errors
/// The database refuses or cannot be reached, or a migration fails.
pub async fn open(location: &Location) -> Result<Store, StoreError> {
    let store = Store::of(open_database(location).await?);
    audit::chain_old(&store).await?;
    people::fold_old(&store).await?;
    Ok(store)
}

/// Opens a database alone, making SQLite's file where it is missing, and brings it up to date.
///
/// # Errors
/// The database refuses or cannot be reached, or a migration fails.
pub async fn open_database(location: &Location) -> Result<Database, StoreError> {
    match location {
        Location::File(path) => {
            make_file(path)?;
            Ok(Database::open_file(path).await?)
        }
        Location::Url(url) => Ok(Database::open_url(url.expose()).await?),
    }
}

/// Makes SQLite's file where it is missing: SQLite gives its journals the database's mode, and takes an
/// empty file for a new database.
fn make_file(path: &Path) -> Result<(), StoreError> {
    match qorgan_base::platform::new_private_file(path) {
        // Closed before SQLite opens it: closing any descriptor of a file gives up this process's
        // locks on it, and another program would then delete the journal of a running server.
        Ok(file) => drop(file),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(StoreError::File(error)),
    }
    Ok(())
}
