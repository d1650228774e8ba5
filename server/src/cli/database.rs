//! `database`.

use std::fs::File;
use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{Typed, say};
use qorgan_base::config::{DatabaseUrl, Location};
use qorgan_base::keys::{RUNNING_LOCK, hold};
use qorgan_store::open_database;

#[derive(Debug, Subcommand)]
pub(super) enum Database {
    /// Move an institution's database to another one, as from SQLite to PostgreSQL.
    ///
    /// Stop the server first. The other database must be new; nothing is kept of a copy that does not
    /// read back as it was written. Recordings and keys stay in the data folder.
    Copy(Copy),
}

#[derive(Debug, Args)]
pub(super) struct Copy {
    /// SQLite's file, or PostgreSQL's URL.
    #[arg(long)]
    from: Typed,
    /// SQLite's file, or PostgreSQL's URL.
    #[arg(long)]
    to: Typed,
}

impl Database {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Copy(copy) = self;
        copy.run().await
    }
}

impl Copy {
    async fn run(self) -> anyhow::Result<()> {
        let (from, to) = (location(&self.from.0)?, location(&self.to.0)?);
        if let Location::File(path) = &from
            && !path.is_file()
        {
            anyhow::bail!("there is no database {}", path.display());
        }
        let _held = [&from, &to]
            .map(held)
            .into_iter()
            .collect::<Result<Vec<_>, _>>()?;
        let from = open_database(&from)
            .await
            .context("--from cannot be opened")?;
        let to = open_database(&to).await.context("--to cannot be opened")?;
        let _held = [from.hold().await?, to.hold().await?];
        let moved = qorgan_store::copy(&from, &to).await?;
        for one in &moved {
            say(&format!(
                "{:<24} {:>10} rows  SHA-256 {}",
                one.table,
                one.rows,
                hex::encode(one.hash.0)
            ));
        }
        say(&format!(
            "{} tables copied and read back: counts and hashes are the same",
            moved.len()
        ));
        say(
            "Now name the new database in config.toml (`database = …`), for the server and every \
             command, and put the old one away: what is written to it is lost.",
        );
        from.close().await;
        to.close().await;
        Ok(())
    }
}

/// Keeps servers off SQLite's file, as a copy lacks what they write meanwhile.
fn held(location: &Location) -> anyhow::Result<Option<File>> {
    let Location::File(path) = location else {
        return Ok(None);
    };
    let folder = path.parent().unwrap_or(path);
    if !folder.join(RUNNING_LOCK).exists() {
        return Ok(None);
    }
    let file = hold(folder).context("stop the server first")?;
    Ok(Some(file))
}

fn location(text: &str) -> anyhow::Result<Location> {
    if text.contains("://") {
        let url: DatabaseUrl = text.parse()?;
        return Ok(Location::Url(url));
    }
    // A connection string of another form may hold a password, and a file of that name is not meant.
    anyhow::ensure!(
        !text.contains('='),
        "a database is named by SQLite's file or by a URL (postgres://USER@HOST/DATABASE)"
    );
    Ok(Location::File(PathBuf::from(text)))
}
