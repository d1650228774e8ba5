//! Windows: a named pipe whose first instance must be ours; remote clients are refused.

use std::fs;
use std::io;
use std::path::Path;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

use super::Peer;

pub(crate) type Stream = NamedPipeServer;

/// Waits for clients.
#[derive(Debug)]
pub(crate) struct Listener {
    name: String,
    next: NamedPipeServer,
}

impl Listener {
    /// Makes the first instance; it fails where somebody has taken the name.
    pub(crate) fn bind(folder: &Path) -> io::Result<Self> {
        let name = pipe_name(folder);
        let next = ServerOptions::new()
            .first_pipe_instance(true)
            .reject_remote_clients(true)
            .create(&name)?;
        Ok(Self { name, next })
    }

    /// Returns the next client; the pipe's default access list admits this user and the system's
    /// administrators, and both sides prove their keys.
    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        self.next.connect().await?;
        let next = ServerOptions::new()
            .reject_remote_clients(true)
            .create(&self.name)?;
        let peer = Peer {
            same_user: true,
            pid: None,
        };
        Ok((core::mem::replace(&mut self.next, next), peer))
    }
}

/// Returns the pipe of a folder: its path with every separator made plain.
fn pipe_name(folder: &Path) -> String {
    let plain: String = folder
        .to_string_lossy()
        .chars()
        .map(|letter| if letter.is_alphanumeric() { letter } else { '-' })
        .collect();
    format!(r"\\.\pipe\qorgan-agent-{plain}")
}

pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)
}

/// A folder under the user's profile is private by inheritance.
pub(crate) fn is_private_folder(folder: &Path) -> io::Result<bool> {
    fs::metadata(folder).map(|metadata| metadata.is_dir())
}
