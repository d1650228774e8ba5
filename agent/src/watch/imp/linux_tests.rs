//! The watch on a real X server, without and with a window manager.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use qorgan_agent_core::sighting::Sighting;
use qorgan_tests::display::Display;
use x11rb::protocol::xproto::{ConfigureWindowAux, CreateWindowAux, PropMode};
use x11rb::wrapper::ConnectionExt as _;

use super::*;
use crate::recorder::{Controls, Input};
use crate::watch::OwnProcesses;

#[test]
fn a_new_window_a_switch_and_the_clipboard_are_reported_within_a_second() {
    let watched = Watched::start(Display::without_manager);
    let shown = Instant::now();
    let window = watched.open("crib sheet", PLACE);
    let found = watched.wait(IncidentKind::ForeignWindow);
    assert!(found.detail.contains("crib sheet"), "{}", found.detail);
    assert!(
        shown.elapsed() < Duration::from_secs(1),
        "{:?}",
        shown.elapsed()
    );

    watched.name_on_root(watched.atoms._NET_ACTIVE_WINDOW, window);
    let found = watched.wait(IncidentKind::WindowSwitch);
    assert_eq!(found.edge, Edge::Began);

    watched
        .x
        .set_selection_owner(window, watched.atoms.CLIPBOARD, x11rb::CURRENT_TIME)
        .expect("asked");
    watched.x.flush().expect("sent");
    watched.wait(IncidentKind::ClipboardChanged);
}

#[test]
fn the_window_managers_own_helper_windows_are_no_incident() {
    let watched = Watched::start(Display::start);

    // Everything before the marker was looked at before it.
    watched.open_overlay("marker", PLACE);

    let first = watched.wait(IncidentKind::ForeignWindow);
    assert_eq!(first.detail, "marker");
}

#[test]
fn a_window_that_calls_itself_the_window_manager_is_reported_all_the_same() {
    let watched = Watched::start(Display::start);

    let window = watched.open_overlay("Openbox", PLACE);
    let check = watched.x.intern_atom(false, b"_NET_SUPPORTING_WM_CHECK");
    let check = check.expect("asked").reply().expect("told").atom;
    watched.name_on_root(check, window);
    assert_eq!(watched.wait(IncidentKind::ForeignWindow).detail, "Openbox");

    watched.open("Openbox", PLACE);
    assert_eq!(watched.wait(IncidentKind::ForeignWindow).detail, "Openbox");
}

#[test]
fn an_overlay_without_a_name_is_reported() {
    let watched = Watched::start(Display::start);

    watched.open_overlay("", PLACE);

    let found = watched.wait(IncidentKind::ForeignWindow);
    assert_eq!(found.detail, "a window without a name");
}

#[test]
fn a_helper_that_comes_into_the_screen_later_is_reported_when_it_does() {
    let watched = Watched::start(Display::start);
    let window = watched.open_overlay("Openbox", (-100, -100, 1, 1));
    watched.open_overlay("marker", PLACE);
    assert_eq!(watched.wait(IncidentKind::ForeignWindow).detail, "marker");

    let place = ConfigureWindowAux::new().x(40).y(40).width(300).height(200);
    watched.x.configure_window(window, &place).expect("asked");
    watched.x.flush().expect("sent");

    assert_eq!(watched.wait(IncidentKind::ForeignWindow).detail, "Openbox");
}

#[test]
fn a_second_display_is_reported_when_it_is_plugged_in_and_when_it_is_gone() {
    let watched = Watched::start(|folder, _width, _height| Display::with_sockets(folder));

    watched.display.plug().expect("a second monitor");
    let found = watched.wait(IncidentKind::SecondDisplay);
    assert_eq!(found.edge, Edge::Began);
    assert!(
        found.detail.contains("DUMMY0") && found.detail.contains("DUMMY1"),
        "{}",
        found.detail
    );

    watched.display.unplug().expect("one monitor");
    let found = watched.wait(IncidentKind::SecondDisplay);
    assert_eq!(found.edge, Edge::Ended);
}

#[test]
fn a_monitor_that_a_program_defines_is_reported_and_is_no_display() {
    let watched = Watched::start(Display::without_manager);

    let words = ["--setmonitor", "half", "400/100x600/150+0+0", "screen"];
    watched.display.tool("xrandr", &words).expect("xrandr runs");

    let found = watched.wait(IncidentKind::SecondDisplay);
    assert_eq!(found.edge, Edge::Moment);
    assert!(found.detail.contains("half 400x600"), "{}", found.detail);
}

#[test]
fn a_display_that_is_not_the_seats_own_is_reported_with_its_sign() {
    let watched = Watched::start(Display::without_manager);

    watched.wait_for(IncidentKind::NestedDisplay, "its output is screen");
    watched.wait_for(IncidentKind::NestedDisplay, "Xvfb serves it");
}

#[test]
fn keys_that_a_program_sends_are_reported_once() {
    let watched = Watched::start(Display::without_manager);

    watched.display.press(&["a", "b"]).expect("xdotool runs");

    let found = watched.wait(IncidentKind::ForeignInput);
    assert_eq!(found.detail, "keys or clicks come from a program");
}

#[test]
fn a_pointer_that_could_hold_a_text_is_reported() {
    let watched = Watched::start(Display::without_manager);

    let [pixmap, cursor] = [(); 2].map(|()| watched.x.generate_id().expect("a number"));
    let (x, root) = (&watched.x, watched.root);
    x.create_pixmap(1, pixmap, root, 150, 120).expect("asked");
    x.create_cursor(cursor, pixmap, pixmap, 0, 0, 0, 0, 0, 0, 0, 0)
        .expect("asked");
    let shown = ChangeWindowAttributesAux::new().cursor(cursor);
    x.change_window_attributes(root, &shown).expect("asked");
    x.flush().expect("sent");

    let found = watched.wait_for(IncidentKind::ForeignWindow, "pointer");
    assert_eq!(found.detail, "a pointer of 150 by 120 pixels");
}

#[test]
fn a_window_inside_the_exams_own_is_reported() {
    let watched = Watched::start(Display::start);
    let kiosk = watched.display.open_other_window(watched._folder.path());
    let kiosk = kiosk.expect("a window stands for the kiosk's");
    watched.own.client(kiosk.id());
    let words = ["search", "--sync", "--onlyvisible", "--name", "^Notes$"];
    let found = watched
        .display
        .tool("xdotool", &words)
        .expect("it is shown");
    let within: Window = found.trim().parse().expect("a number");

    let window = watched.x.generate_id().expect("a number");
    let class = WindowClass::INPUT_OUTPUT;
    let aux = CreateWindowAux::new().background_pixel(0x00ff_0000);
    watched
        .x
        .create_window(0, window, within, 5, 5, 90, 40, 0, class, 0, &aux)
        .expect("asked");
    let (name, kind) = (watched.atoms._NET_WM_NAME, watched.atoms.UTF8_STRING);
    watched
        .x
        .change_property8(PropMode::REPLACE, window, name, kind, b"crib")
        .expect("asked");
    watched.x.map_window(window).expect("asked");
    watched.x.flush().expect("sent");

    let found = watched.wait_for(IncidentKind::ForeignWindow, "inside");
    assert_eq!(found.detail, "a window inside the exam's: crib");
}

/// A display that is watched; every process is foreign to it.
struct Watched {
    x: RustConnection,
    root: Window,
    atoms: Atoms,
    seen: Receiver<Input>,
    own: Arc<OwnProcesses>,
    controls: Arc<Controls>,
    watching: Option<thread::JoinHandle<Result<(), DesktopError>>>,
    display: Display,
    _folder: tempfile::TempDir,
}

impl Watched {
    fn start(display: fn(&std::path::Path, u32, u32) -> anyhow::Result<Display>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let display = display(folder.path(), 800, 600).expect("a display");
        let name = display.name().to_owned();
        let (sender, seen) = sync_channel(64);
        let (watcher, controls) = Watcher::for_tests(sender);
        let own = Arc::clone(&watcher.own);
        let watching = thread::spawn(move || watch(&watcher, Some(&name)));
        let (x, screen) = x11rb::connect(Some(display.name())).expect("a server");
        let atoms = Atoms::new(&x).expect("asked").reply().expect("told");
        let root = x.setup().roots[screen].root;
        thread::sleep(Duration::from_millis(500));
        Self {
            x,
            root,
            atoms,
            seen,
            own,
            controls,
            watching: Some(watching),
            display,
            _folder: folder,
        }
    }

    fn open(&self, title: &str, place: (i16, i16, u16, u16)) -> Window {
        self.make(title, place, false)
    }

    fn open_overlay(&self, title: &str, place: (i16, i16, u16, u16)) -> Window {
        self.make(title, place, true)
    }

    fn make(&self, title: &str, place: (i16, i16, u16, u16), overlay: bool) -> Window {
        let (left, top, width, height) = place;
        let window = self.x.generate_id().expect("a number");
        let aux = CreateWindowAux::new().override_redirect(u32::from(overlay));
        let class = WindowClass::INPUT_OUTPUT;
        self.x
            .create_window(
                0, window, self.root, left, top, width, height, 0, class, 0, &aux,
            )
            .expect("asked");
        let (name, kind) = (self.atoms._NET_WM_NAME, self.atoms.UTF8_STRING);
        self.x
            .change_property8(PropMode::REPLACE, window, name, kind, title.as_bytes())
            .expect("asked");
        self.x.map_window(window).expect("asked");
        self.x.flush().expect("sent");
        window
    }

    fn name_on_root(&self, property: Atom, window: Window) {
        let kind = AtomEnum::WINDOW;
        self.x
            .change_property32(PropMode::REPLACE, self.root, property, kind, &[window])
            .expect("asked");
        self.x.flush().expect("sent");
    }

    fn wait_for(&self, kind: IncidentKind, words: &str) -> Sighting {
        loop {
            let found = self.wait(kind);
            if found.detail.contains(words) {
                return found;
            }
        }
    }

    fn wait(&self, kind: IncidentKind) -> Sighting {
        loop {
            let input = self.seen.recv_timeout(Duration::from_secs(5));
            if let Ok(Input::Sighting(_, sighting)) = input {
                if sighting.kind == kind {
                    return *sighting;
                }
            } else {
                panic!("{kind:?} was not seen");
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.controls.stop();
        if let Some(watching) = self.watching.take() {
            drop(watching.join());
        }
    }
}

const PLACE: (i16, i16, u16, u16) = (5, 5, 300, 200);
