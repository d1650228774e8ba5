//! A hostile agent: it speaks the link's protocol without devices, and breaks it as it is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::codec::{self, encode};
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, SignedBytes};
use qorgan_protocol::evidence::{
    BeatBody, ChunkHeader, ChunkSeq, Head, SourceHealth, SourceState, StreamChain, StreamId,
};
use qorgan_protocol::link::{
    AgentFrame, Hello, LINK_SUBPROTOCOL, LinkSender, SendInput, SendOutput, SenderIdentity,
    ServerFrame, SourceKind, SourceStatement, encode_chunk,
};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_signing::{Keys, Ring};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use super::cmaf;
use super::wire::{Provision, Site};

pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// An agent that streams in the background until it is dropped.
pub(super) struct Streaming {
    on: Arc<AtomicBool>,
    task: JoinHandle<()>,
}

impl Streaming {
    /// Starts an agent; `fill` makes the bytes of its pictures.
    pub(super) fn start(site: &Site, provision: &Provision, fill: u8) -> Result<Self> {
        let mut agent = Agent::new(site, provision)?;
        let on = Arc::new(AtomicBool::new(true));
        let streams = Arc::clone(&on);
        let task = tokio::spawn(async move {
            loop {
                if streams.load(Ordering::Relaxed) {
                    agent.record(fill);
                }
                agent.run(Duration::from_millis(500)).await;
            }
        });
        Ok(Self { on, task })
    }

    /// Streams, or stays silent while its link is up.
    pub(super) fn stream(&self, on: bool) {
        self.on.store(on, Ordering::Relaxed);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An agent without devices.
type SpooledChunk = (ChunkHeader, Arc<[u8]>);

struct Agent {
    site: Site,
    provision: Provision,
    keys: Keys,
    sender: LinkSender,
    socket: Option<Socket>,
    began: Instant,
    chains: BTreeMap<StreamId, StreamChain>,
    spool: BTreeMap<(StreamId, ChunkSeq), SpooledChunk>,
    beats: BTreeMap<u64, SignedBytes>,
    beat: (u64, Sha256),
    halves: u64,
}

impl Agent {
    fn new(site: &Site, provision: &Provision) -> Result<Self> {
        let identity = SenderIdentity {
            institution: site.institution,
            attempt: provision.attempt,
            epoch: provision.epoch,
            boot: provision.boot,
            agent_version: "0.1.0".to_owned(),
            simulated_build: true,
            server_key: site.server_key,
        };
        let mut sender = LinkSender::new(identity, Now::default());
        let stated = SOURCES.map(statement).to_vec();
        sender.handle(&Ring, Now::default(), SendInput::Sources(stated));
        Ok(Self {
            keys: Keys::from_pkcs8(&provision.pkcs8)?,
            site: site.clone(),
            provision: provision.clone(),
            sender,
            socket: None,
            began: Instant::now(),
            chains: BTreeMap::new(),
            spool: BTreeMap::new(),
            beats: BTreeMap::new(),
            beat: (0, Sha256::ZERO),
            halves: 0,
        })
    }

    fn now(&self) -> Now {
        Now::from_origin(self.began.elapsed())
    }

    /// Records half a second of two streams, and a beat.
    fn record(&mut self, fill: u8) {
        if self.halves == 0 {
            let init: Arc<[u8]> = cmaf::init().into();
            self.chunk("camera-0", &init);
            self.chunk("screen-0", &init);
        }
        let picture: Arc<[u8]> = cmaf::chunk(&[fill; 900], &[fill; 60]).into();
        self.chunk("camera-0", &picture);
        self.chunk("screen-0", &picture);
        self.halves += 1;
        self.beat_now();
    }

    fn chunk(&mut self, word: &str, payload: &Arc<[u8]>) {
        let Some(stream) = StreamId::from_word(word) else {
            return;
        };
        let (attempt, epoch) = (self.provision.attempt, self.provision.epoch);
        let fresh = || StreamChain::new(attempt, epoch, stream);
        let chain = self.chains.entry(stream).or_insert_with(fresh);
        let start = self.halves * 500_000;
        let Ok(header) = chain.append(&Ring, start, 500_000, true, payload) else {
            return;
        };
        let head = chain.head;
        let place = (stream, header.seq);
        self.spool.insert(place, (header, Arc::clone(payload)));
        let now = self.now();
        self.sender
            .handle(&Ring, now, SendInput::ChunkSpooled(&header, head));
    }

    fn beat_now(&mut self) {
        let heads = self.chains.values().filter(|chain| chain.next.0 > 0);
        let heads = heads.map(|chain| Head {
            stream: chain.stream,
            seq: ChunkSeq(chain.next.0 - 1),
            header: chain.head,
        });
        let live = |word| Some(health(StreamId::from_word(word)?));
        let body = BeatBody {
            attempt: self.provision.attempt,
            epoch: self.provision.epoch,
            seq: self.beat.0,
            previous: self.beat.1,
            boot: self.provision.boot,
            monotonic: self.now(),
            wall: WallTime::default(),
            heads: heads.collect(),
            sources: SOURCES.into_iter().filter_map(live).collect(),
            spooled_bytes: 0,
        };
        let Ok(beat) = crypto::sign(&self.keys, &Ring, self.site.institution, &body) else {
            return;
        };
        self.beat.1 = Ring.sha256(&[&beat.bytes]);
        self.beats.insert(self.beat.0, beat);
        let now = self.now();
        self.sender
            .handle(&Ring, now, SendInput::BeatSpooled(self.beat.0));
        self.beat.0 += 1;
    }

    async fn run(&mut self, how_long: Duration) {
        let until = tokio::time::Instant::now() + how_long;
        loop {
            self.outputs().await;
            let Some(socket) = self.socket.as_mut() else {
                return tokio::time::sleep_until(until).await;
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

    fn cut(&mut self) {
        self.socket = None;
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Disconnected);
    }

    async fn outputs(&mut self) {
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Tick);
        while let Some(output) = self.sender.poll() {
            match output {
                SendOutput::Connect => self.connect().await,
                SendOutput::Disconnect { .. } => self.cut(),
                SendOutput::Hello(hello) => {
                    if let Ok(hello) =
                        crypto::sign(&self.keys, &Ring, self.site.institution, &hello)
                    {
                        self.send(&AgentFrame::Hello(hello)).await;
                    }
                }
                SendOutput::Send(frame) => self.send(&frame).await,
                SendOutput::SendChunk { stream, seq } => {
                    if let Some((header, payload)) = self.spool.get(&(stream, seq))
                        && let Ok(frame) = encode_chunk(header, payload)
                    {
                        self.send_bytes(frame).await;
                    }
                }
                SendOutput::SendBeat { seq } => {
                    if let Some(beat) = self.beats.get(&seq).cloned() {
                        self.send(&AgentFrame::Beat(beat)).await;
                    }
                }
                SendOutput::Release { stream, through } => {
                    (self.spool).retain(|(of, seq), _| *of != stream || *seq > through);
                }
                SendOutput::ReleaseBeats { before } => self.beats.retain(|seq, _| *seq >= before),
                SendOutput::Refused { .. }
                | SendOutput::Finished
                | SendOutput::Gap { .. }
                | SendOutput::Command(_)
                | SendOutput::Resumed { .. }
                | SendOutput::Keep(_) => {}
            }
        }
    }

    async fn connect(&mut self) {
        match connect(&self.site, &self.provision.token).await {
            Ok((socket, nonce)) => {
                self.socket = Some(socket);
                let now = self.now();
                self.sender
                    .handle(&Ring, now, SendInput::Connected { nonce });
            }
            Err(_refused) => self.cut(),
        }
    }

    async fn send(&mut self, frame: &AgentFrame) {
        if let Ok(bytes) = encode("frame", frame) {
            self.send_bytes(bytes).await;
        }
    }

    async fn send_bytes(&mut self, bytes: Vec<u8>) {
        if let Some(socket) = self.socket.as_mut()
            && socket.send(Message::Binary(bytes.into())).await.is_err()
        {
            self.cut();
        }
    }
}

/// Opens TLS to the server.
pub(super) async fn tls(site: &Site) -> Result<TlsStream<TcpStream>> {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(site.ca_pem.as_bytes())?)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let place = site.origin.strip_prefix("https://").context("an origin")?;
    let (host, port) = place.rsplit_once(':').unwrap_or((place, "443"));
    let tcp = TcpStream::connect((host, port.parse::<u16>()?)).await?;
    tcp.set_nodelay(true)?;
    let name = rustls::pki_types::ServerName::try_from(host.to_owned())?;
    Ok(TlsConnector::from(Arc::new(config))
        .connect(name, tcp)
        .await?)
}

/// Opens a link; fails where the server refuses its token.
pub(super) async fn connect(site: &Site, token: &str) -> Result<(Socket, [u8; 32])> {
    let tls = tls(site).await?;
    let url = format!(
        "{}/api/v1/agent/link",
        site.origin.replacen("https", "wss", 1)
    );
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("authorization", format!("Bearer {token}").parse()?);
    headers.insert("sec-websocket-protocol", LINK_SUBPROTOCOL.parse()?);
    let (socket, response) = match tokio_tungstenite::client_async(request, tls).await {
        Ok(up) => up,
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => {
            let status = response.status().as_u16();
            if status >= 500 {
                site.watch
                    .fault(format!("the link was answered by {status}"));
            }
            anyhow::bail!("{status}");
        }
        Err(error) => return Err(error.into()),
    };
    let mut nonce = [0; 32];
    let header = response.headers().get("x-qorgan-nonce");
    hex::decode_to_slice(header.context("a nonce")?, &mut nonce)?;
    Ok((socket, nonce))
}

/// What is wrong with a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trick {
    /// The hello signs the nonce of another connection.
    OldNonce,
    /// The hello is signed by a key that nobody certified.
    OtherKey,
    /// The hello names a later epoch.
    OtherEpoch,
    /// The hello names another run of the kernel.
    OtherBoot,
    /// No version in common.
    Version,
    /// No hello at all.
    Garbage,
    /// A text where a frame should be.
    Text,
    /// A message above the largest.
    Large,
    /// After a good hello: a chunk whose payload was changed.
    Tampered,
    /// After a good hello: a chunk that lies far ahead of its chain.
    Ahead,
    /// After a good hello: a chunk that ends after the end of time.
    Endless,
    /// After a good hello: a beat of a far place with times at their ends.
    WildBeat,
    /// After a good hello: seventeen streams.
    Streams,
    /// After a good hello: bytes that are no frame.
    NoFrame,
    /// After a good hello: a picture above the largest.
    LargePicture,
}

impl Trick {
    pub(super) const ALL: [Self; 15] = [
        Self::OldNonce,
        Self::OtherKey,
        Self::OtherEpoch,
        Self::OtherBoot,
        Self::Version,
        Self::Garbage,
        Self::Text,
        Self::Large,
        Self::Tampered,
        Self::Ahead,
        Self::Endless,
        Self::WildBeat,
        Self::Streams,
        Self::NoFrame,
        Self::LargePicture,
    ];
}

/// Plays a trick on the link and returns what the server said last: a refusal's word, `closed`, or
/// `open` where it went on.
pub(super) async fn play(site: &Site, provision: &Provision, trick: Trick) -> Result<String> {
    let (mut socket, nonce) = connect(site, &provision.token).await?;
    for message in opening(site, provision, (nonce, trick))? {
        // A server that has heard enough closes; what it said is read below.
        if socket.send(message).await.is_err() {
            break;
        }
    }
    let heard = tokio::time::timeout(TRICK_LIMIT, last_word(&mut socket)).await;
    Ok(heard.unwrap_or_else(|_still| "open".to_owned()))
}

async fn last_word(socket: &mut Socket) -> String {
    let mut said = "closed".to_owned();
    while let Some(Ok(message)) = socket.next().await {
        if let Message::Binary(bytes) = message
            && let Ok(ServerFrame::Refused { reason, .. }) = codec::decode("frame", &bytes)
        {
            said = format!("{reason:?}");
        }
    }
    said
}

fn opening(
    site: &Site,
    provision: &Provision,
    (nonce, trick): ([u8; 32], Trick),
) -> Result<Vec<Message>> {
    let mut hello = Hello {
        version_min: 1,
        version_max: 2,
        nonce,
        attempt: provision.attempt,
        epoch: provision.epoch,
        boot: provision.boot,
        agent_version: "0.1.0".to_owned(),
        simulated_build: true,
    };
    let mut keys = Keys::from_pkcs8(&provision.pkcs8)?;
    match trick {
        Trick::OldNonce => hello.nonce = [9; 32],
        Trick::OtherKey => keys = Keys::generate()?.0,
        Trick::OtherEpoch => hello.epoch.0 += 1,
        Trick::OtherBoot => hello.boot.0[0] ^= 1,
        Trick::Version => (hello.version_min, hello.version_max) = (900, 901),
        Trick::Garbage => return Ok(vec![Message::Binary(vec![0xA5; 600].into())]),
        Trick::Text => return Ok(vec![Message::Text("hello".into())]),
        Trick::Large => return Ok(vec![Message::Binary(vec![0; LARGE].into())]),
        Trick::Tampered
        | Trick::Ahead
        | Trick::Endless
        | Trick::WildBeat
        | Trick::Streams
        | Trick::NoFrame
        | Trick::LargePicture => {}
    }
    let hello = AgentFrame::Hello(crypto::sign(&keys, &Ring, site.institution, &hello)?);
    let mut frames = vec![encode("frame", &hello)?];
    frames.extend(after_hello(site, provision, (&keys, trick))?);
    let message = |bytes: Vec<u8>| Message::Binary(bytes.into());
    Ok(frames.into_iter().map(message).collect())
}

fn after_hello(
    site: &Site,
    provision: &Provision,
    (keys, trick): (&Keys, Trick),
) -> Result<Vec<Vec<u8>>> {
    let payload = cmaf::init();
    let first = |word: &str| {
        let stream = StreamId::from_word(word).context("a stream")?;
        let mut chain = StreamChain::new(provision.attempt, provision.epoch, stream);
        Ok::<_, anyhow::Error>(chain.append(&Ring, 0, 500_000, true, &payload)?)
    };
    // A stream that the recording does not have, so that its first chunk would follow.
    let mut header = first("screen-9")?;
    Ok(match trick {
        Trick::Tampered => {
            let mut frame = encode_chunk(&header, &payload)?;
            if let Some(last) = frame.last_mut() {
                *last ^= 1;
            }
            vec![frame]
        }
        Trick::Ahead => {
            header.seq = ChunkSeq(u64::MAX);
            vec![encode_chunk(&header, &payload)?]
        }
        Trick::Endless => {
            (header.start_us, header.duration_us) = (u64::MAX, u64::MAX);
            vec![encode_chunk(&header, &payload)?]
        }
        Trick::WildBeat => vec![encode(
            "frame",
            &AgentFrame::Beat(wild(site, provision, keys)?),
        )?],
        Trick::Streams => {
            let name = |number: u8| format!("screen-{number}");
            let headers = (0..40).map(|number| first(&name(number)));
            let headers = headers.collect::<Result<Vec<_>>>()?;
            let frames = headers.iter().map(|header| encode_chunk(header, &payload));
            frames.collect::<Result<Vec<_>, _>>()?
        }
        Trick::NoFrame => vec![vec![0xFF; 300]],
        Trick::LargePicture => vec![encode(
            "frame",
            &AgentFrame::Thumbnail {
                stream: header.stream,
                jpeg: vec![0xFF; 300_000],
            },
        )?],
        Trick::OldNonce
        | Trick::OtherKey
        | Trick::OtherEpoch
        | Trick::OtherBoot
        | Trick::Version
        | Trick::Garbage
        | Trick::Text
        | Trick::Large => Vec::new(),
    })
}

fn wild(site: &Site, provision: &Provision, keys: &Keys) -> Result<SignedBytes> {
    let body = BeatBody {
        attempt: provision.attempt,
        epoch: provision.epoch,
        seq: u64::MAX,
        previous: Sha256::ZERO,
        boot: provision.boot,
        monotonic: Now::from_origin(Duration::from_micros(u64::MAX)),
        wall: WallTime::from_unix_ms(i64::MAX),
        heads: Vec::new(),
        sources: Vec::new(),
        spooled_bytes: u64::MAX,
    };
    Ok(crypto::sign(keys, &Ring, site.institution, &body)?)
}

fn statement(word: &str) -> SourceStatement {
    SourceStatement {
        source: StreamId::from_word(word).unwrap_or(StreamId::EVENTS),
        kind: SourceKind::Simulated,
        driver: "attack".to_owned(),
        label: "attack".to_owned(),
    }
}

fn health(source: StreamId) -> SourceHealth {
    SourceHealth {
        source,
        state: SourceState::Live,
        newest: None,
    }
}

const SOURCES: [&str; 3] = ["camera-0", "microphone-0", "screen-0"];
const LARGE: usize = 3 * 1024 * 1024;
/// A link that is still open then was not refused; no trick counts on less.
const TRICK_LIMIT: Duration = Duration::from_secs(4);
