//! Unix: file modes, signals and sockets of the service manager.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

/// Lets only the owner read and write the file that is made.
pub(crate) fn owner_only(options: &mut OpenOptions) {
    options.mode(0o600);
}

/// Returns how many bytes the disk below a folder has free for this user, and how many in all.
pub(crate) fn disk_space(folder: &Path) -> Option<(u64, u64)> {
    let disk = rustix::fs::statvfs(folder).ok()?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some((bytes(disk.f_bavail), bytes(disk.f_blocks)))
}

/// Returns the one TCP socket that the service manager listens on for this process, if any.
pub(crate) fn inherited_listener() -> io::Result<Option<TcpListener>> {
    let mut given = listenfd::ListenFd::from_env();
    match given.len() {
        0 => Ok(None),
        1 => given.take_tcp_listener(0),
        more => Err(io::Error::other(format!("{more} sockets, not one"))),
    }
}

/// Resolves when the system asks the process to stop.
pub(crate) async fn terminate() {
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
pub(crate) fn open_files() -> Option<(u64, u64)> {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    let soft = limit.current?;
    Some((soft, limit.maximum.unwrap_or(u64::MAX)))
}

/// Raises how many files this process may have open to the most that it may.
pub(crate) fn raise_open_files() -> io::Result<()> {
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
