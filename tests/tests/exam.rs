//! The exam in the tree is one that the imports take, and the bad one is refused
//! with every error named.

#![expect(clippy::tests_outside_test_module, reason = "the whole crate is tests")]

use qorgan_protocol::assessment::{AssessmentTest, Block, Interaction};
use qorgan_protocol::time::WallTime;
use qorgan_server_core::fault::Fault;
use qorgan_server_core::qti::{Identifiers, Stated, read_package};
use qorgan_server_core::sheets::{POSITIVE_RATING_DEFAULT, read_admission, read_people};
use qorgan_tests::exam::{package, sheet};

#[test]
fn both_languages_are_taken_whole_and_ask_the_same() {
    let [kk, ru] = ["kk", "ru"].map(|language| read(language, language).expect("no fault"));

    assert_eq!(kk.items.len(), 20);
    for (one, other) in kk.items.iter().zip(&ru.items) {
        assert_eq!((&one.code, &one.correct), (&other.code, &other.correct));
        assert_eq!(choices(&one.interaction), choices(&other.interaction));
        assert_eq!(pictures(&one.body), pictures(&other.body));
    }
    let several = kk
        .items
        .iter()
        .filter(|item| item.correct.len() > 1)
        .count();
    let shown = kk
        .items
        .iter()
        .filter(|item| pictures(&item.body) > 0)
        .count();
    assert_eq!((several, shown), (5, 13));
}

#[test]
fn every_item_of_the_bad_package_is_named_among_its_faults() {
    let faults = read("bad/qti", "kk").expect_err("it is full of errors");

    for number in 1..=7 {
        let file = format!("bad-0{number}");
        let named = faults.iter().any(|fault| fault.to_string().contains(&file));
        assert!(named, "{file} is not named in {faults:#?}");
    }
}

//= tests/data/sop-2-28.md#7-admission
//= type=test
#[test]
fn whose_rating_is_not_positive_is_not_admitted() {
    let people = sheet("candidates.csv").expect("it lies in the tree");
    let people = read_people("candidates.csv", &people)
        .expect("no fault")
        .rows;
    assert_eq!(people.len(), 12);

    let rows = sheet("admission.csv").expect("it lies in the tree");
    let sheet = read_admission("admission.csv", &rows, POSITIVE_RATING_DEFAULT);
    let rows = sheet.expect("no fault").rows;

    let refused: Vec<_> = rows
        .iter()
        .filter(|row| row.admitted == Some(false))
        .map(|row| row.login.as_str())
        .collect();
    assert_eq!(refused, ["alisher.qasymov"]);
    assert!(
        rows.iter().all(|row| row.login != "erkebulan.smagul"),
        "who has no rating is not on it"
    );
}

#[test]
fn every_bad_line_of_a_sheet_is_named_among_its_faults() {
    let people = sheet("bad/candidates.csv").expect("it lies in the tree");
    let faults = read_people("people.csv", &people).expect_err("it is full of errors");
    assert_eq!(lines(&faults), [3, 4, 5, 6, 7]);

    let rows = sheet("bad/admission.csv").expect("it lies in the tree");
    let faults = read_admission("admission.csv", &rows, POSITIVE_RATING_DEFAULT)
        .expect_err("it is full of errors");
    assert_eq!(lines(&faults), [2, 3, 4, 5]);
}

fn read(folder: &str, language: &str) -> Result<AssessmentTest, Vec<Fault>> {
    let mut count = 0_u8;
    let mut random = || {
        count = count.wrapping_add(1);
        [count; 10]
    };
    let at = WallTime::from_unix_ms(1_790_000_000_000);
    let stated = Stated {
        language: language.to_owned(),
        ..Stated::default()
    };
    let files = package(folder).expect("it lies in the tree");
    read_package(
        &files,
        &stated,
        &mut Identifiers {
            at,
            random: &mut random,
        },
    )
}

fn choices(interaction: &Interaction) -> usize {
    match interaction {
        Interaction::SingleChoice { choices } | Interaction::MultipleChoice { choices, .. } => {
            choices.len()
        }
    }
}

fn pictures(body: &[Block]) -> usize {
    body.iter()
        .filter(|block| matches!(block, Block::Picture { .. }))
        .count()
}

fn lines(faults: &[Fault]) -> Vec<u32> {
    let mut lines: Vec<_> = faults.iter().filter_map(|fault| fault.place.line).collect();
    lines.dedup();
    lines
}
