//! Ten seconds of an incident, by reference: the chunks of the recording that show it.
//!
//! # Invariants
//! * A clip lies within one stream of one epoch and begins at a chunk that decoding can begin with.
//! * It follows from the recording's own chunk headers alone: whoever has the export finds the same.

use std::collections::BTreeMap;

use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, Epoch};
use serde::Serialize;

use qorgan_recordings::{RecordingError, RecordingIndex, Recordings};

/// Where a recording shows an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Clip {
    /// On which machine and key.
    pub(crate) epoch: u32,
    /// The stream that shows it.
    pub(crate) stream: String,
    /// The first chunk that is needed; decoding can begin with it.
    pub(crate) first: u64,
    /// The last chunk.
    pub(crate) last: u64,
    /// Where the ten seconds begin on the epoch's timeline, in microseconds.
    pub(crate) from_us: u64,
    /// Where they end.
    pub(crate) to_us: u64,
}

/// What is to be shown of an incident.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) epoch: Epoch,
    /// The stream that it names.
    pub(crate) stream: Option<&'a str>,
    pub(crate) began_us: u64,
}

/// Finds the clips of one attempt, and reads each stream's index once.
#[derive(Debug)]
pub(crate) struct Clips<'a> {
    recordings: &'a Recordings,
    attempt: AttemptId,
    streams: Vec<(Epoch, StreamId)>,
    indexes: BTreeMap<(Epoch, StreamId), RecordingIndex>,
}

impl<'a> Clips<'a> {
    /// Looks which streams there are.
    pub(crate) async fn of(
        recordings: &'a Recordings,
        attempt: AttemptId,
    ) -> Result<Self, RecordingError> {
        Ok(Self {
            recordings,
            attempt,
            streams: recordings.streams(attempt).await?,
            indexes: BTreeMap::new(),
        })
    }

    /// Returns the clip of a moment; `None` where nothing of it was recorded.
    pub(crate) async fn find(
        &mut self,
        moment: Moment<'_>,
    ) -> Result<Option<Clip>, RecordingError> {
        let Some(stream) = shown_by(&self.streams, moment) else {
            return Ok(None);
        };
        let which = (moment.epoch, stream);
        if !self.indexes.contains_key(&which) {
            let index = self.recordings.index(self.attempt, which.0, stream).await?;
            self.indexes.insert(which, index);
        }
        let found = self.indexes.get(&which);
        Ok(found.and_then(|index| clip(index, which, moment.began_us)))
    }
}

/// Chooses the stream that shows a moment: the one that it names, else the camera for what was heard
/// or seen of the candidate, else the screen.
fn shown_by(streams: &[(Epoch, StreamId)], moment: Moment<'_>) -> Option<StreamId> {
    let named = moment.stream.and_then(StreamId::from_word);
    let there = || {
        let own = streams.iter().filter(|(epoch, _)| *epoch == moment.epoch);
        own.map(|(_, stream)| *stream)
    };
    let first = |kind| there().find(|stream| stream.kind == kind);
    let instead = match named.map(|stream| stream.kind) {
        Some(StreamKind::Camera | StreamKind::Microphone) => StreamKind::Camera,
        Some(StreamKind::Screen | StreamKind::Events) | None => StreamKind::Screen,
    };
    let media = |stream: &StreamId| stream.kind != StreamKind::Events;
    there()
        .filter(media)
        .find(|stream| Some(*stream) == named)
        .or_else(|| first(instead))
        .or_else(|| there().find(media))
}

/// Returns the chunks that hold the ten seconds around a moment.
fn clip(index: &RecordingIndex, (epoch, stream): (Epoch, StreamId), at_us: u64) -> Option<Clip> {
    let from_us = at_us.saturating_sub(BEFORE_US);
    let to_us = from_us.saturating_add(CLIP_US).min(index.end_us);
    let chunks = &index.chunks;
    // A still screen sends nothing for a while: what began before shows the moment too.
    let begun = chunks.partition_point(|(start, ..)| *start <= from_us);
    let last = chunks
        .partition_point(|(start, ..)| *start < to_us)
        .checked_sub(1)?;
    let near = begun.saturating_sub(1).min(last);
    let first = (0..=near).rev().find(|at| {
        let chunk = chunks.get(*at);
        chunk.is_some_and(|(.., sync)| *sync == 1)
    })?;
    let seq = |at: usize| u64::try_from(at).map_or(u64::MAX, |at| at.saturating_add(1));
    (from_us < to_us).then(|| Clip {
        epoch: epoch.0,
        stream: stream.to_string(),
        first: seq(first),
        last: seq(last),
        from_us,
        to_us,
    })
}

/// A clip begins so long before its moment.
const BEFORE_US: u64 = 4_000_000;
/// How long a clip is.
const CLIP_US: u64 = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    const CAMERA: StreamId = stream(StreamKind::Camera);
    const SCREEN: StreamId = stream(StreamKind::Screen);

    const fn stream(kind: StreamKind) -> StreamId {
        StreamId { kind, index: 0 }
    }

    /// Sixty seconds in chunks of half a second, each fourth one decodable by itself.
    fn minute() -> RecordingIndex {
        RecordingIndex {
            init: 10,
            len: 1_210,
            end_us: 60_000_000,
            chunks: (0..120)
                .map(|n| (n * 500_000, 10 + n * 10, 10, u8::from(n % 4 == 0)))
                .collect(),
        }
    }

    fn at(index: &RecordingIndex, at_us: u64) -> Option<(u64, u64, u64, u64)> {
        let found = clip(index, (Epoch::FIRST, CAMERA), at_us);
        found.map(|clip| (clip.first, clip.last, clip.from_us, clip.to_us))
    }

    #[test]
    fn a_clip_holds_ten_seconds_from_a_chunk_that_decoding_can_begin_with() {
        // Chunk 53 begins at 26 s; the one before that decoding can begin with is number 53.
        let found = at(&minute(), 30_000_000);
        assert_eq!(found, Some((53, 72, 26_000_000, 36_000_000)));
        let found = at(&minute(), 30_600_000);
        assert_eq!(found, Some((53, 74, 26_600_000, 36_600_000)));
    }

    #[test]
    fn a_clip_is_cut_where_the_recording_begins_and_ends() {
        assert_eq!(at(&minute(), 1_000_000), Some((1, 20, 0, 10_000_000)));
        let found = at(&minute(), 59_000_000);
        assert_eq!(found, Some((109, 120, 55_000_000, 60_000_000)));
        assert_eq!(at(&minute(), 70_000_000), None);
        assert_eq!(at(&RecordingIndex::default(), 0), None);
    }

    #[test]
    fn what_a_still_screen_showed_long_before_is_part_of_the_clip() {
        let still = RecordingIndex {
            end_us: 60_000_000,
            chunks: vec![(0, 0, 9, 1), (2_000_000, 9, 9, 0), (50_000_000, 18, 9, 0)],
            ..RecordingIndex::default()
        };
        assert_eq!(at(&still, 30_000_000), Some((1, 2, 26_000_000, 36_000_000)));
    }

    #[test]
    fn the_stream_that_is_named_shows_it_and_another_where_it_was_not_recorded() {
        let streams = [
            (Epoch::FIRST, CAMERA),
            (Epoch::FIRST, stream(StreamKind::Events)),
            (Epoch::FIRST, SCREEN),
        ];
        let shown = |stream, epoch| {
            let began_us = 0;
            let moment = Moment {
                epoch,
                stream,
                began_us,
            };
            shown_by(&streams, moment)
        };
        assert_eq!(shown(Some("camera-0"), Epoch::FIRST), Some(CAMERA));
        assert_eq!(shown(Some("microphone-0"), Epoch::FIRST), Some(CAMERA));
        assert_eq!(shown(Some("screen-1"), Epoch::FIRST), Some(SCREEN));
        assert_eq!(shown(None, Epoch::FIRST), Some(SCREEN));
        assert_eq!(shown(Some("events-0"), Epoch::FIRST), Some(SCREEN));
        assert_eq!(shown(Some("camera-0"), Epoch(2)), None);
    }
}
