//! Files that pages load: ours inside the binary, htmx from the assets folder.

use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::Path;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::IntoResponse as _;
use qorgan_protocol::wire::ProblemCode;

use super::error::{Answer, ConsoleError};
use super::page::Visitor;

/// Where the folder of what others made is named.
const ASSETS_ENV: &str = "QORGAN_ASSETS";
/// The largest file that is taken from it, in bytes.
const HTMX_BYTES_MAX: usize = 1024 * 1024;

/// What others made.
#[derive(Debug, Clone, Default)]
pub(crate) struct Assets {
    htmx: Option<Bytes>,
}

impl Assets {
    /// Reads the assets folder; without it pages work as plain forms.
    pub(super) fn read() -> Self {
        let folder = std::env::var_os(ASSETS_ENV).map(PathBuf::from);
        let htmx = folder.and_then(|folder| std::fs::read(folder.join("htmx.min.js")).ok());
        let htmx = htmx
            .filter(|bytes| bytes.len() <= HTMX_BYTES_MAX)
            .map(Bytes::from);
        if htmx.is_none() {
            tracing::info!("No htmx: pages are refreshed by hand");
        }
        Self { htmx }
    }

    /// Tells whether htmx is there.
    pub(super) const fn has_htmx(&self) -> bool {
        self.htmx.is_some()
    }
}

/// `GET /console/assets/{name}`.
pub(super) async fn asset(visitor: Visitor, Path(name): Path<String>) -> Answer {
    let (kind, bytes) = match name.as_str() {
        "console.css" => (
            "text/css; charset=utf-8",
            own(include_bytes!("../../assets/console.css")),
        ),
        "console.js" => (SCRIPT, own(include_bytes!("../../assets/console.js"))),
        "wall.js" => (SCRIPT, own(include_bytes!("../../assets/wall.js"))),
        "live.js" => (SCRIPT, own(include_bytes!("../../assets/live.js"))),
        "cmaf.js" => (SCRIPT, own(include_bytes!("../../assets/cmaf.js"))),
        "review.js" => (SCRIPT, own(include_bytes!("../../assets/review.js"))),
        "recording.js" => (SCRIPT, own(include_bytes!("../../assets/recording.js"))),
        "mark.svg" => (
            "image/svg+xml",
            own(include_bytes!("../../assets/mark.svg")),
        ),
        "htmx.min.js" => (
            SCRIPT,
            visitor.shared.assets.htmx.clone().ok_or_else(not_found)?,
        ),
        _ => return Err(not_found()),
    };
    Ok(([(CONTENT_TYPE, kind), (CACHE_CONTROL, "no-cache")], bytes).into_response())
}

const SCRIPT: &str = "text/javascript; charset=utf-8";

const fn own(bytes: &'static [u8]) -> Bytes {
    Bytes::from_static(bytes)
}

const fn not_found() -> ConsoleError {
    ConsoleError::Refused(ProblemCode::NotFound)
}
