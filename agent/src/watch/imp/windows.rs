//! Windows: displays by polling, and windows that hide themselves from capture; the client watches
//! other windows and the clipboard through its own hooks.

#![expect(unsafe_code, reason = "windows are listed by C calls")]

use core::time::Duration;
use std::collections::BTreeSet;

use qorgan_agent_core::windows::{HiddenWatch, WindowFacts};
use qorgan_protocol::incident::{Edge, IncidentKind};
use windows_sys::Win32::Foundation::{HWND, LPARAM, TRUE};
use windows_sys::Win32::UI::WindowsAndMessaging::{
    EnumWindows, GetClassNameW, GetWindowDisplayAffinity, GetWindowTextW, GetWindowThreadProcessId,
    IsWindowVisible, WDA_NONE,
};
use windows_sys::core::{BOOL, PWSTR};

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
    let mut hidden = HiddenWatch::default();
    super::displays::poll(watcher, |watcher| {
        for detail in hidden.look(&hidden_windows(), &watcher.own()) {
            let kind = IncidentKind::ForeignWindow;
            watcher.see(kind, Edge::Moment, "hidden-windows/1", detail);
        }
    });
}

/// Returns every visible top-level window that asked to be left out of captures.
fn hidden_windows() -> Vec<WindowFacts> {
    let mut found: Vec<WindowFacts> = Vec::new();
    let list = (&raw mut found).expose_provenance().cast_signed();
    // SAFETY: the callback is called before this returns alone, with the list's address.
    unsafe { EnumWindows(Some(keep_hidden), list) };
    found
}

unsafe extern "system" fn keep_hidden(window: HWND, list: LPARAM) -> BOOL {
    let list: *mut Vec<WindowFacts> = core::ptr::with_exposed_provenance_mut(list.cast_unsigned());
    // SAFETY: `hidden_windows` gave the address of its own list, which nothing else holds meanwhile.
    let found = unsafe { &mut *list };
    let mut affinity = WDA_NONE;
    // SAFETY: a window that is gone by now gives zero, and the place of the answer is ours.
    let hides = unsafe {
        IsWindowVisible(window) == TRUE
            && GetWindowDisplayAffinity(window, &raw mut affinity) == TRUE
            && affinity != WDA_NONE
    };
    if hides {
        found.push(facts(window));
    }
    TRUE
}

fn facts(window: HWND) -> WindowFacts {
    let mut pid = 0;
    // SAFETY: as above; a window that is gone leaves zero there.
    unsafe { GetWindowThreadProcessId(window, &raw mut pid) };
    // A handle's upper half says nothing.
    let number = u64::try_from(window.addr()).unwrap_or_default() & u64::from(u32::MAX);
    WindowFacts {
        window: u32::try_from(number).unwrap_or_default(),
        pid: (pid != 0).then_some(pid),
        // SAFETY: it writes at most as many letters as it is told there is room for.
        title: words(|text, room| unsafe { GetWindowTextW(window, text, room) }),
        // SAFETY: as above.
        class: words(|text, room| unsafe { GetClassNameW(window, text, room) }),
        furniture: false,
    }
}

/// Returns what a call writes that gives the count of its letters.
fn words(write: impl FnOnce(PWSTR, i32) -> i32) -> String {
    let mut letters = [0; ROOM];
    let room = i32::try_from(letters.len()).unwrap_or_default();
    let count = usize::try_from(write(letters.as_mut_ptr(), room)).unwrap_or_default();
    String::from_utf16_lossy(letters.get(..count).unwrap_or_default())
}

/// Letters that are read of a title or a class.
const ROOM: usize = 128;
