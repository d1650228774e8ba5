//! The agent's link, what one attempt may leave, and freshness.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use qorgan_protocol::ids::AttemptId;
use qorgan_signing::Keys;
use serde_json::json;

use super::super::agent::{Film, Streaming, connect};
use super::super::bystander::{attempt_of, start};
use super::super::memory_kib;
use super::super::screens::full_of_finders;
use super::super::stage::{FRESH, SEQUENCES};
use super::super::tricks::{Trick, play};
use super::{Trial, restarted};

/// Point 8: the agent's link.
pub(super) async fn link(trial: &mut Trial<'_>) -> Result<()> {
    let own = attempt_of(trial.client, SEQUENCES, 0).await?;
    let provision = restarted(trial.client, own).await?;
    for token in ["", "no token", &"f".repeat(5_000)] {
        let word = connect(trial.site, token)
            .await
            .err()
            .map(|error| error.to_string());
        let said = (word.is_some(), word.unwrap_or_else(|| "a link".to_owned()));
        let name = format!("a link with a token of {} characters", token.len());
        trial.note((8, "link", &name), "refused", said);
    }
    for trick in Trick::ALL {
        let word = play(trial.site, &provision, trick).await;
        let word = word.unwrap_or_else(|error| format!("{error:#}"));
        let said = (word != "open", word);
        trial.note(
            (8, "link", &format!("a link that is wrong: {trick:?}")),
            "ended",
            said,
        );
    }
    let name = "an agent that starts again and again";
    let mut last = None;
    for _ in 0..18 {
        let keys = Keys::generate()?.0;
        let good = (provision.token.as_str(), &trial.client.machine.keys, &keys);
        let body = trial.client.enrolment(own, provision.epoch, good).await?;
        let reply = trial.client.enrol_with(&provision.token, &body).await;
        let full = reply.status != 200;
        last = Some(reply);
        if full {
            break;
        }
    }
    trial.waits((8, "link", name), &last.context("it was asked")?);
    trial.bystander(8, "link", "hostile links").await;
    Ok(())
}

/// Point 8: what one attempt may leave.
pub(super) async fn amounts(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let own = attempt_of(client, SEQUENCES, 0).await?;
    let event = |ago: u64, at: u64, detail: &str| json!({ "kind": "focus_lost", "ago_ms": ago, "at": { "secs": at, "nanos": 0 }, "detail": detail });
    let long = "x".repeat(100_000);
    let many = vec![event(0, 0, ""); 300];
    for (name, path, body) in [
        (
            "a message of 2,001 characters",
            "messages",
            json!({ "text": "я".repeat(2_001) }),
        ),
        ("a message of nothing", "messages", json!({ "text": "" })),
        (
            "three hundred events at once",
            "events",
            json!({ "events": many }),
        ),
        (
            "a document of 300 KiB",
            "identity",
            json!({ "document": "00".repeat(300 * 1024) }),
        ),
        (
            "a document where none is asked for",
            "identity",
            json!({ "document": "ffd8" }),
        ),
    ] {
        let reply = client.post(own, path, &body).await;
        trial.refused((8, "room", name), &reply);
    }
    for (name, body) in [
        (
            "an event of the beginning of time",
            json!({ "events": [event(u64::MAX, 0, "")] }),
        ),
        (
            "an event of the end of time",
            json!({ "events": [event(0, u64::MAX, "")] }),
        ),
        (
            "an event with a long detail",
            json!({ "events": [event(0, 0, &long)] }),
        ),
    ] {
        let reply = client.post(own, "events", &body).await;
        let query = format!(
            "SELECT COUNT(*) FROM incidents WHERE attempt_id = '{own}' AND (began_ms < 1000000000000 \
             OR began_ms > CAST(strftime('%s','now') AS INTEGER) * 1000 + 5000 OR LENGTH(detail) > 4000)"
        );
        let absurd = trial.record.number(&query).await;
        let held = reply.status < 500 && absurd.unwrap_or_default() == 0;
        let said = (
            held,
            format!("{}, absurd incidents {absurd:?}", reply.short()),
        );
        trial.note((8, "room", name), "refused or bounded", said);
    }
    messages(trial, own).await?;
    trial.bystander(8, "room", "more than is kept").await;
    Ok(())
}

/// One message more than are kept of an attempt is refused.
async fn messages(trial: &mut Trial<'_>, own: AttemptId) -> Result<()> {
    let client = trial.client;
    let mut last = None;
    for _ in 0..320 {
        let reply = client.post(own, "messages", &json!({ "text": "a" })).await;
        let full = reply.status != 204;
        last = Some(reply);
        if full {
            break;
        }
    }
    let last = last.context("it was asked")?;
    trial.refused((8, "room", "320 messages"), &last);
    Ok(())
}

/// Point 1: a client that is there all the time and never shows a code, beside one whose screen is full
/// of what a code begins with.
pub(super) async fn freshness(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let plain = attempt_of(client, FRESH, 0).await?;
    let full = attempt_of(client, FRESH, 1).await?;
    let provision = client.check_in(plain).await?;
    let _agent = Streaming::start(trial.site, &provision, 5)?;
    let provision = client.check_in(full).await?;
    let _other = Streaming::of(trial.site, &provision, full_of_finders(2)?)?;
    start(client, plain).await?;
    start(client, full).await?;
    let began = Instant::now();
    let (mut leased, mut waited) = ([true; 2], Duration::ZERO);
    // Contact every 3.3 seconds was once enough to miss no code.
    while leased != [false; 2] && began.elapsed() < FRESH_LIMIT {
        tokio::time::sleep(Duration::from_millis(3_300)).await;
        for (leased, attempt) in leased.iter_mut().zip([plain, full]) {
            let view = client.get(attempt, "view").await;
            *leased = *leased && !view.body["lease"].is_null();
        }
        let asked = Instant::now();
        let bystander = trial.bystander;
        bystander.client.get(bystander.attempt, "view").await;
        waited = waited.max(asked.elapsed());
    }
    let took = began.elapsed().as_secs();
    let names = [
        "contact every 3.3 s and no code",
        "a screen full of finder patterns and no code",
    ];
    for ((name, attempt), leased) in names.into_iter().zip([plain, full]).zip(leased) {
        let came = format!("leased {leased} after {took} s");
        let expected = "covered within twice the longest delay";
        trial.note((1, "code", name), expected, (!leased, came));
        let reply = client.get(attempt, "items/1").await;
        let name = format!("GET items/1 after missed codes, with {name}");
        trial.refused((1, "code", &name), &reply);
    }
    let name = "the bystander's longest wait beside screens full of finder patterns";
    let came = format!("{} ms", waited.as_millis());
    let expected = "below five seconds";
    trial.note((1, "code", name), expected, (waited < WAIT_MAX, came));
    trial.bystander(1, "code", "pictures without codes").await;
    Ok(())
}

/// Point 8: as many bytes as the links take, one link after the other.
pub(super) async fn flood(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let own = attempt_of(client, SEQUENCES, 1).await?;
    let provision = client.check_in(own).await?;
    let memory = |trial: &Trial<'_>| trial.pid.and_then(memory_kib).unwrap_or_default();
    let before = memory(trial);
    let began = Instant::now();
    let agent = Streaming::of(trial.site, &provision, Film::Flood)?;
    let (mut most, mut until) = (before, FLOOD_LIMIT);
    let mut filled = false;
    while began.elapsed() < until {
        tokio::time::sleep(Duration::from_millis(500)).await;
        most = most.max(memory(trial));
        if !filled && agent.stored() >= BURST_BYTES {
            filled = true;
            until = began.elapsed() + FLOOD_GOES_ON;
        }
    }
    let (stored, took) = (agent.stored(), began.elapsed().as_secs());
    let may = BURST_BYTES + RATE * (took + 1) + IN_FLIGHT;
    let came = format!("{stored} bytes over {} links in {took} s", agent.links());
    let name = "a flood over many links";
    let expected = "a burst, and the rate after it";
    trial.note((8, "quota", name), expected, (stored <= may, came));
    let came = format!("{before} KiB before, {most} KiB at most");
    let held = most <= before + FLOOD_MEMORY_KIB;
    let name = "the server's memory in a flood";
    trial.note((8, "quota", name), "bounded", (held, came));
    drop(agent);
    trial.bystander(8, "quota", "a flood of bytes").await;
    Ok(())
}

const FRESH_LIMIT: Duration = Duration::from_secs(240);
/// What a code may take to be found.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// What the server says of an attempt's bytes: at once, and in a second.
const BURST_BYTES: u64 = 128 * 1024 * 1024;
const RATE: u64 = 300_000;
/// What may be under way.
const IN_FLIGHT: u64 = 6 * 1024 * 1024;
const FLOOD_LIMIT: Duration = Duration::from_secs(120);
const FLOOD_GOES_ON: Duration = Duration::from_secs(20);
const FLOOD_MEMORY_KIB: u64 = 96 * 1024;
