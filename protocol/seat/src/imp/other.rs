//! Windows and macOS: the libraries that the environment names, nothing more yet.

use std::sync::OnceLock;

use super::Display;
use crate::own::{self, Intrusion, StartFacts};
use crate::terminal::TerminalFacts;

static AT_START: OnceLock<Vec<Intrusion>> = OnceLock::new();

pub(super) const fn display(_name: Option<&str>) -> Option<Display> {
    None
}

pub(super) const fn nested_words() -> Option<String> {
    None
}

pub(super) fn terminal() -> TerminalFacts {
    TerminalFacts::default()
}

pub(super) fn guard_process() {
    let inserted = std::env::var("DYLD_INSERT_LIBRARIES").unwrap_or_default();
    AT_START.get_or_init(|| {
        own::loader_words(&StartFacts {
            environment: vec![format!("DYLD_INSERT_LIBRARIES={inserted}")],
            ..StartFacts::default()
        })
    });
}

pub(super) fn at_start() -> &'static [Intrusion] {
    AT_START.get().map_or(&[], Vec::as_slice)
}

#[derive(Debug, Default)]
pub(super) struct OwnWatch;

impl OwnWatch {
    #[expect(clippy::needless_pass_by_ref_mut, reason = "as where there is something to watch")]
    pub(super) fn look(&mut self, also: impl IntoIterator<Item = u32>) -> Vec<Intrusion> {
        drop(also);
        Vec::new()
    }
}
