//! The admission sheet (ЖР ведомосі): who may sit an exam (SOP 7).

use core::fmt;

use qorgan_protocol::incident::Allowance;

use super::Sheet;
use super::heading::Column;
use super::login::{LOGIN, Logins, NUMBER, settle_login};
use super::people::FULL;
use super::table::{Making, read_rows};
use super::words::{self, MINUTE_UNITS, yes_or_no};
use crate::fault::{Fault, FaultKind, Place};
use crate::login::skeleton;

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

/// One line of the sheet. What is `None` stands nowhere in it and leaves what holds already.
#[derive(Clone, PartialEq, Eq)]
pub struct AdmissionRow {
    /// The line, from 1.
    pub line: u32,
    /// The candidate's login, folded.
    pub login: String,
    /// The discipline's code or name, where one stands.
    pub discipline: String,
    /// The rating, where one stands.
    pub rating: Option<Rating>,
    /// Whether the candidate is admitted, where a word or the rating says so.
    pub admitted: Option<bool>,
    /// Why not, as the sheet says; empty where the rating decides.
    pub reason: String,
    /// More time, in minutes.
    pub extra_minutes: Option<u16>,
    /// Whether the accessibility adapter stays on while items are shown.
    pub accessibility: Option<bool>,
    /// What does not count against the candidate.
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
    NUMBER,
    FULL,
    // Names only help whoever reads the sheet.
    column(
        "name",
        &["name", "аты", "имя", "есімі", "given name", "first name"],
    ),
    column(
        "family_name",
        &["surname", "тегі", "фамилия", "family name", "last name"],
    ),
    column(
        "patronymic",
        &["patronymic", "әкесінің аты", "отчество", "middle name"],
    ),
    column(
        "rating",
        &[
            "rating",
            "жр",
            "рейтинг",
            "жіберу рейтингі",
            "рейтинг допуска",
            "рд",
            "admission rating",
            "орд",
            "жрб",
            "оценка рейтинга допуска",
            "жіберу рейтингінің бағасы",
            "допускной рейтинг",
            "балл допуска",
            "рейтинг балл",
        ],
    ),
    column(
        "code",
        &[
            "discipline code",
            "код дисциплины",
            "пән коды",
            "course code",
            "subject code",
            "код предмета",
            "пәннің коды",
        ],
    ),
    column(
        "discipline",
        &[
            "discipline",
            "дисциплина",
            "пән",
            "subject",
            "предмет",
            "пән атауы",
            "пәннің атауы",
            "наименование дисциплины",
            "название дисциплины",
            "discipline name",
        ],
    ),
    column(
        "admitted",
        &[
            "admitted",
            "жіберілді",
            "жіберу",
            "жіберілген",
            "допущен",
            "допущена",
            "допущено",
            "допущены",
            "допуск",
            "допуск к экзамену",
            "статус допуска",
            "допущен а",
            "емтиханға жіберілді",
            "емтиханға жіберу",
            "admission",
            "allowed",
            "eligible",
        ],
    ),
    column(
        "reason",
        &[
            "reason",
            "себебі",
            "себеп",
            "причина",
            "причина недопуска",
            "жіберілмеу себебі",
            "жібермеу себебі",
        ],
    ),
    column(
        "extra_minutes",
        &[
            "extra minutes",
            "extra time",
            "additional time",
            "қосымша уақыт",
            "қосымша минут",
            "қосымша минуттар",
            "доп минуты",
            "доп время",
            "дополнительное время",
            "дополнительные минуты",
            "доп время мин",
        ],
    ),
    column(
        "accessibility",
        &[
            "accessibility",
            "қолжетімділік",
            "доступность",
            "screen reader",
            "специальные возможности",
            "арнайы мүмкіндіктер",
            "экранный диктор",
        ],
    ),
    column(
        "allowances",
        &[
            "accommodations",
            "allowances",
            "ерекше жағдайлар",
            "особые условия",
        ],
    ),
];

const fn column(key: &'static str, names: &'static [&'static str]) -> Column {
    Column {
        key,
        names,
        required: false,
    }
}

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
) -> Result<Sheet<AdmissionRow>, Vec<Fault>> {
    let mut logins = Logins::default();
    let settle = |found: &mut super::table::Found, _faults: &mut Vec<Fault>| settle_login(found);
    read_rows(file, bytes, COLUMNS, settle, |making| {
        admission(making, positive, &mut logins)
    })
}

/// Returns a fault for every row that names another discipline than the one of this code and name
/// (SOP 7: sheets come by discipline). Signs, blanks, case and look-alike letters do not count.
#[must_use]
pub fn foreign_disciplines(
    file: &str,
    rows: &[AdmissionRow],
    (code, name): (&str, &str),
) -> Vec<Fault> {
    let known = [
        letters(code),
        letters(name),
        letters(&format!("{code}{name}")),
        letters(&format!("{name}{code}")),
    ];
    rows.iter()
        .filter(|row| !row.discipline.is_empty() && !known.contains(&letters(&row.discipline)))
        .map(|row| {
            let (found, expected) = (row.discipline.clone(), code.to_owned());
            let kind = FaultKind::WrongDiscipline { found, expected };
            Fault::new(Place::line(file, row.line), kind)
        })
        .collect()
}

/// Returns the letters and digits of a text alone, as they look.
fn letters(text: &str) -> String {
    let kept: String = text.chars().filter(|one| one.is_alphanumeric()).collect();
    skeleton(&kept)
}

fn admission(making: &mut Making<'_>, positive: Rating, logins: &mut Logins) -> AdmissionRow {
    let row = making.row;
    let login = logins.read(making);
    let rating = rating(making);
    let stated = word(making, "admitted");
    let by_rating = rating.map(|rating| rating >= positive);
    if stated == Some(true) && by_rating == Some(false) {
        let rating = row.field("rating").to_owned();
        let positive = positive.to_string();
        making.fault(
            "admitted",
            FaultKind::RatingContradiction { rating, positive },
        );
    }
    let discipline = row.said("code").or_else(|| row.said("discipline"));
    AdmissionRow {
        line: row.line,
        login,
        discipline: discipline.unwrap_or_default().to_owned(),
        rating,
        admitted: stated.or(by_rating),
        reason: row.said("reason").unwrap_or_default().to_owned(),
        extra_minutes: extra_minutes(making),
        accessibility: word(making, "accessibility"),
        allowances: granted(making),
    }
}

fn word(making: &mut Making<'_>, key: &'static str) -> Option<bool> {
    yes_or_no(making.row.field(key)).unwrap_or_else(|word| {
        let expected = "иә/жоқ, да/нет, yes/no".to_owned();
        making.fault(key, FaultKind::BadWord { word, expected });
        None
    })
}

fn rating(making: &mut Making<'_>) -> Option<Rating> {
    let text = making.row.said("rating").filter(|text| !text.is_empty())?;
    let rating = Rating::parse(text);
    if rating.is_none() {
        making.fault("rating", bad_number(text, 100));
    }
    rating
}

fn extra_minutes(making: &mut Making<'_>) -> Option<u16> {
    let text = making.row.said("extra_minutes")?;
    if text.is_empty() {
        return Some(0);
    }
    let minutes = words::whole_number(text, MINUTE_UNITS);
    let minutes = minutes.and_then(|minutes| u16::try_from(minutes).ok());
    let minutes = minutes.filter(|minutes| *minutes <= EXTRA_MINUTES_MAX);
    if minutes.is_none() {
        let max = u32::from(EXTRA_MINUTES_MAX);
        making.fault("extra_minutes", bad_number(text, max));
    }
    minutes
}

fn granted(making: &mut Making<'_>) -> Option<Vec<Allowance>> {
    allowances(making.row.field("allowances")).unwrap_or_else(|word| {
        let names = ALLOWANCES.iter().filter_map(|(_, names)| names.first());
        let expected = names.copied().collect::<Vec<_>>().join("/");
        making.fault("allowances", FaultKind::BadWord { word, expected });
        None
    })
}

fn bad_number(text: &str, max: u32) -> FaultKind {
    FaultKind::BadNumber {
        number: text.to_owned(),
        min: 0,
        max,
    }
}

/// Reads what is granted, parted by commas, semicolons, slashes or plus signs; a word for no grants
/// nothing, an empty field says nothing.
fn allowances(text: &str) -> Result<Option<Vec<Allowance>>, String> {
    let wanted = text.to_lowercase();
    if wanted.is_empty() {
        return Ok(None);
    }
    if words::is_no(&wanted) {
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
