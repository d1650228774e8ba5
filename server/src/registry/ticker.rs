//! Time goes on: leases end, codes are asked for, deadlines pass; and the server's own clock is
//! watched.

use std::sync::Arc;
use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GateInput, Moment};
use qorgan_protocol::ids::AttemptId;

use super::Registry;
use super::cell::{Cell, CellState};
use super::error::RegistryError;
use super::refresh::told;

impl Registry {
    /// Ticks every live attempt until `stop` is done; reads those that ran before a restart first.
    ///
    /// # Errors
    /// The database failed at the start.
    pub async fn run(self, stop: impl Future<Output = ()> + Send) -> Result<(), RegistryError> {
        // What changes while attempts are read is looked at again.
        let mut seen = [self.admissions_version().await?; 2];
        self.load_live().await?;
        let ticking = async {
            let mut beat = tokio::time::interval(TICK);
            beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut before = self.moment();
            let mut tidied = before.now;
            let mut looked = before.now;
            loop {
                beat.tick().await;
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
                for cell in self.live_cells() {
                    self.tick_logged(&cell).await;
                }
            }
        };
        tokio::select! {
            () = ticking => {}
            () = stop => {}
        }
        self.save_times().await;
        Ok(())
    }

    /// Reads every attempt that is under way, so that it is covered and its deadline kept.
    async fn load_live(&self) -> Result<(), RegistryError> {
        let ids: Vec<String> = sqlx::query_scalar(
            "SELECT id FROM attempts WHERE phase_word IN ('check_in', 'ready', 'running', 'paused')",
        )
        .fetch_all(self.inner.store.read())
        .await?;
        for id in ids {
            let attempt = crate::store::id(&id)?;
            if let Err(error) = self.load_one(attempt).await {
                tracing::error!(%attempt, %error, "An attempt under way could not be read");
            }
        }
        Ok(())
    }

    async fn load_one(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let gate = state.gate.clone();
        self.settle(&cell, &mut state, gate, self.moment()).await
    }

    async fn tick_logged(&self, cell: &Arc<Cell>) {
        // A cell that is in use is ticked by whoever uses it.
        let Ok(mut state) = cell.state.try_lock() else {
            return;
        };
        if let Err(error) = self.tick(cell, &mut state).await {
            let attempt = state.facts.attempt;
            tracing::error!(%attempt, %error, "An attempt's state could not be stored");
        }
    }

    async fn tick(&self, cell: &Cell, state: &mut CellState) -> Result<(), RegistryError> {
        let at = self.moment();
        if over(state.gate.phase()) {
            return Ok(());
        }
        let mut gate = state.gate.clone();
        gate.tick(at);
        self.settle(cell, state, gate, at).await?;
        if at.now.since(state.saved_at) >= SAVE_EVERY {
            self.save_time(state, at).await?;
            self.close_stale(state, at.wall).await?;
        }
        Ok(())
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

    /// Stores the time used, so that a crash costs the candidate nothing and gives little.
    async fn save_time(&self, state: &mut CellState, at: Moment) -> Result<(), RegistryError> {
        let memory = state.gate.memory();
        if memory != state.saved {
            let mut tx = self.inner.store.begin().await?;
            super::save::write_memory(&mut tx, state, &memory, at.wall).await?;
            super::leases::write_seen(&mut tx, state, (at.now, at.wall)).await?;
            tx.commit().await?;
            state.saved = memory;
        }
        state.saved_at = at.now;
        Ok(())
    }

    async fn save_times(&self) {
        for cell in self.live_cells() {
            let mut state = cell.state.lock().await;
            let at = self.moment();
            if let Err(error) = self.save_time(&mut state, at).await {
                let attempt = state.facts.attempt;
                tracing::error!(%attempt, %error, "An attempt's time could not be stored");
            }
        }
    }
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
const SAVE_EVERY: Duration = Duration::from_secs(5);
const JUMP_MS: u64 = 2_000;
