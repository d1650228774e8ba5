//! The proctoring agent's command line.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use qorgan_agent::{Options, Sources};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// Records a candidate's camera, microphone and screen for an exam. The kiosk starts it.
#[derive(Debug, Parser)]
#[command(name = "qorgan-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Wait for the kiosk on a local socket, then record one attempt.
    Run {
        /// The folder of the socket; it is made, for its owner alone.
        #[arg(long, value_name = "DIR")]
        socket_dir: PathBuf,
        /// The folder, on a disk, of what waits for the server and of its receipts; if it is left out,
        /// the socket's folder.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// Where pictures and sound come from: `devices`, or `simulated:DIR` in builds that can play
        /// files.
        #[arg(long, default_value = "devices")]
        sources: Sources,
        /// The most bytes that may wait on the disk for the server.
        #[arg(long, value_name = "BYTES")]
        spool_bytes_max: Option<u64>,
    },
}

fn main() -> anyhow::Result<()> {
    // Before anything is read that the user's other programs should not see.
    qorgan_seat::platform::guard_process();
    let filter =
        EnvFilter::try_from_env("QORGAN_LOG").unwrap_or_else(|_unset| EnvFilter::new("info"));
    // What libraries tell at TRACE may be frames and tokens: no variable turns it on.
    tracing_subscriber::registry()
        .with(LevelFilter::DEBUG)
        .with(filter)
        .with(fmt::layer().with_writer(std::io::stderr))
        .init();
    let Command::Run {
        socket_dir,
        data,
        sources,
        spool_bytes_max,
    } = Arguments::parse().command;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime does not start")?;
    let options = Options {
        data: data.unwrap_or_else(|| socket_dir.clone()),
        socket_dir,
        sources,
        spool_bytes_max,
    };
    runtime
        .block_on(qorgan_agent::run(options))
        .context("the agent cannot run")
}
