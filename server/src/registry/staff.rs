//! What staff see and do: the board, control of attempts, identity.

use std::collections::BTreeMap;
use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GateInput};
use qorgan_protocol::ids::{AttemptId, ExamId, PersonId, SittingId};
use qorgan_protocol::incident::IncidentKind;
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{GateLine, IdentityState, MessageFrom, ProblemCode};
use qorgan_server_core::login::fold_search;
use qorgan_store::Row;

use super::Registry;
use super::cell::{Cell, CellState};
use super::change::Change;
use super::command::ControlAction;
use super::error::RegistryError;
use super::load::unsigned;
use super::view::whole_ms;
use crate::console::Language;
use qorgan_store::assigned::Scope;
use qorgan_store::{StoreError, WriteTx, audit};

/// One attempt on the board.
#[derive(Debug, Clone, PartialEq)]
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
    /// The newest incident, if there is one.
    pub newest: Option<NewestIncident>,
}

/// The newest incident of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct NewestIncident {
    /// Its kind's word.
    pub kind: String,
    /// Its severity, 0.0 to 1.0.
    pub severity: f64,
    /// When it began, UTC in milliseconds.
    pub began_ms: i64,
}

/// Which attempts a board shows, and which page of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BoardQuery {
    /// Whose sittings.
    pub scope: Scope,
    /// Of them, which attempts.
    pub of: BoardOf,
    /// What the candidate's name or login holds; empty for everybody.
    pub named: String,
    /// How many lines come before the page.
    pub offset: u32,
    /// The most lines of the page.
    pub limit: u32,
}

/// Which attempts a board shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoardOf {
    /// Those of a sitting.
    Sitting(SittingId),
    /// Those under way, of a sitting or of all.
    UnderWay(Option<SittingId>),
    /// Every one there ever was.
    All,
}

/// Lines are chosen first, and only what is shown of them is counted.
macro_rules! board_sql {
    ($which:literal) => {
        concat!(
            "SELECT a.*, s.exam_id, s.closes_ms, s.duration_ms, e.title, \
             p.display_name, p.login, COALESCE(d.extra_minutes, 0) AS extra_minutes, \
             (SELECT COUNT(*) FROM incidents i WHERE i.attempt_id = a.id AND i.counts = 1) \
                AS incidents, \
             (SELECT COUNT(*) FROM incidents i WHERE i.attempt_id = a.id \
                AND i.counts = 1 AND i.verdict IS NULL) AS unreviewed, \
             (SELECT COUNT(*) FROM move_requests r WHERE r.attempt_id = a.id \
                AND r.decided_ms IS NULL) AS moves_open, \
             n.kind AS newest_kind, n.severity AS newest_severity, n.began_ms AS newest_ms \
             FROM (SELECT a.id AS chosen FROM attempts a JOIN sittings s ON s.id = a.sitting_id \
                JOIN people p ON p.id = a.person_id WHERE ",
            $which,
            " ORDER BY s.opens_ms DESC, p.folded NULLS FIRST, a.number, a.id \
                LIMIT $4 OFFSET $5) AS lines \
             JOIN attempts a ON a.id = chosen JOIN sittings s ON s.id = a.sitting_id \
             JOIN exams e ON e.id = s.exam_id JOIN people p ON p.id = a.person_id \
             LEFT JOIN admissions d ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id \
             LEFT JOIN incidents n ON n.id = (SELECT i.id FROM incidents i \
                WHERE i.attempt_id = a.id AND i.counts = 1 ORDER BY i.began_ms DESC, i.id DESC LIMIT 1) \
             ORDER BY s.opens_ms DESC, p.folded NULLS FIRST, a.number, a.id"
        )
    };
}

const SITTING_SQL: &str = board_sql!(
    "a.sitting_id = $1 AND (CAST($2 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
     WHERE g.sitting_id = a.sitting_id AND g.person_id = $2)) \
     AND ($3 = '' OR instr(p.folded, $3) > 0)"
);
const UNDER_WAY_SQL: &str = board_sql!(
    "a.phase_word IN ('check_in', 'ready', 'running', 'paused') \
     AND (CAST($1 AS TEXT) IS NULL OR a.sitting_id = $1) \
     AND (CAST($2 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
     WHERE g.sitting_id = a.sitting_id AND g.person_id = $2)) \
     AND ($3 = '' OR instr(p.folded, $3) > 0)"
);
const ALL_SQL: &str = board_sql!(
    "CAST($1 AS TEXT) IS NULL AND (CAST($2 AS TEXT) IS NULL OR EXISTS (SELECT 1 FROM sitting_proctors g \
     WHERE g.sitting_id = a.sitting_id AND g.person_id = $2)) \
     AND ($3 = '' OR instr(p.folded, $3) > 0)"
);
const ONE_SQL: &str = board_sql!("a.id = $1 AND CAST($2 AS TEXT) IS NULL AND $3 = ''");

impl Registry {
    /// Returns a page of attempts and where each stands, newest sitting first (SOP 9).
    ///
    /// # Errors
    /// The database failed.
    //= tests/data/sop-2-28.md#9-board
    pub async fn board(&self, query: &BoardQuery) -> Result<Vec<BoardLine>, RegistryError> {
        let (sql, sitting) = match query.of {
            BoardOf::Sitting(sitting) => (SITTING_SQL, Some(sitting)),
            BoardOf::UnderWay(sitting) => (UNDER_WAY_SQL, sitting),
            BoardOf::All => (ALL_SQL, None),
        };
        let rows = qorgan_store::query(sql)
            .bind(sitting.map(|sitting| sitting.to_string()))
            .bind(query.scope.proctor())
            .bind(fold_search(&query.named))
            .bind(query.limit)
            .bind(query.offset)
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

    /// Returns how many attempts of a sitting are in each phase, by the phase's word.
    ///
    /// # Errors
    /// The database failed.
    pub async fn phases(&self, sitting: SittingId) -> Result<BTreeMap<String, u64>, RegistryError> {
        let rows: Vec<(String, i64)> = qorgan_store::query_as(
            "SELECT phase_word, COUNT(*) FROM attempts WHERE sitting_id = $1 GROUP BY phase_word",
        )
        .bind(sitting.to_string())
        .fetch_all(self.inner.store.read())
        .await?;
        let counted = |(word, count)| (word, u64::try_from(count).unwrap_or_default());
        Ok(rows.into_iter().map(counted).collect())
    }

    /// Returns one attempt's line of the board.
    ///
    /// # Errors
    /// `NotFound`, or the database failed.
    pub async fn board_line(&self, attempt: AttemptId) -> Result<BoardLine, RegistryError> {
        let row = qorgan_store::query(ONE_SQL)
            .bind(attempt.to_string())
            .bind(None::<String>)
            .bind("")
            .bind(1)
            .bind(0)
            .fetch_optional(self.inner.store.read())
            .await?
            .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such attempt"))?;
        let mut line = line(&row, self.inner.clock.wall())?;
        self.add_live(&mut line).await;
        Ok(line)
    }

    /// Lets an ended attempt's state out of memory, with its key.
    pub(crate) fn forget(&self, attempt: AttemptId) {
        self.cells().remove(&attempt);
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
        let deed = Deed {
            by,
            action: word,
            reason,
        };
        let told = match action {
            ControlAction::ExtraTime { minutes } => {
                let language = Language::from_code(&state.language).unwrap_or_default();
                Some(language.fill("extra-time-given", &[("n", minutes.to_string())]))
            }
            ControlAction::OpenGate
            | ControlAction::Pause
            | ControlAction::Resume
            | ControlAction::Terminate(_)
            | ControlAction::Void
            | ControlAction::Flag => None,
        };
        if let Some(input) = input {
            return self
                .act(&cell, &mut state, input, (deed, told.as_deref()))
                .await;
        }
        let at = self.inner.clock.wall();
        let mut change = Change::begin(self, &state, state.epoch, at).await?;
        change.note(IncidentKind::ProctorFlag, at, reason).await?;
        self.write_deed(&mut change.tx, attempt, deed).await?;
        state.open_incidents = change.commit().await?;
        Ok(())
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
        let from = (MessageFrom::Proctor, Some(by));
        self.store_message(&cell, &mut state, from, text).await
    }

    /// Takes what a member of staff did into the gate; its audit entry, and what the candidate is told
    /// of it, stand in the transaction of what changed.
    async fn act(
        &self,
        cell: &Cell,
        state: &mut CellState,
        input: GateInput,
        (deed, told): (Deed<'_>, Option<&str>),
    ) -> Result<(), RegistryError> {
        let settlement = self.settled_by(cell, state, input).await?;
        let mut change = self.begin_settled(state, &settlement).await?;
        self.write_deed(&mut change.tx, state.facts.attempt, deed)
            .await?;
        if let Some(text) = told {
            let from = (MessageFrom::Proctor, Some(deed.by));
            self.write_message(&mut change, state, from, text).await?;
        }
        let open = change.commit().await?;
        self.publish(cell, state, settlement, Some(open));
        if told.is_some() {
            self.message_stored(cell, state);
        }
        Ok(())
    }

    /// Writes what a member of staff did into the audit log.
    pub(super) async fn write_deed(
        &self,
        tx: &mut WriteTx,
        attempt: AttemptId,
        deed: Deed<'_>,
    ) -> Result<(), StoreError> {
        let entry = audit::Entry {
            institution: self.inner.keys.institution(),
            at: self.inner.clock.wall(),
            actor: &deed.by.to_string(),
            action: deed.action,
            subject: &attempt.to_string(),
            detail: deed.reason,
        };
        audit::write(tx, &entry).await
    }
}

/// What a member of staff did to an attempt, as the audit log names it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed<'a> {
    pub(super) by: PersonId,
    pub(super) action: &'a str,
    pub(super) reason: &'a str,
}

fn line(row: &Row, now: WallTime) -> Result<BoardLine, RegistryError> {
    let id = |column: &str| row.get::<String>(column);
    let time = |column: &str| -> Result<Option<WallTime>, qorgan_store::SqlError> {
        let ms: Option<i64> = row.get(column)?;
        Ok(ms.map(WallTime::from_unix_ms))
    };
    let phase: AttemptPhase = qorgan_store::json("phase", &row.get::<String>("phase")?)?;
    let closes = WallTime::from_unix_ms(row.get("closes_ms")?);
    let allowed = unsigned(row, "duration_ms")?
        .saturating_add(unsigned(row, "extra_ms")?)
        .saturating_add(unsigned(row, "extra_minutes")?.saturating_mul(60_000));
    Ok(BoardLine {
        attempt: qorgan_store::id(&id("id")?)?,
        sitting: qorgan_store::id(&id("sitting_id")?)?,
        exam: qorgan_store::id(&id("exam_id")?)?,
        exam_title: row.get("title")?,
        person: qorgan_store::id(&id("person_id")?)?,
        candidate: row.get("display_name")?,
        login: row.get("login")?,
        phase,
        since: WallTime::from_unix_ms(row.get("phase_since_ms")?),
        check_in: time("check_in_ms")?,
        started: time("started_ms")?,
        ended: time("ended_ms")?,
        absent: matches!(phase, AttemptPhase::Scheduled) && now > closes,
        identity: qorgan_store::json("identity state", &format!("\"{}\"", id("identity")?))?,
        hand_raised: row.get("hand_raised")?,
        late: row.get("late")?,
        incidents: unsigned(row, "incidents")?,
        unreviewed: unsigned(row, "unreviewed")?,
        moves_open: unsigned(row, "moves_open")?,
        gate: Vec::new(),
        waits_for_proctor: false,
        machine_waits: false,
        linked: false,
        remaining_ms: allowed.saturating_sub(unsigned(row, "spent_ms")?),
        newest: newest(row)?,
    })
}

fn newest(row: &Row) -> Result<Option<NewestIncident>, RegistryError> {
    let kind: Option<String> = row.get("newest_kind")?;
    kind.map(|kind| {
        Ok(NewestIncident {
            kind,
            severity: row.get("newest_severity")?,
            began_ms: row.get("newest_ms")?,
        })
    })
    .transpose()
}
