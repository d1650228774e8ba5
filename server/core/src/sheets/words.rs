//! Words and numbers in cells, as registries and people write them.

use super::heading::normal;
use super::role::Role;

/// Reads yes or no; an empty cell is neither.
///
/// # Errors
/// The word, where it is none of them.
pub(super) fn yes_or_no(text: &str) -> Result<Option<bool>, String> {
    match text {
        "" => return Ok(None),
        "+" | "✓" | "✔" | "☑" => return Ok(Some(true)),
        "-" | "–" | "—" | "✗" | "✘" | "☐" => return Ok(Some(false)),
        _ => {}
    }
    let wanted = normal(text);
    let wanted = wanted.strip_suffix(" а").unwrap_or(&wanted);
    if YES.contains(&wanted) {
        Ok(Some(true))
    } else if NO.contains(&wanted) {
        Ok(Some(false))
    } else {
        Err(text.to_lowercase())
    }
}

/// Tells whether a cell says that there is nothing.
pub(super) fn is_no(text: &str) -> bool {
    yes_or_no(text) == Ok(Some(false))
}

/// Reads a language as `kk`, `ru` or `en`.
pub(super) fn language(text: &str) -> Option<&'static str> {
    let wanted = normal(text);
    let words: Vec<&str> = wanted
        .split(' ')
        .filter(|word| !LANGUAGE_FILLERS.contains(word))
        .collect();
    let [word] = words.as_slice() else {
        return None;
    };
    let known = LANGUAGES.iter().find(|(_, names)| names.contains(word));
    known.map(|(code, _)| *code)
}

/// Reads the highest of the roles that a cell names, parted by commas and the like.
///
/// # Errors
/// The word, where it is none.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let mut highest = Role::Candidate;
    for word in text.split([',', ';', '/', '+', '|']) {
        let wanted = normal(word);
        let known = ROLES
            .iter()
            .find(|(_, names)| names.contains(&wanted.as_str()));
        let (role, _) = known.ok_or_else(|| word.trim().to_lowercase())?;
        highest = highest.max(*role);
    }
    Ok(highest)
}

/// Reads a whole number, with or without its unit or an empty fraction: `2`, `2.0`, `2 курс`.
pub(super) fn whole_number(text: &str, units: &[&str]) -> Option<u32> {
    let digits_end = text
        .find(|one: char| !one.is_ascii_digit())
        .unwrap_or(text.len());
    let (digits, rest) = text.split_at(digits_end);
    let rest = rest.strip_prefix(['.', ',']).map_or(rest, |fraction| {
        let zeros = fraction.trim_start_matches('0');
        if zeros.len() < fraction.len() {
            zeros
        } else {
            rest
        }
    });
    let unit = normal(rest);
    let known = unit.is_empty() || unit.split(' ').all(|word| units.contains(&word));
    known.then(|| digits.parse().ok()).flatten()
}

/// Reads a year of study: a number, or a Roman one.
pub(super) fn year(text: &str) -> Option<u32> {
    if let Some(year) = whole_number(text, YEAR_UNITS) {
        return Some(year);
    }
    let wanted = normal(text);
    let mut words = wanted.split(' ').filter(|word| !YEAR_UNITS.contains(word));
    let (first, more) = (words.next()?, words.next());
    let roman = first.replace('і', "i").replace('х', "x");
    let at = ROMAN.iter().position(|one| *one == roman);
    at.filter(|_at| more.is_none())
        .and_then(|at| u32::try_from(at + 1).ok())
}

/// Units of minutes.
pub(super) const MINUTE_UNITS: &[&str] = &[
    "мин",
    "минут",
    "минута",
    "минуты",
    "минуттар",
    "min",
    "minute",
    "minutes",
    "mins",
    "m",
];
const YEAR_UNITS: &[&str] = &[
    "курс",
    "курса",
    "курсы",
    "course",
    "year",
    "kurs",
    "й",
    "ый",
    "ой",
    "ші",
    "шы",
    "го",
    "st",
    "nd",
    "rd",
    "th",
    "год",
];
const ROMAN: [&str; 10] = ["i", "ii", "iii", "iv", "v", "vi", "vii", "viii", "ix", "x"];

const YES: &[&str] = &[
    "yes",
    "y",
    "1",
    "иә",
    "ия",
    "да",
    "д",
    "true",
    "v",
    "жіберілді",
    "жіберілген",
    "жіберіледі",
    "жіберу",
    "допущен",
    "допущена",
    "допущено",
    "допущены",
    "допускается",
    "допустить",
    "допуск",
    "admitted",
    "allowed",
    "eligible",
];
const NO: &[&str] = &[
    "no",
    "n",
    "0",
    "жоқ",
    "нет",
    "н",
    "false",
    "жіберілмеді",
    "жіберілмеген",
    "жіберілмейді",
    "жіберілмесін",
    "не допущен",
    "не допущена",
    "не допущено",
    "не допущены",
    "недопущен",
    "недопущена",
    "недопущено",
    "не допускается",
    "не допустить",
    "недопуск",
    "не допуск",
    "not admitted",
    "not allowed",
    "denied",
    "refused",
];

const LANGUAGE_FILLERS: &[&str] = &[
    "язык",
    "языке",
    "яз",
    "тілі",
    "тілінде",
    "тіл",
    "language",
    "отделение",
    "отд",
    "бөлім",
    "бөлімі",
    "группа",
    "группы",
    "тобы",
    "топ",
    "на",
];
const LANGUAGES: &[(&str, &[&str])] = &[
    (
        "kk",
        &[
            "kk",
            "kz",
            "kaz",
            "kazakh",
            "qazaq",
            "qazaqsha",
            "кк",
            "кз",
            "қаз",
            "қазақ",
            "қазақша",
            "каз",
            "казах",
            "казахский",
            "казахском",
            "казахское",
            "казахская",
            "мемлекеттік",
            "государственный",
            "государственном",
        ],
    ),
    (
        "ru",
        &[
            "ru",
            "rus",
            "russian",
            "ру",
            "рус",
            "орыс",
            "орысша",
            "русский",
            "русском",
            "русское",
            "русская",
        ],
    ),
    (
        "en",
        &[
            "en",
            "eng",
            "english",
            "ағылшын",
            "ағылшынша",
            "ағыл",
            "анг",
            "англ",
            "английский",
            "английском",
            "английское",
            "английская",
        ],
    ),
];

const ROLES: &[(Role, &[&str])] = &[
    (
        Role::Candidate,
        &[
            "",
            "candidate",
            "student",
            "білім алушы",
            "студент",
            "студентка",
            "обучающийся",
            "обучающаяся",
            "кандидат",
            "магистрант",
            "интерн",
            "резидент",
            "докторант",
        ],
    ),
    (Role::Proctor, &["proctor", "проктор"]),
    (
        Role::TestCentre,
        &[
            "test centre",
            "testing centre",
            "test center",
            "testing center",
            "тестілеу орталығы",
            "то",
            "центр тестирования",
            "цт",
        ],
    ),
    (
        Role::Administrator,
        &["administrator", "admin", "әкімші", "администратор"],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yes_and_no_are_read_as_registries_write_them() {
        for yes in [
            "Допущена",
            "допущен(а)",
            "Допущено",
            "ЖІБЕРІЛДІ",
            "+",
            "✓",
            "1",
            "Иә",
        ] {
            assert_eq!(yes_or_no(yes), Ok(Some(true)), "{yes}");
        }
        for no in [
            "Не допущена",
            "не допущен(а)",
            "—",
            "жіберілмеген",
            "Нет",
            "0",
        ] {
            assert_eq!(yes_or_no(no), Ok(Some(false)), "{no}");
        }
        assert_eq!(yes_or_no(""), Ok(None));
        assert_eq!(yes_or_no("Мүмкін"), Err("мүмкін".to_owned()));
    }

    #[test]
    fn languages_are_read_as_registries_write_them() {
        for (text, code) in [
            ("казахский язык", "kk"),
            ("Қазақ тілі", "kk"),
            ("каз.", "kk"),
            ("Русский", "ru"),
            ("русское отделение", "ru"),
            ("орыс тілінде", "ru"),
            ("English", "en"),
            ("англ. яз.", "en"),
        ] {
            assert_eq!(language(text), Some(code), "{text}");
        }
        for none in ["", "язык", "немецкий", "русский, казахский"] {
            assert_eq!(language(none), None, "{none}");
        }
    }

    #[test]
    fn numbers_are_read_with_their_units_and_empty_fractions() {
        for (text, number) in [
            ("2", 2),
            ("2.0", 2),
            ("2,00", 2),
            ("2 курс", 2),
            ("2-курс", 2),
            ("3-й курс", 3),
            ("IV курс", 4),
            ("ІІІ", 3),
            ("5th year", 5),
        ] {
            assert_eq!(year(text), Some(number), "{text}");
        }
        for bad in ["", "курс", "2.5", "две", "2 группа", "-2", "99999999999"] {
            assert_eq!(year(bad), None, "{bad}");
        }
        assert_eq!(whole_number("60 мин.", MINUTE_UNITS), Some(60));
        assert_eq!(whole_number("1:30", MINUTE_UNITS), None);
    }

    #[test]
    fn of_several_roles_the_highest_is_read() {
        assert_eq!(role("Проктор, Тестілеу орталығы"), Ok(Role::TestCentre));
        assert_eq!(role("Обучающийся"), Ok(Role::Candidate));
        assert_eq!(role("test_centre"), Ok(Role::TestCentre));
        assert_eq!(role("Ректор"), Err("ректор".to_owned()));
    }
}
