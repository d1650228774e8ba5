//! The list of people: candidates and staff with their accounts.

use super::Sheet;
use super::cell::{is_odd, lost_letters, mixed_word};
use super::heading::Column;
use super::login::{LOGIN, Logins, NUMBER, settle_login};
use super::role::Role;
use super::table::{Found, Making, read_rows};
use super::{names, words};
use crate::fault::{Fault, FaultKind, Note, NoteKind};

/// The longest field but the login, in characters.
const FIELD_CHARS_MAX: usize = 200;
/// The last year of study.
const YEAR_MAX: u32 = 10;
/// The fewest characters of a password that a list sets.
const PASSWORD_CHARS_MIN: usize = 10;

/// One person of a list. What is `None` stands nowhere in the list and changes nothing; an empty
/// text stands there as a dash.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonRow {
    /// The line, from 1.
    pub line: u32,
    /// The login, folded.
    pub login: String,
    /// The family name.
    pub family_name: Option<String>,
    /// The given name.
    pub given_name: Option<String>,
    /// The father's name.
    pub patronymic: Option<String>,
    /// Whether the names were split from one column.
    pub names_split: bool,
    /// The highest role that the list names; `Candidate` where it names none.
    pub role: Role,
    /// `kk`, `ru` or `en`.
    pub language: Option<String>,
    /// The faculty.
    pub faculty: Option<String>,
    /// The year of study.
    pub year: Option<String>,
    /// The group.
    pub group: Option<String>,
    /// The speciality.
    pub speciality: Option<String>,
    /// The e-mail address.
    pub email: Option<String>,
    /// The person's number in other systems, where the login stands apart.
    pub number: Option<String>,
    /// A password to set; `None` has one made as a one-time code for a new account.
    pub password: Option<String>,
}

impl PersonRow {
    /// Returns the full name in the order of acts, as far as the list says it.
    #[must_use]
    pub fn full_name(&self) -> String {
        let parts = [&self.family_name, &self.given_name, &self.patronymic];
        let filled = parts.into_iter().flatten().map(String::as_str);
        let filled: Vec<&str> = filled.filter(|part| !part.is_empty()).collect();
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

const FAMILY: Column = column(
    "family_name",
    &[
        "family name",
        "surname",
        "тегі",
        "фамилия",
        "last name",
        "tegi",
        "familiya",
    ],
);
const GIVEN: Column = column(
    "given_name",
    &[
        "given name",
        "first name",
        "есімі",
        "имя",
        "forename",
        "есім",
        "esimi",
        "imya",
    ],
);
/// One column of names: a given name beside a family name, else the full name.
const NAME: Column = column("name", &["name", "аты", "aty"]);
/// The heading of a full name.
pub(super) const FULL: Column = column(
    "full_name",
    &[
        "full name",
        "фио",
        "ф и о",
        "аты жөні",
        "тегі аты әкесінің аты",
        "тегі аты",
        "тегі және аты",
        "тегі мен аты",
        "толық аты",
        "толық аты жөні",
        "атж",
        "әтә",
        "атә",
        "таә",
        "т а ә",
        "а т ә",
        "аж",
        "фамилия имя отчество",
        "фамилия имя",
        "фамилия и имя",
        "фамилия и о",
        "фамилия инициалы",
        "fio",
        "студент",
        "обучающийся",
        "білім алушы",
        "кандидат",
        "candidate",
        "student",
        "student name",
        "candidate name",
        "surname name",
    ],
);

const COLUMNS: &[Column] = &[
    LOGIN,
    NUMBER,
    FAMILY,
    GIVEN,
    NAME,
    FULL,
    column(
        "patronymic",
        &[
            "patronymic",
            "middle name",
            "әкесінің аты",
            "отчество",
            "father s name",
            "otchestvo",
        ],
    ),
    column("role", &["role", "roles", "рөлі", "рөл", "роль", "роли"]),
    column(
        "language",
        &[
            "language",
            "тілі",
            "тіл",
            "язык",
            "язык обучения",
            "язык обуч",
            "оқу тілі",
            "оқыту тілі",
            "language of instruction",
            "study language",
            "языковое отделение",
            "тіл бөлімі",
            "til",
        ],
    ),
    column(
        "faculty",
        &[
            "faculty",
            "факультет",
            "факультеті",
            "school",
            "школа",
            "мектеп",
            "мектебі",
        ],
    ),
    column(
        "year",
        &[
            "year",
            "курс",
            "курсы",
            "year of study",
            "study year",
            "год обучения",
            "kurs",
            "course",
        ],
    ),
    column(
        "group",
        &[
            "group",
            "топ",
            "тобы",
            "группа",
            "академиялық топ",
            "академиялық тобы",
            "оқу тобы",
            "академическая группа",
            "учебная группа",
            "номер группы",
            "№ группы",
            "топ нөмірі",
            "топ №",
            "academic group",
            "group name",
            "gruppa",
        ],
    ),
    column(
        "speciality",
        &[
            "speciality",
            "specialty",
            "programme",
            "program",
            "study programme",
            "educational programme",
            "мамандығы",
            "мамандық",
            "специальность",
            "ббб",
            "оп",
            "образовательная программа",
            "білім беру бағдарламасы",
            "major",
        ],
    ),
    column(
        "email",
        &[
            "email",
            "e mail",
            "mail",
            "email address",
            "пошта",
            "эл пошта",
            "поштасы",
            "электрондық пошта",
            "электрондық поштасы",
            "почта",
            "эл почта",
            "электронная почта",
            "адрес эл почты",
            "электронный адрес",
        ],
    ),
    column("password", &["password", "құпиясөз", "құпия сөз", "пароль"]),
];

const fn column(key: &'static str, names: &'static [&'static str]) -> Column {
    Column {
        key,
        names,
        required: false,
    }
}

/// Reads a list of people.
///
/// # Errors
/// Every fault, with line and column.
pub fn read_people(file: &str, bytes: &[u8]) -> Result<Sheet<PersonRow>, Vec<Fault>> {
    let mut logins = Logins::default();
    let mut split = false;
    let mut sheet = read_rows(file, bytes, COLUMNS, settle, |making| {
        split |= making.table.has(FULL.key);
        person(making, &mut logins)
    })?;
    if split {
        let place = crate::fault::Place::file(file);
        let column = FULL.names.first().copied().unwrap_or_default().to_owned();
        sheet
            .notes
            .insert(0, Note::new(place, NoteKind::SplitNames { column }));
    }
    Ok(sheet)
}

/// Settles which columns have the login and the names. A list without any name only changes who is
/// known already.
fn settle(found: &mut Found, faults: &mut Vec<Fault>) {
    settle_login(found);
    if found.has(FULL.key) {
        // A given name beside a full name says nothing more.
        found.rename(NAME.key, "");
        return;
    }
    if found.has(FAMILY.key) && !found.has(GIVEN.key) {
        found.rename(NAME.key, GIVEN.key);
    }
    if !found.has(FAMILY.key) && !found.has(GIVEN.key) {
        found.rename(NAME.key, FULL.key);
    }
    for (one, other) in [(FAMILY, GIVEN), (GIVEN, FAMILY)] {
        if found.has(one.key) && !found.has(other.key) {
            faults.push(found.missing(&other));
        }
    }
}

fn person(making: &mut Making<'_>, logins: &mut Logins) -> PersonRow {
    let row = making.row;
    for column in COLUMNS.iter().filter(|column| column.key != LOGIN.key) {
        if row.field(column.key).chars().count() > FIELD_CHARS_MAX {
            let max = FIELD_CHARS_MAX;
            making.fault(column.key, FaultKind::LongField { max });
        }
    }
    let login = logins.read(making);
    let (family_name, given_name, patronymic) = person_names(making);
    let said = |key: &str| row.said(key).map(str::to_owned);
    let email = said("email");
    if let Some(email) = email
        .clone()
        .filter(|email| !email.is_empty() && !is_email(email))
    {
        making.fault("email", FaultKind::BadEmail { email });
    }
    let role = words::role(row.field("role")).unwrap_or_else(|word| {
        let expected = "candidate, proctor, test_centre, administrator".to_owned();
        making.fault("role", FaultKind::BadWord { word, expected });
        Role::Candidate
    });
    let password = Some(row.field("password")).filter(|text| !text.is_empty());
    if password.is_some_and(|text| text.chars().count() < PASSWORD_CHARS_MIN) {
        let min = PASSWORD_CHARS_MIN;
        making.fault("password", FaultKind::ShortPassword { min });
    }
    PersonRow {
        line: row.line,
        login,
        family_name,
        given_name,
        patronymic,
        names_split: making.table.has(FULL.key),
        role,
        language: language(making),
        faculty: said("faculty"),
        year: year(making),
        group: said("group"),
        speciality: said("speciality"),
        email,
        number: said(NUMBER.key),
        password: password.map(str::to_owned),
    }
}

type Names = (Option<String>, Option<String>, Option<String>);

fn person_names(making: &mut Making<'_>) -> Names {
    let row = making.row;
    let keys = [FULL.key, FAMILY.key, GIVEN.key, "patronymic"];
    for key in keys {
        look_at(making, key);
    }
    let patronymic = row.said("patronymic").map(str::to_owned);
    if making.table.has(FULL.key) {
        let full = row.field(FULL.key);
        if let Some(name) = names::split(full) {
            // A column of patronymics besides says it better than the split.
            let patronymic = patronymic.unwrap_or(name.patronymic);
            return (Some(name.family), Some(name.given), Some(patronymic));
        }
        let name = full.to_owned();
        let kind = if name.is_empty() {
            FaultKind::EmptyField
        } else {
            FaultKind::OneName { name }
        };
        making.fault(FULL.key, kind);
        return (None, None, patronymic);
    }
    if !making.table.has(FAMILY.key) {
        return (None, None, patronymic);
    }
    for key in [FAMILY.key, GIVEN.key] {
        if row.field(key).is_empty() {
            making.fault(key, FaultKind::EmptyField);
        }
    }
    let field = |key: &str| Some(row.field(key).to_owned());
    (field(FAMILY.key), field(GIVEN.key), patronymic)
}

/// Tells what is odd about a part of a name.
fn look_at(making: &mut Making<'_>, key: &'static str) {
    let name = making.row.field(key).to_owned();
    if lost_letters(&name) {
        making.fault(key, FaultKind::LostLetters);
    } else if is_odd(&name) {
        making.note(key, NoteKind::OddName { name: name.clone() });
    }
    if let Some((word, letters)) = mixed_word(&name) {
        making.note(key, NoteKind::MixedAlphabets { word, letters });
    }
}

fn language(making: &mut Making<'_>) -> Option<String> {
    let text = making.row.field("language");
    if text.is_empty() {
        return None;
    }
    let language = words::language(text).map(str::to_owned);
    if language.is_none() {
        let word = text.to_lowercase();
        let expected = "kk, ru, en".to_owned();
        making.fault("language", FaultKind::BadWord { word, expected });
    }
    language
}

fn year(making: &mut Making<'_>) -> Option<String> {
    let text = making.row.said("year")?;
    if text.is_empty() {
        return Some(String::new());
    }
    let year = words::year(text).filter(|year| (1..=YEAR_MAX).contains(year));
    if year.is_none() {
        let number = text.to_owned();
        let (min, max) = (1, YEAR_MAX);
        making.fault("year", FaultKind::BadNumber { number, min, max });
    }
    year.map(|year| year.to_string())
}

/// Tells whether a text is one e-mail address.
fn is_email(text: &str) -> bool {
    let sign = |one: char| one.is_whitespace() || ",;<>()\"\\".contains(one);
    text.split_once('@').is_some_and(|(name, host)| {
        let parts = host.split('.').collect::<Vec<_>>();
        let whole = parts.len() > 1 && parts.iter().all(|part| !part.is_empty());
        !name.is_empty() && whole && !text.contains(sign) && !host.contains('@')
    })
}
