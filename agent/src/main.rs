//! The proctoring agent's command line.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use qorgan_agent::{Options, Sources};
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, fmt};

/// The proctoring agent of Qorgan: the client starts it.
#[derive(Debug, Parser)]
#[command(name = "qorgan-agent", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Waits for the client on a socket in a folder of its own, then records one attempt.
    Run {
        /// The folder of the socket; made with mode 0700.
        #[arg(long, value_name = "DIR")]
        socket_dir: PathBuf,
        /// The folder of the spool and the receipts, on a disk; the socket's where none is named.
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// `devices`, or `simulated:DIR` in builds that can play files.
        #[arg(long, default_value = "devices")]
        sources: Sources,
        /// The most bytes that the spool may take on disk.
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
