//! Systems without file modes, signals and inherited sockets.

use std::fs::{DirBuilder, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::path::Path;

/// Leaves the file to the folder's access list.
pub fn owner_only(_options: &mut OpenOptions) {}

/// Returns none: how full the disk is is not asked here.
pub fn disk_space(_folder: &Path) -> Option<(u64, u64)> {
    None
}

/// Leaves folders to the access list of the folder around them.
pub(crate) fn owner_only_folders(_builder: &mut DirBuilder) {}

/// Does nothing: there is no mask.
pub fn private_umask() {}

/// Leaves the access list as it is.
pub fn close_to_others(_path: &Path) -> io::Result<bool> {
    Ok(false)
}

/// Returns none: nothing hands sockets over here.
pub fn inherited_listener() -> io::Result<Option<TcpListener>> {
    Ok(None)
}

/// Never resolves: Ctrl+C alone stops the process.
pub async fn terminate() {
    std::future::pending::<()>().await;
}

/// Returns none: open files are not bounded by number.
pub fn open_files() -> Option<(u64, u64)> {
    None
}

/// Has nothing to raise.
pub fn raise_open_files() -> io::Result<()> {
    Ok(())
}
