//! Somebody who sits an exam beside the attack, and whom it must not touch.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use qorgan_protocol::ids::AttemptId;
use serde_json::{Value, json};

use super::agent::Streaming;
use super::stage::SEQUENCES;
use super::wire::{Client, Machine, Site};

/// An honest candidate with an honest agent.
pub(super) struct Bystander {
    pub(super) client: Client,
    pub(super) attempt: AttemptId,
    before: Value,
    covered: Mutex<Option<Instant>>,
    _agent: Streaming,
}

impl Bystander {
    /// Signs in, checks in, and starts.
    pub(super) async fn sit(site: &Site, (login, password): &(String, String)) -> Result<Self> {
        let site = &site.kept().await?;
        let client = site.sign_in(Machine::new()?, (login, password)).await?;
        let attempt = attempt_of(&client, SEQUENCES, 0).await?;
        let provision = client.check_in(attempt).await?;
        let agent = Streaming::start(site, &provision, 7)?;
        start(&client, attempt).await?;
        let message = client
            .post(attempt, "messages", &json!({ "text": "здравствуйте" }))
            .await;
        ensure!(message.status == 204, "message: {}", message.short());
        let view = client.get(attempt, "view").await;
        Ok(Self {
            before: what_lasts(&view.body),
            client,
            attempt,
            covered: Mutex::default(),
            _agent: agent,
        })
    }

    /// Tells what of the bystander's attempt is not as it was, or how they are kept from working.
    pub(super) async fn touched(&self) -> Option<String> {
        let asked = Instant::now();
        let view = self.client.get(self.attempt, "view").await;
        if view.status != 200 {
            return Some(format!("the bystander's view: {}", view.short()));
        }
        if asked.elapsed() > VIEW_LIMIT {
            return Some(format!(
                "the bystander waited {} s",
                asked.elapsed().as_secs()
            ));
        }
        let now = what_lasts(&view.body);
        if now != self.before {
            return Some(format!(
                "the bystander's attempt was {} and is {now}",
                self.before
            ));
        }
        let mut covered = self.covered.lock().unwrap_or_else(PoisonError::into_inner);
        if !view.body["lease"].is_null() {
            *covered = None;
            return None;
        }
        let since = *covered.get_or_insert_with(Instant::now);
        let phase = &view.body["phase"];
        (since.elapsed() > COVER_LIMIT).then(|| format!("the bystander is covered: {phase}"))
    }
}

/// Returns what nobody but the bystander may change.
fn what_lasts(view: &Value) -> Value {
    json!({
        "epoch": view["epoch"], "tasks": view["tasks"], "identity": view["identity"],
        "messages": view["messages"], "hand": view["hand_raised"],
        "journal": view["journal_next"],
    })
}

/// Starts once the gate is open.
pub(super) async fn start(client: &Client, attempt: AttemptId) -> Result<()> {
    let began = Instant::now();
    let mut said = String::new();
    while began.elapsed() < GATE_LIMIT {
        let reply = client.post(attempt, "start", &json!({})).await;
        if reply.status == 200 {
            return Ok(());
        }
        said = reply.short();
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let view = client.get(attempt, "view").await;
    bail!("the gate stays closed: {said}; {}", view.body)
}

/// Returns a candidate's attempt of an exam, by its title and place.
pub(super) async fn attempt_of(client: &Client, title: &str, place: usize) -> Result<AttemptId> {
    let attempts = client.attempts().await?;
    let mut of_exam = attempts.into_iter().filter(|(of, _)| of == title);
    let found = of_exam.nth(place).map(|(_, attempt)| attempt);
    found.with_context(|| format!("no exam `{title}` is open"))
}

const GATE_LIMIT: Duration = Duration::from_secs(60);
const VIEW_LIMIT: Duration = Duration::from_secs(20);
/// An honest agent on a busy machine may be covered for moments, never for so long.
const COVER_LIMIT: Duration = Duration::from_secs(60);
