//! The proctors' WebSockets: one feed in full, and the wall.
//!
//! Who looks at a feed stands in the custody record before anything is shown.

use std::collections::BTreeSet;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use qorgan_protocol::evidence::{StreamId, StreamKind};
use qorgan_protocol::ids::{AttemptId, PersonId};
use tokio::time::{Instant, Interval, interval, interval_at, timeout};

use crate::auth::{Proctor, Staff};
use crate::http::note_view;
use crate::state::AppState;
use qorgan_store::assigned::{Named, is_assigned, watched};

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
        .on_upgrade(move |socket| {
            let open = Open::new(&state, proctor.session.person, proctor.session.token);
            show_feed(open, (attempt, stream), socket)
        })
}

async fn wall(
    State(state): State<AppState>,
    proctor: Staff<Proctor>,
    headers: HeaderMap,
    up: WebSocketUpgrade,
) -> Response {
    if !same_origin(&headers) {
        return StatusCode::FORBIDDEN.into_response();
    }
    up.max_message_size(VIEWER_MESSAGE_BYTES_MAX)
        .read_buffer_size(VIEWER_MESSAGE_BYTES_MAX)
        .write_buffer_size(0)
        .on_upgrade(move |socket| {
            let open = Open::new(&state, proctor.session.person, proctor.session.token);
            show_wall(open, socket)
        })
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

/// What was opened by a session, and must close with it.
struct Open {
    state: AppState,
    person: PersonId,
    token: String,
}

impl Open {
    fn new(state: &AppState, person: PersonId, token: String) -> Self {
        Self {
            state: state.clone(),
            person,
            token,
        }
    }

    /// Tells whether the session goes on and its person is a proctor still.
    async fn admits(&self) -> bool {
        self.state.auth.still_admits::<Proctor>(&self.token).await
    }

    /// Tells whether the attempt's sitting is assigned to the person still.
    async fn is_assigned(&self, attempt: &str) -> bool {
        match is_assigned(&self.state.store, self.person, Named::Attempt(attempt)).await {
            Ok(assigned) => assigned,
            Err(error) => {
                tracing::error!(%error, "Could not ask who watches a sitting");
                false
            }
        }
    }

    /// Returns the attempts that the person watches; none once the session is over.
    async fn watched(&self) -> Option<BTreeSet<AttemptId>> {
        if !self.admits().await {
            return None;
        }
        match watched(&self.state.store, self.person).await {
            Ok(found) => Some(found),
            Err(error) => {
                tracing::error!(%error, "Could not ask who watches a sitting");
                None
            }
        }
    }
}

async fn show_feed(open: Open, (attempt, stream): (AttemptId, StreamId), mut socket: WebSocket) {
    let viewer = open.state.live.look(attempt, stream);
    let mut again = later();
    let named = attempt.to_string();
    loop {
        tokio::select! {
            chunk = viewer.next() => {
                if !sent(&mut socket, chunk).await {
                    return;
                }
            }
            left = left(&mut socket) => if left { return },
            // Who signed out, lost the role or was withdrawn from the sitting sees no more of it.
            _ = again.tick() => {
                if !open.admits().await || !open.is_assigned(&named).await {
                    return;
                }
            }
        }
    }
}

/// Shows the attempts under way of the sittings that are assigned to a proctor.
async fn show_wall(open: Open, mut socket: WebSocket) {
    let viewer = open.state.live.look_at_wall();
    // The first tick is at once.
    let mut again = interval(ASK_AGAIN);
    let mut theirs = BTreeSet::new();
    loop {
        tokio::select! {
            biased;
            _ = again.tick() => match open.watched().await {
                Some(found) => theirs = found,
                None => return,
            },
            ((attempt, stream), jpeg) = viewer.next() => {
                if !theirs.contains(&attempt) {
                    continue;
                }
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

fn later() -> Interval {
    interval_at(Instant::now() + ASK_AGAIN, ASK_AGAIN)
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
/// How soon what a session opened closes with it, and a proctor who was assigned or withdrawn sees
/// more or less.
const ASK_AGAIN: Duration = Duration::from_secs(2);
