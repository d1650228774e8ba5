//! An agent without devices, which sends what it is told to over real TLS.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::codec::encode;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, SignedBytes};
use qorgan_protocol::evidence::{BeatBody, ChunkHeader, ChunkSeq, Head, StreamChain, StreamId};
use qorgan_protocol::ids::Epoch;
use qorgan_protocol::link::{
    AgentCommand, AgentFrame, LINK_SUBPROTOCOL, LinkSender, RefusalReason, SendInput, SendOutput,
    SenderIdentity, encode_chunk,
};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::{Keys, Ring};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::{BOOT, Place, Provision, connector};

type Socket = WebSocketStream<TlsStream<TcpStream>>;

type SpooledChunk = (ChunkHeader, Arc<[u8]>);

/// An agent without devices.
pub(crate) struct Agent {
    place: Place,
    provision: Provision,
    keys: Keys,
    connector: TlsConnector,
    pub(crate) sender: LinkSender,
    socket: Option<Socket>,
    began: Instant,
    chains: BTreeMap<StreamId, StreamChain>,
    spool: BTreeMap<(StreamId, ChunkSeq), SpooledChunk>,
    beats: BTreeMap<u64, SignedBytes>,
    beat_next: u64,
    beat_head: Sha256,
    /// Everything that was recorded, by stream.
    pub(crate) made: BTreeMap<StreamId, Vec<u8>>,
    /// Whether to keep what was recorded for comparison.
    pub(crate) keeps: bool,
    pub(crate) refused: Option<RefusalReason>,
    pub(crate) finished: bool,
    /// What the server wanted, oldest first; the test takes it.
    pub(crate) commands: Vec<AgentCommand>,
    gap: bool,
    /// Flips a bit of each chunk that is sent.
    pub(crate) tampers: bool,
}

impl Agent {
    pub(crate) fn new(place: &Place, provision: &Provision, connector: &TlsConnector) -> Self {
        let identity = SenderIdentity {
            institution: place.institution,
            attempt: provision.attempt,
            epoch: Epoch::FIRST,
            boot: BOOT,
            agent_version: "test".to_owned(),
            simulated_build: true,
            server_key: place.server_key,
        };
        Self {
            place: place.clone(),
            provision: provision.clone(),
            keys: Keys::from_pkcs8(&provision.agent_pkcs8).expect("a key"),
            connector: connector.clone(),
            sender: LinkSender::new(identity, Now::default()),
            socket: None,
            began: Instant::now(),
            chains: BTreeMap::new(),
            spool: BTreeMap::new(),
            beats: BTreeMap::new(),
            beat_next: 0,
            beat_head: Sha256::ZERO,
            made: BTreeMap::new(),
            keeps: true,
            refused: None,
            finished: false,
            commands: Vec::new(),
            gap: false,
            tampers: false,
        }
    }

    fn now(&self) -> Now {
        Now::from_origin(self.began.elapsed())
    }

    pub(crate) fn chunk(&mut self, word: &str, start_us: u64, sync: bool, payload: &Arc<[u8]>) {
        let stream = StreamId::from_word(word).expect("a stream");
        let attempt = self.provision.attempt;
        let chain = self
            .chains
            .entry(stream)
            .or_insert_with(|| StreamChain::new(attempt, Epoch::FIRST, stream));
        let header = chain
            .append(&Ring, start_us, 500_000, sync, payload)
            .expect("fits");
        let head = chain.head;
        self.spool
            .insert((stream, header.seq), (header, Arc::clone(payload)));
        if self.keeps {
            self.made
                .entry(stream)
                .or_default()
                .extend_from_slice(payload);
        }
        let now = self.now();
        self.sender
            .handle(&Ring, now, SendInput::ChunkSpooled(&header, head));
    }

    pub(crate) fn beat(&mut self) {
        let heads = self.chains.values().map(|chain| Head {
            stream: chain.stream,
            seq: ChunkSeq(chain.next.0 - 1),
            header: chain.head,
        });
        let body = BeatBody {
            attempt: self.provision.attempt,
            epoch: Epoch::FIRST,
            seq: self.beat_next,
            previous: self.beat_head,
            boot: BOOT,
            monotonic: self.now(),
            wall: WallTime::default(),
            heads: heads.collect(),
            sources: Vec::new(),
            spooled_bytes: 0,
        };
        let beat = crypto::sign(&self.keys, &Ring, self.place.institution, &body).expect("plain");
        self.beat_head = Ring.sha256(&[&beat.bytes]);
        self.beats.insert(self.beat_next, beat);
        let now = self.now();
        self.sender
            .handle(&Ring, now, SendInput::BeatSpooled(self.beat_next));
        self.beat_next += 1;
    }

    pub(crate) fn thumbnail(&mut self, word: &str, jpeg: Vec<u8>) {
        let stream = StreamId::from_word(word).expect("a stream");
        let now = self.now();
        self.sender
            .handle(&Ring, now, SendInput::Thumbnail { stream, jpeg });
    }

    pub(crate) fn finish(&mut self) {
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Finish);
    }

    /// Goes on with a server that was started again elsewhere.
    pub(crate) fn move_to(&mut self, place: &Place, provision: &Provision) {
        self.place = place.clone();
        self.provision = provision.clone();
        self.connector = connector(&place.ca);
    }

    /// Cuts the connection.
    pub(crate) fn cut(&mut self) {
        self.socket = None;
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Disconnected);
    }

    /// Serves the link for a while.
    pub(crate) async fn run(&mut self, how_long: Duration) {
        self.run_until(tokio::time::Instant::now() + how_long, false)
            .await;
    }

    /// Serves the link until a moment, or until the server wants something.
    pub(crate) async fn run_until_command(&mut self, until: tokio::time::Instant) {
        self.run_until(until, true).await;
    }

    async fn run_until(&mut self, until: tokio::time::Instant, or_command: bool) {
        loop {
            self.outputs().await;
            if or_command && !self.commands.is_empty() {
                return;
            }
            let Some(socket) = self.socket.as_mut() else {
                if tokio::time::Instant::now() >= until {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                continue;
            };
            let message = tokio::select! {
                message = socket.next() => message,
                () = tokio::time::sleep_until(until) => return,
            };
            match message {
                Some(Ok(Message::Binary(bytes))) => {
                    let now = self.now();
                    self.sender.handle(&Ring, now, SendInput::Frame(&bytes));
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => self.cut(),
                Some(Ok(_)) => {}
            }
        }
    }

    /// Runs until everything is receipted.
    pub(crate) async fn settle(&mut self) {
        for _ in 0..200 {
            if self.sender.waiting() == 0 && self.sender.is_live() {
                break;
            }
            self.run(Duration::from_millis(50)).await;
        }
        assert_eq!(
            self.sender.waiting(),
            0,
            "chunks and beats were not receipted"
        );
        assert!(self.sender.is_live(), "the link is not live");
        assert!(!self.gap, "the sender left a gap");
    }

    async fn outputs(&mut self) {
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Tick);
        while let Some(output) = self.sender.poll() {
            match output {
                SendOutput::Connect => self.connect().await,
                SendOutput::Disconnect { .. } => self.cut(),
                SendOutput::Hello(hello) => {
                    let hello = crypto::sign(&self.keys, &Ring, self.place.institution, &hello);
                    self.send(&AgentFrame::Hello(hello.expect("plain data")))
                        .await;
                }
                SendOutput::Send(frame) => self.send(&frame).await,
                SendOutput::SendChunk { stream, seq } => {
                    let (header, payload) = &self.spool[&(stream, seq)];
                    let mut frame = encode_chunk(header, payload).expect("plain data");
                    if self.tampers
                        && let Some(last) = frame.last_mut()
                    {
                        *last ^= 1;
                    }
                    self.send_bytes(frame).await;
                }
                SendOutput::SendBeat { seq } => {
                    let beat = self.beats[&seq].clone();
                    self.send(&AgentFrame::Beat(beat)).await;
                }
                SendOutput::Release { stream, through } => {
                    self.spool
                        .retain(|(of, seq), _| *of != stream || *seq > through);
                }
                SendOutput::ReleaseBeats { before } => self.beats.retain(|seq, _| *seq >= before),
                SendOutput::Refused { reason, .. } => self.refused = Some(reason),
                SendOutput::Finished => self.finished = true,
                SendOutput::Gap(_) => self.gap = true,
                SendOutput::Command(command) => self.commands.push(command),
                SendOutput::Resumed { .. } | SendOutput::Keep(_) => {}
            }
        }
    }

    async fn connect(&mut self) {
        match connect(&self.place, &self.provision.token, &self.connector).await {
            Some((socket, nonce)) => {
                self.socket = Some(socket);
                let now = self.now();
                self.sender
                    .handle(&Ring, now, SendInput::Connected { nonce });
            }
            None => self.cut(),
        }
    }

    async fn send(&mut self, frame: &AgentFrame) {
        self.send_bytes(encode("frame", frame).expect("plain data"))
            .await;
    }

    async fn send_bytes(&mut self, bytes: Vec<u8>) {
        if let Some(socket) = self.socket.as_mut()
            && socket.send(Message::Binary(bytes.into())).await.is_err()
        {
            self.cut();
        }
    }
}

/// Opens a link; `None` where the server refuses.
pub(crate) async fn connect(
    place: &Place,
    token: &str,
    connector: &TlsConnector,
) -> Option<(Socket, [u8; 32])> {
    let tcp = TcpStream::connect(place.address).await.ok()?;
    tcp.set_nodelay(true).ok()?;
    let name = "localhost".try_into().expect("a name");
    let tls = connector.connect(name, tcp).await.expect("TLS");
    let url = format!("wss://localhost:{}/api/v1/agent/link", place.address.port());
    let mut request = url.into_client_request().expect("a request");
    let headers = request.headers_mut();
    let bearer = format!("Bearer {token}");
    headers.insert("authorization", bearer.parse().expect("a header"));
    headers.insert(
        "sec-websocket-protocol",
        LINK_SUBPROTOCOL.parse().expect("a header"),
    );
    let (socket, response) = tokio_tungstenite::client_async(request, tls).await.ok()?;
    let mut nonce = [0; 32];
    hex::decode_to_slice(response.headers().get("x-qorgan-nonce")?, &mut nonce).ok()?;
    Some((socket, nonce))
}
