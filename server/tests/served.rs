//! The server as it is reached: slow and many clients, its address, the acts that go out with an
//! export.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(dead_code, reason = "other tests and the load bench use the rest")]
mod common;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser as _;
use common::{Agent, Provision, Server, cmaf, connector};
use qorgan_base::config::Config;
use qorgan_protocol::attempt::TerminationCause;
use qorgan_protocol::evidence::verify::{Report, verify};
use qorgan_protocol::ids::{AttemptId, PersonId};
use qorgan_server::acts;
use qorgan_server::cli::Cli;
use qorgan_server::console::Language;
use qorgan_server::evidence::{FolderSource, ScoredInputs, export, seal};
use qorgan_server::http::{enrol_link, origin, served_address};
use qorgan_server::registry::ControlAction;
use qorgan_server::retention;
use qorgan_server::state::AppState;
use qorgan_signing::Ring;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_dawdles_over_its_head_or_its_handshake_is_cut_off() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "[limits]\nheader_seconds = 2\n").await;

    let mut silent_tcp = TcpStream::connect(server.place.address)
        .await
        .expect("room");
    let mut silent = tls(&server).await;
    let mut slow = tls(&server).await;
    let begun = Instant::now();
    let dripping = tokio::spawn(async move {
        slow.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            .await
            .ok();
        // A header a moment, never the empty line that ends the head.
        while slow.write_all(b"X-Drip: 1\r\n").await.is_ok() && slow.flush().await.is_ok() {
            let mut byte = [0];
            let gap = Duration::from_millis(200);
            if let Ok(Ok(0) | Err(_)) = timeout(gap, slow.read(&mut byte)).await {
                break;
            }
        }
    });
    let mut rest = Vec::new();
    for stream in [
        timeout(WAIT_MAX, silent_tcp.read_to_end(&mut rest))
            .await
            .is_ok(),
        timeout(WAIT_MAX, silent.read_to_end(&mut rest))
            .await
            .is_ok(),
        timeout(WAIT_MAX, dripping).await.is_ok(),
    ] {
        assert!(stream, "still open after {:?}", begun.elapsed());
    }
    assert!(begun.elapsed() < WAIT_MAX);
    assert_eq!(
        answer(&server).await,
        "HTTP/1.1 200 OK",
        "others are served"
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_dribbles_is_cut_and_a_connection_that_idles_between_requests_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "[limits]\nheader_seconds = 2\n").await;
    let begun = Instant::now();
    let mut slow = tls(&server).await;
    let dribbling = tokio::spawn(async move {
        let head = b"POST /api/v1/sign-in HTTP/1.1\r\nHost: localhost\r\n\
            Content-Type: application/json\r\nContent-Length: 9000\r\n\r\n";
        slow.write_all(head).await.ok();
        while slow.write_all(b" ").await.is_ok() && slow.flush().await.is_ok() {
            let mut answer = [0; 1024];
            let gap = Duration::from_millis(200);
            if let Ok(Ok(0) | Err(_)) = timeout(gap, slow.read(&mut answer)).await {
                break;
            }
        }
    });
    let mut idle = tls(&server).await;
    idle.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .expect("sent");
    let mut rest = Vec::new();
    timeout(WAIT_MAX, idle.read_to_end(&mut rest))
        .await
        .expect("cut")
        .ok();
    assert!(rest.starts_with(b"HTTP/1.1 200"), "it was answered first");
    timeout(WAIT_MAX, dribbling)
        .await
        .expect("cut")
        .expect("no panic");
    assert!(begun.elapsed() < WAIT_MAX);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_refused_at_its_preface_without_and_with_a_pause_in_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    for cut in [0, 1, 3, 11] {
        let mut stream = tls(&server).await;
        let (first, rest) = H2_PREFACE.split_at(cut);
        stream.write_all(first).await.expect("sent");
        stream.flush().await.expect("sent");
        // Another turn, so that the halves come in two reads.
        answer(&server).await;
        // Settings follow the preface; the server may have hung up by now.
        stream.write_all(rest).await.ok();
        stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.ok();
        stream.flush().await.ok();
        let mut reply = Vec::new();
        let read = timeout(WAIT_MAX, stream.read_to_end(&mut reply)).await;
        let _end_or_reset = read.expect("hung up");
        assert_eq!(reply, b"", "no frame of HTTP/2");
    }
    assert_eq!(answer(&server).await, "HTTP/1.1 200 OK");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_strangers_give_way_to_who_comes_and_no_one_waits_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "[limits]\naddress_strangers = 8\n").await;
    let mut idle = Vec::new();
    for _ in 0..60 {
        idle.push(tls(&server).await);
    }
    for _ in 0..20 {
        assert_eq!(answer(&server).await, "HTTP/1.1 200 OK");
    }
    let mut closed = 0;
    for stream in &mut idle {
        let gap = Duration::from_millis(20);
        closed += usize::from(timeout(gap, stream.read(&mut [0])).await.is_ok());
    }
    assert!(closed >= 52, "{closed} of 60 were closed for others");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_address_takes_no_more_than_its_connections_and_has_them_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "[limits]\naddress_connections = 3\n").await;

    // Agents' links are no strangers' connections: nobody takes their places.
    let provisions = server.attempts(3).await;
    let mut held = Vec::new();
    for provision in &provisions {
        let mut agent = Agent::new(&server.place, provision, &connector(&server.place.ca));
        agent.run(Duration::from_millis(300)).await;
        held.push(agent);
    }
    let tcp = TcpStream::connect(server.place.address)
        .await
        .expect("the system accepts");
    let name = "localhost".try_into().expect("a name");
    connector(&server.place.ca)
        .connect(name, tcp)
        .await
        .expect_err("a fourth is closed");
    held.clear();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(answer(&server).await, "HTTP/1.1 200 OK");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_beside_the_server_knows_where_it_really_listens() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let server = started(folder.path(), "").await;
    let port = server.place.address.port();
    assert_eq!(answer(&server).await, "HTTP/1.1 200 OK");

    let beside = open(&data, Config::default()).await;
    assert_eq!(beside.config.listen.port(), 8443);
    let at = origin(&beside).await.expect("known");
    assert_eq!(at, format!("https://localhost:{port}"));
    let address = served_address(&beside).await.expect("known");
    assert!(enrol_link(&beside, address).contains(&format!("localhost:{port}/")));
    let public = Config {
        public_address: "exam.example.kz".to_owned(),
        ..Config::default()
    };
    let behind = open(&data, public).await;
    assert_eq!(
        origin(&behind).await.expect("known"),
        "https://exam.example.kz"
    );

    server.stop().await;
    let after = open(&data, Config::default()).await;
    assert_eq!(
        origin(&after).await.expect("known"),
        at,
        "where it listened last"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_second_server_runs_on_one_data_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    assert_eq!(answer(&server).await, "HTTP/1.1 200 OK");

    let again = open(&folder.path().join("data"), Config::default()).await;
    let bound = qorgan_server::http::Bound::listen(([127, 0, 0, 1], 0).into()).expect("a port");
    let error = qorgan_server::http::serve(again, bound, None, std::future::pending())
        .await
        .expect_err("held");
    assert!(
        error.to_string().contains("holds the data folder"),
        "{error}"
    );
    server.stop().await;
}

//= tests/data/sop-2-28.md#17-act
//= type=test
#[tokio::test(flavor = "multi_thread")]
async fn an_export_carries_the_act_and_tells_when_it_was_changed_or_taken_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    recorded(&server, &provision).await;
    seal(&server.state, attempt).await.expect("sealed");
    let before = folder.path().join("before");
    export(&server.state, attempt, ScoredInputs::Sealed, &before)
        .await
        .expect("exported");
    let report = check(&server, &before);
    assert!(
        report.is_valid() && report.added.is_empty(),
        "{:?}",
        report.faults
    );

    let person = violation(&server, attempt).await;
    let act = acts::make(&server.state, attempt, person, Language::English)
        .await
        .expect("an act");
    let out = folder.path().join("export");
    export(&server.state, attempt, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    let report = check(&server, &out);
    assert_eq!(report.faults, []);
    let [name] = report.added.as_slice() else {
        panic!("one act, not {:?}", report.added);
    };
    assert_eq!(
        *name,
        format!("act-{}.pdf", act.number.to_string().replace('/', "-"))
    );
    let pdf = std::fs::read(out.join(name)).expect("exported");
    let stored = acts::sealed_pdf(&server.state, act.id)
        .await
        .expect("stored");
    assert_eq!(Some(&pdf), stored.map(|stored| stored.pdf).as_ref());

    let mut changed = pdf.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    std::fs::write(out.join(name), changed).expect("writable");
    assert_eq!(check(&server, &out).faults[0].file, *name);
    std::fs::remove_file(out.join(name)).expect("here");
    assert_eq!(check(&server, &out).faults[0].file, *name);
    std::fs::remove_file(out.join("supplement.bin")).expect("here");
    let report = check(&server, &out);
    assert!(!report.is_valid() && report.faults[0].file == "supplement.bin");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_sealed_as_it_was_issued() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    let provision = server.attempts(1).await.remove(0);
    recorded(&server, &provision).await;
    let kept: Vec<u8> = qorgan_store::query_scalar("SELECT signature FROM agent_certificates")
        .fetch_one(server.state.store.read())
        .await
        .expect("kept when it was issued");
    // A signature that the server would not make: what is sealed is what was kept.
    let mut other = kept.clone();
    other[0] ^= 1;
    let mut tx = server.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE agent_certificates SET signature = $1")
        .bind(&other)
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("stored");

    seal(&server.state, provision.attempt)
        .await
        .expect("sealed");
    let out = folder.path().join("export");
    export(&server.state, provision.attempt, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    let report = check(&server, &out);
    let told = report
        .faults
        .iter()
        .any(|fault| fault.what.contains("a certificate is bad"));
    assert!(told && !report.is_valid(), "{:?}", report.faults);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_beside_the_server_restores_a_sealed_recording_that_verifies() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    recorded(&server, &provision).await;
    seal(&server.state, attempt).await.expect("sealed");
    let copy = folder.path().join("copy");
    command(
        &folder.path().join("data"),
        &["backup", "--out", text(&copy)],
    )
    .await
    .expect("copied and opened");
    let kek = folder.path().join("data.kek");
    std::fs::copy(kek, folder.path().join("copy.kek")).expect("the key from the safe");

    let restored = open(&copy, Config::default()).await;
    let out = folder.path().join("export");
    export(&restored, attempt, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    let report = check(&server, &out);
    assert!(report.is_valid(), "{:?}", report.faults);

    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_recording_is_gone_and_leaves_the_others_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = started(folder.path(), "").await;
    let both = server.attempts(2).await;
    for provision in &both {
        recorded(&server, provision).await;
        seal(&server.state, provision.attempt)
            .await
            .expect("sealed");
    }
    let (gone, kept) = (both[0].attempt, both[1].attempt);
    let state = &server.state;
    let by = PersonId::new(state.clock.wall(), [1; 10]);
    retention::ask(state, gone, (by, "the candidate asked"))
        .await
        .expect("asked");
    retention::delete_due(state).await.expect("looked");

    let out = folder.path().join("gone");
    let refused = export(state, gone, ScoredInputs::Sealed, &out).await;
    let told = refused.expect_err("no key").to_string();
    assert!(told.contains("destroyed"), "{told}");
    let files = folder
        .path()
        .join("data/recordings/sealed")
        .join(gone.to_string());
    let left = std::fs::read_dir(files).map_or(0, Iterator::count);
    assert_eq!(left, 0, "no file is left");
    let out = folder.path().join("kept");
    export(state, kept, ScoredInputs::Sealed, &out)
        .await
        .expect("exported");
    let report = check(&server, &out);
    assert!(report.is_valid(), "{:?}", report.faults);
    command(&folder.path().join("data"), &["audit", "verify"])
        .await
        .expect("whole");
    server.stop().await;
}

/// Runs a command beside the server.
async fn command(data: &Path, words: &[&str]) -> anyhow::Result<()> {
    let all = ["qorgan-server", "--data", text(data)].into_iter();
    Cli::try_parse_from(all.chain(words.iter().copied()))?
        .run()
        .await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

async fn started(folder: &Path, config: &str) -> Server {
    let data = folder.join("data");
    std::fs::create_dir_all(&data).expect("a folder");
    std::fs::write(data.join("config.toml"), config).expect("written");
    Server::start(&data).await
}

async fn open(data: &Path, config: Config) -> AppState {
    AppState::open(data, config)
        .await
        .expect("the folder opens")
}

async fn tls(server: &Server) -> tokio_rustls::client::TlsStream<TcpStream> {
    let tcp = TcpStream::connect(server.place.address)
        .await
        .expect("room");
    let name = "localhost".try_into().expect("a name");
    connector(&server.place.ca)
        .connect(name, tcp)
        .await
        .expect("TLS")
}

async fn answer(server: &Server) -> String {
    let mut stream = tls(server).await;
    let request = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    stream.write_all(request).await.expect("sent");
    let mut reply = Vec::new();
    // The server may close without TLS's own farewell.
    stream.read_to_end(&mut reply).await.ok();
    let reply = String::from_utf8_lossy(&reply).into_owned();
    reply.lines().next().unwrap_or_default().to_owned()
}

/// Records two seconds, says that this is all, and ends the attempt.
async fn recorded(server: &Server, provision: &Provision) {
    let mut agent = Agent::new(&server.place, provision, &connector(&server.place.ca));
    let init: Arc<[u8]> = cmaf::init().into();
    let picture: Arc<[u8]> = cmaf::chunk(&[7; 3_000], &[7; 200]).into();
    for half in 0..4 {
        for stream in ["camera-0", "screen-0"] {
            if half == 0 {
                agent.chunk(stream, 0, true, &init);
            }
            agent.chunk(stream, half * 500_000, true, &picture);
        }
        agent.beat();
    }
    agent.settle().await;
    agent.finish();
    agent.run(Duration::from_millis(500)).await;
    let by = PersonId::new(server.state.clock.wall(), [1; 10]);
    let action = ControlAction::Terminate(TerminationCause::Proctor);
    server
        .state
        .registry
        .control(provision.attempt, action, by, "test")
        .await
        .expect("terminated");
}

/// Writes a confirmed incident and a review that ended with a violation; returns whose.
async fn violation(server: &Server, attempt: AttemptId) -> PersonId {
    let state = &server.state;
    let person: String = qorgan_store::query_scalar("SELECT person_id FROM attempts WHERE id = $1")
        .bind(attempt.to_string())
        .fetch_one(state.store.read())
        .await
        .expect("an attempt");
    let now = state.clock.wall();
    let incident = qorgan_protocol::ids::IncidentId::new(now, [7; 10]);
    let mut tx = state.store.begin().await.expect("a writer");
    qorgan_store::query(
        "INSERT INTO incidents (id, institution_id, attempt_id, kind, severity, began_ms, \
         verdict, verdict_by, verdict_at_ms) \
         VALUES ($1, $2, $3, 'window_switch', 0.8, $4, 'confirmed', $5, $4)",
    )
    .bind(incident.to_string())
    .bind(state.institution().to_string())
    .bind(attempt.to_string())
    .bind(now.unix_ms())
    .bind(&person)
    .execute(&mut *tx)
    .await
    .expect("an incident");
    qorgan_store::query(
        "INSERT INTO reviews (attempt_id, institution_id, verdict, finished_by, finished_ms) \
         VALUES ($1, $2, 'violation', $3, $4) ON CONFLICT (attempt_id) DO UPDATE \
         SET verdict = excluded.verdict, finished_by = excluded.finished_by, \
         finished_ms = excluded.finished_ms",
    )
    .bind(attempt.to_string())
    .bind(state.institution().to_string())
    .bind(&person)
    .bind(now.unix_ms())
    .execute(&mut *tx)
    .await
    .expect("a review");
    tx.commit().await.expect("stored");
    person.parse().expect("an identifier")
}

fn check(server: &Server, folder: &Path) -> Report {
    let trust = [server.place.server_key];
    verify(&Ring, &trust, &[], &mut FolderSource::new(folder)).expect("readable")
}

const WAIT_MAX: Duration = Duration::from_secs(12);
const H2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
