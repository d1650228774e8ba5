//! Seals a recording: every file into the object store, a signed manifest over them, a leaf in the
//! Merkle log.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qorgan_protocol::attempt::{AttemptPhase, GatePolicy};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, SignedBytes, StreamHasher as _};
use qorgan_protocol::evidence::merkle::{LogLeaf, leaf_hash};
use qorgan_protocol::evidence::side_log::{
    BEATS_MAGIC, DELIVERY_FILE, HEADERS_MAGIC, INCIDENTS_FILE, MACHINE_FILE, MANIFEST_FILE,
    RESPONSES_FILE, RESPONSES_MAGIC, beats_name, headers_name, media_name, push_record,
};
use qorgan_protocol::evidence::{
    BeatBody, Content, EpochPart, FileEntry, Head, Manifest, StreamId, StreamPart, TimelineEntry,
    manifest_root,
};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::link::SourceStatement;
use qorgan_protocol::time::WallTime;
use qorgan_signing::{Ring, SecretKey};

use super::EvidenceError;
use super::clip::{Clips, Moment};
use super::due::due;
use super::records;
use crate::ingest::events::{self, EventsPlace, ReadError};
use crate::state::AppState;
use qorgan_recordings::{Part, parts};
use qorgan_store::StoreError;

/// Seals an attempt's recording; returns its root.
///
/// # Errors
/// `NotOver` before the attempt was submitted or terminated; or where disk or database fail, and
/// then nothing is sealed and it can be tried again.
//= tests/data/sop-2-28.md#13-recording
pub async fn seal(state: &AppState, attempt: AttemptId) -> Result<Sha256, EvidenceError> {
    let facts = Facts::read(state, attempt).await?;
    may_be_sealed(facts.phase)?;
    if let Some(root) = recording_root(state, attempt).await? {
        return after_seal(state, attempt, root).await;
    }
    state.registry.begin_sealing(attempt).await?;
    let sealed = seal_marked(state, attempt, facts).await;
    if sealed.is_err()
        && let Err(error) = state.registry.stop_sealing(attempt).await
    {
        tracing::error!(%attempt, %error, "Could not look whether a failed seal is in the log");
    }
    sealed
}

fn may_be_sealed(phase: AttemptPhase) -> Result<(), EvidenceError> {
    match phase {
        AttemptPhase::Submitted { .. } | AttemptPhase::Terminated { .. } => Ok(()),
        AttemptPhase::Scheduled
        | AttemptPhase::CheckIn { .. }
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Void { .. } => Err(EvidenceError::NotOver {
            phase: phase.word().to_owned(),
        }),
    }
}

/// Seals an attempt that takes no response any more.
async fn seal_marked(
    state: &AppState,
    attempt: AttemptId,
    facts: Facts,
) -> Result<Sha256, EvidenceError> {
    // Sealing copies what is stored, and leaves the disk's reserve too.
    state.recordings.room()?;
    // From here on no link is taken up and nothing appended.
    state.recordings.close(attempt).await?;
    let sealed = seal_closed(state, attempt, facts).await;
    // Where it is sealed, its phase refuses links; where not, what is late may still come.
    state.recordings.reopen(attempt);
    sealed
}

async fn seal_closed(
    state: &AppState,
    attempt: AttemptId,
    facts: Facts,
) -> Result<Sha256, EvidenceError> {
    for (epoch, _) in &facts.epochs {
        read_events(state, attempt, *epoch).await?;
    }
    state.registry.incidents_over(attempt).await?;
    let key = state.recordings.key(attempt).await?;
    let mut sealing = Sealing {
        state,
        attempt,
        key,
        files: Vec::new(),
    };
    let mut epochs = Vec::new();
    for (epoch, began) in facts.epochs {
        epochs.push(sealing.epoch(epoch, began).await?);
    }
    let incidents = incidents_json(state, attempt).await?;
    let incidents_hash = Ring.sha256(&[&incidents]);
    sealing.bytes(INCIDENTS_FILE, &incidents).await?;
    let machine = super::machine::machine_json(state, attempt, &sealing.key).await?;
    sealing.bytes(MACHINE_FILE, &machine).await?;
    let responses = responses_log(state, attempt, &sealing.key).await?;
    sealing.bytes(RESPONSES_FILE, &responses).await?;
    let delivery = super::delivery::delivery_json(state, attempt).await?;
    sealing.bytes(DELIVERY_FILE, &delivery).await?;
    sealing.files.sort_by(|a, b| a.name.cmp(&b.name));
    let manifest = Manifest {
        attempt,
        exam: qorgan_store::id(&facts.exam)?,
        sitting: qorgan_store::id(&facts.sitting)?,
        candidate: qorgan_store::id(&facts.candidate)?,
        policy: facts.policy,
        epochs,
        timeline: timeline(state, attempt).await?,
        root: manifest_root(&Ring, &sealing.files)?,
        files: sealing.files,
        incidents: incidents_hash,
        sealed: state.clock.wall(),
    };
    let signed = state.keys.sign(&manifest)?;
    let bytes = codec::encode("manifest", &signed)?;
    let objects = state.recordings.objects();
    objects
        .put_bytes(&sealing.key, attempt, MANIFEST_FILE, &bytes)
        .await?;
    append_leaf(state, &manifest, &signed).await?;
    after_seal(state, attempt, manifest.root).await
}

/// Makes incidents of what an agent stored that did not come back.
async fn read_events(
    state: &AppState,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<(), EvidenceError> {
    let read = events::read(state, (attempt, epoch), EventsPlace::default()).await;
    match read {
        Ok(_place) => Ok(()),
        Err(ReadError::Recording(error)) => Err(error.into()),
        Err(ReadError::Registry(error)) => Err(error.into()),
    }
}

/// Returns the root of an attempt's sealed recording; `None` where it is not sealed.
///
/// # Errors
/// Where the recording or the database cannot be read.
pub async fn recording_root(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Option<Sha256>, EvidenceError> {
    let sealed: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM log_leaves WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_one(state.store.read())
            .await?;
    if sealed == 0 {
        return Ok(None);
    }
    let (_, manifest) = super::export::manifest(state, attempt).await?;
    Ok(Some(manifest.root))
}

/// Seals what is due until `stop`: recordings that were delivered whole, and those whose agent did
/// not come back in time.
pub async fn run_sealer(state: AppState, stop: impl Future<Output = ()> + Send) {
    tokio::pin!(stop);
    // What failed waits longer each time, so that it takes no other's turn.
    let mut failed: BTreeMap<AttemptId, (u32, Instant)> = BTreeMap::new();
    loop {
        tokio::select! {
            () = &mut stop => return,
            () = tokio::time::sleep(LOOK_GAP) => {}
        }
        let due = match due(&state).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(%error, "Could not look for recordings to seal");
                continue;
            }
        };
        failed.retain(|attempt, _| due.contains(attempt));
        for attempt in due {
            let known = failed.get(&attempt).copied();
            let (times, again) = known.unwrap_or_else(|| (0, Instant::now()));
            if Instant::now() < again {
                continue;
            }
            match seal(&state, attempt).await {
                Ok(root) => {
                    failed.remove(&attempt);
                    tracing::info!(%attempt, %root, "Sealed a recording");
                }
                Err(error) => {
                    let wait = LOOK_GAP.saturating_mul(1 << times.min(FAILED_DOUBLES_MAX));
                    failed.insert(attempt, (times.saturating_add(1), Instant::now() + wait));
                    tracing::error!(%attempt, %error, "Could not seal a recording");
                }
            }
        }
    }
}

async fn after_seal(
    state: &AppState,
    attempt: AttemptId,
    root: Sha256,
) -> Result<Sha256, EvidenceError> {
    state.registry.sealed(attempt).await?;
    state.recordings.remove_open(attempt)?;
    state.live.forget(attempt);
    Ok(root)
}

struct Facts {
    phase: AttemptPhase,
    exam: String,
    sitting: String,
    candidate: String,
    policy: GatePolicy,
    epochs: Vec<(Epoch, WallTime)>,
}

impl Facts {
    async fn read(state: &AppState, attempt: AttemptId) -> Result<Self, EvidenceError> {
        let row = qorgan_store::query(
            "SELECT a.phase, a.person_id, a.sitting_id, a.watch, s.exam_id, s.policy FROM attempts a \
             JOIN sittings s ON s.id = a.sitting_id WHERE a.id = $1",
        )
        .bind(attempt.to_string())
        .fetch_optional(state.store.read())
        .await?
        .ok_or(EvidenceError::NoAttempt)?;
        let epochs = qorgan_store::query(
            "SELECT epoch, began_ms FROM recordings WHERE attempt_id = $1 ORDER BY epoch",
        )
        .bind(attempt.to_string())
        .fetch_all(state.store.read())
        .await?;
        let epoch = |row: &qorgan_store::Row| -> Result<_, EvidenceError> {
            let corrupt = |_wide| StoreError::Corrupt { what: "epoch" };
            let epoch = u32::try_from(row.get::<i64>("epoch")?).map_err(corrupt)?;
            Ok((Epoch(epoch), WallTime::from_unix_ms(row.get("began_ms")?)))
        };
        Ok(Self {
            phase: qorgan_store::json("phase", &row.get::<String>("phase")?)?,
            exam: row.get("exam_id")?,
            sitting: row.get("sitting_id")?,
            candidate: row.get("person_id")?,
            policy: policy_in_force(&row)?,
            epochs: epochs.iter().map(epoch).collect::<Result<_, _>>()?,
        })
    }
}

/// Returns the sitting's policy with what was watched for in this attempt.
fn policy_in_force(row: &qorgan_store::Row) -> Result<GatePolicy, EvidenceError> {
    let policy: GatePolicy = qorgan_store::json("policy", &row.get::<String>("policy")?)?;
    let watch: Option<String> = row.get("watch")?;
    Ok(match watch {
        Some(watch) => GatePolicy {
            watch: qorgan_store::json("watch policy", &watch)?,
            ..policy
        },
        None => policy,
    })
}

/// A recording that is being sealed.
struct Sealing<'a> {
    state: &'a AppState,
    attempt: AttemptId,
    key: Arc<SecretKey>,
    files: Vec<FileEntry>,
}

impl Sealing<'_> {
    async fn epoch(&mut self, epoch: Epoch, began: WallTime) -> Result<EpochPart, EvidenceError> {
        let folder = self.state.recordings.epoch_folder(self.attempt, epoch);
        let mut streams = Vec::new();
        for part in parts(&folder)? {
            match part {
                Part::Stream(stream) => streams.extend(self.stream(epoch, stream).await?),
                Part::Beats => {}
            }
        }
        let (beats, beat_head) = self.beats(epoch, &streams).await?;
        let statements: Option<String> = qorgan_store::query_scalar(
            "SELECT statements FROM epochs WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(self.attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(self.state.store.read())
        .await?;
        let sources: Vec<SourceStatement> =
            qorgan_store::json("source statement", statements.as_deref().unwrap_or("[]"))?;
        Ok(EpochPart {
            epoch,
            certificates: super::export::certificates(self.state, self.attempt, epoch).await?,
            sources,
            began,
            streams,
            beats,
            beat_head,
        })
    }

    /// Puts a stream's media and its log; `None` for a stream of nothing.
    async fn stream(
        &mut self,
        epoch: Epoch,
        stream: StreamId,
    ) -> Result<Option<StreamPart>, EvidenceError> {
        let folder = self.state.recordings.epoch_folder(self.attempt, epoch);
        let whose = (self.attempt, epoch);
        let mut records =
            records::stream(folder, Part::Stream(stream), whose, Arc::clone(&self.key));
        let objects = self.state.recordings.objects();
        let media = media_name(stream, epoch);
        let mut putting = objects.put(&self.key, self.attempt, &media).await?;
        let mut log = HEADERS_MAGIC.to_vec();
        let (mut chunks, mut head) = (0, Sha256::ZERO);
        while let Some(pair) = records.recv().await {
            let (header, payload) = pair?;
            push_record(&mut log, &header);
            head = Ring.sha256(&[&header]);
            chunks += 1;
            putting.write(&payload)?;
            putting.settle().await?;
        }
        let len = putting.finish().await?;
        if chunks == 0 {
            return Ok(None);
        }
        let log_name = headers_name(stream, epoch);
        self.files.push(FileEntry {
            name: media,
            len,
            content: Content::Chunks {
                log: log_name.clone(),
                chunks,
                head,
            },
        });
        self.bytes(&log_name, &log).await?;
        Ok(Some(StreamPart {
            stream,
            chunks,
            head,
        }))
    }

    /// Puts the beats, as far as each names only chunks that were put: nothing is appended while an
    /// attempt is sealed, and a beat is stored after what it names.
    async fn beats(
        &mut self,
        epoch: Epoch,
        streams: &[StreamPart],
    ) -> Result<(u64, Sha256), EvidenceError> {
        let here = |head: &Head| {
            let mut parts = streams.iter();
            parts.any(|part| part.stream == head.stream && head.seq.0 < part.chunks)
        };
        let folder = self.state.recordings.epoch_folder(self.attempt, epoch);
        let whose = (self.attempt, epoch);
        let mut records = records::stream(folder, Part::Beats, whose, Arc::clone(&self.key));
        let objects = self.state.recordings.objects();
        let name = beats_name(epoch);
        let mut putting = objects.put(&self.key, self.attempt, &name).await?;
        let mut running = Ring.begin();
        let mut piece = BEATS_MAGIC.to_vec();
        let (mut beats, mut head) = (0, Sha256::ZERO);
        while let Some(pair) = records.recv().await {
            let (_, beat) = pair?;
            let signed: SignedBytes = codec::decode("beat", &beat)?;
            let body: BeatBody = crypto::stored(&signed)?;
            if !body.heads.iter().all(here) {
                tracing::error!(attempt = %self.attempt, %epoch, beat = body.seq,
                    "A stored beat names a chunk that is not stored; the beats end before it");
                break;
            }
            push_record(&mut piece, &beat);
            Ring.feed(&mut running, &piece);
            putting.write(&piece)?;
            putting.settle().await?;
            piece.clear();
            head = Ring.sha256(&[&signed.bytes]);
            beats += 1;
        }
        Ring.feed(&mut running, &piece);
        putting.write(&piece)?;
        let len = putting.finish().await?;
        self.files.push(FileEntry {
            name,
            len,
            content: Content::Bytes(Ring.end(running)),
        });
        Ok((beats, head))
    }

    async fn bytes(&mut self, name: &str, bytes: &[u8]) -> Result<(), EvidenceError> {
        let objects = self.state.recordings.objects();
        objects
            .put_bytes(&self.key, self.attempt, name, bytes)
            .await?;
        self.files.push(super::export::bytes_entry(name, bytes));
        Ok(())
    }
}

async fn append_leaf(
    state: &AppState,
    manifest: &Manifest,
    signed: &SignedBytes,
) -> Result<(), EvidenceError> {
    let leaf = LogLeaf {
        attempt: manifest.attempt,
        root: manifest.root,
        manifest: Ring.sha256(&[&signed.bytes]),
    };
    let hash = leaf_hash(&Ring, &codec::encode("log leaf", &leaf)?);
    let institution = state.institution().to_string();
    let mut tx = state.store.begin().await?;
    qorgan_store::query(
        "INSERT INTO log_leaves (institution_id, place, attempt_id, hash, sealed_ms) \
         SELECT $1, COUNT(*), $2, $3, $4 FROM log_leaves WHERE institution_id = $1",
    )
    .bind(institution)
    .bind(manifest.attempt.to_string())
    .bind(hash.0.as_slice())
    .bind(manifest.sealed.unix_ms())
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

async fn timeline(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Vec<TimelineEntry>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT at_ms, phase FROM phase_changes WHERE attempt_id = $1 ORDER BY at_ms, id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut entries = Vec::with_capacity(rows.len());
    for row in rows {
        let phase: serde_json::Value = qorgan_store::json("phase", &row.get::<String>("phase")?)?;
        let word = |key| phase.get(key).and_then(serde_json::Value::as_str);
        entries.push(TimelineEntry {
            at: WallTime::from_unix_ms(row.get("at_ms")?),
            phase: word("phase").unwrap_or_default().to_owned(),
            cause: word("cause").unwrap_or_default().to_owned(),
        });
    }
    Ok(entries)
}

pub(super) async fn incidents_json(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Vec<u8>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT id, kind, severity, began_ms, ended_ms, began_us, stream, observations, detector, \
         detail, counts, epoch, score, threshold, models FROM incidents WHERE attempt_id = $1 ORDER BY began_ms, id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut incidents = Vec::with_capacity(rows.len());
    let mut clips = Clips::of(&state.recordings, attempt).await?;
    for row in rows {
        let stream: Option<String> = row.get("stream")?;
        let epoch = u32::try_from(row.get::<i64>("epoch")?).map_or(Epoch::FIRST, Epoch);
        let moment = Moment {
            epoch,
            stream: stream.as_deref(),
            began_us: u64::try_from(row.get::<i64>("began_us")?).unwrap_or_default(),
        };
        let clip = clips.find(moment).await?;
        incidents.push(serde_json::json!({
            "id": row.get::<String>("id")?,
            "kind": row.get::<String>("kind")?,
            "severity": row.get::<f64>("severity")?,
            "began_ms": row.get::<i64>("began_ms")?,
            "ended_ms": row.get::<Option<i64>>("ended_ms")?,
            "began_us": row.get::<i64>("began_us")?,
            "stream": stream,
            "epoch": epoch.0,
            "observations": row.get::<i64>("observations")?,
            "detector": row.get::<String>("detector")?,
            "detail": row.get::<String>("detail")?,
            "counts": row.get::<bool>("counts")?,
            "score": row.get::<Option<f64>>("score")?,
            "threshold": row.get::<Option<f64>>("threshold")?,
            "models": row.get::<String>("models")?,
            "clip": clip,
        }));
    }
    Ok(serde_json::to_vec_pretty(&incidents)?)
}

/// Returns every response's canonical bytes in order, and after them the newest receipt of each
/// epoch, which by the chain covers all before it.
pub(super) async fn responses_log(
    state: &AppState,
    attempt: AttemptId,
    key: &SecretKey,
) -> Result<Vec<u8>, EvidenceError> {
    let mut log = RESPONSES_MAGIC.to_vec();
    let rows = qorgan_store::query(
        "SELECT epoch, seq, sealed FROM responses WHERE attempt_id = $1 ORDER BY epoch, seq",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    for row in rows {
        let (epoch, seq): (i64, i64) = (row.get("epoch")?, row.get("seq")?);
        let whose = Epoch(u32::try_from(epoch).unwrap_or_default());
        let seq = u64::try_from(seq).unwrap_or_default();
        let place = crate::registry::stored_place(attempt, whose, seq);
        let opened = key.open(place.as_bytes(), &row.get::<Vec<u8>>("sealed")?);
        let entry = opened.map_err(|source| StoreError::Sealed {
            what: "response",
            source,
        })?;
        push_record(&mut log, &entry);
    }
    let receipts = qorgan_store::query(
        "SELECT bytes, signature FROM response_receipts r WHERE attempt_id = $1 AND next = \
         (SELECT MAX(next) FROM response_receipts o WHERE o.attempt_id = r.attempt_id \
         AND o.epoch = r.epoch) ORDER BY epoch, next, submitted",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    for row in receipts {
        let signed = SignedBytes {
            bytes: row.get("bytes")?,
            signature: row.get("signature")?,
        };
        push_record(&mut log, &codec::encode("response receipt", &signed)?);
    }
    Ok(log)
}

/// How often is looked for recordings to seal.
const LOOK_GAP: Duration = Duration::from_secs(2);
/// The wait after a failure is doubled so often: some ten minutes.
const FAILED_DOUBLES_MAX: u32 = 8;
