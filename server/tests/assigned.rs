//! Who sees which sitting, over real TLS: every route is walked by a proctor of another one.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

#[expect(
    dead_code,
    unused_imports,
    reason = "other tests and the load bench use the rest"
)]
mod common;

use std::collections::BTreeSet;
use std::path::Path;

use common::Server;
use qorgan_server::auth::StaffRole;

#[tokio::test(flavor = "multi_thread")]
async fn a_proctor_of_another_sitting_is_refused_on_every_route() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&folder.path().join("data")).await;
    let theirs = server.attempts(1).await.remove(0).attempt.to_string();
    let own = server.staff("proctor", StaffRole::Proctor).await;
    let other = server.attempts(1).await.remove(0).attempt.to_string();
    let act = act(&server, &other).await;
    let web = Web::new(&server);
    let routes = routes();
    assert!(routes.len() >= 20, "{routes:?}");
    let sittings = [
        sitting_of(&server, &theirs).await,
        sitting_of(&server, &other).await,
    ];
    for route in &routes {
        let path = |attempt: &str, sitting: &str| {
            route
                .replace("{attempt}", attempt)
                .replace("{sitting}", sitting)
                .replace("{act}", &act)
                .replace("{stream}", "screen-0")
                .replace("{epoch}", "1")
                .replace("{file}", "screen-0.json")
                .replace("{incident}", attempt)
        };
        let there = path(&other, &sittings[1]);
        for method in [reqwest::Method::GET, reqwest::Method::POST] {
            let status = web.ask(method.clone(), &there, &own).await;
            // 405: the route has no such method; 404: nor is there such a thing for anybody.
            assert!(
                [403, 404, 405].contains(&status),
                "{method} {there}: {status}"
            );
        }
        let gets = web
            .ask(reqwest::Method::GET, &path(&theirs, &sittings[0]), &own)
            .await;
        let offices = ["/admissions", "/admission.csv"];
        let staff_alone = offices.iter().any(|end| route.ends_with(end)) || route.contains("{act}");
        assert!(
            gets != 403 || staff_alone,
            "{route}: {gets} in one's own sitting"
        );
    }
    for page in [
        "/console/wall",
        "/console/wall/tiles",
        "/console/reviews",
        "/console/acts",
        "/console/",
    ] {
        let shown = web.read(page, &own).await;
        assert!(!shown.contains(&other), "{page} shows another sitting");
        assert!(
            !shown.contains(&sittings[1]),
            "{page} names another sitting"
        );
    }
    assert!(web.read("/console/wall", &own).await.contains(&theirs));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_withdrawn_sees_a_sitting_no_more_and_both_stand_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&folder.path().join("data")).await;
    let attempt = server.attempts(1).await.remove(0).attempt.to_string();
    let cookie = server.staff("proctor", StaffRole::Proctor).await;
    let web = Web::new(&server);
    let page = format!("/console/attempts/{attempt}");
    assert_eq!(web.ask(reqwest::Method::GET, &page, &cookie).await, 200);
    let sitting = sitting_of(&server, &attempt).await;
    server.assign(&sitting, "proctor", false).await;
    assert_eq!(web.ask(reqwest::Method::GET, &page, &cookie).await, 403);
    let logged: Vec<String> = qorgan_store::query_scalar(
        "SELECT action FROM audit_log WHERE action LIKE 'proctor%' ORDER BY id",
    )
    .fetch_all(server.state.store.read())
    .await
    .expect("readable");
    assert_eq!(logged, ["proctor_assigned", "proctor_withdrawn"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_testing_centre_sees_every_sitting_and_an_export_of_people_stands_in_the_log() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&folder.path().join("data")).await;
    let attempt = server.attempts(1).await.remove(0).attempt.to_string();
    let centre = server.staff("centre", StaffRole::TestCentre).await;
    let proctor = server.staff("proctor", StaffRole::Proctor).await;
    let web = Web::new(&server);
    let sitting = format!("/console/sittings/{}", sitting_of(&server, &attempt).await);
    let shown = web.read(&sitting, &centre).await;
    assert!(
        shown.contains("id=\"proctors\""),
        "assignment has its place"
    );
    let people = "/console/people.csv";
    assert_eq!(web.ask(reqwest::Method::GET, people, &proctor).await, 403);
    for path in [people.to_owned(), format!("{sitting}/board.csv")] {
        assert_eq!(web.ask(reqwest::Method::GET, &path, &centre).await, 200);
    }
    let logged: Vec<String> = qorgan_store::query_scalar(
        "SELECT action FROM audit_log WHERE action LIKE '%_exported' ORDER BY id",
    )
    .fetch_all(server.state.store.read())
    .await
    .expect("readable");
    assert_eq!(logged, ["people_exported", "board_exported"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_are_changed_by_an_administrator_alone_and_end_the_accounts_sessions() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&folder.path().join("data")).await;
    let centre = server.staff("centre", StaffRole::TestCentre).await;
    let chief = server.staff("chief", StaffRole::Administrator).await;
    let web = Web::new(&server);
    let form = |csrf: &str| {
        vec![
            ("csrf".to_owned(), csrf.to_owned()),
            ("login".to_owned(), "centre".to_owned()),
            ("test_centre".to_owned(), "on".to_owned()),
            ("proctor".to_owned(), "on".to_owned()),
        ]
    };
    let theirs = form(&csrf(&server, "centre").await);
    let status = web.post("/console/rights", &centre, &theirs).await.0;
    assert_eq!(status, 403, "the testing centre gives itself nothing");
    let given = form(&csrf(&server, "chief").await);
    let (status, shown) = web.post("/console/rights", &chief, &given).await;
    assert_eq!(status, 200);
    assert!(
        shown.contains("role=\"status\""),
        "old and new rights are shown"
    );
    assert_eq!(
        web.ask(reqwest::Method::GET, "/console/", &centre).await,
        303
    );
    let logged: String =
        qorgan_store::query_scalar("SELECT detail FROM audit_log WHERE action = 'rights_changed'")
            .fetch_one(server.state.store.read())
            .await
            .expect("logged");
    assert_eq!(logged, "test_centre > proctor+test_centre");
    let mut own = form(&csrf(&server, "chief").await);
    own[1].1 = "chief".to_owned();
    let status = web.post("/console/rights", &chief, &own).await.0;
    assert_eq!(status, 422, "an administrator stays one");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_an_attempt_whose_recording_was_deleted_still_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start_without_totp(&folder.path().join("data")).await;
    let attempt = server.attempts(1).await.remove(0).attempt;
    let proctor = server.staff("proctor", StaffRole::Proctor).await;
    let state = &server.state;
    let since = state.clock.wall();
    let phase = qorgan_protocol::attempt::AttemptPhase::Void { since };
    let mut tx = state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE attempts SET phase = $2, phase_word = 'void' WHERE id = $1")
        .bind(attempt.to_string())
        .bind(serde_json::to_string(&phase).expect("plain data"))
        .execute(&mut *tx)
        .await
        .expect("stored");
    tx.commit().await.expect("stored");
    let by = qorgan_protocol::ids::PersonId::new(since, [1; 10]);
    qorgan_server::retention::ask(state, attempt, (by, "test"))
        .await
        .expect("asked");
    qorgan_server::retention::delete_due(state)
        .await
        .expect("looked");
    let web = Web::new(&server);
    for page in ["", "/now", "/review"] {
        web.read(&format!("/console/attempts/{attempt}{page}"), &proctor)
            .await;
    }
    let recording = format!("/console/attempts/{attempt}/recording/1/screen-0.json");
    assert_eq!(
        web.ask(reqwest::Method::GET, &recording, &proctor).await,
        404
    );
    server.stop().await;
}

/// Every route of the source that names an attempt, a sitting or an act.
fn routes() -> BTreeSet<String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut open = vec![source];
    let mut found = BTreeSet::new();
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).expect("text");
            for literal in text.split('"').filter(|part| part.starts_with("/console/")) {
                let scoped = ["{attempt}", "{sitting}", "{act}"];
                let mut rest = literal.to_owned();
                for name in scoped
                    .iter()
                    .chain(&["{stream}", "{epoch}", "{file}", "{incident}"])
                {
                    rest = rest.replace(name, "");
                }
                let route = rest
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "/.-".contains(c));
                if route && scoped.iter().any(|name| literal.contains(name)) {
                    found.insert(literal.to_owned());
                }
            }
        }
    }
    found
}

/// Returns an attempt's sitting.
async fn sitting_of(server: &Server, attempt: &str) -> String {
    qorgan_store::query_scalar("SELECT sitting_id FROM attempts WHERE id = $1")
        .bind(attempt)
        .fetch_one(server.state.store.read())
        .await
        .expect("an attempt")
}

async fn csrf(server: &Server, login: &str) -> String {
    qorgan_store::query_scalar(
        "SELECT t.csrf FROM tokens t JOIN people p ON p.id = t.person_id WHERE p.login = $1 \
         AND t.kind = 'staff' AND t.ended_ms IS NULL ORDER BY t.created_ms DESC",
    )
    .bind(login)
    .fetch_one(server.state.store.read())
    .await
    .expect("a session")
}

/// Registers an act on an attempt, as far as a route needs it.
async fn act(server: &Server, attempt: &str) -> String {
    let state = &server.state;
    let id = qorgan_protocol::ids::ActId::new(state.clock.wall(), [9; 10]);
    let pdf = state
        .keys
        .seal(&format!("act:{id}"), b"%PDF")
        .expect("sealed");
    let mut tx = state.store.begin().await.expect("a writer");
    qorgan_store::query(
        "INSERT INTO acts (id, institution_id, attempt_id, form, year, ordinal, state, language, \
         code, registered_ms, registered_by, facts_hash, recording_root, pdf_hash, pdf_sealed) \
         VALUES ($1, $2, $3, 1, 2026, 1, 'registered', 'kk', 'c', 1, 'x', CAST('' AS BLOB), \
         CAST('' AS BLOB), CAST('' AS BLOB), $4)",
    )
    .bind(id.to_string())
    .bind(state.institution().to_string())
    .bind(attempt)
    .bind(pdf)
    .execute(&mut *tx)
    .await
    .expect("an act");
    tx.commit().await.expect("stored");
    id.to_string()
}

struct Web {
    http: reqwest::Client,
    origin: String,
}

impl Web {
    fn new(server: &Server) -> Self {
        // Another test of this process may have been first, which is as good.
        let _first = rustls::crypto::ring::default_provider().install_default();
        let pem = server.state.keys.ca_pem();
        let ca = reqwest::Certificate::from_pem(pem.as_bytes()).expect("a PEM");
        let http = reqwest::Client::builder()
            .tls_certs_only([ca])
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client");
        let port = server.place.address.port();
        Self {
            http,
            origin: format!("https://localhost:{port}"),
        }
    }

    async fn ask(&self, method: reqwest::Method, path: &str, cookie: &str) -> u16 {
        self.http
            .request(method, format!("{}{path}", self.origin))
            .header("cookie", format!("__Host-qorgan={cookie}"))
            .send()
            .await
            .expect("answered")
            .status()
            .as_u16()
    }

    async fn read(&self, path: &str, cookie: &str) -> String {
        let response = self
            .http
            .get(format!("{}{path}", self.origin))
            .header("cookie", format!("__Host-qorgan={cookie}"))
            .send()
            .await
            .expect("answered");
        assert_eq!(response.status(), 200, "{path}");
        response.text().await.expect("a page")
    }

    async fn post(&self, path: &str, cookie: &str, fields: &[(String, String)]) -> (u16, String) {
        let response = self
            .http
            .post(format!("{}{path}", self.origin))
            .header("cookie", format!("__Host-qorgan={cookie}"))
            .header("content-type", "application/x-www-form-urlencoded")
            .body(encoded(fields))
            .send()
            .await
            .expect("answered");
        let status = response.status().as_u16();
        (status, response.text().await.expect("a page"))
    }
}

fn encoded(fields: &[(String, String)]) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    pairs.join("&")
}
