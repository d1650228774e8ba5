//! One event is one incident, whoever saw it first.

use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::time::Now;
use serde_json::json;

use super::harness::{Client, Device, SCREEN, World};

type Row = (String, Option<String>, i64);

async fn incidents(world: &World, kind: IncidentKind) -> Vec<Row> {
    sqlx::query_as(
        "SELECT detector, stream, observations FROM incidents WHERE kind = $1 ORDER BY began_ms, id",
    )
    .bind(kind.word())
    .fetch_all(world.state.store.read())
    .await
    .expect("read")
}

async fn kiosk_sees(client: &Client, attempt: AttemptId, kind: &str, ago_ms: u64) {
    let event = json!({ "kind": kind, "ago_ms": ago_ms, "at": Now::default(), "detail": "xterm" });
    let events = json!({ "events": [event] });
    assert_eq!(client.post(attempt, "events", &events).await.0, 204);
}

async fn agent_sees(world: &World, attempt: AttemptId, kind: IncidentKind) {
    let seen = Observation {
        kind,
        edge: Edge::Moment,
        at: Now::default(),
        at_us: 500_000,
        stream: Some(SCREEN),
        score: Severity::clamped(1.0),
        threshold: Severity::clamped(0.5),
        detector: "active-window/1".to_owned(),
        detail: "xterm".to_owned(),
        scored_input: Vec::new(),
    };
    let stored = world.state.registry.observations(attempt, vec![seen]);
    stored.await.expect("stored");
}

async fn sitting() -> (World, AttemptId, Client) {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    world.agent(attempt, &device).await;
    (world, attempt, client)
}

#[tokio::test]
async fn a_switch_that_kiosk_and_agent_see_is_one_incident_on_the_stream_that_shows_it() {
    let (world, attempt, client) = sitting().await;
    let switch = IncidentKind::WindowSwitch;
    kiosk_sees(&client, attempt, "window_switch", 300).await;
    agent_sees(&world, attempt, switch).await;
    let screen = Some(SCREEN.to_string());
    assert_eq!(
        incidents(&world, switch).await,
        [("kiosk/1".to_owned(), screen.clone(), 2)]
    );

    let clipboard = IncidentKind::ClipboardChanged;
    agent_sees(&world, attempt, clipboard).await;
    kiosk_sees(&client, attempt, "clipboard_cleared", 300).await;
    assert_eq!(
        incidents(&world, clipboard).await,
        [("active-window/1".to_owned(), screen, 2)]
    );
}

#[tokio::test]
async fn what_lies_apart_in_time_stays_apart() {
    let (world, attempt, client) = sitting().await;
    let switch = IncidentKind::WindowSwitch;
    agent_sees(&world, attempt, switch).await;
    let minute = Duration::from_secs(60).as_millis();
    let minute = u64::try_from(minute).expect("small");
    kiosk_sees(&client, attempt, "window_switch", minute).await;
    let rows = incidents(&world, switch).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|(_, _, observations)| *observations == 1));
}
