//! Media streams: from frames and packets to chunks, one file layout a stream.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use qorgan_agent_core::segmenter::{Batch, Segmenter};
use qorgan_agent_core::timeline::{Timeline, micros};
use qorgan_encode::{CmafMuxer, EncodedFrame, Layout, MediaTime, SoundPacket, VideoLayout};
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::time::Now;
use qorgan_signing::Ring;

use super::Device;
use super::store::{Piece, Store};
use crate::clock;

/// Every media stream, and which device feeds which.
#[derive(Debug)]
pub(super) struct Tracks {
    sound_pre_skip: Option<u16>,
    /// Every stream that was ever begun; without its initialisation segment's hash it cannot go on.
    known: BTreeMap<StreamId, Option<Sha256>>,
    open: BTreeMap<Device, Track>,
    postponed: BTreeMap<Device, (VideoLayout, Duration)>,
    /// What somebody looks at, also while it has no device.
    watched: BTreeSet<StreamId>,
}

#[derive(Debug)]
struct Track {
    stream: StreamId,
    segmenter: Segmenter<EncodedFrame, SoundPacket>,
    muxer: CmafMuxer,
    init: Sha256,
    /// After a gap nothing is kept until a key frame comes.
    needs_key: bool,
}

impl Tracks {
    pub(super) const fn new(sound_pre_skip: Option<u16>) -> Self {
        Self {
            sound_pre_skip,
            known: BTreeMap::new(),
            open: BTreeMap::new(),
            postponed: BTreeMap::new(),
            watched: BTreeSet::new(),
        }
    }

    pub(super) fn known(&mut self, stream: StreamId, init: Option<Sha256>) {
        let entry = self.known.entry(stream).or_default();
        *entry = init.filter(|init| *init != Sha256::ZERO).or(*entry);
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.known.insert(stream, None);
    }

    pub(super) fn is_open(&self, stream: StreamId) -> bool {
        self.open.values().any(|track| track.stream == stream)
    }

    pub(super) fn init_of(&self, stream: StreamId) -> Option<Sha256> {
        self.known.get(&stream).copied().flatten()
    }

    /// Returns the initialisation segment of a stream that a device feeds.
    pub(super) fn init_segment(&self, stream: StreamId) -> Option<Vec<u8>> {
        let track = self.open.values().find(|track| track.stream == stream)?;
        track.muxer.init_segment().ok()
    }

    pub(super) fn stream_of(&self, device: Device) -> Option<StreamId> {
        let track = self.open.get(&device).or_else(|| match device {
            Device::Microphone => self.open.get(&Device::Camera),
            Device::Camera | Device::Screen(_) => None,
        });
        track.map(|track| track.stream)
    }

    /// Returns the name of a source: its stream's, but for a microphone, which has a name of its
    /// own also where its sound lies in the camera's file.
    pub(super) fn source_of(&self, device: Device) -> StreamId {
        match device {
            Device::Microphone => device.source(),
            Device::Camera | Device::Screen(_) => self
                .open
                .get(&device)
                .map_or_else(|| device.source(), |track| track.stream),
        }
    }

    pub(super) fn device_of(&self, stream: StreamId) -> Option<Device> {
        let mut open = self.open.iter();
        open.find(|(_, track)| track.stream == stream)
            .map(|(device, _)| *device)
    }

    pub(super) fn watch(&mut self, stream: StreamId, live: bool) {
        if live {
            self.watched.insert(stream);
        } else {
            self.watched.remove(&stream);
        }
        for track in self.open.values_mut() {
            if track.stream == stream {
                track.segmenter.watch(live);
            }
        }
    }

    pub(super) fn postpone(&mut self, device: Device, video: VideoLayout, interval: Duration) {
        self.postponed.insert(device, (video, interval));
    }

    pub(super) fn begin_postponed(&mut self, store: &mut Store, now: Now, timeline: &Timeline) {
        for (device, (video, interval)) in core::mem::take(&mut self.postponed) {
            self.begin(device, video, interval, store, now, timeline);
        }
    }

    /// Begins a device's stream, or goes on with one of the same layout.
    pub(super) fn begin(
        &mut self,
        device: Device,
        video: VideoLayout,
        interval: Duration,
        store: &mut Store,
        now: Now,
        timeline: &Timeline,
    ) {
        let sound_pre_skip = match device {
            Device::Camera => self.sound_pre_skip,
            Device::Microphone | Device::Screen(_) => None,
        };
        let layout = Layout {
            video: Some(video),
            sound_pre_skip,
        };
        if device == Device::Camera {
            self.end(Device::Microphone, store, now, timeline);
        }
        self.begin_layout(device, &layout, interval, store, now, timeline);
    }

    fn begin_layout(
        &mut self,
        device: Device,
        layout: &Layout,
        interval: Duration,
        store: &mut Store,
        now: Now,
        timeline: &Timeline,
    ) {
        let init = match CmafMuxer::new(layout.clone(), MediaTime::ZERO, 0)
            .and_then(|muxer| muxer.init_segment())
        {
            Ok(init) => init,
            Err(error) => {
                tracing::error!(?device, %error, "A stream's layout cannot be written");
                return;
            }
        };
        let hash = Ring.sha256(&[&init]);
        if let Some(track) = self.open.get_mut(&device) {
            if track.init == hash {
                // The device came back as it was; its encoder begins with a key frame.
                track.needs_key = true;
                return;
            }
            self.end(device, store, now, timeline);
        }
        let kind = device.source().kind;
        let stream = self.stream_for(kind, hash);
        let chain = store.chain_of(stream);
        let sequence = u32::try_from(chain.next.0).unwrap_or(u32::MAX);
        let muxer = match CmafMuxer::new(layout.clone(), MediaTime::ZERO, sequence) {
            Ok(muxer) => muxer,
            Err(error) => {
                tracing::error!(?device, %error, "A stream cannot be begun");
                return;
            }
        };
        if chain.next.0 == 0 {
            let kept = store.append(
                now,
                Piece {
                    stream,
                    start_us: timeline.us(now),
                    duration_us: 0,
                    sync: true,
                    payload: &init,
                    essential: true,
                },
            );
            if !kept {
                return;
            }
        }
        tracing::info!(?device, %stream, goes_on = chain.next.0 > 0, "A stream begins");
        self.known.insert(stream, Some(hash));
        let mut segmenter = Segmenter::new(micros(interval));
        segmenter.watch(self.watched.contains(&stream));
        let track = Track {
            stream,
            segmenter,
            muxer,
            init: hash,
            needs_key: layout.video.is_some(),
        };
        self.open.insert(device, track);
    }

    /// Takes a frame; tells whether something was dropped for want of room.
    pub(super) fn video(
        &mut self,
        device: Device,
        frame: EncodedFrame,
        store: &mut Store,
        now: Now,
        timeline: &Timeline,
    ) -> bool {
        let Some(track) = self.open.get_mut(&device) else {
            return false;
        };
        if track.needs_key && !frame.key {
            return false;
        }
        track.needs_key = false;
        let at_us = timeline.us(clock::captured(frame.at.as_nanos()));
        let frame = EncodedFrame {
            at: media_time(at_us),
            ..frame
        };
        let batches = track
            .segmenter
            .video(at_us, frame.key, frame.data.len(), frame);
        let mut gap = false;
        for batch in batches.into_iter().flatten() {
            gap |= track.write(store, now, batch);
        }
        gap
    }

    /// Takes sound into the camera's stream, or, where it stays away, into one of its own.
    pub(super) fn sound(
        &mut self,
        packets: Vec<SoundPacket>,
        alone: bool,
        store: &mut Store,
        now: Now,
        timeline: &Timeline,
    ) {
        let device = if self.open.contains_key(&Device::Camera) {
            Device::Camera
        } else if alone {
            if !self.open.contains_key(&Device::Microphone) {
                let layout = Layout {
                    video: None,
                    sound_pre_skip: self.sound_pre_skip,
                };
                let device = Device::Microphone;
                self.begin_layout(device, &layout, Duration::ZERO, store, now, timeline);
            }
            Device::Microphone
        } else {
            return;
        };
        let Some(track) = self.open.get_mut(&device) else {
            return;
        };
        for packet in packets {
            let at_us = timeline.us(clock::captured(packet.at.as_nanos()));
            let packet = SoundPacket {
                at: media_time(at_us),
                ..packet
            };
            let bytes = packet.data.len();
            if let Some(batch) = track.segmenter.sound(at_us, bytes, packet) {
                track.write(store, now, batch);
            }
        }
    }

    /// Writes the chunks whose time is over; returns the devices that must give a key frame.
    pub(super) fn due(&mut self, store: &mut Store, now: Now, timeline: &Timeline) -> Vec<Device> {
        let now_us = timeline.us(now);
        let mut gaps = Vec::new();
        for (device, track) in &mut self.open {
            if let Some(batch) = track.segmenter.due(now_us)
                && track.write(store, now, batch)
            {
                gaps.push(*device);
            }
        }
        gaps
    }

    pub(super) fn flush(&mut self, store: &mut Store, now: Now, timeline: &Timeline) {
        let devices: Vec<Device> = self.open.keys().copied().collect();
        for device in devices {
            self.end(device, store, now, timeline);
        }
    }

    fn end(&mut self, device: Device, store: &mut Store, now: Now, timeline: &Timeline) {
        if let Some(mut track) = self.open.remove(&device)
            && let Some(batch) = track.segmenter.flush(timeline.us(now))
        {
            track.write(store, now, batch);
        }
    }

    /// Returns a stream of this kind that has this layout and no device, or a new one.
    fn stream_for(&self, kind: StreamKind, init: Sha256) -> StreamId {
        let same = self.known.iter().find(|(stream, known)| {
            stream.kind == kind && **known == Some(init) && !self.is_open(**stream)
        });
        if let Some((stream, _)) = same {
            return *stream;
        }
        let of_kind = self.known.keys().filter(|stream| stream.kind == kind);
        let index = of_kind
            .map(|stream| stream.index.saturating_add(1))
            .max()
            .unwrap_or(0);
        StreamId { kind, index }
    }
}

impl Track {
    /// Writes one chunk; tells whether it was dropped.
    fn write(
        &mut self,
        store: &mut Store,
        now: Now,
        batch: Batch<EncodedFrame, SoundPacket>,
    ) -> bool {
        let until = media_time(batch.until_us);
        let chunk = match self.muxer.chunk(&batch.video, &batch.sound, until) {
            Ok(chunk) => chunk,
            Err(error) => {
                tracing::warn!(stream = %self.stream, %error, "A chunk cannot be muxed");
                self.needs_key = !batch.video.is_empty();
                return self.needs_key;
            }
        };
        let kept = store.append(
            now,
            Piece {
                stream: self.stream,
                start_us: chunk.start.as_nanos() / NANOS_PER_US,
                duration_us: micros(chunk.duration),
                sync: chunk.sync,
                payload: &chunk.bytes,
                essential: false,
            },
        );
        if !kept {
            self.segmenter.discard();
            self.needs_key = !batch.video.is_empty() || self.needs_key;
        }
        !kept
    }
}

const fn media_time(us: u64) -> MediaTime {
    MediaTime::from_nanos(us.saturating_mul(NANOS_PER_US))
}

const NANOS_PER_US: u64 = 1_000;
