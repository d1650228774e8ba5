//! Fan-out to proctors: thumbnails always, the full layer while somebody looks.
//!
//! # Invariants
//! * A slow viewer costs nobody else anything: of thumbnails it gets the newest alone, each feed in
//!   its turn, and its queue of chunks is bounded in bytes; when it is full, everything up to the
//!   next chunk that decoding can begin with is dropped.
//! * An agent is asked for the full layer only while somebody looks, and for a key frame at most
//!   once in [`KEY_GAP`] a feed.
//! * Whoever begins to look at a feed that is looked at gets its newest key frame and what followed
//!   at once; of each such feed [`GROUP_BYTES_MAX`] are kept at most.

mod http;
mod queue;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qorgan_protocol::evidence::{ChunkHeader, StreamId, StreamKind};
use qorgan_protocol::ids::AttemptId;
use tokio::sync::watch;

pub use http::routes;
pub use queue::{GROUP_BYTES_MAX, VIEWER_BYTES_MAX};
use queue::{Group, Queue, WallQueue};

/// One camera or screen of one attempt.
pub type Feed = (AttemptId, StreamId);

/// Which streams of an attempt somebody looks at; a number that grew asks for a key frame.
pub type Watched = BTreeMap<StreamId, u64>;

/// Everything that is seen live; cloning is cheap.
#[derive(Debug, Clone, Default)]
pub struct LiveHub {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The newest small picture, and when it came.
    thumbnails: BTreeMap<Feed, (Bytes, Instant)>,
    inits: BTreeMap<Feed, Bytes>,
    shown: BTreeMap<Feed, Shown>,
    walls: Vec<Arc<WallQueue>>,
    watched: BTreeMap<AttemptId, watch::Sender<Watched>>,
    /// How often key frames were asked for, of all feeds together.
    asked: u64,
}

/// A feed that somebody looks at.
#[derive(Debug, Default)]
struct Shown {
    viewers: Vec<Arc<Queue>>,
    group: Group,
    /// The number of the newest request for a key frame.
    asked: u64,
    asked_at: Option<Instant>,
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
        if !inner.thumbnails.contains_key(&feed) && inner.feeds_of(attempt) >= ATTEMPT_FEEDS_MAX {
            return;
        }
        for wall in &inner.walls {
            wall.push(feed, &jpeg);
        }
        inner.keep_thumbnail(feed, jpeg);
    }

    /// Keeps the initialisation segment of a feed for those who will look.
    pub fn publish_init(&self, attempt: AttemptId, stream: StreamId, init: &[u8]) {
        let feed = (attempt, stream);
        let mut inner = self.lock();
        if inner.inits.get(&feed).is_some_and(|known| *known == init) {
            return;
        }
        let first = (attempt, StreamId::FIRST);
        let mut known = inner.inits.range(first..);
        let many = known.by_ref().take_while(|((of, _), _)| *of == attempt);
        if many.count() >= ATTEMPT_INITS_MAX && !inner.inits.contains_key(&feed) {
            return;
        }
        let bytes = Bytes::copy_from_slice(init);
        if let Some(shown) = inner.shown.get_mut(&feed) {
            shown.group.clear();
            for viewer in &shown.viewers {
                viewer.restart(&bytes);
            }
        }
        inner.inits.insert(feed, bytes);
    }

    /// Hands a chunk to those who look.
    pub fn publish_chunk(&self, attempt: AttemptId, header: &ChunkHeader, payload: &[u8]) {
        let feed = (attempt, header.stream);
        let mut inner = self.lock();
        let Some(shown) = inner.shown.get_mut(&feed) else {
            return;
        };
        let bytes = Bytes::copy_from_slice(payload);
        shown.group.push(&bytes, header.sync);
        let mut starves = false;
        for viewer in &shown.viewers {
            starves |= viewer.push(&bytes, header.sync);
        }
        if starves {
            inner.ask(feed);
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
    pub fn watched(&self, attempt: AttemptId) -> watch::Receiver<Watched> {
        let mut inner = self.lock();
        let looked_at = inner.looked_at(attempt);
        let sender = inner
            .watched
            .entry(attempt)
            .or_insert_with(|| watch::Sender::new(looked_at));
        sender.subscribe()
    }

    /// Begins to look at a feed: what it last showed comes at once, small where there is no more.
    #[must_use]
    pub fn look(&self, attempt: AttemptId, stream: StreamId) -> Viewer {
        let feed = (attempt, stream);
        let mut inner = self.lock();
        let empty = Group::default();
        let group = inner.shown.get(&feed).map_or(&empty, |shown| &shown.group);
        let starves = group.chunks().is_empty();
        let still = inner.thumbnails.get(&feed).map(|(jpeg, _)| jpeg);
        let still = still.filter(|_| starves);
        let first: VecDeque<Bytes> = still
            .into_iter()
            .chain(inner.inits.get(&feed))
            .cloned()
            .collect();
        let queue = Arc::new(Queue::beginning(first, group));
        let shown = inner.shown.entry(feed).or_default();
        shown.viewers.push(Arc::clone(&queue));
        if starves {
            inner.ask(feed);
        }
        Viewer {
            hub: self.clone(),
            feed,
            queue,
        }
    }

    /// Returns the streams of an attempt that are worth a look: of cameras and of displays those
    /// that still send, else the newest; a microphone alone where there is no camera.
    #[must_use]
    pub fn streams(&self, attempt: AttemptId) -> Vec<StreamId> {
        let inner = self.lock();
        let of = |kind| {
            let known = inner.inits.keys().filter(move |(of, _)| *of == attempt);
            let known = known.map(|(_, stream)| *stream);
            known.filter(move |stream| stream.kind == kind)
        };
        let sends = |stream: &StreamId| {
            let newest = inner.thumbnails.get(&(attempt, *stream));
            newest.is_some_and(|(_, at)| at.elapsed() < SENDS_WITHIN)
        };
        let mut streams = Vec::new();
        for kind in [
            StreamKind::Camera,
            StreamKind::Microphone,
            StreamKind::Screen,
        ] {
            let sending: Vec<_> = of(kind).filter(sends).collect();
            let alone = kind != StreamKind::Microphone || of(StreamKind::Camera).next().is_none();
            if !sending.is_empty() {
                streams.extend(sending);
            } else if alone {
                streams.extend(of(kind).last());
            }
        }
        streams
    }

    /// Begins to look at every feed's thumbnails.
    #[must_use]
    pub fn look_at_wall(&self) -> WallViewer {
        let mut inner = self.lock();
        let queue = Arc::new(WallQueue::default());
        for (feed, (jpeg, _)) in &inner.thumbnails {
            queue.push(*feed, jpeg);
        }
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
    /// Returns how many feeds of an attempt have a small picture.
    fn feeds_of(&self, attempt: AttemptId) -> usize {
        let feeds = self.thumbnails.range((attempt, StreamId::FIRST)..);
        feeds.take_while(|((of, _), _)| *of == attempt).count()
    }

    /// Keeps a small picture; where there are too many, the one that is oldest makes room.
    fn keep_thumbnail(&mut self, feed: Feed, jpeg: Bytes) {
        if self.thumbnails.len() >= FEEDS_MAX && !self.thumbnails.contains_key(&feed) {
            let oldest = self.thumbnails.iter().min_by_key(|(_, (_, at))| *at);
            if let Some(oldest) = oldest.map(|(feed, _)| *feed) {
                self.thumbnails.remove(&oldest);
            }
        }
        self.thumbnails.insert(feed, (jpeg, Instant::now()));
    }

    fn looked_at(&self, attempt: AttemptId) -> Watched {
        let shown = self.shown.iter().filter(|((of, _), _)| *of == attempt);
        shown
            .map(|((_, stream), shown)| (*stream, shown.asked))
            .collect()
    }

    /// Asks for a key frame, unless the agent was asked a moment ago.
    fn ask(&mut self, feed: Feed) {
        let Some(shown) = self.shown.get_mut(&feed) else {
            return;
        };
        if shown.asked_at.is_some_and(|at| at.elapsed() < KEY_GAP) {
            return;
        }
        self.asked += 1;
        shown.asked = self.asked;
        shown.asked_at = Some(Instant::now());
        self.tell(feed.0);
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

impl Viewer {
    /// Waits for the next message: a still where there is no more, the initialisation segment, then
    /// chunks.
    pub async fn next(&self) -> Bytes {
        self.queue.next().await
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        if let Some(shown) = inner.shown.get_mut(&self.feed) {
            shown
                .viewers
                .retain(|other| !Arc::ptr_eq(other, &self.queue));
            if shown.viewers.is_empty() {
                inner.shown.remove(&self.feed);
            }
        }
        inner.tell(self.feed.0);
    }
}

impl WallViewer {
    /// Waits for the next picture that is newer than the one shown.
    pub async fn next(&self) -> (Feed, Bytes) {
        self.queue.next().await
    }
}

impl Drop for WallViewer {
    fn drop(&mut self) {
        let mut inner = self.hub.lock();
        inner.walls.retain(|other| !Arc::ptr_eq(other, &self.queue));
    }
}

/// The shortest time between two requests for a key frame of one feed.
pub const KEY_GAP: Duration = Duration::from_secs(2);
/// A source that gave no small picture for longer has ended; they come every four seconds at least.
const SENDS_WITHIN: Duration = Duration::from_secs(12);
/// The most feeds whose newest thumbnail is kept; the oldest makes room.
const FEEDS_MAX: usize = 8_192;
/// The most feeds of one attempt with a thumbnail: a camera, and as many displays as anybody has.
const ATTEMPT_FEEDS_MAX: usize = 8;
/// The most streams of one attempt, over all its epochs, that can be looked at.
const ATTEMPT_INITS_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use qorgan_protocol::evidence::StreamChain;
    use qorgan_protocol::ids::Epoch;
    use qorgan_protocol::time::WallTime;
    use qorgan_signing::Ring;

    use super::*;

    #[tokio::test]
    async fn a_first_viewer_gets_a_still_and_the_agent_is_asked_for_a_key_frame() {
        let (hub, attempt, stream, mut chain) = world();
        hub.publish_init(attempt, stream, b"init");
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"still"));
        let mut watched = hub.watched(attempt);
        let viewer = hub.look(attempt, stream);
        assert!(watched.has_changed().expect("the hub lives"));
        assert!(watched.borrow_and_update().contains_key(&stream));
        publish(&hub, &mut chain, false, b"delta");
        publish(&hub, &mut chain, true, b"key");
        publish(&hub, &mut chain, false, b"more");
        for expected in ["still", "init", "key", "more"] {
            assert_eq!(viewer.next().await, expected);
        }
    }

    #[tokio::test]
    async fn a_second_viewer_begins_with_the_newest_key_chunk_and_what_followed() {
        let (hub, attempt, stream, mut chain) = world();
        hub.publish_init(attempt, stream, b"init");
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"still"));
        let _first = hub.look(attempt, stream);
        let mut watched = hub.watched(attempt);
        for (sync, payload) in [
            (true, b"old"),
            (false, b"mid"),
            (true, b"key"),
            (false, b"new"),
        ] {
            publish(&hub, &mut chain, sync, payload);
        }
        watched.mark_unchanged();
        let second = hub.look(attempt, stream);
        for expected in ["init", "key", "new"] {
            assert_eq!(second.next().await, expected);
        }
        publish(&hub, &mut chain, false, b"next");
        assert_eq!(second.next().await, "next");
        assert!(
            !watched.has_changed().expect("the hub lives"),
            "the agent has nothing to do for a second viewer"
        );
    }

    #[tokio::test]
    async fn looking_again_and_again_asks_the_agent_once() {
        let (hub, attempt, stream, _) = world();
        let watched = hub.watched(attempt);
        let kept = hub.look(attempt, stream);
        let asked = watched.borrow()[&stream];
        for _ in 0..50 {
            drop(hub.look(attempt, stream));
        }
        assert_eq!(watched.borrow()[&stream], asked);
        drop(kept);
        let _again = hub.look(attempt, stream);
        assert_ne!(
            watched.borrow().get(&stream),
            Some(&asked),
            "who comes back after all had left is not forgotten"
        );
    }

    #[tokio::test]
    async fn a_full_queue_drops_up_to_the_next_sync_chunk_and_keeps_the_init() {
        let (hub, attempt, stream, mut chain) = world();
        hub.publish_init(attempt, stream, b"init");
        let viewer = hub.look(attempt, stream);
        let large = vec![1; VIEWER_BYTES_MAX / 4];
        for _ in 0..9 {
            publish(&hub, &mut chain, true, &large);
        }
        publish(&hub, &mut chain, false, &vec![2; VIEWER_BYTES_MAX]);
        publish(&hub, &mut chain, false, b"delta");
        publish(&hub, &mut chain, true, b"key");
        assert_eq!(viewer.next().await, "init");
        assert_eq!(viewer.next().await, "key");
    }

    #[tokio::test]
    async fn another_layout_restarts_those_who_look() {
        let (hub, attempt, stream, mut chain) = world();
        hub.publish_init(attempt, stream, b"one");
        let viewer = hub.look(attempt, stream);
        publish(&hub, &mut chain, true, b"key");
        hub.publish_init(attempt, stream, b"two");
        publish(&hub, &mut chain, false, b"delta of another layout");
        publish(&hub, &mut chain, true, b"first");
        assert_eq!(viewer.next().await, "two");
        assert_eq!(viewer.next().await, "first");
    }

    #[tokio::test]
    async fn an_agent_is_watched_while_somebody_looks() {
        let (hub, attempt, stream, _) = world();
        let watched = hub.watched(attempt);
        assert!(watched.borrow().is_empty());
        let (one, two) = (hub.look(attempt, stream), hub.look(attempt, stream));
        assert!(watched.borrow().contains_key(&stream));
        drop(one);
        assert!(watched.borrow().contains_key(&stream));
        drop(two);
        assert!(watched.borrow().is_empty());
    }

    #[test]
    fn of_displays_those_that_send_are_shown_and_else_the_newest() {
        let (hub, attempt, _, _) = world();
        let word = |word| StreamId::from_word(word).expect("a stream");
        assert_eq!(hub.streams(attempt), []);
        hub.publish_init(attempt, word("microphone-0"), b"init");
        assert_eq!(hub.streams(attempt), [word("microphone-0")]);
        for stream in ["camera-0", "screen-0", "screen-1"] {
            hub.publish_init(attempt, word(stream), b"init");
        }
        assert_eq!(hub.streams(attempt), [word("camera-0"), word("screen-1")]);
        for stream in ["screen-0", "screen-1"] {
            hub.publish_thumbnail(attempt, word(stream), Bytes::from_static(b"still"));
        }
        let shown = [word("camera-0"), word("screen-0"), word("screen-1")];
        assert_eq!(hub.streams(attempt), shown);
    }

    #[test]
    fn one_agent_with_many_feeds_blanks_nobody() {
        let (hub, attempt, _, _) = world();
        let other = AttemptId::new(WallTime::from_unix_ms(1), [2; 10]);
        let camera = StreamId::from_word("camera-0").expect("a stream");
        for index in 0..=255 {
            let stream = StreamId {
                kind: StreamKind::Screen,
                index,
            };
            hub.publish_init(attempt, stream, b"init");
            hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"still"));
        }
        hub.publish_init(other, camera, b"init");
        hub.publish_thumbnail(other, camera, Bytes::from_static(b"still"));
        assert_eq!(hub.streams(attempt).len(), ATTEMPT_FEEDS_MAX);
        assert_eq!(hub.lock().inits.len(), ATTEMPT_INITS_MAX + 1);
        assert_eq!(hub.streams(other), [camera]);
        hub.forget(attempt);
        assert_eq!(hub.streams(attempt), []);
    }

    #[test]
    fn where_all_places_are_taken_the_oldest_picture_makes_room() {
        let (hub, _, stream, _) = world();
        let of = |n: usize| {
            let mut random = [0; 10];
            random[..8].copy_from_slice(&n.to_be_bytes());
            AttemptId::new(WallTime::from_unix_ms(1), random)
        };
        for n in 0..=FEEDS_MAX {
            hub.publish_thumbnail(of(n), stream, Bytes::from_static(b"still"));
        }
        let inner = hub.lock();
        assert_eq!(inner.thumbnails.len(), FEEDS_MAX);
        assert!(!inner.thumbnails.contains_key(&(of(0), stream)));
        assert!(inner.thumbnails.contains_key(&(of(FEEDS_MAX), stream)));
    }

    #[tokio::test]
    async fn a_wall_shows_the_newest_picture_of_each_feed_in_turn() {
        let (hub, attempt, stream, _) = world();
        let other = StreamId::from_word("camera-0").expect("a stream");
        hub.publish_thumbnail(attempt, stream, Bytes::from_static(b"before"));
        let wall = hub.look_at_wall();
        assert_eq!(wall.next().await.1, "before");
        for (of, jpeg) in [(stream, "old"), (other, "camera"), (stream, "new")] {
            hub.publish_thumbnail(attempt, of, Bytes::from_static(jpeg.as_bytes()));
        }
        assert_eq!(
            wall.next().await,
            ((attempt, stream), Bytes::from_static(b"new"))
        );
        assert_eq!(
            wall.next().await,
            ((attempt, other), Bytes::from_static(b"camera"))
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
