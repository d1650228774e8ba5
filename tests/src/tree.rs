//! The source tree as the tests that judge it read it.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A file of the tree that git knows or would add.
#[derive(Debug, Clone)]
pub struct SourceFile {
    /// Its path from the top, with forward slashes.
    pub path: String,
    /// Its text; damaged bytes are replaced.
    pub text: String,
}

impl SourceFile {
    /// Returns whether the file's name ends in `.extension`.
    #[must_use]
    pub fn has_extension(&self, extension: &str) -> bool {
        Path::new(&self.path)
            .extension()
            .is_some_and(|found| found == extension)
    }

    /// Returns the lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text
            .lines()
            .enumerate()
            .map(|(index, line)| (index + 1, line))
    }
}

/// Returns the top of the source tree.
#[must_use]
pub fn top() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().unwrap_or(tests).to_path_buf()
}

/// Returns every file whose extension is one of `extensions`, sorted by path.
///
/// # Errors
/// Fails where git does not list the tree or a file cannot be read.
pub fn files(extensions: &[&str]) -> Result<Vec<SourceFile>> {
    let top = top();
    let mut files = Vec::new();
    for path in paths()? {
        let wanted = Path::new(&path)
            .extension()
            .and_then(|found| found.to_str())
            .is_some_and(|found| extensions.contains(&found));
        let file = top.join(&path);
        if wanted && file.is_file() {
            let bytes = fs::read(&file).with_context(|| format!("read {path}"))?;
            files.push(SourceFile {
                path,
                text: String::from_utf8_lossy(&bytes).into_owned(),
            });
        }
    }
    Ok(files)
}

/// Returns the paths of every file of the tree, sorted.
///
/// # Errors
/// Fails where git does not list the tree.
pub fn paths() -> Result<Vec<String>> {
    let words = [
        "ls-files",
        "--cached",
        "--others",
        "--exclude-standard",
        "-z",
    ];
    let listed = output("git", &words)?;
    let mut paths: Vec<_> = listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect();
    paths.sort_unstable();
    paths.dedup();
    Ok(paths)
}

/// Returns what a command run at the top wrote to standard output.
///
/// # Errors
/// Fails where the command does.
pub fn output(program: &str, words: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(words)
        .current_dir(top())
        .output()
        .with_context(|| format!("start {program}"))?;
    ensure!(
        output.status.success(),
        "{program} {} failed: {}",
        words.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Returns the cargo that runs these tests.
#[must_use]
pub fn cargo() -> String {
    env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned())
}
