//! A machine with another boot, another wall clock or a full disk: what a program is told of it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::program::shared_library;
use crate::tree::top;

/// What stands between one kiosk with its agent and the machine.
#[derive(Debug)]
pub struct Machine {
    folder: PathBuf,
    library: PathBuf,
    disk: PathBuf,
}

impl Machine {
    /// Makes a machine in `folder` whose disk is what lies below `disk`.
    ///
    /// # Errors
    /// Fails where the compiler does.
    pub fn make(folder: &Path, disk: &Path) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let library = folder.join("machine.so");
        shared_library(&top().join("tests/shim/machine.c"), &library)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            library,
            disk: disk.to_path_buf(),
        })
    }

    /// Returns the variables by which programs live on this machine.
    #[must_use]
    pub fn variables(&self) -> [(&'static str, OsString); 3] {
        [
            ("LD_PRELOAD", self.library.clone().into()),
            ("QORGAN_MACHINE", self.folder.clone().into()),
            ("QORGAN_MACHINE_DISK", self.disk.clone().into()),
        ]
    }

    /// Makes this run of the kernel another one.
    ///
    /// # Errors
    /// Fails where the file cannot be written.
    pub fn boot(&self, id: &str) -> Result<()> {
        Ok(fs::write(self.folder.join("boot_id"), format!("{id}\n"))?)
    }

    /// Sets the wall clock off by this many milliseconds.
    ///
    /// # Errors
    /// Fails where the file cannot be written.
    pub fn set_clock_off(&self, ms: i64) -> Result<()> {
        let next = self.folder.join("clock_ms.next");
        fs::write(&next, ms.to_string())?;
        Ok(fs::rename(next, self.folder.join("clock_ms"))?)
    }

    /// Fills the disk, or frees it.
    ///
    /// # Errors
    /// Fails where the file cannot be made or removed.
    pub fn fill_disk(&self, full: bool) -> Result<()> {
        let flag = self.folder.join("full");
        if full {
            Ok(fs::write(flag, "")?)
        } else {
            Ok(fs::remove_file(flag)?)
        }
    }
}
