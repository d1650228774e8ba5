//! A disk whose calls fail when a test says so.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use qorgan_recordings::{DiskFiles, Files};

/// What fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fails {
    Open,
    Append,
    /// A part is written, and it cannot be taken back.
    HalfAppend,
    Sync,
}

/// The system's files, until a fault is set.
#[derive(Debug, Default)]
pub(crate) struct Faulty {
    fault: Mutex<Option<(Fails, i32)>>,
    /// How often a fault was met.
    pub(crate) met: AtomicUsize,
    pub(crate) opened: AtomicUsize,
    pub(crate) full: AtomicBool,
}

impl Faulty {
    /// Lets calls of one kind fail with an error of the system, or none.
    pub(crate) fn set(&self, fault: Option<(Fails, i32)>) {
        *self.fault.lock().unwrap_or_else(PoisonError::into_inner) = fault;
    }

    fn met(&self, call: Fails) -> io::Result<()> {
        let fault = *self.fault.lock().unwrap_or_else(PoisonError::into_inner);
        match fault {
            Some((fails, code)) if fails == call => {
                self.met.fetch_add(1, Ordering::Relaxed);
                Err(io::Error::from_raw_os_error(code))
            }
            Some(_) | None => Ok(()),
        }
    }
}

impl Files for Faulty {
    fn open(&self, path: &Path) -> io::Result<File> {
        self.met(Fails::Open)?;
        self.opened.fetch_add(1, Ordering::Relaxed);
        DiskFiles.open(path)
    }

    fn append(&self, file: &File, bytes: &[u8]) -> io::Result<()> {
        self.met(Fails::Append)?;
        if let Err(error) = self.met(Fails::HalfAppend) {
            DiskFiles.append(file, &bytes[..bytes.len() / 2])?;
            return Err(error);
        }
        DiskFiles.append(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        self.met(Fails::Sync)?;
        DiskFiles.sync(file)
    }

    fn sync_all(&self, root: &Path) -> bool {
        self.met(Fails::Sync).is_ok() && DiskFiles.sync_all(root)
    }

    fn cut(&self, file: &File, len: u64) -> io::Result<()> {
        self.met(Fails::HalfAppend)?;
        DiskFiles.cut(file, len)
    }

    fn space(&self, root: &Path) -> Option<(u64, u64)> {
        let (_, total) = DiskFiles.space(root).unwrap_or((0, 1 << 40));
        let free = if self.full.load(Ordering::Relaxed) {
            0
        } else {
            total
        };
        Some((free, total))
    }
}
