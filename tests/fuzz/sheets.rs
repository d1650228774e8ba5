//! Lists of people and admissions as somebody's CSV.

use qorgan_server_core::sheets::{POSITIVE_RATING_DEFAULT, read_admission, read_people};
use qorgan_tests::exam::sheet;

use crate::damage::{Damage, damaged};

#[test]
fn whatever_a_list_of_people_holds_reading_it_ends_in_rows_or_in_faults() {
    let good = sheet("candidates.csv").expect("the exam lies in the tree");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(
            |damages| match read_people("people.csv", &damaged(&good, damages)) {
                Ok(people) => assert!(people.rows.iter().all(|person| !person.login.is_empty())),
                Err(faults) => assert!(!faults.is_empty(), "a refusal names its reason"),
            },
        );
}

#[test]
fn whatever_an_admission_sheet_holds_reading_it_ends_in_rows_or_in_faults() {
    let good = sheet("admission.csv").expect("the exam lies in the tree");
    bolero::check!()
        .with_type::<Vec<Damage>>()
        .for_each(|damages| {
            let bytes = damaged(&good, damages);
            match read_admission("admission.csv", &bytes, POSITIVE_RATING_DEFAULT) {
                Ok(sheet) => assert!(sheet.rows.iter().all(|row| !row.login.is_empty())),
                Err(faults) => assert!(!faults.is_empty(), "a refusal names its reason"),
            }
        });
}
