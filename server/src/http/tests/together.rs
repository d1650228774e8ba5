//! What belongs together is stored together, or not at all; memory holds what the database holds.

use std::time::Duration;

use qorgan_protocol::attempt::{AttemptPhase, GatePolicy, Grace};
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::time::Now;
use serde_json::json;

use super::broken::{broken, mended};
use super::harness::{Device, Journal, World, entries, item_id, number, quick};
use crate::registry::{ControlAction, IdentityDecision};

async fn standing(world: &World, attempt: AttemptId) -> (AttemptPhase, Epoch) {
    let standing = world.state.registry.standing(attempt).await;
    standing.expect("known")
}

#[tokio::test]
async fn a_move_that_cannot_be_stored_whole_moves_nothing_and_one_that_can_is_logged() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (first, second) = (Device::new(), Device::new());
    let (old, agent) = world.running(&first, "a", attempt).await;
    let new = world.sign_in(&second, "a").await;
    assert_eq!(new.try_check_in(attempt).await.0, 409);
    let registry = &world.state.registry;
    let request = registry.moves(attempt).await.expect("readable")[0].id;

    for when in [
        "BEFORE INSERT ON phase_changes",
        "BEFORE INSERT ON identity_decisions",
        "BEFORE INSERT ON audit_log WHEN NEW.action = 'move_approved'",
    ] {
        agent.alive(&world).await;
        broken(&world, when).await;
        let failed = registry.approve_move(attempt, request, true, proctor).await;
        failed.expect_err(when);
        let (phase, epoch) = standing(&world, attempt).await;
        assert!(
            phase.shows_items() && epoch == Epoch(1),
            "{phase:?} {epoch}"
        );
        let bound = "SELECT epoch FROM attempts WHERE phase_word = 'running'";
        assert_eq!(number(&world, bound).await, 1, "{when}");
        assert_eq!(registry.moves(attempt).await.expect("readable").len(), 1);
        mended(&world).await;
        agent.alive(&world).await;
        assert_eq!(old.get(attempt, "items/1").await.0, 200, "{when}");
    }

    let moved = registry.approve_move(attempt, request, true, proctor).await;
    moved.expect("it waits");
    assert_eq!(standing(&world, attempt).await.1, Epoch(2));
    let told = "SELECT COUNT(*) FROM audit_log WHERE action = 'move_approved' AND actor = \
        (SELECT id FROM people WHERE login = 'proctor') AND subject IN (SELECT id FROM attempts)";
    assert_eq!(number(&world, told).await, 1);
    let again = registry.approve_move(attempt, request, true, proctor).await;
    again.expect_err("it is decided");
}

#[tokio::test]
async fn a_move_that_is_refused_is_logged() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    world.running(&Device::new(), "a", attempt).await;
    let new = world.sign_in(&Device::new(), "a").await;
    assert_eq!(new.try_check_in(attempt).await.0, 409);
    let registry = &world.state.registry;
    let request = registry.moves(attempt).await.expect("readable")[0].id;

    let refused = registry.approve_move(attempt, request, false, proctor);
    refused.await.expect("it waits");

    let told = "SELECT COUNT(*) FROM audit_log WHERE action = 'move_refused'";
    assert_eq!(number(&world, told).await, 1);
}

#[tokio::test]
async fn a_submission_without_its_receipt_submits_nothing_and_a_receipt_is_made_once() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let submit = json!({ "epoch": 1, "entries": 0 });

    broken(
        &world,
        "BEFORE INSERT ON response_receipts WHEN NEW.submitted = 1",
    )
    .await;
    assert_eq!(client.post(attempt, "submit", &submit).await.0, 503);
    let (phase, _epoch) = standing(&world, attempt).await;
    assert!(phase.shows_items(), "{phase:?}");
    let stored = "SELECT COUNT(*) FROM attempts WHERE phase_word = 'running' AND late = 0";
    assert_eq!(number(&world, stored).await, 1);
    mended(&world).await;

    let (status, first) = client.post(attempt, "submit", &submit).await;
    assert_eq!(status, 200, "{first}");
    let (_status, again) = client.post(attempt, "submit", &submit).await;
    assert_eq!(first, again, "the same receipt");
}

#[tokio::test]
async fn responses_are_stored_with_their_late_incident_or_not_at_all() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let mut journal = Journal::new(attempt, Epoch(1));
    let late = entries(Epoch(1), &[&journal.add(item_id(1), "A", -2_500)]);

    broken(&world, "BEFORE INSERT ON incidents").await;
    assert_eq!(client.post(attempt, "responses", &late).await.0, 503);
    assert_eq!(number(&world, "SELECT COUNT(*) FROM responses").await, 0);
    mended(&world).await;

    assert_eq!(client.post(attempt, "responses", &late).await.0, 200);
    let told = "SELECT COUNT(*) FROM incidents WHERE kind = 'late_responses'";
    assert_eq!(number(&world, told).await, 1);
}

#[tokio::test]
async fn what_the_kiosk_tells_is_kept_with_its_incidents_or_not_at_all() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.at_the_gate(&Device::new(), "a", attempt).await;
    let event = json!({ "kind": "window_switch", "ago_ms": 0, "at": Now::default(), "detail": "" });
    let events = json!({ "events": [event] });

    broken(&world, "BEFORE INSERT ON incidents").await;
    assert_eq!(client.post(attempt, "events", &events).await.0, 503);
    mended(&world).await;
    assert_eq!(client.post(attempt, "events", &events).await.0, 204);

    let kept = "SELECT COUNT(*) FROM client_events";
    assert_eq!(number(&world, kept).await, 1, "sent twice, kept once");
}

#[tokio::test]
async fn extra_time_is_given_with_the_word_of_it_or_not_at_all() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    world.running(&Device::new(), "a", attempt).await;
    let registry = &world.state.registry;
    let give = || {
        let more = ControlAction::ExtraTime { minutes: 10 };
        registry.control(attempt, more, proctor, "a power cut")
    };

    broken(&world, "BEFORE INSERT ON messages").await;
    give().await.expect_err("nobody would be told");
    mended(&world).await;
    give().await.expect("stored");

    let given = "SELECT extra_ms FROM attempts";
    assert_eq!(number(&world, given).await, 600_000, "given once");
    let logged = "SELECT COUNT(*) FROM audit_log WHERE action = 'extra_time'";
    assert_eq!(number(&world, logged).await, 1);
}

#[tokio::test]
async fn a_decision_on_an_identity_is_stored_with_its_record_or_not_at_all() {
    let world = World::start().await;
    let proctor = world.person("proctor").await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let refuse = || {
        let refuse = IdentityDecision::Refuse;
        let registry = &world.state.registry;
        registry.decide_identity(attempt, refuse, proctor, "another person")
    };

    broken(&world, "BEFORE INSERT ON identity_decisions").await;
    refuse().await.expect_err("its record fails");
    mended(&world).await;
    assert_eq!(client.get(attempt, "items/1").await.0, 200);
    let logged = "SELECT COUNT(*) FROM audit_log WHERE action = 'identity_refused'";
    assert_eq!(number(&world, logged).await, 0);

    refuse().await.expect("stored");
    assert_eq!(client.get(attempt, "items/1").await.0, 409);
    assert_eq!(number(&world, logged).await, 1);
}

#[tokio::test]
async fn a_check_in_that_cannot_be_stored_whole_binds_no_machine() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let client = world.sign_in(&Device::new(), "a").await;

    broken(&world, "BEFORE UPDATE OF client_key ON epochs").await;
    assert_eq!(client.try_check_in(attempt).await.0, 503);
    let epochs = "SELECT COUNT(*) FROM epochs";
    assert_eq!(number(&world, epochs).await, 0);
    mended(&world).await;

    // Another machine is as good as the first one was.
    let other = world.sign_in(&Device::new(), "a").await;
    assert_eq!(other.check_in(attempt).await.epoch, Epoch(1));
}

#[tokio::test]
async fn an_address_is_kept_with_its_incident_or_not_at_all() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    world.running(&Device::new(), "a", attempt).await;
    let (_phase, epoch) = standing(&world, attempt).await;
    let hear = || {
        let address = std::net::IpAddr::from([10, 9, 9, 9]);
        let registry = &world.state.registry;
        registry.hear_agent(attempt, epoch, address)
    };

    broken(&world, "BEFORE INSERT ON incidents").await;
    hear().await.expect_err("its incident fails");
    mended(&world).await;
    hear().await.expect("stored");

    let told = "SELECT COUNT(*) FROM incidents WHERE kind = 'address_changed'";
    assert_eq!(number(&world, told).await, 1, "it is told all the same");
}

#[tokio::test]
async fn an_attempt_that_cannot_be_written_keeps_no_other_from_being_saved() {
    let world = World::start().await;
    let one = world.candidate("a", patient()).await;
    let other = world.candidate("b", patient()).await;
    world.running(&Device::new(), "a", one).await;
    world.running(&Device::new(), "b", other).await;
    let when = format!("BEFORE UPDATE OF spent_ms ON attempts WHEN NEW.id = '{one}'");

    broken(&world, &when).await;
    world.state.clock.skip(Duration::from_secs(100));
    let paused = "SELECT COUNT(*) FROM attempts WHERE phase_word = 'paused'";
    ticked_until(&world, paused, 1).await;
    assert!(
        standing(&world, one).await.0.shows_items(),
        "memory holds what is stored"
    );
    mended(&world).await;
    ticked_until(&world, paused, 2).await;
}

/// Covers after a minute, so that a slow machine covers nothing before the test does.
fn patient() -> GatePolicy {
    GatePolicy {
        grace: Grace {
            agent_ms: 60_000,
            network_ms: 60_000,
        },
        ..quick()
    }
}

/// Ticks until a number is reached.
async fn ticked_until(world: &World, sql: &'static str, wanted: i64) {
    let reached = async {
        loop {
            world.state.registry.tick_all().await;
            if number(world, sql).await == wanted {
                return;
            }
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
    reached.unwrap_or_else(|_late| panic!("{sql} is not {wanted}"));
}

#[tokio::test]
async fn a_change_that_was_begun_is_done_though_whoever_asked_has_gone() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let (client, _agent) = world.running(&Device::new(), "a", attempt).await;
    let submit = json!({ "epoch": 1, "entries": 0 });
    let writing = world.state.store.begin().await.expect("a writer");
    let asked = client.post(attempt, "submit", &submit);
    let waits = tokio::time::timeout(Duration::from_millis(500), asked).await;
    assert!(waits.is_err(), "the writer is taken");
    // The connection is closed with the request.
    drop(writing);

    let stored = "SELECT COUNT(*) FROM attempts WHERE phase_word = 'submitted'";
    ticked_until(&world, stored, 1).await;
    let (phase, _epoch) = standing(&world, attempt).await;
    assert!(
        matches!(phase, AttemptPhase::Submitted { .. }),
        "memory holds what is stored: {phase:?}"
    );
}
