//! A PostgreSQL server of this test process's own, in a folder of its own, as a plain user.
//!
//! It listens on a socket in that folder alone, and ends with the process that started it: the script
//! around it waits for the end of its standard input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use crate::wait::until;

/// Returns the URL of the database `name` of this process's server, making both where they are
/// missing. A name is of small letters, digits and `_`.
///
/// # Errors
/// Debian's package `postgresql` is missing, or the server does not start.
pub fn database(name: &str) -> Result<String> {
    static SERVER: OnceLock<Mutex<Option<Server>>> = OnceLock::new();
    let mut server = SERVER
        .get_or_init(Mutex::default)
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if server.is_none() {
        *server = Some(Server::start()?);
    }
    match server.as_ref() {
        Some(server) => server.database(name),
        None => bail!("no server was started"),
    }
}

#[derive(Debug)]
struct Server {
    programs: PathBuf,
    folder: PathBuf,
    /// Closed when this process ends, by which the server ends.
    _lives: ChildStdin,
}

impl Server {
    fn start() -> Result<Self> {
        let programs = programs()?;
        // For its owner alone; the script removes it. A socket's path must be short, and its folder open
        // to a user who is not root.
        let folder = tempfile::Builder::new()
            .prefix("qorgan-pg-")
            .tempdir_in("/tmp")?;
        let folder = folder.keep();
        let mut command = Command::new("sh");
        if is_root()? {
            // PostgreSQL refuses to run as root.
            let given = Command::new("chown").arg("nobody:").arg(&folder).status()?;
            if !given.success() {
                bail!("{} cannot be given to nobody", folder.display());
            }
            command = Command::new("setpriv");
            command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "sh"]);
        }
        let mut child = command
            .args(["-c", SCRIPT, "postgres"])
            .args([&programs, &folder])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("start PostgreSQL's script")?;
        let lives = child.stdin.take().context("its standard input")?;
        let server = Self {
            programs,
            folder,
            _lives: lives,
        };
        until("PostgreSQL", START_MAX, || {
            Ok(server.run("SELECT 1", "postgres").is_ok().then_some(()))
        })
        .with_context(|| fs::read_to_string(server.folder.join("log")).unwrap_or_default())?;
        Ok(server)
    }

    fn database(&self, name: &str) -> Result<String> {
        let there = format!("SELECT 1 FROM pg_database WHERE datname = '{name}'");
        if self.run(&there, "postgres")?.trim().is_empty() {
            self.run(&format!("CREATE DATABASE {name}"), "postgres")?;
        }
        let folder = self.folder.display();
        Ok(format!("postgres:///{name}?host={folder}&user={USER}"))
    }

    fn run(&self, sql: &str, database: &str) -> Result<String> {
        let psql = Command::new(self.programs.join("psql"))
            .args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
            .arg("--host")
            .arg(&self.folder)
            .args(["--username", USER, "--dbname", database, "--command", sql])
            .output()?;
        if !psql.status.success() {
            bail!("{sql}: {}", String::from_utf8_lossy(&psql.stderr));
        }
        Ok(String::from_utf8_lossy(&psql.stdout).into_owned())
    }
}

/// Returns the folder of the newest PostgreSQL's programs.
fn programs() -> Result<PathBuf> {
    let root = Path::new("/usr/lib/postgresql");
    let mut found: Vec<(u32, PathBuf)> = fs::read_dir(root)
        .context("install Debian's package `postgresql`: cargo suite does")?
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let version = entry.file_name().to_str()?.parse().ok()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort();
    let newest = found.pop().context("no version of PostgreSQL is there")?;
    Ok(newest.1)
}

fn is_root() -> Result<bool> {
    let id = Command::new("id").arg("-u").output()?;
    Ok(id.stdout.trim_ascii() == b"0")
}

const USER: &str = "qorgan";
const START_MAX: Duration = Duration::from_secs(60);
const SCRIPT: &str = r#"
set -e
bin=$1
folder=$2
cd "$folder"
"$bin/initdb" -D data -A trust -U qorgan --locale=C --encoding=UTF8 --no-sync >initdb 2>&1
"$bin/postgres" -D data -k "$folder" -c listen_addresses= -c fsync=off -c full_page_writes=off \
    -c synchronous_commit=off -c max_connections=400 -c shared_buffers=64MB >log 2>&1 &
postgres=$!
cat >/dev/null || true
kill -INT "$postgres" || true
wait "$postgres" || true
cd /
rm -rf "$folder" || true
"#;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_is_made_once_and_found_again() {
        let first = database("made_once").expect("a database");

        assert_eq!(database("made_once").expect("it is there"), first);
        assert!(first.starts_with("postgres:///made_once?host=/"), "{first}");
    }
}
