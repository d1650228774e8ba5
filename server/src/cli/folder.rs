//! `backup`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use super::say;
use crate::backup::backup;
use crate::state::AppState;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// The folder of the copy; it must be new, and outside the data folder.
    #[arg(long)]
    out: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        let out = self.out.display();
        let copied = backup(state, &self.out)
            .await
            .with_context(|| format!("{out} is no backup"))?;
        for name in &copied.left_out {
            say(&format!("Left out: {name}"));
        }
        say(&format!(
            "{out} (without the key-encryption key): {} files copied; opened again, the database and \
             {} sealed recordings are whole",
            copied.files, copied.sealed
        ));
        state.store.close().await;
        Ok(())
    }
}
