//! People are found in whatever form and case a name is stored and typed.

use std::time::Duration;

use qorgan_protocol::attempt::GatePolicy;

use super::harness::World;
use super::staff::proctor;
use crate::auth::cookie;
use crate::console::{apply_people, read_people_list};
use crate::registry::{BoardOf, BoardQuery};
use qorgan_store::assigned::{Scope, assign};
use qorgan_store::people::{NewPerson, put_person};

/// As a system that takes letters apart writes it.
const APART: &str = "И\u{306}ылдырым  Ғалия";

async fn galiya(world: &World) {
    let sitting = world.sitting(-60, Duration::from_secs(3_600), GatePolicy::remote());
    let sitting = sitting.await;
    let person = world.person("галия-1").await;
    let attempt = world.admit(sitting, person, "").await;
    let named = NewPerson {
        login: "ГАЛИЯ-1".to_owned(),
        display_name: APART.to_owned(),
        language: "kk".to_owned(),
        ..NewPerson::default()
    };
    let (keys, at) = (&world.state.keys, world.state.clock.wall());
    let mut tx = world.state.store.begin().await.expect("a writer");
    let same = put_person(&mut tx, keys, at, &named).await.expect("stored");
    tx.commit().await.expect("stored");
    assert_eq!(same, person);
    let list = "login;топ\nгалия-1;ВМ-101\n".as_bytes();
    let read = read_people_list(&world.state, "p.csv", list).await;
    let sheet = read.expect("readable").expect("no fault");
    let applied = apply_people(&world.state, &sheet.rows, "test", &|_, _| {}).await;
    applied.expect("applied");
    let ended = "UPDATE attempts SET phase_word = 'submitted', check_in_ms = 1, submitted_ms = 2 \
        WHERE id = $1";
    let mut tx = world.state.store.begin().await.expect("a writer");
    let ended = qorgan_store::query(ended).bind(attempt.to_string());
    ended.execute(&mut *tx).await.expect("ended");
    tx.commit().await.expect("stored");
}

#[tokio::test]
async fn the_board_finds_a_name_in_whatever_form_and_case_it_is_typed() {
    let world = World::start().await;
    galiya(&world).await;
    for (typed, found) in [
        ("йылдырым ғалия", 1),
        ("ЙЫЛДЫРЫМ  ҒАЛИЯ", 1),
        (APART, 1),
        ("и\u{306}ыл", 1),
        ("Галия-1", 1),
        ("йылдырым галия", 0),
    ] {
        let query = BoardQuery {
            scope: Scope::All,
            of: BoardOf::All,
            named: typed.to_owned(),
            offset: 0,
            limit: 10,
        };
        let lines = world.state.registry.board(&query).await;
        assert_eq!(lines.expect("readable").len(), found, "{typed}");
    }
    let stored: String =
        qorgan_store::query_scalar("SELECT display_name FROM people WHERE login = 'галия-1'")
            .fetch_one(world.state.store.read())
            .await
            .expect("stored");
    assert_eq!(
        stored, "Йылдырым  Ғалия",
        "letters are composed at the edge"
    );
}

#[tokio::test]
async fn the_reviews_find_name_group_and_exam_in_whatever_case_they_are_typed() {
    let world = World::start().await;
    galiya(&world).await;
    let (token, _csrf) = proctor(&world).await;
    let sitting: String = qorgan_store::query_scalar("SELECT id FROM sittings")
        .fetch_one(world.state.store.read())
        .await
        .expect("stored");
    let whom = (sitting.parse().expect("an identifier"), "p");
    let by = (world.state.clock.wall(), "test");
    let mut tx = world.state.store.begin().await.expect("a writer");
    assign(&mut tx, &world.state.keys, by, whom, true)
        .await
        .expect("assigned");
    tx.commit().await.expect("stored");
    let pair = cookie(&token).expect("a token");
    let pair = pair.to_str().expect("text").split(';').next();
    let pair = pair.unwrap_or_default();
    for (typed, is_found) in [
        ("", true),
        ("И\u{306}ЫЛДЫРЫМ", true),
        ("вм-101", true),
        ("АНАТОМИЯ", true),
        ("вм-102", false),
    ] {
        let reviews = format!("{}/console/reviews", world.origin);
        let url = reqwest::Url::parse_with_params(&reviews, [("q", typed)]).expect("an address");
        let asked = world.http.get(url).header("cookie", pair.to_owned());
        let response = asked.send().await.expect("answered");
        assert_eq!(response.status(), 200, "{typed}");
        let page = response.text().await.expect("a page");
        assert_eq!(page.contains("Ғалия"), is_found, "{typed}");
    }
    let names = qorgan_store::query(
        "UPDATE people SET folded = NULL, login = 'ГАЛИЯ-1' WHERE login = 'галия-1'",
    );
    let mut tx = world.state.store.begin().await.expect("a writer");
    names.execute(&mut *tx).await.expect("unfolded");
    tx.commit().await.expect("stored");

    let world = world.restart().await;

    let folded: (String, String) =
        qorgan_store::query_as("SELECT folded, login FROM people WHERE folded LIKE '%галия-1'")
            .fetch_one(world.state.store.read())
            .await
            .expect("folded again");
    assert_eq!(folded.0, "йылдырым ғалия галия-1");
    assert_eq!(folded.1, "галия-1");
}
