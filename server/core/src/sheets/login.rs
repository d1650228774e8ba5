//! Logins: the column that both lists have, and what a login must be.

use std::collections::BTreeMap;

use super::table::{Column, Row};
use crate::fault::FaultKind;

/// The column of a login.
pub(super) const LOGIN: Column = Column {
    key: "login",
    names: &["login", "логин", "жсн", "иин", "iin", "пайдаланушы"],
    required: true,
};

/// The logins of one sheet, each once.
#[derive(Debug, Default)]
pub(super) struct Logins {
    first_lines: BTreeMap<String, u32>,
}

impl Logins {
    /// Reads a row's login, in lower case, and says what is wrong with it.
    pub(super) fn read(
        &mut self,
        row: &Row,
        fault: &mut impl FnMut(&'static str, FaultKind),
    ) -> String {
        let login = row.field(LOGIN.key).to_lowercase();
        if login.is_empty() {
            fault(LOGIN.key, FaultKind::EmptyField);
            return login;
        }
        if login.chars().count() > LOGIN_CHARS_MAX {
            let max = LOGIN_CHARS_MAX;
            fault(LOGIN.key, FaultKind::LongField { max });
        }
        if !login.chars().all(is_login_character) {
            let login = login.clone();
            fault(LOGIN.key, FaultKind::BadLogin { login });
        }
        match self.first_lines.get(&login).copied() {
            Some(first) => {
                let login = login.clone();
                fault(LOGIN.key, FaultKind::RepeatedLogin { login, first });
            }
            None => {
                self.first_lines.insert(login.clone(), row.line);
            }
        }
        login
    }
}

fn is_login_character(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '.' | '-' | '_' | '@')
}

/// The longest login, in characters.
const LOGIN_CHARS_MAX: usize = 64;
