//! Late responses and what people decided on them.

use crate::sql::Row;
use qorgan_protocol::attempt::{ResponseMark, Standing};
use qorgan_protocol::ids::{AttemptId, Epoch, InstitutionId, ItemId, PersonId};
use qorgan_protocol::time::WallTime;

use crate::audit;
use crate::sql::WriteTx;
use crate::store::{Store, StoreError, id};

/// Late entries with the newest decision on each; `$1` is the attempt.
const LATE_SQL: &str = "SELECT r.epoch, r.seq, r.item_id, r.received_ms, r.received_phase, r.mark, \
    r.late_ms, r.lease_left_ms, r.confirmed_ms, d.counts, d.reason, d.decided_by, d.decided_ms, \
    CAST(CASE WHEN EXISTS (SELECT 1 FROM responses n WHERE n.attempt_id = r.attempt_id \
        AND n.item_id = r.item_id AND (n.epoch, n.seq) > (r.epoch, r.seq)) \
        THEN 1 ELSE 0 END AS BIGINT) AS replaced \
    FROM responses r LEFT JOIN response_decisions d ON d.id = (SELECT MAX(o.id) \
        FROM response_decisions o WHERE o.attempt_id = r.attempt_id AND o.epoch = r.epoch \
        AND o.seq = r.seq) \
    WHERE r.attempt_id = $1 AND r.mark != 'in_time' ORDER BY r.epoch, r.seq LIMIT $2 OFFSET $3";

/// Decides on one late entry.
const DECIDE_ONE_SQL: &str = "INSERT INTO response_decisions (institution_id, attempt_id, epoch, \
    seq, counts, reason, decided_by, decided_ms) \
    SELECT $2, attempt_id, epoch, seq, $3, $4, $5, $6 FROM responses \
    WHERE attempt_id = $1 AND mark != 'in_time' AND epoch = $7 AND seq = $8";

/// Decides on every entry that waits.
const DECIDE_WAITING_SQL: &str = "INSERT INTO response_decisions (institution_id, attempt_id, \
    epoch, seq, counts, reason, decided_by, decided_ms) \
    SELECT $2, attempt_id, epoch, seq, $3, $4, $5, $6 FROM responses_waiting AS w \
    WHERE attempt_id = $1 AND EXISTS (SELECT 1 FROM responses AS r WHERE r.attempt_id = w.attempt_id \
    AND r.epoch = w.epoch AND r.seq = w.seq AND r.received_ms <= $7)";

/// What a person decided on a late response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Whether it counts.
    pub counts: bool,
    /// Why.
    pub reason: String,
    /// Who decided.
    pub by: PersonId,
    /// When, in milliseconds since 1970 (UTC).
    pub at_ms: i64,
}

/// A response that came late.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateResponse {
    /// On which machine.
    pub epoch: Epoch,
    /// Its place in that machine's chain.
    pub seq: u64,
    /// Which item.
    pub item: ItemId,
    /// When it came, in milliseconds since 1970 (UTC), by the server's clock.
    pub received_ms: i64,
    /// The word of the phase in which it came.
    pub received_phase: String,
    /// What the record of leases said.
    pub mark: ResponseMark,
    /// How late it may be at most, in milliseconds; nothing where no lease is on record.
    pub late_ms: Option<i64>,
    /// What the client said was left of its lease, in milliseconds: evidence only.
    pub lease_left_ms: i64,
    /// When a later entry of its chain came in time.
    pub confirmed_ms: Option<i64>,
    /// Whether a newer response to the same item is stored.
    pub replaced: bool,
    /// The newest decision.
    pub decision: Option<Decision>,
}

impl LateResponse {
    /// Tells whether it counts, and by whom.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let decided = self.decision.as_ref().map(|decision| decision.counts);
        Standing::of(self.mark, self.confirmed_ms.is_some(), decided)
    }
}

/// Returns late responses in order, `limit` of them from `offset` on.
///
/// # Errors
/// The database failed, or a row does not read back.
pub async fn late(
    store: &Store,
    attempt: AttemptId,
    (offset, limit): (u32, u32),
) -> Result<Vec<LateResponse>, StoreError> {
    let rows = crate::sql::query(LATE_SQL)
        .bind(attempt.to_string())
        .bind(i64::from(limit))
        .bind(i64::from(offset))
        .fetch_all(store.read())
        .await?;
    rows.iter().map(read).collect()
}

/// Returns how many responses came late, and how many of them wait for a decision.
///
/// # Errors
/// The database failed.
pub async fn late_counts(store: &Store, attempt: AttemptId) -> Result<(i64, i64), StoreError> {
    let all = crate::sql::query_scalar(
        "SELECT COUNT(*) FROM responses WHERE attempt_id = $1 AND mark != 'in_time'",
    )
    .bind(attempt.to_string())
    .fetch_one(store.read())
    .await?;
    let waiting =
        crate::sql::query_scalar("SELECT COUNT(*) FROM responses_waiting WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_one(store.read())
            .await?;
    Ok((all, waiting))
}

/// Which late responses a decision is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// One entry.
    One {
        /// On which machine.
        epoch: Epoch,
        /// Its place.
        seq: u64,
    },
    /// Every entry that waited when somebody looked; what came since, nobody has seen.
    Waiting {
        /// When that was, by the server's clock.
        seen: WallTime,
    },
}

/// A decision to be kept.
#[derive(Debug, Clone, Copy)]
pub struct NewDecision<'a> {
    /// On which attempt.
    pub attempt: AttemptId,
    /// On which of its late responses.
    pub which: Which,
    /// Whether they count.
    pub counts: bool,
    /// Why.
    pub reason: &'a str,
    /// Who decides.
    pub by: PersonId,
}

/// Keeps a decision, with its line in the audit log; returns on how many entries it was. An earlier
/// decision stays on record.
///
/// # Errors
/// The database failed.
pub async fn decide(
    tx: &mut WriteTx,
    institution: InstitutionId,
    at: WallTime,
    decision: &NewDecision<'_>,
) -> Result<u64, StoreError> {
    let (sql, place) = match decision.which {
        Which::One { epoch, seq } => (DECIDE_ONE_SQL, Some((epoch, seq))),
        Which::Waiting { .. } => (DECIDE_WAITING_SQL, None),
    };
    let mut query = crate::sql::query(sql)
        .bind(decision.attempt.to_string())
        .bind(institution.to_string())
        .bind(decision.counts)
        .bind(decision.reason)
        .bind(decision.by.to_string())
        .bind(at.unix_ms());
    query = match decision.which {
        Which::One { epoch, seq } => query
            .bind(i64::from(epoch.0))
            .bind(i64::try_from(seq).unwrap_or(i64::MAX)),
        Which::Waiting { seen } => query.bind(seen.unix_ms()),
    };
    let entries = query.execute(&mut **tx).await?.rows_affected();
    if entries > 0 {
        let counts = if decision.counts {
            "count"
        } else {
            "do not count"
        };
        let detail = match place {
            Some((epoch, seq)) => format!("{epoch} {seq}: {counts}"),
            None => format!("{entries} entries: {counts}"),
        };
        let entry = audit::Entry {
            institution,
            at,
            actor: &decision.by.to_string(),
            action: "late_responses_decided",
            subject: &decision.attempt.to_string(),
            detail: &detail,
        };
        audit::write(tx, &entry).await?;
    }
    Ok(entries)
}

fn read(row: &Row) -> Result<LateResponse, StoreError> {
    let corrupt = || StoreError::Corrupt { what: "response" };
    let number = |column: &str| -> Result<i64, StoreError> { Ok(row.get(column)?) };
    let counts: Option<bool> = row.get("counts")?;
    let decision = match counts {
        Some(counts) => Some(Decision {
            counts,
            reason: row.get("reason")?,
            by: id(&row.get::<String>("decided_by")?)?,
            at_ms: number("decided_ms")?,
        }),
        None => None,
    };
    Ok(LateResponse {
        epoch: Epoch(u32::try_from(number("epoch")?).map_err(|_large| corrupt())?),
        seq: u64::try_from(number("seq")?).map_err(|_negative| corrupt())?,
        item: id(&row.get::<String>("item_id")?)?,
        received_ms: number("received_ms")?,
        received_phase: row.get("received_phase")?,
        mark: ResponseMark::from_word(&row.get::<String>("mark")?).ok_or_else(corrupt)?,
        late_ms: row.get("late_ms")?,
        lease_left_ms: number("lease_left_ms")?,
        confirmed_ms: row.get("confirmed_ms")?,
        replaced: row.get("replaced")?,
        decision,
    })
}
