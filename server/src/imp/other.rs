//! Systems without file modes and signals.

use std::fs::OpenOptions;

/// Leaves the file to the folder's access list.
pub(crate) fn owner_only(_options: &mut OpenOptions) {}

/// Never resolves: Ctrl+C alone stops the process.
pub(crate) async fn terminate() {
    std::future::pending::<()>().await;
}
