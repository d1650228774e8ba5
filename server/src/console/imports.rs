//! What an import changes, once it was checked: people, tests, admission sheets. The command line
//! and the console call the same functions.

use std::collections::{BTreeMap, BTreeSet};

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::assessment::AssessmentTest;
use qorgan_protocol::ids::{ExamId, PersonId, SittingId};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::{Accommodation, ProblemCode};
use qorgan_server_core::fault::{Fault, FaultKind, Place};
use qorgan_server_core::sheets::{
    AdmissionRow, POSITIVE_RATING_DEFAULT, PersonRow, foreign_disciplines, read_admission,
};

use super::error::{Answer, ConsoleError};
use super::page::{Page, Visitor, show};
use super::photos::apply_photos;
use super::posted::Posted;
use super::preview::Checked;
use super::rights::{RowRights, StaffRights, row_rights, staff_rights};
use super::store::{exam_facts, sitting_exam};
use crate::auth::{AuthError, Staff, TestCentre};
use crate::state::AppState;
use crate::store::exams::{Admission, admit, allowances};
use crate::store::people::{NewPerson, put_person};
use crate::store::{StoreError, WriteTx, audit, content, id};

/// Says why an import that was checked cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A password cannot be made.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// There is no randomness.
    #[error("no randomness")]
    Key(#[from] qorgan_signing::KeyError),
    /// Somebody on the sheet has rights, or would get some: an administrator gives rights.
    #[error("somebody on the sheet has rights here, or would get some; check the sheet again")]
    Rights,
    /// Somebody on the sheet has no account any more.
    #[error("somebody on the sheet has no account; check the sheet again")]
    Gone,
}

impl From<sqlx::Error> for ImportError {
    fn from(error: sqlx::Error) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

impl From<ImportError> for ConsoleError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => Self::Store(error),
            ImportError::Auth(error) => Self::Auth(error),
            ImportError::Key(error) => Self::Key(error),
            ImportError::Gone | ImportError::Rights => Self::Refused(ProblemCode::NotFound),
        }
    }
}

/// What an import of people did.
#[derive(Clone, Default)]
pub struct PeopleReport {
    /// How many people were imported.
    pub imported: usize,
    /// Name, login and one-time code of those who got one; shown once.
    pub codes: Vec<(String, String, String)>,
}

impl core::fmt::Debug for PeopleReport {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("PeopleReport")
            .field("imported", &self.imported)
            .field("codes", &self.codes.len())
            .finish()
    }
}

/// Imports candidates in one transaction; who has no password yet gets a one-time code. No right is
/// given, and no account of staff is changed (M1).
///
/// # Errors
/// `Rights` where a row would do either; the database failed or there is no randomness. Nothing is
/// changed then.
pub async fn apply_people(
    state: &AppState,
    rows: &[PersonRow],
    actor: &str,
) -> Result<PeopleReport, ImportError> {
    // Whose code is over gets a new one.
    let known: BTreeSet<String> = sqlx::query_scalar(
        "SELECT p.login FROM people p JOIN credentials c ON c.person_id = p.id \
         WHERE c.code_until_ms IS NULL OR c.code_until_ms > $1",
    )
    .bind(state.clock.wall().unix_ms())
    .fetch_all(state.store.read())
    .await?
    .into_iter()
    .collect();
    let mut report = PeopleReport::default();
    let mut hashes = BTreeMap::new();
    let staff = staff_rights(state.store.read()).await?;
    let theirs = candidates_of(&staff, rows)?;
    for row in &theirs {
        let password = match (&row.password, known.contains(&row.login)) {
            (Some(password), _) => password.clone(),
            (None, true) => continue,
            (None, false) => {
                let code = one_time_code(&qorgan_signing::random()?);
                report
                    .codes
                    .push((row.full_name(), row.login.clone(), code.clone()));
                code
            }
        };
        hashes.insert(
            row.login.as_str(),
            state.auth.hash_password(&password).await?,
        );
    }
    let mut tx = state.store.begin().await?;
    // Somebody may have become staff since.
    if staff_rights(&mut *tx).await? != staff {
        candidates_of(&staff_rights(&mut *tx).await?, rows)?;
    }
    for row in &theirs {
        let person = put_row(&mut tx, state, row).await?;
        if let Some(hash) = hashes.get(row.login.as_str()) {
            state
                .auth
                .put_credentials(&mut tx, person, hash, false)
                .await?;
            if row.password.is_none() {
                state.auth.put_code_end(&mut tx, person).await?;
            }
        }
        report.imported += 1;
    }
    log(
        &mut tx,
        state,
        actor,
        ("people_imported", "people", &theirs.len().to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(report)
}

/// Returns the rows of candidates; those of staff that change nothing are left out.
fn candidates_of<'r>(
    staff: &StaffRights,
    rows: &'r [PersonRow],
) -> Result<Vec<&'r PersonRow>, ImportError> {
    let mut theirs = Vec::with_capacity(rows.len());
    for row in rows {
        match row_rights(staff, row) {
            RowRights::Candidate => theirs.push(row),
            RowRights::StaffAsItIs => {}
            RowRights::Refused { .. } => return Err(ImportError::Rights),
        }
    }
    Ok(theirs)
}

async fn put_row(
    tx: &mut WriteTx,
    state: &AppState,
    row: &PersonRow,
) -> Result<PersonId, StoreError> {
    let unit = [&row.faculty, &row.year, &row.group].map(String::as_str);
    let unit: Vec<&str> = unit.into_iter().filter(|part| !part.is_empty()).collect();
    let new = NewPerson {
        login: row.login.clone(),
        display_name: row.full_name(),
        language: row.language.clone(),
        external_id: String::new(),
        unit: unit.join(" · "),
        email: row.email.clone(),
    };
    let person = put_person(tx, &state.keys, state.clock.wall(), &new).await?;
    sqlx::query(
        "INSERT INTO person_details (person_id, institution_id, family_name, given_name, \
         patronymic, faculty, year, group_name, speciality) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (person_id) DO UPDATE SET \
         family_name = excluded.family_name, given_name = excluded.given_name, \
         patronymic = excluded.patronymic, faculty = excluded.faculty, year = excluded.year, \
         group_name = excluded.group_name, speciality = excluded.speciality",
    )
    .bind(person.to_string())
    .bind(state.institution().to_string())
    .bind(&row.family_name)
    .bind(&row.given_name)
    .bind(&row.patronymic)
    .bind(&row.faculty)
    .bind(&row.year)
    .bind(&row.group)
    .bind(&row.speciality)
    .execute(&mut **tx)
    .await?;
    Ok(person)
}

/// Returns a code of twelve characters that nobody takes for another: no 0, O, 1, I or L.
fn one_time_code(random: &[u8; 12]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHJKMNPQRSTUVWXYZ23456789+";
    let mut code = String::new();
    for (place, byte) in random.iter().enumerate() {
        if place > 0 && place % 4 == 0 {
            code.push('-');
        }
        let letter = LETTERS.get(usize::from(byte % 31)).copied().unwrap_or(b'A');
        code.push(char::from(letter));
    }
    code
}

/// What an import of a test did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestReport {
    /// How many items.
    pub items: usize,
    /// How many pictures.
    pub pictures: usize,
}

/// Stores a test that was checked, sealed under its exam's key.
///
/// # Errors
/// The database failed; nothing is changed then.
//= tests/data/sop-2-28.md#3-test-application
pub async fn apply_test(
    state: &AppState,
    exam: ExamId,
    test: &AssessmentTest,
    actor: &str,
) -> Result<TestReport, ImportError> {
    let mut tx = state.store.begin().await?;
    content::put_test(&mut tx, &state.keys, exam, test, state.clock.wall()).await?;
    log(
        &mut tx,
        state,
        actor,
        ("test_imported", &exam.to_string(), &test.language),
    )
    .await?;
    tx.commit().await?;
    Ok(TestReport {
        items: test.items.len(),
        pictures: test.pictures.len(),
    })
}

/// What an import of an admission sheet did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdmissionReport {
    /// How many are admitted.
    pub admitted: usize,
    /// How many are not.
    pub refused: usize,
}

/// Reads an admission sheet for a sitting and checks it against people and discipline.
///
/// # Errors
/// Every fault with line and column, or the database failed.
//= tests/data/sop-2-28.md#7-admission
pub async fn read_admission_sheet(
    state: &AppState,
    sitting: SittingId,
    file: &str,
    bytes: &[u8],
) -> Result<Result<Vec<AdmissionRow>, Vec<Fault>>, StoreError> {
    let rows = match read_admission(file, bytes, POSITIVE_RATING_DEFAULT) {
        Ok(rows) => rows,
        Err(faults) => return Ok(Err(faults)),
    };
    let mut faults = Vec::new();
    if let Some(exam) = sitting_exam(&state.store, sitting).await?
        && let Some(facts) = exam_facts(&state.store, exam).await?
        && !facts.code.is_empty()
    {
        faults.extend(foreign_disciplines(file, &rows, &facts.code));
    }
    let people = candidates(state).await?;
    for row in &rows {
        let place = || Place::line(file, row.line).in_column("login");
        let login = row.login.clone();
        match people.get(&row.login) {
            None => faults.push(Fault::new(place(), FaultKind::UnknownLogin { login })),
            Some((_, true)) => {
                faults.push(Fault::new(place(), FaultKind::NotACandidate { login }));
            }
            Some((_, false)) => {}
        }
    }
    faults.sort();
    Ok(if faults.is_empty() {
        Ok(rows)
    } else {
        Err(faults)
    })
}

/// Puts a checked sheet into force: each line admits or refuses, and makes the attempt.
///
/// # Errors
/// The database failed, or a person is gone; nothing is changed then.
//= tests/data/sop-2-28.md#7-admission
pub async fn apply_admission(
    state: &AppState,
    sitting: SittingId,
    rows: &[AdmissionRow],
    actor: &str,
) -> Result<AdmissionReport, ImportError> {
    let people = candidates(state).await?;
    let mut report = AdmissionReport::default();
    let at = state.clock.wall();
    let mut tx = state.store.begin().await?;
    for row in rows {
        let (person, _) = people.get(&row.login).ok_or(ImportError::Gone)?;
        let granted = match &row.allowances {
            Some(granted) => granted.clone(),
            None => allowances(&mut tx, sitting, *person)
                .await?
                .unwrap_or_default(),
        };
        let admission = Admission {
            sitting,
            person: *person,
            admitted: row.admitted,
            reason: reason(row),
            accommodation: Accommodation {
                extra_minutes: row.extra_minutes,
                accessibility: row.accessibility,
                allowances: granted,
            },
        };
        admit(&mut tx, &state.keys, at, &admission).await?;
        if row.admitted {
            report.admitted += 1;
        } else {
            report.refused += 1;
        }
    }
    let subject = sitting.to_string();
    log(
        &mut tx,
        state,
        actor,
        ("admission_imported", &subject, &rows.len().to_string()),
    )
    .await?;
    tx.commit().await?;
    Ok(report)
}

fn reason(row: &AdmissionRow) -> String {
    match (row.admitted, row.rating) {
        (true, _) => String::new(),
        (false, Some(rating)) if row.reason.is_empty() => {
            format!("ЖР {rating} < {POSITIVE_RATING_DEFAULT}")
        }
        (false, _) => row.reason.clone(),
    }
}

async fn candidates(state: &AppState) -> Result<BTreeMap<String, (PersonId, bool)>, StoreError> {
    let rows: Vec<(String, String, bool)> = sqlx::query_as(
        "SELECT p.login, p.id, EXISTS (SELECT 1 FROM staff_roles r WHERE r.person_id = p.id) \
         FROM people p",
    )
    .fetch_all(state.store.read())
    .await?;
    let mut people = BTreeMap::new();
    for (login, person, staff) in rows {
        people.insert(login, (id(&person)?, staff));
    }
    Ok(people)
}

pub(super) async fn log(
    tx: &mut WriteTx,
    state: &AppState,
    actor: &str,
    (action, subject, detail): (&str, &str, &str),
) -> Result<(), StoreError> {
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor,
        action,
        subject,
        detail,
    };
    audit::write(tx, &entry).await
}

#[derive(Debug, Template)]
#[template(path = "console/preview.html")]
struct PreviewPage {
    page: Page,
    title: String,
    file: String,
    back: String,
    apply: String,
    faults: Vec<FaultLine>,
    summary: Vec<String>,
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
    more: usize,
    clause: String,
}

#[derive(Debug)]
struct FaultLine {
    file: String,
    line: String,
    place: String,
    text: String,
}

/// What a preview says.
#[derive(Debug)]
pub(super) struct PreviewWords {
    /// The key of its title.
    pub(super) title: &'static str,
    /// The file's name.
    pub(super) file: String,
    /// Where it leads back to.
    pub(super) back: String,
    /// The key of the clause it cites.
    pub(super) clause: &'static str,
}

/// What a preview shows of what was read.
#[derive(Debug, Default)]
pub(super) struct PreviewTable {
    /// Counts in words.
    pub(super) summary: Vec<String>,
    /// Headings of the columns.
    pub(super) headings: Vec<String>,
    /// Rows; the page shows the first of them.
    pub(super) rows: Vec<Vec<String>>,
}

/// Shows the faults of an import; nothing was changed.
pub(super) fn show_faults(page: Page, words: PreviewWords, faults: &[Fault]) -> Answer {
    let language = page.in_language();
    let lines = faults
        .iter()
        .map(|fault| FaultLine {
            file: fault.place.file.clone(),
            line: fault
                .place
                .line
                .map(|line| line.to_string())
                .unwrap_or_default(),
            place: fault
                .place
                .item
                .clone()
                .or_else(|| fault.place.column.clone())
                .unwrap_or_default(),
            text: language.fault(&fault.kind),
        })
        .collect();
    preview(page, words, String::new(), lines, PreviewTable::default())
}

/// Keeps what was checked and shows what it would change.
pub(super) fn show_checked(
    state: &AppState,
    visitor: &Visitor,
    staff: &Staff<TestCentre>,
    words: PreviewWords,
    (checked, table): (Checked, PreviewTable),
) -> Answer {
    let id = hex::encode(qorgan_signing::random::<16>()?);
    let apply = format!("/console/imports/{id}");
    let now = state.clock.now();
    visitor
        .shared
        .previews
        .keep(id, staff.session.person, now, checked);
    let page = Page::new(state, visitor, Some(&staff.session));
    preview(page, words, apply, Vec::new(), table)
}

fn preview(
    page: Page,
    words: PreviewWords,
    apply: String,
    faults: Vec<FaultLine>,
    table: PreviewTable,
) -> Answer {
    let PreviewTable {
        summary,
        headings,
        mut rows,
    } = table;
    let more = rows.len().saturating_sub(ROWS_SHOWN);
    rows.truncate(ROWS_SHOWN);
    show(&PreviewPage {
        title: page.t(words.title),
        file: words.file,
        back: words.back,
        apply,
        faults,
        summary,
        headings,
        rows,
        more,
        clause: page.t(words.clause),
        page,
    })
}

#[derive(Debug, Template)]
#[template(path = "console/codes.html")]
struct CodesPage {
    page: Page,
    imported: usize,
    codes: Vec<(String, String, String)>,
}

/// `POST /console/imports/{id}`.
pub(super) async fn apply(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(id): Path<String>,
    posted: Posted<TestCentre>,
) -> Answer {
    let session = &posted.staff.session;
    let taken = visitor
        .shared
        .previews
        .take(&id, session.person, state.clock.now());
    let actor = session.person.to_string();
    match taken.ok_or(ConsoleError::Refused(ProblemCode::NotFound))? {
        Checked::People(rows) => {
            let report = apply_people(&state, &rows, &actor).await?;
            show(&CodesPage {
                page: Page::new(&state, &visitor, Some(session)),
                imported: report.imported,
                codes: report.codes,
            })
        }
        Checked::Photos(photos) => {
            apply_photos(&state, &photos, &actor).await?;
            Ok(Redirect::to("/console/people").into_response())
        }
        Checked::Test(exam, test) => {
            apply_test(&state, exam, &test, &actor).await?;
            Ok(Redirect::to(&format!("/console/exams/{exam}")).into_response())
        }
        Checked::Admission(sitting, rows) => {
            apply_admission(&state, sitting, &rows, &actor).await?;
            Ok(Redirect::to(&format!("/console/sittings/{sitting}")).into_response())
        }
    }
}

/// Returns random bytes for identifiers that an import makes.
pub(super) fn identifiers(at: WallTime) -> (WallTime, impl FnMut() -> [u8; 10]) {
    // Without randomness nothing else would work either; identifiers then repeat and are refused
    // by the database's primary keys.
    (at, || qorgan_signing::random().unwrap_or_default())
}

/// The most rows that a preview shows.
const ROWS_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_has_no_letters_that_look_alike() {
        let code = one_time_code(&[0, 31, 62, 93, 124, 155, 186, 217, 248, 14, 15, 16]);

        assert_eq!(code.len(), 14);
        assert!(!code.contains(['0', 'O', '1', 'I', 'L']));
    }
}
