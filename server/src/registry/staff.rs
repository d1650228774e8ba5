//! What staff see and do: the board, control of attempts, identity.

use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::ids::{AttemptId, ExamId, PersonId, SittingId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{GateLine, IdentityState, MessageFrom};
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::Registry;
use super::command::ControlAction;
use super::error::RegistryError;
use super::load::unsigned;
use super::view::whole_ms;
use crate::store::{self, audit};

/// One attempt on the board.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardLine {
    /// Which attempt.
    pub attempt: AttemptId,
    /// In which sitting.
    pub sitting: SittingId,
    /// Of which exam.
    pub exam: ExamId,
    /// The exam's title.
    pub exam_title: String,
    /// Who.
    pub person: PersonId,
    /// The candidate's name.
    pub candidate: String,
    /// The candidate's login.
    pub login: String,
    /// Where the attempt stands.
    pub phase: AttemptPhase,
    /// Since when.
    pub since: WallTime,
    /// When check-in began.
    pub check_in: Option<WallTime>,
    /// When items were first shown.
    pub started: Option<WallTime>,
    /// When it ended.
    pub ended: Option<WallTime>,
    /// Whether the sitting's window closed before anybody came (SOP 9).
    pub absent: bool,
    /// Where the identity check stands.
    pub identity: IdentityState,
    /// Whether the candidate's hand is raised.
    pub hand_raised: bool,
    /// Whether the submission came after the deadline.
    pub late: bool,
    /// How many incidents there are.
    pub incidents: u64,
    /// How many of them nobody has looked at.
    pub unreviewed: u64,
    /// How many machines ask for the attempt.
    pub moves_open: u64,
    /// Every required source, for an attempt in memory.
    pub gate: Vec<GateLine>,
    /// Whether the gate waits for a proctor.
    pub waits_for_proctor: bool,
    /// Whether a proctor must decide about the machine.
    pub machine_waits: bool,
    /// Whether the agent's link is up.
    pub linked: bool,
    /// Time left, in milliseconds.
    pub remaining_ms: u64,
}

const BOARD_SQL: &str = "SELECT a.*, s.exam_id, s.closes_ms, s.duration_ms, e.title, \
    p.display_name, p.login, COALESCE(d.extra_minutes, 0) AS extra_minutes, \
    (SELECT COUNT(*) FROM incidents i WHERE i.attempt_id = a.id AND i.counts = 1) AS incidents, \
    (SELECT COUNT(*) FROM incidents i WHERE i.attempt_id = a.id \
        AND i.counts = 1 AND i.verdict IS NULL) \
        AS unreviewed, \
    (SELECT COUNT(*) FROM move_requests r WHERE r.attempt_id = a.id AND r.decided_ms IS NULL) \
        AS moves_open \
    FROM attempts a JOIN sittings s ON s.id = a.sitting_id JOIN exams e ON e.id = s.exam_id \
    JOIN people p ON p.id = a.person_id \
    LEFT JOIN admissions d ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id \
    ORDER BY s.opens_ms DESC, p.display_name, a.number";

impl Registry {
    /// Returns every attempt and where it stands, newest sitting first (SOP 9).
    ///
    /// # Errors
    /// The database failed.
    //= tests/data/sop-2-28.md#9-board
    pub async fn board(&self) -> Result<Vec<BoardLine>, RegistryError> {
        let rows = sqlx::query(BOARD_SQL)
            .fetch_all(self.inner.store.read())
            .await?;
        let now = self.inner.clock.wall();
        let mut lines = Vec::with_capacity(rows.len());
        for row in &rows {
            let mut line = line(row, now)?;
            self.add_live(&mut line).await;
            lines.push(line);
        }
        Ok(lines)
    }

    /// Returns one attempt's line of the board.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn board_line(&self, attempt: AttemptId) -> Result<BoardLine, RegistryError> {
        let lines = self.board().await?;
        lines
            .into_iter()
            .find(|line| line.attempt == attempt)
            .ok_or_else(|| {
                RegistryError::refuse(
                    qorgan_protocol::wire::ProblemCode::NotFound,
                    "no such attempt",
                )
            })
    }

    async fn add_live(&self, line: &mut BoardLine) {
        let Some(cell) = self.cells().get(&line.attempt).map(std::sync::Arc::clone) else {
            return;
        };
        let state = cell.state.lock().await;
        let now = self.inner.clock.now();
        line.gate = state.gate.lines(now);
        line.waits_for_proctor = state.gate.waits_for_proctor();
        line.machine_waits = state.machine.waits();
        line.linked = state.gate.linked();
        line.remaining_ms = whole_ms(state.gate.left());
        line.phase = state.gate.phase();
    }

    /// Does what a member of staff decided; it stands in the audit log with its reason.
    ///
    /// # Errors
    /// `WrongPhase` for an edge that the table does not have, `NotFound`.
    pub async fn control(
        &self,
        attempt: AttemptId,
        action: ControlAction,
        by: PersonId,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        let (word, input) = match action {
            ControlAction::OpenGate => ("open_gate", Some(GateInput::ProctorOpens)),
            ControlAction::Pause => ("pause", Some(GateInput::Pause)),
            ControlAction::Resume => ("resume", Some(GateInput::Resume)),
            ControlAction::Terminate(cause) => ("terminate", Some(GateInput::Terminate(cause))),
            ControlAction::Void => ("void", Some(GateInput::Void)),
            ControlAction::ExtraTime { minutes } => {
                let more = Duration::from_secs(u64::from(minutes).saturating_mul(60));
                ("extra_time", Some(GateInput::ExtraTime(more)))
            }
            ControlAction::Flag => ("flag", None),
        };
        match input {
            Some(input) => self.input_locked(&cell, &mut state, input).await?,
            None => {
                let at = self.inner.clock.wall();
                self.note(&state, IncidentKind::ProctorFlag, at, reason)
                    .await?;
            }
        }
        self.log(by, word, attempt, reason).await
    }

    /// Sends a message to the candidate.
    ///
    /// # Errors
    /// `BadRequest` for an empty or too long text, `NotFound`.
    pub async fn message(
        &self,
        attempt: AttemptId,
        by: PersonId,
        text: &str,
    ) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        self.store_message(&cell, &mut state, MessageFrom::Proctor, by, text)
            .await
    }

    /// Takes a raised hand down.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn lower_hand(&self, attempt: AttemptId) -> Result<(), RegistryError> {
        let cell = self.cell(attempt).await?;
        let mut state = cell.state.lock().await;
        self.set_hand(&cell, &mut state, false).await
    }

    pub(super) async fn log(
        &self,
        by: PersonId,
        action: &str,
        attempt: AttemptId,
        reason: &str,
    ) -> Result<(), RegistryError> {
        let mut tx = self.inner.store.begin().await?;
        let entry = audit::Entry {
            institution: self.inner.keys.institution(),
            at: self.inner.clock.wall(),
            actor: &by.to_string(),
            action,
            subject: &attempt.to_string(),
            detail: reason,
        };
        audit::write(&mut tx, &entry).await?;
        tx.commit().await?;
        Ok(())
    }
}

fn line(row: &SqliteRow, now: WallTime) -> Result<BoardLine, RegistryError> {
    let id = |column: &str| row.try_get::<String, _>(column);
    let time = |column: &str| -> Result<Option<WallTime>, sqlx::Error> {
        let ms: Option<i64> = row.try_get(column)?;
        Ok(ms.map(WallTime::from_unix_ms))
    };
    let phase: AttemptPhase = store::json("phase", row.try_get("phase")?)?;
    let closes = WallTime::from_unix_ms(row.try_get("closes_ms")?);
    let allowed = unsigned(row, "duration_ms")?
        .saturating_add(unsigned(row, "extra_ms")?)
        .saturating_add(unsigned(row, "extra_minutes")?.saturating_mul(60_000));
    Ok(BoardLine {
        attempt: store::id(&id("id")?)?,
        sitting: store::id(&id("sitting_id")?)?,
        exam: store::id(&id("exam_id")?)?,
        exam_title: row.try_get("title")?,
        person: store::id(&id("person_id")?)?,
        candidate: row.try_get("display_name")?,
        login: row.try_get("login")?,
        phase,
        since: WallTime::from_unix_ms(row.try_get("phase_since_ms")?),
        check_in: time("check_in_ms")?,
        started: time("started_ms")?,
        ended: time("ended_ms")?,
        absent: matches!(phase, AttemptPhase::Scheduled) && now > closes,
        identity: store::json("identity state", &format!("\"{}\"", id("identity")?))?,
        hand_raised: row.try_get("hand_raised")?,
        late: row.try_get("late")?,
        incidents: unsigned(row, "incidents")?,
        unreviewed: unsigned(row, "unreviewed")?,
        moves_open: unsigned(row, "moves_open")?,
        gate: Vec::new(),
        waits_for_proctor: false,
        machine_waits: false,
        linked: false,
        remaining_ms: allowed.saturating_sub(unsigned(row, "spent_ms")?),
    })
}
