//! The command line: everything works offline on the data folder, by the same rules as the console.

mod accounts;
mod act;
mod attempt;
mod audit;
mod database;
mod evidence;
mod folder;
mod import;
mod keys;
mod receipt;
mod schedule;
mod serve;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::state::AppState;
use qorgan_base::config::Config;

/// Runs exams, keeps their recordings, and serves the web console.
#[derive(Debug, Parser)]
#[command(name = "qorgan-server", version, max_term_width = 100)]
pub struct Cli {
    /// The folder that holds everything that the server keeps.
    #[arg(
        long,
        global = true,
        env = "QORGAN_DATA",
        default_value = "qorgan-data"
    )]
    data: PathBuf,
    /// The settings file. If it is not named, `config.toml` of the data folder is read; if there is
    /// none, the defaults hold.
    #[arg(long, global = true, env = "QORGAN_CONFIG")]
    config: Option<PathBuf>,
    /// PostgreSQL's URL (postgres://USER@HOST/DATABASE), in place of SQLite in the data folder.
    #[arg(long, global = true, env = "QORGAN_DATABASE", hide_env_values = true)]
    database: Option<Typed>,
    #[command(subcommand)]
    command: Command,
}

/// A text that may hold a password: it is read after the command line, whose errors repeat what was
/// typed, and nothing prints it.
#[derive(Clone)]
struct Typed(String);

impl std::fmt::Debug for Typed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl From<String> for Typed {
    fn from(text: String) -> Self {
        Self(text)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make the data folder: certificate authority, keys, database, first administrator.
    Init,
    /// Run the server: console, API and WebSockets on one HTTPS port.
    Serve(serve::Serve),
    /// Let somebody in again who lost the password or the second factor.
    #[command(subcommand)]
    Admin(accounts::Admin),
    /// Add members of staff and change their rights.
    #[command(subcommand)]
    Staff(accounts::Staff),
    /// Hold a recording back from deletion, or delete it.
    #[command(subcommand)]
    Attempt(attempt::Attempt),
    /// Read and check the log of who did what.
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Make exams.
    #[command(subcommand)]
    Exam(schedule::Exam),
    /// Make sittings, assign proctors to them, grant allowances.
    #[command(subcommand)]
    Sitting(schedule::Sitting),
    /// Import people, photos, tests and admission sheets.
    #[command(subcommand)]
    Import(import::Import),
    /// Finish the review of an attempt in a proctor's name.
    ///
    /// The incidents that you name are confirmed, all others are dismissed. Prints the verdict.
    Review(act::Review),
    /// Make the act of an attempt.
    #[command(subcommand)]
    Act(act::Act),
    /// Print the link by which the candidates' kiosks find this server and trust it.
    EnrolLink,
    /// List attempts, exams and sittings.
    #[command(subcommand)]
    List(schedule::List),
    /// Write an attempt's recording with its signed manifest to a folder.
    Export(evidence::Export),
    /// Check an export, without a server: what is missing or changed, and who signed it.
    Verify(evidence::Verify),
    /// Score the flags of an export again, without a server; the export must have been made with
    /// `--with-faces-and-voices`.
    Replay(evidence::Replay),
    /// Check the receipt that a candidate kept, without a server.
    Receipt(receipt::Receipt),
    /// Copy the data folder, also while the server runs, and check the copy. Key-encryption keys are
    /// left out.
    Backup(folder::Backup),
    /// Move the database.
    #[command(subcommand)]
    Database(database::Database),
    /// Change the key-encryption key, or write it to a file.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Print the OpenAPI document of the API.
    Openapi,
    /// Decode one thing that the server hands over, confined; the server starts it.
    #[command(name = qorgan_decoding::WORKER, hide = true)]
    DecodeWorker,
}

impl Cli {
    /// Tells whether the program is to be a worker, which must be so before anything else is read,
    /// opened or started.
    #[must_use]
    pub const fn is_worker(&self) -> bool {
        matches!(self.command, Command::DecodeWorker)
    }

    /// Does what was asked.
    ///
    /// # Errors
    /// Says what failed and why.
    pub async fn run(self) -> anyhow::Result<()> {
        self.answer().await?;
        match REFUSED.get() {
            // Whoever read the answer has read enough.
            None | Some(io::ErrorKind::BrokenPipe) => Ok(()),
            Some(kind) => bail!("the answer cannot be written: {kind}"),
        }
    }

    async fn answer(self) -> anyhow::Result<()> {
        qorgan_base::platform::private_umask();
        let mut config = Config::load(&self.data, self.config.as_deref())?;
        if let Some(database) = self.database {
            config.database = database.0.parse()?;
        }
        let folder = Folder {
            config,
            data: self.data,
        };
        match self.command {
            Command::Init => accounts::init(&folder.make().await?).await,
            Command::Serve(serve) => serve.run(folder).await,
            Command::Admin(admin) => admin.run(&folder.open().await?).await,
            Command::Staff(staff) => staff.run(&folder.open().await?).await,
            Command::Attempt(attempt) => attempt.run(&folder.open().await?).await,
            Command::Audit(audit) => audit.run(&folder.open().await?).await,
            Command::Exam(exam) => exam.run(&folder.open().await?).await,
            Command::Sitting(sitting) => sitting.run(&folder.open().await?).await,
            Command::Import(import) => import.run(&folder.open().await?).await,
            Command::Review(review) => review.run(&folder.open().await?).await,
            Command::Act(act) => act.run(&folder.open().await?).await,
            Command::EnrolLink => {
                let state = folder.open().await?;
                let address = crate::http::served_address(&state).await?;
                say(&crate::http::enrol_link(&state, address));
                Ok(())
            }
            Command::List(list) => list.run(&folder.open().await?).await,
            Command::Export(export) => export.run(&folder.open().await?).await,
            Command::Verify(verify) => verify.run(),
            Command::Replay(replay) => replay.run(),
            Command::Receipt(receipt) => receipt.run(),
            Command::Backup(backup) => backup.run(&folder.open().await?).await,
            Command::Database(database) => database.run().await,
            Command::Keys(keys) => keys.run(&folder.open().await?).await,
            Command::DecodeWorker => bail!("a worker is started by the server"),
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
        let state = AppState::open(&self.data, self.config).await?;
        Ok(state.decoding_by(qorgan_decoding::own_program()?))
    }

    /// Opens the folder, which must be there.
    pub(crate) async fn open(self) -> anyhow::Result<AppState> {
        if !self.data.join("sign.pk8").is_file() {
            let data = self.data.display();
            bail!("{data} is no data folder; `qorgan-server init --data {data}` makes one");
        }
        self.make().await
    }
}

/// Writes a line for the person or program that called. A reader who left does not end the work: what
/// is left of the answer is not written.
pub(crate) fn say(line: &str) {
    if REFUSED.get().is_some() {
        return;
    }
    let mut out = io::stdout().lock();
    if let Err(error) = writeln!(out, "{line}").and_then(|()| out.flush()) {
        // Another line may have been first.
        let _known = REFUSED.set(error.kind());
    }
}

/// Why standard output took no more.
static REFUSED: OnceLock<io::ErrorKind> = OnceLock::new();

/// The languages that texts are in.
const LANGUAGES: [&str; 3] = ["kk", "ru", "en"];

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use qorgan_store::exams::{self, NewExam};

    #[test]
    fn every_command_and_option_says_what_it_is_for() {
        fn silent(command: &clap::Command) -> Vec<String> {
            let options = command.get_arguments();
            let options = options.filter(|option| option.get_help().is_none());
            let mut found: Vec<String> = options
                .map(|option| format!("{} {}", command.get_name(), option.get_id()))
                .collect();
            for inner in command.get_subcommands() {
                if inner.get_about().is_none() {
                    found.push(inner.get_name().to_owned());
                }
                found.extend(silent(inner));
            }
            found
        }
        let command = Cli::command();
        command.clone().debug_assert();

        let silent = silent(&command);

        assert!(silent.is_empty(), "without a help text: {silent:?}");
    }

    #[test]
    fn a_language_that_no_text_is_in_is_refused_before_anything_is_done() {
        let staff = ["staff", "add", "--login", "p", "--role", "proctor"];
        let test = ["import", "test", "p.zip"];
        let act = [
            "act",
            "make",
            "01890000-0000-7000-8000-000000000000",
            "--out",
            "a.pdf",
        ];
        for words in [&staff[..], &test, &act] {
            let line = |language| {
                let words = [&["x"][..], words, &["--language", language]].concat();
                Cli::try_parse_from(words)
            };
            line("ru").expect("a language of ours");
            let told = line("de").expect_err("no language of ours").to_string();
            assert!(told.contains("kk, ru, en"), "{told}");
        }
    }

    #[tokio::test]
    async fn a_folder_is_made_backed_up_and_goes_on_after_its_key_was_rotated() {
        let temporary = tempfile::TempDir::new().expect("a temporary folder");
        let data = temporary.path().join("data");
        run(&data, &["init"]).await.expect("a new folder");
        let state = open(&data).await;
        let exam = NewExam {
            title: "t".to_owned(),
            discipline: "d".to_owned(),
            discipline_code: String::new(),
        };
        let mut tx = state.store.begin().await.expect("a writer");
        let at = state.clock.wall();
        let exam = exams::create_exam(&mut tx, &state.keys, at, &exam)
            .await
            .expect("stored");
        tx.commit().await.expect("stored");
        let server_key = state.keys.public_key();
        state.store.close().await;

        let escrow = temporary.path().join("escrow");
        let inside = data.join("escrow");
        run(&data, &["keys", "export", "--escrow", path(&inside)])
            .await
            .expect_err("beside what it opens");
        run(&data, &["keys", "export", "--escrow", path(&escrow)])
            .await
            .expect("written");
        run(&data, &["keys", "rotate"]).await.expect("wrapped anew");
        let kek = std::fs::read_to_string(temporary.path().join("data.kek")).expect("a key");
        assert_ne!(std::fs::read_to_string(&escrow).expect("a key"), kek);

        let backup = temporary.path().join("backup");
        run(&data, &["backup", "--out", path(&backup)])
            .await
            .expect("copied");
        assert!(backup.join("qorgan.db").is_file() && backup.join("sign.pk8").is_file());
        assert!(!backup.join("backup.kek").exists() && !backup.join("data.kek").exists());
        let without_key = run(&backup, &["list", "attempts"])
            .await
            .expect_err("no key");
        assert!(
            without_key.to_string().contains("key-encryption key"),
            "{without_key}"
        );

        let state = open(&data).await;
        assert_eq!(state.keys.public_key(), server_key);
        let wrapped: Vec<u8> = qorgan_store::query_scalar("SELECT key_wrapped FROM exams")
            .fetch_one(state.store.read())
            .await
            .expect("stored");
        state
            .keys
            .unwrap(&format!("exam:{exam}"), &wrapped)
            .expect("wrapped by the new key");
    }

    #[tokio::test]
    async fn a_folder_that_is_none_is_named_with_the_remedy() {
        let error = run(
            std::path::Path::new("/nonexistent/qorgan"),
            &["list", "attempts"],
        )
        .await
        .expect_err("no folder");
        assert!(error.to_string().contains("init"), "{error}");
    }

    #[tokio::test]
    async fn the_command_line_makes_no_exam_or_sitting_that_the_form_refuses() {
        let temporary = tempfile::TempDir::new().expect("a temporary folder");
        let data = temporary.path().join("data");
        run(&data, &["init"]).await.expect("a new folder");
        for title in ["", " ", &"t".repeat(201)] {
            let words = ["exam", "create", "--discipline", "d", "--title", title];
            let told = run(&data, &words).await.expect_err("no title").to_string();
            assert!(told.contains("title"), "{told}");
        }
        let exam = "01890000-0000-7000-8000-000000000000";
        for (opens, closes, fault) in [
            ("2020-01-01T09:00", "2020-01-01T12:00", "is over"),
            ("9000-01-01T09:00", "9000-01-01T12:00", "ahead"),
            ("2026-01-01T12:00", "2026-01-01T09:00", "before it opens"),
        ] {
            let words = [
                "sitting",
                "create",
                "--exam",
                exam,
                "--minutes",
                "40",
                "--opens",
                opens,
                "--closes",
                closes,
            ];
            let told = run(&data, &words).await.expect_err("no window").to_string();
            assert!(told.contains(fault), "{told}");
        }
    }

    #[tokio::test]
    async fn a_list_of_people_gives_no_right_and_sets_no_password_of_staff() {
        let temporary = tempfile::TempDir::new().expect("a temporary folder");
        let data = temporary.path().join("data");
        run(&data, &["init"]).await.expect("a new folder");
        run(
            &data,
            &["staff", "add", "--login", "p", "--role", "proctor"],
        )
        .await
        .expect("added");
        let before = accounts(&data).await;
        let file = temporary.path().join("people.csv");
        for (row, fault) in [
            ("a;F;G;administrator;long-password", "administrator"),
            ("p;F;G;proctor;long-password", "p"),
            ("p;F;G;test_centre;", "administrator"),
            ("admin;F;G;candidate;long-password", "admin"),
        ] {
            let sheet = format!("login;surname;name;role;password\n{row}\n");
            std::fs::write(&file, sheet).expect("written");
            let refused = run(&data, &["import", "people", path(&file)]).await;
            let told = refused.expect_err("refused").to_string();
            assert!(told.contains(fault), "{told}");
        }
        let sheet = "login;surname;name;role\np;F;G;proctor\nb;F;G;candidate\n";
        std::fs::write(&file, sheet).expect("written");
        run(&data, &["import", "people", path(&file)])
            .await
            .expect("the proctor's row says what is so");
        assert_eq!(accounts(&data).await, before);
    }

    #[tokio::test]
    async fn rights_on_the_command_line_leave_an_administrator_and_stand_in_the_log() {
        let temporary = tempfile::TempDir::new().expect("a temporary folder");
        let data = temporary.path().join("data");
        run(&data, &["init"]).await.expect("a new folder");
        let none = ["staff", "rights", "--login", "admin"];
        let told = run(&data, &none).await.expect_err("the last").to_string();
        assert!(told.contains("administrator"), "{told}");
        for words in [
            ["staff", "add", "--login", "p", "--role", "proctor"],
            ["staff", "add", "--login", "p", "--role", "administrator"],
        ] {
            run(&data, &words).await.expect("added");
        }
        run(&data, &none).await.expect("another is left");
        let state = open(&data).await;
        let logged: Vec<String> = qorgan_store::query_scalar(
            "SELECT detail FROM audit_log WHERE action = 'rights_changed' ORDER BY id",
        )
        .fetch_all(state.store.read())
        .await
        .expect("readable");
        assert_eq!(
            logged,
            ["proctor > proctor+administrator", "administrator > -"]
        );
        state.store.close().await;
        run(&data, &["audit", "verify"]).await.expect("whole");
    }

    #[tokio::test]
    async fn a_broken_log_ends_its_verification_with_the_entry() {
        let temporary = tempfile::TempDir::new().expect("a temporary folder");
        let data = temporary.path().join("data");
        run(&data, &["init"]).await.expect("a new folder");
        let state = open(&data).await;
        let mut tx = state.store.begin().await.expect("a writer");
        let on = if state.store.read().is_postgres() {
            "ON audit_log"
        } else {
            ""
        };
        qorgan_store::script(format!(
            "DROP TRIGGER audit_log_unchanged {on}; UPDATE audit_log SET actor = 'nobody';"
        ))
        .execute(&mut *tx)
        .await
        .expect("changed");
        tx.commit().await.expect("stored");
        state.store.close().await;
        let told = run(&data, &["audit", "verify"]).await;
        let told = told.expect_err("broken").to_string();
        assert!(told.contains("entry 1"), "{told}");
    }

    /// Logins, rights and passwords of staff.
    async fn accounts(data: &std::path::Path) -> Vec<(String, String, String)> {
        let state = open(data).await;
        let rows = qorgan_store::query_as(
            "SELECT p.login, r.role, c.password_hash FROM staff_roles r \
             JOIN people p ON p.id = r.person_id JOIN credentials c ON c.person_id = p.id \
             ORDER BY p.login, r.role",
        )
        .fetch_all(state.store.read())
        .await
        .expect("readable");
        state.store.close().await;
        rows
    }

    async fn run(data: &std::path::Path, arguments: &[&str]) -> anyhow::Result<()> {
        let all = ["qorgan-server", "--data", path(data)].into_iter();
        Cli::try_parse_from(all.chain(arguments.iter().copied()))?
            .run()
            .await
    }

    async fn open(data: &std::path::Path) -> AppState {
        AppState::open(data, Config::default())
            .await
            .expect("the folder opens")
    }

    fn path(path: &std::path::Path) -> &str {
        path.to_str().expect("text")
    }
}
