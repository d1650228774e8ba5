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

cfg_select! {
    target_os = "linux" => {
        #[path = "imp/confine_linux.rs"]
        mod confinement;
    }
    _ => {
        #[path = "imp/confine_other.rs"]
        mod confinement;
    }
}

pub(crate) use confinement::confine;
pub(crate) use imp::{
    disk_space, inherited_listener, open_files, owner_only, raise_open_files, terminate,
};
pub(crate) use sync::sync_all_at_once;
