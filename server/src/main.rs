//! The server's program: reads the command line, logs to standard error, runs.

use clap::Parser as _;
use qorgan_server::cli::Cli;
use tracing_subscriber::EnvFilter;

fn main() -> anyhow::Result<()> {
    let cli = Cli::parse();
    if cli.is_worker() {
        return Ok(qorgan_decoding::work()?);
    }
    let filter = EnvFilter::try_from_env("QORGAN_LOG")
        .unwrap_or_else(|_unset| EnvFilter::new("info,sqlx=warn"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(cli.run())
}
