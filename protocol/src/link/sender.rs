//! The agent's half of the link: what to send next, what to send again, what may be forgotten.
//!
//! The machine holds no payloads: it names chunks and beats, and the shell reads them from the
//! spool. The shell's loop: hand every event to [`LinkSender::handle`], then do what
//! [`LinkSender::poll`] says until it says nothing, then sleep until [`LinkSender::wake_at`].
//!
//! # Invariants
//! * Chunks and beats go out in the order in which they were spooled, so that a beat never comes
//!   before a chunk that it covers.
//! * Nothing leaves the spool before the server's signed receipt, or its `Welcome`, says that it is
//!   on the server's disk.
//! * At most [`crate::limits::UNRECEIPTED_CHUNKS_MAX`] chunks and
//!   [`crate::limits::UNRECEIPTED_BYTES_MAX`] bytes are on the way.
//! * What does not follow is not sent: behind a gap the shell chains anew what it has.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::queue::{Gap, Next, Pushed, Queue};
use super::{
    AgentCommand, AgentFrame, Hello, LINK_VERSION, LINK_VERSION_MIN, RefusalReason, ResumePoint,
    ServerFrame, SourceStatement,
};
use crate::codec;
use crate::crypto::{self, PublicKey, Sha256, SignedBytes, Verifier};
use crate::evidence::{ChunkHeader, ChunkSeq, ReceiptBatch, StreamChain};
use crate::ids::{AttemptId, BootId, Epoch, InstitutionId};
use crate::stream::StreamId;
use crate::time::{Now, WallTime};

/// Who sends, and whom it believes.
#[derive(Debug, Clone)]
pub struct SenderIdentity {
    /// The institution.
    pub institution: InstitutionId,
    /// Whose recording.
    pub attempt: AttemptId,
    /// On which machine and key.
    pub epoch: Epoch,
    /// The run of the machine's kernel.
    pub boot: BootId,
    /// The agent's version.
    pub agent_version: String,
    /// Whether this build can play files as sources.
    pub simulated_build: bool,
    /// The key that receipts must be signed with.
    pub server_key: PublicKey,
}

/// What happens to the sender.
#[derive(Debug)]
pub enum SendInput<'a> {
    /// The WebSocket is up; the response carried this nonce.
    Connected {
        /// The value of `x-qorgan-nonce`.
        nonce: [u8; 32],
    },
    /// The WebSocket is gone, or could not be made.
    Disconnected,
    /// The server's binary message.
    Frame(&'a [u8]),
    /// A chunk is in the spool; also said for each chunk found there after a start.
    ChunkSpooled(&'a ChunkHeader, Sha256),
    /// A beat is in the spool; also said for each beat found there after a start.
    BeatSpooled(u64),
    /// What waited behind the gaps is chained anew, and was said as [`SendInput::ChunkSpooled`].
    Mended,
    /// A chunk that was to be sent cannot be read any more.
    ChunkGone {
        /// Which stream.
        stream: StreamId,
        /// Which chunk.
        seq: ChunkSeq,
    },
    /// What feeds the sources, all of them.
    Sources(Vec<SourceStatement>),
    /// The newest small picture of a stream.
    Thumbnail {
        /// Which stream.
        stream: StreamId,
        /// The JPEG.
        jpeg: Vec<u8>,
    },
    /// Nothing more will be recorded; say so once everything is receipted.
    Finish,
    /// The time of [`LinkSender::wake_at`] has come.
    Tick,
}

/// What the shell must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SendOutput {
    /// Open the WebSocket.
    Connect,
    /// Close the WebSocket; it gives nothing, or what came over it is not to be believed.
    Disconnect {
        /// For the log.
        detail: String,
    },
    /// Sign this and send it as [`AgentFrame::Hello`].
    Hello(Hello),
    /// Send this frame.
    Send(AgentFrame),
    /// Read this chunk from the spool and send it ([`super::encode_chunk`]).
    SendChunk {
        /// Which stream.
        stream: StreamId,
        /// Which chunk.
        seq: ChunkSeq,
    },
    /// Read this beat from the spool and send it.
    SendBeat {
        /// Which beat.
        seq: u64,
    },
    /// The server knows the recording up to here: where a started agent goes on.
    Resumed {
        /// The server's clock.
        now: WallTime,
        /// Where every stream ends, with what follows in the spool: the heads to chain onto.
        chains: Vec<StreamChain>,
        /// The next beat's place.
        beat_next: u64,
        /// Hash of the newest stored beat.
        beat_head: Sha256,
    },
    /// Chunks up to and with this one are on the server's disk and may leave the spool.
    Release {
        /// Which stream.
        stream: StreamId,
        /// Up to and with.
        through: ChunkSeq,
    },
    /// Beats before this one are on the server's disk and may leave the spool.
    ReleaseBeats {
        /// Before.
        before: u64,
    },
    /// A believed receipt, to be kept.
    Keep(SignedBytes),
    /// Chunks are lost for good. What the spool has from `expected` on is to be chained anew onto
    /// `head`, and beats begin anew with those of the `Resumed` that follows.
    Gap(Gap),
    /// The server wants something.
    Command(AgentCommand),
    /// The server refused the link; the sender does not try again unless `passes`.
    Refused {
        /// Why.
        reason: RefusalReason,
        /// For the log.
        detail: String,
    },
    /// Everything is receipted and `Finish` was sent: the agent may leave.
    Finished,
}

/// The agent's half of the link.
#[derive(Debug)]
pub struct LinkSender {
    identity: SenderIdentity,
    state: State,
    queue: Queue,
    sources: Vec<SourceStatement>,
    sources_due: bool,
    thumbnails: BTreeMap<StreamId, Vec<u8>>,
    newest: BTreeMap<StreamId, ResumePoint>,
    finish: Finish,
    outputs: VecDeque<SendOutput>,
    retries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting { until: Now },
    Connecting,
    AwaitingWelcome { until: Now },
    Live { heard: Now },
    Refused,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Finish {
    No,
    Wanted,
    Sent,
}

impl LinkSender {
    /// Makes a sender that wants to connect at once.
    #[must_use]
    pub const fn new(identity: SenderIdentity, now: Now) -> Self {
        Self {
            identity,
            state: State::Waiting { until: now },
            queue: Queue::new(),
            sources: Vec::new(),
            sources_due: false,
            thumbnails: BTreeMap::new(),
            newest: BTreeMap::new(),
            finish: Finish::No,
            outputs: VecDeque::new(),
            retries: 0,
        }
    }

    /// Tells whether frames flow.
    #[must_use]
    pub const fn is_live(&self) -> bool {
        matches!(self.state, State::Live { .. })
    }

    /// Returns how many chunks and beats wait for a receipt.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }

    /// Takes an event.
    pub fn handle(&mut self, verifier: &impl Verifier, now: Now, input: SendInput<'_>) {
        match input {
            SendInput::Connected { nonce } => self.connected(now, nonce),
            SendInput::Disconnected => self.disconnected(now),
            SendInput::Frame(bytes) => self.frame(verifier, now, bytes),
            SendInput::ChunkSpooled(header, hash) => self.chunk_spooled(header, hash),
            SendInput::BeatSpooled(seq) => self.queue.push_beat(seq),
            SendInput::Mended => self.queue.mended(),
            SendInput::ChunkGone { stream, seq } => {
                self.queue.lose(stream, seq);
                self.ask_anew("a chunk cannot be read any more");
            }
            SendInput::Sources(sources) => {
                self.sources = sources;
                self.sources_due = true;
            }
            SendInput::Thumbnail { stream, jpeg } => {
                if self.is_live() {
                    self.thumbnails.insert(stream, jpeg);
                }
            }
            SendInput::Finish => {
                if self.finish == Finish::No {
                    self.finish = Finish::Wanted;
                }
            }
            SendInput::Tick => self.tick(now),
        }
    }

    /// Returns the next thing to do.
    pub fn poll(&mut self) -> Option<SendOutput> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        if !self.is_live() {
            return None;
        }
        if core::mem::take(&mut self.sources_due) {
            return Some(SendOutput::Send(AgentFrame::Sources(self.sources.clone())));
        }
        let next = self.queue.send_next().map(|next| match next {
            Next::Chunk { stream, seq } => SendOutput::SendChunk { stream, seq },
            Next::Beat { seq } => SendOutput::SendBeat { seq },
        });
        next.or_else(|| self.next_thumbnail())
            .or_else(|| self.next_finish())
    }

    /// Returns when [`SendInput::Tick`] is due.
    #[must_use]
    pub fn wake_at(&self) -> Option<Now> {
        match self.state {
            State::Waiting { until } | State::AwaitingWelcome { until } => Some(until),
            State::Live { heard } if self.queue.is_waiting() => Some(heard + SILENCE_MAX),
            State::Live { .. } | State::Connecting | State::Refused => None,
        }
    }

    fn connected(&mut self, now: Now, nonce: [u8; 32]) {
        self.state = State::AwaitingWelcome {
            until: now + WELCOME_WAIT_MAX,
        };
        self.rewind();
        self.outputs.push_back(SendOutput::Hello(Hello {
            version_min: LINK_VERSION_MIN,
            version_max: LINK_VERSION,
            nonce,
            attempt: self.identity.attempt,
            epoch: self.identity.epoch,
            boot: self.identity.boot,
            agent_version: self.identity.agent_version.clone(),
            simulated_build: self.identity.simulated_build,
        }));
    }

    fn disconnected(&mut self, now: Now) {
        self.rewind();
        self.thumbnails.clear();
        if self.state == State::Refused {
            return;
        }
        let wait = RETRY_FIRST * 2u32.saturating_pow(self.retries.min(RETRY_DOUBLINGS_MAX));
        self.retries = self.retries.saturating_add(1);
        self.state = State::Waiting {
            until: now + wait.min(RETRY_MAX),
        };
    }

    fn rewind(&mut self) {
        self.queue.rewind();
        self.outputs
            .retain(|output| !matches!(output, SendOutput::Send(_)));
        self.sources_due = !self.sources.is_empty();
        if self.finish == Finish::Sent {
            self.finish = Finish::Wanted;
        }
    }

    fn tick(&mut self, now: Now) {
        match self.state {
            State::Waiting { until } if until <= now => {
                self.state = State::Connecting;
                self.outputs.push_back(SendOutput::Connect);
            }
            State::AwaitingWelcome { until } if until <= now => {
                self.give_up("the server sent no welcome");
            }
            State::Live { heard } if self.queue.is_waiting() && heard + SILENCE_MAX <= now => {
                self.give_up("the server sent no receipt");
            }
            State::Waiting { .. }
            | State::AwaitingWelcome { .. }
            | State::Live { .. }
            | State::Connecting
            | State::Refused => {}
        }
    }

    /// Asks the shell to close; its `Disconnected` then starts the wait.
    fn give_up(&mut self, detail: &str) {
        self.state = State::Connecting;
        self.outputs.push_back(SendOutput::Disconnect {
            detail: detail.to_owned(),
        });
    }

    fn chunk_spooled(&mut self, header: &ChunkHeader, hash: Sha256) {
        let point = ResumePoint {
            stream: header.stream,
            next: header.seq.next(),
            head: hash,
        };
        let pushed = self.queue.push_chunk(header, hash);
        if pushed != Pushed::LeftInSpool {
            self.newest.insert(header.stream, point);
        }
        if pushed == Pushed::Breaks {
            self.ask_anew("a chunk does not follow");
        }
    }

    /// Has the server tell where it stands: what is missing is found, and told, with its welcome.
    fn ask_anew(&mut self, detail: &str) {
        if self.is_live() {
            self.give_up(detail);
        }
    }

    fn frame(&mut self, verifier: &impl Verifier, now: Now, bytes: &[u8]) {
        let frame = match codec::decode::<ServerFrame>("server frame", bytes) {
            Ok(frame) => frame,
            Err(error) => return self.give_up(&error.to_string()),
        };
        match (self.state, frame) {
            (State::AwaitingWelcome { .. }, ServerFrame::Welcome { version, .. })
                if !(LINK_VERSION_MIN..=LINK_VERSION).contains(&version) =>
            {
                self.give_up("the server speaks another version");
            }
            (
                State::AwaitingWelcome { .. },
                ServerFrame::Welcome {
                    version,
                    now: wall,
                    resume,
                    beat_next,
                    beat_head,
                },
            ) => {
                self.state = State::Live { heard: now };
                self.retries = 0;
                if version >= CLOCK_VERSION {
                    let clock = AgentFrame::Clock { at: now };
                    self.outputs.push_back(SendOutput::Send(clock));
                }
                self.welcome(wall, &resume, beat_next, beat_head);
            }
            (State::Live { .. }, ServerFrame::Receipts(signed)) => {
                self.receipts(verifier, now, signed);
            }
            (State::Live { .. }, ServerFrame::KeyFrame { stream }) => {
                self.command(AgentCommand::KeyFrame { stream });
            }
            (State::Live { .. }, ServerFrame::Watch { stream, live }) => {
                self.command(AgentCommand::Watch { stream, live });
            }
            (State::Live { .. }, ServerFrame::End { reason }) => {
                self.command(AgentCommand::End { reason });
            }
            (_, ServerFrame::Refused { reason, detail }) => {
                if !reason.passes() {
                    self.state = State::Refused;
                }
                self.outputs
                    .push_back(SendOutput::Refused { reason, detail });
            }
            (
                State::Waiting { .. }
                | State::Connecting
                | State::AwaitingWelcome { .. }
                | State::Live { .. }
                | State::Refused,
                _,
            ) => self.give_up("the server's frame came out of order"),
        }
    }

    fn command(&mut self, command: AgentCommand) {
        self.outputs.push_back(SendOutput::Command(command));
    }

    fn welcome(
        &mut self,
        now: WallTime,
        resume: &[ResumePoint],
        beat_next: u64,
        beat_head: Sha256,
    ) {
        for point in resume.iter().filter(|point| point.next.0 > 0) {
            self.newest.entry(point.stream).or_insert(*point);
            self.release(point.stream, ChunkSeq(point.next.0 - 1));
        }
        self.release_beats(beat_next);
        let aligned = self.queue.align(resume);
        for gap in aligned.gaps {
            let end = ResumePoint {
                stream: gap.stream,
                next: gap.expected,
                head: gap.head,
            };
            self.newest.insert(gap.stream, end);
            self.outputs.push_back(SendOutput::Gap(gap));
        }
        let (attempt, epoch) = (self.identity.attempt, self.identity.epoch);
        let chains = aligned.ends.iter().map(|point| StreamChain {
            attempt,
            epoch,
            stream: point.stream,
            next: point.next,
            head: point.head,
        });
        self.outputs.push_back(SendOutput::Resumed {
            now,
            chains: chains.collect(),
            beat_next,
            beat_head,
        });
    }

    fn receipts(&mut self, verifier: &impl Verifier, now: Now, signed: SignedBytes) {
        let identity = &self.identity;
        let opened = crypto::open::<ReceiptBatch>(
            verifier,
            &identity.server_key,
            identity.institution,
            &signed,
        );
        let batch = match opened {
            Ok(batch) => batch,
            Err(error) => return self.give_up(&error.to_string()),
        };
        if (batch.attempt, batch.epoch) != (identity.attempt, identity.epoch) {
            return self.give_up("the receipt is another recording's");
        }
        for receipt in &batch.receipts {
            let chunk = (receipt.stream, receipt.seq, receipt.header);
            if self.queue.was_sent(chunk) {
                self.release(receipt.stream, receipt.seq);
            }
        }
        self.release_beats(batch.beat_next);
        self.outputs.push_back(SendOutput::Keep(signed));
        self.state = State::Live { heard: now };
    }

    fn release(&mut self, stream: StreamId, through: ChunkSeq) {
        if self.queue.release(stream, through) {
            self.outputs
                .push_back(SendOutput::Release { stream, through });
        }
    }

    fn release_beats(&mut self, before: u64) {
        if self.queue.release_beats(before) {
            self.outputs.push_back(SendOutput::ReleaseBeats { before });
        }
    }

    fn next_thumbnail(&mut self) -> Option<SendOutput> {
        let (stream, jpeg) = self.thumbnails.pop_first()?;
        Some(SendOutput::Send(AgentFrame::Thumbnail { stream, jpeg }))
    }

    fn next_finish(&mut self) -> Option<SendOutput> {
        if self.finish != Finish::Wanted || !self.queue.is_empty() {
            return None;
        }
        self.finish = Finish::Sent;
        self.outputs.push_back(SendOutput::Finished);
        Some(SendOutput::Send(AgentFrame::Finish {
            last: self.newest.values().copied().collect(),
        }))
    }
}

/// The first version whose server takes [`AgentFrame::Clock`].
const CLOCK_VERSION: u16 = 2;
/// How long a welcome may take.
const WELCOME_WAIT_MAX: Duration = Duration::from_secs(10);
/// How long the server may leave what was sent without a receipt; then the link counts as dead.
const SILENCE_MAX: Duration = Duration::from_secs(10);
/// The wait before the first retry.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// The longest wait before a retry.
const RETRY_MAX: Duration = Duration::from_secs(4);
const RETRY_DOUBLINGS_MAX: u32 = 8;
