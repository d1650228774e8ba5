//! Whether the connections of a whole exam fit, and what idle hostile ones change.
//!
//! `cargo run --release -p qorgan-server --example connection_load -- 2000` opens six connections for
//! each candidate, each from an address of its own, and asks over them; then 1,000 idle ones of one
//! address stand beside, half of them before TLS. It fails where one of the honest connections is
//! lost. Linux only: it uses the loopback's many addresses, and two processes that each hold all of
//! the connections as open files.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

mod common;
#[path = "common/memory.rs"]
mod memory;

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, bail, ensure};
use common::Running;
use memory::rss_kib;
use qorgan_base::config::Config;
use qorgan_server::http::raise_open_files;
use qorgan_server::state::AppState;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

fn main() -> anyhow::Result<()> {
    raise_open_files()?;
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            let data = arguments.get(1).context("a folder")?;
            runtime.block_on(server(Path::new(data)))
        }
        Some(candidates) => runtime.block_on(bench(candidates.parse()?)),
        None => runtime.block_on(bench(2_000)),
    }
}

async fn server(data: &Path) -> anyhow::Result<()> {
    let mut config = Config::default();
    // Nobody asks for as long as it takes to open them all.
    config.limits.header_seconds = 600;
    let state = AppState::open(data, config).await?;
    common::served(state).await
}

async fn bench(candidates: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let running = Running::start(&data).await?;
    let target = Target::new(running.port, &data)?;
    let rss = || rss_kib(running.pid());
    let before = rss()?;
    let began = Instant::now();
    let mut honest = Vec::new();
    for number in 0..candidates {
        for _connection in 0..CONNECTIONS {
            let mut stream = target.tls(address(number)).await?;
            ask(&mut stream).await?;
            honest.push(stream);
        }
    }
    println!(
        "{} connections of {candidates} candidates in {:.1} s, RSS {before} -> {} KiB",
        honest.len(),
        began.elapsed().as_secs_f64(),
        rss()?
    );
    report("honest alone", &mut honest, rss()?).await?;
    let idle = target.idle(1_000).await?;
    report("beside 1,000 idle", &mut honest, rss()?).await?;
    drop(idle);
    Ok(())
}

/// Asks once over each connection, so that a lost one is seen.
async fn report(
    name: &str,
    honest: &mut [TlsStream<TcpStream>],
    rss_kib: u64,
) -> anyhow::Result<()> {
    let mut took = Vec::new();
    for stream in honest {
        let began = Instant::now();
        ask(stream).await.with_context(|| name.to_owned())?;
        took.push(began.elapsed());
    }
    took.sort_unstable();
    let at = |percent: usize| {
        let place = took.len().saturating_sub(1) * percent / 100;
        took.get(place).copied().unwrap_or_default().as_micros()
    };
    println!(
        "{name:18} {} answered, p50 {} us, p95 {} us, p99 {} us, RSS {rss_kib} KiB",
        took.len(),
        at(50),
        at(95),
        at(99)
    );
    Ok(())
}

struct Target {
    server: SocketAddr,
    tls: TlsConnector,
}

impl Target {
    fn new(port: u16, data: &Path) -> anyhow::Result<Self> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(data.join("ca.pem"))?)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            server: ([127, 0, 0, 1], port).into(),
            tls: Arc::new(config).into(),
        })
    }

    async fn tcp(&self, from: Ipv4Addr) -> anyhow::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddrV4::new(from, 0).into())?;
        Ok(socket.connect(self.server).await?)
    }

    async fn tls(&self, from: Ipv4Addr) -> anyhow::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from("localhost")?;
        Ok(self.tls.connect(name, self.tcp(from).await?).await?)
    }

    /// Opens connections that ask for nothing; the server may close them.
    async fn idle(
        &self,
        count: u32,
    ) -> anyhow::Result<(Vec<TcpStream>, Vec<TlsStream<TcpStream>>)> {
        let from = Ipv4Addr::new(127, 0, 0, 2);
        let (mut bare, mut shaken) = (Vec::new(), Vec::new());
        for number in 0..count {
            if number % 2 == 0 {
                bare.push(self.tcp(from).await?);
            } else {
                shaken.push(self.tls(from).await?);
            }
        }
        Ok((bare, shaken))
    }
}

fn address(candidate: u32) -> Ipv4Addr {
    let [_, _, high, low] = candidate.to_be_bytes();
    Ipv4Addr::new(127, 1, high, low)
}

async fn ask(stream: &mut TlsStream<TcpStream>) -> anyhow::Result<()> {
    stream
        .write_all(b"GET /api/v1/hello HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await?;
    stream.flush().await?;
    let mut reply = Vec::new();
    let mut piece = [0; 4_096];
    loop {
        let read = stream.read(&mut piece).await?;
        ensure!(read > 0, "the server closed it");
        reply.extend_from_slice(piece.get(..read).unwrap_or_default());
        if is_whole(&reply)? {
            return Ok(());
        }
    }
}

fn is_whole(reply: &[u8]) -> anyhow::Result<bool> {
    let text = String::from_utf8_lossy(reply);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return Ok(false);
    };
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("answered {head}");
    }
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length")
            .then(|| value.trim().parse::<usize>())
    });
    Ok(body.len() >= length.context("no content-length")??)
}

const CONNECTIONS: u32 = 6;
