//! Who an attempt belongs to: one device key in one run of its kernel; another machine must be
//! approved, which raises the epoch (decision 4).

use qorgan_protocol::attempt::{Backlog, GateInput};
use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, PersonId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::ProblemCode;
use qorgan_signing::SecretKey;
use sqlx::Row as _;

use super::Registry;
use super::cell::{Binding, Cell, CellState};
use super::change::Change;
use super::command::AgentCommand;
use super::error::RegistryError;
use super::load::epoch_place;
use super::machine::MachineStanding;
use super::presence::Presence;
use super::quota::Kept;
use super::save::send;
use crate::store::{self, StoreError, WriteTx};

/// The program that a client token was given to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The candidate.
    pub person: PersonId,
    /// The device's lasting key, proved at sign-in.
    pub device_key: PublicKey,
    /// The run of its kernel.
    pub boot: BootId,
    /// This start of the client.
    pub instance: [u8; 16],
}

impl Caller {
    pub(crate) const fn binding(&self) -> Binding {
        Binding {
            device_key: self.device_key,
            boot: self.boot,
        }
    }
}

/// Another machine that asks for an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveRequest {
    /// Names the request.
    pub id: i64,
    /// Whose attempt.
    pub attempt: AttemptId,
    /// The machine that asks.
    pub device_key: PublicKey,
    /// Whether it is the same device after a restart of its kernel.
    pub same_device: bool,
    /// When it asked.
    pub asked: WallTime,
}

impl Registry {
    /// Refuses a caller who is not the one that the attempt is bound to.
    pub(super) fn authorize(caller: &Caller, state: &CellState) -> Result<(), RegistryError> {
        if caller.person != state.facts.person {
            return Err(RegistryError::refuse(
                ProblemCode::NotFound,
                "no such attempt",
            ));
        }
        match state.binding {
            None => Err(RegistryError::refuse(
                ProblemCode::WrongPhase,
                "check in first",
            )),
            Some(bound) if bound != caller.binding() => Err(RegistryError::refuse(
                ProblemCode::OldEpoch,
                "the attempt is bound to another machine",
            )),
            Some(_bound) if state.instance != Some(caller.instance) => Err(RegistryError::refuse(
                ProblemCode::BoundElsewhere,
                "another client on this machine holds the attempt; check in again",
            )),
            Some(_bound) => Ok(()),
        }
    }

    /// Binds the attempt to the caller's machine, or files a move request.
    pub(super) async fn bind(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        match state.binding {
            Some(bound) if bound == caller.binding() => {}
            Some(_other) => {
                self.ask_to_move(cell, state, caller).await?;
                return Err(RegistryError::refuse(
                    ProblemCode::BoundElsewhere,
                    "the attempt is bound to another machine; a move waits for approval",
                ));
            }
            None => self.begin_epoch(state, caller.binding(), None).await?,
        }
        if state.instance != Some(caller.instance) {
            self.take_instance(state, caller).await?;
        }
        Ok(())
    }

    /// A start of the client takes the attempt; one that it takes it from is told of (M11).
    async fn take_instance(
        &self,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        let (attempt, at) = (state.facts.attempt.to_string(), self.inner.clock.wall());
        let mut change = Change::begin(self, state, state.epoch, at).await?;
        sqlx::query("UPDATE attempts SET instance = $2 WHERE id = $1")
            .bind(&attempt)
            .bind(caller.instance.as_slice())
            .execute(&mut *change.tx)
            .await?;
        // Past the bound its row is left out, which an incident says: nobody is locked out by it.
        if self.room(&mut change, Kept::Instances).await? {
            sqlx::query(
                "INSERT INTO attempt_instances (institution_id, attempt_id, epoch, instance, at_ms) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(self.inner.keys.institution().to_string())
            .bind(&attempt)
            .bind(i64::from(state.epoch.0))
            .bind(caller.instance.as_slice())
            .bind(at.unix_ms())
            .execute(&mut *change.tx)
            .await?;
        }
        state.open_incidents = change.commit().await?;
        let before = state.instance.replace(caller.instance);
        let Some(before) = before else {
            return Ok(());
        };
        state.presence.replace(before);
        if state.presence.heard_lately(at) {
            let detail = "another client on this machine took the attempt from one that still ran";
            self.note_again(state, IncidentKind::SecondMachine, detail)
                .await?;
        }
        let detail = "another start of the client took the attempt";
        self.kiosk_saw(state, IncidentKind::ClientRestarted, at, detail)
            .await
    }

    async fn ask_to_move(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        let attempt = state.facts.attempt.to_string();
        let at = self.inner.clock.wall();
        let mut tx = self.inner.store.begin().await?;
        let waiting: i64 = sqlx::query_scalar(
            "SELECT COUNT(*) FROM move_requests WHERE attempt_id = $1 AND device_key = $2 \
             AND boot = $3 AND decided_ms IS NULL",
        )
        .bind(&attempt)
        .bind(caller.device_key.0.as_slice())
        .bind(caller.boot.0.as_slice())
        .fetch_one(&mut *tx)
        .await?;
        if waiting > 0 || state.moves_open >= MOVE_REQUESTS_MAX {
            return Ok(());
        }
        sqlx::query(
            "INSERT INTO move_requests (institution_id, attempt_id, device_key, boot, asked_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(&attempt)
        .bind(caller.device_key.0.as_slice())
        .bind(caller.boot.0.as_slice())
        .bind(at.unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        state.moves_open = state.moves_open.saturating_add(1);
        let same = state
            .binding
            .is_some_and(|b| b.device_key == caller.device_key);
        let detail = if same {
            "the same device key after a restart, or a copy of it"
        } else {
            "another device"
        };
        self.note(state, IncidentKind::SecondMachine, at, detail)
            .await?;
        self.raise(cell, state);
        Ok(())
    }

    /// Returns the move requests that wait for a decision, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn moves(&self) -> Result<Vec<MoveRequest>, RegistryError> {
        let rows = sqlx::query(
            "SELECT r.id, r.attempt_id, r.device_key, r.asked_ms, \
             r.device_key = a.device_key AS same FROM move_requests r \
             JOIN attempts a ON a.id = r.attempt_id WHERE r.decided_ms IS NULL ORDER BY r.id",
        )
        .fetch_all(self.inner.store.read())
        .await?;
        let mut moves = Vec::with_capacity(rows.len());
        for row in rows {
            let device_key: Vec<u8> = row.try_get("device_key")?;
            moves.push(MoveRequest {
                id: row.try_get("id")?,
                attempt: store::id(&row.try_get::<String, _>("attempt_id")?)?,
                device_key: PublicKey(store::array("device key", &device_key)?),
                same_device: row.try_get::<Option<bool>, _>("same")?.unwrap_or(false),
                asked: WallTime::from_unix_ms(row.try_get("asked_ms")?),
            });
        }
        Ok(moves)
    }

    /// Decides a move request. An approved one raises the epoch, ends the old machine's tokens and
    /// covers the items until the new machine's streams are seen.
    ///
    /// # Errors
    /// `NotFound` where no such request waits, or the database failed.
    pub async fn approve_move(
        &self,
        attempt: AttemptId,
        request: i64,
        approved: bool,
        by: PersonId,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let row = sqlx::query(
            "SELECT device_key, boot FROM move_requests \
             WHERE id = $1 AND attempt_id = $2 AND decided_ms IS NULL",
        )
        .bind(request)
        .bind(attempt.to_string())
        .fetch_optional(self.inner.store.read())
        .await?
        .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such move request"))?;
        let binding = Binding {
            device_key: PublicKey(store::array(
                "device key",
                &row.try_get::<Vec<u8>, _>("device_key")?,
            )?),
            boot: BootId(store::array(
                "boot id",
                &row.try_get::<Vec<u8>, _>("boot")?,
            )?),
        };
        if approved {
            self.begin_epoch(&mut state, binding, Some((request, by)))
                .await?;
            send(&cell, AgentCommand::Replaced);
            self.input_locked(&cell, &mut state, GateInput::Moved)
                .await?;
            self.record(&mut state, ("moved", None), Some(by), None)
                .await?;
        } else {
            let mut tx = self.inner.store.begin().await?;
            decide(&mut tx, request, by, false, self.inner.clock.wall()).await?;
            tx.commit().await?;
        }
        state.moves_open = state.moves_open.saturating_sub(1);
        self.raise(&cell, &mut state);
        Ok(())
    }

    /// Begins the next epoch on a machine, in one transaction with the decision that allowed it.
    async fn begin_epoch(
        &self,
        state: &mut CellState,
        binding: Binding,
        decision: Option<(i64, PersonId)>,
    ) -> Result<(), RegistryError> {
        let (attempt, epoch) = (state.facts.attempt, state.epoch.next());
        let at = self.inner.clock.wall();
        let mut tx = self.inner.store.begin().await?;
        if let Some((request, by)) = decision {
            decide(&mut tx, request, by, true, at).await?;
        }
        end_epoch(&mut tx, attempt, state.epoch, at).await?;
        let freshness_key = SecretKey::generate()?;
        let wrap = |what: &str, key: &SecretKey| {
            self.inner
                .keys
                .wrap(&epoch_place(what, attempt, epoch), key)
        };
        sqlx::query(
            "INSERT INTO epochs (attempt_id, epoch, institution_id, device_key, boot, \
             journal_key_wrapped, freshness_key_wrapped, spool_key_wrapped, began_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .bind(self.inner.keys.institution().to_string())
        .bind(binding.device_key.0.as_slice())
        .bind(binding.boot.0.as_slice())
        .bind(wrap("journal", &SecretKey::generate()?)?)
        .bind(wrap("freshness", &freshness_key)?)
        .bind(wrap("spool", &SecretKey::generate()?)?)
        .bind(at.unix_ms())
        .execute(&mut *tx)
        .await?;
        sqlx::query(
            "UPDATE attempts SET epoch = $2, device_key = $3, boot = $4, instance = NULL, \
             machine = '{}' WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .bind(binding.device_key.0.as_slice())
        .bind(binding.boot.0.as_slice())
        .execute(&mut *tx)
        .await?;
        tx.commit().await.map_err(StoreError::from)?;
        state.epoch = epoch;
        state.binding = Some(binding);
        state.instance = None;
        // Another machine is checked and heard anew.
        state.machine = MachineStanding::default();
        state.presence = Presence::default();
        state.journal_next = 0;
        state.heads.clear();
        state.recorded_us = 0;
        state.backlog = Backlog::default();
        state.freshness_key = Some(*freshness_key.expose());
        Ok(())
    }
}

async fn decide(
    tx: &mut WriteTx,
    request: i64,
    by: PersonId,
    approved: bool,
    at: WallTime,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE move_requests SET decided_ms = $2, decided_by = $3, approved = $4 WHERE id = $1",
    )
    .bind(request)
    .bind(at.unix_ms())
    .bind(by.to_string())
    .bind(approved)
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// Ends an epoch with every token of its agent and of the machine it was bound to.
async fn end_epoch(
    tx: &mut WriteTx,
    attempt: AttemptId,
    epoch: Epoch,
    at: WallTime,
) -> Result<(), StoreError> {
    let (attempt, epoch) = (attempt.to_string(), i64::from(epoch.0));
    sqlx::query("UPDATE epochs SET ended_ms = $3 WHERE attempt_id = $1 AND epoch = $2")
        .bind(&attempt)
        .bind(epoch)
        .bind(at.unix_ms())
        .execute(&mut **tx)
        .await?;
    sqlx::query(
        "UPDATE tokens SET ended_ms = $2 WHERE ended_ms IS NULL AND (attempt_id = $1 OR \
         (kind = 'client' AND (person_id, device_key, boot) IN \
          (SELECT person_id, device_key, boot FROM attempts WHERE id = $1)))",
    )
    .bind(&attempt)
    .bind(at.unix_ms())
    .execute(&mut **tx)
    .await?;
    Ok(())
}

/// More machines may not ask for one attempt at once; the next one is refused like the others.
const MOVE_REQUESTS_MAX: u64 = 8;
