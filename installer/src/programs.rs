//! The three programs as built: which commands make them, where they are kept.
//!
//! Invariants: the agent named `qorgan-agent` is built without simulated
//! sources; the one that has them carries it in its name. The kiosk named
//! `qorgan-client` heeds no variable of tests; `qorgan-client-hooked`, a second
//! program on the same library, does, and is never packaged.

use std::fs;

use crate::error::SetUpError;
use crate::places::Places;

/// The arguments by which cargo builds the agent with simulated sources.
pub(crate) const SIMULATED: &str =
    "build --locked --workspace --bin qorgan-agent --features qorgan-agent/simulated";

/// The arguments by which cargo builds the programs as they are packaged.
pub(crate) const PACKAGED: &str = "build --locked --workspace --bins";

/// Puts the freshly built agent with simulated sources under its own name.
///
/// # Errors
/// Fails where a file cannot be copied.
pub(crate) fn keep_simulated(places: &Places) -> Result<(), SetUpError> {
    keep_as(places, "qorgan-agent", "qorgan-agent-simulated")
}

/// Puts the freshly built programs where demo and tests find them.
///
/// # Errors
/// Fails where a file cannot be copied.
pub(crate) fn keep_packaged(places: &Places) -> Result<(), SetUpError> {
    PROGRAMS
        .iter()
        .chain(&[HOOKED])
        .try_for_each(|name| keep_as(places, name, name))
}

fn keep_as(places: &Places, built: &str, kept: &str) -> Result<(), SetUpError> {
    let from = places.target.join("debug").join(built);
    let folder = places.programs();
    let to = folder.join(kept);
    let at = |source| SetUpError::File {
        path: from.clone(),
        source,
    };
    fs::create_dir_all(&folder).map_err(at)?;
    if to.exists() {
        fs::remove_file(&to).map_err(at)?;
    }
    fs::hard_link(&from, &to)
        .or_else(|_| fs::copy(&from, &to).map(|_| ()))
        .map_err(at)
}

/// The kiosk with the tests' hooks.
const HOOKED: &str = "qorgan-client-hooked";
const PROGRAMS: [&str; 3] = ["qorgan-server", "qorgan-agent", "qorgan-client"];
