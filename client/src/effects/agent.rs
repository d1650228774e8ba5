//! The proctoring agent on this machine: started, connected to, proved, started again when gone.
//!
//! Both sides prove their certified keys on each connection (decision 6). What the agent says can
//! close the gate, never open it.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use qorgan_client_core::event::AgentNews;
use qorgan_protocol::{
    codec,
    crypto::{PublicKey, SignedBytes, Signer as _},
    evidence::{AttemptKeyCertificate, AttemptRole},
    limits::{DOCUMENT_BYTES_MAX, LOCAL_FRAME_BYTES_MAX},
    local::{
        AgentFrame, AgentStatus, ChannelProof, ClientFrame, DrawnScreen, LocalRefusal, SOCKET_NAME,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf},
    sync::{Notify, mpsc, watch},
    time::{sleep, timeout},
};

use super::{
    Bell, Places, agent_news,
    pictures::PictureStore,
    server::{Attempt, ServerLink},
    socket::{self, Channel},
};
use crate::ui::kit::PictureKey;

/// Runs the agent.
#[derive(Debug)]
pub(super) struct AgentRunner {
    shared: Arc<Shared>,
    preview: watch::Sender<bool>,
    finish: Arc<Notify>,
    asks: Option<mpsc::Sender<ClientFrame>>,
    drawn: watch::Sender<Option<DrawnScreen>>,
}

#[derive(Debug)]
struct Shared {
    places: Places,
    server: Arc<ServerLink>,
    bell: Bell,
    pictures: Arc<Mutex<PictureStore>>,
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    Refused(LocalRefusal),
    Gone,
    Finished,
}

impl AgentRunner {
    pub(super) fn new(
        places: Places,
        server: Arc<ServerLink>,
        bell: Bell,
        pictures: Arc<Mutex<PictureStore>>,
    ) -> Self {
        Self {
            shared: Arc::new(Shared {
                places,
                server,
                bell,
                pictures,
            }),
            preview: watch::Sender::new(true),
            finish: Arc::default(),
            asks: None,
            drawn: watch::Sender::new(None),
        }
    }

    /// Starts the agent and keeps it running until [`Self::finish`].
    pub(super) fn run(
        &mut self,
        runtime: &tokio::runtime::Runtime,
        token: String,
        bandwidth: String,
    ) {
        if self.asks.is_some() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let (sender, frames) = mpsc::channel(ASKS_MAX);
        self.asks = Some(sender);
        let asks = Asks {
            preview: self.preview.subscribe(),
            finish: Arc::clone(&self.finish),
            frames,
            drawn: self.drawn.subscribe(),
        };
        runtime.spawn(async move { keep(&shared, asks, token, bandwidth).await });
    }

    /// Asks the agent for something, once its connection stands.
    pub(super) fn ask(&self, frame: ClientFrame) {
        let asks = self.asks.as_ref();
        if asks.is_none_or(|asks| asks.try_send(frame).is_err()) {
            // Full: what waits was asked for already, and the candidate may ask again.
            tracing::debug!("The agent takes no more that is asked for");
        }
    }

    /// Returns where to say what was drawn over a whole display.
    pub(super) fn drawn(&self) -> watch::Sender<Option<DrawnScreen>> {
        self.drawn.clone()
    }

    /// Asks for previews or no more.
    pub(super) fn preview(&self, on: bool) {
        self.preview.send_replace(on);
    }

    /// Tells the agent that the attempt is over.
    pub(super) fn finish(&self) {
        if self.asks.is_some() {
            self.finish.notify_one();
        }
    }
}

/// What the kiosk asks of the agent while a connection stands.
#[derive(Debug)]
struct Asks {
    preview: watch::Receiver<bool>,
    finish: Arc<Notify>,
    frames: mpsc::Receiver<ClientFrame>,
    drawn: watch::Receiver<Option<DrawnScreen>>,
}

async fn keep(shared: &Shared, mut asks: Asks, token: String, bandwidth: String) {
    let Ok(folder) = socket::private_folder(agent_folder(shared)) else {
        shared.bell.ring(agent_news(AgentNews::Missing));
        return;
    };
    let mut child: Option<Child> = None;
    loop {
        // After a crash of the client its agent still runs, and still records.
        let found = socket::connect(&folder.join(SOCKET_NAME)).await.ok();
        if found.is_none() && !is_running(&mut child) {
            match spawn(&shared.places, &folder) {
                Ok(started) => child = Some(started),
                Err(error) => {
                    tracing::error!(%error, "Could not start the agent");
                    shared.bell.ring(agent_news(AgentNews::Missing));
                }
            }
        }
        shared.bell.ring(agent_news(AgentNews::Started));
        let provision = (token.clone(), bandwidth.clone());
        let channel = match found {
            Some(found) => Some(found),
            None => connect(&folder).await,
        };
        let end = talk(shared, channel, provision, &mut asks).await;
        tracing::info!(?end, "The agent's connection ended");
        match end {
            End::Finished => {
                shared.bell.ring(agent_news(AgentNews::Finished));
                return;
            }
            End::Refused(reason) => shared.bell.ring(agent_news(AgentNews::Refused(reason))),
            End::Gone => shared.bell.ring(agent_news(AgentNews::Gone)),
        }
        sleep(RESTART_PAUSE).await;
    }
}

/// The socket's path must be short, so it lies in the user's run folder where there is one.
fn agent_folder(shared: &Shared) -> std::path::PathBuf {
    let run = std::env::var_os("XDG_RUNTIME_DIR").map(std::path::PathBuf::from);
    match (run.filter(|run| run.is_dir()), shared.server.attempt()) {
        (Some(run), Some(attempt)) => run.join(format!("qorgan-{}", attempt.id)),
        (_, _) => shared.places.data.join("agent"),
    }
}

fn is_running(child: &mut Option<Child>) -> bool {
    child
        .as_mut()
        .is_some_and(|child| matches!(child.try_wait(), Ok(None)))
}

fn spawn(places: &Places, folder: &Path) -> std::io::Result<Child> {
    Command::new(&places.agent)
        .arg("run")
        .arg("--socket-dir")
        .arg(folder)
        .arg("--data")
        .arg(places.data.join("agent"))
        .args(&places.agent_args)
        .stdin(Stdio::null())
        .spawn()
}

/// Waits for the agent's socket.
async fn connect(folder: &Path) -> Option<Channel> {
    let path = folder.join(SOCKET_NAME);
    for _ in 0..CONNECT_TRIES {
        match socket::connect(&path).await {
            Ok(found) => return Some(found),
            Err(_not_yet) => sleep(CONNECT_PAUSE).await,
        }
    }
    None
}

async fn talk(
    shared: &Shared,
    channel: Option<Channel>,
    provision: (String, String),
    asks: &mut Asks,
) -> End {
    let Some(channel) = channel else {
        return End::Gone;
    };
    let (mut reader, mut writer) = tokio::io::split(channel);
    let proved = timeout(
        PROOF_MAX,
        prove(shared, &mut reader, &mut writer, provision),
    )
    .await;
    match proved {
        Ok(Ok(())) => listen(shared, reader, writer, asks).await,
        Ok(Err(end)) => end,
        Err(_elapsed) => End::Gone,
    }
}

/// Binds the agent, then has both sides prove their keys over this very connection.
async fn prove(
    shared: &Shared,
    reader: &mut ReadHalf<Channel>,
    writer: &mut WriteHalf<Channel>,
    provision: (String, String),
) -> Result<(), End> {
    let attempt = shared.server.attempt().ok_or(End::Gone)?;
    let AgentFrame::Hello {
        nonce: agent_nonce,
        bound,
        ..
    } = read(reader).await?
    else {
        return Err(End::Gone);
    };
    let certificate = match bound {
        Some((_, _, certificate)) => certificate,
        None => bind(shared, reader, writer, provision).await?,
    };
    let agent_key =
        certified(shared, &attempt, &certificate).ok_or(End::Refused(LocalRefusal::NotProved))?;
    let client_nonce: [u8; 32] = qorgan_signing::random().map_err(|_none| End::Gone)?;
    let mine = ChannelProof {
        attempt: attempt.id,
        epoch: attempt.epoch,
        role: AttemptRole::Client,
        agent_nonce,
        client_nonce,
        agent_key,
        client_key: attempt.keys.public_key(),
    };
    let proof = shared.server.sign(&mine).ok_or(End::Gone)?;
    let certificate = attempt.certificate.clone();
    write(
        writer,
        &ClientFrame::Proof {
            certificate,
            nonce: client_nonce,
            proof,
        },
    )
    .await?;
    match read(reader).await? {
        AgentFrame::Proof { proof } => {
            let said: Option<ChannelProof> = shared.server.open_with(&agent_key, &proof);
            let expected = ChannelProof {
                role: AttemptRole::Agent,
                ..mine
            };
            (said == Some(expected))
                .then_some(())
                .ok_or(End::Refused(LocalRefusal::NotProved))
        }
        AgentFrame::Refused { reason, .. } => Err(End::Refused(reason)),
        AgentFrame::Hello { .. }
        | AgentFrame::Bound { .. }
        | AgentFrame::Status(_)
        | AgentFrame::Still(_)
        | AgentFrame::Voice(_)
        | AgentFrame::Liveness(_) => Err(End::Gone),
    }
}

/// Has an agent that is bound to nothing bound to this attempt; returns its certificate.
async fn bind(
    shared: &Shared,
    reader: &mut ReadHalf<Channel>,
    writer: &mut WriteHalf<Channel>,
    (token, bandwidth): (String, String),
) -> Result<SignedBytes, End> {
    let provision = shared.server.provision(token, bandwidth).ok_or(End::Gone)?;
    write(writer, &ClientFrame::Provision(Box::new(provision))).await?;
    match read(reader).await? {
        AgentFrame::Bound { certificate } => Ok(certificate),
        AgentFrame::Refused { reason, .. } => Err(End::Refused(reason)),
        AgentFrame::Hello { .. }
        | AgentFrame::Proof { .. }
        | AgentFrame::Status(_)
        | AgentFrame::Still(_)
        | AgentFrame::Voice(_)
        | AgentFrame::Liveness(_) => Err(End::Gone),
    }
}

/// Returns the agent's key where the server certified it for this attempt and epoch.
fn certified(shared: &Shared, attempt: &Attempt, signed: &SignedBytes) -> Option<PublicKey> {
    let certificate: AttemptKeyCertificate = shared.server.open(signed)?;
    let own = (certificate.attempt, certificate.epoch, certificate.role)
        == (attempt.id, attempt.epoch, AttemptRole::Agent);
    own.then_some(certificate.key)
}

async fn listen(
    shared: &Shared,
    mut reader: ReadHalf<Channel>,
    mut writer: WriteHalf<Channel>,
    asks: &mut Asks,
) -> End {
    let first = *asks.preview.borrow_and_update();
    let opened = async {
        write(&mut writer, &ClientFrame::OpenDevices).await?;
        write(&mut writer, &ClientFrame::Preview(first)).await
    };
    if let Err(end) = opened.await {
        return end;
    }
    let (frames, mut inbox) = mpsc::channel(FRAMES_MAX);
    // A frame that is half read must not be lost when something is to be written.
    let pump = tokio::spawn(async move {
        while let Ok(frame) = read(&mut reader).await {
            if frames.send(frame).await.is_err() {
                return;
            }
        }
    });
    let mut finishing = false;
    let end = loop {
        tokio::select! {
            frame = inbox.recv() => match frame {
                Some(AgentFrame::Status(status)) => told(shared, status),
                Some(AgentFrame::Still(jpeg)) => document_taken(shared, jpeg),
                Some(AgentFrame::Voice(state)) => {
                    shared.bell.ring(agent_news(AgentNews::Voice(state)));
                }
                Some(AgentFrame::Liveness(state)) => {
                    shared.bell.ring(agent_news(AgentNews::Liveness(state)));
                }
                Some(AgentFrame::Refused { reason, .. }) => break End::Refused(reason),
                // It leaves once the server has all of the recording, or after its own bound.
                None if finishing => break End::Finished,
                Some(AgentFrame::Hello { .. } | AgentFrame::Bound { .. } | AgentFrame::Proof { .. })
                | None => break End::Gone,
            },
            changed = asks.preview.changed() => {
                let on = *asks.preview.borrow_and_update();
                if changed.is_err() || write(&mut writer, &ClientFrame::Preview(on)).await.is_err() {
                    break End::Gone;
                }
            }
            changed = asks.drawn.changed() => {
                let drawn = asks.drawn.borrow_and_update().clone();
                let told = match drawn {
                    Some(screen) => write(&mut writer, &ClientFrame::Drawn(screen)).await.is_ok(),
                    None => true,
                };
                if changed.is_err() || !told {
                    break End::Gone;
                }
            }
            Some(frame) = asks.frames.recv() => {
                if write(&mut writer, &frame).await.is_err() {
                    break End::Gone;
                }
            }
            () = asks.finish.notified() => {
                // Whether or not it is heard: the server knows the end and tells the agent too.
                let heard = write(&mut writer, &ClientFrame::Finish).await.is_ok();
                tracing::info!(heard, "Told the agent that the attempt is over");
                finishing = true;
            }
        }
    };
    pump.abort();
    end
}

/// Takes the small pictures out and tells the rest.
fn told(shared: &Shared, mut status: Box<AgentStatus>) {
    let mut pictures = shared
        .pictures
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    for source in &mut status.sources {
        if let Some(bytes) = source.preview.take() {
            let key = PictureKey::Preview(source.health.source);
            // An empty picture in the status only says that there is one in the store.
            source.preview = pictures.put(key, &bytes).then(Vec::new);
        }
    }
    drop(pictures);
    shared
        .bell
        .ring_lightly(agent_news(AgentNews::Status(status)));
}

/// Keeps the picture of the document, to be looked at and then shown.
fn document_taken(shared: &Shared, jpeg: Vec<u8>) {
    let mut pictures = shared
        .pictures
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    let taken = jpeg.len() <= DOCUMENT_BYTES_MAX && pictures.put_document(jpeg);
    drop(pictures);
    if taken {
        shared.bell.ring(agent_news(AgentNews::DocumentTaken));
    }
}

async fn read(reader: &mut ReadHalf<Channel>) -> Result<AgentFrame, End> {
    let bytes = reader.read_u32().await.map_err(|_gone| End::Gone)?;
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    if bytes > LOCAL_FRAME_BYTES_MAX {
        return Err(End::Gone);
    }
    let mut frame = vec![0; bytes];
    reader
        .read_exact(&mut frame)
        .await
        .map_err(|_gone| End::Gone)?;
    codec::decode("agent frame", &frame).map_err(|_codec| End::Refused(LocalRefusal::BadFrame))
}

async fn write(writer: &mut WriteHalf<Channel>, frame: &ClientFrame) -> Result<(), End> {
    let body = codec::encode("client frame", frame).map_err(|_codec| End::Gone)?;
    let length = u32::try_from(body.len()).map_err(|_long| End::Gone)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend(body);
    writer.write_all(&framed).await.map_err(|_gone| End::Gone)
}

const CONNECT_TRIES: u32 = 50;
const CONNECT_PAUSE: Duration = Duration::from_millis(100);
const PROOF_MAX: Duration = Duration::from_secs(15);
const RESTART_PAUSE: Duration = Duration::from_millis(500);
/// Frames that wait for the client; the agent tells anew twice a second.
const FRAMES_MAX: usize = 8;
/// What is asked for while no connection stands.
const ASKS_MAX: usize = 8;
