//! What the client is shown: written by recorder, devices and link, read twice a second.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use qorgan_protocol::evidence::{ChunkSeq, SourceHealth, SourceState, StreamId};
use qorgan_protocol::local::{
    AgentStatus, DrawnScreen, LinkState, LivenessAsk, LivenessState, SourceStatus, VoiceState,
};
use qorgan_protocol::time::Now;
use tokio::sync::Notify;

/// The newest state of everything.
#[derive(Debug)]
pub(crate) struct Board {
    inner: Mutex<Inner>,
    preview: AtomicBool,
    /// A picture of the camera in full size is asked for.
    still_wanted: AtomicBool,
    still: Mutex<Option<Vec<u8>>>,
    /// The candidate begins to read aloud.
    reading_begins: AtomicBool,
    voice: Mutex<VoiceState>,
    drawn: Mutex<Option<(Now, DrawnScreen)>>,
    liveness: Mutex<Liveness>,
    /// Rings where something is to be told at once.
    bell: Notify,
}

/// What is asked to see a living person, and what the client did about it.
#[derive(Debug)]
struct Liveness {
    state: LivenessState,
    asks: VecDeque<(Now, LivenessAsk)>,
}

#[derive(Debug)]
struct Inner {
    link: LinkState,
    sources: BTreeMap<StreamId, Shown>,
    streams: BTreeMap<StreamId, Delivery>,
    spooled_bytes: u64,
    capturing: bool,
}

#[derive(Debug, Default)]
struct Shown {
    health: Option<SourceHealth>,
    label: String,
    level: Option<u8>,
    preview: Option<Vec<u8>>,
}

#[derive(Debug, Clone, Copy)]
struct Delivery {
    newest: ChunkSeq,
    /// Since when something has been without a receipt, without any progress.
    waits_since: Option<Now>,
}

impl Board {
    /// Makes an empty board.
    pub(crate) const fn new() -> Self {
        Self {
            inner: Mutex::new(Inner {
                link: LinkState::Idle,
                sources: BTreeMap::new(),
                streams: BTreeMap::new(),
                spooled_bytes: 0,
                capturing: false,
            }),
            preview: AtomicBool::new(false),
            still_wanted: AtomicBool::new(false),
            still: Mutex::new(None),
            reading_begins: AtomicBool::new(false),
            voice: Mutex::new(VoiceState::NotAsked),
            drawn: Mutex::new(None),
            liveness: Mutex::new(Liveness {
                state: LivenessState::NotAsked,
                asks: VecDeque::new(),
            }),
            bell: Notify::const_new(),
        }
    }

    /// Takes what the client did about showing that a living person sits there.
    pub(crate) fn liveness_asked(&self, now: Now, ask: LivenessAsk) {
        let asks = &mut self.liveness().asks;
        if asks.len() < ASKS_MAX {
            asks.push_back((now, ask));
        }
    }

    /// Gives away what the client did, the oldest first.
    pub(crate) fn take_liveness_asks(&self) -> VecDeque<(Now, LivenessAsk)> {
        core::mem::take(&mut self.liveness().asks)
    }

    /// Takes what is asked for from here on.
    pub(crate) fn set_liveness(&self, state: LivenessState) {
        if core::mem::replace(&mut self.liveness().state, state) != state {
            self.bell.notify_one();
        }
    }

    /// Returns what is asked for.
    pub(crate) fn liveness_state(&self) -> LivenessState {
        self.liveness().state
    }

    /// Waits until something is to be told at once.
    pub(crate) async fn rings(&self) {
        self.bell.notified().await;
    }

    fn liveness(&self) -> MutexGuard<'_, Liveness> {
        self.liveness.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what the client drew just now.
    pub(crate) fn drawn(&self, now: Now, screen: DrawnScreen) {
        *self.drawn.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, screen));
    }

    /// Returns what the client drew lately; `None` where it covers no display, or says nothing.
    pub(crate) fn drawn_lately(&self, now: Now) -> Option<DrawnScreen> {
        let drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, screen) = drawn.as_ref()?;
        (now.since(*at) <= DRAWN_LASTS).then(|| screen.clone())
    }

    /// The next picture of the camera is wanted in its full size.
    pub(crate) fn want_still(&self) {
        self.still_wanted.store(true, Ordering::Relaxed);
    }

    /// Tells once that a picture in full size is wanted.
    pub(crate) fn take_still_wish(&self) -> bool {
        self.still_wanted.swap(false, Ordering::Relaxed)
    }

    /// Takes a picture in full size.
    pub(crate) fn still(&self, jpeg: Vec<u8>) {
        *self.still.lock().unwrap_or_else(PoisonError::into_inner) = Some(jpeg);
    }

    /// Gives the picture in full size away.
    pub(crate) fn take_still(&self) -> Option<Vec<u8>> {
        self.still
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// The candidate reads aloud from now on.
    pub(crate) fn begin_reading(&self) {
        self.reading_begins.store(true, Ordering::Relaxed);
    }

    /// Tells once that the candidate begins to read aloud.
    pub(crate) fn take_reading_wish(&self) -> bool {
        self.reading_begins.swap(false, Ordering::Relaxed)
    }

    /// Takes where learning the voice stands.
    pub(crate) fn set_voice(&self, voice: VoiceState) {
        *self.voice.lock().unwrap_or_else(PoisonError::into_inner) = voice;
    }

    /// Takes how a reading goes; false where the candidate has gone on without.
    pub(crate) fn reading_goes(&self, voice: VoiceState) -> bool {
        let mut held = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        let goes_on = *held != VoiceState::Skipped;
        if goes_on {
            *held = voice;
        }
        goes_on
    }

    /// Returns where learning the voice stands.
    pub(crate) fn voice(&self) -> VoiceState {
        *self.voice.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Small pictures are asked for, or no more.
    pub(crate) fn want_preview(&self, wanted: bool) {
        self.preview.store(wanted, Ordering::Relaxed);
    }

    /// Tells whether small pictures are asked for.
    pub(crate) fn preview_wanted(&self) -> bool {
        self.preview.load(Ordering::Relaxed)
    }

    /// Takes the link's state.
    pub(crate) fn link(&self, link: LinkState) {
        self.lock().link = link;
    }

    /// Takes the health of every device, the bytes that wait, and whether what is captured is `kept`;
    /// a device that is not among them is forgotten.
    pub(crate) fn health(&self, sources: Vec<SourceHealth>, spooled_bytes: u64, kept: bool) {
        let mut inner = self.lock();
        inner.capturing = kept && every_kind_is_live(&sources);
        inner.spooled_bytes = spooled_bytes;
        inner
            .sources
            .retain(|source, _| sources.iter().any(|health| health.source == *source));
        for health in sources {
            let source = health.source;
            inner.sources.entry(source).or_default().health = Some(health);
        }
    }

    /// Takes what the system calls a device.
    pub(crate) fn label(&self, source: StreamId, label: &str) {
        label.clone_into(&mut self.lock().sources.entry(source).or_default().label);
    }

    /// Takes a microphone's level.
    pub(crate) fn level(&self, source: StreamId, level: u8) {
        if let Some(shown) = self.lock().sources.get_mut(&source) {
            shown.level = Some(level);
        }
    }

    /// Takes a small picture.
    pub(crate) fn preview(&self, source: StreamId, jpeg: Vec<u8>) {
        if let Some(shown) = self.lock().sources.get_mut(&source) {
            shown.preview = Some(jpeg);
        }
    }

    /// A chunk waits for its receipt.
    pub(crate) fn chunk(&self, now: Now, stream: StreamId, seq: ChunkSeq) {
        let mut inner = self.lock();
        let delivery = inner.streams.entry(stream).or_insert(Delivery {
            newest: seq,
            waits_since: None,
        });
        delivery.newest = seq;
        delivery.waits_since.get_or_insert(now);
    }

    /// A receipt came.
    pub(crate) fn receipt(&self, now: Now, stream: StreamId, through: ChunkSeq) {
        if let Some(delivery) = self.lock().streams.get_mut(&stream) {
            delivery.waits_since = (delivery.newest > through).then_some(now);
        }
    }

    /// Returns what to tell the client.
    pub(crate) fn status(&self, now: Now) -> AgentStatus {
        let with_preview = self.preview_wanted();
        let inner = self.lock();
        let sources = inner.sources.values().filter_map(|shown| {
            Some(SourceStatus {
                health: shown.health.clone()?,
                label: shown.label.clone(),
                level: shown.level,
                preview: shown.preview.clone().filter(|_| with_preview),
            })
        });
        let live = inner.link == LinkState::Live;
        let receipted = inner
            .streams
            .iter()
            .filter(|(_, delivery)| {
                let late = delivery
                    .waits_since
                    .is_some_and(|since| now.since(since) > RECEIPT_AGE_MAX);
                live && !late
            })
            .map(|(stream, _)| *stream);
        AgentStatus {
            link: inner.link,
            sources: sources.collect(),
            receipted: receipted.collect(),
            spooled_bytes: inner.spooled_bytes,
            capturing: inner.capturing,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells whether there are sources, and one of each kind that there is gives something: a display that
/// was unplugged is missed by nobody while another is recorded.
fn every_kind_is_live(sources: &[SourceHealth]) -> bool {
    let live = |kind| {
        let mut of_kind = sources.iter().filter(|health| health.source.kind == kind);
        of_kind.any(|health| health.state == SourceState::Live)
    };
    !sources.is_empty() && sources.iter().all(|health| live(health.source.kind))
}

const RECEIPT_AGE_MAX: Duration = Duration::from_secs(3);

/// A client that says more is not answered any faster.
const ASKS_MAX: usize = 16;
/// The client says what it drew about every two seconds, and sooner after something new.
const DRAWN_LASTS: Duration = Duration::from_secs(4);

#[cfg(test)]
mod tests {
    use qorgan_protocol::evidence::StreamKind;

    use super::*;

    #[test]
    fn a_stream_is_receipted_only_while_receipts_keep_up_and_the_link_is_live() {
        let board = Board::new();
        board.chunk(at(0), CAMERA, ChunkSeq(0));
        board.link(LinkState::Live);
        assert_eq!(board.status(at(1)).receipted, [CAMERA]);
        assert!(board.status(at(4)).receipted.is_empty());
        board.receipt(at(4), CAMERA, ChunkSeq(0));
        assert_eq!(board.status(at(60)).receipted, [CAMERA]);
        board.link(LinkState::Lost);
        assert!(board.status(at(60)).receipted.is_empty());
    }

    #[test]
    fn a_picture_in_full_size_is_made_once_and_given_once() {
        let board = Board::new();
        assert!(!board.take_still_wish());
        board.want_still();
        assert!(board.take_still_wish() && !board.take_still_wish());
        board.still(vec![1]);
        assert_eq!(board.take_still(), Some(vec![1]));
        assert_eq!(board.take_still(), None);
    }

    #[test]
    fn previews_are_told_only_while_they_are_asked_for() {
        let board = Board::new();
        board.health(vec![health(CAMERA, SourceState::Live)], 7, true);
        board.preview(CAMERA, vec![1]);
        assert_eq!(board.status(at(0)).sources[0].preview, None);
        board.want_preview(true);
        let status = board.status(at(0));
        assert_eq!(status.sources[0].preview, Some(vec![1]));
        assert!(status.capturing);
        assert_eq!(status.spooled_bytes, 7);
    }

    #[test]
    fn capture_is_attested_only_while_every_kind_of_source_is_live_and_kept() {
        let board = Board::new();
        let capturing = |states: &[(StreamId, SourceState)], kept| {
            let sources = states.iter().map(|(source, state)| health(*source, *state));
            board.health(sources.collect(), 0, kept);
            board.status(at(0)).capturing
        };
        let live = |source| (source, SourceState::Live);
        let gone = |source| (source, SourceState::Unplugged);
        let all = [live(CAMERA), live(MICROPHONE), live(screen(0))];
        assert!(capturing(&all, true));
        assert!(!capturing(&all, false), "there is no room");
        assert!(!capturing(&[], true));
        let no_camera = [gone(CAMERA), live(MICROPHONE), live(screen(0))];
        assert!(!capturing(&no_camera, true));
        let no_screen = [live(CAMERA), live(MICROPHONE), gone(screen(0))];
        assert!(!capturing(&no_screen, true));
        let one_screen_less = [live(CAMERA), live(screen(0)), gone(screen(1))];
        assert!(capturing(&one_screen_less, true));
    }

    fn health(source: StreamId, state: SourceState) -> SourceHealth {
        SourceHealth {
            source,
            state,
            newest: None,
        }
    }

    const fn screen(index: u8) -> StreamId {
        let kind = StreamKind::Screen;
        StreamId { kind, index }
    }

    const CAMERA: StreamId = StreamId {
        kind: StreamKind::Camera,
        index: 0,
    };
    const MICROPHONE: StreamId = StreamId {
        kind: StreamKind::Microphone,
        index: 0,
    };

    fn at(s: u64) -> Now {
        Now::from_origin(Duration::from_secs(s))
    }
}
