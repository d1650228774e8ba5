//! An admission sheet (SOP 7) against what holds in its sitting: what is wrong with it here, what it
//! would change, and putting it into force; and the sheet that can be taken out and in again.
//!
//! # Invariants
//! * What a sheet does not say stays as it holds.
//! * What was told before consent stays: a sheet changes no allowance of somebody who has checked in.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use qorgan_protocol::ids::{PersonId, SittingId};
use qorgan_protocol::incident::Allowance;
use qorgan_protocol::wire::{Accommodation, ProblemCode};
use qorgan_server_core::fault::{Fault, FaultKind, Place};
use qorgan_server_core::sheets::{
    AdmissionRow, POSITIVE_RATING_DEFAULT, Sheet, foreign_disciplines, read_admission,
};

use super::error::{Answer, ConsoleError};
use super::granted;
use super::imports::{ImportError, PreviewTable, Progress, Step, log};
use super::page::{Page, Visitor};
use super::people::csv_file;
use super::people_list::likely_account;
use super::store::{exam_facts, sitting as facts_of, sitting_exam};
use crate::auth::{Staff, TestCentre};
use crate::state::AppState;
use qorgan_store::exams::{Admission, admit};
use qorgan_store::{Store, StoreError, id};

/// What an import of an admission sheet did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AdmissionReport {
    /// How many of the sheet are admitted.
    pub admitted: usize,
    /// How many are not.
    pub refused: usize,
}

/// What holds for a candidate in a sitting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    name: String,
    admitted: bool,
    reason: String,
    accommodation: Accommodation,
    checked_in: bool,
}

impl Standing {
    /// Whoever is new on a list is admitted, unless the sheet says otherwise.
    fn of_new() -> Self {
        Self {
            name: String::new(),
            admitted: true,
            reason: String::new(),
            accommodation: Accommodation::default(),
            checked_in: false,
        }
    }

    /// Returns what holds after a row.
    fn after(&self, row: &AdmissionRow) -> Self {
        let admitted = row.admitted.unwrap_or(self.admitted);
        let accommodation = Accommodation {
            extra_minutes: row
                .extra_minutes
                .unwrap_or(self.accommodation.extra_minutes),
            accessibility: row
                .accessibility
                .unwrap_or(self.accommodation.accessibility),
            allowances: match &row.allowances {
                Some(granted) => granted.clone(),
                None => self.accommodation.allowances.clone(),
            },
        };
        Self {
            admitted,
            reason: self.reason_after(row, admitted),
            accommodation,
            ..self.clone()
        }
    }

    fn reason_after(&self, row: &AdmissionRow, admitted: bool) -> String {
        match (admitted, row.rating) {
            (true, _) => String::new(),
            (false, _) if !row.reason.is_empty() => row.reason.clone(),
            (false, Some(rating)) if rating < POSITIVE_RATING_DEFAULT => {
                format!("ЖР {rating} < {POSITIVE_RATING_DEFAULT}")
            }
            (false, _) => self.reason.clone(),
        }
    }

    /// Puts what differs in `after` into words of a page.
    fn changes(&self, after: &Self, page: &Page) -> Vec<String> {
        let yes = |value: bool| page.t(if value { "yes" } else { "no" });
        let words = |one: &Self| {
            let held = &one.accommodation;
            [
                ("admitted", yes(one.admitted)),
                ("reason", one.reason.clone()),
                ("extra-minutes", held.extra_minutes.to_string()),
                ("accessibility", yes(held.accessibility)),
                ("granted", granted::words(page, &held.allowances)),
            ]
        };
        let pairs = words(self).into_iter().zip(words(after));
        let changed = pairs.filter(|((_, old), (_, new))| old != new);
        changed
            .map(|((key, old), (_, new))| change(page, key, &old, &new))
            .collect()
    }
}

/// Puts one change into words: what, old and new.
pub(super) fn change(page: &Page, key: &str, old: &str, new: &str) -> String {
    let shown = |text: &str| {
        if text.is_empty() {
            "—".to_owned()
        } else {
            text.to_owned()
        }
    };
    format!("{}: {} → {}", page.t(key), shown(old), shown(new))
}

/// Reads what holds in a sitting, by login.
async fn standings(
    store: &Store,
    sitting: SittingId,
) -> Result<BTreeMap<String, Standing>, StoreError> {
    let rows = qorgan_store::query(
        "SELECT p.login, p.display_name, d.admitted, d.reason, d.extra_minutes, d.accessibility, \
         d.allowances, CAST(CASE WHEN EXISTS (SELECT 1 FROM attempts a \
         WHERE a.sitting_id = d.sitting_id AND a.person_id = d.person_id \
         AND a.watch IS NOT NULL AND a.phase_word <> 'void') THEN 1 ELSE 0 END AS BIGINT) \
         AS checked_in FROM admissions d JOIN people p ON p.id = d.person_id \
         WHERE d.sitting_id = $1 ORDER BY p.login",
    )
    .bind(sitting.to_string())
    .fetch_all(store.read())
    .await?;
    let mut standings = BTreeMap::new();
    for row in rows {
        let extra: i64 = row.get("extra_minutes")?;
        let standing = Standing {
            name: row.get("display_name")?,
            admitted: row.get("admitted")?,
            reason: row.get("reason")?,
            accommodation: Accommodation {
                extra_minutes: u16::try_from(extra).unwrap_or_default(),
                accessibility: row.get("accessibility")?,
                allowances: qorgan_store::json("allowances", &row.get::<String>("allowances")?)?,
            },
            checked_in: row.get("checked_in")?,
        };
        standings.insert(row.get("login")?, standing);
    }
    Ok(standings)
}

/// Reads an admission sheet for a sitting and checks it against people, discipline and check-ins.
///
/// # Errors
/// Every fault with line and column, or the database failed.
//= tests/data/sop-2-28.md#7-admission
pub async fn read_admission_sheet(
    state: &AppState,
    sitting: SittingId,
    file: &str,
    bytes: &[u8],
) -> Result<Result<Sheet<AdmissionRow>, Vec<Fault>>, StoreError> {
    let sheet = match read_admission(file, bytes, POSITIVE_RATING_DEFAULT) {
        Ok(sheet) => sheet,
        Err(faults) => return Ok(Err(faults)),
    };
    let mut faults = Vec::new();
    if let Some(exam) = sitting_exam(&state.store, sitting).await?
        && let Some(facts) = exam_facts(&state.store, exam).await?
        && !facts.code.is_empty()
    {
        let of = (facts.code.as_str(), facts.discipline.as_str());
        faults.extend(foreign_disciplines(file, &sheet.rows, of));
    }
    let people = candidates(state).await?;
    let standings = standings(&state.store, sitting).await?;
    for row in &sheet.rows {
        let standing = standings.get(&row.login);
        if let Some(kind) = fault_of(row, &people, standing) {
            let place = Place::line(file, row.line).in_column("login");
            faults.push(Fault::new(place, kind));
        }
    }
    faults.sort();
    Ok(if faults.is_empty() {
        Ok(sheet)
    } else {
        Err(faults)
    })
}

fn fault_of(row: &AdmissionRow, people: &People, standing: Option<&Standing>) -> Option<FaultKind> {
    let login = row.login.clone();
    match people.get(&row.login) {
        None => Some(match likely_account(&row.login, people) {
            Some(likely) => FaultKind::LostZero { login, likely },
            None => FaultKind::UnknownLogin { login },
        }),
        Some((_, true)) => Some(FaultKind::NotACandidate { login }),
        Some((_, false)) => {
            let fixed = standing.filter(|standing| standing.checked_in)?;
            let granted = row.allowances.as_ref()?;
            let changed = *granted != fixed.accommodation.allowances;
            changed.then_some(FaultKind::FixedAllowances { login })
        }
    }
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
    told: Progress<'_>,
) -> Result<AdmissionReport, ImportError> {
    let mut report = AdmissionReport::default();
    let at = state.clock.wall();
    let mut tx = state.store.begin().await?;
    // Nobody else writes while the transaction lasts.
    let people = candidates(state).await?;
    let standings = standings(&state.store, sitting).await?;
    for row in rows {
        let (person, staff) = people.get(&row.login).ok_or(ImportError::Gone)?;
        if *staff {
            return Err(ImportError::Rights);
        }
        let known = standings.get(&row.login);
        let mut after = known.cloned().unwrap_or_else(Standing::of_new).after(row);
        if let Some(known) = known.filter(|known| known.checked_in) {
            // Somebody may have checked in since the sheet was checked.
            after
                .accommodation
                .allowances
                .clone_from(&known.accommodation.allowances);
        }
        if after.admitted {
            report.admitted += 1;
        } else {
            report.refused += 1;
        }
        told(Step::Written, report.admitted + report.refused);
        if known == Some(&after) {
            continue;
        }
        let admission = Admission {
            sitting,
            person: *person,
            admitted: after.admitted,
            reason: after.reason,
            accommodation: after.accommodation,
        };
        admit(&mut tx, &state.keys, at, &admission).await?;
    }
    let subject = sitting.to_string();
    let count = rows.len().to_string();
    log(
        &mut tx,
        state,
        actor,
        ("admission_imported", &subject, &count),
    )
    .await?;
    tx.commit().await?;
    Ok(report)
}

/// Everybody by login, and whether they are staff.
type People = BTreeMap<String, (PersonId, bool)>;

async fn candidates(state: &AppState) -> Result<People, StoreError> {
    let rows: Vec<(String, String, bool)> = qorgan_store::query_as(
        "SELECT p.login, p.id, CAST(CASE WHEN EXISTS (SELECT 1 FROM staff_roles r \
         WHERE r.person_id = p.id) THEN 1 ELSE 0 END AS BIGINT) FROM people p",
    )
    .fetch_all(state.store.read())
    .await?;
    let mut people = BTreeMap::new();
    for (login, person, staff) in rows {
        people.insert(login, (id(&person)?, staff));
    }
    Ok(people)
}

/// Shows what a checked sheet would change; lines that change something stand first.
pub(super) async fn preview_table(
    state: &AppState,
    page: &Page,
    sitting: SittingId,
    sheet: &Sheet<AdmissionRow>,
) -> Result<PreviewTable, StoreError> {
    let standings = standings(&state.store, sitting).await?;
    let (mut changed, mut same) = (Vec::new(), Vec::new());
    let (mut admitted, mut new) = (0, 0);
    for row in &sheet.rows {
        let known = standings.get(&row.login);
        let before = known.cloned().unwrap_or_else(Standing::of_new);
        let after = before.after(row);
        admitted += usize::from(after.admitted);
        new += usize::from(known.is_none());
        let changes = before.changes(&after, page).join("; ");
        let told = match known {
            None => page.t("preview-is-new"),
            Some(_) => changes.clone(),
        };
        let line = line(page, row, &after, told);
        if known.is_some() && changes.is_empty() {
            same.push(line);
        } else {
            changed.push(line);
        }
    }
    let keys = [
        "line",
        "login",
        "rating-short",
        "admitted",
        "reason",
        "granted",
        "changes",
    ];
    let counts = [
        ("preview-admitted", admitted),
        ("preview-not-admitted", sheet.rows.len() - admitted),
        ("preview-new", new),
        ("preview-changed", changed.len() - new),
    ];
    changed.append(&mut same);
    Ok(PreviewTable {
        summary: counts.map(|(key, n)| page.t1(key, "n", n)).into(),
        headings: keys.map(|key| page.t(key)).into(),
        rows: changed,
        notes: sheet.notes.clone(),
    })
}

fn line(page: &Page, row: &AdmissionRow, after: &Standing, changes: String) -> Vec<String> {
    let key = if after.admitted {
        "ask-yes"
    } else {
        "remark-not-admitted"
    };
    vec![
        row.line.to_string(),
        row.login.clone(),
        row.rating
            .map(|rating| rating.to_string())
            .unwrap_or_default(),
        page.t(key),
        after.reason.clone(),
        granted::words(page, &after.accommodation.allowances),
        changes,
    ]
}

/// `GET /console/sittings/{sitting}/admission.csv`: the sheet as it holds; read in again, it changes
/// nothing.
pub(super) async fn export(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(sitting): Path<String>,
    staff: Staff<TestCentre>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let sitting: SittingId = sitting.parse()?;
    facts_of(&state.store, sitting)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let standings = standings(&state.store, sitting).await?;
    let actor = staff.session.person.to_string();
    let (subject, count) = (sitting.to_string(), standings.len().to_string());
    let mut tx = state.store.begin().await?;
    log(
        &mut tx,
        &state,
        &actor,
        ("admission_exported", &subject, &count),
    )
    .await?;
    tx.commit().await?;
    Ok(csv_file("admission.csv", &export_rows(&page, &standings)))
}

fn export_rows(page: &Page, standings: &BTreeMap<String, Standing>) -> Vec<Vec<String>> {
    let keys = [
        "login",
        "candidate",
        "admitted",
        "reason",
        "extra-minutes",
        "accessibility",
        "granted",
    ];
    let mut rows = vec![keys.iter().map(|key| page.t(key)).collect::<Vec<_>>()];
    for (login, one) in standings {
        let yes = |value: bool| page.t(if value { "yes" } else { "no" });
        let held = &one.accommodation;
        let granted: Vec<&str> = held
            .allowances
            .iter()
            .map(|one| Allowance::word(*one))
            .collect();
        rows.push(vec![
            login.clone(),
            one.name.clone(),
            yes(one.admitted),
            one.reason.clone(),
            held.extra_minutes.to_string(),
            yes(held.accessibility),
            if granted.is_empty() {
                page.t("no")
            } else {
                granted.join(", ")
            },
        ]);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::super::people::csv_text;
    use super::super::texts::Language;
    use super::*;

    fn held() -> Standing {
        Standing {
            name: "Әлі Дос".to_owned(),
            admitted: false,
            reason: "Қарыз; «екі»".to_owned(),
            accommodation: Accommodation {
                extra_minutes: 30,
                accessibility: true,
                allowances: vec![Allowance::Helper, Allowance::NoLight],
            },
            checked_in: true,
        }
    }

    fn rows(text: &str) -> Vec<AdmissionRow> {
        let sheet = read_admission("a.csv", text.as_bytes(), POSITIVE_RATING_DEFAULT);
        sheet.expect("a good sheet").rows
    }

    #[test]
    fn a_sheet_with_fewer_columns_wipes_nothing_and_each_change_is_told() {
        let before = held();
        let after = before.after(&rows("логин;ЖР\na;87\n")[0]);
        let wanted = Standing {
            admitted: true,
            reason: String::new(),
            ..held()
        };
        assert_eq!(after, wanted);
        let page = Page::for_test();
        assert_eq!(before.changes(&after, &page).len(), 2);
        assert_eq!(before.after(&rows("логин\na\n")[0]), before);

        let after = before.after(&rows("логин;доп. время\na;60\n")[0]);
        let told = before.changes(&after, &page);
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("30 → 60"), "{told:?}");
    }

    #[test]
    fn the_exported_sheet_read_in_again_changes_nothing_in_any_language() {
        let standings = BTreeMap::from([
            ("a".to_owned(), held()),
            ("+7701".to_owned(), Standing::of_new()),
        ]);
        for language in Language::ALL {
            let page = Page::for_test_in(language);
            let text = csv_text(&export_rows(&page, &standings));
            let sheet = read_admission("a.csv", text.as_bytes(), POSITIVE_RATING_DEFAULT);
            let sheet = sheet.expect("our own export");
            assert_eq!(sheet.notes, [], "{language:?}");
            assert_eq!(sheet.rows.len(), 2);
            for row in &sheet.rows {
                let before = standings.get(&row.login).expect("the login came back");
                assert_eq!(before.after(row), *before, "{language:?}");
            }
        }
    }

    #[test]
    fn an_exported_board_is_read_as_a_sheet_that_changes_nothing_and_as_a_list_of_people() {
        for language in Language::ALL {
            let page = Page::for_test_in(language);
            let keys = super::super::sitting::BOARD_KEYS;
            let rows = [
                keys.iter().map(|key| page.t(key)).collect::<Vec<_>>(),
                ["Әлі Дос", "a", "ЖМ-1", "x", "x", "x", "x", "x"]
                    .map(str::to_owned)
                    .into(),
            ];
            let text = csv_text(&rows);

            let sheet = read_admission("b.csv", text.as_bytes(), POSITIVE_RATING_DEFAULT);
            let row = &sheet.expect("our own export").rows[0];
            assert_eq!(held().after(row), held(), "{language:?}");
            let people = qorgan_server_core::sheets::read_people("b.csv", text.as_bytes());
            let person = &people.expect("our own export").rows[0];
            assert_eq!(person.full_name(), "Әлі Дос");
            assert_eq!(person.group.as_deref(), Some("ЖМ-1"));
        }
    }

    #[test]
    fn what_was_told_before_consent_is_changed_by_no_sheet() {
        let person = PersonId::new(qorgan_protocol::time::WallTime::from_unix_ms(1), [1; 10]);
        let people = People::from([("a".to_owned(), (person, false))]);
        let changed = &rows("логин;особые условия\na;нет\n")[0];
        let same = &rows("логин;особые условия\na;помощник, без цветного света\n")[0];
        let of = |row| fault_of(row, &people, Some(&held())).map(|kind| kind.word());
        assert_eq!((of(changed), of(same)), (Some("fixed-allowances"), None));
    }
}
