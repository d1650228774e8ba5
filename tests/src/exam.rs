//! The exam that demo and tests import, as it lies in the tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::places;

/// Returns the files of the test in `language` (or of `bad/qti`) by name.
///
/// # Errors
/// Fails where the folder cannot be read.
pub fn package(language: &str) -> Result<BTreeMap<String, Vec<u8>>> {
    let folder = places::exam().join(language);
    let mut files = BTreeMap::new();
    read_folder(&folder, "", &mut files).with_context(|| format!("read {}", folder.display()))?;
    Ok(files)
}

/// Returns the bytes of a sheet.
///
/// # Errors
/// Fails where it cannot be read.
pub fn sheet(name: &str) -> Result<Vec<u8>> {
    fs::read(places::exam().join(name)).with_context(|| format!("read {name}"))
}

fn read_folder(folder: &Path, before: &str, files: &mut BTreeMap<String, Vec<u8>>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{before}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(entry.path())?);
        }
    }
    Ok(())
}
