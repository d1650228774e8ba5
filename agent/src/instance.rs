//! The folder of socket and spool, and the lock that keeps a second agent out.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// Says why this agent may not run in a folder.
#[derive(Debug, thiserror::Error)]
pub enum InstanceError {
    /// The folder cannot be made or looked at.
    #[error("the socket folder {path} cannot be used")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others may read or write in the folder, or own it.
    #[error("the socket folder {path} is open to others; it must be this user's own, mode 0700")]
    Open {
        /// The folder.
        path: PathBuf,
    },
    /// Another agent runs here.
    #[error("another agent runs in {path}")]
    Taken {
        /// The folder.
        path: PathBuf,
    },
}

/// Holds the folder for one agent; the system frees it when the process ends, however it ends.
#[derive(Debug)]
pub(crate) struct Instance {
    _lock: File,
}

impl Instance {
    /// Makes the folder where it is missing, checks it, and takes it.
    ///
    /// # Errors
    /// `InstanceError` names what is wrong.
    pub(crate) fn take(folder: &Path) -> Result<Self, InstanceError> {
        let path = folder.to_path_buf();
        let failed = |source| InstanceError::Folder {
            path: path.clone(),
            source,
        };
        if !folder.exists() {
            crate::socket::make_private_folder(folder).map_err(failed)?;
        }
        if !crate::socket::is_private_folder(folder).map_err(failed)? {
            return Err(InstanceError::Open { path });
        }
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(folder.join(LOCK_NAME))
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(InstanceError::Taken { path }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Makes the folder of the spool.
pub(crate) fn spool_folder(folder: &Path) -> io::Result<PathBuf> {
    if !folder.exists() {
        crate::socket::make_private_folder(folder)?;
    }
    let path = folder.join("spool");
    fs::create_dir_all(&path)?;
    Ok(path)
}

const LOCK_NAME: &str = "agent.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_agent_is_kept_out_until_the_first_is_gone() {
        let parent = tempfile::tempdir().expect("a folder");
        let folder = parent.path().join("agent");
        let first = Instance::take(&folder).expect("the first");
        let second = Instance::take(&folder).expect_err("the folder is taken");
        assert!(matches!(second, InstanceError::Taken { .. }));
        drop(first);
        Instance::take(&folder).expect("free again");
    }
}
