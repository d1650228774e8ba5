use std::time::Duration;

use qorgan_protocol::assessment::ResponseSeq;
use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::crypto::{self, Hasher as _, Sha256};
use qorgan_protocol::ids::Epoch;
use qorgan_protocol::wire::{ResponseReceipt, SignedHex};
use qorgan_signing::Ring;
use serde_json::{Value, json};

use super::harness::{Device, Journal, World, entries, item_id, number};

#[tokio::test]
async fn responses_are_stored_once_and_receipted() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let first = journal.add(item_id(1), "A", 4_000);
    let second = journal.add(item_id(2), "B", 4_000);
    let both = entries(Epoch(1), &[&first, &second]);
    for _again in 0..2 {
        let (status, reply) = client.post(attempt, "responses", &both).await;
        assert_eq!(status, 200, "{reply}");
        let receipt = receipt(&world, &reply);
        assert_eq!((receipt.next, receipt.head), (ResponseSeq(2), journal.head));
    }
    let (status, problem) = client
        .post(attempt, "submit", &json!({ "epoch": 1, "entries": 1 }))
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("out_of_order")));
    let (status, reply) = client
        .post(attempt, "submit", &json!({ "epoch": 1, "entries": 2 }))
        .await;
    assert_eq!((status, &reply["late"]), (200, &json!(false)));
    assert!(receipt(&world, &reply).submitted);
    let after = journal.add(item_id(1), "B", 4_000);
    let (status, problem) = client
        .post(attempt, "responses", &entries(Epoch(1), &[&after]))
        .await;
    assert_eq!((status, &problem["code"]), (409, &json!("wrong_phase")));
}

#[tokio::test]
async fn more_responses_than_are_kept_are_refused_and_people_are_told_once() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let mut journal = Journal {
        next: 50_000,
        head: Sha256([7; 32]),
        ..Journal::new(attempt, Epoch(1))
    };
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(
        "INSERT INTO responses (attempt_id, epoch, seq, institution_id, item_id, sealed, hash, \
         lease_left_ms, after_lease, received_ms, received_phase) \
         SELECT id, 1, 49999, institution_id, $2, CAST('0' AS BLOB), $3, 0, 0, 1, 'running' \
         FROM attempts WHERE id = $1",
    )
    .bind(attempt.to_string())
    .bind(item_id(1).to_string())
    .bind(journal.head.0.as_slice())
    .execute(&mut *tx)
    .await
    .expect("stored");
    tx.commit().await.expect("stored");
    world.state.registry.forget(attempt);
    let more = journal.add(item_id(1), "A", 4_000);
    for _again in 0..3 {
        let (status, problem) = client
            .post(attempt, "responses", &entries(Epoch(1), &[&more]))
            .await;
        assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    }
    let told = "SELECT COUNT(*) FROM incidents WHERE detail LIKE 'more responses %'";
    assert_eq!(number(&world, told).await, 1);
}

#[tokio::test]
async fn what_does_not_follow_fit_or_belong_is_refused() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let first = journal.add(item_id(1), "A", 4_000);
    let second = journal.add(item_id(2), "A", 4_000);
    let gap = client
        .post(attempt, "responses", &entries(Epoch(1), &[&second]))
        .await;
    assert_eq!((gap.0, &gap.1["code"]), (409, &json!("out_of_order")));
    assert_eq!(
        client
            .post(attempt, "responses", &entries(Epoch(1), &[&first]))
            .await
            .0,
        200
    );

    let mut other = Journal::new(attempt, Epoch(1));
    let rewritten = other.add(item_id(1), "B", 4_000);
    let rewrite = client
        .post(attempt, "responses", &entries(Epoch(1), &[&rewritten]))
        .await;
    assert_eq!(
        (rewrite.0, &rewrite.1["code"]),
        (409, &json!("out_of_order"))
    );

    let mut bad = Journal {
        next: 1,
        head: journal_head(&first),
        ..Journal::new(attempt, Epoch(1))
    };
    let unknown = bad.add(item_id(1), "Z", 4_000);
    let unfit = client
        .post(attempt, "responses", &entries(Epoch(1), &[&unknown]))
        .await;
    assert_eq!((unfit.0, &unfit.1["code"]), (400, &json!("bad_request")));

    let mut future = Journal::new(attempt, Epoch(2));
    let early = future.add(item_id(1), "A", 4_000);
    let epoch = client
        .post(attempt, "responses", &entries(Epoch(2), &[&early]))
        .await;
    assert_eq!((epoch.0, &epoch.1["code"]), (409, &json!("old_epoch")));
}

#[tokio::test]
async fn responses_after_the_leases_end_are_kept_and_marked() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let late = journal.add(item_id(1), "A", -2_500);
    assert_eq!(
        client
            .post(attempt, "responses", &entries(Epoch(1), &[&late]))
            .await
            .0,
        200
    );
    let marked: (i64, bool) = qorgan_store::query_as(
        "SELECT lease_left_ms, after_lease FROM responses WHERE attempt_id = $1",
    )
    .bind(attempt.to_string())
    .fetch_one(world.state.store.read())
    .await
    .expect("stored");
    assert_eq!(marked, (-2_500, true));
    let kinds: Vec<String> =
        qorgan_store::query_scalar("SELECT kind FROM incidents WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_all(world.state.store.read())
            .await
            .expect("readable");
    assert!(kinds.contains(&"late_responses".to_owned()));
}

#[tokio::test]
async fn a_submission_under_cover_is_accepted() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    // Covered after 20 s; the lease ended after 5 s, and its grace runs to the 25th.
    world.state.clock.skip(Duration::from_secs(21));
    let (_status, view) = client.get(attempt, "view").await;
    assert_ne!(view["covered"], json!(null));
    let mut journal = Journal::new(attempt, Epoch(1));
    let kept = journal.add(item_id(1), "A", 100);
    assert_eq!(
        client
            .post(attempt, "responses", &entries(Epoch(1), &[&kept]))
            .await
            .0,
        200
    );
    let (status, reply) = client
        .post(attempt, "submit", &json!({ "epoch": 1, "entries": 1 }))
        .await;
    assert_eq!((status, &reply["late"]), (200, &json!(false)));
}

#[tokio::test]
async fn the_deadline_submits_and_late_delivery_is_marked() {
    let world = World::start().await;
    let sitting = world
        .sitting(-60, Duration::from_secs(4), GatePolicy::remote())
        .await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "").await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    world.state.clock.skip(Duration::from_secs(60));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["phase"]["phase"], "submitted");
    let mut journal = Journal::new(attempt, Epoch(1));
    let kept = journal.add(item_id(1), "A", 100);
    assert_eq!(
        client
            .post(attempt, "responses", &entries(Epoch(1), &[&kept]))
            .await
            .0,
        200
    );
    let submit = json!({ "epoch": 1, "entries": 1 });
    for _again in 0..2 {
        let (status, reply) = client.post(attempt, "submit", &submit).await;
        assert_eq!((status, &reply["late"]), (200, &json!(true)));
    }
}

#[tokio::test]
async fn a_delivery_after_the_policys_delay_is_refused() {
    let world = World::start().await;
    let policy = GatePolicy {
        late_delivery_ms_max: 0,
        ..GatePolicy::remote()
    };
    let sitting = world.sitting(-60, Duration::from_secs(4), policy).await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "").await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    world.state.clock.skip(Duration::from_secs(10));
    let (status, problem) = client
        .post(attempt, "submit", &json!({ "epoch": 1, "entries": 0 }))
        .await;
    assert_eq!((status, &problem["code"]), (403, &json!("too_late")));
}

fn receipt(world: &World, reply: &Value) -> ResponseReceipt {
    let signed: SignedHex = serde_json::from_value(reply["receipt"].clone()).expect("a receipt");
    let (key, institution) = (world.state.keys.public_key(), world.state.institution());
    crypto::open(&Ring, &key, institution, &signed.into()).expect("signed by the server")
}

fn journal_head(bytes: &[u8]) -> Sha256 {
    Ring.sha256(&[bytes])
}
