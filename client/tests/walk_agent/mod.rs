//! An agent that captures nothing and says that everything is live. It proves its key as the real
//! one does; the small server certifies it through a file beside the socket.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    time::Duration,
};

use qorgan_protocol::{
    codec,
    crypto::{self, SignedBytes, Signer as _},
    evidence::{
        AttemptKeyCertificate, AttemptRole, SourceHealth, SourceState, StreamId, StreamKind,
    },
    ids::BootId,
    local::{
        AgentFrame, AgentStatus, ChannelProof, ClientFrame, LinkState, Provision, SourceStatus,
        VoiceState,
    },
    time::WallTime,
};
use qorgan_signing::{Keys, Ring};

pub(crate) fn run() {
    let Ok(folder) = std::env::var("QORGAN_WALK_AGENT") else {
        return;
    };
    let path = Path::new(&folder).join("agent.sock");
    drop(std::fs::remove_file(&path));
    let listener = UnixListener::bind(&path).expect("binds");
    let (keys, _) = Keys::generate().expect("a key");
    let mut bound: Option<(Provision, SignedBytes)> = None;
    for stream in listener.incoming() {
        let _ended = serve(stream.expect("a client"), &keys, &mut bound);
    }
}

fn serve(
    mut stream: UnixStream,
    keys: &Keys,
    bound: &mut Option<(Provision, SignedBytes)>,
) -> Option<()> {
    let nonce: [u8; 32] = qorgan_signing::random().ok()?;
    let told = bound
        .as_ref()
        .map(|(p, certificate)| (p.attempt, p.epoch, certificate.clone()));
    write(
        &mut stream,
        &AgentFrame::Hello {
            version_min: 1,
            version_max: 1,
            nonce,
            bound: told,
        },
    )?;
    let mut frame = read(&mut stream)?;
    if let ClientFrame::Provision(provision) = frame {
        let certificate = certify(keys, &provision)?;
        write(
            &mut stream,
            &AgentFrame::Bound {
                certificate: certificate.clone(),
            },
        )?;
        *bound = Some((*provision, certificate));
        frame = read(&mut stream)?;
    }
    let (provision, _) = bound.as_ref()?;
    let ClientFrame::Proof {
        certificate,
        nonce: client_nonce,
        proof,
    } = frame
    else {
        return None;
    };
    let server_key = provision.server_key;
    let client: AttemptKeyCertificate =
        crypto::open(&Ring, &server_key, provision.institution, &certificate).ok()?;
    let said: ChannelProof =
        crypto::open(&Ring, &client.key, provision.institution, &proof).ok()?;
    assert_eq!(
        (said.agent_nonce, said.client_nonce, said.agent_key),
        (nonce, client_nonce, keys.public_key())
    );
    let mine = ChannelProof {
        role: AttemptRole::Agent,
        ..said
    };
    let proof = crypto::sign(keys, &Ring, provision.institution, &mine).ok()?;
    write(&mut stream, &AgentFrame::Proof { proof })?;
    write(&mut stream, &AgentFrame::Voice(VoiceState::Known))?;
    loop {
        write(&mut stream, &AgentFrame::Status(Box::new(status())))?;
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// The small server's key is known to its agent, so that it needs no enrolment.
fn certify(keys: &Keys, provision: &Provision) -> Option<SignedBytes> {
    let certificate = AttemptKeyCertificate {
        attempt: provision.attempt,
        epoch: provision.epoch,
        role: AttemptRole::Agent,
        key: keys.public_key(),
        boot: BootId([0; 16]),
        issued: WallTime::from_unix_ms(0),
        expires: WallTime::from_unix_ms(i64::MAX),
    };
    let pkcs8 = hex(&provision.agent_token);
    let server = Keys::from_pkcs8(&pkcs8).ok()?;
    crypto::sign(&server, &Ring, provision.institution, &certificate).ok()
}

fn status() -> AgentStatus {
    let source = |kind| SourceStatus {
        health: SourceHealth {
            source: StreamId { kind, index: 0 },
            state: SourceState::Live,
            newest: None,
        },
        label: "small".to_owned(),
        level: (kind == StreamKind::Microphone).then_some(40),
        preview: None,
    };
    AgentStatus {
        link: LinkState::Live,
        sources: [
            StreamKind::Camera,
            StreamKind::Microphone,
            StreamKind::Screen,
        ]
        .map(source)
        .to_vec(),
        receipted: Vec::new(),
        spooled_bytes: 0,
        capturing: true,
    }
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len() / 2)
        .map(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("digits"))
        .collect()
}

fn read(stream: &mut UnixStream) -> Option<ClientFrame> {
    let mut length = [0; 4];
    stream.read_exact(&mut length).ok()?;
    let mut bytes = vec![0; usize::try_from(u32::from_be_bytes(length)).ok()?];
    stream.read_exact(&mut bytes).ok()?;
    codec::decode("client frame", &bytes).ok()
}

fn write(stream: &mut UnixStream, frame: &AgentFrame) -> Option<()> {
    let body = codec::encode("agent frame", frame).ok()?;
    stream
        .write_all(&u32::try_from(body.len()).ok()?.to_be_bytes())
        .ok()?;
    stream.write_all(&body).ok()
}
