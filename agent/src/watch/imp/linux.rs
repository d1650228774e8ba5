//! Linux under X11: window properties, RandR, XFixes and XRes; programs from `/proc`.

use core::time::Duration;
use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Instant;

use qorgan_agent_core::input::InputWatch;
use qorgan_agent_core::pointer::PointerWatch;
use qorgan_agent_core::windows::{WindowFacts, WindowFinding, WindowWatch};
use qorgan_protocol::incident::{Edge, IncidentKind};
use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectError, ConnectionError, ReplyError, ReplyOrIdError};
use x11rb::protocol::Event;
use x11rb::protocol::randr::{self, ConnectionExt as _};
use x11rb::protocol::res::{ClientIdMask, ClientIdSpec, ConnectionExt as _};
use x11rb::protocol::xfixes::{ConnectionExt as _, SelectionEventMask};
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ChangeWindowAttributesAux, ConnectionExt as _, EventMask, MapState, Window,
    WindowClass,
};
use x11rb::rust_connection::RustConnection;

use super::Watcher;
use super::displays::DisplayCount;

#[path = "linux_seat.rs"]
mod seat;

/// Reading process numbers costs under a millisecond.
pub(super) const PROGRAMS_EVERY: Duration = Duration::from_millis(800);

x11rb::atom_manager! {
    /// The names that windows are read by.
    Atoms: AtomsCookie {
        _NET_ACTIVE_WINDOW,
        _NET_CLIENT_LIST,
        _NET_WM_NAME,
        _NET_WM_PID,
        _NET_WM_WINDOW_TYPE,
        _NET_WM_WINDOW_TYPE_DESKTOP,
        _NET_WM_WINDOW_TYPE_DOCK,
        _NET_WM_WINDOW_TYPE_TOOLTIP,
        _NET_WM_WINDOW_TYPE_NOTIFICATION,
        CLIPBOARD,
        UTF8_STRING,
    }
}

/// Says why the desktop cannot be watched.
#[derive(Debug, thiserror::Error)]
enum DesktopError {
    /// There is no X server.
    #[error("the X server cannot be reached")]
    Connect(#[from] ConnectError),
    /// The connection broke.
    #[error("the X server is gone")]
    Gone(#[from] ConnectionError),
    /// A request was refused.
    #[error("the X server refused a request")]
    Reply(#[from] ReplyError),
    /// A request was refused, or no number was left for a window.
    #[error("the X server refused a window")]
    ReplyOrId(#[from] ReplyOrIdError),
}

struct Desktop<'a> {
    watcher: &'a Watcher,
    x: RustConnection,
    root: Window,
    atoms: Atoms,
    windows: WindowWatch,
    displays: DisplayCount,
    managed: bool,
    /// Whether windows changed since they were looked at.
    stale: bool,
    looked: Instant,
    /// The server's name, as it was connected to.
    name: Option<String>,
    pointer: PointerWatch,
    /// Nothing where the server has no XInput 2.2.
    input: Option<InputWatch>,
    /// Foreign windows inside the exam's own.
    inside: BTreeSet<Window>,
    /// What was told of the server and of monitors that programs defined.
    told: BTreeSet<String>,
    checked: Option<Instant>,
}

pub(super) fn process_ids() -> Option<BTreeSet<u32>> {
    let entries = fs::read_dir("/proc").ok()?;
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(numbers.collect())
}

/// Returns what a process is called: its short name, and that of its program's file where it can be
/// read.
pub(super) fn names(pid: u32) -> Option<Vec<String>> {
    let short = fs::read(format!("/proc/{pid}/comm")).ok()?;
    let mut names = vec![String::from_utf8_lossy(&short).trim_end().to_owned()];
    let file = fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
    let file = file.file_name().map(|name| name.to_string_lossy().into_owned());
    names.extend(file.map(|name| name.trim_end_matches(" (deleted)").to_owned()));
    Some(names)
}

/// Watches the desktop; an X server that goes away is connected to again.
pub(super) fn watch_desktop(watcher: &Watcher) {
    while !watcher.is_stopped() {
        if let Err(error) = watch(watcher, None) {
            tracing::warn!(%error, "The desktop is not watched");
        }
        thread::sleep(RECONNECT_EVERY);
    }
}

/// Watches one X server until the recording is over; `None` is the environment's.
///
/// # Errors
/// Where the server is not there, refuses, or goes.
fn watch(watcher: &Watcher, display: Option<&str>) -> Result<(), DesktopError> {
    let (x, screen) = x11rb::connect(display)?;
    let root = x.setup().roots.get(screen).map(|screen| screen.root);
    let Some(root) = root else {
        return Ok(());
    };
    let atoms = Atoms::new(&x)?.reply()?;
    let mask = EventMask::PROPERTY_CHANGE | EventMask::SUBSTRUCTURE_NOTIFY;
    x.change_window_attributes(root, &ChangeWindowAttributesAux::new().event_mask(mask))?
        .check()?;
    x.xfixes_query_version(5, 0)?.reply()?;
    x.xfixes_select_selection_input(
        root,
        atoms.CLIPBOARD,
        SelectionEventMask::SET_SELECTION_OWNER,
    )?
    .check()?;
    x.randr_query_version(1, 5)?.reply()?;
    let notify = randr::NotifyMask::SCREEN_CHANGE
        | randr::NotifyMask::CRTC_CHANGE
        | randr::NotifyMask::OUTPUT_CHANGE;
    x.randr_select_input(root, notify)?.check()?;
    let mut desktop = Desktop {
        watcher,
        x,
        root,
        atoms,
        windows: WindowWatch::default(),
        displays: DisplayCount::new(),
        managed: false,
        stale: false,
        looked: Instant::now(),
        name: display.map(str::to_owned),
        pointer: PointerWatch::default(),
        input: None,
        inside: BTreeSet::new(),
        told: BTreeSet::new(),
        checked: None,
    };
    desktop.begin_with_input()?;
    desktop.look_at_pointer()?;
    desktop.look_at_windows()?;
    desktop.look_at_active()?;
    desktop.look_at_displays()?;
    desktop.follow()
}

impl Desktop<'_> {
    fn follow(&mut self) -> Result<(), DesktopError> {
        while !self.watcher.is_stopped() {
            match self.x.poll_for_event()? {
                Some(event) => self.event(&event)?,
                // Five looks a second cost nothing and keep reports well below a second.
                None => thread::sleep(EVENTS_EVERY),
            }
            // A window that is moved about does not have the whole desktop read at each step.
            if self.stale && self.looked.elapsed() >= EVENTS_EVERY {
                self.look_at_windows()?;
            }
            if self
                .checked
                .is_none_or(|checked| checked.elapsed() >= CHECK_EVERY)
            {
                self.checked = Some(Instant::now());
                self.look_inside()?;
                self.look_at_server()?;
            }
        }
        Ok(())
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "X11 has a hundred events; only these are asked for"
    )]
    fn event(&mut self, event: &Event) -> Result<(), DesktopError> {
        match event {
            Event::PropertyNotify(change) if change.atom == self.atoms._NET_ACTIVE_WINDOW => {
                self.look_at_active()
            }
            Event::PropertyNotify(change) if change.atom == self.atoms._NET_CLIENT_LIST => {
                self.stale = true;
                Ok(())
            }
            // An overlay that no window manager lists is a window all the same, also one that was
            // outside the screen and comes in.
            Event::MapNotify(map) if map.override_redirect || !self.managed => {
                self.stale = true;
                Ok(())
            }
            Event::ConfigureNotify(moved) if moved.override_redirect || !self.managed => {
                self.stale = true;
                Ok(())
            }
            Event::XfixesCursorNotify(_) => self.look_at_pointer(),
            Event::XinputHierarchy(_) => self.look_at_devices(),
            Event::XinputRawKeyPress(key) => {
                self.came(key.sourceid);
                Ok(())
            }
            Event::XinputRawButtonPress(button) => {
                self.came(button.sourceid);
                Ok(())
            }
            Event::XfixesSelectionNotify(selection) => self.clipboard(selection.owner),
            Event::RandrScreenChangeNotify(_) | Event::RandrNotify(_) => {
                self.stale = true;
                self.look_at_displays()
            }
            _ => Ok(()),
        }
    }

    fn look_at_active(&mut self) -> Result<(), DesktopError> {
        let active = self.property(self.root, self.atoms._NET_ACTIVE_WINDOW, AtomEnum::WINDOW)?;
        let window = active.first().copied().filter(|window| *window != 0);
        let facts = window.map(|window| self.facts(window)).transpose()?;
        self.know_own();
        if let Some(WindowFinding::Switch(edge, detail)) = self.windows.active(facts.as_ref()) {
            self.watcher
                .see(IncidentKind::WindowSwitch, edge, "active-window/1", detail);
        }
        Ok(())
    }

    fn look_at_windows(&mut self) -> Result<(), DesktopError> {
        let listed = self.property(self.root, self.atoms._NET_CLIENT_LIST, AtomEnum::WINDOW)?;
        self.managed = !listed.is_empty();
        self.stale = false;
        self.looked = Instant::now();
        let mut windows: BTreeSet<Window> = listed.into_iter().collect();
        let clients = windows.clone();
        let screen = self.x.get_geometry(self.root)?.reply()?;
        let screen = (i32::from(screen.width), i32::from(screen.height));
        for child in self.x.query_tree(self.root)?.reply()?.children {
            if self.is_overlay(child, screen)? && !self.frames(child, &clients)? {
                windows.insert(child);
            }
        }
        let facts: Vec<WindowFacts> = windows
            .into_iter()
            .map(|window| self.facts(window))
            .collect::<Result<_, _>>()?;
        self.know_own();
        for finding in self.windows.open(&facts) {
            if let WindowFinding::Appeared(detail) = finding {
                self.watcher.see(
                    IncidentKind::ForeignWindow,
                    Edge::Moment,
                    "windows/1",
                    detail,
                );
            }
        }
        Ok(())
    }

    /// Tells whether a child of the root is a window that no window manager lists and that shows.
    ///
    /// What it is called plays no part, and neither does which window the root names as the window
    /// manager's: any program can write both. A helper such as the window manager's own shows
    /// nothing, because it lies outside the screen, takes input only, or is not mapped.
    fn is_overlay(&self, window: Window, screen: (i32, i32)) -> Result<bool, DesktopError> {
        let attributes = self.x.get_window_attributes(window)?;
        let geometry = self.x.get_geometry(window)?;
        let (Ok(attributes), Ok(geometry)) = (attributes.reply(), geometry.reply()) else {
            return Ok(false);
        };
        let border = 2 * i32::from(geometry.border_width);
        let (left, top) = (i32::from(geometry.x), i32::from(geometry.y));
        let right = left + i32::from(geometry.width) + border;
        let bottom = top + i32::from(geometry.height) + border;
        let inside = right > 0 && bottom > 0 && left < screen.0 && top < screen.1;
        Ok(inside
            && attributes.map_state == MapState::VIEWABLE
            && attributes.class != WindowClass::INPUT_ONLY
            && (attributes.override_redirect || !self.managed))
    }

    /// Tells whether a window is a frame around one that is listed, which counts by itself.
    fn frames(&self, window: Window, clients: &BTreeSet<Window>) -> Result<bool, DesktopError> {
        let mut around = vec![window];
        for _ in 0..FRAMES_MAX {
            let mut within = Vec::new();
            for window in around {
                if let Ok(tree) = self.x.query_tree(window)?.reply() {
                    within.extend(tree.children);
                }
            }
            if within.iter().any(|window| clients.contains(window)) {
                return Ok(true);
            }
            around = within;
        }
        Ok(false)
    }

    /// Counts what the server scans out; monitors that clients define play no part.
    fn look_at_displays(&mut self) -> Result<(), DesktopError> {
        let layout = qorgan_seat::platform::layout(&self.x, self.root)?;
        self.displays.look(self.watcher, &layout.shown());
        self.checked = None;
        Ok(())
    }

    fn clipboard(&self, owner: Window) -> Result<(), DesktopError> {
        // No owner: it was emptied, as the lockdown does.
        if owner == 0 {
            return Ok(());
        }
        let pid = self.pid(owner)?;
        if pid.is_some_and(|pid| self.watcher.own().contains(&pid)) {
            return Ok(());
        }
        let program = pid.and_then(|pid| fs::read_to_string(format!("/proc/{pid}/comm")).ok());
        let detail = program.map_or_else(
            || "another program".to_owned(),
            |name| name.trim().to_owned(),
        );
        self.watcher.see(
            IncidentKind::ClipboardChanged,
            Edge::Moment,
            "clipboard/1",
            detail,
        );
        Ok(())
    }

    fn know_own(&mut self) {
        self.windows.own_processes(self.watcher.own());
    }

    fn facts(&self, window: Window) -> Result<WindowFacts, DesktopError> {
        let types = self.property(window, self.atoms._NET_WM_WINDOW_TYPE, AtomEnum::ATOM)?;
        let atoms = &self.atoms;
        let furniture = [
            atoms._NET_WM_WINDOW_TYPE_DESKTOP,
            atoms._NET_WM_WINDOW_TYPE_DOCK,
            atoms._NET_WM_WINDOW_TYPE_TOOLTIP,
            atoms._NET_WM_WINDOW_TYPE_NOTIFICATION,
        ];
        let title = self.text(window, atoms._NET_WM_NAME, atoms.UTF8_STRING)?;
        let title = if title.is_empty() {
            self.text(window, AtomEnum::WM_NAME.into(), AtomEnum::STRING.into())?
        } else {
            title
        };
        let class = self.text(window, AtomEnum::WM_CLASS.into(), AtomEnum::STRING.into())?;
        let class = class.split('\0').nth(1).unwrap_or(&class).to_owned();
        Ok(WindowFacts {
            window,
            pid: self.pid(window)?,
            title,
            class,
            furniture: types.iter().any(|kind| furniture.contains(kind)),
        })
    }

    /// Returns a window's process by the server's word, which a program cannot forge, or by the
    /// window's own where the server has no such extension.
    fn pid(&self, window: Window) -> Result<Option<u32>, DesktopError> {
        let spec = ClientIdSpec {
            client: window,
            mask: ClientIdMask::LOCAL_CLIENT_PID,
        };
        let answer = self.x.res_query_client_ids(&[spec]);
        if let Ok(reply) = answer
            .map_err(ReplyError::from)
            .and_then(|cookie| cookie.reply())
        {
            let pid = reply.ids.iter().find_map(|id| id.value.first().copied());
            if pid.is_some_and(|pid| pid != 0) {
                return Ok(pid);
            }
        }
        let said = self.property(window, self.atoms._NET_WM_PID, AtomEnum::CARDINAL)?;
        Ok(said.first().copied())
    }

    fn property(
        &self,
        window: Window,
        name: Atom,
        kind: AtomEnum,
    ) -> Result<Vec<u32>, DesktopError> {
        let cookie = self
            .x
            .get_property(false, window, name, kind, 0, PROPERTY_WORDS_MAX)?;
        // A window may be gone between its event and this question.
        let values = cookie
            .reply()
            .ok()
            .and_then(|reply| reply.value32().map(Iterator::collect));
        Ok(values.unwrap_or_default())
    }

    fn text(&self, window: Window, name: Atom, kind: Atom) -> Result<String, DesktopError> {
        let cookie = self
            .x
            .get_property(false, window, name, kind, 0, PROPERTY_WORDS_MAX)?;
        let reply = cookie.reply().ok();
        let text = reply.map(|reply| String::from_utf8_lossy(&reply.value).into_owned());
        Ok(text.unwrap_or_default())
    }
}

const PROPERTY_WORDS_MAX: u32 = 1_024;
/// Windows that a window manager puts around another one, one in the other.
const FRAMES_MAX: usize = 2;
const EVENTS_EVERY: Duration = Duration::from_millis(150);
/// Questions to the server about what it tells of in no event.
const CHECK_EVERY: Duration = Duration::from_secs(2);
const RECONNECT_EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
