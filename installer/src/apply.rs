//! Carries a plan out, one step after the other.

use std::fs;
use std::path::Path;
use std::time::Instant;

use crate::command::{Line, last_lines, read_log};
use crate::error::SetUpError;
use crate::machine::{browser_folder, mark, pins, python_requirements};
use crate::packages::{
    CARGO_DENY_VERSION, HTMX_SHA256, PORTRAIT_FILE, PORTRAIT_PACKAGE, PORTRAIT_SHA256,
};
use crate::places::Places;
use crate::plan::{Machine, Made, Step, install_line};
use crate::screen::{agrees, complain, has_person, say, spoken};

/// Carries `steps` out.
///
/// # Errors
/// Stops at the first step that fails, and where only root may go on.
pub(crate) fn apply(places: &Places, machine: &Machine, steps: &[Step]) -> Result<(), SetUpError> {
    for (index, step) in steps.iter().enumerate() {
        let start = Instant::now();
        say(&format!("set-up {}/{}: {step}", index + 1, steps.len()));
        match step {
            Step::InstallPackages(names) => install_packages(places, machine, names)?,
            Step::NamePackages(_) => {}
            Step::AddRustTargets(names) => {
                quietly(
                    places,
                    "rust-targets",
                    &Line::new(["rustup", "target", "add"]).with(names),
                )?;
            }
            Step::Make(made) => make(places, *made)?,
        }
        say(&format!("      done in {}", spoken(start.elapsed())));
    }
    Ok(())
}

/// Runs a command into a log of its own and shows the log's end if it fails.
///
/// # Errors
/// Fails where the command cannot be started or reports failure.
pub(crate) fn quietly(places: &Places, name: &str, line: &Line) -> Result<(), SetUpError> {
    let log = places.logs().join(format!("{name}.log"));
    if line.run_into(&log)?.success() {
        return Ok(());
    }
    complain(&last_lines(&read_log(&log), SHOWN_LINES));
    Err(SetUpError::Failed {
        line: line.text(),
        log: Some(log),
    })
}

fn install_packages(
    places: &Places,
    machine: &Machine,
    names: &[&'static str],
) -> Result<(), SetUpError> {
    let install = ["apt-get", "install", "-y", "--no-install-recommends"];
    if machine.is_root {
        let set = |line: Line| line.set("DEBIAN_FRONTEND", "noninteractive");
        quietly(places, "apt-update", &set(Line::new(["apt-get", "update"])))?;
        return quietly(places, "apt-install", &set(Line::new(install).with(names)));
    }
    if !has_person() {
        return Err(SetUpError::NeedsRoot {
            line: install_line(names),
        });
    }
    if !agrees(&format!("Run this now?\n  {}\n", install_line(names))) {
        return Err(SetUpError::Declined);
    }
    Line::new(["sudo", "apt-get", "update"]).run()?;
    Line::new(["sudo"]).with(install).with(names).run()
}

fn make(places: &Places, made: Made) -> Result<(), SetUpError> {
    match made {
        Made::CargoDeny => make_cargo_deny(places)?,
        Made::Python => make_python(places)?,
        Made::Portrait => make_portrait(places)?,
        Made::Node => make_node(places)?,
        Made::Htmx => make_htmx(places)?,
    }
    write(&mark(places, made), &pins(places, made))
}

fn make_cargo_deny(places: &Places) -> Result<(), SetUpError> {
    let line = Line::new([
        "cargo",
        "install",
        "cargo-deny",
        "--version",
        CARGO_DENY_VERSION,
    ])
    .with([
        "--locked",
        "--debug",
        "--no-default-features",
        "--force",
        "--root",
    ])
    .with([places.tools()])
    .set("CARGO_TARGET_DIR", places.tools().join("build"));
    quietly(places, "cargo-deny", &line)?;
    let build = places.tools().join("build");
    fs::remove_dir_all(&build).map_err(|source| SetUpError::File {
        path: build,
        source,
    })
}

fn make_python(places: &Places) -> Result<(), SetUpError> {
    let line = Line::new(["python3", "-m", "venv", "--clear"]).with([places.python()]);
    quietly(places, "python-venv", &line)?;
    let line = Line::new([places.python().join("bin").join("python")])
        .with([
            "-m",
            "pip",
            "install",
            "--disable-pip-version-check",
            "--requirement",
        ])
        .with([python_requirements(&places.tree)]);
    quietly(places, "python-packages", &line)
}

fn make_node(places: &Places) -> Result<(), SetUpError> {
    let from = browser_folder(&places.tree);
    for (name, target) in [
        ("package.json", "package.json"),
        ("package-lock.json", "package-lock.json"),
        ("npmrc", ".npmrc"),
    ] {
        copy(&from.join(name), &places.node().join(target))?;
    }
    let line = Line::new(["npm", "ci", "--ignore-scripts", "--prefix"])
        .with([places.node()])
        .set("PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD", "1");
    quietly(places, "npm", &line)
}

fn make_htmx(places: &Places) -> Result<(), SetUpError> {
    let from = places
        .node()
        .join("node_modules")
        .join("htmx.org")
        .join("dist")
        .join("htmx.min.js");
    check(&from, HTMX_SHA256)?;
    copy(&from, &places.assets().join("htmx.min.js"))
}

fn make_portrait(places: &Places) -> Result<(), SetUpError> {
    let folder = places.media().join("package");
    let python = places.python().join("bin").join("python");
    let download = Line::new([&python])
        .with("-m pip download --no-deps --only-binary=:all:".split(' '))
        .with([PORTRAIT_PACKAGE, "--dest"])
        .with([&folder]);
    quietly(places, "portrait-package", &download)?;
    let unpack = "import glob, sys, zipfile\n\
        zipfile.ZipFile(glob.glob(sys.argv[1] + '/*.whl')[0]).extract(sys.argv[2], sys.argv[1])";
    let unpack = Line::new([&python])
        .with(["-c", unpack])
        .with([&folder])
        .with([PORTRAIT_FILE]);
    quietly(places, "portrait", &unpack)?;
    let portrait = folder.join(PORTRAIT_FILE);
    check(&portrait, PORTRAIT_SHA256)?;
    copy(&portrait, &places.media().join("portrait.png"))?;
    fs::remove_dir_all(&folder).map_err(|source| SetUpError::File {
        path: folder,
        source,
    })
}

fn check(file: &Path, sha256: &str) -> Result<(), SetUpError> {
    let line = Line::new(["sha256sum", "--binary"]).with([file]);
    let said = line.output().ok_or_else(|| SetUpError::Failed {
        line: line.text(),
        log: None,
    })?;
    let found = said
        .split_whitespace()
        .next()
        .unwrap_or("")
        .trim_start_matches('\\');
    if found == sha256 {
        Ok(())
    } else {
        Err(SetUpError::Checksum {
            path: file.to_path_buf(),
            found: found.to_owned(),
        })
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), SetUpError> {
    make_parent(to)?;
    fs::copy(from, to)
        .map(|_| ())
        .map_err(|source| SetUpError::File {
            path: from.to_path_buf(),
            source,
        })
}

fn write(file: &Path, text: &str) -> Result<(), SetUpError> {
    make_parent(file)?;
    fs::write(file, text).map_err(|source| SetUpError::File {
        path: file.to_path_buf(),
        source,
    })
}

fn make_parent(file: &Path) -> Result<(), SetUpError> {
    let Some(folder) = file.parent() else {
        return Ok(());
    };
    fs::create_dir_all(folder).map_err(|source| SetUpError::File {
        path: folder.to_path_buf(),
        source,
    })
}

const SHOWN_LINES: usize = 60;
