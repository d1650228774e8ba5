//! One agent's link from hello to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::WebSocket;
use qorgan_protocol::attempt::AttemptPhase;
use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::evidence::{
    ChunkHeader, ChunkSeq, Head, Receipt, ReceiptBatch, StreamId, StreamKind,
};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::link::{
    LinkReceiver, LinkRefusal, Received, RefusalReason, ServerFrame, Standing,
};
use qorgan_protocol::media::{InitSummary, summary_of};
use qorgan_protocol::time::Now;
use qorgan_signing::Ring;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::content::Content;
use super::end::LinkEnd;
use super::events::{self, EventsPlace, ReadError, read_observations};
use super::look::look_for_code;
use super::quota::{ByteQuota, Taken};
use super::socket::{close, receive, send};
use super::stored::{Pending, Waits};
use crate::auth::AgentAuth;
use crate::live::Watched;
use crate::registry::AgentCommand;
use crate::state::AppState;
use qorgan_recordings::{Appender, Committed, RecordingError};

/// Serves a link until it ends.
pub(super) async fn run(state: AppState, agent: AgentAuth, nonce: [u8; 32], mut socket: WebSocket) {
    let (attempt, epoch) = (agent.attempt, agent.epoch);
    let ended = match greet(&state, agent, nonce, &mut socket).await {
        Ok(link) => link.serve(&mut socket).await,
        Err(end) => Err(end),
    };
    let Err(end) = ended else {
        return;
    };
    tracing::info!(%attempt, %epoch, end = %end, "Ended a link");
    let Some(refusal) = end.refusal() else {
        return;
    };
    if refusal.tampering {
        note_tampering(&state, (attempt, epoch), &refusal).await;
    }
    if send(&mut socket, &refusal.frame()).await.is_ok() {
        close(&mut socket).await;
    }
}

async fn note_tampering(
    state: &AppState,
    (attempt, epoch): (AttemptId, Epoch),
    refusal: &LinkRefusal,
) {
    let registry = &state.registry;
    let noted = registry.noted(attempt, epoch, IncidentKind::Tampering, &refusal.detail);
    if let Err(error) = noted.await {
        tracing::error!(%attempt, %error, "Could not note tampering");
    }
}

/// Believes a hello and takes up the recording.
async fn greet(
    state: &AppState,
    agent: AgentAuth,
    nonce: [u8; 32],
    socket: &mut WebSocket,
) -> Result<Link, LinkEnd> {
    let (attempt, epoch) = (agent.attempt, agent.epoch);
    let keys = agent_keys(state, attempt, epoch).await?;
    let whose = (state.institution(), attempt, epoch);
    let mut receiver = LinkReceiver::new(&Ring, whose, &keys, nonce, Standing::default());
    let first = timeout(HELLO_WAIT_MAX, receive(socket)).await;
    let bytes = first.map_err(|_late| LinkEnd::Left)??;
    let Received::Hello(hello) = receiver.handle(&Ring, &bytes)? else {
        return Err(LinkRefusal::new(RefusalReason::BadFrame, "no hello came").into());
    };
    let refuse = |reason: RefusalReason| LinkRefusal::new(reason, "the attempt takes no such link");
    state
        .registry
        .link_allowed(attempt, epoch, hello.boot)
        .await?
        .map_err(refuse)?;
    let commands = state.registry.subscribe(attempt).await?;
    let (appender, standing) = state.recordings.link(attempt, epoch).await?;
    let began = state.recordings.began(attempt).await?;
    let quota = ByteQuota::of(
        state.registry.byte_bounds(attempt).await?,
        state.recordings.open_bytes(attempt)?,
        began.map_or(Duration::ZERO, |began| state.clock.wall().since(began)),
    );
    let mut link = Link {
        state: state.clone(),
        attempt,
        epoch,
        receipted: BTreeMap::new(),
        beats_receipted: standing.beat_next,
        segments: BTreeMap::new(),
        watched: state.live.watched(attempt),
        watching: Watched::new(),
        events: EventsPlace::default(),
        pending: Pending::default(),
        quota,
        slowed: None,
        welcomed: state.clock.now(),
        commands,
        appender,
        receiver,
    };
    link.take_up(standing).await?;
    state
        .registry
        .link_up(attempt, epoch, hello.boot)
        .await?
        .map_err(refuse)?;
    Ok(link)
}

async fn agent_keys(
    state: &AppState,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<Vec<PublicKey>, LinkEnd> {
    let rows: Vec<Vec<u8>> = qorgan_store::query_scalar(
        "SELECT key FROM agent_certificates WHERE attempt_id = $1 AND epoch = $2",
    )
    .bind(attempt.to_string())
    .bind(i64::from(epoch.0))
    .fetch_all(state.store.read())
    .await
    .map_err(RecordingError::from)?;
    let keys = rows
        .iter()
        .map(|key| qorgan_store::array("agent key", key).map(PublicKey));
    Ok(keys
        .collect::<Result<_, _>>()
        .map_err(RecordingError::from)?)
}

/// A link whose hello is believed.
struct Link {
    state: AppState,
    attempt: AttemptId,
    epoch: Epoch,
    receiver: LinkReceiver,
    appender: Appender,
    commands: broadcast::Receiver<AgentCommand>,
    watched: watch::Receiver<Watched>,
    watching: Watched,
    segments: BTreeMap<StreamId, Arc<InitSummary>>,
    receipted: BTreeMap<StreamId, ChunkSeq>,
    beats_receipted: u64,
    events: EventsPlace,
    /// What the gate is told of once it is on disk.
    pending: Pending,
    quota: ByteQuota,
    /// When it was last noted that the recording is slowed.
    slowed: Option<Now>,
    welcomed: Now,
}

enum Event {
    Message(Bytes),
    Committed(Committed),
    ReceiptsDue,
    Command(AgentCommand),
    Watched,
    Silent,
}

impl Link {
    /// Reads the state of a resumed recording.
    async fn take_up(&mut self, standing: Standing) -> Result<(), LinkEnd> {
        let mut heads = Vec::new();
        for (stream, known) in &standing.streams {
            self.receipted.insert(*stream, known.chain.next);
            if known.chain.next.0 == 0 {
                continue;
            }
            heads.push(Head {
                stream: *stream,
                seq: ChunkSeq(known.chain.next.0 - 1),
                header: known.chain.head,
            });
            let recordings = &self.state.recordings;
            if *stream != StreamId::EVENTS
                && let Some(init) = recordings
                    .first_chunk(self.attempt, self.epoch, *stream)
                    .await?
            {
                self.learn(*stream, &init);
            }
        }
        self.receiver.resume(standing);
        self.state
            .registry
            .heads_stored(self.attempt, self.epoch, &heads)
            .await?;
        self.note_began().await?;
        // A former link may have stored events that it could not read any more.
        self.read_events().await
    }

    async fn note_began(&self) -> Result<(), RecordingError> {
        let mut tx = self.state.store.begin().await?;
        qorgan_store::query(
            "INSERT INTO recordings (attempt_id, epoch, institution_id, began_ms) \
             VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
        )
        .bind(self.attempt.to_string())
        .bind(i64::from(self.epoch.0))
        .bind(self.state.institution().to_string())
        .bind(self.state.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    fn learn(&mut self, stream: StreamId, init: &[u8]) {
        if let Ok(segment) = summary_of(init) {
            self.segments.insert(stream, Arc::new(segment));
            self.state.live.publish_init(self.attempt, stream, init);
        }
    }

    async fn serve(mut self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        let ended = self.until_end(socket).await;
        let replaced = matches!(&ended, Err(LinkEnd::Recording(RecordingError::Superseded)));
        match self.part(replaced).await {
            Ok(()) => ended,
            Err(error) if ended.is_ok() => Err(error),
            // The first fault, which ended the link, says more than one that followed from it.
            Err(error) => {
                tracing::error!(attempt = %self.attempt, %error, "Could not end a link in order");
                ended
            }
        }
    }

    async fn part(&self, replaced: bool) -> Result<(), LinkEnd> {
        let registry = &self.state.registry;
        if !replaced {
            registry.link_down(self.attempt, self.epoch).await?;
        }
        // Nothing is sealed of such an attempt, so that nothing else forgets it.
        let (phase, _epoch) = registry.standing(self.attempt).await?;
        if matches!(phase, AttemptPhase::Void { .. }) {
            self.state.live.forget(self.attempt);
        }
        Ok(())
    }

    async fn until_end(&mut self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        let welcome = self.receiver.welcome(self.state.clock.wall());
        // Before it is sent, so that no beat seems younger than it is.
        self.welcomed = self.state.clock.now();
        send(socket, &welcome).await?;
        self.end_if_over(socket).await?;
        self.tell_watched(socket).await?;
        let mut receipts_at: Option<Instant> = None;
        let mut heard = Instant::now();
        loop {
            let due = receipts_at.unwrap_or_else(|| heard + SILENCE_MAX);
            let event = tokio::select! {
                bytes = receive(socket) => Event::Message(bytes?),
                committed = self.appender.committed() => Event::Committed(committed?),
                () = sleep_until(due), if receipts_at.is_some() => Event::ReceiptsDue,
                command = self.commands.recv() => match command {
                    Ok(command) => Event::Command(command),
                    Err(broadcast::error::RecvError::Lagged(_)) => return Err(LinkEnd::Lagged),
                    Err(broadcast::error::RecvError::Closed) => return Err(LinkEnd::Left),
                },
                Ok(()) = self.watched.changed() => Event::Watched,
                () = sleep_until(heard + SILENCE_MAX) => Event::Silent,
            };
            match event {
                Event::Message(bytes) => {
                    heard = Instant::now();
                    self.frame(socket, &bytes).await?;
                }
                Event::Committed(committed) => {
                    self.stored(&committed).await?;
                    receipts_at.get_or_insert_with(|| Instant::now() + RECEIPTS_GAP);
                }
                Event::ReceiptsDue => {
                    receipts_at = None;
                    self.receipts(socket).await?;
                }
                Event::Command(command) => self.command(socket, command).await?,
                Event::Watched => self.tell_watched(socket).await?,
                Event::Silent => return Err(LinkEnd::Left),
            }
        }
    }

    async fn frame(&mut self, socket: &mut WebSocket, bytes: &[u8]) -> Result<(), LinkEnd> {
        let received = self.receiver.handle(&Ring, bytes)?;
        self.take_room(cost(&received)).await?;
        match received {
            Received::Chunk {
                header,
                header_bytes,
                payload,
            } => {
                if header.stream.kind == StreamKind::Events {
                    read_observations(payload)?;
                }
                self.appender.chunk(&header, header_bytes, payload).await?;
                self.chunk(&header, payload).await
            }
            Received::Beat { body, signed } => {
                self.appender.beat(body.seq, &signed).await?;
                self.pending.push(Waits::Beat(body));
                Ok(())
            }
            Received::Thumbnail { stream, jpeg } => {
                self.state
                    .live
                    .publish_thumbnail(self.attempt, stream, Bytes::from(jpeg));
                Ok(())
            }
            Received::Clock(at) => {
                let said = (self.welcomed, at);
                let registry = &self.state.registry;
                Ok(registry.link_clock(self.attempt, self.epoch, said).await?)
            }
            Received::Sources(sources) => Ok(self
                .state
                .registry
                .sources(self.attempt, self.epoch, sources)
                .await?),
            Received::Finish => self.finish(socket).await,
            Received::Duplicate | Received::Hello(_) => Ok(()),
        }
    }

    /// Tells the gate of what is on disk.
    async fn stored(&mut self, committed: &Committed) -> Result<(), LinkEnd> {
        let (registry, attempt) = (&self.state.registry, self.attempt);
        if self.pending.tell(registry, attempt, committed).await? {
            let detail = "the clocks have parted: greet again";
            return Err(LinkRefusal::new(RefusalReason::ShuttingDown, detail).into());
        }
        Ok(())
    }

    /// Tells viewers and detectors of a chunk that is on its way to disk; the gate hears of it there.
    async fn chunk(&mut self, header: &ChunkHeader, payload: &[u8]) -> Result<(), LinkEnd> {
        let stream = header.stream;
        let (mut audio, mut video) = (false, false);
        match stream.kind {
            // Read once it is on disk.
            StreamKind::Events => {}
            StreamKind::Camera | StreamKind::Microphone | StreamKind::Screen => {
                if header.seq.0 == 0 {
                    self.learn(stream, payload);
                } else {
                    // First of all, for a proctor waits for it.
                    self.state.live.publish_chunk(self.attempt, header, payload);
                }
                let segment = self.segments.get(&stream).filter(|_| header.seq.0 > 0);
                if let Some(segment) = segment.cloned() {
                    let found = Content::read(&segment, payload);
                    (audio, video) = (found.audio, found.first_picture.is_some());
                    if stream.kind == StreamKind::Screen && header.sync {
                        self.look_for_code(stream, &segment, found.first_picture)
                            .await?;
                    }
                }
            }
        }
        self.pending.push(Waits::Chunk {
            header: *header,
            audio,
            video,
        });
        Ok(())
    }

    /// Waits where the recording comes faster than its profile allows: what is not read waits in the
    /// agent's spool.
    async fn take_room(&mut self, cost: (usize, usize)) -> Result<(), LinkEnd> {
        let registry = &self.state.registry;
        let (attempt, epoch) = (self.attempt, self.epoch);
        let now = self.state.clock.now();
        match self.quota.take(cost, now) {
            Taken::Now => {}
            Taken::After(wait) => {
                let told = self.slowed.replace(now);
                if told.is_none_or(|told| now.since(told) > SLOWED_GAP) {
                    let detail =
                        "the recording comes faster than its profile allows, and is slowed";
                    registry
                        .noted(attempt, epoch, IncidentKind::NotWatched, detail)
                        .await?;
                } else {
                    self.slowed = told;
                }
                sleep(wait).await;
            }
            Taken::Never => {
                let detail = "the recording is as large as it may be; nothing more is taken";
                registry
                    .noted(attempt, epoch, IncidentKind::RecordingGap, detail)
                    .await?;
                return Err(LinkEnd::Full);
            }
        }
        Ok(())
    }

    /// Reads the events that are on disk and were not read yet.
    async fn read_events(&mut self) -> Result<(), LinkEnd> {
        let read = events::read(&self.state, (self.attempt, self.epoch), self.events).await;
        self.events = read.map_err(|error| match error {
            ReadError::Recording(error) => LinkEnd::Recording(error),
            ReadError::Registry(error) => LinkEnd::Registry(error),
        })?;
        Ok(())
    }

    /// Has a key frame of the screen decoded in the background while a code is asked for. The work
    /// goes on where the link ends, and no other is begun for this attempt before it has ended.
    async fn look_for_code(
        &self,
        stream: StreamId,
        segment: &InitSummary,
        picture: Option<&[u8]>,
    ) -> Result<(), LinkEnd> {
        let (Some(shown), Some(picture)) = (&segment.video, picture) else {
            return Ok(());
        };
        let expected = self.state.registry.freshness_expected(self.attempt).await?;
        if expected.is_none() {
            return Ok(());
        }
        let Some(turn) = self.state.decoders.turn(self.attempt) else {
            return Ok(());
        };
        let (avcc, picture) = (shown.avcc.clone(), picture.to_vec());
        let (state, attempt) = (self.state.clone(), self.attempt);
        tokio::spawn(async move {
            if let Err(error) = look_for_code(&state, turn, (attempt, stream), avcc, picture).await
            {
                tracing::warn!(%attempt, %error, "Could not look for a freshness code");
            }
        });
        Ok(())
    }

    async fn receipts(&mut self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        let Committed {
            streams, beat_next, ..
        } = self.appender.now()?;
        // Before they are receipted, for a chunk that is receipted never comes again.
        let events = streams.get(&StreamId::EVENTS).map(|(next, _)| *next);
        if events > self.receipted.get(&StreamId::EVENTS).copied() {
            self.read_events().await?;
        }
        let mut receipts = Vec::new();
        for (stream, (next, header)) in streams {
            let known = self.receipted.get(&stream).copied().unwrap_or(ChunkSeq(0));
            if next > known {
                self.receipted.insert(stream, next);
                receipts.push(Receipt {
                    stream,
                    seq: ChunkSeq(next.0 - 1),
                    header,
                });
            }
        }
        if receipts.is_empty() && beat_next == self.beats_receipted {
            return Ok(());
        }
        self.beats_receipted = beat_next;
        let batch = ReceiptBatch {
            attempt: self.attempt,
            epoch: self.epoch,
            at: self.state.clock.wall(),
            receipts,
            beat_next,
        };
        let signed = self.state.keys.sign(&batch)?;
        send(socket, &ServerFrame::Receipts(signed)).await
    }

    async fn command(&self, socket: &mut WebSocket, command: AgentCommand) -> Result<(), LinkEnd> {
        let frame = match command {
            AgentCommand::KeyFrame { stream } => ServerFrame::KeyFrame { stream },
            AgentCommand::Watch { stream, live } => ServerFrame::Watch { stream, live },
            AgentCommand::End { reason } => ServerFrame::End { reason },
            AgentCommand::Replaced => {
                let refusal = LinkRefusal::new(RefusalReason::OldEpoch, "the attempt was moved");
                return Err(refusal.into());
            }
        };
        send(socket, &frame).await
    }

    async fn tell_watched(&mut self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        let wanted = self.watched.borrow_and_update().clone();
        for stream in self
            .watching
            .keys()
            .filter(|stream| !wanted.contains_key(stream))
        {
            let (stream, live) = (*stream, false);
            send(socket, &ServerFrame::Watch { stream, live }).await?;
        }
        for (stream, asked) in &wanted {
            let (stream, live) = (*stream, true);
            let before = self.watching.get(&stream);
            if before.is_none() {
                send(socket, &ServerFrame::Watch { stream, live }).await?;
            }
            if before != Some(asked) {
                send(socket, &ServerFrame::KeyFrame { stream }).await?;
            }
        }
        self.watching = wanted;
        Ok(())
    }

    /// Tells an agent that comes back to deliver that the attempt is over.
    async fn end_if_over(&self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        let (phase, _epoch) = self.state.registry.standing(self.attempt).await?;
        if matches!(
            phase,
            AttemptPhase::Submitted { .. } | AttemptPhase::Terminated { .. }
        ) {
            let reason = phase.word().to_owned();
            send(socket, &ServerFrame::End { reason }).await?;
        }
        Ok(())
    }

    async fn finish(&mut self, socket: &mut WebSocket) -> Result<(), LinkEnd> {
        self.state.recordings.flush().await?;
        self.stored(&self.appender.now()?).await?;
        let begun = self.state.store.begin().await;
        let mut tx = begun.map_err(RecordingError::from)?;
        qorgan_store::query(
            "UPDATE recordings SET finished_ms = $3 WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(self.attempt.to_string())
        .bind(i64::from(self.epoch.0))
        .bind(self.state.clock.wall().unix_ms())
        .execute(&mut *tx)
        .await
        .map_err(RecordingError::from)?;
        tx.commit().await.map_err(RecordingError::from)?;
        let registry = &self.state.registry;
        registry.link_down(self.attempt, self.epoch).await?;
        tracing::info!(attempt = %self.attempt, "Received the whole recording");
        // Last, for an agent that has its receipts may have closed the socket already.
        self.receipts(socket).await
    }
}

/// Returns how many bytes a frame leaves on disk, and what it costs of the rate: little frames make
/// work too, and those that are written to the database more.
fn cost(received: &Received<'_>) -> (usize, usize) {
    let (stored, least) = match received {
        Received::Chunk { payload, .. } => (payload.len(), FRAME_COST),
        Received::Beat { signed, .. } => (signed.bytes.len(), FRAME_COST),
        Received::Thumbnail { jpeg, .. } => return (0, jpeg.len().max(FRAME_COST)),
        Received::Sources(_) | Received::Finish => (0, WRITE_COST),
        Received::Clock(_) | Received::Duplicate | Received::Hello(_) => (0, FRAME_COST),
    };
    (stored, stored.max(least))
}

/// The least bytes of the rate that a frame costs.
const FRAME_COST: usize = 2 * 1024;
/// The bytes of the rate that a frame costs which is written to the database.
const WRITE_COST: usize = 64 * 1024;
/// How often it is noted that a recording is slowed.
const SLOWED_GAP: Duration = Duration::from_secs(20);
/// How long a connection may stay without a hello.
const HELLO_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long an agent may say nothing; it beats once a second.
const SILENCE_MAX: Duration = Duration::from_secs(15);
/// The shortest time between two receipt batches.
const RECEIPTS_GAP: Duration = Duration::from_millis(400);
