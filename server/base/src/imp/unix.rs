//! Unix: file modes, signals and sockets of the service manager.

use std::fs::{self, DirBuilder, OpenOptions, Permissions};
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

/// Lets only the owner read and write the file that is made.
pub fn owner_only(options: &mut OpenOptions) {
    options.mode(0o600);
}

/// Returns how many bytes the disk below a folder has free for this user, and how many in all.
pub fn disk_space(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

/// Lets only the owner enter the folders that are made.
pub(crate) fn owner_only_folders(builder: &mut DirBuilder) {
    builder.mode(0o700);
}

/// Takes every right of group and others from what this process makes from now on.
pub fn private_umask() {
    let _before = rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

/// Takes the rights of group and others from a file or folder; tells whether it had any.
pub fn close_to_others(path: &Path) -> io::Result<bool> {
    let mode = fs::metadata(path)?.mode();
    if mode & OTHERS == 0 {
        return Ok(false);
    }
    fs::set_permissions(path, Permissions::from_mode(mode & 0o700))?;
    Ok(true)
}

/// The rights of group and others.
const OTHERS: u32 = 0o077;

/// Returns the one TCP socket that the service manager listens on for this process, if any.
pub fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let mut given = listenfd::ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given.take_tcp_listener(0),
        more => Err(io::Error::other(format!("{more} sockets, not one"))),
    }
}

/// Resolves when the system asks the process to stop.
pub async fn terminate() {
    match signal(SignalKind::terminate()) {
        Ok(mut told) => {
            told.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be heard");
            std::future::pending::<()>().await;
        }
    }
}

/// Returns how many files this process may have open, and up to how many it may raise that itself; none
/// where there is no bound.
pub fn open_files() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let soft = limit.current?;
    Some((soft, limit.maximum.unwrap_or(u64::MAX)))
}

/// Raises how many files this process may have open to the most that it may.
pub fn raise_open_files() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let raised = |current| Rlimit {
        current,
        maximum: now.maximum,
    };
    // macOS takes no more than this, whatever it says.
    setrlimit(Resource::Nofile, raised(now.maximum))
        .or_else(|_refused| setrlimit(Resource::Nofile, raised(Some(OPEN_MAX))))
        .map_err(io::Error::from)
}

const OPEN_MAX: u64 = 10_240;
