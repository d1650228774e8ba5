//! The rest of what a candidate does: exams, messages, hand.

use qorgan_protocol::attempt::{AttemptPhase, GatePolicy};
use qorgan_protocol::ids::{AttemptId, MessageId, PersonId};
use qorgan_protocol::limits::MESSAGE_CHARS_MAX;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{ExamCard, ExamState, MessageFrom, ProblemCode};
use qorgan_store::Row;

use super::Registry;
use super::binding::Caller;
use super::cell::{Cell, CellState};
use super::change::Change;
use super::error::RegistryError;
use super::load::unsigned;
use super::quota::Kept;

const CARDS_SQL: &str = "SELECT a.id, a.phase, a.extra_ms, s.opens_ms, s.closes_ms, s.duration_ms, \
    s.policy, e.title, e.discipline, d.admitted, d.reason, d.extra_minutes, \
    (SELECT items FROM tests t WHERE t.exam_id = e.id AND t.replaced_ms IS NULL \
        ORDER BY t.created_ms DESC LIMIT 1) AS items \
    FROM attempts a JOIN sittings s ON s.id = a.sitting_id JOIN exams e ON e.id = s.exam_id \
    LEFT JOIN admissions d ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id \
    WHERE a.person_id = $1 ORDER BY s.opens_ms, a.id";

impl Registry {
    /// Returns the candidate's exams, earliest first.
    ///
    /// # Errors
    /// The database failed.
    //= tests/data/sop-2-28.md#7-admission
    pub async fn cards(&self, person: PersonId) -> Result<Vec<ExamCard>, RegistryError> {
        let rows = qorgan_store::query(CARDS_SQL)
            .bind(person.to_string())
            .fetch_all(self.inner.store.read())
            .await?;
        let now = self.inner.clock.wall();
        rows.iter().map(|row| card(row, now)).collect()
    }

    /// Takes a message from the candidate.
    ///
    /// # Errors
    /// `BadRequest` for an empty or too long text, or the caller is not bound.
    pub async fn candidate_message(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        text: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        let from = (MessageFrom::Candidate, Some(caller.person));
        self.store_message(&cell, &mut state, from, text).await
    }

    /// Stores a message; one of the server's own is nobody's.
    pub(super) async fn store_message(
        &self,
        cell: &Cell,
        state: &mut CellState,
        (from, person): (MessageFrom, Option<PersonId>),
        text: &str,
    ) -> Result<(), RegistryError> {
        if from == MessageFrom::Candidate && !self.room_first(state, &[Kept::Messages]).await? {
            let detail = "as many messages were sent as are kept; raise your hand";
            return Err(RegistryError::refuse(ProblemCode::TooMany, detail));
        }
        let at = self.inner.clock.wall();
        let mut change = Change::begin(self, state, state.epoch, at).await?;
        self.write_message(&mut change, state, (from, person), text)
            .await?;
        state.open_incidents = change.commit().await?;
        self.message_stored(cell, state);
        Ok(())
    }

    /// Writes a message; once it is committed, [`Self::message_stored`] tells who waits for it.
    pub(super) async fn write_message(
        &self,
        change: &mut Change<'_>,
        state: &CellState,
        (from, person): (MessageFrom, Option<PersonId>),
        text: &str,
    ) -> Result<(), RegistryError> {
        let chars = text.chars().count();
        if chars == 0 || chars > MESSAGE_CHARS_MAX {
            return Err(RegistryError::refuse(ProblemCode::BadRequest, "text"));
        }
        let at = self.inner.clock.wall();
        let id = MessageId::new(at, qorgan_signing::random()?);
        let sealed = state
            .key
            .seal(message_place(&id).as_bytes(), text.as_bytes())?;
        let sender = match from {
            MessageFrom::Proctor => "proctor",
            MessageFrom::Candidate => "candidate",
        };
        qorgan_store::query(
            "INSERT INTO messages (id, institution_id, attempt_id, sender, person_id, at_ms, sealed) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(id.to_string())
        .bind(self.inner.keys.institution().to_string())
        .bind(state.facts.attempt.to_string())
        .bind(sender)
        .bind(person.map(|person| person.to_string()))
        .bind(at.unix_ms())
        .bind(sealed)
        .execute(&mut *change.tx)
        .await?;
        Ok(())
    }

    /// A message was committed.
    pub(super) fn message_stored(&self, cell: &Cell, state: &mut CellState) {
        state.messages = state.messages.saturating_add(1);
        state.shown = state.shown_at(self.inner.clock.now());
        self.raise(cell, state);
    }

    /// Raises the candidate's hand or takes it down.
    ///
    /// # Errors
    /// The caller is not bound, or the database failed.
    pub async fn hand(
        &self,
        attempt: AttemptId,
        caller: &Caller,
        raised: bool,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        Self::authorize(caller, &state)?;
        self.set_hand(&cell, &mut state, raised).await
    }

    async fn set_hand(
        &self,
        cell: &Cell,
        state: &mut CellState,
        raised: bool,
    ) -> Result<(), RegistryError> {
        let mut tx = self.inner.store.begin().await?;
        qorgan_store::query("UPDATE attempts SET hand_raised = $2 WHERE id = $1")
            .bind(state.facts.attempt.to_string())
            .bind(raised)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        state.hand_raised = raised;
        self.raise(cell, state);
        Ok(())
    }
}

/// Returns the additional data under which a message is sealed: the one place that spells it.
pub(crate) fn message_place(id: &impl std::fmt::Display) -> String {
    format!("message:{id}")
}

fn card(row: &Row, now: WallTime) -> Result<ExamCard, RegistryError> {
    let phase: AttemptPhase = qorgan_store::json("phase", &row.get::<String>("phase")?)?;
    let policy: GatePolicy = qorgan_store::json("gate policy", &row.get::<String>("policy")?)?;
    let opens = WallTime::from_unix_ms(row.get("opens_ms")?);
    let closes = WallTime::from_unix_ms(row.get("closes_ms")?);
    let extra_minutes = row.get::<Option<i64>>("extra_minutes")?;
    let extra_minutes = extra_minutes.and_then(|m| u64::try_from(m).ok());
    let duration_ms = unsigned(row, "duration_ms")?
        .saturating_add(unsigned(row, "extra_ms")?)
        .saturating_add(extra_minutes.unwrap_or_default().saturating_mul(60_000));
    let items: Option<i64> = row.get("items")?;
    let admitted = row.get::<Option<bool>>("admitted")?.unwrap_or(false);
    let scheduled = matches!(phase, AttemptPhase::Scheduled);
    let state = if over(phase) {
        ExamState::Done
    } else if !admitted {
        let reason: Option<String> = row.get("reason")?;
        ExamState::NotAdmitted {
            reason: reason.unwrap_or_default(),
        }
    } else if scheduled && now < opens {
        ExamState::NotYet { opens }
    } else if scheduled && now > closes {
        ExamState::Over
    } else {
        ExamState::Open
    };
    Ok(ExamCard {
        attempt: qorgan_store::id(&row.get::<String>("id")?)?,
        title: row.get("title")?,
        discipline: row.get("discipline")?,
        opens,
        closes,
        duration_ms,
        items: items
            .and_then(|n| u16::try_from(n).ok())
            .unwrap_or_default(),
        mode: policy.mode,
        phase,
        state,
    })
}

const fn over(phase: AttemptPhase) -> bool {
    matches!(
        phase,
        AttemptPhase::Submitted { .. }
            | AttemptPhase::Sealed { .. }
            | AttemptPhase::Terminated { .. }
            | AttemptPhase::Void { .. }
    )
}
