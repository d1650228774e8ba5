//! A server with attempts that record, and agents that send to it over real TLS.

pub(crate) mod cmaf;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_protocol::attempt::{AttemptPhase, GatePolicy};
use qorgan_protocol::codec::encode;
use qorgan_protocol::crypto::{self, Hasher as _, PublicKey, Sha256, SignedBytes, Signer as _};
use qorgan_protocol::evidence::{
    AttemptKeyCertificate, AttemptRole, BeatBody, ChunkHeader, ChunkSeq, Head, StreamChain,
    StreamId,
};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, InstitutionId};
use qorgan_protocol::link::{
    AgentCommand, AgentFrame, LINK_SUBPROTOCOL, LinkSender, RefusalReason, SendInput, SendOutput,
    SenderIdentity, encode_chunk,
};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_protocol::wire::Accommodation;
use qorgan_server::auth::StaffRole;
use qorgan_server::config::Config;
use qorgan_server::http::{Bound, serve};
use qorgan_server::state::AppState;
use qorgan_server::store::exams::{self, Admission, NewExam, NewSitting};
use qorgan_server::store::people::{self, NewPerson};
use qorgan_server_core::sitting::SittingSettings;
use qorgan_signing::{Keys, Ring};
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

pub(crate) const BOOT: BootId = BootId([3; 16]);
const STAFF_PASSWORD: &str = "a password of the tests";

/// What an agent needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Provision {
    pub(crate) attempt: AttemptId,
    pub(crate) token: String,
    pub(crate) agent_pkcs8: Vec<u8>,
}

/// What all agents need to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) address: SocketAddr,
    pub(crate) ca: PathBuf,
    pub(crate) institution: InstitutionId,
    pub(crate) server_key: PublicKey,
}

/// A server in this process.
pub(crate) struct Server {
    pub(crate) state: AppState,
    pub(crate) place: Place,
    stop: oneshot::Sender<()>,
    served: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(crate) async fn start(data: &Path) -> Self {
        Self::start_with(data, Config::load(data, None).expect("defaults")).await
    }

    pub(crate) async fn start_with(data: &Path, config: Config) -> Self {
        let state = AppState::open(data, config).await.expect("a data folder");
        let bound = Bound::listen("127.0.0.1:0".parse().expect("an address")).expect("a port");
        let place = Place {
            address: bound.address,
            ca: data.join("ca.pem"),
            institution: state.institution(),
            server_key: state.keys.public_key(),
        };
        let (stop, stopped) = oneshot::channel();
        let serving = state.clone();
        let served = tokio::spawn(async move {
            let stop = async {
                stopped.await.ok();
            };
            serve(serving, bound, None, stop).await.expect("served");
        });
        Self {
            state,
            place,
            stop,
            served,
        }
    }

    /// Starts a server that asks staff for a password alone.
    pub(crate) async fn start_without_totp(data: &Path) -> Self {
        let mut config = Config::default();
        config.sign_in.staff_totp_required = false;
        config.passwords.memory_kib = 1_024;
        config.passwords.passes = 1;
        Self::start_with(data, config).await
    }

    /// Signs a member of staff in, who is made the first time; returns the cookie's value.
    pub(crate) async fn staff(&self, login: &str, role: StaffRole) -> String {
        let auth = &self.state.auth;
        let person = NewPerson {
            login: login.to_owned(),
            display_name: login.to_owned(),
            language: "en".to_owned(),
            ..NewPerson::default()
        };
        let address = [127, 0, 0, 1].into();
        let made = auth.add_staff(&person, role, "test").await.expect("added");
        if let Some(once) = made {
            let first = auth
                .sign_in_staff(login, &once.password, None, address)
                .await
                .expect("the one-time password holds");
            auth.set_password(first.person, STAFF_PASSWORD, false)
                .await
                .expect("set");
        }
        let signed_in = auth
            .sign_in_staff(login, STAFF_PASSWORD, None, address)
            .await;
        signed_in.expect("signed in").token
    }

    pub(crate) async fn stop(self) {
        self.stop.send(()).ok();
        self.served.await.expect("served");
    }

    /// Makes `count` attempts that wait at the gate, each with a certified agent and its token.
    pub(crate) async fn attempts(&self, count: u32) -> Vec<Provision> {
        let state = &self.state;
        let now = state.clock.wall();
        let mut tx = state.store.begin().await.expect("a transaction");
        let exam = NewExam {
            title: "Anatomy".to_owned(),
            discipline: "Anatomy".to_owned(),
            discipline_code: String::new(),
        };
        let exam = exams::create_exam(&mut tx, &state.keys, now, &exam)
            .await
            .expect("an exam");
        let sitting = NewSitting {
            exam,
            opens: now,
            closes: now.after(Duration::from_secs(3_600)),
            settings: SittingSettings {
                duration: Duration::from_secs(3_600),
                policy: GatePolicy::remote(),
                bandwidth: "standard".to_owned(),
                deny_processes: Vec::new(),
                allow_processes: Vec::new(),
            },
        };
        let sitting = exams::create_sitting(&mut tx, &state.keys, now, &sitting)
            .await
            .expect("a sitting");
        let mut provisions = Vec::new();
        for number in 0..count {
            let person = NewPerson {
                login: format!("candidate-{number}-{exam}"),
                display_name: "Test".to_owned(),
                language: "kk".to_owned(),
                external_id: String::new(),
                unit: String::new(),
                email: String::new(),
            };
            let person = people::put_person(&mut tx, &state.keys, now, &person)
                .await
                .expect("a person");
            let admission = Admission {
                sitting,
                person,
                admitted: true,
                reason: String::new(),
                accommodation: Accommodation::default(),
            };
            let attempt = exams::create_attempt(&mut tx, &state.keys, now, &admission, 1)
                .await
                .expect("an attempt");
            let (keys, agent_pkcs8) = Keys::generate().expect("random bytes");
            let token = hex::encode(qorgan_signing::random::<16>().expect("random bytes"));
            self.bind(
                &mut tx,
                attempt,
                keys.public_key(),
                (&token, &person.to_string()),
            )
            .await;
            provisions.push(Provision {
                attempt,
                token,
                agent_pkcs8,
            });
        }
        tx.commit().await.expect("committed");
        provisions
    }

    async fn bind(
        &self,
        tx: &mut qorgan_server::store::WriteTx,
        attempt: AttemptId,
        key: PublicKey,
        (token, person): (&str, &str),
    ) {
        let state = &self.state;
        let now = state.clock.wall();
        let institution = state.institution().to_string();
        let phase = AttemptPhase::Ready { since: now };
        sqlx::query(
            "UPDATE attempts SET phase = $2, phase_word = 'ready', epoch = 1, device_key = $3, \
             boot = $4 WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(serde_json::to_string(&phase).expect("plain data"))
        .bind([1u8; 32].as_slice())
        .bind(BOOT.0.as_slice())
        .execute(&mut **tx)
        .await
        .expect("bound");
        let wrapped = |what: &str| {
            let key = qorgan_signing::SecretKey::generate().expect("random bytes");
            let place = format!("{what}:{attempt}:{}", Epoch::FIRST);
            state.keys.wrap(&place, &key).expect("random bytes")
        };
        sqlx::query(
            "INSERT INTO epochs (attempt_id, epoch, institution_id, device_key, boot, \
             journal_key_wrapped, freshness_key_wrapped, spool_key_wrapped, began_ms) \
             VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(attempt.to_string())
        .bind(&institution)
        .bind([1u8; 32].as_slice())
        .bind(BOOT.0.as_slice())
        .bind(wrapped("journal"))
        .bind(wrapped("freshness"))
        .bind(wrapped("spool"))
        .bind(now.unix_ms())
        .execute(&mut **tx)
        .await
        .expect("an epoch");
        let certificate = certified(state, attempt, key, now);
        sqlx::query(
            "UPDATE epochs SET agent_key = $2, agent_certificate = $3, agent_signature = $4 \
             WHERE attempt_id = $1",
        )
        .bind(attempt.to_string())
        .bind(key.0.as_slice())
        .bind(&certificate.bytes)
        .bind(&certificate.signature)
        .execute(&mut **tx)
        .await
        .expect("enrolled");
        sqlx::query(
            "INSERT INTO tokens (hash, institution_id, kind, person_id, attempt_id, epoch, \
             created_ms, expires_ms) VALUES ($1, $2, 'agent', $3, $4, 1, $5, $6)",
        )
        .bind(Ring.sha256(&[token.as_bytes()]).0.as_slice())
        .bind(&institution)
        .bind(person)
        .bind(attempt.to_string())
        .bind(now.unix_ms())
        .bind(now.unix_ms() + 7_200_000)
        .execute(&mut **tx)
        .await
        .expect("a token");
    }
}

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
                SendOutput::Gap { .. } => self.gap = true,
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

fn certified(state: &AppState, attempt: AttemptId, key: PublicKey, now: WallTime) -> SignedBytes {
    let certificate = state.keys.sign(&AttemptKeyCertificate {
        attempt,
        epoch: Epoch::FIRST,
        role: AttemptRole::Agent,
        key,
        boot: BOOT,
        issued: now,
        expires: now.after(Duration::from_secs(7_200)),
    });
    certificate.expect("plain data")
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

pub(crate) fn connector(ca: &Path) -> TlsConnector {
    use rustls::pki_types::CertificateDer;
    use rustls::pki_types::pem::PemObject as _;

    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(ca).expect("the authority"))
        .expect("a certificate");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}
