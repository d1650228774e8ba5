//! Who may reach whom: crates by cargo's own dependency tree, modules by their sources.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::collections::BTreeSet;

use qorgan_tests::modules::{Cycle, cycles};
use qorgan_tests::tree::{SourceFile, cargo, files, output, top};

const RUNTIMES: &[&str] = &["tokio", "async-std", "smol", "async-executor"];
const NETWORKS: &[&str] = &[
    "axum",
    "hyper",
    "reqwest",
    "rustls",
    "socket2",
    "tokio-tungstenite",
    "tungstenite",
];
const SCREENS: &[&str] = &["eframe", "egui", "egui_glow", "glow", "winit"];
const DEVICES: &[&str] = &["cpal", "nokhwa", "x11rb", "xcap"];
const CODECS: &[&str] = &["openh264", "openh264-sys2", "opus", "opusic-sys"];
const STORES: &[&str] = &["libsqlite3-sys", "object_store", "sqlx"];
const IMPURE: &[&[&str]] = &[RUNTIMES, NETWORKS, SCREENS, DEVICES, CODECS, STORES];
const PROGRAMS: &[&str] = &["qorgan-agent", "qorgan-client", "qorgan-server"];
const PURE: &[&str] = &[
    "qorgan-agent-core",
    "qorgan-client-core",
    "qorgan-detect",
    "qorgan-documents",
    "qorgan-protocol",
    "qorgan-server-core",
];

/// The crates whose modules still go in circles; each is to be cut by floors.
const CYCLIC: &[&str] = &["server"];

#[test]
fn the_protocol_reaches_no_runtime_no_network_no_screen_and_no_device() {
    let reached = reached_by("qorgan-protocol");

    assert_reaches_none("qorgan-protocol", &reached, IMPURE);
    for source_of_surprise in ["getrandom", "rand", "ring", "jiff", "chrono"] {
        assert!(
            !reached.contains(source_of_surprise),
            "the protocol reaches {source_of_surprise}"
        );
    }
}

#[test]
fn pure_crates_reach_no_runtime_no_network_no_screen_no_device_and_no_store() {
    for pure in PURE {
        assert_reaches_none(pure, &reached_by(pure), IMPURE);
    }
}

#[test]
fn the_client_reaches_neither_capture_nor_codecs() {
    let reached = reached_by("qorgan-client");

    assert_reaches_none(
        "qorgan-client",
        &reached,
        &[CODECS, &["qorgan-capture", "qorgan-encode"]],
    );
    assert_reaches_none("qorgan-client", &reached, &[&["cpal", "nokhwa", "xcap"]]);
}

#[test]
fn the_agent_and_the_server_never_reach_a_screen_library() {
    for program in ["qorgan-agent", "qorgan-server"] {
        assert_reaches_none(program, &reached_by(program), &[SCREENS]);
    }
}

#[test]
fn the_server_never_reaches_a_device() {
    let reached = reached_by("qorgan-server");

    assert_reaches_none("qorgan-server", &reached, &[DEVICES, &["qorgan-capture"]]);
}

#[test]
fn the_store_alone_names_the_databases_library() {
    let folders = crate_folders();
    let names = |folder: &&String| {
        let named = dependencies(&manifest(&format!("{folder}/Cargo.toml")));
        named.iter().any(|(_, name)| name == "sqlx")
    };

    let found: Vec<_> = folders.iter().filter(names).collect();
    assert_eq!(found, ["server/store"]);
}

#[test]
fn programs_never_import_one_another() {
    for program in PROGRAMS {
        let others: Vec<_> = PROGRAMS
            .iter()
            .copied()
            .filter(|other| other != program)
            .collect();
        assert_reaches_none(program, &reached_by(program), &[&others]);
    }
}

#[test]
fn no_product_crate_reaches_the_tests_or_the_installer() {
    for program in PROGRAMS {
        let reached = reached_by(program);
        assert_reaches_none(program, &reached, &[&["qorgan-tests", "qorgan-installer"]]);
    }
}

#[test]
fn the_installer_has_no_dependency_so_that_it_builds_first() {
    assert_eq!(reached_by("qorgan-installer"), BTreeSet::new());
}

#[test]
fn no_modules_of_a_crate_reach_one_another_in_a_circle() {
    let found: Vec<_> = crate_folders()
        .iter()
        .filter(|folder| !CYCLIC.contains(&folder.as_str()))
        .flat_map(|folder| cycles_of(folder))
        .collect();

    assert!(
        found.is_empty(),
        "move what both name into a module below the two: {found:#?}"
    );
}

#[test]
fn a_crate_without_circles_is_no_longer_excused() {
    for folder in CYCLIC {
        assert!(
            !cycles_of(folder).is_empty(),
            "{folder} goes in no circle any more: take it out of CYCLIC"
        );
    }
}

#[test]
fn every_dependency_is_named_by_the_sources_that_it_is_for() {
    let sources = files(&["rs"]).expect("git lists the tree");
    let folders = crate_folders();
    let unnamed: Vec<_> = folders
        .iter()
        .flat_map(|folder| {
            let own = |file: &&SourceFile| innermost(&folders, &file.path) == Some(folder);
            unnamed_dependencies(folder, &sources.iter().filter(own).collect::<Vec<_>>())
        })
        .collect();

    assert!(
        unnamed.is_empty(),
        "take them out, or put what tests and examples alone use under [dev-dependencies]: \
         {unnamed:#?}"
    );
}

#[test]
fn every_line_of_the_workspace_table_is_inherited() {
    let inherited: BTreeSet<_> = crate_folders()
        .iter()
        .flat_map(|folder| dependencies(&manifest(&format!("{folder}/Cargo.toml"))))
        .map(|(_, name)| name)
        .collect();

    let left: Vec<_> = dependencies(&manifest("Cargo.toml"))
        .into_iter()
        .map(|(_, name)| name)
        .filter(|name| !inherited.contains(name))
        .collect();

    assert!(left.is_empty(), "no crate inherits {left:?}");
}

#[test]
fn programs_and_tests_are_built_of_the_same_dependencies() {
    let programs = features("normal,build");
    let tests = features("normal,build,dev");

    let twice: Vec<_> = programs.difference(&tests).collect();
    assert!(
        twice.is_empty(),
        "a test library turns features on that programs lack, so all that needs these is compiled \
         twice; have a crate name the features for both: {twice:#?}"
    );
}

/// Returns each crate that is compiled by way of these edges, with its features.
fn features(edges: &str) -> BTreeSet<String> {
    let words = ["tree", "--locked", "--workspace", "--edges", edges];
    let form = ["--prefix", "none", "--format", "{p} {f}"];
    let words: Vec<_> = words.into_iter().chain(form).collect();
    let tree = output(&cargo(), &words).expect("cargo prints the tree");
    let lines = tree.lines();
    lines
        .map(|line| line.trim_end_matches(" (*)").to_owned())
        .collect()
}

/// Returns what a crate's manifest asks for and no source that may use it names. A dependency that
/// only turns on a feature of another belongs to that one's features.
fn unnamed_dependencies(folder: &str, sources: &[&SourceFile]) -> Vec<String> {
    let names = |file: &SourceFile, name: &str| {
        let mut words = file
            .text
            .split(|c: char| !(c.is_alphanumeric() || c == '_'));
        words.any(|word| word == name)
    };
    let is_shipped = |file: &SourceFile| {
        file.path.starts_with(&format!("{folder}/src/"))
            || file.path == format!("{folder}/build.rs")
    };
    let mut unnamed = Vec::new();
    for (heading, name) in dependencies(&manifest(&format!("{folder}/Cargo.toml"))) {
        let word = name.replace('-', "_");
        let is_dev = heading == "[dev-dependencies]";
        let mut may = sources.iter().filter(|file| is_dev || is_shipped(file));
        if !may.any(|file| names(file, &word)) {
            unnamed.push(format!("{folder}: {heading} {name}"));
        }
    }
    unnamed
}

/// Returns the crate that a file is of: the innermost folder around it.
fn innermost<'f>(folders: &'f [String], path: &str) -> Option<&'f str> {
    let around = folders
        .iter()
        .filter(|folder| path.starts_with(&format!("{folder}/")));
    around.max_by_key(|folder| folder.len()).map(String::as_str)
}

/// Returns every dependency of a manifest, with the heading that it stands under.
fn dependencies(manifest: &str) -> Vec<(String, String)> {
    let mut heading = "";
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            heading = line.trim();
        } else if heading.ends_with("dependencies]") && line.contains('=') {
            let name: String = line
                .chars()
                .take_while(|c| c.is_alphanumeric() || "-_".contains(*c))
                .collect();
            if !name.is_empty() {
                found.push((heading.to_owned(), name));
            }
        }
    }
    found
}

fn manifest(path: &str) -> String {
    std::fs::read_to_string(top().join(path)).expect("the manifest is there")
}

fn cycles_of(folder: &str) -> Vec<Cycle> {
    let sources = files(&["rs"]).expect("git lists the tree");
    cycles(&sources, folder).expect("the crate has a root")
}

/// Returns the folder of every crate.
fn crate_folders() -> Vec<String> {
    let manifests = files(&["toml"]).expect("git lists the tree");
    let folders = manifests
        .iter()
        .filter_map(|file| file.path.strip_suffix("/Cargo.toml"));
    folders.map(str::to_owned).collect()
}

/// Returns every crate that `name` needs on any system, itself left out.
fn reached_by(name: &str) -> BTreeSet<String> {
    let tree = output(
        &cargo(),
        &[
            "tree",
            "--locked",
            "--package",
            name,
            "--edges",
            "normal",
            "--target",
            "all",
        ]
        .into_iter()
        .chain(["--all-features", "--prefix", "none", "--format", "{p}"])
        .collect::<Vec<_>>(),
    )
    .expect("cargo prints the tree");
    tree.lines()
        .filter_map(|line| line.split_whitespace().next())
        .filter(|found| *found != name)
        .map(str::to_owned)
        .collect()
}

fn assert_reaches_none(name: &str, reached: &BTreeSet<String>, forbidden: &[&[&str]]) {
    let broken: Vec<_> = forbidden
        .iter()
        .copied()
        .flatten()
        .filter(|forbidden| reached.contains(**forbidden))
        .collect();
    assert!(
        broken.is_empty(),
        "{name} reaches {broken:?}; `cargo tree --package {name} --invert CRATE` says by which way"
    );
}
