//! Linux: one call syncs a whole file system.

use std::fs::File;
use std::path::Path;

/// Syncs the file system that `root` lies on; false where that did not work.
pub fn sync_all_at_once(root: &Path) -> bool {
    File::open(root).is_ok_and(|folder| rustix::fs::syncfs(&folder).is_ok())
}
