use super::*;

#[test]
fn the_display_server_of_a_seat_has_no_sign() {
    assert_eq!(nested_signs(&seat()), []);
    let users = ServerFacts {
        peer: Peer::Local(ServerProcess {
            root: false,
            program: Some(Program {
                name: "Xorg".to_owned(),
                roots: true,
            }),
            ..xorg()
        }),
        ..seat()
    };
    assert_eq!(nested_signs(&users), []);
}

#[test]
fn nested_and_remote_servers_are_told_each_by_a_sign_of_its_own() {
    let told = |name: &str, facts: &ServerFacts| {
        assert_eq!(nested_signs(facts).len(), 1, "{name}");
    };
    for name in ["XWAYLAND", "VNC-EXTENSION"] {
        let extensions = vec!["RANDR".to_owned(), name.to_owned()];
        told(
            name,
            &ServerFacts {
                extensions,
                ..seat()
            },
        );
    }
    for name in ["screen", "XWAYLAND0", "NX1", "DUMMY0", "rdp0"] {
        let outputs = vec![Output {
            name: name.to_owned(),
            connected: true,
        }];
        told(name, &ServerFacts { outputs, ..seat() });
    }
    for name in ["RealVNC Ltd", "The X2Go Project"] {
        let vendor = name.to_owned();
        told(name, &ServerFacts { vendor, ..seat() });
    }
    let xephyr = Peer::Local(ServerProcess {
        name: "Xephyr".to_owned(),
        ..xorg()
    });
    for peer in [xephyr, Peer::Remote, Peer::Unknown] {
        let name = format!("{peer:?}");
        told(&name, &ServerFacts { peer, ..seat() });
    }
}

#[test]
fn a_server_that_only_calls_itself_xorg_is_told() {
    let with = |process| ServerFacts {
        peer: Peer::Local(process),
        ..seat()
    };
    let renamed = ServerProcess {
        root: false,
        program: Some(Program {
            name: "Xorg".to_owned(),
            roots: false,
        }),
        ..xorg()
    };
    let unreadable = ServerProcess {
        root: false,
        program: None,
        ..xorg()
    };
    for process in [renamed, unreadable] {
        let signs = nested_signs(&with(process));
        assert!(
            matches!(signs.as_slice(), [NestedSign::Replaceable(_)]),
            "{signs:?}"
        );
    }
    let without_terminal = ServerProcess {
        terminal: None,
        ..xorg()
    };
    assert_eq!(
        nested_signs(&with(without_terminal)),
        [NestedSign::NoTerminal]
    );
}

#[test]
fn displays_that_the_kernel_sees_and_the_server_hides_are_told() {
    let with = |plugged: &[&str]| ServerFacts {
        plugged: Some(plugged.iter().map(|&name| name.to_owned()).collect()),
        ..seat()
    };
    assert_eq!(nested_signs(&with(&["card0-eDP-1"])), []);
    let two = nested_signs(&with(&["card0-eDP-1", "card0-HDMI-A-1"]));
    assert!(matches!(two.as_slice(), [NestedSign::Unseen(names)] if names.len() == 2));
    assert_eq!(nested_signs(&with(&[])), [NestedSign::Imaginary]);
}

#[test]
fn a_monitor_that_a_program_defined_changes_neither_what_is_recorded_nor_the_count() {
    let mut layout = one();
    layout.monitors = vec![Monitor {
        name: "half".to_owned(),
        automatic: false,
        area: Area {
            width: 640,
            ..layout.root
        },
    }];
    let recorded = layout.recorded();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].area, layout.root);
    assert_eq!(layout.shown(), ["eDP-1"]);
    assert_eq!(layout.defined_by_programs(), ["half 640x720+0+0"]);
}

#[test]
fn a_monitor_that_lies_about_who_made_it_is_told_all_the_same() {
    let mut layout = one();
    let area = layout.root;
    let monitor = |name: &str, area| Monitor {
        name: name.to_owned(),
        automatic: true,
        area,
    };
    layout.monitors = vec![monitor("eDP-1", area)];
    assert_eq!(layout.defined_by_programs(), [""; 0]);
    layout.monitors = vec![monitor("half", area)];
    assert_eq!(layout.defined_by_programs().len(), 1);
    layout.monitors = vec![monitor("eDP-1", Area { width: 640, ..area })];
    assert_eq!(layout.defined_by_programs().len(), 1);
}

#[test]
fn two_displays_that_show_the_same_are_two() {
    let mut layout = one();
    layout.lit[0].outputs.push("HDMI-1".to_owned());
    assert_eq!(layout.shown(), ["HDMI-1", "eDP-1"]);
    let names = |layout: &Layout| -> Vec<String> {
        let recorded = layout.recorded();
        recorded.into_iter().map(|display| display.name).collect()
    };
    assert_eq!(
        names(&layout),
        ["HDMI-1", "eDP-1"],
        "so that the gate counts both"
    );
    let mut cloned = one();
    cloned.lit.push(Lit {
        outputs: vec!["HDMI-1".to_owned()],
        ..cloned.lit[0].clone()
    });
    assert_eq!(names(&cloned), ["HDMI-1", "eDP-1"]);
}

#[test]
fn a_desktop_that_is_larger_than_its_display_is_recorded_whole() {
    let mut layout = one();
    layout.root.width = 3_000;
    assert_eq!(layout.recorded()[0].area, layout.root);
    layout.lit.clear();
    assert_eq!(layout.recorded()[0].area, layout.root);
    assert_eq!(layout.shown(), ["desktop"]);
}

#[test]
fn displays_beside_one_another_are_recorded_each_unless_a_picture_moves() {
    let mut layout = one();
    layout.root.width = 1_280 + 800;
    layout.lit.push(Lit {
        outputs: vec!["HDMI-1".to_owned()],
        area: Area {
            x: 1_280,
            y: 0,
            width: 800,
            height: 600,
        },
        pans: false,
    });
    let widths = |layout: &Layout| -> Vec<u32> {
        let recorded = layout.recorded();
        recorded.iter().map(|display| display.area.width).collect()
    };
    assert_eq!(widths(&layout), [1_280, 800]);
    layout.lit[1].pans = true;
    assert_eq!(widths(&layout), [2_080, 2_080]);
}

#[test]
fn what_areas_have_in_common_is_found() {
    let area = |x, width| Area {
        x,
        y: 0,
        width,
        height: 10,
    };
    assert_eq!(area(0, 20).common(area(15, 20)), Some(area(15, 5)));
    assert_eq!(area(0, 20).common(area(20, 20)), None);
    assert_eq!(area(0, 20).pixels(), 200);
}

fn one() -> Layout {
    let root = Area {
        x: 0,
        y: 0,
        width: 1_280,
        height: 720,
    };
    Layout {
        root,
        lit: vec![Lit {
            outputs: vec!["eDP-1".to_owned()],
            area: root,
            pans: false,
        }],
        outputs: vec![Output {
            name: "eDP-1".to_owned(),
            connected: true,
        }],
        monitors: Vec::new(),
    }
}

fn seat() -> ServerFacts {
    ServerFacts {
        vendor: "The X.Org Foundation".to_owned(),
        extensions: vec!["RANDR".to_owned(), "MIT-SHM".to_owned()],
        outputs: vec![Output {
            name: "eDP-1".to_owned(),
            connected: true,
        }],
        peer: Peer::Local(xorg()),
        plugged: None,
    }
}

fn xorg() -> ServerProcess {
    ServerProcess {
        root: true,
        name: "Xorg".to_owned(),
        program: None,
        terminal: Some(7),
    }
}
