//! Listens, says where, and stops when told.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use axum_server::Handle;
use axum_server::tls_rustls::RustlsConfig;
use serde::Serialize;
use tokio::sync::oneshot;

use crate::auth::OneTimePassword;
use crate::registry::RegistryError;
use crate::state::AppState;
use crate::tls::{self, TlsError};

/// Says why the server cannot serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The ready file cannot be written.
    #[error("cannot write {path}")]
    ReadyFile {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
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

/// What the ready file says.
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
    /// The one-time password, at the first start only.
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
            enrol_link: enrol_link(state, address.port()),
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
        let partial = path.with_extension("partial");
        crate::keys::write_private(&partial, &text)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        fs::rename(&partial, path).map_err(failed)
    }
}

/// Returns the origin under which people reach the server, such as `https://exam.example.kz:8443`.
#[must_use]
pub fn origin(state: &AppState) -> String {
    let config = &state.config;
    if config.public_address.is_empty() {
        let host = config.host_names.first();
        let host = host.map_or("localhost", String::as_str);
        format!("https://{host}:{}", config.listen.port())
    } else {
        format!("https://{}", config.public_address)
    }
}

/// Returns the link by which clients enrol: address and fingerprint of the authority.
#[must_use]
pub fn enrol_link(state: &AppState, port: u16) -> String {
    let config = &state.config;
    let address = if config.public_address.is_empty() {
        let host = config
            .host_names
            .first()
            .map_or("localhost", String::as_str);
        format!("{host}:{port}")
    } else {
        config.public_address.clone()
    };
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
    let config = tls::server_config(&state.data, &state.config, &state.keys, bound.address)?;
    let handle = Handle::new();
    let (stopped, ticking) = oneshot::channel::<()>();
    let ticker = tokio::spawn(state.registry.clone().run(async {
        // A dropped sender ends the ticker as well as a sent word.
        let _either_way: Result<(), oneshot::error::RecvError> = ticking.await;
    }));
    let (unsealed, sealing) = oneshot::channel::<()>();
    let sealer = tokio::spawn(crate::evidence::run_sealer(state.clone(), async {
        let _either_way: Result<(), oneshot::error::RecvError> = sealing.await;
    }));
    let stopping = handle.clone();
    tokio::spawn(async move {
        stop.await;
        stopping.graceful_shutdown(Some(SHUTDOWN_MAX));
    });
    if let Some((path, file)) = ready {
        file.write(&path)?;
    }
    tracing::info!(address = %bound.address, "Listening");
    let service = super::router(state.clone()).into_make_service_with_connect_info::<SocketAddr>();
    let served = axum_server::from_tcp_rustls(bound.listener, RustlsConfig::from_config(config))?
        .handle(handle)
        .serve(service)
        .await;
    drop((stopped, unsealed));
    if let Err(error) = sealer.await {
        tracing::error!(%error, "The sealer ended by itself");
    }
    match ticker.await {
        Ok(ended) => ended?,
        Err(error) => tracing::error!(%error, "The ticker ended by itself"),
    }
    state.store.close().await;
    Ok(served?)
}

/// Requests that last longer are cut when the server stops.
const SHUTDOWN_MAX: Duration = Duration::from_secs(5);
