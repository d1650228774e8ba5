//! The document at check-in (decision 7): asked for, kept sealed, seen by those who may.

use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::limits::DOCUMENT_BYTES_MAX;
use qorgan_protocol::wire::ProblemCode;
use serde_json::{Value, json};

use super::harness::{Client, Device, World, checked};
use crate::registry::{DocumentId, IdentityDecision};

fn asks() -> GatePolicy {
    GatePolicy {
        identity_document: true,
        ..GatePolicy::remote()
    }
}

/// Something that begins and ends as a JPEG.
fn jpeg(len: usize) -> Vec<u8> {
    let mut bytes = vec![0x11; len];
    bytes[..3].copy_from_slice(&[0xFF, 0xD8, 0xFF]);
    bytes[len - 2..].copy_from_slice(&[0xFF, 0xD9]);
    bytes
}

fn shown(bytes: &[u8]) -> Value {
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({ "document": hex })
}

async fn at_identity(world: &World, policy: GatePolicy) -> (AttemptId, Client) {
    let attempt = world.candidate("a", policy).await;
    let client = world.sign_in(&Device::new(), "a").await;
    client.check_in(attempt).await;
    let consent = json!({ "version": "2026-4", "language": "kk", "agreed": true });
    client.post(attempt, "consent", &consent).await;
    client.post(attempt, "system-check", &checked(&[])).await;
    (attempt, client)
}

#[tokio::test]
async fn without_the_document_that_the_policy_asks_for_nobody_passes() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, asks()).await;
    let bad = [
        json!({ "document": null }),
        shown(b"no picture"),
        shown(&jpeg(DOCUMENT_BYTES_MAX + 1)),
    ];
    for body in bad {
        assert_eq!(client.post(attempt, "identity", &body).await.0, 400);
    }
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity"], "open");
    let good = shown(&jpeg(DOCUMENT_BYTES_MAX));
    assert_eq!(client.post(attempt, "identity", &good).await.0, 204);
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity"], "deferred");
}

#[tokio::test]
async fn a_document_is_kept_sealed_with_the_attempts_key_and_the_newest_is_shown() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, asks()).await;
    let proctor = world.person("proctor").await;
    for len in [900, 1_000] {
        let sent = client.post(attempt, "identity", &shown(&jpeg(len))).await;
        assert_eq!(sent.0, 204);
        world
            .state
            .registry
            .decide_identity(attempt, IdentityDecision::Refuse, proctor, "too dark")
            .await
            .expect("refused");
    }
    let registry = &world.state.registry;
    let newest = registry.newest_document(attempt).await;
    let newest = newest.expect("readable").expect("two were shown");
    let kept = registry.identity_document(attempt, newest).await;
    assert_eq!(kept.expect("opens"), Some(jpeg(1_000)));
    let stored: Vec<Vec<u8>> = qorgan_store::query_scalar("SELECT sealed FROM identity_documents")
        .fetch_all(world.state.store.read())
        .await
        .expect("read");
    assert_eq!(stored.len(), 2);
    for sealed in stored {
        let open = sealed.windows(16).any(|bytes| bytes == [0x11; 16]);
        assert!(!open, "a document lies open in the database");
    }
}

#[tokio::test]
async fn a_document_that_nobody_asked_for_and_one_for_another_are_refused() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, GatePolicy::remote()).await;
    let document = shown(&jpeg(1_000));
    assert_eq!(client.post(attempt, "identity", &document).await.0, 400);
    let other = world.candidate("b", asks()).await;
    let (status, _) = client.post(other, "identity", &document).await;
    assert_eq!(status, 404);
    let kept = world.state.registry.newest_document(other).await;
    assert_eq!(kept.expect("read"), None);
}

async fn newest(world: &World, attempt: AttemptId) -> Option<DocumentId> {
    let newest = world.state.registry.newest_document(attempt).await;
    newest.expect("readable")
}

async fn identity(client: &Client, attempt: AttemptId) -> Value {
    client.get(attempt, "view").await.1["identity"].clone()
}

#[tokio::test]
async fn what_is_approved_is_the_document_that_was_looked_at() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, asks()).await;
    let proctor = world.person("proctor").await;
    client.post(attempt, "identity", &shown(&jpeg(900))).await;
    let looked_at = newest(&world, attempt).await;
    // Shown again before the proctor decides.
    client.post(attempt, "identity", &shown(&jpeg(1_000))).await;
    let approve = async |document| {
        let approve = IdentityDecision::Approve { document };
        let registry = &world.state.registry;
        registry
            .decide_identity(attempt, approve, proctor, "")
            .await
    };

    for unseen in [looked_at, None] {
        let refused = approve(unseen).await.expect_err("nobody saw the newest");
        assert_eq!(refused.problem().code, ProblemCode::OutOfOrder);
        assert_ne!(identity(&client, attempt).await, "approved");
    }
    let seen = newest(&world, attempt).await;
    approve(seen).await.expect("looked at");
    assert_eq!(identity(&client, attempt).await, "approved");
}

#[tokio::test]
async fn nothing_is_approved_that_was_not_shown_since_it_was_asked_for() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, asks()).await;
    let proctor = world.person("proctor").await;
    let registry = &world.state.registry;
    let decide = |decision| registry.decide_identity(attempt, decision, proctor, "");
    let early = decide(IdentityDecision::Approve { document: None }).await;
    early.expect_err("nothing was shown");
    client.post(attempt, "identity", &shown(&jpeg(900))).await;
    let document = newest(&world, attempt).await;
    decide(IdentityDecision::AskAgain).await.expect("asked");

    let again = decide(IdentityDecision::Approve { document }).await;
    again.expect_err("nothing was shown since");
    assert_eq!(identity(&client, attempt).await, "again");
}

#[tokio::test]
async fn a_showing_that_is_not_kept_moves_no_step() {
    let world = World::start().await;
    let (attempt, client) = at_identity(&world, asks()).await;
    let proctor = world.person("proctor").await;
    client.post(attempt, "identity", &shown(&jpeg(900))).await;
    let registry = &world.state.registry;
    let refuse = IdentityDecision::Refuse;
    let refused = registry.decide_identity(attempt, refuse, proctor, "dark");
    refused.await.expect("refused");
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 39) \
         INSERT INTO identity_documents (institution_id, attempt_id, at_ms, sealed) \
         SELECT institution_id, attempt_id, at_ms, sealed FROM identity_documents, n",
    )
    .execute(&mut *tx)
    .await
    .expect("stored");
    tx.commit().await.expect("stored");

    let again = client.post(attempt, "identity", &shown(&jpeg(1_000))).await;
    assert_eq!(again.0, 429);
    assert_eq!(identity(&client, attempt).await, "refused");
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["identity_reason"], "dark");
}
