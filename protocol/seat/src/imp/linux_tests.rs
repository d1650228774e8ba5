use std::process::Command;

use qorgan_tests::display::Display as Server;
use x11rb::protocol::randr::MonitorInfo;

use super::*;
use crate::display::NestedSign;

#[test]
fn a_monitor_that_a_program_defines_hides_nothing_of_a_display() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::without_manager(folder.path(), 1_280, 720).expect("Xvfb starts");
    let (x, screen) = x11rb::connect(Some(server.name())).expect("a server");
    let root = x.setup().roots[screen].root;
    let before = layout(&x, root).expect("RandR answers");
    assert_eq!(before.defined_by_programs(), [""; 0]);

    halve(&x, root);

    let after = layout(&x, root).expect("RandR answers");
    let told = after.monitors.iter().map(|monitor| monitor.area.width);
    assert_eq!(told.collect::<Vec<_>>(), [640], "what RRGetMonitors tells");
    assert_eq!(after.recorded(), before.recorded());
    assert_eq!(after.recorded()[0].area.width, 1_280);
    assert_eq!(after.defined_by_programs(), ["half 640x720+0+0"]);
}

#[test]
fn xvfb_and_xorg_without_a_seat_are_told_by_their_signs() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::without_manager(folder.path(), 640, 480).expect("Xvfb starts");
    let display = display(Some(server.name())).expect("it can be looked at");
    let signs = &display.signs;
    assert!(
        signs.contains(&NestedSign::Process("Xvfb".to_owned())),
        "{signs:?}"
    );
    assert!(
        signs.contains(&NestedSign::Output("screen".to_owned())),
        "{signs:?}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::with_sockets(folder.path()).expect("Xorg's dummy driver starts");
    let display = super::display(Some(server.name())).expect("it can be looked at");
    let signs = &display.signs;
    assert!(
        signs.contains(&NestedSign::Output("DUMMY0".to_owned())),
        "{signs:?}"
    );
    assert!(
        !signs
            .iter()
            .any(|sign| matches!(sign, NestedSign::Replaceable(_))),
        "{signs:?}"
    );
}

#[test]
fn xephyr_is_told_by_the_program_that_serves_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let outer = Server::without_manager(folder.path(), 800, 600).expect("Xvfb starts");
    let log = folder.path().join("number");
    let mut child = Command::new("sh")
        .args([
            "-c",
            "exec Xephyr -displayfd 1 -nolisten tcp -screen 640x480 > \"$0\"",
        ])
        .arg(&log)
        .env("DISPLAY", outer.name())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("Xephyr is a test prerequisite");
    let number = qorgan_tests::wait::until("Xephyr", std::time::Duration::from_secs(20), || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        Ok(text.trim().parse::<u16>().ok())
    });
    let name = format!(":{}", number.expect("it tells its number"));
    let display = display(Some(&name)).expect("it can be looked at");
    child.kill().expect("it is ours");
    child.wait().expect("it ends");
    let told = NestedSign::Process("Xephyr".to_owned());
    assert!(display.signs.contains(&told), "{:?}", display.signs);
}

#[test]
fn the_terminal_of_a_server_is_read_whatever_its_name() {
    let line = "812 (Xorg) S) S 800 812 812 1031 812 4194560 1 2 3";
    assert_eq!(terminal_of(line), Some(7));
    assert_eq!(terminal_of("812 (Xvfb) S 800 812 812 0 -1"), None);
    assert_eq!(
        terminal_of("812 (Xvfb) S 800 812 812 34816 -1"),
        None,
        "a pseudo terminal"
    );
    assert_eq!(terminal_of(""), None);
}

#[test]
fn connectors_with_a_display_are_listed_and_writeback_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(plugged(folder.path()), None);
    for (name, status) in [
        ("card0-eDP-1", "connected\n"),
        ("card0-HDMI-A-1", "disconnected\n"),
        ("card0-Writeback-1", "connected\n"),
    ] {
        let connector = folder.path().join(name);
        fs::create_dir(&connector).expect("a folder");
        fs::write(connector.join("status"), status).expect("a file");
    }
    fs::create_dir(folder.path().join("card0")).expect("a folder");
    assert_eq!(plugged(folder.path()), Some(vec!["card0-eDP-1".to_owned()]));
}

#[test]
fn terminal_and_session_are_read_from_the_systems_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (active, seat) = (folder.path().join("active"), folder.path().join("seat0"));
    assert_eq!(terminal_facts(&active, &seat), TerminalFacts::default());
    fs::write(&active, "tty2\n").expect("a file");
    fs::write(&seat, "# private\nIS_SEAT0=1\nACTIVE=5\nACTIVE_UID=1000\n").expect("a file");
    let facts = terminal_facts(&active, &seat);
    assert_eq!(facts.shown.as_deref(), Some("tty2"));
    assert_eq!(facts.session.as_deref(), Some("5"));
    fs::write(&seat, "IS_SEAT0=1\n").expect("a file");
    let facts = terminal_facts(&active, &seat);
    assert_eq!(
        facts.session.as_deref(),
        Some(""),
        "a text console without a session"
    );
}

#[test]
fn a_guarded_process_is_closed_to_others_and_still_reads_its_own_maps() {
    guard_process();

    let state = rustix::process::dumpable_behavior().expect("the kernel answers");
    assert_eq!(state, DumpableBehavior::NotDumpable);
    let found = OwnWatch::default().look([]);
    assert!(
        !found
            .iter()
            .any(|found| matches!(found, Intrusion::Tracer(_))),
        "{found:?}"
    );
    let maps = fs::read_to_string("/proc/self/maps").expect("a process reads its own");
    assert!(maps.contains("r-xp"));
}

/// What `xrandr --setmonitor half 640/170x720/190+0+0 none` does.
fn halve(x: &RustConnection, root: Window) {
    let name = x
        .intern_atom(false, b"half")
        .expect("asked")
        .reply()
        .expect("told")
        .atom;
    let outputs = x.randr_get_screen_resources_current(root).expect("asked");
    let outputs = outputs.reply().expect("told").outputs;
    let monitor = MonitorInfo {
        name,
        primary: true,
        automatic: false,
        x: 0,
        y: 0,
        width: 640,
        height: 720,
        width_in_millimeters: 170,
        height_in_millimeters: 190,
        outputs,
    };
    x.randr_set_monitor(root, monitor)
        .expect("asked")
        .check()
        .expect("defined");
}
