//! The recorder: one thread that owns timeline, streams, chains, beats and observations.

mod input;
mod kept;
mod note;
mod store;
mod track;

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};

use qorgan_agent_core::beat::{BeatFacts, BeatMaker};
use qorgan_agent_core::debounce::Debouncer;
use qorgan_agent_core::events::EventBatch;
use qorgan_agent_core::health::{DeviceEvent, HealthMachine};
use qorgan_agent_core::sighting::Sighting;
use qorgan_agent_core::spool::Room;
use qorgan_agent_core::timeline::Timeline;
use qorgan_encode::{AudioEncoder, EncodedFrame, SoundPacket, SoundSettings};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, Hasher as _};
use qorgan_protocol::evidence::{SourceHealth, SourceState};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation};
use qorgan_protocol::link::SourceStatement;
use qorgan_protocol::time::Now;
use qorgan_signing::Ring;
use tokio::sync::mpsc;

use crate::board::Board;
use crate::candidate::Candidate;
use crate::clock;
use crate::enrol::Identity;
use crate::spool::{Left, SharedSpool};
pub(crate) use input::{Controls, Device, Input, Resumption};
pub(crate) use note::Note;
use store::Store;
use track::Tracks;

/// What the recorder works with.
#[derive(Debug)]
pub(crate) struct RecorderParts {
    /// Who the agent is.
    pub(crate) identity: Arc<Identity>,
    /// Where chunks go.
    pub(crate) spool: SharedSpool,
    /// What the client is shown.
    pub(crate) board: Arc<Board>,
    /// What devices are told.
    pub(crate) controls: Arc<Controls>,
    /// Who is learnt.
    pub(crate) candidate: Arc<Candidate>,
    /// The link.
    pub(crate) notes: mpsc::Sender<Note>,
    /// Whether the camera is required.
    pub(crate) camera: bool,
    /// Whether the microphone is required.
    pub(crate) microphone: bool,
    /// How sound is encoded.
    pub(crate) sound: SoundSettings,
}

/// The recorder.
#[derive(Debug)]
pub(crate) struct Recorder {
    identity: Arc<Identity>,
    board: Arc<Board>,
    controls: Arc<Controls>,
    candidate: Arc<Candidate>,
    notes: mpsc::Sender<Note>,
    camera_wanted: bool,
    timeline: Option<Timeline>,
    /// From when on media may be chained: the heads are known.
    ready: bool,
    /// Where the timeline breaks off because the agent was away.
    gap_from_us: Option<u64>,
    store: Store,
    tracks: Tracks,
    devices: BTreeMap<Device, Followed>,
    first_sound: Option<Now>,
    events: EventBatch,
    beats: Option<BeatMaker>,
    kept: Option<Now>,
    ending: Option<Now>,
    stopped: bool,
}

#[derive(Debug)]
struct Followed {
    health: HealthMachine,
    lost: Debouncer,
    statement: Option<SourceStatement>,
    was_live: bool,
}

impl Recorder {
    /// Makes a recorder that goes on after what a former run left.
    pub(crate) fn new(parts: RecorderParts, left: Left, now: Now) -> Self {
        let pre_skip = parts.microphone.then(|| {
            AudioEncoder::new(&parts.sound).map_or(DEFAULT_PRE_SKIP, |sound| sound.pre_skip())
        });
        let identity = parts.identity;
        let mut store = Store::new(
            (identity.attempt, identity.epoch),
            parts.spool,
            Arc::clone(&parts.board),
            parts.notes.clone(),
        );
        let mut tracks = Tracks::new(pre_skip);
        let resumed = store.take_over(&left, &mut tracks, identity.boot, now, clock::wall());
        let mut recorder = Self {
            identity,
            board: parts.board,
            controls: parts.controls,
            candidate: parts.candidate,
            notes: parts.notes,
            camera_wanted: parts.camera,
            timeline: resumed.map(|resumed| resumed.timeline),
            ready: resumed.is_some(),
            gap_from_us: resumed.map(|resumed| resumed.gap_from_us),
            store,
            tracks,
            devices: BTreeMap::new(),
            first_sound: None,
            events: EventBatch::default(),
            beats: None,
            kept: None,
            ending: None,
            stopped: false,
        };
        if let Some(resumed) = resumed {
            let detail = format!(
                "away for {:.1} s{}",
                resumed.gap.as_secs_f64(),
                if resumed.rebooted {
                    ", the machine was restarted"
                } else {
                    ""
                }
            );
            recorder.fact(now, IncidentKind::AgentRestarted, "agent/1", detail);
        }
        if left.changed {
            let detail = "the sealed spool was changed while no agent ran";
            recorder.fact(now, IncidentKind::Tampering, "spool/1", detail.to_owned());
        }
        for what in &left.forgotten {
            let detail = format!("what was learnt at check-in is gone: {what}");
            recorder.fact(now, IncidentKind::Tampering, "candidate/1", detail);
        }
        recorder
    }

    /// Runs until the recording is over.
    pub(crate) fn run(mut self, inputs: &Receiver<Input>) {
        loop {
            match inputs.recv_timeout(TICK) {
                Ok(input) => self.take(clock::now(), input),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            // A burst is taken whole before the clock is looked at again.
            while let Ok(input) = inputs.try_recv() {
                self.take(clock::now(), input);
            }
            if self.stopped {
                return;
            }
            let now = clock::now();
            self.tick(now);
            if self.is_over(now) {
                self.close(now);
                return;
            }
        }
    }

    fn take(&mut self, now: Now, input: Input) {
        match input {
            Input::Opened(device, statement) => {
                self.followed(now, device).statement = Some(*statement);
                self.tell_sources();
            }
            Input::Layout(device, video, interval) => {
                let timeline = *self.timeline.get_or_insert_with(|| Timeline::begin(now));
                if self.ready {
                    self.tracks
                        .begin(device, *video, interval, &mut self.store, now, &timeline);
                    self.tell_sources();
                } else {
                    self.tracks.postpone(device, *video, interval);
                }
            }
            Input::Video(device, frame) => {
                self.seen(now, device, clock::captured(frame.at.as_nanos()));
                self.video(now, device, frame);
            }
            Input::Sound(packets) => self.sound(now, packets),
            Input::Seen(device, at) => self.seen(now, device, at),
            Input::Lost(device, state) => {
                self.health(now, device, DeviceEvent::Failed(state));
            }
            Input::Picture {
                device,
                jpeg,
                preview,
            } => self.picture(device, jpeg, preview),
            Input::Level(level) => self.board.level(Device::Microphone.source(), level),
            Input::Sighting(device, sighting) => {
                let mut sighting = *sighting;
                if let Some(device) = device {
                    sighting.stream = self.tracks.stream_of(device);
                }
                self.observe(now, sighting);
            }
            Input::Resumed(resumption) => self.resumed(now, &resumption),
            Input::KeyFrame(stream) => {
                if let Some(device) = self.tracks.device_of(stream) {
                    self.controls.want_key(device);
                }
            }
            Input::Watch(stream, live) => self.tracks.watch(stream, live),
            Input::Finish => {
                self.controls.stop();
                self.ending.get_or_insert(now);
            }
            Input::Stop => {
                self.controls.stop();
                self.stopped = true;
            }
        }
    }

    fn video(&mut self, now: Now, device: Device, frame: EncodedFrame) {
        let Some(timeline) = self.timeline.filter(|_| self.ready) else {
            return;
        };
        let gap = self
            .tracks
            .video(device, frame, &mut self.store, now, &timeline);
        if gap {
            self.controls.want_key(device);
        }
        self.gap_ended(now);
    }

    fn sound(&mut self, now: Now, packets: Vec<SoundPacket>) {
        if let Some(newest) = packets.last() {
            self.seen(
                now,
                Device::Microphone,
                clock::captured(newest.at.as_nanos()),
            );
        }
        let Some(timeline) = self.timeline.filter(|_| self.ready) else {
            return;
        };
        let first = *self.first_sound.get_or_insert(now);
        let alone = !self.camera_wanted || now.since(first) >= CAMERA_WAIT;
        self.tracks
            .sound(packets, alone, &mut self.store, now, &timeline);
        self.gap_ended(now);
    }

    fn seen(&mut self, now: Now, device: Device, at: Now) {
        self.timeline.get_or_insert_with(|| Timeline::begin(at));
        self.health(now, device, DeviceEvent::Sample(at));
    }

    fn health(&mut self, now: Now, device: Device, event: DeviceEvent) {
        let followed = self.followed(now, device);
        if let Some(state) = followed.health.handle(now, event) {
            followed.was_live |= state == SourceState::Live;
            tracing::info!(?device, ?state, "A device changed");
        }
    }

    fn picture(&self, device: Device, jpeg: Vec<u8>, preview: bool) {
        let stream = self.tracks.source_of(device);
        if preview {
            self.board.preview(stream, jpeg);
        } else if self.ready {
            // The wall's picture of a second ago is not worth waiting for.
            if self.notes.try_send(Note::Thumbnail(stream, jpeg)).is_err() {
                tracing::debug!("The link takes no thumbnail now");
            }
        }
    }

    fn resumed(&mut self, now: Now, resumption: &Resumption) {
        if self.beats.is_some() && resumption.gaps.is_empty() {
            return;
        }
        self.beats = Some(BeatMaker::new(
            self.identity.attempt,
            self.identity.epoch,
            self.identity.boot,
            resumption.beat_next,
            resumption.beat_head,
        ));
        let (gaps, ends) = (&resumption.gaps, &resumption.chains);
        for lost in self.store.mend(now, gaps, ends, &self.tracks) {
            self.fact(now, IncidentKind::RecordingGap, "spool/1", lost);
        }
        let unknown = self
            .store
            .adopt(&resumption.chains, &mut self.tracks, self.ready);
        if unknown && !self.ready {
            let detail = "the spool of the former run is gone; recording goes on in new streams";
            self.fact(
                now,
                IncidentKind::AgentRestarted,
                "agent/1",
                detail.to_owned(),
            );
            self.fact(
                now,
                IncidentKind::RecordingGap,
                "agent/1",
                detail.to_owned(),
            );
        }
        self.ready = true;
        let timeline = *self.timeline.get_or_insert_with(|| Timeline::begin(now));
        self.tracks.begin_postponed(&mut self.store, now, &timeline);
        for device in self.devices.keys() {
            self.controls.want_key(*device);
        }
        self.tell_sources();
    }

    fn tick(&mut self, now: Now) {
        if let Some(timeline) = self.timeline {
            let gaps = self.tracks.due(&mut self.store, now, &timeline);
            gaps.into_iter()
                .for_each(|device| self.controls.want_key(device));
        }
        self.tick_health(now);
        self.tick_room(now);
        if let Some(observations) = self.events.due(now) {
            self.write_events(now, &observations);
        }
        if self.beats.as_ref().is_some_and(|beats| beats.is_due(now)) {
            self.beat(now);
        }
        if self.kept.is_none_or(|kept| now.since(kept) >= KEEP_EVERY) {
            self.kept = Some(now);
            self.keep(now);
        }
    }

    fn tick_health(&mut self, now: Now) {
        let mut said = Vec::new();
        for (device, followed) in &mut self.devices {
            if let Some(state) = followed.health.tick(now) {
                tracing::info!(?device, ?state, "A device changed");
            }
            let state = followed.health.state();
            let lost = state != SourceState::Live && followed.was_live;
            if let Some(edge) = followed.lost.see(now, lost) {
                said.push((*device, edge, state));
            }
        }
        if self.ending.is_some() {
            return;
        }
        for (device, edge, state) in said {
            let detail = format!("{}: {state:?}", device.source());
            let sighting =
                Sighting::fact(IncidentKind::StreamLost, edge, now, "lost-stream/1", detail)
                    .on(self.tracks.source_of(device));
            self.observe(now, sighting);
        }
    }

    fn tick_room(&mut self, now: Now) {
        let Some(room) = self.store.poll_room() else {
            return;
        };
        let (edge, detail) = match room {
            Room::Disk => (Edge::Ended, "the spool's disk takes chunks again"),
            Room::MemoryOnly => (
                Edge::Moment,
                "the spool's disk is full: recording goes on in memory",
            ),
            Room::None => (Edge::Began, "disk and memory are full: nothing is recorded"),
        };
        tracing::warn!(?room, "The room of the spool changed");
        let sighting = Sighting::fact(IncidentKind::RecordingGap, edge, now, "spool/1", detail);
        self.observe(now, sighting);
    }

    fn beat(&mut self, now: Now) {
        let sources = self.healths();
        let spooled_bytes = self.store.waiting_bytes();
        self.show_health(sources.clone(), spooled_bytes);
        let heads = self.store.heads();
        let Some(beats) = &mut self.beats else {
            return;
        };
        let body = beats.make(BeatFacts {
            now,
            wall: clock::wall(),
            heads,
            sources,
            spooled_bytes,
        });
        let identity = &self.identity;
        match crypto::sign(&identity.keys, &Ring, identity.institution, &body) {
            Ok(signed) => {
                let hash = Ring.sha256(&[&signed.bytes]);
                if self.store.put_beat(body.seq, signed) {
                    beats.signed(hash);
                }
            }
            Err(error) => tracing::error!(%error, "A beat cannot be written"),
        }
    }

    fn healths(&self) -> Vec<SourceHealth> {
        let healths = self.devices.iter().map(|(device, followed)| {
            let mut health = followed.health.health();
            health.source = self.tracks.source_of(*device);
            health
        });
        healths.collect()
    }

    fn show_health(&self, sources: Vec<SourceHealth>, spooled_bytes: u64) {
        let kept = self.ready && self.store.takes_media();
        self.board.health(sources, spooled_bytes, kept);
    }

    fn keep(&self, now: Now) {
        if self.beats.is_none() {
            self.show_health(self.healths(), self.store.waiting_bytes());
        }
        if let Some(timeline) = self.timeline {
            let kept = timeline.keep(self.identity.boot, timeline.us(now), clock::wall());
            let learnt = self.candidate.learnt_so_far();
            self.store.keep(kept, &self.tracks, learnt);
        }
    }

    fn observe(&mut self, now: Now, sighting: Sighting) {
        let timeline = *self.timeline.get_or_insert_with(|| Timeline::begin(now));
        tracing::info!(kind = sighting.kind.word(), edge = ?sighting.edge, "Observed");
        self.push(now, sighting.observed(&timeline));
    }

    fn push(&mut self, now: Now, mut observation: Observation) {
        let identity = &self.identity;
        let whose = (identity.attempt, identity.epoch);
        if let Err(error) = identity.inputs.seal(whose, &mut observation) {
            tracing::error!(%error, "A scored input cannot be sealed, and is left out");
        }
        if let Some(observations) = self.events.push(now, observation) {
            self.write_events(now, &observations);
        }
    }

    fn fact(&mut self, now: Now, kind: IncidentKind, detector: &'static str, detail: String) {
        self.observe(
            now,
            Sighting::fact(kind, Edge::Moment, now, detector, detail),
        );
    }

    /// Says the gap of a restart once pictures or sound are recorded again.
    fn gap_ended(&mut self, now: Now) {
        let Some(timeline) = self.timeline else {
            return;
        };
        let Some(from_us) = self.gap_from_us.take() else {
            return;
        };
        let until_us = timeline.us(now);
        let missing = Duration::from_micros(until_us.saturating_sub(from_us));
        let detail = format!("{:.1} s are not recorded", missing.as_secs_f64());
        for (edge, at_us) in [(Edge::Began, from_us), (Edge::Ended, until_us)] {
            let sighting = Sighting::fact(
                IncidentKind::RecordingGap,
                edge,
                now,
                "agent/1",
                detail.clone(),
            );
            let mut observation = sighting.observed(&timeline);
            observation.at_us = at_us;
            self.push(now, observation);
        }
    }

    fn write_events(&mut self, now: Now, observations: &[Observation]) {
        let Some(timeline) = self.timeline.filter(|_| self.ready) else {
            // Before the heads are known nothing can be chained; they wait for the next look.
            for observation in observations {
                if self.events.push(now, observation.clone()).is_some() {
                    tracing::error!("Observations are lost before the link was up");
                }
            }
            return;
        };
        let payload = match codec::encode("observations", &observations) {
            Ok(payload) => payload,
            Err(error) => {
                tracing::error!(%error, "Observations cannot be written");
                return;
            }
        };
        let (first, last) = (
            observations.iter().map(|seen| seen.at_us).min(),
            observations.iter().map(|seen| seen.at_us).max(),
        );
        let start_us = first.unwrap_or_else(|| timeline.us(now));
        let duration_us = last.unwrap_or(start_us).saturating_sub(start_us);
        if !self
            .store
            .append_events(now, start_us, duration_us, &payload)
        {
            tracing::error!(count = observations.len(), "Observations found no room");
        }
    }

    fn tell_sources(&self) {
        let statements: Vec<SourceStatement> = self
            .devices
            .iter()
            .filter_map(|(device, followed)| {
                let mut statement = followed.statement.clone()?;
                statement.source = self.tracks.source_of(*device);
                Some(statement)
            })
            .collect();
        for statement in &statements {
            self.board.label(statement.source, &statement.label);
        }
        self.note(Note::Sources(statements));
    }

    fn followed(&mut self, now: Now, device: Device) -> &mut Followed {
        self.devices.entry(device).or_insert_with(|| Followed {
            health: HealthMachine::new(device.source(), now),
            lost: Debouncer::new(Duration::from_millis(300), Duration::ZERO),
            statement: None,
            was_live: false,
        })
    }

    fn note(&self, note: Note) {
        if self.notes.blocking_send(note).is_err() {
            tracing::debug!("The link is gone");
        }
    }

    /// The devices have ended, or had long enough to.
    fn is_over(&self, now: Now) -> bool {
        self.ending.is_some_and(|since| {
            self.ready && (self.controls.active() == 0 || now.since(since) >= END_WAIT)
        })
    }

    fn close(&mut self, now: Now) {
        if let Some(timeline) = self.timeline {
            self.tracks.flush(&mut self.store, now, &timeline);
        }
        if let Some(observations) = self.events.take() {
            self.write_events(now, &observations);
        }
        self.beat(now);
        self.keep(now);
        self.note(Note::Finish);
        tracing::info!("The recording is complete and is being delivered");
    }
}

/// How often clocks are looked at while nothing comes.
const TICK: Duration = Duration::from_millis(40);
const KEEP_EVERY: Duration = Duration::from_secs(1);
/// How long sound waits for the camera whose file it belongs to.
const CAMERA_WAIT: Duration = Duration::from_secs(3);
const END_WAIT: Duration = Duration::from_secs(3);
/// What libopus skips at 48 kHz for speech, where it does not say so itself.
const DEFAULT_PRE_SKIP: u16 = 312;
