//! The server as a program: what survives its end.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use qorgan_protocol::limits::IDLE_KEPT_SECONDS;
use qorgan_tests::places;
use qorgan_tests::relay::Relay;
use qorgan_tests::server::Server;
use qorgan_tests::tree::top;
use qorgan_tests::wait::until;

#[test]
fn a_killed_server_comes_back_with_its_key_its_link_and_its_exams() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut server = Server::start(folder.path(), "").expect("the server starts");
    let before = server.ready().clone();
    let create = [
        "exam",
        "create",
        "--title",
        "Физиология",
        "--discipline",
        "Физиология",
    ];
    let exam = server
        .command(&create)
        .expect("an exam is made beside the running server");
    let (opens, closes) = (tomorrow("09:00"), tomorrow("12:00"));
    let moments = ["--opens", &opens, "--closes", &closes];
    let sitting = [
        "sitting",
        "create",
        "--exam",
        exam.trim(),
        "--minutes",
        "40",
    ];
    server
        .command(&[&sitting[..], &moments].concat())
        .expect("a sitting is made");

    server.kill_and_restart().expect("the server starts again");

    let after = server.ready();
    assert_eq!(
        (&after.server_key, &after.enrol_link),
        (&before.server_key, &before.enrol_link)
    );
    assert!(
        before.admin_password.is_some(),
        "the first start tells the password"
    );
    assert!(after.admin_password.is_none(), "no later start does");
    let sittings = server
        .command(&["list", "sittings"])
        .expect("they are listed");
    assert!(sittings.contains(exam.trim()), "{sittings}");
}

#[test]
fn another_program_that_reads_the_database_leaves_a_running_servers_journal() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    // A first start, which makes the database.
    let _server = Server::start(folder.path(), "").expect("the server starts");
    let database = folder.path().join("data").join("qorgan.db");

    let mut sqlite = Command::new("sqlite3");
    let read = sqlite
        .arg(&database)
        .arg("SELECT COUNT(*) FROM people")
        .output();

    let read = read.expect("it is installed");
    assert!(
        read.status.success(),
        "{}",
        String::from_utf8_lossy(&read.stderr)
    );
    let journal = folder.path().join("data").join("qorgan.db-wal");
    assert!(
        journal.exists(),
        "what the server writes next would be lost"
    );
}

#[test]
fn a_client_gives_an_idle_connection_up_long_before_the_server_does() {
    let example = std::fs::read_to_string(
        top()
            .join("server")
            .join("base")
            .join("config.example.toml"),
    );
    let example = example.expect("readable");
    let borne = example
        .lines()
        .find_map(|line| line.strip_prefix("header_seconds = "));
    // The server's own tests hold the example against its defaults.
    let borne: u64 = borne
        .expect("it is told")
        .parse()
        .expect("a number of seconds");
    assert!(
        borne >= 2 * IDLE_KEPT_SECONDS,
        "kept for {IDLE_KEPT_SECONDS} s by clients, borne for {borne} s by the server"
    );

    let folder = tempfile::tempdir().expect("a folder can be made");
    let server = Server::start(folder.path(), "").expect("the server starts");
    let relay = Relay::start(&server.ready().address).expect("it starts");
    let asked = tokio::runtime::Runtime::new().expect("threads");
    asked.block_on(async {
        let http = kept_connections(&server);
        let hello = format!("{}/api/v1/hello", relay.url().replacen("http", "https", 1));
        for idle in [0, IDLE_KEPT_SECONDS + 3] {
            tokio::time::sleep(Duration::from_secs(idle)).await;
            let reply = http.get(&hello).send().await.expect("answered");
            assert_eq!(reply.status(), 200);
            reply.bytes().await.expect("a whole body");
        }
    });
    assert_eq!(
        relay.connections(),
        1,
        "the connection was there all the time"
    );
}

/// Returns connections to a server that are kept for longer than any kiosk keeps them.
fn kept_connections(server: &Server) -> reqwest::Client {
    // Another test of this process may have been first, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let ca = std::fs::read(&server.ready().ca_pem_path).expect("readable");
    let ca = reqwest::Certificate::from_pem(&ca).expect("a PEM");
    let http = reqwest::Client::builder()
        .tls_certs_only([ca])
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(600));
    http.build().expect("a client")
}

#[test]
fn a_reader_who_leaves_early_ends_a_command_quietly() {
    let mut command = Command::new(places::program("qorgan-server").expect("it was built"));
    command.arg("openapi");
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    drop(child.stdout.take());

    let ended = child.wait_with_output().expect("it ends");

    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(
        ended.status.success() && !said.contains("panicked"),
        "{said}"
    );
}

#[test]
fn neither_a_password_nor_a_name_reaches_the_servers_log() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let mut server = Server::start(folder.path(), "").expect("the server starts");
    let add = [
        "staff",
        "add",
        "--login",
        "proctor",
        "--role",
        "proctor",
        "--name",
        "Сәуле Ахметова",
    ];
    server.command(&add).expect("a proctor is added");

    server.kill_and_restart().expect("the server starts again");

    let said = server.program().said();
    assert!(!said.contains("Ахметова"), "{said}");
    let after_first = said.rsplit("Listening on").next().unwrap_or_default();
    assert!(!after_first.contains("password"), "{after_first}");
}

#[test]
fn the_socket_that_the_service_manager_listens_on_is_taken() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it listens").to_string();
    let ready = folder.path().join("ready.json");
    let mut serve = Command::new("sh");
    // As systemd hands a socket over: the third descriptor, named for this process alone.
    let hand_over = "exec 3<&0 0</dev/null; LISTEN_FDS=1 LISTEN_PID=$$ exec \"$@\"";
    serve.args(["-c", hand_over, "sh"]);
    serve.arg(places::program("qorgan-server").expect("it was built"));
    serve
        .arg("serve")
        .arg("--data")
        .arg(folder.path().join("data"));
    serve.arg("--ready-file").arg(&ready);
    serve.stdin(OwnedFd::from(listener)).stdout(Stdio::null());
    let mut child = serve.spawn().expect("the server starts");

    let listening = until("the server to listen", Duration::from_secs(30), || {
        let text = std::fs::read_to_string(&ready).unwrap_or_default();
        Ok(text
            .contains(&format!("\"address\": \"{address}\""))
            .then_some(()))
    });
    let reached = std::net::TcpStream::connect(&address);
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    listening.expect("it listens on the socket that it was given");
    reached.expect("it is reached there");
}

#[test]
fn the_key_that_encrypts_the_data_lies_outside_the_data() {
    let folder = tempfile::tempdir().expect("a folder can be made");
    let _server = Server::start(folder.path(), "").expect("the server starts");

    let inside = names(&folder.path().join("data"));
    let beside = names(folder.path());

    assert!(
        beside.iter().any(|name| name.ends_with(".kek")),
        "{beside:?}"
    );
    assert!(
        !inside.iter().any(|name| name.ends_with(".kek")),
        "{inside:?}"
    );
}

/// Returns a time of tomorrow as the command line takes it.
fn tomorrow(time: &str) -> String {
    let said = Command::new("date")
        .args(["--date", "tomorrow", &format!("+%Y-%m-%dT{time}")])
        .output()
        .expect("date is there");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

fn names(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder)
        .expect("the folder can be read")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect()
}
