//! The local socket: who may talk to the agent, and who may not (decision 6).

use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use qorgan_protocol::codec;
use qorgan_protocol::crypto::{self, PublicKey, Signer as _};
use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::local::{
    AgentFrame, ChannelProof, ClientFrame, LocalRefusal, Provision, SOCKET_NAME, VoiceAsk,
    VoiceState,
};
use qorgan_protocol::time::WallTime;
use qorgan_signing::{Keys, Ring};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use super::options;
use super::server::{FakeServer, attempt, institution};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proved_client_is_told_the_state_and_a_second_one_is_refused() {
    let (server, folder) = start().await;
    let keys = Keys::generate().expect("random bytes").0;
    let mut client = Client::connect(folder.path()).await;
    client.provision(server.provision()).await.expect("bound");
    client
        .prove(&server, &keys, attempt())
        .await
        .expect("proved");
    assert!(matches!(client.read().await, AgentFrame::Status(_)));
    let told = client.read().await;
    assert_eq!(told, AgentFrame::Voice(VoiceState::NotAsked));
    client.write(&ClientFrame::Voice(VoiceAsk::Skip)).await;
    let mut changed = client.read().await;
    while matches!(changed, AgentFrame::Status(_) | AgentFrame::Liveness(_)) {
        changed = client.read().await;
    }
    assert_eq!(changed, AgentFrame::Voice(VoiceState::Skipped));

    let mut second = Client::connect(folder.path()).await;
    second
        .prove(&server, &keys, attempt())
        .await
        .expect("it proves itself, too");
    let told = second.read().await;
    assert!(
        refusal(&told) == Some(LocalRefusal::SecondClient),
        "{told:?}"
    );

    // Gone and started again, the client finds its agent.
    drop(client);
    tokio::time::sleep(Duration::from_millis(800)).await;
    let mut again = Client::connect(folder.path()).await;
    again
        .prove(&server, &keys, attempt())
        .await
        .expect("proved");
    assert!(matches!(again.read().await, AgentFrame::Status(_)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_attempt_and_a_frame_out_of_turn_are_refused() {
    let (server, folder) = start().await;
    let mut early = Client::connect(folder.path()).await;
    early.write(&ClientFrame::OpenDevices).await;
    assert_eq!(refusal(&early.read().await), Some(LocalRefusal::BadFrame));

    let mut client = Client::connect(folder.path()).await;
    client.provision(server.provision()).await.expect("bound");
    let other = Provision {
        attempt: other_attempt(),
        ..server.provision()
    };
    let mut stranger = Client::connect(folder.path()).await;
    assert_eq!(
        stranger.provision(other).await,
        Err(LocalRefusal::OtherAttempt)
    );

    let keys = Keys::generate().expect("random bytes").0;
    let mut stranger = Client::connect(folder.path()).await;
    let told = stranger.prove(&server, &keys, other_attempt()).await;
    assert_eq!(told, Err(LocalRefusal::OtherAttempt));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replayed_proof_is_refused() {
    let (server, folder) = start().await;
    let keys = Keys::generate().expect("random bytes").0;
    let mut client = Client::connect(folder.path()).await;
    client.provision(server.provision()).await.expect("bound");
    let replayed = client.proof(&server, &keys, attempt());
    client.write(&replayed).await;
    assert!(matches!(client.read().await, AgentFrame::Proof { .. }));
    drop(client);

    let mut thief = Client::connect(folder.path()).await;
    thief.write(&replayed).await;
    assert_eq!(refusal(&thief.read().await), Some(LocalRefusal::NotProved));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_certificate_does_not_make_a_client() {
    let (server, folder) = start().await;
    let keys = Keys::generate().expect("random bytes").0;
    let mut client = Client::connect(folder.path()).await;
    client.provision(server.provision()).await.expect("bound");
    let ClientFrame::Proof { nonce, proof, .. } = client.proof(&server, &keys, attempt()) else {
        panic!("a proof was made");
    };
    let certificate = server.certify(attempt(), AttemptRole::Agent, keys.public_key());
    let frame = ClientFrame::Proof {
        certificate,
        nonce,
        proof,
    };
    client.write(&frame).await;
    assert_eq!(refusal(&client.read().await), Some(LocalRefusal::NotProved));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_squatted_name_is_cleared_and_a_second_agent_or_an_open_folder_is_refused() {
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("agent");
    crate::socket::make_private_folder(&folder).expect("made");
    std::fs::write(folder.join(SOCKET_NAME), b"squatted").expect("written");
    let first = tokio::spawn(crate::run(options(&folder)));
    let mut client = Client::connect(&folder).await;
    client.write(&ClientFrame::Finish).await;
    assert_eq!(refusal(&client.read().await), Some(LocalRefusal::BadFrame));
    let second = crate::run(options(&folder)).await;
    assert!(second.is_err(), "the folder is taken");
    first.abort();

    let open = parent.path().join("open");
    std::fs::create_dir(&open).expect("made");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&open, mode).expect("set");
    assert!(
        crate::run(options(&open)).await.is_err(),
        "others can enter it"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_prove_nothing_are_few_and_keep_the_agent_from_nothing() {
    let (server, folder) = start().await;
    let (mut held, mut closed) = (Vec::new(), 0);
    for _connection in 0..40 {
        let mut stream = connected(folder.path()).await;
        match stream.read(&mut [0]).await {
            Ok(1..) => held.push(stream),
            Ok(0) | Err(_) => closed += 1,
        }
    }
    assert_eq!((held.len(), closed), (16, 24));
    drop(held);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut client = Client::connect(folder.path()).await;
    client.provision(server.provision()).await.expect("bound");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_user_cannot_reach_the_socket() {
    let (_server, folder) = start().await;
    let socket = folder.path().join(SOCKET_NAME);
    let reached = std::process::Command::new("setpriv")
        .args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "test",
            "-e",
        ])
        .arg(&socket)
        .status();
    // Only root can become another user; elsewhere the folder's mode is what is tested.
    if let Ok(status) = reached {
        assert!(!status.success(), "the folder lets another user in");
    }
}

/// Connects to an agent that is about to listen.
async fn connected(folder: &Path) -> UnixStream {
    let mut tries = 0;
    loop {
        match UnixStream::connect(folder.join(SOCKET_NAME)).await {
            Ok(stream) => return stream,
            Err(_) if tries < 100 => tries += 1,
            Err(error) => panic!("no agent: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

struct Client {
    stream: UnixStream,
    agent_nonce: [u8; 32],
    agent_key: Option<PublicKey>,
}

impl Client {
    async fn connect(folder: &Path) -> Self {
        let mut client = Self {
            stream: connected(folder).await,
            agent_nonce: [0; 32],
            agent_key: None,
        };
        let AgentFrame::Hello { nonce, bound, .. } = client.read().await else {
            panic!("the hello comes first");
        };
        client.agent_nonce = nonce;
        client.agent_key = bound.map(|(_, _, certificate)| key_of(&certificate));
        client
    }

    async fn provision(&mut self, provision: Provision) -> Result<(), LocalRefusal> {
        self.write(&ClientFrame::Provision(Box::new(provision)))
            .await;
        let told = self.read().await;
        if let AgentFrame::Bound { certificate } = &told {
            self.agent_key = Some(key_of(certificate));
            return Ok(());
        }
        Err(refusal(&told).expect("bound or refused"))
    }

    fn proof(&self, server: &FakeServer, keys: &Keys, attempt: AttemptId) -> ClientFrame {
        let nonce = [6; 32];
        let body = ChannelProof {
            attempt,
            epoch: Epoch::FIRST,
            role: AttemptRole::Client,
            agent_nonce: self.agent_nonce,
            client_nonce: nonce,
            agent_key: self.agent_key.expect("the agent is bound"),
            client_key: keys.public_key(),
        };
        ClientFrame::Proof {
            certificate: server.certify(attempt, AttemptRole::Client, keys.public_key()),
            nonce,
            proof: crypto::sign(keys, &Ring, institution(), &body).expect("writable"),
        }
    }

    async fn prove(
        &mut self,
        server: &FakeServer,
        keys: &Keys,
        attempt: AttemptId,
    ) -> Result<(), LocalRefusal> {
        let proof = self.proof(server, keys, attempt);
        self.write(&proof).await;
        let told = self.read().await;
        let AgentFrame::Proof { proof } = &told else {
            return Err(refusal(&told).expect("proved or refused"));
        };
        let agent_key = self.agent_key.expect("bound");
        let said: ChannelProof =
            crypto::open(&Ring, &agent_key, institution(), proof).expect("the agent's own key");
        assert_eq!(
            (said.role, said.client_nonce),
            (AttemptRole::Agent, [6; 32])
        );
        Ok(())
    }

    async fn write(&mut self, frame: &ClientFrame) {
        let body = codec::encode("client frame", frame).expect("plain data");
        let length = u32::try_from(body.len()).expect("small").to_be_bytes();
        self.stream.write_all(&length).await.expect("written");
        self.stream.write_all(&body).await.expect("written");
    }

    async fn read(&mut self) -> AgentFrame {
        let reading = async {
            let length = self.stream.read_u32().await.expect("a frame");
            let mut body = vec![0; usize::try_from(length).expect("small")];
            self.stream.read_exact(&mut body).await.expect("a frame");
            codec::decode("agent frame", &body).expect("canonical")
        };
        tokio::time::timeout(Duration::from_secs(20), reading)
            .await
            .expect("the agent answers")
    }
}

async fn start() -> (Arc<FakeServer>, tempfile::TempDir) {
    let server = FakeServer::start().await;
    let folder = tempfile::Builder::new()
        .prefix("qorgan")
        .tempdir()
        .expect("a folder");
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), private).expect("set");
    tokio::spawn(crate::run(options(folder.path())));
    (server, folder)
}

fn refusal(frame: &AgentFrame) -> Option<LocalRefusal> {
    match frame {
        AgentFrame::Refused { reason, .. } => Some(*reason),
        AgentFrame::Hello { .. }
        | AgentFrame::Bound { .. }
        | AgentFrame::Proof { .. }
        | AgentFrame::Status(_)
        | AgentFrame::Still(_)
        | AgentFrame::Voice(_)
        | AgentFrame::Liveness(_) => None,
    }
}

fn key_of(certificate: &crypto::SignedBytes) -> PublicKey {
    // The tests' client reads what it is told; the real one checks it against the server's key.
    let bytes = &certificate.bytes;
    codec::decode::<(Skipped, AttemptKeyCertificate)>("certificate", bytes)
        .expect("a certificate")
        .1
        .key
}

#[derive(serde::Serialize, serde::Deserialize)]
struct Skipped(
    crypto::Label,
    u16,
    qorgan_protocol::ids::InstitutionId,
    crypto::KeyId,
    crypto::Algorithm,
);

fn other_attempt() -> AttemptId {
    AttemptId::new(WallTime::from_unix_ms(6), [8; 10])
}
