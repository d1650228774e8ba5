//! macOS: displays by polling; windows and clipboard are the client's Assessment Configuration's
//! business.

use core::time::Duration;
use std::collections::BTreeSet;

use super::Watcher;

/// A full list costs five milliseconds.
pub(super) const PROGRAMS_EVERY: Duration = Duration::from_secs(2);

pub(super) fn process_ids() -> Option<BTreeSet<u32>> {
    None
}

pub(super) fn preloaded_libraries() -> Vec<String> {
    let listed = std::env::var("DYLD_INSERT_LIBRARIES").unwrap_or_default();
    let names = listed.split(':').filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}

pub(super) fn watch_desktop(watcher: &Watcher) {
    super::displays::poll(watcher, |_nothing| {});
}
