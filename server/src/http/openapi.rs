//! The OpenAPI document: generated from the handlers, committed as `server/openapi.json`.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use super::{attempts, public};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Qorgan",
        description = "The API between client, agent and server. Bytes travel as lower-case hexadecimal. A client signs each request that carries its token: the header qorgan-proof holds canonical bytes and signature of a request proof by the device's key, as two hexadecimal words parted by a dot; a 401 with stale_proof gives the nonce to sign with in the header qorgan-proof-nonce."
    ),
    paths(
        public::health,
        public::hello,
        public::challenge,
        public::sign_in,
        public::my_exams,
        attempts::check_in,
        attempts::consent,
        attempts::system_check,
        attempts::identity,
        attempts::instruction,
        attempts::photo,
        attempts::start,
        attempts::view,
        attempts::items,
        attempts::item,
        attempts::picture,
        attempts::responses,
        attempts::read_back,
        attempts::submit,
        attempts::message,
        attempts::hand,
        attempts::events,
        attempts::enrol
    ),
    modifiers(&Bearer)
)]
struct Document;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        document
            .components
            .get_or_insert_default()
            .add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// Returns the document as indented JSON with a final line feed.
///
/// # Errors
/// None in practice: the document can always be written.
pub fn document() -> Result<String, serde_json::Error> {
    let mut text = serde_json::to_string_pretty(&Document::openapi())?;
    text.push('\n');
    Ok(text)
}

pub(super) async fn serve_document() -> Response {
    match document() {
        Ok(text) => ([(header::CONTENT_TYPE, "application/json")], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "The OpenAPI document cannot be written");
            axum::http::StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_committed_document_is_current() {
        let committed = include_str!("../../openapi.json");
        let current = document().expect("writable");
        assert!(
            committed == current,
            "run `qorgan-server openapi > server/openapi.json` and look at the difference"
        );
    }
}
