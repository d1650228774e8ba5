//! One event is one incident, whoever saw it first.

use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::incident::{
    Allowance, Edge, IncidentKind, Observation, Sensitivity, Severity, WatchPolicy,
};
use qorgan_protocol::time::Now;
use serde_json::json;

use super::harness::{Client, Device, SCREEN, World};
use crate::store::exams::{self, GrantError};

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
async fn where_a_window_stands_is_added_to_what_was_told_of_it() {
    let (world, attempt, _client) = sitting().await;
    agent_sees(&world, attempt, IncidentKind::ForeignWindow).await;
    for edge in [Edge::Began, Edge::Holds, Edge::Began] {
        let seen = Observation {
            kind: IncidentKind::ForeignWindow,
            edge,
            at: Now::default(),
            at_us: 500_000,
            stream: Some(SCREEN),
            score: Severity::clamped(0.9),
            threshold: Severity::clamped(0.5),
            detector: "drawn-screen/1".to_owned(),
            detail: "from 29 to 51 % across".to_owned(),
            scored_input: vec![1],
        };
        let stored = world.state.registry.observations(attempt, vec![seen]);
        stored.await.expect("stored");
    }
    let details: Vec<String> =
        sqlx::query_scalar("SELECT detail FROM incidents WHERE kind = 'foreign_window'")
            .fetch_all(world.state.store.read())
            .await
            .expect("read");
    assert_eq!(details, ["xterm; from 29 to 51 % across"]);
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

async fn counted(world: &World, counts: bool) -> Vec<String> {
    sqlx::query_scalar("SELECT kind FROM incidents WHERE counts = $1 ORDER BY kind")
        .bind(counts)
        .fetch_all(world.state.store.read())
        .await
        .expect("read")
}

/// A candidate with a helper, in a sitting where windows do not count.
async fn with_a_helper(world: &World) -> (AttemptId, qorgan_protocol::ids::SittingId) {
    let mut policy = GatePolicy::remote();
    assert!(
        policy
            .watch
            .set(IncidentKind::WindowSwitch, Sensitivity::Off)
    );
    let lasts = Duration::from_secs(3_600);
    let sitting = world.sitting(-60, lasts, policy).await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "").await;
    grant(world, sitting, &[Allowance::Helper])
        .await
        .expect("not checked in");
    (attempt, sitting)
}

async fn grant(
    world: &World,
    sitting: qorgan_protocol::ids::SittingId,
    allowances: &[Allowance],
) -> Result<(), GrantError> {
    let mut tx = world.state.store.begin().await.expect("a writer");
    let at = world.state.clock.wall();
    exams::grant(&mut tx, at, (sitting, "A"), allowances).await?;
    tx.commit().await.expect("stored");
    Ok(())
}

#[tokio::test]
async fn what_does_not_count_is_kept_as_seen_whoever_says_it_and_makes_no_incident() {
    let world = World::start().await;
    let (attempt, _) = with_a_helper(&world).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    world.agent(attempt, &device).await;
    for kind in [
        IncidentKind::SecondFace,
        IncidentKind::AnotherVoice,
        IncidentKind::Talking,
        IncidentKind::Tampering,
    ] {
        agent_sees(&world, attempt, kind).await;
    }
    kiosk_sees(&client, attempt, "window_switch", 300).await;
    assert_eq!(counted(&world, true).await, ["talking", "tampering"]);
    let kept = ["another_voice", "second_face", "window_switch"];
    assert_eq!(counted(&world, false).await, kept);
    let line = world
        .state
        .registry
        .board_line(attempt)
        .await
        .expect("known");
    assert_eq!((line.incidents, line.unreviewed), (2, 2));
}

#[tokio::test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
async fn the_candidate_is_told_before_consent_and_what_was_told_stays() {
    let world = World::start().await;
    let (attempt, sitting) = with_a_helper(&world).await;
    let client = world.sign_in(&Device::new(), "a").await;
    let told = client.check_in(attempt).await;
    let mut wanted = WatchPolicy::remote().granting(&[Allowance::Helper]);
    assert!(wanted.set(IncidentKind::WindowSwitch, Sensitivity::Off));
    assert_eq!(told.policy.watch, wanted);
    assert_eq!(told.policy.required(), GatePolicy::remote().required());
    assert_eq!(told.accommodation.allowances, [Allowance::Helper]);
    let last = told.consent_text.en.split("\n\n").last();
    let last = last.expect("a paragraph");
    assert!(
        last.contains("Second face") && last.contains("Another voice"),
        "{last}"
    );

    let refused = grant(&world, sitting, &[]).await;
    assert!(matches!(refused, Err(GrantError::CheckedIn)), "{refused:?}");
    let mut tx = world.state.store.begin().await.expect("a writer");
    sqlx::query("UPDATE admissions SET allowances = '[]'")
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");
    let world = world.restart().await;
    agent_sees(&world, attempt, IncidentKind::SecondFace).await;
    assert_eq!(counted(&world, true).await, [""; 0]);
    assert_eq!(counted(&world, false).await, ["second_face"]);
}

#[tokio::test]
async fn nobody_is_granted_anything_who_is_not_on_the_list() {
    let world = World::start().await;
    let lasts = Duration::from_secs(3_600);
    let sitting = world.sitting(-60, lasts, GatePolicy::remote()).await;
    let refused = grant(&world, sitting, &[Allowance::Helper]).await;
    assert!(matches!(refused, Err(GrantError::NotListed)), "{refused:?}");
}
