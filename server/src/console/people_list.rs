//! A list of people against the accounts there are: what is wrong with it here, what it would change,
//! and one row put into force.
//!
//! # Invariants
//! * What a list does not say stays as it is on file.

use std::collections::BTreeMap;

use qorgan_protocol::ids::PersonId;
use qorgan_protocol::time::WallTime;
use qorgan_server_core::fault::{Fault, FaultKind, Note, NoteKind, Place};
use qorgan_server_core::login::skeleton;
use qorgan_server_core::sheets::{PersonRow, Sheet, read_people};

use super::rights::staff_faults;
use crate::state::AppState;
use qorgan_store::people::{NewPerson, put_person};
use qorgan_store::{StoreError, WriteTx, id};

/// What is on file of a person that a list may change, in the order of [`KEYS`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct OnFile([String; 10]);

/// The texts' keys of what a list may change.
pub(super) const KEYS: [&str; 10] = [
    "family-name",
    "given-name",
    "patronymic",
    "language",
    "faculty",
    "year",
    "group",
    "speciality",
    "email",
    "person-number",
];
const FAMILY: usize = 0;
const GIVEN: usize = 1;
const PATRONYMIC: usize = 2;
const LANGUAGE: usize = 3;

impl OnFile {
    /// Takes the texts in the order of [`KEYS`].
    #[cfg(test)]
    pub(super) const fn new(texts: [String; 10]) -> Self {
        Self(texts)
    }

    /// Returns its texts in the order of [`KEYS`].
    pub(super) const fn texts(&self) -> &[String; 10] {
        &self.0
    }

    /// Returns one of its texts by its key.
    pub(super) fn text(&self, key: &str) -> &str {
        let place = KEYS.iter().position(|known| *known == key);
        place.map_or("", |place| self.at(place))
    }

    /// Returns one of its texts by its place in [`KEYS`].
    fn at(&self, place: usize) -> &str {
        self.0.get(place).map_or("", String::as_str)
    }

    /// Returns the full name in the order of acts.
    pub(super) fn full_name(&self) -> String {
        let parts = [FAMILY, GIVEN, PATRONYMIC].map(|place| self.at(place));
        let filled: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        filled.join(" ")
    }

    /// Returns what is on file after a row.
    pub(super) fn after(&self, row: &PersonRow) -> Self {
        // A name that was only split otherwise than it is on file is the same name.
        let same_name = row.names_split && row.full_name() == self.full_name();
        let name = |said: &Option<String>| said.clone().filter(|_| !same_name);
        let said = [
            name(&row.family_name),
            name(&row.given_name),
            name(&row.patronymic),
            row.language.clone(),
            row.faculty.clone(),
            row.year.clone(),
            row.group.clone(),
            row.speciality.clone(),
            row.email.clone(),
            row.number.clone(),
        ];
        let mut after = self.clone();
        for (text, said) in after.0.iter_mut().zip(said) {
            if let Some(said) = said {
                *text = said;
            }
        }
        if after.at(LANGUAGE).is_empty()
            && let Some(language) = after.0.get_mut(LANGUAGE)
        {
            "kk".clone_into(language);
        }
        after
    }

    /// Returns what differs in `after`: key, old and new.
    pub(super) fn changes(&self, after: &Self) -> Vec<(&'static str, String, String)> {
        let pairs = self.0.iter().zip(&after.0);
        let changed = KEYS
            .into_iter()
            .zip(pairs)
            .filter(|(_, (old, new))| old != new);
        changed
            .map(|(key, (old, new))| (key, old.clone(), new.clone()))
            .collect()
    }
}

/// An account.
#[derive(Debug, Clone)]
pub(super) struct Account {
    /// Whose.
    pub(super) person: PersonId,
    /// How the person is addressed.
    pub(super) display_name: String,
    /// Whether a password is set, or a code that is not over.
    pub(super) has_password: bool,
    /// What is on file.
    pub(super) on_file: OnFile,
}

/// Every account by its login.
pub(super) type Accounts = BTreeMap<String, Account>;

/// Reads every account.
///
/// # Errors
/// The database failed.
pub(super) async fn accounts(state: &AppState) -> Result<Accounts, StoreError> {
    accounts_in(state.store.read(), state.clock.wall()).await
}

/// Reads every account as a reader or a transaction sees it at a time.
///
/// # Errors
/// The database failed.
pub(super) async fn accounts_in(
    from: impl Into<qorgan_store::Target<'_>>,
    at: WallTime,
) -> Result<Accounts, StoreError> {
    let rows = qorgan_store::query(
        "SELECT p.id, p.login, p.display_name, p.language, p.email, p.external_id, \
         d.family_name, d.given_name, d.patronymic, d.faculty, d.year, d.group_name, d.speciality, \
         CAST(CASE WHEN EXISTS (SELECT 1 FROM credentials c WHERE c.person_id = p.id \
         AND (c.code_until_ms IS NULL OR c.code_until_ms > $1)) \
         THEN 1 ELSE 0 END AS BIGINT) AS has_password \
         FROM people p LEFT JOIN person_details d ON d.person_id = p.id",
    )
    .bind(at.unix_ms())
    .fetch_all(from)
    .await?;
    let mut accounts = Accounts::new();
    for row in rows {
        let text = |column: &str| -> Result<String, qorgan_store::SqlError> {
            Ok(row.get::<Option<String>>(column)?.unwrap_or_default())
        };
        let account = Account {
            person: id(&text("id")?)?,
            display_name: text("display_name")?,
            has_password: row.get("has_password")?,
            on_file: OnFile([
                text("family_name")?,
                text("given_name")?,
                text("patronymic")?,
                text("language")?,
                text("faculty")?,
                text("year")?,
                text("group_name")?,
                text("speciality")?,
                text("email")?,
                text("external_id")?,
            ]),
        };
        accounts.insert(row.get("login")?, account);
    }
    Ok(accounts)
}

/// Reads a list of people and checks it against the accounts there are.
///
/// # Errors
/// Every fault with line and column, or the database failed.
pub async fn read_people_list(
    state: &AppState,
    file: &str,
    bytes: &[u8],
) -> Result<Result<Sheet<PersonRow>, Vec<Fault>>, StoreError> {
    let mut sheet = match read_people(file, bytes) {
        Ok(sheet) => sheet,
        Err(faults) => return Ok(Err(faults)),
    };
    let accounts = accounts(state).await?;
    let mut faults = check(file, &mut sheet, &accounts);
    faults.extend(staff_faults(&state.store, file, &sheet.rows).await?);
    faults.sort();
    Ok(if faults.is_empty() {
        Ok(sheet)
    } else {
        Err(faults)
    })
}

fn check(file: &str, sheet: &mut Sheet<PersonRow>, accounts: &Accounts) -> Vec<Fault> {
    let numbers = by(accounts, without_zeros);
    let skeletons = by(accounts, |login| Some(skeleton(login)));
    let mut faults = Vec::new();
    for row in sheet
        .rows
        .iter()
        .filter(|row| !accounts.contains_key(&row.login))
    {
        let place = |column: &str| Place::line(file, row.line).in_column(column);
        let login = row.login.clone();
        if let Some(likely) = likely(&login, &numbers) {
            faults.push(Fault::new(
                place("login"),
                FaultKind::LostZero { login, likely },
            ));
            continue;
        }
        if row.family_name.is_none() {
            faults.push(Fault::new(place("name"), FaultKind::EmptyField));
        }
        if let Some(other) = skeletons.get(&skeleton(&login)) {
            let other = (*other).to_owned();
            let kind = NoteKind::LooksLike { login, other };
            sheet.notes.push(Note::new(place("login"), kind));
        }
    }
    faults
}

fn by(accounts: &Accounts, key: impl Fn(&str) -> Option<String>) -> BTreeMap<String, &str> {
    let logins = accounts.keys().map(String::as_str);
    logins
        .filter_map(|login| Some((key(login)?, login)))
        .collect()
}

/// Returns the account that a number without its leading zeros is likely to mean.
fn likely(login: &str, numbers: &BTreeMap<String, &str>) -> Option<String> {
    let found = numbers.get(&without_zeros(login)?)?;
    (found.len() > login.len()).then(|| (*found).to_owned())
}

/// Returns a number without its leading zeros; `None` for what is no number of some length.
fn without_zeros(login: &str) -> Option<String> {
    let digits = login.len() >= DIGITS_MIN && login.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| login.trim_start_matches('0').to_owned())
}

/// Shorter numbers are numbers of rows and seats, not of people.
const DIGITS_MIN: usize = 4;

/// Returns the account that a login which nobody has is likely to mean: a number that lost its
/// leading zeros.
pub(super) fn likely_account<T>(login: &str, accounts: &BTreeMap<String, T>) -> Option<String> {
    let wanted = without_zeros(login)?;
    let mut found = accounts.keys().filter(|one| one.len() > login.len());
    let found = found.find(|one| without_zeros(one).as_ref() == Some(&wanted));
    found.cloned()
}

/// Puts a row into force: what it does not say stays as `account` has it on file.
pub(super) async fn put_row(
    tx: &mut WriteTx,
    state: &AppState,
    account: Option<&Account>,
    row: &PersonRow,
) -> Result<PersonId, StoreError> {
    let before = account
        .map(|account| account.on_file.clone())
        .unwrap_or_default();
    let after = before.after(row);
    if let Some(account) = account
        && before == after
    {
        return Ok(account.person);
    }
    let [
        family,
        given,
        patronymic,
        language,
        faculty,
        year,
        group,
        speciality,
        email,
        number,
    ] = &after.0;
    let unit = [faculty, year, group].map(String::as_str);
    let unit: Vec<&str> = unit.into_iter().filter(|part| !part.is_empty()).collect();
    let name = after.full_name();
    // Whoever was added without a list, such as staff, has a name but no parts of it.
    let kept = account.map(|account| account.display_name.clone());
    let new = NewPerson {
        login: row.login.clone(),
        display_name: if name.is_empty() {
            kept.unwrap_or_default()
        } else {
            name
        },
        language: language.clone(),
        external_id: number.clone(),
        unit: unit.join(" · "),
        email: email.clone(),
    };
    let person = put_person(tx, &state.keys, state.clock.wall(), &new).await?;
    qorgan_store::query(
        "INSERT INTO person_details (person_id, institution_id, family_name, given_name, \
         patronymic, faculty, year, group_name, speciality) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (person_id) DO UPDATE SET \
         family_name = excluded.family_name, given_name = excluded.given_name, \
         patronymic = excluded.patronymic, faculty = excluded.faculty, year = excluded.year, \
         group_name = excluded.group_name, speciality = excluded.speciality",
    )
    .bind(person.to_string())
    .bind(state.institution().to_string())
    .bind(family)
    .bind(given)
    .bind(patronymic)
    .bind(faculty)
    .bind(year)
    .bind(group)
    .bind(speciality)
    .execute(&mut **tx)
    .await?;
    Ok(person)
}

#[cfg(test)]
mod tests {
    use qorgan_protocol::time::WallTime;

    use super::*;

    fn on_file(texts: [&str; 10]) -> OnFile {
        OnFile(texts.map(str::to_owned))
    }

    fn rows(text: &str) -> Sheet<PersonRow> {
        read_people("p.csv", text.as_bytes()).expect("a good list")
    }

    fn account(texts: [&str; 10]) -> Account {
        Account {
            person: PersonId::new(WallTime::from_unix_ms(1), [1; 10]),
            display_name: String::new(),
            has_password: true,
            on_file: on_file(texts),
        }
    }

    const ASEL: [&str; 10] = [
        "Әлі",
        "Әсел",
        "Дос қызы",
        "ru",
        "ЖМ",
        "2",
        "ЖМ-1",
        "6B1",
        "a@b.kz",
        "",
    ];

    #[test]
    fn what_a_list_does_not_say_stays_and_each_change_is_told() {
        let before = on_file(ASEL);
        let sheet = rows("login;топ;email\na;ЖМ-2;-\n");

        let after = before.after(&sheet.rows[0]);

        let told = before.changes(&after);
        let owned = |one: &str| one.to_owned();
        let wanted = [
            ("group", owned("ЖМ-1"), owned("ЖМ-2")),
            ("email", owned("a@b.kz"), owned("")),
        ];
        assert_eq!(told, wanted);
    }

    #[test]
    fn a_name_that_is_only_split_otherwise_is_the_same_name() {
        let before = on_file(["де ла Крус", "Мария", "", "kk", "", "", "", "", "", ""]);
        let same = rows("login;ФИО\na;де ла Крус Мария\n");
        let other = rows("login;ФИО\na;Крус Мария\n");

        assert_eq!(before.after(&same.rows[0]), before);
        assert_eq!(before.after(&other.rows[0]).full_name(), "Крус Мария");
    }

    #[test]
    fn a_number_that_lost_its_zeros_is_told_with_the_likely_account() {
        let accounts = Accounts::from([("0040123".to_owned(), account(ASEL))]);
        let mut sheet = rows("login;тегі;аты\n40123;А;Б\nb;В;Г\n");

        let faults = check("p.csv", &mut sheet, &accounts);

        let kind = FaultKind::LostZero {
            login: "40123".to_owned(),
            likely: "0040123".to_owned(),
        };
        let told: Vec<_> = faults.into_iter().map(|fault| fault.kind).collect();
        assert_eq!(told, [kind]);
    }

    #[test]
    fn whoever_is_new_needs_a_name_and_looks_like_nobody_else() {
        let accounts = Accounts::from([("cop".to_owned(), account(ASEL))]);
        let mut sheet = rows("login;топ\nсор;1\n");

        let faults = check("p.csv", &mut sheet, &accounts);

        assert_eq!(faults.len(), 1);
        assert_eq!(faults[0].kind, FaultKind::EmptyField);
        assert!(
            sheet
                .notes
                .iter()
                .any(|note| note.kind.word() == "looks-like")
        );
    }
}
