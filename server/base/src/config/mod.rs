//! The settings: one typed file, every default documented in `config.example.toml`; a bad value is
//! named with its line.

mod sections;

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use sections::{
    Bandwidth, DatabaseUrl, DatabaseUrlError, ExamDefaults, InstitutionSettings, Limits,
    PasswordCost, SignInSettings, Texts, TimeZoneName, TlsFiles,
};

/// Says why settings cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the settings file {path}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A value in the file is bad; the message names line and column.
    #[error("{path}: {message}")]
    Bad {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
}

/// Where a database is.
#[derive(Debug, Clone)]
pub enum Location {
    /// SQLite, in a file.
    File(PathBuf),
    /// PostgreSQL, at a URL.
    Url(DatabaseUrl),
}

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where the server listens.
    pub listen: SocketAddr,
    /// Names and addresses under which it is reached; they stand in its certificate.
    pub host_names: Vec<String>,
    /// `HOST` or `HOST:PORT` for links and acts; empty takes the first host name, or the address
    /// listened on.
    pub public_address: String,
    /// The key-encryption key's file; empty takes `DIRNAME.kek` beside the data folder.
    pub key_file: PathBuf,
    /// PostgreSQL's URL; empty takes SQLite, in the data folder.
    pub database: DatabaseUrl,
    /// Addresses of proxies whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpAddr>,
    /// Own certificate files.
    pub tls: TlsFiles,
    /// Who holds the exams.
    pub institution: InstitutionSettings,
    /// What Argon2id costs.
    pub passwords: PasswordCost,
    /// How long people and programs stay signed in.
    pub sign_in: SignInSettings,
    /// Rate limits.
    pub limits: Limits,
    /// Defaults of new sittings.
    pub exam: ExamDefaults,
    /// Consent and instruction.
    pub texts: Texts,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([0, 0, 0, 0], 8443)),
            host_names: Vec::new(),
            public_address: String::new(),
            key_file: PathBuf::new(),
            database: DatabaseUrl::default(),
            trusted_proxies: Vec::new(),
            tls: TlsFiles::default(),
            institution: InstitutionSettings::default(),
            passwords: PasswordCost::default(),
            sign_in: SignInSettings::default(),
            limits: Limits::default(),
            exam: ExamDefaults::default(),
            texts: Texts::default(),
        }
    }
}

impl Config {
    /// Reads settings from TOML text; `path` names it in errors.
    ///
    /// # Errors
    /// `Bad` with the line and column of the first value that cannot be used.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        toml::from_str(text).map_err(|error| {
            let message = error.span().map_or_else(
                || error.message().to_owned(),
                |span| {
                    let before = text.get(..span.start).unwrap_or_default();
                    let line = before.matches('\n').count().saturating_add(1);
                    let column = before.chars().rev().take_while(|c| *c != '\n').count();
                    let column = column.saturating_add(1);
                    format!("line {line}, column {column}: {}", error.message())
                },
            );
            ConfigError::Bad {
                path: path.to_path_buf(),
                message,
            }
        })
    }

    /// Reads settings from `file`, or from `config.toml` in the data folder where there is one, or
    /// takes the defaults.
    ///
    /// # Errors
    /// Where the file cannot be read or a value is bad.
    pub fn load(data: &Path, file: Option<&Path>) -> Result<Self, ConfigError> {
        let beside = data.join("config.toml");
        let path = match file {
            Some(path) => path,
            None if beside.is_file() => &beside,
            None => return Ok(Self::default()),
        };
        let text = fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            path: path.to_path_buf(),
            source,
        })?;
        Self::parse(path, &text)
    }

    /// Returns where the database of a data folder is.
    #[must_use]
    pub fn database(&self, data: &Path) -> Location {
        if self.database.is_empty() {
            Location::File(data.join(DATABASE_FILE))
        } else {
            Location::Url(self.database.clone())
        }
    }

    /// Returns the key-encryption key's file for a data folder.
    #[must_use]
    pub fn key_file(&self, data: &Path) -> PathBuf {
        if self.key_file.as_os_str().is_empty() {
            let name = data.file_name().unwrap_or_else(|| "qorgan".as_ref());
            let mut name = name.to_os_string();
            name.push(".kek");
            data.parent().unwrap_or(data).join(name)
        } else {
            self.key_file.clone()
        }
    }
}

/// SQLite's file in a data folder.
pub const DATABASE_FILE: &str = "qorgan.db";

#[cfg(test)]
mod tests {
    use super::*;

    const EXAMPLE: &str = include_str!("../../config.example.toml");

    #[test]
    fn the_example_shows_every_default() {
        let example = Config::parse(Path::new("example"), EXAMPLE).expect("the example is good");
        assert_eq!(example, Config::default());
    }

    #[test]
    fn a_bad_value_is_named_with_its_line() {
        let text = "listen = \"0.0.0.0:8443\"\n\n[institution]\ntime_zone = \"Asia/Atlantis\"\n";
        let error = Config::parse(Path::new("c.toml"), text).expect_err("no such zone");
        assert!(error.to_string().contains("c.toml: line 4"), "{error}");
        assert!(error.to_string().contains("Atlantis"), "{error}");
    }

    #[test]
    fn an_unknown_setting_is_refused_with_its_line() {
        let error = Config::parse(Path::new("c.toml"), "listn = 1\n").expect_err("misspelt");
        assert!(error.to_string().contains("line 1"), "{error}");
    }

    #[test]
    fn a_hash_that_gives_passwords_away_is_refused() {
        for (bad, word) in [
            ("memory_kib = 64", "at least 7168"),
            ("passes = 1", "at least 7168"),
            ("memory_kib = 4194304", "at most"),
            ("passes = 0", "at least"),
            ("lanes = 0", "lanes"),
        ] {
            let text = format!("[passwords]\n{bad}\n");
            let error = Config::parse(Path::new("c.toml"), &text).expect_err(bad);
            assert!(error.to_string().contains(word), "{bad}: {error}");
        }
        for good in [
            "memory_kib = 47104\npasses = 1",
            "memory_kib = 7168\npasses = 5",
        ] {
            let text = format!("[passwords]\n{good}\n");
            Config::parse(Path::new("c.toml"), &text).expect(good);
        }
    }

    #[test]
    fn a_database_is_named_by_a_url_that_is_never_printed() {
        let good = "database = \"postgres://qorgan:secret@db.example/qorgan\"\n";
        let config = Config::parse(Path::new("c.toml"), good).expect("a URL");
        assert!(!format!("{config:?}").contains("secret"), "{config:?}");
        let location = config.database(Path::new("/srv/qorgan"));
        assert!(!format!("{location:?}").contains("secret"), "{location:?}");

        let unnamed = "database = \"postgres://qorgan@db.example:5432\"\n";
        Config::parse(Path::new("c.toml"), unnamed).expect_err("no database is named");
        let bad = "database = \"mysql://qorgan:secret@db.example/qorgan\"\n";
        let error = Config::parse(Path::new("c.toml"), bad).expect_err("another database");
        assert!(error.to_string().contains("postgres://"), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn the_key_stands_outside_the_data_folder() {
        let file = Config::default().key_file(Path::new("/srv/qorgan"));
        assert_eq!(file, Path::new("/srv/qorgan.kek"));
    }
}
