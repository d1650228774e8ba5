use std::time::Duration;

use qorgan_protocol::assessment::{Response, ResponseEntry};
use qorgan_protocol::attempt::GatePolicy;
use qorgan_protocol::codec;
use qorgan_protocol::ids::{Epoch, ItemId};
use qorgan_protocol::wire::StoredResponses;
use serde_json::{Value, json};

use super::harness::{Device, Journal, World, entries, item_id, quick};

#[tokio::test]
async fn a_machine_without_a_journal_gets_the_newest_response_of_each_item() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let (client, _agent) = world.running(&device, "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let given = [
        journal.add(item_id(1), "A", 4_000),
        journal.add(item_id(2), "B", 4_000),
        journal.add(item_id(1), "B", 4_000),
    ];
    let given: Vec<&[u8]> = given.iter().map(Vec::as_slice).collect();
    let (status, _reply) = client
        .post(attempt, "responses", &entries(Epoch(1), &given))
        .await;
    assert_eq!(status, 200);

    let (status, reply) = client.get(attempt, "responses").await;

    assert_eq!(status, 200, "{reply}");
    assert_eq!(
        told(&reply),
        [(item_id(2), "B"), (item_id(1), "B")].map(owned)
    );
}

#[tokio::test]
async fn after_a_move_the_new_machine_gets_both_epochs_and_the_old_one_nothing() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (first, second) = (Device::new(), Device::new());
    let (old, _agent) = world.running(&first, "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let before = [
        journal.add(item_id(1), "A", 4_000),
        journal.add(item_id(2), "A", 4_000),
    ];
    let before = entries(Epoch(1), &[&before[0], &before[1]]);
    assert_eq!(old.post(attempt, "responses", &before).await.0, 200);
    let new = world.sign_in(&second, "a").await;
    assert_eq!(new.try_check_in(attempt).await.0, 409);
    let (status, problem) = new.get(attempt, "responses").await;
    assert_eq!((status, &problem["code"]), (409, &json!("old_epoch")));
    let registry = &world.state.registry;
    let asked = registry.moves(attempt).await.expect("readable");
    let approved = registry
        .approve_move(attempt, asked[0].id, true, proctor)
        .await;
    approved.expect("it waits");
    new.check_in(attempt).await;
    let (status, problem) = new.get(attempt, "responses").await;
    assert_eq!(
        (status, &problem["code"]),
        (409, &json!("covered")),
        "nothing without the new machine's streams"
    );
    world.identify_again(&new, attempt, proctor).await;
    world.agent(attempt, &second).await;
    let mut later = Journal::new(attempt, Epoch(2));
    let after = later.add(item_id(2), "B", 4_000);
    let after = entries(Epoch(2), &[&after]);
    assert_eq!(new.post(attempt, "responses", &after).await.0, 200);

    let (status, reply) = new.get(attempt, "responses").await;

    assert_eq!(status, 200, "{reply}");
    assert_eq!(
        told(&reply),
        [(item_id(1), "A"), (item_id(2), "B")].map(owned)
    );
    let (status, problem) = old.get(attempt, "responses").await;
    assert_eq!((status, &problem["code"]), (401, &json!("not_signed_in")));
    let returned = world.sign_in(&first, "a").await;
    let (status, problem) = returned.get(attempt, "responses").await;
    assert_eq!((status, &problem["code"]), (409, &json!("old_epoch")));
}

#[tokio::test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
async fn another_candidate_a_closed_gate_and_an_attempt_without_streams_get_nothing() {
    let world = World::start().await;
    let attempt = world.candidate("a", quick()).await;
    let theirs = world.candidate("b", quick()).await;
    let device = Device::new();
    let waiting = world.at_the_gate(&Device::new(), "b", theirs).await;
    let (status, problem) = waiting.get(theirs, "responses").await;
    assert_eq!((status, &problem["code"]), (409, &json!("gate_closed")));
    let (client, agent) = world.running(&device, "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let given = journal.add(item_id(1), "A", 4_000);
    let given = entries(Epoch(1), &[&given]);
    assert_eq!(client.post(attempt, "responses", &given).await.0, 200);

    let (status, problem) = waiting.get(attempt, "responses").await;
    assert_eq!((status, &problem["code"]), (404, &json!("not_found")));

    let lost = world.state.registry.link_down(attempt, agent.epoch).await;
    lost.expect("stored");
    tokio::time::sleep(Duration::from_millis(1_000)).await;
    let (status, problem) = client.get(attempt, "responses").await;
    assert_eq!((status, &problem["code"]), (409, &json!("covered")));
}

fn told(reply: &Value) -> Vec<(ItemId, Response)> {
    let stored: StoredResponses = serde_json::from_value(reply.clone()).expect("a reply");
    let entries = stored.entries.iter().map(|bytes| {
        let entry: ResponseEntry = codec::decode("response entry", &bytes.0).expect("canonical");
        (entry.item, entry.response)
    });
    entries.collect()
}

fn owned((item, choice): (ItemId, &str)) -> (ItemId, Response) {
    (item, Response::choices(vec![choice.to_owned()]))
}
