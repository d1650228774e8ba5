//! A server that holds one candidate, one exam of two questions, and all in memory. It speaks the
//! real protocol over TLS and signs real receipts; it decides nothing of what the real one decides.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use qorgan_protocol::{
    assessment::{Choice, Interaction, ItemPage, Response, ResponseEntry, ResponseSeq},
    attempt::{AttemptPhase, CheckInTask, CheckInTasks, GateMode, GatePolicy, MachineRule},
    codec,
    crypto::{self, Hasher as _, PublicKey, Sha256, Signer as _},
    evidence::{AttemptKeyCertificate, AttemptRole, StreamKind},
    ids::{AttemptId, BootId, Epoch, InstitutionId, ItemId, PersonId},
    time::WallTime,
    wire::{
        AcceptedResponses, Accommodation, AttemptView, ChallengeReply, CheckInReply,
        CheckInRequest, ConnectionTime, ConsentReply, ExamCard, ExamState, GateLine, GateLineState,
        Hex, IdentityState, ItemList, ItemSlot, LeaseView, ResponseReceipt, ResponsesRequest,
        ServerHello, SignInReply, StoredResponses, SubmitReply, TextIn,
    },
};
use qorgan_signing::{Keys, Ring};
use serde_json::{Value, json, to_value};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};

pub(crate) struct Server {
    state: Arc<Mutex<State>>,
    link: String,
    _runtime: tokio::runtime::Runtime,
}

struct State {
    keys: Keys,
    pkcs8: Vec<u8>,
    tasks: CheckInTasks,
    gate_open: bool,
    running: bool,
    submitted: bool,
    refuses: bool,
    /// The next responses cross the closing of their connection.
    crosses: bool,
    /// The proof of each delivery of responses that came.
    deliveries: Vec<String>,
    signed_out: bool,
    began: Instant,
    entries: Vec<ResponseEntry>,
    head: Sha256,
    version: u64,
}

impl Server {
    /// Starts; a view is answered after `view_wait`.
    pub(crate) fn start(view_wait: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("threads");
        let (ca, chain, key) = certificates();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .expect("TLS 1.3")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a chain");
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .expect("binds");
        let port = listener.local_addr().expect("an address").port();
        let (keys, pkcs8) = Keys::generate().expect("a key");
        let state = Arc::new(Mutex::new(State {
            keys,
            pkcs8,
            tasks: CheckInTasks::default(),
            gate_open: false,
            running: false,
            submitted: false,
            refuses: false,
            crosses: false,
            deliveries: Vec::new(),
            signed_out: false,
            began: Instant::now(),
            entries: Vec::new(),
            head: Sha256::ZERO,
            version: 1,
        }));
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let accepted = acceptor.accept(stream);
                tokio::spawn(answer(accepted, Arc::clone(&shared), view_wait));
            }
        });
        let link = format!(
            "qorgan://localhost:{port}/?ca={}",
            Ring.sha256(&[&ca]).to_hex()
        );
        Self {
            state,
            link,
            _runtime: runtime,
        }
    }

    pub(crate) fn link(&self) -> String {
        self.link.clone()
    }

    pub(crate) fn phase(&self) -> &'static str {
        self.lock().phase().word()
    }

    pub(crate) fn open_gate(&self) {
        self.lock().gate_open = true;
    }

    pub(crate) fn refuse_responses(&self, refuses: bool) {
        self.lock().refuses = refuses;
    }

    /// Closes the connection over which the next responses come, as a server does that found it idle
    /// while they were under way: they are neither answered nor stored.
    pub(crate) fn close_under_responses(&self) {
        self.lock().crosses = true;
    }

    /// Returns the proof of each delivery of responses that came, also of those that were not taken.
    pub(crate) fn deliveries(&self) -> Vec<String> {
        self.lock().deliveries.clone()
    }

    /// Ends the candidate's token.
    pub(crate) fn sign_out(&self) {
        self.lock().signed_out = true;
    }

    /// Returns what is stored: the question's place and the response.
    pub(crate) fn responses(&self) -> Vec<(u8, Response)> {
        let place = |entry: &ResponseEntry| if entry.item == item(1) { 1 } else { 2 };
        self.lock()
            .entries
            .iter()
            .map(|entry| (place(entry), entry.response.clone()))
            .collect()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(
    tls: tokio_rustls::Accept<tokio::net::TcpStream>,
    state: Arc<Mutex<State>>,
    view_wait: Duration,
) {
    if let Ok(stream) = tls.await {
        let _ended = serve(BufReader::new(stream), &state, view_wait).await;
    }
}

async fn serve<S>(
    mut stream: BufReader<S>,
    state: &Mutex<State>,
    view_wait: Duration,
) -> std::io::Result<()>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let (mut line, mut length, mut proof) = (String::new(), 0, String::new());
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        loop {
            let mut header = String::new();
            stream.read_line(&mut header).await?;
            if header.trim().is_empty() {
                break;
            }
            if let Some(value) = header.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            if let Some(value) = header.to_lowercase().strip_prefix("qorgan-proof:") {
                value.trim().clone_into(&mut proof);
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await?;
        let path = line
            .split_whitespace()
            .nth(1)
            .unwrap_or_default()
            .to_owned();
        if path.contains("/view") {
            tokio::time::sleep(view_wait).await;
        }
        let (status, reply) = {
            let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
            if line.starts_with("POST") && path.ends_with("/responses") {
                state.deliveries.push(proof);
                if std::mem::take(&mut state.crosses) {
                    return Ok(());
                }
            }
            state.answer(&path, (line.starts_with("GET"), &body))
        };
        let text = if status == 204 {
            String::new()
        } else {
            reply.to_string()
        };
        let head = format!(
            "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            text.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(text.as_bytes()).await?;
        stream.flush().await?;
    }
}

impl State {
    fn answer(&mut self, path: &str, (gets, body): (bool, &[u8])) -> (u16, Value) {
        self.version += 1;
        let what = path
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .split('?')
            .next()
            .unwrap_or_default();
        match what {
            "hello" | "challenge" => {}
            "sign-in" => self.signed_out = false,
            _ if self.signed_out => return (401, problem("not_signed_in")),
            _ => {}
        }
        let task = |task| Some(task);
        let done = match what {
            "consent" => task(CheckInTask::Consent),
            "system-check" => task(CheckInTask::SystemCheck),
            "identity" => task(CheckInTask::Identity),
            "instruction" => task(CheckInTask::Instruction),
            _ => None,
        };
        if let Some(done) = done {
            self.tasks = self.tasks.with(done);
        }
        let reply = match what {
            "hello" => to_value(self.hello()),
            "challenge" => to_value(ChallengeReply {
                nonce: Hex(vec![1; 32]),
            }),
            "sign-in" => to_value(signed_in()),
            "exams" => to_value([self.card()]),
            "check-in" => return (200, self.check_in(body)),
            "consent" => to_value(ConsentReply {
                agent_token: hex_of(&self.pkcs8),
                bandwidth: "standard".to_owned(),
                contact: String::new(),
            }),
            "start" => {
                self.running = self.gate_open;
                to_value(self.view())
            }
            "view" => to_value(self.view()),
            "items" => to_value(ItemList {
                items: vec![slot(1), slot(2)],
            }),
            "1" => to_value(page(1)),
            "2" => to_value(page(2)),
            "responses" if gets => to_value(self.stored()),
            "responses" if self.refuses => return (503, problem("unavailable")),
            "responses" => return self.store(body),
            "submit" => {
                self.submitted = true;
                to_value(SubmitReply {
                    receipt: self.receipt().into(),
                    late: false,
                })
            }
            "system-check" | "identity" | "instruction" | "events" | "hand" | "messages" => {
                return (204, Value::Null);
            }
            _ => return (404, problem("not_found")),
        };
        (200, reply.expect("plain data"))
    }

    fn hello(&self) -> ServerHello {
        ServerHello {
            institution: institution(),
            name_kk: "Университет".to_owned(),
            name_ru: "Университет".to_owned(),
            name_en: "University".to_owned(),
            support: "+7 727".to_owned(),
            version_min: 1,
            version_max: 1,
            server_key: Hex(self.keys.public_key().0.to_vec()),
            now: at(),
        }
    }

    fn card(&self) -> ExamCard {
        ExamCard {
            attempt: attempt(),
            title: "Қалыпты физиология".to_owned(),
            discipline: "NPH".to_owned(),
            opens: at(),
            closes: at(),
            duration_ms: 3_600_000,
            items: 2,
            mode: GateMode::Remote,
            phase: self.phase(),
            state: ExamState::Open,
        }
    }

    fn phase(&self) -> AttemptPhase {
        let since = at();
        if self.submitted {
            AttemptPhase::Submitted { since }
        } else if self.running {
            AttemptPhase::Running { since }
        } else if self.tasks.complete() {
            AttemptPhase::Ready { since }
        } else {
            AttemptPhase::CheckIn {
                since,
                tasks: self.tasks,
            }
        }
    }

    fn check_in(&self, body: &[u8]) -> Value {
        let request: CheckInRequest = serde_json::from_slice(body).expect("a request");
        let certificate = AttemptKeyCertificate {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            role: AttemptRole::Client,
            key: PublicKey(request.client_key.0.try_into().expect("a key")),
            boot: BootId([0; 16]),
            issued: at(),
            expires: WallTime::from_unix_ms(i64::MAX),
        };
        let signed = crypto::sign(&self.keys, &Ring, institution(), &certificate).expect("signs");
        to_value(CheckInReply {
            epoch: Epoch::FIRST,
            // The kiosk walks on a display of the test's own.
            policy: GatePolicy {
                nested_display: MachineRule::Note,
                ..GatePolicy::remote()
            },
            certificate: signed.into(),
            journal_key: Hex(vec![3; 32]),
            freshness_key: Hex(vec![4; 32]),
            journal_next: self.next(),
            journal_head: Hex(self.head.0.to_vec()),
            consent_version: "1".to_owned(),
            consent_recorded: self.tasks.consent,
            consent_text: texts("Келісім мәтіні."),
            instruction_version: "1".to_owned(),
            instruction_text: texts("Нұсқаулық мәтіні."),
            accommodation: Accommodation::default(),
            photo_on_file: false,
            phase: self.phase(),
            title: "Қалыпты физиология".to_owned(),
        })
        .expect("plain data")
    }

    fn view(&self) -> AttemptView {
        let gate = [
            StreamKind::Camera,
            StreamKind::Microphone,
            StreamKind::Screen,
        ]
        .map(|source| GateLine {
            source,
            state: GateLineState::Live,
        });
        let lease = LeaseView {
            left_ms: 5_000,
            offline_grace_ms: 20_000,
        };
        let passed_ms = u64::try_from(self.began.elapsed().as_millis()).expect("soon over");
        AttemptView {
            version: self.version,
            epoch: Epoch::FIRST,
            phase: self.phase(),
            tasks: self.tasks,
            identity: if self.tasks.identity {
                IdentityState::Deferred
            } else {
                IdentityState::Open
            },
            identity_reason: None,
            gate: gate.to_vec(),
            gate_open: self.gate_open,
            waits_for_proctor: !self.gate_open,
            lease: (self.running && !self.submitted).then_some(lease),
            covered: None,
            time: ConnectionTime {
                remaining_ms: 3_600_000 - passed_ms,
                credited_ms: 0,
                now: at(),
            },
            freshness: None,
            messages: Vec::new(),
            hand_raised: false,
            journal_next: self.next(),
        }
    }

    fn store(&mut self, body: &[u8]) -> (u16, Value) {
        let request: ResponsesRequest = serde_json::from_slice(body).expect("a request");
        for bytes in request.entries {
            let entry: ResponseEntry =
                codec::decode("response entry", &bytes.0).expect("canonical");
            if entry.seq < self.next() {
                continue;
            }
            if entry.seq != self.next() || entry.previous != self.head {
                return (409, problem("out_of_order"));
            }
            self.head = Ring.sha256(&[&bytes.0]);
            self.entries.push(entry);
        }
        let accepted = AcceptedResponses {
            receipt: self.receipt().into(),
        };
        (200, to_value(accepted).expect("plain data"))
    }

    fn stored(&self) -> StoredResponses {
        let encode = |entry| Hex(codec::encode("response entry", entry).expect("plain data"));
        StoredResponses {
            entries: self.entries.iter().map(encode).collect(),
        }
    }

    fn receipt(&self) -> crypto::SignedBytes {
        let receipt = ResponseReceipt {
            attempt: attempt(),
            epoch: Epoch::FIRST,
            next: self.next(),
            head: self.head,
            submitted: self.submitted,
            at: at(),
        };
        crypto::sign(&self.keys, &Ring, institution(), &receipt).expect("signs")
    }

    fn next(&self) -> ResponseSeq {
        ResponseSeq(u64::try_from(self.entries.len()).expect("few"))
    }
}

fn signed_in() -> SignInReply {
    SignInReply {
        token: "token".to_owned(),
        expires: at(),
        candidate: PersonId::new(at(), [2; 10]),
        display_name: "Айгерім".to_owned(),
        language: "kk".to_owned(),
    }
}

fn page(position: u8) -> ItemPage {
    let choice = |id: &str| Choice {
        id: id.to_owned(),
        text: format!("жауап {id}"),
    };
    ItemPage {
        id: item(position),
        position: position.into(),
        of: 2,
        body: Vec::new(),
        prompt: "Сұрақ?".to_owned(),
        interaction: Interaction::SingleChoice {
            choices: vec![choice("A"), choice("B")],
        },
    }
}

fn slot(position: u8) -> ItemSlot {
    ItemSlot {
        id: item(position),
        position: position.into(),
    }
}

fn problem(code: &str) -> Value {
    json!({ "code": code, "detail": "" })
}

fn hex_of(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn institution() -> InstitutionId {
    InstitutionId::new(at(), [0; 10])
}

fn attempt() -> AttemptId {
    AttemptId::new(at(), [1; 10])
}

fn item(position: u8) -> ItemId {
    ItemId::new(at(), [position; 10])
}

fn at() -> WallTime {
    WallTime::from_unix_ms(1_789_800_127_000)
}

type Certificates = (
    Vec<u8>,
    Vec<rustls::pki_types::CertificateDer<'static>>,
    rustls::pki_types::PrivateKeyDer<'static>,
);

fn certificates() -> Certificates {
    let ca_key = rcgen::KeyPair::generate().expect("a key");
    let mut ca = rcgen::CertificateParams::new(Vec::new()).expect("plain");
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca_der = ca.self_signed(&ca_key).expect("signs").der().clone();
    let issuer = rcgen::Issuer::new(ca, ca_key);
    let key = rcgen::KeyPair::generate().expect("a key");
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).expect("a host");
    let leaf = leaf.signed_by(&key, &issuer).expect("signs").der().clone();
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    (ca_der.to_vec(), vec![leaf, ca_der], key.into())
}

fn texts(paragraph: &str) -> TextIn {
    let text = [paragraph; 40].join("\n\n");
    TextIn {
        kk: text.clone(),
        ru: text.clone(),
        en: text,
    }
}
