//! The open files of a recording: append-only records, each sealed under the attempt's key.
//!
//! A record is a 4-byte length of the sealed bytes, a 2-byte length of the head, and the sealed
//! bytes of head ‖ body. For a stream the head is the canonical chunk header and the body the
//! payload; for beats there is no head. The place of a record (attempt, epoch, part, number) is
//! authenticated, so that none can be moved.
//!
//! # Invariants
//! * What was synced is never truncated: only a tail that no whole record begins is cut off.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, SignedBytes};
use qorgan_protocol::evidence::{BeatBody, ChunkHeader, ChunkSeq, Head, StreamChain, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::limits::CHUNK_BYTES_MAX;
use qorgan_protocol::link::{Standing, StreamStanding};
use qorgan_signing::{Ring, SecretKey};

use super::RecordingError;

/// One file of an open recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The chunks of a stream.
    Stream(StreamId),
    /// The beats.
    Beats,
}

impl Part {
    pub fn file_name(self) -> String {
        match self {
            Self::Stream(stream) => format!("{stream}.seg"),
            Self::Beats => "beats.seg".to_owned(),
        }
    }

    fn from_file_name(name: &str) -> Option<Self> {
        let word = name.strip_suffix(".seg")?;
        if word == "beats" {
            Some(Self::Beats)
        } else {
            StreamId::from_word(word).map(Self::Stream)
        }
    }

    fn place(self, attempt: AttemptId, epoch: Epoch, number: u64) -> Vec<u8> {
        let mut place = Vec::with_capacity(48);
        place.extend_from_slice(attempt.as_bytes());
        place.extend_from_slice(&epoch.0.to_be_bytes());
        place.extend_from_slice(self.file_name().as_bytes());
        place.push(0);
        place.extend_from_slice(&number.to_be_bytes());
        place
    }
}

/// Whose recording, under which key.
#[derive(Debug, Clone, Copy)]
pub struct Whose<'a> {
    pub attempt: AttemptId,
    pub epoch: Epoch,
    pub key: &'a SecretKey,
}

/// Returns the bytes of a record.
pub(crate) fn seal_record(
    whose: Whose<'_>,
    part: Part,
    number: u64,
    head: &[u8],
    body: &[u8],
) -> Result<Vec<u8>, RecordingError> {
    let mut plain = Vec::with_capacity(head.len() + body.len());
    plain.extend_from_slice(head);
    plain.extend_from_slice(body);
    let place = part.place(whose.attempt, whose.epoch, number);
    let sealed = whose.key.seal(&place, &plain)?;
    let too_long = |_wide| RecordingError::TooLong;
    let sealed_len = u32::try_from(sealed.len()).map_err(too_long)?;
    let head_len = u16::try_from(head.len()).map_err(too_long)?;
    let mut record = Vec::with_capacity(PREFIX_BYTES + sealed.len());
    record.extend_from_slice(&sealed_len.to_be_bytes());
    record.extend_from_slice(&head_len.to_be_bytes());
    record.extend_from_slice(&sealed);
    Ok(record)
}

/// A record that was opened.
#[derive(Debug)]
pub struct Record {
    /// Where it begins in the file.
    pub offset: u64,
    /// Head and body.
    pub plain: Vec<u8>,
    head_len: usize,
}

impl Record {
    pub fn head(&self) -> &[u8] {
        &self.plain[..self.head_len]
    }

    pub fn body(&self) -> &[u8] {
        &self.plain[self.head_len..]
    }

    pub fn header(&self) -> Result<ChunkHeader, RecordingError> {
        Ok(codec::decode("chunk header", self.head())?)
    }
}

/// Reads an open file record by record.
#[derive(Debug)]
pub struct Walk {
    file: BufReader<File>,
    path: PathBuf,
    part: Part,
    offset: u64,
    len: u64,
    number: u64,
}

impl Walk {
    /// Opens a file at a record; `None` where there is no such file.
    pub fn open(
        folder: &Path,
        part: Part,
        (offset, number): (u64, u64),
    ) -> Result<Option<Self>, RecordingError> {
        let path = folder.join(part.file_name());
        let mut file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(RecordingError::file(&path, source)),
        };
        let wrap = |source| RecordingError::file(&path, source);
        let len = file.metadata().map_err(wrap)?.len();
        file.seek(SeekFrom::Start(offset)).map_err(wrap)?;
        Ok(Some(Self {
            file: BufReader::with_capacity(64 * 1024, file),
            path,
            part,
            offset,
            len,
            number,
        }))
    }

    /// Returns the next record; `None` at the end, or where no whole record begins.
    pub fn next(&mut self, whose: Whose<'_>) -> Result<Option<Record>, RecordingError> {
        let left = self.len.saturating_sub(self.offset);
        if left < PREFIX {
            return Ok(None);
        }
        let wrap = |path: &Path, source| RecordingError::file(path, source);
        let mut prefix = [0; PREFIX_BYTES];
        self.file
            .read_exact(&mut prefix)
            .map_err(|source| wrap(&self.path, source))?;
        let [a, b, c, d, e, f] = prefix;
        let sealed_len = u32::from_be_bytes([a, b, c, d]);
        let head_len = usize::from(u16::from_be_bytes([e, f]));
        let end = self.offset + PREFIX + u64::from(sealed_len);
        let Ok(len) = usize::try_from(sealed_len) else {
            return Ok(None);
        };
        if !(SecretKey::OVERHEAD_BYTES..=SEALED_BYTES_MAX).contains(&len) || end > self.len {
            return Ok(None);
        }
        let mut sealed = vec![0; len];
        self.file
            .read_exact(&mut sealed)
            .map_err(|source| wrap(&self.path, source))?;
        let place = self.part.place(whose.attempt, whose.epoch, self.number);
        let opened = whose.key.open(&place, &sealed);
        let plain = match opened {
            Ok(plain) if plain.len() >= head_len => plain,
            // A record that was being written when the power went out: the last one alone.
            _ if end == self.len => return Ok(None),
            _ => {
                return Err(RecordingError::Corrupt {
                    path: self.path.clone(),
                    offset: self.offset,
                });
            }
        };
        let record = Record {
            offset: self.offset,
            plain,
            head_len,
        };
        self.offset = end;
        self.number += 1;
        Ok(Some(record))
    }

    /// Goes back to where a record began; it is not read on from there.
    const fn go_back(&mut self, (offset, number): (u64, u64)) {
        (self.offset, self.number) = (offset, number);
    }

    /// Returns where the next record begins, and its number.
    pub const fn position(&self) -> (u64, u64) {
        (self.offset, self.number)
    }
}

/// Returns the parts that a folder holds, sorted.
pub fn parts(folder: &Path) -> Result<Vec<Part>, RecordingError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(RecordingError::file(folder, source)),
    };
    let mut parts = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|source| RecordingError::file(folder, source))?;
        parts.extend(entry.file_name().to_str().and_then(Part::from_file_name));
    }
    parts.sort_unstable();
    Ok(parts)
}

/// Returns how many bytes the files of an attempt's folder take, over all its epochs.
pub(super) fn folder_bytes(folder: &Path) -> Result<u64, RecordingError> {
    let mut bytes = 0_u64;
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let wrap = |source| RecordingError::file(&folder, source);
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(source) => return Err(wrap(source)),
        };
        for entry in entries {
            let entry = entry.map_err(wrap)?;
            let meta = entry.metadata().map_err(wrap)?;
            if meta.is_dir() {
                folders.push(entry.path());
            } else {
                bytes = bytes.saturating_add(meta.len());
            }
        }
    }
    Ok(bytes)
}

/// Reads where a recording stands and cuts off torn tails, and beats that name what is not here.
pub(crate) fn recover(folder: &Path, whose: Whose<'_>) -> Result<Standing, RecordingError> {
    let mut standing = Standing::default();
    // Streams come first, for beats are held against them.
    for part in parts(folder)? {
        let Some(mut walk) = Walk::open(folder, part, (0, 0))? else {
            continue;
        };
        match part {
            Part::Stream(stream) => {
                let read = recover_stream(&mut walk, whose, stream)?;
                standing.streams.insert(stream, read);
            }
            Part::Beats => recover_beats(&mut walk, whose, &mut standing)?,
        }
        let (end, _) = walk.position();
        if end < walk.len {
            tracing::warn!(torn_bytes = walk.len - end, "Cut off a torn tail");
            truncate(&walk.path, end)?;
        }
    }
    Ok(standing)
}

/// Reads beats as far as each names only chunks that are here: a machine that went down may have kept
/// a beat and lost a chunk, and the agent then sends both again.
fn recover_beats(
    walk: &mut Walk,
    whose: Whose<'_>,
    standing: &mut Standing,
) -> Result<(), RecordingError> {
    loop {
        let begin = walk.position();
        let Some(record) = walk.next(whose)? else {
            return Ok(());
        };
        let beat: SignedBytes = codec::decode("beat", record.body())?;
        let body: BeatBody = crypto::stored(&beat)?;
        let here = |head: &Head| {
            let stream = standing.streams.get(&head.stream);
            stream.is_some_and(|stream| head.seq < stream.chain.next)
        };
        if !body.heads.iter().all(here) {
            walk.go_back(begin);
            return Ok(());
        }
        standing.beat_next += 1;
        standing.beat_head = Ring.sha256(&[&beat.bytes]);
    }
}

fn recover_stream(
    walk: &mut Walk,
    whose: Whose<'_>,
    stream: StreamId,
) -> Result<StreamStanding, RecordingError> {
    let mut chain = StreamChain::new(whose.attempt, whose.epoch, stream);
    let mut recent = VecDeque::new();
    loop {
        let begin = walk.position().0;
        let Some(record) = walk.next(whose)? else {
            break;
        };
        let header = record.header()?;
        if chain.accept(&Ring, &header, record.body()).is_err() {
            return Err(RecordingError::Corrupt {
                path: walk.path.clone(),
                offset: begin,
            });
        }
        recent.push_back((header.seq, chain.head));
        if recent.len() > RECENT_HEADERS {
            recent.pop_front();
        }
    }
    Ok(StreamStanding { chain, recent })
}

/// Cuts a file and makes the cut last.
pub(crate) fn truncate(path: &Path, len: u64) -> Result<(), RecordingError> {
    let wrap = |source| RecordingError::file(path, source);
    let file = OpenOptions::new().write(true).open(path).map_err(wrap)?;
    file.set_len(len).map_err(wrap)?;
    file.sync_all().map_err(wrap)
}

/// Where every stream of a recording stands, without the newest headers.
pub(crate) fn heads(standing: &Standing) -> BTreeMap<StreamId, (ChunkSeq, Sha256)> {
    let head = |stream: &StreamStanding| (stream.chain.next, stream.chain.head);
    let streams = standing.streams.iter();
    streams.map(|(id, stream)| (*id, head(stream))).collect()
}

const PREFIX_BYTES: usize = 6;
const PREFIX: u64 = 6;
const SEALED_BYTES_MAX: usize = CHUNK_BYTES_MAX + 64 * 1024;
/// How many of a stream's newest headers a beat may name after a restart.
const RECENT_HEADERS: usize = 512;
