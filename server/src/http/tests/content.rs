use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use serde_json::json;

use super::harness::{Device, SECRET_TEXT, World, quick};
use crate::registry::ControlAction;

#[tokio::test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
async fn items_stay_hidden_until_all_three_streams_are_live() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;

    for path in ["items", "items/1"] {
        let (status, problem) = client.get(attempt, path).await;
        assert_eq!((status, &problem["code"]), (409, &json!("gate_closed")));
    }
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("gate_closed")));

    world.agent(attempt, &device).await;
    let (status, problem) = client.get(attempt, "items").await;
    assert_eq!((status, &problem["code"]), (409, &json!("gate_closed")));
    let (status, view) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "{view}");
    assert!(
        view["lease"]["left_ms"]
            .as_u64()
            .is_some_and(|ms| ms <= 5_000)
    );

    let (status, list) = client.get(attempt, "items").await;
    assert_eq!(
        (status, list["items"].as_array().map(Vec::len)),
        (200, Some(2))
    );
    let (status, page) = client.get(attempt, "items/2").await;
    assert_eq!(status, 200);
    assert_eq!(page["body"][0]["text"], SECRET_TEXT);
    assert!(page.get("correct").is_none() && page.get("points").is_none());
}

#[tokio::test]
async fn a_lost_agent_covers_and_a_returned_one_uncovers() {
    let world = World::start().await;
    let attempt = world.candidate("a", quick()).await;
    let device = Device::new();
    let (client, agent) = world.running(&device, "a", attempt).await;
    let lost = world.state.registry.link_down(attempt, agent.epoch).await;
    lost.expect("stored");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["lease"], json!(null));

    world.agent(attempt, &device).await;
    let (status, _page) = client.get(attempt, "items/1").await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn a_recording_that_waited_in_the_spool_uncovers_nothing() {
    let world = World::start().await;
    let attempt = world.candidate("a", quick()).await;
    let device = Device::new();
    let (client, agent) = world.running(&device, "a", attempt).await;
    let registry = &world.state.registry;
    let lost = registry.link_down(attempt, agent.epoch).await;
    lost.expect("stored");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let back = registry.link_up(attempt, agent.epoch, agent.boot).await;
    back.expect("stored").expect("the epoch holds");
    agent.tell_clock(&world).await;
    for late_s in [60, 40, 20, 5] {
        agent.alive_late(&world, Duration::from_secs(late_s)).await;
        let (status, problem) = client.get(attempt, "items/1").await;
        assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    }
    agent.alive(&world).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);
}

//= tests/data/sop-2-28.md#10-start-gate
//= type=test
#[tokio::test]
async fn a_spool_that_drains_into_a_server_that_just_started_opens_no_gate() {
    let world = World::start().await;
    let attempt = world.candidate("a", quick()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let agent = world.silent_agent(attempt, &device).await;
    agent.tell_clock(&world).await;
    for late_s in [60, 40, 20, 5] {
        agent.alive_late(&world, Duration::from_secs(late_s)).await;
        let (status, _problem) = client.post(attempt, "start", &json!({})).await;
        assert_ne!(status, 200, "{late_s} s old");
    }
    agent.alive(&world).await;
    let (status, reply) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "{reply}");
}

#[tokio::test]
async fn a_paused_an_ended_and_a_submitted_attempt_show_nothing() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, agent) = world.running(&device, "a", attempt).await;

    let registry = &world.state.registry;
    let paused = registry
        .control(attempt, ControlAction::Pause, proctor, "phone")
        .await;
    paused.expect("it runs");
    agent.alive(&world).await;
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    let resumed = registry
        .control(attempt, ControlAction::Resume, proctor, "")
        .await;
    resumed.expect("it is held");
    assert_eq!(client.get(attempt, "items/1").await.0, 200);

    let (status, _reply) = client
        .post(attempt, "submit", &json!({ "epoch": 1, "entries": 0 }))
        .await;
    assert_eq!(status, 200);
    agent.alive(&world).await;
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_phase")));
}

#[tokio::test]
async fn another_candidate_finds_no_such_attempt() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    world.candidate("b", GatePolicy::remote()).await;
    let (_client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let other = world.sign_in(&Device::new(), "b").await;
    for path in ["items", "items/1", "view", "photo"] {
        let (status, problem) = other.get(attempt, path).await;
        assert_eq!(
            (status, &problem["code"]),
            (404, &json!("not_found")),
            "{path}"
        );
    }
}

#[tokio::test]
async fn an_agents_token_opens_no_item() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (mut client, _agent) = world.running(&device, "a", attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    let (_status, reply) = client.post(attempt, "consent", &consent).await;
    reply["agent_token"]
        .as_str()
        .expect("a token")
        .clone_into(&mut client.token);
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
    client.token = "00".repeat(32);
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (401, &json!("not_signed_in")));
}

#[tokio::test]
async fn a_restarted_server_covers_and_keeps_where_everybody_was() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let token = client.token.clone();
    let world = world.restart().await;
    let mut client = world.sign_in(&device, "a").await;
    client.token = token;
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["covered"], json!("server_restarted"));
    world.agent(attempt, &device).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);
}

#[tokio::test]
async fn what_is_secret_is_not_readable_in_the_data_folder() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let said = json!({ "text": "Very-private-message" });
    assert_eq!(client.post(attempt, "messages", &said).await.0, 204);
    for entry in std::fs::read_dir(&*world.state.data).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            continue;
        }
        let bytes = std::fs::read(&path).expect("readable");
        for secret in [SECRET_TEXT, "Very-private-message", client.token.as_str()] {
            let found = bytes
                .windows(secret.len())
                .any(|part| part == secret.as_bytes());
            assert!(!found, "{secret} stands in {}", path.display());
        }
    }
}
