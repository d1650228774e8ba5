//! What an import changes, once it was checked: people, tests, admission sheets. The command line
//! and the console call the same functions.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::assessment::AssessmentTest;
use qorgan_protocol::ids::{ExamId, TestId};
use qorgan_protocol::time::WallTime;
use qorgan_protocol::wire::ProblemCode;
use qorgan_server_core::fault::{Fault, FaultKind, Note, Place};
use qorgan_server_core::sheets::PersonRow;

use super::admission_sheet::apply_admission;
use super::error::{Answer, ConsoleError};
use super::hashing::{Secret, hash_all, one_time_code};
use super::page::{Page, Visitor, show};
use super::people_list::{accounts, accounts_in, put_row};
use super::photos::apply_photos;
use super::posted::Posted;
use super::preview::Checked;
use super::rights::{RowRights, StaffRights, row_rights, staff_rights};
use crate::auth::{AuthError, Staff, TestCentre};
use crate::state::AppState;
use qorgan_store::content::{self, PutTestError};
use qorgan_store::{StoreError, WriteTx, audit};

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
    /// What the file was checked against changed since.
    #[error("what the file was checked against changed since; check the file again")]
    Outdated,
    /// Somebody on the sheet has no account any more.
    #[error("somebody on the sheet has no account; check the sheet again")]
    Gone,
}

impl From<qorgan_store::SqlError> for ImportError {
    fn from(error: qorgan_store::SqlError) -> Self {
        Self::Store(StoreError::Sql(error))
    }
}

impl From<ImportError> for ConsoleError {
    fn from(error: ImportError) -> Self {
        match error {
            ImportError::Store(error) => Self::Store(error),
            ImportError::Auth(error) => Self::Auth(error),
            ImportError::Key(error) => Self::Key(error),
            ImportError::Gone | ImportError::Rights | ImportError::Outdated => {
                Self::Refused(ProblemCode::NotFound)
            }
        }
    }
}

/// What an import does one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// A password or code was hashed.
    Hashed,
    /// A person, photo or admission was written, to be kept with all others.
    Written,
}

/// Hears how many of a step are done, each time that one more is.
pub type Progress<'a> = &'a (dyn Fn(Step, usize) + Sync);

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

/// Imports candidates in one transaction; who has no password yet, or a code that is over, gets a
/// one-time code. No right is given, and no account of staff is changed. `told` hears how far it is.
///
/// # Errors
/// `Rights` where a row would do either; the database failed or there is no randomness. Nothing is
/// changed then.
pub async fn apply_people(
    state: &AppState,
    rows: &[PersonRow],
    actor: &str,
    told: Progress<'_>,
) -> Result<PeopleReport, ImportError> {
    let accounts = accounts(state).await?;
    let mut report = PeopleReport::default();
    let mut secrets = Vec::new();
    let staff = staff_rights(state.store.read()).await?;
    let theirs = candidates_of(&staff, rows)?;
    for row in &theirs {
        let known = accounts.get(&row.login);
        let secret = match &row.password {
            Some(password) => Secret::Password(password.clone()),
            None if known.is_some_and(|account| account.has_password) => continue,
            None => {
                let code = one_time_code(&qorgan_signing::random()?);
                let on_file = known.map(|account| account.on_file.clone());
                let name = on_file.unwrap_or_default().after(row).full_name();
                report.codes.push((name, row.login.clone(), code.clone()));
                Secret::Code(code)
            }
        };
        secrets.push((row.login.clone(), secret));
    }
    let hashes = hash_all(state, secrets, told).await?;
    put_people(state, (rows, &theirs), &hashes, (actor, told), report).await
}

/// Puts a checked list into force. Hashing took its time: what the list is laid over is read again
/// where nobody else writes.
async fn put_people(
    state: &AppState,
    (rows, theirs): (&[PersonRow], &[&PersonRow]),
    hashes: &BTreeMap<String, String>,
    (actor, told): (&str, Progress<'_>),
    mut report: PeopleReport,
) -> Result<PeopleReport, ImportError> {
    let mut tx = state.store.begin().await?;
    let now = candidates_of(&staff_rights(&mut *tx).await?, rows)?;
    let logins =
        |rows: &[&PersonRow]| -> Vec<String> { rows.iter().map(|row| row.login.clone()).collect() };
    if logins(&now) != logins(theirs) {
        return Err(ImportError::Outdated);
    }
    let accounts = accounts_in(&mut *tx, state.clock.wall()).await?;
    for row in theirs {
        let known = accounts.get(&row.login);
        let has_password = known.is_some_and(|account| account.has_password);
        let person = put_row(&mut tx, state, known, row).await?;
        report.imported += 1;
        told(Step::Written, report.imported);
        match (hashes.get(&row.login), &row.password) {
            (Some(_), None) if has_password => {
                // A code would lock out whoever got a password meanwhile.
                report.codes.retain(|(_, login, _)| *login != row.login);
            }
            (Some(hash), given) => {
                let auth = &state.auth;
                auth.put_credentials(&mut tx, person, hash, false).await?;
                if given.is_none() {
                    auth.put_code_end(&mut tx, person).await?;
                }
            }
            (None, _) if has_password => {}
            (None, _) => return Err(ImportError::Outdated),
        }
    }
    let count = theirs.len().to_string();
    let entry = ("people_imported", "people", &*count);
    log(&mut tx, state, actor, entry).await?;
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

/// What an import of a test did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TestReport {
    /// How many items.
    pub items: usize,
    /// How many pictures.
    pub pictures: usize,
}

/// A test that was checked.
#[derive(Debug)]
pub struct CheckedTest {
    exam: ExamId,
    test: AssessmentTest,
    replaces: Option<TestId>,
}

impl CheckedTest {
    /// Takes a test with the one that it replaces, as it stands when the file is checked.
    ///
    /// # Errors
    /// The database failed.
    pub async fn new(
        state: &AppState,
        exam: ExamId,
        test: AssessmentTest,
    ) -> Result<Self, StoreError> {
        let replaces = content::test_in_force(state.store.read(), exam, &test.language).await?;
        Ok(Self {
            exam,
            test,
            replaces,
        })
    }

    /// Returns the test.
    pub(super) const fn test(&self) -> &AssessmentTest {
        &self.test
    }

    /// Returns the exam that it is of.
    pub(super) const fn exam(&self) -> ExamId {
        self.exam
    }
}

/// Stores a test that was checked, sealed under its exam's key.
///
/// # Errors
/// `Outdated` where another test of its language was imported since it was checked; the database
/// failed. Nothing is changed then.
//= tests/data/sop-2-28.md#3-test-application
pub async fn apply_test(
    state: &AppState,
    checked: CheckedTest,
    actor: &str,
) -> Result<TestReport, ImportError> {
    let CheckedTest {
        exam,
        test,
        replaces,
    } = checked;
    let report = TestReport {
        items: test.items.len(),
        pictures: test.pictures.len(),
    };
    let language = test.language.clone();
    let sealed = content::seal_test(&state.store, &state.keys, exam, test).await?;
    let mut tx = state.store.begin().await?;
    match content::put_test(&mut tx, &sealed, replaces, state.clock.wall()).await {
        Ok(()) => {}
        Err(PutTestError::Outdated) => return Err(ImportError::Outdated),
        Err(PutTestError::Store(error)) => return Err(error.into()),
    }
    let entry = ("test_imported", &*exam.to_string(), &*language);
    log(&mut tx, state, actor, entry).await?;
    tx.commit().await?;
    Ok(report)
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
    notes: Vec<FaultLine>,
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

impl FaultLine {
    fn new(place: &Place, text: String) -> Self {
        let part = place.item.clone().or_else(|| place.column.clone());
        Self {
            file: place.file.clone(),
            line: place.line.map(|line| line.to_string()).unwrap_or_default(),
            place: part.unwrap_or_default(),
            text,
        }
    }
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
    /// What somebody should look at.
    pub(super) notes: Vec<Note>,
}

/// Shows the faults of an import; nothing was changed.
pub(super) fn show_faults(page: Page, words: PreviewWords, faults: &[Fault]) -> Answer {
    let language = page.in_language();
    let lines = faults
        .iter()
        .map(|fault| FaultLine::new(&fault.place, language.fault(&fault.kind)))
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
        notes,
    } = table;
    let language = page.in_language();
    let told = |note: &Note| FaultLine::new(&note.place, language.note(&note.kind));
    let mut shown: Vec<FaultLine> = notes.iter().take(NOTES_SHOWN).map(told).collect();
    if notes.len() > NOTES_SHOWN {
        let rest = page.t1("preview-more", "n", notes.len() - NOTES_SHOWN);
        shown.push(FaultLine::new(&Place::file(&words.file), rest));
    }
    let more = rows.len().saturating_sub(ROWS_SHOWN);
    rows.truncate(ROWS_SHOWN);
    show(&PreviewPage {
        title: page.t(words.title),
        file: words.file,
        back: words.back,
        apply,
        faults,
        notes: shown,
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
    let checked = taken.ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let page = Page::new(&state, &visitor, Some(session));
    let words = words_of(&checked);
    let done = apply_checked(&state, checked, &session.person.to_string()).await;
    match done {
        Ok(Applied::People(report)) => show(&CodesPage {
            page,
            imported: report.imported,
            codes: report.codes,
        }),
        Ok(Applied::At(there)) => Ok(Redirect::to(&there).into_response()),
        Err(ImportError::Outdated | ImportError::Rights | ImportError::Gone) => {
            let fault = Fault::new(Place::default(), FaultKind::Outdated);
            show_faults(page, words, &[fault])
        }
        Err(error @ (ImportError::Store(_) | ImportError::Auth(_) | ImportError::Key(_))) => {
            Err(error.into())
        }
    }
}

/// What an import that was applied leads to.
enum Applied {
    /// Codes to hand out.
    People(PeopleReport),
    /// A page.
    At(String),
}

async fn apply_checked(
    state: &AppState,
    checked: Checked,
    actor: &str,
) -> Result<Applied, ImportError> {
    match checked {
        Checked::People(rows) => {
            let report = apply_people(state, &rows, actor, &unheard).await?;
            Ok(Applied::People(report))
        }
        Checked::Photos(photos) => {
            apply_photos(state, &photos, actor, &unheard).await?;
            Ok(Applied::At("/console/people".to_owned()))
        }
        Checked::Test(checked) => {
            let exam = checked.exam();
            apply_test(state, *checked, actor).await?;
            Ok(Applied::At(format!("/console/exams/{exam}")))
        }
        Checked::Admission(sitting, rows) => {
            apply_admission(state, sitting, &rows, actor, &unheard).await?;
            Ok(Applied::At(format!("/console/sittings/{sitting}")))
        }
    }
}

/// A page is sent whole: meanwhile the browser says that the import is under way.
const fn unheard(_step: Step, _done: usize) {}

/// Returns the words of the page that says why an import is not applied.
fn words_of(checked: &Checked) -> PreviewWords {
    let (title, clause, back) = match checked {
        Checked::People(_) => ("import-people", "clause-3", "/console/people".to_owned()),
        Checked::Photos(_) => ("import-photos", "clause-3", "/console/people".to_owned()),
        Checked::Test(checked) => {
            let exam = checked.exam();
            ("import-test", "clause-6", format!("/console/exams/{exam}"))
        }
        Checked::Admission(sitting, _) => {
            let back = format!("/console/sittings/{sitting}");
            ("import-admission", "clause-7", back)
        }
    };
    PreviewWords {
        title,
        file: String::new(),
        back,
        clause,
    }
}

/// Returns random bytes for identifiers that an import makes.
pub(super) fn identifiers(at: WallTime) -> (WallTime, impl FnMut() -> [u8; 10]) {
    // Without randomness nothing else would work either; identifiers then repeat and are refused
    // by the database's primary keys.
    (at, || qorgan_signing::random().unwrap_or_default())
}

/// The most rows that a preview shows; those that change something stand first.
const ROWS_SHOWN: usize = 1_000;
/// The most notes that a preview shows.
const NOTES_SHOWN: usize = 200;

#[cfg(test)]
mod tests {
    #[test]
    fn each_form_that_imports_says_that_it_is_under_way_and_is_sent_once() {
        for template in [
            include_str!("../../templates/console/preview.html"),
            include_str!("../../templates/console/people.html"),
            include_str!("../../templates/console/exam.html"),
            include_str!("../../templates/console/sitting.html"),
        ] {
            let imports = |form: &&str| {
                form.contains("multipart/form-data") || form.contains("\"{{ apply }}\"")
            };
            let forms: Vec<&str> = template.split("<form ").skip(1).filter(imports).collect();
            assert!(!forms.is_empty());
            for form in forms {
                let head = form.lines().next().unwrap_or_default();
                assert!(head.contains("data-busy="), "{head}");
            }
        }
    }
}
