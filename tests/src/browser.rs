//! Headless Chromium by playwright-core: scripts in `tests/`, run by node.

use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::places;
use crate::program::run;
use crate::tree::top;

/// Runs a script of `tests/` and returns the JSON of its last line.
///
/// The script finds playwright-core and axe-core under `QORGAN_NODE_MODULES`, and what it is
/// told in `QORGAN_WORDS`, a JSON object.
///
/// # Errors
/// Fails with what the script said where it fails or ends without JSON.
pub fn script(name: &str, words: &Value) -> Result<Value> {
    let said = run(&mut command(name, words))?;
    let last = said
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("");
    serde_json::from_str(last).with_context(|| format!("{name} ended with {last:?}"))
}

/// Returns the command that runs a script, to be started beside other programs.
#[must_use]
pub fn command(name: &str, words: &Value) -> Command {
    let mut node = Command::new("timeout");
    node.args(["--kill-after=5", SCRIPT_LIMIT_S, "node"])
        .arg(top().join("tests").join(name))
        .env("QORGAN_NODE_MODULES", modules())
        .env("QORGAN_WORDS", words.to_string());
    node
}

fn modules() -> std::path::PathBuf {
    places::folder("QORGAN_NODE_MODULES", "qorgan-node/node_modules")
}

const SCRIPT_LIMIT_S: &str = "180";
