//! Rights of staff: an administrator's page; and what an import may not do to staff.

use std::collections::BTreeMap;

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use qorgan_server_core::fault::{Fault, FaultKind, Place};
use qorgan_server_core::sheets::{PersonRow, Role};
use qorgan_store::Target;

use super::error::Answer;
use super::page::{Page, Visitor, show};
use super::paging::{PageOf, Pager, WhichPage};
use super::posted::Posted;
use crate::auth::{Administrator, Staff, StaffRole};
use crate::rights::{ACTION, Changer, RightsError, set};
use crate::state::AppState;
use qorgan_store::{Store, StoreError};

#[derive(Debug, Template)]
#[template(path = "console/rights.html")]
struct RightsPage {
    page: Page,
    staff: Vec<StaffLine>,
    pager: Pager,
    /// Every right: word and text.
    rights: Vec<(&'static str, String)>,
    changes: Vec<ChangeLine>,
    told: Told,
}

#[derive(Debug)]
struct StaffLine {
    name: String,
    login: String,
    roles: Vec<String>,
}

impl StaffLine {
    fn has(&self, word: &str) -> bool {
        self.roles.iter().any(|role| role == word)
    }
}

#[derive(Debug)]
struct ChangeLine {
    at: String,
    by: String,
    login: String,
    what: String,
}

/// What a change came to.
#[derive(Debug, Default)]
struct Told {
    problem: Option<String>,
    done: Option<String>,
    /// Login and one-time password.
    password: Option<(String, String)>,
}

/// `GET /console/rights`.
pub(super) async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(which): Query<WhichPage>,
    staff: Staff<Administrator>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    rights_page(
        &state,
        page,
        PageOf::read(&which.page, LINES),
        Told::default(),
    )
    .await
}

/// `POST /console/rights`: gives an account exactly the rights that are ticked.
pub(super) async fn change(
    visitor: Visitor,
    State(state): State<AppState>,
    posted: Posted<Administrator>,
) -> Answer {
    let session = &posted.staff.session;
    let page = Page::new(&state, &visitor, Some(session));
    let ticked = |role: &StaffRole| !posted.fields.get(role.word()).is_empty();
    let rights: Vec<StaffRole> = StaffRole::ALL.into_iter().filter(ticked).collect();
    let login = posted.fields.get("login");
    let changer = Changer::Administrator(session.person);
    let (mut told, mut status) = (Told::default(), StatusCode::OK);
    let problem = match set(&state, login, &rights, changer).await {
        Ok(changed) => {
            let blanks = [
                ("login", login.to_owned()),
                ("old", words(&page, &changed.old)),
                ("new", words(&page, &changed.new)),
            ];
            told.done = Some(page.in_language().fill("rights-changed", &blanks));
            told.password = changed.password.map(|one| (one.login, one.password));
            None
        }
        Err(RightsError::NoAccount) => Some("rights-no-account"),
        Err(RightsError::LastAdministrator) => Some("rights-last"),
        Err(RightsError::OwnRight) => Some("rights-own"),
        Err(RightsError::Meanwhile) => Some("rights-meanwhile"),
        Err(RightsError::Auth(error)) => return Err(error.into()),
        Err(RightsError::Store(error)) => return Err(error.into()),
    };
    if let Some(key) = problem {
        told.problem = Some(page.t(key));
        status = StatusCode::UNPROCESSABLE_ENTITY;
    }
    let mut response = rights_page(&state, page, PageOf::read("1", LINES), told).await?;
    *response.status_mut() = status;
    Ok(response)
}

async fn rights_page(state: &AppState, page: Page, part: PageOf, told: Told) -> Answer {
    let (offset, limit) = part.range();
    let rows = qorgan_store::query(
        "SELECT p.display_name, p.login, string_agg(r.role, ' ' ORDER BY r.role) AS roles \
         FROM staff_roles r JOIN people p ON p.id = r.person_id GROUP BY p.id \
         ORDER BY p.folded NULLS FIRST LIMIT $1 OFFSET $2",
    )
    .bind(limit)
    .bind(offset)
    .fetch_all(state.store.read())
    .await?;
    let mut staff = Vec::with_capacity(rows.len());
    for row in rows {
        let roles: String = row.get("roles")?;
        staff.push(StaffLine {
            name: row.get("display_name")?,
            login: row.get("login")?,
            roles: roles.split(' ').map(str::to_owned).collect(),
        });
    }
    let pager = part.cut(&mut staff, "/console/rights", &[]);
    show(&RightsPage {
        rights: StaffRole::ALL
            .map(|role| (role.word(), page.t(&format!("role-{}", role.word()))))
            .into(),
        changes: changes(state, &page).await?,
        staff,
        pager,
        told,
        page,
    })
}

async fn changes(state: &AppState, page: &Page) -> Result<Vec<ChangeLine>, StoreError> {
    let rows = qorgan_store::query(
        "SELECT l.at_ms, COALESCE(b.login, l.actor) AS by_whom, \
         COALESCE(p.login, l.subject) AS whose, l.detail FROM audit_log l \
         LEFT JOIN people b ON b.id = l.actor LEFT JOIN people p ON p.id = l.subject \
         WHERE l.action = $1 ORDER BY l.id DESC LIMIT $2",
    )
    .bind(ACTION)
    .bind(CHANGES_SHOWN)
    .fetch_all(state.store.read())
    .await?;
    let mut changes = Vec::with_capacity(rows.len());
    for row in rows {
        changes.push(ChangeLine {
            at: page.date_time(Some(row.get("at_ms")?)),
            by: row.get("by_whom")?,
            login: row.get("whose")?,
            what: row.get("detail")?,
        });
    }
    Ok(changes)
}

fn words(page: &Page, roles: &[StaffRole]) -> String {
    if roles.is_empty() {
        return page.t("rights-none");
    }
    let words = roles.iter();
    let words = words.map(|role| page.t(&format!("role-{}", role.word())));
    words.collect::<Vec<_>>().join(", ")
}

/// The rights of each member of staff, by login.
pub(super) type StaffRights = BTreeMap<String, Vec<String>>;

/// Reads the rights of staff.
pub(super) async fn staff_rights(from: impl Into<Target<'_>>) -> Result<StaffRights, StoreError> {
    let rows: Vec<(String, String)> = qorgan_store::query_as(
        "SELECT p.login, r.role FROM staff_roles r JOIN people p ON p.id = r.person_id",
    )
    .fetch_all(from)
    .await?;
    let mut rights = StaffRights::new();
    for (login, role) in rows {
        rights.entry(login).or_default().push(role);
    }
    Ok(rights)
}

/// What an import does with a row, as far as rights go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RowRights {
    /// A candidate's row: it is imported.
    Candidate,
    /// A row of staff that says what is so already: it changes nothing.
    StaffAsItIs,
    /// A row that would give a right, or change an account of staff.
    Refused {
        /// Why, with the remedy.
        kind: FaultKind,
        /// Which column says so.
        column: &'static str,
    },
}

/// Says what an import may do with a row: rights are given by an administrator alone, and an account
/// of staff is changed by its owner alone.
pub(super) fn row_rights(staff: &StaffRights, row: &PersonRow) -> RowRights {
    let login = row.login.clone();
    let has = staff.get(&row.login);
    let named = match row.role {
        Role::Candidate => None,
        Role::Proctor | Role::TestCentre | Role::Administrator => Some(row.role.word()),
    };
    let refused = |kind, column| RowRights::Refused { kind, column };
    match (has, named) {
        (None, None) => RowRights::Candidate,
        (Some(_), None) => refused(FaultKind::NotACandidate { login }, "login"),
        (Some(has), Some(word)) if has.iter().any(|role| role == word) => {
            if row.password.is_some() {
                refused(FaultKind::StaffPassword { login }, "password")
            } else {
                RowRights::StaffAsItIs
            }
        }
        (None | Some(_), Some(_)) => refused(FaultKind::RoleByAdministrator { login }, "role"),
    }
}

/// Returns a fault for each row that an import may not apply.
///
/// # Errors
/// The database failed.
pub(super) async fn staff_faults(
    store: &Store,
    file: &str,
    rows: &[PersonRow],
) -> Result<Vec<Fault>, StoreError> {
    let staff = staff_rights(store.read()).await?;
    let fault = |row: &PersonRow| match row_rights(&staff, row) {
        RowRights::Candidate | RowRights::StaffAsItIs => None,
        RowRights::Refused { kind, column } => {
            let place = Place::line(file, row.line).in_column(column);
            Some(Fault::new(place, kind))
        }
    };
    Ok(rows.iter().filter_map(fault).collect())
}

/// The most members of staff that a page shows.
const LINES: u32 = 100;
/// The newest changes that a page shows; `audit list` shows all.
const CHANGES_SHOWN: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn row(login: &str, role: Role, password: Option<&str>) -> PersonRow {
        PersonRow {
            line: 2,
            login: login.to_owned(),
            family_name: Some("F".to_owned()),
            given_name: Some("G".to_owned()),
            patronymic: None,
            names_split: false,
            role,
            language: None,
            faculty: None,
            year: None,
            group: None,
            speciality: None,
            email: None,
            number: None,
            password: password.map(str::to_owned),
        }
    }

    #[test]
    fn an_import_gives_no_right_and_changes_no_account_of_staff() {
        let staff = StaffRights::from([("p".to_owned(), vec!["proctor".to_owned()])]);
        let of = |login, role, password| row_rights(&staff, &row(login, role, password));
        assert_eq!(of("a", Role::Candidate, Some("x")), RowRights::Candidate);
        assert_eq!(of("p", Role::Proctor, None), RowRights::StaffAsItIs);
        for (login, role, password, word) in [
            ("a", Role::Proctor, None, "role-by-administrator"),
            ("a", Role::Administrator, Some("x"), "role-by-administrator"),
            ("p", Role::TestCentre, None, "role-by-administrator"),
            ("p", Role::Proctor, Some("x"), "staff-password"),
            ("p", Role::Candidate, Some("x"), "not-a-candidate"),
            ("p", Role::Candidate, None, "not-a-candidate"),
        ] {
            let RowRights::Refused { kind, .. } = of(login, role, password) else {
                panic!("{login} {role:?} is imported");
            };
            assert_eq!(kind.word(), word);
        }
    }
}
