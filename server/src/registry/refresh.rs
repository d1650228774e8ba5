//! What an office changes about an admission reaches the attempts in memory, whichever process or
//! page wrote it.
//!
//! # Invariants
//! * A check-in and a start are decided by what stands in the database at that moment.
//! * Extra time that changes is neither lost nor counted twice over a restart: it stands with the
//!   admission alone.

use std::time::Duration;

use qorgan_protocol::attempt::{GateInput, Moment, StartGate};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::{Allowance, WatchPolicy};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{Accommodation, MessageFrom};
use qorgan_store::Row;

use super::Registry;
use super::cell::{Cell, CellState};
use super::error::RegistryError;
use super::save::Settlement;
use crate::console::Language;
use qorgan_store::StoreError;

/// Reads what an office says of attempts.
macro_rules! said_sql {
    ($which:literal) => {
        concat!(
            "SELECT a.id, a.watch, s.opens_ms, s.closes_ms, d.admitted, d.reason, \
             d.extra_minutes, d.accessibility, d.allowances \
             FROM attempts a JOIN sittings s ON s.id = a.sitting_id LEFT JOIN admissions d \
             ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id WHERE ",
            $which
        )
    };
}

/// What an office says of one attempt now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AdmissionFacts {
    pub(super) opens: WallTime,
    pub(super) closes: WallTime,
    pub(super) admitted: bool,
    pub(super) reason: String,
    pub(super) accommodation: Accommodation,
    /// Whether what is watched for was fixed by a check-in.
    fixed: bool,
}

impl AdmissionFacts {
    /// Reads them from a row of `said_sql` or of a whole attempt.
    pub(super) fn read(row: &Row) -> Result<Self, RegistryError> {
        let extra: Option<i64> = row.get("extra_minutes")?;
        let granted: Option<String> = row.get("allowances")?;
        let allowances: Vec<Allowance> =
            qorgan_store::json("allowances", granted.as_deref().unwrap_or("[]"))?;
        let admitted: Option<bool> = row.get("admitted")?;
        let reason: Option<String> = row.get("reason")?;
        let accessibility: Option<bool> = row.get("accessibility")?;
        let fixed: Option<String> = row.get("watch")?;
        Ok(Self {
            opens: WallTime::from_unix_ms(row.get("opens_ms")?),
            closes: WallTime::from_unix_ms(row.get("closes_ms")?),
            admitted: admitted.unwrap_or(false),
            reason: reason.unwrap_or_default(),
            accommodation: Accommodation {
                extra_minutes: match extra {
                    Some(minutes) => u16::try_from(minutes)
                        .map_err(|_wide| StoreError::Corrupt { what: "extra time" })?,
                    None => 0,
                },
                accessibility: accessibility.unwrap_or(false),
                allowances,
            },
            fixed: fixed.is_some(),
        })
    }
}

impl Registry {
    /// Reads anew what the office says of an attempt whose cell is locked.
    pub(super) async fn refresh(
        &self,
        cell: &Cell,
        state: &mut CellState,
    ) -> Result<(), RegistryError> {
        let row = qorgan_store::query(said_sql!("a.id = $1"))
            .bind(state.facts.attempt.to_string())
            .fetch_one(self.inner.store.read())
            .await?;
        self.take_said(cell, state, AdmissionFacts::read(&row)?)
            .await
    }

    /// Returns the number of the newest change of an admission.
    pub(super) async fn admissions_version(&self) -> Result<i64, RegistryError> {
        let version: Option<i64> =
            qorgan_store::query_scalar("SELECT MAX(version) FROM admission_versions")
                .fetch_one(self.inner.store.read())
                .await?;
        Ok(version.unwrap_or_default())
    }

    /// Brings every attempt in memory up to date whose admission changed after `seen`, in one query;
    /// returns the number of the newest change before it.
    ///
    /// An attempt that was being read while its admission changed is not in memory yet: whoever calls
    /// again with the number before the last finds it then.
    pub(super) async fn refresh_changed(&self, seen: i64) -> Result<i64, RegistryError> {
        let newest = self.admissions_version().await?;
        if newest <= seen {
            return Ok(newest);
        }
        let rows = qorgan_store::query(said_sql!("d.version > $1"))
            .bind(seen)
            .fetch_all(self.inner.store.read())
            .await?;
        for row in rows {
            if let Err(error) = self.refresh_row(&row).await {
                // One attempt that cannot be read or stored keeps no other from its change.
                let attempt = row.get::<String>("id").unwrap_or_default();
                tracing::error!(attempt, %error, "A changed admission was not taken over");
            }
        }
        Ok(newest)
    }

    async fn refresh_row(&self, row: &Row) -> Result<(), RegistryError> {
        let id: String = row.get("id")?;
        let attempt: AttemptId = qorgan_store::id(&id)?;
        let Some(cell) = self.cells().get(&attempt).map(std::sync::Arc::clone) else {
            return Ok(());
        };
        let mut state = cell.state.lock().await;
        self.take_said(&cell, &mut state, AdmissionFacts::read(row)?)
            .await
    }

    async fn take_said(
        &self,
        cell: &Cell,
        state: &mut CellState,
        said: AdmissionFacts,
    ) -> Result<(), RegistryError> {
        let before = state.facts.accommodation.extra_minutes;
        let now = said.accommodation.extra_minutes;
        let kept = state.facts.clone();
        take(state, said);
        if now == before {
            return Ok(());
        }
        let saved = state.saved;
        let at = self.moment();
        let gate = give(state, at, before, now);
        let language = Language::from_code(&state.language).unwrap_or_default();
        let text = language.fill("extra-time-told", &[("n", now.to_string())]);
        if let Err(error) = self.settle_telling(cell, state, (gate, at), &text).await {
            // Nothing is stored: whoever reads the admission again gives it then.
            state.saved = saved;
            state.facts = kept;
            return Err(error);
        }
        tracing::info!(attempt = %state.facts.attempt, before, now, "Extra time changed");
        Ok(())
    }

    /// Settles what an office changed, with what the candidate is told of it.
    async fn settle_telling(
        &self,
        cell: &Cell,
        state: &mut CellState,
        (gate, at): (StartGate, Moment),
        text: &str,
    ) -> Result<(), RegistryError> {
        let settlement = Settlement::of(state, gate, at);
        let mut change = self.begin_settled(state, &settlement).await?;
        let from = (MessageFrom::Proctor, None);
        self.write_message(&mut change, state, from, text).await?;
        let open = change.commit().await?;
        self.publish(cell, state, settlement, Some(open));
        self.message_stored(cell, state);
        Ok(())
    }
}

fn take(state: &mut CellState, said: AdmissionFacts) {
    let facts = &mut state.facts;
    facts.opens = said.opens;
    facts.closes = said.closes;
    facts.admitted = said.admitted;
    facts.reason = said.reason;
    let accommodation = &mut facts.accommodation;
    accommodation.extra_minutes = said.accommodation.extra_minutes;
    accommodation.accessibility = said.accommodation.accessibility;
    if !said.fixed {
        // What is told before consent is fixed at check-in.
        let usual: WatchPolicy = state.gate.policy().watch.clone();
        facts.watch = usual.granting(&said.accommodation.allowances);
        accommodation.allowances = said.accommodation.allowances;
    }
}

/// Returns the gate with the difference of extra time given or taken. What is saved moves with it, for
/// the admission holds it already.
fn give(state: &mut CellState, at: Moment, before: u16, now: u16) -> StartGate {
    let minutes = |minutes: u16| Duration::from_secs(u64::from(minutes) * 60);
    let (input, saved) = if now > before {
        let more = minutes(now - before);
        (
            GateInput::ExtraTime(more),
            state.saved.allowed.saturating_add(more),
        )
    } else {
        let less = minutes(before - now);
        (
            GateInput::LessTime(less),
            state.saved.allowed.saturating_sub(less),
        )
    };
    state.saved.allowed = saved;
    let mut gate = state.gate.clone();
    if let Err(error) = gate.handle(at, input) {
        let attempt = state.facts.attempt;
        tracing::error!(%attempt, %error, "The gate took no change of extra time");
    }
    gate
}

/// A database that fails is told by whoever asks next.
pub(super) fn told(result: Result<i64, RegistryError>, seen: i64) -> i64 {
    result.unwrap_or_else(|error| {
        tracing::error!(%error, "Changes of admissions could not be read");
        seen
    })
}
