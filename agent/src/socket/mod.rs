//! The local socket: a private folder, the peer's user checked by the system.

cfg_select! {
    unix => { #[path = "imp/unix.rs"] mod imp; }
    _ => { #[path = "imp/windows.rs"] mod imp; }
}

use std::io;
use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use qorgan_protocol::codec::{self, CodecError};
use qorgan_protocol::limits::LOCAL_FRAME_BYTES_MAX;
use qorgan_protocol::local::{AgentFrame, ClientFrame};

pub(crate) use imp::{Listener, Stream};

/// Who is at the other end, by the system's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Peer {
    /// Whether it runs as this agent's own user.
    pub(crate) same_user: bool,
    /// Its process, where the system says.
    pub(crate) pid: Option<u32>,
}

/// Says why a frame could not be read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FrameError {
    /// The socket is gone.
    #[error("the local socket is gone")]
    Gone(#[source] io::Error),
    /// The frame is larger than allowed.
    #[error("a local frame of {bytes} bytes is too large")]
    TooLarge {
        /// Its length.
        bytes: usize,
    },
    /// The frame cannot be read.
    #[error("a local frame cannot be read")]
    Codec(#[from] CodecError),
}

/// Makes a folder that only this user can enter.
pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    imp::make_private_folder(folder)
}

/// Tells whether only this user can enter a folder, and owns it.
pub(crate) fn is_private_folder(folder: &Path) -> io::Result<bool> {
    imp::is_private_folder(folder)
}

/// Reads one frame of the client.
pub(crate) async fn read_frame(
    stream: &mut (impl AsyncRead + Unpin),
) -> Result<ClientFrame, FrameError> {
    let mut length = [0; 4];
    stream
        .read_exact(&mut length)
        .await
        .map_err(FrameError::Gone)?;
    let bytes = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if bytes > LOCAL_FRAME_BYTES_MAX {
        return Err(FrameError::TooLarge { bytes });
    }
    let mut frame = vec![0; bytes];
    stream
        .read_exact(&mut frame)
        .await
        .map_err(FrameError::Gone)?;
    Ok(codec::decode("client frame", &frame)?)
}

/// Writes one frame to the client.
pub(crate) async fn write_frame(
    stream: &mut (impl AsyncWrite + Unpin),
    frame: &AgentFrame,
) -> Result<(), FrameError> {
    let body = codec::encode("agent frame", frame)?;
    let bytes = body.len();
    let too_large = FrameError::TooLarge { bytes };
    if bytes > LOCAL_FRAME_BYTES_MAX {
        return Err(too_large);
    }
    let length = u32::try_from(bytes).map_err(|_wide| too_large)?;
    let mut out = Vec::with_capacity(4 + bytes);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&body);
    stream.write_all(&out).await.map_err(FrameError::Gone)
}
