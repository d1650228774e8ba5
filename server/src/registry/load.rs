//! Reads an attempt from the database.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use qorgan_protocol::attempt::{
    AttemptPhase, Backlog, CreditedPause, GateMemory, GatePolicy, ItemPace, LeaseRecord, Moment,
    PauseCause, StartGate,
};
use qorgan_protocol::crypto::PublicKey;
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, BootId, Epoch};
use qorgan_protocol::incident::{Allowance, IncidentKind, WatchPolicy};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{IdentityState, ProblemCode};
use qorgan_store::Row;
use tokio::sync::{Mutex, broadcast, watch};

use super::cell::{
    AttemptFacts, Binding, COMMANDS_MAX, Cell, CellState, IncidentKey, OpenIncident, OpenIncidents,
    Witness,
};
use super::change::SERVER;
use super::error::RegistryError;
use super::presence::Presence;
use super::quota::CheckIns;
use super::refresh::AdmissionFacts;
use qorgan_base::keys::ServerKeys;
use qorgan_store::{Store, StoreError};

const ATTEMPT_SQL: &str = "SELECT a.*, s.exam_id, s.opens_ms, s.closes_ms, s.duration_ms, s.policy, \
    s.bandwidth, s.deny_processes, s.allow_processes, e.title, \
    d.admitted, d.reason, d.extra_minutes, d.accessibility, d.allowances, \
    (SELECT COUNT(*) FROM messages m WHERE m.attempt_id = a.id) AS messages, \
    (SELECT COUNT(*) FROM move_requests r WHERE r.attempt_id = a.id AND r.decided_ms IS NULL) \
        AS moves_open, \
    (SELECT COALESCE(MAX(seq) + 1, 0) FROM responses p \
        WHERE p.attempt_id = a.id AND p.epoch = a.epoch) AS journal_next, \
    (SELECT MAX(COALESCE(l.ended_ms, l.seen_ms)) FROM lease_spans l \
        WHERE l.attempt_id = a.id) AS leased_ms, \
    (SELECT COUNT(*) FROM log_leaves g WHERE g.attempt_id = a.id) AS leaves \
    FROM attempts a JOIN sittings s ON s.id = a.sitting_id JOIN exams e ON e.id = s.exam_id \
    LEFT JOIN admissions d ON d.sitting_id = a.sitting_id AND d.person_id = a.person_id \
    WHERE a.id = $1";

/// Reads the cell of `attempt`; one that ran is covered until its streams are seen again.
pub(crate) async fn cell(
    store: &Store,
    keys: &ServerKeys,
    attempt: AttemptId,
    at: Moment,
) -> Result<Cell, RegistryError> {
    let row = qorgan_store::query(ATTEMPT_SQL)
        .bind(attempt.to_string())
        .fetch_optional(store.read())
        .await?
        .ok_or_else(|| RegistryError::refuse(ProblemCode::NotFound, "no such attempt"))?;
    let policy: GatePolicy = qorgan_store::json("gate policy", &row.get::<String>("policy")?)?;
    let facts = facts(&row, attempt, &policy)?;
    let accommodation_ms = u64::from(facts.accommodation.extra_minutes) * 60_000;
    let allowed = unsigned(&row, "duration_ms")?
        .saturating_add(unsigned(&row, "extra_ms")?)
        .saturating_add(accommodation_ms);
    let memory = memory(&row, Duration::from_millis(allowed))?;
    let key = key(&row, keys, attempt)?;
    let identity_reason = super::identity::newest_reason(store, &key, attempt).await?;
    let epoch = epoch(&row)?;
    let open_incidents = open_incidents(store, (attempt, epoch), &row).await?;
    let hand_raised: bool = row.get("hand_raised")?;
    let messages = unsigned(&row, "messages")?;
    let moves_open = unsigned(&row, "moves_open")?;
    let leased: Option<i64> = row.get("leased_ms")?;
    let leased = leased.map(WallTime::from_unix_ms);
    let leases = LeaseRecord::restored(policy.grace.network(), leased);
    let pace = ItemPace::restored(policy.pace, seen_items(store, attempt).await?, at.now);
    let gate = StartGate::new(policy, memory, at);
    let shown = CellState::shown_of(&gate, at.now, (hand_raised, messages, epoch, moves_open));
    let test: Option<String> = row.get("test_id")?;
    let version = u64::try_from(at.wall.unix_ms()).unwrap_or_default();
    let state = CellState {
        binding: binding(&row)?,
        instance: instance(&row)?,
        test: test.as_deref().map(qorgan_store::id).transpose()?,
        language: row.get("language")?,
        journal_next: unsigned(&row, "journal_next")?,
        freshness_key: freshness_key(store, keys, attempt, epoch).await?,
        identity_reason,
        facts,
        key: Arc::new(key),
        gate,
        leases,
        pace,
        sealing: unsigned(&row, "leaves")? > 0,
        sealer: false,
        late_noted: None,
        epoch,
        hand_raised,
        messages,
        moves_open,
        heads: BTreeMap::new(),
        recorded_us: 0,
        backlog: Backlog::default(),
        open_incidents,
        machine: qorgan_store::json("machine", &row.get::<String>("machine")?)?,
        presence: Presence::default(),
        check_ins: CheckIns::default(),
        saved: memory,
        saved_at: at.now,
        shown,
        version,
    };
    Ok(Cell {
        state: Mutex::new(state),
        changed: watch::Sender::new(version),
        commands: broadcast::Sender::new(COMMANDS_MAX),
    })
}

fn key(
    row: &Row,
    keys: &ServerKeys,
    attempt: AttemptId,
) -> Result<qorgan_signing::SecretKey, RegistryError> {
    let wrapped: Vec<u8> = row.get("key_wrapped")?;
    if wrapped.is_empty() {
        let detail = "the recording was deleted";
        return Err(RegistryError::refuse(ProblemCode::NotFound, detail));
    }
    Ok(keys.unwrap(&format!("attempt:{attempt}"), &wrapped)?)
}

/// Returns the places of the items that left already.
async fn seen_items(store: &Store, attempt: AttemptId) -> Result<BTreeSet<u16>, RegistryError> {
    let places: Vec<i64> = qorgan_store::query_scalar(
        "SELECT DISTINCT position FROM item_fetches WHERE attempt_id = $1",
    )
    .bind(attempt.to_string())
    .fetch_all(store.read())
    .await?;
    Ok(places
        .into_iter()
        .filter_map(|place| u16::try_from(place).ok())
        .collect())
}

fn facts(
    row: &Row,
    attempt: AttemptId,
    policy: &GatePolicy,
) -> Result<AttemptFacts, RegistryError> {
    let text = |column: &str| row.get::<String>(column);
    let office = AdmissionFacts::read(row)?;
    let (watch, _granted) = watch(row, policy)?;
    Ok(AttemptFacts {
        attempt,
        person: qorgan_store::id(&text("person_id")?)?,
        exam: qorgan_store::id(&text("exam_id")?)?,
        title: text("title")?,
        opens: office.opens,
        closes: office.closes,
        admitted: office.admitted,
        reason: office.reason,
        accommodation: office.accommodation,
        watch,
        bandwidth: text("bandwidth")?,
        deny_processes: qorgan_store::json("process list", &row.get::<String>("deny_processes")?)?,
        allow_processes: qorgan_store::json(
            "process list",
            &row.get::<String>("allow_processes")?,
        )?,
    })
}

/// Reads what is watched for in an attempt, as it was fixed at check-in or as it would be now, and
/// what the candidate is granted.
pub(super) fn watch(
    row: &Row,
    policy: &GatePolicy,
) -> Result<(WatchPolicy, Vec<Allowance>), RegistryError> {
    let granted: Option<String> = row.get("allowances")?;
    let allowances: Vec<Allowance> =
        qorgan_store::json("allowances", granted.as_deref().unwrap_or("[]"))?;
    let fixed: Option<String> = row.get("watch")?;
    let watch = match fixed {
        Some(fixed) => qorgan_store::json("watch policy", &fixed)?,
        None => policy.watch.clone().granting(&allowances),
    };
    Ok((watch, allowances))
}

fn memory(row: &Row, allowed: Duration) -> Result<GateMemory, RegistryError> {
    let held: Option<String> = row.get("held")?;
    let held: Option<PauseCause> = held
        .map(|text| qorgan_store::json("cause", &text))
        .transpose()?;
    let phase: AttemptPhase = qorgan_store::json("phase", &row.get::<String>("phase")?)?;
    let identity: IdentityState = qorgan_store::json(
        "identity state",
        &format!("\"{}\"", row.get::<String>("identity")?),
    )?;
    let credited_by = qorgan_store::json("credited pause", &row.get::<String>("credited_by")?)?;
    Ok(GateMemory {
        phase,
        allowed,
        spent: Duration::from_millis(unsigned(row, "spent_ms")?),
        credited: Duration::from_millis(unsigned(row, "credited_ms")?),
        credited_by: CreditedPause::from_ms(&credited_by),
        identity,
        proctor_opened: row.get("proctor_opened")?,
        held,
    })
}

fn binding(row: &Row) -> Result<Option<Binding>, RegistryError> {
    let device_key: Option<Vec<u8>> = row.get("device_key")?;
    let boot: Option<Vec<u8>> = row.get("boot")?;
    let (Some(device_key), Some(boot)) = (device_key, boot) else {
        return Ok(None);
    };
    Ok(Some(Binding {
        device_key: PublicKey(qorgan_store::array("device key", &device_key)?),
        boot: BootId(qorgan_store::array("boot id", &boot)?),
    }))
}

fn instance(row: &Row) -> Result<Option<[u8; 16]>, RegistryError> {
    let bytes: Option<Vec<u8>> = row.get("instance")?;
    Ok(bytes
        .map(|b| qorgan_store::array("instance", &b))
        .transpose()?)
}

/// Reads the key of the freshness codes of an epoch.
pub(crate) async fn freshness_key(
    store: &Store,
    keys: &ServerKeys,
    attempt: AttemptId,
    epoch: Epoch,
) -> Result<Option<[u8; 32]>, RegistryError> {
    let wrapped: Option<Vec<u8>> = qorgan_store::query_scalar(
        "SELECT freshness_key_wrapped FROM epochs WHERE attempt_id = $1 AND epoch = $2",
    )
    .bind(attempt.to_string())
    .bind(i64::from(epoch.0))
    .fetch_optional(store.read())
    .await?;
    let place = epoch_place("freshness", attempt, epoch);
    let open = |wrapped: Vec<u8>| keys.unwrap(&place, &wrapped).map(|key| *key.expose());
    Ok(wrapped.map(open).transpose()?)
}

/// Returns the place of a wrapped key of one epoch.
pub(crate) fn epoch_place(what: &str, attempt: AttemptId, epoch: Epoch) -> String {
    format!("{what}:{attempt}:{epoch}")
}

pub(crate) fn unsigned(row: &Row, column: &str) -> Result<u64, RegistryError> {
    let value: i64 = row.get(column)?;
    let corrupt = |_negative| StoreError::Corrupt { what: "number" };
    Ok(u64::try_from(value).map_err(corrupt)?)
}

fn epoch(row: &Row) -> Result<Epoch, RegistryError> {
    let corrupt = |_wide| StoreError::Corrupt { what: "epoch" };
    Ok(Epoch(
        u32::try_from(row.get::<i64>("epoch")?).map_err(corrupt)?,
    ))
}

/// Reads the incidents that lasted when the server stopped; each was seen last when the attempt was
/// saved last.
async fn open_incidents(
    store: &Store,
    (attempt, epoch): (AttemptId, Epoch),
    saved: &Row,
) -> Result<OpenIncidents, RegistryError> {
    let corrupt = |what| StoreError::Corrupt { what };
    let saved: i64 = saved.get("saved_ms")?;
    let rows = qorgan_store::query(
        "SELECT id, kind, stream, observations, detector, began_ms FROM incidents \
         WHERE attempt_id = $1 AND epoch = $2 AND ended_ms IS NULL ORDER BY began_ms, id",
    )
    .bind(attempt.to_string())
    .bind(i64::from(epoch.0))
    .fetch_all(store.read())
    .await?;
    let mut open = OpenIncidents::new();
    for row in rows {
        let kind = IncidentKind::from_word(&row.get::<String>("kind")?)
            .ok_or_else(|| corrupt("incident kind"))?;
        let stream: Option<String> = row.get("stream")?;
        let stream = stream.map(|word| StreamId::from_word(&word).ok_or_else(|| corrupt("stream")));
        let witness = match row.get::<String>("detector")?.as_str() {
            SERVER => Witness::Server,
            _ => Witness::Machine,
        };
        let key = IncidentKey {
            kind,
            stream: stream.transpose()?,
            witness,
        };
        let observations = u32::try_from(row.get::<i64>("observations")?);
        let incident = OpenIncident {
            id: row.get("id")?,
            observations: observations.map_err(|_wide| corrupt("observations"))?,
            last: WallTime::from_unix_ms(row.get::<i64>("began_ms")?.max(saved)),
        };
        open.insert(key, incident);
    }
    Ok(open)
}
