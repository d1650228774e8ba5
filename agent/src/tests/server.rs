//! A small server for the tests: HTTPS and the link on one port, the protocol's own receiver.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::attempt::MachineRule;
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, PublicKey, Signer as _};
use qorgan_protocol::evidence::{
    AttemptKeyCertificate, AttemptRole, BeatBody, ChunkHeader, ChunkSeq, Receipt, ReceiptBatch,
    StreamId,
};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, InstitutionId};
use qorgan_protocol::incident::WatchPolicy;
use qorgan_protocol::link::{
    LinkReceiver, Received, RefusalReason, ServerFrame, SourceStatement, Standing, StreamStanding,
};
use qorgan_protocol::local::Provision;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{AgentEnrolReply, AgentEnrolRequest, Hex};
use qorgan_signing::{Keys, Ring};
use rustls::ServerConfig;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// What the agent is to seal scored inputs under.
pub(crate) const INPUT_KEY: [u8; 32] = [11; 32];

type Tls = BufReader<TlsStream<TcpStream>>;

async fn answer(tls: tokio_rustls::Accept<TcpStream>, server: Arc<FakeServer>) {
    if let Ok(tls) = tls.await {
        server.serve(BufReader::new(tls)).await;
    }
}

/// The server and everything it took in.
#[derive(Debug)]
pub(crate) struct FakeServer {
    pub(crate) address: SocketAddr,
    pub(crate) ca_der: Vec<u8>,
    pub(crate) keys: Keys,
    pub(crate) stored: Mutex<Stored>,
    /// Links are cut after this many frames; zero for never.
    pub(crate) cut_after: AtomicUsize,
    /// Nothing is receipted while this holds.
    pub(crate) silent: AtomicBool,
    /// Connections are refused while this holds.
    pub(crate) down: AtomicBool,
    /// Told to cut every link.
    pub(crate) cut: tokio::sync::Notify,
    /// Whether camera, microphone and screen are required.
    pub(crate) devices: AtomicBool,
    /// What is watched for.
    pub(crate) watch: Mutex<WatchPolicy>,
    /// Told to the agent with the next receipt.
    pub(crate) commands: Mutex<Vec<ServerFrame>>,
}

#[derive(Debug, Default)]
pub(crate) struct Stored {
    pub(crate) standing: Standing,
    pub(crate) chunks: BTreeMap<(StreamId, ChunkSeq), (ChunkHeader, Vec<u8>)>,
    pub(crate) agent_keys: Vec<PublicKey>,
    pub(crate) duplicates: usize,
    pub(crate) links: usize,
    pub(crate) beats: u64,
    pub(crate) finished: bool,
    pub(crate) refusals: Vec<(RefusalReason, String)>,
    pub(crate) sources: Vec<SourceStatement>,
    pub(crate) thumbnails: BTreeMap<StreamId, Vec<u8>>,
    pub(crate) last_beat: Option<BeatBody>,
}

impl FakeServer {
    pub(crate) async fn start() -> Arc<Self> {
        let key = rcgen::KeyPair::generate().expect("a key");
        let certificate = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()])
            .and_then(|params| params.self_signed(&key))
            .expect("a certificate");
        let ca_der = certificate.der().to_vec();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from(ca_der.clone())],
                PrivateKeyDer::try_from(key.serialize_der()).expect("a key"),
            )
            .expect("they fit");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let (keys, _) = Keys::generate().expect("random bytes");
        let server = Arc::new(Self {
            address: listener.local_addr().expect("bound"),
            ca_der,
            keys,
            stored: Mutex::default(),
            cut_after: AtomicUsize::new(0),
            silent: AtomicBool::new(false),
            down: AtomicBool::new(false),
            cut: tokio::sync::Notify::new(),
            devices: AtomicBool::new(false),
            watch: Mutex::default(),
            commands: Mutex::default(),
        });
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let accepting = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.expect("a connection");
                if accepting.down.load(Ordering::Relaxed) {
                    continue;
                }
                tokio::spawn(answer(acceptor.accept(tcp), Arc::clone(&accepting)));
            }
        });
        server
    }

    pub(crate) fn provision(&self) -> Provision {
        Provision {
            server: format!("https://{}", self.address),
            ca_der: Some(self.ca_der.clone()),
            institution: institution(),
            attempt: attempt(),
            epoch: Epoch::FIRST,
            agent_token: "token".to_owned(),
            grant: crypto::SignedBytes {
                bytes: Vec::new(),
                signature: Vec::new(),
            },
            server_key: self.keys.public_key(),
            bandwidth: "standard".to_owned(),
        }
    }

    pub(crate) fn certify(
        &self,
        attempt: AttemptId,
        role: AttemptRole,
        key: PublicKey,
    ) -> crypto::SignedBytes {
        let certificate = AttemptKeyCertificate {
            attempt,
            epoch: Epoch::FIRST,
            role,
            key,
            boot: BootId([1; 16]),
            issued: WallTime::from_unix_ms(1),
            expires: WallTime::from_unix_ms(i64::MAX),
        };
        crypto::sign(&self.keys, &Ring, institution(), &certificate).expect("writable")
    }

    async fn serve(self: Arc<Self>, mut tls: Tls) {
        loop {
            let Ok(ahead) = tls.fill_buf().await else {
                return;
            };
            if ahead.is_empty() {
                return;
            }
            if ahead.starts_with(b"GET /api/v1/agent/link ") {
                return self.link(tls).await;
            }
            let Some((path, body)) = request(&mut tls).await else {
                return;
            };
            let reply = self.reply(&path, &body);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                reply.len()
            );
            if tls.write_all(head.as_bytes()).await.is_err()
                || tls.write_all(reply.as_bytes()).await.is_err()
                || tls.flush().await.is_err()
            {
                return;
            }
        }
    }

    fn reply(&self, path: &str, body: &[u8]) -> String {
        if path == "/api/v1/challenge" {
            return format!("{{\"nonce\":\"{}\"}}", "07".repeat(32));
        }
        assert_eq!(path, "/api/v1/agent/enrol");
        let request: AgentEnrolRequest = serde_json::from_slice(body).expect("as typed");
        let key = PublicKey(request.key.0.try_into().expect("32 bytes"));
        let mut stored = self.stored.lock().expect("not poisoned");
        stored.agent_keys.push(key);
        drop(stored);
        let reply = AgentEnrolReply {
            certificate: self.certify(attempt(), AttemptRole::Agent, key).into(),
            spool_key: Hex(vec![9; 32]),
            deny_processes: Vec::new(),
            allow_processes: Vec::new(),
            displays_max: 1,
            bandwidth: "standard".to_owned(),
            camera: self.devices.load(Ordering::Relaxed),
            microphone: true,
            screen: self.devices.load(Ordering::Relaxed),
            photo: None,
            watch: self.watch.lock().expect("not poisoned").clone(),
            allowances: Vec::new(),
            input_key: Hex(INPUT_KEY.to_vec()),
            // Tests run on a display of their own and hear what they play.
            nested_display: MachineRule::Note,
            monitor_microphone: MachineRule::Note,
        };
        serde_json::to_string(&reply).expect("plain data")
    }

    #[expect(
        clippy::result_large_err,
        reason = "the callback's type is tungstenite's"
    )]
    async fn link(self: Arc<Self>, tls: Tls) {
        let nonce = [5; 32];
        let answer = |_: &Request, mut response: Response| {
            let headers = response.headers_mut();
            headers.insert("x-qorgan-nonce", "05".repeat(32).parse().expect("a header"));
            headers.insert(
                "sec-websocket-protocol",
                "qorgan.agent.v1".parse().expect("a header"),
            );
            Ok(response)
        };
        let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(tls, answer).await else {
            return;
        };
        let (agent_keys, standing) = {
            let mut stored = self.stored.lock().expect("not poisoned");
            stored.links += 1;
            (stored.agent_keys.clone(), stored.standing.clone())
        };
        let whose = (institution(), attempt(), Epoch::FIRST);
        let mut receiver = LinkReceiver::new(&Ring, whose, &agent_keys, nonce, standing);
        let mut left = self.cut_after.load(Ordering::Relaxed);
        loop {
            let message = tokio::select! {
                message = socket.next() => message,
                () = self.cut.notified() => return,
            };
            let Some(Ok(message)) = message else {
                return;
            };
            let Message::Binary(bytes) = message else {
                continue;
            };
            let answer = self.take(&mut receiver, &bytes);
            if left > 0 {
                left -= 1;
                if left == 0 {
                    // Cut before the receipt: the agent must send again.
                    return;
                }
            }
            let commands = std::mem::take(&mut *self.commands.lock().expect("not poisoned"));
            for answer in answer.into_iter().chain(commands) {
                let bytes = codec::encode("server frame", &answer).expect("plain data");
                if socket.send(Message::Binary(bytes.into())).await.is_err() {
                    return;
                }
            }
            if self.stored.lock().expect("not poisoned").finished {
                return;
            }
        }
    }

    fn take(&self, receiver: &mut LinkReceiver, bytes: &[u8]) -> Option<ServerFrame> {
        let mut stored = self.stored.lock().expect("not poisoned");
        match receiver.handle(&Ring, bytes) {
            Ok(Received::Hello(_)) => Some(receiver.welcome(WallTime::from_unix_ms(1))),
            Ok(Received::Chunk {
                header, payload, ..
            }) => {
                let head = header.hash(&Ring).expect("a header");
                let id = (header.stream, header.seq);
                let before = stored.chunks.insert(id, (header, payload.to_vec()));
                assert!(
                    before.is_none(),
                    "{} {} came twice",
                    header.stream,
                    header.seq
                );
                let chain = qorgan_protocol::evidence::StreamChain {
                    attempt: header.attempt,
                    epoch: header.epoch,
                    stream: header.stream,
                    next: header.seq.next(),
                    head,
                };
                let standing = stored.standing.streams.entry(header.stream);
                let standing = standing.or_insert_with(|| StreamStanding {
                    chain,
                    recent: std::collections::VecDeque::new(),
                });
                standing.chain = chain;
                standing.recent.push_back((header.seq, head));
                Some(self.receipts(&stored)).filter(|_| !self.silent.load(Ordering::Relaxed))
            }
            Ok(Received::Beat { body, signed }) => {
                stored.beats += 1;
                stored.last_beat = Some((*body).clone());
                stored.standing.beat_next = body.seq + 1;
                stored.standing.beat_head =
                    crypto::Hasher::sha256(&Ring, &[signed.bytes.as_slice()]);
                Some(self.receipts(&stored)).filter(|_| !self.silent.load(Ordering::Relaxed))
            }
            Ok(Received::Duplicate) => {
                stored.duplicates += 1;
                Some(self.receipts(&stored))
            }
            Ok(Received::Finish) => {
                stored.finished = true;
                None
            }
            Ok(Received::Clock(_)) => None,
            Ok(Received::Sources(sources)) => {
                stored.sources = sources;
                None
            }
            Ok(Received::Thumbnail { stream, jpeg }) => {
                stored.thumbnails.insert(stream, jpeg);
                None
            }
            Err(refusal) => {
                stored
                    .refusals
                    .push((refusal.reason, refusal.detail.clone()));
                Some(refusal.frame())
            }
        }
    }

    fn receipts(&self, stored: &Stored) -> ServerFrame {
        let receipts = stored.standing.streams.values().map(|stream| Receipt {
            stream: stream.chain.stream,
            seq: ChunkSeq(stream.chain.next.0 - 1),
            header: stream.chain.head,
        });
        let batch = ReceiptBatch {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            at: WallTime::from_unix_ms(1),
            receipts: receipts.collect(),
            beat_next: stored.standing.beat_next,
        };
        ServerFrame::Receipts(
            crypto::sign(&self.keys, &Ring, institution(), &batch).expect("writable"),
        )
    }
}

async fn request(tls: &mut Tls) -> Option<(String, Vec<u8>)> {
    let mut first = String::new();
    tls.read_line(&mut first).await.ok()?;
    let path = first.split_whitespace().nth(1)?.to_owned();
    let mut length = 0;
    loop {
        let mut line = String::new();
        tls.read_line(&mut line).await.ok()?;
        let line = line.trim().to_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    tls.read_exact(&mut body).await.ok()?;
    Some((path, body))
}

pub(crate) fn institution() -> InstitutionId {
    InstitutionId::new(WallTime::from_unix_ms(1), [2; 10])
}

pub(crate) fn attempt() -> AttemptId {
    AttemptId::new(WallTime::from_unix_ms(5), [1; 10])
}
