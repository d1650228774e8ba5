//! Systems without modes: the folder's own rights keep others out, and names last by themselves.

use std::fs::OpenOptions;
use std::io;
use std::path::Path;

/// Leaves the rights to the folder's.
pub(crate) fn owner_only(_options: &mut OpenOptions) {}

/// Does nothing, for no folder can be opened as a file.
pub(crate) fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}
