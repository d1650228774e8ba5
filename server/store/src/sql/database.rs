//! Opening a database, its one writer and its readers.

use std::net::IpAddr;
use std::ops::{Deref, DerefMut};
use std::path::Path;
use std::str::FromStr as _;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, PgConnection, PgPool, Postgres, Sqlite, SqlitePool, Transaction};

use super::error::SqlError;
use super::migrations;
use super::query::{Place, Target, query, query_scalar, script};

/// A database with one writer and readers that never wait for it.
#[derive(Debug, Clone)]
pub struct Database {
    writer: Readers,
    readers: Readers,
}

/// Connections that read.
#[derive(Debug, Clone)]
pub struct Readers(Pool);

#[derive(Debug, Clone)]
enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

/// The open write transaction; [`WriteTx::commit`] keeps it, dropping rolls it back.
#[derive(Debug)]
pub struct WriteTx(Connection);

/// A connection that holds a database; see [`Database::hold`].
#[derive(Debug)]
#[must_use = "dropping it lets the database go"]
pub struct Held(PgConnection);

impl Held {
    /// Resolves when the connection is lost: another server may then hold the database.
    pub async fn lost(&mut self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            if sqlx::query("SELECT 1").execute(&mut self.0).await.is_err() {
                return;
            }
        }
    }
}

/// What statements of a transaction run on.
#[derive(Debug)]
pub struct Connection(Open);

#[derive(Debug)]
enum Open {
    Sqlite(Transaction<'static, Sqlite>),
    Postgres(Transaction<'static, Postgres>),
}

impl Database {
    /// Opens the SQLite file at `path`, making it where it is missing, and brings it up to date.
    ///
    /// # Errors
    /// SQLite refused, or a migration failed.
    pub async fn open_file(path: &Path) -> Result<Self, SqlError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            // What is deleted is overwritten, so that a copy of the file does not hold it.
            .pragma("secure_delete", "ON")
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_MAX);
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options.clone())
            .await?;
        migrations::sqlite().run(&writer).await?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .connect_with(options.read_only(true))
            .await?;
        Ok(Self {
            writer: Readers(Pool::Sqlite(writer)),
            readers: Readers(Pool::Sqlite(readers)),
        })
    }

    /// Opens the PostgreSQL database that `url` names and brings it up to date.
    ///
    /// # Errors
    /// The server cannot be reached or refused, or a migration failed.
    pub async fn open_url(url: &str) -> Result<Self, SqlError> {
        let options = connect_options(url)?;
        let writer = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(BUSY_MAX)
            .connect_with(options.clone())
            .await?;
        fits(&writer).await?;
        migrations::postgres().run(&writer).await?;
        let readers = PgPoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(BUSY_MAX)
            .connect_with(options.options([("default_transaction_read_only", "on")]))
            .await?;
        Ok(Self {
            writer: Readers(Pool::Postgres(writer)),
            readers: Readers(Pool::Postgres(readers)),
        })
    }

    /// Makes an empty SQLite database in memory: the schema, to be asked.
    pub(crate) async fn open_memory() -> Result<Self, SqlError> {
        let writer = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect("sqlite::memory:")
            .await?;
        migrations::sqlite().run(&writer).await?;
        let only = Readers(Pool::Sqlite(writer));
        Ok(Self {
            writer: only.clone(),
            readers: only,
        })
    }

    /// Begins a read transaction in which the database stands still.
    ///
    /// # Errors
    /// The database refused.
    pub async fn snapshot(&self) -> Result<Connection, SqlError> {
        Ok(Connection(match &self.readers.0 {
            Pool::Sqlite(readers) => Open::Sqlite(readers.begin().await?),
            Pool::Postgres(readers) => Open::Postgres(
                readers
                    .begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                    .await?,
            ),
        }))
    }

    /// Begins the one write transaction; others wait.
    ///
    /// # Errors
    /// The database refused, or another process holds SQLite's file longer than ten seconds.
    pub async fn begin(&self) -> Result<WriteTx, SqlError> {
        let open = match &self.writer.0 {
            Pool::Sqlite(writer) => Open::Sqlite(writer.begin_with("BEGIN IMMEDIATE").await?),
            // Named, for the database's own default may be another.
            Pool::Postgres(writer) => Open::Postgres(
                writer
                    .begin_with("BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE")
                    .await?,
            ),
        };
        let mut tx = WriteTx(Connection(open));
        if tx.is_postgres() {
            // Processes that share the database write one after the other.
            query("SELECT pg_advisory_xact_lock($1)")
                .bind(WRITER_LOCK)
                .execute(&mut *tx)
                .await?;
        }
        Ok(tx)
    }

    /// Returns the readers.
    #[must_use]
    pub const fn read(&self) -> &Readers {
        &self.readers
    }

    /// Has what was deleted leave the files: SQLite writes what was committed to its main file and
    /// empties the journal beside it; PostgreSQL is vacuumed, and what its write-ahead log and archives
    /// hold goes when they expire.
    ///
    /// # Errors
    /// The database refused. Readers of older states keep the journal; the next call empties it.
    pub async fn empty_journal(&self) -> Result<(), SqlError> {
        match &self.writer.0 {
            Pool::Sqlite(_) => {
                script("PRAGMA wal_checkpoint(TRUNCATE)")
                    .execute(&self.writer)
                    .await
            }
            Pool::Postgres(_) => script("VACUUM").execute(&self.writer).await,
        }
    }

    /// Holds a PostgreSQL database for one server or one move, as long as the connection that is
    /// returned lives; `None` for SQLite, whose folder is held.
    ///
    /// # Errors
    /// Another program holds it, or the database failed.
    pub async fn hold(&self) -> Result<Option<Held>, SqlError> {
        let Pool::Postgres(pool) = &self.writer.0 else {
            return Ok(None);
        };
        let options = pool.connect_options().as_ref().clone();
        let mut connection = PgConnection::connect_with(&options).await?;
        for _look in 0..HOLD_LOOKS {
            let free: bool = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)")
                .bind(RUNNING_LOCK)
                .fetch_one(&mut connection)
                .await?;
            if free {
                return Ok(Some(Held(connection)));
            }
            // A server that ended a moment ago still holds it.
            tokio::time::sleep(HOLD_LOOK_EVERY).await;
        }
        Err(SqlError::Unfit {
            what: "another server, or a move, holds this database: stop it first".to_owned(),
        })
    }

    /// Writes a whole and consistent copy of a SQLite database to `path`, an empty file, beside a
    /// running server; tells false for PostgreSQL, which has tools of its own.
    ///
    /// # Errors
    /// SQLite refused.
    pub async fn copy_to(&self, path: &Path) -> Result<bool, SqlError> {
        let Pool::Sqlite(_) = &self.readers.0 else {
            return Ok(false);
        };
        query("VACUUM INTO $1")
            .bind(path.to_string_lossy().into_owned())
            .execute(&self.readers)
            .await?;
        Ok(true)
    }

    /// Writes everything to the files and closes the database.
    pub async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

impl Readers {
    /// Opens a copied SQLite database for reading alone: no journal appears beside it.
    ///
    /// # Errors
    /// SQLite refused.
    pub async fn of_copy(path: &Path) -> Result<Self, SqlError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .read_only(true)
            .immutable(true);
        let pool = SqlitePoolOptions::new().max_connections(1);
        Ok(Self(Pool::Sqlite(pool.connect_with(options).await?)))
    }

    /// Looks through a SQLite database and says what is damaged, or nothing.
    ///
    /// # Errors
    /// SQLite refused.
    pub async fn damage(&self) -> Result<Option<String>, SqlError> {
        let said: Vec<String> = query_scalar("PRAGMA integrity_check")
            .fetch_all(self)
            .await?;
        if said != ["ok"] {
            return Ok(Some(said.join("; ")));
        }
        let orphans = query("PRAGMA foreign_key_check").fetch_all(self).await?;
        Ok((!orphans.is_empty()).then(|| format!("{} rows name what is not there", orphans.len())))
    }

    /// Tells whether it is PostgreSQL.
    #[must_use]
    pub const fn is_postgres(&self) -> bool {
        matches!(self.0, Pool::Postgres(_))
    }

    /// Closes the connections.
    pub async fn close(&self) {
        match &self.0 {
            Pool::Sqlite(pool) => pool.close().await,
            Pool::Postgres(pool) => pool.close().await,
        }
    }
}

impl WriteTx {
    pub(crate) const fn is_postgres(&self) -> bool {
        matches!(self.0.0, Open::Postgres(_))
    }

    /// Keeps what was written.
    ///
    /// # Errors
    /// The database refused; nothing is kept.
    pub async fn commit(self) -> Result<(), SqlError> {
        match self.0.0 {
            Open::Sqlite(tx) => tx.commit().await?,
            Open::Postgres(mut tx) => {
                // PostgreSQL answers the commit of a failed transaction without an error.
                sqlx::query("SELECT 1").execute(&mut *tx).await?;
                tx.commit().await?;
            }
        }
        Ok(())
    }

    /// Takes back what was written.
    ///
    /// # Errors
    /// The database cannot be reached; dropping takes back too.
    pub async fn rollback(self) -> Result<(), SqlError> {
        match self.0.0 {
            Open::Sqlite(tx) => tx.rollback().await?,
            Open::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }
}

impl Deref for WriteTx {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        &self.0
    }
}

impl DerefMut for WriteTx {
    fn deref_mut(&mut self) -> &mut Connection {
        &mut self.0
    }
}

impl<'a> From<&'a mut Connection> for Target<'a> {
    fn from(connection: &'a mut Connection) -> Self {
        Self(match &mut connection.0 {
            Open::Sqlite(tx) => Place::Sqlite(tx),
            Open::Postgres(tx) => Place::Postgres(tx),
        })
    }
}

impl<'a> From<&'a mut WriteTx> for Target<'a> {
    fn from(tx: &'a mut WriteTx) -> Self {
        (&mut tx.0).into()
    }
}

impl<'a> From<&'a Readers> for Target<'a> {
    fn from(readers: &'a Readers) -> Self {
        Self(match &readers.0 {
            Pool::Sqlite(pool) => Place::SqlitePool(pool),
            Pool::Postgres(pool) => Place::PostgresPool(pool),
        })
    }
}

/// Reads a URL. A server on another machine is believed by its certificate alone, unless the URL or
/// PGSSLMODE says otherwise; every wait has an end.
fn connect_options(url: &str) -> Result<PgConnectOptions, SqlError> {
    let options = PgConnectOptions::from_str(url)?.application_name("qorgan-server");
    let host = options.get_host();
    let is_here = host.starts_with('/')
        || options.get_socket().is_some()
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let is_named = url.contains("sslmode=")
        || url.contains("ssl-mode=")
        || std::env::var_os("PGSSLMODE").is_some();
    let options = if is_here || is_named {
        options
    } else {
        options.ssl_mode(PgSslMode::VerifyFull)
    };
    Ok(options.options([
        ("synchronous_commit", "on"),
        ("lock_timeout", "10s"),
        ("statement_timeout", "60s"),
        ("idle_in_transaction_session_timeout", "60s"),
        ("tcp_keepalives_idle", "10"),
        ("tcp_keepalives_interval", "5"),
    ]))
}

/// Refuses a server that is too old, or a database that does not hold every text.
async fn fits(pool: &PgPool) -> Result<(), SqlError> {
    let (version, encoding): (String, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num'), current_setting('server_encoding')",
    )
    .fetch_one(pool)
    .await?;
    let what = match version.parse::<u32>() {
        Ok(number) if number >= VERSION_MIN => {
            if encoding == "UTF8" {
                return Ok(());
            }
            format!("the database's encoding is {encoding}; make one with ENCODING 'UTF8'")
        }
        _older => format!("PostgreSQL {version} is too old: 15 or newer is needed"),
    };
    Err(SqlError::Unfit { what })
}

const LOOK_EVERY: Duration = Duration::from_secs(5);
const HOLD_LOOKS: u32 = 30;
const HOLD_LOOK_EVERY: Duration = Duration::from_millis(100);
/// PostgreSQL 15, as `server_version_num` says it.
const VERSION_MIN: u32 = 150_000;
const READERS_MAX: u32 = 8; // full: a read waits for its turn
const BUSY_MAX: Duration = Duration::from_secs(10);
/// The advisory lock of whoever writes; `qorgan` in ASCII.
const WRITER_LOCK: i64 = 0x716f_7267_616e;
/// The advisory lock of a server that runs; as above, and one.
const RUNNING_LOCK: i64 = 0x716f_7267_616f;
