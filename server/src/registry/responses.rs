//! Responses: stored once, in order, sealed; receipts are signed.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use qorgan_protocol::assessment::ResponseEntry;
use qorgan_protocol::attempt::{Arrival, AttemptPhase, GateInput, ResponseMark};
use qorgan_protocol::codec;
use qorgan_protocol::crypto::{Hasher as _, Sha256};
use qorgan_protocol::ids::{AttemptId, Epoch, ItemId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::limits::RESPONSES_MAX;
use qorgan_protocol::time::{Now, WallTime, millis};
use qorgan_protocol::wire::{AcceptedResponses, ProblemCode, ResponsesRequest, SignedHex};
use qorgan_signing::Ring;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::{Change, SERVER};
use super::error::RegistryError;
use super::sealing::refuse_while_sealing;
use super::submission::{Standing, late_delivery, out_of_order, signed};
use qorgan_store::list;

/// An entry that was read, with its canonical bytes.
struct Parsed {
    entry: ResponseEntry,
    bytes: Vec<u8>,
    hash: Sha256,
}

/// A new entry, with what the server's record of leases says of its arrival.
struct Arrived {
    parsed: Parsed,
    arrival: Arrival,
    at: WallTime,
}

impl Registry {
    /// Stores responses, idempotent by (attempt, epoch, seq), and signs for them. Each is marked by
    /// the server's own record of leases; what arrives in time confirms all before it in the chain.
    ///
    /// # Errors
    /// `OldEpoch`, `OutOfOrder` with the expected place, `WrongPhase` after the end, `TooLate` once
    /// the recording is being sealed, `BadRequest` for entries that are not canonical, not of this
    /// attempt or do not fit their item, `TooMany` for more than a person can give.
    pub async fn responses(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        request: &ResponsesRequest,
    ) -> Result<AcceptedResponses, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize_in(caller, &state, request.epoch)?;
        if request.entries.len() > RESPONSES_MAX {
            return Err(RegistryError::refuse(ProblemCode::TooLarge, "entries"));
        }
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        let parsed = parse(&state, request)?;
        let head = self.journal_head(attempt, state.epoch).await?;
        let told = parsed.last().map(|parsed| parsed.entry.seq.0);
        let fresh = self.fresh_entries(&state, parsed, head).await?;
        if state.sealing && told.is_none() {
            // Only what the manifest holds is receipted from here on.
            refuse_while_sealing(&state)?;
        }
        if !fresh.is_empty() {
            self.may_respond(&state).await?;
            self.check_fit(&state, &fresh).await?;
        }
        let arrived = self.judge(&state, fresh);
        let receipt = self
            .take_arrived(&cell, &mut state, &arrived, (told, head))
            .await?;
        Ok(AcceptedResponses { receipt })
    }

    /// Stores what arrived with what it confirms, its incident and its receipt, in one transaction.
    async fn take_arrived(
        &self,
        cell: &Cell,
        state: &mut CellState,
        arrived: &[Arrived],
        (told, head): (Option<u64>, Sha256),
    ) -> Result<SignedHex, RegistryError> {
        let wall = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, wall).await?;
        for one in arrived {
            self.write_entry(&mut change, state, one).await?;
        }
        let noted = self.note_late(&mut change, state, arrived).await?;
        if let Some(told) = told {
            self.confirm(&mut change, state, told).await?;
        }
        let count = u64::try_from(arrived.len()).unwrap_or(u64::MAX);
        let standing = Standing {
            next: state.journal_next.saturating_add(count),
            head: arrived.last().map_or(head, |last| last.parsed.hash),
            submitted: false,
        };
        let receipt = self.receipt(&mut change, state, standing).await?;
        state.open_incidents = change.commit().await?;
        state.journal_next = standing.next;
        state.late_noted = noted.or(state.late_noted);
        if !arrived.is_empty() {
            self.raise(cell, state);
        }
        Ok(receipt)
    }

    /// Marks new entries by the server's own record of leases.
    fn judge(&self, state: &CellState, fresh: Vec<Parsed>) -> Vec<Arrived> {
        let (now, at) = (self.inner.clock.now(), self.inner.clock.wall());
        let over = ended(state.gate.phase());
        let judged = fresh.into_iter().map(|parsed| Arrived {
            arrival: (state.leases).judge(now, at, parsed.entry.lease_left_ms, over),
            parsed,
            at,
        });
        judged.collect()
    }

    /// Drops entries that are stored already, and refuses what does not follow.
    async fn fresh_entries(
        &self,
        state: &CellState,
        parsed: Vec<Parsed>,
        head: Sha256,
    ) -> Result<Vec<Parsed>, RegistryError> {
        let is_known = |one: &Parsed| one.entry.seq.0 < state.journal_next;
        let (known, rest): (Vec<_>, Vec<_>) = parsed.into_iter().partition(is_known);
        self.same_as_stored(state, &known).await?;
        let (mut next, mut head) = (state.journal_next, head);
        for entry in &rest {
            if entry.entry.seq.0 != next || entry.entry.previous != head {
                return Err(out_of_order(next));
            }
            next = next.saturating_add(1);
            head = entry.hash;
        }
        Ok(rest)
    }

    /// Refuses entries that are stored with other content, in one query for all of them.
    async fn same_as_stored(
        &self,
        state: &CellState,
        entries: &[Parsed],
    ) -> Result<(), RegistryError> {
        if entries.is_empty() {
            return Ok(());
        }
        let seqs: Vec<i64> = entries.iter().map(|one| signed(one.entry.seq.0)).collect();
        let rows: Vec<(i64, Vec<u8>)> = qorgan_store::query_as(
            "SELECT seq, hash FROM responses WHERE attempt_id = $1 AND epoch = $2 \
             AND seq IN (SELECT CAST(value AS BIGINT) FROM json_each($3))",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(list("entries", &seqs)?)
        .fetch_all(self.inner.store.read())
        .await?;
        let stored: BTreeMap<i64, Vec<u8>> = rows.into_iter().collect();
        for entry in entries {
            let seq = entry.entry.seq.0;
            let hash = stored.get(&signed(seq)).map(Vec::as_slice);
            if hash != Some(entry.hash.0.as_slice()) {
                return Err(RegistryError::refuse(
                    ProblemCode::OutOfOrder,
                    format!("entry {seq} was stored with other content"),
                ));
            }
        }
        Ok(())
    }

    /// Refuses new responses outside Running, Paused and the late delivery after the end.
    async fn may_respond(&self, state: &CellState) -> Result<(), RegistryError> {
        let over = || RegistryError::refuse(ProblemCode::WrongPhase, "the attempt is over");
        refuse_while_sealing(state)?;
        if state.journal_next >= ENTRIES_MAX {
            return Err(self.too_many_entries(state).await?);
        }
        match state.gate.phase() {
            AttemptPhase::Running { .. } | AttemptPhase::Paused { .. } => Ok(()),
            AttemptPhase::Submitted { since } | AttemptPhase::Terminated { since, .. } => {
                let in_time = self.inner.clock.wall().since(since) <= late_delivery(state);
                if in_time && !self.candidate_submitted(state).await? {
                    Ok(())
                } else {
                    Err(over())
                }
            }
            AttemptPhase::Scheduled | AttemptPhase::CheckIn { .. } | AttemptPhase::Ready { .. } => {
                Err(RegistryError::refuse(
                    ProblemCode::WrongPhase,
                    "the attempt has not started",
                ))
            }
            AttemptPhase::Sealed { .. } | AttemptPhase::Void { .. } => Err(over()),
        }
    }

    /// Has a person told, once an epoch, that no more responses are kept; returns the refusal.
    async fn too_many_entries(&self, state: &CellState) -> Result<RegistryError, RegistryError> {
        let kind = IncidentKind::NotWatched;
        let detail = "more responses were sent than are kept";
        let told = (self.inner.clock.wall(), detail);
        self.fact(state, SERVER, (kind, kind.default_severity()), told)
            .await?;
        let detail = format!("{ENTRIES_MAX} responses are kept; call the proctor");
        Ok(RegistryError::slow_down(detail, TOO_MANY_WAIT))
    }

    /// Refuses what does not fit its item, in one query for all of them.
    async fn check_fit(&self, state: &CellState, fresh: &[Parsed]) -> Result<(), RegistryError> {
        let wanted: BTreeSet<ItemId> = fresh.iter().map(|parsed| parsed.entry.item).collect();
        let items = self.items_by_id(state, &wanted).await?;
        for parsed in fresh {
            let entry = &parsed.entry;
            let item = items.get(&entry.item);
            if item.is_none_or(|item| !entry.response.fits(&item.interaction)) {
                let detail = format!("entry {} does not fit its item", entry.seq.0);
                return Err(RegistryError::refuse(ProblemCode::BadRequest, detail));
            }
        }
        Ok(())
    }

    async fn write_entry(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        arrived: &Arrived,
    ) -> Result<(), RegistryError> {
        let entry = &arrived.parsed.entry;
        let place = stored_place(entry.attempt, entry.epoch, entry.seq.0);
        let sealed = state.key.seal(place.as_bytes(), &arrived.parsed.bytes)?;
        qorgan_store::query(
            "INSERT INTO responses (attempt_id, epoch, seq, institution_id, item_id, sealed, hash, \
             lease_left_ms, after_lease, received_ms, received_phase, mark, late_ms) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
        )
        .bind(entry.attempt.to_string())
        .bind(i64::from(entry.epoch.0))
        .bind(signed(entry.seq.0))
        .bind(self.inner.keys.institution().to_string())
        .bind(entry.item.to_string())
        .bind(sealed)
        .bind(arrived.parsed.hash.0.as_slice())
        .bind(entry.lease_left_ms)
        .bind(entry.lease_left_ms < 0)
        .bind(arrived.at.unix_ms())
        .bind(state.gate.phase().word())
        .bind(arrived.arrival.mark.word())
        .bind(arrived.arrival.late.map(millis))
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }

    /// Notes that responses came late: each is kept, listed in the review, and counts by a person's
    /// decision unless its chain is confirmed. Noted once a minute, however many come; returns when.
    async fn note_late(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        arrived: &[Arrived],
    ) -> Result<Option<Now>, RegistryError> {
        let late = arrived
            .iter()
            .filter(|one| one.arrival.mark != ResponseMark::InTime);
        let most = late.clone().filter_map(|one| one.arrival.late).max();
        let (late, now) = (late.count(), self.inner.clock.now());
        let noted = state.late_noted.is_some_and(|at| now.since(at) < NOTE_GAP);
        if late == 0 || noted {
            return Ok(None);
        }
        let upto = most.map_or_else(String::new, |most| {
            format!(", up to {} s after a lease", most.as_secs())
        });
        let detail = format!("{late} delivered after the cover{upto}");
        let at = self.inner.clock.wall();
        change
            .note(IncidentKind::LateResponses, at, &detail)
            .await?;
        Ok(Some(now))
    }
}

/// Returns the additional data under which a response is sealed: the one place that spells it.
#[must_use]
pub fn stored_place(attempt: AttemptId, epoch: Epoch, seq: u64) -> String {
    format!("response:{attempt}:{epoch}:{seq}")
}

const fn ended(phase: AttemptPhase) -> bool {
    match phase {
        AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => true,
        AttemptPhase::Scheduled
        | AttemptPhase::CheckIn { .. }
        | AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. } => false,
    }
}

fn parse(state: &CellState, request: &ResponsesRequest) -> Result<Vec<Parsed>, RegistryError> {
    let mut parsed = Vec::with_capacity(request.entries.len());
    for (index, bytes) in request.entries.iter().enumerate() {
        let bad = |why: &str| {
            RegistryError::refuse(ProblemCode::BadRequest, format!("entries[{index}] {why}"))
        };
        let entry: ResponseEntry =
            codec::decode("response entry", &bytes.0).map_err(|error| bad(&error.to_string()))?;
        if entry.attempt != state.facts.attempt || entry.epoch != request.epoch {
            return Err(bad("belongs to another attempt or epoch"));
        }
        parsed.push(Parsed {
            hash: Ring.sha256(&[&bytes.0]),
            bytes: bytes.0.clone(),
            entry,
        });
    }
    Ok(parsed)
}

/// More entries in one epoch than a person can give: four and a half a second for three hours.
const ENTRIES_MAX: u64 = 50_000;
/// How long a client whose responses are too many waits before it asks again.
const TOO_MANY_WAIT: Duration = Duration::from_secs(60);
/// Late responses are noted as an incident this often at most.
const NOTE_GAP: Duration = Duration::from_secs(60);
