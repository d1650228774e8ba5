//! A review is finished once, over what was seen; what comes later opens it again.

use qorgan_protocol::attempt::{GatePolicy, TerminationCause};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_protocol::incident::{IncidentKind, Sensitivity};
use qorgan_server_core::review::{ReviewRefused, ReviewVerdict};

use super::broken::{broken, mended};
use super::harness::{Device, World};
use super::late::{asked, assign_proctor};
use crate::console::{ReviewError, finish_review};
use crate::registry::{ControlAction, RegistryError};

type Review = (String, Option<i64>, Option<String>);

/// An attempt that was terminated without an incident, and whoever reviews it.
async fn over(world: &World, policy: GatePolicy) -> (AttemptId, PersonId) {
    let attempt = world.candidate("a", policy).await;
    let proctor = world.person("proctor").await;
    world.at_the_gate(&Device::new(), "a", attempt).await;
    end(world, attempt, proctor).await;
    (attempt, proctor)
}

async fn end(world: &World, attempt: AttemptId, by: PersonId) {
    let end = ControlAction::Terminate(TerminationCause::Proctor);
    let ended = world.state.registry.control(attempt, end, by, "test");
    ended.await.expect("it was under way");
}

async fn finish(world: &World, attempt: AttemptId, by: PersonId) -> Result<(), ReviewError> {
    finish_review(&world.state, (attempt, by), ReviewVerdict::Passed, 0).await
}

/// The server learns of something after the end.
async fn seen_late(
    world: &World,
    attempt: AttemptId,
    kind: IncidentKind,
) -> Result<(), RegistryError> {
    let registry = &world.state.registry;
    let (_phase, epoch) = registry.standing(attempt).await.expect("known");
    registry.noted(attempt, epoch, kind, "a flipped bit").await
}

async fn review(world: &World) -> Review {
    qorgan_store::query_as("SELECT verdict, finished_ms, reopened_from FROM reviews")
        .fetch_one(world.state.store.read())
        .await
        .expect("one")
}

async fn reopened(world: &World) -> Vec<(String, String)> {
    qorgan_store::query_as("SELECT actor, detail FROM audit_log WHERE action = 'review_reopened'")
        .fetch_all(world.state.store.read())
        .await
        .expect("readable")
}

#[tokio::test]
async fn an_incident_that_comes_after_the_verdict_opens_the_review_again_and_people_are_told() {
    let world = World::start().await;
    let (attempt, proctor) = over(&world, GatePolicy::remote()).await;
    finish(&world, attempt, proctor)
        .await
        .expect("nothing seen");
    assert_eq!(review(&world).await.0, "passed");

    let seen = seen_late(&world, attempt, IncidentKind::Tampering).await;
    seen.expect("stored");

    let before = Some("passed".to_owned());
    assert_eq!(
        review(&world).await,
        ("not_reviewed".to_owned(), None, before)
    );
    let logged = reopened(&world).await;
    assert_eq!(logged.len(), 1);
    assert_eq!(logged[0].0, "server");
    assert!(logged[0].1.starts_with("passed: tampering "), "{logged:?}");
    let again = finish(&world, attempt, proctor).await;
    assert!(
        matches!(again, Err(ReviewError::Refused(ReviewRefused::Unjudged(1)))),
        "{again:?}"
    );

    let (token, _csrf) = super::staff::proctor(&world).await;
    assign_proctor(&world, attempt).await;
    let page = format!("/console/attempts/{attempt}/review");
    let (status, text) = asked(&world, &token, &page, None).await;
    assert!(status == 200 && text.contains("data-reopened"), "{text}");
    let (status, text) = asked(&world, &token, "/console/reviews", None).await;
    assert!(status == 200 && text.contains("қайта ашылды"), "{text}");
}

#[tokio::test]
async fn an_incident_that_cannot_open_the_review_is_not_stored_either() {
    let world = World::start().await;
    let (attempt, proctor) = over(&world, GatePolicy::remote()).await;
    finish(&world, attempt, proctor)
        .await
        .expect("nothing seen");
    let when = "BEFORE INSERT ON audit_log WHEN NEW.action = 'review_reopened'";
    broken(&world, when).await;

    let seen = seen_late(&world, attempt, IncidentKind::Tampering).await;
    seen.expect_err("the log fails");
    assert_eq!(review(&world).await.0, "passed");
    let stored: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM incidents")
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
    assert_eq!(stored, 0);

    mended(&world).await;
    let seen = seen_late(&world, attempt, IncidentKind::Tampering).await;
    seen.expect("stored");
    assert_eq!(review(&world).await.0, "not_reviewed");
}

#[tokio::test]
async fn what_does_not_count_opens_no_review() {
    let world = World::start().await;
    let mut policy = GatePolicy::remote();
    let kind = IncidentKind::WindowSwitch;
    assert!(policy.watch.set(kind, Sensitivity::Off));
    let (attempt, proctor) = over(&world, policy).await;
    finish(&world, attempt, proctor)
        .await
        .expect("nothing seen");

    seen_late(&world, attempt, kind)
        .await
        .expect("kept as seen");

    assert_eq!(review(&world).await.0, "passed");
    assert_eq!(reopened(&world).await, []);
}

#[tokio::test]
async fn the_review_of_an_attempt_that_goes_on_is_not_finished() {
    let world = World::start().await;
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let proctor = world.person("proctor").await;
    world.at_the_gate(&Device::new(), "a", attempt).await;

    let early = finish(&world, attempt, proctor).await;
    assert!(
        matches!(early, Err(ReviewError::Refused(ReviewRefused::NotOver))),
        "{early:?}"
    );
    end(&world, attempt, proctor).await;
    finish(&world, attempt, proctor).await.expect("it is over");
}
