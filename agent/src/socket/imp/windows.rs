//! Windows: a named pipe whose first instance must be ours and that only its owner and the system
//! may open (decision 6); remote clients are refused.

#![expect(unsafe_code, reason = "the access list is made and given by C calls")]

use std::fs;
use std::io;
use std::path::Path;

use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};
use windows_sys::Win32::Foundation::{LocalFree, TRUE};
use windows_sys::Win32::Security::Authorization::{
    ConvertStringSecurityDescriptorToSecurityDescriptorW, SDDL_REVISION_1,
};
use windows_sys::Win32::Security::{PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::core::w;

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
        let next = instance(&name, true)?;
        Ok(Self { name, next })
    }

    /// Returns the next client: the pipe's access list is the check of the user.
    pub(crate) async fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        self.next.connect().await?;
        let next = instance(&self.name, false)?;
        let peer = Peer {
            same_user: true,
            pid: None,
        };
        Ok((core::mem::replace(&mut self.next, next), peer))
    }
}

/// Makes an instance of the pipe under its access list.
fn instance(name: &str, first: bool) -> io::Result<NamedPipeServer> {
    let access = AccessList::new()?;
    let mut attributes = access.attributes();
    let mut options = ServerOptions::new();
    options
        .first_pipe_instance(first)
        .reject_remote_clients(true);
    let attributes = (&raw mut attributes).cast();
    // SAFETY: the pointer is to a `SECURITY_ATTRIBUTES` whose descriptor `access` owns, and both
    // outlive the call, which copies them.
    unsafe { options.create_with_security_attributes_raw(name, attributes) }
}

/// A security descriptor that admits the pipe's owner and the system, and nobody by inheritance.
#[derive(Debug)]
struct AccessList(PSECURITY_DESCRIPTOR);

impl AccessList {
    fn new() -> io::Result<Self> {
        let mut descriptor: PSECURITY_DESCRIPTOR = core::ptr::null_mut();
        // SAFETY: the text is a constant that ends with a zero, the descriptor's place is ours, and
        // its size is not asked for.
        let made = unsafe {
            ConvertStringSecurityDescriptorToSecurityDescriptorW(
                OWNER_AND_SYSTEM,
                SDDL_REVISION_1,
                &raw mut descriptor,
                core::ptr::null_mut(),
            )
        };
        if made == TRUE {
            Ok(Self(descriptor))
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn attributes(&self) -> SECURITY_ATTRIBUTES {
        SECURITY_ATTRIBUTES {
            nLength: u32::try_from(size_of::<SECURITY_ATTRIBUTES>()).unwrap_or_default(),
            lpSecurityDescriptor: self.0,
            bInheritHandle: 0,
        }
    }
}

impl Drop for AccessList {
    fn drop(&mut self) {
        // SAFETY: the system allocated the descriptor for us, and it is freed once.
        unsafe { LocalFree(self.0) };
    }
}

/// Protected; everything to the system and to whoever owns the pipe, nothing to anybody else.
const OWNER_AND_SYSTEM: windows_sys::core::PCWSTR = w!("D:P(A;;GA;;;SY)(A;;GA;;;OW)");

/// Returns the pipe of a folder: its path with every separator made plain.
fn pipe_name(folder: &Path) -> String {
    let plain: String = folder
        .to_string_lossy()
        .chars()
        .map(|letter| {
            if letter.is_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
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
