//! The server's half of the link: believes nothing that is not proved.
//!
//! # Invariants
//! * Nothing but a hello over this connection's nonce, signed with a certified key of this attempt
//!   and epoch, is read first.
//! * A chunk is handed on only where it follows the newest one by hash, a beat only where it follows
//!   the newest beat, is signed, and every head that it names is a chunk that is here.
//! * What breaks a chain ends the link and is told apart from clumsiness
//!   ([`LinkRefusal::tampering`]).

use std::collections::{BTreeMap, VecDeque};

use super::{
    AgentFrame, Hello, LINK_VERSION, LINK_VERSION_MIN, RefusalReason, ResumePoint, ServerFrame,
    SourceStatement, read_chunk,
};
use crate::codec;
use crate::crypto::{self, KeyId, PublicKey, Sha256, Signable, SignedBytes, Verifier};
use crate::evidence::{BeatBody, ChunkHeader, ChunkSeq, StreamChain};
use crate::ids::{AttemptId, Epoch, InstitutionId};
use crate::limits::{STREAMS_MAX, THUMBNAIL_BYTES_MAX};
use crate::stream::{StreamId, StreamKind};
use crate::time::{Now, WallTime};

/// Where one stream stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamStanding {
    /// Its head.
    pub chain: StreamChain,
    /// The newest headers' places and hashes, oldest first; a beat may name any of them.
    pub recent: VecDeque<(ChunkSeq, Sha256)>,
}

/// Where the recording of one attempt and epoch stands on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Every stream.
    pub streams: BTreeMap<StreamId, StreamStanding>,
    /// The next beat's place.
    pub beat_next: u64,
    /// Hash of the newest beat, [`Sha256::ZERO`] when none.
    pub beat_head: Sha256,
}

impl Default for Standing {
    fn default() -> Self {
        Self {
            streams: BTreeMap::new(),
            beat_next: 0,
            beat_head: Sha256::ZERO,
        }
    }
}

/// One connection of an agent.
#[derive(Debug)]
pub struct LinkReceiver {
    institution: InstitutionId,
    attempt: AttemptId,
    epoch: Epoch,
    nonce: [u8; 32],
    /// The agent keys that were certified for this attempt and epoch (one a start of the agent).
    keys: BTreeMap<KeyId, PublicKey>,
    standing: Standing,
    greeted: bool,
    /// The newest version that both speak.
    version: u16,
}

/// What a frame brought.
#[derive(Debug)]
pub enum Received<'a> {
    /// The hello is believed; answer with [`LinkReceiver::welcome`].
    Hello(Hello),
    /// What the agent's clock showed when the welcome came.
    Clock(Now),
    /// What feeds the sources.
    Sources(Vec<SourceStatement>),
    /// A chunk that follows.
    Chunk {
        /// Its header.
        header: ChunkHeader,
        /// Its header's canonical bytes.
        header_bytes: &'a [u8],
        /// Its bytes.
        payload: &'a [u8],
    },
    /// A chunk or beat that is here already; it is to be forgotten.
    Duplicate,
    /// A beat that follows.
    Beat {
        /// What it states.
        body: Box<BeatBody>,
        /// As it was signed.
        signed: SignedBytes,
    },
    /// A small picture.
    Thumbnail {
        /// Which stream.
        stream: StreamId,
        /// The JPEG.
        jpeg: Vec<u8>,
    },
    /// Nothing more comes; every named stream is here up to its end.
    Finish,
}

/// Why the link ends.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{detail}")]
pub struct LinkRefusal {
    /// The word for the agent.
    pub reason: RefusalReason,
    /// For logs and incidents, in English; holds no personal data.
    pub detail: String,
    /// Whether what came contradicts what was signed.
    pub tampering: bool,
}

impl LinkRefusal {
    /// Returns the frame that tells the agent.
    #[must_use]
    pub fn frame(&self) -> ServerFrame {
        ServerFrame::Refused {
            reason: self.reason,
            detail: self.detail.clone(),
        }
    }

    /// Makes a refusal; a broken chain is tampering.
    #[must_use]
    pub fn new(reason: RefusalReason, detail: impl ToString) -> Self {
        Self {
            reason,
            detail: detail.to_string(),
            tampering: matches!(reason, RefusalReason::BrokenChain),
        }
    }
}

impl LinkReceiver {
    /// Makes the half of one connection whose token names `attempt` and `epoch`.
    #[must_use]
    pub fn new(
        verifier: &impl Verifier,
        (institution, attempt, epoch): (InstitutionId, AttemptId, Epoch),
        keys: &[PublicKey],
        nonce: [u8; 32],
        standing: Standing,
    ) -> Self {
        Self {
            institution,
            attempt,
            epoch,
            nonce,
            keys: keys.iter().map(|key| (key.id(verifier), *key)).collect(),
            standing,
            greeted: false,
            version: LINK_VERSION,
        }
    }

    /// Takes up the recording where it stands on disk, after the hello.
    pub fn resume(&mut self, standing: Standing) {
        self.standing = standing;
    }

    /// Returns the answer to a believed hello.
    #[must_use]
    pub fn welcome(&self, now: WallTime) -> ServerFrame {
        let resume = self.standing.streams.values().map(|stream| ResumePoint {
            stream: stream.chain.stream,
            next: stream.chain.next,
            head: stream.chain.head,
        });
        ServerFrame::Welcome {
            version: self.version,
            now,
            resume: resume.collect(),
            beat_next: self.standing.beat_next,
            beat_head: self.standing.beat_head,
        }
    }

    /// Reads one binary message.
    ///
    /// # Errors
    /// [`LinkRefusal`]: the link must end.
    pub fn handle<'a>(
        &mut self,
        verifier: &impl Verifier,
        bytes: &'a [u8],
    ) -> Result<Received<'a>, LinkRefusal> {
        let bad = |error| LinkRefusal::new(RefusalReason::BadFrame, error);
        if self.greeted {
            if let Some(chunk) = read_chunk(bytes).map_err(bad)? {
                return self.chunk(verifier, chunk.header, chunk.header_bytes, chunk.payload);
            }
        } else if bytes.first() != Some(&HELLO_TAG) {
            return Err(LinkRefusal::new(RefusalReason::BadFrame, "no hello came"));
        }
        let frame = codec::decode::<AgentFrame>("agent frame", bytes).map_err(bad)?;
        match frame {
            AgentFrame::Hello(signed) if !self.greeted => {
                let hello = self.hello(verifier, &signed)?;
                self.greeted = true;
                self.version = hello.version_max.min(LINK_VERSION);
                Ok(Received::Hello(hello))
            }
            AgentFrame::Sources(sources) => sources_bounded(sources),
            AgentFrame::Beat(signed) => self.beat(verifier, signed),
            AgentFrame::Thumbnail { stream, jpeg } => thumbnail_bounded(stream, jpeg),
            AgentFrame::Finish { last } => self.finish(&last),
            AgentFrame::Clock { at } => Ok(Received::Clock(at)),
            AgentFrame::Hello(_) | AgentFrame::Chunk { .. } => Err(LinkRefusal::new(
                RefusalReason::BadFrame,
                "the frame came out of order",
            )),
        }
    }

    fn hello(&self, verifier: &impl Verifier, signed: &SignedBytes) -> Result<Hello, LinkRefusal> {
        let refuse = |reason, detail: &str| Err(LinkRefusal::new(reason, detail));
        let hello = self.open::<Hello>(verifier, signed)?;
        if hello.nonce != self.nonce {
            return refuse(
                RefusalReason::NotProved,
                "the hello is of another connection",
            );
        }
        if hello.attempt != self.attempt {
            return refuse(RefusalReason::NotProved, "the hello is of another attempt");
        }
        if hello.epoch != self.epoch {
            return refuse(RefusalReason::OldEpoch, "the hello is of another epoch");
        }
        if hello.version_min > LINK_VERSION || hello.version_max < LINK_VERSION_MIN {
            return refuse(RefusalReason::Version, "no common version");
        }
        Ok(hello)
    }

    /// Opens what one of the certified keys signed.
    fn open<T: Signable>(
        &self,
        verifier: &impl Verifier,
        signed: &SignedBytes,
    ) -> Result<T, LinkRefusal> {
        let not_proved = |detail: String| LinkRefusal::new(RefusalReason::NotProved, detail);
        let claim = signed
            .claim()
            .map_err(|error| not_proved(error.to_string()))?;
        let Some(key) = self.keys.get(&claim.key) else {
            return Err(not_proved(format!(
                "the {} is signed with a key that was not certified for this attempt and epoch",
                T::NAME
            )));
        };
        crypto::open(verifier, key, self.institution, signed)
            .map_err(|error| not_proved(error.to_string()))
    }

    fn chunk<'a>(
        &mut self,
        verifier: &impl Verifier,
        header: ChunkHeader,
        header_bytes: &'a [u8],
        payload: &'a [u8],
    ) -> Result<Received<'a>, LinkRefusal> {
        let (attempt, epoch, id) = (self.attempt, self.epoch, header.stream);
        if (header.attempt, header.epoch) != (attempt, epoch) {
            return Err(LinkRefusal::new(
                RefusalReason::BrokenChain,
                format!(
                    "chunk {} of {id} belongs to another attempt or epoch",
                    header.seq
                ),
            ));
        }
        let known = self.standing.streams.len();
        let stream = match self.standing.streams.entry(id) {
            std::collections::btree_map::Entry::Occupied(stream) => stream.into_mut(),
            std::collections::btree_map::Entry::Vacant(place) => {
                if known >= STREAMS_MAX {
                    return Err(LinkRefusal::new(
                        RefusalReason::BadFrame,
                        format!("more than {STREAMS_MAX} streams"),
                    ));
                }
                place.insert(StreamStanding {
                    chain: StreamChain::new(attempt, epoch, id),
                    recent: VecDeque::new(),
                })
            }
        };
        if header.seq < stream.chain.next {
            return Ok(Received::Duplicate);
        }
        stream
            .chain
            .accept(verifier, &header, payload)
            .map_err(|error| LinkRefusal::new(RefusalReason::BrokenChain, error))?;
        stream.recent.push_back((header.seq, stream.chain.head));
        while stream.recent.len() > RECENT_HEADERS {
            stream.recent.pop_front();
        }
        Ok(Received::Chunk {
            header,
            header_bytes,
            payload,
        })
    }

    fn beat<'a>(
        &mut self,
        verifier: &impl Verifier,
        signed: SignedBytes,
    ) -> Result<Received<'a>, LinkRefusal> {
        let broken = |detail: String| Err(LinkRefusal::new(RefusalReason::BrokenChain, detail));
        let body = self.open::<BeatBody>(verifier, &signed)?;
        let seq = body.seq;
        if (body.attempt, body.epoch) != (self.attempt, self.epoch) {
            return broken(format!("beat {seq} belongs to another attempt or epoch"));
        }
        if seq < self.standing.beat_next {
            return Ok(Received::Duplicate);
        }
        if seq != self.standing.beat_next || body.previous != self.standing.beat_head {
            return broken(format!(
                "beat {seq} does not follow; {} was expected",
                self.standing.beat_next
            ));
        }
        let sorted = body.heads.is_sorted_by(|a, b| a.stream < b.stream)
            && body.sources.is_sorted_by(|a, b| a.source < b.source);
        if !sorted || body.heads.len() > STREAMS_MAX || body.sources.len() > 2 * STREAMS_MAX {
            return broken(format!("beat {seq} is not in order"));
        }
        for head in &body.heads {
            let here = self
                .standing
                .streams
                .get(&head.stream)
                .is_some_and(|stream| stream.recent.contains(&(head.seq, head.header)));
            if !here {
                return broken(format!(
                    "beat {seq} names a chunk {} of {} that is not here",
                    head.seq, head.stream
                ));
            }
        }
        self.standing.beat_next = seq.saturating_add(1);
        self.standing.beat_head = verifier.sha256(&[&signed.bytes]);
        Ok(Received::Beat {
            body: Box::new(body),
            signed,
        })
    }

    fn finish<'a>(&self, last: &[ResumePoint]) -> Result<Received<'a>, LinkRefusal> {
        for point in last {
            let here = self
                .standing
                .streams
                .get(&point.stream)
                .is_some_and(|stream| {
                    (stream.chain.next, stream.chain.head) == (point.next, point.head)
                });
            if !here {
                return Err(LinkRefusal::new(
                    RefusalReason::BrokenChain,
                    format!("the end of {} is not the one that is here", point.stream),
                ));
            }
        }
        Ok(Received::Finish)
    }
}

fn sources_bounded<'a>(sources: Vec<SourceStatement>) -> Result<Received<'a>, LinkRefusal> {
    let fits = sources.len() <= 2 * STREAMS_MAX
        && sources.iter().all(|source| {
            source.driver.len() <= SOURCE_TEXT_BYTES_MAX
                && source.label.len() <= SOURCE_TEXT_BYTES_MAX
        });
    if fits {
        Ok(Received::Sources(sources))
    } else {
        Err(LinkRefusal::new(
            RefusalReason::BadFrame,
            "too many sources, or texts too long",
        ))
    }
}

fn thumbnail_bounded<'a>(stream: StreamId, jpeg: Vec<u8>) -> Result<Received<'a>, LinkRefusal> {
    let pictures = match stream.kind {
        StreamKind::Camera | StreamKind::Screen => true,
        StreamKind::Microphone | StreamKind::Events => false,
    };
    if pictures && jpeg.len() <= THUMBNAIL_BYTES_MAX && jpeg.starts_with(&JPEG_START) {
        Ok(Received::Thumbnail { stream, jpeg })
    } else {
        Err(LinkRefusal::new(
            RefusalReason::BadFrame,
            "the thumbnail is too large or no JPEG",
        ))
    }
}

/// The place of `Hello` among the variants of `AgentFrame`.
const HELLO_TAG: u8 = 0;
/// How many of a stream's newest headers a beat may name while the link is up.
const RECENT_HEADERS: usize = 16;
/// The longest name of a driver or device, in bytes.
const SOURCE_TEXT_BYTES_MAX: usize = 512;
const JPEG_START: [u8; 3] = [0xff, 0xd8, 0xff];
