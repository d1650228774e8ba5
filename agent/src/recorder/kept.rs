//! What outlives a run: taken over from the spool and from the server, written to the spool.

use qorgan_agent_core::timeline::{KeptTimeline, Resumed, Timeline};
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::evidence::StreamChain;
use qorgan_protocol::ids::BootId;
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::Ring;

use super::store::Store;
use super::track::Tracks;
use crate::spool::{KeptState, KeptStream, Left};

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
            let chain = self.chain(header.stream);
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
            let mine = self.chain(theirs.stream);
            if theirs.next <= mine.next {
                continue;
            }
            unknown = true;
            if resumed && tracks.is_open(theirs.stream) {
                tracing::error!(stream = %theirs.stream, "The server is ahead of this recording");
                continue;
            }
            self.chains.insert(theirs.stream, *theirs);
            tracks.forget(theirs.stream);
        }
        unknown
    }

    /// Writes the state and has the system write out the chunks; the lock is held for neither.
    pub(super) fn keep(&self, timeline: KeptTimeline, tracks: &Tracks) {
        let streams = self.chains.values().map(|chain| KeptStream {
            chain: *chain,
            init: tracks.init_of(chain.stream).unwrap_or(Sha256::ZERO),
        });
        let state = KeptState {
            timeline,
            streams: streams.collect(),
        };
        let (to_sync, sealed) = {
            let mut spool = self.spool.lock();
            (spool.take_unsynced(), spool.seal_state(&state))
        };
        let written = sealed.and_then(|sealed| Ok(sealed.write()?));
        if let Err(error) = written {
            tracing::warn!(%error, "The spool's state cannot be written");
        }
        if let Some(file) = to_sync
            && let Err(error) = file.sync_data()
        {
            tracing::warn!(%error, "The spool cannot be synced");
        }
    }
}
