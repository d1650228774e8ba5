//! Which module of a crate names which, read off the sources, and where that goes in a circle.
//!
//! Compared are siblings: modules of one parent. What a module says of its own parent or children
//! is the inside of one room. Code of tests counts as none.

mod graph;
mod read;
mod tokens;

pub use graph::{Cycle, cycles};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::SourceFile;

    #[test]
    fn two_modules_that_name_each_other_are_a_cycle_with_its_lines() {
        let found = of(&[
            ("lib.rs", "mod one;\nmod two;\nmod three;"),
            ("one.rs", "use crate::two::Two;\npub struct One;"),
            ("two.rs", "use crate::three::Three;\npub struct Two;"),
            ("three/mod.rs", "mod four;\npub use four::Three;"),
            ("three/four.rs", "pub struct Three(super::super::one::One);"),
        ]);

        let [cycle] = found.as_slice() else {
            panic!("one cycle: {found:#?}");
        };
        assert_eq!(cycle.modules, ["one", "three", "two"]);
        assert_eq!(
            cycle.lines,
            [
                "one -> two: a/src/one.rs:1 crate::two::Two",
                "three -> one: a/src/three/four.rs:1 super::super::one::One",
                "two -> three: a/src/two.rs:1 crate::three::Three",
            ]
        );
    }

    #[test]
    fn a_name_counts_for_the_module_that_has_it_not_for_the_one_that_passes_it_on() {
        let found = of(&[
            ("lib.rs", "mod one;\nmod two;\npub use two::Two;"),
            ("one.rs", "pub struct One(crate::Two);"),
            ("two.rs", "use crate::one::One;\npub struct Two;"),
        ]);

        assert_eq!(found.len(), 1, "{found:#?}");
    }

    #[test]
    fn a_cycle_below_a_module_is_found_too() {
        let found = of(&[
            ("lib.rs", "mod room;"),
            ("room/mod.rs", "mod one;\nmod two;"),
            ("room/one.rs", "use super::two::Two;\npub struct One;"),
            ("room/two.rs", "use super::one::{One};\npub struct Two;"),
        ]);

        let parents: Vec<_> = found.iter().map(|cycle| cycle.parent.as_str()).collect();
        assert_eq!(parents, ["a room"]);
    }

    #[test]
    fn tests_comments_and_texts_name_nothing() {
        let found = of(&[
            ("lib.rs", "mod one;\nmod two;\n#[cfg(test)]\nmod samples;"),
            ("samples.rs", "use crate::one::One;"),
            (
                "one.rs",
                "// crate::two::Two\n/* crate::two::Two /* */ */\npub struct One;\n\
                 const A: &str = \"crate::two::Two\";\nconst B: &str = r#\"crate::two\"#;\n\
                 const C: char = '\"';\n#[cfg(test)]\nmod tests {\n use crate::two::Two;\n}",
            ),
            (
                "two.rs",
                "use crate::one::One;\nuse crate::samples::X;\npub struct Two<'a>(&'a One);",
            ),
        ]);

        assert_eq!(found, []);
    }

    #[test]
    fn a_file_that_stands_elsewhere_belongs_to_the_module_that_names_it() {
        let found = of(&[
            ("lib.rs", "mod clock;\nmod other;"),
            (
                "clock/mod.rs",
                "cfg_select! {\n target_os = \"linux\" => {\n #[path = \"imp/linux.rs\"]\n mod imp;\n }\n}\n\
                 pub struct Now;",
            ),
            ("clock/imp/linux.rs", "use super::super::other::Other;"),
            ("other.rs", "use crate::clock::Now;\npub struct Other;"),
        ]);

        assert_eq!(found.len(), 1, "{found:#?}");
    }

    #[test]
    fn a_file_that_stands_elsewhere_in_some_builds_is_read_beside_the_other() {
        let found = of(&[
            ("lib.rs", "mod room;\nmod other;"),
            (
                "room/mod.rs",
                "#[cfg_attr(not(feature = \"x\"), path = \"without.rs\")]\nmod with;\npub struct R;",
            ),
            ("room/with.rs", "pub struct With;"),
            ("room/without.rs", "use crate::other::Other;"),
            ("other.rs", "use crate::room::R;\npub struct Other;"),
        ]);

        assert_eq!(found.len(), 1, "{found:#?}");
    }

    fn of(files: &[(&str, &str)]) -> Vec<Cycle> {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| SourceFile {
                path: format!("a/src/{path}"),
                text: (*text).to_owned(),
            })
            .collect();
        cycles(&files, "a").expect("readable")
    }
}
