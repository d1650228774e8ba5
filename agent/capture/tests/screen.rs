//! The real screen code on a real X server.

#![cfg(target_os = "linux")]
#![expect(
    clippy::tests_outside_test_module,
    clippy::panic,
    reason = "the whole file is a test"
)]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use qorgan_capture::{CaptureEvent, CaptureHandle, I420Frame, LossCause, SourceKind, screen};
use qorgan_tests::display::Display;
use x11rb::connection::Connection as _;
use x11rb::protocol::randr::{ConnectionExt as _, MonitorInfo};
use x11rb::protocol::xproto::{
    ChangeWindowAttributesAux, ConnectionExt as _, CreateGCAux, Rectangle,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

#[test]
fn a_display_is_streamed_by_shared_memory_and_changes_are_seen() {
    let server = Server::start("1280x720x24");
    let displays = screen::displays().expect("the server has a display");
    assert_eq!(displays.len(), 1);
    assert_eq!((displays[0].width, displays[0].height), (1_280, 720));

    let handle = screen::start(displays[0].clone(), 10).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = handle.recv_timeout(WAIT) else {
        panic!("the display opens first");
    };
    assert_eq!(
        (source.kind, source.driver.as_str()),
        (SourceKind::Device, "x11-shm")
    );
    let first = frame(&handle);
    assert!(!first.unchanged, "the first picture is new");
    let calm = (0..5)
        .map(|_| frame(&handle))
        .filter(|frame| frame.unchanged)
        .count();
    assert_eq!(calm, 5, "nothing was drawn");

    server.paint(0x0020_c040);
    let green = changed(&handle);
    let [y, u, v] = green.yuv();
    // In the middle stands the pointer.
    let beside = (y[1_280 * 200 + 200], u[640 * 100 + 100], v[640 * 100 + 100]);
    assert_eq!(beside, expected_green(), "the colour of the whole display");
}

#[test]
fn a_display_that_is_plugged_in_later_is_listed_and_streamed_on_its_own() {
    let _turn = TURN
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    let folder = tempfile::tempdir().expect("a folder");
    let server = Display::with_sockets(folder.path()).expect("Xorg's dummy driver starts");
    set("DISPLAY", server.name());
    set("WAYLAND_DISPLAY", "");
    let one = screen::displays().expect("one display");
    assert_eq!(one.len(), 1);
    let first = screen::start(one[0].clone(), 10).expect("a thread starts");
    assert!(matches!(
        first.recv_timeout(WAIT),
        Some(CaptureEvent::Opened(_))
    ));

    server.plug().expect("a second monitor");

    let two = screen::displays().expect("two displays");
    let sizes: Vec<_> = two.iter().map(|seen| (seen.x, seen.width)).collect();
    assert_eq!(sizes, [(0, 1_024), (1_024, 800)]);
    let second = screen::start(two[1].clone(), 10).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = second.recv_timeout(WAIT) else {
        panic!("the second display opens");
    };
    assert_eq!((source.width, source.height), (800, 600));
    assert_eq!(frame(&second).width, 800);
    let goes_on = until(&first, |event| matches!(event, CaptureEvent::Sample(_)));
    assert!(goes_on, "the first one is still streamed");

    server.unplug().expect("one monitor");
    let mut cause = None;
    until(&second, |event| match event {
        CaptureEvent::Lost(lost) => {
            cause = Some(lost);
            true
        }
        CaptureEvent::Opened(_) | CaptureEvent::Sample(_) => false,
    });
    assert!(cause.is_some(), "a display that is gone is lost");
}

#[test]
fn a_monitor_that_a_program_defines_takes_nothing_out_of_the_recording() {
    let server = Server::start("1280x720x24");
    server.define_monitor("half", 640);

    let displays = screen::displays().expect("the server has a display");

    assert_eq!(displays.len(), 1);
    assert_eq!((displays[0].width, displays[0].height), (1_280, 720));
    let handle = screen::start(displays[0].clone(), 10).expect("a thread starts");
    let Some(CaptureEvent::Opened(source)) = handle.recv_timeout(WAIT) else {
        panic!("the display opens");
    };
    assert_eq!(source.width, 1_280);
    assert_eq!(frame(&handle).width, 1_280);
    server.paint(0x0020_c040);
    let [y, ..] = changed(&handle).yuv().map(<[u8]>::to_vec);
    assert_eq!(
        y[1_000 + 1_280 * 360],
        expected_green().0,
        "the other half too"
    );
}

#[test]
fn the_pointer_is_in_the_recording_where_it_is_and_not_where_it_was() {
    let server = Server::start("640x480x24");
    server.paint(0x0000_0000);
    server.point_with_a_square(40, (300, 200));
    let displays = screen::displays().expect("the server has a display");
    let handle = screen::start(displays[0].clone(), 10).expect("a thread starts");
    assert!(matches!(
        handle.recv_timeout(WAIT),
        Some(CaptureEvent::Opened(_))
    ));
    let luma = |frame: &I420Frame, x: usize, y: usize| frame.yuv()[0][y * 640 + x];

    let first = frame(&handle);

    let area = first.pointer.expect("a pointer");
    assert_eq!(
        (area.left, area.top, area.width, area.height),
        (300, 200, 40, 40)
    );
    assert_eq!(luma(&first, 320, 220), 235, "white");
    assert_eq!(luma(&first, 120, 120), 16, "black");

    server.point_at((100, 100));
    let moved = changed(&handle);
    assert_eq!(luma(&moved, 120, 120), 235);
    assert_eq!(luma(&moved, 320, 220), 16, "nothing is left behind");
    let rests = (0..5)
        .map(|_| frame(&handle))
        .filter(|frame| frame.unchanged);
    assert_eq!(rests.count(), 5, "a pointer that rests changes nothing");
}

#[test]
fn a_display_whose_server_ends_is_lost_and_found_again() {
    let server = Server::start("800x600x24");
    let displays = screen::displays().expect("the server has a display");
    let handle = screen::start(displays[0].clone(), 10).expect("a thread starts");
    assert!(matches!(
        handle.recv_timeout(WAIT),
        Some(CaptureEvent::Opened(_))
    ));
    let server = server.restart("800x600x24");
    let mut lost = None;
    let found = until(&handle, |event| match event {
        CaptureEvent::Lost(cause) => {
            lost.get_or_insert(cause);
            false
        }
        CaptureEvent::Opened(_) => true,
        CaptureEvent::Sample(_) => false,
    });
    assert_eq!(lost, Some(LossCause::Unplugged));
    assert!(found, "the display opens again under its name");
    drop(server);
}

#[test]
fn wayland_is_refused_with_a_reason() {
    let _server = Server::start("640x480x24");
    set("WAYLAND_DISPLAY", "wayland-0");
    let refused = screen::displays();
    set("WAYLAND_DISPLAY", "");
    let Err(LossCause::Unsupported { reason }) = refused else {
        panic!("{refused:?}")
    };
    assert!(reason.contains("Wayland"), "{reason}");
}

/// An X server on a display that was free; its tests run one at a time, for they share `DISPLAY`.
struct Server {
    child: Child,
    display: String,
    _turn: Option<std::sync::MutexGuard<'static, ()>>,
}

impl Server {
    fn start(size: &str) -> Self {
        let turn = TURN
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let (child, display) = launch(None, size);
        set("DISPLAY", &display);
        set("WAYLAND_DISPLAY", "");
        Self {
            child,
            display,
            _turn: Some(turn),
        }
    }

    /// Ends the server and starts another one on the same display.
    fn restart(mut self, size: &str) -> Self {
        let turn = self._turn.take();
        let display = self.display.clone();
        drop(self);
        let (child, display) = launch(Some(&display), size);
        Self {
            child,
            display,
            _turn: turn,
        }
    }

    fn paint(&self, colour: u32) {
        let (connection, screen) =
            RustConnection::connect(Some(&self.display)).expect("the server answers");
        let root = connection.setup().roots[screen].root;
        let paint = ChangeWindowAttributesAux::new().background_pixel(colour);
        connection
            .change_window_attributes(root, &paint)
            .expect("the server listens");
        connection
            .clear_area(false, root, 0, 0, 0, 0)
            .expect("the server listens");
        connection.sync().expect("the server paints");
    }

    /// Defines a monitor of that width on the left, as `xrandr --setmonitor` does.
    fn define_monitor(&self, name: &str, width: u16) {
        let (connection, screen) =
            RustConnection::connect(Some(&self.display)).expect("the server answers");
        let root = connection.setup().roots[screen].root;
        connection
            .randr_query_version(1, 5)
            .expect("asked")
            .reply()
            .expect("told");
        let resources = connection
            .randr_get_screen_resources_current(root)
            .expect("asked")
            .reply()
            .expect("told");
        let name = connection
            .intern_atom(false, name.as_bytes())
            .expect("asked")
            .reply()
            .expect("told")
            .atom;
        let monitor = MonitorInfo {
            name,
            primary: true,
            automatic: false,
            x: 0,
            y: 0,
            width,
            height: 720,
            width_in_millimeters: 170,
            height_in_millimeters: 190,
            outputs: resources.outputs,
        };
        connection
            .randr_set_monitor(root, monitor)
            .expect("asked")
            .check()
            .expect("defined");
    }

    /// Gives the desktop a white square for a pointer, held at its upper left corner.
    fn point_with_a_square(&self, side: u16, to: (i16, i16)) {
        let (connection, screen) =
            RustConnection::connect(Some(&self.display)).expect("the server answers");
        let root = connection.setup().roots[screen].root;
        let ids = [(); 3].map(|()| connection.generate_id().expect("a number"));
        let [pixmap, paint, cursor] = ids;
        connection
            .create_pixmap(1, pixmap, root, side, side)
            .expect("asked");
        let ink = CreateGCAux::new().foreground(1);
        connection.create_gc(paint, pixmap, &ink).expect("asked");
        let whole = Rectangle {
            x: 0,
            y: 0,
            width: side,
            height: side,
        };
        connection
            .poly_fill_rectangle(pixmap, paint, &[whole])
            .expect("asked");
        let white = u16::MAX;
        connection
            .create_cursor(cursor, pixmap, pixmap, white, white, white, 0, 0, 0, 0, 0)
            .expect("asked");
        let shown = ChangeWindowAttributesAux::new().cursor(cursor);
        connection
            .change_window_attributes(root, &shown)
            .expect("asked");
        connection.sync().expect("the server heeds");
        self.point_at(to);
    }

    fn point_at(&self, (x, y): (i16, i16)) {
        let (connection, screen) =
            RustConnection::connect(Some(&self.display)).expect("the server answers");
        let root = connection.setup().roots[screen].root;
        connection
            .warp_pointer(x11rb::NONE, root, 0, 0, 0, 0, x, y)
            .expect("asked");
        connection.sync().expect("the server heeds");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().expect("the server is ours");
        self.child.wait().expect("the server ends");
    }
}

fn launch(display: Option<&str>, size: &str) -> (Child, String) {
    let mut command = Command::new("Xvfb");
    command.args(display).args([
        "-displayfd",
        "1",
        "-noreset",
        "-nolisten",
        "tcp",
        "-screen",
        "0",
        size,
    ]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("Xvfb is a test prerequisite");
    let mut line = String::new();
    let output = child.stdout.take().expect("the output is piped");
    BufReader::new(output)
        .read_line(&mut line)
        .expect("the server tells its number");
    (child, format!(":{}", line.trim()))
}

fn set(name: &str, value: &str) {
    #[expect(
        unsafe_code,
        reason = "a test chooses the display by the environment, as a user does"
    )]
    // SAFETY: the tests of this file take turns, and no other thread of them reads the environment
    // at this moment.
    unsafe {
        std::env::set_var(name, value);
    }
}

fn frame(handle: &CaptureHandle<I420Frame>) -> I420Frame {
    match handle.recv_timeout(WAIT) {
        Some(CaptureEvent::Sample(frame)) => frame,
        other => panic!("a picture comes: {other:?}"),
    }
}

fn changed(handle: &CaptureHandle<I420Frame>) -> I420Frame {
    (0..50)
        .map(|_| frame(handle))
        .find(|frame| !frame.unchanged)
        .expect("the change is seen")
}

fn until(
    handle: &CaptureHandle<I420Frame>,
    mut done: impl FnMut(CaptureEvent<I420Frame>) -> bool,
) -> bool {
    let end = Instant::now() + Duration::from_secs(20);
    while Instant::now() < end {
        if handle
            .recv_timeout(Duration::from_millis(500))
            .is_some_and(&mut done)
        {
            return true;
        }
    }
    false
}

/// `#20c040` by BT.709 in limited range.
const fn expected_green() -> (u8, u8, u8) {
    (144, 88, 63)
}

const WAIT: Duration = Duration::from_secs(10);
static TURN: Mutex<()> = Mutex::new(());
