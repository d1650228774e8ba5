//! Files that are replaced whole or not at all, also by a power cut.
//!
//! # Invariants
//! * The order is: write the next file, sync it, rename it, sync the folder.
//! * What is written is readable by its owner alone (mode 0600 on Unix), whatever stood there before.

cfg_select! {
    unix => {
        #[path = "imp/unix.rs"]
        mod imp;
    }
    _ => {
        #[path = "imp/other.rs"]
        mod imp;
    }
}

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Replaces a file by `bytes`; they are on disk under its name when this returns.
///
/// The next file is named as the file with `.next` added; one that was left by a crash goes.
///
/// # Errors
/// Where the disk refuses. The former file then stands untouched, but where only the folder's sync
/// failed: then a power cut may still bring the former file back.
pub fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace_on(&mut System, path, bytes)
}

/// Puts a file that is synced already in the place of another one.
///
/// # Errors
/// As [`replace`].
pub fn put(next: &Path, path: &Path) -> io::Result<()> {
    put_on(&mut System, next, path)
}

/// Makes the names of new and removed files in a folder last, where the system has that. An empty
/// path is the folder of the process.
///
/// # Errors
/// Where the folder cannot be opened or synced.
pub fn sync_folder(folder: &Path) -> io::Result<()> {
    let here = folder.as_os_str().is_empty();
    imp::sync_folder(if here { Path::new(".") } else { folder })
}

/// The calls to the system, in the order in which they are made; tests let each of them fail.
trait Calls {
    fn create(&mut self, next: &Path) -> io::Result<File>;
    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()>;
    fn sync(&mut self, file: &File) -> io::Result<()>;
    fn rename(&mut self, next: &Path, path: &Path) -> io::Result<()>;
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;
}

fn replace_on(calls: &mut impl Calls, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let next = next_of(path);
    let mut file = calls.create(&next)?;
    calls.write(&mut file, bytes)?;
    calls.sync(&file)?;
    // Windows renames no file that is open.
    drop(file);
    put_on(calls, &next, path)
}

fn put_on(calls: &mut impl Calls, next: &Path, path: &Path) -> io::Result<()> {
    calls.rename(next, path)?;
    calls.sync_folder(path.parent().unwrap_or_else(|| Path::new("")))
}

fn next_of(path: &Path) -> PathBuf {
    let mut next = OsString::from(path);
    next.push(".next");
    next.into()
}

struct System;

impl Calls for System {
    fn create(&mut self, next: &Path) -> io::Result<File> {
        // A file that was left there keeps its mode, and a link would be followed.
        match fs::remove_file(next) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        imp::owner_only(&mut options);
        options.open(next)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<()> {
        file.write_all(bytes)
    }

    fn sync(&mut self, file: &File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, next: &Path, path: &Path) -> io::Result<()> {
        fs::rename(next, path)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        sync_folder(folder)
    }
}

#[cfg(test)]
mod tests;
