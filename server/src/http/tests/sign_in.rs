use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;
use serde_json::{Value, json};

use super::harness::{Device, PASSWORD, World, checked, sign_in_body};

#[tokio::test]
//= tests/data/sop-2-28.md#11-sign-in
//= type=test
async fn a_candidate_signs_in_opens_the_test_reads_the_instruction_and_only_then_waits_to_start() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.sign_in(&Device::new(), "a").await;
    let exams = client.exams().await;
    assert_eq!(exams[0]["attempt"], json!(attempt));
    assert_eq!(exams[0]["state"]["state"], "open");
    client.check_in(attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    assert_eq!(client.post(attempt, "consent", &consent).await.0, 200);
    assert_eq!(
        client.post(attempt, "system-check", &checked(&[])).await.0,
        204
    );
    assert_eq!(client.post(attempt, "identity", &json!({})).await.0, 204);
    let (status, problem) = client.post(attempt, "start", &json!({})).await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_phase")));
    let other = json!({ "version": "another" });
    assert_eq!(client.post(attempt, "instruction", &other).await.0, 400);
    let read = json!({ "version": "2026-1" });
    assert_eq!(client.post(attempt, "instruction", &read).await.0, 204);
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["phase"]["phase"], "ready");
    assert_eq!(view["gate"].as_array().map(Vec::len), Some(3));
}

#[tokio::test]
async fn refused_consent_leads_to_the_testing_centre_and_ends_nothing() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.sign_in(&Device::new(), "a").await;
    client.check_in(attempt).await;
    let consent = json!({ "version": "2026-4", "language": "ru", "agreed": false });
    let (status, reply) = client.post(attempt, "consent", &consent).await;
    assert_eq!((status, &reply["agent_token"]), (200, &json!("")));
    assert_ne!(reply["contact"], "");
    client.tasks(attempt).await;
}

#[tokio::test]
//= tests/data/sop-2-28.md#7-admission
//= type=test
async fn who_is_not_admitted_is_told_why_and_cannot_open_the_exam() {
    let world = World::start().await;
    let sitting = world
        .sitting(-60, Duration::from_secs(600), GatePolicy::remote())
        .await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "ЖР 42").await;
    let client = world.sign_in(&Device::new(), "a").await;
    let exams = client.exams().await;
    assert_eq!(
        exams[0]["state"],
        json!({ "state": "not_admitted", "reason": "ЖР 42" })
    );
    let (status, problem) = client.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_admitted")));
    assert_eq!(problem["detail"], "ЖР 42");
}

#[tokio::test]
//= tests/data/sop-2-28.md#8-sitting-times
//= type=test
async fn a_sitting_is_open_only_in_its_window() {
    let world = World::start().await;
    let person = world.person("a").await;
    let hour = Duration::from_secs(3_600);
    let early = world.sitting(600, hour, GatePolicy::remote()).await;
    let late = world.sitting(-7_200, hour, GatePolicy::remote()).await;
    let early = world.admit(early, person, "").await;
    let late = world.admit(late, person, "").await;
    let client = world.sign_in(&Device::new(), "a").await;
    assert_eq!(client.try_check_in(early).await.1["code"], "too_early");
    assert_eq!(client.try_check_in(late).await.1["code"], "too_late");
    let states: Vec<_> = client
        .exams()
        .await
        .as_array()
        .expect("a list")
        .iter()
        .map(|card| card["state"]["state"].clone())
        .collect();
    assert_eq!(states, ["over", "not_yet"]);
}

#[tokio::test]
async fn a_replayed_proof_signs_nobody_in() {
    let world = World::start().await;
    world.person("a").await;
    let device = Device::new();
    let (key, proof) = world.proof(&device).await;
    let body = sign_in_body("a", PASSWORD, &key, &proof);
    assert_eq!(post(&world, &body).await.0, 200);
    let (status, problem) = post(&world, &body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
}

#[tokio::test]
async fn a_proof_by_another_key_signs_nobody_in() {
    let world = World::start().await;
    world.person("a").await;
    let (_key, proof) = world.proof(&Device::new()).await;
    let (other, _proof) = world.proof(&Device::new()).await;
    let (status, problem) = post(&world, &sign_in_body("a", PASSWORD, &other, &proof)).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
}

#[tokio::test]
async fn wrong_passwords_are_limited_by_account_and_neighbours_are_not() {
    let world = World::start().await;
    world.person("a").await;
    world.person("b").await;
    for _try in 0..world.state.config.limits.account_tries {
        let (key, proof) = world.proof(&Device::new()).await;
        let (status, problem) = post(&world, &sign_in_body("a", "wrong", &key, &proof)).await;
        assert_eq!((status, &problem["code"]), (401, &json!("wrong_password")));
    }
    let (key, proof) = world.proof(&Device::new()).await;
    let (status, problem) = post(&world, &sign_in_body("a", PASSWORD, &key, &proof)).await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    assert!(problem["retry_after_s"].as_u64().is_some_and(|s| s <= 900));
    world.sign_in(&Device::new(), "b").await;
}

#[tokio::test]
async fn an_unknown_field_of_a_request_is_named() {
    let world = World::start().await;
    let (status, problem) = post(&world, &json!({ "login": "a" })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_request")));
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("password"))
    );
}

async fn post(world: &World, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/sign-in", world.origin);
    let response = world
        .http
        .post(url)
        .json(body)
        .send()
        .await
        .expect("answered");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}
