//! What every part of the server shares.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use qorgan_protocol::ids::InstitutionId;
use qorgan_protocol::time::{Now, WallTime, millis};

use crate::auth::Auth;
use crate::http::Connections;
use crate::live::LiveHub;
use crate::registry::Registry;
use qorgan_base::config::Config;
use qorgan_base::keys::{KeysError, ServerKeys};
use qorgan_decoding::Decoders;
use qorgan_recordings::{RecordingError, Recordings};
use qorgan_store::{Store, StoreError};

/// Says why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data folder cannot be used.
    #[error("cannot use the data folder {path}")]
    DataFolder {
        /// Which folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A key cannot be used.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The database cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys of an institution are here, and the database is empty.
    #[error(
        "{} holds the keys of an institution, but its database is empty: nothing was changed. Restore the \
         newest backup, or name the database in use (`--database`, or `database` in config.toml). To move \
         an institution into an empty database: `qorgan-server database copy`",
        data.display()
    )]
    Empty {
        /// The data folder.
        data: PathBuf,
    },
    /// The database and the data folder do not belong together.
    #[error(transparent)]
    Unconfirmed(qorgan_store::rotation::RotationError),
    /// A rotation of the key-encryption key that was cut cannot be finished.
    #[error("a rotation of the key-encryption key that was cut cannot be finished")]
    Rotation(#[from] qorgan_store::rotation::RotationError),
    /// The places that accounts are known at cannot be read.
    #[error("the places that accounts are known at cannot be read")]
    Places(#[source] crate::auth::AuthError),
    /// The folder of recordings cannot be used.
    #[error("the folder of recordings cannot be used")]
    Recordings(#[from] RecordingError),
}

/// The server's two clocks.
#[derive(Debug, Clone, Copy)]
pub struct ServerClock {
    origin: Instant,
    /// What a test skipped on both clocks, in milliseconds.
    #[cfg(test)]
    skipped: &'static std::sync::atomic::AtomicU64,
}

impl ServerClock {
    /// Begins to measure.
    #[must_use]
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
            #[cfg(test)]
            skipped: Box::leak(Box::default()),
        }
    }

    /// Lets time pass on both clocks, for every copy of this one.
    #[cfg(test)]
    pub(crate) fn skip(&self, time: std::time::Duration) {
        let ms = u64::try_from(time.as_millis()).unwrap_or_default();
        self.skipped
            .fetch_add(ms, std::sync::atomic::Ordering::SeqCst);
    }

    #[cfg(test)]
    fn skipped(&self) -> std::time::Duration {
        std::time::Duration::from_millis(self.skipped.load(std::sync::atomic::Ordering::SeqCst))
    }

    /// Returns the monotonic time.
    #[must_use]
    pub fn now(&self) -> Now {
        let passed = self.origin.elapsed();
        #[cfg(test)]
        let passed = passed + self.skipped();
        Now::from_origin(passed)
    }

    /// Returns the time of day; the only wall clock that decides anything.
    #[must_use]
    pub fn wall(&self) -> WallTime {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        #[cfg(test)]
        let since = since + self.skipped();
        WallTime::from_unix_ms(millis(since))
    }
}

/// Shared by every handler; cloning is cheap.
#[derive(Debug, Clone)]
pub struct AppState {
    /// The settings.
    pub config: Arc<Config>,
    /// The server's keys.
    pub keys: Arc<ServerKeys>,
    /// The database.
    pub store: Store,
    /// Every live attempt.
    pub registry: Registry,
    /// Sign-in, tokens and limits.
    pub auth: Auth,
    /// What is recorded.
    pub recordings: Recordings,
    /// What is seen live.
    pub live: LiveHub,
    /// Who is connected.
    pub connections: Connections,
    /// Has candidates' video decoded; nothing until [`Self::decoding_by`] names a program.
    pub decoders: Decoders,
    /// The clocks.
    pub clock: ServerClock,
    /// The data folder.
    pub data: Arc<PathBuf>,
}

impl AppState {
    /// Opens the data folder, making keys, database and institution where they are missing.
    ///
    /// # Errors
    /// Where the folder, a key or the database cannot be used.
    pub async fn open(data: &Path, config: Config) -> Result<Self, StartError> {
        qorgan_base::platform::private_folders(data).map_err(|source| StartError::DataFolder {
            path: data.to_path_buf(),
            source,
        })?;
        qorgan_base::keys::close_data_folder(data)?;
        let clock = ServerClock::start();
        #[cfg(test)]
        let config = on_postgres(data, config);
        let store = qorgan_store::open(&config.database(data)).await?;
        let institution = institution(&store, data, clock).await?;
        let key_file = config.key_file(data);
        qorgan_store::rotation::settle((data, &key_file), &store, institution).await?;
        let keys = Arc::new(qorgan_base::tls::open_keys(data, &config, institution)?);
        let confirmed = qorgan_store::rotation::confirm(&store, &keys).await;
        confirmed.map_err(StartError::Unconfirmed)?;
        let config = Arc::new(config);
        let registry = Registry::new(store.clone(), Arc::clone(&keys), clock, Arc::clone(&config));
        let auth = Auth::new(store.clone(), Arc::clone(&keys), clock, Arc::clone(&config));
        auth.load_places().await.map_err(StartError::Places)?;
        let connections = Connections::new(&config);
        let recordings =
            Recordings::open(&data.join("recordings"), store.clone(), Arc::clone(&keys))?;
        Ok(Self {
            config,
            keys,
            store,
            registry,
            auth,
            recordings,
            live: LiveHub::default(),
            connections,
            decoders: Decoders::none(),
            clock,
            data: Arc::new(data.to_path_buf()),
        })
    }

    /// Has video decoded by workers of `program`.
    #[must_use]
    pub fn decoding_by(self, program: PathBuf) -> Self {
        Self {
            decoders: Decoders::of(program),
            ..self
        }
    }

    /// Returns the institution.
    #[must_use]
    pub fn institution(&self) -> InstitutionId {
        self.keys.institution()
    }
}

/// Returns the institution, which the first start makes. An empty database beside keys in use is refused:
/// a lost one would seem a new institution.
async fn institution(
    store: &Store,
    data: &Path,
    clock: ServerClock,
) -> Result<InstitutionId, StartError> {
    // Looked at first: keys are made after the institution stands in the database.
    let keys_are_there = data.join("sign.pk8").is_file();
    if let Some(id) = known(store.read()).await? {
        return Ok(id);
    }
    if keys_are_there {
        let data = data.to_path_buf();
        return Err(StartError::Empty { data });
    }
    // In the writer's turn: of two first starts one makes the institution.
    let mut tx = store.begin().await?;
    if let Some(id) = known(&mut *tx).await? {
        return Ok(id);
    }
    let random = qorgan_signing::random().map_err(KeysError::from)?;
    let id = InstitutionId::new(clock.wall(), random);
    qorgan_store::query("INSERT INTO institutions (id, created_ms) VALUES ($1, $2)")
        .bind(id.to_string())
        .bind(clock.wall().unix_ms())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(id)
}

async fn known(
    from: impl Into<qorgan_store::Target<'_>>,
) -> Result<Option<InstitutionId>, StoreError> {
    let sql = "SELECT id FROM institutions ORDER BY id LIMIT 1";
    let known = qorgan_store::query_scalar(sql);
    Ok(known.fetch_optional(from).await?)
}

/// Lets the tests run on PostgreSQL where `QORGAN_TEST_DATABASE` says so: each data folder then
/// has a database of its own.
#[cfg(test)]
fn on_postgres(data: &Path, mut config: Config) -> Config {
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};

    let wanted = std::env::var_os("QORGAN_TEST_DATABASE").is_some_and(|word| word == "postgres");
    // A backup is SQLite, whatever it was made of.
    let backup = data.join(qorgan_base::config::DATABASE_FILE).is_file();
    if wanted && !backup && config.database.is_empty() {
        let mut hash = DefaultHasher::new();
        data.hash(&mut hash);
        let name = format!("t_{:016x}", hash.finish());
        let url = qorgan_tests::postgres::database(&name).expect("a PostgreSQL");
        config.database = url.parse().expect("a URL");
    }
    config
}
