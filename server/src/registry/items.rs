//! Content: only under a lease, one item a time.

use std::collections::{BTreeMap, BTreeSet};

use qorgan_protocol::assessment::{AssessmentItem, ItemPage};
use qorgan_protocol::attempt::{AttemptPhase, ContentLease, GateInput};
use qorgan_protocol::ids::{AttemptId, ExamId, ItemId, PictureId, TestId};
use qorgan_protocol::wire::{ItemList, ItemSlot, ProblemCode};

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::error::RegistryError;
use qorgan_store::content;

impl Registry {
    /// Returns every item's place.
    ///
    /// # Errors
    /// `Covered` without a lease, or the caller is not bound.
    pub async fn items(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<ItemList, RegistryError> {
        let (_exam, test) = self.leased_test(attempt, caller).await?;
        let items = content::slots(&self.inner.store, test).await?;
        let items = items
            .into_iter()
            .map(|(position, id)| ItemSlot { id, position })
            .collect();
        Ok(ItemList { items })
    }

    /// Returns one item, without its key. Items leave at a reader's pace, and that this one left is on
    /// record before it does.
    ///
    /// # Errors
    /// `Covered` without a lease, `TooMany` with the time to wait for a new item, `NotFound`, or the
    /// caller is not bound.
    pub async fn item(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        position: u16,
    ) -> Result<ItemPage, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let (lease, test) = self.leased(&cell, &mut state, caller).await?;
        let exam = state.facts.exam;
        let item = content::item(&self.inner.store, &self.inner.keys, exam, test, position)
            .await?
            .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such item"))?;
        let mut pace = state.pace.clone();
        if let Err(wait) = pace.open(self.inner.clock.now(), position) {
            let detail = format!("a new item opens in {} ms", wait.as_millis());
            return Err(RegistryError::slow_down(detail, wait));
        }
        self.write_fetch(&state, lease, (position, item.id)).await?;
        state.pace = pace;
        drop(state);
        let of = content::slots(&self.inner.store, test).await?.len();
        Ok(item.page(position, u16::try_from(of).unwrap_or(u16::MAX)))
    }

    /// Returns a picture's media type and bytes.
    ///
    /// # Errors
    /// `Covered` without a lease, `NotFound`, or the caller is not bound.
    pub async fn picture(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        picture: PictureId,
    ) -> Result<(String, Vec<u8>), RegistryError> {
        let (exam, test) = self.leased_test(attempt, caller).await?;
        content::picture(&self.inner.store, &self.inner.keys, exam, test, picture)
            .await?
            .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such picture"))
    }

    /// Returns those items of the attempt's test that are named, with their keys.
    pub(super) async fn items_by_id(
        &self,
        state: &CellState,
        wanted: &BTreeSet<ItemId>,
    ) -> Result<BTreeMap<ItemId, AssessmentItem>, RegistryError> {
        let Some(test) = state.test else {
            return Ok(BTreeMap::new());
        };
        let (store, keys, exam) = (&self.inner.store, &self.inner.keys, state.facts.exam);
        Ok(content::items_by_id(store, keys, (exam, test), wanted).await?)
    }

    /// Returns exam and test, under a lease.
    pub(super) async fn leased_test(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<(ExamId, TestId), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let (_lease, test) = self.leased(&cell, &mut state, caller).await?;
        Ok((state.facts.exam, test))
    }

    /// Refuses without a lease; every way to content goes through here.
    //= tests/data/sop-2-28.md#10-start-gate
    async fn leased(
        &self,
        cell: &Cell,
        state: &mut CellState,
        caller: &Caller,
    ) -> Result<(ContentLease, TestId), RegistryError> {
        Self::authorize(caller, state)?;
        self.input_locked(cell, state, GateInput::Contact).await?;
        let Some(lease) = state.gate.lease(self.inner.clock.now()) else {
            return Err(refusal(state));
        };
        let test = state
            .test
            .ok_or_else(|| RegistryError::refuse(ProblemCode::WrongPhase, "check in first"))?;
        Ok((lease, test))
    }

    /// Notes who got which item when, and under which lease.
    async fn write_fetch(
        &self,
        state: &CellState,
        lease: ContentLease,
        (position, item): (u16, ItemId),
    ) -> Result<(), RegistryError> {
        let at = self.inner.clock.wall();
        let ends = at.after(lease.left(self.inner.clock.now()));
        let mut tx = self.inner.store.begin().await?;
        qorgan_store::query(
            "INSERT INTO item_fetches (attempt_id, epoch, position, minute, institution_id, \
             person_id, item_id, at_ms, lease_ends_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
             ON CONFLICT (attempt_id, epoch, position, minute) \
             DO UPDATE SET fetches = item_fetches.fetches + 1",
        )
        .bind(state.facts.attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(i64::from(position))
        .bind(at.unix_ms().div_euclid(60_000))
        .bind(self.inner.keys.institution().to_string())
        .bind(state.facts.person.to_string())
        .bind(item.to_string())
        .bind(at.unix_ms())
        .bind(ends.unix_ms())
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }
}

fn refusal(state: &CellState) -> RegistryError {
    match state.gate.phase() {
        AttemptPhase::Running { .. } => RegistryError::covered(None),
        AttemptPhase::Paused { cause, .. } => RegistryError::covered(Some(cause)),
        AttemptPhase::Scheduled | AttemptPhase::CheckIn { .. } | AttemptPhase::Ready { .. } => {
            RegistryError::refuse(ProblemCode::GateClosed, "the attempt has not started")
        }
        AttemptPhase::Submitted { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Terminated { .. }
        | AttemptPhase::Void { .. } => {
            RegistryError::refuse(ProblemCode::WrongPhase, "the attempt is over")
        }
    }
}
