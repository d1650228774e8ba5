//! Unix: a socket file in a 0700 folder, the peer's uid from the kernel.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, MetadataExt as _};
use std::path::Path;

use qorgan_protocol::local::SOCKET_NAME;
use tokio::net::{UnixListener, UnixStream};

use super::Peer;

pub(crate) type Stream = UnixStream;

/// Waits for clients.
#[derive(Debug)]
pub(crate) struct Listener {
    listener: UnixListener,
}

impl Listener {
    /// Binds the socket; whatever lies in its place is removed, for the folder's lock is held and
    /// the folder is this user's own, so it is what a killed agent left or a squatter of this user.
    pub(crate) fn bind(folder: &Path) -> io::Result<Self> {
        let path = folder.join(SOCKET_NAME);
        match fs::symlink_metadata(&path) {
            Ok(there) if there.file_type().is_socket() || there.is_file() => {
                fs::remove_file(&path)?;
            }
            Ok(there) if there.file_type().is_symlink() => fs::remove_file(&path)?,
            Ok(_) => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            listener: UnixListener::bind(path)?,
        })
    }

    /// Returns the next client.
    #[expect(
        clippy::needless_pass_by_ref_mut,
        reason = "a named pipe needs it, and both have one face"
    )]
    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        let (stream, _) = self.listener.accept().await?;
        let credentials = stream.peer_cred()?;
        let peer = Peer {
            same_user: credentials.uid() == rustix::process::geteuid().as_raw(),
            pid: credentials.pid().and_then(|pid| u32::try_from(pid).ok()),
        };
        Ok((stream, peer))
    }
}

pub(crate) fn make_private_folder(folder: &Path) -> io::Result<()> {
    if let Some(parent) = folder.parent() {
        fs::create_dir_all(parent)?;
    }
    DirBuilder::new().mode(0o700).create(folder)
}

pub(crate) fn is_private_folder(folder: &Path) -> io::Result<bool> {
    let metadata = fs::symlink_metadata(folder)?;
    Ok(metadata.is_dir()
        && metadata.uid() == rustix::process::geteuid().as_raw()
        && metadata.mode() & 0o077 == 0)
}
