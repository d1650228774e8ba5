//! The proctors' WebSockets: one feed in full, and the wall.
//!
//! Who looks at a feed stands in the custody record before anything is shown.

use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::AttemptId;
use tokio::time::timeout;

use super::LiveHub;
use crate::auth::{Proctor, Staff};
use crate::recordings::note_view;
use crate::state::AppState;

/// Returns the proctors' live routes.
pub fn routes() -> Router<AppState> {
    Router::new()
        .route("/console/live/{attempt}/{stream}", get(feed))
        .route("/console/wall/live", get(wall))
}

async fn feed(
    State(state): State<AppState>,
    proctor: Staff<Proctor>,
    Path((attempt, stream)): Path<(String, String)>,
    headers: HeaderMap,
    up: WebSocketUpgrade,
) -> Response {
    let (Ok(attempt), Some(stream)) = (attempt.parse(), StreamId::from_word(&stream)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    if !same_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let seen = ("watched_stream", stream.to_string());
    if let Err(error) = note_view(&state, &proctor.session, attempt, seen).await {
        tracing::error!(%attempt, %error, "Could not record a view");
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    }
    up.max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .read_buffer_size(VIEWER_MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .on_upgrade(move |socket| show_feed(state.live, attempt, stream, socket))
}

async fn wall(
    State(state): State<AppState>,
    _proctor: Staff<Proctor>,
    headers: HeaderMap,
    up: WebSocketUpgrade,
) -> Response {
    if !same_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    up.max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .read_buffer_size(VIEWER_MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .on_upgrade(move |socket| show_wall(state.live, socket))
}

/// A browser names the page that opens a WebSocket; another site's page gets none.
fn same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let Some(origin) = text(header::ORIGIN) else {
        return true;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some() && host == text(header::HOST)
}

async fn show_feed(hub: LiveHub, attempt: AttemptId, stream: StreamId, mut socket: WebSocket) {
    let viewer = hub.look(attempt, stream);
    loop {
        tokio::select! {
            chunk = viewer.next() => {
                if !sent(&mut socket, chunk).await {
                    return;
                }
            }
            left = left(&mut socket) => if left { return },
        }
    }
}

async fn show_wall(hub: LiveHub, mut socket: WebSocket) {
    let viewer = hub.look_at_wall();
    loop {
        tokio::select! {
            ((attempt, stream), jpeg) = viewer.next() => {
                let mut message = Vec::with_capacity(18 + jpeg.len());
                message.extend_from_slice(attempt.as_bytes());
                message.push(stream.index);
                message.push(kind_byte(stream.kind));
                message.extend_from_slice(&jpeg);
                if !sent(&mut socket, message.into()).await {
                    return;
                }
            }
            left = left(&mut socket) => if left { return },
        }
    }
}

const fn kind_byte(kind: StreamKind) -> u8 {
    match kind {
        StreamKind::Camera => 0,
        StreamKind::Microphone => 1,
        StreamKind::Screen => 2,
        StreamKind::Events => 3,
    }
}

async fn sent(socket: &mut WebSocket, bytes: Bytes) -> bool {
    let sending = timeout(SEND_WAIT_MAX, socket.send(Message::Binary(bytes)));
    matches!(sending.await, Ok(Ok(())))
}

/// Waits for the browser's next message; tells whether it left.
async fn left(socket: &mut WebSocket) -> bool {
    match socket.recv().await {
        Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Text(_) | Message::Binary(_))) => {
            false
        }
        Some(Ok(Message::Close(_)) | Err(_)) | None => true,
    }
}

/// A browser has nothing to say here.
const VIEWER_MESSAGE_BYTES_MAX: usize = 1024;
const SEND_WAIT_MAX: Duration = Duration::from_secs(10);
