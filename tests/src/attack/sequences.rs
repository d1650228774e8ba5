//! Seeded sequences of legal and illegal requests, with what must hold after each.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use qorgan_protocol::ids::{AttemptId, Epoch, ItemId};
use serde_json::json;
use tokio::sync::Mutex;

use super::agent::Streaming;
use super::bodies::{bytes, place};
use super::bystander::Bystander;
use super::journal::{Journal, items};
use super::ops::{Op, Token, What, Whose, sequence};
use super::record::Record;
use super::stage::SEQUENCES;
use super::tricks::play;
use super::wire::{Client, Machine, Provision, Reply, Site, target};
use super::{Plan, Target, memory_kib};

/// What came of the sequences.
#[derive(Debug, Default)]
pub(super) struct Ran {
    pub(super) sequences: u64,
    pub(super) faults: Vec<String>,
    /// After the first tenth, where the server's memory can be read.
    pub(super) warm_kib: Option<u64>,
    /// The highest that was seen.
    pub(super) memory_kib: u64,
}

/// Runs the sequences; each login from the third on is an attacker who runs its share in order.
pub(super) async fn run(
    site: &Site,
    target: &Target,
    (bystander, record): (&Bystander, &Record),
    plan: Plan,
) -> Result<Ran> {
    let mut attackers = Vec::new();
    for (login, password) in target.logins.iter().skip(2) {
        let client = site.sign_in(Machine::new()?, (login, password)).await?;
        attackers.push(Attacker::new(client, bystander.attempt).await?);
    }
    let ran = Mutex::new(Ran::default());
    let next = AtomicU64::new(plan.first);
    let share = |attacker: Attacker| {
        share(
            attacker,
            (&next, plan),
            (bystander, record),
            (&ran, target.pid),
        )
    };
    futures_util::future::join_all(attackers.into_iter().map(share)).await;
    Ok(ran.into_inner())
}

async fn share(
    mut attacker: Attacker,
    (next, plan): (&AtomicU64, Plan),
    (bystander, record): (&Bystander, &Record),
    (ran, pid): (&Mutex<Ran>, Option<u32>),
) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.first.saturating_add(plan.count) || ran.lock().await.faults.len() > 20 {
            return;
        }
        let ops = sequence(plan.seed, number);
        let fault = attacker.play(&ops, bystander).await;
        let mut faults = Vec::new();
        if let Some(fault) = fault {
            faults.push(told(&mut attacker, bystander, (plan.seed, number), (&ops, fault)).await);
        }
        if number % RECORD_EVERY == RECORD_EVERY - 1 {
            let of = |fault| format!("{fault}, at seed {} sequence {number} or before", plan.seed);
            faults.extend(record.faults().await.into_iter().map(of));
        }
        let memory = pid.and_then(memory_kib);
        let mut ran = ran.lock().await;
        ran.sequences += 1;
        ran.faults.extend(faults);
        let memory = memory.unwrap_or_default();
        ran.memory_kib = ran.memory_kib.max(memory);
        if ran.warm_kib.is_none() && ran.sequences > plan.count / 10 {
            ran.warm_kib = (memory > 0).then_some(ran.memory_kib);
        }
    }
}

/// Finds the shortest beginning of a sequence that fails again, and says how to run it.
async fn told(
    attacker: &mut Attacker,
    bystander: &Bystander,
    (seed, number): (u64, u64),
    (ops, fault): (&[Op], String),
) -> String {
    let again = format!("--seed {seed} --first {number} --count 1");
    for len in 1..=ops.len() {
        let prefix = ops.get(..len).unwrap_or(ops);
        if let Some(fault) = attacker.play(prefix, bystander).await {
            return format!("{fault}\n\trun again: {again}\n\tshortest beginning: {prefix:#?}");
        }
    }
    format!("{fault}\n\trun again: {again}\n\tdid not fail again alone: {ops:?}")
}

/// One attempt of an attacker.
struct Seat {
    attempt: AttemptId,
    journal: Journal,
    items: Vec<ItemId>,
    provision: Option<Provision>,
    agent: Option<Streaming>,
    /// When a lease was last seen.
    leased: Option<Instant>,
}

/// Somebody who signed in and attacks.
struct Attacker {
    client: Client,
    bystanders: AttemptId,
    seats: Vec<Seat>,
    seat: usize,
}

impl Attacker {
    async fn new(client: Client, bystanders: AttemptId) -> Result<Self> {
        let attempts = client.attempts().await?.into_iter();
        let seat = |attempt| Seat {
            attempt,
            journal: Journal::new(attempt, Epoch::FIRST),
            items: Vec::new(),
            provision: None,
            agent: None,
            leased: None,
        };
        let seats = attempts.filter(|(title, _)| title == SEQUENCES);
        let seats: Vec<Seat> = seats.map(|(_, attempt)| seat(attempt)).collect();
        anyhow::ensure!(!seats.is_empty(), "no exam `{SEQUENCES}` is open");
        Ok(Self {
            client,
            bystanders,
            seats,
            seat: 0,
        })
    }

    /// Runs a sequence and returns the first thing that must not be.
    async fn play(&mut self, ops: &[Op], bystander: &Bystander) -> Option<String> {
        let mut found = None;
        for op in ops {
            found = found.or(self.one(*op).await);
        }
        let faults = self.client.site.watch.take_faults();
        found
            .or_else(|| faults.into_iter().next())
            .or(bystander.touched().await)
    }

    async fn one(&mut self, op: Op) -> Option<String> {
        match op.what {
            What::Onward => {
                self.onward(op.wild).await;
                None
            }
            What::Link(trick) => {
                let seat = self.seats.get(self.seat)?;
                let provision = seat.provision.clone()?;
                let said = play(&self.client.site, &provision, trick).await;
                let open = said.is_ok_and(|word| word == "open");
                open.then(|| format!("a link went on after {trick:?}"))
            }
            What::Silence | What::Sound => {
                let agent = self.seats.get(self.seat)?.agent.as_ref()?;
                agent.stream(op.what == What::Sound);
                None
            }
            What::Enrol => self.enrol(op).await,
            What::Items | What::Item | What::Picture | What::ReadBack => self.content(op).await,
            What::Exams
            | What::View
            | What::Photo
            | What::CheckIn
            | What::Consent
            | What::Check
            | What::Identity
            | What::Instruction
            | What::Start
            | What::Responses
            | What::Submit
            | What::Message
            | What::Hand
            | What::Events
            | What::OddMethod => {
                let (reply, posted) = self.ask(op).await;
                judge(op, &reply, posted)
            }
        }
    }

    /// Asks for content; what comes must have come under a lease.
    async fn content(&mut self, op: Op) -> Option<String> {
        let could = self.leased().await;
        let (reply, posted) = self.ask(op).await;
        if reply.status == 200 && !could && !self.leased().await {
            return Some(format!("{op:?} was given without a lease"));
        }
        judge(op, &reply, posted)
    }

    /// Tells whether the server says that there is a lease, or said so moments ago.
    async fn leased(&mut self) -> bool {
        let Some(seat) = self.seats.get_mut(self.seat) else {
            return false;
        };
        if seat.leased.is_some_and(|at| at.elapsed() < LEASE_LASTS) {
            return true;
        }
        let view = self.client.get(seat.attempt, "view").await;
        let leased = !view.body["lease"].is_null();
        seat.leased = leased.then(Instant::now);
        leased
    }

    async fn ask(&self, op: Op) -> (Reply, bool) {
        let Some(seat) = self.seats.get(self.seat) else {
            return (self.client.ask("GET", "/healthz", None).await, false);
        };
        let (method, path) = place(op);
        let target = match (op.what, op.whose) {
            (What::Exams, _) => path,
            (_, Whose::Own) => target(seat.attempt, &path),
            (_, Whose::Bystanders) => target(self.bystanders, &path),
            (_, Whose::Nobodys) => {
                format!(
                    "/api/v1/attempts/0190b2c4-0000-7000-8000-{:012x}/{path}",
                    op.wild >> 16
                )
            }
            (_, Whose::NoIdentifier) => format!("/api/v1/attempts/{:x}/{path}", op.wild),
        };
        let posts = method == "POST" && op.what != What::Start;
        let body = if posts {
            bytes(op, (&seat.journal, &seat.items))
        } else {
            Vec::new()
        };
        let token = match op.token {
            Token::Own => self.client.token.clone(),
            Token::Agents => {
                let provision = seat.provision.as_ref();
                provision.map_or_else(|| "agent".to_owned(), |known| known.token.clone())
            }
            Token::Garbage => format!("{:032x}", op.wild),
            Token::Long => "f".repeat(6_000),
        };
        let asked = (body.as_slice(), token.as_str(), op.proof);
        (self.client.ask_as(method, &target, asked).await, posts)
    }

    async fn enrol(&self, op: Op) -> Option<String> {
        let provision = self.seats.get(self.seat)?.provision.clone()?;
        let keys = qorgan_signing::Keys::generate().ok()?.0;
        let stranger = qorgan_signing::Keys::generate().ok()?.0;
        let (granter, epoch) = match op.wild % 3 {
            0 => (&stranger, provision.epoch),
            1 => (
                &self.client.machine.keys,
                Epoch(provision.epoch.0.wrapping_add(1)),
            ),
            _ => (&stranger, Epoch(u32::MAX)),
        };
        let by = (provision.token.as_str(), granter, &keys);
        let body = self
            .client
            .enrolment(provision.attempt, epoch, by)
            .await
            .ok()?;
        let reply = self.client.enrol_with(&provision.token, &body).await;
        (!reply.is_refused()).then(|| format!("an agent without a right grant enrolled: {op:?}"))
    }

    /// Does what an honest client would do next, so that sequences get everywhere.
    async fn onward(&mut self, wild: u64) {
        let Some(seat) = self.seats.get_mut(self.seat) else {
            return;
        };
        let view = self.client.get(seat.attempt, "view").await;
        let phase = view.body["phase"]["phase"].as_str().unwrap_or("scheduled");
        match phase {
            "scheduled" | "check_in" => {
                if let Ok(provision) = self.client.check_in(seat.attempt).await {
                    seat.journal = Journal::new(seat.attempt, provision.epoch);
                    seat.agent = Streaming::start(&self.client.site, &provision, 3).ok();
                    seat.provision = Some(provision);
                }
            }
            "ready" => {
                if let Some(agent) = &seat.agent {
                    agent.stream(true);
                }
                drop(self.client.post(seat.attempt, "start", &json!({})).await);
            }
            "running" | "paused" => {
                let covered = view.body["lease"].is_null();
                if seat.items.is_empty() && !covered {
                    seat.items = items(&self.client, seat.attempt).await.unwrap_or_default();
                }
                if wild.is_multiple_of(60) {
                    let body = json!({ "epoch": seat.journal.epoch, "entries": seat.journal.next });
                    drop(self.client.post(seat.attempt, "submit", &body).await);
                } else if let Some(item) = seat.items.first().copied() {
                    drop(seat.journal.give(&self.client, item, 5_000).await);
                }
            }
            _ => {
                seat.agent = None;
                self.seat = (self.seat + 1) % self.seats.len().max(1);
            }
        }
    }
}

/// Holds a reply against what may be.
fn judge(op: Op, reply: &Reply, posted: bool) -> Option<String> {
    let granted = (200..400).contains(&reply.status);
    if granted && op.is_forbidden() {
        return Some(format!("{op:?} was granted: {}", reply.short()));
    }
    if granted && posted && op.is_unreadable() {
        return Some(format!(
            "{op:?} was taken though it cannot be read: {}",
            reply.short()
        ));
    }
    None
}

/// A view's lease counts for what is asked right after it.
const LEASE_LASTS: Duration = Duration::from_secs(2);
const RECORD_EVERY: u64 = 100;
