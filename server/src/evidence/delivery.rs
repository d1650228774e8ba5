//! What an export tells of delivery: leases, items that left, responses with their marks, decisions.

use qorgan_protocol::ids::AttemptId;
use serde_json::{Value, json};

use super::EvidenceError;
use crate::state::AppState;
use qorgan_store::responses::{self, LateResponse};

/// Returns when leases were valid, which items left, and how each response arrived, as JSON.
pub(super) async fn delivery_json(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Vec<u8>, EvidenceError> {
    let all = json!({
        "leases": leases(state, attempt).await?,
        "items": items(state, attempt).await?,
        "responses": arrivals(state, attempt).await?,
    });
    Ok(serde_json::to_vec_pretty(&all)?)
}

/// Returns every decision on late responses and how each late response stands, as JSON; `None` where
/// nobody decided anything.
pub(super) async fn decisions_json(
    state: &AppState,
    attempt: AttemptId,
) -> Result<Option<Vec<u8>>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, seq, counts, reason, decided_by, decided_ms FROM response_decisions \
         WHERE attempt_id = $1 ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    if rows.is_empty() {
        return Ok(None);
    }
    let mut decisions = Vec::with_capacity(rows.len());
    for row in rows {
        decisions.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "seq": row.get::<i64>("seq")?,
            "counts": row.get::<bool>("counts")?,
            "reason": row.get::<String>("reason")?,
            "decided_by": row.get::<String>("decided_by")?,
            "decided_ms": row.get::<i64>("decided_ms")?,
        }));
    }
    let late = responses::late(&state.store, attempt, (0, u32::MAX)).await?;
    let standings: Vec<Value> = late.iter().map(standing).collect();
    let all = json!({ "decisions": decisions, "late_responses": standings });
    Ok(Some(serde_json::to_vec_pretty(&all)?))
}

fn standing(late: &LateResponse) -> Value {
    json!({
        "epoch": late.epoch.0,
        "seq": late.seq,
        "item": late.item.to_string(),
        "mark": late.mark.word(),
        "standing": late.standing().word(),
        "counts": late.standing().counts(),
    })
}

async fn leases(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, began_ms, seen_ms, ended_ms FROM lease_spans WHERE attempt_id = $1 \
         ORDER BY id",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut leases = Vec::with_capacity(rows.len());
    for row in rows {
        let ended: Option<i64> = row.get("ended_ms")?;
        let seen: i64 = row.get("seen_ms")?;
        leases.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "began_ms": row.get::<i64>("began_ms")?,
            "ended_ms": ended.unwrap_or(seen),
        }));
    }
    Ok(leases)
}

async fn items(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, position, person_id, item_id, at_ms, lease_ends_ms, fetches \
         FROM item_fetches WHERE attempt_id = $1 ORDER BY at_ms, position",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut items = Vec::with_capacity(rows.len());
    for row in rows {
        items.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "position": row.get::<i64>("position")?,
            "person": row.get::<String>("person_id")?,
            "item": row.get::<String>("item_id")?,
            "at_ms": row.get::<i64>("at_ms")?,
            "lease_ends_ms": row.get::<i64>("lease_ends_ms")?,
            "fetches": row.get::<i64>("fetches")?,
        }));
    }
    Ok(items)
}

async fn arrivals(state: &AppState, attempt: AttemptId) -> Result<Vec<Value>, EvidenceError> {
    let rows = qorgan_store::query(
        "SELECT epoch, seq, item_id, received_ms, received_phase, lease_left_ms, mark, late_ms, \
         confirmed_ms FROM responses WHERE attempt_id = $1 ORDER BY epoch, seq",
    )
    .bind(attempt.to_string())
    .fetch_all(state.store.read())
    .await?;
    let mut arrivals = Vec::with_capacity(rows.len());
    for row in rows {
        arrivals.push(json!({
            "epoch": row.get::<i64>("epoch")?,
            "seq": row.get::<i64>("seq")?,
            "item": row.get::<String>("item_id")?,
            "received_ms": row.get::<i64>("received_ms")?,
            "received_phase": row.get::<String>("received_phase")?,
            "lease_left_ms": row.get::<i64>("lease_left_ms")?,
            "mark": row.get::<String>("mark")?,
            "late_ms": row.get::<Option<i64>>("late_ms")?,
            "confirmed_ms": row.get::<Option<i64>>("confirmed_ms")?,
        }));
    }
    Ok(arrivals)
}
