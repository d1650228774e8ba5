//! The seam between this crate and the operating systems; the only place that asks which one it is.

use crate::{
    measure::{Measure, MeasureError, MeasureKind, Undo},
    watch::{WatchError, WatchEvent, WatchHandle},
};

cfg_select! {
    target_os = "linux" => {
        #[path = "imp/linux/mod.rs"]
        mod imp;
    }
    target_os = "macos" => {
        #[path = "imp/refusing.rs"]
        mod imp;
        /// Automatic Assessment Configuration is Apple's.
        const REFUSED_BECAUSE: &str = "the exam mode of macOS needs an entitlement from Apple";
    }
    target_os = "windows" => {
        #[path = "imp/refusing.rs"]
        mod imp;
        /// A desktop and a keyboard hook of our own.
        const REFUSED_BECAUSE: &str = "the exam desktop of Windows is not built";
    }
    _ => {
        compile_error!("Qorgan's lockdown knows Linux, macOS and Windows");
    }
}

pub use imp::{Layouts, WindowTarget};

/// Returns the measures that this system has for the kiosk's window, in the order to apply them.
///
/// A measure that this system lacks is in the list too, and refuses with its reason when applied,
/// so that the report says what is not in force.
#[must_use]
pub fn measures(target: &WindowTarget) -> Vec<Box<dyn Measure>> {
    imp::measures(target)
}

/// Begins to watch windows and clipboard; `notify` is called on the watch's own thread.
///
/// # Errors
/// Fails where this system has no watch, or its display server cannot be reached.
pub fn start_watch(
    target: &WindowTarget,
    notify: impl FnMut(WatchEvent) + Send + 'static,
) -> Result<WatchHandle, WatchError> {
    imp::start_watch(target, Box::new(notify))
}

/// Takes back a measure that another process applied and did not live to revert.
pub(crate) fn revert_leftover(kind: MeasureKind, undo: &Undo) -> Result<(), MeasureError> {
    imp::revert_leftover(kind, undo)
}
