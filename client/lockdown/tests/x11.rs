//! The X11 measures and watches under a real display server and window manager, with real key
//! presses. The kiosk's part is played by this test program itself, run once more as a child.
#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::let_underscore_must_use,
    clippy::panic,
    clippy::print_stdout,
    reason = "every function of a test file is a test or helps one, and the child speaks by printing"
)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, mpsc},
    time::{Duration, Instant},
};

use qorgan_lockdown::{
    Layouts, Lockdown, MeasureOutcome, WindowTarget, measures, revert_leftovers, start_watch,
};
use qorgan_tests::display::Display;
use x11rb::{
    connection::Connection as _,
    protocol::{
        Event,
        xproto::{
            AtomEnum, Blanking, ClientMessageEvent, ConnectionExt as _, CreateWindowAux, EventMask,
            Exposures, GrabMode, PropMode, WindowClass,
        },
    },
    rust_connection::RustConnection,
    wrapper::ConnectionExt as _,
    xcb_ffi::XCBConnection,
};

#[test]
fn alt_tab_and_alt_f4_reach_the_kiosk_and_not_the_window_manager() {
    let desk = Desk::start();
    let _other = desk.open_window("other");
    let mut kiosk = desk.kiosk("watch");

    desk.xdotool(&["key", "alt+Tab"]);
    kiosk.expect("key 23", SEEN_MAX);
    desk.xdotool(&["key", "alt+F4"]);
    kiosk.expect("key 70", SEEN_MAX);
    desk.xdotool(&["key", "super+d"]);
    kiosk.expect("key 40", SEEN_MAX);

    assert_eq!(
        kiosk.drain("event switched-away"),
        0,
        "the window manager acted on a combination"
    );
    assert!(kiosk.is_running());
}

#[test]
fn the_keyboards_layout_is_read_and_switched_while_the_kiosk_holds_the_keyboard() {
    let desk = Desk::start();
    desk.display
        .tool("setxkbmap", &["-layout", "us,kz,ru"])
        .expect("layouts are set");
    let mut kiosk = desk.kiosk("layouts");

    kiosk.expect("layout ENG of 3", SEEN_MAX);
    kiosk.expect("layout ҚАЗ of 3", SEEN_MAX);
    kiosk.expect("layout РУС of 3", SEEN_MAX);
    kiosk.expect("layout ENG of 3", SEEN_MAX);
}

#[test]
fn another_window_is_reported_within_a_second_of_being_opened_and_raised() {
    let desk = Desk::start();
    let mut kiosk = desk.kiosk("watch");
    let since = Instant::now();

    let window = desk.open_window("intruder");
    kiosk.expect("event window-opened intruder", SEEN_MAX);
    desk.wmctrl(&["-i", "-a", &window.to_string()]);
    kiosk.expect("event switched-away intruder", SEEN_MAX);

    assert!(since.elapsed() < SEEN_MAX * 2);
}

#[test]
fn an_overlay_that_no_window_manager_sees_is_reported() {
    let desk = Desk::start();
    let mut kiosk = desk.kiosk("watch");

    desk.open_overlay("overlay");

    kiosk.expect("event overlay-shown overlay", SEEN_MAX);
}

#[test]
fn a_keyboard_grab_by_another_program_is_not_a_window_switch() {
    let desk = Desk::start();
    let mut kiosk = desk.kiosk("watch-without-grab");

    let reply = desk
        .conn
        .grab_keyboard(
            false,
            desk.root,
            x11rb::CURRENT_TIME,
            GrabMode::ASYNC,
            GrabMode::ASYNC,
        )
        .expect("asks")
        .reply()
        .expect("answers");
    assert_eq!(reply.status, x11rb::protocol::xproto::GrabStatus::SUCCESS);

    // A window that opens afterwards is the sign that everything before it was seen.
    desk.open_overlay("marker");
    kiosk.expect("event overlay-shown marker", SEEN_MAX);
    assert_eq!(kiosk.drain("event switched-away"), 0);
}

#[test]
fn nothing_can_be_pasted_and_a_copy_by_another_program_is_reported_and_emptied() {
    let desk = Desk::start();
    let mut kiosk = desk.kiosk("watch");
    let atoms = desk.atoms(&["CLIPBOARD", "UTF8_STRING"]);

    assert!(
        desk.paste(atoms[0], atoms[1]).is_none(),
        "the clipboard gives something"
    );
    let window = desk.open_window("copier");
    desk.conn
        .set_selection_owner(window, atoms[0], x11rb::CURRENT_TIME)
        .expect("copies");
    desk.conn.flush().expect("flushes");

    kiosk.expect("event clipboard-taken", SEEN_MAX);
    let deadline = Instant::now() + SEEN_MAX;
    while desk.owner(atoms[0]) == window {
        assert!(
            Instant::now() < deadline,
            "the clipboard was not taken back"
        );
    }
}

#[test]
fn a_killed_kiosk_leaves_a_journal_that_the_next_start_reverts() {
    let desk = Desk::start();
    desk.set_blanking(321, 123);
    let mut kiosk = desk.kiosk("watch");
    assert_eq!(desk.blanking(), (0, 0));

    kiosk.kill();
    assert_eq!(
        desk.blanking(),
        (0, 0),
        "only the next start can put it back"
    );
    let mut next = desk.spawn("revert");
    next.expect("reverted display-awake", START_MAX);

    assert_eq!(desk.blanking(), (321, 123));
    assert_eq!(std::fs::read(desk.journal()).expect("reads"), b"");
}

#[test]
fn a_kiosk_that_ends_by_itself_puts_the_machine_back() {
    let desk = Desk::start();
    desk.set_blanking(321, 123);

    let mut kiosk = desk.spawn("engage-and-release");
    kiosk.expect("reverted display-awake", START_MAX);

    assert_eq!(desk.blanking(), (321, 123));
    let grabbed = desk
        .conn
        .grab_keyboard(
            false,
            desk.root,
            x11rb::CURRENT_TIME,
            GrabMode::ASYNC,
            GrabMode::ASYNC,
        )
        .expect("asks")
        .reply()
        .expect("answers");
    assert_eq!(grabbed.status, x11rb::protocol::xproto::GrabStatus::SUCCESS);
}

/// Plays the kiosk; runs only as a child of the tests above.
#[test]
#[ignore = "is run by the other tests, as the kiosk"]
fn probe() {
    let Ok(mode) = std::env::var("QORGAN_PROBE") else {
        return;
    };
    let journal = std::env::var("QORGAN_PROBE_JOURNAL").expect("the parent names the journal");
    if mode == "revert" {
        for report in revert_leftovers(Path::new(&journal)).expect("reverts") {
            println!("\n@reverted {}", report.kind.name());
        }
        return;
    }
    let (conn, screen) = XCBConnection::connect(None).expect("connects");
    let conn = Arc::new(conn);
    let window = kiosk_window(&conn, screen);
    let target = WindowTarget::from_connection(Arc::clone(&conn), window);
    let mut chosen = measures(&target);
    if mode == "watch-without-grab" {
        chosen.retain(|measure| measure.kind().name() != "keyboard-grab");
    }
    let (lockdown, reports) = Lockdown::engage(Path::new(&journal), chosen).expect("engages");
    for report in &reports {
        assert_eq!(report.outcome, MeasureOutcome::Applied, "{report:?}");
    }
    if mode == "engage-and-release" {
        for report in lockdown.release() {
            println!("\n@reverted {}", report.kind.name());
        }
        let _ = std::io::stdin().read(&mut [0]);
        return;
    }
    let _watch = start_watch(&target, |event| {
        println!("\n@event {}", describe(&event.kind))
    })
    .expect("watches");
    println!("\n@ready");
    if mode == "layouts" {
        let layouts = Layouts::open().expect("the display knows layouts");
        for _ in 0..4 {
            let layout = layouts.read().expect("reads");
            println!("\n@layout {} of {}", layout.label(), layout.names.len());
            layouts.switch().expect("switches");
        }
    }
    loop {
        if let Event::KeyPress(key) = conn.wait_for_event().expect("the display lives") {
            println!("\n@key {}", key.detail);
        }
    }
}

fn describe(kind: &qorgan_lockdown::WatchKind) -> String {
    use qorgan_lockdown::WatchKind;
    let window = match kind {
        WatchKind::SwitchedAway { to } => to.clone(),
        WatchKind::WindowOpened { window }
        | WatchKind::WindowRaised { window }
        | WatchKind::OverlayShown { window } => Some(window.clone()),
        WatchKind::SwitchedBack
        | WatchKind::ClipboardTaken
        | WatchKind::TerminalLeft { .. }
        | WatchKind::TerminalBack
        | WatchKind::Touched { .. }
        | WatchKind::Blind => None,
    };
    let class = window.and_then(|window| window.class).unwrap_or_default();
    format!("{} {class}", kind.name())
}

fn kiosk_window(conn: &XCBConnection, screen: usize) -> u32 {
    let root = conn.setup().roots[screen].root;
    let window = make_window(conn, root, "kiosk", false);
    loop {
        if let Event::MapNotify(event) = conn.wait_for_event().expect("the display lives")
            && event.window == window
        {
            break;
        }
    }
    // The window manager gives a new window the focus a moment after it is mapped, but not one that
    // it found there when it started; so it is asked.
    let active = conn
        .intern_atom(false, b"_NET_ACTIVE_WINDOW")
        .expect("asks")
        .reply()
        .expect("answers")
        .atom;
    let ask = ClientMessageEvent::new(32, window, active, [1, 0, 0, 0, 0]);
    let mask = EventMask::SUBSTRUCTURE_NOTIFY | EventMask::SUBSTRUCTURE_REDIRECT;
    conn.send_event(false, root, mask, ask).expect("asks");
    loop {
        let found = conn
            .get_property(false, root, active, AtomEnum::WINDOW, 0, 1)
            .expect("asks")
            .reply()
            .expect("answers");
        if found.value32().and_then(|mut windows| windows.next()) == Some(window) {
            return window;
        }
    }
}

fn make_window(
    conn: &impl x11rb::connection::Connection,
    root: u32,
    class: &str,
    overlay: bool,
) -> u32 {
    let window = conn.generate_id().expect("an id");
    let aux = CreateWindowAux::new()
        .event_mask(EventMask::KEY_PRESS | EventMask::STRUCTURE_NOTIFY)
        .override_redirect(u32::from(overlay))
        .background_pixel(0x0033_6699);
    conn.create_window(
        0,
        window,
        root,
        10,
        10,
        300,
        200,
        0,
        WindowClass::INPUT_OUTPUT,
        0,
        &aux,
    )
    .expect("asks");
    let class = format!("{class}\0{class}\0");
    conn.change_property8(
        PropMode::REPLACE,
        window,
        AtomEnum::WM_CLASS,
        AtomEnum::STRING,
        class.as_bytes(),
    )
    .expect("asks");
    conn.map_window(window).expect("asks");
    conn.flush().expect("flushes");
    window
}

/// A display with a window manager, and what the tests do to it.
struct Desk {
    folder: tempfile::TempDir,
    conn: RustConnection,
    root: u32,
    display: Display,
}

impl Desk {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let display = Display::start(folder.path(), 1024, 768).expect("Xvfb and openbox start");
        let (conn, screen) = x11rb::connect(Some(display.name())).expect("connects");
        let root = conn.setup().roots[screen].root;
        let desk = Self {
            folder,
            conn,
            root,
            display,
        };
        desk.await_manager();
        desk
    }

    /// openbox can leave a window waiting that is mapped while it starts, so windows are tried until
    /// one is looked after.
    fn await_manager(&self) {
        let state = self.atoms(&["WM_STATE"])[0];
        let deadline = Instant::now() + START_MAX;
        while Instant::now() < deadline {
            let window = self.open_window("trial");
            let until = Instant::now() + Duration::from_millis(300);
            let mut managed = false;
            while !managed && Instant::now() < until {
                let found = self.conn.get_property(false, window, state, state, 0, 2);
                managed = found.expect("asks").reply().expect("answers").value_len > 0;
            }
            self.conn.destroy_window(window).expect("asks");
            self.conn.flush().expect("flushes");
            if managed {
                return;
            }
        }
        panic!("openbox did not take the display");
    }

    fn journal(&self) -> std::path::PathBuf {
        self.folder.path().join("lockdown.journal")
    }

    fn kiosk(&self, mode: &str) -> Kiosk {
        let mut kiosk = self.spawn(mode);
        kiosk.expect("ready", START_MAX);
        kiosk
    }

    fn spawn(&self, mode: &str) -> Kiosk {
        let mut child = Command::new(std::env::current_exe().expect("a path"))
            .args(["probe", "--exact", "--ignored", "--nocapture"])
            .env("DISPLAY", self.display.name())
            .env("QORGAN_PROBE", mode)
            .env("QORGAN_PROBE_JOURNAL", self.journal())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("runs itself");
        let stdout = child.stdout.take().expect("a pipe");
        Kiosk {
            child,
            lines: read_lines(stdout),
            seen: Vec::new(),
        }
    }

    fn xdotool(&self, args: &[&str]) {
        self.tool("xdotool", args);
    }

    fn wmctrl(&self, args: &[&str]) {
        self.tool("wmctrl", args);
    }

    fn set_blanking(&self, timeout_s: i16, interval_s: i16) {
        self.conn
            .set_screen_saver(
                timeout_s,
                interval_s,
                Blanking::PREFERRED,
                Exposures::ALLOWED,
            )
            .expect("asks")
            .check()
            .expect("sets");
    }

    fn tool(&self, name: &str, args: &[&str]) {
        self.display.tool(name, args).expect("the tool works");
    }

    fn open_window(&self, class: &str) -> u32 {
        make_window(&self.conn, self.root, class, false)
    }

    fn open_overlay(&self, class: &str) -> u32 {
        make_window(&self.conn, self.root, class, true)
    }

    fn blanking(&self) -> (u16, u16) {
        let found = self
            .conn
            .get_screen_saver()
            .expect("asks")
            .reply()
            .expect("answers");
        (found.timeout, found.interval)
    }

    fn atoms(&self, names: &[&str]) -> Vec<u32> {
        names
            .iter()
            .map(|name| {
                self.conn
                    .intern_atom(false, name.as_bytes())
                    .expect("asks")
                    .reply()
                    .expect("answers")
                    .atom
            })
            .collect()
    }

    fn owner(&self, selection: u32) -> u32 {
        self.conn
            .get_selection_owner(selection)
            .expect("asks")
            .reply()
            .expect("answers")
            .owner
    }

    fn paste(&self, selection: u32, target: u32) -> Option<u32> {
        let window = self.open_window("paster");
        self.conn
            .convert_selection(
                window,
                selection,
                target,
                AtomEnum::PRIMARY,
                x11rb::CURRENT_TIME,
            )
            .expect("asks");
        self.conn.flush().expect("flushes");
        loop {
            if let Event::SelectionNotify(event) =
                self.conn.wait_for_event().expect("the display lives")
            {
                return (event.property != x11rb::NONE).then_some(event.property);
            }
        }
    }
}

/// The child that plays the kiosk.
struct Kiosk {
    child: Child,
    lines: mpsc::Receiver<String>,
    seen: Vec<String>,
}

impl Kiosk {
    fn expect(&mut self, wanted: &str, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => {
                    let found = line.starts_with(wanted);
                    self.seen.push(line);
                    if found {
                        return;
                    }
                }
                Err(error) => panic!(
                    "{error}: no {wanted:?} within {within:?}, but {:?}",
                    self.seen
                ),
            }
        }
    }

    fn drain(&mut self, wanted: &str) -> usize {
        self.seen.extend(self.lines.try_iter());
        self.seen
            .iter()
            .filter(|line| line.starts_with(wanted))
            .count()
    }

    fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("asks").is_none()
    }

    fn kill(&mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }
}

impl Drop for Kiosk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn read_lines(stdout: ChildStdout) -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::sync_channel(1024);
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if let Some(told) = line.strip_prefix('@')
                && sender.send(told.to_owned()).is_err()
            {
                return;
            }
        }
    });
    receiver
}

const SEEN_MAX: Duration = Duration::from_secs(1);
const START_MAX: Duration = Duration::from_secs(10);
