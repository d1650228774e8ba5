//! Exams: the list, one exam with its tests and sittings, what is made there.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect};
use qorgan_protocol::assessment::AssessmentTest;
use qorgan_protocol::ids::ExamId;
use qorgan_protocol::wire::ProblemCode;
use qorgan_server_core::fault::Fault;
use qorgan_server_core::qti::{Identifiers, Stated, read_package};
use qorgan_server_core::schedule::read_exam;
use qorgan_server_core::sitting::fields;

use super::error::{Answer, ConsoleError};
use super::home::SittingLine;
use super::imports::{
    CheckedTest, PreviewTable, PreviewWords, identifiers, show_checked, show_faults,
};
use super::package::package_of;
use super::page::{Page, Visitor, show};
use super::paging::{PageOf, Pager, WhichPage};
use super::posted::{Fields, Posted, Uploaded};
use super::preview::Checked;
use super::sitting_form::{SittingForm, words};
use super::store::{SittingsOf, exam_facts, exams, sittings};
use crate::auth::{Staff, TestCentre};
use crate::state::AppState;
use qorgan_store::audit;
use qorgan_store::exams::{NewExam, create_exam, create_sitting as create_sitting_row};

#[derive(Debug, Template)]
#[template(path = "console/exams.html")]
struct ExamsPage {
    page: Page,
    exams: Vec<ExamLine>,
    pager: Pager,
    problem: Option<String>,
    form_title: String,
    form_discipline: String,
    form_code: String,
}

#[derive(Debug)]
struct ExamLine {
    id: ExamId,
    title: String,
    discipline: String,
    code: String,
    tests: String,
    sittings: i64,
}

/// `GET /console/exams`.
pub(super) async fn list(
    visitor: Visitor,
    State(state): State<AppState>,
    Query(which): Query<WhichPage>,
    staff: Staff<TestCentre>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let part = PageOf::read(&which.page, LINES);
    exams_page(&state, (page, part), None, &Fields::default()).await
}

async fn exams_page(
    state: &AppState,
    (page, part): (Page, PageOf),
    problem: Option<String>,
    fields: &Fields,
) -> Answer {
    let mut found = exams(&state.store, part.range()).await?;
    let pager = part.cut(&mut found, "/console/exams", &[]);
    let lines = found
        .into_iter()
        .map(|one| ExamLine {
            id: one.id,
            title: one.title,
            discipline: one.discipline,
            code: one.code,
            tests: one
                .tests
                .iter()
                .map(|(language, _, items)| format!("{language} ({items})"))
                .collect::<Vec<_>>()
                .join(", "),
            sittings: one.sittings,
        })
        .collect();
    show(&ExamsPage {
        page,
        exams: lines,
        pager,
        problem,
        form_title: fields.get("title").to_owned(),
        form_discipline: fields.get("discipline").to_owned(),
        form_code: fields.get("discipline_code").to_owned(),
    })
}

/// `POST /console/exams`.
pub(super) async fn create(
    visitor: Visitor,
    State(state): State<AppState>,
    posted: Posted<TestCentre>,
) -> Answer {
    let [title, discipline, code] =
        [fields::TITLE, fields::DISCIPLINE, fields::CODE].map(|name| posted.fields.get(name));
    let texts = match read_exam(title, discipline, code) {
        Ok(texts) => texts,
        Err(faults) => {
            let page = Page::new(&state, &visitor, Some(&posted.staff.session));
            let problem = faults.first().map(|(_, fault)| words(&page, fault));
            let part = PageOf::read("1", LINES);
            return exams_page(&state, (page, part), problem, &posted.fields).await;
        }
    };
    let new = NewExam {
        title: texts.title,
        discipline: texts.discipline,
        discipline_code: texts.code,
    };
    let mut tx = state.store.begin().await?;
    let exam = create_exam(&mut tx, &state.keys, state.clock.wall(), &new).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/console/exams/{exam}")).into_response())
}

#[derive(Debug, Template)]
#[template(path = "console/exam.html")]
struct ExamPage {
    page: Page,
    id: ExamId,
    title: String,
    discipline: String,
    code: String,
    tests: Vec<String>,
    sittings: Vec<SittingLine>,
    pager: Pager,
    form: SittingForm,
    zone: String,
}

/// `GET /console/exams/{exam}`.
pub(super) async fn exam(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(exam): Path<String>,
    Query(which): Query<WhichPage>,
    staff: Staff<TestCentre>,
) -> Answer {
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let form = SittingForm::new(&page, &state.config.exam);
    let part = PageOf::read(&which.page, LINES);
    exam_page(&state, (page, part), exam.parse()?, form).await
}

async fn exam_page(
    state: &AppState,
    (page, part): (Page, PageOf),
    exam: ExamId,
    form: SittingForm,
) -> Answer {
    let facts = exam_facts(&state.store, exam)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let mut own = sittings(&state.store, SittingsOf::Exam(exam), part.range()).await?;
    let pager = part.cut(&mut own, &format!("/console/exams/{exam}"), &[]);
    show(&ExamPage {
        id: exam,
        title: facts.title,
        discipline: facts.discipline,
        code: facts.code,
        tests: facts
            .tests
            .iter()
            .map(|(language, title, items)| {
                format!(
                    "{language} · {title} · {}",
                    page.t1("preview-items", "n", items)
                )
            })
            .collect(),
        sittings: own.iter().map(|one| SittingLine::of(&page, one)).collect(),
        pager,
        form,
        zone: state.config.institution.time_zone.as_str().to_owned(),
        page,
    })
}

/// `POST /console/exams/{exam}/sittings` (SOP 8).
pub(super) async fn create_sitting(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(exam): Path<String>,
    posted: Posted<TestCentre>,
) -> Answer {
    let exam: ExamId = exam.parse()?;
    let page = Page::new(&state, &visitor, Some(&posted.staff.session));
    let form = SittingForm::new(&page, &state.config.exam);
    let sitting = match form.read(exam, &posted.fields, state.clock.wall()) {
        Ok(sitting) => sitting,
        Err(form) => {
            let part = PageOf::read("1", LINES);
            let mut response = exam_page(&state, (page, part), exam, *form).await?;
            *response.status_mut() = StatusCode::UNPROCESSABLE_ENTITY;
            return Ok(response);
        }
    };
    exam_facts(&state.store, exam)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let mut tx = state.store.begin().await?;
    let id = create_sitting_row(&mut tx, &state.keys, state.clock.wall(), &sitting).await?;
    let entry = audit::Entry {
        institution: state.institution(),
        at: state.clock.wall(),
        actor: &posted.staff.session.person.to_string(),
        action: "sitting_created",
        subject: &id.to_string(),
        detail: &exam.to_string(),
    };
    audit::write(&mut tx, &entry).await?;
    tx.commit().await?;
    Ok(Redirect::to(&format!("/console/sittings/{id}")).into_response())
}

/// `POST /console/exams/{exam}/tests`: checks a package and shows what is in it.
pub(super) async fn import(
    visitor: Visitor,
    State(state): State<AppState>,
    Path(exam): Path<String>,
    upload: Uploaded<TestCentre>,
) -> Answer {
    let exam: ExamId = exam.parse()?;
    let facts = exam_facts(&state.store, exam)
        .await?
        .ok_or(ConsoleError::Refused(ProblemCode::NotFound))?;
    let Uploaded {
        staff,
        fields,
        name,
        bytes,
    } = upload;
    let page = Page::new(&state, &visitor, Some(&staff.session));
    let words = PreviewWords {
        title: "import-test",
        file: name.clone(),
        back: format!("/console/exams/{exam}"),
        clause: "clause-6",
    };
    let stated = Stated {
        language: match fields.get("language") {
            known @ ("kk" | "ru" | "en") => known.to_owned(),
            _ => "kk".to_owned(),
        },
        discipline: Some(facts.code).filter(|code| !code.is_empty()),
        items: fields.get("items").parse().ok(),
        ..Stated::default()
    };
    let at = state.clock.wall();
    let read = tokio::task::spawn_blocking(move || {
        let (at, mut random) = identifiers(at);
        let mut identifiers = Identifiers {
            at,
            random: &mut random,
        };
        let unpacked = package_of(&name, &bytes)?;
        let test = read_package(&unpacked.package, &stated, &mut identifiers)?;
        Ok::<_, Vec<Fault>>((test, unpacked.notes(&name)))
    })
    .await
    .map_err(|_ended| ConsoleError::Unready)?;
    match read {
        Err(faults) => show_faults(page, words, &faults),
        Ok((test, notes)) => {
            let table = PreviewTable {
                notes,
                ..table(&page, &test)
            };
            let checked = CheckedTest::new(&state, exam, test).await?;
            let checked = (Checked::Test(Box::new(checked)), table);
            show_checked(&state, &visitor, &staff, words, checked)
        }
    }
}

fn table(page: &Page, test: &AssessmentTest) -> PreviewTable {
    PreviewTable {
        summary: vec![
            page.t1("preview-test", "n", &test.title),
            page.t1("preview-language", "n", &test.language),
            page.t1("preview-items", "n", test.items.len()),
            page.t1("preview-pictures", "n", test.pictures.len()),
        ],
        headings: vec!["№".to_owned(), "QTI".to_owned(), page.t("exam-title")],
        rows: (1..)
            .zip(&test.items)
            .map(|(at, item): (u32, _)| {
                vec![at.to_string(), item.code.clone(), item.prompt.clone()]
            })
            .collect(),
        ..PreviewTable::default()
    }
}

/// The most exams, and sittings of one, that a page shows.
const LINES: u32 = 100;
