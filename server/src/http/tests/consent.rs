use qorgan_protocol::attempt::GatePolicy;
use serde_json::json;

use super::harness::{Device, World};

#[tokio::test]
async fn consent_is_recorded_once_per_version_however_often_a_client_says_it() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.sign_in(&device, "a").await;
    assert!(!client.check_in(attempt).await.consent_recorded);
    let word = |agreed: bool| json!({ "version": "2026-4", "language": "kk", "agreed": agreed });

    for agreed in [false, false, true, true] {
        assert_eq!(client.post(attempt, "consent", &word(agreed)).await.0, 200);
    }
    let restarted = device.restarted();
    let again = world.sign_in(&restarted, "a").await;
    let reply = again.check_in(attempt).await;
    assert!(reply.consent_recorded, "it need not be shown again");
    let (status, reply) = again.post(attempt, "consent", &word(true)).await;
    assert_eq!(status, 200);
    assert_ne!(reply["agent_token"], json!(""), "the agent gets its token");

    assert_eq!(recorded(&world).await, [false, true]);
}

#[tokio::test]
async fn a_changed_consent_is_shown_again_and_recorded_beside_the_old_one() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE consents SET version = 'before'")
        .execute(&mut *tx)
        .await
        .expect("an older text");
    tx.commit().await.expect("stored");

    assert!(!client.check_in(attempt).await.consent_recorded);
    let word = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    assert_eq!(client.post(attempt, "consent", &word).await.0, 200);

    assert!(client.check_in(attempt).await.consent_recorded);
    assert_eq!(recorded(&world).await, [true, true]);
}

async fn recorded(world: &World) -> Vec<bool> {
    qorgan_store::query_scalar("SELECT agreed FROM consents ORDER BY id")
        .fetch_all(world.state.store.read())
        .await
        .expect("readable")
}
