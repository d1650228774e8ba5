//! What the kiosk's core asks for, done: server, agent, journal, lockdown, pictures, state file.
//!
//! Sockets live on a tokio runtime on threads of its own, the journal's disk on another thread; they
//! meet the window's thread in bounded channels.

mod agent;
mod enrolment;
mod journal;
mod lock;
mod machine;
mod pictures;
mod proofs;
mod receipts;
mod server;
mod socket;
mod state_file;

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    time::Instant,
};

use qorgan_client_core::event::{AgentNews, Effect, Event, JournalNews};
use qorgan_protocol::{
    local::{ClientFrame, DrawnScreen},
    time::Now,
};

pub use journal::{JournalError, JournalFile};
pub use lock::Lock;
pub use machine::{Device, DeviceError};
pub use pictures::PictureStore;
pub use state_file::{StateFile, Times};

use agent::AgentRunner;
use server::ServerLink;

/// The process's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct Clock(Instant);

impl Clock {
    /// Starts at the origin.
    #[must_use]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Returns the time since the origin.
    #[must_use]
    pub fn now(&self) -> Now {
        Now::from_origin(self.0.elapsed())
    }
}

/// Carries events to the core.
#[derive(Debug, Clone)]
pub struct Bell {
    events: SyncSender<Event>,
}

impl Bell {
    /// Makes a bell and the end that it rings at.
    #[must_use]
    pub fn new() -> (Self, Receiver<Event>) {
        let (events, receiver) = sync_channel(EVENTS_MAX);
        (Self { events }, receiver)
    }

    /// Brings an event; waits where the core is behind.
    pub fn ring(&self, event: Event) {
        if self.events.send(event).is_err() {
            tracing::debug!("Nobody takes events any more");
        }
    }

    /// Brings an event that the next one of its kind makes superfluous; drops it where the core is
    /// behind.
    pub fn ring_lightly(&self, event: Event) {
        match self.events.try_send(event) {
            Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
        }
    }
}

/// Tells the agent what was drawn.
#[derive(Debug, Clone)]
pub struct Drawn(tokio::sync::watch::Sender<Option<DrawnScreen>>);

impl Drawn {
    /// Returns one whom nobody hears.
    #[cfg(test)]
    pub(crate) fn nobody() -> Self {
        Self(tokio::sync::watch::Sender::new(None))
    }

    /// Tells it; a picture that nobody has taken yet is given up.
    pub fn tell(&self, screen: DrawnScreen) {
        self.0.send_replace(Some(screen));
    }
}

/// Where everything is kept and found.
#[derive(Debug, Clone)]
pub struct Places {
    /// The data folder.
    pub data: PathBuf,
    /// The agent's program.
    pub agent: PathBuf,
    /// More arguments for it, for tests.
    pub agent_args: Vec<String>,
}

/// Does what the core asks for.
#[derive(Debug)]
pub struct Effects {
    runtime: tokio::runtime::Runtime,
    clock: Clock,
    bell: Bell,
    server: Arc<ServerLink>,
    agent: AgentRunner,
    journal: journal::JournalThread,
    pictures: Arc<Mutex<PictureStore>>,
}

impl Effects {
    /// Starts the threads.
    ///
    /// # Errors
    /// Where the system gives no threads, or the device's key cannot be kept.
    pub fn start(places: &Places, clock: Clock, bell: Bell) -> Result<Self, DeviceError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(DeviceError::Threads)?;
        let device = Device::open(&places.data)?;
        let pictures = Arc::new(Mutex::new(PictureStore::default()));
        let server = Arc::new(ServerLink::new(
            device,
            places.data.clone(),
            Arc::clone(&pictures),
        ));
        let agent = AgentRunner::new(
            places.clone(),
            Arc::clone(&server),
            bell.clone(),
            Arc::clone(&pictures),
        );
        let journal = journal::JournalThread::start(places.data.join("journal"), bell.clone())
            .map_err(DeviceError::Threads)?;
        Ok(Self {
            runtime,
            clock,
            bell,
            server,
            agent,
            journal,
            pictures,
        })
    }

    /// Returns where to say what was drawn over a whole display.
    #[must_use]
    pub fn drawn(&self) -> Drawn {
        Drawn(self.agent.drawn())
    }

    /// Returns the pictures.
    #[must_use]
    pub fn pictures(&self) -> Arc<Mutex<PictureStore>> {
        Arc::clone(&self.pictures)
    }

    /// Does one thing; returns what of it is left for the window.
    pub fn perform(&mut self, effect: Effect) -> Outcome {
        match effect {
            Effect::Call(call) => self.call(call),
            Effect::RunAgent { token, bandwidth } => {
                self.agent.run(&self.runtime, token.0, bandwidth);
            }
            Effect::Preview(on) => self.agent.preview(on),
            Effect::TakeDocument => self.agent.ask(ClientFrame::Still),
            Effect::Voice(ask) => self.agent.ask(ClientFrame::Voice(ask)),
            Effect::Liveness(ask) => self.agent.ask(ClientFrame::Liveness(ask)),
            Effect::FinishAgent => self.agent.finish(),
            Effect::OpenJournal { attempt, epoch } => match self.server.journal_key() {
                Some(key) => self.journal.open(attempt, epoch, key),
                None => self.bell.ring(Event::Journal(JournalNews::Failed)),
            },
            Effect::Append(entry) => self.journal.append(entry),
            Effect::KeepSubmission(next) => self.journal.keep_submission(next),
            Effect::RememberPlace(place) => self.journal.remember(place),
            Effect::LookAtMachine => self
                .bell
                .ring_lightly(Event::Machine(machine::look(self.journal.folder()))),
            Effect::Engage(_policy) => return Outcome::Engage,
            Effect::Release => return Outcome::Release,
            Effect::DropContent => {
                self.pictures
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .drop_content();
            }
            Effect::Accessibility(on) => return Outcome::Accessibility(on),
            Effect::Quit => return Outcome::Quit,
        }
        Outcome::Done
    }

    fn call(&self, call: qorgan_client_core::event::Call) {
        let (server, bell, clock) = (Arc::clone(&self.server), self.bell.clone(), self.clock);
        self.runtime.spawn(async move {
            let (kind, sent) = (call.kind(), clock.now());
            let result = server.call(call).await;
            bell.ring(Event::Answered { kind, sent, result });
            if let Some(kept) = server.take_receipt() {
                bell.ring(Event::Receipt(kept));
            }
        });
    }
}

/// What is left for the window to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing.
    Done,
    /// To lock the machine.
    Engage,
    /// To see that it still is.
    Renew,
    /// To unlock it.
    Release,
    /// To switch the accessibility adapter.
    Accessibility(bool),
    /// To end the program.
    Quit,
}

fn agent_news(news: AgentNews) -> Event {
    Event::Agent(news)
}

/// More events than this make those who bring them wait.
const EVENTS_MAX: usize = 256;
