//! `keys`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow, bail};
use clap::Subcommand;
use qorgan_signing::SecretKey;

use super::say;
use crate::keys::{ServerKeys, write_private, write_sealed};
use crate::state::AppState;
use crate::store::WriteTx;

#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a new key-encryption key and wrap everything anew; the server must not run.
    Rotate,
    /// Write the key-encryption key to a file, for a safe.
    Export {
        /// Where to.
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
                let text = hex::encode(state.keys.kek().expose());
                write_private(&escrow, text.as_bytes())?;
                say(&format!("{}", escrow.display()));
            }
            Self::Rotate => rotate(state).await?,
        }
        state.store.close().await;
        Ok(())
    }
}

/// Wraps everything anew: first beside the old, then the database, then the files take their place.
/// The old key stays as `….old`, so that a cut at any moment leaves a key that opens what is there.
async fn rotate(state: &AppState) -> anyhow::Result<()> {
    let file = state.config.key_file(&state.data);
    if !file.is_file() {
        bail!("the key-encryption key is no file here; rotate it where it is kept");
    }
    let new = SecretKey::generate()?;
    let next = with_suffix(&file, "next");
    write_private(&next, hex::encode(new.expose()).as_bytes())?;
    let mut tx = state.store.begin().await?;
    for (select, update, place) in WRAPPED {
        rewrap(&mut tx, &state.keys, &new, (select, update, place)).await?;
    }
    let mut files = Vec::new();
    for name in ["sign.pk8", "ca.pk8", "seal.pk8"] {
        let path = state.data.join(name);
        let plain = crate::keys::read_sealed(&path, state.keys.kek())?;
        files.push((path, plain));
    }
    tx.commit().await?;
    for (path, plain) in files {
        write_sealed(&path, &new, &plain)?;
    }
    fs::rename(&file, with_suffix(&file, "old"))
        .and_then(|()| fs::rename(&next, &file))
        .context("the new key-encryption key could not take its place")?;
    say("The key-encryption key is new; keep the old one until backups made with it are gone.");
    Ok(())
}

async fn rewrap(
    tx: &mut WriteTx,
    keys: &ServerKeys,
    new: &SecretKey,
    (select, update, place): (&'static str, &'static str, &'static str),
) -> anyhow::Result<()> {
    let rows: Vec<(i64, String, Vec<u8>)> = sqlx::query_as(select).fetch_all(&mut **tx).await?;
    for (row, name, wrapped) in rows {
        let place = format!("{place}:{name}");
        let plain = keys
            .open(&place, &wrapped)
            .map_err(|error| anyhow!("{place} does not open: {error}"))?;
        let wrapped = new.seal(place.as_bytes(), &plain)?;
        sqlx::query(update)
            .bind(row)
            .bind(wrapped)
            .execute(&mut **tx)
            .await?;
    }
    Ok(())
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_os_string();
    name.push(".");
    name.push(suffix);
    PathBuf::from(name)
}

/// Everything that the key-encryption key seals: how to read it, how to write it, its place.
const WRAPPED: [(&str, &str, &str); 7] = [
    (
        "SELECT rowid, id, key_wrapped FROM exams",
        "UPDATE exams SET key_wrapped = $2 WHERE rowid = $1",
        "exam",
    ),
    (
        "SELECT rowid, id, key_wrapped FROM attempts",
        "UPDATE attempts SET key_wrapped = $2 WHERE rowid = $1",
        "attempt",
    ),
    (
        "SELECT rowid, attempt_id || ':e' || epoch, journal_key_wrapped FROM epochs",
        "UPDATE epochs SET journal_key_wrapped = $2 WHERE rowid = $1",
        "journal",
    ),
    (
        "SELECT rowid, attempt_id || ':e' || epoch, freshness_key_wrapped FROM epochs",
        "UPDATE epochs SET freshness_key_wrapped = $2 WHERE rowid = $1",
        "freshness",
    ),
    (
        "SELECT rowid, attempt_id || ':e' || epoch, spool_key_wrapped FROM epochs",
        "UPDATE epochs SET spool_key_wrapped = $2 WHERE rowid = $1",
        "spool",
    ),
    (
        "SELECT rowid, person_id, totp_sealed FROM credentials WHERE totp_sealed IS NOT NULL",
        "UPDATE credentials SET totp_sealed = $2 WHERE rowid = $1",
        "totp",
    ),
    (
        "SELECT rowid, id, photo_sealed FROM people WHERE photo_sealed IS NOT NULL",
        "UPDATE people SET photo_sealed = $2 WHERE rowid = $1",
        "photo",
    ),
];
