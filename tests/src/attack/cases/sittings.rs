//! What an office decides while somebody attacks: withdrawn admissions, the window's end, the seal.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use futures_util::future::join_all;
use qorgan_protocol::ids::{AttemptId, ItemId};
use serde_json::json;

use super::super::agent::Streaming;
use super::super::bystander::{attempt_of, start};
use super::super::journal::{Journal, items};
use super::super::office::{Office, Times, unix_seconds};
use super::super::wire::{Client, Provision, Reply, check_in_body};
use super::Trial;

/// Point 4: an admission that is withdrawn between check-in and start.
pub(super) async fn withdrawn(trial: &mut Trial<'_>, office: &Office) -> Result<()> {
    let (client, login) = (trial.client, trial.account.0.to_owned());
    let whose = login.clone();
    let sitting = office.does(move |office| office.sits(WITHDRAWN, &whose, Times::long()));
    let sitting = sitting.await?;
    let attempt = attempt_of(client, WITHDRAWN, 0).await?;
    let (_provision, _agent) = at_the_gate(trial, attempt).await?;
    admit(office, &sitting, &login, TOO_LOW).await?;
    let starts = starts(client, attempt).await;
    let name = "eight starts at once after the admission was withdrawn";
    trial.all((4, "admission", name), "not_admitted", &starts);
    let again = client.post(attempt, "check-in", &check_in_body()).await;
    let name = "check-in after the admission was withdrawn";
    trial.code((4, "admission", name), "not_admitted", &again);
    for path in ["items", "items/1", "responses"] {
        let reply = client.get(attempt, path).await;
        let name = format!("GET {path} after the admission was withdrawn");
        trial.refused((1, "admission", &name), &reply);
    }
    admit(office, &sitting, &login, ENOUGH).await?;
    let reply = client.post(attempt, "start", &json!({})).await;
    let name = "start after the admission was given again";
    trial.taken((4, "admission", name), &reply);
    trial
        .bystander(4, "admission", "a withdrawn admission")
        .await;
    Ok(())
}

async fn admit(office: &Office, sitting: &str, login: &str, rating: u8) -> Result<()> {
    let (sitting, logins) = (sitting.to_owned(), [login.to_owned()]);
    let admit = move |office: &Office| office.admit(&sitting, &logins, rating);
    office.does(admit).await
}

/// Points 2 and 4: start and responses at the end of the window and after it; where there is time,
/// at the end of the attempt's own time as well.
pub(super) async fn window(trial: &mut Trial<'_>, office: &Office, long: bool) -> Result<()> {
    let (client, login) = (trial.client, trial.account.0.to_owned());
    let make = move |office: &Office| {
        let exam = office.exam(WINDOW)?;
        let times = Times {
            closes: unix_seconds() + WINDOW_S,
            minutes: 1,
        };
        for _ in 0..2 {
            office.sits_at(&exam, &login, times)?;
        }
        Ok(times.closes * 1_000)
    };
    let closes_ms = office.does(make).await?;
    let waits = attempt_of(client, WINDOW, 0).await?;
    let begun = attempt_of(client, WINDOW, 1).await?;
    let (_provision, _other_agent) = at_the_gate(trial, waits).await?;
    let (provision, _agent) = at_the_gate(trial, begun).await?;
    start(client, begun).await?;
    let items = items(client, begun).await?;
    let mut journal = Journal::new(begun, provision.epoch);
    ensure!(
        unix_ms() < closes_ms,
        "the machine was too slow for a window of {WINDOW_S} s"
    );
    while unix_ms() <= closes_ms {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let starts = starts(client, waits).await;
    let name = "eight starts a moment after the window's end";
    trial.all((4, "window", name), "too_late", &starts);
    let reply = journal.give(client, items[0], FAR).await;
    let name = "a response after the window's end, under a lease";
    trial.taken((2, "window", name), &reply);
    let reply = client.get(begun, "items/1").await;
    trial.taken((2, "window", "GET items/1 after it, under a lease"), &reply);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let reply = client.post(waits, "start", &json!({})).await;
    let name = "start two seconds after the window's end";
    trial.code((4, "window", name), "too_late", &reply);
    for path in ["items", "items/1", "responses"] {
        let reply = client.get(waits, path).await;
        let name = format!("GET {path} after a window that was missed");
        trial.refused((1, "window", &name), &reply);
    }
    if long {
        time_over(trial, (begun, items[0]), &mut journal).await?;
    }
    trial.bystander(4, "window", "the window's end").await;
    Ok(())
}

/// Responses all the time until the attempt's own time is over, and after it.
async fn time_over(
    trial: &mut Trial<'_>,
    (attempt, item): (AttemptId, ItemId),
    journal: &mut Journal,
) -> Result<()> {
    let client = trial.client;
    let began = Instant::now();
    while has_items(client, attempt).await {
        ensure!(began.elapsed() < TIME_LIMIT, "a minute never ended");
        journal.give(client, item, FAR).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // Longer than the network grace of this sitting.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let before = trial.record.in_time(attempt).await;
    let reply = journal.give(client, item, i64::MAX).await;
    let after = trial.record.in_time(attempt).await;
    let came = format!("{}, in time {before:?} and {after:?}", reply.short());
    let name = "a response after the attempt's time";
    trial.note(
        (2, "window", name),
        "marked or refused",
        (before == after, came),
    );
    for path in ["items", "items/1", "responses"] {
        let reply = client.get(attempt, path).await;
        let name = format!("GET {path} after the attempt's time");
        trial.refused((1, "window", &name), &reply);
    }
    let body = json!({ "epoch": journal.epoch, "entries": journal.next });
    let reply = client.post(attempt, "submit", &body).await;
    let late = reply.is_refused() || reply.body["late"] == json!(true);
    trial.note(
        (2, "window", "a submission after the attempt's time"),
        "refused or late",
        (late, reply.short()),
    );
    Ok(())
}

async fn has_items(client: &Client, attempt: AttemptId) -> bool {
    let view = client.get(attempt, "view").await;
    let phase = view.body["phase"]["phase"].as_str();
    ["running", "paused"].contains(&phase.unwrap_or_default())
}

/// Point 8: appending while the recording is sealed, by agent and client, until it is and after it.
pub(super) async fn sealing(trial: &mut Trial<'_>, office: &Office) -> Result<()> {
    let (client, login) = (trial.client, trial.account.0.to_owned());
    let make = move |office: &Office| office.sits(SEALED, &login, Times::long());
    office.does(make).await?;
    let attempt = attempt_of(client, SEALED, 0).await?;
    let (provision, agent) = at_the_gate(trial, attempt).await?;
    start(client, attempt).await?;
    let items = items(client, attempt).await?;
    let mut journal = Journal::new(attempt, provision.epoch);
    let reply = journal.give(client, items[0], FAR).await;
    trial.taken((8, "seal", "a response before the end"), &reply);
    let reply = submit(client, &journal).await;
    trial.taken((8, "seal", "a submission"), &reply);
    agent.say_finished();
    let began = Instant::now();
    while !is_sealed(client, attempt).await {
        ensure!(began.elapsed() < SEAL_LIMIT, "it was never sealed");
        let text = json!({ "text": "while it is sealed" });
        let (given, ..) = futures_util::join!(
            journal.give(client, items[0], i64::MAX),
            submit_anew(client, attempt, provision.epoch.0),
            client.post(attempt, "messages", &text),
        );
        drop(given);
    }
    let came = format!("sealed after {} s", began.elapsed().as_secs());
    let name = "an agent that said it has finished, and goes on";
    trial.note((8, "seal", name), "sealed", (true, came));
    let stored = agent.stored();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let more = agent.stored() - stored;
    let came = format!("{more} bytes over {} links", agent.links());
    let name = "five seconds of recording after the seal";
    trial.note((8, "seal", name), "no receipt", (more == 0, came));
    let reply = journal.give(client, items[0], i64::MAX).await;
    trial.refused((8, "seal", "a response after the seal"), &reply);
    let receipts = agent.receipts();
    drop(agent);
    let verified = office.does(move |office| office.verified(attempt, &receipts));
    let verified = verified.await;
    let said = match &verified {
        Ok(said) => (true, said.lines().last().unwrap_or_default().to_owned()),
        Err(error) => (false, format!("{error:#}")),
    };
    let name = "the export, held against every receipt of the agent";
    trial.note((8, "seal", name), "verified", said);
    trial.bystander(8, "seal", "appending to a seal").await;
    Ok(())
}

async fn submit(client: &Client, journal: &Journal) -> Reply {
    let body = json!({ "epoch": journal.epoch, "entries": journal.next });
    client.post(journal.attempt, "submit", &body).await
}

/// Submits with a place that may have passed meanwhile.
async fn submit_anew(client: &Client, attempt: AttemptId, epoch: u32) -> Reply {
    let body = json!({ "epoch": epoch, "entries": 1 });
    client.post(attempt, "submit", &body).await
}

async fn is_sealed(client: &Client, attempt: AttemptId) -> bool {
    let view = client.get(attempt, "view").await;
    view.body["phase"]["phase"] == json!("sealed")
}

/// Checks in, and streams until the gate is open.
pub(super) async fn at_the_gate(
    trial: &Trial<'_>,
    attempt: AttemptId,
) -> Result<(Provision, Streaming)> {
    let provision = trial.client.check_in(attempt).await?;
    let agent = Streaming::start(trial.site, &provision, 3)?;
    let began = Instant::now();
    loop {
        let view = trial.client.get(attempt, "view").await;
        if view.body["gate_open"] == json!(true) {
            return Ok((provision, agent));
        }
        let waits = (began.elapsed() < GATE_LIMIT).then_some(());
        waits.with_context(|| format!("the gate stays closed: {}", view.body))?;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Starts eight times at once.
async fn starts(client: &Client, attempt: AttemptId) -> Vec<Reply> {
    let body = json!({});
    join_all((0..8).map(|_| client.post(attempt, "start", &body))).await
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    })
}

const WITHDRAWN: &str = "attack withdrawn";
const WINDOW: &str = "attack window";
const SEALED: &str = "attack sealed";
/// Ratings below the least and above it.
const TOO_LOW: u8 = 10;
const ENOUGH: u8 = 80;
/// Long enough for two check-ins on a busy machine.
const WINDOW_S: u64 = 40;
const FAR: i64 = 1_000_000_000;
const GATE_LIMIT: Duration = Duration::from_secs(60);
const TIME_LIMIT: Duration = Duration::from_secs(180);
const SEAL_LIMIT: Duration = Duration::from_secs(180);
