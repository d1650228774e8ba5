//! The command line: everything works offline on the data folder, by the same rules as the console.

mod accounts;
mod evidence;
mod folder;
mod keys;
mod schedule;
mod serve;

use std::path::PathBuf;

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::state::AppState;

/// The coordination server.
#[derive(Debug, Parser)]
#[command(name = "qorgan-server", version, about, max_term_width = 100)]
pub struct Cli {
    /// The data folder.
    #[arg(
        long,
        global = true,
        env = "QORGAN_DATA",
        default_value = "qorgan-data"
    )]
    data: PathBuf,
    /// The settings file; without it DATA/config.toml, or the defaults.
    #[arg(long, global = true, env = "QORGAN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the data folder: authority, certificates, keys, database, administrator.
    Init,
    /// Serve HTTPS and WebSocket on one port.
    Serve(serve::Serve),
    /// Recover an administrator's account.
    #[command(subcommand)]
    Admin(accounts::Admin),
    /// Add members of staff.
    #[command(subcommand)]
    Staff(accounts::Staff),
    /// Exams.
    #[command(subcommand)]
    Exam(schedule::Exam),
    /// Sittings.
    #[command(subcommand)]
    Sitting(schedule::Sitting),
    /// Print the enrolment link for clients.
    EnrolLink,
    /// List what is there.
    #[command(subcommand)]
    List(schedule::List),
    /// Export the recording of an attempt.
    Export(evidence::Export),
    /// Check an export offline.
    Verify(evidence::Verify),
    /// Copy the data folder while the server runs; the key-encryption key stays out.
    Backup(folder::Backup),
    /// The key-encryption key.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the OpenAPI document.
    Openapi,
}

impl Cli {
    /// Does what was asked.
    ///
    /// # Errors
    /// Says what failed and why.
    pub async fn run(self) -> anyhow::Result<()> {
        let folder = Folder {
            config: Config::load(&self.data, self.config.as_deref())?,
            data: self.data,
        };
        match self.command {
            Command::Init => accounts::init(&folder.make().await?).await,
            Command::Serve(serve) => serve.run(folder).await,
            Command::Admin(admin) => admin.run(&folder.open().await?).await,
            Command::Staff(staff) => staff.run(&folder.open().await?).await,
            Command::Exam(exam) => exam.run(&folder.open().await?).await,
            Command::Sitting(sitting) => sitting.run(&folder.open().await?).await,
            Command::EnrolLink => {
                let state = folder.open().await?;
                say(&crate::http::enrol_link(&state, state.config.listen.port()));
                Ok(())
            }
            Command::List(list) => list.run(&folder.open().await?).await,
            Command::Export(export) => export.run(&folder.open().await?).await,
            Command::Verify(verify) => verify.run(),
            Command::Backup(backup) => backup.run(&folder.open().await?).await,
            Command::Keys(keys) => keys.run(&folder.open().await?).await,
            Command::Openapi => {
                say(crate::http::document()?.trim_end());
                Ok(())
            }
        }
    }
}

/// The data folder and its settings.
#[derive(Debug)]
pub(crate) struct Folder {
    pub(crate) data: PathBuf,
    pub(crate) config: Config,
}

impl Folder {
    /// Opens the folder, making it where it is missing.
    pub(crate) async fn make(self) -> anyhow::Result<AppState> {
        Ok(AppState::open(&self.data, self.config).await?)
    }

    /// Opens the folder, which must be there.
    pub(crate) async fn open(self) -> anyhow::Result<AppState> {
        if !self.data.join("qorgan.db").is_file() {
            let data = self.data.display();
            bail!("{data} is no data folder; `qorgan-server init --data {data}` makes one");
        }
        self.make().await
    }
}

/// Writes a line for the person or program that called.
#[expect(clippy::print_stdout, reason = "the command line's answer")]
pub(crate) fn say(line: &str) {
    println!("{line}");
}
