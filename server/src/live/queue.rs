//! What waits for those who look: bounded in bytes, the newest first where something must go.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

use super::{FEEDS_MAX, Feed};

/// The newest key chunk of a feed and everything since: what a new viewer begins with.
#[derive(Debug, Default)]
pub(super) struct Group {
    chunks: Vec<Bytes>,
    bytes: usize,
}

impl Group {
    /// Takes the next chunk; a group that grows too long is given up until the next key chunk.
    pub(super) fn push(&mut self, chunk: &Bytes, sync: bool) {
        if sync {
            self.clear();
        } else if self.chunks.is_empty() {
            return;
        }
        if self.bytes + chunk.len() > GROUP_BYTES_MAX || self.chunks.len() >= GROUP_CHUNKS_MAX {
            self.clear();
            return;
        }
        self.bytes += chunk.len();
        self.chunks.push(chunk.clone());
    }

    pub(super) fn clear(&mut self) {
        self.chunks = Vec::new();
        self.bytes = 0;
    }

    pub(super) fn chunks(&self) -> &[Bytes] {
        &self.chunks
    }
}

/// What waits for one viewer of one feed.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<QueueState>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    /// What goes before all chunks: a still, and the initialisation segment.
    first: VecDeque<Bytes>,
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Whether the viewer can go on only with a chunk that decoding can begin with.
    wants_sync: bool,
}

impl Queue {
    /// Makes the queue of a viewer that begins with `first` and a whole group, which may be empty.
    pub(super) fn beginning(first: VecDeque<Bytes>, group: &Group) -> Self {
        let state = QueueState {
            first,
            chunks: group.chunks().iter().cloned().collect(),
            bytes: group.bytes,
            wants_sync: group.chunks().is_empty(),
        };
        Self {
            state: Mutex::new(state),
            ready: Notify::new(),
        }
    }

    /// Begins anew with another initialisation segment.
    pub(super) fn restart(&self, init: &Bytes) {
        let mut state = self.lock();
        state.first = VecDeque::from([init.clone()]);
        state.give_up();
        drop(state);
        self.ready.notify_one();
    }

    /// Takes a chunk; tells whether the viewer waits for one that decoding can begin with.
    pub(super) fn push(&self, chunk: &Bytes, sync: bool) -> bool {
        let mut state = self.lock();
        if state.bytes + chunk.len() > VIEWER_BYTES_MAX {
            state.give_up();
        }
        if (state.wants_sync && !sync) || chunk.len() > VIEWER_BYTES_MAX {
            return true;
        }
        state.wants_sync = false;
        state.bytes += chunk.len();
        state.chunks.push_back(chunk.clone());
        drop(state);
        self.ready.notify_one();
        false
    }

    /// Waits for the next message.
    pub(super) async fn next(&self) -> Bytes {
        loop {
            {
                let mut state = self.lock();
                if let Some(first) = state.first.pop_front() {
                    return first;
                }
                if let Some(chunk) = state.chunks.pop_front() {
                    state.bytes -= chunk.len();
                    return chunk;
                }
            }
            self.ready.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn give_up(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
        self.wants_sync = true;
    }
}

/// What waits for one wall: of each feed the newest picture, in the order in which feeds had one.
#[derive(Debug, Default)]
pub(super) struct WallQueue {
    state: Mutex<WallState>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct WallState {
    order: VecDeque<Feed>,
    newest: BTreeMap<Feed, Bytes>,
}

impl WallQueue {
    /// Takes a picture in place of an older one of its feed, which keeps its turn.
    pub(super) fn push(&self, feed: Feed, jpeg: &Bytes) {
        let mut state = self.lock();
        if state.newest.len() >= FEEDS_MAX && !state.newest.contains_key(&feed) {
            return;
        }
        if state.newest.insert(feed, jpeg.clone()).is_none() {
            state.order.push_back(feed);
        }
        drop(state);
        self.ready.notify_one();
    }

    /// Waits for the next picture.
    pub(super) async fn next(&self) -> (Feed, Bytes) {
        loop {
            if let Some(next) = self.lock().pop() {
                return next;
            }
            self.ready.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, WallState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WallState {
    fn pop(&mut self) -> Option<(Feed, Bytes)> {
        let feed = self.order.pop_front()?;
        let jpeg = self.newest.remove(&feed)?;
        Some((feed, jpeg))
    }
}

/// The most bytes that wait for one viewer; full: dropped up to the next sync chunk.
pub const VIEWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most bytes of a feed that are kept for its next viewer; full: the agent is asked for a key
/// frame instead.
pub const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// The most chunks that are kept for a next viewer: twenty seconds of a camera.
const GROUP_CHUNKS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_begins_with_a_key_chunk_and_is_bounded_in_bytes() {
        let mut group = Group::default();
        let chunk = Bytes::from(vec![1; GROUP_BYTES_MAX / 4]);
        group.push(&chunk, false);
        assert!(group.chunks().is_empty(), "no key chunk came yet");
        group.push(&chunk, true);
        for _ in 0..3 {
            group.push(&chunk, false);
        }
        assert_eq!(group.chunks().len(), 4);
        group.push(&chunk, false);
        assert!(
            group.chunks().is_empty(),
            "a group that is too long is given up"
        );
        group.push(&chunk, false);
        assert!(
            group.chunks().is_empty(),
            "and stays so until the next key chunk"
        );
        group.push(&chunk, true);
        assert_eq!(group.chunks().len(), 1);
    }
}
