//! What ingest tells: only what it has verified.

use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::evidence::{BeatBody, ChunkHeader, Head, StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, BootId, Epoch};
use qorgan_protocol::link::{RefusalReason, SourceStatement};
use qorgan_protocol::time::Now;
use qorgan_signing::{Ring, freshness_code};

use super::Registry;
use super::cell::CellState;
use super::error::RegistryError;
use super::save::Settlement;

/// The code that the recorded screen must show now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreshnessExpected {
    /// The code's text.
    pub code: String,
    /// When it was asked for.
    pub asked: Now,
}

impl Registry {
    /// Says whether an agent's link may be taken up: the epoch and kernel are the ones bound, and
    /// the attempt is in a phase that records, or whose recording is still being delivered.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn link_allowed(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        boot: BootId,
    ) -> Result<Result<(), RefusalReason>, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Ok(link_refusal(&state, epoch, boot).map_or(Ok(()), Err))
    }

    /// The agent's hello is believed. Its sources count from their next statement on.
    ///
    /// # Errors
    /// The reason why the link is refused, `NotFound`, or the database failed.
    pub async fn link_up(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        boot: BootId,
    ) -> Result<Result<(), RefusalReason>, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if let Some(reason) = link_refusal(&state, epoch, boot) {
            return Ok(Err(reason));
        }
        state.backlog.link_up();
        self.input_locked(&cell, &mut state, GateInput::LinkUp)
            .await?;
        let statements = self.stored_statements(attempt, epoch).await?;
        self.input_locked(&cell, &mut state, GateInput::Stated(statements))
            .await?;
        Ok(Ok(()))
    }

    /// The agent says what its clock showed when it had the welcome, which was sent at `said.0`.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn link_clock(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        said: (Now, Now),
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if epoch == state.epoch {
            state.backlog.clock(said.0, said.1);
        }
        Ok(())
    }

    /// The agent's link is gone; that of an old epoch changes nothing.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn link_down(&self, attempt: AttemptId, epoch: Epoch) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if epoch != state.epoch {
            return Ok(());
        }
        self.input_locked(&cell, &mut state, GateInput::LinkDown)
            .await
    }

    /// Takes the agent's signed statements of what feeds its sources; those of an old epoch change
    /// nothing.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn sources(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        statements: Vec<SourceStatement>,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        // The manifest being signed would not hold what changes now.
        if epoch != state.epoch || state.sealing {
            return Ok(());
        }
        let text = serde_json::to_string(&statements).map_err(|source| {
            qorgan_store::StoreError::Json {
                what: "source statement",
                source,
            }
        })?;
        let at = self.moment();
        let mut gate = state.gate.clone();
        let result = gate.handle(at, GateInput::Stated(statements));
        let settlement = Settlement::of(&state, gate, at);
        let mut change = self.begin_settled(&state, &settlement).await?;
        qorgan_store::query(
            "UPDATE epochs SET statements = $3 WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(attempt.to_string())
        .bind(i64::from(state.epoch.0))
        .bind(text)
        .execute(&mut *change.tx)
        .await?;
        let open = change.commit().await?;
        self.publish(&cell, &mut state, settlement, Some(open));
        Ok(result?)
    }

    /// Tells the newest stored chunk of each stream when a link goes on, so that beats over a still
    /// screen can be believed.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn heads_stored(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
        heads: &[Head],
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if epoch != state.epoch {
            return Ok(());
        }
        for head in heads {
            state.heads.insert(head.stream, head.header);
        }
        Ok(())
    }

    /// A chunk was verified and stored; `has_audio` and `has_video` say what its samples are.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    #[expect(
        clippy::fn_params_excessive_bools,
        reason = "a chunk has sound, a picture, both or neither"
    )]
    pub async fn chunk_seen(
        &self,
        attempt: AttemptId,
        header: &ChunkHeader,
        has_audio: bool,
        has_video: bool,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if header.epoch != state.epoch || header.attempt != attempt {
            return Ok(());
        }
        state.heads.insert(header.stream, header.hash(&Ring)?);
        let end_us = header.start_us.saturating_add(header.duration_us);
        state.recorded_us = state.recorded_us.max(end_us);
        if !state.backlog.caught_up() {
            return Ok(());
        }
        for source in sources_of(header.stream, (has_audio, has_video)) {
            self.input_locked(&cell, &mut state, GateInput::Media(source))
                .await?;
        }
        Ok(())
    }

    /// A beat was verified and stored; one that waited in the agent's spool makes nothing live.
    /// Tells whether the link must be made anew, for the agent's clock left the one that it told.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn beat_seen(
        &self,
        attempt: AttemptId,
        beat: &BeatBody,
    ) -> Result<bool, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let now = self.inner.clock.now();
        if beat.epoch != state.epoch || !state.backlog.beat(now, beat.monotonic) {
            return Ok(beat.epoch == state.epoch && state.backlog.asks_again());
        }
        let current = beat
            .heads
            .iter()
            .filter(|head| state.heads.get(&head.stream) == Some(&head.header))
            .map(|head| head.stream)
            .collect();
        let input = GateInput::Beat {
            health: beat.sources.clone(),
            current,
        };
        self.input_locked(&cell, &mut state, input).await?;
        Ok(false)
    }

    /// Returns the code that the recorded screen must show now; `None` while none is asked for.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn freshness_expected(
        &self,
        attempt: AttemptId,
    ) -> Result<Option<FreshnessExpected>, RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Ok(expected(&state))
    }

    /// A code was decoded from a recorded picture. Tells whether it is the one asked for.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn freshness_found(
        &self,
        attempt: AttemptId,
        code: &str,
    ) -> Result<bool, RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        if expected(&state).is_none_or(|expected| expected.code != code) {
            return Ok(false);
        }
        self.input_locked(&cell, &mut state, GateInput::CodeFound)
            .await?;
        Ok(true)
    }

    /// The manifest was signed and stored.
    ///
    /// # Errors
    /// `WrongPhase` before the attempt was submitted or terminated, `NotFound`, or the database
    /// failed.
    pub async fn sealed(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        self.input(attempt, GateInput::Seal).await
    }

    /// Returns where an attempt stands and which epoch holds.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn standing(
        &self,
        attempt: AttemptId,
    ) -> Result<(AttemptPhase, Epoch), RegistryError> {
        let cell = self.cell(attempt).await?;
        let state = cell.state.lock().await;
        Ok((state.gate.phase(), state.epoch))
    }

    async fn stored_statements(
        &self,
        attempt: AttemptId,
        epoch: Epoch,
    ) -> Result<Vec<SourceStatement>, RegistryError> {
        let text: Option<String> = qorgan_store::query_scalar(
            "SELECT statements FROM epochs WHERE attempt_id = $1 AND epoch = $2",
        )
        .bind(attempt.to_string())
        .bind(i64::from(epoch.0))
        .fetch_optional(self.inner.store.read())
        .await?;
        let text = text.as_deref().unwrap_or("[]");
        Ok(qorgan_store::json("source statement", text)?)
    }
}

fn expected(state: &CellState) -> Option<FreshnessExpected> {
    let asked = state.gate.asked_code()?;
    let key = state.freshness_key.as_ref()?;
    Some(FreshnessExpected {
        code: freshness_code(key, &asked.nonce, state.facts.attempt, state.epoch),
        asked: asked.asked,
    })
}

fn link_refusal(state: &CellState, epoch: Epoch, boot: BootId) -> Option<RefusalReason> {
    if epoch != state.epoch || state.binding.is_none_or(|bound| bound.boot != boot) {
        return Some(RefusalReason::OldEpoch);
    }
    match state.gate.phase() {
        AttemptPhase::CheckIn { tasks, .. } if tasks.consent => None,
        AttemptPhase::Ready { .. }
        | AttemptPhase::Running { .. }
        | AttemptPhase::Paused { .. }
        | AttemptPhase::Submitted { .. }
        | AttemptPhase::Terminated { .. } => None,
        AttemptPhase::Scheduled
        | AttemptPhase::CheckIn { .. }
        | AttemptPhase::Sealed { .. }
        | AttemptPhase::Void { .. } => Some(RefusalReason::WrongPhase),
    }
}

/// Returns the sources that a chunk's samples show: a camera's track carries its microphone.
fn sources_of(stream: StreamId, (has_audio, has_video): (bool, bool)) -> Vec<StreamId> {
    let microphone = StreamId {
        kind: StreamKind::Microphone,
        index: stream.index,
    };
    let (own, heard) = match stream.kind {
        StreamKind::Camera => (has_video, has_audio),
        StreamKind::Microphone => (has_audio, false),
        StreamKind::Screen => (has_video, false),
        StreamKind::Events => (false, false),
    };
    let own = own.then_some(stream);
    own.into_iter().chain(heard.then_some(microphone)).collect()
}
