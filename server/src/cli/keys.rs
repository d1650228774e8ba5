//! `keys`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Subcommand;

use super::say;
use crate::state::AppState;
use qorgan_base::keys::{hold, key_file_of, write_private};
use qorgan_store::rotation::rotate;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new key-encryption key and wrap every other key with it; the server must be stopped. If
    /// this is interrupted, the next command of any kind completes or undoes it.
    Rotate,
    /// Write the key-encryption key to a file that is to be kept in a safe place.
    Export {
        /// The file; it must not exist yet, and lie outside the data folder.
        #[arg(long)]
        escrow: PathBuf,
    },
}

impl KeysCommand {
    pub(super) async fn run(self, state: &AppState) -> anyhow::Result<()> {
        match self {
            Self::Export { escrow } => {
                if escrow.exists() {
                    bail!("{} is there already", escrow.display());
                }
                let named = escrow.parent().filter(|path| !path.as_os_str().is_empty());
                let folder = fs::canonicalize(named.unwrap_or_else(|| Path::new(".")))
                    .with_context(|| format!("cannot write {}", escrow.display()))?;
                if folder.starts_with(fs::canonicalize(state.data.as_path())?) {
                    bail!("name a file outside the data folder: the key opens what lies there");
                }
                let text = key_file_of(state.keys.kek());
                write_private(&escrow, text.as_bytes())?;
                say(&format!("{}", escrow.display()));
            }
            Self::Rotate => {
                let held = hold(&state.data).context("stop the server first")?;
                let file = state.config.key_file(&state.data);
                let places = (state.data.as_path(), file.as_path());
                rotate(places, (&state.store, &state.keys), None).await?;
                drop(held);
                say("The key-encryption key is new. The old one stays beside it as `….old`;");
                say("keep it until backups that were made with it are gone.");
            }
        }
        state.store.close().await;
        Ok(())
    }
}
