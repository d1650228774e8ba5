//! A server on a free port, candidates, machines, and an agent that only seems to stream.

use std::net::SocketAddr;
use std::time::Duration;

use qorgan_protocol::assessment::{
    AssessmentItem, AssessmentTest, Block, Choice, Interaction, Response, ResponseEntry,
    ResponseSeq,
};
use qorgan_protocol::attempt::{GatePolicy, Grace};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256, Signer as _};
use qorgan_protocol::evidence::{
    BeatBody, ChunkHeader, ChunkSeq, SourceHealth, SourceState, StreamId, StreamKind,
};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, ItemId, PersonId, SittingId, TestId};
use qorgan_protocol::link::{SourceKind, SourceStatement};
use qorgan_protocol::time::{Now, WallTime};
use qorgan_protocol::wire::{Accommodation, DeviceProof, Hex, ServerHello, SignInReply, SignedHex};
use qorgan_server_core::sitting::SittingSettings;
use qorgan_signing::{Keys, Ring};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::http::{Bound, ServeError, serve};
use crate::registry::IdentityDecision;
use crate::state::AppState;
use qorgan_base::config::Config;
use qorgan_store::exams::{Admission, NewExam, NewSitting};
use qorgan_store::people::NewPerson;
use qorgan_store::{content, exams, people};

pub(super) use super::client::{Client, checked, target};

pub(super) const PASSWORD: &str = "құпия-сөз-2026";

/// A running server.
pub(super) struct World {
    pub(super) state: AppState,
    pub(super) origin: String,
    pub(super) http: reqwest::Client,
    pub(super) data: TempDir,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

impl World {
    pub(super) async fn start() -> Self {
        Self::start_in(TempDir::new().expect("a temporary folder")).await
    }

    pub(super) async fn start_in(data: TempDir) -> Self {
        // Another test of this process may have been first, which is as good.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::default();
        config.passwords.memory_kib = 64;
        config.passwords.passes = 1;
        let folder = data.path().join("data");
        let state = AppState::open(&folder, config).await.expect("a new folder");
        let bound = Bound::listen(SocketAddr::from(([127, 0, 0, 1], 0))).expect("a free port");
        let origin = format!("https://localhost:{}", bound.address.port());
        let (stop, stopped) = oneshot::channel();
        let stopped = async {
            let _either_way: Result<(), oneshot::error::RecvError> = stopped.await;
        };
        let serving = tokio::spawn(serve(state.clone(), bound, None, stopped));
        let ca = reqwest::Certificate::from_pem(state.keys.ca_pem().as_bytes()).expect("a PEM");
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .build()
            .expect("a client");
        Self {
            state,
            origin,
            http,
            data,
            stop,
            serving,
        }
    }

    /// Stops the server and starts it again on the same folder.
    pub(super) async fn restart(self) -> Self {
        self.stop.send(()).expect("it serves");
        self.serving.await.expect("no panic").expect("it ends well");
        Self::start_in(self.data).await
    }

    pub(super) async fn sitting(
        &self,
        opens_in_s: i64,
        duration: Duration,
        policy: GatePolicy,
    ) -> SittingId {
        let (keys, at) = (&self.state.keys, self.state.clock.wall());
        let mut tx = self.state.store.begin().await.expect("a writer");
        let exam = NewExam {
            title: "Анатомия".to_owned(),
            discipline: "Анатомия".to_owned(),
            discipline_code: "A1".to_owned(),
        };
        let exam = exams::create_exam(&mut tx, keys, at, &exam)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        let sealed = content::seal_test(&self.state.store, keys, exam, test(at)).await;
        let mut tx = self.state.store.begin().await.expect("a writer");
        content::put_test(&mut tx, &sealed.expect("sealed"), None, at)
            .await
            .expect("stored");
        let opens = WallTime::from_unix_ms(at.unix_ms() + opens_in_s * 1_000);
        let sitting = NewSitting {
            exam,
            opens,
            closes: opens.after(Duration::from_secs(3_600)),
            settings: SittingSettings {
                duration,
                policy,
                bandwidth: "standard".to_owned(),
                deny_processes: Vec::new(),
                allow_processes: Vec::new(),
            },
        };
        let id = exams::create_sitting(&mut tx, keys, at, &sitting)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        id
    }

    pub(super) async fn person(&self, login: &str) -> PersonId {
        let person = NewPerson {
            login: login.to_owned(),
            display_name: format!("Candidate {login}"),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        let mut tx = self.state.store.begin().await.expect("a writer");
        let at = self.state.clock.wall();
        let id = people::put_person(&mut tx, &self.state.keys, at, &person)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        self.state
            .auth
            .set_password(id, PASSWORD, false)
            .await
            .expect("hashed");
        id
    }

    pub(super) async fn admit(
        &self,
        sitting: SittingId,
        person: PersonId,
        refused: &str,
    ) -> AttemptId {
        let admission = Admission {
            sitting,
            person,
            admitted: refused.is_empty(),
            reason: refused.to_owned(),
            accommodation: Accommodation::default(),
        };
        let mut tx = self.state.store.begin().await.expect("a writer");
        let at = self.state.clock.wall();
        let attempt = exams::admit(&mut tx, &self.state.keys, at, &admission)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        attempt
    }

    /// A candidate who may sit now, under a policy.
    pub(super) async fn candidate(&self, login: &str, policy: GatePolicy) -> AttemptId {
        let sitting = self.sitting(-60, Duration::from_secs(3_600), policy).await;
        let person = self.person(login).await;
        self.admit(sitting, person, "").await
    }

    pub(super) async fn proof(&self, device: &Device) -> (Hex, SignedHex) {
        let reply: Value = self
            .http
            .post(format!("{}/api/v1/challenge", self.origin))
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON");
        let nonce = hex::decode(reply["nonce"].as_str().expect("a nonce")).expect("hexadecimal");
        let hello: ServerHello = self
            .http
            .get(format!("{}/api/v1/hello", self.origin))
            .send()
            .await
            .expect("answered")
            .json()
            .await
            .expect("JSON");
        let proof = DeviceProof {
            nonce: nonce.try_into().expect("32 bytes"),
            device_key: device.keys.public_key(),
            boot: device.boot,
            instance: device.instance,
        };
        let signed =
            crypto::sign(&device.keys, &Ring, hello.institution, &proof).expect("writable");
        (Hex(device.keys.public_key().0.to_vec()), signed.into())
    }

    pub(super) async fn sign_in(&self, device: &Device, login: &str) -> Client {
        let (device_key, proof) = self.proof(device).await;
        let body = sign_in_body(login, PASSWORD, &device_key, &proof);
        let response = self
            .http
            .post(format!("{}/api/v1/sign-in", self.origin))
            .json(&body)
            .send()
            .await
            .expect("answered");
        assert_eq!(response.status(), 200);
        let reply: SignInReply = response.json().await.expect("JSON");
        Client::new(self, device, reply.token)
    }

    /// A candidate who is checked in on a machine and waits at the gate.
    pub(super) async fn at_the_gate(
        &self,
        device: &Device,
        login: &str,
        attempt: AttemptId,
    ) -> Client {
        let client = self.sign_in(device, login).await;
        client.check_in(attempt).await;
        client.tasks(attempt).await;
        client
    }

    /// Checks the machine that an attempt moved to, and has a proctor approve who sits at it.
    pub(super) async fn identify_again(
        &self,
        client: &Client,
        attempt: AttemptId,
        proctor: PersonId,
    ) {
        let shown = json!({ "document": null });
        for (path, body) in [("system-check", checked(&[])), ("identity", shown)] {
            let (status, reply) = client.post(attempt, path, &body).await;
            assert_eq!(status, 204, "{reply}");
        }
        let registry = &self.state.registry;
        let approve = IdentityDecision::Approve { document: None };
        let approved = registry
            .decide_identity(attempt, approve, proctor, "")
            .await;
        approved.expect("shown");
    }

    /// An agent of the attempt whose three sources are seen now.
    pub(super) async fn agent(&self, attempt: AttemptId, device: &Device) -> Agent {
        let agent = self.silent_agent(attempt, device).await;
        agent.tell_clock(self).await;
        agent.alive(self).await;
        agent
    }

    /// An agent of the attempt whose link is up and that has sent nothing but its sources.
    pub(super) async fn silent_agent(&self, attempt: AttemptId, device: &Device) -> Agent {
        let (_phase, epoch) = self.state.registry.standing(attempt).await.expect("known");
        let agent = Agent {
            attempt,
            epoch,
            boot: device.boot,
        };
        let allowed = self
            .state
            .registry
            .link_up(attempt, epoch, device.boot)
            .await;
        allowed.expect("stored").expect("the epoch holds");
        let statements = SOURCES.map(|source| SourceStatement {
            source,
            kind: SourceKind::Device,
            driver: "test".to_owned(),
            label: "test".to_owned(),
        });
        let stated = self
            .state
            .registry
            .sources(attempt, epoch, statements.to_vec())
            .await;
        stated.expect("stored");
        agent
    }

    /// A candidate whose items are shown.
    pub(super) async fn running(
        &self,
        device: &Device,
        login: &str,
        attempt: AttemptId,
    ) -> (Client, Agent) {
        let client = self.at_the_gate(device, login, attempt).await;
        let agent = self.agent(attempt, device).await;
        let (status, view) = client.post(attempt, "start", &json!({})).await;
        assert_eq!(status, 200, "{view}");
        (client, agent)
    }
}

/// A machine.
pub(super) struct Device {
    pub(super) keys: Keys,
    pub(super) pkcs8: Vec<u8>,
    pub(super) boot: BootId,
    pub(super) instance: [u8; 16],
}

impl Device {
    pub(super) fn new() -> Self {
        let (keys, pkcs8) = Keys::generate().expect("random bytes");
        Self {
            keys,
            pkcs8,
            boot: BootId(qorgan_signing::random().expect("random bytes")),
            instance: qorgan_signing::random().expect("random bytes"),
        }
    }

    /// The same data folder on another machine, or after a restart of the kernel.
    pub(super) fn cloned(&self) -> Self {
        Self {
            keys: Keys::from_pkcs8(&self.pkcs8).expect("a key"),
            pkcs8: self.pkcs8.clone(),
            ..Self::new()
        }
    }

    /// The client started again on the same machine.
    pub(super) fn restarted(&self) -> Self {
        Self {
            boot: self.boot,
            ..self.cloned()
        }
    }
}

/// What ingest would tell of an agent that streams.
pub(super) struct Agent {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) boot: BootId,
}

impl Agent {
    pub(super) async fn alive(&self, world: &World) {
        self.alive_late(world, Duration::ZERO).await;
    }

    /// What the agent says after each welcome.
    pub(super) async fn tell_clock(&self, world: &World) {
        let now = world.state.clock.now();
        let registry = &world.state.registry;
        let told = registry.link_clock(self.attempt, self.epoch, (now, now + AGENT_CLOCK_AHEAD));
        told.await.expect("known");
    }

    /// What was captured `late` ago and comes now.
    pub(super) async fn alive_late(&self, world: &World, late: Duration) {
        let registry = &world.state.registry;
        let line = |source| SourceHealth {
            source,
            state: SourceState::Live,
            newest: None,
        };
        let beat = BeatBody {
            attempt: self.attempt,
            epoch: self.epoch,
            seq: 0,
            previous: Sha256::ZERO,
            boot: self.boot,
            monotonic: world.state.clock.now() + AGENT_CLOCK_AHEAD - late,
            wall: WallTime::default(),
            heads: Vec::new(),
            sources: SOURCES.map(line).to_vec(),
            spooled_bytes: 0,
        };
        registry
            .beat_seen(self.attempt, &beat)
            .await
            .expect("stored");
        for (stream, has_audio) in [(CAMERA, true), (SCREEN, false)] {
            let header = ChunkHeader {
                attempt: self.attempt,
                epoch: self.epoch,
                stream,
                seq: ChunkSeq(1),
                start_us: 0,
                duration_us: 500_000,
                sync: true,
                payload_len: 1,
                payload: Sha256::ZERO,
                previous: Sha256::ZERO,
            };
            let seen = registry
                .chunk_seen(self.attempt, &header, has_audio, true)
                .await;
            seen.expect("stored");
        }
    }
}

/// A journal of responses.
pub(super) struct Journal {
    pub(super) attempt: AttemptId,
    pub(super) epoch: Epoch,
    pub(super) next: u64,
    pub(super) head: Sha256,
}

impl Journal {
    pub(super) const fn new(attempt: AttemptId, epoch: Epoch) -> Self {
        Self {
            attempt,
            epoch,
            next: 0,
            head: Sha256::ZERO,
        }
    }

    /// Adds an entry; returns its canonical bytes.
    pub(super) fn add(&mut self, item: ItemId, choice: &str, lease_left_ms: i64) -> Vec<u8> {
        let entry = ResponseEntry {
            attempt: self.attempt,
            epoch: self.epoch,
            seq: ResponseSeq(self.next),
            item,
            response: Response::choices(vec![choice.to_owned()]),
            flagged: false,
            at: Now::default(),
            lease_left_ms,
            previous: self.head,
        };
        let bytes = codec::encode("response entry", &entry).expect("writable");
        self.next += 1;
        self.head = Ring.sha256(&[&bytes]);
        bytes
    }
}

pub(super) fn entries(epoch: Epoch, entries: &[&[u8]]) -> Value {
    let entries: Vec<_> = entries.iter().map(hex::encode).collect();
    json!({ "epoch": epoch, "entries": entries })
}

pub(super) fn sign_in_body(login: &str, password: &str, key: &Hex, proof: &SignedHex) -> Value {
    json!({
        "login": login, "password": password, "device_key": key, "proof": proof,
        "client_version": "0.1.0", "system": "linux",
    })
}

pub(super) fn quick() -> GatePolicy {
    GatePolicy {
        grace: Grace {
            agent_ms: 600,
            network_ms: 900,
        },
        freshness: false,
        ..GatePolicy::remote()
    }
}

pub(super) fn item_id(position: u8) -> ItemId {
    ItemId::new(WallTime::from_unix_ms(1), [position; 10])
}

pub(super) fn test(at: WallTime) -> AssessmentTest {
    let choice = |id: &str| Choice {
        id: id.to_owned(),
        text: format!("жауап {id}"),
    };
    let item = |position: u8| AssessmentItem {
        id: item_id(position),
        code: format!("i{position}"),
        title: "title".to_owned(),
        body: vec![Block::Text {
            text: SECRET_TEXT.to_owned(),
        }],
        prompt: "Қайсысы?".to_owned(),
        interaction: Interaction::SingleChoice {
            choices: vec![choice("A"), choice("B")],
        },
        correct: vec!["A".to_owned()],
        points: 1,
    };
    AssessmentTest {
        id: TestId::new(at, qorgan_signing::random().expect("random bytes")),
        title: "test".to_owned(),
        language: "kk".to_owned(),
        items: vec![item(1), item(2)],
        pictures: Vec::new(),
    }
}

/// Returns the one number that a statement counts.
pub(super) async fn number(world: &World, sql: &'static str) -> i64 {
    let read = qorgan_store::query_scalar(sql).fetch_one(world.state.store.read());
    read.await.expect("readable")
}

/// Stands in every item; it must not be found in the data folder.
pub(super) const SECRET_TEXT: &str = "Which-bone-is-the-longest";

/// The agent's kernel has run longer than this server.
pub(super) const AGENT_CLOCK_AHEAD: Duration = Duration::from_secs(100_000);
const CAMERA: StreamId = StreamId {
    kind: StreamKind::Camera,
    index: 0,
};
pub(super) const SCREEN: StreamId = StreamId {
    kind: StreamKind::Screen,
    index: 0,
};
const SOURCES: [StreamId; 3] = [
    CAMERA,
    StreamId {
        kind: StreamKind::Microphone,
        index: 0,
    },
    SCREEN,
];
