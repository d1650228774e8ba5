//! Frames on an agent's socket.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{Message, WebSocket};
use qorgan_protocol::codec;
use qorgan_protocol::link::{LinkRefusal, RefusalReason, ServerFrame};
use tokio::time::timeout;

use super::end::LinkEnd;
use qorgan_recordings::RecordingError;

/// Returns the next binary message.
pub(super) async fn receive(socket: &mut WebSocket) -> Result<Bytes, LinkEnd> {
    loop {
        match socket.recv().await {
            Some(Ok(Message::Binary(bytes))) => return Ok(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
            Some(Ok(Message::Text(_))) => {
                return Err(LinkRefusal::new(RefusalReason::BadFrame, "a text frame").into());
            }
            Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(LinkEnd::Left),
        }
    }
}

/// Sends a frame; an agent that does not take it in time is taken for gone.
pub(super) async fn send(socket: &mut WebSocket, frame: &ServerFrame) -> Result<(), LinkEnd> {
    let bytes = codec::encode("server frame", frame).map_err(RecordingError::from)?;
    match timeout(SEND_WAIT_MAX, socket.send(Message::Binary(bytes.into()))).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(LinkEnd::Left),
    }
}

/// Closes the socket; the agent may be gone already.
pub(super) async fn close(socket: &mut WebSocket) {
    let _closed = timeout(SEND_WAIT_MAX, socket.send(Message::Close(None))).await;
}

/// How long a frame to the agent may take.
const SEND_WAIT_MAX: Duration = Duration::from_secs(10);
