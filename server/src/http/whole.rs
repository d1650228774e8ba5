//! What was begun is done to its end.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

/// Lets a change end that was begun, also where whoever asked for it has gone: between its commit and
/// what memory takes over of it, nothing cuts it off. What only reads ends with its reader.
pub(crate) async fn to_its_end(request: Request, next: Next) -> Response {
    if request.method().is_safe() {
        return next.run(request).await;
    }
    match tokio::spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "A request ended by itself");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
