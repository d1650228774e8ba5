//! Recording from an agent's socket to a verified export, over real TLS.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(dead_code, reason = "the load bench uses the rest")]
mod common;
#[path = "ingest/faults.rs"]
mod faults;

use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use common::agent::connect;
use common::{Agent, Server, cmaf, connector};
use futures_util::{SinkExt as _, StreamExt as _};
use qorgan_detect::{PRINT_PIECES_MIN, VOICE_NUMBERS, VoiceEmbedding, VoicePrint};
use qorgan_protocol::attempt::TerminationCause;
use qorgan_protocol::codec::encode;
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::evidence::verify::{Report, Seal, verify};
use qorgan_protocol::ids::{AttemptId, Epoch, PersonId};
use qorgan_protocol::incident::{Edge, IncidentKind, Observation, Severity};
use qorgan_protocol::link::RefusalReason;
use qorgan_protocol::time::{Now, WallTime};
use qorgan_server::evidence::{Again, FolderSource, ScoredInputs, export, replay, seal};
use qorgan_server::registry::ControlAction;
use qorgan_server::retention;
use qorgan_signing::{InputKey, Ring};
use tokio_tungstenite::tungstenite::Message;

//= tests/data/sop-2-28.md#13-recording
//= type=test
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_recording_is_sealed_exported_and_verified() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..6);
    agent.settle().await;
    agent.cut();
    record(&mut agent, 6..12);
    agent.settle().await;

    let unsealed = data.path().join("unsealed");
    export(&server.state, attempt, ScoredInputs::Sealed, &unsealed)
        .await
        .expect("exported");
    let report = check(&server, &unsealed);
    assert_eq!(report.faults, []);
    assert!(!report.is_valid() && matches!(report.seal, Seal::Unsealed { .. }));
    ranges_are_exact(&server, &agent, attempt).await;

    agent.finish();
    agent.run(Duration::from_millis(500)).await;
    assert!(agent.finished);
    terminate(&server, attempt).await;
    seal(&server.state, attempt).await.expect("sealed");
    ranges_are_exact(&server, &agent, attempt).await;

    let out = data.path().join("export");
    export(&server.state, attempt, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    for (stream, made) in &agent.made {
        let file = std::fs::read(out.join(format!("{stream}.e1.mp4"))).expect("exported");
        assert_eq!(&file, made);
    }
    let report = check(&server, &out);
    assert_eq!(report.faults, []);
    assert!(report.is_valid());
    let path = out.join("camera-0.e1.mp4");
    let mut bytes = std::fs::read(&path).expect("exported");
    bytes[2_000] ^= 1;
    std::fs::write(&path, bytes).expect("writable");
    assert_eq!(check(&server, &out).faults[0].file, "camera-0.e1.mp4");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_torn_tail_is_cut_off_and_what_was_receipted_stays() {
    let data = tempfile::tempdir().expect("a folder");
    let folder = data.path().join("data");
    let server = Server::start(&folder).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..4);
    agent.settle().await;
    server.stop().await;
    agent.cut();
    let open = folder.join(format!("recordings/open/{attempt}/e1"));
    for name in ["camera-0.seg", "beats.seg"] {
        let mut file = std::fs::OpenOptions::new()
            .append(true)
            .open(open.join(name))
            .expect("open");
        file.write_all(&[0, 0, 9, 9, 0, 120, 7, 7, 7])
            .expect("torn");
    }

    let server = Server::start(&folder).await;
    let mut agent = moved(agent, &server, &provision);
    record(&mut agent, 4..8);
    agent.settle().await;
    ranges_are_exact(&server, &agent, attempt).await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_chunk_ends_the_link_and_is_noted_as_tampering() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    agent.tampers = true;
    record(&mut agent, 0..1);
    agent.run(Duration::from_secs(2)).await;
    assert_eq!(agent.refused, Some(RefusalReason::BrokenChain));
    let kinds: Vec<String> =
        qorgan_store::query_scalar("SELECT kind FROM incidents WHERE attempt_id = $1")
            .bind(provision.attempt.to_string())
            .fetch_all(server.state.store.read())
            .await
            .expect("incidents");
    assert!(kinds.contains(&"tampering".to_owned()), "{kinds:?}");
    let (began, us, score, detector): (i64, i64, Option<f64>, String) = qorgan_store::query_as(
        "SELECT began_ms, began_us, score, detector FROM incidents WHERE kind = 'tampering'",
    )
    .fetch_one(server.state.store.read())
    .await
    .expect("one");
    let now = server.state.clock.wall().unix_ms();
    assert!(now.abs_diff(began) < 5_000, "it is dated now");
    assert!(us < 10_000_000);
    assert_eq!(
        (score, detector.as_str()),
        (None, "server/1"),
        "nothing was scored"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replayed_hello_another_agents_key_and_no_token_are_refused() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let mut provisions = server.attempts(2).await;
    let connector = connector(&server.place.ca);
    assert!(
        connect(&server.place, "no token", &connector)
            .await
            .is_none()
    );
    let (mut socket, _) = connect(&server.place, &provisions[0].token, &connector)
        .await
        .expect("a link");
    let old = old_hello(&server, &provisions[0]);
    socket
        .send(Message::Binary(old.into()))
        .await
        .expect("sent");
    let answer = socket.next().await.expect("an answer").expect("a frame");
    assert!(answer.into_data().first() == Some(&5), "refused");

    provisions[0].agent_pkcs8 = provisions[1].agent_pkcs8.clone();
    let mut agent = Agent::new(&server.place, &provisions[0], &connector);
    record(&mut agent, 0..1);
    agent.run(Duration::from_secs(2)).await;
    assert_eq!(agent.refused, Some(RefusalReason::NotProved));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destroyed_key_leaves_nothing_to_read_and_a_legal_hold_keeps_it() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..2);
    agent.settle().await;
    agent.cut();
    hold(&server, 1).await;
    terminate(&server, attempt).await;
    let by = PersonId::new(server.state.clock.wall(), [1; 10]);
    retention::ask(&server.state, attempt, (by, "test"))
        .await
        .expect_err("held");
    hold(&server, 0).await;
    delete(&server, attempt).await;
    server
        .state
        .recordings
        .key(attempt)
        .await
        .expect_err("no key");
    assert!(
        !data
            .path()
            .join(format!("data/recordings/open/{attempt}"))
            .exists()
    );
    server.stop().await;
}

async fn hold(server: &Server, hold: i64) {
    let mut tx = server.state.store.begin().await.expect("a transaction");
    qorgan_store::query("UPDATE attempts SET legal_hold = $1")
        .bind(hold)
        .execute(&mut *tx)
        .await
        .expect("held");
    tx.commit().await.expect("committed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_scored_stays_sealed_in_an_export_unless_its_key_is_asked_for() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let (print, mut seen) = heard();
    let key = server.state.recordings.key(attempt).await.expect("a key");
    InputKey::of_attempt(&key, attempt)
        .seal((attempt, Epoch::FIRST), &mut seen)
        .expect("random bytes");
    let told = vec![seen];
    let told = encode("observations", &told).expect("plain data").into();
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    record(&mut agent, 0..2);
    agent.chunk("events-0", 0, true, &told);
    agent.beat();
    agent.settle().await;

    // As long as the recording grows, and as it was sealed.
    for folder in ["growing", "sealed"] {
        let out = data.path().join(folder);
        export(&server.state, attempt, ScoredInputs::Sealed, &out)
            .await
            .expect("exported");
        assert_eq!(check(&server, &out).faults, []);
        assert!(!holds(&out, &print), "a voice lies in the clear");
        let [line] = replayed(&out).try_into().expect("one score");
        assert_eq!(line, Again::Sealed);
        let with_key = data.path().join(format!("{folder}-with-key"));
        export(&server.state, attempt, ScoredInputs::WithKey, &with_key)
            .await
            .expect("exported");
        key_opens_the_same_score(&server, &with_key);
        if folder == "growing" {
            agent.finish();
            agent.run(Duration::from_millis(500)).await;
            terminate(&server, attempt).await;
            seal(&server.state, attempt).await.expect("sealed");
        }
    }
    let noted: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM audit_log WHERE action = 'input_key_exported' AND subject = $1",
    )
    .bind(attempt.to_string())
    .fetch_one(server.state.store.read())
    .await
    .expect("a log");
    assert_eq!(noted, 2);

    delete(&server, attempt).await;
    let late = data.path().join("late");
    export(&server.state, attempt, ScoredInputs::WithKey, &late)
        .await
        .expect_err("its key went with the recording");
    server.stop().await;
}

/// Deletes a recording as somebody who asks for it does.
async fn delete(server: &Server, attempt: AttemptId) {
    let by = PersonId::new(server.state.clock.wall(), [1; 10]);
    retention::ask(&server.state, attempt, (by, "test"))
        .await
        .expect("asked");
    retention::delete_due(&server.state).await.expect("looked");
}

fn key_opens_the_same_score(server: &Server, out: &std::path::Path) {
    assert_eq!(check(server, out).faults, []);
    let told = score_of(&heard().1.scored_input);
    assert_eq!(replayed(out), [Again::Score(told)]);
    for (name, place) in [("events-0.e1.bin", 300), ("inputs.key", 5)] {
        let whole = std::fs::read(out.join(name)).expect("exported");
        let mut bytes = whole.clone();
        // A digit stays a digit: the key is hexadecimal text, and must stay one to be tried at all.
        bytes[place] = if bytes[place] == b'0' { b'1' } else { b'0' };
        std::fs::write(out.join(name), bytes).expect("writable");
        let report = check(server, out);
        assert_eq!(report.faults[0].file, name);
        assert!(
            matches!(replayed(out).as_slice(), [Again::Not(_)]),
            "a changed input gives no score"
        );
        std::fs::write(out.join(name), whole).expect("writable");
    }
}

fn replayed(folder: &std::path::Path) -> Vec<Again> {
    let replayed = replay(&mut FolderSource::new(folder)).expect("readable");
    replayed.lines.into_iter().map(|line| line.again).collect()
}

fn holds(folder: &std::path::Path, part: &[u8]) -> bool {
    let files = std::fs::read_dir(folder).expect("exported");
    files
        .map(|file| file.expect("readable").path())
        .any(|path| {
            let bytes = std::fs::read(path).expect("readable");
            bytes.windows(part.len()).any(|window| window == part)
        })
}

/// A voice's print, and another voice that was held against it: `QV`, version 1, the print, and one
/// clear piece.
fn heard() -> (Vec<u8>, Observation) {
    let voice = |first: f32| {
        let mut numbers = vec![0.1; VOICE_NUMBERS];
        numbers[0] = first;
        VoiceEmbedding::new(numbers).expect("a direction")
    };
    let pieces: Vec<_> = (0..PRINT_PIECES_MIN).map(|_| voice(0.7)).collect();
    let print = VoicePrint::enrol(&pieces, &[]).expect("one voice");
    let print = print.to_bytes();
    let samples = (0..16_000_i32).map(|n| i16::try_from(n * n % 9_000 - 4_500).expect("small"));
    let samples: Vec<u8> = samples.flat_map(i16::to_le_bytes).collect();
    let mut scored_input = b"QV\x01\x01".to_vec();
    scored_input.extend_from_slice(&print);
    scored_input.extend([1, 0]);
    scored_input.extend(16_000_u32.to_le_bytes());
    scored_input.extend(samples);
    let seen = Observation {
        kind: IncidentKind::AnotherVoice,
        edge: Edge::Moment,
        at: Now::default(),
        at_us: 250_000,
        stream: None,
        score: score_of(&scored_input),
        threshold: Severity::clamped(0.5),
        detector: ANOTHER_VOICE.to_owned(),
        detail: String::new(),
        scored_input,
    };
    (print, seen)
}

fn score_of(input: &[u8]) -> Severity {
    qorgan_detect::replay(ANOTHER_VOICE, input).expect("a score")
}

const ANOTHER_VOICE: &str = "another-voice/1";

/// Spools half seconds of camera and screen, and a beat each second.
fn record(agent: &mut Agent, halves: std::ops::Range<u64>) {
    for half in halves {
        if half == 0 {
            let init: Arc<[u8]> = cmaf::init().into();
            agent.chunk("camera-0", 0, true, &init);
            agent.chunk("screen-0", 0, true, &init);
        }
        let fill = u8::try_from(half % 251).expect("small");
        let picture: Arc<[u8]> = cmaf::chunk(&[fill; 3_000], &[fill; 200]).into();
        agent.chunk("camera-0", half * 500_000, true, &picture);
        agent.chunk("screen-0", half * 500_000, half % 4 == 0, &picture);
        if half % 2 == 1 {
            agent.beat();
        }
    }
}

/// Takes an agent's spool to a server that was started again.
fn moved(mut agent: Agent, server: &Server, provision: &common::Provision) -> Agent {
    agent.move_to(&server.place, provision);
    agent
}

fn old_hello(server: &Server, provision: &common::Provision) -> Vec<u8> {
    use qorgan_protocol::link::{AgentFrame, Hello};

    let hello = Hello {
        version_min: 1,
        version_max: 1,
        nonce: [9; 32],
        attempt: provision.attempt,
        epoch: Epoch::FIRST,
        boot: common::BOOT,
        agent_version: "test".to_owned(),
        simulated_build: true,
    };
    let keys = qorgan_signing::Keys::from_pkcs8(&provision.agent_pkcs8).expect("a key");
    let hello = qorgan_protocol::crypto::sign(&keys, &Ring, server.place.institution, &hello);
    encode("frame", &AgentFrame::Hello(hello.expect("plain"))).expect("plain")
}

async fn terminate(server: &Server, attempt: AttemptId) {
    let by = PersonId::new(WallTime::from_unix_ms(1), [1; 10]);
    let action = ControlAction::Terminate(TerminationCause::Proctor);
    server
        .state
        .registry
        .control(attempt, action, by, "test")
        .await
        .expect("terminated");
}

async fn ranges_are_exact(server: &Server, agent: &Agent, attempt: AttemptId) {
    let recordings = &server.state.recordings;
    for (stream, made) in &agent.made {
        let len = u64::try_from(made.len()).expect("small");
        let which = (attempt, Epoch::FIRST, *stream);
        assert_eq!(
            recordings
                .media_len(which.0, which.1, which.2)
                .await
                .expect("there"),
            len
        );
        for range in [0..len, 0..1, 700..9_000, len - 10..len + 10] {
            let read = recordings
                .media(which.0, which.1, which.2, range.clone())
                .await;
            let from = usize::try_from(range.start).expect("small");
            let to = usize::try_from(range.end.min(len)).expect("small");
            assert_eq!(read.expect("there"), made[from..to], "{range:?}");
        }
        let index = recordings
            .index(which.0, which.1, which.2)
            .await
            .expect("there");
        assert_eq!(index.len, len);
        let (_, offset, length, _) = *index.chunks.last().expect("chunks");
        assert_eq!(offset + length, len);
    }
    let streams = recordings.streams(attempt).await.expect("there");
    let camera = StreamId::from_word("camera-0").expect("a stream");
    assert_eq!(streams.first(), Some(&(Epoch::FIRST, camera)));
}

fn check(server: &Server, folder: &std::path::Path) -> Report {
    let trust = [server.place.server_key];
    verify(&Ring, &trust, &[], &mut FolderSource::new(folder)).expect("readable")
}
