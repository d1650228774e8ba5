//! Frames to chunks: at most 500 ms each, or one frame while somebody looks.

use qorgan_protocol::limits::CHUNK_MS_MAX;

/// Gathers one stream's frames and sound until they make a chunk.
///
/// A key frame always begins a chunk, so that a chunk that says `sync` begins with one. Times are
/// microseconds on the epoch's timeline.
#[derive(Debug)]
pub struct Segmenter<V, S> {
    video: Vec<V>,
    sound: Vec<S>,
    first_video_us: Option<u64>,
    first_sound_us: Option<u64>,
    last_video_us: Option<u64>,
    interval_us: u64,
    bytes: usize,
    watched: bool,
}

/// What makes one chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch<V, S> {
    /// Frames, in order.
    pub video: Vec<V>,
    /// Packets, in order.
    pub sound: Vec<S>,
    /// Until when the last frame is shown.
    pub until_us: u64,
}

impl<V, S> Segmenter<V, S> {
    /// Makes an empty segmenter; `interval_us` is the usual time between two frames.
    #[must_use]
    pub const fn new(interval_us: u64) -> Self {
        Self {
            video: Vec::new(),
            sound: Vec::new(),
            first_video_us: None,
            first_sound_us: None,
            last_video_us: None,
            interval_us,
            bytes: 0,
            watched: false,
        }
    }

    /// Somebody looks or looks away.
    pub fn watch(&mut self, watched: bool) {
        self.watched = watched;
    }

    /// Takes a frame and returns the chunks that it completes, at most two.
    pub fn video(
        &mut self,
        at_us: u64,
        key: bool,
        bytes: usize,
        frame: V,
    ) -> [Option<Batch<V, S>>; 2] {
        if let Some(last) = self.last_video_us {
            self.interval_us = at_us.saturating_sub(last).clamp(INTERVAL_US_MIN, SPAN_US);
        }
        let before = (self.cuts_before(at_us, bytes) || (key && !self.video.is_empty()))
            .then(|| self.close(at_us))
            .flatten();
        self.first_video_us.get_or_insert(at_us);
        self.last_video_us = Some(at_us);
        self.bytes = self.bytes.saturating_add(bytes);
        self.video.push(frame);
        let after = self
            .watched
            .then(|| self.close(at_us.saturating_add(self.interval_us)))
            .flatten();
        [before, after]
    }

    /// Takes a sound packet and returns the chunk that it completes.
    pub fn sound(&mut self, at_us: u64, bytes: usize, packet: S) -> Option<Batch<V, S>> {
        let full = self
            .first_sound_us
            .is_some_and(|first| at_us.saturating_sub(first) + PACKET_US > SPAN_US)
            || self.bytes.saturating_add(bytes) > BYTES_MAX;
        let closed = full.then(|| self.close(at_us)).flatten();
        self.first_sound_us.get_or_insert(at_us);
        self.bytes = self.bytes.saturating_add(bytes);
        self.sound.push(packet);
        closed
    }

    /// Returns the chunk whose time is over: a screen that stands still sends no next frame.
    pub fn due(&mut self, now_us: u64) -> Option<Batch<V, S>> {
        let first = [self.first_video_us, self.first_sound_us];
        let first = first.into_iter().flatten().min()?;
        (first.saturating_add(SPAN_US + LATE_US) <= now_us).then(|| self.close(now_us))?
    }

    /// Returns what is left, at the end.
    pub fn flush(&mut self, now_us: u64) -> Option<Batch<V, S>> {
        self.close(now_us)
    }

    /// Gives up what is gathered and returns whether there was anything.
    pub fn discard(&mut self) -> bool {
        self.close(0).is_some()
    }

    fn cuts_before(&self, at_us: u64, bytes: usize) -> bool {
        let span_over = self.first_video_us.is_some_and(|first| {
            at_us
                .saturating_sub(first)
                .saturating_add(self.interval_us.min(INTERVAL_US_FAST))
                > SPAN_US
        });
        let sound_over = self
            .first_sound_us
            .is_some_and(|first| at_us.saturating_sub(first) > SPAN_US);
        span_over || sound_over || self.bytes.saturating_add(bytes) > BYTES_MAX
    }

    fn close(&mut self, until_us: u64) -> Option<Batch<V, S>> {
        if self.video.is_empty() && self.sound.is_empty() {
            return None;
        }
        self.first_video_us = None;
        self.first_sound_us = None;
        self.bytes = 0;
        Some(Batch {
            video: core::mem::take(&mut self.video),
            sound: core::mem::take(&mut self.sound),
            until_us,
        })
    }
}

const SPAN_US: u64 = CHUNK_MS_MAX * 1_000;
/// How long after a chunk's span late frames and packets are still waited for.
const LATE_US: u64 = 60_000;
const PACKET_US: u64 = 20_000;
const INTERVAL_US_MIN: u64 = 10_000;
/// A stream slower than this shows a frame longer than a chunk may last anyway.
const INTERVAL_US_FAST: u64 = 250_000;
/// Leaves room for the boxes within the protocol's bound of a chunk.
const BYTES_MAX: usize = 900 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fifteen_frames_a_second_make_chunks_below_half_a_second() {
        let mut segmenter = Segmenter::<u64, u64>::new(66_666);
        let mut chunks = Vec::new();
        for n in 0..60_u64 {
            let at = n * 66_666;
            chunks.extend(
                segmenter
                    .video(at, n % 30 == 0, 2_000, at)
                    .into_iter()
                    .flatten(),
            );
        }
        chunks.extend(segmenter.flush(60 * 66_666));
        assert_eq!(
            chunks.iter().map(|chunk| chunk.video.len()).sum::<usize>(),
            60
        );
        for chunk in &chunks {
            assert!(chunk.until_us - chunk.video[0] <= SPAN_US);
        }
        assert!(chunks.iter().any(|chunk| chunk.video[0] == 30 * 66_666));
    }

    #[test]
    fn while_somebody_looks_each_frame_is_a_chunk_with_its_sound() {
        let mut segmenter = Segmenter::<u64, u64>::new(66_666);
        segmenter.watch(true);
        assert!(segmenter.sound(0, 60, 0).is_none());
        assert!(segmenter.sound(20_000, 60, 1).is_none());
        let [before, now] = segmenter.video(30_000, false, 900, 7);
        assert!(before.is_none());
        let chunk = now.expect("one frame is enough");
        assert_eq!((chunk.video, chunk.sound), (vec![7], vec![0, 1]));
        assert_eq!(chunk.until_us, 96_666);
    }

    #[test]
    fn a_screen_that_stands_still_is_sent_all_the_same() {
        let mut segmenter = Segmenter::<u64, u64>::new(200_000);
        assert!(
            segmenter
                .video(1_000_000, true, 90_000, 1)
                .iter()
                .all(Option::is_none)
        );
        assert!(segmenter.due(1_559_999).is_none());
        let chunk = segmenter.due(1_560_000).expect("its time is over");
        assert_eq!(chunk.video, [1]);
        assert!(segmenter.due(9_000_000).is_none());
    }

    #[test]
    fn sound_without_pictures_still_makes_chunks() {
        let mut segmenter = Segmenter::<u64, u64>::new(66_666);
        let chunks: Vec<_> = (0..100_u64)
            .filter_map(|n| segmenter.sound(n * 20_000, 60, n))
            .collect();
        assert_eq!(chunks.len(), 3);
        assert!(chunks.iter().all(|chunk| chunk.sound.len() == 25));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_doubled_and_no_chunk_is_too_long(
            steps in prop::collection::vec((1_u64..900_000, any::<bool>(), any::<bool>(), 1_usize..600_000), 1..80)
        ) {
            let mut segmenter = Segmenter::<(u64, bool), u64>::new(66_666);
            let (mut at, mut frames, mut packets) = (0, Vec::new(), Vec::new());
            let mut chunks = Vec::new();
            for (step, key, sound, bytes) in steps {
                at += step;
                chunks.extend(segmenter.due(at));
                if sound {
                    packets.push(at);
                    chunks.extend(segmenter.sound(at, 80, at));
                } else {
                    frames.push((at, key));
                    chunks.extend(segmenter.video(at, key, bytes, (at, key)).into_iter().flatten());
                }
            }
            chunks.extend(segmenter.flush(at + 1));
            let out: Vec<_> = chunks.iter().flat_map(|chunk| chunk.video.clone()).collect();
            prop_assert_eq!(out, frames);
            let out: Vec<_> = chunks.iter().flat_map(|chunk| chunk.sound.clone()).collect();
            prop_assert_eq!(out, packets);
            for chunk in chunks {
                prop_assert!(chunk.video.iter().skip(1).all(|(_, key)| !key));
                if let (Some(first), Some(last)) = (chunk.video.first(), chunk.video.last()) {
                    prop_assert!(last.0 - first.0 <= SPAN_US);
                }
            }
        }
    }
}
