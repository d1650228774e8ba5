//! Time goes on: leases end, codes are asked for, deadlines pass; and the server's own clock is
//! watched.

use std::sync::Arc;
use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GateInput, Moment};
use tokio::sync::MutexGuard;

use super::Registry;
use super::cell::{Cell, CellState, OpenIncidents};
use super::change::{Change, is_stale};
use super::error::RegistryError;
use super::refresh::told;
use super::save::Settlement;
use qorgan_store::{StoreError, WriteTx};

impl Registry {
    /// Ticks every live attempt until `stop` is done; reads those that ran before a restart first.
    ///
    /// # Errors
    /// The database failed at the start.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), RegistryError> {
        // What changes while attempts are read is looked at again.
        let mut seen = [self.admissions_version().await?; 2];
        self.load_live().await?;
        let mut beat = tokio::time::interval(TICK);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut before = self.moment();
        let mut tidied = before.now;
        let mut looked = before.now;
        tokio::pin!(stop);
        loop {
            // Between ticks only: what a tick commits is what memory then holds.
            tokio::select! {
                _at = beat.tick() => {}
                () = &mut stop => break,
            }
            let at = self.moment();
            if at.now.since(tidied) >= TIDY_EVERY {
                self.drop_ended();
                tidied = at.now;
            }
            if at.now.since(looked) >= LOOK_EVERY {
                let [_, newest] = seen;
                let read = self.refresh_changed(seen[0]).await;
                seen = [newest, told(read, newest)];
                looked = at.now;
            }
            if jumped(before, at) {
                tracing::error!("The server's clock jumped; every stream must be seen again");
                self.distrust_all().await;
            }
            before = at;
            self.tick_all().await;
        }
        // The time used since it was saved last.
        self.settle_all(&self.live_cells(), Settlement::differs)
            .await;
        Ok(())
    }

    /// Reads every attempt that is under way, so that it is covered and its deadline kept.
    async fn load_live(&self) -> Result<(), RegistryError> {
        let ids: Vec<String> = qorgan_store::query_scalar(
            "SELECT id FROM attempts WHERE phase_word IN ('check_in', 'ready', 'running', 'paused')",
        )
        .fetch_all(self.inner.store.read())
        .await?;
        let mut cells = Vec::with_capacity(ids.len());
        for id in ids {
            let attempt = qorgan_store::id(&id)?;
            match self.cell(attempt).await {
                Ok(cell) => cells.push(cell),
                Err(error) => {
                    tracing::error!(%attempt, %error, "An attempt under way could not be read");
                }
            }
        }
        self.settle_all(&cells, Settlement::is_to_be_stored).await;
        Ok(())
    }

    /// Settles what gates say without an input, storing those that are to be stored together.
    async fn settle_all(
        &self,
        cells: &[Arc<Cell>],
        is_to_be_stored: impl Fn(&Settlement, &CellState) -> bool,
    ) {
        let mut ticked = Vec::new();
        for cell in cells {
            let mut state = cell.state.lock().await;
            let settlement = Settlement::of(&state, state.gate.clone(), self.moment());
            if !is_to_be_stored(&settlement, &state) {
                self.publish(cell, &mut state, settlement, None);
                continue;
            }
            ticked.push(Ticked {
                cell,
                state,
                settlement,
            });
            if ticked.len() >= TOGETHER_MAX {
                self.store_ticked(core::mem::take(&mut ticked)).await;
            }
        }
        self.store_ticked(ticked).await;
    }

    /// Ticks every attempt under way. What is to be stored of them is stored together, so that a tick
    /// costs one commit however many attempts there are.
    pub(crate) async fn tick_all(&self) {
        let cells = self.live_cells();
        let mut ticked = Vec::new();
        for cell in &cells {
            // A cell that is in use is ticked by whoever uses it.
            let Ok(state) = cell.state.try_lock() else {
                continue;
            };
            ticked.extend(self.tick(cell, state));
            if ticked.len() >= TOGETHER_MAX {
                self.store_ticked(core::mem::take(&mut ticked)).await;
            }
        }
        self.store_ticked(ticked).await;
    }

    /// Ticks an attempt; returns what is to be stored before it holds.
    fn tick<'c>(&self, cell: &'c Cell, mut state: MutexGuard<'c, CellState>) -> Option<Ticked<'c>> {
        if over(state.gate.phase()) {
            return None;
        }
        let at = self.moment();
        let mut gate = state.gate.clone();
        gate.tick(at);
        let settlement = Settlement::of(&state, gate, at);
        let due = at.now.since(state.saved_at) >= SAVE_EVERY;
        let ages = || settlement.differs(&state) || has_stale(&state, at);
        if settlement.is_to_be_stored(&state) || (due && ages()) {
            return Some(Ticked {
                cell,
                state,
                settlement,
            });
        }
        if due {
            state.saved_at = at.now;
        }
        self.publish(cell, &mut state, settlement, None);
        None
    }

    /// Stores ticks in one transaction. One that cannot be written keeps no other from being stored;
    /// where the database fails, none of them holds, and the next tick says them again.
    async fn store_ticked(&self, ticked: Vec<Ticked<'_>>) {
        if ticked.is_empty() {
            return;
        }
        match self.write_together(&ticked).await {
            Ok(opens) => {
                for (one, open) in ticked.into_iter().zip(opens) {
                    self.let_hold(one, open);
                }
            }
            Err(Unstored::Database(error)) => {
                tracing::error!(attempts = ticked.len(), %error, "A tick could not be stored");
            }
            Err(Unstored::OneOf(_error)) => {
                for one in ticked {
                    if !self.store_alone(one).await {
                        // The next tick says the others again.
                        break;
                    }
                }
            }
        }
    }

    /// Stores one tick; tells whether the database takes anything at all.
    async fn store_alone(&self, one: Ticked<'_>) -> bool {
        let (takes, error) = match self.write_together(core::slice::from_ref(&one)).await {
            Ok(mut opens) => {
                if let Some(open) = opens.pop() {
                    self.let_hold(one, open);
                }
                return true;
            }
            Err(Unstored::Database(error)) => (false, error),
            Err(Unstored::OneOf(error)) => (true, error),
        };
        let attempt = one.state.facts.attempt;
        tracing::error!(%attempt, %error, "An attempt's state could not be stored");
        takes
    }

    fn let_hold(&self, mut one: Ticked<'_>, open: OpenIncidents) {
        self.publish(one.cell, &mut one.state, one.settlement, Some(open));
    }

    /// Writes ticks in one transaction; returns what lasts in each attempt.
    async fn write_together(&self, ticked: &[Ticked<'_>]) -> Result<Vec<OpenIncidents>, Unstored> {
        let database = |error: StoreError| Unstored::Database(error.into());
        let mut tx = self.inner.store.begin().await.map_err(database)?;
        let mut opens = Vec::with_capacity(ticked.len());
        for one in ticked {
            let (written, open) = self.write_one(tx, one).await.map_err(Unstored::OneOf)?;
            tx = written;
            opens.push(open);
        }
        let committed = tx.commit().await.map_err(StoreError::from);
        committed.map_err(database)?;
        Ok(opens)
    }

    /// Writes what a tick says, or the time used alone, so that a crash costs the candidate nothing and
    /// gives little.
    async fn write_one(
        &self,
        mut tx: WriteTx,
        one: &Ticked<'_>,
    ) -> Result<(WriteTx, OpenIncidents), RegistryError> {
        let (state, settlement) = (&*one.state, &one.settlement);
        if !settlement.is_to_be_stored(state) && !has_stale(state, settlement.at()) {
            settlement.write_time(&mut tx, state.facts.attempt).await?;
            return Ok((tx, state.open_incidents.clone()));
        }
        let now = settlement.at().wall;
        let mut change = Change::within(self, state, (state.epoch, now), tx).await?;
        self.write_settled(&mut change, state, settlement).await?;
        change.close_stale().await?;
        Ok(change.into_parts())
    }

    /// Drops the cells of ended attempts that nobody uses; they are read again when asked for.
    fn drop_ended(&self) {
        let now = self.inner.clock.now();
        self.cells().retain(|_attempt, cell| {
            let heard = cell.commands.receiver_count() + cell.changed.receiver_count() > 0;
            let used = heard || Arc::strong_count(cell) > 1;
            let ended = cell.state.try_lock().is_ok_and(|s| {
                // What only memory knows, the grace of a lease and a sealing under way, must be over.
                let sealed = matches!(s.gate.phase(), AttemptPhase::Sealed { .. });
                over(s.gate.phase()) && s.leases.quiet(now) && (sealed || !s.sealing)
            });
            used || !ended
        });
    }

    async fn distrust_all(&self) {
        for cell in self.live_cells() {
            let mut state = cell.state.lock().await;
            let distrusted = self
                .input_locked(&cell, &mut state, GateInput::Distrust)
                .await;
            let at = self.moment();
            let forgotten = self.distrust_leases(&mut state, (at.now, at.wall)).await;
            if let Err(error) = distrusted.and(forgotten) {
                let attempt = state.facts.attempt;
                tracing::error!(%attempt, %error, "An attempt's state could not be stored");
            }
        }
    }
}

/// An attempt that was ticked, and what is to be stored of it.
struct Ticked<'c> {
    cell: &'c Cell,
    state: MutexGuard<'c, CellState>,
    settlement: Settlement,
}

/// Why ticks are not stored.
enum Unstored {
    /// The database takes nothing now.
    Database(RegistryError),
    /// One of them cannot be written.
    OneOf(RegistryError),
}

/// Tells whether moments were merged that have not come again for a while.
fn has_stale(state: &CellState, at: Moment) -> bool {
    let mut open = state.open_incidents.iter();
    open.any(|(key, open)| is_stale(*key, open, at.wall))
}

/// Tells whether the clock of the day and the monotonic clock went apart.
fn jumped(before: Moment, at: Moment) -> bool {
    let monotonic = at.now.since(before.now);
    let wall = at.wall.unix_ms().saturating_sub(before.wall.unix_ms());
    let monotonic = qorgan_protocol::time::millis(monotonic);
    wall.abs_diff(monotonic) > JUMP_MS
}

const fn over(phase: AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Scheduled
        | AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => true,
        AttemptPhase::CheckIn { .. }
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. } => false,
    }
}

const TICK: Duration = Duration::from_millis(200);
/// How soon a change of an admission reaches a running attempt.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const TIDY_EVERY: Duration = Duration::from_secs(60);
/// So many attempts are stored in one transaction; others who write wait no longer.
const TOGETHER_MAX: usize = 256;
const SAVE_EVERY: Duration = Duration::from_secs(5);
const JUMP_MS: u64 = 2_000;
