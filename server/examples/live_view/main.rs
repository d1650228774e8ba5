//! Live glass to glass: from a picture's capture at the agents to its being drawn in headless
//! Chromium, on the wall (thumbnails) and on a candidate's page (camera and screen in full).
//!
//! Every picture carries its capture time as black and white blocks, which the browser reads back
//! off the canvas once the frame is out. Server, agents and browser are processes of this machine
//! and share its clock.
//!
//! `cargo run --release -p qorgan-server --example live_view -- 1 9 49`

#![expect(clippy::print_stdout, reason = "a bench prints its figures")]

#[expect(dead_code, reason = "the tests use the rest")]
#[path = "../../tests/common/mod.rs"]
mod common;
mod feeds;
mod pictures;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::Context as _;
use common::{Agent, Place, Provision, Server, connector};
use feeds::{Background, drive};
use qorgan_server::auth::StaffRole;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, folder, count] = arguments.as_slice()
        && mode == "serve"
    {
        return serve_attempts(Path::new(folder), count.parse()?).await;
    }
    let background = Background::prepare()?;
    println!("{}", background.describe());
    for count in &arguments {
        measure(count.parse()?, &background).await?;
    }
    Ok(())
}

async fn serve_attempts(folder: &Path, count: u32) -> anyhow::Result<()> {
    let server = Server::start_without_totp(&folder.join("data")).await;
    let provisions = server.attempts(count).await;
    let cookie = server.staff("proctor", StaffRole::Proctor).await;
    let text = serde_json::to_vec(&(&server.place, provisions, cookie))?;
    let partial = folder.join("partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(partial, folder.join("ready"))?;
    tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())).await??;
    server.stop().await;
    Ok(())
}

async fn measure(count: u32, background: &Background) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let mut server = Command::new(std::env::current_exe()?)
        .args(["serve", &folder.path().display().to_string()])
        .arg(count.to_string())
        .stdin(Stdio::piped())
        .spawn()?;
    let (place, provisions, cookie) = ready(folder.path()).await?;
    let connector = connector(&place.ca);
    let (stop, stopped) = watch::channel(false);
    let mut agents = Vec::new();
    for (number, provision) in (0..count).zip(&provisions) {
        let mut agent = Agent::new(&place, provision, &connector);
        agent.keeps = false;
        let driven = drive(agent, number, count, background.clone(), stopped.clone());
        agents.push(tokio::spawn(driven));
    }
    sleep(SETTLE).await;
    let words = json!({
        "origin": format!("https://localhost:{}", place.address.port()),
        "cookie": cookie,
        "attempt": provisions.first().context("no attempt")?.attempt,
        "feeds": count,
        "server": server.id(),
        "seconds": MEASURE.as_secs(),
    });
    let ended = tokio::task::spawn_blocking(move || browser(&words)).await?;
    stop.send_replace(true);
    for agent in agents {
        agent.await??;
    }
    end(&mut server)?;
    ended
}

/// Has the browser look, and print what it saw.
fn browser(words: &serde_json::Value) -> anyhow::Result<()> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/browser/live.mjs");
    let status = Command::new("node")
        .arg(script)
        .env("QORGAN_WORDS", words.to_string())
        .status()
        .context("node")?;
    anyhow::ensure!(status.success(), "the browser saw nothing: {status}");
    Ok(())
}

async fn ready(folder: &Path) -> anyhow::Result<(Place, Vec<Provision>, String)> {
    for _ in 0..600 {
        if let Ok(text) = std::fs::read(folder.join("ready")) {
            return Ok(serde_json::from_slice(&text)?);
        }
        sleep(Duration::from_millis(200)).await;
    }
    anyhow::bail!("the server did not start")
}

fn end(server: &mut Child) -> anyhow::Result<()> {
    drop(server.stdin.take());
    server.wait()?;
    Ok(())
}

const SETTLE: Duration = Duration::from_secs(6);
const MEASURE: Duration = Duration::from_secs(30);
