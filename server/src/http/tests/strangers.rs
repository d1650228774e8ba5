//! Somebody who should not come in, and somebody who should although others try.

use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::harness::{Device, PASSWORD, World, sign_in_body};
use crate::auth::{AuthError, StaffRole};
use qorgan_store::people::NewPerson;

const NEW: &str = "a long new password";

#[tokio::test]
async fn the_second_factor_cannot_be_guessed_by_who_knows_the_password() {
    let world = World::start().await;
    enrolled(&world).await;
    let mut statuses = Vec::new();
    for _try in 0..200 {
        statuses.push(post_form(&world, "p", NEW, "000000").await.0);
    }
    let wrong = statuses.iter().filter(|status| **status == 401).count();
    let tries = usize::try_from(world.state.config.limits.code_tries).expect("few");
    assert_eq!(wrong, tries, "{statuses:?}");
    assert!(statuses[tries..].iter().all(|status| *status == 429));
    let (_status, wait) = post_form(&world, "p", NEW, "000000").await;
    assert!(wait.is_some_and(|seconds| (1..=900).contains(&seconds)));
    let told: i64 = qorgan_store::query_scalar(
        "SELECT COUNT(*) FROM audit_log WHERE action = 'second_factor_guessed'",
    )
    .fetch_one(world.state.store.read())
    .await
    .expect("readable");
    assert_eq!(told, 1, "it stands in the log, once");
}

#[tokio::test]
async fn a_right_password_gives_no_codes_back() {
    let world = World::start().await;
    enrolled(&world).await;
    let auth = &world.state.auth;
    let mut codes = 0;
    for number in 0..40_u8 {
        // Each from another network: only the account's own count is left.
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let asked = auth.sign_in_staff("p", NEW, Some("000000"), from).await;
        codes += u32::from(matches!(asked, Err(AuthError::WrongPassword)));
        let without = auth.sign_in_staff("p", NEW, None, from).await;
        without.expect_err("a code is needed");
    }
    assert_eq!(codes, world.state.config.limits.code_tries);
}

#[tokio::test]
async fn of_two_requests_with_one_code_at_once_one_signs_in() {
    let world = World::start().await;
    let (person, step) = enrolled(&world).await;
    let auth = &world.state.auth;
    let code = auth.code_for_tests(person, step + 1).await;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let tries = (0..4).map(|_| auth.sign_in_staff("p", NEW, Some(&code), here));
    let signed = join_all(tries).await;
    let right = signed.iter().filter(|one| one.is_ok()).count();
    assert_eq!(right, 1, "{signed:?}");
}

#[tokio::test]
async fn tries_at_once_are_counted_before_they_are_hashed() {
    let world = World::start().await;
    world.person("a").await;
    let tries = (0..60).map(|_| async {
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
        let asked = world.state.auth.password_holds("a", "wrong", from).await;
        matches!(asked, Ok(false))
    });
    let looked_at = join_all(tries).await.into_iter().filter(|wrong| *wrong);
    let most = usize::try_from(world.state.config.limits.account_tries).expect("few");
    assert_eq!(looked_at.count(), most);
}

#[tokio::test]
async fn a_stranger_shuts_nobody_out_of_the_device_that_the_account_knows() {
    let world = World::start().await;
    world.person("a").await;
    let own = Device::new();
    assert_eq!(world.try_sign_in(&own, "a", PASSWORD).await.0, 200);
    let mut last = 0;
    for number in 0..60_u8 {
        let from = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let asked = world.state.auth.password_holds("a", "wrong", from).await;
        last = u32::from(matches!(asked, Err(AuthError::TooMany { .. })));
    }
    assert_eq!(
        last, 1,
        "strangers are shut out of the account, wherever they are"
    );
    assert_eq!(world.try_sign_in(&own, "a", PASSWORD).await.0, 200);
    // The device guesses no more than anybody else.
    let mut wrong = 0;
    for _try in 0..20 {
        wrong += u32::from(world.try_sign_in(&own, "a", "wrong").await.0 == 401);
    }
    assert_eq!(wrong, world.state.config.limits.account_tries);
}

#[tokio::test]
async fn networks_that_guess_for_a_login_do_not_keep_its_candidate_out_of_a_new_place() {
    let world = World::start().await;
    world.person("a").await;
    let guess = |number| {
        let auth = world.state.auth.clone();
        async move {
            let from = IpAddr::V4(Ipv4Addr::new(198, 18, number, 1));
            auth.password_holds("a", "wrong", from).await
        }
    };
    for number in 0..3 {
        for _try in 0..20 {
            let _wrong_or_refused = guess(number).await;
        }
    }
    let refused = guess(0).await;
    assert!(
        matches!(refused, Err(AuthError::TooMany { retry_after_s }) if retry_after_s < 120),
        "{refused:?}"
    );
    // A new machine in a network that nobody signed in from, by somebody who mistypes twice.
    let new = Device::new();
    for given in ["wrong", "wrong"] {
        assert_eq!(world.try_sign_in(&new, "a", given).await.0, 401);
    }
    let (status, reply) = world.try_sign_in(&new, "a", PASSWORD).await;
    assert_eq!(status, 200, "{reply}");
}

#[tokio::test]
async fn what_is_longer_than_any_login_or_password_is_refused_before_any_work() {
    let world = World::start().await;
    world.person("a").await;
    let device = Device::new();
    let huge = "x".repeat(1_900_000);
    for _try in 0..40 {
        let (key, proof) = (hex_of(&device), json!({ "bytes": "00", "signature": "00" }));
        let body = json!({ "login": huge, "password": "p", "device_key": key, "proof": proof,
            "client_version": "1", "system": "linux" });
        let url = format!("{}/api/v1/sign-in", world.origin);
        let asked = world.http.post(url).json(&body).send().await;
        // The server may hang up on what it will not read.
        let status = asked.map_or(413, |response| response.status().as_u16());
        assert_eq!(status, 413);
    }
    for (login, password) in [
        ("x".repeat(129), "p".to_owned()),
        ("a".to_owned(), "p".repeat(801)),
    ] {
        let (status, problem) = world.try_sign_in(&device, &login, &password).await;
        assert_eq!((status, &problem["code"]), (400, &json!("bad_request")));
        let (status, _wait) = post_form(&world, &login, &password, "").await;
        assert_eq!(status, 400);
    }
}

#[tokio::test]
async fn a_nul_is_a_bad_request_and_no_fault_of_the_database() {
    let world = World::start().await;
    let (status, problem) = post(&world, &json!({ "login": "a\0b" })).await;
    assert_eq!((status, &problem["code"]), (400, &json!("bad_request")));
    let told = problem["detail"].as_str().unwrap_or_default();
    assert!(told.contains("U+0000"), "{told}");
    assert_eq!(post_form(&world, "a\0b", PASSWORD, "").await.0, 400);
    let address = format!("{}/verify/a%00b", world.origin);
    let reply = world.http.get(address).send().await.expect("answered");
    assert_eq!(reply.status().as_u16(), 400);
}

#[tokio::test]
async fn a_login_is_one_however_it_is_written() {
    let world = World::start().await;
    world.person("Aset.K").await;
    for written in ["aset.k", "Aset.K", "  ASET.K "] {
        let (status, _reply) = world.try_sign_in(&Device::new(), written, PASSWORD).await;
        assert_eq!(status, 200, "{written}");
    }
}

#[tokio::test]
async fn an_account_of_staff_gets_no_candidates_token_and_the_api_tells_nothing_of_its_password() {
    let world = World::start().await;
    enrolled(&world).await;
    for password in [NEW, "wrong"] {
        let (status, problem) = world.try_sign_in(&Device::new(), "p", password).await;
        assert_eq!((status, &problem["code"]), (401, &json!("wrong_password")));
    }
    let tokens: i64 =
        qorgan_store::query_scalar("SELECT COUNT(*) FROM tokens WHERE kind = 'client'")
            .fetch_one(world.state.store.read())
            .await
            .expect("readable");
    assert_eq!(tokens, 0);
}

#[tokio::test]
async fn who_is_refused_for_now_is_told_how_long_in_the_header_too() {
    let world = World::start().await;
    let device = Device::new();
    let mut refused = None;
    for _try in 0..20 {
        let (key, proof) = world.proof(&device).await;
        let body = sign_in_body("nobody", "wrong", &key, &proof);
        let url = format!("{}/api/v1/sign-in", world.origin);
        let asked = world.http.post(url).json(&body).send().await;
        let response = asked.expect("answered");
        if response.status() == 429 {
            refused = Some(response);
        }
    }
    let refused = refused.expect("an unknown login is counted like a known one");
    let header = refused.headers()["retry-after"].to_str().expect("text");
    let header: u64 = header.parse().expect("seconds");
    let problem: Value = refused.json().await.expect("JSON");
    assert_eq!(problem["retry_after_s"], json!(header));
}

#[tokio::test]
async fn a_page_of_the_console_that_refuses_for_now_says_how_long_in_the_header_too() {
    let world = World::start().await;
    let (token, csrf) = super::staff::proctor(&world).await;
    let cookie = crate::auth::cookie(&token).expect("a token");
    let new = NEW.replace(' ', "+");
    let body = format!("csrf={csrf}&old=wrong&new={new}&again={new}");
    let tries = world.state.config.limits.account_tries;
    let mut last = None;
    for _try in 0..=tries {
        let asked = world
            .http
            .post(format!("{}/console/password", world.origin))
            .header("cookie", cookie.clone())
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.clone())
            .send()
            .await;
        last = Some(asked.expect("answered"));
    }
    let refused = last.expect("tried");
    assert_eq!(refused.status(), 429);
    let wait = refused.headers()["retry-after"].to_str().expect("text");
    let wait: u64 = wait.parse().expect("seconds");
    assert!((1..=900).contains(&wait));
    let page = refused.text().await.expect("a page");
    assert!(page.contains("<html"), "{page}");
}

impl World {
    pub(super) async fn try_sign_in(
        &self,
        device: &Device,
        login: &str,
        password: &str,
    ) -> (u16, Value) {
        let (key, proof) = self.proof(device).await;
        post(self, &sign_in_body(login, password, &key, &proof)).await
    }
}

/// A proctor `p` with a second factor; returns who, and the step that was used.
async fn enrolled(world: &World) -> (qorgan_protocol::ids::PersonId, u64) {
    let auth = &world.state.auth;
    let here = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let person = NewPerson {
        login: "p".to_owned(),
        display_name: "P".to_owned(),
        language: "en".to_owned(),
        ..NewPerson::default()
    };
    let once = auth.add_staff(&person, StaffRole::Proctor, "test").await;
    let once = once.expect("stored").expect("new").password;
    let signed = auth.sign_in_staff("p", &once, None, here).await;
    let session = auth.session_of(&signed.expect("right").token).await;
    let token = auth
        .change_password(&session.expect("signed in"), NEW)
        .await;
    let session = auth
        .session_of(&token.expect("set"))
        .await
        .expect("signed in");
    auth.totp_begin(&session).await.expect("begun");
    let step = u64::try_from(world.state.clock.wall().unix_ms()).expect("after 1970") / 30_000;
    let code = auth.begun_code_for_tests(&session, step).await;
    auth.totp_confirm(&session, &code).await.expect("right");
    (session.person, step)
}

fn hex_of(device: &Device) -> String {
    use qorgan_protocol::crypto::Signer as _;
    hex::encode(device.keys.public_key().0)
}

/// Sends the console's form; returns the status and when to try again.
async fn post_form(world: &World, login: &str, password: &str, code: &str) -> (u16, Option<u64>) {
    let encode = |text: &str| -> String {
        let bytes = text.bytes().map(|byte| format!("%{byte:02X}"));
        bytes.collect()
    };
    let short = login.len() < 1_000;
    let login = if short {
        encode(login)
    } else {
        login.to_owned()
    };
    let body = format!("login={login}&password={}&code={code}", encode(password));
    let asked = world
        .http
        .post(format!("{}/console/sign-in", world.origin))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
        .send()
        .await
        .expect("answered");
    let wait = asked.headers().get("retry-after");
    let wait = wait.and_then(|value| value.to_str().ok()?.parse().ok());
    (asked.status().as_u16(), wait)
}

async fn post(world: &World, body: &Value) -> (u16, Value) {
    let url = format!("{}/api/v1/sign-in", world.origin);
    let asked = world.http.post(url).json(body).send().await;
    let response = asked.expect("answered");
    let status = response.status().as_u16();
    (status, response.json().await.expect("JSON"))
}
