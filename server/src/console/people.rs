//! People: the list, its export, the import.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use qorgan_server_core::sheets::{PersonRow, read_people};
use serde::Deserialize;
use sqlx::Row as _;

use super::error::Answer;
use super::imports::{PreviewTable, PreviewWords, show_checked, show_faults};
use super::page::{Page, Visitor, encode, show};
use super::posted::Uploaded;
use super::preview::Checked;
use crate::auth::{AnyStaff, Staff, TestCentre};
use crate::state::AppState;
use crate::store::{Store, StoreError};

#[derive(Debug, Template)]
#[template(path = "console/people.html")]
struct PeoplePage {
    page: Page,
    q: String,
    role: String,
    roles: Vec<(&'static str, String)>,
    total: usize,
    columns: Vec<SortColumn>,
    people: Vec<PersonLine>,
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
    role_words: Vec<String>,
    role: String,
    faculty: String,
    year: String,
    group: String,
    language: String,
}

/// What is searched for, and how it is sorted.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    role: String,
    #[serde(default)]
    sort: String,
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
    staff: Staff<AnyStaff>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let mut people = people(&state.store, &page).await?;
    let needle = wanted.q.to_lowercase();
    people.retain(|one| {
        let text = format!("{} {} {}", one.name, one.login, one.group).to_lowercase();
        let role = wanted.role.is_empty() || one.role_words.contains(&wanted.role);
        role && text.contains(&needle)
    });
    let (key, falling) = match wanted.sort.strip_prefix('-') {
        Some(key) => (key, true),
        None => (wanted.sort.as_str(), false),
    };
    people.sort_by_key(|one| sort_key(one, key));
    if falling {
        people.reverse();
    }
    let total = people.len();
    people.truncate(PEOPLE_SHOWN);
    show(&PeoplePage {
        columns: columns(&page, &wanted, key, falling),
        roles: ROLES
            .iter()
            .map(|word| (*word, page.t(&format!("role-{word}"))))
            .collect(),
        q: wanted.q,
        role: wanted.role,
        total,
        people,
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

fn sort_key(one: &PersonLine, key: &str) -> String {
    let value = match key {
        "login" => &one.login,
        "role" => &one.role,
        "faculty" => &one.faculty,
        "year" => &one.year,
        "group" => &one.group,
        "language" => &one.language,
        _ => &one.name,
    };
    format!("{}\u{0}{}", value.to_lowercase(), one.name.to_lowercase())
}

async fn people(store: &Store, page: &Page) -> Result<Vec<PersonLine>, StoreError> {
    let rows = sqlx::query(
        "SELECT p.display_name, p.login, p.language, COALESCE(d.faculty, '') AS faculty, \
         COALESCE(d.year, '') AS year, COALESCE(d.group_name, '') AS group_name, \
         COALESCE((SELECT group_concat(r.role, ' ') FROM staff_roles r \
         WHERE r.person_id = p.id), 'candidate') AS roles \
         FROM people p LEFT JOIN person_details d ON d.person_id = p.id",
    )
    .fetch_all(store.read())
    .await?;
    let mut people = Vec::with_capacity(rows.len());
    for row in rows {
        let roles: String = row.try_get("roles")?;
        let role_words: Vec<String> = roles.split(' ').map(str::to_owned).collect();
        let shown: Vec<String> = role_words
            .iter()
            .map(|word| page.t(&format!("role-{word}")))
            .collect();
        people.push(PersonLine {
            name: row.try_get("display_name")?,
            login: row.try_get("login")?,
            role: shown.join(", "),
            role_words,
            faculty: row.try_get("faculty")?,
            year: row.try_get("year")?,
            group: row.try_get("group_name")?,
            language: row.try_get("language")?,
        });
    }
    Ok(people)
}

/// `GET /console/people.csv`.
pub(super) async fn export(
    visitor: Visitor,
    State(state): State<AppState>,
    staff: Staff<AnyStaff>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let mut rows = vec![COLUMNS.iter().map(|(_, key)| page.t(key)).collect()];
    for one in people(&state.store, &page).await? {
        rows.push(vec![
            one.name,
            one.login,
            one.role,
            one.faculty,
            one.year,
            one.group,
            one.language,
        ]);
    }
    Ok(csv_file("people.csv", &rows))
}

/// Makes a CSV file of rows, as spreadsheets of this country read it.
pub(super) fn csv_file(name: &str, rows: &[Vec<String>]) -> axum::response::Response {
    let mut text = String::from("\u{feff}");
    for row in rows {
        let cells: Vec<String> = row.iter().map(|cell| csv_cell(cell)).collect();
        text.push_str(&cells.join(";"));
        text.push_str("\r\n");
    }
    let attachment = format!("attachment; filename=\"{name}\"");
    let headers = [
        (CONTENT_TYPE, "text/csv; charset=utf-8".to_owned()),
        (CONTENT_DISPOSITION, attachment),
    ];
    (headers, text).into_response()
}

/// Quotes a cell; one that a spreadsheet would take for a formula is made text.
fn csv_cell(cell: &str) -> String {
    let formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
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
    match read_people(&upload.name, &upload.bytes) {
        Err(faults) => show_faults(page, words, &faults),
        Ok(rows) => {
            let table = table(&state.store, &page, &rows).await?;
            let checked = (Checked::People(rows), table);
            show_checked(&state, &visitor, &upload.staff, words, checked)
        }
    }
}

async fn table(store: &Store, page: &Page, rows: &[PersonRow]) -> Result<PreviewTable, StoreError> {
    let known: Vec<String> = sqlx::query_scalar("SELECT login FROM people")
        .fetch_all(store.read())
        .await?;
    let changed = rows.iter().filter(|row| known.contains(&row.login)).count();
    let headings = [
        "line", "name", "login", "role", "faculty", "year", "group", "language",
    ];
    Ok(PreviewTable {
        summary: vec![
            page.t1("preview-people", "n", rows.len()),
            page.t1("preview-new", "n", rows.len() - changed),
            page.t1("preview-changed", "n", changed),
        ],
        headings: headings.iter().map(|key| page.t(key)).collect(),
        rows: rows
            .iter()
            .map(|row| {
                vec![
                    row.line.to_string(),
                    row.full_name(),
                    row.login.clone(),
                    page.t(&format!("role-{}", row.role.word())),
                    row.faculty.clone(),
                    row.year.clone(),
                    row.group.clone(),
                    row.language.clone(),
                ]
            })
            .collect(),
    })
}

/// The most people that a page shows; a search finds the others.
const PEOPLE_SHOWN: usize = 500;

#[cfg(test)]
mod tests {
    use super::csv_cell;

    #[test]
    fn no_cell_becomes_a_formula() {
        assert_eq!(csv_cell("=1+1"), "'=1+1");
        assert_eq!(csv_cell("a;\"b\""), "\"a;\"\"b\"\"\"");
    }
}
