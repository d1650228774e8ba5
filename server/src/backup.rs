//! A copy of the data folder, also beside a running server, that is opened again before it counts.
//!
//! # Invariants
//! * Only files that the server makes are copied, and none that holds a key-encryption key, whatever
//!   its name: what is left out is told.
//! * The database is copied first and files after it: a record of the database has its files. What
//!   was sealed meanwhile is copied again with a newer database, until both fit.
//! * Files of recordings only grow until they are sealed, and sealed files never change.
//! * The copy lies outside the data folder, and only its owner may read it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use qorgan_protocol::ids::AttemptId;
use qorgan_store::{Database, Readers, SqlError, TransferError};

use crate::evidence::{EvidenceError, missing_from};
use crate::state::AppState;
use qorgan_base::platform::{
    close_to_others, new_private_file, owner_only, private_folders, write_new_private,
};
use qorgan_store::id;

/// Says why there is no good copy.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BackupError {
    /// Something is there already.
    #[error("{path} is there already: name a new folder")]
    Exists {
        /// What.
        path: PathBuf,
    },
    /// The copy would lie inside what is copied.
    #[error("{path} lies inside the data folder: name a folder outside it, best on another disk")]
    Inside {
        /// Where.
        path: PathBuf,
    },
    /// A file cannot be used.
    #[error("cannot use {path}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Recordings were sealed faster than they were copied.
    #[error(
        "recordings were sealed faster than they were copied, {TRIES_MAX} times over: the copy is not \
         whole; remove it and try again when fewer exams end"
    )]
    TooBusy,
    /// The copied database is damaged.
    #[error("the copied database is damaged: {what}")]
    Damaged {
        /// What SQLite said.
        what: String,
    },
    /// A file that the database names is not in the copy, or not whole.
    #[error("the copy lacks {name} of attempt {attempt}, or a part of it")]
    Lacking {
        /// Whose.
        attempt: AttemptId,
        /// Which file.
        name: String,
    },
    /// A sealed recording of the copy cannot be read.
    #[error("a sealed recording of the copy cannot be read")]
    Evidence(#[from] EvidenceError),
    /// The database failed.
    #[error("the database cannot be copied or read")]
    Sql(#[from] SqlError),
    /// The database cannot be moved to a file.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// A stored value does not read back.
    #[error(transparent)]
    Store(#[from] qorgan_store::StoreError),
    /// The work was cut off.
    #[error("the work was cut off")]
    CutOff(#[from] tokio::task::JoinError),
}

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Copied {
    /// How many files, with the database.
    pub(crate) files: usize,
    /// How many sealed recordings were looked at in the copy.
    pub(crate) sealed: usize,
    /// What was left out, by its path inside the data folder.
    pub(crate) left_out: BTreeSet<String>,
}

/// Copies the data folder to a new folder, opens the copy and checks it.
///
/// # Errors
/// `BackupError` says why the copy is none; what is there of it is to be removed.
pub(crate) async fn backup(state: &AppState, out: &Path) -> Result<Copied, BackupError> {
    let (data, out) = places(&state.data, out)?;
    make_folder(&out)?;
    let secrets = Secrets::of(state);
    for _try in 0..TRIES_MAX {
        copy_database(state, &out).await?;
        let copy = Readers::of_copy(&out.join(DATABASE)).await?;
        let sealed = sealed(&copy).await?;
        copy.close().await;
        let walk = Walk {
            data: data.clone(),
            out: out.clone(),
            secrets: secrets.clone(),
            sealed,
            copied: Copied::default(),
            whole: BTreeSet::new(),
        };
        let walk = tokio::task::spawn_blocking(move || walk.run()).await??;
        if walk.is_whole(state).await? {
            let mut copied = walk.copied;
            copied.sealed = verify(state, &out).await?;
            return Ok(copied);
        }
    }
    Err(BackupError::TooBusy)
}

/// Returns where is copied from and to, both without links.
fn places(data: &Path, out: &Path) -> Result<(PathBuf, PathBuf), BackupError> {
    if out.symlink_metadata().is_ok() {
        let path = out.to_path_buf();
        return Err(BackupError::Exists { path });
    }
    let data = fs::canonicalize(data).map_err(|e| file(data, e))?;
    let absolute = std::path::absolute(out).map_err(|e| file(out, e))?;
    // The nearest folder that is there tells where the new ones will lie.
    let mut rest = Vec::new();
    let mut there = absolute.as_path();
    while there.symlink_metadata().is_err() {
        let (Some(name), Some(parent)) = (there.file_name(), there.parent()) else {
            break;
        };
        rest.push(name.to_os_string());
        there = parent;
    }
    let mut target = fs::canonicalize(there).map_err(|e| file(there, e))?;
    target.extend(rest.iter().rev());
    if target.starts_with(&data) {
        return Err(BackupError::Inside { path: target });
    }
    let recordings = data.join(RECORDINGS);
    let recordings = fs::canonicalize(&recordings).unwrap_or(recordings);
    if target.starts_with(&recordings) {
        return Err(BackupError::Inside { path: target });
    }
    Ok((data, target))
}

async fn copy_database(state: &AppState, out: &Path) -> Result<(), BackupError> {
    let path = out.join(DATABASE);
    match fs::remove_file(&path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(file(&path, error)),
    }
    // SQLite takes an empty file for none, and keeps its mode.
    new_private_file(&path).map_err(|e| file(&path, e))?;
    // VACUUM INTO gives a whole and consistent database beside a running server.
    let database = state.store.database();
    if !database.copy_to(&path).await? {
        // A copy of PostgreSQL is a SQLite file too, which opens without a server.
        let copy = Database::open_file(&path).await?;
        qorgan_store::copy(database, &copy).await?;
        copy.close().await;
    }
    Ok(())
}

/// Returns the attempts whose recordings are sealed and not deleted.
async fn sealed(from: &Readers) -> Result<BTreeSet<AttemptId>, BackupError> {
    let rows: Vec<String> = qorgan_store::query_scalar(
        "SELECT l.attempt_id FROM log_leaves l JOIN attempts a ON a.id = l.attempt_id \
         WHERE length(a.key_wrapped) > 0",
    )
    .fetch_all(from)
    .await?;
    let ids = rows.iter().map(|row| Ok(id(row)?));
    ids.collect()
}

/// Opens the copy and checks the database and each file that it names; returns how many recordings
/// were looked at.
async fn verify(state: &AppState, out: &Path) -> Result<usize, BackupError> {
    let copy = Readers::of_copy(&out.join(DATABASE)).await?;
    if let Some(what) = copy.damage().await? {
        return Err(BackupError::Damaged { what });
    }
    let sealed = sealed(&copy).await?;
    copy.close().await;
    let root = out.join(RECORDINGS);
    for attempt in &sealed {
        if let Some(name) = missing_from(state, &root, *attempt).await? {
            // What was deleted meanwhile is gone in the copy's folder too.
            if state.recordings.key(*attempt).await.is_err() {
                continue;
            }
            let attempt = *attempt;
            return Err(BackupError::Lacking { attempt, name });
        }
    }
    Ok(sealed.len())
}

/// What no copy may hold.
#[derive(Debug, Clone)]
struct Secrets {
    key: Vec<u8>,
    hex: Vec<u8>,
}

impl Secrets {
    fn of(state: &AppState) -> Self {
        let key = state.keys.kek().expose();
        Self {
            key: key.to_vec(),
            hex: hex::encode(key).into_bytes(),
        }
    }

    /// Tells whether a small file holds the key-encryption key, or one that was or will be: 64
    /// hexadecimal digits and nothing else.
    fn are_in(&self, bytes: &[u8]) -> bool {
        let has = |needle: &[u8]| bytes.windows(needle.len()).any(|part| part == needle);
        let any_key = std::str::from_utf8(bytes).is_ok_and(|text| {
            let text = text.trim();
            text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
        });
        any_key || has(&self.key) || has(&self.hex) || {
            let lower: Vec<u8> = bytes.to_ascii_lowercase();
            lower.windows(self.hex.len()).any(|part| part == self.hex)
        }
    }
}

/// One walk over the data folder.
#[derive(Debug)]
struct Walk {
    data: PathBuf,
    out: PathBuf,
    secrets: Secrets,
    sealed: BTreeSet<AttemptId>,
    copied: Copied,
    /// Attempts whose growing files were all there to be copied.
    whole: BTreeSet<AttemptId>,
}

impl Walk {
    fn run(mut self) -> Result<Self, BackupError> {
        self.copied.files = 1;
        for entry in entries(&self.data)? {
            let name = entry.to_string_lossy().into_owned();
            if COPIED.contains(&name.as_str()) {
                self.small(&name)?;
            } else if name != RECORDINGS && !PASSING.iter().any(|part| name.contains(part)) {
                self.copied.left_out.insert(name);
            }
        }
        self.growing()?;
        let sealed = format!("{RECORDINGS}/{SEALED}");
        self.folder(&sealed)?;
        // What is being sealed may be sealed anew; what the database calls sealed is for good.
        for attempt in self.sealed.clone() {
            self.tree(&format!("{sealed}/{attempt}"))?;
        }
        Ok(self)
    }

    /// Copies what grows of attempts that are not sealed in the copied database.
    fn growing(&mut self) -> Result<(), BackupError> {
        let open = format!("{RECORDINGS}/{OPEN}");
        self.folder(&open)?;
        for entry in entries(&self.data.join(&open))? {
            let name = entry.to_string_lossy().into_owned();
            let inside = format!("{open}/{name}");
            let Ok(attempt) = name.parse::<AttemptId>() else {
                self.copied.left_out.insert(inside);
                continue;
            };
            if !self.sealed.contains(&attempt) && self.tree(&inside)? {
                self.whole.insert(attempt);
            }
        }
        for attempt in &self.sealed {
            // A copy that was made before it was sealed.
            let copy = self.out.join(&open).join(attempt.to_string());
            match fs::remove_dir_all(&copy) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(file(&copy, error)),
            }
        }
        Ok(())
    }

    /// Copies a folder with what is below it; false where something of it went meanwhile.
    fn tree(&mut self, inside: &str) -> Result<bool, BackupError> {
        let (mut whole, mut open) = (true, vec![inside.to_owned()]);
        while let Some(folder) = open.pop() {
            let from = self.data.join(&folder);
            self.folder(&folder)?;
            if !from.is_dir() {
                whole = false;
                continue;
            }
            for entry in entries(&from)? {
                let one = format!("{folder}/{}", entry.to_string_lossy());
                match fs::symlink_metadata(self.data.join(&one)) {
                    Ok(known) if known.is_dir() => open.push(one),
                    Ok(known) if known.is_file() => whole &= self.grown(&one)?,
                    Ok(_link_or_device) => {
                        self.copied.left_out.insert(one);
                    }
                    Err(error) if error.kind() == io::ErrorKind::NotFound => whole = false,
                    Err(error) => return Err(file(&self.data.join(&one), error)),
                }
            }
        }
        Ok(whole)
    }

    fn folder(&self, inside: &str) -> Result<(), BackupError> {
        make_folder(&self.out.join(inside))
    }

    /// Copies a small file whole, unless it holds a key-encryption key.
    fn small(&mut self, name: &str) -> Result<(), BackupError> {
        let (from, to) = (self.data.join(name), self.out.join(name));
        let mut bytes = Vec::new();
        let opened = File::open(&from).map_err(|e| file(&from, e))?;
        let mut opened = opened.take(SMALL_BYTES_MAX);
        opened.read_to_end(&mut bytes).map_err(|e| file(&from, e))?;
        if self.secrets.are_in(&bytes) {
            self.copied.left_out.insert(name.to_owned());
            return Ok(());
        }
        write_new_private(&to, &bytes).map_err(|e| file(&to, e))?;
        self.copied.files += 1;
        Ok(())
    }

    /// Copies of a file what its copy lacks; false where it went meanwhile.
    fn grown(&mut self, inside: &str) -> Result<bool, BackupError> {
        let (from, to) = (self.data.join(inside), self.out.join(inside));
        let mut source = match File::open(&from) {
            Ok(source) => source,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(file(&from, error)),
        };
        let len = source.metadata().map_err(|e| file(&from, e))?.len();
        if len <= SMALL_BYTES_MAX {
            let mut bytes = Vec::new();
            let mut small = source.by_ref().take(SMALL_BYTES_MAX);
            small.read_to_end(&mut bytes).map_err(|e| file(&from, e))?;
            if self.secrets.are_in(&bytes) {
                self.copied.left_out.insert(inside.to_owned());
                return Ok(true);
            }
        }
        let mut options = OpenOptions::new();
        options.append(true).create(true);
        owner_only(&mut options);
        let mut target = options.open(&to).map_err(|e| file(&to, e))?;
        let have = target.metadata().map_err(|e| file(&to, e))?.len();
        if have > len {
            // It was cut at a restart and is another one now.
            target.set_len(0).map_err(|e| file(&to, e))?;
        }
        let have = if have > len { 0 } else { have };
        source
            .seek(SeekFrom::Start(have))
            .map_err(|e| file(&from, e))?;
        io::copy(&mut source, &mut target).map_err(|e| file(&to, e))?;
        target.sync_all().map_err(|e| file(&to, e))?;
        self.copied.files += 1;
        Ok(true)
    }

    /// Tells whether the copied database fits the copied files: what was sealed since, and whose
    /// growing files may have gone before they were copied, needs a newer database.
    async fn is_whole(&self, state: &AppState) -> Result<bool, BackupError> {
        let now = sealed(state.store.read()).await?;
        let mut since = now.difference(&self.sealed);
        Ok(since.all(|attempt| self.whole.contains(attempt)))
    }
}

/// Returns the names in a folder; none where there is no such folder.
fn entries(folder: &Path) -> Result<Vec<std::ffi::OsString>, BackupError> {
    let read = match fs::read_dir(folder) {
        Ok(read) => read,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(file(folder, error)),
    };
    let mut names = Vec::new();
    for entry in read {
        names.push(entry.map_err(|e| file(folder, e))?.file_name());
    }
    Ok(names)
}

fn make_folder(path: &Path) -> Result<(), BackupError> {
    private_folders(path).map_err(|e| file(path, e))?;
    close_to_others(path).map_err(|e| file(path, e))?;
    Ok(())
}

fn file(path: &Path, source: io::Error) -> BackupError {
    BackupError::File {
        path: path.to_path_buf(),
        source,
    }
}

const DATABASE: &str = qorgan_base::config::DATABASE_FILE;
const RECORDINGS: &str = "recordings";
const OPEN: &str = qorgan_recordings::OPEN_FOLDER;
const SEALED: &str = qorgan_recordings::SEALED_FOLDER;
/// Files of the data folder that are copied. The TLS key is made anew; operators keep their own.
const COPIED: [&str; 7] = [
    "sign.pk8",
    "ca.pk8",
    "ca.pem",
    "seal.pk8",
    "seal.pem",
    "tls.pem",
    "config.toml",
];
/// Parts of names that need no word: the database and its journals, locks, what a rotation writes,
/// what the TLS certificate is made anew from.
const PASSING: [&str; 4] = ["qorgan.db", ".lock", ".next", "tls."];
/// So much of a file is looked through for keys; a key file is far smaller.
const SMALL_BYTES_MAX: u64 = 64 * 1024;
/// How often a copy is taken up again with a newer database.
const TRIES_MAX: usize = 16;

#[cfg(test)]
mod tests;
