//! A server of a bench, in a process of its own.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

use qorgan_server::http::{Bound, serve};
use qorgan_server::state::AppState;

/// Serves on a free port of this machine until it is ended, and says in the folder which.
pub(crate) async fn served(state: AppState) -> anyhow::Result<()> {
    let bound = Bound::listen((IpAddr::from(Ipv4Addr::LOCALHOST), 0).into())?;
    let (next, port) = (state.data.join("port.next"), state.data.join("port"));
    std::fs::write(&next, bound.address.port().to_string())?;
    std::fs::rename(next, port)?;
    Ok(serve(state, bound, None, std::future::pending()).await?)
}

/// The server's process; it ends with this.
pub(crate) struct Running {
    child: Child,
    /// Where it listens.
    pub(crate) port: u16,
}

impl Running {
    /// Starts this program once more, with the words `serve DATA`, and waits until it listens.
    pub(crate) async fn start(data: &Path) -> anyhow::Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        let mut running = Self {
            child: command.arg("serve").arg(data).spawn()?,
            port: 0,
        };
        running.port = loop {
            if let Ok(port) = std::fs::read_to_string(data.join("port")) {
                break port.parse()?;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        Ok(running)
    }

    /// Returns its number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
