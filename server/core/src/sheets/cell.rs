//! One cell: the traces of spreadsheets taken off, blanks made one, letters composed, and what
//! nobody sees found.

use unicode_normalization::UnicodeNormalization as _;

/// A cell that was read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Cell {
    /// What stands in it.
    pub(super) text: String,
    /// The first character in it that nobody sees.
    pub(super) hidden: Option<char>,
}

impl Cell {
    /// Reads a cell as written.
    pub(super) fn read(raw: &str) -> Self {
        let mut cell = Self::default();
        for character in unwrapped(raw.trim()).nfc() {
            if character.is_whitespace() {
                if !cell.text.ends_with(' ') {
                    cell.text.push(' ');
                }
            } else if is_hidden(character) {
                cell.hidden = cell.hidden.or(Some(character));
            } else {
                cell.text.push(character);
            }
        }
        cell.text = cell.text.trim().to_owned();
        cell
    }
}

/// Takes off what makes a spreadsheet keep a cell as text: `="…"`, and `'` before a number or a
/// sign of a formula.
fn unwrapped(raw: &str) -> &str {
    let formula = raw
        .strip_prefix("=\"")
        .and_then(|raw| raw.strip_suffix('"'));
    if let Some(inner) = formula {
        return inner;
    }
    let Some(rest) = raw.strip_prefix('\'') else {
        return raw;
    };
    let number = !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit());
    if number || rest.starts_with(['=', '+', '-', '@', '\t']) {
        rest
    } else {
        raw
    }
}

/// Tells whether nobody sees a character: a control, a direction, no width, or no meaning of its
/// own.
fn is_hidden(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'..='\u{200f}'
                | '\u{202a}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e000}'..='\u{f8ff}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

/// Tells whether letters were lost when a name was saved: a question mark beside a letter, or the
/// sign that stands for what could not be read.
pub(super) fn lost_letters(name: &str) -> bool {
    name.contains(['?', '\u{fffd}'])
}

/// Tells whether a name has signs that names do not have.
pub(super) fn is_odd(name: &str) -> bool {
    let known = |one: char| one.is_alphanumeric() || " -–'’ʼ`´.,()·".contains(one) || is_mark(one);
    !name.chars().all(known)
}

const fn is_mark(character: char) -> bool {
    matches!(character, '\u{300}'..='\u{36f}')
}

/// Returns the first word with letters of two alphabets, and those of the rarer one.
pub(super) fn mixed_word(text: &str) -> Option<(String, String)> {
    text.split(|one: char| !one.is_alphabetic()).find_map(mixed)
}

fn mixed(word: &str) -> Option<(String, String)> {
    let of = |wanted: Alphabet| -> String {
        let letters = word.chars();
        letters
            .filter(|one| alphabet(*one) == Some(wanted))
            .collect()
    };
    let mut found = [Alphabet::Latin, Alphabet::Cyrillic, Alphabet::Greek].map(of);
    found.sort_by_key(|letters| letters.chars().count());
    let rarer = found.into_iter().filter(|letters| !letters.is_empty());
    let mut rarer = rarer.collect::<Vec<_>>().into_iter();
    let first = rarer.next()?;
    rarer.next().map(|_more| (word.to_owned(), first))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Alphabet {
    Latin,
    Cyrillic,
    Greek,
}

const fn alphabet(letter: char) -> Option<Alphabet> {
    match letter {
        'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => {
            Some(Alphabet::Latin)
        }
        '\u{400}'..='\u{52f}' => Some(Alphabet::Cyrillic),
        '\u{370}'..='\u{3ff}' | '\u{1f00}'..='\u{1fff}' => Some(Alphabet::Greek),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_spreadsheets_add_to_a_cell_is_taken_off() {
        for (raw, text) in [
            ("=\"040101500009\"", "040101500009"),
            ("'040101500009", "040101500009"),
            ("'=1+1", "=1+1"),
            ("'Абд", "'Абд"),
            ("О'Ғали", "О'Ғали"),
            (" \u{a0}a9\u{a0}", "a9"),
            ("А\n Б", "А Б"),
            ("И\u{306}", "Й"),
        ] {
            let cell = Cell::read(raw);
            assert_eq!((cell.text.as_str(), cell.hidden), (text, None), "{raw:?}");
        }
    }

    #[test]
    fn what_nobody_sees_is_found() {
        for hidden in [
            '\u{7}', '\u{1b}', '\0', '\u{202e}', '\u{200b}', '\u{2067}', '\u{ad}',
        ] {
            let cell = Cell::read(&format!("А{hidden}Б"));
            assert_eq!((cell.text.as_str(), cell.hidden), ("АБ", Some(hidden)));
        }
    }

    #[test]
    fn letters_of_two_alphabets_in_one_word_are_found_with_the_rarer_ones() {
        let found = mixed_word("Жан Acан").expect("two Latin letters");
        assert_eq!(found, ("Acан".to_owned(), "Ac".to_owned()));
        for good in ["Smith Иванов", "ЖМ-A", "Әсет", "O'Brien"] {
            assert_eq!(mixed_word(good), None, "{good}");
        }
    }

    #[test]
    fn signs_of_formulas_and_pages_are_no_parts_of_names() {
        for odd in ["=HYPERLINK(\"x\")", "@SUM(1)", "<b>Б</b>", "А;Б"] {
            assert!(is_odd(odd), "{odd}");
        }
        for good in ["О'Ғали", "Жан-Мәди", "Иванов И.И.", "Ким (Пак)"] {
            assert!(!is_odd(good), "{good}");
        }
    }
}
