//! Unix: file modes and signals.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;

use tokio::signal::unix::{SignalKind, signal};

/// Lets only the owner read and write the file that is made.
pub(crate) fn owner_only(options: &mut OpenOptions) {
    options.mode(0o600);
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
