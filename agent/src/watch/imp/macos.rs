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

/// Programs are listed by the system alone.
pub(super) fn names(_pid: u32) -> Option<Vec<String>> {
    None
}

pub(super) fn watch_desktop(watcher: &Watcher) {
    super::displays::poll(watcher, |_nothing| {});
}
