//! Where the built programs and what set-up made lie.

use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};

use crate::tree::top;

/// Returns cargo's target folder.
#[must_use]
pub fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}

/// Returns a built program; `qorgan-agent-simulated` is the agent that can play files.
///
/// # Errors
/// Fails where it was not built: `cargo suite` and `cargo demo` build it.
pub fn program(name: &str) -> Result<PathBuf> {
    let kept = folder("QORGAN_BIN", "qorgan-bin").join(name);
    let built = target().join("debug").join(name);
    let found = [kept, built].into_iter().find(|file| file.is_file());
    found.with_context(|| format!("{name} is not built; `cargo demo` and `cargo suite` build it"))
}

/// Returns a folder that set-up made, by its variable or by its name in the target folder.
#[must_use]
pub fn folder(variable: &str, name: &str) -> PathBuf {
    env::var_os(variable).map_or_else(|| target().join(name), PathBuf::from)
}

/// Returns the Python that has pyHanko.
///
/// # Errors
/// Fails where set-up has not made it.
pub fn python() -> Result<PathBuf> {
    let python = env::var_os("QORGAN_PYTHON").map_or_else(
        || target().join("qorgan-python").join("bin").join("python"),
        PathBuf::from,
    );
    ensure!(
        python.exists(),
        "{} is missing; `cargo suite` makes it",
        python.display()
    );
    Ok(python)
}

/// Returns the folder of the exam that demo and tests import.
#[must_use]
pub fn exam() -> PathBuf {
    top().join("tests").join("data").join("exam")
}
