//! What waits for a receipt, in the order in which it was spooled.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::ResumePoint;
use crate::crypto::Sha256;
use crate::evidence::{ChunkHeader, ChunkSeq};
use crate::limits::{UNRECEIPTED_BYTES_MAX, UNRECEIPTED_CHUNKS_MAX};
use crate::stream::StreamId;

/// Chunks of a stream that are gone: what waits behind them follows nothing that the server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Which stream.
    pub stream: StreamId,
    /// The first chunk that is missing.
    pub expected: ChunkSeq,
    /// Hash of the header before it, [`Sha256::ZERO`] where there is none.
    pub head: Sha256,
    /// The oldest chunk behind the gap.
    pub oldest: ChunkSeq,
}

/// The queue. Nothing in it is sent that would not follow what the server has.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// Oldest first; bounded by the spool's size.
    entries: VecDeque<Entry>,
    /// How many entries of the front were sent over this connection.
    sent: usize,
    sent_chunks: usize,
    sent_bytes: usize,
    /// What comes next of each stream, once the server has told where it stands.
    next: Option<BTreeMap<StreamId, ChunkSeq>>,
    /// Streams with a gap, whose chunks behind it are to be chained anew.
    torn: BTreeSet<StreamId>,
}

#[derive(Debug, Clone, Copy)]
enum Entry {
    Chunk {
        stream: StreamId,
        seq: ChunkSeq,
        header: Sha256,
        len: usize,
    },
    Beat {
        seq: u64,
    },
}

/// How the queue lies behind what the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Aligned {
    /// What is missing.
    pub(super) gaps: Vec<Gap>,
    /// Where each stream ends with what follows in the queue.
    pub(super) ends: Vec<ResumePoint>,
}

/// What is to be sent next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Chunk { stream: StreamId, seq: ChunkSeq },
    Beat { seq: u64 },
}

/// What became of a chunk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    /// It follows what is known.
    Follows,
    /// It lies behind a gap that is told already, and is chained anew with what else does.
    LeftInSpool,
    /// It does not follow: the server is to be asked where it stands.
    Breaks,
}

impl Queue {
    pub(super) const fn new() -> Self {
        Self {
            entries: VecDeque::new(),
            sent: 0,
            sent_chunks: 0,
            sent_bytes: 0,
            next: None,
            torn: BTreeSet::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Tells whether something was sent and has no receipt yet.
    pub(super) const fn is_waiting(&self) -> bool {
        self.sent > 0
    }

    /// Everything is to be sent again.
    pub(super) const fn rewind(&mut self) {
        (self.sent, self.sent_chunks, self.sent_bytes) = (0, 0, 0);
    }

    /// Takes a chunk.
    pub(super) fn push_chunk(&mut self, header: &ChunkHeader, hash: Sha256) -> Pushed {
        let (stream, seq) = (header.stream, header.seq);
        let follows = self.next.as_mut().is_none_or(|next| {
            let next = next.entry(stream).or_insert(ChunkSeq(0));
            let follows = seq == *next;
            if follows {
                *next = seq.next();
            }
            follows
        });
        if !follows && self.torn.contains(&stream) {
            return Pushed::LeftInSpool;
        }
        self.entries.push_back(Entry::Chunk {
            stream,
            seq,
            header: hash,
            len: usize::try_from(header.payload_len).unwrap_or(usize::MAX),
        });
        if follows {
            Pushed::Follows
        } else {
            Pushed::Breaks
        }
    }

    /// Takes a beat. One that may name a chunk behind a gap is of no use to anybody.
    pub(super) fn push_beat(&mut self, seq: u64) {
        if self.torn.is_empty() {
            self.entries.push_back(Entry::Beat { seq });
        }
    }

    /// What was behind the gaps is chained anew, and was taken.
    pub(super) fn mended(&mut self) {
        self.torn.clear();
    }

    /// A chunk cannot be read any more.
    pub(super) fn lose(&mut self, stream: StreamId, seq: ChunkSeq) {
        self.forget(|entry| {
            matches!(entry, Entry::Chunk { stream: of, seq: at, .. }
                if (*of, *at) == (stream, seq))
        });
    }

    /// Forgets a stream's chunks up to and with one; tells whether there was any.
    pub(super) fn release(&mut self, stream: StreamId, through: ChunkSeq) -> bool {
        self.forget(|entry| {
            matches!(entry, Entry::Chunk { stream: of, seq, .. }
                if *of == stream && *seq <= through)
        })
    }

    /// Forgets the beats before one; tells whether there was any.
    pub(super) fn release_beats(&mut self, before: u64) -> bool {
        self.forget(|entry| matches!(entry, Entry::Beat { seq } if *seq < before))
    }

    /// Tells whether this very chunk was sent over this connection.
    pub(super) fn was_sent(&self, (stream, seq, header): (StreamId, ChunkSeq, Sha256)) -> bool {
        self.entries.iter().take(self.sent).any(|entry| {
            matches!(entry, Entry::Chunk { stream: of, seq: at, header: hash, .. }
                if (*of, *at, *hash) == (stream, seq, header))
        })
    }

    /// Takes where the server stands. Of a stream with a gap nothing behind it stays, and no beat at
    /// all, for it may name a chunk that never comes.
    pub(super) fn align(&mut self, resume: &[ResumePoint]) -> Aligned {
        let points = resume
            .iter()
            .map(|point| (point.stream, (point.next, point.head)));
        let mut ends: BTreeMap<StreamId, (ChunkSeq, Sha256)> = points.collect();
        let mut gaps: BTreeMap<StreamId, Gap> = BTreeMap::new();
        for entry in &self.entries {
            let Entry::Chunk {
                stream,
                seq,
                header,
                ..
            } = entry
            else {
                continue;
            };
            let (expected, head) = ends.entry(*stream).or_insert((ChunkSeq(0), Sha256::ZERO));
            if gaps.contains_key(stream) {
                continue;
            }
            if *seq == *expected {
                (*expected, *head) = (seq.next(), *header);
            } else {
                let gap = Gap {
                    stream: *stream,
                    expected: *expected,
                    head: *head,
                    oldest: *seq,
                };
                gaps.insert(*stream, gap);
            }
        }
        if !gaps.is_empty() {
            self.forget(|entry| match entry {
                Entry::Beat { .. } => true,
                Entry::Chunk { stream, seq, .. } => {
                    gaps.get(stream).is_some_and(|gap| *seq >= gap.expected)
                }
            });
        }
        let next = ends.iter().map(|(stream, (next, _head))| (*stream, *next));
        self.next = Some(next.collect());
        self.torn.extend(gaps.keys());
        let end = |(stream, (next, head))| ResumePoint { stream, next, head };
        Aligned {
            gaps: gaps.into_values().collect(),
            ends: ends.into_iter().map(end).collect(),
        }
    }

    /// Returns the next thing to send, within what may be on the way.
    pub(super) fn send_next(&mut self) -> Option<Next> {
        let next = match *self.entries.get(self.sent)? {
            Entry::Beat { seq } => Next::Beat { seq },
            Entry::Chunk {
                stream, seq, len, ..
            } => {
                let full = self.sent_chunks >= UNRECEIPTED_CHUNKS_MAX
                    || (self.sent_chunks > 0 && self.sent_bytes + len > UNRECEIPTED_BYTES_MAX);
                if full {
                    return None;
                }
                self.sent_chunks += 1;
                self.sent_bytes += len;
                Next::Chunk { stream, seq }
            }
        };
        self.sent += 1;
        Some(next)
    }

    fn forget(&mut self, gone: impl Fn(&Entry) -> bool) -> bool {
        let before = self.entries.len();
        let (mut place, sent) = (0, self.sent);
        let (mut entries, mut chunks, mut bytes) = (0, 0, 0);
        self.entries.retain(|entry| {
            let was_sent = place < sent;
            place += 1;
            let stays = !gone(entry);
            if was_sent && stays {
                entries += 1;
                if let Entry::Chunk { len, .. } = entry {
                    chunks += 1;
                    bytes += len;
                }
            }
            stays
        });
        (self.sent, self.sent_chunks, self.sent_bytes) = (entries, chunks, bytes);
        self.entries.len() < before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AttemptId, Epoch};
    use crate::stream::StreamKind;
    use crate::time::WallTime;

    #[test]
    fn what_follows_is_sent_in_order_and_no_gap_is_told() {
        let mut queue = Queue::new();
        for seq in 3..6 {
            assert_eq!(queue.push_chunk(&header(seq), hash(seq)), Pushed::Follows);
        }
        let aligned = queue.align(&[point(3)]);
        assert_eq!((aligned.gaps, aligned.ends), (Vec::new(), vec![point(6)]));
        assert_eq!(queue.push_chunk(&header(6), hash(6)), Pushed::Follows);
        assert_eq!(sent(&mut queue), [3, 4, 5, 6]);
    }

    #[test]
    fn nothing_behind_a_gap_is_sent_until_it_is_chained_anew() {
        let mut queue = Queue::new();
        for seq in [3, 4, 7, 8] {
            queue.push_chunk(&header(seq), hash(seq));
        }
        queue.push_beat(9);
        let gap = Gap {
            stream: STREAM,
            expected: ChunkSeq(5),
            head: hash(4),
            oldest: ChunkSeq(7),
        };
        let aligned = queue.align(&[point(3)]);
        assert_eq!((aligned.gaps, aligned.ends), (vec![gap], vec![point(5)]));
        // What was made before the gap was known.
        assert_eq!(queue.push_chunk(&header(9), hash(9)), Pushed::LeftInSpool);
        queue.push_beat(10);
        assert_eq!(queue.push_chunk(&header(5), hash(5)), Pushed::Follows);
        queue.mended();
        queue.push_beat(9);
        assert_eq!(sent(&mut queue), [3, 4, 5]);
        assert_eq!(queue.send_next(), Some(Next::Beat { seq: 9 }));
        assert_eq!(queue.send_next(), None);
    }

    #[test]
    fn a_chunk_that_does_not_follow_is_found_when_the_server_is_asked() {
        let mut queue = Queue::new();
        assert_eq!(queue.align(&[point(3)]).gaps, []);
        assert_eq!(queue.push_chunk(&header(9), hash(9)), Pushed::Breaks);
        let [gap] = queue.align(&[point(3)]).gaps[..] else {
            panic!("a gap")
        };
        assert_eq!((gap.expected, gap.head), (ChunkSeq(3), hash(2)));
        assert_eq!(queue.send_next(), None);
    }

    #[test]
    fn a_chunk_that_cannot_be_read_leaves_a_gap() {
        let mut queue = Queue::new();
        for seq in 0..3 {
            queue.push_chunk(&header(seq), hash(seq));
        }
        assert_eq!(queue.align(&[]).gaps, []);
        assert_eq!(sent(&mut queue), [0, 1, 2]);
        queue.lose(STREAM, ChunkSeq(1));
        queue.rewind();
        let [gap] = queue.align(&[]).gaps[..] else {
            panic!("a gap")
        };
        assert_eq!((gap.expected, gap.oldest), (ChunkSeq(1), ChunkSeq(2)));
        assert_eq!(sent(&mut queue), [0]);
    }

    const STREAM: StreamId = StreamId {
        kind: StreamKind::Camera,
        index: 0,
    };

    fn header(seq: u64) -> ChunkHeader {
        ChunkHeader {
            attempt: AttemptId::new(WallTime::from_unix_ms(1), [1; 10]),
            epoch: Epoch::FIRST,
            stream: STREAM,
            seq: ChunkSeq(seq),
            start_us: 0,
            duration_us: 1,
            sync: true,
            payload_len: 1,
            payload: Sha256::ZERO,
            previous: Sha256::ZERO,
        }
    }

    fn hash(seq: u64) -> Sha256 {
        Sha256([u8::try_from(seq + 1).expect("small"); 32])
    }

    fn point(next: u64) -> ResumePoint {
        ResumePoint {
            stream: STREAM,
            next: ChunkSeq(next),
            head: hash(next - 1),
        }
    }

    fn sent(queue: &mut Queue) -> Vec<u64> {
        let mut seqs = Vec::new();
        while let Some(Entry::Chunk { .. }) = queue.entries.get(queue.sent) {
            let Some(Next::Chunk { seq, .. }) = queue.send_next() else {
                break;
            };
            seqs.push(seq.0);
        }
        seqs
    }
}
