//! When an ended attempt is due for sealing: once nothing is left, or the promised time is over.

use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::time::WallTime;
use qorgan_store::Row;

use super::EvidenceError;
use crate::state::AppState;

/// Returns the attempts whose recording is to be sealed, those that ended first before the others.
pub(super) async fn due(state: &AppState) -> Result<Vec<AttemptId>, EvidenceError> {
    due_by_parts(state, PART_ROWS, DUE_MAX).await
}

/// Reads the ended attempts so many at a time, until `most` are due: many that wait for late delivery take
/// no more memory than few.
async fn due_by_parts(
    state: &AppState,
    part_rows: usize,
    most: usize,
) -> Result<Vec<AttemptId>, EvidenceError> {
    let now = state.clock.wall();
    let (mut due, mut after) = (Vec::new(), (i64::MIN, String::new()));
    while due.len() < most {
        let rows = part(state, &after, part_rows).await?;
        let Some(last) = rows.last() else {
            break;
        };
        after = (last.get("ended")?, last.get("id")?);
        for row in &rows {
            match of_row(row, now) {
                Ok(Some(attempt)) => due.push(attempt),
                Ok(None) => {}
                // One that cannot be read keeps no other one from being sealed.
                Err(error) => tracing::error!(%error, "Could not read an ended attempt"),
            }
        }
    }
    due.truncate(most);
    Ok(due)
}

/// Reads the ended attempts that follow one in the order of their ends.
async fn part(
    state: &AppState,
    (ended, id): &(i64, String),
    rows: usize,
) -> Result<Vec<Row>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT a.id, COALESCE(a.ended_ms, 0) AS ended, a.started_ms, s.policy, r.finished_ms, \
         (SELECT COUNT(*) FROM recordings o WHERE o.attempt_id = a.id) AS recorded, \
         (SELECT COUNT(*) FROM response_receipts p \
            WHERE p.attempt_id = a.id AND p.submitted = 1) AS told \
         FROM attempts a JOIN sittings s ON s.id = a.sitting_id \
         LEFT JOIN recordings r ON r.attempt_id = a.id AND r.epoch = a.epoch \
         WHERE a.phase_word IN ('submitted', 'terminated') AND length(a.key_wrapped) > 0 \
         AND (COALESCE(a.ended_ms, 0), a.id) > ($1, $2) ORDER BY ended, a.id LIMIT $3",
    )
    .bind(ended)
    .bind(id)
    .bind(i64::try_from(rows).unwrap_or(i64::MAX))
    .fetch_all(state.store.read())
    .await?;
    Ok(rows)
}

/// Returns the attempt of a row where it is due.
fn of_row(row: &Row, now: WallTime) -> Result<Option<AttemptId>, EvidenceError> {
    let finished: Option<i64> = row.get("finished_ms")?;
    let started: Option<i64> = row.get("started_ms")?;
    let ended: i64 = row.get("ended")?;
    let policy: GatePolicy = qorgan_store::json("policy", &row.get::<String>("policy")?)?;
    let waits = Waits {
        waited: now.since(WallTime::from_unix_ms(ended)),
        late_delivery: Duration::from_millis(policy.late_delivery_ms_max),
        started: started.is_some(),
        recorded: row.get::<i64>("recorded")? > 0,
        agent_done: finished.is_some_and(|finished| finished >= ended),
        client_done: row.get::<i64>("told")? > 0,
    };
    if !waits.over() {
        return Ok(None);
    }
    Ok(Some(qorgan_store::id(&row.get::<String>("id")?)?))
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
/// How many ended attempts are read at once.
const PART_ROWS: usize = 500;

#[cfg(test)]
mod tests {
    use qorgan_protocol::wire::Accommodation;
    use qorgan_server_core::sitting::SittingSettings;

    use super::*;
    use qorgan_base::config::Config;
    use qorgan_store::exams::{self, Admission, NewExam, NewSitting};
    use qorgan_store::people::{self, NewPerson};

    #[tokio::test]
    async fn what_is_due_is_found_in_order_however_few_are_read_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        let state = AppState::open(&data, Config::default()).await;
        let state = state.expect("a new folder");
        // The second waits for late delivery, the fourth cannot be read, two ended at one moment.
        let mut ended = Vec::new();
        for (number, ago_s) in [9_000_u64, 10, 7_000, 6_000, 5_000, 5_000]
            .into_iter()
            .enumerate()
        {
            ended.push(attempt(&state, number, Duration::from_secs(ago_s)).await);
        }
        let mut tx = state.store.begin().await.expect("a writer");
        qorgan_store::query(
            "UPDATE sittings SET policy = '{}' WHERE id IN \
             (SELECT sitting_id FROM attempts WHERE id = $1)",
        )
        .bind(ended[3].to_string())
        .execute(&mut *tx)
        .await
        .expect("stored");
        tx.commit().await.expect("stored");
        let mut wanted = vec![ended[0], ended[2], ended[4], ended[5]];
        wanted[2..].sort_unstable();
        for rows in [1, 2, 500] {
            let due = due_by_parts(&state, rows, DUE_MAX).await.expect("readable");
            assert_eq!(due, wanted, "{rows} at once");
            let first = due_by_parts(&state, rows, 2).await.expect("readable");
            assert_eq!(first, wanted[..2]);
        }
    }

    /// Makes an attempt with a sitting of its own that was worked on and ended a while ago.
    async fn attempt(state: &AppState, number: usize, ago: Duration) -> AttemptId {
        let (keys, at) = (&state.keys, state.clock.wall());
        let mut tx = state.store.begin().await.expect("a writer");
        let exam = NewExam {
            title: "t".to_owned(),
            discipline: "d".to_owned(),
            discipline_code: String::new(),
        };
        let exam = exams::create_exam(&mut tx, keys, at, &exam).await;
        let sitting = NewSitting {
            exam: exam.expect("stored"),
            opens: at,
            closes: at.after(Duration::from_secs(60)),
            settings: SittingSettings {
                duration: Duration::from_secs(60),
                policy: GatePolicy::remote(),
                bandwidth: "standard".to_owned(),
                deny_processes: Vec::new(),
                allow_processes: Vec::new(),
            },
        };
        let sitting = exams::create_sitting(&mut tx, keys, at, &sitting).await;
        let person = NewPerson {
            login: format!("candidate-{number}"),
            language: "kk".to_owned(),
            ..NewPerson::default()
        };
        let person = people::put_person(&mut tx, keys, at, &person).await;
        let admission = Admission {
            sitting: sitting.expect("stored"),
            person: person.expect("stored"),
            admitted: true,
            reason: String::new(),
            accommodation: Accommodation::default(),
        };
        let admitted = exams::admit(&mut tx, keys, at, &admission).await;
        let attempt = admitted.expect("stored");
        qorgan_store::query(
            "UPDATE attempts SET phase_word = 'terminated', started_ms = 1, ended_ms = $2 \
             WHERE id = $1",
        )
        .bind(attempt.to_string())
        .bind(at.unix_ms() - qorgan_protocol::time::millis(ago))
        .execute(&mut *tx)
        .await
        .expect("stored");
        tx.commit().await.expect("stored");
        attempt
    }

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
