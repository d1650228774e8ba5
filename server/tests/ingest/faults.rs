//! Disks that fail, agents that go on while they are sealed, commands that are lost.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use qorgan_protocol::codec::encode;
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::{AttemptId, Epoch};
use qorgan_protocol::incident::Observation;
use qorgan_protocol::link::RefusalReason;
use qorgan_recordings::RecordingError;
use qorgan_server::evidence::{ScoredInputs, export, seal};
use qorgan_server::registry::AgentCommand;

use super::common::faulty::{Fails, Faulty};
use super::common::{Agent, Server, connector};
use super::{check, heard, ranges_are_exact, record, terminate};

/// `EMFILE`, `ENOSPC` and `EIO` of Linux.
const FILES_USED_UP: i32 = 24;
const DISK_FULL: i32 = 28;
const DISK_BROKEN: i32 = 5;

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_disk_answers_nothing_is_lost_once_it_answers_well_again() {
    let data = tempfile::tempdir().expect("a folder");
    let files = Arc::new(Faulty::default());
    let server = Server::start_on(&data.path().join("data"), files.clone()).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    let faults = [
        (Fails::Open, FILES_USED_UP),
        (Fails::Append, DISK_FULL),
        (Fails::HalfAppend, DISK_FULL),
        (Fails::Append, DISK_BROKEN),
        (Fails::Sync, DISK_BROKEN),
        (Fails::HalfAppend, DISK_BROKEN),
    ];
    for (turn, fault) in (0..).zip(faults) {
        files.set(Some(fault));
        record(&mut agent, turn * 4..turn * 4 + 4);
        for _ in 0..100 {
            agent.run(Duration::from_millis(50)).await;
            if files.met.load(Ordering::Relaxed) > 0 {
                break;
            }
        }
        assert!(
            files.met.swap(0, Ordering::Relaxed) > 0,
            "{fault:?} was met"
        );
        agent.run(Duration::from_millis(300)).await;
        assert!(
            agent.sender.waiting() > 0,
            "{fault:?}: nothing is receipted"
        );
        files.set(None);
        agent.settle().await;
        ranges_are_exact(&server, &agent, attempt).await;
    }
    let opened = files.opened.load(Ordering::Relaxed);
    assert!(opened < 40, "files stay open: {opened} were opened");
    sealed_is_valid(&server, &mut agent, attempt, &data.path().join("out")).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_nearly_full_leaves_recordings_with_their_agents() {
    let data = tempfile::tempdir().expect("a folder");
    let files = Arc::new(Faulty::default());
    let server = Server::start_on(&data.path().join("data"), files.clone()).await;
    let provision = server.attempts(1).await.remove(0);
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..4);
    agent.settle().await;
    files.full.store(true, Ordering::Relaxed);
    agent.run(Duration::from_millis(1_100)).await;
    record(&mut agent, 4..8);
    agent.run(Duration::from_millis(1_500)).await;
    assert!(agent.sender.waiting() > 0);
    // What the gate and the database write goes on.
    terminate(&server, provision.attempt).await;
    let refused = seal(&server.state, provision.attempt).await;
    refused.expect_err("sealing leaves the reserve too");
    files.full.store(false, Ordering::Relaxed);
    agent.settle().await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_appended_while_an_attempt_is_sealed_whatever_its_agent_does() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..40);
    agent.settle().await;
    terminate(&server, attempt).await;
    let recordings = &server.state.recordings;
    recordings.close(attempt).await.expect("closed");
    let refused = recordings.link(attempt, Epoch::FIRST).await;
    assert!(matches!(refused, Err(RecordingError::Closed)));
    recordings.reopen(attempt);

    let state = server.state.clone();
    let sealing = tokio::spawn(async move { seal(&state, attempt).await });
    let mut half = 40;
    while !sealing.is_finished() {
        record(&mut agent, half..half + 2);
        agent.run(Duration::from_millis(10)).await;
        agent.cut();
        half += 2;
    }
    sealing.await.expect("no panic").expect("sealed");
    let out = data.path().join("out");
    export(&server.state, attempt, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    let report = check(&server, &out);
    assert_eq!(report.faults, []);
    assert!(report.is_valid());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn incidents_come_from_what_is_stored_once_each_whenever_the_server_fails() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let told = vec![Observation {
        stream: None,
        scored_input: Vec::new(),
        ..heard().1
    }];
    let told: Arc<[u8]> = encode("observations", &told).expect("plain data").into();
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..2);
    agent.settle().await;
    change(&server, "ALTER TABLE incidents RENAME TO elsewhere").await;
    agent.chunk("events-0", 0, true, &told);
    agent.beat();
    agent.run(Duration::from_millis(1_000)).await;
    assert!(
        agent.sender.waiting() > 0,
        "receipted without its incidents"
    );
    change(&server, "ALTER TABLE elsewhere RENAME TO incidents").await;
    for _ in 0..3 {
        agent.settle().await;
        let kept: i64 = qorgan_store::query_scalar(
            "SELECT CAST(SUM(observations) AS BIGINT) FROM incidents WHERE kind = 'another_voice'",
        )
        .fetch_one(server.state.store.read())
        .await
        .expect("read");
        assert_eq!(kept, 1);
        agent.cut();
    }
    server.stop().await;
}

#[tokio::test]
async fn a_link_that_lost_commands_ends_and_is_made_anew() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..2);
    agent.settle().await;
    let stream = StreamId::EVENTS;
    let seen = server.state.registry.subscribe(provision.attempt).await;
    let mut seen = seen.expect("known");
    for _ in 0..500 {
        let command = AgentCommand::KeyFrame { stream };
        let sent = server.state.registry.command(provision.attempt, command);
        sent.await.expect("known");
    }
    assert!(seen.try_recv().is_err(), "this reader lags too");
    agent.run(Duration::from_millis(500)).await;
    assert_eq!(agent.refused, Some(RefusalReason::ShuttingDown));
    record(&mut agent, 2..4);
    agent.settle().await;
    server.stop().await;
}

async fn change(server: &Server, sql: &'static str) {
    let mut tx = server.state.store.begin().await.expect("a transaction");
    qorgan_store::query(sql)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("committed");
}

async fn sealed_is_valid(server: &Server, agent: &mut Agent, attempt: AttemptId, out: &Path) {
    agent.finish();
    agent.run(Duration::from_millis(500)).await;
    terminate(server, attempt).await;
    seal(&server.state, attempt).await.expect("sealed");
    export(&server.state, attempt, ScoredInputs::Sealed, out)
        .await
        .expect("exported");
    let report = check(server, out);
    assert_eq!(report.faults, []);
    assert!(report.is_valid());
}
