use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::harness::World;
use crate::console::{PeopleReport, Step, apply_people, read_people_list};

async fn import(world: &World, text: &str) -> PeopleReport {
    let read = read_people_list(&world.state, "p.csv", text.as_bytes()).await;
    let sheet = read.expect("readable").expect("no fault");
    let applied = apply_people(&world.state, &sheet.rows, "test", &|_, _| {}).await;
    applied.expect("applied")
}

async fn on_file(world: &World, login: &str) -> (String, String, String, String, String) {
    let sql = "SELECT p.display_name, p.language, p.unit, p.email, d.group_name FROM people p \
        JOIN person_details d ON d.person_id = p.id WHERE p.login = $1";
    let row = qorgan_store::query_as(sql).bind(login);
    row.fetch_one(world.state.store.read())
        .await
        .expect("on file")
}

#[tokio::test]
async fn a_second_list_with_fewer_columns_wipes_nothing() {
    let world = World::start().await;
    let first = "login;тегі;аты;тілі;факультет;курс;топ;email\n\
        Aset.K;Әлі;Әсет;ru;ЖМ;2;ЖМ-1;a@b.kz\n";
    assert_eq!(import(&world, first).await.codes.len(), 1);

    let second = import(&world, "login;топ\nASET.K;ЖМ-2\n").await;

    assert!(second.codes.is_empty(), "the code that was given holds");
    let owned = |text: &str| text.to_owned();
    let wanted = (
        owned("Әлі Әсет"),
        owned("ru"),
        owned("ЖМ · 2 · ЖМ-2"),
        owned("a@b.kz"),
        owned("ЖМ-2"),
    );
    assert_eq!(on_file(&world, "aset.k").await, wanted);
}

#[tokio::test]
async fn a_number_that_lost_its_zero_makes_no_second_account() {
    let world = World::start().await;
    import(&world, "жсн;тегі;аты\n040101500009;Әлі;Әсет\n").await;

    let list = "login;тегі;аты\n40101500009;Әлі;Әсет\n";
    let read = read_people_list(&world.state, "p.csv", list.as_bytes()).await;

    let faults = read.expect("readable").expect_err("a likely account");
    assert_eq!(faults[0].kind.word(), "lost-zero");
    assert!(faults[0].to_string().contains("040101500009"));
}

#[tokio::test]
async fn a_thousand_people_get_codes_that_are_hashed_cheaply_and_the_progress_is_told() {
    let world = World::start().await;
    let mut text = "login;тегі;аты\n".to_owned();
    for number in 0..1_000 {
        writeln!(text, "p{number:04};Әлі;Дос").expect("written");
    }
    let read = read_people_list(&world.state, "p.csv", text.as_bytes()).await;
    let sheet = read.expect("readable").expect("no fault");
    let (hashed, written) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tell = |step, done| match step {
        Step::Hashed => hashed.store(done, Ordering::Relaxed),
        Step::Written => written.store(done, Ordering::Relaxed),
    };

    let report = apply_people(&world.state, &sheet.rows, "test", &tell).await;

    let report = report.expect("applied");
    assert_eq!((report.imported, report.codes.len()), (1_000, 1_000));
    assert_eq!(hashed.load(Ordering::Relaxed), 1_000);
    assert_eq!(written.load(Ordering::Relaxed), 1_000);
    let codes: std::collections::BTreeSet<_> = report.codes.iter().map(|one| &one.2).collect();
    assert_eq!(codes.len(), 1_000);
    let hashes = qorgan_store::query_scalar("SELECT password_hash FROM credentials");
    let hashes: Vec<String> = hashes
        .fetch_all(world.state.store.read())
        .await
        .expect("read");
    let cheap = hashes
        .iter()
        .filter(|hash| hash.contains("t=1,p=1"))
        .count();
    assert!(cheap >= 1_000, "{cheap}");
}
