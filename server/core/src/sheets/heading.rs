//! Headings: what a column may be called, however it is written.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

use crate::login::skeleton;

/// A column: its key, what it may be called, whether it must be there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    /// Its key in code.
    pub(super) key: &'static str,
    /// Headings that it is known by, as [`normal`] returns them.
    pub(super) names: &'static [&'static str],
    /// Whether a sheet without it is refused.
    pub(super) required: bool,
}

/// The headings of every column, for looking one up.
#[derive(Debug)]
pub(super) struct Headings(BTreeMap<String, &'static str>);

impl Headings {
    /// Takes the names of columns.
    pub(super) fn new(columns: &[Column]) -> Self {
        let names = columns
            .iter()
            .flat_map(|column| column.names.iter().map(|name| (skeleton(name), column.key)));
        Self(names.collect())
    }

    /// Returns the key of the column that a heading names: as it stands, without what stands in
    /// brackets, by what stands in them, or where each part between slashes and lines names it.
    pub(super) fn key(&self, heading: &str) -> Option<&'static str> {
        let (outside, inside) = brackets(heading);
        [heading, &outside, &inside]
            .into_iter()
            .find_map(|text| self.whole(text))
            .or_else(|| self.parts(heading))
    }

    fn whole(&self, text: &str) -> Option<&'static str> {
        let name = normal(text);
        let known = |name: &str| self.0.get(&skeleton(name)).copied();
        known(&name).or_else(|| {
            let words = name.split(' ').filter(|word| !OWNERS.contains(word));
            known(&words.collect::<Vec<_>>().join(" "))
        })
    }

    fn parts(&self, heading: &str) -> Option<&'static str> {
        let parts = heading.split(['/', '|', '\n', '\\']);
        let mut keys = parts
            .filter(|part| !part.trim().is_empty())
            .map(|part| self.whole(part));
        let first = keys.next()??;
        keys.all(|key| key == Some(first)).then_some(first)
    }
}

/// Returns words as they are compared: in lower case, `ё` as `е`, every sign but `№` a blank, one
/// blank between words.
pub(super) fn normal(text: &str) -> String {
    let mut words = String::new();
    for character in text.nfc().flat_map(char::to_lowercase) {
        let character = match character {
            'ё' => 'е',
            one if one.is_alphanumeric() || one == '№' => one,
            _ => ' ',
        };
        if character != ' ' || !words.ends_with(' ') {
            words.push(character);
        }
    }
    words.trim().to_owned()
}

/// Parts a text into what stands outside brackets and what inside.
fn brackets(text: &str) -> (String, String) {
    let (mut outside, mut inside) = (String::new(), String::new());
    let mut depth = 0_u32;
    for character in text.chars() {
        match character {
            '(' | '[' => depth = depth.saturating_add(1),
            ')' | ']' => depth = depth.saturating_sub(1),
            one if depth > 0 => inside.push(one),
            one => outside.push(one),
        }
    }
    (outside, inside)
}

/// Words in headings that say whose a column is, not what.
const OWNERS: [&str; 12] = [
    "студента",
    "обучающегося",
    "студенттің",
    "білім",
    "алушының",
    "кандидата",
    "сотрудника",
    "student",
    "students",
    "candidate",
    "s",
    "of",
];

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 2] = [
        Column {
            key: "family_name",
            names: &["тегі", "фамилия"],
            required: true,
        },
        Column {
            key: "login",
            names: &["логин", "login"],
            required: true,
        },
    ];

    #[test]
    fn a_heading_is_known_however_it_is_written() {
        let headings = Headings::new(&COLUMNS);
        for heading in [
            "ТЕГІ",
            "Тегі *",
            "тегі\n(фамилия)",
            "Тегі / Фамилия",
            "Аз (фамилия)",
            "фамилия\u{a0}",
            "Фaмилия",
            "Фамилия студента",
        ] {
            assert_eq!(headings.key(heading), Some("family_name"), "{heading}");
        }
        assert_eq!(headings.key("Логин / Фамилия"), None);
        assert_eq!(headings.key("Балл"), None);
        assert_eq!(headings.key(""), None);
    }
}
