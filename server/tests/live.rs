//! What proctors see, live and recorded, over real TLS: from an agent's socket to a browser's.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(dead_code, reason = "the benches use the rest")]
mod common;

use std::sync::Arc;
use std::time::Duration;

use common::{Agent, Server, cmaf, connector};
use futures_util::StreamExt as _;
use qorgan_protocol::evidence::StreamId;
use qorgan_protocol::ids::AttemptId;
use qorgan_protocol::link::AgentCommand;
use qorgan_server::auth::StaffRole;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

#[tokio::test(flavor = "multi_thread")]
async fn who_looks_gets_a_still_then_a_key_frame_and_the_next_one_both_at_once() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let cookie = server.staff("proctor", StaffRole::Proctor).await;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    let init = begin(&mut agent);
    agent.chunk("screen-0", 0, true, &picture(1));
    agent.settle().await;
    agent.thumbnail("screen-0", JPEG.to_vec());
    agent.run(Duration::from_millis(300)).await;

    let mut first = look(&server, &cookie, attempt).await.expect("shown");
    assert_eq!(next(&mut first).await, JPEG);
    assert_eq!(next(&mut first).await, *init);
    agent.run(Duration::from_millis(300)).await;
    let screen = StreamId::from_word("screen-0").expect("a stream");
    let wanted = std::mem::take(&mut agent.commands);
    let live = AgentCommand::Watch {
        stream: screen,
        live: true,
    };
    assert_eq!(wanted, [live, AgentCommand::KeyFrame { stream: screen }]);
    agent.chunk("screen-0", 500_000, false, &picture(2));
    agent.chunk("screen-0", 600_000, true, &picture(3));
    agent.chunk("screen-0", 700_000, false, &picture(4));
    agent.settle().await;
    assert_eq!(next(&mut first).await, *picture(3));
    assert_eq!(next(&mut first).await, *picture(4));

    let mut second = look(&server, &cookie, attempt).await.expect("shown");
    for expected in [init, picture(3), picture(4)] {
        assert_eq!(next(&mut second).await, *expected);
    }
    agent.run(Duration::from_millis(300)).await;
    assert_eq!(agent.commands, [], "nothing is asked of the agent again");
    let seen: Vec<String> =
        qorgan_store::query_scalar("SELECT detail FROM custody WHERE action = 'watched_stream'")
            .fetch_all(server.state.store.read())
            .await
            .expect("the record");
    assert_eq!(seen, ["screen-0"], "each look stands in the record, once");
    drop((first, second));
    agent.run(Duration::from_millis(300)).await;
    let away = AgentCommand::Watch {
        stream: screen,
        live: false,
    };
    assert_eq!(agent.commands, [away]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_signed_out_sees_no_more_on_a_socket_that_is_open() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let cookie = server.staff("proctor", StaffRole::Proctor).await;
    let other = server.staff("second", StaffRole::Proctor).await;
    let mut ended = look(&server, &cookie, provision.attempt)
        .await
        .expect("shown");
    let mut stays = look(&server, &other, provision.attempt)
        .await
        .expect("shown");
    server
        .state
        .auth
        .sign_out(&cookie)
        .await
        .expect("signed out");
    let over = timeout(Duration::from_secs(12), ended.next()).await;
    let over = over.expect("closed within seconds");
    assert!(!matches!(over, Some(Ok(Message::Binary(_)))), "{over:?}");
    let gap = Duration::from_millis(100);
    timeout(gap, stays.next())
        .await
        .expect_err("the other one stays");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_and_the_testing_centre_see_nothing_live() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let centre = server.staff("centre", StaffRole::TestCentre).await;
    for cookie in ["", "0123", &centre] {
        assert!(look(&server, cookie, provision.attempt).await.is_none());
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wall_shows_the_pictures_of_ones_own_sittings_alone_and_a_feed_ends_with_them() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&data.path().join("data")).await;
    let own = server.attempts(1).await.remove(0);
    let cookie = server.staff("proctor", StaffRole::Proctor).await;
    let other = server.attempts(1).await.remove(0);
    let mut wall = socket(&server, &cookie, "/console/wall/live")
        .await
        .expect("shown");
    let mut agents = Vec::new();
    for provision in [&other, &own] {
        let mut agent = Agent::new(&server.place, provision, &connector(&server.place.ca));
        begin(&mut agent);
        agent.settle().await;
        agent.thumbnail("screen-0", JPEG.to_vec());
        agent.run(Duration::from_millis(300)).await;
        agents.push(agent);
    }
    let shown = next(&mut wall).await;
    assert_eq!(
        shown[..16],
        own.attempt.as_bytes()[..],
        "the other came first"
    );

    assert!(look(&server, &cookie, other.attempt).await.is_none());
    let mut feed = look(&server, &cookie, own.attempt).await.expect("shown");
    assert_eq!(next(&mut feed).await, JPEG);
    let sitting: String =
        qorgan_store::query_scalar("SELECT sitting_id FROM attempts WHERE id = $1")
            .bind(own.attempt.to_string())
            .fetch_one(server.state.store.read())
            .await
            .expect("a sitting");
    server.assign(&sitting, "proctor", false).await;
    let ended = async {
        while let Some(Ok(message)) = feed.next().await {
            if message.is_close() {
                break;
            }
        }
    };
    timeout(Duration::from_secs(10), ended)
        .await
        .expect("who was withdrawn is shown no more");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_of_a_recording_stands_once_for_each_sign_in_in_the_custody_record() {
    let data = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&data.path().join("data")).await;
    let provision = server.attempts(1).await.remove(0);
    let attempt = provision.attempt;
    let mut agent = Agent::new(&server.place, &provision, &connector(&server.place.ca));
    begin(&mut agent);
    agent.chunk("screen-0", 0, true, &picture(1));
    agent.settle().await;
    let first = server.staff("proctor", StaffRole::Proctor).await;
    let centre = server.staff("centre", StaffRole::TestCentre).await;

    for (cookie, status) in [("", 303), (centre.as_str(), 403)] {
        let refused = fetch(&server, cookie, attempt, "screen-0.mp4", "bytes=0-9").await;
        assert_eq!(refused, status);
    }
    let missing = fetch(&server, &first, attempt, "screen-3.json", "").await;
    assert_eq!(missing, 404);
    assert_eq!(views(&server).await, [""; 0], "nothing was seen");

    for range in ["bytes=0-99", "bytes=100-199", "bytes=0-99"] {
        let part = fetch(&server, &first, attempt, "screen-0.mp4", range).await;
        assert_eq!(part, 206);
    }
    fetch(&server, &first, attempt, "screen-0.json", "").await;
    assert_eq!(views(&server).await, ["e1/screen-0"]);
    let second = server.staff("proctor", StaffRole::Proctor).await;
    fetch(&server, &second, attempt, "screen-0.json", "").await;
    assert_eq!(views(&server).await, ["e1/screen-0", "e1/screen-0"]);
    server.stop().await;
}

async fn views(server: &Server) -> Vec<String> {
    qorgan_store::query_scalar(
        "SELECT detail FROM custody WHERE action = 'viewed_recording' ORDER BY id",
    )
    .fetch_all(server.state.store.read())
    .await
    .expect("the record")
}

/// Asks for a file of the recording; returns the status.
async fn fetch(server: &Server, cookie: &str, attempt: AttemptId, file: &str, range: &str) -> u16 {
    // Another test of this process may have been first, which is as good.
    let _first = rustls::crypto::ring::default_provider().install_default();
    let ca = reqwest::Certificate::from_pem(server.state.keys.ca_pem().as_bytes()).expect("a PEM");
    let http = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let port = server.place.address.port();
    let url = format!("https://localhost:{port}/console/attempts/{attempt}/recording/e1/{file}");
    let mut request = http
        .get(url)
        .header("cookie", format!("__Host-qorgan={cookie}"));
    if !range.is_empty() {
        request = request.header("range", range);
    }
    request.send().await.expect("answered").status().as_u16()
}

type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Opens the screen of an attempt as a browser does; `None` where the server refuses.
async fn look(server: &Server, cookie: &str, attempt: AttemptId) -> Option<Socket> {
    socket(server, cookie, &format!("/console/live/{attempt}/screen-0")).await
}

/// Opens a WebSocket as a browser does; `None` where the server refuses.
async fn socket(server: &Server, cookie: &str, path: &str) -> Option<Socket> {
    let tcp = TcpStream::connect(server.place.address).await.ok()?;
    let name = "localhost".try_into().expect("a name");
    let connector = connector(&server.place.ca);
    let tls = connector.connect(name, tcp).await.expect("TLS");
    let host = format!("localhost:{}", server.place.address.port());
    let url = format!("wss://{host}{path}");
    let mut request = url.into_client_request().expect("a request");
    let headers = request.headers_mut();
    headers.insert(
        "cookie",
        format!("__Host-qorgan={cookie}").parse().expect("a header"),
    );
    headers.insert(
        "origin",
        format!("https://{host}").parse().expect("a header"),
    );
    let (socket, _answer) = tokio_tungstenite::client_async(request, tls).await.ok()?;
    Some(socket)
}

async fn next(socket: &mut Socket) -> Vec<u8> {
    let message = timeout(Duration::from_secs(5), socket.next()).await;
    let message = message.expect("in time").expect("a message");
    let message = message.expect("a frame");
    assert!(matches!(message, Message::Binary(_)), "{message:?}");
    message.into_data().to_vec()
}

fn begin(agent: &mut Agent) -> Arc<[u8]> {
    let init: Arc<[u8]> = cmaf::init().into();
    agent.chunk("screen-0", 0, true, &init);
    init
}

fn picture(fill: u8) -> Arc<[u8]> {
    cmaf::chunk(&[fill; 3_000], &[]).into()
}

const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xd9];
