//! What differs between systems: private files, free disk space, the agent's socket.

cfg_select! {
    unix => {
        #[path = "imp/unix.rs"]
        mod imp;
    }
    _ => {
        #[path = "imp/windows.rs"]
        mod imp;
    }
}

pub(super) use imp::{Channel, connect, free_bytes, own_folder, private_folder};
