//! Linux: RandR and the socket's other end at the display server; `/proc`, `/sys` and `/run` for the
//! rest.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::OnceLock;

use rustix::process::DumpableBehavior;
use x11rb::connection::Connection as _;
use x11rb::errors::{ConnectionError, ReplyError};
use x11rb::protocol::randr::{Connection as Plug, ConnectionExt as _};
use x11rb::protocol::xproto::{ConnectionExt as _, Window};
use x11rb::rust_connection::RustConnection;

use super::Display;
use crate::display::{
    Area, Layout, Lit, Monitor, Output, Peer, Program, ServerFacts, ServerProcess, nested_signs,
    words,
};
use crate::own::{self, Intrusion, LibraryWatch, StartFacts};
use crate::terminal::TerminalFacts;

static AT_START: OnceLock<Vec<Intrusion>> = OnceLock::new();

pub(super) fn display(name: Option<&str>) -> Option<Display> {
    let (x, screen) = x11rb::connect(name).ok()?;
    match looked_at(&x, screen) {
        Ok(display) => display,
        Err(error) => {
            tracing::warn!(%error, "The display server cannot be looked at");
            None
        }
    }
}

pub(super) fn nested_words() -> Option<String> {
    match display(None) {
        Some(display) => words(&display.signs),
        None => Some("the display cannot be looked at".to_owned()),
    }
}

fn looked_at(x: &RustConnection, screen: usize) -> Result<Option<Display>, ReplyError> {
    let setup = x.setup();
    let Some(root) = setup.roots.get(screen).map(|screen| screen.root) else {
        return Ok(None);
    };
    let layout = layout(x, root)?;
    let extensions = x.list_extensions()?.reply()?.names;
    let extensions = extensions.iter().map(|name| text(&name.name)).collect();
    let peer = peer_of(x.stream().as_fd());
    let terminal = match &peer {
        Peer::Local(process) => process.terminal,
        Peer::Remote | Peer::Unknown => None,
    };
    let facts = ServerFacts {
        vendor: text(&setup.vendor),
        extensions,
        outputs: layout.outputs.clone(),
        peer,
        plugged: plugged(Path::new("/sys/class/drm")),
    };
    Ok(Some(Display {
        signs: nested_signs(&facts),
        layout,
        terminal,
    }))
}

/// Asks a server what it scans out and what its clients defined.
///
/// # Errors
/// Where the server is gone or knows no RandR 1.3.
pub fn layout(x: &RustConnection, root: Window) -> Result<Layout, ReplyError> {
    x.randr_query_version(1, 5)?.reply()?;
    let geometry = x.get_geometry(root)?.reply()?;
    let resources = x.randr_get_screen_resources_current(root)?.reply()?;
    let at = resources.config_timestamp;
    let mut outputs = Vec::new();
    let mut names = Vec::new();
    for output in resources.outputs {
        // An output may be gone between the list and this question.
        if let Ok(info) = x.randr_get_output_info(output, at)?.reply() {
            names.push((output, text(&info.name)));
            outputs.push(Output {
                name: text(&info.name),
                connected: info.connection == Plug::CONNECTED || info.crtc != x11rb::NONE,
            });
        }
    }
    let mut lit = Vec::new();
    for crtc in resources.crtcs {
        let Ok(info) = x.randr_get_crtc_info(crtc, at)?.reply() else {
            continue;
        };
        if info.mode == x11rb::NONE || info.width == 0 || info.height == 0 {
            continue;
        }
        let panning = x.randr_get_panning(crtc)?.reply();
        let named = names.iter().filter(|(id, _)| info.outputs.contains(id));
        let mut named: Vec<String> = named.map(|(_, name)| name.clone()).collect();
        named.sort();
        lit.push(Lit {
            outputs: named,
            area: area((info.x, info.y), (info.width, info.height)),
            pans: panning.is_ok_and(|panning| panning.width > 0 || panning.height > 0),
        });
    }
    lit.retain(|lit: &Lit| !lit.outputs.is_empty());
    Ok(Layout {
        root: area((0, 0), (geometry.width, geometry.height)),
        lit,
        outputs,
        monitors: monitors(x, root)?,
    })
}

/// A server without RandR 1.5 has no monitors that programs could define.
fn monitors(x: &RustConnection, root: Window) -> Result<Vec<Monitor>, ConnectionError> {
    let Ok(listed) = x.randr_get_monitors(root, true)?.reply() else {
        return Ok(Vec::new());
    };
    let mut monitors = Vec::new();
    for monitor in listed.monitors {
        let name = x.get_atom_name(monitor.name)?.reply();
        monitors.push(Monitor {
            name: name.map_or_else(|_gone| String::new(), |name| text(&name.name)),
            automatic: monitor.automatic,
            area: area((monitor.x, monitor.y), (monitor.width, monitor.height)),
        });
    }
    Ok(monitors)
}

fn area((x, y): (i16, i16), (width, height): (u16, u16)) -> Area {
    Area {
        x: i32::from(x),
        y: i32::from(y),
        width: u32::from(width),
        height: u32::from(height),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Asks the kernel who listens at the other end. A process of another namespace of numbers is found
/// in no folder of `/proc`, and so is not known.
fn peer_of(socket: impl AsFd) -> Peer {
    let Ok(address) = rustix::net::getsockname(&socket) else {
        return Peer::Unknown;
    };
    if address.address_family() != rustix::net::AddressFamily::UNIX {
        return Peer::Remote;
    }
    let Ok(credentials) = rustix::net::sockopt::socket_peercred(&socket) else {
        return Peer::Unknown;
    };
    let pid = credentials.pid.as_raw_nonzero().get();
    process(
        Path::new(&format!("/proc/{pid}")),
        credentials.uid.is_root(),
    )
    .map_or(Peer::Unknown, Peer::Local)
}

fn process(folder: &Path, root: bool) -> Option<ServerProcess> {
    let name = fs::read_to_string(folder.join("comm")).ok()?;
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    let program = fs::read_link(folder.join("exe")).ok().map(|file| Program {
        name: file
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default(),
        roots: is_roots(&file),
    });
    Some(ServerProcess {
        root,
        name: name.trim().to_owned(),
        program,
        terminal: terminal_of(&stat),
    })
}

/// Tells whether root alone can change a file, by the owner and the rights of it and its folder.
fn is_roots(file: &Path) -> bool {
    let held = |path: &Path| {
        let found = fs::metadata(path);
        found.is_ok_and(|found| found.uid() == 0 && found.mode() & 0o022 == 0)
    };
    held(file) && file.parent().is_some_and(held)
}

/// Reads the number of a virtual terminal out of `/proc/PID/stat`.
fn terminal_of(stat: &str) -> Option<u32> {
    // The name in brackets may hold anything: state, parent, group, session and terminal follow it.
    let (_, after) = stat.rsplit_once(')')?;
    let device: u32 = after.split_whitespace().nth(4)?.parse().ok()?;
    let (major, minor) = ((device >> 8) & 0xfff, device & 0xff);
    (major == TERMINALS_MAJOR && minor > 0).then_some(minor)
}

/// Lists the connectors that the kernel sees a display at; nothing where no driver lists any.
fn plugged(folder: &Path) -> Option<Vec<String>> {
    let mut listed = false;
    let mut plugged = Vec::new();
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else {
            continue;
        };
        if name.contains("Writeback") {
            continue;
        }
        listed = true;
        if status.trim() == "connected" {
            plugged.push(name);
        }
    }
    plugged.sort();
    listed.then_some(plugged)
}

pub(super) fn terminal() -> TerminalFacts {
    terminal_facts(
        Path::new("/sys/class/tty/tty0/active"),
        Path::new("/run/systemd/seats/seat0"),
    )
}

fn terminal_facts(active: &Path, seat: &Path) -> TerminalFacts {
    let shown = fs::read_to_string(active).ok();
    let session = fs::read_to_string(seat).ok().map(|seat| {
        let line = seat.lines().find_map(|line| line.strip_prefix("ACTIVE="));
        line.unwrap_or_default().trim().to_owned()
    });
    TerminalFacts {
        shown: shown
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty()),
        session,
    }
}

pub(super) fn guard_process() {
    AT_START.get_or_init(|| {
        // Read first: once the process is guarded, its environment's file is root's.
        let environment = fs::read("/proc/self/environ").unwrap_or_default();
        let program = fs::read_link("/proc/self/exe").unwrap_or_default();
        let found = own::loader_words(&StartFacts {
            environment: environment.split(|byte| *byte == 0).map(text).collect(),
            program: program
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            system_list: fs::read_to_string("/etc/ld.so.preload").unwrap_or_default(),
        });
        if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
            tracing::error!(%error, "The process's memory is open to the user's other programs");
        }
        found
    });
}

pub(super) fn at_start() -> &'static [Intrusion] {
    AT_START.get().map_or(&[], Vec::as_slice)
}

#[derive(Debug, Default)]
pub(super) struct OwnWatch {
    libraries: LibraryWatch,
    tracers: Vec<u32>,
}

impl OwnWatch {
    pub(super) fn look(&mut self, also: impl IntoIterator<Item = u32>) -> Vec<Intrusion> {
        let program = fs::read_link("/proc/self/exe").unwrap_or_default();
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        let mut found = self.libraries.look(&maps, &program.to_string_lossy());
        let of = |process: &str| {
            let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
            own::tracer(&status)
        };
        let others = also.into_iter().map(|pid| pid.to_string());
        let mut tracers: Vec<u32> = others
            .chain(["self".to_owned()])
            .filter_map(|process| of(&process))
            .collect();
        tracers.sort_unstable();
        tracers.dedup();
        let new = tracers.iter().filter(|pid| !self.tracers.contains(pid));
        found.extend(new.map(|pid| Intrusion::Tracer(*pid)));
        self.tracers = tracers;
        found
    }
}

/// The device number of virtual terminals.
const TERMINALS_MAJOR: u32 = 4;

#[cfg(test)]
#[path = "linux_tests.rs"]
mod tests;
