//! Content: only under a lease, one item a time.

use qorgan_protocol::assessment::{AssessmentItem, ItemPage};
use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::ids::{AttemptId, ExamId, PictureId, TestId};
use qorgan_protocol::wire::{ItemList, ItemSlot, ProblemCode};

use super::Registry;
use super::binding::Caller;
use super::cell::CellState;
use super::error::RegistryError;
use crate::store::content;

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

    /// Returns one item, without its key.
    ///
    /// # Errors
    /// `Covered` without a lease, `NotFound`, or the caller is not bound.
    pub async fn item(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        position: u16,
    ) -> Result<ItemPage, RegistryError> {
        let (exam, test) = self.leased_test(attempt, caller).await?;
        let item = content::item(&self.inner.store, &self.inner.keys, exam, test, position)
            .await?
            .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such item"))?;
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

    /// Returns the item of the attempt's test that an identifier names, with its key.
    pub(super) async fn item_by_id(
        &self,
        state: &CellState,
        item: qorgan_protocol::ids::ItemId,
    ) -> Result<Option<AssessmentItem>, RegistryError> {
        let Some(test) = state.test else {
            return Ok(None);
        };
        let (store, keys, exam) = (&self.inner.store, &self.inner.keys, state.facts.exam);
        Ok(content::item_by_id(store, keys, exam, test, item).await?)
    }

    /// Refuses without a lease; every way to content goes through here.
    //= tests/data/sop-2-28.md#10-start-gate
    pub(super) async fn leased_test(
        &self,
        attempt: AttemptId,
        caller: &Caller,
    ) -> Result<(ExamId, TestId), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        self.input_locked(&cell, &mut state, GateInput::Contact)
            .await?;
        if state.gate.lease(self.inner.clock.now()).is_none() {
            return Err(refusal(&state));
        }
        let test = state
            .test
            .ok_or_else(|| RegistryError::refuse(ProblemCode::WrongPhase, "check in first"))?;
        Ok((state.facts.exam, test))
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
