//! Items and responses: under a lease, under cover, after the end.

use std::time::{Duration, Instant};

use anyhow::Result;
use qorgan_protocol::assessment::{Response, ResponseEntry, ResponseSeq};
use qorgan_protocol::crypto::Sha256;
use qorgan_protocol::ids::{AttemptId, Epoch, ItemId};
use serde_json::json;

use super::super::agent::Streaming;
use super::super::bystander::{attempt_of, start};
use super::super::journal::{Journal, hex_of, items, nobodys};
use super::super::stage::SHORT;
use super::super::wire::check_in_body;
use super::Trial;

/// Point 2: items and responses, under a lease, under cover, after the end.
pub(super) async fn exam(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let attempt = attempt_of(client, SHORT, 0).await?;
    let provision = client.check_in(attempt).await?;
    let agent = Streaming::start(trial.site, &provision, 3)?;
    start(client, attempt).await?;
    let items = items(client, attempt).await?;
    let mut journal = Journal::new(attempt, provision.epoch);
    let reply = journal.give(client, items[0], FAR).await;
    trial.taken((2, "late", "a response under a lease"), &reply);
    wrong_responses(trial, &journal, &items).await;
    let mut paced = client.get(attempt, "items/1").await;
    for position in 2..=8 {
        if paced.status != 200 {
            break;
        }
        paced = client.get(attempt, &format!("items/{position}")).await;
    }
    trial.waits(
        (2, "pace", "eight new items at once where three are allowed"),
        &paced,
    );
    for path in [
        "items/0",
        "items/65535",
        "items/65536",
        "items/-1",
        "items/a",
    ] {
        let reply = client.get(attempt, path).await;
        trial.refused((2, "pace", &format!("GET {path}")), &reply);
    }
    agent.stream(false);
    covered(trial, attempt, &mut journal, items[1]).await?;
    let body = json!({ "epoch": provision.epoch, "entries": journal.next });
    let reply = client.post(attempt, "submit", &body).await;
    let late = reply.body["late"] == json!(true);
    trial.note(
        (2, "late", "a submission under cover"),
        "kept and late",
        (late, reply.body["late"].to_string()),
    );
    for path in ["items", "items/1", "responses"] {
        let reply = client.get(attempt, path).await;
        trial.refused((2, "late", &format!("GET {path} after the end")), &reply);
    }
    let before = trial.record.in_time(attempt).await;
    let reply = journal.give(client, items[0], FAR).await;
    let after = trial.record.in_time(attempt).await;
    let said = (
        before == after,
        format!("{}, in time {before:?} and {after:?}", reply.short()),
    );
    trial.note(
        (2, "late", "a response after the end"),
        "marked or refused",
        said,
    );
    let reply = client.post(attempt, "start", &json!({})).await;
    trial.refused((2, "end", "start after the end"), &reply);
    // A kiosk that starts anew is told how its attempt stands, and no more.
    let reply = client.post(attempt, "check-in", &check_in_body()).await;
    trial.taken((2, "end", "check-in after the end"), &reply);
    let reply = client.get(attempt, "items/1").await;
    trial.refused((2, "end", "GET items/1 after it"), &reply);
    trial.bystander(2, "late", "responses of every kind").await;
    Ok(())
}

async fn wrong_responses(trial: &mut Trial<'_>, journal: &Journal, items: &[ItemId]) {
    let (client, attempt) = (trial.client, journal.attempt);
    let good = |change: fn(&mut ResponseEntry)| {
        let mut entry = journal.entry(items[0], FAR);
        change(&mut entry);
        hex_of(&entry)
    };
    let epoch = journal.epoch;
    let mut not_canonical = good(|_| {});
    not_canonical.push_str("00");
    for (name, entries) in [
        (
            "a response of a far place",
            vec![good(|entry| entry.seq = ResponseSeq(u64::MAX))],
        ),
        (
            "a response after another head",
            vec![good(|entry| entry.previous = Sha256([1; 32]))],
        ),
        (
            "a response of another epoch",
            vec![good(|entry| entry.epoch = Epoch(9))],
        ),
        (
            "a response to an item of nobody",
            vec![good(|entry| entry.item = nobodys())],
        ),
        (
            "a choice that the item does not offer",
            vec![good(|entry| {
                entry.response = Response::choices(vec!["nothing".to_owned()]);
            })],
        ),
        (
            "a stored response with another content",
            vec![good(|entry| entry.seq = ResponseSeq(0))],
        ),
        ("bytes after an entry", vec![not_canonical]),
        ("bytes that are no entry", vec!["00ff".to_owned()]),
        ("six hundred responses", vec![good(|_| {}); 600]),
    ] {
        let body = json!({ "epoch": epoch, "entries": entries });
        let reply = client.post(attempt, "responses", &body).await;
        trial.refused((2, "late", name), &reply);
    }
    let other = Journal::new(trial.bystander.attempt, epoch);
    let foreign = json!({ "epoch": epoch, "entries": [hex_of(&other.entry(items[0], FAR))] });
    let reply = client.post(attempt, "responses", &foreign).await;
    trial.refused((2, "late", "a response of another's attempt"), &reply);
    for (name, epoch, entries) in [
        ("a submission of a later epoch", 9, journal.next),
        ("a submission that leaves responses out", epoch.0, 0),
        ("a submission of more than there is", epoch.0, u64::MAX),
    ] {
        let body = json!({ "epoch": epoch, "entries": entries });
        let reply = client.post(attempt, "submit", &body).await;
        trial.code((2, "late", name), "old_epoch out_of_order", &reply);
    }
}

/// Waits for the cover, and delivers under it with the best word that a client can give.
async fn covered(
    trial: &mut Trial<'_>,
    attempt: AttemptId,
    journal: &mut Journal,
    item: ItemId,
) -> Result<()> {
    let client = trial.client;
    let began = Instant::now();
    while !client.get(attempt, "view").await.body["lease"].is_null() {
        anyhow::ensure!(began.elapsed() < LONG, "a silent agent was never covered");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let came = format!("covered after {} s", began.elapsed().as_secs());
    trial.note(
        (1, "gate", "an agent that falls silent"),
        "covered",
        (true, came),
    );
    for path in ["items", "items/1", "responses"] {
        let reply = client.get(attempt, path).await;
        trial.refused((1, "gate", &format!("GET {path} under cover")), &reply);
    }
    // Longer than the network grace of this sitting.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = trial.record.in_time(attempt).await;
    let reply = journal.give(client, item, i64::MAX).await;
    trial.taken((2, "late", "a response under cover"), &reply);
    let after = trial.record.in_time(attempt).await;
    let said = (
        before == after,
        format!("in time {before:?} before and {after:?} after"),
    );
    trial.note(
        (2, "late", "a lease that only the client knows of"),
        "kept and marked",
        said,
    );
    Ok(())
}

const FAR: i64 = 1_000_000_000;
const LONG: Duration = Duration::from_secs(60);
