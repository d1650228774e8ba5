//! What a session is worth, and when it ends.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use futures_util::future::join_all;

use super::harness::{Client, Device, PASSWORD, World};
use crate::auth::{AuthError, Proctor, StaffRole, StaffSession};
use qorgan_store::people::{self, NewPerson};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const NEW: &str = "a long new password";

#[tokio::test]
async fn a_session_of_the_one_time_password_does_not_become_full_when_the_owner_sets_up() {
    let world = World::start().await;
    let auth = &world.state.auth;
    let once = added(&world, "p").await;
    let thief = signed_in(&world, "p", &once).await;
    let owner = signed_in(&world, "p", &once).await;
    let owner = auth.change_password(&owner, NEW).await.expect("set");
    ended(&world, &thief.token).await;

    let other = signed_in(&world, "p", NEW).await;
    let owner = auth.session_of(&owner).await.expect("a new session");
    assert!(!owner.must_change && owner.needs_totp && !owner.is_full());
    let seen = auth.totp_begin(&other).await.expect("begun").secret;
    let own = auth.totp_begin(&owner).await.expect("begun").secret;
    assert_ne!(seen, own, "no other session knows the secret");
    let again = auth.totp_begin(&owner).await.expect("begun").secret;
    assert_eq!(again, own, "a page that is loaded again shows the same");
    let code = auth.begun_code_for_tests(&owner, step(&world)).await;
    auth.totp_confirm(&owner, &code).await.expect("right");
    ended(&world, &other.token).await;
    let owner = auth.session_of(&owner.token).await.expect("goes on");
    assert!(owner.is_full());
    auth.totp_begin(&owner).await.expect_err("there is one");
}

#[tokio::test]
async fn two_pages_that_begin_a_second_factor_at_once_show_one_secret() {
    let world = World::start().await;
    let auth = &world.state.auth;
    let once = added(&world, "p").await;
    let first = signed_in(&world, "p", &once).await;
    let token = auth.change_password(&first, NEW).await.expect("set");
    let owner = auth.session_of(&token).await.expect("signed in");
    let pages = join_all((0..6).map(|_| auth.totp_begin(&owner))).await;
    let shown: BTreeSet<String> = pages
        .into_iter()
        .map(|page| page.expect("begun").secret)
        .collect();
    assert_eq!(shown.len(), 1, "the app that scanned any of them is right");
}

#[tokio::test]
async fn of_two_who_add_one_member_of_staff_at_once_one_hands_out_the_password() {
    let world = World::start().await;
    let person = new_person("p");
    let add = || {
        world
            .state
            .auth
            .add_staff(&person, StaffRole::Proctor, "test")
    };
    let added = join_all((0..4).map(|_| add())).await;
    let handed_out: Vec<_> = added
        .into_iter()
        .filter_map(|one| one.expect("stored"))
        .collect();
    assert_eq!(handed_out.len(), 1, "{handed_out:?}");
    signed_in(&world, "p", &handed_out[0].password).await;
}

#[tokio::test]
async fn a_candidates_account_that_becomes_staff_loses_the_candidates_password() {
    let world = World::start().await;
    world.person("c").await;
    let auth = &world.state.auth;
    let person = new_person("c");
    let added = auth.add_staff(&person, StaffRole::Proctor, "test").await;
    let once = added.expect("stored").expect("a password of its own");
    let old = auth.sign_in_staff("c", PASSWORD, None, HERE).await;
    assert!(matches!(old, Err(AuthError::WrongPassword)), "{old:?}");
    signed_in(&world, "c", &once.password).await;
}

#[tokio::test]
async fn a_session_that_ended_meanwhile_sets_neither_password_nor_factor() {
    let world = World::start().await;
    let auth = &world.state.auth;
    let once = added(&world, "p").await;
    let first = signed_in(&world, "p", &once).await;
    let token = auth.change_password(&first, NEW).await.expect("set");
    let thief = auth.session_of(&token).await.expect("signed in");
    auth.totp_begin(&thief).await.expect("begun");
    let code = auth.begun_code_for_tests(&thief, step(&world)).await;
    // The requests of the session were let in; then the account is taken back.
    let back = auth.reset("p").await.expect("a new password");
    let changed = auth
        .change_password(&thief, "a password of the thief")
        .await;
    assert!(
        matches!(changed, Err(AuthError::NotSignedIn)),
        "{changed:?}"
    );
    let begun = auth.totp_begin(&thief).await;
    assert!(matches!(begun, Err(AuthError::NotSignedIn)), "{begun:?}");
    let confirmed = auth.totp_confirm(&thief, &code).await;
    assert!(
        matches!(confirmed, Err(AuthError::NotSignedIn)),
        "{confirmed:?}"
    );
    signed_in(&world, "p", &back.password).await;
}

#[tokio::test]
async fn every_session_of_an_account_ends_when_its_password_or_role_changes() {
    let world = World::start().await;
    let auth = &world.state.auth;
    let once = added(&world, "p").await;
    let first = signed_in(&world, "p", &once).await;
    let first = auth.change_password(&first, NEW).await.expect("set");
    let second = signed_in(&world, "p", NEW).await;
    let person = second.person;
    auth.set_password(person, "another long password", false)
        .await
        .expect("set");
    ended(&world, &first).await;
    ended(&world, &second.token).await;

    let third = signed_in(&world, "p", "another long password").await;
    let known = new_person("P");
    let made = auth.add_staff(&known, StaffRole::Proctor, "test").await;
    assert_eq!(made.expect("the role is there"), None);
    auth.session_of(&third.token)
        .await
        .expect("nothing changed");
    let made = auth
        .add_staff(&known, StaffRole::Administrator, "test")
        .await;
    assert_eq!(made.expect("one account, however it is written"), None);
    ended(&world, &third.token).await;

    let client = world.candidate_signed_in("c").await;
    let person = people::by_login(world.state.store.read(), "c").await;
    let person = person.expect("readable").expect("known");
    auth.set_password(person, NEW, false).await.expect("set");
    assert_eq!(client.status().await, 401);
}

#[tokio::test]
async fn a_session_has_an_absolute_end_however_much_it_is_used() {
    let world = World::start().await;
    let client = world.candidate_signed_in("c").await;
    let once = added(&world, "p").await;
    let staff = signed_in(&world, "p", &once).await;
    assert_eq!(client.status().await, 200);
    let settings = world.state.config.sign_in;
    let hour = 60 * 60 * 1_000;
    let begun_ago = |hours: u32| world.state.clock.wall().unix_ms() - i64::from(hours) * hour;
    let began = |kind: &'static str, at: i64| {
        let state = world.state.clone();
        async move {
            let mut tx = state.store.begin().await.expect("a writer");
            qorgan_store::query("UPDATE tokens SET created_ms = $2 WHERE kind = $1")
                .bind(kind)
                .bind(at)
                .execute(&mut *tx)
                .await
                .expect("changed");
            tx.commit().await.expect("stored");
        }
    };
    began("client", begun_ago(settings.client_hours_max - 1)).await;
    began("staff", begun_ago(settings.staff_hours_max - 1)).await;
    assert_eq!(client.status().await, 200);
    world
        .state
        .auth
        .session_of(&staff.token)
        .await
        .expect("good");
    began("client", begun_ago(settings.client_hours_max)).await;
    began("staff", begun_ago(settings.staff_hours_max)).await;
    assert_eq!(client.status().await, 401);
    ended(&world, &staff.token).await;
}

#[tokio::test]
async fn tokens_that_are_over_for_a_day_are_deleted_so_many_at_a_time() {
    let world = World::start().await;
    let client = world.candidate_signed_in("c").await;
    let now = world.state.clock.wall().unix_ms();
    let day = 24 * 60 * 60 * 1_000;
    for (expires, ended, many) in [
        (now - 2 * day, None, 700),
        (now + day, Some(now - 2 * day), 400),
        (now - day / 2, None, 3),
        (now + day, Some(now - day / 2), 3),
    ] {
        let mut tx = world.state.store.begin().await.expect("a writer");
        qorgan_store::query(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < CAST($3 AS BIGINT)) \
             INSERT INTO tokens (hash, institution_id, kind, person_id, created_ms, expires_ms, \
             ended_ms) SELECT CAST($4 || i AS BLOB), t.institution_id, 'staff', t.person_id, 1, \
             $1, $2 FROM n, (SELECT * FROM tokens LIMIT 1) t",
        )
        .bind(expires)
        .bind(ended)
        .bind(many)
        .bind(format!("{expires} {many} "))
        .execute(&mut *tx)
        .await
        .expect("stored");
        tx.commit().await.expect("stored");
    }
    let mut deleted = Vec::new();
    for _look in 0..4 {
        deleted.push(world.state.auth.delete_over().await.expect("deleted"));
    }
    // The server's own deleter may have been there too.
    assert!(deleted.iter().all(|one| *one <= 500), "{deleted:?}");
    assert_eq!(deleted.last(), Some(&0));
    let left: i64 = qorgan_store::query_scalar("SELECT COUNT(*) FROM tokens")
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
    assert_eq!(left, 7, "the one in use, and what ended today");
    assert_eq!(client.status().await, 200);
}

#[tokio::test]
async fn what_a_session_opened_is_over_with_it_and_asking_does_not_prolong_it() {
    let world = World::start().await;
    let auth = &world.state.auth;
    let once = added(&world, "p").await;
    let first = signed_in(&world, "p", &once).await;
    assert!(
        !auth.still_admits::<Proctor>(&first.token).await,
        "not full"
    );
    let token = auth.change_password(&first, NEW).await.expect("set");
    let owner = auth.session_of(&token).await.expect("signed in");
    auth.totp_begin(&owner).await.expect("begun");
    let code = auth.begun_code_for_tests(&owner, step(&world)).await;
    auth.totp_confirm(&owner, &code).await.expect("right");
    assert!(auth.still_admits::<Proctor>(&token).await);
    assert!(!auth.still_admits::<crate::auth::TestCentre>(&token).await);
    auth.sign_out(&token).await.expect("ended");
    assert!(!auth.still_admits::<Proctor>(&token).await);
}

#[tokio::test]
async fn a_code_that_was_handed_out_is_over_in_time_and_says_so() {
    let world = World::start().await;
    let once = added(&world, "p").await;
    let mut tx = world.state.store.begin().await.expect("a writer");
    qorgan_store::query("UPDATE credentials SET code_until_ms = 1")
        .execute(&mut *tx)
        .await
        .expect("changed");
    tx.commit().await.expect("stored");
    let auth = &world.state.auth;
    let over = auth.sign_in_staff("p", &once, None, HERE).await;
    assert!(matches!(over, Err(AuthError::CodeOver)), "{over:?}");
    let wrong = auth.sign_in_staff("p", "another", None, HERE).await;
    assert!(matches!(wrong, Err(AuthError::WrongPassword)), "{wrong:?}");
    let again = auth.reset("p").await.expect("a new one");
    signed_in(&world, "p", &again.password).await;
    let until: Option<i64> = qorgan_store::query_scalar("SELECT code_until_ms FROM credentials")
        .fetch_one(world.state.store.read())
        .await
        .expect("readable");
    let days = i64::from(world.state.config.sign_in.code_days);
    let wanted = world.state.clock.wall().unix_ms() + days * 86_400_000;
    assert!(until.is_some_and(|until| (wanted - until).abs() < 60_000));
}

async fn added(world: &World, login: &str) -> String {
    let person = new_person(login);
    let auth = &world.state.auth;
    let added = auth.add_staff(&person, StaffRole::Proctor, "test").await;
    added.expect("stored").expect("new").password
}

fn new_person(login: &str) -> NewPerson {
    NewPerson {
        login: login.to_owned(),
        display_name: "P".to_owned(),
        language: "kk".to_owned(),
        ..NewPerson::default()
    }
}

async fn signed_in(world: &World, login: &str, password: &str) -> StaffSession {
    let auth = &world.state.auth;
    let signed = auth.sign_in_staff(login, password, None, HERE).await;
    let token = signed.expect("the right password").token;
    auth.session_of(&token).await.expect("signed in")
}

async fn ended(world: &World, token: &str) {
    let session = world.state.auth.session_of(token).await;
    assert!(
        matches!(session, Err(AuthError::NotSignedIn)),
        "{session:?}"
    );
}

fn step(world: &World) -> u64 {
    u64::try_from(world.state.clock.wall().unix_ms()).expect("after 1970") / 30_000
}

impl World {
    /// Signs a candidate in who has nothing to sit.
    async fn candidate_signed_in(&self, login: &str) -> Client {
        self.person(login).await;
        self.sign_in(&Device::new(), login).await
    }
}
