//! When an ended attempt is due for sealing: once nothing is left, or the promised time is over.

use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::time::WallTime;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::EvidenceError;
use crate::state::AppState;
use crate::store;

/// Returns the attempts whose recording is to be sealed.
pub(super) async fn due(state: &AppState) -> Result<Vec<AttemptId>, EvidenceError> {
    let rows = sqlx::query(
        "SELECT a.id, a.ended_ms, a.started_ms, s.policy, r.finished_ms, \
         (SELECT COUNT(*) FROM recordings o WHERE o.attempt_id = a.id) AS recorded, \
         (SELECT COUNT(*) FROM response_receipts p \
            WHERE p.attempt_id = a.id AND p.submitted = 1) AS told \
         FROM attempts a JOIN sittings s ON s.id = a.sitting_id \
         LEFT JOIN recordings r ON r.attempt_id = a.id AND r.epoch = a.epoch \
         WHERE a.phase_word IN ('submitted', 'terminated') AND a.key_wrapped <> x'' ORDER BY a.ended_ms",
    )
    .fetch_all(state.store.read())
    .await?;
    let now = state.clock.wall();
    let mut due = Vec::new();
    for row in rows {
        match of_row(&row, now) {
            Ok(Some(attempt)) => due.push(attempt),
            Ok(None) => {}
            // One that cannot be read keeps no other one from being sealed.
            Err(error) => tracing::error!(%error, "Could not read an ended attempt"),
        }
        if due.len() >= DUE_MAX {
            break;
        }
    }
    Ok(due)
}

/// Returns the attempt of a row where it is due.
fn of_row(row: &SqliteRow, now: WallTime) -> Result<Option<AttemptId>, EvidenceError> {
    let finished: Option<i64> = row.try_get("finished_ms")?;
    let started: Option<i64> = row.try_get("started_ms")?;
    let ended = row.try_get::<Option<i64>, _>("ended_ms")?.unwrap_or(0);
    let policy: GatePolicy = store::json("policy", row.try_get("policy")?)?;
    let waits = Waits {
        waited: now.since(WallTime::from_unix_ms(ended)),
        late_delivery: Duration::from_millis(policy.late_delivery_ms_max),
        started: started.is_some(),
        recorded: row.try_get::<i64, _>("recorded")? > 0,
        agent_done: finished.is_some_and(|finished| finished >= ended),
        client_done: row.try_get::<i64, _>("told")? > 0,
    };
    if !waits.over() {
        return Ok(None);
    }
    Ok(Some(store::id(&row.try_get::<String, _>("id")?)?))
}

/// What the sealing of an ended attempt waits for.
#[derive(Debug, Clone, Copy)]
struct Waits {
    /// How long ago the attempt ended.
    waited: Duration,
    /// How long late delivery is promised.
    late_delivery: Duration,
    /// Whether items were ever shown, so that responses may come.
    started: bool,
    /// Whether anything was recorded.
    recorded: bool,
    /// Whether the agent said after the end that everything is delivered. What it said before counts
    /// for nothing, for it ended nothing.
    agent_done: bool,
    /// Whether the client said that no response is left.
    client_done: bool,
}

impl Waits {
    /// Tells whether nothing is waited for any more: agent and client have both said that nothing is
    /// left, or the promised time is over.
    fn over(self) -> bool {
        let agent = self.agent_done || (!self.recorded && self.waited > NOTHING_WAIT);
        let client = self.client_done || !self.started;
        (agent && client) || self.waited > self.late_delivery.saturating_add(LATE_MORE)
    }
}

/// How long an ended attempt without any recording waits.
const NOTHING_WAIT: Duration = Duration::from_secs(60);
/// What is added to the policy's delay for an agent that never came back.
const LATE_MORE: Duration = Duration::from_secs(60);
/// How many recordings are looked at in one round; those that fail wait longer each time, so that
/// they hold nobody up.
const DUE_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_SAID: Waits = Waits {
        waited: Duration::from_secs(1),
        late_delivery: Duration::from_secs(15 * 60),
        started: true,
        recorded: true,
        agent_done: true,
        client_done: true,
    };

    #[test]
    fn sealing_waits_for_both_words_or_for_the_promised_time() {
        assert!(ALL_SAID.over());
        let agent_alone = Waits {
            client_done: false,
            ..ALL_SAID
        };
        let client_alone = Waits {
            agent_done: false,
            ..ALL_SAID
        };
        for silent in [agent_alone, client_alone] {
            let promised = silent.late_delivery + LATE_MORE;
            assert!(!silent.over());
            let waited = |waited| Waits { waited, ..silent };
            assert!(!waited(promised).over());
            assert!(waited(promised + Duration::from_millis(1)).over());
        }
    }

    #[test]
    fn nobody_is_waited_for_who_never_came() {
        let absent = Waits {
            waited: NOTHING_WAIT + Duration::from_millis(1),
            started: false,
            recorded: false,
            agent_done: false,
            client_done: false,
            ..ALL_SAID
        };
        assert!(absent.over());
        let worked_unrecorded = Waits {
            started: true,
            ..absent
        };
        assert!(!worked_unrecorded.over());
    }
}
