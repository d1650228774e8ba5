use qorgan_protocol::incident::IncidentKind;
use serde_json::json;

use super::harness::{Device, World, quick};

#[tokio::test]
//= tests/data/sop-2-28.md#8-sitting-times
//= type=test
async fn who_checked_in_cannot_start_after_the_window() {
    let world = World::start().await;
    let attempt = world.candidate("late", quick()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "late", attempt).await;
    let _agent = world.agent(attempt, &device).await;
    change(&world, "UPDATE sittings SET closes_ms = opens_ms + 1").await;
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("too_late")));
    change(
        &world,
        "UPDATE sittings SET closes_ms = opens_ms + 86400000",
    )
    .await;
    let _agent = world.agent(attempt, &device).await;
    let (status, view) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "{view}");
}

#[tokio::test]
//= tests/data/sop-2-28.md#7-admission
//= type=test
async fn an_admission_that_was_withdrawn_after_check_in_refuses_the_start() {
    let world = World::start().await;
    let attempt = world.candidate("withdrawn", quick()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "withdrawn", attempt).await;
    let _agent = world.agent(attempt, &device).await;
    change(&world, "UPDATE admissions SET admitted = 0, reason = 'x'").await;
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_admitted")));
    let (status, problem) = client.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_admitted")));
}

#[tokio::test]
async fn credit_that_is_used_up_is_told_and_outlives_a_restart() {
    let mut policy = quick();
    policy.pause_credit.agent_ms = 300;
    policy.pause_credit.source_ms = 300;
    let world = World::start().await;
    let attempt = world.candidate("pauses", policy).await;
    let device = Device::new();
    let (_client, _agent) = world.running(&device, "pauses", attempt).await;
    let kind = IncidentKind::PauseTooLong.word();
    let told = async || {
        let count: i64 = qorgan_store::query_scalar(
            "SELECT COUNT(*) FROM incidents WHERE attempt_id = $1 AND kind = $2",
        )
        .bind(attempt.to_string())
        .bind(kind)
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
        count
    };
    let late = tokio::time::Instant::now() + std::time::Duration::from_secs(20);
    while told().await == 0 {
        assert!(tokio::time::Instant::now() < late, "nothing was told");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let world = world.restart().await;
    let credited: String =
        qorgan_store::query_scalar("SELECT credited_by FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_one(world.state.store.read())
            .await
            .expect("readable");
    assert!(credited.contains("300"), "{credited}");
}

async fn change(world: &World, sql: &'static str) {
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(sql)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("stored");
}
