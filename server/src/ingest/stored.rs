//! What was verified and is on its way to disk. The gate is told of it once it is there: a stream that
//! the disk does not take is not live.

use std::collections::VecDeque;

use qorgan_protocol::evidence::{BeatBody, ChunkHeader};
use qorgan_protocol::ids::AttemptId;

use crate::registry::{Registry, RegistryError};
use qorgan_recordings::Committed;

/// Something that the gate is told of once it is stored.
#[derive(Debug)]
pub(super) enum Waits {
    /// A chunk, with what its samples are.
    Chunk {
        header: ChunkHeader,
        audio: bool,
        video: bool,
    },
    /// A beat.
    Beat(Box<BeatBody>),
}

impl Waits {
    fn is_in(&self, committed: &Committed) -> bool {
        match self {
            Self::Chunk { header, .. } => {
                let stored = committed.streams.get(&header.stream);
                stored.is_some_and(|(next, _head)| *next > header.seq)
            }
            Self::Beat(body) => committed.beat_next > body.seq,
        }
    }
}

/// What one link sent and the disk has not told of yet, in order. The queue on the way to disk is
/// bounded in bytes, and this one with it.
#[derive(Debug, Default)]
pub(super) struct Pending(VecDeque<Waits>);

impl Pending {
    /// Remembers what was handed to the disk.
    pub(super) fn push(&mut self, waits: Waits) {
        self.0.push_back(waits);
    }

    /// Tells the gate of everything that is stored by now; says whether the link must be made anew, for
    /// the agent's clock left the one that it told.
    pub(super) async fn tell(
        &mut self,
        registry: &Registry,
        attempt: AttemptId,
        committed: &Committed,
    ) -> Result<bool, RegistryError> {
        let mut parted = false;
        while let Some(stored) = self.next_in(committed) {
            match stored {
                Waits::Chunk {
                    header,
                    audio,
                    video,
                } => {
                    registry.chunk_seen(attempt, &header, audio, video).await?;
                }
                Waits::Beat(body) => parted |= registry.beat_seen(attempt, &body).await?,
            }
        }
        Ok(parted)
    }

    /// Returns the oldest, once it is stored: a beat speaks of the chunks before it.
    fn next_in(&mut self, committed: &Committed) -> Option<Waits> {
        self.0.pop_front_if(|waits| waits.is_in(committed))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use qorgan_protocol::crypto::Sha256;
    use qorgan_protocol::evidence::{ChunkSeq, StreamId};
    use qorgan_protocol::ids::{BootId, Epoch};
    use qorgan_protocol::time::{Now, WallTime};

    use super::*;

    fn chunk(word: &str, seq: u64) -> Waits {
        Waits::Chunk {
            header: ChunkHeader {
                attempt: attempt(),
                epoch: Epoch::FIRST,
                stream: StreamId::from_word(word).expect("a stream"),
                seq: ChunkSeq(seq),
                start_us: 0,
                duration_us: 500_000,
                sync: true,
                payload_len: 1,
                payload: Sha256::ZERO,
                previous: Sha256::ZERO,
            },
            audio: false,
            video: true,
        }
    }

    fn beat(seq: u64) -> Waits {
        Waits::Beat(Box::new(BeatBody {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            seq,
            previous: Sha256::ZERO,
            boot: BootId([0; 16]),
            monotonic: Now::default(),
            wall: WallTime::default(),
            heads: Vec::new(),
            sources: Vec::new(),
            spooled_bytes: 0,
        }))
    }

    fn attempt() -> AttemptId {
        AttemptId::new(WallTime::from_unix_ms(1), [1; 10])
    }

    fn on_disk(screen: u64, camera: u64, beats: u64) -> Committed {
        let next = |word: &str, seq| {
            let stream = StreamId::from_word(word).expect("a stream");
            (stream, (ChunkSeq(seq), Sha256::ZERO))
        };
        Committed {
            streams: BTreeMap::from([next("screen-0", screen), next("camera-0", camera)]),
            beat_next: beats,
            beat_head: Sha256::ZERO,
            failed: false,
        }
    }

    #[test]
    fn what_is_not_on_disk_is_not_told_and_nothing_overtakes_it() {
        let mut pending = Pending::default();
        for waits in [chunk("screen-0", 0), chunk("camera-0", 0), beat(0)] {
            pending.push(waits);
        }

        assert!(
            pending.next_in(&on_disk(0, 1, 1)).is_none(),
            "the screen waits"
        );
        let screen = pending.next_in(&on_disk(1, 0, 1));
        assert!(matches!(screen, Some(Waits::Chunk { .. })));
        assert!(
            pending.next_in(&on_disk(1, 0, 1)).is_none(),
            "the camera waits"
        );
        assert!(pending.next_in(&on_disk(1, 1, 1)).is_some());
        assert!(matches!(
            pending.next_in(&on_disk(1, 1, 1)),
            Some(Waits::Beat(_))
        ));
        assert!(pending.next_in(&on_disk(9, 9, 9)).is_none());
    }
}
