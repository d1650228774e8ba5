//! One agent for one attempt: its folder, its binding, its end.

use core::time::Duration;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use qorgan_agent_core::bandwidth::Bandwidth;
use qorgan_agent_core::spool::SpoolBounds;
use qorgan_encode::Profile;
use qorgan_protocol::codec::CodecError;
use qorgan_protocol::evidence::ChunkHeader;
use qorgan_protocol::local::{Provision, VoiceState};
use qorgan_protocol::wire::AgentEnrolReply;
use qorgan_signing::{Keys, Ring};
use tokio::sync::{mpsc, watch};

use crate::board::Board;
use crate::candidate::Candidate;
use crate::clock;
use crate::devices::{self, Devices};
use crate::enrol::{self, EnrolError, Identity};
use crate::instance;
use crate::link::{self, Ending, LinkParts, Target};
use crate::recorder::{Controls, Device, Input, Recorder, RecorderParts};
use crate::sources::Sources;
use crate::spool::{SharedSpool, Spool, SpoolError};
use crate::trust::{self, TrustError};
use crate::watch::{OwnProcesses, Watches};

/// What the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    /// The folder of the socket: its path must be short, and it may vanish with the session.
    pub socket_dir: PathBuf,
    /// The folder of spool and receipts: it must outlive a crash and a power cut.
    pub data: PathBuf,
    /// Where pictures and sound come from.
    pub sources: Sources,
    /// The most bytes of the spool on disk.
    pub spool_bytes_max: Option<u64>,
}

/// Says why the agent could not be bound to an attempt.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    /// It is bound to another attempt or epoch.
    #[error("the agent is bound to another attempt or epoch")]
    OtherAttempt,
    /// The system gives no random bytes.
    #[error("no attempt key can be made")]
    NoKey,
    /// The authority to trust is not usable.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The server cannot be reached.
    #[error("enrolment did not reach the server")]
    Unreachable(#[source] EnrolError),
    /// The server refused, or its answer does not hold.
    #[error("enrolment failed")]
    Refused(#[source] EnrolError),
    /// The spool cannot be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// The agent.
#[derive(Debug)]
pub(crate) struct Agent {
    options: Options,
    bound: Mutex<Option<Arc<Bound>>>,
    /// Held while binding, so that two clients cannot bind at once.
    binding: tokio::sync::Mutex<()>,
    seat_taken: AtomicBool,
    last_client: Mutex<Instant>,
    ending: watch::Sender<Ending>,
}

/// The one proved client's seat; it is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Seat<'a> {
    agent: &'a Agent,
}

/// An agent that belongs to an attempt.
#[derive(Debug)]
pub(crate) struct Bound {
    identity: Arc<Identity>,
    rules: AgentEnrolReply,
    bandwidth: Bandwidth,
    sources: Sources,
    board: Arc<Board>,
    controls: Arc<Controls>,
    recorder: SyncSender<Input>,
    spool: SharedSpool,
    own: Arc<OwnProcesses>,
    candidate: Arc<Candidate>,
    open: Mutex<Option<(Devices, Watches)>>,
}

impl Agent {
    /// Makes an agent that is bound to nothing yet; `ending` is told how its link ends.
    pub(crate) fn new(options: Options, ending: watch::Sender<Ending>) -> Self {
        Self {
            options,
            bound: Mutex::new(None),
            binding: tokio::sync::Mutex::new(()),
            seat_taken: AtomicBool::new(false),
            last_client: Mutex::new(Instant::now()),
            ending,
        }
    }

    /// Returns the attempt that the agent is bound to, once no binding is on the way.
    pub(crate) async fn bound(&self) -> Option<Arc<Bound>> {
        let _turn = self.binding.lock().await;
        self.current()
    }

    /// Binds the agent, or says whether it is bound to this very attempt.
    ///
    /// # Errors
    /// `BindError` says why not.
    pub(crate) async fn bind(&self, provision: Provision) -> Result<Arc<Bound>, BindError> {
        let _turn = self.binding.lock().await;
        if let Some(bound) = self.current() {
            let held = (bound.identity.attempt, bound.identity.epoch);
            return if held == (provision.attempt, provision.epoch) {
                Ok(bound)
            } else {
                Err(BindError::OtherAttempt)
            };
        }
        let bound = Arc::new(Bound::make(&self.options, provision, &self.ending).await?);
        *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&bound));
        Ok(bound)
    }

    /// Gives the seat of the one client, unless it is taken.
    pub(crate) fn take_seat(&self) -> Option<Seat<'_>> {
        let free = !self.seat_taken.swap(true, Ordering::AcqRel);
        free.then_some(Seat { agent: self })
    }

    /// Returns the attempt that the agent is bound to, if it is.
    pub(crate) fn current(&self) -> Option<Arc<Bound>> {
        self.bound
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Tells whether no client has come for so long that none will.
    pub(crate) fn is_deserted(&self) -> bool {
        if self.seat_taken.load(Ordering::Acquire) {
            return false;
        }
        let since = *self
            .last_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let refused = *self.ending.borrow() == Ending::Refused;
        let patience = if self.current().is_some() && !refused {
            DESERTED_BOUND
        } else {
            DESERTED_FREE
        };
        since.elapsed() >= patience
    }

    /// Finishes a recording that goes on; without one there is nothing to wait for.
    pub(crate) fn finish_or_leave(&self) {
        match self.current() {
            Some(bound) if *self.ending.borrow() == Ending::None => bound.finish(),
            Some(_) | None => {
                *self.bound.lock().unwrap_or_else(PoisonError::into_inner) = None;
            }
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        let mut last = self
            .agent
            .last_client
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Instant::now();
        drop(last);
        self.agent.seat_taken.store(false, Ordering::Release);
    }
}

impl Bound {
    /// Returns who the agent is.
    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Returns what the client is shown.
    pub(crate) fn board(&self) -> &Board {
        &self.board
    }

    /// Takes the process of the one client, whose windows belong to the exam.
    pub(crate) fn client_process(&self, pid: u32) {
        self.own.client(pid);
    }

    /// Opens every required device and begins to watch, once: consent was given.
    pub(crate) fn open_devices(&self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.is_some() {
            return;
        }
        tracing::info!("Opening the devices");
        let devices = Devices::open(&devices::DeviceParts {
            recorder: self.recorder.clone(),
            board: Arc::clone(&self.board),
            controls: Arc::clone(&self.controls),
            profile: profile(self.bandwidth),
            sources: self.sources.clone(),
            candidate: Arc::clone(&self.candidate),
            camera: self.rules.camera,
            microphone: self.rules.microphone,
            screen: self.rules.screen,
            nested_display: self.rules.nested_display,
            monitor_microphone: self.rules.monitor_microphone,
        });
        let watches = Watches::start(
            &self.recorder,
            &self.rules,
            Arc::clone(&self.own),
            Arc::clone(&self.controls),
        );
        *open = Some((devices, watches));
    }

    /// The candidate goes on without reading aloud, which the recording says.
    pub(crate) fn go_without_voice(&self) {
        let stands = self.board.voice();
        let Some(sighting) = devices::gone_without(clock::now(), stands) else {
            return;
        };
        self.board.set_voice(VoiceState::Skipped);
        let seen = Input::Sighting(Some(Device::Microphone), Box::new(sighting));
        if self.rules.microphone && self.recorder.send(seen).is_err() {
            tracing::debug!("The recording is over already");
        }
    }

    /// Lets a test be the device.
    #[cfg(test)]
    pub(crate) const fn recorder_for_tests(&self) -> &SyncSender<Input> {
        &self.recorder
    }

    /// Lets a test learn of the candidate.
    #[cfg(test)]
    pub(crate) fn candidate_for_tests(&self) -> &Candidate {
        &self.candidate
    }

    /// Lets a test look into the spool.
    #[cfg(test)]
    pub(crate) const fn spool_for_tests(&self) -> &SharedSpool {
        &self.spool
    }

    /// Ends the recording; everything is delivered before the agent leaves.
    pub(crate) fn finish(&self) {
        self.controls.stop();
        if self.recorder.send(Input::Finish).is_err() {
            tracing::debug!("The recording is over already");
        }
    }

    /// Removes the spool of a recording that the server has whole.
    pub(crate) fn clear_delivered(&self) {
        let mut spool = self.spool.lock();
        if spool.is_empty() {
            spool.clear();
            self.candidate.forget();
        }
    }

    pub(crate) async fn make(
        options: &Options,
        provision: Provision,
        ending: &watch::Sender<Ending>,
    ) -> Result<Self, BindError> {
        let tls = trust::tls_config(provision.ca_der.as_deref())?;
        let (keys, _) = Keys::generate().map_err(|_none| BindError::NoKey)?;
        let enrolled = enrol::enrol(&provision, Arc::clone(&tls), keys, clock::boot_id()).await;
        let (identity, rules) = enrolled.map_err(not_bound)?;
        let identity = Arc::new(identity);
        let spool_key =
            enrol::thirty_two(&rules.spool_key, "spool key").map_err(BindError::Refused)?;
        let folder = instance::spool_folder(&options.data).map_err(SpoolError::Disk)?;
        let mut bounds = SpoolBounds::DEFAULT;
        bounds.disk_bytes_max = options.spool_bytes_max.unwrap_or(bounds.disk_bytes_max);
        let (spool, mut left) =
            Spool::open(&folder, spool_key, identity.attempt, identity.epoch, bounds)?;
        let bandwidth = rules
            .bandwidth
            .parse()
            .or_else(|_unknown| provision.bandwidth.parse())
            .unwrap_or_default();
        let whose = (identity.attempt, identity.epoch);
        let candidate = Arc::new(Candidate::new(&options.data, spool_key, whose, &rules));
        let before = left.state.as_ref().map(|state| state.learnt);
        left.forgotten = candidate.forgotten(before.unwrap_or_default());
        let kept = spool.clone();
        let board = Arc::new(Board::new());
        let controls = Arc::new(Controls::new());
        let (recorder, inputs) = std::sync::mpsc::sync_channel(INPUTS_MAX);
        let (notes, noted) = mpsc::channel(NOTES_MAX);
        let queued = hashed(&left.headers).map_err(SpoolError::Codec)?;
        let parts = LinkParts {
            identity: Arc::clone(&identity),
            target: Target {
                origin: provision.server,
                token: provision.agent_token,
                tls,
            },
            spool: spool.clone(),
            board: Arc::clone(&board),
            recorder: recorder.clone(),
            ending: ending.clone(),
        };
        let recorder_parts = RecorderParts {
            identity: Arc::clone(&identity),
            spool,
            board: Arc::clone(&board),
            controls: Arc::clone(&controls),
            candidate: Arc::clone(&candidate),
            notes,
            camera: rules.camera,
            microphone: rules.microphone,
            sound: profile(bandwidth).sound,
        };
        tokio::spawn(async move { link::run(parts, queued, &folder, noted).await });
        thread::Builder::new()
            .name("recorder".to_owned())
            .spawn(move || Recorder::new(recorder_parts, left, clock::now()).run(&inputs))
            .map_err(SpoolError::Disk)?;
        Ok(Self {
            identity,
            rules,
            bandwidth,
            sources: options.sources.clone(),
            board,
            controls,
            recorder,
            spool: kept,
            own: Arc::new(OwnProcesses::new()),
            candidate,
            open: Mutex::new(None),
        })
    }
}

fn not_bound(error: EnrolError) -> BindError {
    match error {
        EnrolError::Unreachable(_) => BindError::Unreachable(error),
        EnrolError::Refused { .. }
        | EnrolError::WrongAnswer { .. }
        | EnrolError::Certificate(_)
        | EnrolError::Proof(_) => BindError::Refused(error),
    }
}

fn hashed(
    headers: &[ChunkHeader],
) -> Result<Vec<(ChunkHeader, qorgan_protocol::crypto::Sha256)>, CodecError> {
    headers
        .iter()
        .map(|header| Ok((*header, header.hash(&Ring)?)))
        .collect()
}

const fn profile(bandwidth: Bandwidth) -> &'static qorgan_encode::ProfileSettings {
    match bandwidth {
        Bandwidth::Economy => Profile::Economy.settings(),
        Bandwidth::Standard => Profile::Standard.settings(),
        Bandwidth::Rich => Profile::Rich.settings(),
    }
}

/// Frames, packets and sightings on the way to the recorder; full: capture waits, and the capture
/// queues before it let the oldest pictures go and count them.
const INPUTS_MAX: usize = 256;
/// Names of chunks and beats on the way to the link, no payloads.
const NOTES_MAX: usize = 1_024;
/// A client that crashed comes back within this time.
const DESERTED_BOUND: Duration = Duration::from_secs(15 * 60);
const DESERTED_FREE: Duration = Duration::from_secs(60);
