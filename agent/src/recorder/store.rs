//! Chains and spool together: a chunk is kept before it counts as chained.

use std::collections::BTreeMap;
use std::sync::Arc;

use qorgan_agent_core::spool::Room;
use qorgan_protocol::crypto::{Sha256, SignedBytes};
use qorgan_protocol::evidence::{ChunkHeader, Head, StreamChain, StreamId};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::time::Now;
use qorgan_signing::Ring;
use tokio::sync::mpsc;

use super::note::Note;
use crate::board::Board;
use crate::spool::SharedSpool;

/// The heads of all chains, and the spool behind them.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) recording: (AttemptId, Epoch),
    pub(super) spool: SharedSpool,
    board: Arc<Board>,
    notes: mpsc::Sender<Note>,
    pub(super) chains: BTreeMap<StreamId, StreamChain>,
}

/// One chunk to be kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    pub(super) stream: StreamId,
    pub(super) start_us: u64,
    pub(super) duration_us: u64,
    pub(super) sync: bool,
    pub(super) payload: &'a [u8],
    /// May use the reserve: observations and initialisation segments.
    pub(super) essential: bool,
}

impl Store {
    pub(super) const fn new(
        recording: (AttemptId, Epoch),
        spool: SharedSpool,
        board: Arc<Board>,
        notes: mpsc::Sender<Note>,
    ) -> Self {
        Self {
            recording,
            spool,
            board,
            notes,
            chains: BTreeMap::new(),
        }
    }

    /// Keeps a chunk and tells the link; tells whether there was room.
    pub(super) fn append(&mut self, now: Now, piece: Piece<'_>) -> bool {
        let kept = self.chain(now, piece);
        if let Some((header, hash)) = kept {
            self.note(Note::Chunk(Box::new(header), hash));
        }
        kept.is_some()
    }

    /// Keeps a chunk; returns its header and that one's hash where there was room.
    pub(super) fn chain(&mut self, now: Now, piece: Piece<'_>) -> Option<(ChunkHeader, Sha256)> {
        let mut chain = self.chain_of(piece.stream);
        let header = match chain.append(
            &Ring,
            piece.start_us,
            piece.duration_us,
            piece.sync,
            piece.payload,
        ) {
            Ok(header) => header,
            Err(error) => {
                tracing::error!(stream = %piece.stream, %error, "A chunk cannot be chained");
                return None;
            }
        };
        let put = self
            .spool
            .lock()
            .put(now, &header, piece.payload, piece.essential);
        match put {
            Ok(true) => {}
            Ok(false) => return None,
            Err(error) => {
                tracing::error!(stream = %piece.stream, %error, "A chunk cannot be kept");
                return None;
            }
        }
        self.chains.insert(piece.stream, chain);
        self.board.chunk(now, piece.stream, header.seq);
        Some((header, chain.head))
    }

    pub(super) fn append_events(
        &mut self,
        now: Now,
        start_us: u64,
        duration_us: u64,
        payload: &[u8],
    ) -> bool {
        self.append(
            now,
            Piece {
                stream: StreamId::EVENTS,
                start_us,
                duration_us,
                sync: true,
                payload,
                essential: true,
            },
        )
    }

    pub(super) fn put_beat(&self, seq: u64, beat: SignedBytes) -> bool {
        let kept = self.spool.lock().put_beat(seq, beat);
        if kept {
            self.note(Note::Beat(seq));
        }
        kept
    }

    pub(super) fn chain_of(&self, stream: StreamId) -> StreamChain {
        let (attempt, epoch) = self.recording;
        let begun = self.chains.get(&stream).copied();
        begun.unwrap_or_else(|| StreamChain::new(attempt, epoch, stream))
    }

    /// Returns the newest chunk of every stream that has one.
    pub(super) fn heads(&self) -> Vec<Head> {
        let begun = self.chains.values().filter(|chain| chain.next.0 > 0);
        begun
            .map(|chain| Head {
                stream: chain.stream,
                seq: qorgan_protocol::evidence::ChunkSeq(chain.next.0 - 1),
                header: chain.head,
            })
            .collect()
    }

    pub(super) fn waiting_bytes(&self) -> u64 {
        self.spool.lock().waiting_bytes()
    }

    pub(super) fn takes_media(&self) -> bool {
        self.spool.lock().takes_media()
    }

    pub(super) fn poll_room(&self) -> Option<Room> {
        self.spool.lock().poll_room()
    }

    pub(super) fn note(&self, note: Note) {
        if self.notes.blocking_send(note).is_err() {
            tracing::debug!("The link is gone; the chunk waits in the spool");
        }
    }
}
