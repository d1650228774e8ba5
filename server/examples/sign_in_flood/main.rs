//! How long candidates wait to sign in while somebody floods the sign-in, and what memory it takes.
//!
//! `cargo run --release -p qorgan-server --example sign_in_flood` prints a line for no flood, a flood from
//! one address and one from a /64, and fails where p95 is above two seconds or memory grows. Linux only:
//! it uses the loopback's many addresses.

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[path = "../common/mod.rs"]
mod common;
mod flood;

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use common::Running;
use flood::{Flood, Measured, Target, at, measure, provision};
use qorgan_base::config::Config;
use qorgan_server::state::AppState;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments.first().map(String::as_str) {
        Some("serve") => {
            let data = arguments.get(1).context("a folder")?;
            runtime.block_on(server(Path::new(data)))
        }
        Some(_) | None => runtime.block_on(bench()),
    }
}

async fn server(data: &Path) -> anyhow::Result<()> {
    let config = Config {
        trusted_proxies: vec![IpAddr::V4(flood::PROXY)],
        ..Config::default()
    };
    let state = AppState::open(data, config).await?;
    provision(&state, CANDIDATES * 3).await?;
    common::served(state).await
}

async fn bench() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let data = folder.path().join("data");
    let running = Running::start(&data).await?;
    let target = Target {
        origin: format!("https://localhost:{}", running.port),
        ca_pem: std::fs::read_to_string(data.join("ca.pem"))?,
        pid: running.pid(),
        connections: 512,
    };
    let (mut begin, mut allowed) = (0, Duration::from_secs(2));
    for (name, flood) in [
        ("no flood", Flood::None),
        ("from one address", Flood::OneAddress),
        ("from a /64", Flood::One64),
    ] {
        let candidates = begin..begin + CANDIDATES;
        begin += CANDIDATES;
        let measured = measure(&target, flood, candidates, Duration::from_millis(200)).await?;
        print(name, &measured);
        for times in [&measured.strangers, &measured.known] {
            if flood == Flood::None {
                // A machine that is busy with something else is slow by itself.
                allowed = allowed.max(at(times, 95) * 2);
            }
            ensure!(at(times, 95) <= allowed, "{name}: p95 above {allowed:?}");
        }
        let grown = measured.rss_kib.1.saturating_sub(measured.rss_kib.0);
        ensure!(grown < 64 * 1024, "{name}: memory grew by {grown} KiB");
    }
    Ok(())
}

fn print(name: &str, measured: &Measured) {
    let ms = |times: &[Duration], percent| at(times, percent).as_millis();
    println!(
        "{name:17} first p50 {:4} p95 {:4} ms, known p50 {:4} p95 {:4} ms, told to wait {}, \
         {} hostile sign-ins, RSS {} -> {} KiB",
        ms(&measured.strangers, 50),
        ms(&measured.strangers, 95),
        ms(&measured.known, 50),
        ms(&measured.known, 95),
        measured.told_to_wait,
        measured.hostile,
        measured.rss_kib.0,
        measured.rss_kib.1,
    );
}

const CANDIDATES: u32 = 100;
