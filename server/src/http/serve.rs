//! Listens, says where, and stops when told.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use serde::Serialize;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::connections::{Bounded, candidates_of, connections_of, files_needed};
use super::http1::Http1Only;
use crate::auth::OneTimePassword;
use crate::registry::RegistryError;
use crate::state::AppState;
use qorgan_base::config::Config;
use qorgan_base::tls::{self, TlsError};
use qorgan_store::StoreError;

/// Says why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The socket of the service manager cannot be used.
    #[error("the socket that the service manager gave cannot be used")]
    Inherited(#[source] std::io::Error),
    /// Another server runs on the data folder, or its keys are being rotated.
    #[error("another process holds the data folder: {0}")]
    Held(String),
    /// Another server runs on the database, or it is being moved.
    #[error("the database cannot be held for this server alone")]
    Database(#[source] qorgan_store::SqlError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ready file cannot be written.
    #[error("cannot write {path}")]
    ReadyFile {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// Too few files may be open.
    #[error(
        "only {open_files} files may be open: raise the bound (LimitNOFILE of the service, ulimit -n)"
    )]
    OpenFiles {
        /// How many may be.
        open_files: u64,
    },
    /// A task that exams need ended by itself.
    #[error("the {task} ended by itself: see the log, and start the server anew")]
    TaskEnded {
        /// Which.
        task: &'static str,
    },
    /// The attempts under way cannot be read.
    #[error("the attempts under way cannot be read")]
    Registry(#[from] RegistryError),
    /// Serving ended with an error.
    #[error("serving ended")]
    Io(#[from] std::io::Error),
}

/// A listener whose address is known before anything is answered.
#[derive(Debug)]
pub struct Bound {
    listener: TcpListener,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Bound {
    /// Takes the socket that the service manager listens on already (`LISTEN_FDS`), where it gives
    /// one: so a server without rights listens on port 443.
    ///
    /// # Errors
    /// Where it gives something else than one TCP socket that listens.
    pub fn inherited() -> Result<Option<Self>, ServeError> {
        let given = qorgan_base::platform::inherited_listener().map_err(ServeError::Inherited)?;
        given
            .map(|listener| {
                listener.set_nonblocking(true)?;
                let address = listener.local_addr()?;
                Ok(Self { listener, address })
            })
            .transpose()
            .map_err(ServeError::Inherited)
    }

    /// Listens on `address`; port 0 takes a free one.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn listen(address: SocketAddr) -> Result<Self, ServeError> {
        let refused = |source| ServeError::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }
}

/// The content of the ready file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReadyFile {
    /// Where the server listens.
    pub address: String,
    /// The origin for programs on this machine.
    pub origin: String,
    /// The enrolment link for clients.
    pub enrol_link: String,
    /// The authority's certificate.
    pub ca_pem_path: PathBuf,
    /// The server's signing key, hexadecimal.
    pub server_key: String,
    /// The administrator's login.
    pub admin_login: String,
    /// The one-time password, at the first start only; only the owner reads this file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub admin_password: Option<String>,
}

impl ReadyFile {
    /// Describes a server that listens on `address`.
    #[must_use]
    pub fn new(state: &AppState, address: SocketAddr, first: Option<&OneTimePassword>) -> Self {
        Self {
            address: address.to_string(),
            origin: format!("https://localhost:{}", address.port()),
            enrol_link: enrol_link(state, address),
            ca_pem_path: state.data.join("ca.pem"),
            server_key: state.keys.public_key().to_hex(),
            admin_login: first.map_or_else(|| "admin".to_owned(), |first| first.login.clone()),
            admin_password: first.map(|first| first.password.clone()),
        }
    }

    fn write(&self, path: &Path) -> Result<(), ServeError> {
        let failed = |source| ServeError::ReadyFile {
            path: path.to_path_buf(),
            source,
        };
        let text = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        qorgan_files::replace(path, &text).map_err(failed)
    }
}

/// Returns the origin under which people reach the server, such as `https://exam.example.kz:8443`:
/// the public address that is set, else where the server listens or listened last, also for a
/// command beside the running server.
///
/// # Errors
/// The database failed.
pub async fn origin(state: &AppState) -> Result<String, StoreError> {
    let address = served_address(state).await?;
    Ok(format!(
        "https://{}",
        public_address(&state.config, address)
    ))
}

/// Returns where the server listens or listened last; before the first start, the setting.
///
/// # Errors
/// The database failed.
pub async fn served_address(state: &AppState) -> Result<SocketAddr, StoreError> {
    let known: Option<String> =
        qorgan_store::query_scalar("SELECT address FROM served WHERE institution_id = $1")
            .bind(state.institution().to_string())
            .fetch_optional(state.store.read())
            .await?;
    let known = known.and_then(|address| address.parse().ok());
    Ok(known.unwrap_or(state.config.listen))
}

async fn note_served(state: &AppState, address: SocketAddr) -> Result<(), StoreError> {
    let mut tx = state.store.begin().await?;
    qorgan_store::query(
        "INSERT INTO served (institution_id, address, since_ms) VALUES ($1, $2, $3) \
         ON CONFLICT (institution_id) DO UPDATE SET address = excluded.address, \
         since_ms = excluded.since_ms",
    )
    .bind(state.institution().to_string())
    .bind(address.to_string())
    .bind(state.clock.wall().unix_ms())
    .execute(&mut *tx)
    .await?;
    Ok(tx.commit().await?)
}

/// Returns `HOST:PORT` for people of a server that listens on `listening`.
fn public_address(config: &Config, listening: SocketAddr) -> String {
    let (ip, port) = (listening.ip(), listening.port());
    match config.host_names.first() {
        _ if !config.public_address.is_empty() => config.public_address.clone(),
        Some(host) => format!("{host}:{port}"),
        None if ip.is_unspecified() || ip.is_loopback() => format!("localhost:{port}"),
        None => listening.to_string(),
    }
}

/// Returns the link by which clients enrol: address and fingerprint of the authority.
#[must_use]
pub fn enrol_link(state: &AppState, listening: SocketAddr) -> String {
    let config = &state.config;
    let address = public_address(config, listening);
    if config.tls.certificate.as_os_str().is_empty() {
        format!("qorgan://{address}/?ca={}", state.keys.ca_fingerprint())
    } else {
        format!("qorgan://{address}/?ca=platform")
    }
}

/// Serves until `stop` resolves; then lets requests end for five seconds and saves.
///
/// # Errors
/// Where TLS or the ready file cannot be set up, or serving fails.
pub async fn serve(
    state: AppState,
    bound: Bound,
    ready: Option<(PathBuf, ReadyFile)>,
    stop: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let held = qorgan_base::keys::hold(&state.data)
        .map_err(|error| ServeError::Held(error.to_string()))?;
    let database = state.store.database().hold().await;
    let mut database = database.map_err(ServeError::Database)?;
    note_served(&state, bound.address).await?;
    let config = tls::server_config(&state.data, &state.config, &state.keys, bound.address)?;
    let handle = Handle::new();
    let mut tasks = Tasks::start(&state);
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(SHUTDOWN_MAX));
    });
    if let Some((path, file)) = ready {
        file.write(&path)?;
    }
    say_open_files(&state.config);
    tracing::info!(address = %bound.address, "Listening");
    let service = super::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let limits = &state.config.limits;
    let wait = Duration::from_secs(u64::from(limits.header_seconds));
    let acceptor = RustlsAcceptor::new(RustlsConfig::from_config(config))
        .handshake_timeout(wait)
        .acceptor(Bounded(state.connections.clone()));
    let mut server = axum_server::from_tcp(bound.listener)?
        .acceptor(Http1Only(acceptor))
        .handle(handle.clone())
        .first_request_timeout(wait);
    server
        .http_builder()
        .http1()
        .header_read_timeout(wait)
        .max_buf_size(CONNECTION_BYTES_MAX);
    let serving = server.serve(service);
    tokio::pin!(serving);
    let (served, ended) = tokio::select! {
        served = &mut serving => (served, None),
        Some(task) = tasks.ended.recv() => {
            tracing::error!(task, "A task of the server ended: the server stops");
            handle.graceful_shutdown(Some(SHUTDOWN_MAX));
            (serving.await, Some(task))
        }
        () = lost(&mut database) => {
            tracing::error!("The database is held no more: the server stops");
            handle.graceful_shutdown(Some(SHUTDOWN_MAX));
            (serving.await, Some("hold of the database"))
        }
    };
    let stopped = tasks.stop().await;
    state.store.close().await;
    // Nothing of this process uses the data folder any more.
    drop((held, database));
    served?;
    stopped?;
    ended.map_or(Ok(()), |task| Err(ServeError::TaskEnded { task }))
}

/// Resolves when another server may hold the database.
async fn lost(database: &mut Option<qorgan_store::Held>) {
    match database {
        Some(held) => held.lost().await,
        None => std::future::pending().await,
    }
}

/// The tasks that run beside the connections. Without one of them exams would go on with no deadline, or
/// recordings unsealed or undeleted, so that the server stops where one ends, and the service manager
/// starts it anew.
struct Tasks {
    ticker: JoinHandle<Result<(), RegistryError>>,
    others: [JoinHandle<()>; 2],
    /// They stop once it is dropped.
    running: watch::Sender<()>,
    /// The name of each that ends.
    ended: mpsc::Receiver<&'static str>,
}

impl Tasks {
    fn start(state: &AppState) -> Self {
        let (running, runs) = watch::channel(());
        let (ends, ended) = mpsc::channel(3);
        let stop = || {
            let mut runs = runs.clone();
            async move { while runs.changed().await.is_ok() {} }
        };
        let told = |name| EndTold(ends.clone(), name);
        let sealer = crate::evidence::run_sealer(state.clone(), stop());
        let deleter = crate::retention::run(state.clone(), stop());
        Self {
            ticker: spawn(told("ticker"), state.registry.clone().run(stop())),
            others: [
                spawn(told("sealer"), sealer),
                spawn(told("deleter"), deleter),
            ],
            running,
            ended,
        }
    }

    async fn stop(self) -> Result<(), ServeError> {
        drop(self.running);
        for task in self.others {
            if let Err(error) = task.await {
                tracing::error!(%error, "The sealer or the deleter ended by itself");
            }
        }
        match self.ticker.await {
            Ok(ended) => Ok(ended?),
            Err(error) => {
                tracing::error!(%error, "The ticker ended by itself");
                Ok(())
            }
        }
    }
}

fn spawn<T: Send + 'static>(
    told: EndTold,
    work: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    tokio::spawn(async move {
        let _told = told;
        work.await
    })
}

/// Tells that a task ended, also where it panicked.
struct EndTold(mpsc::Sender<&'static str>, &'static str);

impl Drop for EndTold {
    fn drop(&mut self) {
        // Nobody listens any more once the server stops.
        self.0.try_send(self.1).ok();
    }
}

/// Raises the bound on open files to the most that the system lets this process have; before the server
/// opens anything.
///
/// # Errors
/// Where so few are left that no exam can be held.
pub fn raise_open_files() -> Result<(), ServeError> {
    if let Err(error) = qorgan_base::platform::raise_open_files() {
        tracing::warn!(%error, "Could not raise the bound on open files");
    }
    match qorgan_base::platform::open_files() {
        Some((open_files, _hard)) if open_files < OPEN_FILES_MIN => {
            Err(ServeError::OpenFiles { open_files })
        }
        Some(_enough) => Ok(()),
        None => Ok(()),
    }
}

/// Says how many of the expected candidates the bound on open files leaves room for.
fn say_open_files(config: &Config) {
    let Some((open_files, hard)) = qorgan_base::platform::open_files() else {
        tracing::info!("The system does not bound open files");
        return;
    };
    let (expected, connections) = (config.limits.candidates, connections_of(open_files));
    let room = candidates_of(open_files);
    if open_files < files_needed(expected) {
        tracing::warn!(
            open_files,
            hard,
            connections,
            room,
            expected,
            "Too few files may be open for the candidates expected (limits.candidates): raise the bound \
             (LimitNOFILE of the service, ulimit -n), or connections are refused when it is reached"
        );
    } else {
        tracing::info!(
            open_files,
            connections,
            room,
            expected,
            "Open files suffice"
        );
    }
}

/// A server with fewer cannot hold an exam.
const OPEN_FILES_MIN: u64 = 512;
/// The most bytes that one connection reads or writes ahead; the head of a request must fit.
const CONNECTION_BYTES_MAX: usize = 64 * 1024;
/// Requests that last longer are cut when the server stops.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_address_that_is_set_wins_over_where_the_server_listens() {
        let listening = |text: &str| text.parse::<SocketAddr>().expect("an address");
        let plain = Config::default();
        let named = Config {
            host_names: vec!["exam.example.kz".to_owned()],
            ..Config::default()
        };
        let public = Config {
            public_address: "exam.example.kz".to_owned(),
            ..named.clone()
        };
        for (config, address, wanted) in [
            (&plain, "0.0.0.0:9443", "localhost:9443"),
            (&plain, "127.0.0.1:40111", "localhost:40111"),
            (&plain, "10.20.0.5:8443", "10.20.0.5:8443"),
            (&plain, "[2001:db8::5]:8443", "[2001:db8::5]:8443"),
            (&named, "10.20.0.5:9443", "exam.example.kz:9443"),
            (&public, "10.20.0.5:9443", "exam.example.kz"),
        ] {
            assert_eq!(public_address(config, listening(address)), wanted);
        }
    }
}
