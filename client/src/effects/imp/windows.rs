//! Windows: compiles and refuses the agent's socket, for its pipe is not built.

use std::{
    io,
    path::{Path, PathBuf},
};

/// Stands where the agent's pipe would.
pub(crate) type Channel = tokio::io::DuplexStream;

/// Tells that the free space is not known.
pub(crate) fn free_bytes(_folder: &Path) -> Option<u64> {
    None
}

/// Returns the folder, made where it is not there.
pub(crate) fn private_folder(path: PathBuf) -> io::Result<PathBuf> {
    std::fs::create_dir_all(&path)?;
    Ok(path)
}

/// Makes a folder; the rights of the user's own profile keep others out.
pub(crate) fn own_folder(path: &Path) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Refuses.
pub(crate) async fn connect(_path: &Path) -> io::Result<Channel> {
    std::future::ready(Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "not available on this system yet: the agent's pipe is not built",
    )))
    .await
}
