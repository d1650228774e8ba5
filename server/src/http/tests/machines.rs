use futures_util::future::join_all;
use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::crypto::{self, Hasher as _, Signer as _};
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::ids::Epoch;
use qorgan_protocol::link::RefusalReason;
use qorgan_protocol::wire::{AgentGrant, EnrolProof, SignedHex};
use qorgan_signing::{Keys, Ring};
use serde_json::{Value, json};

use super::harness::{Device, World, number};

#[tokio::test]
async fn a_second_machine_waits_for_approval_and_then_the_first_gets_nothing() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (first, second) = (Device::new(), Device::new());
    let (old, agent) = world.running(&first, "a", attempt).await;

    let new = world.sign_in(&second, "a").await;
    let (status, problem) = new.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (409, &json!("bound_elsewhere")));
    let (status, problem) = new.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("old_epoch")));
    assert_eq!(old.get(attempt, "items/1").await.0, 200);

    let registry = &world.state.registry;
    let asked = registry.moves(attempt).await.expect("readable");
    assert_eq!(asked.len(), 1);
    let approved = registry
        .approve_move(attempt, asked[0].id, true, proctor)
        .await;
    approved.expect("it waits");
    let (status, problem) = old.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (401, &json!("not_signed_in")));
    let refused = registry.link_up(attempt, agent.epoch, agent.boot).await;
    assert_eq!(refused.expect("readable"), Err(RefusalReason::OldEpoch));

    let reply = new.check_in(attempt).await;
    assert_eq!(reply.epoch, Epoch(2));
    let (status, problem) = new.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
    agent.alive(&world).await;
    assert_eq!(
        new.get(attempt, "items/1").await.0,
        409,
        "the old agent moves nothing"
    );
    world.agent(attempt, &second).await;
    assert_eq!(
        new.get(attempt, "items/1").await.0,
        409,
        "nobody has seen who sits there"
    );
    world.identify_again(&new, attempt, proctor).await;
    world.agent(attempt, &second).await;
    assert_eq!(new.get(attempt, "items/1").await.0, 200);
    let returned = world.sign_in(&first, "a").await;
    assert_eq!(
        returned.get(attempt, "items/1").await.1["code"],
        "old_epoch"
    );
}

#[tokio::test]
async fn a_cloned_data_folder_is_another_machine() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (_client, _agent) = world.running(&device, "a", attempt).await;
    let clone = world.sign_in(&device.cloned(), "a").await;
    let (status, problem) = clone.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (409, &json!("bound_elsewhere")));
    let asked = world.state.registry.moves(attempt).await.expect("readable");
    assert!(asked[0].same_device);
}

#[tokio::test]
async fn two_machines_race_and_one_wins() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (one, two) = (Device::new(), Device::new());
    let (a, b) = tokio::join!(world.sign_in(&one, "a"), world.sign_in(&two, "a"));
    let (a, b) = tokio::join!(a.try_check_in(attempt), b.try_check_in(attempt));
    let mut won = [a.0, b.0];
    won.sort_unstable();
    assert_eq!(won, [200, 409]);
}

#[tokio::test]
async fn a_client_that_was_started_again_goes_on_and_the_one_before_is_out() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (before, _agent) = world.running(&device, "a", attempt).await;
    let after = world.sign_in(&device.restarted(), "a").await;
    let reply = after.check_in(attempt).await;
    assert_eq!(reply.epoch, Epoch(1));
    assert_eq!(after.get(attempt, "items/1").await.0, 200);
    let (status, problem) = before.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (409, &json!("bound_elsewhere")));
}

#[tokio::test]
async fn two_clients_that_take_an_attempt_by_turns_have_to_wait_and_people_are_told() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (one, _agent) = world.running(&device, "a", attempt).await;
    let other = world.sign_in(&device.restarted(), "a").await;
    let stranger = world.sign_in(&Device::new(), "a").await;
    let (mut taken, mut refused) = (0, 0);
    for turn in 0..40 {
        let client = if turn % 2 == 0 { &other } else { &one };
        let (status, problem) = client.try_check_in(attempt).await;
        if status == 200 {
            taken += 1;
        } else {
            assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
            let wait = problem["retry_after_s"].as_u64();
            assert!(wait.is_some_and(|s| (1..=15).contains(&s)), "{problem}");
            refused += 1;
        }
    }
    assert!(taken >= 19 && refused >= 10, "{taken} were taken");
    // Whoever holds it goes on, and a second machine is told the same as ever.
    let mut out = 0;
    for client in [&one, &other] {
        let (_status, item) = client.get(attempt, "items/1").await;
        out += usize::from(item["code"] == json!("bound_elsewhere"));
    }
    assert_eq!(out, 1);
    let (status, problem) = stranger.try_check_in(attempt).await;
    assert_eq!((status, &problem["code"]), (409, &json!("bound_elsewhere")));
    let told = "SELECT COUNT(*) FROM incidents WHERE detail LIKE '%over and over%'";
    assert_eq!(number(&world, told).await, 1);
}

#[tokio::test]
async fn a_machine_that_takes_over_does_not_wait_for_what_the_old_one_used_up() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (first, second) = (Device::new(), Device::new());
    let (old, _agent) = world.running(&first, "a", attempt).await;
    let new = world.sign_in(&second, "a").await;
    assert_eq!(new.try_check_in(attempt).await.0, 409);
    let mut last = 200;
    for _ in 0..40 {
        last = old.try_check_in(attempt).await.0;
    }
    assert_eq!(last, 429);

    let registry = &world.state.registry;
    let asked = registry.moves(attempt).await.expect("readable");
    let approved = registry
        .approve_move(attempt, asked[0].id, true, proctor)
        .await;
    approved.expect("it waits");

    assert_eq!(new.check_in(attempt).await.epoch, Epoch(2));
}

#[tokio::test]
async fn an_attempt_keeps_one_token_of_its_agent_however_often_consent_is_said() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.at_the_gate(&Device::new(), "a", attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    let said = (0..6).map(|_| client.post(attempt, "consent", &consent));
    for (status, reply) in join_all(said).await {
        assert_eq!(status, 200, "{reply}");
    }
    let tokens = "SELECT COUNT(*) FROM tokens WHERE kind = 'agent'";
    assert_eq!(number(&world, tokens).await, 1);
}

#[tokio::test]
async fn an_agent_enrols_with_a_fresh_proof_of_its_own_key_and_epoch() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    let (_status, reply) = client.post(attempt, "consent", &consent).await;
    let token = reply["agent_token"].as_str().expect("a token").to_owned();

    let old = enrolment(&world, attempt, (&token, Epoch(2)), &device);
    let (status, problem) = enrol(&world, &token, &old).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
    let elsewhere = Device {
        boot: device.boot,
        ..Device::new()
    };
    let stolen = enrolment(&world, attempt, (&token, Epoch(1)), &elsewhere);
    let (status, problem) = enrol(&world, &token, &stolen).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
    let other = enrolment(&world, attempt, ("another", Epoch(1)), &device);
    let (status, problem) = enrol(&world, &token, &other).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
    let body = enrolment(&world, attempt, (&token, Epoch(1)), &device);
    let (status, reply) = enrol(&world, &token, &body).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(
        (&reply["camera"], &reply["screen"]),
        (&json!(true), &json!(true))
    );
    let (status, problem) = enrol(&world, &token, &body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("not_proved")));
    let other_boot = enrolment(&world, attempt, (&token, Epoch(1)), &device.cloned());
    let (status, problem) = enrol(&world, &token, &other_boot).await;
    assert_eq!((status, &problem["code"]), (409, &json!("old_epoch")));
    let body = enrolment(&world, attempt, (&token, Epoch(1)), &device);
    let (status, problem) = enrol(&world, &client.token, &body).await;
    assert_eq!((status, &problem["code"]), (403, &json!("forbidden")));
}

fn enrolment(
    world: &World,
    attempt: AttemptId,
    (token, epoch): (&str, Epoch),
    device: &Device,
) -> Value {
    let (keys, _pkcs8) = Keys::generate().expect("random bytes");
    let proof = EnrolProof {
        nonce: world.state.auth.challenge().expect("random bytes"),
        attempt,
        epoch,
        key: keys.public_key(),
        boot: device.boot,
    };
    let signed = crypto::sign(&keys, &Ring, world.state.institution(), &proof).expect("writable");
    let grant = AgentGrant {
        token: Ring.sha256(&[token.as_bytes()]),
        attempt,
        epoch,
        boot: device.boot,
    };
    let grant = crypto::sign(&device.keys, &Ring, world.state.institution(), &grant);
    let grant = grant.expect("writable");
    json!({
        "key": keys.public_key().to_hex(), "proof": SignedHex::from(signed),
        "grant": SignedHex::from(grant),
        "agent_version": "0.1.0", "simulated_build": false,
    })
}

async fn enrol(world: &World, token: &str, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/agent/enrol", world.origin);
    let request = world.http.post(url).bearer_auth(token).json(body);
    let response = request.send().await.expect("answered");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}
