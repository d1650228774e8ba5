//! The web console of the testing centre and the proctors.
//!
//! # Invariants
//! * Every page works as plain HTML forms; scripts add moving pictures and freshness.
//! * No inline script or style, nothing from another host: the content security policy refuses it.
//! * Every change carries the form's token and names its role by the extractor's type.
//! * Each view of a recording stands in the custody record.

mod admission_sheet;
mod assets;
mod assign;
mod board;
mod candidate;
mod error;
mod exams;
mod granted;
mod hashing;
mod home;
mod identity;
mod imports;
mod late;
mod machine;
mod package;
mod page;
mod paging;
mod parts;
mod people;
mod people_list;
mod photos;
mod picture;
mod posted;
mod preview;
mod reasons;
mod review;
mod reviews;
mod rights;
mod sign_in;
mod sitting;
mod sitting_form;
pub(crate) mod store;
mod texts;
mod verify;
mod wall;

use std::sync::Arc;

use axum::Router;
use axum::extract::{DefaultBodyLimit, FromRequestParts as _, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY,
    RETRY_AFTER, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::routing::{get, post};
use qorgan_protocol::wire::ProblemCode;

use crate::state::AppState;
use error::Told;
use page::{Page, Visitor, show};

pub use admission_sheet::{AdmissionReport, apply_admission, read_admission_sheet};
pub use imports::{
    CheckedTest, ImportError, PeopleReport, Progress, Step, TestReport, apply_people, apply_test,
};
pub use package::{Unpacked, package_of};
pub use people_list::read_people_list;
pub use photos::{Photo, Photos, apply_photos, read_photos};
pub use review::{ReviewError, review_by_hand};
#[cfg(test)]
pub(crate) use review::{finish_review, judge_incident};
pub use store::{ExamFacts, exam_facts, sitting_exam};
pub use texts::Language;

/// The largest upload, in bytes; a package may hold so much.
const UPLOAD_BYTES_MAX: usize = qorgan_server_core::qti::PACKAGE_BYTES_MAX;

/// The largest form without a file, in bytes.
const FORM_BYTES_MAX: usize = 256 * 1024;

/// What the console shares between requests.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) assets: assets::Assets,
    pub(crate) previews: preview::Previews,
}

/// Returns the console's routes.
pub fn router(state: &AppState) -> Router<AppState> {
    let shared = Arc::new(Shared {
        assets: assets::Assets::read(),
        previews: preview::Previews::default(),
    });
    let uploads = Router::new()
        .route("/console/people/import", post(people::import))
        .route("/console/people/photos", post(photos::import))
        .route("/console/exams/{exam}/tests", post(exams::import))
        .route(
            "/console/sittings/{sitting}/admissions",
            post(sitting::import),
        )
        .layer(DefaultBodyLimit::max(UPLOAD_BYTES_MAX));
    pages()
        .merge(late::pages())
        .layer(from_fn(crate::http::to_its_end))
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .merge(strangers())
        .merge(uploads)
        .layer(from_fn_with_state(state.clone(), tell))
        .layer(from_fn(move |mut request: Request, next: Next| {
            request.extensions_mut().insert(Arc::clone(&shared));
            next.run(request)
        }))
}

/// Returns the page that reads a form of somebody who is not signed in.
fn strangers() -> Router<AppState> {
    let page = get(sign_in::form).post(sign_in::sign_in);
    Router::new()
        .route("/console/sign-in", page)
        .layer(DefaultBodyLimit::max(crate::http::STRANGERS_BYTES_MAX))
}

fn pages() -> Router<AppState> {
    Router::new()
        .route("/console/", get(home::home))
        .route("/console/assets/{name}", get(assets::asset))
        .route("/console/language/{code}", get(sign_in::language))
        .route("/console/sign-out", post(sign_in::sign_out))
        .route(
            "/console/password",
            get(sign_in::password_form).post(sign_in::password),
        )
        .route("/console/totp", get(sign_in::totp_form).post(sign_in::totp))
        .route("/console/people", get(people::list))
        .route("/console/people.csv", get(people::export))
        .route("/console/rights", get(rights::list).post(rights::change))
        .route("/console/imports/{id}", post(imports::apply))
        .route("/console/exams", get(exams::list).post(exams::create))
        .route("/console/exams/{exam}", get(exams::exam))
        .route(
            "/console/exams/{exam}/sittings",
            post(exams::create_sitting),
        )
        .route("/console/sittings/{sitting}", get(sitting::sitting))
        .route("/console/sittings/{sitting}/board", get(sitting::board))
        .route(
            "/console/sittings/{sitting}/board.csv",
            get(sitting::export),
        )
        .route(
            "/console/sittings/{sitting}/admission.csv",
            get(admission_sheet::export),
        )
        .route("/console/sittings/{sitting}/granted", post(granted::change))
        .route("/console/sittings/{sitting}/proctors", post(assign::change))
        .route("/console/wall", get(wall::wall))
        .route("/console/wall/tiles", get(wall::tiles))
        .route("/console/attempts/{attempt}", get(candidate::candidate))
        .route("/console/attempts/{attempt}/now", get(candidate::now))
        .route("/console/attempts/{attempt}/photo", get(identity::photo))
        .route(
            "/console/attempts/{attempt}/documents/{document}",
            get(identity::document),
        )
        .route(
            "/console/attempts/{attempt}/control",
            post(candidate::control),
        )
        .route(
            "/console/attempts/{attempt}/identity",
            post(identity::decide),
        )
        .route("/console/attempts/{attempt}/machine", post(machine::accept))
        .route(
            "/console/attempts/{attempt}/move",
            post(candidate::decide_move),
        )
        .route(
            "/console/attempts/{attempt}/message",
            post(candidate::message),
        )
        .route("/console/reviews", get(reviews::list))
        .route(
            "/console/attempts/{attempt}/review",
            get(review::review).post(review::finish),
        )
        .route(
            "/console/attempts/{attempt}/incidents/{incident}",
            post(review::judge),
        )
        .route("/console/attempts/{attempt}/act", post(review::make_act))
        .merge(acts())
}

fn acts() -> Router<AppState> {
    Router::new()
        .route("/console/acts", get(verify::acts))
        .route("/console/acts/{act}", get(verify::download))
        .route("/verify/{code}", get(verify::verify))
}

/// Adds what every page is sent with, and turns a problem into a page.
async fn tell(State(state): State<AppState>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let visitor = Visitor::from_request_parts(&mut parts, &state).await.ok();
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let told = response.extensions().get::<Told>().map(|told| told.0);
    if let (Some(code), Some(visitor)) = (told.or_else(|| rejected(&response)), visitor) {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER).cloned();
        if let Ok(page) = problem_page(&state, &visitor, code) {
            response = page;
            *response.status_mut() = status;
            if let Some(value) = retry_after {
                response.headers_mut().insert(RETRY_AFTER, value);
            }
        }
    }
    secure(response.headers_mut());
    response
}

/// Returns the code of an extractor's refusal, which would be JSON.
fn rejected(response: &Response) -> Option<ProblemCode> {
    let json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let code = match response.status() {
        StatusCode::FORBIDDEN => ProblemCode::Forbidden,
        StatusCode::TOO_MANY_REQUESTS => ProblemCode::TooMany,
        StatusCode::SERVICE_UNAVAILABLE => ProblemCode::Unavailable,
        _ => return None,
    };
    json.then_some(code)
}

#[derive(Debug, askama::Template)]
#[template(path = "console/problem.html")]
struct ProblemPage {
    page: Page,
    title: String,
    remedy: String,
    code: &'static str,
}

fn problem_page(state: &AppState, visitor: &Visitor, code: ProblemCode) -> error::Answer {
    let page = Page::new(state, visitor, None);
    let known = |kind: &str| {
        let key = format!("{kind}-{}", code.word());
        let text = page.t(&key);
        if text == key {
            page.t(&format!("{kind}-wrong_phase"))
        } else {
            text
        }
    };
    show(&ProblemPage {
        title: known("problem"),
        remedy: known("remedy"),
        code: code.word(),
        page,
    })
}

fn secure(headers: &mut HeaderMap) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "same-origin"),
        (
            HeaderName::from_static("cross-origin-opener-policy"),
            "same-origin",
        ),
        (
            HeaderName::from_static("permissions-policy"),
            "camera=(), microphone=(), geolocation=()",
        ),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers
        .entry(CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
}

/// Nothing inline, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; \
    media-src 'self' blob:; connect-src 'self'; font-src 'self'; form-action 'self'; \
    frame-ancestors 'none'; base-uri 'none'";
