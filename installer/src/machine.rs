//! Reads the facts about this machine that a plan needs; changes nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{Line, on_path};
use crate::packages::{CARGO_DENY_VERSION, HTMX_SHA256, PACKAGES, PORTRAIT_SHA256};
use crate::places::Places;
use crate::plan::{Machine, Made};

/// Reads the facts.
pub(crate) fn read(places: &Places) -> Machine {
    Machine {
        is_debian: on_path("dpkg-query").is_some() && on_path("apt-get").is_some(),
        is_root: Line::new(["id", "-u"])
            .output()
            .is_some_and(|id| id.trim() == "0"),
        packages: installed_packages(),
        commands: PACKAGES
            .iter()
            .filter_map(|package| package.unless)
            .filter(|command| on_path(command).is_some())
            .map(str::to_owned)
            .collect(),
        rust_targets: lines(&Line::new(["rustup", "target", "list", "--installed"])),
        made: [
            Made::CargoDeny,
            Made::Python,
            Made::Portrait,
            Made::Node,
            Made::Htmx,
        ]
        .into_iter()
        .filter(|&made| is_made(places, made))
        .collect(),
    }
}

/// Returns the file whose text tells from which pins something was made.
pub(crate) fn mark(places: &Places, made: Made) -> PathBuf {
    match made {
        Made::CargoDeny => places.tools().join("made-from.txt"),
        Made::Python => places.python().join("made-from.txt"),
        Made::Portrait => places.media().join("made-from.txt"),
        Made::Node => places.node().join("made-from.txt"),
        Made::Htmx => places.assets().join("made-from.txt"),
    }
}

/// Returns the pins that something is made from.
pub(crate) fn pins(places: &Places, made: Made) -> String {
    let file = |path: PathBuf| fs::read_to_string(path).unwrap_or_default();
    match made {
        Made::CargoDeny => CARGO_DENY_VERSION.to_owned(),
        Made::Python => file(python_requirements(&places.tree)),
        Made::Node => file(browser_folder(&places.tree).join("package-lock.json")),
        Made::Portrait => PORTRAIT_SHA256.to_owned(),
        Made::Htmx => HTMX_SHA256.to_owned(),
    }
}

/// Returns the file that pins the Python packages.
pub(crate) fn python_requirements(tree: &Path) -> PathBuf {
    tree.join("installer").join("python-requirements.txt")
}

/// Returns the folder that pins the npm packages.
pub(crate) fn browser_folder(tree: &Path) -> PathBuf {
    tree.join("installer").join("browser")
}

fn is_made(places: &Places, made: Made) -> bool {
    fs::read_to_string(mark(places, made)).is_ok_and(|text| text == pins(places, made))
}

fn installed_packages() -> BTreeSet<String> {
    let format = "-f=${Package} ${db:Status-Status}\n";
    lines(&Line::new(["dpkg-query", "-W", format]))
        .into_iter()
        .filter_map(|line| line.strip_suffix(" installed").map(str::to_owned))
        .collect()
}

fn lines(line: &Line) -> BTreeSet<String> {
    line.output()
        .unwrap_or_default()
        .lines()
        .map(|text| text.trim().to_owned())
        .collect()
}
