//! Every live attempt: one cell each, holding the pure start gate; what changes is persisted before
//! anyone is told.
//!
//! # Invariants
//! * Nothing but the gate decides whether items may be shown.
//! * An epoch that is over gets nothing, whatever its tokens say.
//! * A change of phase is in the database before a reply or a view tells it.

mod agent;
mod binding;
mod candidate;
mod cell;
mod change;
mod check_in;
mod command;
mod error;
mod identity;
mod incidents;
mod items;
mod leases;
mod load;
mod machine;
mod presence;
mod quota;
mod read_back;
mod refresh;
mod responses;
mod save;
mod sealing;
mod staff;
mod submission;
mod ticker;
mod view;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use qorgan_protocol::attempt::{GateInput, Moment, Randomness};
use qorgan_protocol::ids::AttemptId;
use tokio::sync::broadcast;

use crate::state::ServerClock;
use cell::{Cell, CellState};
use qorgan_base::config::Config;
use qorgan_base::keys::ServerKeys;
use qorgan_store::Store;

pub use agent::FreshnessExpected;
pub use binding::{Caller, MoveRequest};
pub(crate) use candidate::message_place;
pub use cell::Binding;
pub use check_in::AgentKey;
pub use command::{AgentCommand, ControlAction};
pub use error::RegistryError;
pub(crate) use identity::reason_place;
pub use identity::{DocumentId, IdentityDecision};
pub use incidents::EventsRead;
pub use machine::MachineStanding;
pub(crate) use presence::AddressLine;
pub use quota::ByteBounds;
pub use responses::stored_place;
pub use staff::{BoardLine, BoardOf, BoardQuery, NewestIncident};

/// Every live attempt; cloning is cheap.
#[derive(Debug, Clone)]
pub struct Registry {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    keys: Arc<ServerKeys>,
    clock: ServerClock,
    config: Arc<Config>,
    cells: Mutex<BTreeMap<AttemptId, Arc<Cell>>>,
}

impl Registry {
    /// Begins with no attempt in memory; each is read when it is first asked for.
    #[must_use]
    pub fn new(
        store: Store,
        keys: Arc<ServerKeys>,
        clock: ServerClock,
        config: Arc<Config>,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                store,
                keys,
                clock,
                config,
                cells: Mutex::new(BTreeMap::new()),
            }),
        }
    }

    /// Returns the commands for the agent of an attempt, from now on.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn subscribe(
        &self,
        attempt: AttemptId,
    ) -> Result<broadcast::Receiver<AgentCommand>, RegistryError> {
        Ok(self.cell(attempt).await?.commands.subscribe())
    }

    /// Sends a command to the agent of an attempt; without a link nobody hears it.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn command(
        &self,
        attempt: AttemptId,
        command: AgentCommand,
    ) -> Result<(), RegistryError> {
        // No receiver means no link: a new link gets what it needs at its welcome.
        let _nobody_listens = self.cell(attempt).await?.commands.send(command).ok();
        Ok(())
    }

    pub(crate) fn moment(&self) -> Moment {
        Moment {
            now: self.inner.clock.now(),
            wall: self.inner.clock.wall(),
            random: randomness(),
        }
    }

    /// Returns the cell of an attempt, reading it where it is not in memory.
    async fn cell(&self, attempt: AttemptId) -> Result<Arc<Cell>, RegistryError> {
        if let Some(cell) = self.cells().get(&attempt) {
            return Ok(Arc::clone(cell));
        }
        let loaded =
            load::cell(&self.inner.store, &self.inner.keys, attempt, self.moment()).await?;
        let loaded = Arc::new(loaded);
        Ok(Arc::clone(
            self.cells().entry(attempt).or_insert_with(|| loaded),
        ))
    }

    /// Returns every cell in memory.
    fn live_cells(&self) -> Vec<Arc<Cell>> {
        self.cells().values().cloned().collect()
    }

    fn cells(&self) -> std::sync::MutexGuard<'_, BTreeMap<AttemptId, Arc<Cell>>> {
        self.inner
            .cells
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives `input` to the gate of `attempt`, persists what changed and tells those who wait.
    async fn input(&self, attempt: AttemptId, input: GateInput) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        self.input_locked(&cell, &mut state, input).await
    }

    /// Gives `input` to a gate whose cell is locked. Where it cannot be stored, the gate stands as
    /// it stood before.
    async fn input_locked(
        &self,
        cell: &Cell,
        state: &mut CellState,
        input: GateInput,
    ) -> Result<(), RegistryError> {
        let at = self.moment();
        let mut gate = state.gate.clone();
        let result = gate.handle(at, input);
        self.settle(cell, state, gate, at).await?;
        Ok(result?)
    }
}

/// Returns random bytes for a freshness code; `None` where the system gives none, so that no code
/// could be foreseen.
fn randomness() -> Option<Randomness> {
    let bytes: [u8; 20] = qorgan_signing::random()
        .inspect_err(|error| tracing::error!(%error, "No randomness for freshness codes"))
        .ok()?;
    let (nonce, delay) = bytes.split_at(16);
    Some(Randomness {
        nonce: nonce.try_into().ok()?,
        delay: u32::from_be_bytes(delay.try_into().ok()?),
    })
}
