//! The agent's life: it serves clients until its attempt is delivered, or nobody needs it.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use crate::agent::{Agent, Options};
use crate::clock;
use crate::enrol;
use crate::instance::{Instance, InstanceError};
use crate::link::Ending;
use crate::local;
use crate::socket::{Listener, Peer, Stream};

/// Says why the agent cannot run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The folder is not usable, or taken.
    #[error(transparent)]
    Instance(#[from] InstanceError),
    /// The socket cannot be bound.
    #[error("the local socket cannot be bound")]
    Socket(#[source] io::Error),
}

/// Runs the agent until its attempt is delivered, or nobody needs it.
///
/// # Errors
/// Where the folder or the socket is not usable, or another agent runs there.
pub async fn run(options: Options) -> Result<(), RunError> {
    clock::anchor();
    let _instance = Instance::take(&options.socket_dir)?;
    let mut listener = Listener::bind(&options.socket_dir).map_err(RunError::Socket)?;
    let (ending, mut ended) = watch::channel(Ending::None);
    let agent = Arc::new(Agent::new(options, ending));
    tracing::info!(version = enrol::VERSION, "The agent waits for its client");
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut idle = tokio::time::interval(IDLE_LOOK);
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => serve(&agent, &places, stream, peer),
                // A peer that was gone, or no descriptor was free: the recording goes on.
                Err(error) => {
                    tracing::warn!(%error, "A client cannot be taken");
                    tokio::time::sleep(ACCEPT_REST).await;
                }
            },
            changed = ended.changed() => {
                if changed.is_err() || *ended.borrow() == Ending::Finished {
                    break;
                }
            }
            _ = idle.tick() => {
                if agent.is_deserted() {
                    tracing::info!("Nobody needs the agent");
                    agent.finish_or_leave();
                    if agent.current().is_none() {
                        break;
                    }
                }
            }
        }
    }
    if let Some(bound) = agent.current() {
        bound.clear_delivered();
    }
    tracing::info!("The agent leaves");
    Ok(())
}

/// Serves a connection on a task of its own; one more than may wait is closed at once.
fn serve(agent: &Arc<Agent>, places: &Arc<Semaphore>, stream: Stream, peer: Peer) {
    let Ok(place) = Arc::clone(places).try_acquire_owned() else {
        tracing::info!("Closed one connection more than are served at once");
        return;
    };
    let agent = Arc::clone(agent);
    tokio::spawn(async move {
        match local::serve(&agent, stream, peer).await {
            Ok(()) => tracing::info!("The client left"),
            Err(error) => tracing::info!(%error, "A client's connection ended"),
        }
        drop(place);
    });
}

const IDLE_LOOK: Duration = Duration::from_secs(5);
/// The client's, the next one's of a client that was started again, and a few that prove nothing.
const CONNECTIONS_MAX: usize = 16;
const ACCEPT_REST: Duration = Duration::from_millis(500);
