//! Windows: displays by polling; the client watches windows and clipboard through its own hooks.

use core::time::Duration;
use std::collections::BTreeSet;

use super::Watcher;

/// A full list costs five milliseconds.
pub(super) const PROGRAMS_EVERY: Duration = Duration::from_secs(2);

pub(super) fn process_ids() -> Option<BTreeSet<u32>> {
    None
}

/// Windows has no variable that puts a library before a program's own.
pub(super) const fn preloaded_libraries() -> Vec<String> {
    Vec::new()
}

pub(super) fn watch_desktop(watcher: &Watcher) {
    super::displays::poll(watcher);
}
