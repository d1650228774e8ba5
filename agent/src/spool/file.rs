//! The spool's files: `00000001.spool` and on, and `state`.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qorgan_protocol::codec;
use qorgan_protocol::evidence::ChunkHeader;
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::limits::FRAME_BYTES_MAX;
use qorgan_protocol::link::read_chunk;
use qorgan_protocol::sealed_log::{self, End, PREFIX_BYTES};
use qorgan_signing::SecretKey;

use super::state::EarlierState;
use super::{KeptState, SpoolError};

/// Where a record lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot {
    file: u64,
    offset: u64,
}

/// What a former run left.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) state: Option<KeptState>,
    pub(super) records: Vec<(ChunkHeader, Spot, usize)>,
    pub(super) changed: bool,
}

/// The files of one attempt and epoch.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    key: SecretKey,
    place: Vec<u8>,
    held: BTreeMap<u64, Held>,
    current: Option<Current>,
    next: u64,
    unsynced: bool,
}

/// A state that is ready to be written.
#[derive(Debug)]
pub(crate) struct SealedState {
    sealed: Vec<u8>,
    folder: PathBuf,
}

impl SealedState {
    /// Replaces the state that was written before. It is synced before it is renamed, so that a
    /// power cut leaves the one or the other, and never an empty file.
    ///
    /// # Errors
    /// Where the disk refuses; the former state then stands, or the new one where only the folder
    /// could not be synced.
    pub(crate) fn write(&self) -> io::Result<()> {
        qorgan_files::replace(&self.folder.join(STATE_NAME), &self.sealed)
    }
}

#[derive(Debug, Default)]
struct Held {
    bytes: u64,
    live: usize,
}

#[derive(Debug)]
struct Current {
    number: u64,
    file: Arc<File>,
    bytes: u64,
}

impl Files {
    pub(super) fn open(
        folder: &Path,
        key: SecretKey,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<(Self, Found), SpoolError> {
        fs::create_dir_all(folder)?;
        let mut place = attempt.as_bytes().to_vec();
        place.extend_from_slice(&epoch.0.to_be_bytes());
        let mut files = Self {
            folder: folder.to_path_buf(),
            key,
            place,
            held: BTreeMap::new(),
            current: None,
            next: 1,
            unsynced: false,
        };
        let mut found = Found::default();
        match files.read_state() {
            Ok(state) => found.state = state,
            Err(SpoolError::Disk(error)) => return Err(SpoolError::Disk(error)),
            Err(SpoolError::Seal(_) | SpoolError::Codec(_)) => found.changed = !files.state_torn(),
        }
        for number in files.numbers()? {
            files.next = files.next.max(number.saturating_add(1));
            files.load(number, &mut found)?;
        }
        Ok((files, found))
    }

    pub(super) fn bytes(&self) -> u64 {
        self.held.values().map(|held| held.bytes).sum()
    }

    /// Appends a record; a write that fails half-way leaves the file as it was.
    pub(super) fn append(&mut self, frame: &[u8]) -> Result<Spot, SpoolError> {
        if self
            .current
            .as_ref()
            .is_none_or(|current| current.bytes >= FILE_BYTES)
        {
            self.rotate()?;
        }
        let Some(current) = &mut self.current else {
            return Err(SpoolError::Disk(io::Error::from(io::ErrorKind::NotFound)));
        };
        let spot = Spot {
            file: current.number,
            offset: current.bytes,
        };
        let sealed = self.key.seal(&place_of(&self.place, spot), frame)?;
        let too_long = || io::Error::from(io::ErrorKind::InvalidInput);
        let record = sealed_log::frame(&sealed, *SEALED_BYTES.end()).ok_or_else(too_long)?;
        let mut file = current.file.as_ref();
        let written = file.write_all(&record);
        if let Err(error) = written {
            file.set_len(current.bytes)?;
            file.seek(SeekFrom::Start(current.bytes))?;
            return Err(SpoolError::Disk(error));
        }
        let bytes = u64::try_from(record.len()).unwrap_or(u64::MAX);
        current.bytes = current.bytes.saturating_add(bytes);
        let held = self.held.entry(spot.file).or_default();
        held.bytes = held.bytes.saturating_add(bytes);
        held.live += 1;
        self.unsynced = true;
        Ok(spot)
    }

    pub(super) fn read(&self, spot: Spot) -> Result<Vec<u8>, SpoolError> {
        let mut file = File::open(self.path(spot.file))?;
        let sealed = read_record(&mut file, spot.offset)?;
        Ok(self.key.open(&place_of(&self.place, spot), &sealed)?)
    }

    /// Counts a record as receipted; returns the bytes that this frees.
    pub(super) fn release(&mut self, spot: Spot) -> u64 {
        let Some(held) = self.held.get_mut(&spot.file) else {
            return 0;
        };
        held.live = held.live.saturating_sub(1);
        let is_current = self
            .current
            .as_ref()
            .is_some_and(|current| current.number == spot.file && current.bytes < FILE_BYTES);
        if held.live > 0 || is_current {
            return 0;
        }
        if self
            .current
            .as_ref()
            .is_some_and(|current| current.number == spot.file)
        {
            self.current = None;
        }
        self.remove(spot.file)
    }

    pub(super) fn take_unsynced(&mut self) -> Option<Arc<File>> {
        core::mem::take(&mut self.unsynced).then(|| {
            self.current
                .as_ref()
                .map(|current| Arc::clone(&current.file))
        })?
    }

    /// Seals the state; writing it is left to whoever holds no lock.
    pub(super) fn seal_state(&self, state: &KeptState) -> Result<SealedState, SpoolError> {
        let plain = codec::encode("spool state", state)?;
        Ok(SealedState {
            sealed: self.key.seal(&self.state_place(), &plain)?,
            folder: self.folder.clone(),
        })
    }

    pub(super) fn clear(&mut self) {
        self.current = None;
        let numbers: Vec<u64> = self.held.keys().copied().collect();
        for number in numbers {
            self.remove(number);
        }
        if let Err(error) = fs::remove_dir_all(&self.folder) {
            tracing::debug!(%error, "The spool's folder stays");
        }
    }

    fn remove(&mut self, number: u64) -> u64 {
        if let Err(error) = fs::remove_file(self.path(number)) {
            tracing::warn!(%error, "A spool file cannot be removed");
        }
        self.held.remove(&number).map_or(0, |held| held.bytes)
    }

    fn rotate(&mut self) -> Result<(), SpoolError> {
        if let Some(current) = self.current.take() {
            current.file.sync_data()?;
            if self
                .held
                .get(&current.number)
                .is_some_and(|held| held.live == 0)
            {
                self.remove(current.number);
            }
        }
        let number = self.next;
        let file = OpenOptions::new()
            .create_new(true)
            .write(true)
            .open(self.path(number))?;
        sync_folder(&self.folder);
        self.next = number.saturating_add(1);
        self.held.insert(number, Held::default());
        self.current = Some(Current {
            number,
            file: Arc::new(file),
            bytes: 0,
        });
        Ok(())
    }

    fn read_state(&self) -> Result<Option<KeptState>, SpoolError> {
        let sealed = match fs::read(self.folder.join(STATE_NAME)) {
            Ok(sealed) => sealed,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let plain = self.key.open(&self.state_place(), &sealed)?;
        let earlier = || codec::decode::<EarlierState>("spool state", &plain).map(KeptState::from);
        let state = codec::decode("spool state", &plain).or_else(|_newer| earlier())?;
        Ok(Some(state))
    }

    /// Tells whether the state is what a power cut leaves of it: nothing, or a hole.
    fn state_torn(&self) -> bool {
        fs::read(self.folder.join(STATE_NAME)).is_ok_and(|bytes| sealed_log::has_hole(0, &bytes))
    }

    /// Reads one file; what a power cut left of its end is forgotten.
    fn load(&mut self, number: u64, found: &mut Found) -> Result<(), SpoolError> {
        let file = File::open(self.path(number))?;
        let length = file.metadata()?.len();
        // A longer file was never written, so that its rest is a change.
        let mut bytes = Vec::new();
        if let Err(error) = file.take(FILE_BYTES_MAX).read_to_end(&mut bytes) {
            // What lies before a bad sector is whole; the rest is told as a gap.
            tracing::error!(%error, "A spool file cannot be read to its end");
        }
        let read = sealed_log::read(&bytes, &SEALED_BYTES, |at, sealed| {
            let spot = Spot {
                file: number,
                offset: u64::try_from(at).ok()?,
            };
            let (header, len) = self.opened(spot, sealed)?;
            Some((header, spot, len))
        });
        found.changed |= read.end == End::Changed || length > FILE_BYTES_MAX;
        let held = Held {
            bytes: u64::try_from(read.whole_bytes).unwrap_or(u64::MAX),
            live: read.records.len(),
        };
        found.records.extend(read.records);
        if held.bytes < length {
            tracing::warn!(
                lost_bytes = length - held.bytes,
                "A spool file ends in a torn record"
            );
        }
        if held.live == 0 {
            fs::remove_file(self.path(number))?;
        } else {
            self.held.insert(number, held);
        }
        Ok(())
    }

    fn opened(&self, spot: Spot, sealed: &[u8]) -> Option<(ChunkHeader, usize)> {
        let frame = self.key.open(&place_of(&self.place, spot), sealed).ok()?;
        let chunk = read_chunk(&frame).ok()??;
        Some((chunk.header, frame.len()))
    }

    fn numbers(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|name| name.strip_suffix(SUFFIX))
                .and_then(|stem| stem.parse::<u64>().ok());
            numbers.extend(number);
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn path(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:08}{SUFFIX}"))
    }

    fn state_place(&self) -> Vec<u8> {
        let mut place = self.place.clone();
        place.extend_from_slice(STATE_NAME.as_bytes());
        place
    }
}

fn place_of(prefix: &[u8], spot: Spot) -> Vec<u8> {
    let mut place = prefix.to_vec();
    place.extend_from_slice(&spot.file.to_be_bytes());
    place.extend_from_slice(&spot.offset.to_be_bytes());
    place
}

fn read_record(file: &mut File, offset: u64) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut prefix = [0; PREFIX_BYTES];
    file.read_exact(&mut prefix)?;
    let damaged = || io::Error::from(io::ErrorKind::InvalidData);
    let length = sealed_log::length_of(prefix, &SEALED_BYTES).ok_or_else(damaged)?;
    let mut sealed = vec![0; length];
    file.read_exact(&mut sealed)?;
    Ok(sealed)
}

/// Makes the names in a folder last. Not every system opens a folder; there the names last by
/// themselves, or a record that is missing is told as a gap.
fn sync_folder(folder: &Path) {
    if let Err(error) = qorgan_files::sync_folder(folder) {
        tracing::debug!(%error, "The spool's folder cannot be synced");
    }
}

/// Bytes that a record has more than its frame.
pub(super) const RECORD_OVERHEAD_BYTES: usize = PREFIX_BYTES + SecretKey::OVERHEAD_BYTES;
/// The sealed bytes that a record may have.
const SEALED_BYTES: RangeInclusive<usize> =
    SecretKey::OVERHEAD_BYTES..=FRAME_BYTES_MAX + SecretKey::OVERHEAD_BYTES;
const STATE_NAME: &str = "state";
const SUFFIX: &str = ".spool";
/// A file is closed at this size; smaller files free room sooner.
const FILE_BYTES: u64 = 4 * 1024 * 1024;
/// No file is longer: it is closed by the record that reaches [`FILE_BYTES`].
const FILE_BYTES_MAX: u64 = FILE_BYTES + 3 * 1024 * 1024;
const _: () = assert!(FRAME_BYTES_MAX + RECORD_OVERHEAD_BYTES < 3 * 1024 * 1024);
