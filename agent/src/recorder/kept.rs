//! What outlives a run: taken over from the spool and from the server, written to the spool.

use qorgan_agent_core::timeline::{KeptTimeline, Resumed, Timeline};
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::{ChunkHeader, ChunkSeq, StreamChain, StreamId};
use qorgan_protocol::ids::BootId;
use qorgan_protocol::link::{ChunkFrame, Gap, read_chunk};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::Ring;

use super::note::Note;
use super::store::{Piece, Store};
use super::track::Tracks;
use crate::spool::{KeptState, KeptStream, Learnt, Left};

impl Store {
    /// Takes over what a former run left; `None` where there was none.
    pub(super) fn take_over(
        &mut self,
        left: &Left,
        tracks: &mut Tracks,
        boot: BootId,
        now: Now,
        wall: WallTime,
    ) -> Option<Resumed> {
        let mut newest_us = 0;
        if let Some(state) = &left.state {
            newest_us = state.timeline.newest_us;
            for kept in &state.streams {
                self.chains.insert(kept.chain.stream, kept.chain);
                tracks.known(kept.chain.stream, Some(kept.init));
            }
        }
        for header in &left.headers {
            newest_us = newest_us.max(header.start_us.saturating_add(header.duration_us));
            let chain = self.chain_of(header.stream);
            if header.seq >= chain.next
                && let Ok(head) = header.hash(&Ring)
            {
                self.chains.insert(
                    header.stream,
                    StreamChain {
                        next: header.seq.next(),
                        head,
                        ..chain
                    },
                );
                tracks.known(header.stream, None);
            }
        }
        let state = left.state.as_ref()?;
        let kept = KeptTimeline {
            newest_us,
            ..state.timeline
        };
        Some(Timeline::resume(&kept, boot, now, wall))
    }

    /// Chains anew what lies behind gaps, for nothing else of it can be delivered; returns what is
    /// missing, in words. `ends` are the streams' heads as the link knows them: a state that was kept
    /// may name chunks that the disk has lost.
    pub(super) fn mend(
        &mut self,
        now: Now,
        gaps: &[Gap],
        ends: &[StreamChain],
        tracks: &Tracks,
    ) -> Vec<String> {
        let mut gaps = gaps.to_vec();
        gaps.extend(self.lost_ends(&gaps, ends));
        if gaps.is_empty() {
            return Vec::new();
        }
        self.spool.lock().drop_beats();
        let mut anew = Vec::new();
        for gap in &gaps {
            anew.extend(self.chain_anew(now, gap, tracks.init_segment(gap.stream)));
        }
        self.note(Note::ChainedAnew(anew));
        let said = |gap: &Gap| {
            let Gap {
                stream,
                expected,
                oldest,
                ..
            } = gap;
            format!("chunks {expected} to {oldest} of {stream} are lost for good")
        };
        gaps.iter().map(said).collect()
    }

    /// Returns the gaps between where the link knows streams to end and where they end here.
    fn lost_ends(&self, known: &[Gap], ends: &[StreamChain]) -> Vec<Gap> {
        let spool = self.spool.lock();
        let lost = self.chains.values().filter_map(|mine| {
            let stream = mine.stream;
            let end = ends.iter().find(|end| end.stream == stream);
            let (next, head) = end.map_or((ChunkSeq(0), Sha256::ZERO), |end| (end.next, end.head));
            let told = known.iter().any(|gap| gap.stream == stream);
            if told || mine.next <= next || spool.is_whole(stream, next, mine.next) {
                return None;
            }
            let waiting = spool.waiting_from(stream, next);
            Some(Gap {
                stream,
                expected: next,
                head,
                oldest: waiting.first().copied().unwrap_or(mine.next),
            })
        });
        lost.collect()
    }

    /// Chains what the spool has behind a gap anew, onto what is before it; returns the new headers.
    /// Media whose initialisation segment is lost with no device that could give it again is given up.
    fn chain_anew(
        &mut self,
        now: Now,
        gap: &Gap,
        init: Option<Vec<u8>>,
    ) -> Vec<(ChunkHeader, Sha256)> {
        let (attempt, epoch) = self.recording;
        let stream = gap.stream;
        let chain = StreamChain {
            attempt,
            epoch,
            stream,
            next: gap.expected,
            head: gap.head,
        };
        self.chains.insert(stream, chain);
        let mut anew = Vec::new();
        let headless = gap.expected.0 == 0 && stream != StreamId::EVENTS;
        let seqs = self.spool.lock().waiting_from(stream, gap.expected);
        if let Some(payload) = init.as_deref().filter(|_init| headless) {
            let begin = Piece {
                stream,
                start_us: 0,
                duration_us: 0,
                sync: true,
                payload,
                essential: true,
            };
            anew.extend(self.chain(now, begin));
        }
        let given_up = headless && anew.is_empty();
        for seq in seqs {
            // Its own lock: what is put anew takes it again.
            let taken = self.spool.lock().take(stream, seq);
            let frame = match taken {
                Ok(Some(frame)) if !given_up => frame,
                Ok(_) => continue,
                Err(error) => {
                    tracing::error!(%stream, %seq, %error, "A chunk behind a gap is lost too");
                    continue;
                }
            };
            if let Ok(Some(ChunkFrame {
                header, payload, ..
            })) = read_chunk(&frame)
            {
                let piece = Piece {
                    stream,
                    start_us: header.start_us,
                    duration_us: header.duration_us,
                    sync: header.sync,
                    payload,
                    essential: true,
                };
                anew.extend(self.chain(now, piece));
            }
        }
        anew
    }

    /// Takes over what the server knows and this machine does not; tells whether there was
    /// something.
    pub(super) fn adopt(
        &mut self,
        chains: &[StreamChain],
        tracks: &mut Tracks,
        resumed: bool,
    ) -> bool {
        let mut unknown = false;
        for theirs in chains {
            let mine = self.chain_of(theirs.stream);
            if theirs.next <= mine.next {
                continue;
            }
            unknown = true;
            self.chains.insert(theirs.stream, *theirs);
            if resumed && tracks.is_open(theirs.stream) {
                // The same layout is fed to it, so that it goes on behind what is there.
                tracing::error!(stream = %theirs.stream, "The server is ahead of this recording");
                continue;
            }
            tracks.forget(theirs.stream);
        }
        unknown
    }

    /// Has the system write out the chunks, and then writes the state that names the newest of them; the
    /// lock is held for neither.
    pub(super) fn keep(&self, timeline: KeptTimeline, tracks: &Tracks, learnt: Learnt) {
        let streams = self.chains.values().map(|chain| KeptStream {
            chain: *chain,
            init: tracks.init_of(chain.stream).unwrap_or(Sha256::ZERO),
        });
        let state = KeptState {
            timeline,
            streams: streams.collect(),
            learnt,
        };
        let (to_sync, sealed) = {
            let mut spool = self.spool.lock();
            (spool.take_unsynced(), spool.seal_state(&state))
        };
        if let Some(file) = to_sync
            && let Err(error) = file.sync_data()
        {
            tracing::warn!(%error, "The spool cannot be synced");
            // A state that names what may be lost would break the chain.
            return;
        }
        let written = sealed.and_then(|sealed| Ok(sealed.write()?));
        if let Err(error) = written {
            tracing::warn!(%error, "The spool's state cannot be written");
        }
    }
}
