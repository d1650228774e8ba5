//! What a display server is, by everything that it cannot easily hide.

use core::fmt;

/// An area of the desktop, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Area {
    /// Its left edge.
    pub x: i32,
    /// Its upper edge.
    pub y: i32,
    /// Its width.
    pub width: u32,
    /// Its height.
    pub height: u32,
}

impl Area {
    /// Returns the pixels in it.
    #[must_use]
    pub fn pixels(self) -> u64 {
        u64::from(self.width) * u64::from(self.height)
    }

    /// Returns what both areas have, if they have anything in common.
    #[must_use]
    pub fn common(self, other: Self) -> Option<Self> {
        let left = self.x.max(other.x);
        let top = self.y.max(other.y);
        let right = self.right().min(other.right());
        let bottom = self.bottom().min(other.bottom());
        let width = u32::try_from(right - i64::from(left)).ok()?;
        let height = u32::try_from(bottom - i64::from(top)).ok()?;
        (width > 0 && height > 0).then_some(Self {
            x: left,
            y: top,
            width,
            height,
        })
    }

    fn right(self) -> i64 {
        i64::from(self.x) + i64::from(self.width)
    }

    fn bottom(self) -> i64 {
        i64::from(self.y) + i64::from(self.height)
    }
}

/// A part of the desktop that the server scans out, by its CRTC; no client can define one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lit {
    /// The outputs that show it, by name.
    pub outputs: Vec<String>,
    /// Where it lies.
    pub area: Area,
    /// Whether the picture moves over a larger desktop as the pointer does.
    pub pans: bool,
}

/// A socket for a display, by the server's word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name, such as `eDP-1`.
    pub name: String,
    /// Whether a display is plugged in.
    pub connected: bool,
}

/// A monitor as RandR 1.5 lists it; every client may define one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// Its name.
    pub name: String,
    /// Whether it says that the server made it; a client may write that too.
    pub automatic: bool,
    /// Where it lies.
    pub area: Area,
}

/// The layout of a desktop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The whole desktop.
    pub root: Area,
    /// What is scanned out.
    pub lit: Vec<Lit>,
    /// Every socket.
    pub outputs: Vec<Output>,
    /// What clients are told; evidence only.
    pub monitors: Vec<Monitor>,
}

/// An area that is recorded as one display.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// Its output's name.
    pub name: String,
    /// Where it lies.
    pub area: Area,
}

impl Layout {
    /// Returns what must be recorded so that nothing that a person can see is left out: the area of
    /// each output, mirrored ones each by itself so that they count, and the whole desktop where that
    /// is larger than the one area that is shown, or moves under it. Between displays of unlike size
    /// lies desktop that no display shows.
    #[must_use]
    pub fn recorded(&self) -> Vec<Recorded> {
        let whole = self.lit.len() <= 1 || self.lit.iter().any(|lit| lit.pans);
        let each = self.lit.iter().flat_map(|lit| {
            let area = if whole { self.root } else { lit.area };
            lit.outputs.iter().map(move |name| Recorded {
                name: name.clone(),
                area,
            })
        });
        let mut recorded: Vec<Recorded> = each.collect();
        if recorded.is_empty() {
            recorded.push(Recorded {
                name: DESKTOP.to_owned(),
                area: self.root,
            });
        }
        recorded.sort_by_key(|display| (display.area, display.name.clone()));
        recorded
    }

    /// Returns the names of the displays that show something; mirrored ones count each.
    #[must_use]
    pub fn shown(&self) -> Vec<String> {
        let outputs = self.lit.iter().flat_map(|lit| lit.outputs.clone());
        let mut shown: Vec<String> = outputs.collect();
        if shown.is_empty() {
            shown.push(DESKTOP.to_owned());
        }
        shown.sort();
        shown
    }

    /// Returns the monitors that no server makes by itself: those that say so, those of no lit area,
    /// and those that lie on fewer or more outputs than the server scans out.
    #[must_use]
    pub fn defined_by_programs(&self) -> Vec<String> {
        let made = |monitor: &&Monitor| {
            let lit = self.lit.iter().any(|lit| lit.area == monitor.area);
            let named = self.outputs.iter().any(|out| out.name == monitor.name);
            monitor.automatic && lit && named
        };
        let servers_own = self.lit.is_empty();
        let foreign = self.monitors.iter().filter(|monitor| !made(monitor));
        foreign
            .filter(|monitor| !(servers_own && monitor.area == self.root))
            .map(|monitor| {
                let Area {
                    x,
                    y,
                    width,
                    height,
                } = monitor.area;
                let name: String = monitor.name.chars().take(40).collect();
                format!("{name} {width}x{height}+{x}+{y}")
            })
            .collect()
    }
}

/// Who listens at the other end of the display's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A process of this machine.
    Local(ServerProcess),
    /// The connection goes over a network, such as with `ssh -X`.
    Remote,
    /// The system does not say.
    Unknown,
}

/// The process that listens at the display's socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerProcess {
    /// Whether it runs as root, so that no ordinary user started it.
    pub root: bool,
    /// The short name that the kernel gives.
    pub name: String,
    /// Its program's file, where that can be read.
    pub program: Option<Program>,
    /// The number of the terminal that it holds.
    pub terminal: Option<u32>,
}

/// A program's file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file's name.
    pub name: String,
    /// Whether root alone can change it.
    pub roots: bool,
}

/// What is known of a display server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// Who made it, as it says.
    pub vendor: String,
    /// Its extensions.
    pub extensions: Vec<String>,
    /// The names of its outputs.
    pub outputs: Vec<Output>,
    /// The process.
    pub peer: Peer,
    /// Displays that the kernel sees plugged in, by connector; `None` where it has no list.
    pub plugged: Option<Vec<String>>,
}

/// Why a display server is taken for one that does not drive this machine's own displays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NestedSign {
    /// An extension that such servers alone have.
    Extension(String),
    /// A vendor of such servers.
    Vendor(String),
    /// An output that no graphics card has.
    Output(String),
    /// The connection leaves the machine.
    Remote,
    /// The system does not say who listens.
    Unknown,
    /// Another program than the display server of a seat listens.
    Process(String),
    /// The display server's file can be changed by others than root.
    Replaceable(String),
    /// It holds no terminal, so that it drives no display.
    NoTerminal,
    /// Displays that the kernel sees plugged in and the server does not tell of.
    Unseen(Vec<String>),
    /// The server tells of a display where the kernel sees none.
    Imaginary,
}

impl fmt::Display for NestedSign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Extension(name) => write!(f, "its extension is {name}"),
            Self::Vendor(name) => write!(f, "its vendor is {name}"),
            Self::Output(name) => write!(f, "its output is {name}"),
            Self::Remote => f.write_str("it is reached over a network"),
            Self::Unknown => f.write_str("the system does not say who serves it"),
            Self::Process(name) => write!(f, "{name} serves it"),
            Self::Replaceable(name) => write!(f, "{name} is not the system's own program"),
            Self::NoTerminal => f.write_str("its server holds no terminal"),
            Self::Unseen(names) => write!(f, "it does not tell of {}", names.join(", ")),
            Self::Imaginary => f.write_str("no display is plugged in"),
        }
    }
}

/// Returns every sign that a display server is nested in another one, remote, or drives no display.
#[must_use]
pub fn nested_signs(facts: &ServerFacts) -> Vec<NestedSign> {
    let mut signs = Vec::new();
    for extension in &facts.extensions {
        let upper = extension.to_uppercase();
        if EXTENSIONS.iter().any(|known| upper.starts_with(known)) {
            signs.push(NestedSign::Extension(extension.clone()));
        }
    }
    let vendor = facts.vendor.to_lowercase();
    if VENDORS.iter().any(|known| vendor.contains(known)) {
        signs.push(NestedSign::Vendor(facts.vendor.clone()));
    }
    for output in &facts.outputs {
        let upper = output.name.to_uppercase();
        if OUTPUTS.iter().any(|known| upper.starts_with(known)) || upper == "SCREEN" {
            signs.push(NestedSign::Output(output.name.clone()));
        }
    }
    match &facts.peer {
        Peer::Remote => signs.push(NestedSign::Remote),
        Peer::Unknown => signs.push(NestedSign::Unknown),
        Peer::Local(process) => signs.extend(process_sign(process)),
    }
    signs.extend(unseen(facts));
    signs
}

/// A process that runs as root was started by the system; one of the user's must be a file that the
/// user cannot write.
fn process_sign(process: &ServerProcess) -> Option<NestedSign> {
    let known = |name: &str| SERVERS.contains(&name);
    if !known(&process.name) {
        return Some(NestedSign::Process(process.name.clone()));
    }
    match &process.program {
        Some(program) if !known(&program.name) => {
            return Some(NestedSign::Process(program.name.clone()));
        }
        Some(program) if !program.roots => {
            return Some(NestedSign::Replaceable(program.name.clone()));
        }
        None if !process.root => return Some(NestedSign::Replaceable(process.name.clone())),
        Some(_) | None => {}
    }
    process.terminal.is_none().then_some(NestedSign::NoTerminal)
}

/// Holds what the server says against what the kernel sees; names differ between drivers, so that
/// only numbers are compared.
fn unseen(facts: &ServerFacts) -> Option<NestedSign> {
    let plugged = facts.plugged.as_ref()?;
    let told = facts.outputs.iter().filter(|output| output.connected);
    let told = told.count();
    if plugged.is_empty() && told > 0 {
        Some(NestedSign::Imaginary)
    } else if plugged.len() > told {
        Some(NestedSign::Unseen(plugged.clone()))
    } else {
        None
    }
}

/// Puts signs into few words, or nothing where there are none.
#[must_use]
pub fn words(signs: &[NestedSign]) -> Option<String> {
    let mut words: Vec<String> = signs.iter().map(ToString::to_string).collect();
    words.dedup();
    (!words.is_empty()).then(|| words.join("; "))
}

/// What is recorded of a server that tells of no display.
const DESKTOP: &str = "desktop";
/// The beginnings of extensions' names.
const EXTENSIONS: [&str; 6] = ["XWAYLAND", "VNC-", "TIGERVNC", "NX", "NOMACHINE", "XPRA"];
/// Parts of vendors' names.
const VENDORS: [&str; 10] = [
    "tigervnc",
    "realvnc",
    "tightvnc",
    "turbovnc",
    "at&t laboratories",
    "nomachine",
    "x2go",
    "xpra",
    "colin harrison",
    "vcxsrv",
];
/// The beginnings of outputs' names.
const OUTPUTS: [&str; 6] = ["XWAYLAND", "VNC", "DUMMY", "NX", "RDP", "XPRA"];
/// What the display server of a seat calls itself; NixOS wraps it.
const SERVERS: [&str; 4] = ["Xorg", "X", "Xorg.bin", ".Xorg-wrapped"];

#[cfg(test)]
#[path = "display_tests.rs"]
mod tests;
