//! More displays than the exam allows.

use core::time::Duration;
use std::thread;

use qorgan_agent_core::debounce::Debouncer;
use qorgan_protocol::incident::IncidentKind;

use super::Watcher;
use crate::clock;

/// Follows how many displays there are.
#[derive(Debug)]
pub(super) struct DisplayCount {
    too_many: Debouncer,
}

impl DisplayCount {
    pub(super) const fn new() -> Self {
        Self {
            too_many: Debouncer::new(Duration::ZERO, Duration::ZERO),
        }
    }

    /// Takes the names of the displays that show something.
    pub(super) fn look(&mut self, watcher: &Watcher, names: &[String]) {
        let too_many = names.len() > watcher.displays_max();
        if let Some(edge) = self.too_many.see(clock::now(), too_many) {
            let detail = format!("{} displays: {}", names.len(), names.join(", "));
            watcher.see(IncidentKind::SecondDisplay, edge, "displays/1", detail);
        }
    }
}

/// Looks at the list of displays once a second, where the system tells of no change, and at what
/// else is to be looked at as often.
#[cfg_attr(
    target_os = "linux",
    expect(dead_code, reason = "X11 tells of changes by itself")
)]
pub(super) fn poll(watcher: &Watcher, mut beside: impl FnMut(&Watcher)) {
    let mut count = DisplayCount::new();
    while !watcher.is_stopped() {
        if let Ok(displays) = qorgan_capture::screen::displays() {
            let names: Vec<String> = displays.into_iter().map(|display| display.name).collect();
            count.look(watcher, &names);
        }
        beside(watcher);
        thread::sleep(POLL_EVERY);
    }
}

const POLL_EVERY: Duration = Duration::from_secs(1);
