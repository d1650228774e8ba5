//! The first administrator's one-time password, where nobody sits at a terminal to read it: a file that
//! only the server's user reads, and that goes once the password is changed. A journal keeps it for years.

use std::path::{Path, PathBuf};

use super::OneTimePassword;
use qorgan_base::keys::{KeysError, write_private};

/// Writes the password beside the data; returns where.
///
/// # Errors
/// The file cannot be written.
pub fn keep_first_password(data: &Path, first: &OneTimePassword) -> Result<PathBuf, KeysError> {
    let path = data.join(FILE);
    let text = format!("{}\n{}\n", first.login, first.password);
    write_private(&path, text.as_bytes())?;
    Ok(path)
}

/// Removes the file, where it holds the password of `login`: it is no longer good.
pub fn forget_first_password(data: &Path, login: &str) {
    let path = data.join(FILE);
    let removed = match std::fs::read_to_string(&path) {
        Ok(text) if text.lines().next() == Some(login) => std::fs::remove_file(&path),
        Ok(_of_another) => return,
        Err(error) => Err(error),
    };
    match removed {
        Ok(()) => tracing::info!("Removed the file with the first administrator's password"),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::error!(%error, "Could not remove the file with the first administrator's password");
        }
    }
}

const FILE: &str = "first-administrator.txt";
