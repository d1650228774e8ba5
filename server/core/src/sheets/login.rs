//! Logins: the columns that both lists have, and what is told of a login.

use std::collections::BTreeMap;

use super::cell::mixed_word;
use super::heading::Column;
use super::table::{Found, Making};
use crate::fault::{FaultKind, NoteKind};
use crate::login::{LOGIN_CHARS_MAX, fold_login, is_login, skeleton};

/// The column of a login. That of a personal number, which stands after it, takes its own headings;
/// they are among these so that they are told where no login is found.
pub(super) const LOGIN: Column = Column {
    key: "login",
    names: &[
        "login",
        "логин",
        "жсн",
        "иин",
        "пайдаланушы",
        "пайдаланушы аты",
        "имя пользователя",
        "пользователь",
        "учетная запись",
        "username",
        "user name",
        "user",
        "user id",
        "account",
    ],
    required: true,
};

/// The column of a personal number: the login where none stands apart.
pub(super) const NUMBER: Column = Column {
    key: "number",
    names: &[
        "жсн",
        "иин",
        "iin",
        "жсн иин",
        "жеке нөмір",
        "жеке нөмірі",
        "жеке сәйкестендіру нөмірі",
        "личный номер",
        "индивидуальный идентификационный номер",
        "individual identification number",
        "personal number",
        "id",
    ],
    required: false,
};

/// Takes the personal number for the login where no login stands apart.
pub(super) fn settle_login(found: &mut Found) {
    if !found.has(LOGIN.key) {
        found.rename(NUMBER.key, LOGIN.key);
    }
}

/// The logins of one sheet, each once.
#[derive(Debug, Default)]
pub(super) struct Logins {
    first_lines: BTreeMap<String, u32>,
    skeletons: BTreeMap<String, String>,
}

impl Logins {
    /// Reads a row's login, folded, and says what is wrong with it.
    pub(super) fn read(&mut self, making: &mut Making<'_>) -> String {
        let typed = making.row.field(LOGIN.key);
        let login = fold_login(typed);
        if login.is_empty() {
            making.fault(LOGIN.key, FaultKind::EmptyField);
            return login;
        }
        if login.chars().count() > LOGIN_CHARS_MAX {
            let max = LOGIN_CHARS_MAX;
            making.fault(LOGIN.key, FaultKind::LongField { max });
        }
        if is_scientific(&login) {
            let number = typed.to_owned();
            making.fault(LOGIN.key, FaultKind::ScientificNumber { number });
        } else if !is_login(&login) {
            let login = login.clone();
            making.fault(LOGIN.key, FaultKind::BadLogin { login });
        }
        let heading = making.table.heading(LOGIN.key);
        if is_personal(heading)
            && let Some(likely) = lost_zeros(&login)
        {
            let login = login.clone();
            making.fault(LOGIN.key, FaultKind::LostZero { login, likely });
        }
        self.compare(&login, making);
        login
    }

    fn compare(&mut self, login: &str, making: &mut Making<'_>) {
        if let Some((word, letters)) = mixed_word(login) {
            making.note(LOGIN.key, NoteKind::MixedAlphabets { word, letters });
        }
        let owned = login.to_owned();
        if let Some(first) = self.first_lines.get(login).copied() {
            let kind = FaultKind::RepeatedLogin {
                login: owned,
                first,
            };
            making.fault(LOGIN.key, kind);
            return;
        }
        self.first_lines.insert(owned.clone(), making.row.line);
        let seen = self.skeletons.insert(skeleton(login), owned.clone());
        if let Some(other) = seen {
            let kind = NoteKind::LooksLike {
                login: owned,
                other,
            };
            making.note(LOGIN.key, kind);
        }
    }
}

/// Tells whether a heading is that of personal numbers.
fn is_personal(heading: &str) -> bool {
    let heading = super::heading::normal(heading);
    ["жсн", "иин", "iin"]
        .iter()
        .any(|name| heading.split(' ').any(|word| word == *name))
}

/// Returns the personal number that a shorter one is likely to have been, before a spreadsheet took
/// its leading zeros.
fn lost_zeros(login: &str) -> Option<String> {
    let digits = login.bytes().all(|byte| byte.is_ascii_digit());
    let short = (NUMBER_DIGITS - 3..NUMBER_DIGITS).contains(&login.len());
    (digits && short).then(|| format!("{login:0>NUMBER_DIGITS$}"))
}

/// Tells whether a folded login is a number in the notation of large ones, such as `4.01e+10`.
fn is_scientific(login: &str) -> bool {
    let Some((mantissa, power)) = login.split_once('e') else {
        return false;
    };
    let number = |text: &str| {
        text.starts_with(|one: char| one.is_ascii_digit())
            && text
                .chars()
                .all(|one| one.is_ascii_digit() || matches!(one, '.' | ','))
    };
    number(mantissa)
        && mantissa.contains(['.', ','])
        && number(power.strip_prefix(['+', '-']).unwrap_or(power))
}

/// A personal number of Kazakhstan has so many digits.
const NUMBER_DIGITS: usize = 12;
