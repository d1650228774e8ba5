//! Fan-out to proctors: thumbnails always, the full layer while somebody looks.
//!
//! # Invariants
//! * A slow viewer costs nobody else anything: of thumbnails it gets the newest alone, and its queue
//!   of chunks is bounded in bytes; when it is full, everything up to the next chunk that decoding
//!   can begin with is dropped.
//! * An agent is asked for the full layer only while somebody looks.

mod http;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use qorgan_protocol::evidence::{ChunkHeader, StreamId};
use qorgan_protocol::ids::AttemptId;
use tokio::sync::{Notify, watch};

pub use http::routes;

/// One camera or screen of one attempt.
pub type Feed = (AttemptId, StreamId);

/// Everything that is seen live; cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct LiveHub {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    thumbnails: BTreeMap<Feed, Bytes>,
    inits: BTreeMap<Feed, Bytes>,
    viewers: BTreeMap<Feed, Vec<Arc<Queue>>>,
    walls: Vec<Arc<WallQueue>>,
    watched: BTreeMap<AttemptId, watch::Sender<BTreeSet<StreamId>>>,
}

/// What waits for one viewer of one feed.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    ready: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    chunks: VecDeque<Bytes>,
    bytes: usize,
    /// Whether the viewer can go on only with a chunk that decoding can begin with.
    wants_sync: bool,
    dropped: u64,
}

/// What waits for one wall: of each feed the newest picture.
#[derive(Debug, Default)]
struct WallQueue {
    newest: Mutex<BTreeMap<Feed, Bytes>>,
    ready: Notify,
}

/// One viewer of one feed.
#[derive(Debug)]
pub struct Viewer {
    hub: LiveHub,
    feed: Feed,
    queue: Arc<Queue>,
}

/// One wall.
#[derive(Debug)]
pub struct WallViewer {
    hub: LiveHub,
    queue: Arc<WallQueue>,
}

impl LiveHub {
    /// Shows the newest small picture of a feed.
    pub fn publish_thumbnail(&self, attempt: AttemptId, stream: StreamId, jpeg: Bytes) {
        let feed = (attempt, stream);
        let mut inner = self.lock();
        for wall in &inner.walls {
            let mut newest = wall.newest.lock().unwrap_or_else(PoisonError::into_inner);
            newest.insert(feed, jpeg.clone());
            wall.ready.notify_one();
        }
        if inner.thumbnails.len() < FEEDS_MAX || inner.thumbnails.contains_key(&feed) {
            inner.thumbnails.insert(feed, jpeg);
        }
    }

    /// Keeps the initialisation segment of a feed for those who will look.
    pub fn publish_init(&self, attempt: AttemptId, stream: StreamId, init: &[u8]) {
        let feed = (attempt, stream);
        let mut inner = self.lock();
        if inner.inits.get(&feed).is_some_and(|known| *known == init) {
            return;
        }
        let bytes = Bytes::copy_from_slice(init);
        for viewer in inner.viewers.get(&feed).into_iter().flatten() {
            viewer.push(&bytes, true);
        }
        inner.inits.insert(feed, bytes);
    }

    /// Hands a chunk to those who look.
    pub fn publish_chunk(&self, attempt: AttemptId, header: &ChunkHeader, payload: &[u8]) {
        let inner = self.lock();
        let Some(viewers) = inner.viewers.get(&(attempt, header.stream)) else {
            return;
        };
        let bytes = Bytes::copy_from_slice(payload);
        for viewer in viewers {
            viewer.push(&bytes, header.sync);
        }
    }

    /// Forgets the feeds of an attempt that is over.
    pub fn forget(&self, attempt: AttemptId) {
        let mut inner = self.lock();
        inner.thumbnails.retain(|(of, _), _| *of != attempt);
        inner.inits.retain(|(of, _), _| *of != attempt);
        inner.watched.remove(&attempt);
    }

    /// Returns which streams of an attempt somebody looks at, and changes of it.
    #[must_use]
    pub fn watched(&self, attempt: AttemptId) -> watch::Receiver<BTreeSet<StreamId>> {
        let mut inner = self.lock();
        let looked_at = inner.looked_at(attempt);
        let sender = inner
            .watched
            .entry(attempt)
            .or_insert_with(|| watch::Sender::new(looked_at));
        sender.subscribe()
    }

    /// Begins to look at a feed.
    #[must_use]
    pub fn look(&self, attempt: AttemptId, stream: StreamId) -> Viewer {
        let feed = (attempt, stream);
        let queue = Arc::new(Queue::default());
        let mut inner = self.lock();
        {
            let mut state = queue.lock();
            state.wants_sync = true;
            if let Some(init) = inner.inits.get(&feed) {
                state.bytes = init.len();
                state.chunks.push_back(init.clone());
            }
        }
        inner
            .viewers
            .entry(feed)
            .or_default()
            .push(Arc::clone(&queue));
        inner.tell(attempt);
        Viewer {
            hub: self.clone(),
            feed,
            queue,
        }
    }

    /// Begins to look at every feed's thumbnails.
    #[must_use]
    pub fn look_at_wall(&self) -> WallViewer {
        let mut inner = self.lock();
        let queue = Arc::new(WallQueue {
            newest: Mutex::new(inner.thumbnails.clone()),
            ready: Notify::new(),
        });
        inner.walls.push(Arc::clone(&queue));
        WallViewer {
            hub: self.clone(),
            queue,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn looked_at(&self, attempt: AttemptId) -> BTreeSet<StreamId> {
        let viewers = self.viewers.keys().filter(|(of, _)| *of == attempt);
        viewers.map(|(_, stream)| *stream).collect()
    }

    fn tell(&self, attempt: AttemptId) {
        if let Some(sender) = self.watched.get(&attempt) {
            let looked_at = self.looked_at(attempt);
            sender.send_if_modified(|known| {
                let changed = *known != looked_at;
                *known = looked_at;
                changed
            });
        }
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, chunk: &Bytes, sync: bool) {
        let mut state = self.lock();
        if state.bytes + chunk.len() > VIEWER_BYTES_MAX {
            state.dropped += u64::try_from(state.chunks.len()).unwrap_or(u64::MAX);
            state.chunks.clear();
            state.bytes = 0;
            state.wants_sync = true;
        }
        if state.wants_sync && !sync {
            return;
        }
        state.wants_sync = false;
        state.bytes += chunk.len();
        state.chunks.push_back(chunk.clone());
        drop(state);
        self.ready.notify_one();
    }
}

impl Viewer {
    /// Waits for the next message: the initialisation segment first, then chunks.
    pub async fn next(&self) -> Bytes {
        loop {
            {
                let mut state = self.queue.lock();
                if let Some(chunk) = state.chunks.pop_front() {
                    state.bytes -= chunk.len();
                    return chunk;
                }
            }
            self.queue.ready.notified().await;
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        if let Some(viewers) = inner.viewers.get_mut(&self.feed) {
            viewers.retain(|other| !Arc::ptr_eq(other, &self.queue));
            if viewers.is_empty() {
                inner.viewers.remove(&self.feed);
            }
        }
        inner.tell(self.feed.0);
    }
}

impl WallViewer {
    /// Waits for the next picture that is newer than the one shown.
    pub async fn next(&self) -> (Feed, Bytes) {
        loop {
            {
                let mut newest = self
                    .queue
                    .newest
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                if let Some(next) = newest.pop_first() {
                    return next;
                }
            }
            self.queue.ready.notified().await;
        }
    }
}

impl Drop for WallViewer {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        inner.walls.retain(|other| !Arc::ptr_eq(other, &self.queue));
    }
}

/// The most bytes that wait for one viewer; full: dropped up to the next sync chunk.
pub const VIEWER_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The most feeds whose newest thumbnail is kept.
const FEEDS_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use qorgan_protocol::evidence::StreamChain;
    use qorgan_protocol::ids::Epoch;
    use qorgan_protocol::time::WallTime;
    use qorgan_signing::Ring;

    use super::*;

    #[tokio::test]
    async fn a_viewer_begins_with_the_init_segment_and_a_sync_chunk() {
        let (hub, attempt, stream, mut chain) = world();
        hub.publish_init(attempt, stream, b"init");
        let viewer = hub.look(attempt, stream);
        publish(&hub, &mut chain, false, b"delta");
        publish(&hub, &mut chain, true, b"key");
        publish(&hub, &mut chain, false, b"more");
        assert_eq!(viewer.next().await, "init");
        assert_eq!(viewer.next().await, "key");
        assert_eq!(viewer.next().await, "more");
    }

    #[tokio::test]
    async fn a_full_queue_drops_up_to_the_next_sync_chunk() {
        let (hub, attempt, stream, mut chain) = world();
        let viewer = hub.look(attempt, stream);
        let large = vec![1; VIEWER_BYTES_MAX / 4];
        for _ in 0..9 {
            publish(&hub, &mut chain, true, &large);
        }
        assert!(viewer.queue.lock().bytes <= VIEWER_BYTES_MAX);
        publish(&hub, &mut chain, false, &vec![2; VIEWER_BYTES_MAX]);
        publish(&hub, &mut chain, false, b"delta");
        publish(&hub, &mut chain, true, b"key");
        assert_eq!(viewer.next().await, "key");
    }

    #[tokio::test]
    async fn an_agent_is_watched_while_somebody_looks() {
        let (hub, attempt, stream, _) = world();
        let watched = hub.watched(attempt);
        assert!(watched.borrow().is_empty());
        let (one, two) = (hub.look(attempt, stream), hub.look(attempt, stream));
        assert!(watched.borrow().contains(&stream));
        drop(one);
        assert!(watched.borrow().contains(&stream));
        drop(two);
        assert!(watched.borrow().is_empty());
    }

    #[tokio::test]
    async fn a_wall_shows_the_newest_picture_of_each_feed() {
        let (hub, attempt, stream, _) = world();
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"before"));
        let wall = hub.look_at_wall();
        assert_eq!(wall.next().await.1, "before");
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"old"));
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"new"));
        assert_eq!(
            wall.next().await,
            ((attempt, stream), Bytes::from_static(b"new"))
        );
    }

    fn world() -> (LiveHub, AttemptId, StreamId, StreamChain) {
        let attempt = AttemptId::new(WallTime::from_unix_ms(1), [1; 10]);
        let stream = StreamId::from_word("screen-0").expect("a stream");
        let chain = StreamChain::new(attempt, Epoch::FIRST, stream);
        (LiveHub::default(), attempt, stream, chain)
    }

    fn publish(hub: &LiveHub, chain: &mut StreamChain, sync: bool, payload: &[u8]) {
        // The chain's bound is smaller than the test's chunks.
        let mut header = chain.append(&Ring, 0, 1, sync, b"").expect("fits");
        header.payload_len = 0;
        hub.publish_chunk(chain.attempt, &header, payload);
    }
}
