//! A hostile agent: it speaks the link's protocol without devices, and breaks it as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::codec::encode;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, SignedBytes};
use qorgan_protocol::evidence::{
    BeatBody, ChunkHeader, ChunkSeq, Head, SourceHealth, SourceState, StreamChain, StreamId,
};
use qorgan_protocol::link::{
    AgentFrame, LINK_SUBPROTOCOL, LinkSender, SendInput, SendOutput, SenderIdentity, SourceKind,
    SourceStatement, encode_chunk,
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

/// What an agent records.
#[derive(Debug, Clone)]
pub(super) enum Film {
    /// Bytes that are no picture, twice a second.
    Bytes(u8),
    /// A screen: its initialisation segment, and one chunk again and again, twice a second.
    Screen(Arc<[u8]>, Arc<[u8]>),
    /// Chunks as large as the link takes and as fast as it takes them, over one link after another.
    Flood,
}

impl Film {
    const fn every(&self) -> Duration {
        match self {
            Self::Bytes(_) | Self::Screen(..) => Duration::from_millis(500),
            Self::Flood => Duration::from_millis(50),
        }
    }
}

/// What is asked of an agent in the background, and what came of it.
#[derive(Debug, Default)]
struct Orders {
    silent: AtomicBool,
    finish: AtomicBool,
    links: AtomicU64,
    stored: AtomicU64,
    receipts: Mutex<VecDeque<SignedBytes>>,
}

/// An agent that streams in the background until it is dropped.
pub(super) struct Streaming {
    orders: Arc<Orders>,
    task: JoinHandle<()>,
}

impl Streaming {
    /// Starts an agent; `fill` makes the bytes of its pictures.
    pub(super) fn start(site: &Site, provision: &Provision, fill: u8) -> Result<Self> {
        Self::of(site, provision, Film::Bytes(fill))
    }

    /// Starts an agent that records this.
    pub(super) fn of(site: &Site, provision: &Provision, film: Film) -> Result<Self> {
        let orders = Arc::new(Orders::default());
        let mut agent = Agent::new(site, provision, Arc::clone(&orders))?;
        let asked = Arc::clone(&orders);
        let task = tokio::spawn(async move {
            let mut linked = Instant::now();
            loop {
                if asked.finish.swap(false, Ordering::Relaxed) {
                    agent.finish();
                }
                if !asked.silent.load(Ordering::Relaxed) && agent.end != End::Asked {
                    agent.record(&film);
                }
                agent.run(film.every()).await;
                if matches!(film, Film::Flood) && linked.elapsed() > FLOOD_LINK_LASTS {
                    agent.cut();
                    linked = Instant::now();
                }
                if agent.end == End::Said && agent.socket.is_none() {
                    // It was refused, and comes again all the same.
                    agent.connect().await;
                }
            }
        });
        Ok(Self { orders, task })
    }

    /// Streams, or stays silent while its link is up.
    pub(super) fn stream(&self, on: bool) {
        self.orders.silent.store(!on, Ordering::Relaxed);
    }

    /// Says that everything is delivered, and goes on all the same, also where it is refused.
    pub(super) fn say_finished(&self) {
        self.orders.finish.store(true, Ordering::Relaxed);
    }

    /// Returns how many links it opened.
    pub(super) fn links(&self) -> u64 {
        self.orders.links.load(Ordering::Relaxed)
    }

    /// Returns how many bytes the server gave receipts for.
    pub(super) fn stored(&self) -> u64 {
        self.orders.stored.load(Ordering::Relaxed)
    }

    /// Returns the newest receipts.
    pub(super) fn receipts(&self) -> Vec<SignedBytes> {
        let receipts = &self.orders.receipts;
        let receipts = receipts.lock().unwrap_or_else(PoisonError::into_inner);
        receipts.iter().cloned().collect()
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
    end: End,
    orders: Arc<Orders>,
}

/// Whether an agent says that its recording has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    No,
    /// Once everything is receipted.
    Asked,
    /// It did, and goes on.
    Said,
}

impl Agent {
    fn new(site: &Site, provision: &Provision, orders: Arc<Orders>) -> Result<Self> {
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
            end: End::No,
            orders,
        })
    }

    fn now(&self) -> Now {
        Now::from_origin(self.began.elapsed())
    }

    fn finish(&mut self) {
        self.end = End::Asked;
        let now = self.now();
        self.sender.handle(&Ring, now, SendInput::Finish);
    }

    /// Records half a second of two streams, or as much as waits at most, and a beat.
    fn record(&mut self, film: &Film) {
        let plain = |fill: u8| Arc::<[u8]>::from(cmaf::chunk(&[fill; 900], &[fill; 60]));
        let init = Arc::<[u8]>::from(cmaf::init());
        let (screen_init, camera, screen) = match film {
            Film::Bytes(fill) => (Arc::clone(&init), plain(*fill), plain(*fill)),
            Film::Screen(init, chunk) => (Arc::clone(init), plain(0), Arc::clone(chunk)),
            Film::Flood => {
                let large = cmaf::chunk(&vec![0; FLOOD_CHUNK], &[0; 60]);
                (Arc::clone(&init), plain(0), large.into())
            }
        };
        if self.halves == 0 {
            self.chunk("camera-0", &init);
            self.chunk("screen-0", &screen_init);
        }
        self.chunk("camera-0", &camera);
        let mut first = true;
        while first || (matches!(film, Film::Flood) && self.spool.len() < FLOOD_SPOOL) {
            self.chunk("screen-0", &screen);
            self.halves += 1;
            first = false;
        }
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
                SendOutput::Release { stream, through } => self.release(stream, through),
                SendOutput::ReleaseBeats { before } => self.beats.retain(|seq, _| *seq >= before),
                SendOutput::Finished => self.end = End::Said,
                SendOutput::Refused { .. }
                | SendOutput::Gap(_)
                | SendOutput::Command(_)
                | SendOutput::Resumed { .. } => {}
                SendOutput::Keep(receipt) => {
                    let receipts = &self.orders.receipts;
                    let mut receipts = receipts.lock().unwrap_or_else(PoisonError::into_inner);
                    receipts.push_back(receipt);
                    if receipts.len() > RECEIPTS_MAX {
                        receipts.pop_front();
                    }
                }
            }
        }
    }

    /// Forgets what is stored, and counts it.
    fn release(&mut self, stream: StreamId, through: ChunkSeq) {
        let mut bytes = 0;
        self.spool.retain(|(of, seq), (_, payload)| {
            let kept = *of != stream || *seq > through;
            if !kept {
                bytes += u64::try_from(payload.len()).unwrap_or(u64::MAX);
            }
            kept
        });
        self.orders.stored.fetch_add(bytes, Ordering::Relaxed);
    }

    async fn connect(&mut self) {
        match connect(&self.site, &self.provision.token).await {
            Ok((socket, nonce)) => {
                self.orders.links.fetch_add(1, Ordering::Relaxed);
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
/// How long a link of a flood lasts.
const FLOOD_LINK_LASTS: Duration = Duration::from_secs(2);
/// A chunk of a flood, a little below the largest.
const FLOOD_CHUNK: usize = 1_000_000;
/// How many chunks of a flood wait at most.
const FLOOD_SPOOL: usize = 16;
const RECEIPTS_MAX: usize = 256;
