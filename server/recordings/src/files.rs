//! The file operations of the writing thread, behind one seam so that tests can let each of them fail.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

/// What is asked of the system for recordings.
pub trait Files: Send + Sync + fmt::Debug {
    /// Opens a file to append to, making it where it is missing.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, path: &Path) -> io::Result<File>;

    /// Appends bytes.
    ///
    /// # Errors
    /// What the system says; a part may be written then.
    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()>;

    /// Makes what was written last.
    ///
    /// # Errors
    /// What the system says; nothing is known of what was written then.
    fn sync(&self, file: &File) -> io::Result<()>;

    /// Makes everything below a folder last, where the system can do so at once.
    fn sync_all(&self, root: &Path) -> bool;

    /// Cuts a file to a length, and makes that last.
    ///
    /// # Errors
    /// What the system says.
    fn cut(&self, file: &File, len: u64) -> io::Result<()>;

    /// Returns how many bytes the disk below a folder has free, and how many in all.
    fn space(&self, root: &Path) -> Option<(u64, u64)>;
}

/// The system's own.
#[derive(Debug, Clone, Copy, Default)]
pub struct DiskFiles;

impl Files for DiskFiles {
    fn open(&self, path: &Path) -> io::Result<File> {
        let mut options = OpenOptions::new();
        qorgan_base::platform::owner_only(&mut options);
        options.append(true).create(true).open(path)
    }

    fn append(&self, mut file: &File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn sync_all(&self, root: &Path) -> bool {
        qorgan_base::platform::sync_all_at_once(root)
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)?;
        file.sync_all()
    }

    fn space(&self, root: &Path) -> Option<(u64, u64)> {
        qorgan_base::platform::disk_space(root)
    }
}
