//! Who speaks for an attempt: starts of the client by turns, and a move that the old machine races.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use qorgan_protocol::ids::ItemId;
use serde_json::json;

use super::super::agent::connect;
use super::super::bystander::{attempt_of, start};
use super::super::journal::{Journal, items};
use super::super::office::{Office, Times};
use super::super::stage::SEQUENCES;
use super::super::wire::{Client, Machine, check_in_body};
use super::Trial;
use super::sittings::at_the_gate;

/// Point 3: two starts of the client on one machine that take the attempt from each other.
pub(super) async fn turns(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let own = attempt_of(client, SEQUENCES, 0).await?;
    let again = client.machine.restarted()?;
    let other = trial.site.sign_in(again, trial.account).await?;
    client.post(own, "check-in", &check_in_body()).await;
    let epoch = client.get(own, "view").await.body["epoch"].clone();
    let (mut wrong, mut held_back) = (Vec::new(), 0);
    let mut holder_is_other = false;
    for turn in 0..TURNS {
        let takes_other = turn % 2 == 0;
        let takes = if takes_other { &other } else { client };
        let taken = takes.post(own, "check-in", &check_in_body()).await;
        let waits = taken.code() == "too_many" && taken.retry_after.is_some();
        held_back += u32::from(waits);
        if taken.status == 200 {
            holder_is_other = takes_other;
        }
        let (has, lost) = if holder_is_other {
            futures_util::join!(other.get(own, "view"), client.get(own, "view"))
        } else {
            futures_util::join!(client.get(own, "view"), other.get(own, "view"))
        };
        let taken_or_waits = waits || taken.status == 200;
        if !taken_or_waits || has.status != 200 || lost.code() != "bound_elsewhere" {
            let said = [&taken, &has, &lost].map(|reply| reply.short());
            wrong.push(format!("turn {turn}: {said:?}"));
        }
    }
    let name = "forty check-ins by turns";
    let came = format!("{held_back} had to wait, {} wrong: {wrong:?}", wrong.len());
    let expected = "each takes the attempt from the one before, or is told to wait";
    trial.note((3, "turns", name), expected, (wrong.is_empty(), came));
    let mut holders = Vec::new();
    for _ in 0..TURNS / 4 {
        let body = check_in_body();
        let asked = (
            client.post(own, "check-in", &body),
            other.post(own, "check-in", &body),
        );
        futures_util::join!(asked.0, asked.1);
        let (one, two) = futures_util::join!(client.get(own, "view"), other.get(own, "view"));
        let holds = [&one, &two].into_iter().filter(|view| view.status == 200);
        holders.push(holds.count());
    }
    let held = holders.iter().all(|holds| *holds == 1);
    let name = "ten check-ins of both at once";
    let came = format!("holders {holders:?}");
    trial.note((3, "turns", name), "one of them holds it", (held, came));
    let (one, two) = futures_util::join!(client.get(own, "view"), other.get(own, "view"));
    let view = if one.status == 200 { one } else { two };
    let held = view.body["epoch"] == epoch;
    let came = format!("{epoch} before, {} after", view.body["epoch"]);
    trial.note((3, "turns", "the epoch after it"), "the same", (held, came));
    let query = format!(
        "SELECT COUNT(*) FROM incidents WHERE attempt_id = '{own}' \
         AND kind IN ('second_machine', 'client_restarted')"
    );
    let told = trial.record.number(&query).await;
    let held = told.is_none_or(|told| (1..=TOLD_MAX).contains(&told));
    let came = format!("{told:?} incidents");
    let name = "what is told of fifty turns";
    trial.note((3, "turns", name), "incidents, and few", (held, came));
    trial.bystander(3, "turns", "check-ins by turns").await;
    Ok(())
}

/// Point 3: a move is approved, twice at once, while the old machine asks for whatever it can.
pub(super) async fn moved(trial: &mut Trial<'_>, office: &Office) -> Result<()> {
    let (client, account) = (trial.client, trial.account);
    let login = account.0.to_owned();
    let make = move |office: &Office| office.sits(MOVED, &login, Times::long());
    let sitting = office.does(make).await?;
    let attempt = attempt_of(client, MOVED, 0).await?;
    let (provision, _agent) = at_the_gate(trial, attempt).await?;
    start(client, attempt).await?;
    let items = items(client, attempt).await?;
    let journal = Journal::new(attempt, provision.epoch);
    let new = trial.site.sign_in(Machine::new()?, account).await?;
    let asked = new.post(attempt, "check-in", &check_in_body()).await;
    let name = "another machine in a running exam";
    trial.code((3, "move", name), "bound_elsewhere", &asked);
    let proctor = office.proctor(trial.site, &sitting).await?;
    let asked = proctor.asked_to_move(attempt).await?;
    let over = AtomicBool::new(false);
    let approve = async {
        tokio::time::sleep(RACE_LASTS).await;
        let (one, two) = futures_util::join!(asked.approve(), asked.approve());
        let at = Instant::now();
        tokio::time::sleep(RACE_LASTS).await;
        over.store(true, Ordering::Relaxed);
        // Of two decisions at once one may find nothing left to decide.
        let decided = one.or(two).context("the move was not approved");
        decided.map(|()| at)
    };
    let race = race(client, (journal, items[0]), &over);
    let (approved, raced) = futures_util::join!(approve, race);
    let approved = approved?;
    let after = raced.granted.iter().filter(|(_, sent)| *sent > approved);
    let after: Vec<&str> = after.map(|(what, _)| *what).collect();
    let came = format!("{after:?} of {} that were granted", raced.granted.len());
    let name = "what the old machine asks for after the approval";
    let held = after.is_empty() && !raced.granted.is_empty();
    trial.note((3, "move", name), "nothing is granted", (held, came));
    let query = format!("SELECT COUNT(*) FROM responses WHERE attempt_id = '{attempt}'");
    let stored = trial.record.number(&query).await;
    let held = stored.is_none_or(|stored| stored == raced.responses);
    let came = format!("{stored:?} stored, {} taken", raced.responses);
    let name = "responses of the old machine in the race";
    trial.note((3, "move", name), "each that was taken", (held, came));
    let link = connect(trial.site, &provision.token).await;
    let said = (
        link.is_err(),
        link.map_or_else(|error| error.to_string(), |_| "a link".to_owned()),
    );
    trial.note((3, "move", "the old agent's token"), "refused", said);
    let reply = new.post(attempt, "check-in", &check_in_body()).await;
    let epoch = &reply.body["epoch"];
    let held = *epoch == json!(provision.epoch.0 + 1);
    let came = format!("{} in epoch {epoch}", reply.status);
    let name = "check-in of the new machine after two approvals at once";
    trial.note((3, "move", name), "the next epoch", (held, came));
    let reply = new.get(attempt, "items/1").await;
    let name = "GET items/1 before anybody has seen who sits there";
    trial.refused((1, "move", name), &reply);
    let back = client.machine.restarted()?;
    let back = trial.site.sign_in(back, account).await?;
    let reply = back.post(attempt, "check-in", &check_in_body()).await;
    let name = "the old machine, signed in anew";
    trial.code((3, "move", name), "bound_elsewhere", &reply);
    trial.bystander(3, "move", "a move that was raced").await;
    Ok(())
}

/// What an old machine was given in a race.
#[derive(Default)]
struct Raced {
    /// What, and when it was asked for.
    granted: Vec<(&'static str, Instant)>,
    responses: i64,
}

/// Asks for everything that an exam gives, one after the other, until it is over.
async fn race(client: &Client, (journal, item): (Journal, ItemId), over: &AtomicBool) -> Raced {
    let (attempt, mut journal) = (journal.attempt, journal);
    let mut raced = Raced::default();
    while !over.load(Ordering::Relaxed) {
        for (method, path) in RACED {
            let sent = Instant::now();
            let reply = match (method, path) {
                ("GET", _) => client.get(attempt, path).await,
                (_, "responses") => journal.give(client, item, i64::MAX).await,
                (_, "check-in") => client.post(attempt, path, &check_in_body()).await,
                (_, _) => client.post(attempt, path, &json!({ "raised": true })).await,
            };
            if (200..300).contains(&reply.status) {
                raced.granted.push((path, sent));
                raced.responses += i64::from((method, path) == ("POST", "responses"));
            }
        }
    }
    raced
}

const RACED: [(&str, &str); 7] = [
    ("GET", "items/1"),
    ("POST", "responses"),
    ("GET", "view"),
    ("POST", "check-in"),
    ("GET", "responses"),
    ("POST", "hand"),
    ("GET", "items"),
];
const MOVED: &str = "attack moved";
const TURNS: u32 = 40;
/// The same within moments is one incident.
const TOLD_MAX: i64 = 12;
const RACE_LASTS: Duration = Duration::from_secs(2);
