//! Unix: file modes, signals and sockets of the service manager.

use std::fs::OpenOptions;
use std::io;
use std::net::TcpListener;
use std::os::unix::fs::OpenOptionsExt as _;

use tokio::signal::unix::{SignalKind, signal};

/// Lets only the owner read and write the file that is made.
pub(crate) fn owner_only(options: &mut OpenOptions) {
    options.mode(0o600);
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
