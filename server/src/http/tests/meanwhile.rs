//! What somebody else changes between a check and its write is seen by the write.

use std::future::Future;
use std::time::Duration;

use qorgan_protocol::attempt::{GatePolicy, TerminationCause};
use qorgan_protocol::ids::{AttemptId, ExamId, IncidentId, PersonId, TestId};
use qorgan_server_core::review::{IncidentVerdict, Judgement, ReviewRefused, ReviewVerdict};

use super::harness::{Device, World, test};
use crate::console::{
    CheckedTest, ImportError, ReviewError, apply_people, apply_test, finish_review, judge_incident,
    read_people_list,
};
use crate::registry::ControlAction;
use qorgan_store::{content, id};

/// Runs `work` while somebody else has the writer, until it waits; then they change the database.
async fn while_changed<T>(
    world: &World,
    changes: &[&'static str],
    work: impl Future<Output = T>,
) -> T {
    let mut theirs = world.state.store.begin().await.expect("a writer");
    tokio::pin!(work);
    let waits = tokio::time::timeout(Duration::from_millis(500), &mut work).await;
    assert!(waits.is_err(), "the writer is taken");
    for sql in changes {
        let done = qorgan_store::query(*sql).execute(&mut *theirs).await;
        assert!(done.expect("changed").rows_affected() > 0, "{sql}");
    }
    theirs.commit().await.expect("changed");
    work.await
}

/// An attempt that is over, with one incident.
async fn flagged(world: &World) -> (AttemptId, PersonId, IncidentId) {
    let attempt = world.candidate("a", GatePolicy::remote()).await;
    let proctor = world.person("proctor").await;
    world.at_the_gate(&Device::new(), "a", attempt).await;
    let end = ControlAction::Terminate(TerminationCause::Proctor);
    for action in [ControlAction::Flag, end] {
        let registry = &world.state.registry;
        let done = registry.control(attempt, action, proctor, "a phone");
        done.await.expect("flagged and ended");
    }
    let incident: String =
        qorgan_store::query_scalar("SELECT id FROM incidents WHERE kind = 'proctor_flag'")
            .fetch_one(world.state.store.read())
            .await
            .expect("one");
    (attempt, proctor, id(&incident).expect("an identifier"))
}

fn judged(world: &World, by: PersonId, verdict: IncidentVerdict) -> Judgement {
    Judgement {
        verdict,
        by,
        at: world.state.clock.wall(),
        note: String::new(),
    }
}

async fn verdict(world: &World) -> Option<String> {
    qorgan_store::query_scalar("SELECT verdict FROM reviews")
        .fetch_optional(world.state.store.read())
        .await
        .expect("readable")
}

#[tokio::test]
async fn a_review_is_not_passed_over_an_incident_that_is_raised_while_it_is_finished() {
    let world = World::start().await;
    let (attempt, proctor, incident) = flagged(&world).await;
    let judgement = judged(&world, proctor, IncidentVerdict::Dismissed);
    let done = judge_incident(&world.state, (attempt, incident), judgement).await;
    done.expect("judged");

    let finish = finish_review(&world.state, (attempt, proctor), ReviewVerdict::Passed, 0);
    let raised = "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms) \
        SELECT '01900000-0000-7000-8000-000000000001', institution_id, attempt_id, kind, severity, \
        began_ms FROM incidents LIMIT 1";
    let finished = while_changed(&world, &[raised], finish).await;

    assert_eq!(refusal(finished), ReviewRefused::Unjudged(1));
    assert_eq!(verdict(&world).await, None);
}

#[tokio::test]
async fn a_violation_rests_on_an_incident_that_is_still_confirmed_when_it_is_written() {
    let world = World::start().await;
    let (attempt, proctor, incident) = flagged(&world).await;
    let judgement = judged(&world, proctor, IncidentVerdict::Confirmed);
    let done = judge_incident(&world.state, (attempt, incident), judgement).await;
    done.expect("judged");

    let finish = finish_review(
        &world.state,
        (attempt, proctor),
        ReviewVerdict::Violation,
        0,
    );
    let other_proctor = "UPDATE incidents SET verdict = 'dismissed' WHERE kind = 'proctor_flag'";
    let finished = while_changed(&world, &[other_proctor], finish).await;

    assert_eq!(refusal(finished), ReviewRefused::NothingConfirmed);
    assert_eq!(verdict(&world).await, None);
}

#[tokio::test]
async fn a_judgement_of_an_incident_that_counts_no_more_is_refused() {
    let world = World::start().await;
    let (attempt, proctor, incident) = flagged(&world).await;

    let judgement = judged(&world, proctor, IncidentVerdict::Confirmed);
    let judge = judge_incident(&world.state, (attempt, incident), judgement);
    let withdrawn = "UPDATE incidents SET counts = 0 WHERE kind = 'proctor_flag'";
    let done = while_changed(&world, &[withdrawn], judge).await;

    assert_eq!(refusal(done), ReviewRefused::ForeignIncident(incident));
}

fn refusal<T: core::fmt::Debug>(done: Result<T, ReviewError>) -> ReviewRefused {
    let Err(ReviewError::Refused(refused)) = done else {
        panic!("{done:?}")
    };
    refused
}

async fn the_exam(world: &World) -> ExamId {
    world.candidate("a", GatePolicy::remote()).await;
    let exam: String = qorgan_store::query_scalar("SELECT id FROM exams")
        .fetch_one(world.state.store.read())
        .await
        .expect("one");
    id(&exam).expect("an identifier")
}

async fn in_force(world: &World, exam: ExamId) -> Option<TestId> {
    let found = content::test_in_force(world.state.store.read(), exam, "kk");
    found.await.expect("readable")
}

#[tokio::test]
async fn a_test_that_was_checked_against_an_older_one_replaces_no_newer_one() {
    let world = World::start().await;
    let exam = the_exam(&world).await;
    let at = world.state.clock.wall();
    let checked = async || {
        let checked = CheckedTest::new(&world.state, exam, test(at)).await;
        checked.expect("readable")
    };
    let (first, second) = (checked().await, checked().await);
    let before = in_force(&world, exam).await;

    let applied = apply_test(&world.state, first, "one").await;
    let newer = in_force(&world, exam).await;
    let refused = apply_test(&world.state, second, "other").await;

    applied.expect("applied");
    assert!(matches!(refused, Err(ImportError::Outdated)), "{refused:?}");
    assert_ne!(newer, before);
    assert_eq!(in_force(&world, exam).await, newer);
    let tests: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM tests")
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
    assert_eq!(tests, 2, "the refused one left nothing");
    apply_test(&world.state, checked().await, "other")
        .await
        .expect("checked again, it is applied");
}

#[tokio::test]
async fn a_test_is_sealed_while_somebody_else_writes() {
    let world = World::start().await;
    let exam = the_exam(&world).await;
    let writing = world.state.store.begin().await.expect("a writer");
    let (store, keys) = (&world.state.store, &world.state.keys);

    let test = test(world.state.clock.wall());
    let sealing = content::seal_test(store, keys, exam, test);
    let sealed = tokio::time::timeout(Duration::from_secs(10), sealing).await;

    sealed.expect("nobody is waited for").expect("sealed");
    drop(writing);
}

#[tokio::test]
async fn a_list_of_people_keeps_what_others_changed_while_it_was_hashed() {
    let world = World::start().await;
    let list = "login;тегі;аты;email\nb;Әлі;Дос;old@b.kz\n";
    let read = read_people_list(&world.state, "p.csv", list.as_bytes()).await;
    let rows = read.expect("readable").expect("no fault").rows;
    let done = apply_people(&world.state, &rows, "one", &|_, _| {}).await;
    assert_eq!(done.expect("applied").codes.len(), 1);
    // The code is over, so the next list hands out another.
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE credentials SET code_until_ms = 1")
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("changed");

    let list = "login;топ\nb;ЖМ-2\n";
    let read = read_people_list(&world.state, "p.csv", list.as_bytes()).await;
    let rows = read.expect("readable").expect("no fault").rows;
    let apply = apply_people(&world.state, &rows, "other", &|_, _| {});
    let changes = [
        "UPDATE people SET email = 'new@b.kz' WHERE login = 'b'",
        "UPDATE credentials SET password_hash = 'their own', code_until_ms = NULL \
         WHERE person_id = (SELECT id FROM people WHERE login = 'b')",
    ];
    let report = while_changed(&world, &changes, apply)
        .await
        .expect("applied");

    assert_eq!((report.imported, report.codes.len()), (1, 0));
    let sql = "SELECT p.email, d.group_name, c.password_hash FROM people p \
        JOIN person_details d ON d.person_id = p.id JOIN credentials c ON c.person_id = p.id \
        WHERE p.login = 'b'";
    let kept: (String, String, String) = qorgan_store::query_as(sql)
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
    let wanted = ["new@b.kz", "ЖМ-2", "their own"].map(str::to_owned);
    assert_eq!([kept.0, kept.1, kept.2], wanted);
}
