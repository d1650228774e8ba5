//! Who an attempt belongs to: one device key in one run of its kernel; another machine must be
//! approved, which raises the epoch (decision 4).

use qorgan_protocol::attempt::{Backlog, GateInput};
use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::ids::{AttemptId, BootId, Epoch, PersonId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::ProblemCode;
use qorgan_signing::SecretKey;

use super::Registry;
use super::cell::{Binding, Cell, CellState};
use super::change::{Change, Ended};
use super::command::AgentCommand;
use super::error::RegistryError;
use super::identity::Recorded;
use super::load::epoch_place;
use super::machine::MachineStanding;
use super::presence::Presence;
use super::quota::{CheckIns, Kept};
use super::save::{Settlement, send};
use super::staff::Deed;
use qorgan_store::{StoreError, WriteTx};

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

    /// Refuses the same, and a caller of an epoch that is over.
    pub(super) fn authorize_in(
        caller: &Caller,
        state: &CellState,
        epoch: Epoch,
    ) -> Result<(), RegistryError> {
        Self::authorize(caller, state)?;
        if epoch != state.epoch {
            return Err(RegistryError::refuse(
                ProblemCode::OldEpoch,
                "the epoch is over",
            ));
        }
        Ok(())
    }

    /// Refuses a machine other than the one that the attempt is bound to, and files its request to
    /// move.
    pub(super) async fn may_bind(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        if state.binding.is_none_or(|bound| bound == caller.binding()) {
            return Ok(());
        }
        self.ask_to_move(cell, state, caller).await?;
        Err(RegistryError::refuse(
            ProblemCode::BoundElsewhere,
            "the attempt is bound to another machine; a move waits for approval",
        ))
    }

    /// Writes that the attempt is bound to the caller's machine and start of the client; it holds once
    /// it is committed.
    pub(super) async fn write_binding(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        caller: &Caller,
    ) -> Result<Bound, RegistryError> {
        let begun = match state.binding {
            Some(_same) => None,
            None => Some(
                self.write_epoch(&mut change.tx, state, caller.binding())
                    .await?,
            ),
        };
        let epoch = begun.as_ref().map_or(state.epoch, |begun| begun.epoch);
        let taken = state.instance != Some(caller.instance);
        if taken {
            self.take_instance(change, state, (epoch, caller)).await?;
        }
        Ok(Bound {
            epoch,
            begun,
            taken: taken.then_some(caller.instance),
        })
    }

    /// A start of the client takes the attempt; one that it takes it from is told of.
    async fn take_instance(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        (epoch, caller): (Epoch, &Caller),
    ) -> Result<(), RegistryError> {
        let (attempt, at) = (state.facts.attempt.to_string(), self.inner.clock.wall());
        qorgan_store::query("UPDATE attempts SET instance = $2 WHERE id = $1")
            .bind(&attempt)
            .bind(caller.instance.as_slice())
            .execute(&mut *change.tx)
            .await?;
        // Past the bound its row is left out, which an incident says: nobody is locked out by it.
        if self.room(change, Kept::Instances).await? {
            qorgan_store::query(
                "INSERT INTO attempt_instances (institution_id, attempt_id, epoch, instance, at_ms) \
                 VALUES ($1, $2, $3, $4, $5)",
            )
            .bind(self.inner.keys.institution().to_string())
            .bind(&attempt)
            .bind(i64::from(epoch.0))
            .bind(caller.instance.as_slice())
            .bind(at.unix_ms())
            .execute(&mut *change.tx)
            .await?;
        }
        if state.instance.is_none() {
            return Ok(());
        }
        if state.presence.heard_lately(at) {
            let detail = "another client on this machine took the attempt from one that still ran";
            change
                .note_again(IncidentKind::SecondMachine, detail)
                .await?;
        }
        let detail = "another start of the client took the attempt";
        change
            .kiosk_saw(IncidentKind::ClientRestarted, at, detail)
            .await
    }

    /// Files a request to move with its incident, once for each machine.
    async fn ask_to_move(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(), RegistryError> {
        let attempt = state.facts.attempt.to_string();
        let at = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, at).await?;
        let waiting: i64 = qorgan_store::query_scalar(
            "SELECT COUNT(*) FROM move_requests WHERE attempt_id = $1 AND device_key = $2 \
             AND boot = $3 AND decided_ms IS NULL",
        )
        .bind(&attempt)
        .bind(caller.device_key.0.as_slice())
        .bind(caller.boot.0.as_slice())
        .fetch_one(&mut *change.tx)
        .await?;
        if waiting > 0 || state.moves_open >= MOVE_REQUESTS_MAX {
            return Ok(());
        }
        qorgan_store::query(
            "INSERT INTO move_requests (institution_id, attempt_id, device_key, boot, asked_ms) \
             VALUES ($1, $2, $3, $4, $5)",
        )
        .bind(self.inner.keys.institution().to_string())
        .bind(&attempt)
        .bind(caller.device_key.0.as_slice())
        .bind(caller.boot.0.as_slice())
        .bind(at.unix_ms())
        .execute(&mut *change.tx)
        .await?;
        let same = state
            .binding
            .is_some_and(|b| b.device_key == caller.device_key);
        let detail = if same {
            "the same device key after a restart, or a copy of it"
        } else {
            "another device"
        };
        change.note(IncidentKind::SecondMachine, at, detail).await?;
        state.open_incidents = change.commit().await?;
        state.moves_open = state.moves_open.saturating_add(1);
        self.raise(cell, state);
        Ok(())
    }

    /// Returns the move requests of an attempt that wait for a decision, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn moves(&self, attempt: AttemptId) -> Result<Vec<MoveRequest>, RegistryError> {
        let rows = qorgan_store::query(
            "SELECT r.id, r.attempt_id, r.device_key, r.asked_ms, \
             CAST(CASE WHEN r.device_key = a.device_key THEN 1 ELSE 0 END AS BIGINT) AS same \
             FROM move_requests r \
             JOIN attempts a ON a.id = r.attempt_id \
             WHERE r.attempt_id = $1 AND r.decided_ms IS NULL ORDER BY r.id LIMIT $2",
        )
        .bind(attempt.to_string())
        .bind(i64::try_from(MOVE_REQUESTS_MAX).unwrap_or(i64::MAX))
        .fetch_all(self.inner.store.read())
        .await?;
        let mut moves = Vec::with_capacity(rows.len());
        for row in rows {
            let device_key: Vec<u8> = row.get("device_key")?;
            moves.push(MoveRequest {
                id: row.get("id")?,
                attempt: qorgan_store::id(&row.get::<String>("attempt_id")?)?,
                device_key: PublicKey(qorgan_store::array("device key", &device_key)?),
                same_device: row.get("same")?,
                asked: WallTime::from_unix_ms(row.get("asked_ms")?),
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
        let row = qorgan_store::query(
            "SELECT device_key, boot FROM move_requests \
             WHERE id = $1 AND attempt_id = $2 AND decided_ms IS NULL",
        )
        .bind(request)
        .bind(attempt.to_string())
        .fetch_optional(self.inner.store.read())
        .await?
        .ok_or_else(no_such_move)?;
        let binding = Binding {
            device_key: PublicKey(qorgan_store::array(
                "device key",
                &row.get::<Vec<u8>>("device_key")?,
            )?),
            boot: BootId(qorgan_store::array(
                "boot id",
                &row.get::<Vec<u8>>("boot")?,
            )?),
        };
        let decided = (request, by);
        if approved {
            self.move_to(&cell, &mut state, binding, decided).await
        } else {
            self.refuse_move(&cell, &mut state, decided).await
        }
    }

    /// Moves an attempt: the decision with its audit entry, the new epoch, and what the gate makes of
    /// it are one transaction, so that no machine is bound whose items are not covered.
    async fn move_to(
        &self,
        cell: &Cell,
        state: &mut CellState,
        binding: Binding,
        (request, by): (i64, PersonId),
    ) -> Result<(), RegistryError> {
        let at = self.moment();
        let mut gate = state.gate.clone();
        let result = gate.handle(at, GateInput::Moved);
        let settlement = Settlement::of(state, gate, at);
        let mut change = self.begin_settled(state, &settlement).await?;
        decide(&mut change.tx, request, by, true, at.wall).await?;
        // What lasted there ended with it.
        change.all_ended(Ended::Servers, at.wall).await?;
        change.all_ended_as_seen().await?;
        let begun = self.write_epoch(&mut change.tx, state, binding).await?;
        let moved = Recorded {
            epoch: begun.epoch,
            word: "moved",
            reason: None,
            by: Some(by),
        };
        self.record(&mut change, state, moved).await?;
        let deed = Deed {
            by,
            action: "move_approved",
            reason: &format!("request {request}, epoch {}", begun.epoch),
        };
        self.write_deed(&mut change.tx, state.facts.attempt, deed)
            .await?;
        let open = change.commit().await?;
        begun.take_hold(state);
        state.identity_reason = None;
        state.moves_open = state.moves_open.saturating_sub(1);
        self.publish(cell, state, settlement, Some(open));
        send(cell, AgentCommand::Replaced);
        self.raise(cell, state);
        Ok(result?)
    }

    async fn refuse_move(
        &self,
        cell: &Cell,
        state: &mut CellState,
        (request, by): (i64, PersonId),
    ) -> Result<(), RegistryError> {
        let mut tx = self.inner.store.begin().await?;
        decide(&mut tx, request, by, false, self.inner.clock.wall()).await?;
        let deed = Deed {
            by,
            action: "move_refused",
            reason: &format!("request {request}"),
        };
        self.write_deed(&mut tx, state.facts.attempt, deed).await?;
        tx.commit().await.map_err(StoreError::from)?;
        state.moves_open = state.moves_open.saturating_sub(1);
        self.raise(cell, state);
        Ok(())
    }

    /// Writes the next epoch on a machine, and the end of the one before; it holds once its
    /// transaction is committed.
    async fn write_epoch(
        &self,
        tx: &mut WriteTx,
        state: &CellState,
        binding: Binding,
    ) -> Result<Begun, RegistryError> {
        let (attempt, epoch) = (state.facts.attempt, state.epoch.next());
        let at = self.inner.clock.wall();
        end_epoch(tx, attempt, state.epoch, at).await?;
        let freshness_key = SecretKey::generate()?;
        let wrap = |what: &str, key: &SecretKey| {
            self.inner
                .keys
                .wrap(&epoch_place(what, attempt, epoch), key)
        };
        qorgan_store::query(
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
        .execute(&mut **tx)
        .await?;
        qorgan_store::query(
            "UPDATE attempts SET epoch = $2, device_key = $3, boot = $4, instance = NULL, \
             machine = '{}' WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .bind(binding.device_key.0.as_slice())
        .bind(binding.boot.0.as_slice())
        .execute(&mut **tx)
        .await?;
        Ok(Begun {
            epoch,
            binding,
            freshness_key: *freshness_key.expose(),
        })
    }
}

/// A binding that was written and does not hold yet.
pub(super) struct Bound {
    /// The epoch that it is of.
    pub(super) epoch: Epoch,
    begun: Option<Begun>,
    /// The start of the client that took the attempt, where it is another one.
    taken: Option<[u8; 16]>,
}

impl Bound {
    /// Lets it hold, once it is committed.
    pub(super) fn take_hold(self, state: &mut CellState) {
        if let Some(begun) = self.begun {
            begun.take_hold(state);
        }
        if let Some(before) = self.taken.and_then(|taken| state.instance.replace(taken)) {
            state.presence.replace(before);
        }
    }
}

/// An epoch that was written and does not hold yet.
struct Begun {
    epoch: Epoch,
    binding: Binding,
    freshness_key: [u8; 32],
}

impl Begun {
    /// Lets it hold, once it is committed. Another machine is checked and heard anew.
    fn take_hold(self, state: &mut CellState) {
        state.epoch = self.epoch;
        state.binding = Some(self.binding);
        state.instance = None;
        state.machine = MachineStanding::default();
        state.presence = Presence::default();
        state.check_ins = CheckIns::default();
        state.journal_next = 0;
        state.heads.clear();
        state.recorded_us = 0;
        state.backlog = Backlog::default();
        state.freshness_key = Some(self.freshness_key);
    }
}

/// Writes a decision on a request that waits for one.
async fn decide(
    tx: &mut WriteTx,
    request: i64,
    by: PersonId,
    approved: bool,
    at: WallTime,
) -> Result<(), RegistryError> {
    let decided = qorgan_store::query(
        "UPDATE move_requests SET decided_ms = $2, decided_by = $3, approved = $4 \
         WHERE id = $1 AND decided_ms IS NULL",
    )
    .bind(request)
    .bind(at.unix_ms())
    .bind(by.to_string())
    .bind(approved)
    .execute(&mut **tx)
    .await?;
    if decided.rows_affected() == 0 {
        return Err(no_such_move());
    }
    Ok(())
}

fn no_such_move() -> RegistryError {
    RegistryError::refuse(ProblemCode::NotFound, "no such move request")
}

/// Ends an epoch with every token of its agent and of the machine it was bound to.
async fn end_epoch(
    tx: &mut WriteTx,
    attempt: AttemptId,
    epoch: Epoch,
    at: WallTime,
) -> Result<(), StoreError> {
    let (attempt, epoch) = (attempt.to_string(), i64::from(epoch.0));
    qorgan_store::query("UPDATE epochs SET ended_ms = $3 WHERE attempt_id = $1 AND epoch = $2")
        .bind(&attempt)
        .bind(epoch)
        .bind(at.unix_ms())
        .execute(&mut **tx)
        .await?;
    qorgan_store::query(
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
