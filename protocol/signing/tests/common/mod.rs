//! A small recording in memory, signed with fixed test keys.

use std::collections::BTreeMap;

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::codec::encode;
use qorgan_protocol::crypto::{
    self, Hasher as _, PublicKey, Sha256, Signable, SignedBytes, Signer as _,
};
use qorgan_protocol::evidence::merkle::{self, Checkpoint, InclusionProof, LogLeaf};
use qorgan_protocol::evidence::side_log::{
    BEATS_MAGIC, HEADERS_MAGIC, INCIDENTS_FILE, MANIFEST_FILE, PROOF_FILE, RESPONSES_FILE,
    RESPONSES_MAGIC, SUPPLEMENT_FILE, UNSEALED_FILE, beats_name, headers_name, media_name,
    push_record,
};
use qorgan_protocol::evidence::verify::{FileSource, Report, SourceError, verify};
use qorgan_protocol::evidence::{
    AttemptKeyCertificate, AttemptRole, BeatBody, Content, EpochPart, FileEntry, Head, Manifest,
    Receipt, ReceiptBatch, StreamChain, StreamId, StreamPart, Supplement, TimelineEntry, Unsealed,
    UnsealedEpoch, manifest_root,
};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, ExamId, InstitutionId, PersonId, SittingId};
use qorgan_protocol::link::{SourceKind, SourceStatement};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::{Keys, Ring};

const SERVER: &str = "3053020101300506032b657004220420ae2a92916f0fbdcc1943b6ab9a487f65db4337210672653d84e46d5fdf0c402aa1230321004f5de24ef39b32e0672d09b203992721f4ec517c72e39fb7e542c6de2d0ec74d";
const AGENT: &str = "3053020101300506032b657004220420d2ba6ce1dc17979954c40c10037577404d8ff123242a4bcd0fe21b2c5fc07839a1230321005af53722ca64b6d35795cba575f8395ccef53d375d1c786d98081ab5fc059b08";

pub(crate) fn server() -> Keys {
    Keys::from_pkcs8(&hex::decode(SERVER).expect("hexadecimal")).expect("a test key")
}

pub(crate) fn agent() -> Keys {
    Keys::from_pkcs8(&hex::decode(AGENT).expect("hexadecimal")).expect("a test key")
}

pub(crate) fn wall(ms: i64) -> WallTime {
    WallTime::from_unix_ms(1_790_000_000_000 + ms)
}

pub(crate) fn attempt() -> AttemptId {
    AttemptId::new(wall(0), [1; 10])
}

pub(crate) fn institution() -> InstitutionId {
    InstitutionId::new(wall(0), [2; 10])
}

pub(crate) fn stream(word: &str) -> StreamId {
    StreamId::from_word(word).expect("a stream")
}

pub(crate) fn signed<T: Signable>(keys: &Keys, body: &T) -> SignedBytes {
    crypto::sign(keys, &Ring, institution(), body).expect("plain data")
}

pub(crate) fn certificate() -> AttemptKeyCertificate {
    AttemptKeyCertificate {
        attempt: attempt(),
        epoch: Epoch::FIRST,
        role: AttemptRole::Agent,
        key: agent().public_key(),
        boot: BootId([3; 16]),
        issued: wall(0),
        expires: wall(9_000_000),
    }
}

/// An export in memory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files(pub BTreeMap<String, Vec<u8>>);

impl FileSource for Files {
    fn names(&mut self) -> Result<Vec<String>, SourceError> {
        Ok(self.0.keys().cloned().collect())
    }

    fn len(&mut self, name: &str) -> Result<u64, SourceError> {
        Ok(u64::try_from(self.0.get(name).map_or(0, Vec::len)).expect("small"))
    }

    fn read(&mut self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, SourceError> {
        let bytes = self.0.get(name).map(Vec::as_slice).unwrap_or_default();
        let offset = usize::try_from(offset).expect("small").min(bytes.len());
        let len = buffer.len().min(bytes.len() - offset);
        buffer[..len].copy_from_slice(&bytes[offset..offset + len]);
        Ok(len)
    }
}

impl Files {
    pub(crate) fn check(&self) -> Report {
        self.check_with(&[server().public_key()])
    }

    pub(crate) fn check_with(&self, trust: &[PublicKey]) -> Report {
        self.check_against(trust, &[])
    }

    /// Checks against receipts that an agent kept.
    pub(crate) fn check_against(&self, trust: &[PublicKey], receipts: &[SignedBytes]) -> Report {
        verify(&Ring, trust, receipts, &mut self.clone()).expect("memory reads")
    }

    fn entry(&self, name: &str, content: Option<Content>) -> FileEntry {
        let bytes = &self.0[name];
        FileEntry {
            name: name.to_owned(),
            len: u64::try_from(bytes.len()).expect("small"),
            content: content.unwrap_or_else(|| Content::Bytes(Ring.sha256(&[bytes]))),
        }
    }
}

/// Chunks and beats of two streams: everything that an agent sends, and the files they make.
pub(crate) struct Recorded {
    pub(crate) files: Files,
    pub(crate) chains: Vec<StreamChain>,
    pub(crate) beats: u64,
    pub(crate) beat_head: Sha256,
}

pub(crate) fn recorded(chunks: u64, chunk_bytes: usize) -> Recorded {
    let mut files = Files::default();
    let mut chains = ["camera-0", "screen-0"]
        .map(|word| StreamChain::new(attempt(), Epoch::FIRST, stream(word)));
    let mut beats = (0, Sha256::ZERO);
    let mut beat_log = BEATS_MAGIC.to_vec();
    for chain in &chains {
        let log = headers_name(chain.stream, Epoch::FIRST);
        files.0.insert(log, HEADERS_MAGIC.to_vec());
        files
            .0
            .insert(media_name(chain.stream, Epoch::FIRST), Vec::new());
    }
    for number in 0..chunks {
        for (index, chain) in chains.iter_mut().enumerate() {
            let fill = u8::try_from((number * 2 + u64::try_from(index).expect("small")) % 251);
            let payload = vec![fill.expect("small"); chunk_bytes];
            let header = chain
                .append(&Ring, number * 500_000, 500_000, true, &payload)
                .expect("fits");
            let log = files
                .0
                .get_mut(&headers_name(chain.stream, Epoch::FIRST))
                .expect("made");
            push_record(log, &encode("header", &header).expect("plain data"));
            let media = files
                .0
                .get_mut(&media_name(chain.stream, Epoch::FIRST))
                .expect("made");
            media.extend_from_slice(&payload);
        }
        if number % 2 == 1 {
            let beat = beat(beats.0, beats.1, &chains);
            push_record(&mut beat_log, &encode("beat", &beat).expect("plain data"));
            beats = (beats.0 + 1, Ring.sha256(&[&beat.bytes]));
        }
    }
    files.0.insert(beats_name(Epoch::FIRST), beat_log);
    Recorded {
        files,
        chains: chains.to_vec(),
        beats: beats.0,
        beat_head: beats.1,
    }
}

pub(crate) fn beat(seq: u64, previous: Sha256, chains: &[StreamChain]) -> SignedBytes {
    let heads = chains.iter().map(|chain| Head {
        stream: chain.stream,
        seq: qorgan_protocol::evidence::ChunkSeq(chain.next.0 - 1),
        header: chain.head,
    });
    signed(
        &agent(),
        &BeatBody {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            seq,
            previous,
            boot: BootId([3; 16]),
            monotonic: Now::from_origin(core::time::Duration::from_secs(100 + seq)),
            wall: wall(0),
            heads: heads.collect(),
            sources: Vec::new(),
            spooled_bytes: 0,
        },
    )
}

fn entries(recorded: &Recorded) -> Vec<FileEntry> {
    let files = &recorded.files;
    let mut entries = Vec::new();
    for name in files.0.keys() {
        let content = recorded
            .chains
            .iter()
            .find(|chain| media_name(chain.stream, Epoch::FIRST) == *name)
            .map(|chain| Content::Chunks {
                log: headers_name(chain.stream, Epoch::FIRST),
                chunks: chain.next.0,
                head: chain.head,
            });
        entries.push(files.entry(name, content));
    }
    entries
}

pub(crate) fn manifest(recorded: &Recorded) -> Manifest {
    let files = &recorded.files;
    let entries = entries(recorded);
    let streams = recorded.chains.iter().map(|chain| StreamPart {
        stream: chain.stream,
        chunks: chain.next.0,
        head: chain.head,
    });
    Manifest {
        attempt: attempt(),
        exam: ExamId::new(wall(0), [4; 10]),
        sitting: SittingId::new(wall(0), [5; 10]),
        candidate: PersonId::new(wall(0), [6; 10]),
        policy: GatePolicy::remote(),
        epochs: vec![EpochPart {
            epoch: Epoch::FIRST,
            certificates: vec![signed(&server(), &certificate())],
            sources: vec![SourceStatement {
                source: stream("camera-0"),
                kind: SourceKind::Device,
                driver: "v4l2".to_owned(),
                label: "camera".to_owned(),
            }],
            began: wall(1_000),
            streams: streams.collect(),
            beats: recorded.beats,
            beat_head: recorded.beat_head,
        }],
        timeline: vec![TimelineEntry {
            at: wall(0),
            phase: "check_in".to_owned(),
            cause: String::new(),
        }],
        root: manifest_root(&Ring, &entries).expect("plain data"),
        files: entries,
        incidents: Ring.sha256(&[&files.0[INCIDENTS_FILE]]),
        sealed: wall(60_000),
    }
}

/// A sealed export with an act added later.
pub(crate) fn export(chunks: u64, chunk_bytes: usize) -> Files {
    sealed(recorded(chunks, chunk_bytes))
}

/// What a server seals and exports of what it says was recorded.
pub(crate) fn sealed(mut recorded: Recorded) -> Files {
    recorded
        .files
        .0
        .insert(INCIDENTS_FILE.to_owned(), b"[]".to_vec());
    let body = manifest(&recorded);
    let manifest = signed(&server(), &body);
    let leaf = LogLeaf {
        attempt: attempt(),
        root: body.root,
        manifest: Ring.sha256(&[&manifest.bytes]),
    };
    let leaf = merkle::leaf_hash(&Ring, &encode("leaf", &leaf).expect("plain data"));
    let leaves = [merkle::leaf_hash(&Ring, b"earlier"), leaf];
    let proof = InclusionProof {
        index: 1,
        path: merkle::inclusion_path(&Ring, &leaves, 1).expect("a leaf"),
        checkpoint: signed(
            &server(),
            &Checkpoint {
                size: 2,
                root: merkle::tree_root(&Ring, &leaves),
                at: wall(60_001),
            },
        ),
    };
    let mut files = recorded.files;
    files.0.insert("act-1.pdf".to_owned(), b"%PDF".to_vec());
    let supplement = Supplement {
        attempt: attempt(),
        manifest: Ring.sha256(&[&manifest.bytes]),
        at: wall(70_000),
        files: vec![files.entry("act-1.pdf", None)],
    };
    let mut put = |name: &str, bytes| files.0.insert(name.to_owned(), bytes);
    put(
        MANIFEST_FILE,
        encode("manifest", &manifest).expect("plain data"),
    );
    put(PROOF_FILE, encode("proof", &proof).expect("plain data"));
    let supplement = signed(&server(), &supplement);
    put(
        SUPPLEMENT_FILE,
        encode("supplement", &supplement).expect("plain data"),
    );
    files
}

/// What the server signed when it had all of it.
pub(crate) fn receipts(recorded: &Recorded) -> SignedBytes {
    signed(&server(), &batch(recorded))
}

pub(crate) fn batch(recorded: &Recorded) -> ReceiptBatch {
    let receipts = recorded.chains.iter().map(|chain| Receipt {
        stream: chain.stream,
        seq: qorgan_protocol::evidence::ChunkSeq(chain.next.0 - 1),
        header: chain.head,
    });
    ReceiptBatch {
        attempt: attempt(),
        epoch: Epoch::FIRST,
        at: wall(30_000),
        receipts: receipts.collect(),
        beat_next: recorded.beats,
    }
}

pub(crate) fn unsealed(chunks: u64) -> Files {
    let mut recorded = recorded(chunks, 100);
    let others = [
        (INCIDENTS_FILE, b"[{}]".to_vec()),
        (RESPONSES_FILE, RESPONSES_MAGIC.to_vec()),
    ];
    for (name, bytes) in others {
        recorded.files.0.insert(name.to_owned(), bytes);
    }
    let unsealed = Unsealed {
        attempt: attempt(),
        at: wall(31_000),
        files: entries(&recorded),
        epochs: vec![UnsealedEpoch {
            certificates: vec![signed(&server(), &certificate())],
            receipts: receipts(&recorded),
        }],
    };
    let mut files = recorded.files;
    let bytes = encode("unsealed", &signed(&server(), &unsealed)).expect("plain data");
    files.0.insert(UNSEALED_FILE.to_owned(), bytes);
    files
}
