//! The list of people: candidates and staff with their accounts.

use super::login::{LOGIN, Logins};
use super::table::{self, Column, Row, Table};
use crate::fault::{Fault, FaultKind};

/// The longest field but the login, in characters.
const FIELD_CHARS_MAX: usize = 200;
/// The last year of study.
const YEAR_MAX: u32 = 10;
/// The fewest characters of a password that a list sets.
const PASSWORD_CHARS_MIN: usize = 10;

/// What somebody does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Sits exams.
    Candidate,
    /// Watches and reviews.
    Proctor,
    /// Prepares and oversees exams.
    TestCentre,
    /// Runs the server.
    Administrator,
}

impl Role {
    /// Every role, in order.
    pub const ALL: [Self; 4] = [
        Self::Candidate,
        Self::Proctor,
        Self::TestCentre,
        Self::Administrator,
    ];

    /// Returns the word in SQL, sheets and texts.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Proctor => "proctor",
            Self::TestCentre => "test_centre",
            Self::Administrator => "administrator",
        }
    }
}

/// One person of a list.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The line, from 1.
    pub line: u32,
    /// The login, in lower case.
    pub login: String,
    /// The family name.
    pub family_name: String,
    /// The given name.
    pub given_name: String,
    /// The father's name; may be empty.
    pub patronymic: String,
    /// What the person does here.
    pub role: Role,
    /// `kk`, `ru` or `en`.
    pub language: String,
    /// The faculty; may be empty.
    pub faculty: String,
    /// The year of study; may be empty.
    pub year: String,
    /// The group; may be empty.
    pub group: String,
    /// The speciality; may be empty.
    pub speciality: String,
    /// The e-mail address; may be empty.
    pub email: String,
    /// A password to set; `None` has one made as a one-time code.
    pub password: Option<String>,
}

impl PersonRow {
    /// Returns the full name in the order of acts.
    #[must_use]
    pub fn full_name(&self) -> String {
        let parts = [&self.family_name, &self.given_name, &self.patronymic];
        let filled: Vec<&str> = parts
            .into_iter()
            .map(String::as_str)
            .filter(|part| !part.is_empty())
            .collect();
        filled.join(" ")
    }
}

impl core::fmt::Debug for PersonRow {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PersonRow")
            .field("line", &self.line)
            .field("role", &self.role)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &[Column] = &[
    LOGIN,
    Column {
        key: "family_name",
        names: &["family name", "last name", "surname", "тегі", "фамилия"],
        required: true,
    },
    Column {
        key: "given_name",
        names: &["given name", "first name", "name", "аты", "имя"],
        required: true,
    },
    Column {
        key: "patronymic",
        names: &["patronymic", "middle name", "әкесінің аты", "отчество"],
        required: false,
    },
    Column {
        key: "role",
        names: &["role", "рөлі", "рөл", "роль"],
        required: false,
    },
    Column {
        key: "language",
        names: &["language", "тілі", "тіл", "язык"],
        required: false,
    },
    Column {
        key: "faculty",
        names: &["faculty", "факультет", "факультеті"],
        required: false,
    },
    Column {
        key: "year",
        names: &["year", "курс", "курсы"],
        required: false,
    },
    Column {
        key: "group",
        names: &["group", "топ", "тобы", "группа"],
        required: false,
    },
    Column {
        key: "speciality",
        names: &[
            "speciality",
            "specialty",
            "programme",
            "мамандығы",
            "мамандық",
            "специальность",
            "ббб",
            "оп",
        ],
        required: false,
    },
    Column {
        key: "email",
        names: &[
            "email",
            "e mail",
            "пошта",
            "эл. пошта",
            "почта",
            "эл. почта",
        ],
        required: false,
    },
    Column {
        key: "password",
        names: &["password", "құпиясөз", "құпия сөз", "пароль"],
        required: false,
    },
];

const ROLE_WORDS: &[(Role, &[&str])] = &[
    (
        Role::Candidate,
        &[
            "",
            "candidate",
            "student",
            "білім алушы",
            "студент",
            "обучающийся",
        ],
    ),
    (Role::Proctor, &["proctor", "проктор"]),
    (
        Role::TestCentre,
        &[
            "test centre",
            "test_centre",
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

const LANGUAGE_WORDS: &[(&str, &[&str])] = &[
    (
        "kk",
        &[
            "",
            "kk",
            "kz",
            "қаз",
            "қазақ",
            "қазақша",
            "каз",
            "казахский",
        ],
    ),
    ("ru", &["ru", "рус", "орыс", "орысша", "русский"]),
    ("en", &["en", "eng", "ағылшын", "англ", "английский"]),
];

/// Reads a list of people.
///
/// # Errors
/// Every fault, with line and column.
pub fn read_people(file: &str, bytes: &[u8]) -> Result<Vec<PersonRow>, Vec<Fault>> {
    let mut logins = Logins::default();
    table::read_rows(file, bytes, COLUMNS, |table, row, faults| {
        person(table, row, &mut logins, faults)
    })
}

fn person(table: &Table, row: &Row, logins: &mut Logins, faults: &mut Vec<Fault>) -> PersonRow {
    let mut fault = |key, kind| faults.push(Fault::new(table.place(row, key), kind));
    for column in COLUMNS.iter().filter(|column| column.key != LOGIN.key) {
        if row.field(column.key).chars().count() > FIELD_CHARS_MAX {
            let max = FIELD_CHARS_MAX;
            fault(column.key, FaultKind::LongField { max });
        }
    }
    for key in ["family_name", "given_name"] {
        if row.field(key).is_empty() {
            fault(key, FaultKind::EmptyField);
        }
    }
    let login = logins.read(row, &mut fault);
    if let Some(kind) = bad_year(row.field("year")) {
        fault("year", kind);
    }
    let email = row.field("email");
    if !email.is_empty() && !is_email(email) {
        let email = email.to_owned();
        fault("email", FaultKind::BadEmail { email });
    }
    let role = word(row.field("role"), ROLE_WORDS).unwrap_or_else(|word| {
        let expected = "candidate, proctor, test_centre, administrator".to_owned();
        fault("role", FaultKind::BadWord { word, expected });
        Role::Candidate
    });
    let language = word(row.field("language"), LANGUAGE_WORDS).unwrap_or_else(|word| {
        let expected = "kk, ru, en".to_owned();
        fault("language", FaultKind::BadWord { word, expected });
        "kk"
    });
    let password = Some(row.field("password")).filter(|text| !text.is_empty());
    if password.is_some_and(|text| text.chars().count() < PASSWORD_CHARS_MIN) {
        let min = PASSWORD_CHARS_MIN;
        fault("password", FaultKind::ShortPassword { min });
    }
    PersonRow {
        line: row.line,
        login,
        family_name: row.field("family_name").to_owned(),
        given_name: row.field("given_name").to_owned(),
        patronymic: row.field("patronymic").to_owned(),
        role,
        language: language.to_owned(),
        faculty: row.field("faculty").to_owned(),
        year: row.field("year").to_owned(),
        group: row.field("group").to_owned(),
        speciality: row.field("speciality").to_owned(),
        email: row.field("email").to_owned(),
        password: password.map(str::to_owned),
    }
}

fn bad_year(text: &str) -> Option<FaultKind> {
    let good = text
        .parse()
        .is_ok_and(|year: u32| (1..=YEAR_MAX).contains(&year));
    let number = text.to_owned();
    (!text.is_empty() && !good).then_some(FaultKind::BadNumber {
        number,
        min: 1,
        max: YEAR_MAX,
    })
}

fn is_email(text: &str) -> bool {
    text.split_once('@').is_some_and(|(name, host)| {
        !name.is_empty() && host.contains('.') && !text.contains(char::is_whitespace)
    })
}

fn word<T: Copy>(text: &str, words: &[(T, &[&str])]) -> Result<T, String> {
    let wanted = text.to_lowercase();
    words
        .iter()
        .find(|(_, names)| names.contains(&wanted.as_str()))
        .map(|(value, _)| *value)
        .ok_or(wanted)
}
