//! People: the list, its export, the import.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use qorgan_server_core::sheets::{PersonRow, Role, Sheet};
use serde::Deserialize;

use super::admission_sheet::change;
use super::error::Answer;
use super::imports::{PreviewTable, PreviewWords, log, show_checked, show_faults};
use super::page::{Page, Visitor, encode, show};
use super::paging::{PageOf, Pager};
use super::people_list::{Accounts, KEYS, accounts, read_people_list};
use super::posted::Uploaded;
use super::preview::Checked;
use crate::auth::{Office, Staff, TestCentre};
use crate::state::AppState;
use qorgan_store::search::Search;
use qorgan_store::{Store, StoreError};

#[derive(Debug, Template)]
#[template(path = "console/people.html")]
struct PeoplePage {
    page: Page,
    q: String,
    role: String,
    roles: Vec<(&'static str, String)>,
    total: i64,
    columns: Vec<SortColumn>,
    people: Vec<PersonLine>,
    pager: Pager,
}

#[derive(Debug)]
struct SortColumn {
    href: String,
    text: String,
    sorted: bool,
    order: &'static str,
}

#[derive(Debug, Clone)]
struct PersonLine {
    name: String,
    login: String,
    role: String,
    faculty: String,
    year: String,
    group: String,
    language: String,
}

/// What is searched for, how it is sorted, and which page.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    page: String,
}

const COLUMNS: [(&str, &str); 7] = [
    ("name", "name"),
    ("login", "login"),
    ("role", "role"),
    ("faculty", "faculty"),
    ("year", "year"),
    ("group", "group"),
    ("language", "language"),
];
const ROLES: [&str; 4] = ["candidate", "proctor", "test_centre", "administrator"];

/// `GET /console/people`.
pub(super) async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(wanted): Query<Wanted>,
    staff: Staff<Office>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let (key, falling) = match wanted.sort.strip_prefix('-') {
        Some(key) => (key, true),
        None => (wanted.sort.as_str(), false),
    };
    let part = PageOf::read(&wanted.page, PEOPLE_SHOWN);
    let found = Found::by(&state.store, &wanted).await?;
    let mut people = people(&state.store, &page, (&wanted, &found), part.range()).await?;
    let asked = [
        ("q", wanted.q.as_str()),
        ("role", wanted.role.as_str()),
        ("sort", wanted.sort.as_str()),
    ];
    let pager = part.cut(&mut people, "/console/people", &asked);
    show(&PeoplePage {
        columns: columns(&page, &wanted, key, falling),
        roles: ROLES
            .iter()
            .map(|word| (*word, page.t(&format!("role-{word}"))))
            .collect(),
        total: count(&state.store, &wanted, &found).await?,
        q: wanted.q,
        role: wanted.role,
        people,
        pager,
        page,
    })
}

fn columns(page: &Page, wanted: &Wanted, key: &str, falling: bool) -> Vec<SortColumn> {
    COLUMNS
        .iter()
        .map(|(column, text)| {
            let sorted = *column == key || (key.is_empty() && *column == "name");
            let turn = if sorted && !falling { "-" } else { "" };
            SortColumn {
                href: format!(
                    "?q={}&role={}&sort={turn}{column}",
                    encode(&wanted.q),
                    wanted.role
                ),
                text: page.t(text),
                sorted,
                order: if falling { "descending" } else { "ascending" },
            }
        })
        .collect()
}

/// Whom a search finds: $1 is what a name or login holds, $2 the groups that hold it, $3 the role.
macro_rules! people_sql {
    ($columns:literal, $rest:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM (SELECT p.folded, p.display_name, p.login, p.language, \
             COALESCE(d.faculty, '') AS faculty, COALESCE(d.year, '') AS year, \
             COALESCE(d.group_name, '') AS group_name, \
             COALESCE((SELECT string_agg(r.role, ' ' ORDER BY r.role) FROM staff_roles r \
             WHERE r.person_id = p.id), 'candidate') AS roles \
             FROM people p LEFT JOIN person_details d ON d.person_id = p.id) AS known \
             WHERE ($1 = '' OR instr(folded, $1) > 0 \
             OR group_name IN (SELECT value FROM json_each($2))) \
             AND ($3 = '' OR instr(' ' || roles || ' ', ' ' || $3 || ' ') > 0) ",
            $rest
        )
    };
}

/// Returns the statement that sorts by a column.
fn sorted(sort: &str) -> &'static str {
    match sort {
        "login" => people_sql!("*", "ORDER BY login, folded NULLS FIRST LIMIT $4 OFFSET $5"),
        "-login" => people_sql!(
            "*",
            "ORDER BY login DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
        ),
        "role" => people_sql!("*", "ORDER BY roles, folded NULLS FIRST LIMIT $4 OFFSET $5"),
        "-role" => people_sql!(
            "*",
            "ORDER BY roles DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
        ),
        "faculty" => people_sql!(
            "*",
            "ORDER BY faculty, folded NULLS FIRST LIMIT $4 OFFSET $5"
        ),
        "-faculty" => {
            people_sql!(
                "*",
                "ORDER BY faculty DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
            )
        }
        "year" => people_sql!("*", "ORDER BY year, folded NULLS FIRST LIMIT $4 OFFSET $5"),
        "-year" => people_sql!(
            "*",
            "ORDER BY year DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
        ),
        "group" => people_sql!(
            "*",
            "ORDER BY group_name, folded NULLS FIRST LIMIT $4 OFFSET $5"
        ),
        "-group" => {
            people_sql!(
                "*",
                "ORDER BY group_name DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
            )
        }
        "language" => people_sql!(
            "*",
            "ORDER BY language, folded NULLS FIRST LIMIT $4 OFFSET $5"
        ),
        "-language" => {
            people_sql!(
                "*",
                "ORDER BY language DESC, folded DESC NULLS LAST LIMIT $4 OFFSET $5"
            )
        }
        "-name" => people_sql!("*", "ORDER BY folded DESC NULLS LAST LIMIT $4 OFFSET $5"),
        _ => people_sql!("*", "ORDER BY folded NULLS FIRST LIMIT $4 OFFSET $5"),
    }
}

/// What is searched for, with the groups that hold it: both are asked of the same people and their
/// number.
struct Found {
    search: Search,
    groups: String,
}

impl Found {
    async fn by(store: &Store, wanted: &Wanted) -> Result<Self, StoreError> {
        let search = Search::read(&wanted.q);
        let groups = search.groups(store).await?;
        Ok(Self { search, groups })
    }
}

async fn people(
    store: &Store,
    page: &Page,
    (wanted, found): (&Wanted, &Found),
    (offset, limit): (u32, u32),
) -> Result<Vec<PersonLine>, StoreError> {
    let rows = qorgan_store::query(sorted(&wanted.sort))
        .bind(found.search.folded())
        .bind(&found.groups)
        .bind(&wanted.role)
        .bind(limit)
        .bind(offset)
        .fetch_all(store.read())
        .await?;
    let mut people = Vec::with_capacity(rows.len());
    for row in rows {
        let roles: String = row.get("roles")?;
        let shown: Vec<String> = roles
            .split(' ')
            .map(|word| page.t(&format!("role-{word}")))
            .collect();
        people.push(PersonLine {
            name: row.get("display_name")?,
            login: row.get("login")?,
            role: shown.join(", "),
            faculty: row.get("faculty")?,
            year: row.get("year")?,
            group: row.get("group_name")?,
            language: row.get("language")?,
        });
    }
    Ok(people)
}

async fn count(store: &Store, wanted: &Wanted, found: &Found) -> Result<i64, StoreError> {
    Ok(qorgan_store::query_scalar(people_sql!("COUNT(*)", ""))
        .bind(found.search.folded())
        .bind(&found.groups)
        .bind(&wanted.role)
        .fetch_one(store.read())
        .await?)
}

/// `GET /console/people.csv`; that it was taken stands in the audit log.
pub(super) async fn export(
    visitor: Visitor,
    State(state): State<AppState>,
    staff: Staff<Office>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let accounts = accounts(&state).await?;
    let everybody = Wanted::default();
    let found = Found::by(&state.store, &everybody).await?;
    let people = people(&state.store, &page, (&everybody, &found), (0, EVERYBODY)).await?;
    let mut tx = state.store.begin().await?;
    let detail = people.len().to_string();
    let taken = ("people_exported", "people", detail.as_str());
    log(&mut tx, &state, &staff.session.person.to_string(), taken).await?;
    tx.commit().await?;
    Ok(csv_file(
        "people.csv",
        &export_rows(&page, &people, &accounts),
    ))
}

/// Returns the list as it can be read in again: every column of a list of people but passwords.
fn export_rows(page: &Page, people: &[PersonLine], accounts: &Accounts) -> Vec<Vec<String>> {
    let mut headings = vec![page.t("login")];
    headings.extend(KEYS.map(|key| page.t(key)));
    headings.push(page.t("role"));
    let mut rows = vec![headings];
    for one in people {
        let Some(account) = accounts.get(&one.login) else {
            continue;
        };
        let mut row = vec![one.login.clone()];
        let on_file = account.on_file.texts();
        row.extend(
            on_file
                .iter()
                .map(|text| if text.is_empty() { "-" } else { text }.to_owned()),
        );
        row.push(one.role.clone());
        rows.push(row);
    }
    rows
}

/// Makes a CSV file of rows, as spreadsheets of this country read it.
pub(super) fn csv_file(name: &str, rows: &[Vec<String>]) -> axum::response::Response {
    let text = csv_text(rows);
    let attachment = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, attachment),
    ];
    (headers, text).into_response()
}

/// Writes rows as CSV.
pub(super) fn csv_text(rows: &[Vec<String>]) -> String {
    let mut text = String::from("\u{feff}");
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(";"));
        text.push_str("\r\n");
    }
    text
}

/// Quotes a cell; one that a spreadsheet would take for a formula is made text.
fn csv_cell(cell: &str) -> String {
    // A dash alone is no formula: it says that nothing is there.
    let formula = cell != "-" && cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let cell = if formula {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([';', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

/// `POST /console/people/import`: checks the list and shows what it would change.
pub(super) async fn import(
    visitor: Visitor,
    State(state): State<AppState>,
    upload: Uploaded<TestCentre>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&upload.staff.session));
    let words = PreviewWords {
        title: "import-people",
        file: upload.name.clone(),
        back: "/console/people".to_owned(),
        clause: "clause-3",
    };
    match read_people_list(&state, &upload.name, &upload.bytes).await? {
        Err(faults) => show_faults(page, words, &faults),
        Ok(sheet) => {
            let table = table(&page, &sheet, &accounts(&state).await?);
            let checked = (Checked::People(sheet.rows), table);
            show_checked(&state, &visitor, &upload.staff, words, checked)
        }
    }
}

/// Shows what a list would change; lines that change something stand first.
fn table(page: &Page, sheet: &Sheet<PersonRow>, accounts: &Accounts) -> PreviewTable {
    let (mut changed, mut same) = (Vec::new(), Vec::new());
    let (mut new, mut left) = (0, 0);
    for row in &sheet.rows {
        let known = accounts.get(&row.login);
        let before = known
            .map(|account| account.on_file.clone())
            .unwrap_or_default();
        // A row of staff that was not refused says what is so already, and is left as it is.
        let is_staff = row.role != Role::Candidate;
        left += usize::from(is_staff);
        let after = if is_staff {
            before.clone()
        } else {
            before.after(row)
        };
        let changes: Vec<String> = before
            .changes(&after)
            .into_iter()
            .map(|(key, old, new)| change(page, key, &old, &new))
            .collect();
        let password = known.is_some_and(|account| account.has_password) && row.password.is_some();
        let told = match known {
            None => page.t("preview-is-new"),
            Some(_) if password => [changes.join("; "), page.t("preview-password")].join("; "),
            Some(_) => changes.join("; "),
        };
        new += usize::from(known.is_none());
        let told = told.trim_start_matches("; ").to_owned();
        let is_same = told.is_empty();
        let mut line = vec![row.line.to_string(), row.login.clone()];
        line.extend(PREVIEWED.map(|key| after.text(key).to_owned()));
        line.push(page.t(&format!("role-{}", row.role.word())));
        line.push(told);
        if is_same {
            same.push(line);
        } else {
            changed.push(line);
        }
    }
    let mut headings = vec![page.t("line"), page.t("login")];
    headings.extend(PREVIEWED.map(|key| page.t(key)));
    headings.extend([page.t("role"), page.t("changes")]);
    let mut summary = vec![
        page.t1("preview-people", "n", sheet.rows.len()),
        page.t1("preview-new", "n", new),
        page.t1("preview-changed", "n", changed.len() - new),
    ];
    if left > 0 {
        summary.push(page.t1("preview-staff-left", "n", left));
    }
    changed.append(&mut same);
    PreviewTable {
        summary,
        headings,
        rows: changed,
        notes: sheet.notes.clone(),
    }
}

/// What a preview shows of each person.
const PREVIEWED: [&str; 7] = [
    "family-name",
    "given-name",
    "patronymic",
    "faculty",
    "year",
    "group",
    "language",
];
/// The most people that a page shows.
const PEOPLE_SHOWN: u32 = 500;
/// So many that an export leaves nobody out.
const EVERYBODY: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use qorgan_protocol::ids::PersonId;
    use qorgan_protocol::time::WallTime;
    use qorgan_server_core::sheets::read_people;

    use super::super::imports::apply_people;
    use super::super::people_list::{Account, OnFile};
    use super::super::texts::Language;
    use super::*;
    use qorgan_base::config::Config;

    fn accounts_of(texts: &[(&str, [&str; 10])]) -> Accounts {
        let account = |texts: [&str; 10]| Account {
            person: PersonId::new(WallTime::from_unix_ms(1), [1; 10]),
            display_name: String::new(),
            has_password: true,
            on_file: OnFile::new(texts.map(str::to_owned)),
        };
        let accounts = texts.iter();
        accounts
            .map(|(login, texts)| ((*login).to_owned(), account(*texts)))
            .collect()
    }

    #[test]
    fn the_exported_list_read_in_again_changes_nothing_in_any_language() {
        let accounts = accounts_of(&[
            (
                "040101500001",
                [
                    "Әлі", "Әсел", "", "kk", "ЖМ", "2", "ЖМ-1", "", "a@b.kz", "7",
                ],
            ),
            (
                "+a@x.kz",
                ["О'Нил", "=Ян; \"Б\"", "-", "ru", "", "", "", "", "", ""],
            ),
        ]);
        for language in Language::ALL {
            let page = Page::for_test_in(language);
            let people: Vec<_> = accounts.keys().map(|login| line(login, &page)).collect();
            let text = csv_text(&export_rows(&page, &people, &accounts));

            let sheet = read_people("people.csv", text.as_bytes()).expect("our own export");

            assert_eq!(sheet.rows.len(), 2, "{language:?}");
            for row in &sheet.rows {
                let before = &accounts
                    .get(&row.login)
                    .expect("the login came back")
                    .on_file;
                let changes = before.changes(&before.after(row));
                let dash = changes
                    .iter()
                    .all(|(_, old, new)| old == "-" && new.is_empty());
                assert!(dash, "{language:?}: {changes:?}");
            }
            let table = table(&page, &sheet, &accounts);
            assert_eq!(table.summary.len(), 3);
        }
    }

    fn line(login: &str, page: &Page) -> PersonLine {
        PersonLine {
            name: String::new(),
            login: login.to_owned(),
            role: page.t("role-candidate"),
            faculty: String::new(),
            year: String::new(),
            group: String::new(),
            language: String::new(),
        }
    }

    #[tokio::test]
    async fn the_list_finds_names_and_groups_in_whatever_form_and_case_they_are_typed() {
        let data = tempfile::tempdir().expect("a folder");
        let state = AppState::open(&data.path().join("data"), Config::default()).await;
        let state = state.expect("a new folder");
        let list = "login;тегі;аты;топ\na1;И\u{306}ылдырым;Ғалия;ВМ-101\nb2;Әлі;Дос;ҚҚ-7\n";
        let read = read_people_list(&state, "p.csv", list.as_bytes()).await;
        let sheet = read.expect("readable").expect("no fault");
        let applied = apply_people(&state, &sheet.rows, "test", &|_, _| {}).await;
        applied.expect("applied");

        for (typed, found) in [
            ("", 2),
            ("ЙЫЛДЫРЫМ ҒАЛИЯ", 1),
            ("и\u{306}ыл", 1),
            ("  әЛІ  дос", 1),
            ("A1", 1),
            ("вм-101", 1),
            ("ққ-7", 1),
            ("галия", 0),
        ] {
            let wanted = Wanted {
                q: typed.to_owned(),
                role: "candidate".to_owned(),
                ..Wanted::default()
            };
            let page = Page::for_test_in(Language::Kazakh);
            let search = Found::by(&state.store, &wanted).await.expect("readable");
            let shown = people(&state.store, &page, (&wanted, &search), (0, 10)).await;
            assert_eq!(shown.expect("readable").len(), found, "{typed}");
            let counted = count(&state.store, &wanted, &search).await;
            let counted = counted.expect("readable");
            assert_eq!(usize::try_from(counted), Ok(found), "{typed}");
        }
    }

    #[test]
    fn no_cell_becomes_a_formula() {
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("a;\"b\""), "\"a;\"\"b\"\"\"");
    }
}
