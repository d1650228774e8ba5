//! An export in a folder, read in bounded memory.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::evidence::verify::{FileSource, SourceError};

use super::EvidenceError;

/// Reads an export from a folder.
#[derive(Debug)]
pub struct FolderSource {
    folder: PathBuf,
    open: BTreeMap<String, File>,
}

impl FolderSource {
    /// Looks into a folder.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_path_buf(),
            open: BTreeMap::new(),
        }
    }

    fn file(&mut self, name: &str) -> Result<&mut File, SourceError> {
        if !self.open.contains_key(name) {
            let path = self.folder.join(name);
            let meta = std::fs::symlink_metadata(&path).map_err(|e| failed(name, &e))?;
            if !meta.is_file() {
                return Err(SourceError {
                    name: name.to_owned(),
                    detail: "it is no plain file".to_owned(),
                });
            }
            if self.open.len() >= OPEN_FILES_MAX {
                self.open.clear();
            }
            let file = File::open(&path).map_err(|e| failed(name, &e))?;
            self.open.insert(name.to_owned(), file);
        }
        self.open.get_mut(name).ok_or_else(|| SourceError {
            name: name.to_owned(),
            detail: "it was closed".to_owned(),
        })
    }
}

impl FileSource for FolderSource {
    fn names(&mut self) -> Result<Vec<String>, SourceError> {
        let folder = self.folder.display().to_string();
        let entries = std::fs::read_dir(&self.folder).map_err(|e| failed(&folder, &e))?;
        let mut names = Vec::new();
        for entry in entries {
            let entry = entry.map_err(|e| failed(&folder, &e))?;
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
        Ok(names)
    }

    fn len(&mut self, name: &str) -> Result<u64, SourceError> {
        let meta = std::fs::symlink_metadata(self.folder.join(name));
        Ok(meta.map_err(|e| failed(name, &e))?.len())
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let file = self.file(name)?;
        file.seek(SeekFrom::Start(offset))
            .map_err(|e| failed(name, &e))?;
        let mut filled = 0;
        while filled < buffer.len() {
            match file.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(name, &error)),
            }
        }
        Ok(filled)
    }
}

/// Reads what `--trust` gives: a key, or a file with a key a line.
///
/// # Errors
/// `Trust` where it is neither.
pub fn trusted_keys(text: &str) -> Result<Vec<PublicKey>, EvidenceError> {
    if let Some(key) = PublicKey::from_hex(text) {
        return Ok(vec![key]);
    }
    let bad = || EvidenceError::Trust {
        text: text.to_owned(),
    };
    let lines = std::fs::read_to_string(text).map_err(|_unreadable| bad())?;
    let keys: Vec<_> = lines
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(PublicKey::from_hex)
        .collect::<Option<_>>()
        .ok_or_else(bad)?;
    if keys.is_empty() {
        Err(bad())
    } else {
        Ok(keys)
    }
}

fn failed(name: &str, error: &std::io::Error) -> SourceError {
    SourceError {
        name: name.to_owned(),
        detail: error.to_string(),
    }
}

const OPEN_FILES_MAX: usize = 64;
