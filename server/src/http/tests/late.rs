//! Responses without a lease: judged by the server's clock and record, kept, shown, decided; and the
//! pace at which items leave. Time is skipped, never waited for.

use std::path::Path;
use std::time::Duration;

use qorgan_protocol::attempt::{GatePolicy, Pace};
use qorgan_protocol::evidence::side_log::{
    DECISIONS_FILE, DELIVERY_FILE, RESPONSES_FILE, RESPONSES_MAGIC,
};
use qorgan_protocol::ids::{AttemptId, Epoch};
use serde_json::{Value, json};

use super::harness::{Agent, Client, Device, Journal, World, checked, entries, item_id, number};
use crate::auth::cookie;
use crate::evidence::{ScoredInputs, export, seal};
use qorgan_store::assigned::assign;
use qorgan_store::responses::late_counts;

#[tokio::test]
async fn what_comes_while_covered_is_marked_whatever_the_client_says_of_its_lease() {
    let (world, attempt, client, agent) = sitting().await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let before = journal.add(item_id(1), "A", 4_000);
    post(&client, attempt, &before).await;
    lose(&world, &agent, 900).await;
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["phase"]["phase"], "paused");
    let covered = journal.add(item_id(2), "A", 4_000);
    post(&client, attempt, &covered).await;

    assert_eq!(mark(&world, attempt, 0).await, ("in_time".to_owned(), None));
    let (word, late_ms) = mark(&world, attempt, 1).await;
    assert_eq!(word, "after_cover");
    let late_ms = late_ms.expect("how late it may be");
    assert!((895_000..905_000).contains(&late_ms), "{late_ms}");
    assert_eq!(counts(&world, attempt).await, (1, 1));
    assert_eq!(late_incidents(&world, attempt).await, 1);
}

#[tokio::test]
async fn new_answers_after_the_deadline_wait_for_a_person_until_the_promised_time_is_over() {
    let world = World::start().await;
    let duration = Duration::from_secs(8);
    let sitting = world.sitting(-60, duration, calm()).await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "").await;
    let (client, agent) = world.running(&Device::new(), "a", attempt).await;
    world.state.clock.skip(Duration::from_secs(4));
    agent.alive(&world).await;
    world.state.clock.skip(Duration::from_secs(6));
    let (_status, view) = client.get(attempt, "view").await;
    assert_eq!(view["phase"]["phase"], "submitted");
    let mut journal = Journal::new(attempt, Epoch(1));
    let honest = journal.add(item_id(1), "A", 100);
    post(&client, attempt, &honest).await;
    assert_eq!(mark(&world, attempt, 0).await.0, "in_time");

    world.state.clock.skip(Duration::from_secs(60));
    let new = journal.add(item_id(2), "B", 4_000);
    post(&client, attempt, &new).await;
    assert_eq!(mark(&world, attempt, 1).await.0, "after_end");
    assert_eq!(counts(&world, attempt).await, (1, 1));
    world.state.clock.skip(Duration::from_secs(15 * 60));
    let more = journal.add(item_id(2), "A", 4_000);
    let body = entries(Epoch(1), &[&more]);
    let (status, problem) = client.post(attempt, "responses", &body).await;
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test]
async fn a_submission_is_late_by_the_servers_record_alone() {
    let (world, attempt, client, agent) = sitting().await;
    lose(&world, &agent, 60).await;
    let body = json!({ "epoch": 1, "entries": 0 });
    for _again in 0..2 {
        let (status, reply) = client.post(attempt, "submit", &body).await;
        assert_eq!((status, &reply["late"]), (200, &json!(true)));
    }
}

#[tokio::test]
async fn a_later_entry_under_a_lease_confirms_what_a_cut_delayed_but_not_the_clients_own_word() {
    let device = Device::new();
    let (world, attempt, client, agent) = sitting_on(&device).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    lose(&world, &agent, 60).await;
    let delayed = journal.add(item_id(1), "A", 3_000);
    let own = journal.add(item_id(2), "A", -2_500);
    post(&client, attempt, &delayed).await;
    post(&client, attempt, &own).await;
    assert_eq!(counts(&world, attempt).await, (2, 2));

    world.agent(attempt, &device).await;
    let later = journal.add(item_id(1), "B", 3_000);
    post(&client, attempt, &later).await;

    assert_eq!(mark(&world, attempt, 2).await.0, "in_time");
    assert_eq!(mark(&world, attempt, 1).await.0, "own_word");
    assert_eq!(counts(&world, attempt).await, (2, 1));
}

#[tokio::test]
async fn a_restart_loses_no_record_of_leases_and_gives_no_grace() {
    let device = Device::new();
    let (world, attempt, client, _agent) = sitting_on(&device).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let first = journal.add(item_id(1), "A", 4_000);
    post(&client, attempt, &first).await;
    let token = client.token.clone();
    let world = world.restart().await;
    let mut client = world.sign_in(&device, "a").await;
    client.token = token;
    let second = journal.add(item_id(2), "A", 4_000);
    post(&client, attempt, &second).await;
    let (word, late_ms) = mark(&world, attempt, 1).await;
    assert_eq!(word, "after_cover");
    assert!(late_ms.is_some(), "the record was kept");

    world.agent(attempt, &device).await;
    let (status, _again) = client
        .post(attempt, "responses", &entries(Epoch(1), &[&second]))
        .await;
    assert_eq!(status, 200);
    assert_eq!(
        counts(&world, attempt).await,
        (1, 0),
        "confirmed by its head"
    );
}

#[tokio::test]
async fn new_items_leave_at_the_policys_pace_and_each_is_on_record() {
    let policy = GatePolicy {
        pace: Pace {
            ahead: 1,
            per_minute: 20,
        },
        ..calm()
    };
    let world = World::start().await;
    let attempt = world.candidate("a", policy).await;
    let (client, agent) = world.running(&Device::new(), "a", attempt).await;
    assert_eq!(client.get(attempt, "items/2").await.0, 200);
    let (status, problem) = client.get(attempt, "items/1").await;
    assert_eq!((status, &problem["code"]), (429, &json!("too_many")));
    assert_eq!(problem["retry_after_s"], json!(3));
    assert_eq!(client.get(attempt, "items/2").await.0, 200, "seen is free");
    assert_eq!(client.get(attempt, "items/9").await.0, 404);
    world.state.clock.skip(Duration::from_secs(3));
    agent.alive(&world).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);

    let fetched: Vec<(i64, i64)> = qorgan_store::query_as(
        "SELECT position, CAST(SUM(fetches) AS BIGINT) FROM item_fetches WHERE attempt_id = $1 \
         AND lease_ends_ms > at_ms GROUP BY position ORDER BY position",
    )
    .bind(attempt.to_string())
    .fetch_all(world.state.store.read())
    .await
    .expect("readable");
    assert_eq!(fetched, [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn no_receipt_is_made_for_what_the_manifest_does_not_hold() {
    let (world, attempt, client, agent) = sitting().await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let kept = journal.add(item_id(1), "A", 4_000);
    post(&client, attempt, &kept).await;
    lose(&world, &agent, 1_200).await;
    let (_status, _view) = client.get(attempt, "view").await;
    let proctor = world.person("proctor").await;
    let ended = world.state.registry.control(
        attempt,
        crate::registry::ControlAction::Terminate(
            qorgan_protocol::attempt::TerminationCause::Proctor,
        ),
        proctor,
        "test",
    );
    ended.await.expect("it runs");
    let late = journal.add(item_id(2), "A", 4_000);
    let late = entries(Epoch(1), &[&late]);

    // Sealing has begun: whatever it has read, nothing is taken and no receipt made any more.
    world
        .state
        .registry
        .begin_sealing(attempt)
        .await
        .expect("over");
    let before = receipts(&world, attempt).await;
    let (status, problem) = client.post(attempt, "responses", &late).await;
    assert_eq!((status, &problem["code"]), (403, &json!("too_late")));
    let submit = json!({ "epoch": 1, "entries": 1 });
    assert_eq!(client.post(attempt, "submit", &submit).await.0, 403);
    let twice = world.state.registry.begin_sealing(attempt).await;
    twice.expect_err("it is being sealed");
    let nothing = entries(Epoch(1), &[]);
    let (status, problem) = client.post(attempt, "responses", &nothing).await;
    assert_eq!((status, &problem["code"]), (403, &json!("too_late")));
    assert_eq!(receipts(&world, attempt).await, before);
    // Sealing failed: what comes late is taken again.
    world
        .state
        .registry
        .stop_sealing(attempt)
        .await
        .expect("readable");
    assert_eq!(client.post(attempt, "responses", &late).await.0, 200);
    seal(&world.state, attempt).await.expect("sealed");
    let (status, _problem) = client.post(attempt, "submit", &submit).await;
    assert_ne!(status, 200);

    let out = tempfile::TempDir::new().expect("a temporary folder");
    let folder = out.path().join("export");
    export(&world.state, attempt, ScoredInputs::Sealed, &folder)
        .await
        .expect("exported");
    let newest: i64 =
        qorgan_store::query_scalar("SELECT MAX(next) FROM response_receipts WHERE attempt_id = $1")
            .bind(attempt.to_string())
            .fetch_one(world.state.store.read())
            .await
            .expect("readable");
    assert_eq!(newest, 2);
    // Two responses and the newest receipt.
    assert_eq!(records(&folder.join(RESPONSES_FILE)), 3);
    let delivery = read_json(&folder.join(DELIVERY_FILE));
    assert_eq!(delivery["responses"][0]["mark"], "in_time");
    assert_eq!(delivery["responses"][1]["mark"], "after_end");
    assert_eq!(delivery["leases"].as_array().map(Vec::len), Some(1));
}

#[tokio::test]
async fn a_person_decides_with_a_reason_and_the_export_carries_it() {
    let (world, attempt, _client, _journal) = two_wait().await;
    let (token, csrf) = super::staff::proctor(&world).await;
    assign_proctor(&world, attempt).await;
    let page = console(&world, &token, attempt, None).await;
    assert!(
        page.1.contains("r-1-0") && page.1.contains("r-1-1"),
        "{}",
        page.1
    );
    let look = seen(&page.1);
    let decide = |reason: &str, seq: &str, counts: &str| {
        let epoch = if seq.is_empty() { "" } else { "1" };
        vec![
            ("csrf".to_owned(), csrf.clone()),
            ("epoch".to_owned(), epoch.to_owned()),
            ("seq".to_owned(), seq.to_owned()),
            ("seen".to_owned(), look.clone()),
            ("reason".to_owned(), reason.to_owned()),
            ("counts".to_owned(), counts.to_owned()),
        ]
    };
    let (status, _) = console(&world, &token, attempt, Some(decide("", "0", "yes"))).await;
    assert_eq!(status, 303);
    assert_eq!(
        counts(&world, attempt).await,
        (2, 2),
        "no reason, no decision"
    );
    let cut = decide("The hall's network was cut", "0", "yes");
    assert_eq!(console(&world, &token, attempt, Some(cut)).await.0, 303);
    assert_eq!(counts(&world, attempt).await, (2, 1));
    let rest = decide("Given while covered", "", "no");
    assert_eq!(console(&world, &token, attempt, Some(rest)).await.0, 303);
    assert_eq!(counts(&world, attempt).await, (2, 0));
    let none = decide("There is no such entry", "9", "yes");
    assert_eq!(console(&world, &token, attempt, Some(none)).await.0, 404);

    let logged: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM audit_log WHERE action = 'late_responses_decided'",
    )
    .fetch_one(world.state.store.read())
    .await
    .expect("readable");
    assert_eq!(logged, 2);
    let out = tempfile::TempDir::new().expect("a temporary folder");
    let folder = out.path().join("export");
    export(&world.state, attempt, ScoredInputs::Sealed, &folder)
        .await
        .expect("exported");
    let decisions = read_json(&folder.join(DECISIONS_FILE));
    assert_eq!(
        decisions["decisions"][0]["reason"],
        "The hall's network was cut"
    );
    let standing = |at: usize| decisions["late_responses"][at]["standing"].clone();
    assert_eq!(standing(0), json!("decided_counts"));
    assert_eq!(standing(1), json!("decided_not"));
}

#[tokio::test]
async fn a_lease_is_known_to_be_valid_however_often_a_machine_is_checked() {
    let (world, attempt, client, agent) = sitting().await;
    for _ in 0..6 {
        world.state.clock.skip(Duration::from_secs(3));
        agent.alive(&world).await;
        let told = client.post(attempt, "system-check", &checked(&[])).await;
        assert_eq!(told.0, 204);
        world.state.registry.tick_all().await;

        let seen = "SELECT seen_ms FROM lease_spans WHERE ended_ms IS NULL";
        let age = world.state.clock.wall().unix_ms() - number(&world, seen).await;
        assert!(age <= 6_000, "a crash would end the lease {age} ms ago");
    }
}

#[tokio::test]
async fn a_decision_on_all_that_wait_is_on_what_was_seen() {
    let (world, attempt, client, mut journal) = two_wait().await;
    let (token, csrf) = super::staff::proctor(&world).await;
    assign_proctor(&world, attempt).await;
    let look = seen(&console(&world, &token, attempt, None).await.1);
    world.state.clock.skip(Duration::from_millis(5));
    let unseen = journal.add(item_id(2), "B", 4_000);
    post(&client, attempt, &unseen).await;
    let decide = |reason: &str| {
        let fields = [
            ("csrf", csrf.as_str()),
            ("seen", &look),
            ("reason", reason),
            ("counts", "yes"),
        ];
        let fields = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        fields.to_vec()
    };
    let blank = console(&world, &token, attempt, Some(decide("  "))).await;
    assert_eq!(blank.0, 303);
    assert_eq!(
        counts(&world, attempt).await,
        (3, 3),
        "blanks are no reason"
    );
    let given = console(&world, &token, attempt, Some(decide("A cut"))).await;
    assert_eq!(given.0, 303);
    assert_eq!(counts(&world, attempt).await, (3, 1), "nobody saw it");
}

/// A sitting with two late responses that wait for a person.
async fn two_wait() -> (World, AttemptId, Client, Journal) {
    let (world, attempt, client, agent) = sitting().await;
    let mut journal = Journal::new(attempt, Epoch(1));
    lose(&world, &agent, 60).await;
    for turn in 1..=2 {
        let late = journal.add(item_id(turn), "A", 4_000);
        post(&client, attempt, &late).await;
    }
    (world, attempt, client, journal)
}

/// Returns when a page was looked at, as its form says.
fn seen(page: &str) -> String {
    let told = page.split_once("name=\"seen\" value=\"");
    let moment = told.and_then(|(_, after)| after.split('"').next());
    moment.unwrap_or_default().to_owned()
}

/// A remote sitting without freshness codes, for no screen is drawn here.
fn calm() -> GatePolicy {
    GatePolicy {
        freshness: false,
        ..GatePolicy::remote()
    }
}

async fn sitting() -> (World, AttemptId, Client, Agent) {
    sitting_on(&Device::new()).await
}

async fn sitting_on(device: &Device) -> (World, AttemptId, Client, Agent) {
    let world = World::start().await;
    let attempt = world.candidate("a", calm()).await;
    let (client, agent) = world.running(device, "a", attempt).await;
    (world, attempt, client, agent)
}

/// The agent goes, and so many seconds pass.
async fn lose(world: &World, agent: &Agent, seconds: u64) {
    let gone = world.state.registry.link_down(agent.attempt, agent.epoch);
    gone.await.expect("stored");
    // In two steps, for what was spent before the cover counts as work.
    world.state.clock.skip(Duration::from_secs(26));
    let settled = world.state.registry.link_down(agent.attempt, agent.epoch);
    settled.await.expect("stored");
    world
        .state
        .clock
        .skip(Duration::from_secs(seconds.saturating_sub(26)));
}

async fn post(client: &Client, attempt: AttemptId, entry: &[u8]) {
    let body = entries(Epoch(1), &[entry]);
    let (status, reply) = client.post(attempt, "responses", &body).await;
    assert_eq!(status, 200, "{reply}");
}

async fn mark(world: &World, attempt: AttemptId, seq: i64) -> (String, Option<i64>) {
    let row = qorgan_store::query(
        "SELECT mark, late_ms FROM responses WHERE attempt_id = $1 AND seq = $2",
    )
    .bind(attempt.to_string())
    .bind(seq)
    .fetch_one(world.state.store.read())
    .await
    .expect("stored");
    (
        row.get("mark").expect("a word"),
        row.get("late_ms").expect("a time"),
    )
}

async fn counts(world: &World, attempt: AttemptId) -> (i64, i64) {
    late_counts(&world.state.store, attempt)
        .await
        .expect("readable")
}

async fn receipts(world: &World, attempt: AttemptId) -> i64 {
    qorgan_store::query_scalar("SELECT COUNT(*) FROM response_receipts WHERE attempt_id = $1")
        .bind(attempt.to_string())
        .fetch_one(world.state.store.read())
        .await
        .expect("readable")
}

async fn late_incidents(world: &World, attempt: AttemptId) -> i64 {
    qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM incidents WHERE attempt_id = $1 AND kind = 'late_responses'",
    )
    .bind(attempt.to_string())
    .fetch_one(world.state.store.read())
    .await
    .expect("readable")
}

/// Assigns the proctor to the attempt's sitting.
pub(super) async fn assign_proctor(world: &World, attempt: AttemptId) {
    let sitting: String =
        qorgan_store::query_scalar("SELECT sitting_id FROM attempts WHERE id = $1")
            .bind(attempt.to_string())
            .fetch_one(world.state.store.read())
            .await
            .expect("readable");
    let whom = (sitting.parse().expect("an identifier"), "p");
    let by = (world.state.clock.wall(), "test");
    let mut tx = world.state.store.begin().await.expect("a writer");
    assign(&mut tx, &world.state.keys, by, whom, true)
        .await
        .expect("assigned");
    tx.commit().await.expect("stored");
}

/// Reads the page of late responses, or sends its form.
async fn console(
    world: &World,
    token: &str,
    attempt: AttemptId,
    form: Option<Vec<(String, String)>>,
) -> (u16, String) {
    let page = format!("/console/attempts/{attempt}/late");
    asked(world, token, &page, form).await
}

/// Reads a page of the console, or sends its form.
pub(super) async fn asked(
    world: &World,
    token: &str,
    page: &str,
    form: Option<Vec<(String, String)>>,
) -> (u16, String) {
    let ca = reqwest::Certificate::from_pem(world.state.keys.ca_pem().as_bytes()).expect("a PEM");
    let http = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let url = format!("{}{page}", world.origin);
    let request = match form {
        Some(form) => {
            let body: Vec<String> = form
                .iter()
                .map(|(name, value)| {
                    format!("{name}={}", value.replace(' ', "+").replace('\'', "%27"))
                })
                .collect();
            let kind = "application/x-www-form-urlencoded";
            http.post(url)
                .header("content-type", kind)
                .body(body.join("&"))
        }
        None => http.get(url),
    };
    let set = cookie(token).expect("a token");
    let pair = set.to_str().expect("text").split(';').next();
    let request = request.header("cookie", pair.unwrap_or_default().to_owned());
    let response = request.send().await.expect("answered");
    let status = response.status().as_u16();
    (status, response.text().await.expect("a body"))
}

fn records(log: &Path) -> usize {
    let bytes = std::fs::read(log).expect("exported");
    let mut rest = bytes
        .strip_prefix(RESPONSES_MAGIC.as_slice())
        .expect("its magic");
    let mut found = 0;
    while let Some((len, body)) = rest.split_first_chunk::<4>() {
        let len = usize::try_from(u32::from_be_bytes(*len)).expect("small");
        rest = body.get(len..).expect("a whole record");
        found += 1;
    }
    found
}

fn read_json(path: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(path).expect("exported")).expect("JSON")
}
