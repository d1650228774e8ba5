//! `serve`.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use tokio::signal;

use super::accounts::hand_over;
use super::{Folder, say};
use crate::http::{Bound, ReadyFile, raise_open_files, serve};

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// The address and port to listen on, instead of the setting or the service manager's socket; port
    /// 0 takes a free one.
    #[arg(long)]
    listen: Option<SocketAddr>,
    /// A JSON file, for its owner alone, that is written once the server listens: address, enrolment
    /// link, certificate, public key; at the first start also the administrator's one-time password.
    #[arg(long)]
    ready_file: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self, folder: Folder) -> anyhow::Result<()> {
        raise_open_files()?;
        let state = folder.make().await?;
        let bound = match (self.listen, Bound::inherited()?) {
            (None, Some(bound)) => bound,
            (listen, _unused) => Bound::listen(listen.unwrap_or(state.config.listen))?,
        };
        let first = state.auth.first_administrator().await?;
        let ready = ReadyFile::new(&state, bound.address, first.as_ref());
        say(&format!("Listening on {}", ready.origin));
        say(&format!("Enrolment link: {}", ready.enrol_link));
        // Who asked for a ready file has the password there.
        if let (Some(first), None) = (&first, &self.ready_file) {
            hand_over(&state, first)?;
        }
        let ready = self.ready_file.map(|path| (path, ready));
        serve(state, bound, ready, stop())
            .await
            .context("the server ended")
    }
}

/// Resolves when the process is told to stop.
async fn stop() {
    let interrupt = async {
        if let Err(error) = signal::ctrl_c().await {
            tracing::error!(%error, "Ctrl+C cannot be heard");
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = qorgan_base::platform::terminate() => {}
    }
    tracing::info!("Stopping");
}
