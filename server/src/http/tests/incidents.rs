//! One event is one incident, whoever saw it first.

use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GatePolicy, TerminationCause};
use qorgan_protocol::crypto::{self, PublicKey, Sha256};
use qorgan_protocol::evidence::ChunkSeq;
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::incident::{
    Allowance, Edge, IncidentKind, Observation, Sensitivity, Severity, WatchPolicy,
};
use qorgan_protocol::time::Now;
use qorgan_protocol::wire::{AgentGrant, ProblemCode};
use qorgan_signing::Ring;
use serde_json::json;

use super::harness::{AGENT_CLOCK_AHEAD, Client, Device, SCREEN, World};
use crate::registry::{AgentCommand, AgentKey, ControlAction, EventsRead};
use qorgan_store::exams::{self, GrantError};

type Row = (String, Option<String>, i64);

async fn incidents(world: &World, kind: IncidentKind) -> Vec<Row> {
    qorgan_store::query_as(
        "SELECT detector, stream, observations FROM incidents WHERE kind = $1 ORDER BY began_ms, id",
    )
    .bind(kind.word())
    .fetch_all(world.state.store.read())
    .await
    .expect("read")
}

async fn kiosk_sees(client: &Client, attempt: AttemptId, kind: &str, ago_ms: u64) {
    let event = json!({ "kind": kind, "ago_ms": ago_ms, "at": Now::default(), "detail": "xterm" });
    let events = json!({ "events": [event] });
    assert_eq!(client.post(attempt, "events", &events).await.0, 204);
}

async fn agent_sees(world: &World, attempt: AttemptId, kind: IncidentKind) {
    told(world, attempt, vec![seen(world, kind, Duration::ZERO)]).await;
}

/// What an agent saw some time ago.
fn seen(world: &World, kind: IncidentKind, ago: Duration) -> Observation {
    Observation {
        kind,
        edge: Edge::Moment,
        at: world.state.clock.now() + AGENT_CLOCK_AHEAD - ago,
        at_us: 500_000,
        stream: Some(SCREEN),
        score: Severity::clamped(1.0),
        threshold: Severity::clamped(0.5),
        detector: "active-window/1".to_owned(),
        detail: "xterm".to_owned(),
        scored_input: Vec::new(),
    }
}

/// The next chunk of the agent's events, as it is stored.
async fn told(world: &World, attempt: AttemptId, observations: Vec<Observation>) {
    let registry = &world.state.registry;
    let (_phase, epoch) = registry.standing(attempt).await.expect("known");
    let EventsRead::Before(next) = registry.events_read(attempt, epoch).await.expect("read") else {
        panic!("reading is noted from the start");
    };
    let chunk = [(next, observations)];
    let stored = registry.observations(attempt, epoch, &chunk);
    stored.await.expect("stored");
}

/// As if check-in had been a quarter of an hour ago.
async fn checked_in_long_ago(world: &World) {
    execute(world, "UPDATE epochs SET began_ms = began_ms - 900000").await;
}

async fn execute(world: &World, sql: &'static str) {
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(sql)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");
}

async fn sitting() -> (World, AttemptId, Client) {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    world.agent(attempt, &device).await;
    checked_in_long_ago(&world).await;
    (world, attempt, client)
}

#[tokio::test]
async fn where_a_window_stands_is_added_to_what_was_told_of_it() {
    let (world, attempt, _client) = sitting().await;
    agent_sees(&world, attempt, IncidentKind::ForeignWindow).await;
    for edge in [Edge::Began, Edge::Holds, Edge::Began] {
        let seen = Observation {
            kind: IncidentKind::ForeignWindow,
            edge,
            at: world.state.clock.now() + AGENT_CLOCK_AHEAD,
            at_us: 500_000,
            stream: Some(SCREEN),
            score: Severity::clamped(0.9),
            threshold: Severity::clamped(0.5),
            detector: "drawn-screen/1".to_owned(),
            detail: "from 29 to 51 % across".to_owned(),
            scored_input: vec![1],
        };
        told(&world, attempt, vec![seen]).await;
    }
    let details: Vec<String> =
        qorgan_store::query_scalar("SELECT detail FROM incidents WHERE kind = 'foreign_window'")
            .fetch_all(world.state.store.read())
            .await
            .expect("read");
    assert_eq!(details, ["xterm; from 29 to 51 % across"]);
}

#[tokio::test]
async fn a_switch_that_kiosk_and_agent_see_is_one_incident_on_the_stream_that_shows_it() {
    let (world, attempt, client) = sitting().await;
    let switch = IncidentKind::WindowSwitch;
    kiosk_sees(&client, attempt, "window_switch", 300).await;
    agent_sees(&world, attempt, switch).await;
    let screen = Some(SCREEN.to_string());
    assert_eq!(
        incidents(&world, switch).await,
        [("kiosk/1".to_owned(), screen.clone(), 2)]
    );

    let clipboard = IncidentKind::ClipboardChanged;
    agent_sees(&world, attempt, clipboard).await;
    kiosk_sees(&client, attempt, "clipboard_cleared", 300).await;
    assert_eq!(
        incidents(&world, clipboard).await,
        [("active-window/1".to_owned(), screen, 2)]
    );
}

#[tokio::test]
async fn what_lies_apart_in_time_stays_apart() {
    let (world, attempt, client) = sitting().await;
    let switch = IncidentKind::WindowSwitch;
    agent_sees(&world, attempt, switch).await;
    let minute = Duration::from_secs(60).as_millis();
    let minute = u64::try_from(minute).expect("small");
    kiosk_sees(&client, attempt, "window_switch", minute).await;
    let rows = incidents(&world, switch).await;
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows.iter().all(|(_, _, observations)| *observations == 1));
}

async fn counted(world: &World, counts: bool) -> Vec<String> {
    qorgan_store::query_scalar("SELECT kind FROM incidents WHERE counts = $1 ORDER BY kind")
        .bind(counts)
        .fetch_all(world.state.store.read())
        .await
        .expect("read")
}

/// A candidate with a helper, in a sitting where windows do not count.
async fn with_a_helper(world: &World) -> (AttemptId, qorgan_protocol::ids::SittingId) {
    let mut policy = GatePolicy::remote();
    assert!(
        policy
            .watch
            .set(IncidentKind::WindowSwitch, Sensitivity::Off)
    );
    let lasts = Duration::from_secs(3_600);
    let sitting = world.sitting(-60, lasts, policy).await;
    let person = world.person("a").await;
    let attempt = world.admit(sitting, person, "").await;
    grant(world, sitting, &[Allowance::Helper])
        .await
        .expect("not checked in");
    (attempt, sitting)
}

async fn grant(
    world: &World,
    sitting: qorgan_protocol::ids::SittingId,
    allowances: &[Allowance],
) -> Result<(), GrantError> {
    let mut tx = world.state.store.begin().await.expect("a writer");
    let at = world.state.clock.wall();
    exams::grant(&mut tx, at, (sitting, "A"), allowances).await?;
    tx.commit().await.expect("stored");
    Ok(())
}

#[tokio::test]
async fn what_does_not_count_is_kept_as_seen_whoever_says_it_and_makes_no_incident() {
    let world = World::start().await;
    let (attempt, _) = with_a_helper(&world).await;
    let device = Device::new();
    let client = world.at_the_gate(&device, "a", attempt).await;
    world.agent(attempt, &device).await;
    for kind in [
        IncidentKind::SecondFace,
        IncidentKind::AnotherVoice,
        IncidentKind::Talking,
        IncidentKind::Tampering,
    ] {
        agent_sees(&world, attempt, kind).await;
    }
    kiosk_sees(&client, attempt, "window_switch", 300).await;
    assert_eq!(counted(&world, true).await, ["talking", "tampering"]);
    let kept = ["another_voice", "second_face", "window_switch"];
    assert_eq!(counted(&world, false).await, kept);
    let line = world
        .state
        .registry
        .board_line(attempt)
        .await
        .expect("known");
    assert_eq!((line.incidents, line.unreviewed), (2, 2));
}

#[tokio::test]
//= tests/data/sop-2-28.md#10-start-gate
//= type=test
async fn the_candidate_is_told_before_consent_and_what_was_told_stays() {
    let world = World::start().await;
    let (attempt, sitting) = with_a_helper(&world).await;
    let client = world.sign_in(&Device::new(), "a").await;
    let told = client.check_in(attempt).await;
    let mut wanted = WatchPolicy::remote().granting(&[Allowance::Helper]);
    assert!(wanted.set(IncidentKind::WindowSwitch, Sensitivity::Off));
    assert_eq!(told.policy.watch, wanted);
    assert_eq!(told.policy.required(), GatePolicy::remote().required());
    assert_eq!(told.accommodation.allowances, [Allowance::Helper]);
    let last = told.consent_text.en.split("\n\n").last();
    let last = last.expect("a paragraph");
    assert!(
        last.contains("Second face") && last.contains("Another voice"),
        "{last}"
    );

    let refused = grant(&world, sitting, &[]).await;
    assert!(matches!(refused, Err(GrantError::CheckedIn)), "{refused:?}");
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE admissions SET allowances = '[]'")
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");
    let world = world.restart().await;
    agent_sees(&world, attempt, IncidentKind::SecondFace).await;
    assert_eq!(counted(&world, true).await, [""; 0]);
    assert_eq!(counted(&world, false).await, ["second_face"]);
}

#[tokio::test]
async fn nobody_is_granted_anything_who_is_not_on_the_list() {
    let world = World::start().await;
    let lasts = Duration::from_secs(3_600);
    let sitting = world.sitting(-60, lasts, GatePolicy::remote()).await;
    let refused = grant(&world, sitting, &[Allowance::Helper]).await;
    assert!(matches!(refused, Err(GrantError::NotListed)), "{refused:?}");
}

async fn when(world: &World, kind: IncidentKind) -> Vec<(i64, Option<i64>, i64)> {
    qorgan_store::query_as(
        "SELECT began_ms, ended_ms, observations FROM incidents WHERE kind = $1 ORDER BY began_ms",
    )
    .bind(kind.word())
    .fetch_all(world.state.store.read())
    .await
    .expect("read")
}

fn near(one: i64, other: i64) -> bool {
    one.abs_diff(other) < 3_000
}

#[tokio::test]
async fn what_waited_in_a_spool_is_dated_when_it_was_seen_and_stays_apart() {
    let (world, attempt, _client) = sitting().await;
    let kind = IncidentKind::ForeignWindow;
    let ago = |seconds| seen(&world, kind, Duration::from_secs(seconds));
    // An outage of ten minutes is delivered at once.
    told(&world, attempt, vec![ago(600), ago(590), ago(300), ago(0)]).await;
    let now = world.state.clock.wall().unix_ms();
    let rows = when(&world, kind).await;
    let began: Vec<i64> = rows.iter().map(|(began, _, _)| now - began).collect();
    assert_eq!(rows.len(), 3, "{began:?}");
    assert!(near(began[0], 600_000) && near(began[1], 300_000) && near(began[2], 0));
    assert!(near(now - rows[0].1.expect("it ended"), 590_000));
    assert_eq!(rows[0].2, 2);
}

#[tokio::test]
async fn what_a_restarted_server_is_told_late_is_dated_when_it_was_seen() {
    let (world, attempt, _client) = sitting().await;
    let (_phase, epoch) = world.state.registry.standing(attempt).await.expect("known");
    let world = world.restart().await;
    let now = world.state.clock.now();
    let registry = &world.state.registry;
    let clock = registry.link_clock(attempt, epoch, (now, now + AGENT_CLOCK_AHEAD));
    clock.await.expect("known");
    let kind = IncidentKind::ForeignWindow;
    told(
        &world,
        attempt,
        vec![seen(&world, kind, Duration::from_secs(400))],
    )
    .await;
    let now = world.state.clock.wall().unix_ms();
    let rows = when(&world, kind).await;
    assert!(
        rows.len() == 1 && near(now - rows[0].0, 400_000),
        "{rows:?}"
    );
}

#[tokio::test]
async fn no_time_that_a_machine_says_lies_outside_its_epoch() {
    let (world, attempt, client) = sitting().await;
    let after = world.state.clock.wall().unix_ms();
    kiosk_sees(&client, attempt, "window_switch", u64::MAX).await;
    let kind = IncidentKind::ForeignWindow;
    let mut never = seen(&world, kind, Duration::ZERO);
    never.at_us = u64::MAX;
    never.at = Now::from_origin(Duration::MAX);
    told(&world, attempt, vec![never]).await;
    let began = after - 900_000;
    let switch = when(&world, IncidentKind::WindowSwitch).await;
    assert!(near(switch[0].0, began), "{switch:?}");
    assert!(near(when(&world, kind).await[0].0, after));
    let us: i64 = qorgan_store::query_scalar("SELECT MAX(began_us) FROM incidents")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert!(us <= 1_000_000_000, "{us}");
    let at: i64 = qorgan_store::query_scalar("SELECT at_ms FROM client_events")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert!(near(at, began));
}

#[tokio::test]
async fn an_agent_neither_ends_nor_joins_what_the_server_saw() {
    let (world, attempt, _client) = sitting().await;
    let kind = IncidentKind::SecondMachine;
    execute(
        &world,
        "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, detector, \
         epoch) SELECT '0190163d-8694-739b-aea5-966c26f8ad90', institution_id, id, \
         'second_machine', 0.7, saved_ms, 'server/1', epoch FROM attempts",
    )
    .await;
    // Read again, with what lasts.
    let (_phase, epoch) = world.state.registry.standing(attempt).await.expect("known");
    let world = world.restart().await;
    let now = world.state.clock.now();
    let clock = (now, now + AGENT_CLOCK_AHEAD);
    let registry = &world.state.registry;
    registry
        .link_clock(attempt, epoch, clock)
        .await
        .expect("known");
    let mut said = seen(&world, kind, Duration::ZERO);
    said.stream = None;
    let ends = Observation {
        edge: Edge::Ended,
        ..said.clone()
    };
    told(&world, attempt, vec![ends.clone(), said, ends]).await;
    let rows: Vec<(String, Option<i64>, i64)> = qorgan_store::query_as(
        "SELECT detector, ended_ms, observations FROM incidents WHERE kind = 'second_machine' \
         ORDER BY detector",
    )
    .fetch_all(world.state.store.read())
    .await
    .expect("read");
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].0 == "active-window/1" && rows[0].1.is_some());
    assert_eq!(rows[1], ("server/1".to_owned(), None, 1));
}

#[tokio::test]
async fn what_lasted_when_the_server_stopped_is_ended_by_who_saw_it() {
    let (world, attempt, _client) = sitting().await;
    let kind = IncidentKind::CameraCovered;
    let began = Observation {
        edge: Edge::Began,
        ..seen(&world, kind, Duration::ZERO)
    };
    told(&world, attempt, vec![began]).await;
    let world = world.restart().await;
    let ended = Observation {
        edge: Edge::Ended,
        ..seen(&world, kind, Duration::ZERO)
    };
    told(&world, attempt, vec![ended]).await;
    let rows = when(&world, kind).await;
    assert!(rows.len() == 1 && rows[0].1.is_some(), "{rows:?}");
}

#[tokio::test]
async fn a_chunk_of_events_that_is_read_twice_makes_its_incidents_once() {
    let (world, attempt, _client) = sitting().await;
    let kind = IncidentKind::ForeignWindow;
    told(&world, attempt, vec![seen(&world, kind, Duration::ZERO)]).await;
    let registry = &world.state.registry;
    let (_phase, epoch) = registry.standing(attempt).await.expect("known");
    let again = [(ChunkSeq(0), vec![seen(&world, kind, Duration::ZERO)])];
    registry
        .observations(attempt, epoch, &again)
        .await
        .expect("skipped");
    assert_eq!(when(&world, kind).await[0].2, 1);
}

#[tokio::test]
async fn incidents_of_one_attempt_have_a_bound_that_is_told() {
    let (world, attempt, _client) = sitting().await;
    execute(
        &world,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999) \
         INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, ended_ms, \
         detector) SELECT '0190163d-8694-739b-aea5-' || substr(CAST(1000000000000 + i AS TEXT), 2), \
         institution_id, attempts.id, 'whisper', 0.3, saved_ms, saved_ms, 'whisper/1' \
         FROM attempts, n",
    )
    .await;
    for kind in [
        IncidentKind::ForeignWindow,
        IncidentKind::WindowSwitch,
        IncidentKind::CameraFrozen,
        IncidentKind::CameraCovered,
    ] {
        agent_sees(&world, attempt, kind).await;
    }
    let kinds = [IncidentKind::ForeignWindow, IncidentKind::NotWatched];
    for kind in kinds {
        assert_eq!(incidents(&world, kind).await.len(), 1, "{kind:?}");
    }
    assert_eq!(incidents(&world, IncidentKind::WindowSwitch).await, []);
    let by = PersonId::new(world.state.clock.wall(), [1; 10]);
    let registry = &world.state.registry;
    let flagged = registry.control(attempt, ControlAction::Flag, by, "a phone");
    flagged.await.expect("a proctor's flag is kept");
    assert_eq!(incidents(&world, IncidentKind::ProctorFlag).await.len(), 1);
}

#[tokio::test]
async fn rows_of_the_server_take_no_room_of_the_detectors_and_skip_no_notice() {
    let (world, attempt, _client) = sitting().await;
    let rows = |first: u32, last: u32, detector: &str| {
        format!(
            "WITH RECURSIVE n(i) AS (SELECT {first} UNION ALL SELECT i + 1 FROM n WHERE i < {last}) \
             INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, \
             ended_ms, detector) \
             SELECT '0190163d-8694-739b-aea5-' || substr(CAST(1000000000000 + i AS TEXT), 2), \
             institution_id, attempts.id, 'whisper', 0.3, saved_ms, saved_ms, '{detector}' \
             FROM attempts, n"
        )
    };
    execute(&world, rows(1, 1_500, "server/1").leak()).await;
    agent_sees(&world, attempt, IncidentKind::ForeignWindow).await;
    let found = incidents(&world, IncidentKind::ForeignWindow).await;
    assert_eq!(found.len(), 1, "the server's rows took the machine's room");
    execute(&world, rows(2_001, 3_100, "whisper/1").leak()).await;
    agent_sees(&world, attempt, IncidentKind::WindowSwitch).await;
    agent_sees(&world, attempt, IncidentKind::CameraFrozen).await;
    assert_eq!(incidents(&world, IncidentKind::WindowSwitch).await, []);
    let told = incidents(&world, IncidentKind::NotWatched).await;
    assert_eq!(told.len(), 1, "the notice came once: {told:?}");
}

#[tokio::test]
async fn messages_of_one_attempt_have_a_bound_that_is_told() {
    let (world, attempt, client) = sitting().await;
    execute(
        &world,
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 299) \
         INSERT INTO messages (id, institution_id, attempt_id, sender, at_ms, sealed) \
         SELECT '0190163d-8694-739b-aea5-' || substr(CAST(1000000000000 + i AS TEXT), 2), \
         institution_id, attempts.id, 'candidate', 0, CAST('' AS BLOB) FROM attempts, n",
    )
    .await;
    let message = json!({ "text": "help" });
    assert_eq!(client.post(attempt, "messages", &message).await.0, 204);
    assert_eq!(client.post(attempt, "messages", &message).await.0, 429);
    assert_eq!(client.post(attempt, "messages", &message).await.0, 429);
    let told = incidents(&world, IncidentKind::NotWatched).await;
    assert_eq!(told, [("server/1".to_owned(), None, 2)]);
}

#[tokio::test]
async fn an_epoch_has_few_agents_keys_and_the_one_too_many_is_told_to_wait() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let device = Device::new();
    let _client = world.at_the_gate(&device, "a", attempt).await;
    world.agent(attempt, &device).await;
    let registry = &world.state.registry;
    let (_phase, epoch) = registry.standing(attempt).await.expect("known");
    let (boot, token) = (device.boot, Sha256([7; 32]));
    let grant = AgentGrant {
        token,
        attempt,
        epoch,
        boot,
    };
    let grant = crypto::sign(&device.keys, &Ring, world.state.institution(), &grant);
    let grant = grant.expect("writable");
    let enrol = async |key: u8| {
        let agent = AgentKey {
            key: PublicKey([key; 32]),
            grant: (&grant, token),
            boot,
            version: "test",
            simulated_build: true,
        };
        registry.enrol_agent(attempt, epoch, &agent).await
    };
    for key in 0..16 {
        enrol(key).await.expect("certified");
    }
    for key in 16..40 {
        let problem = enrol(key).await.expect_err("one too many").problem();
        assert_eq!(
            (problem.code, problem.retry_after_s),
            (ProblemCode::TooMany, Some(60))
        );
    }
    enrol(3).await.expect("known");
    let keys: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM agent_certificates")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert_eq!(keys, 16);
    let told = incidents(&world, IncidentKind::AgentRestarted).await;
    assert_eq!(told, [("server/1".to_owned(), None, 24)]);
    checked_in_long_ago(&world).await;
    enrol(50).await.expect("a quarter of an hour later");
}

#[tokio::test]
async fn a_phase_that_cannot_be_stored_does_not_hold_and_is_not_lost() {
    let (world, attempt, _client) = sitting().await;
    let registry = &world.state.registry;
    let by = PersonId::new(world.state.clock.wall(), [1; 10]);
    let end = ControlAction::Terminate(TerminationCause::Proctor);
    let mut commands = registry.subscribe(attempt).await.expect("known");
    execute(&world, "ALTER TABLE phase_changes RENAME TO elsewhere").await;
    registry
        .control(attempt, end, by, "test")
        .await
        .expect_err("the database fails");
    let (phase, _) = registry.standing(attempt).await.expect("known");
    assert!(phase.records(), "{phase:?}");
    execute(&world, "ALTER TABLE elsewhere RENAME TO phase_changes").await;
    registry
        .control(attempt, end, by, "test")
        .await
        .expect("stored");
    let (phase, _) = registry.standing(attempt).await.expect("known");
    assert!(matches!(phase, AttemptPhase::Terminated { .. }));
    let ended: (i64, i64) = qorgan_store::query_as(
        "SELECT (SELECT COUNT(*) FROM phase_changes WHERE phase LIKE '%terminated%'), \
         COUNT(ended_ms) FROM attempts",
    )
    .fetch_one(world.state.store.read())
    .await
    .expect("read");
    assert_eq!(ended, (1, 1));
    let mut ends = 0;
    while let Ok(command) = commands.try_recv() {
        ends += i32::from(matches!(command, AgentCommand::End { .. }));
    }
    assert_eq!(ends, 1);
}
