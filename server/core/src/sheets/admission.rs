//! The admission sheet (ЖР ведомосі): who may sit an exam (SOP 7).

use core::fmt;

use qorgan_protocol::incident::Allowance;

use super::login::{LOGIN, Logins};
use super::table::{self, Column, Row, Table};
use crate::fault::{Fault, FaultKind, Place};

/// The least rating that is positive where the institution sets no other.
pub const POSITIVE_RATING_DEFAULT: Rating = Rating(5_000);

/// An admission rating, 0.00 to 100.00, in hundredths.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rating(u16);

impl Rating {
    /// Reads a rating such as `72`, `72.5` or `72,50`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches('%').replace(',', ".");
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        if part.len() > 2 || !digits(whole) || (!part.is_empty() && !digits(part)) {
            return None;
        }
        let whole: u16 = whole.parse().ok()?;
        let part: u16 = format!("{part:0<2}").parse().ok()?;
        let hundredths = whole.checked_mul(100)?.checked_add(part)?;
        (hundredths <= 10_000).then_some(Self(hundredths))
    }

    /// Returns the rating in hundredths, for storage.
    #[must_use]
    pub const fn hundredths(self) -> u16 {
        self.0
    }
}

impl fmt::Display for Rating {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

/// One line of the sheet.
#[derive(Clone, PartialEq, Eq)]
pub struct AdmissionRow {
    /// The line, from 1.
    pub line: u32,
    /// The candidate's login, in lower case.
    pub login: String,
    /// The discipline's code, where one stands.
    pub discipline: String,
    /// The rating, where one stands.
    pub rating: Option<Rating>,
    /// Whether the candidate is admitted.
    pub admitted: bool,
    /// Why not, as the sheet says; empty where the rating decides.
    pub reason: String,
    /// More time, in minutes.
    pub extra_minutes: u16,
    /// Whether the accessibility adapter stays on while items are shown.
    pub accessibility: bool,
    /// What does not count against the candidate; `None` leaves what is granted already.
    pub allowances: Option<Vec<Allowance>>,
}

impl fmt::Debug for AdmissionRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdmissionRow")
            .field("line", &self.line)
            .field("admitted", &self.admitted)
            .finish_non_exhaustive()
    }
}

const COLUMNS: &[Column] = &[
    LOGIN,
    Column {
        key: "name",
        names: &["name", "full name", "атж", "әтә", "атә", "аты жөні", "фио"],
        required: false,
    },
    Column {
        key: "rating",
        names: &[
            "rating",
            "жр",
            "рейтинг",
            "жіберу рейтингі",
            "рейтинг допуска",
            "рд",
            "admission rating",
        ],
        required: false,
    },
    Column {
        key: "discipline",
        names: &[
            "discipline",
            "discipline code",
            "пән",
            "пән коды",
            "код дисциплины",
            "дисциплина",
        ],
        required: false,
    },
    Column {
        key: "admitted",
        names: &["admitted", "жіберілді", "жіберу", "допущен", "допуск"],
        required: false,
    },
    Column {
        key: "reason",
        names: &["reason", "себебі", "себеп", "причина"],
        required: false,
    },
    Column {
        key: "extra_minutes",
        names: &[
            "extra minutes",
            "қосымша уақыт",
            "қосымша минут",
            "доп. минуты",
            "дополнительное время",
        ],
        required: false,
    },
    Column {
        key: "accessibility",
        names: &["accessibility", "қолжетімділік", "доступность"],
        required: false,
    },
    Column {
        key: "allowances",
        names: &[
            "accommodations",
            "allowances",
            "ерекше жағдайлар",
            "особые условия",
        ],
        required: false,
    },
];

const YES: &[&str] = &[
    "yes",
    "y",
    "1",
    "+",
    "иә",
    "ия",
    "да",
    "true",
    "жіберілді",
    "допущен",
];
const NO: &[&str] = &[
    "no",
    "n",
    "0",
    "-",
    "жоқ",
    "нет",
    "false",
    "жіберілмеді",
    "не допущен",
];

/// Every name of what may be granted.
const ALLOWANCES: &[(Allowance, &[&str])] = &[
    (
        Allowance::ReadingAloud,
        &[
            "reading_aloud",
            "reading aloud",
            "дауыстап оқу",
            "чтение вслух",
        ],
    ),
    (Allowance::Helper, &["helper", "көмекші", "помощник"]),
    (
        Allowance::LooksAway,
        &[
            "looks_away",
            "looks away",
            "басқа жаққа қарау",
            "взгляд в сторону",
        ],
    ),
    (
        Allowance::LeavesSeat,
        &["leaves_seat", "leaves seat", "орнынан тұру", "отлучки"],
    ),
    (
        Allowance::NoLight,
        &[
            "no_light",
            "no light",
            "түсті жарықсыз",
            "без цветного света",
        ],
    ),
    (
        Allowance::NoTurning,
        &[
            "no_turning",
            "no turning",
            "бас бұрмай",
            "без поворота головы",
        ],
    ),
];

/// The most extra minutes.
const EXTRA_MINUTES_MAX: u16 = 480;

/// Reads an admission sheet; whose rating is at least `positive` is admitted, where the sheet does
/// not say itself.
///
/// # Errors
/// Every fault, with line and column; among them a sheet that admits somebody whose rating is not
/// positive.
//= tests/data/sop-2-28.md#7-admission
pub fn read_admission(
    file: &str,
    bytes: &[u8],
    positive: Rating,
) -> Result<Vec<AdmissionRow>, Vec<Fault>> {
    let mut logins = Logins::default();
    table::read_rows(file, bytes, COLUMNS, |table, row, faults| {
        admission(table, row, positive, &mut logins, faults)
    })
}

/// Returns a fault for every row that names another discipline than `expected` (SOP 7: sheets come
/// by discipline).
#[must_use]
pub fn foreign_disciplines(file: &str, rows: &[AdmissionRow], expected: &str) -> Vec<Fault> {
    rows.iter()
        .filter(|row| !row.discipline.is_empty() && row.discipline != expected)
        .map(|row| {
            let (found, expected) = (row.discipline.clone(), expected.to_owned());
            let kind = FaultKind::WrongDiscipline { found, expected };
            Fault::new(Place::line(file, row.line), kind)
        })
        .collect()
}

fn admission(
    table: &Table,
    row: &Row,
    positive: Rating,
    logins: &mut Logins,
    faults: &mut Vec<Fault>,
) -> AdmissionRow {
    let mut fault = |key, kind| faults.push(Fault::new(table.place(row, key), kind));
    let login = logins.read(row, &mut fault);
    let rating = rating(row, &mut fault);
    let stated = yes_or_no(row.field("admitted")).unwrap_or_else(|word| {
        let expected = "иә/жоқ, да/нет, yes/no".to_owned();
        fault("admitted", FaultKind::BadWord { word, expected });
        None
    });
    let by_rating = rating.map(|rating| rating >= positive);
    if stated == Some(true) && by_rating == Some(false) {
        let rating = row.field("rating").to_owned();
        let positive = positive.to_string();
        fault(
            "admitted",
            FaultKind::RatingContradiction { rating, positive },
        );
    }
    let extra_minutes = extra_minutes(row, &mut fault);
    let accessibility = yes_or_no(row.field("accessibility")).unwrap_or_else(|word| {
        let expected = "иә/жоқ, да/нет, yes/no".to_owned();
        fault("accessibility", FaultKind::BadWord { word, expected });
        None
    });
    let allowances = allowances(row.field("allowances")).unwrap_or_else(|word| {
        let names = ALLOWANCES.iter().filter_map(|(_, names)| names.first());
        let expected = names.copied().collect::<Vec<_>>().join("/");
        fault("allowances", FaultKind::BadWord { word, expected });
        None
    });
    AdmissionRow {
        line: row.line,
        login,
        discipline: row.field("discipline").to_owned(),
        rating,
        admitted: stated.or(by_rating).unwrap_or(true),
        reason: row.field("reason").to_owned(),
        extra_minutes,
        accessibility: accessibility.unwrap_or(false),
        allowances,
    }
}

fn rating(row: &Row, fault: &mut impl FnMut(&'static str, FaultKind)) -> Option<Rating> {
    let text = row.field("rating");
    let rating = Rating::parse(text);
    if rating.is_none() && !text.is_empty() {
        fault("rating", bad_number(text, 100));
    }
    rating.filter(|_rating| !text.is_empty())
}

fn extra_minutes(row: &Row, fault: &mut impl FnMut(&'static str, FaultKind)) -> u16 {
    let text = row.field("extra_minutes");
    let minutes = text.parse().ok();
    let minutes = minutes.filter(|minutes| *minutes <= EXTRA_MINUTES_MAX);
    if minutes.is_none() && !text.is_empty() {
        fault(
            "extra_minutes",
            bad_number(text, u32::from(EXTRA_MINUTES_MAX)),
        );
    }
    minutes.unwrap_or(0)
}

fn bad_number(text: &str, max: u32) -> FaultKind {
    FaultKind::BadNumber {
        number: text.to_owned(),
        min: 0,
        max,
    }
}

fn yes_or_no(text: &str) -> Result<Option<bool>, String> {
    let wanted = text.to_lowercase();
    match wanted.as_str() {
        "" => Ok(None),
        word if YES.contains(&word) => Ok(Some(true)),
        word if NO.contains(&word) => Ok(Some(false)),
        _ => Err(wanted),
    }
}

/// Reads what is granted, parted by commas, semicolons, slashes or plus signs; a word for no grants
/// nothing, an empty field says nothing.
fn allowances(text: &str) -> Result<Option<Vec<Allowance>>, String> {
    let wanted = text.to_lowercase();
    if wanted.is_empty() {
        return Ok(None);
    }
    if NO.contains(&wanted.as_str()) {
        return Ok(Some(Vec::new()));
    }
    let mut granted = Vec::new();
    for word in wanted.split([',', ';', '/', '+', '|']).map(str::trim) {
        let named = ALLOWANCES.iter().find(|(_, names)| names.contains(&word));
        let (allowance, _) = named.ok_or_else(|| word.to_owned())?;
        if !granted.contains(allowance) {
            granted.push(*allowance);
        }
    }
    granted.sort_unstable();
    Ok(Some(granted))
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
