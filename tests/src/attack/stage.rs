//! A server of its own with exams to attack, made by the server's own commands.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;

use super::Target;
use super::office::{Office, Times};
use crate::demo::stage::text;
use crate::server::Server;

/// The exam whose sittings the sequences run in.
pub(super) const SEQUENCES: &str = "attack sequences";
/// The exam with the shortest graces and a slow pace of items.
pub(super) const SHORT: &str = "attack short";
/// The exam that allows no simulated source.
pub(super) const STRICT: &str = "attack strict";
/// The exam that asks for freshness codes.
pub(super) const FRESH: &str = "attack fresh";

/// A server that was started to be attacked.
#[derive(Debug)]
pub struct Stage {
    /// The server.
    pub server: Server,
    /// What to attack.
    pub target: Target,
}

impl Stage {
    /// Starts a server in `folder` with `attackers` candidates beside the bystander, each with
    /// `sittings` attempts for the sequences.
    ///
    /// # Errors
    /// Fails with what the server said.
    pub fn set(folder: &Path, attackers: usize, sittings: usize) -> Result<Self> {
        let mut server = Server::start(&folder.join("server"), CONFIG)?;
        let logins: Vec<(String, String)> = (0..attackers + 2)
            .map(|number| {
                (
                    format!("attack-{number}"),
                    format!("attack-word-{number}-2026"),
                )
            })
            .collect();
        let people = folder.join("people.csv");
        let mut sheet = "login,surname,name,language,password\n".to_owned();
        for (login, password) in &logins {
            writeln!(sheet, "{login},Surname,Name,kk,{password}")?;
        }
        fs::write(&people, sheet)?;
        server.command(&["import", "people", text(&people)?])?;
        let office = Office::new(server.commands(), server.ready().server_key.clone());
        hold_exams(&office, &logins, sittings)?;
        let ready = server.ready().clone();
        let target = Target {
            origin: ready.origin,
            ca_pem: fs::read_to_string(&ready.ca_pem_path)?,
            logins,
            office: Some(office),
            staff: ready.admin_password.map(|word| (ready.admin_login, word)),
            pid: Some(server.program().id()),
            database: Some(folder.join("server").join("data").join("qorgan.db")),
        };
        Ok(Self { server, target })
    }
}

/// Makes the exams, and admits everybody to every sitting.
fn hold_exams(office: &Office, logins: &[(String, String)], sittings: usize) -> Result<()> {
    let logins: Vec<String> = logins.iter().map(|(login, _)| login.clone()).collect();
    let simulated: &[&str] = &["--simulated-sources", "--no-freshness"];
    let short: &[&str] = &[
        "--simulated-sources",
        "--no-freshness",
        "--grace-network-s",
        "1",
        "--items-ahead",
        "3",
        "--items-per-minute",
        "1",
    ];
    let exams: [(&str, usize, &[&str]); 4] = [
        (SEQUENCES, sittings, simulated),
        (SHORT, 1, short),
        (STRICT, 1, &["--no-freshness"]),
        (FRESH, 2, &["--simulated-sources"]),
    ];
    for (title, count, words) in exams {
        let exam = office.exam(title)?;
        for _ in 0..count {
            let sitting = office.sitting(&exam, Times::long(), words)?;
            office.admit(&sitting, &logins, 80)?;
        }
    }
    Ok(())
}

/// Passwords are hashed as cheaply as the configuration allows.
const CONFIG: &str =
    "[sign_in]\nstaff_totp_required = false\n\n[passwords]\nmemory_kib = 7168\npasses = 5\n";
