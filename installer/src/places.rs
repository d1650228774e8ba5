//! Where the source tree and everything made from it lie.
//!
//! Invariant: nothing is written outside the target folder.

use std::env;
use std::path::{Path, PathBuf};

use crate::error::SetUpError;

/// The folders that set-up, demo and suite share.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The checkout.
    pub(crate) tree: PathBuf,
    /// Cargo's target folder.
    pub(crate) target: PathBuf,
}

impl Places {
    /// Finds the source tree and the target folder.
    ///
    /// # Errors
    /// Fails where neither cargo nor the current folder names a source tree.
    pub(crate) fn find() -> Result<Self, SetUpError> {
        let tree = env::var_os("CARGO_MANIFEST_DIR")
            .map(PathBuf::from)
            .and_then(|installer| installer.parent().map(Path::to_path_buf))
            .or_else(tree_above_current_folder)
            .ok_or(SetUpError::NoTree)?;
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| tree.join("target"), |target| tree.join(target));
        Ok(Self { tree, target })
    }

    /// Returns the folder of what the console serves and others made (htmx).
    pub(crate) fn assets(&self) -> PathBuf {
        self.target.join("qorgan-assets")
    }

    /// Returns the folder of the built programs, each under its packaged name.
    pub(crate) fn programs(&self) -> PathBuf {
        self.target.join("qorgan-bin")
    }

    /// Returns the folder of the browser tests' packages.
    pub(crate) fn node(&self) -> PathBuf {
        self.target.join("qorgan-node")
    }

    /// Returns the folder of the Python environment that checks seals.
    pub(crate) fn python(&self) -> PathBuf {
        self.target.join("qorgan-python")
    }

    /// Returns the folder of what stands in for devices.
    pub(crate) fn media(&self) -> PathBuf {
        self.target.join("qorgan-media")
    }

    /// Returns the folder of cargo's own tools.
    pub(crate) fn tools(&self) -> PathBuf {
        self.target.join("qorgan-tools")
    }

    /// Returns the folder of the logs of what was run.
    pub(crate) fn logs(&self) -> PathBuf {
        self.target.join("qorgan-logs")
    }

    /// Returns the variables by which programs and tests find these folders.
    pub(crate) fn variables(&self) -> Vec<(&'static str, PathBuf)> {
        vec![
            ("CARGO_TARGET_DIR", self.target.clone()),
            ("QORGAN_ASSETS", self.assets()),
            ("QORGAN_BIN", self.programs()),
            ("QORGAN_MEDIA", self.media()),
            ("QORGAN_NODE_MODULES", self.node().join("node_modules")),
            ("QORGAN_PYTHON", self.python().join("bin").join("python")),
            ("QORGAN_TREE", self.tree.clone()),
        ]
    }
}

fn tree_above_current_folder() -> Option<PathBuf> {
    let here = env::current_dir().ok()?;
    here.ancestors()
        .find(|folder| folder.join("Cargo.lock").is_file())
        .map(Path::to_path_buf)
}
