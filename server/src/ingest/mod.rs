//! The agents' WebSocket: everything is verified before it is stored, and stored before it is
//! receipted.
//!
//! # Invariants
//! * A link belongs to the attempt and epoch of its token, and its hello signs this connection's
//!   nonce with a certified key: no hello can be replayed.
//! * The gate hears only of chunks and beats that follow their chains.
//! * The chunks that wait for the disk are bounded in bytes; a full bound stops the reading of the
//!   socket.

mod content;
mod end;
pub(crate) mod events;
mod link;
mod look;
mod quota;
mod socket;
mod stored;

use axum::Router;
use axum::extract::State;
use axum::extract::ws::WebSocketUpgrade;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use qorgan_protocol::limits::FRAME_BYTES_MAX;
use qorgan_protocol::link::LINK_SUBPROTOCOL;

use crate::auth::AgentAuth;
use crate::state::AppState;

/// The response header that carries the nonce of a connection.
pub const NONCE_HEADER: &str = "x-qorgan-nonce";

/// Returns the agents' route.
pub fn routes() -> Router<AppState> {
    Router::new().route("/api/v1/agent/link", get(link_up))
}

async fn link_up(
    State(state): State<AppState>,
    agent: AgentAuth,
    up: WebSocketUpgrade,
) -> Response {
    let Ok(nonce) = qorgan_signing::random::<32>() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Ok(header) = HeaderValue::from_str(&hex::encode(nonce)) else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let mut response = up
        .protocols([LINK_SUBPROTOCOL])
        .read_buffer_size(SOCKET_BUFFER_BYTES)
        .write_buffer_size(0)
        .max_write_buffer_size(SOCKET_WRITE_BYTES_MAX)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(move |socket| link::run(state, agent, nonce, socket));
    response.headers_mut().insert(NONCE_HEADER, header);
    response
}

/// The most bytes that one read takes from a socket.
const SOCKET_BUFFER_BYTES: usize = 8 * 1024;
/// The most that waits to be sent to an agent; receipts and commands are small.
const SOCKET_WRITE_BYTES_MAX: usize = 256 * 1024;
