//! The link: drives the protocol's pure sender over one WebSocket.

mod connect;
mod receipts;

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, TrySendError};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, Sha256};
use qorgan_protocol::evidence::{ChunkHeader, ChunkSeq, StreamId};
use qorgan_protocol::link::{
    AgentCommand, AgentFrame, Gap, LinkSender, SendInput, SendOutput, SenderIdentity,
};
use qorgan_protocol::local::LinkState;
use qorgan_signing::Ring;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite::Message;

use crate::board::Board;
use crate::clock;
use crate::enrol::{Identity, VERSION};
use crate::recorder::{Input, Note, Resumption};
use crate::spool::SharedSpool;
pub(crate) use connect::Target;
use receipts::Receipts;

/// How the link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It goes on.
    None,
    /// Everything is receipted.
    Finished,
    /// The server refused for good.
    Refused,
}

/// What the link works with.
#[derive(Debug)]
pub(crate) struct LinkParts {
    /// Who the agent is.
    pub(crate) identity: Arc<Identity>,
    /// Where the server is.
    pub(crate) target: Target,
    /// Where chunks and beats lie.
    pub(crate) spool: SharedSpool,
    /// What the client is shown.
    pub(crate) board: Arc<Board>,
    /// The recorder.
    pub(crate) recorder: SyncSender<Input>,
    /// Told how the link ends.
    pub(crate) ending: watch::Sender<Ending>,
}

struct Link {
    parts: LinkParts,
    sender: LinkSender,
    connection: Option<Connection>,
    /// What is to be written next, once the writer has room.
    pending: Option<Message>,
    receipts: Receipts,
    /// Where chunks are lost, until the recorder hears of it.
    gaps: Vec<Gap>,
    /// Whether the recorder may still say something.
    recorder_speaks: bool,
    /// Whether everything must be delivered before the link ends.
    delivering: bool,
    finished: bool,
}

struct Connection {
    writer: mpsc::Sender<Message>,
    reader: SplitStream<connect::Socket>,
}

enum Event {
    Note(Option<Note>),
    Read(Option<Message>),
    Room,
    WriterGone,
    Tick,
}

/// Runs the link until everything is delivered or the server refuses for good.
pub(crate) async fn run(
    parts: LinkParts,
    left: Vec<(ChunkHeader, Sha256)>,
    folder: &Path,
    mut notes: mpsc::Receiver<Note>,
) {
    let identity = &parts.identity;
    let mut sender = LinkSender::new(
        SenderIdentity {
            institution: identity.institution,
            attempt: identity.attempt,
            epoch: identity.epoch,
            boot: identity.boot,
            agent_version: VERSION.to_owned(),
            simulated_build: cfg!(feature = "simulated"),
            server_key: identity.server_key,
        },
        clock::now(),
    );
    for (header, hash) in left {
        sender.handle(&Ring, clock::now(), SendInput::ChunkSpooled(&header, hash));
    }
    let receipts = Receipts::open(folder, identity.attempt, identity.epoch);
    parts.board.link(LinkState::Connecting);
    let mut link = Link {
        parts,
        sender,
        connection: None,
        pending: None,
        receipts,
        gaps: Vec::new(),
        recorder_speaks: true,
        delivering: false,
        finished: false,
    };
    link.tick();
    while link.work().await {
        let event = link.next_event(&mut notes).await;
        link.take(event);
    }
    link.receipts.write();
}

impl Link {
    /// Does what the sender says until it says nothing or the writer is full; tells whether to
    /// go on.
    async fn work(&mut self) -> bool {
        while self.pending.is_none() {
            let Some(output) = self.sender.poll() else {
                break;
            };
            self.act(output).await;
            if *self.parts.ending.borrow() == Ending::Refused {
                return false;
            }
        }
        if self.finished && self.pending.is_none() {
            self.leave().await;
            return false;
        }
        true
    }

    async fn next_event(&mut self, notes: &mut mpsc::Receiver<Note>) -> Event {
        let wake = self.sender.wake_at();
        let wait = wake.map_or(IDLE_WAIT, |wake| wake.since(clock::now()).min(IDLE_WAIT));
        let has_pending = self.pending.is_some();
        let Some(connection) = &mut self.connection else {
            return tokio::select! {
                note = notes.recv(), if self.recorder_speaks => Event::Note(note),
                () = tokio::time::sleep(wait) => Event::Tick,
            };
        };
        tokio::select! {
            note = notes.recv(), if self.recorder_speaks => Event::Note(note),
            message = connection.reader.next() => Event::Read(message.and_then(Result::ok)),
            permit = connection.writer.reserve(), if has_pending => match permit {
                Ok(permit) => {
                    if let Some(message) = self.pending.take() {
                        permit.send(message);
                    }
                    Event::Room
                }
                Err(_closed) => Event::WriterGone,
            },
            () = tokio::time::sleep(wait) => Event::Tick,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Note(Some(note)) => self.note(note),
            Event::Note(None) => {
                self.recorder_speaks = false;
                self.finished = !self.delivering;
            }
            Event::Read(Some(Message::Binary(bytes))) => self.say(SendInput::Frame(&bytes)),
            Event::Read(Some(
                Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Frame(_),
            ))
            | Event::Room => {}
            Event::Read(Some(Message::Close(_)) | None) | Event::WriterGone => self.cut("closed"),
            Event::Tick => self.tick(),
        }
    }

    fn note(&mut self, note: Note) {
        match note {
            Note::Chunk(header, hash) => self.say(SendInput::ChunkSpooled(&header, hash)),
            Note::ChainedAnew(chunks) => {
                for (header, hash) in &chunks {
                    self.say(SendInput::ChunkSpooled(header, *hash));
                }
                self.say(SendInput::Mended);
            }
            Note::Beat(seq) => self.say(SendInput::BeatSpooled(seq)),
            Note::Sources(sources) => self.say(SendInput::Sources(sources)),
            Note::Thumbnail(stream, jpeg) => self.say(SendInput::Thumbnail { stream, jpeg }),
            Note::Finish => {
                self.delivering = true;
                self.say(SendInput::Finish);
            }
        }
    }

    fn tick(&mut self) {
        self.receipts.tick(clock::now());
        self.say(SendInput::Tick);
    }

    fn say(&mut self, input: SendInput<'_>) {
        self.sender.handle(&Ring, clock::now(), input);
    }

    fn cut(&mut self, detail: &str) {
        if self.connection.take().is_some() {
            tracing::info!(detail, "The link is cut");
        }
        self.pending = None;
        self.say(SendInput::Disconnected);
        if !self.finished {
            self.parts.board.link(LinkState::Lost);
        }
    }

    async fn act(&mut self, output: SendOutput) {
        match output {
            SendOutput::Connect => self.connect().await,
            SendOutput::Disconnect { detail } => self.cut(&detail),
            SendOutput::Hello(hello) => {
                let identity = &self.parts.identity;
                match crypto::sign(&identity.keys, &Ring, identity.institution, &hello) {
                    Ok(signed) => self.send(&AgentFrame::Hello(signed)),
                    Err(error) => tracing::error!(%error, "The hello cannot be written"),
                }
            }
            SendOutput::Send(frame) => self.send(&frame),
            SendOutput::SendChunk { stream, seq } => self.send_chunk(stream, seq),
            SendOutput::SendBeat { seq } => {
                let beat = self.parts.spool.lock().beat(seq);
                if let Some(beat) = beat {
                    self.send(&AgentFrame::Beat(beat));
                }
            }
            SendOutput::Resumed {
                now: _,
                chains,
                beat_next,
                beat_head,
            } => {
                tracing::info!(streams = chains.len(), beat_next, "The link is live");
                self.parts.board.link(LinkState::Live);
                let gaps = core::mem::take(&mut self.gaps);
                self.tell(Input::Resumed(Box::new(Resumption {
                    chains,
                    beat_next,
                    beat_head,
                    gaps,
                })))
                .await;
            }
            SendOutput::Release { stream, through } => {
                self.parts.spool.lock().release(stream, through);
                self.parts.board.receipt(clock::now(), stream, through);
            }
            SendOutput::ReleaseBeats { before } => {
                self.parts.spool.lock().release_beats(before);
            }
            SendOutput::Keep(signed) => self.receipts.keep(signed),
            SendOutput::Gap(gap) => {
                let Gap {
                    stream,
                    expected,
                    oldest,
                    ..
                } = gap;
                tracing::error!(%stream, %expected, %oldest, "Chunks are lost for good");
                self.gaps.push(gap);
            }
            SendOutput::Command(command) => self.command(command).await,
            SendOutput::Refused { reason, detail } => {
                tracing::warn!(?reason, detail, "The server refused the link");
                if !reason.passes() {
                    self.parts.board.link(LinkState::Refused);
                    self.parts.ending.send_replace(Ending::Refused);
                    self.tell(Input::Stop).await;
                }
            }
            SendOutput::Finished => self.finished = true,
        }
    }

    fn send_chunk(&mut self, stream: StreamId, seq: ChunkSeq) {
        let frame = self.parts.spool.lock().frame(stream, seq);
        match frame {
            Ok(Some(frame)) => {
                self.pending = Some(Message::Binary(frame.into()));
                return;
            }
            Ok(None) => tracing::error!(%stream, %seq, "A chunk is not in the spool"),
            Err(error) => {
                tracing::error!(%stream, %seq, %error, "A chunk is lost in the spool");
            }
        }
        // Nothing that follows it would be taken: what is behind it is chained anew.
        let _lost = self.parts.spool.lock().take(stream, seq);
        self.say(SendInput::ChunkGone { stream, seq });
    }

    async fn command(&self, command: AgentCommand) {
        match command {
            AgentCommand::KeyFrame { stream } => self.tell(Input::KeyFrame(stream)).await,
            AgentCommand::Watch { stream, live } => self.tell(Input::Watch(stream, live)).await,
            AgentCommand::End { reason } => {
                tracing::info!(reason, "The server ends the recording");
                self.tell(Input::Finish).await;
            }
        }
    }

    async fn connect(&mut self) {
        match connect::connect(&self.parts.target).await {
            Ok((socket, nonce)) => {
                let (sink, reader) = socket.split();
                let (writer, messages) = mpsc::channel(WRITE_QUEUE_FRAMES_MAX);
                tokio::spawn(write_all(sink, messages));
                self.connection = Some(Connection { writer, reader });
                self.say(SendInput::Connected { nonce });
            }
            Err(error) => {
                let error = anyhow::Error::new(error);
                tracing::info!("No link: {error:#}");
                self.cut("no connection");
            }
        }
    }

    fn send(&mut self, frame: &AgentFrame) {
        match codec::encode("agent frame", frame) {
            Ok(bytes) => self.pending = Some(Message::Binary(bytes.into())),
            Err(error) => tracing::error!(%error, "A frame cannot be written"),
        }
    }

    /// Tells the recorder; it is only ever full for moments, so this waits for room.
    async fn tell(&self, input: Input) {
        let mut input = input;
        loop {
            match self.parts.recorder.try_send(input) {
                Ok(()) | Err(TrySendError::Disconnected(_)) => return,
                Err(TrySendError::Full(back)) => {
                    input = back;
                    tokio::time::sleep(RECORDER_WAIT).await;
                }
            }
        }
    }

    /// Waits until the last frames are out and the server has closed, or a moment.
    async fn leave(&mut self) {
        if let Some(Connection { writer, mut reader }) = self.connection.take() {
            drop(writer);
            let closed = async { while let Some(Ok(_)) = reader.next().await {} };
            if tokio::time::timeout(LEAVE_WAIT, closed).await.is_err() {
                tracing::debug!("The server left the link open");
            }
        }
        self.receipts.write();
        self.parts.ending.send_replace(Ending::Finished);
    }
}

/// Writes frames as the network takes them.
async fn write_all(
    mut sink: SplitSink<connect::Socket, Message>,
    mut messages: mpsc::Receiver<Message>,
) {
    while let Some(message) = messages.recv().await {
        if let Err(error) = sink.send(message).await {
            tracing::debug!(%error, "The link's writer ends");
            return;
        }
    }
    if let Err(error) = sink.close().await {
        tracing::debug!(%error, "The link was closed by the other side");
    }
}

/// Frames that wait for the network; chunks beyond stay in the spool.
const WRITE_QUEUE_FRAMES_MAX: usize = 2;
const IDLE_WAIT: Duration = Duration::from_secs(1);
const RECORDER_WAIT: Duration = Duration::from_millis(5);
const LEAVE_WAIT: Duration = Duration::from_secs(3);
