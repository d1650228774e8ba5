use std::net::{IpAddr, Ipv4Addr};

use axum::Router;
use axum::routing::{get, post};
use qorgan_protocol::attempt::GatePolicy;

use super::harness::{Device, World};
use crate::auth::{
    AuthError, CsrfChecked, Proctor, Staff, StaffRole, StaffSession, TestCentre, cookie,
};
use crate::registry::{BoardOf, BoardQuery};
use crate::state::AppState;
use qorgan_store::assigned::Scope;
use qorgan_store::people::NewPerson;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn a_one_time_password_opens_no_page_but_the_one_that_changes_it() {
    let world = World::start().await;
    let first = world
        .state
        .auth
        .first_administrator()
        .await
        .expect("stored");
    let first = first.expect("there is none yet");
    assert_eq!(
        world
            .state
            .auth
            .first_administrator()
            .await
            .expect("readable"),
        None
    );
    let auth = &world.state.auth;
    let signed = auth
        .sign_in_staff(&first.login, &first.password, None, HERE)
        .await;
    let signed = signed.expect("the right password");
    assert!(signed.must_change && signed.needs_totp);
    let origin = console(&world.state).await;
    assert_eq!(
        status(&origin, "/session", Some(&signed.token), None).await,
        200
    );
    assert_eq!(
        status(&origin, "/proctor", Some(&signed.token), None).await,
        303
    );
}

#[tokio::test]
async fn a_page_admits_by_role_and_a_change_needs_the_csrf_token() {
    let world = World::start().await;
    let (token, csrf) = proctor(&world).await;
    let origin = console(&world.state).await;
    assert_eq!(status(&origin, "/proctor", Some(&token), None).await, 200);
    assert_eq!(status(&origin, "/centre", Some(&token), None).await, 403);
    assert_eq!(status(&origin, "/proctor", None, None).await, 303);
    assert_eq!(status(&origin, "/change", Some(&token), None).await, 403);
    assert_eq!(
        status(&origin, "/change", Some(&token), Some("wrong")).await,
        403
    );
    assert_eq!(
        status(&origin, "/change", Some(&token), Some(&csrf)).await,
        200
    );
}

#[tokio::test]
async fn a_candidates_password_opens_no_console() {
    let world = World::start().await;
    world.person("a").await;
    let signed = world
        .state
        .auth
        .sign_in_staff("a", super::harness::PASSWORD, None, HERE)
        .await;
    assert!(
        matches!(signed, Err(AuthError::WrongPassword)),
        "nothing is told of the password"
    );
}

#[tokio::test]
async fn a_reset_ends_the_accounts_tokens_and_stands_in_the_log() {
    let world = World::start().await;
    let (token, _csrf) = proctor(&world).await;
    let origin = console(&world.state).await;
    let reset = world.state.auth.reset("p").await.expect("a known account");
    assert_eq!(status(&origin, "/session", Some(&token), None).await, 303);
    let signed = world
        .state
        .auth
        .sign_in_staff("p", &reset.password, None, HERE)
        .await;
    assert!(signed.expect("the new password").must_change);
    let logged: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM audit_log WHERE action = 'account_reset'")
            .fetch_one(world.state.store.read())
            .await
            .expect("readable");
    assert_eq!(logged, 1);
}

#[tokio::test]
//= tests/data/sop-2-28.md#9-board
//= type=test
async fn the_board_shows_who_is_at_which_phase_since_when() {
    let world = World::start().await;
    let absent = world.candidate("absent", GatePolicy::remote()).await;
    let attempt = world.candidate("present", GatePolicy::remote()).await;
    let (_client, _agent) = world.running(&Device::new(), "present", attempt).await;
    let query = BoardQuery {
        scope: Scope::All,
        of: BoardOf::All,
        named: String::new(),
        offset: 0,
        limit: 10,
    };
    let lines = world.state.registry.board(&query).await;
    let lines = lines.expect("readable");
    let line = |wanted| {
        lines
            .iter()
            .find(|line| line.attempt == wanted)
            .expect("on the board")
    };
    assert_eq!(line(absent).phase.word(), "scheduled");
    assert_eq!(line(absent).check_in, None);
    let running = line(attempt);
    assert_eq!(running.phase.word(), "running");
    assert!(running.check_in.is_some() && running.started.is_some() && running.linked);
    assert!(
        running.started >= running.check_in && running.since >= running.started.unwrap_or_default()
    );
}

#[tokio::test]
async fn a_board_is_read_a_page_at_a_time_and_in_its_readers_scope() {
    let world = World::start().await;
    for login in ["a", "b", "c"] {
        world.candidate(login, GatePolicy::remote()).await;
    }
    let stranger = world.person("p").await;
    let page = async |scope, named: &str, (offset, limit)| {
        let query = BoardQuery {
            scope,
            of: BoardOf::All,
            named: named.to_owned(),
            offset,
            limit,
        };
        let lines = world.state.registry.board(&query).await;
        lines.expect("readable").len()
    };
    assert_eq!(page(Scope::All, "", (0, 2)).await, 2);
    assert_eq!(page(Scope::All, "", (2, 2)).await, 1);
    assert_eq!(page(Scope::All, "CANDIDATE B", (0, 10)).await, 1);
    assert_eq!(page(Scope::Proctor(stranger), "", (0, 10)).await, 0);
}

/// A proctor who has changed the password and set up the second factor.
pub(super) async fn proctor(world: &World) -> (String, String) {
    let auth = &world.state.auth;
    let person = NewPerson {
        login: "p".to_owned(),
        display_name: "P".to_owned(),
        language: "kk".to_owned(),
        ..NewPerson::default()
    };
    let one_time = auth.add_staff(&person, StaffRole::Proctor, "test").await;
    let one_time = one_time.expect("stored").expect("new");
    let signed = auth
        .sign_in_staff("p", &one_time.password, None, HERE)
        .await;
    let signed = signed.expect("the right password");
    let session = auth.session_of(&signed.token).await.expect("signed in");
    auth.totp_begin(&session)
        .await
        .expect_err("the password comes first");
    let token = auth
        .change_password(&session, "a long new password")
        .await
        .expect("hashed");
    let session = auth.session_of(&token).await.expect("signed in");
    let setup = auth.totp_begin(&session).await.expect("stored");
    assert!(setup.uri.starts_with("otpauth://totp/"));
    let step = u64::try_from(world.state.clock.wall().unix_ms()).expect("after 1970") / 30_000;
    let code = auth.begun_code_for_tests(&session, step).await;
    auth.totp_confirm(&session, &code)
        .await
        .expect("the right code");
    let session = auth.session_of(&token).await.expect("still signed in");
    assert!(session.is_full());
    let code = auth.code_for_tests(signed.person, step + 1).await;
    let without = auth
        .sign_in_staff("p", "a long new password", None, HERE)
        .await;
    assert!(matches!(without, Err(AuthError::WrongPassword)));
    let signed = auth
        .sign_in_staff("p", "a long new password", Some(&code), HERE)
        .await;
    let signed = signed.expect("password and code are right");
    assert!(!signed.must_change && !signed.needs_totp);
    let again = auth
        .sign_in_staff("p", "a long new password", Some(&code), HERE)
        .await;
    assert!(
        matches!(again, Err(AuthError::WrongPassword)),
        "a code is good once"
    );
    let session = auth.session_of(&signed.token).await.expect("signed in");
    (signed.token, session.csrf)
}

/// Pages that admit by type, without TLS: only what the extractors say is looked at.
async fn console(state: &AppState) -> String {
    let router = Router::new()
        .route("/session", get(async |_session: StaffSession| "ok"))
        .route("/proctor", get(async |_staff: Staff<Proctor>| "ok"))
        .route("/centre", get(async |_staff: Staff<TestCentre>| "ok"))
        .route(
            "/change",
            post(async |_staff: Staff<Proctor>, _csrf: CsrfChecked| "ok"),
        )
        .with_state(state.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let origin = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    origin
}

async fn status(origin: &str, path: &str, token: Option<&str>, csrf: Option<&str>) -> u16 {
    let http = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .expect("a client");
    let url = format!("{origin}{path}");
    let mut request = if path == "/change" {
        http.post(url)
    } else {
        http.get(url)
    };
    if let Some(token) = token {
        let set = cookie(token).expect("a token");
        let pair = set
            .to_str()
            .expect("text")
            .split(';')
            .next()
            .unwrap_or_default()
            .to_owned();
        request = request.header("cookie", pair);
    }
    if let Some(csrf) = csrf {
        request = request.header("x-csrf-token", csrf);
    }
    request.send().await.expect("answered").status().as_u16()
}
