//! A living face between board and eyes: what the client did goes in, what is asked for comes out.

use std::sync::Arc;

use qorgan_agent_core::sighting::Sighting;
use qorgan_protocol::time::Now;

use super::DeviceParts;
use super::looking::Looking;
use crate::board::Board;
use crate::candidate::Candidate;
use crate::clock;

/// Tells the client what is asked for.
#[derive(Debug)]
pub(super) struct Life {
    board: Arc<Board>,
    candidate: Arc<Candidate>,
    /// Whether it is kept that a living face was seen.
    kept: bool,
}

impl Life {
    /// Tells what is asked for at first.
    pub(super) fn open(parts: &DeviceParts, looking: &Looking) -> Self {
        let life = Self {
            board: Arc::clone(&parts.board),
            candidate: Arc::clone(&parts.candidate),
            kept: looking
                .liveness()
                .is_some_and(|live| live.seen_alive().is_some()),
        };
        life.tell(clock::now(), looking);
        life
    }

    /// Hands on what the client did; returns what is to be said.
    pub(super) fn asks(&self, looking: &mut Looking) -> Vec<Sighting> {
        let asks = self.board.take_liveness_asks().into_iter();
        asks.filter_map(|(at, ask)| looking.liveness_asked(at, ask))
            .collect()
    }

    /// Tells what is asked for, and keeps once that a living face was seen.
    pub(super) fn told(&mut self, now: Now, looking: &Looking) {
        self.tell(now, looking);
        let seen = looking.liveness().and_then(|live| live.seen_alive());
        if let Some(usual) = seen.filter(|_| !self.kept) {
            self.kept = true;
            self.candidate.seen_alive(usual);
        }
    }

    fn tell(&self, now: Now, looking: &Looking) {
        if let Some(liveness) = looking.liveness() {
            self.board.set_liveness(liveness.state(now));
        }
    }
}
