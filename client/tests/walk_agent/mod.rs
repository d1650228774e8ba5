//! An agent that captures nothing and says that everything is live. It proves its key as the real
//! one does; the small server certifies it through a file beside the socket.

use std::{
    collections::VecDeque,
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::Path,
    sync::mpsc::{Receiver, sync_channel},
    time::{Duration, Instant},
};

use qorgan_protocol::{
    codec,
    crypto::{self, SignedBytes, Signer as _},
    evidence::{
        AttemptKeyCertificate, AttemptRole, SourceHealth, SourceState, StreamId, StreamKind,
    },
    ids::BootId,
    local::{
        AgentFrame, AgentStatus, ChannelProof, ClientFrame, Light, LinkState, LivenessAsk,
        LivenessState, Provision, SourceStatus, Turn, VoiceState,
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
        let _ended = serve(stream.expect("a client"), &keys, (&mut bound, &folder));
    }
}

fn serve(
    mut stream: UnixStream,
    keys: &Keys,
    (bound, folder): (&mut Option<(Provision, SignedBytes)>, &str),
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
    let asks = asks_of(&stream)?;
    let mut part = Part::at_rest();
    write(&mut stream, &AgentFrame::Liveness(part.state()))?;
    loop {
        write(&mut stream, &AgentFrame::Status(Box::new(status())))?;
        let said = asks.recv_timeout(Duration::from_millis(300));
        let wanted = Path::new(folder).join(LIGHT_WANTED);
        if part.hear(said.ok(), std::fs::remove_file(wanted).is_ok()) {
            write(&mut stream, &AgentFrame::Liveness(part.state()))?;
        }
    }
}

/// Brings what the kiosk says of liveness, and nothing else of what it says.
fn asks_of(stream: &UnixStream) -> Option<Receiver<LivenessAsk>> {
    let (sender, asks) = sync_channel(64);
    let mut stream = stream.try_clone().ok()?;
    std::thread::spawn(move || {
        while let Some(frame) = read(&mut stream) {
            if let ClientFrame::Liveness(ask) = frame {
                sender.send(ask).expect("the agent listens");
            }
        }
    });
    Some(asks)
}

/// What this agent asks for, act by act: at check-in two turns and both lights, in the exam one
/// light and then a turn. A light is over when the kiosk said that it shines, never before.
struct Part {
    acts: VecDeque<LivenessState>,
    since: Instant,
    sitting: bool,
}

impl Part {
    fn at_rest() -> Self {
        Self {
            acts: VecDeque::new(),
            since: Instant::now(),
            sitting: false,
        }
    }

    fn state(&self) -> LivenessState {
        self.acts.front().copied().unwrap_or_default()
    }

    /// Takes what the kiosk said, and goes on where an act is over; tells whether it did.
    fn hear(&mut self, said: Option<LivenessAsk>, light_wanted: bool) -> bool {
        let turning = |turn| LivenessState::Turning {
            turn,
            done: 0,
            needed: 2,
            hint: None,
        };
        let (warm, cool) = (
            LivenessState::Shining(Light::Warm),
            LivenessState::Shining(Light::Cool),
        );
        let acts: &[LivenessState] = match said {
            Some(LivenessAsk::Begin) => &[
                turning(Turn::Left),
                turning(Turn::Right),
                warm,
                cool,
                LivenessState::Shown,
            ],
            Some(LivenessAsk::Sitting(sitting)) => {
                self.sitting = sitting;
                &[]
            }
            None | Some(LivenessAsk::Skip | LivenessAsk::Shines(_) | LivenessAsk::Dark) => &[],
        };
        let exam = [cool, turning(Turn::Right), LivenessState::Shown];
        let acts = if light_wanted && self.sitting {
            &exam
        } else {
            acts
        };
        if !acts.is_empty() {
            self.acts = acts.iter().copied().collect();
            self.since = Instant::now();
            return true;
        }
        let over = match self.state() {
            LivenessState::Shining(light) => said == Some(LivenessAsk::Shines(Some(light))),
            LivenessState::Turning { .. } => self.since.elapsed() > Duration::from_millis(600),
            LivenessState::NotAsked
            | LivenessState::Straight { .. }
            | LivenessState::NotFollowed { .. }
            | LivenessState::Shown
            | LivenessState::Skipped
            | LivenessState::Unavailable
            | LivenessState::NotNeeded => false,
        };
        if over {
            // Long enough to be seen.
            std::thread::sleep(Duration::from_millis(700));
            self.acts.pop_front();
            self.since = Instant::now();
        }
        over
    }
}

/// The file that has the agent ask for a light in the exam.
pub(crate) const LIGHT_WANTED: &str = "light-wanted";

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
