//! What every part of the server shares.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use qorgan_protocol::ids::InstitutionId;
use qorgan_protocol::time::{Now, WallTime, millis};

use crate::auth::Auth;
use crate::config::Config;
use crate::decoding::Decoders;
use crate::http::Connections;
use crate::keys::{KeysError, ServerKeys};
use crate::live::LiveHub;
use crate::recordings::{RecordingError, Recordings};
use crate::registry::Registry;
use crate::store::{Store, StoreError};

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
    /// A rotation of the key-encryption key that was cut cannot be finished.
    #[error("a rotation of the key-encryption key that was cut cannot be finished")]
    Rotation(#[from] crate::rotation::RotationError),
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
        crate::platform::private_folders(data).map_err(|source| StartError::DataFolder {
            path: data.to_path_buf(),
            source,
        })?;
        crate::keys::close_data_folder(data)?;
        let clock = ServerClock::start();
        let store = Store::open(&data.join("qorgan.db")).await?;
        let institution = institution(&store, clock).await?;
        let key_file = config.key_file(data);
        crate::rotation::settle((data, &key_file), &store, institution).await?;
        let keys = Arc::new(crate::tls::open_keys(data, &config, institution)?);
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

async fn institution(store: &Store, clock: ServerClock) -> Result<InstitutionId, StartError> {
    let known: Option<String> = sqlx::query_scalar("SELECT id FROM institutions LIMIT 1")
        .fetch_optional(store.read())
        .await
        .map_err(StoreError::from)?;
    if let Some(text) = known {
        return Ok(crate::store::id(&text)?);
    }
    let random = qorgan_signing::random().map_err(KeysError::from)?;
    let id = InstitutionId::new(clock.wall(), random);
    let mut tx = store.begin().await?;
    sqlx::query("INSERT INTO institutions (id, created_ms) VALUES ($1, $2)")
        .bind(id.to_string())
        .bind(clock.wall().unix_ms())
        .execute(&mut *tx)
        .await
        .map_err(StoreError::from)?;
    tx.commit().await.map_err(StoreError::from)?;
    Ok(id)
}
