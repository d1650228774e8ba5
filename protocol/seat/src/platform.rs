//! The seam between this crate and the operating systems; the only place that asks which one it is.

use crate::display::{Layout, NestedSign};
use crate::own::Intrusion;
use crate::terminal::TerminalFacts;

cfg_select! {
    target_os = "linux" => { #[path = "imp/linux.rs"] mod imp; }
    _ => { #[path = "imp/other.rs"] mod imp; }
}

/// What is known of the display of the environment, or of another one by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Display {
    /// Why it is taken for a nested or remote one; empty for the seat's own.
    pub signs: Vec<NestedSign>,
    /// What is shown where.
    pub layout: Layout,
    /// The number of the terminal that its server holds.
    pub terminal: Option<u32>,
}

/// Looks at a display server; `None` names the environment's. Where there is none of a kind that can
/// be asked, nothing is returned.
#[must_use]
pub fn display(name: Option<&str>) -> Option<Display> {
    imp::display(name)
}

/// Says in few words why the environment's display is taken for a nested or remote one; nothing for
/// the seat's own, and on systems whose displays cannot be asked.
#[must_use]
pub fn nested_words() -> Option<String> {
    imp::nested_words()
}

#[cfg(target_os = "linux")]
pub use imp::layout;

/// Tells which terminal is shown and which session is active.
#[must_use]
pub fn terminal() -> TerminalFacts {
    imp::terminal()
}

/// Shuts the process's memory to other programs of the same user, and remembers what the loader was
/// told. To be called first of all.
pub fn guard_process() {
    imp::guard_process();
}

/// Returns what the loader was told when the process was guarded.
#[must_use]
pub fn at_start() -> &'static [Intrusion] {
    imp::at_start()
}

/// Follows what is put into this process while it runs.
#[derive(Debug, Default)]
pub struct OwnWatch(imp::OwnWatch);

impl OwnWatch {
    /// Returns what is new since the last look; `also` are further processes whose tracers matter.
    pub fn look(&mut self, also: impl IntoIterator<Item = u32>) -> Vec<Intrusion> {
        self.0.look(also)
    }
}
