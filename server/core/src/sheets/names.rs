//! A full name as family name, given name and patronymic.

/// The parts of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) family: String,
    pub(super) given: String,
    pub(super) patronymic: String,
}

/// Splits a full name: family name first, as registries write it, unless a patronymic in the middle
/// says that the family name stands last. `None` for a single word.
pub(super) fn split(full: &str) -> Option<Name> {
    if let Some((family, rest)) = full.split_once(',') {
        let (given, patronymic) = first_word(rest);
        return named(family.trim(), given, patronymic);
    }
    let words: Vec<&str> = full.split_whitespace().collect();
    match words.as_slice() {
        [given, patronymic, family] if is_patronymic(patronymic) && !is_patronymic(family) => {
            named(family, given, patronymic)
        }
        [family, given, ..] => {
            let (_family, rest) = first_word(full);
            let (_given, patronymic) = first_word(rest);
            named(family, given, patronymic)
        }
        [_] | [] => None,
    }
}

fn named(family: &str, given: &str, patronymic: &str) -> Option<Name> {
    (!family.is_empty() && !given.is_empty()).then(|| Name {
        family: family.to_owned(),
        given: given.to_owned(),
        patronymic: patronymic.to_owned(),
    })
}

fn first_word(text: &str) -> (&str, &str) {
    let text = text.trim();
    let (first, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    (first, rest.trim())
}

fn is_patronymic(word: &str) -> bool {
    let word = word.to_lowercase();
    PATRONYMICS.iter().any(|end| word.ends_with(end))
}

const PATRONYMICS: [&str; 12] = [
    "вич", "ьич", "вна", "чна", "ұлы", "улы", "қызы", "кызы", "uly", "kyzy", "qyzy", "vich",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_name_is_split_as_it_is_written_here() {
        for (full, parts) in [
            ("Иванов Иван Иванович", ["Иванов", "Иван", "Иванович"]),
            ("Иван Иванович Иванов", ["Иванов", "Иван", "Иванович"]),
            ("Әбілқасымова Гүлнұр", ["Әбілқасымова", "Гүлнұр", ""]),
            ("Серікұлы Ерлан Маратұлы", ["Серікұлы", "Ерлан", "Маратұлы"]),
            ("Алиев Рамиз Ахмед оглы", ["Алиев", "Рамиз", "Ахмед оглы"]),
            ("Иванов, Иван Иванович", ["Иванов", "Иван", "Иванович"]),
            ("Иванов И.И.", ["Иванов", "И.И.", ""]),
        ] {
            let name = split(full).expect("a name");
            assert_eq!([name.family, name.given, name.patronymic], parts, "{full}");
        }
        for single in ["", "Иванов", "Иванов,", ", Иван"] {
            assert_eq!(split(single), None, "{single}");
        }
    }
}
