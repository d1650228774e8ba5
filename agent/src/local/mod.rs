//! One client's connection: who it is, then what it asks (decision 6).
//!
//! Nothing here can open the gate: the server believes only what it receives itself.

use core::time::Duration;
use std::sync::Arc;

use qorgan_protocol::crypto::{self, Signer as _};
use qorgan_protocol::evidence::{AttemptKeyCertificate, AttemptRole};
use qorgan_protocol::link::{LINK_VERSION, LINK_VERSION_MIN};
use qorgan_protocol::local::{
    AgentFrame, ChannelProof, ClientFrame, LivenessState, LocalRefusal, VoiceAsk, VoiceState,
};
use qorgan_signing::Ring;
use tokio::io::{ReadHalf, WriteHalf};

use crate::agent::{Agent, BindError, Bound};
use crate::clock;
use crate::enrol::Identity;
use crate::socket::{self, FrameError, Peer, Stream};

/// Says why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelError {
    /// A frame could not be read or written.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The client was refused.
    #[error("the client was refused: {reason:?}, {detail}")]
    Refused {
        /// The word it was told.
        reason: LocalRefusal,
        /// For the log.
        detail: String,
    },
    /// The client was too slow to prove itself.
    #[error("the client did not prove itself in time")]
    TooSlow,
    /// The system gives no random bytes, or a proof cannot be written.
    #[error("no proof can be made")]
    NoProof,
}

type Reader = ReadHalf<Stream>;
type Writer = WriteHalf<Stream>;

/// Serves one client until it goes.
///
/// # Errors
/// `ChannelError` says why it ended, for the log.
pub(crate) async fn serve(
    agent: &Arc<Agent>,
    stream: Stream,
    peer: Peer,
) -> Result<(), ChannelError> {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let proved = async {
        if !peer.same_user {
            return refuse(LocalRefusal::NotProved, "the peer is another user");
        }
        prove(agent, &mut reader, &mut writer).await
    };
    let outcome = tokio::time::timeout(PROOF_WAIT, proved)
        .await
        .map_err(|_elapsed| ChannelError::TooSlow)
        .flatten();
    let bound = match outcome {
        Ok(bound) => bound,
        Err(error) => {
            if let ChannelError::Refused { reason, detail } = &error {
                let frame = AgentFrame::Refused {
                    reason: *reason,
                    detail: detail.clone(),
                };
                socket::write_frame(&mut writer, &frame).await?;
            }
            return Err(error);
        }
    };
    let Some(_seat) = agent.take_seat() else {
        let detail = "another client is connected".to_owned();
        let reason = LocalRefusal::SecondClient;
        let frame = AgentFrame::Refused {
            reason,
            detail: detail.clone(),
        };
        socket::write_frame(&mut writer, &frame).await?;
        return Err(ChannelError::Refused { reason, detail });
    };
    if let Some(pid) = peer.pid {
        bound.client_process(pid);
    }
    talk(&bound, reader, writer).await
}

/// Binds the agent where it is free, then has both sides prove their keys.
async fn prove(
    agent: &Arc<Agent>,
    reader: &mut Reader,
    writer: &mut Writer,
) -> Result<Arc<Bound>, ChannelError> {
    let nonce = qorgan_signing::random().map_err(|_none| ChannelError::NoProof)?;
    let bound = agent.bound().await;
    let hello = AgentFrame::Hello {
        version_min: LINK_VERSION_MIN,
        version_max: LINK_VERSION,
        nonce,
        bound: bound.as_ref().map(|bound| {
            let identity = bound.identity();
            (
                identity.attempt,
                identity.epoch,
                identity.certificate.clone(),
            )
        }),
    };
    socket::write_frame(writer, &hello).await?;
    let mut bound = bound;
    loop {
        match (read(reader).await?, bound.clone()) {
            (ClientFrame::Provision(provision), _) => {
                let now_bound = agent.bind(*provision).await.map_err(refusal_of)?;
                let certificate = now_bound.identity().certificate.clone();
                bound = Some(now_bound);
                socket::write_frame(writer, &AgentFrame::Bound { certificate }).await?;
            }
            (
                ClientFrame::Proof {
                    certificate,
                    nonce: client_nonce,
                    proof,
                },
                Some(bound),
            ) => {
                let identity = bound.identity();
                let claim = check(identity, nonce, client_nonce, &certificate, &proof)?;
                let mine = ChannelProof {
                    role: AttemptRole::Agent,
                    ..claim
                };
                let proof = crypto::sign(&identity.keys, &Ring, identity.institution, &mine)
                    .map_err(|_unwritable| ChannelError::NoProof)?;
                socket::write_frame(writer, &AgentFrame::Proof { proof }).await?;
                return Ok(bound);
            }
            (
                ClientFrame::Proof { .. }
                | ClientFrame::Preview(_)
                | ClientFrame::Still
                | ClientFrame::Voice(_)
                | ClientFrame::Liveness(_)
                | ClientFrame::OpenDevices
                | ClientFrame::Finish
                | ClientFrame::Drawn(_),
                _,
            ) => return refuse(LocalRefusal::BadFrame, "a frame before its turn"),
        }
    }
}

/// Checks the client's certificate and its proof of this very connection.
fn check(
    identity: &Identity,
    agent_nonce: [u8; 32],
    client_nonce: [u8; 32],
    certificate: &crypto::SignedBytes,
    proof: &crypto::SignedBytes,
) -> Result<ChannelProof, ChannelError> {
    let not_proved = |error: crypto::StatementError| ChannelError::Refused {
        reason: LocalRefusal::NotProved,
        detail: error.to_string(),
    };
    let certified: AttemptKeyCertificate = crypto::open(
        &Ring,
        &identity.server_key,
        identity.institution,
        certificate,
    )
    .map_err(not_proved)?;
    if (certified.attempt, certified.epoch) != (identity.attempt, identity.epoch) {
        return refuse(
            LocalRefusal::OtherAttempt,
            "the certificate is another attempt's",
        );
    }
    if certified.role != AttemptRole::Client {
        return refuse(LocalRefusal::NotProved, "the certificate is no client's");
    }
    let said: ChannelProof =
        crypto::open(&Ring, &certified.key, identity.institution, proof).map_err(not_proved)?;
    let expected = ChannelProof {
        attempt: identity.attempt,
        epoch: identity.epoch,
        role: AttemptRole::Client,
        agent_nonce,
        client_nonce,
        agent_key: identity.keys.public_key(),
        client_key: certified.key,
    };
    if said == expected {
        Ok(expected)
    } else {
        refuse(
            LocalRefusal::NotProved,
            "the proof is of another connection",
        )
    }
}

/// What this client was told last.
#[derive(Debug, Default)]
struct Told {
    voice: Option<VoiceState>,
    liveness: Option<LivenessState>,
}

/// Tells the state twice a second and does what the client asks.
async fn talk(bound: &Arc<Bound>, reader: Reader, mut writer: Writer) -> Result<(), ChannelError> {
    // Frames are read on a task of their own: a read must not be broken off half-way.
    let (frames, mut incoming) = tokio::sync::mpsc::channel(FRAMES_MAX);
    let reading = tokio::spawn(read_all(reader, frames));
    let mut beat = tokio::time::interval(STATUS_EVERY);
    let mut told = Told::default();
    let outcome = loop {
        let frame = tokio::select! {
            frame = incoming.recv() => frame,
            _ = beat.tick() => {
                match tell(bound, &mut told, &mut writer).await {
                    Ok(()) => continue,
                    Err(error) => break Err(error),
                }
            }
            () = bound.board().rings() => {
                match tell_liveness(bound, &mut told, &mut writer).await {
                    Ok(()) => continue,
                    Err(error) => break Err(error),
                }
            }
        };
        match frame {
            None => break Ok(()),
            Some(ClientFrame::Preview(wanted)) => bound.board().want_preview(wanted),
            Some(ClientFrame::Still) => bound.board().want_still(),
            Some(ClientFrame::Voice(VoiceAsk::Begin)) => bound.board().begin_reading(),
            Some(ClientFrame::Voice(VoiceAsk::Skip)) => bound.go_without_voice(),
            Some(ClientFrame::Drawn(screen)) => bound.board().drawn(clock::now(), screen),
            Some(ClientFrame::Liveness(ask)) => bound.board().liveness_asked(clock::now(), ask),
            Some(ClientFrame::OpenDevices) => bound.open_devices(),
            Some(ClientFrame::Finish) => bound.finish(),
            Some(ClientFrame::Provision(_) | ClientFrame::Proof { .. }) => {
                break refuse(LocalRefusal::BadFrame, "the connection is proved already");
            }
        }
    };
    reading.abort();
    bound.board().want_preview(false);
    outcome
}

async fn tell(bound: &Bound, told: &mut Told, writer: &mut Writer) -> Result<(), ChannelError> {
    let status = bound.board().status(clock::now());
    socket::write_frame(writer, &AgentFrame::Status(Box::new(status))).await?;
    if let Some(jpeg) = bound.board().take_still() {
        socket::write_frame(writer, &AgentFrame::Still(jpeg)).await?;
    }
    let voice = bound.board().voice();
    if told.voice.replace(voice) != Some(voice) {
        socket::write_frame(writer, &AgentFrame::Voice(voice)).await?;
    }
    tell_liveness(bound, told, writer).await
}

async fn tell_liveness(
    bound: &Bound,
    told: &mut Told,
    writer: &mut Writer,
) -> Result<(), ChannelError> {
    let liveness = bound.board().liveness_state();
    if told.liveness.replace(liveness) != Some(liveness) {
        socket::write_frame(writer, &AgentFrame::Liveness(liveness)).await?;
    }
    Ok(())
}

async fn read_all(mut reader: Reader, frames: tokio::sync::mpsc::Sender<ClientFrame>) {
    loop {
        match socket::read_frame(&mut reader).await {
            Ok(frame) => {
                if frames.send(frame).await.is_err() {
                    return;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "The client's frames end");
                return;
            }
        }
    }
}

async fn read(reader: &mut Reader) -> Result<ClientFrame, ChannelError> {
    match socket::read_frame(reader).await {
        Ok(frame) => Ok(frame),
        Err(error @ FrameError::Gone(_)) => Err(error.into()),
        Err(error @ (FrameError::TooLarge { .. } | FrameError::Codec(_))) => {
            refuse(LocalRefusal::BadFrame, &error.to_string())
        }
    }
}

fn refuse<T>(reason: LocalRefusal, detail: &str) -> Result<T, ChannelError> {
    Err(ChannelError::Refused {
        reason,
        detail: detail.to_owned(),
    })
}

fn refusal_of(error: BindError) -> ChannelError {
    let reason = match &error {
        BindError::OtherAttempt => LocalRefusal::OtherAttempt,
        BindError::Unreachable(_) => LocalRefusal::ServerUnreachable,
        BindError::Refused(_) | BindError::Trust(_) => LocalRefusal::ServerRefused,
        BindError::Spool(_) | BindError::NoKey => LocalRefusal::BadFrame,
    };
    ChannelError::Refused {
        reason,
        detail: format!("{:#}", anyhow::Error::new(error)),
    }
}

/// Enrolment over a slow network is part of it.
const PROOF_WAIT: Duration = Duration::from_secs(30);
const STATUS_EVERY: Duration = Duration::from_millis(500);
const FRAMES_MAX: usize = 16;
