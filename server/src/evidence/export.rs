//! Exports a recording to a folder: exact CMAF files with side logs, manifest and proof.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use qorgan_protocol::codec;
use qorgan_protocol::crypto::{
    self, Hasher as _, Sha256, SignedBytes, Signer as _, StreamHasher as _,
};
use qorgan_protocol::evidence::merkle::{Checkpoint, InclusionProof, inclusion_path, tree_root};
use qorgan_protocol::evidence::side_log::{
    BEATS_MAGIC, DECISIONS_FILE, DELIVERY_FILE, HEADERS_MAGIC, INCIDENTS_FILE, INPUT_KEY_FILE,
    MACHINE_FILE, MANIFEST_FILE, PROOF_FILE, RESPONSES_FILE, SUPPLEMENT_FILE, UNSEALED_FILE,
    beats_name, headers_name, media_name, push_record,
};
use qorgan_protocol::evidence::{
    ChunkSeq, Content, FileEntry, Manifest, Receipt, ReceiptBatch, StreamId, Supplement, Unsealed,
    UnsealedEpoch,
};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_signing::{InputKey, Ring, SecretKey};

use super::EvidenceError;
use super::records;
use super::seal::{incidents_json, responses_log};
use crate::state::AppState;
use qorgan_recordings::{Objects, Part, RecordingError, parts};
use qorgan_store::audit;

/// What was exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exported {
    /// A sealed recording, with its root.
    Sealed(Sha256),
    /// What there is of a recording that was not sealed.
    Unsealed,
}

/// Whether an export lets its reader open the scored inputs, with templates of faces and prints of
/// voices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScoredInputs {
    /// They stay sealed: the export does not hold their key.
    Sealed,
    /// They can be opened: the export holds their key.
    WithKey,
}

/// Exports an attempt's recording to an empty or new folder, with the acts that were made on it
/// since it was sealed. That the key of scored inputs went out stands in the audit log before it
/// does.
///
/// # Errors
/// Where the folder is not empty, or the recording or an act cannot be read.
pub async fn export(
    state: &AppState,
    attempt: AttemptId,
    inputs: ScoredInputs,
    out: &Path,
) -> Result<Exported, EvidenceError> {
    empty_folder(out)?;
    let key = state.recordings.key(attempt).await?;
    let input_key = match inputs {
        ScoredInputs::Sealed => None,
        ScoredInputs::WithKey => Some(input_key_file(state, attempt, &key).await?),
    };
    let sealed: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM log_leaves WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_one(state.store.read())
            .await?;
    if sealed == 0 {
        unsealed(state, attempt, key, input_key, out).await?;
        return Ok(Exported::Unsealed);
    }
    let (signed, manifest) = manifest(state, attempt).await?;
    for file in &manifest.files {
        copy(state, &key, attempt, &file.name, file.len, out).await?;
    }
    write(out, MANIFEST_FILE, &codec::encode("manifest", &signed)?)?;
    let proof = proof(state, attempt).await?;
    write(out, PROOF_FILE, &codec::encode("inclusion proof", &proof)?)?;
    let mut added = crate::acts::sealed_files(state, attempt)
        .await
        .map_err(|source| EvidenceError::Act(Box::new(source)))?;
    let decisions = super::delivery::decisions_json(state, attempt).await?;
    added.extend(decisions.map(|json| (DECISIONS_FILE.to_owned(), json)));
    added.extend(input_key.map(|text| (INPUT_KEY_FILE.to_owned(), text)));
    add_supplement(state, &signed, attempt, out, added)?;
    Ok(Exported::Sealed(manifest.root))
}

/// Returns what the file of the scored inputs' key holds, once the audit log says that it goes out.
async fn input_key_file(
    state: &AppState,
    attempt: AttemptId,
    key: &SecretKey,
) -> Result<Vec<u8>, EvidenceError> {
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor: "command line",
        action: "input_key_exported",
        subject: &attempt.to_string(),
        detail: "",
    };
    let mut tx = state.store.begin().await?;
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    let key = InputKey::of_attempt(key, attempt);
    Ok(hex::encode(key.expose()).into_bytes())
}

/// Returns the signed manifest of a sealed recording.
pub(super) async fn manifest(
    state: &AppState,
    attempt: AttemptId,
) -> Result<(SignedBytes, Manifest), EvidenceError> {
    manifest_in(state, state.recordings.objects(), attempt).await
}

/// Returns a file of a sealed recording that a copy of the folder of recordings lacks, or holds a
/// part of; `None` where it is whole.
pub(crate) async fn missing_from(
    state: &AppState,
    root: &Path,
    attempt: AttemptId,
) -> Result<Option<String>, EvidenceError> {
    let objects = Objects::open(root)?;
    let key = state.recordings.key(attempt).await?;
    if objects.len(attempt, MANIFEST_FILE).await?.is_none() {
        return Ok(Some(MANIFEST_FILE.to_owned()));
    }
    let (_, manifest) = manifest_in(state, &objects, attempt).await?;
    for file in manifest.files {
        let whole = objects.len(attempt, &file.name).await? == Some(file.len);
        // The last block opens only where it is the file's last.
        let end = file.len.saturating_sub(1)..file.len;
        if !whole || objects.read(&key, attempt, &file.name, end).await.is_err() {
            return Ok(Some(file.name));
        }
    }
    Ok(None)
}

async fn manifest_in(
    state: &AppState,
    objects: &Objects,
    attempt: AttemptId,
) -> Result<(SignedBytes, Manifest), EvidenceError> {
    let key = state.recordings.key(attempt).await?;
    let len = objects
        .len(attempt, MANIFEST_FILE)
        .await?
        .ok_or(RecordingError::NoStream)?;
    let bytes = objects.read(&key, attempt, MANIFEST_FILE, 0..len).await?;
    let signed: SignedBytes = codec::decode("manifest", &bytes)?;
    let public = state.keys.public_key();
    let body = crypto::open(&Ring, &public, state.institution(), &signed)?;
    Ok((signed, body))
}

/// Returns every certificate of an epoch's agents, in the order of issue.
pub(super) async fn certificates(
    state: &AppState,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<Vec<SignedBytes>, EvidenceError> {
    let rows: Vec<(Vec<u8>, Option<Vec<u8>>)> = qorgan_store::query_as(
        "SELECT bytes, signature FROM agent_certificates WHERE attempt_id = $1 AND epoch = $2 \
         ORDER BY place",
    )
    .bind(attempt.to_string())
    .bind(i64::from(epoch.0))
    .fetch_all(state.store.read())
    .await?;
    let kept = |(bytes, signature): (Vec<u8>, Option<Vec<u8>>)| {
        // Only what was issued before signatures were kept has none. Ed25519 signs the same bytes
        // in the same way each time.
        let signature = signature.unwrap_or_else(|| state.keys.signing().sign(&bytes));
        SignedBytes { bytes, signature }
    };
    Ok(rows.into_iter().map(kept).collect())
}

/// Describes a file that is hashed whole.
pub(super) fn bytes_entry(name: &str, bytes: &[u8]) -> FileEntry {
    FileEntry {
        name: name.to_owned(),
        len: u64::try_from(bytes.len()).unwrap_or(u64::MAX),
        content: Content::Bytes(Ring.sha256(&[bytes])),
    }
}

async fn proof(state: &AppState, attempt: AttemptId) -> Result<InclusionProof, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT attempt_id, hash FROM log_leaves WHERE institution_id = $1 ORDER BY place",
    )
    .bind(state.institution().to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut leaves = Vec::with_capacity(rows.len());
    let mut index = None;
    for row in rows {
        if row.get::<String>("attempt_id")? == attempt.to_string() {
            index = Some(leaves.len());
        }
        let hash = qorgan_store::array("log leaf", &row.get::<Vec<u8>>("hash")?)?;
        leaves.push(Sha256(hash));
    }
    let index = index.ok_or(EvidenceError::NoAttempt)?;
    let path = inclusion_path(&Ring, &leaves, index).ok_or(EvidenceError::NoAttempt)?;
    let checkpoint = Checkpoint {
        size: u64::try_from(leaves.len()).unwrap_or(u64::MAX),
        root: tree_root(&Ring, &leaves),
        at: state.clock.wall(),
    };
    Ok(InclusionProof {
        index: u64::try_from(index).unwrap_or(u64::MAX),
        path,
        checkpoint: state.keys.sign(&checkpoint)?,
    })
}

fn add_supplement(
    state: &AppState,
    manifest: &SignedBytes,
    attempt: AttemptId,
    out: &Path,
    mut files: Vec<(String, Vec<u8>)>,
) -> Result<(), EvidenceError> {
    files.sort();
    let supplement = Supplement {
        attempt,
        manifest: Ring.sha256(&[&manifest.bytes]),
        at: state.clock.wall(),
        files: files
            .iter()
            .map(|(name, bytes)| bytes_entry(name, bytes))
            .collect(),
    };
    for (name, bytes) in &files {
        write(out, name, bytes)?;
    }
    let signed = state.keys.sign(&supplement)?;
    write(out, SUPPLEMENT_FILE, &codec::encode("supplement", &signed)?)
}

async fn copy(
    state: &AppState,
    key: &SecretKey,
    attempt: AttemptId,
    name: &str,
    len: u64,
    out: &Path,
) -> Result<(), EvidenceError> {
    let mut file = create(out, name)?;
    let mut offset = 0;
    while offset < len {
        let end = len.min(offset + COPY_BYTES);
        let objects = state.recordings.objects();
        let piece = objects.read(key, attempt, name, offset..end).await?;
        if piece.is_empty() {
            return Err(RecordingError::NoStream.into());
        }
        file.write_all(&piece)
            .map_err(|source| folder_error(&out.join(name), source))?;
        offset += u64::try_from(piece.len()).unwrap_or(u64::MAX);
    }
    Ok(())
}

/// Exports what is on disk of a recording that grows or was never finished.
async fn unsealed(
    state: &AppState,
    attempt: AttemptId,
    key: Arc<SecretKey>,
    input_key: Option<Vec<u8>>,
    out: &Path,
) -> Result<(), EvidenceError> {
    let rows: Vec<i64> = qorgan_store::query_scalar(
        "SELECT epoch FROM recordings WHERE attempt_id = $1 ORDER BY epoch",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut growing = Growing {
        state,
        attempt,
        key,
        out,
        files: Vec::new(),
    };
    let mut epochs = Vec::new();
    for epoch in rows
        .into_iter()
        .filter_map(|epoch| u32::try_from(epoch).ok())
    {
        epochs.push(growing.epoch(Epoch(epoch)).await?);
    }
    let incidents = incidents_json(state, attempt).await?;
    growing.whole(INCIDENTS_FILE, &incidents)?;
    let machine = super::machine::machine_json(state, attempt, &growing.key).await?;
    growing.whole(MACHINE_FILE, &machine)?;
    let responses = responses_log(state, attempt, &growing.key).await?;
    growing.whole(RESPONSES_FILE, &responses)?;
    let delivery = super::delivery::delivery_json(state, attempt).await?;
    growing.whole(DELIVERY_FILE, &delivery)?;
    if let Some(decisions) = super::delivery::decisions_json(state, attempt).await? {
        growing.whole(DECISIONS_FILE, &decisions)?;
    }
    if let Some(text) = input_key {
        growing.whole(INPUT_KEY_FILE, &text)?;
    }
    growing.files.sort_by(|a, b| a.name.cmp(&b.name));
    let signed = state.keys.sign(&Unsealed {
        attempt,
        at: state.clock.wall(),
        epochs,
        files: growing.files,
    })?;
    write(
        out,
        UNSEALED_FILE,
        &codec::encode("unsealed recording", &signed)?,
    )
}

/// A recording that is exported before it was sealed.
struct Growing<'a> {
    state: &'a AppState,
    attempt: AttemptId,
    key: Arc<SecretKey>,
    out: &'a Path,
    files: Vec<FileEntry>,
}

impl Growing<'_> {
    async fn epoch(&mut self, epoch: Epoch) -> Result<UnsealedEpoch, EvidenceError> {
        let folder = self.state.recordings.epoch_folder(self.attempt, epoch);
        // Beats first: a beat that is read covers only chunks that are then on disk too.
        let beat_next = self.beats(epoch).await?;
        let mut receipts = Vec::new();
        for part in parts(&folder)? {
            if let Part::Stream(stream) = part {
                receipts.extend(self.stream(epoch, stream).await?);
            }
        }
        let batch = ReceiptBatch {
            attempt: self.attempt,
            epoch,
            at: self.state.clock.wall(),
            receipts,
            beat_next,
        };
        Ok(UnsealedEpoch {
            certificates: certificates(self.state, self.attempt, epoch).await?,
            receipts: self.state.keys.sign(&batch)?,
        })
    }

    async fn beats(&mut self, epoch: Epoch) -> Result<u64, EvidenceError> {
        let name = beats_name(epoch);
        let path = self.out.join(&name);
        let mut file = create(self.out, &name)?;
        let mut running = Ring.begin();
        let (mut piece, mut len, mut beats) = (BEATS_MAGIC.to_vec(), 0, 0);
        let mut records = self.records(epoch, Part::Beats);
        loop {
            Ring.feed(&mut running, &piece);
            file.write_all(&piece)
                .map_err(|source| folder_error(&path, source))?;
            len += u64::try_from(piece.len()).unwrap_or(u64::MAX);
            piece.clear();
            let Some(pair) = records.recv().await else {
                break;
            };
            push_record(&mut piece, &pair?.1);
            beats += 1;
        }
        self.files.push(FileEntry {
            name,
            len,
            content: Content::Bytes(Ring.end(running)),
        });
        Ok(beats)
    }

    /// Writes a stream's media and its log; `None` for a stream of nothing.
    async fn stream(
        &mut self,
        epoch: Epoch,
        stream: StreamId,
    ) -> Result<Option<Receipt>, EvidenceError> {
        let mut records = self.records(epoch, Part::Stream(stream));
        let Some(mut pair) = records.recv().await else {
            return Ok(None);
        };
        let name = media_name(stream, epoch);
        let path = self.out.join(&name);
        let mut file = create(self.out, &name)?;
        let mut log = HEADERS_MAGIC.to_vec();
        let (mut len, mut chunks) = (0, 0);
        let head = loop {
            let (header, payload) = pair?;
            file.write_all(&payload)
                .map_err(|source| folder_error(&path, source))?;
            len += u64::try_from(payload.len()).unwrap_or(u64::MAX);
            push_record(&mut log, &header);
            chunks += 1;
            match records.recv().await {
                Some(next) => pair = next,
                None => break Ring.sha256(&[&header]),
            }
        };
        let log_name = headers_name(stream, epoch);
        self.files.push(FileEntry {
            name,
            len,
            content: Content::Chunks {
                log: log_name.clone(),
                chunks,
                head,
            },
        });
        self.whole(&log_name, &log)?;
        Ok(Some(Receipt {
            stream,
            seq: ChunkSeq(chunks - 1),
            header: head,
        }))
    }

    fn records(
        &self,
        epoch: Epoch,
        part: Part,
    ) -> tokio::sync::mpsc::Receiver<Result<records::Pair, RecordingError>> {
        let folder = self.state.recordings.epoch_folder(self.attempt, epoch);
        records::stream(folder, part, (self.attempt, epoch), Arc::clone(&self.key))
    }

    fn whole(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        write(self.out, name, bytes)?;
        self.files.push(bytes_entry(name, bytes));
        Ok(())
    }
}

fn empty_folder(out: &Path) -> Result<(), EvidenceError> {
    let wrap = |source| folder_error(out, source);
    qorgan_base::platform::private_folders(out).map_err(wrap)?;
    if std::fs::read_dir(out).map_err(wrap)?.next().is_some() {
        let source = std::io::Error::from(std::io::ErrorKind::DirectoryNotEmpty);
        return Err(folder_error(out, source));
    }
    Ok(())
}

fn create(out: &Path, name: &str) -> Result<File, EvidenceError> {
    let path = out.join(name);
    qorgan_base::platform::new_private_file(&path).map_err(|source| folder_error(&path, source))
}

fn write(out: &Path, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
    let mut file = create(out, name)?;
    file.write_all(bytes)
        .map_err(|source| folder_error(&out.join(name), source))
}

fn folder_error(path: &Path, source: std::io::Error) -> EvidenceError {
    EvidenceError::Folder {
        path: path.to_path_buf(),
        source,
    }
}

const COPY_BYTES: u64 = 4 * 1024 * 1024;
