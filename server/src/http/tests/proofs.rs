//! A token is of no use without its device's key.

use qorgan_protocol::attempt::GatePolicy;
use qorgan_signing::Keys;
use reqwest::Response;
use serde_json::{Value, json};

use super::harness::{Device, World, target};

#[tokio::test]
async fn a_token_alone_opens_nothing() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (mut client, _agent) = world.running(&device, "a", attempt).await;
    let item = target(attempt, "items/1");

    let bare = client.send_with("GET", &item, (b"", None)).await;
    assert_eq!(told(bare).await, (403, json!("not_proved")));
    for nonsense in ["", "00", "00.00", "x"] {
        let bad = client.send_with("GET", &item, (b"", Some(nonsense))).await;
        assert_eq!(told(bad).await, (403, json!("not_proved")), "{nonsense}");
    }
    (client.keys, _) = Keys::generate().expect("random bytes");
    let stolen = client.proof("GET", &item, b"");
    let stolen = client.send_with("GET", &item, (b"", Some(&stolen))).await;
    assert_eq!(told(stolen).await, (403, json!("not_proved")));
}

#[tokio::test]
async fn a_proof_is_good_for_one_request_once() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let (one, two) = (target(attempt, "items/1"), target(attempt, "items/2"));

    let proof = client.proof("GET", &one, b"");
    let other = client.send_with("GET", &two, (b"", Some(&proof))).await;
    assert_eq!(told(other).await, (403, json!("not_proved")));
    let other = client.send_with("POST", &one, (b"", Some(&proof))).await;
    assert_ne!(other.status(), 200);
    let first = client.send_with("GET", &one, (b"", Some(&proof))).await;
    assert_eq!(first.status(), 200);
    let again = client.send_with("GET", &one, (b"", Some(&proof))).await;
    assert_eq!(told(again).await, (403, json!("not_proved")));
}

#[tokio::test]
async fn a_proof_covers_the_body_and_whose_token_it_is() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let hand = target(attempt, "hand");
    let (raised, taken) = (br#"{"raised":true}"#, br#"{"raised":false}"#);

    let proof = client.proof("POST", &hand, raised);
    let changed = client.send_with("POST", &hand, (taken, Some(&proof))).await;
    assert_eq!(told(changed).await, (403, json!("not_proved")));

    let mut second = world.sign_in(&device, "a").await;
    assert_eq!(second.get(attempt, "items/1").await.0, 200);
    let proof = second.proof("GET", &target(attempt, "items/1"), b"");
    second.token.clone_from(&client.token);
    let other = second
        .send_with("GET", &target(attempt, "items/1"), (b"", Some(&proof)))
        .await;
    assert_eq!(told(other).await, (403, json!("not_proved")));
}

#[tokio::test]
async fn no_route_takes_a_body_that_is_not_the_one_that_its_proof_covers() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let _agent = world.agent(attempt, &device).await;
    let before = client.get(attempt, "view").await.1;
    let mut by_others = Vec::new();
    for (method, path) in signed_routes() {
        let target = path
            .replace("{attempt}", &attempt.to_string())
            .replace("{position}", "1")
            .replace("{picture}", &attempt.to_string());
        let bare = client.send_with(&method, &target, (b"", None)).await;
        if told(bare).await.1 == "forbidden" {
            by_others.push(path);
            continue;
        }
        let (empty, one, other): (&[u8], &[u8], &[u8]) = (b"", b"{}", b"{ }");
        for (covered, sent) in [(one, empty), (empty, one), (one, other)] {
            let proof = client.proof(&method, &target, covered);
            let reply = client
                .send_with(&method, &target, (sent, Some(&proof)))
                .await;
            let status = reply.status();
            let problem: Value = reply.json().await.expect("JSON");
            assert_eq!(
                (status.as_u16(), &problem["detail"]),
                (403, &json!("the proof is of another body")),
                "{method} {path}, {covered:?} is covered and {sent:?} is sent"
            );
        }
    }
    assert_eq!(
        by_others,
        ["/api/v1/agent/enrol"],
        "the agent's token alone"
    );
    let after = client.get(attempt, "view").await.1;
    assert_eq!(
        (&after["phase"], &after["tasks"], &after["hand_raised"]),
        (&before["phase"], &before["tasks"], &before["hand_raised"])
    );
    let (status, view) = client.post(attempt, "start", &json!({})).await;
    assert_eq!(status, 200, "the gate was open all the time: {view}");
}

/// Returns method and path of each route of the API that takes somebody's token.
fn signed_routes() -> Vec<(String, String)> {
    let document = crate::http::document().expect("writable");
    let document: Value = serde_json::from_str(&document).expect("JSON");
    let mut routes = Vec::new();
    for (path, methods) in document["paths"].as_object().expect("paths") {
        for (method, operation) in methods.as_object().expect("methods") {
            if !operation["security"].is_null() {
                routes.push((method.to_uppercase(), path.clone()));
            }
        }
    }
    routes
}

#[tokio::test]
async fn what_was_recorded_before_a_restart_is_not_taken_after_it() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let hand = target(attempt, "hand");
    let raised = br#"{"raised":true}"#;
    let proof = client.proof("POST", &hand, raised);

    let world = world.restart().await;
    let mut client = client;
    client.lead(&world);
    let old = client
        .send_with("POST", &hand, (raised, Some(&proof)))
        .await;
    assert_eq!(told(old).await, (401, json!("stale_proof")));
    let (status, reply) = client
        .post(attempt, "hand", &json!({ "raised": true }))
        .await;
    assert_eq!(status, 204, "{reply}");
}

async fn told(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let problem: Value = response.json().await.expect("JSON");
    (status, problem["code"].clone())
}
