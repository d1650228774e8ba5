//! Unix: modes, sockets; free space from the `df` of the system's own tables.

use std::{
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// The agent's socket.
pub(crate) type Channel = tokio::net::UnixStream;

/// Makes a file that only this user may read, and that was not there.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Returns the bytes that may still be written at `folder`, where the system says.
pub(crate) fn free_bytes(folder: &Path) -> Option<u64> {
    let mut near = folder;
    while !near.exists() {
        near = near.parent()?;
    }
    let told = std::process::Command::new("df").args(["-Pk"]).arg(near).output().ok()?;
    let text = String::from_utf8(told.stdout).ok()?;
    let blocks: u64 = text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()?;
    Some(blocks.saturating_mul(1024))
}

/// Returns a folder that only this user can enter, made where it is not there.
pub(crate) fn private_folder(path: PathBuf) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
    let mode = std::fs::symlink_metadata(&path)?;
    if !mode.is_dir() || mode.mode() & 0o077 != 0 {
        return Err(io::Error::other("the agent's folder is open to others"));
    }
    Ok(path)
}

/// Connects to the agent.
pub(crate) async fn connect(path: &Path) -> io::Result<Channel> {
    tokio::net::UnixStream::connect(path).await
}
