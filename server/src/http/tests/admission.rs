use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use serde_json::{Value, json};

use super::harness::{Client, Device, World};
use qorgan_protocol::ids::AttemptId;

/// Changes admissions as another process does: nobody tells the server.
async fn change(world: &World, sql: &'static str) {
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(sql)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("stored");
}

/// Waits for a view of which `seen` holds; each asking waits for the next change.
async fn view_where(client: &Client, attempt: AttemptId, seen: impl Fn(&Value) -> bool) -> Value {
    let mut after = 0;
    for _ in 0..30 {
        let (status, view) = client
            .get(attempt, &format!("view?after={after}&wait_ms=2000"))
            .await;
        assert_eq!(status, 200, "{view}");
        if seen(&view) {
            return view;
        }
        after = view["version"].as_u64().expect("a version");
    }
    panic!("the change does not arrive");
}

fn remaining(view: &Value) -> u64 {
    view["time"]["remaining_ms"].as_u64().expect("a time")
}

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn extra_time_that_an_office_changes_reaches_a_running_attempt_and_the_candidate_is_told() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;

    change(&world, "UPDATE admissions SET extra_minutes = 60").await;
    let view = view_where(&client, attempt, |view| remaining(view) > HOUR_MS).await;
    assert!(remaining(&view) <= 2 * HOUR_MS);
    let view = view_where(&client, attempt, |view| !view["messages"][0].is_null()).await;
    let text = view["messages"][0]["text"].as_str().expect("a text");
    assert!(text.contains("60"), "{text}");

    change(&world, "UPDATE admissions SET extra_minutes = 10").await;
    let most = HOUR_MS + 600_000;
    let view = view_where(&client, attempt, |view| remaining(view) <= most).await;
    assert!(remaining(&view) > HOUR_MS);

    // It stands with the admission alone: a restart counts it once.
    let world = world.restart().await;
    let line = world
        .state
        .registry
        .board_line(attempt)
        .await
        .expect("known");
    assert!(
        (HOUR_MS..=most).contains(&line.remaining_ms),
        "{}",
        line.remaining_ms
    );
    let cell = world.state.registry.standing(attempt).await;
    cell.expect("it loads");
    let line = world
        .state
        .registry
        .board_line(attempt)
        .await
        .expect("known");
    assert!(
        (HOUR_MS..=most).contains(&line.remaining_ms),
        "{}",
        line.remaining_ms
    );
}

#[tokio::test]
async fn an_admission_that_is_withdrawn_at_the_gate_stops_the_start_with_its_reason() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let _agent = world.agent(attempt, &device).await;

    change(
        &world,
        "UPDATE admissions SET admitted = 0, reason = 'ЖР 12.00 < 50.00'",
    )
    .await;
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_admitted")));
    assert!(problem.to_string().contains("ЖР 12.00"), "{problem}");

    change(&world, "UPDATE admissions SET admitted = 1, reason = ''").await;
    let (status, view) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "{view}");
}

#[tokio::test]
async fn whoever_is_admitted_after_the_attempt_was_read_checks_in_at_once() {
    let world = World::start().await;
    let sitting = world
        .sitting(-60, Duration::from_secs(3_600), GatePolicy::remote())
        .await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "no rating").await;
    let client = world.sign_in(&Device::new(), "a").await;
    let (status, problem) = client.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_admitted")));

    world.admit(sitting, person, "").await;
    let sql = "UPDATE admissions SET accessibility = 1, allowances = '[\"helper\"]'";
    change(&world, sql).await;
    let reply = client.check_in(attempt).await;
    assert!(reply.accommodation.accessibility);
    assert_eq!(reply.accommodation.allowances.len(), 1);
}
