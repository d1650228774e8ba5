//! The server as a person starts it: a data folder, a free port, commands.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;

use crate::places;
use crate::program::{Program, run};

/// What the server writes down once it listens.
#[derive(Debug, Clone, Deserialize)]
pub struct Ready {
    /// Its address, such as `127.0.0.1:8443`.
    pub address: String,
    /// Its origin, such as `https://127.0.0.1:8443`.
    pub origin: String,
    /// The link by which a client enrols.
    pub enrol_link: String,
    /// The certificate authority's file.
    pub ca_pem_path: PathBuf,
    /// The signing key, hexadecimal.
    pub server_key: String,
    /// The administrator's login.
    pub admin_login: String,
    /// The administrator's one-time password, at the first start alone.
    #[serde(default)]
    pub admin_password: Option<String>,
}

/// A server with a data folder of its own; ended when dropped.
#[derive(Debug)]
pub struct Server {
    folder: PathBuf,
    address: String,
    ready: Ready,
    program: Program,
}

impl Server {
    /// Starts a server whose data lies in `folder`, with lines added to its configuration.
    ///
    /// # Errors
    /// Fails with its log where it does not listen in time.
    pub fn start(folder: &Path, config: &str) -> Result<Self> {
        let address = free_address()?;
        fs::create_dir_all(folder.join("data"))?;
        fs::write(folder.join("config.toml"), config)?;
        let (program, ready) = serve(folder, &address)?;
        Ok(Self {
            folder: folder.to_path_buf(),
            address,
            ready,
            program,
        })
    }

    /// Returns what the server wrote down when it listened.
    #[must_use]
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// Returns the running program.
    pub fn program(&mut self) -> &mut Program {
        &mut self.program
    }

    /// Kills the server as a power cut would, and starts it again on the same address.
    ///
    /// # Errors
    /// Fails where it does not listen in time.
    pub fn kill_and_restart(&mut self) -> Result<()> {
        self.program.kill()?;
        let (program, ready) = serve(&self.folder, &self.address)?;
        (self.program, self.ready) = (program, ready);
        Ok(())
    }

    /// Runs one of the server's commands on its data folder and returns what it said.
    ///
    /// # Errors
    /// Fails with what it said where it reports failure.
    pub fn command(&self, words: &[&str]) -> Result<String> {
        self.commands().run(words)
    }

    /// Returns what runs the server's commands beside it.
    #[must_use]
    pub fn commands(&self) -> Commands {
        Commands {
            folder: self.folder.clone(),
        }
    }
}

/// Runs a server's commands on its data folder, also while it serves.
#[derive(Debug, Clone)]
pub struct Commands {
    folder: PathBuf,
}

impl Commands {
    /// Runs a command and returns what it said.
    ///
    /// # Errors
    /// Fails with what it said where it reports failure.
    pub fn run(&self, words: &[&str]) -> Result<String> {
        let (data, config) = data(&self.folder);
        let mut commands = File::options()
            .create(true)
            .append(true)
            .open(self.folder.join(COMMANDS))?;
        writeln!(commands, "{}", words.join(" "))?;
        let mut command = Command::new(places::program("qorgan-server")?);
        run(command
            .args(words)
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(config))
    }

    /// Returns the folder in which the server's data lie.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

fn serve(folder: &Path, address: &str) -> Result<(Program, Ready)> {
    let ready_file = folder.join("ready.json");
    if ready_file.exists() {
        fs::remove_file(&ready_file)?;
    }
    let (data, config) = data(folder);
    let mut serve = Command::new(places::program("qorgan-server")?);
    serve
        .args(["serve", "--listen", address, "--data"])
        .arg(data);
    serve
        .arg("--config")
        .arg(config)
        .arg("--ready-file")
        .arg(&ready_file);
    serve.env(
        "QORGAN_ASSETS",
        places::folder("QORGAN_ASSETS", "qorgan-assets"),
    );
    let mut program = Program::start("server", serve, folder)?;
    let ready = program.until("the server to listen", START_LIMIT, || {
        let Ok(text) = fs::read_to_string(&ready_file) else {
            return Ok(None);
        };
        Ok(serde_json::from_str(&text).ok())
    })?;
    Ok((program, ready))
}

fn data(folder: &Path) -> (PathBuf, PathBuf) {
    (folder.join("data"), folder.join("config.toml"))
}

/// Returns an address of this machine at which nobody listens.
///
/// # Errors
/// Fails where no port is free.
pub fn free_address() -> Result<String> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).context("find a free port")?;
    Ok(listener.local_addr()?.to_string())
}

/// The file in a server's folder that lists the commands which were run on it.
pub const COMMANDS: &str = "commands.txt";
const START_LIMIT: Duration = Duration::from_secs(30);
