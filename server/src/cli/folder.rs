//! `backup`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;

use super::say;
use crate::state::AppState;

#[derive(Debug, Args)]
pub(super) struct Backup {
    /// A new folder for the copy.
    #[arg(long)]
    out: PathBuf,
}

impl Backup {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        if self.out.exists() {
            bail!("{} is there already", self.out.display());
        }
        fs::create_dir_all(&self.out)?;
        let database = self.out.join("qorgan.db");
        // VACUUM INTO gives a whole and consistent database beside a running server.
        sqlx::query("VACUUM INTO $1")
            .bind(database.to_string_lossy().into_owned())
            .execute(state.store.read())
            .await
            .context("the database cannot be copied")?;
        copy_rest(&state.data, &self.out)?;
        say(&format!(
            "{} (without the key-encryption key)",
            self.out.display()
        ));
        state.store.close().await;
        Ok(())
    }
}

/// Copies every file but the database and temporary ones.
fn copy_rest(from: &Path, to: &Path) -> anyhow::Result<()> {
    for entry in fs::read_dir(from).with_context(|| from.display().to_string())? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name().to_string_lossy().into_owned();
        let passing = name.ends_with(".lock") || name.ends_with(".next");
        if name.starts_with("qorgan.db") || name == "tls.key" || passing {
            continue;
        }
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy_rest(&source, &target)?;
        } else {
            fs::copy(&source, &target).with_context(|| source.display().to_string())?;
        }
    }
    Ok(())
}
