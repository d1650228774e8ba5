//! A test as somebody's QTI package.

use qorgan_protocol::time::WallTime;
use qorgan_server_core::qti::{Identifiers, Package, Stated, read_package};
use qorgan_tests::exam::package;

use crate::damage::{Damage, damaged};

#[test]
fn whatever_a_package_holds_reading_it_ends_in_a_whole_test_or_in_faults() {
    let good = package("kk").expect("the exam lies in the tree");
    let names: Vec<_> = good
        .keys()
        .filter(|name| name.ends_with(".xml"))
        .cloned()
        .collect();
    bolero::check!()
        .with_type::<(u8, Vec<Damage>)>()
        .for_each(|(which, damages)| {
            let name = names
                .get(usize::from(*which) % names.len())
                .expect("the place is below it");
            let mut package = good.clone();
            let bytes = damaged(&package[name], damages);
            package.insert(name.clone(), bytes);
            assert_whole_or_faulty(&package);
        });
}

#[test]
fn whatever_a_lone_item_holds_reading_it_ends_in_a_whole_test_or_in_faults() {
    let good = package("kk").expect("the exam lies in the tree");
    bolero::check!().with_type::<Vec<u8>>().for_each(|bytes| {
        let mut package = good.clone();
        package.insert("phys-01.xml".to_owned(), bytes.clone());
        assert_whole_or_faulty(&package);
    });
}

fn assert_whole_or_faulty(package: &Package) {
    let mut count = 0_u8;
    let mut random = || {
        count = count.wrapping_add(1);
        [count; 10]
    };
    let at = WallTime::from_unix_ms(1_790_000_000_000);
    let stated = Stated {
        language: "kk".to_owned(),
        ..Stated::default()
    };
    match read_package(
        package,
        &stated,
        &mut Identifiers {
            at,
            random: &mut random,
        },
    ) {
        Ok(test) => {
            assert!(!test.items.is_empty());
            for item in &test.items {
                assert!(!item.correct.is_empty(), "{} has a right choice", item.code);
            }
        }
        Err(faults) => assert!(!faults.is_empty(), "a refusal names its reason"),
    }
}
