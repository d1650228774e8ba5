//! What differs between operating systems, behind one seam.

cfg_select! {
    unix => {
        #[path = "imp/unix.rs"]
        mod imp;
    }
    _ => {
        #[path = "imp/other.rs"]
        mod imp;
    }
}

cfg_select! {
    target_os = "linux" => {
        #[path = "imp/sync_linux.rs"]
        mod sync;
    }
    _ => {
        #[path = "imp/sync_other.rs"]
        mod sync;
    }
}

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

pub use imp::{
    close_to_others, disk_space, inherited_listener, open_files, owner_only, private_umask,
    raise_open_files, terminate,
};
pub use sync::sync_all_at_once;

/// Makes a folder and those around it, which only their owner may enter; one that is there stays as
/// it is.
pub fn private_folders(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    imp::owner_only_folders(&mut builder);
    builder.create(path)
}

/// Writes a file that only its owner may read where it is new.
pub fn write_new_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    owner_only(&mut options);
    options.open(path)?.write_all(bytes)
}

/// Makes a file that only its owner may read; one that is there is refused.
pub fn new_private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    owner_only(&mut options);
    options.open(path)
}
