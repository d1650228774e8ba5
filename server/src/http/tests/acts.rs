//! An act rests on a review that holds, and holds nobody up.

use std::time::Duration;

use qorgan_protocol::attempt::{GatePolicy, TerminationCause};
use qorgan_protocol::ids::{AttemptId, PersonId};

use super::harness::{Device, World};
use crate::acts::{ActError, make, prepare, register_prepared};
use crate::console::Language;
use crate::evidence::seal;
use crate::registry::ControlAction;

async fn execute(world: &World, sql: &'static str) {
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query(sql)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");
}

/// A sealed attempt whose review ended with a violation, over one incident of any date.
async fn reviewed(world: &World) -> (AttemptId, PersonId) {
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let proctor = world.person("proctor").await;
    let device = Device::new();
    world.at_the_gate(&device, "a", attempt).await;
    let registry = &world.state.registry;
    let end = ControlAction::Terminate(TerminationCause::Proctor);
    for action in [ControlAction::Flag, end] {
        let done = registry.control(attempt, action, proctor, "a phone").await;
        done.expect("done");
    }
    seal(&world.state, attempt).await.expect("sealed");
    execute(
        world,
        "UPDATE incidents SET verdict = 'confirmed', verdict_by = (SELECT id FROM people LIMIT 1), \
         verdict_at_ms = 1700000000000, note = 'seen'",
    )
    .await;
    execute(
        world,
        "INSERT INTO reviews (attempt_id, institution_id, verdict, finished_ms) \
         SELECT id, institution_id, 'violation', 1700000000000 FROM attempts WHERE 1 = 1 \
         ON CONFLICT (attempt_id) DO UPDATE SET verdict = excluded.verdict, \
         finished_ms = excluded.finished_ms",
    )
    .await;
    (attempt, proctor)
}

#[tokio::test]
async fn an_act_against_a_review_that_was_taken_up_again_is_refused() {
    let world = World::start().await;
    let (attempt, proctor) = reviewed(&world).await;
    let language = Language::Kazakh;
    let set = prepare(&world.state, attempt, proctor, language).await;
    // The writer is free while a form is set, and whoever has it may take the review up again.
    execute(
        &world,
        "UPDATE reviews SET verdict = 'not_reviewed', finished_ms = NULL",
    )
    .await;
    let refused = register_prepared(&world.state, attempt, set.expect("set")).await;
    assert!(matches!(refused, Err(ActError::NoViolation)), "{refused:?}");
    let acts: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM acts")
        .fetch_one(world.state.store.read())
        .await
        .expect("read");
    assert_eq!(acts, 0, "and no number is used up");
}

#[tokio::test]
async fn an_act_is_made_also_over_an_old_row_that_holds_a_date_of_no_year() {
    let world = World::start().await;
    let (attempt, proctor) = reviewed(&world).await;
    execute(
        &world,
        "UPDATE incidents SET began_ms = -9223372036854775808",
    )
    .await;
    let made = tokio::time::timeout(
        Duration::from_secs(120),
        make(&world.state, attempt, proctor, Language::Kazakh),
    );
    let made = made.await.expect("in time").expect("an act");
    assert_eq!(made.number.ordinal, 1);
}
