//! What stands in the record about the candidate's machine: every system check, every word of
//! the kiosk's lockdown, and what was decided. Network addresses are not among it.

use qorgan_protocol::ids::AttemptId;
use qorgan_signing::SecretKey;
use serde_json::{Value, json};

use super::EvidenceError;
use crate::state::AppState;
use qorgan_store::StoreError;

/// Returns the file of an export that tells of the machine.
pub(super) async fn machine_json(
    state: &AppState,
    attempt: AttemptId,
    key: &SecretKey,
) -> Result<Vec<u8>, EvidenceError> {
    let file = json!({
        "checks": checks(state, attempt).await?,
        "events": events(state, attempt).await?,
        "client_starts": starts(state, attempt).await?,
        "identity": identity(state, attempt, key).await?,
    });
    Ok(serde_json::to_vec_pretty(&file)?)
}

async fn checks(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, at_ms, lines, faults FROM system_checks WHERE attempt_id = $1 ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut checks = Vec::with_capacity(rows.len());
    for row in rows {
        let lines: Value = qorgan_store::json("system check", &row.get::<String>("lines")?)?;
        let faults: String = row.get("faults")?;
        checks.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "at_ms": row.get::<i64>("at_ms")?,
            "lines": lines,
            "faults": faults.lines().collect::<Vec<_>>(),
        }));
    }
    Ok(checks)
}

async fn events(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, kind, at_ms, detail FROM client_events WHERE attempt_id = $1 ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut events = Vec::with_capacity(rows.len());
    for row in rows {
        events.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "kind": row.get::<String>("kind")?,
            "at_ms": row.get::<i64>("at_ms")?,
            "detail": row.get::<String>("detail")?,
        }));
    }
    Ok(events)
}

async fn starts(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows: Vec<(i64, i64)> = qorgan_store::query_as(
        "SELECT epoch, at_ms FROM attempt_instances WHERE attempt_id = $1 ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let start = |(epoch, at_ms): &(i64, i64)| json!({ "epoch": epoch, "at_ms": at_ms });
    Ok(rows.iter().map(start).collect())
}

async fn identity(
    state: &AppState,
    attempt: AttemptId,
    key: &SecretKey,
) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, at_ms, person_id, decision, reason FROM identity_decisions \
         WHERE attempt_id = $1 ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut decisions = Vec::with_capacity(rows.len());
    for row in rows {
        let sealed: Option<Vec<u8>> = row.get("reason")?;
        let place = crate::registry::reason_place(attempt);
        let opened = sealed.map(|sealed| key.open(place.as_bytes(), &sealed));
        let opened = opened.transpose().map_err(|source| StoreError::Sealed {
            what: "reason",
            source,
        })?;
        decisions.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "at_ms": row.get::<i64>("at_ms")?,
            "by": row.get::<Option<String>>("person_id")?,
            "decision": row.get::<String>("decision")?,
            "reason": opened.map(|plain| String::from_utf8_lossy(&plain).into_owned()),
        }));
    }
    Ok(decisions)
}
