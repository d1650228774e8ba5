//! HTTPS: the API for client and agent, the console's and the agents' routers beside it.
//!
//! # Invariants
//! * Every route names by its extractor who may call it. A client's token is taken with the body alone,
//!   so that no route leaves the body out of what the proof covers.
//! * Bodies are bounded; errors are [`Problem`](qorgan_protocol::wire::Problem) JSON.

mod attempts;
mod by_client;
mod connections;
mod error;
mod http1;
mod json;
mod openapi;
mod pace;
mod public;
mod recording;
mod serve;
mod whole;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use qorgan_protocol::limits::REQUEST_BYTES_MAX;

use crate::state::AppState;

pub(crate) use connections::Connection;
pub use connections::Connections;
pub use error::ApiError;
pub use json::ApiJson;
pub use openapi::document;
pub(crate) use recording::note_view;
pub use serve::{
    Bound, ReadyFile, ServeError, enrol_link, origin, raise_open_files, serve, served_address,
};
pub(crate) use whole::to_its_end;

/// Returns every route.
pub fn router(state: AppState) -> Router {
    Router::new()
        .merge(api())
        .merge(crate::ingest::routes())
        .merge(crate::live::routes())
        .merge(recording::routes())
        .merge(crate::console::router(&state))
        .layer(middleware::from_fn(no_nul))
        .layer(middleware::from_fn(safe_headers))
        .layer(middleware::from_fn_with_state(state.clone(), pace::pace))
        .with_state(state)
}

/// Returns the API for client and agent.
fn api() -> Router<AppState> {
    Router::new()
        .route("/healthz", get(public::health))
        .route("/openapi.json", get(openapi::serve_document))
        .route("/api/v1/hello", get(public::hello))
        .route("/api/v1/my/exams", get(public::my_exams))
        .route("/api/v1/agent/enrol", post(attempts::enrol))
        .nest("/api/v1/attempts/{attempt}", attempt_routes())
        .layer(middleware::from_fn(to_its_end))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .merge(strangers())
}

/// Returns the routes that read a body of somebody who is not signed in.
fn strangers() -> Router<AppState> {
    Router::new()
        .route("/api/v1/challenge", post(public::challenge))
        .route("/api/v1/sign-in", post(public::sign_in))
        .layer(DefaultBodyLimit::max(STRANGERS_BYTES_MAX))
}

/// A sign-in with the longest login and password, its key and its proof, is below 6 KiB.
pub(crate) const STRANGERS_BYTES_MAX: usize = 16 * 1024;

fn attempt_routes() -> Router<AppState> {
    Router::new()
        .route("/check-in", post(attempts::check_in))
        .route("/consent", post(attempts::consent))
        .route("/system-check", post(attempts::system_check))
        .route("/identity", post(attempts::identity))
        .route("/instruction", post(attempts::instruction))
        .route("/photo", get(attempts::photo))
        .route("/start", post(attempts::start))
        .route("/view", get(attempts::view))
        .route("/items", get(attempts::items))
        .route("/items/{position}", get(attempts::item))
        .route("/pictures/{picture}", get(attempts::picture))
        .route(
            "/responses",
            get(attempts::read_back).post(attempts::responses),
        )
        .route("/submit", post(attempts::submit))
        .route("/messages", post(attempts::message))
        .route("/hand", post(attempts::hand))
        .route("/events", post(attempts::events))
}

/// Refuses an address that names U+0000, which no database keeps in a text.
async fn no_nul(request: Request, next: Next) -> Response {
    let address = request.uri().path_and_query();
    if address.is_some_and(|address| address.as_str().contains("%00")) {
        return StatusCode::BAD_REQUEST.into_response();
    }
    next.run(request).await
}

/// Keeps browsers and caches from doing more with a reply than is meant.
async fn safe_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let set = [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "same-origin"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
    ];
    for (name, value) in set {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests;
