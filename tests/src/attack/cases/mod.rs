//! Weaknesses that this server once had, one by one, over the wire.

mod agents;
mod exam;
mod machines;
mod outside;
mod sittings;

use std::time::Duration;

use anyhow::{Context as _, Result};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_signing::Keys;
use serde_json::json;

use super::agent::{Streaming, connect};
use super::bystander::{Bystander, attempt_of};
use super::record::Record;
use super::stage::{SEQUENCES, STRICT};
use super::wire::{
    Client, Machine, Proof, Provision, Reply, Site, check_in_body, system_check, target,
};
use super::{Case, Target};

/// Who tries, and what was found so far.
struct Trial<'a> {
    site: &'a Site,
    client: &'a Client,
    account: (&'a str, &'a str),
    bystander: &'a Bystander,
    record: &'a Record,
    /// The server's process, where it runs on this machine.
    pid: Option<u32>,
    cases: &'a mut Vec<Case>,
}

/// What a case is about: the number of its part, its matter in a word, what is tried.
type About<'a> = (u8, &'static str, &'a str);

impl Trial<'_> {
    fn note(
        &mut self,
        (point, matter, name): About<'_>,
        expected: &'static str,
        said: (bool, String),
    ) {
        let (held, came) = said;
        let name = name.to_owned();
        self.cases.push(Case {
            point,
            matter,
            name,
            expected,
            came,
            held,
        });
    }

    /// Expects one of these codes.
    fn code(&mut self, about: About<'_>, expected: &'static str, reply: &Reply) {
        let held = expected.split(' ').any(|code| code == reply.code());
        self.note(about, expected, (held, reply.short()));
    }

    /// Expects this code of every one.
    fn all(&mut self, about: About<'_>, expected: &'static str, replies: &[Reply]) {
        let codes: Vec<&str> = replies.iter().map(Reply::code).collect();
        let held = codes.iter().all(|code| *code == expected);
        self.note(about, expected, (held, format!("{codes:?}")));
    }

    /// Expects any refusal that the client is at fault for.
    fn refused(&mut self, about: About<'_>, reply: &Reply) {
        let held = (400..500).contains(&reply.status);
        self.note(about, "a refusal 4xx", (held, reply.short()));
    }

    fn taken(&mut self, about: About<'_>, reply: &Reply) {
        let held = (200..300).contains(&reply.status);
        self.note(about, "taken", (held, reply.short()));
    }

    /// Expects a bound that says when to come again.
    fn waits(&mut self, about: About<'_>, reply: &Reply) {
        let held = reply.code() == "too_many" && reply.retry_after.is_some();
        let came = format!("{}, Retry-After {:?}", reply.short(), reply.retry_after);
        self.note(about, "too_many with Retry-After", (held, came));
    }

    async fn bystander(&mut self, point: u8, matter: &'static str, after: &str) {
        let touched = self.bystander.touched().await;
        let name = format!("the bystander after {after}");
        let said = (
            touched.is_none(),
            touched.unwrap_or_else(|| "untouched".to_owned()),
        );
        self.note((point, matter, &name), "untouched", said);
    }
}

/// Tries every case; the second login tries them.
pub(super) async fn run(
    site: &Site,
    target: &Target,
    (bystander, record): (&Bystander, &Record),
    long: bool,
    cases: &mut Vec<Case>,
) -> Result<()> {
    let (login, password) = &target.logins[1];
    let account = (login.as_str(), password.as_str());
    let client = site.sign_in(Machine::new()?, account).await?;
    let mut trial = Trial {
        site,
        client: &client,
        account,
        bystander,
        record,
        pid: target.pid,
        cases,
    };
    outside::strangers(&mut trial, target).await?;
    outside::connections(&mut trial).await?;
    tokens(&mut trial).await?;
    gate(&mut trial).await?;
    exam::exam(&mut trial).await?;
    agents::link(&mut trial).await?;
    agents::amounts(&mut trial).await?;
    machines::turns(&mut trial).await?;
    // Before the move, after which the machine has signed in anew and this token is over.
    if long {
        agents::freshness(&mut trial).await?;
        agents::flood(&mut trial).await?;
    }
    if let Some(office) = &target.office {
        sittings::withdrawn(&mut trial, office).await?;
        sittings::window(&mut trial, office, long).await?;
        sittings::sealing(&mut trial, office).await?;
        machines::moved(&mut trial, office).await?;
    }
    Ok(())
}

/// Point 3: tokens, proofs, machines.
async fn tokens(trial: &mut Trial<'_>) -> Result<()> {
    let (site, client) = (trial.site, trial.client);
    let own = attempt_of(client, SEQUENCES, 0).await?;
    let provision = client.check_in(own).await?;
    let view = target(own, "view");
    let good = client.ask("GET", &view, None).await;
    trial.taken((3, "key", "an honest request"), &good);
    for wrong in Proof::WRONG {
        let name = format!("a proof that is wrong: {wrong:?}");
        let reply = client
            .ask_as("GET", &view, (b"", &client.token, wrong))
            .await;
        trial.refused((3, "key", &name), &reply);
    }
    let agents = client
        .ask_as("GET", &view, (b"", &provision.token, Proof::Good))
        .await;
    trial.refused((3, "key", "the agent's token at a client's route"), &agents);
    let word = connect(site, &client.token)
        .await
        .err()
        .map(|error| error.to_string());
    let said = (word.is_some(), word.unwrap_or_else(|| "a link".to_owned()));
    trial.note(
        (3, "key", "the client's token at the link"),
        "refused",
        said,
    );
    for (method, path) in OTHERS {
        let other = target(trial.bystander.attempt, path);
        let name = format!("{method} {path} of another's attempt");
        let body = (method == "POST").then(|| json!({}));
        let reply = client.ask(method, &other, body.as_ref()).await;
        trial.refused((3, "key", &name), &reply);
    }
    let second = site.sign_in(Machine::new()?, trial.account).await?;
    let moved = second.post(own, "check-in", &check_in_body()).await;
    trial.code(
        (3, "move", "check-in on a second machine"),
        "bound_elsewhere",
        &moved,
    );
    let seen = second.get(own, "view").await;
    trial.refused((3, "move", "the view on a second machine"), &seen);
    let stolen = client
        .ask_as("GET", &view, (b"", &second.token, Proof::Good))
        .await;
    trial.refused(
        (3, "key", "another machine's token under this one's key"),
        &stolen,
    );
    let agent = Keys::generate()?.0;
    let elsewhere = (provision.token.as_str(), &second.machine.keys, &agent);
    let body = client.enrolment(own, provision.epoch, elsewhere).await?;
    let reply = client.enrol_with(&provision.token, &body).await;
    trial.code(
        (3, "key", "an agent that another machine granted"),
        "not_proved",
        &reply,
    );
    let late = (provision.token.as_str(), &client.machine.keys, &agent);
    let body = client
        .enrolment(own, Epoch(provision.epoch.0 + 1), late)
        .await?;
    let reply = client.enrol_with(&provision.token, &body).await;
    trial.refused((3, "key", "an agent of a later epoch"), &reply);
    trial.bystander(3, "key", "wrong tokens and proofs").await;
    Ok(())
}

/// Points 1, 2 and 4: before the start.
async fn gate(trial: &mut Trial<'_>) -> Result<()> {
    let client = trial.client;
    let strict = attempt_of(client, STRICT, 0).await?;
    before_start(trial, strict, "before check-in").await;
    let reply = client.post(strict, "check-in", &check_in_body()).await;
    trial.taken((4, "check", "check-in"), &reply);
    let version = reply.body["consent_version"].clone();
    let consent = json!({ "version": version, "language": "kk", "agreed": true });
    let reply = client.post(strict, "consent", &consent).await;
    let token = reply.body["agent_token"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    for (name, check) in [
        ("an empty system check", json!({ "lines": [] })),
        (
            "half a system check",
            json!({ "lines": [{ "check": "server", "result": "ok", "detail": "" }] }),
        ),
        ("a failed camera", system_check(&[("camera", "failed")])),
        (
            "a remote session",
            system_check(&[("remote_session", "failed")]),
        ),
    ] {
        let reply = client.post(strict, "system-check", &check).await;
        trial.code((4, "check", name), "check_failed", &reply);
    }
    let line = json!({ "check": "x", "result": "ok", "detail": "" });
    let many = json!({ "lines": vec![line; 70] });
    let reply = client.post(strict, "system-check", &many).await;
    trial.refused((4, "check", "seventy lines of a system check"), &reply);
    before_start(trial, strict, "after a failed check").await;
    let epoch = Epoch::FIRST;
    let provision = client.enrol(strict, epoch, &token).await?;
    let agent = Streaming::start(trial.site, &provision, 3)?;
    tokio::time::sleep(Duration::from_secs(3)).await;
    before_start(
        trial,
        strict,
        "with files for devices, which the policy refuses",
    )
    .await;
    drop(agent);
    let own = attempt_of(client, SEQUENCES, 0).await?;
    before_start(trial, own, "without an agent").await;
    let provision = restarted(client, own).await?;
    let silent = Streaming::start(trial.site, &provision, 3)?;
    silent.stream(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    before_start(trial, own, "with an agent that sends nothing").await;
    Ok(())
}

/// Enrols an agent again, with a token of a new consent.
async fn restarted(client: &Client, attempt: AttemptId) -> Result<Provision> {
    let checked = client.post(attempt, "check-in", &check_in_body()).await;
    let version = checked.body["consent_version"].clone();
    let consent = json!({ "version": version, "language": "kk", "agreed": true });
    let reply = client.post(attempt, "consent", &consent).await;
    let token = reply.body["agent_token"].as_str().context("a token")?;
    let epoch: Epoch = serde_json::from_value(checked.body["epoch"].clone())?;
    client.enrol(attempt, epoch, token).await
}

async fn before_start(trial: &mut Trial<'_>, attempt: AttemptId, when: &str) {
    let client = trial.client;
    let picture = format!("pictures/{attempt}");
    for path in ["items", "items/1", "responses", &picture] {
        let reply = client.get(attempt, path).await;
        trial.refused((1, "gate", &format!("GET {path} {when}")), &reply);
    }
    let reply = client.post(attempt, "start", &json!({})).await;
    trial.code(
        (1, "gate", &format!("start {when}")),
        "gate_closed wrong_phase bound_elsewhere",
        &reply,
    );
    let submit = json!({ "epoch": 1, "entries": 0 });
    let reply = client.post(attempt, "submit", &submit).await;
    trial.refused((2, "late", &format!("submit {when}")), &reply);
}

const OTHERS: [(&str, &str); 12] = [
    ("GET", "view"),
    ("GET", "items"),
    ("GET", "items/1"),
    ("GET", "responses"),
    ("GET", "photo"),
    ("POST", "check-in"),
    ("POST", "start"),
    ("POST", "submit"),
    ("POST", "responses"),
    ("POST", "messages"),
    ("POST", "hand"),
    ("POST", "events"),
];
