//! Logins and names: one folding for lists, forms, searches and sign-in, and what a login may be.
//!
//! # Invariants
//! * Folding twice gives what folding once gives.
//! * What is stored is folded; whoever compares folds first.

use unicode_normalization::UnicodeNormalization as _;

/// The longest login, in characters.
pub const LOGIN_CHARS_MAX: usize = 64;

/// Returns a login as it is stored and looked up: without blanks at its ends, in lower case, its
/// letters composed.
///
/// The dot that Turkish keeps above a small `i` is dropped, so that `İ` and `I` are one letter.
#[must_use]
pub fn fold_login(typed: &str) -> String {
    let lower = typed.nfc().collect::<String>().to_lowercase();
    let mut folded = String::with_capacity(lower.len());
    for character in lower.trim().nfc() {
        if character != DOT_ABOVE || !folded.ends_with('i') {
            folded.push(character);
        }
    }
    folded.nfc().collect()
}

/// Returns a text as people are searched by it: folded like a login, each run of blanks made one.
///
/// What is stored and what is typed go through this alike, so that neither the form in which a
/// system writes its letters nor their case hides anybody.
#[must_use]
pub fn fold_search(text: &str) -> String {
    let words: Vec<String> = text.split_whitespace().map(fold_login).collect();
    words.join(" ")
}

/// Returns a text with its letters composed, as names are stored.
#[must_use]
pub fn compose(text: &str) -> String {
    text.nfc().collect()
}

/// Tells whether a folded login is one: letters, digits and `.`, `-`, `_`, `@`, `+`.
#[must_use]
pub fn is_login(folded: &str) -> bool {
    let known = |character: char| character.is_alphanumeric() || ".-_@+".contains(character);
    !folded.is_empty() && folded.chars().all(known)
}

/// Returns a text with every Cyrillic letter that looks like a Latin one replaced by it: two texts
/// that read alike have one skeleton.
#[must_use]
pub fn skeleton(text: &str) -> String {
    text.to_lowercase().chars().map(latin_twin).collect()
}

fn latin_twin(character: char) -> char {
    let known = LOOK_ALIKES.iter().find(|(one, _)| *one == character);
    known.map_or(character, |(_, latin)| *latin)
}

/// Small Cyrillic letters and the Latin ones that they are taken for, in either case.
const LOOK_ALIKES: [(char, char); 16] = [
    ('а', 'a'),
    ('в', 'b'),
    ('е', 'e'),
    ('ё', 'ë'),
    ('һ', 'h'),
    ('і', 'i'),
    ('ј', 'j'),
    ('к', 'k'),
    ('м', 'm'),
    ('н', 'h'),
    ('о', 'o'),
    ('р', 'p'),
    ('с', 'c'),
    ('т', 't'),
    ('у', 'y'),
    ('х', 'x'),
];

const DOT_ABOVE: char = '\u{307}';

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_one_however_it_is_typed() {
        for (typed, stored) in [
            ("Aset.K", "aset.k"),
            ("  aset.k\u{a0}", "aset.k"),
            ("İBRAHIM", "ibrahim"),
            ("cafe\u{301}", "café"),
            ("CAFÉ", "café"),
            ("Әсет", "әсет"),
            ("И\u{306}ВАН", "йван"),
        ] {
            assert_eq!(fold_login(typed), stored, "{typed}");
        }
    }

    #[test]
    fn a_name_is_found_in_whatever_form_and_case_it_is_typed() {
        let stored = fold_search("И\u{306}ылдырым  Ғалия\u{a0}Өмірқызы e\u{308}lena aset.k");
        for typed in [
            "йылдырым",
            "ЙЫЛДЫРЫМ ҒАЛИЯ",
            "и\u{306}ылдырым ғалия өмірқызы",
            " ғалия  ӨМІРҚЫЗЫ ",
            "ËLENA",
            "Aset.K",
        ] {
            assert!(stored.contains(&fold_search(typed)), "{typed}");
        }
        assert!(!stored.contains(&fold_search("галия")), "Ғ is no Г");
        assert_eq!(fold_search(" \n"), "");
    }

    #[test]
    fn a_login_is_letters_digits_and_five_marks() {
        for good in ["a1", "040101500001", "a+b@x.kz", "әсет_к"] {
            assert!(is_login(good), "{good}");
        }
        for bad in ["", "a b", "a,b", "a\u{200b}", "a;b", "a/b"] {
            assert!(!is_login(bad), "{bad}");
        }
    }

    #[test]
    fn what_reads_alike_has_one_skeleton() {
        assert_eq!(skeleton("ВМ101"), skeleton("BM101"));
        assert_eq!(skeleton("сора"), skeleton("copa"));
        assert_ne!(skeleton("aset"), skeleton("азет"));
    }

    proptest::proptest! {
        #[test]
        fn folding_twice_gives_what_folding_once_gives(typed in "\\PC{0,20}") {
            let folded = fold_login(&typed);
            proptest::prop_assert_eq!(fold_login(&folded), folded);
        }
    }
}
