//! What a worker gives up, behind one seam.

cfg_select! {
    target_os = "linux" => {
        #[path = "imp/confine_linux.rs"]
        mod imp;
    }
    _ => {
        #[path = "imp/confine_other.rs"]
        mod imp;
    }
}

pub(crate) use imp::confine;
pub use imp::own_program;
