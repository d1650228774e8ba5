//! From an origin to an open WebSocket: TCP, the system's proxy, TLS, upgrade.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::header::{AUTHORIZATION, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use qorgan_protocol::limits::FRAME_BYTES_MAX;
use qorgan_protocol::link::LINK_SUBPROTOCOL;

/// The open WebSocket.
pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Says why no WebSocket could be opened.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The server's origin is no HTTPS origin.
    #[error("`{origin}` is no HTTPS origin")]
    Origin {
        /// The origin.
        origin: String,
    },
    /// TCP or TLS failed.
    #[error("the server cannot be reached")]
    Network(#[from] io::Error),
    /// The proxy refused.
    #[error("the proxy answered `{answer}`")]
    Proxy {
        /// Its first line.
        answer: String,
    },
    /// The server did not upgrade the connection.
    #[error("the server opened no WebSocket")]
    Upgrade(#[from] Box<tungstenite::Error>),
    /// The upgrade carried no nonce to sign.
    #[error("the upgrade carried no nonce")]
    NoNonce,
    /// It took too long.
    #[error("the connection took longer than {} s", CONNECT_WAIT.as_secs())]
    TooSlow,
}

/// Where and how to connect.
#[derive(Clone)]
pub(crate) struct Target {
    /// The server's origin.
    pub(crate) origin: String,
    /// The agent's token.
    pub(crate) token: String,
    /// Whom to believe.
    pub(crate) tls: Arc<ClientConfig>,
}

impl core::fmt::Debug for Target {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Target")
            .field("origin", &self.origin)
            .finish_non_exhaustive()
    }
}

/// Opens the link's WebSocket and returns it with the nonce to sign.
pub(super) async fn connect(target: &Target) -> Result<(Socket, [u8; 32]), ConnectError> {
    tokio::time::timeout(CONNECT_WAIT, open(target))
        .await
        .map_err(|_elapsed| ConnectError::TooSlow)?
}

async fn open(target: &Target) -> Result<(Socket, [u8; 32]), ConnectError> {
    let (host, port) = host_and_port(&target.origin)?;
    let proxy = proxy_for(&host, |name| std::env::var(name).ok());
    let tcp = match proxy {
        Some(proxy) => {
            tracing::info!("Connecting through the system's proxy");
            through_proxy(&proxy, &host, port).await?
        }
        None => TcpStream::connect((host.as_str(), port)).await?,
    };
    tcp.set_nodelay(true)?;
    let name = ServerName::try_from(host.clone()).map_err(|_invalid| ConnectError::Origin {
        origin: target.origin.clone(),
    })?;
    let tls = TlsConnector::from(Arc::clone(&target.tls))
        .connect(name, tcp)
        .await?;
    let mut request = format!("wss://{}:{port}/api/v1/agent/link", bracketed(&host))
        .into_client_request()
        .map_err(Box::new)?;
    let headers = request.headers_mut();
    let bearer = HeaderValue::try_from(format!("Bearer {}", target.token));
    headers.insert(
        AUTHORIZATION,
        bearer.map_err(|error| Box::new(tungstenite::Error::from(error)))?,
    );
    headers.insert(
        SEC_WEBSOCKET_PROTOCOL,
        HeaderValue::from_static(LINK_SUBPROTOCOL),
    );
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let (socket, response) =
        tokio_tungstenite::client_async_with_config(request, tls, Some(config))
            .await
            .map_err(Box::new)?;
    let nonce = response
        .headers()
        .get("x-qorgan-nonce")
        .and_then(|value| value.to_str().ok())
        .and_then(nonce_of)
        .ok_or(ConnectError::NoNonce)?;
    Ok((socket, nonce))
}

async fn through_proxy(proxy: &Uri, host: &str, port: u16) -> Result<TcpStream, ConnectError> {
    let proxy_host = proxy.host().unwrap_or_default();
    let mut tcp = TcpStream::connect((proxy_host, proxy.port_u16().unwrap_or(8080))).await?;
    let target = format!("{}:{port}", bracketed(host));
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    tcp.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // Byte by byte, so that nothing of the tunnel behind the answer is swallowed.
    while !answer.ends_with(b"\r\n\r\n") && answer.len() < PROXY_ANSWER_BYTES_MAX {
        answer.push(tcp.read_u8().await?);
    }
    let text = String::from_utf8_lossy(&answer);
    let line = text.lines().next().unwrap_or_default();
    let accepted = line
        .split_whitespace()
        .nth(1)
        .is_some_and(|code| code.starts_with('2'));
    if accepted {
        Ok(tcp)
    } else {
        Err(ConnectError::Proxy {
            answer: line.chars().take(80).collect(),
        })
    }
}

fn host_and_port(origin: &str) -> Result<(String, u16), ConnectError> {
    let wrong = || ConnectError::Origin {
        origin: origin.to_owned(),
    };
    let uri: Uri = origin.parse().map_err(|_invalid| wrong())?;
    if uri.scheme_str() != Some("https") {
        return Err(wrong());
    }
    let host = uri.host().ok_or_else(wrong)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

/// Returns the proxy that the environment names for a host.
fn proxy_for(host: &str, variable: impl Fn(&str) -> Option<String>) -> Option<Uri> {
    let either = |upper: &str| {
        variable(upper)
            .or_else(|| variable(&upper.to_lowercase()))
            .filter(|value| !value.trim().is_empty())
    };
    let excepted = either("NO_PROXY").is_some_and(|list| {
        list.split(',').map(str::trim).any(|rule| {
            let rule = rule.trim_start_matches('.');
            rule == "*" || host == rule || (!rule.is_empty() && host.ends_with(&format!(".{rule}")))
        })
    });
    if excepted {
        return None;
    }
    let text = either("HTTPS_PROXY").or_else(|| either("ALL_PROXY"))?;
    let text = text.trim();
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    with_scheme
        .parse::<Uri>()
        .ok()
        .filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some())
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn nonce_of(text: &str) -> Option<[u8; 32]> {
    // A key's hexadecimal form is that of any 32 bytes.
    qorgan_protocol::crypto::PublicKey::from_hex(text).map(|bytes| bytes.0)
}

const CONNECT_WAIT: Duration = Duration::from_secs(8);
const PROXY_ANSWER_BYTES_MAX: usize = 8 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_gives_host_and_port_and_plain_http_is_refused() {
        let read = |origin| host_and_port(origin).expect("an origin");
        assert_eq!(read("https://a.kz:8443"), ("a.kz".to_owned(), 8443));
        assert_eq!(read("https://a.kz/"), ("a.kz".to_owned(), 443));
        assert_eq!(read("https://[::1]:9"), ("::1".to_owned(), 9));
        host_and_port("http://a.kz").expect_err("not encrypted");
    }

    #[test]
    fn the_environments_proxy_is_taken_but_for_excepted_hosts() {
        let variable = |name: &str| match name {
            "HTTPS_PROXY" => Some("proxy.kz:3128".to_owned()),
            "no_proxy" => Some("localhost, .local.kz".to_owned()),
            _ => None,
        };
        let proxy = proxy_for("exam.kz", variable).expect("a proxy");
        assert_eq!(
            (proxy.host(), proxy.port_u16()),
            (Some("proxy.kz"), Some(3128))
        );
        assert_eq!(proxy_for("localhost", variable), None);
        assert_eq!(proxy_for("exam.local.kz", variable), None);
        assert_eq!(proxy_for("exam.kz", |_| None), None);
    }
}
